//! Identifiers: a UUIDv7 inside, a prefixed text outside, and the bucket that spreads members.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::text::Text;

/// How many buckets members are spread over; a power of two that never changes.
pub const BUCKETS: u16 = 1024;

/// Where a member's rows live: a hash of the member's id, `0..1024`. It leads every hot key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of any key: the first ten bits of its BLAKE3 hash.
    pub fn of(key: &[u8]) -> Self {
        let hash = blake3::hash(key);
        let bytes = hash.as_bytes();
        Self(u16::from_be_bytes([bytes[0], bytes[1]]) % BUCKETS)
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// A member of one program; `mem_…` outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(Uuid);

impl MemberId {
    /// From an instant in milliseconds and 74 random bits, so that ids sort by time (UUIDv7).
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// `None` unless there are exactly sixteen bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When it was made, in milliseconds.
    pub fn unix_ms(&self) -> u64 {
        self.as_bytes()[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte))
    }

    pub fn bucket(&self) -> Bucket {
        Bucket::of(self.as_bytes())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mem_{}", base32(self.as_bytes()))
    }
}

impl FromStr for MemberId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("mem_").ok_or(IdError { expected: "mem_…" })?;
        let bytes = from_base32(digits).ok_or(IdError { expected: "mem_…" })?;
        Self::from_slice(&bytes).ok_or(IdError { expected: "mem_…" })
    }
}

/// One event of a member: the member and the event's place in the member's sequence; `evt_…` outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    pub member: MemberId,
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}_{}", base32(self.member.as_bytes()), self.seq)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError { expected: "evt_…_<number>" };
        let (digits, seq) = text.strip_prefix("evt_").and_then(|rest| rest.split_once('_')).ok_or(wrong)?;
        let bytes = from_base32(digits).ok_or(wrong)?;
        let member = MemberId::from_slice(&bytes).ok_or(wrong)?;
        Ok(Self { member, seq: seq.parse().map_err(|_| wrong)? })
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}

/// A member's id as text, for data that callers may see: `#[serde(with = "member_text")]`.
pub mod member_text {
    use super::{Deserialize, Deserializer, MemberId, Serializer, Text, de};

    pub fn serialize<S: Serializer>(member: &MemberId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(member)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MemberId, D::Error> {
        Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }

    /// The same of one that may be missing.
    pub mod optional {
        use super::{Deserialize, Deserializer, MemberId, Serializer, Text, de};

        pub fn serialize<S: Serializer>(member: &Option<MemberId>, serializer: S) -> Result<S::Ok, S::Error> {
            match member {
                Some(member) => serializer.collect_str(member),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MemberId>, D::Error> {
            let text = Option::<Text<'_>>::deserialize(deserializer)?;
            text.map(|text| text.0.parse().map_err(de::Error::custom)).transpose()
        }
    }
}

/// A text that is not an identifier of the kind expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of this kind: expected {expected}")]
pub struct IdError {
    pub expected: &'static str,
}

/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Bytes as lower-case Crockford base 32, five bits a character, the last padded with zero bits.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for &byte in bytes {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(digit(held << (5 - bits)));
    }
    text
}

fn digit(value: u32) -> char {
    let index = usize::try_from(value & 31).unwrap_or_default();
    char::from(ALPHABET[index])
}

/// The bytes of a lower-case base 32 text; `None` for a foreign character or set padding bits.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|&known| known == character)?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    (held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let member = MemberId::new(1_700_000_000_000, [7; 10]);
        assert_eq!(member.to_string().parse::<MemberId>(), Ok(member));
        let event = EventId { member, seq: 42 };
        assert_eq!(event.to_string().parse::<EventId>(), Ok(event));
    }

    #[test]
    fn ids_of_another_kind_are_refused() {
        let member = MemberId::new(1_700_000_000_000, [7; 10]);
        for wrong in ["", "mem_", "evt_1", "mem_ilou", &member.to_string().replace("mem_", "evt_")] {
            assert!(wrong.parse::<MemberId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_sort_by_their_time() {
        let (earlier, later) = (MemberId::new(1_000, [255; 10]), MemberId::new(1_001, [0; 10]));
        assert!(earlier < later);
    }
}
