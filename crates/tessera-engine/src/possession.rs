//! Proof that a member is there (P4): the changing code of their card, or a code that was sent to them, good once.
//!
//! A card's code is that of RFC 6238 with SHA-256, 6 digits and steps of 30 seconds, under a secret of the member's own
//! that lies sealed. The step before and the one behind are good too, for clocks differ; none is good twice, so a
//! picture of a code opens nothing. Guessing is bounded by [`FAILURES_MAX`].

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use tessera_core::id::MemberId;
use tessera_core::program::ProofKind;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Tx, Value, tables};

use crate::clock::Entropy;
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::record::{Rows, member_key, own_key};
use crate::secret::Secrets;
use crate::submission::Refusal;

/// How long a card's code is shown, in seconds.
pub const STEP_SECONDS: i64 = 30;
/// How long a code that was sent is good, in seconds.
pub const ONE_TIME_SECONDS: i64 = 300;
/// So many wrong ones in a row, and no more are looked at for a while. One guess in a million is right by chance.
pub const FAILURES_MAX: i64 = 5;
/// How long that while is, in seconds.
pub const BLOCKED_SECONDS: i64 = 900;

/// What the member's app shows.
#[derive(Clone, Debug, Serialize)]
pub struct CardView {
    pub member: String,
    /// The number of the card, where the member has one.
    pub card: Option<String>,
    pub code: String,
    /// When the next code is shown (exclusive).
    pub until: Instant,
}

/// A code to be sent to the member.
#[derive(Clone, Serialize)]
pub struct OneTimeCode {
    pub code: String,
    /// Until when it is good (exclusive).
    pub until: Instant,
}

impl std::fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeCode").field("until", &self.until).finish_non_exhaustive()
    }
}

/// A code that a counter was shown or told.
#[derive(Clone)]
pub struct Shown {
    pub kind: ProofKind,
    pub code: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What is known of a member's proofs: a row of its own, for it changes with every look.
struct Known {
    secret: Vec<u8>,
    /// The last step of the card whose code was taken.
    last_step: i64,
    failures: i64,
    blocked_until: i64,
    one_time: Option<Vec<u8>>,
    one_time_until: i64,
}

impl Known {
    fn read(tx: &mut Tx<'_>, secrets: &Secrets, program: i64, member: MemberId) -> Result<Self, StoreError> {
        let rows = tx.fetch_by_keys(&tables::POSSESSION, &[member_key(program, member)])?;
        let corrupt =
            |error: crate::secret::SecretError| StoreError::corrupt("possession", "sealed", error.to_string());
        Ok(match rows.first() {
            Some(row) => Self {
                secret: secrets.open_card(row[3].bytes()?).map_err(corrupt)?,
                last_step: row[4].int()?,
                failures: row[5].int()?,
                blocked_until: row[6].int()?,
                one_time: row[7].opt_bytes()?.map(<[u8]>::to_vec),
                one_time_until: row[8].int()?,
            },
            None => Self {
                secret: Entropy::default().bytes::<32>().to_vec(),
                last_step: 0,
                failures: 0,
                blocked_until: 0,
                one_time: None,
                one_time_until: 0,
            },
        })
    }

    fn write(self, tx: &mut Tx<'_>, secrets: &Secrets, program: i64, member: MemberId) -> Result<(), StoreError> {
        let mut row: Row = member_key(program, member);
        let sealed = secrets.seal_card(&mut Entropy::default(), &self.secret);
        row.extend([
            sealed.into(),
            self.last_step.into(),
            self.failures.into(),
            self.blocked_until.into(),
            self.one_time.map_or(Value::Null, Value::from),
            self.one_time_until.into(),
        ]);
        tx.upsert_rows(&tables::POSSESSION, &[row])
    }
}

/// The code of a step (RFC 6238, SHA-256, 6 digits).
pub fn code_of(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[31] & 0x0f);
    let word = u32::from_be_bytes([hash[offset], hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// Compares in constant time: equal hashes are equal texts.
fn is_same(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

/// The card of a member as their app shows it now. `number`: of the card, where there is one.
pub fn card(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    member: MemberId,
    number: Option<String>,
) -> Result<CardView, StoreError> {
    let (secrets, of) = (context.secrets.clone(), program.number);
    let secret = executor.write(move |tx| {
        let known = Known::read(tx, &secrets, of, member)?;
        let secret = known.secret.clone();
        known.write(tx, &secrets, of, member)?;
        Ok::<_, StoreError>(secret)
    })?;
    let step = context.clock.now().micros() / 1_000_000 / STEP_SECONDS;
    let until = Instant::from_micros((step + 1) * STEP_SECONDS * 1_000_000);
    Ok(CardView { member: member.to_string(), card: number, code: code_of(&secret, step), until })
}

/// A new code to be sent to a member; one from before is no longer good.
pub fn one_time_code(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    member: MemberId,
) -> Result<OneTimeCode, StoreError> {
    let digits = u64::from_be_bytes(Entropy::default().bytes()) % 1_000_000;
    let (code, now) = (format!("{digits:06}"), context.clock.now());
    let until = now.plus_seconds(ONE_TIME_SECONDS);
    let (secrets, of, kept) = (context.secrets.clone(), program.number, code.clone());
    executor.write(move |tx| {
        let known = Known::read(tx, &secrets, of, member)?;
        let hash = secrets.one_time_hash(of, &member.to_string(), &kept);
        Known { one_time: Some(hash.to_vec()), one_time_until: until.micros(), ..known }.write(tx, &secrets, of, member)
    })?;
    Ok(OneTimeCode { code, until })
}

/// Whether a code that was shown is right; it is used up by that. A wrong one is counted, and told nothing about.
pub fn check(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    member: MemberId,
    shown: Shown,
) -> Result<Result<(), Refusal>, StoreError> {
    let (secrets, of, now) = (context.secrets.clone(), program.number, context.clock.now());
    executor.write(move |tx| {
        let mut known = Known::read(tx, &secrets, of, member)?;
        if now.micros() < known.blocked_until {
            let until = Instant::from_micros(known.blocked_until);
            let detail = format!("too many wrong codes: none is looked at until {until}");
            return Ok(Err(Refusal::new("proof-blocked", detail).with("until", until.to_string())));
        }
        let right = match shown.kind {
            ProofKind::CardCode => {
                let step = now.micros() / 1_000_000 / STEP_SECONDS;
                let fits = |step: &i64| is_same(&code_of(&known.secret, *step), &shown.code);
                let found = (step - 1..=step + 1).filter(|step| *step > known.last_step).find(fits);
                known.last_step = found.unwrap_or(known.last_step);
                found.is_some()
            }
            ProofKind::OneTimeCode => {
                let hash = secrets.one_time_hash(of, &member.to_string(), &shown.code);
                let fits = known.one_time.as_deref() == Some(hash.as_slice()) && now.micros() < known.one_time_until;
                if fits || now.micros() >= known.one_time_until {
                    known.one_time = None;
                }
                fits
            }
        };
        known.failures = if right { 0 } else { known.failures + 1 };
        if known.failures >= FAILURES_MAX {
            known.failures = 0;
            known.one_time = None;
            known.blocked_until = now.plus_seconds(BLOCKED_SECONDS).micros();
        }
        known.write(tx, &secrets, of, member)?;
        let wrong = || Refusal::new("proof-wrong", "the code is wrong, was used before or is no longer good");
        Ok(if right { Ok(()) } else { Err(wrong()) })
    })
}

/// Whether a redemption was made under this key before: then its proof was looked at, and a code is good only once (I1).
pub fn is_made(context: &Context, program: &ProgramHandle, key: &str) -> Result<bool, StoreError> {
    let key = own_key(program.number, &context.secrets.event_key(program.number, "tessera:redemption", key));
    let rows = context.database.read(|reader| Rows::fetch_by_keys(reader, &tables::EVENT_KEY, &[key]))?;
    rows.first().map_or(Ok(false), |row| Ok(row[4].opt_bytes()?.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 6238, appendix B, for SHA-256: the last 6 of their 8 digits.
    #[test]
    fn p4_the_card_shows_the_codes_of_rfc_6238() {
        let secret = b"12345678901234567890123456789012";
        let cases = [
            (59, "119246"),
            (1_111_111_109, "084774"),
            (1_111_111_111, "062674"),
            (1_234_567_890, "819424"),
            (2_000_000_000, "698825"),
            (20_000_000_000, "737706"),
        ];
        for (seconds, code) in cases {
            assert_eq!(code_of(secret, seconds / STEP_SECONDS), code, "{seconds}");
        }
    }
}
