//! Codes that people read, say and type.

use compact_str::CompactString;

/// What codes are made of: no 0 and O, no 1, I and L, nothing that looks like 2, 5 or 8, and no vowel that would make a
/// word. A prime number of them, so that one check character notices every wrong character and every two that changed
/// places.
pub const ALPHABET: &[u8; 23] = b"23456789CDFGHJKMNPRTVWX";

/// Characters of a code, the check character included: fifteen hold 67 random bits, and 64 are asked for (V1).
pub const LENGTH: usize = 16;

/// The shortest and the longest code that is made: the check holds for fewer than 23 characters.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=20;

/// The longest code that is taken from elsewhere, in characters.
pub const CODE_MAX: usize = 40;

/// A code in the form it is looked up by.
pub type Normal = CompactString;

/// A text that cannot be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has 4 to {CODE_MAX} letters, digits and signs; blanks and hyphens do not count")]
pub struct NotACode;

/// A code as it is looked up, however it was typed: blanks and hyphens are for reading, and small letters are large.
///
/// # Errors
/// [`NotACode`] for what is too short, too long, or has other characters.
pub fn normalise(text: &str) -> Result<Normal, NotACode> {
    let kept = text.chars().filter(|character| !character.is_whitespace() && *character != '-');
    let normal: Normal = kept.map(|character| character.to_ascii_uppercase()).collect();
    let fits = (4..=CODE_MAX).contains(&normal.len()) && normal.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(normal) } else { Err(NotACode) }
}

/// In groups of four, to be read.
pub fn grouped(code: &str) -> CompactString {
    let mut text = CompactString::default();
    for (place, character) in code.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(character);
    }
    text
}

/// In groups where it is one of ours, else as it is.
pub fn as_shown(code: &str) -> CompactString {
    if has_check(code) { grouped(code) } else { code.into() }
}

/// A code of so many characters, from random bytes: the last is the check. `None` where the bytes do not suffice.
pub fn made_of(random: &[u8], length: usize) -> Option<Normal> {
    let wanted = length.checked_sub(1)?;
    // 23 × 11 = 253: higher bytes would favour the first characters.
    let digits: Vec<u8> = random.iter().filter(|byte| **byte < 253).map(|byte| byte % 23).take(wanted).collect();
    if digits.len() < wanted {
        return None;
    }
    let check = check_of(&digits);
    Some(digits.into_iter().chain([check]).map(|digit| char::from(ALPHABET[usize::from(digit)])).collect())
}

/// Weighted by place, modulo a prime above the length: no two places weigh the same (the check character's own −1).
fn check_of(digits: &[u8]) -> u8 {
    let sum: u32 = digits.iter().zip(1_u32..).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    u8::try_from(sum % 23).unwrap_or_default()
}

fn digits(code: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte).and_then(|place| u8::try_from(place).ok());
    code.bytes().map(digit).collect()
}

/// Whether a code has the form of ours and its check character is right.
pub fn has_check(code: &str) -> bool {
    let Some(digits) = digits(code).filter(|digits| LENGTHS.contains(&digits.len())) else { return false };
    digits.split_last().is_some_and(|(check, rest)| *check == check_of(rest))
}

/// Whether a code has the form of ours and its check character is wrong: somebody mistyped it, nobody guessed.
pub fn is_mistyped(code: &str) -> bool {
    digits(code).is_some_and(|digits| LENGTHS.contains(&digits.len())) && !has_check(code)
}

/// How many codes of a length there are: the check character says nothing new to who guesses.
pub fn spoken_space(length: usize) -> u128 {
    let random = u32::try_from(length.saturating_sub(1)).unwrap_or_default();
    23_u128.saturating_pow(random)
}

/// How many codes of a length may be valid, so that at most one guess in a million hits one (V1).
pub fn on_pack_most(length: usize) -> i64 {
    i64::try_from(spoken_space(length) / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(seed: u8, length: usize) -> Normal {
        let mut random = [0; 64];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut random);
        made_of(&random, length).unwrap()
    }

    #[test]
    fn v1_a_code_has_64_random_bits_and_no_look_alikes() {
        // 15 characters of 23: 23^15 is more than 2^64.
        assert!(spoken_space(LENGTH) > 1_u128 << 64);
        for seed in 0..=255 {
            let code = code(seed, LENGTH);
            assert_eq!(code.len(), LENGTH);
            assert!(!code.contains(['0', 'O', '1', 'I', 'L', 'U', 'A', 'E', 'S', 'Z', 'B', 'Q', 'Y']), "{code}");
            assert!(has_check(&code) && !is_mistyped(&code));
        }
    }

    #[test]
    fn v1_every_wrong_character_and_every_two_that_changed_places_are_noticed() {
        for length in [*LENGTHS.start(), LENGTH, *LENGTHS.end()] {
            for seed in 0..20 {
                let right = code(seed, length);
                for place in 0..length {
                    for wrong in ALPHABET.iter().filter(|wrong| **wrong != right.as_bytes()[place]) {
                        let mut bytes = right.as_bytes().to_vec();
                        bytes[place] = *wrong;
                        assert!(is_mistyped(std::str::from_utf8(&bytes).unwrap()), "{right} at {place}");
                    }
                    for other in 0..place {
                        let mut bytes = right.as_bytes().to_vec();
                        bytes.swap(place, other);
                        let text = std::str::from_utf8(&bytes).unwrap();
                        assert_eq!(is_mistyped(text), text != right, "{right}: {place} and {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn v1_a_code_is_the_same_however_it_is_typed() {
        assert_eq!(normalise(" abcd-2345 efgh\t").unwrap(), "ABCD2345EFGH");
        assert_eq!(grouped("ABCD2345EFGH"), "ABCD-2345-EFGH");
        let long = "X".repeat(CODE_MAX + 1);
        for wrong in ["", "abc", " - - ", "mã-giảm-giá", long.as_str()] {
            assert_eq!(normalise(wrong), Err(NotACode), "{wrong}");
        }
    }

    #[test]
    fn v1_one_valid_code_in_a_million_guesses() {
        assert_eq!(on_pack_most(8), 3_404);
        assert_eq!(on_pack_most(9), 78_310);
        assert_eq!(on_pack_most(10), 1_801_152);
        assert!(u128::try_from(on_pack_most(10)).unwrap() * 1_000_000 <= spoken_space(10));
    }
}
