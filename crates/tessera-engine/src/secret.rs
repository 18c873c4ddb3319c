//! The installation's master key and what is derived from it.
//!
//! Idempotency hashes and identifier look-ups are keyed, so that the database alone tells nobody who a member is or what
//! an event held. Personal data are sealed under a key per member, which is wrapped by the master key: erasing the
//! wrapped key erases the person.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};

use crate::clock::Entropy;

/// Keys derived from the master key. `Debug` shows none of them.
#[derive(Clone)]
pub struct Secrets {
    /// For look-up keys of identifiers.
    identifier: [u8; 32],
    /// For hashes of commands.
    command: [u8; 32],
    /// Codes of gift cards.
    card_code: [u8; 32],
    /// For hashes of API keys.
    access: [u8; 32],
    /// Wraps the members' own keys.
    wrap: [u8; 32],
    /// For look-up keys of vouchers' codes, and for the codes that are made.
    voucher: [u8; 32],
    /// Seals vouchers' codes that came from elsewhere.
    voucher_seal: [u8; 32],
    /// Seals the secrets of members' cards, and keeps codes that were sent.
    possession: [u8; 32],
    /// Seals codes of partners, and finds those that are known.
    code: [u8; 32],
    /// Seals whole exports.
    export: [u8; 32],
    /// Tells the master key apart from others.
    fingerprint: [u8; 8],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the master key cannot be read or made: {0}")]
    File(#[from] std::io::Error),
    #[error(
        "the master key {} is missing: put it back from a backup, or give it in TESSERA_MASTER_KEY",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("the master key is not 64 hexadecimal digits")]
    Malformed,
    #[error("personal data cannot be opened: the master key is not the one it was sealed with")]
    WrongKey,
    #[error(
        "the master key is not the one this database was made with: under it nobody would be known. Put the right \
         master.key back, or give it in TESSERA_MASTER_KEY"
    )]
    OtherKey,
}

impl Secrets {
    /// Derives all keys from 32 bytes.
    pub fn from_master(master: &[u8; 32]) -> Self {
        let derive = |purpose: &str| blake3::derive_key(&format!("tessera 2026 {purpose}"), master);
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&derive("fingerprint")[..8]);
        Self {
            identifier: derive("identifier look-up"),
            command: derive("command hash"),
            card_code: derive("codes of gift cards"),
            access: derive("api key hash"),
            wrap: derive("member key wrap"),
            voucher: derive("voucher code"),
            voucher_seal: derive("voucher code seal"),
            possession: derive("possession seal"),
            code: derive("partner code seal"),
            export: derive("export seal"),
            fingerprint,
        }
    }

    /// From 64 hexadecimal digits, as the environment gives it.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return Err(SecretError::Malformed);
        }
        let mut master = [0; 32];
        for (index, byte) in master.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| SecretError::Malformed)?;
        }
        Ok(Self::from_master(&master))
    }

    /// Reads the key file.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let mut text = String::new();
        match File::open(path) {
            Ok(mut file) => file.read_to_string(&mut text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SecretError::Missing(path.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        Self::from_hex(&text)
    }

    /// Reads the key file, or makes it, for its owner only, when it is not there.
    pub fn from_file_or_new(path: &Path) -> Result<Self, SecretError> {
        match Self::from_file(path) {
            Err(SecretError::Missing(_)) => {
                let bytes: [u8; 32] = Entropy::default().bytes();
                write_key_file(path, &hex(&bytes))?;
                Ok(Self::from_master(&bytes))
            }
            read => read,
        }
    }

    /// The look-up key of an identifier such as `phone:+84901234567`.
    pub fn identifier_key(&self, program: i64, identifier: &str) -> [u8; 16] {
        first_half(keyed(&self.identifier, &[&program.to_be_bytes(), identifier.as_bytes()]))
    }

    /// The look-up key of an idempotency key.
    pub fn event_key(&self, program: i64, source: &str, id: &str) -> [u8; 16] {
        first_half(keyed(&self.command, &[b"key", &program.to_be_bytes(), source.as_bytes(), id.as_bytes()]))
    }

    /// The hash of a command in its canonical form.
    pub fn command_hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        first_half(keyed(&self.command, parts))
    }

    /// Bits of a code that is made for an idempotency key: nobody guesses them, and a retry gets the same code.
    pub fn code_entropy(&self, program: i64, purpose: &str, key: &str) -> [u8; 16] {
        first_half(keyed(&self.card_code, &[&program.to_be_bytes(), purpose.as_bytes(), key.as_bytes()]))
    }

    /// The look-up key of an order.
    pub fn order_key(&self, program: i64, order_id: &str) -> [u8; 16] {
        first_half(keyed(&self.command, &[b"order", &program.to_be_bytes(), order_id.as_bytes()]))
    }

    /// The look-up key of a voucher's code, in its normal form.
    pub fn code_key(&self, program: i64, code: &str) -> [u8; 16] {
        first_half(keyed(&self.voucher, &[b"find", &program.to_be_bytes(), code.as_bytes()]))
    }

    /// Random bytes for a code of a batch: the same for the same number, so that a batch can be made again.
    pub(crate) fn code_bytes(&self, batch: &[u8; 16], number: u64, attempt: u32) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.voucher);
        hasher.update(b"make").update(batch).update(&number.to_be_bytes()).update(&attempt.to_be_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    /// A voucher's code that came from elsewhere, for the database.
    pub(crate) fn seal_voucher_code(&self, code: &str, entropy: &mut Entropy) -> Vec<u8> {
        seal(&self.voucher_seal, &entropy.bytes(), code.as_bytes())
    }

    pub(crate) fn open_voucher_code(&self, sealed: &[u8]) -> Result<String, SecretError> {
        String::from_utf8(open(&self.voucher_seal, sealed)?).map_err(|_| SecretError::WrongKey)
    }

    /// The stored form of an API key's secret.
    pub fn access_hash(&self, secret: &str) -> [u8; 32] {
        keyed(&self.access, &[secret.as_bytes()])
    }

    /// Tells this master key apart from others, and nothing about it.
    pub fn fingerprint(&self) -> String {
        hex(&self.fingerprint)
    }

    /// Sums up an export so that nobody without the master key can change it.
    pub(crate) fn export_hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.export)
    }

    /// A new key for one member, and its wrapped form.
    pub fn new_member_key(&self, entropy: &mut Entropy) -> ([u8; 32], Vec<u8>) {
        let key: [u8; 32] = entropy.bytes();
        (key, seal(&self.wrap, &entropy.bytes(), &key))
    }

    /// What a partner's code is found by.
    pub(crate) fn code_hash(&self, program: i64, pool: &str, code: &str) -> [u8; 16] {
        first_half(keyed(&self.code, &[&program.to_be_bytes(), pool.as_bytes(), code.as_bytes()]))
    }

    /// The stored form of a code that was sent to a member.
    pub(crate) fn one_time_hash(&self, program: i64, member: &str, code: &str) -> [u8; 16] {
        first_half(keyed(&self.possession, &[&program.to_be_bytes(), member.as_bytes(), code.as_bytes()]))
    }

    pub(crate) fn seal_card(&self, entropy: &mut Entropy, secret: &[u8]) -> Vec<u8> {
        seal(&self.possession, &entropy.bytes(), secret)
    }

    pub(crate) fn open_card(&self, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        open(&self.possession, sealed)
    }

    pub(crate) fn seal_code(&self, entropy: &mut Entropy, code: &str) -> Vec<u8> {
        seal(&self.code, &entropy.bytes(), code.as_bytes())
    }

    pub(crate) fn open_code(&self, sealed: &[u8]) -> Result<String, SecretError> {
        String::from_utf8(open(&self.code, sealed)?).map_err(|_| SecretError::WrongKey)
    }

    pub fn unwrap_member_key(&self, wrapped: &[u8]) -> Result<[u8; 32], SecretError> {
        open(&self.wrap, wrapped)?.try_into().map_err(|_| SecretError::WrongKey)
    }
}

/// Writes a new key file, for its owner only.
pub(crate) fn write_key_file(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Seals with AES-256-GCM; the nonce stands in front.
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key));
    let sealed = cipher.encrypt(&Nonce::from(*nonce), plain).expect("AES-GCM seals anything shorter than 64 GiB");
    [nonce.as_slice(), &sealed].concat()
}

pub fn open(key: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
    let (nonce, body) = sealed.split_first_chunk::<12>().ok_or(SecretError::WrongKey)?;
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key));
    cipher.decrypt(&Nonce::from(*nonce), body).map_err(|_| SecretError::WrongKey)
}

/// BLAKE3 in keyed mode over parts with their lengths in front, so that no two lists of parts are one text.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_open_only_with_their_key() {
        let (ours, theirs) = (Secrets::from_master(&[1; 32]), Secrets::from_master(&[2; 32]));
        let mut entropy = Entropy::default();
        let (key, wrapped) = ours.new_member_key(&mut entropy);
        assert_eq!(ours.unwrap_member_key(&wrapped).unwrap(), key);
        assert!(theirs.unwrap_member_key(&wrapped).is_err());
        let sealed = seal(&key, &entropy.bytes(), b"Nguyen Thi Minh Khai");
        assert_eq!(open(&key, &sealed).unwrap(), b"Nguyen Thi Minh Khai");
        assert!(open(&[0; 32], &sealed).is_err() && open(&key, b"short").is_err());
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = Secrets::from_file_or_new(&path).unwrap().access_hash("x");
        assert_eq!(Secrets::from_file(&path).unwrap().access_hash("x"), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(format!("{:?}", Secrets::from_master(&[1; 32])), "Secrets(…)");
    }
}
