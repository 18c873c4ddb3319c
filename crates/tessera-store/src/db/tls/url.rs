//! What a database URL says of TLS, taken out of it: the driver knows a part of these words, and refuses the rest.
//!
//! Both forms that the driver reads are read, `postgres://…?sslmode=require` and `host=… sslmode=require`, and each as it
//! reads them.

/// How far a connection must be safe, from not at all to fully; as libpq's `sslmode` of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: [(&str, Mode); 5] = [
    ("disable", Mode::Disable),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// What libpq knows beyond that. To pass over one of them would leave a connection less safe than it was asked to be.
const UNKNOWN: [&str; 10] = [
    "requiressl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslpassword",
    "sslsni",
];

/// The words of TLS as they stand in a URL. One that is empty stands for one that is not there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) mode: Option<Mode>,
    pub(super) root: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

impl Words {
    /// The words of a URL, and the URL without them. What is no URL is handed back as it is, for the driver to refuse.
    ///
    /// The message holds nothing of the URL but these words.
    pub(super) fn taken_out(url: &str) -> Result<(Self, String), String> {
        let mut words = Self::default();
        let rest = if url.contains("://") { words.out_of_url(url)? } else { words.out_of_pairs(url)? };
        Ok((words, rest))
    }

    fn out_of_url(&mut self, url: &str) -> Result<String, String> {
        // User and password end with the first `@`, and may hold a question mark.
        let after_password = url.find('@').map_or(0, |at| at + 1);
        let Some(question) = url[after_password..].find('?') else { return Ok(url.to_owned()) };
        let (place, query) = url.split_at(after_password + question);
        let mut rest = Vec::new();
        for pair in query[1..].split('&') {
            let decoded = pair.split_once('=').and_then(|(key, value)| Some((key, decoded(value)?)));
            match decoded {
                Some((key, value)) if self.take(key, &value)? => {}
                _ => rest.push(pair),
            }
        }
        Ok(if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) })
    }

    fn out_of_pairs(&mut self, pairs: &str) -> Result<String, String> {
        let mut rest = String::new();
        let mut left = pairs.trim_start();
        while !left.is_empty() {
            let pair = left.find(|c: char| c == '=' || c.is_whitespace()).and_then(|end| {
                let (key, after) = left.split_at(end);
                let raw = after.trim_start().strip_prefix('=')?.trim_start();
                let (value, length) = value(raw)?;
                Some((key, value, &raw[..length], raw[length..].trim_start()))
            });
            let Some((key, value, raw, next)) = pair else { return Ok(pairs.to_owned()) };
            if !self.take(key, &value)? {
                rest.extend([if rest.is_empty() { "" } else { " " }, key, "=", raw]);
            }
            left = next;
        }
        Ok(rest)
    }

    /// Whether it is a word of TLS.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let value = Some(value).filter(|value| !value.is_empty());
        match key {
            "sslmode" => self.mode = value.map(mode).transpose()?,
            "sslrootcert" => self.root = value.map(str::to_owned),
            "sslcert" => self.certificate = value.map(str::to_owned),
            "sslkey" => self.key = value.map(str::to_owned),
            _ if UNKNOWN.contains(&key) => {
                return Err(format!(
                    "`{key}` in the database URL is not supported: of TLS there are sslmode, sslrootcert, sslcert, sslkey, \
                     sslnegotiation and channel_binding"
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn mode(word: &str) -> Result<Mode, String> {
    let known = MODES.iter().find(|(name, _)| *name == word).map(|(_, mode)| *mode);
    known.ok_or_else(|| {
        "sslmode in the database URL: one of disable, prefer, require, verify-ca, verify-full".to_owned()
    })
}

/// A value of the URL form; nothing if it is no text.
fn decoded(value: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(value.len());
    let mut left = value.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        let escaped = match rest {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        bytes.push(escaped.map_or(first, |(high, low)| high << 4 | low));
        left = if escaped.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8(bytes).ok()
}

/// The value that a text of the other form begins with, and how long it stands there; nothing if its quote has no end.
fn value(text: &str) -> Option<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\'' if quoted => return Some((value, place + 1)),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter if !quoted && letter.is_whitespace() => return Some((value, place)),
            letter => value.push(letter),
        }
    }
    (!quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_tls_leave_a_url_and_all_else_stays() {
        let whole = "postgres://u:p?a%26b@one,two:7/d?connect_timeout=3&sslmode=verify-full\
                     &sslrootcert=%2Fetc%2Fthe%20roots.pem&application_name=a%26b&sslcert=c.pem&sslkey=k.pem";
        let (words, rest) = Words::taken_out(whole).unwrap();
        assert_eq!(rest, "postgres://u:p?a%26b@one,two:7/d?connect_timeout=3&application_name=a%26b");
        let wanted = Words {
            mode: Some(Mode::VerifyFull),
            root: Some("/etc/the roots.pem".to_owned()),
            certificate: Some("c.pem".to_owned()),
            key: Some("k.pem".to_owned()),
        };
        assert_eq!(words, wanted);
        let pairs = "host=one  password='a \\' sslmode=disable'  sslmode = verify-full sslrootcert='/etc/the roots.pem' \
                     sslcert=c.pem user=u\\ v sslkey=k.pem";
        let (words, rest) = Words::taken_out(pairs).unwrap();
        assert_eq!((words, rest.as_str()), (wanted, "host=one password='a \\' sslmode=disable' user=u\\ v"));
    }

    #[test]
    fn a_url_without_them_is_what_it_was() {
        for url in ["postgres://h/d", "postgres://u@h/d?connect_timeout=3", "host=h user=u", "host='no end", "word"] {
            assert_eq!(Words::taken_out(url).unwrap(), (Words::default(), url.to_owned()), "{url}");
        }
        assert_eq!(Words::taken_out("postgres://h/d?sslmode=").unwrap().1, "postgres://h/d");
    }

    #[test]
    fn a_word_that_is_not_known_is_refused_by_its_name_and_without_its_value() {
        for (url, named) in [
            ("postgres://u:s3cret@h/d?sslmode=allow", "disable, prefer, require"),
            ("postgres://u:s3cret@h/d?sslpassword=s3cret", "`sslpassword`"),
            ("host=h password=s3cret sslcrl=s3cret", "`sslcrl`"),
        ] {
            let refused = Words::taken_out(url).unwrap_err();
            assert!(refused.contains(named) && !refused.contains("s3cret"), "{refused}");
        }
    }
}
