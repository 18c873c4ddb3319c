//! Codes and links by which members bring others, and what became of those they brought (F1).

use serde::Serialize;
use tessera_core::code::Code;
use tessera_core::decide::EffectKind;
use tessera_core::event::Profile;
use tessera_core::id::{MemberId, base32};
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Value, tables};

use crate::executor::{Context, Executor};
use crate::programs::{ProgramHandle, member_id};
use crate::query::{Page, PageRequest};
use crate::record::{EVENT_COLUMNS, event_from_row, member_key, own_key};
use crate::secret::Secrets;

/// Symbols of a code: 43 random bits. It pays the one who gave it, so guessing another's gains nobody anything.
const LENGTH: usize = 10;
/// Codes tried for one member before something else must be wrong.
const TRIES: u32 = 8;
/// What a link's token begins with.
const TOKEN: &str = "ref_";

/// By what a friend says who brought them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferralCode {
    /// To be said and typed.
    pub code: String,
    /// To be in a link.
    pub token: String,
}

/// The look-up key of a code or a link's token as a friend gave it; `None` for what can be neither.
pub(crate) fn key(secrets: &Secrets, program: i64, text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let canonical = match text.strip_prefix(TOKEN) {
        Some(_) => text.to_owned(),
        None => Code::parse(text).ok()?.as_str().to_owned(),
    };
    // No identifier is without a colon, so that nobody is addressed by a code.
    Some(secrets.identifier_key(program, &format!("referral/{canonical}")))
}

/// The look-up key of the code that a profile gives.
pub(crate) fn key_of(secrets: &Secrets, program: i64, profile: &Profile) -> Option<[u8; 16]> {
    key(secrets, program, profile.referred_by.as_deref()?)
}

/// A device as it is kept: a keyed hash, of which the database alone tells nothing.
pub fn device(secrets: &Secrets, program: i64, device: &str) -> String {
    crate::secret::hex(&secrets.identifier_key(program, &format!("device/{device}"))[..8])
}

/// A member's code and token. They are the same whenever they are asked for; the first asking makes them known.
pub fn code(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    member: MemberId,
) -> Result<ReferralCode, StoreError> {
    let (secrets, number) = (&context.secrets, program.number);
    let drawn = |number: u32| secrets.event_key(program.number, "tessera:referral", &format!("{member}:{number}"));
    let token = format!("{TOKEN}{}", base32(&drawn(0)));
    claim(context, executor, number, &token, member)?;
    for number in 1..=TRIES {
        let code = Code::of_length(drawn(number), LENGTH).to_string();
        if claim(context, executor, program.number, &code, member)? {
            return Ok(ReferralCode { code, token });
        }
    }
    Err(StoreError::Database("no referral code is free".to_owned()))
}

/// Makes a text lead to a member; says whether it does.
fn claim(
    context: &Context,
    executor: &Executor,
    program: i64,
    text: &str,
    member: MemberId,
) -> Result<bool, StoreError> {
    let Some(key) = key(&context.secrets, program, text) else { return Ok(false) };
    let key = own_key(program, &key);
    let owner = |rows: Vec<Row>| rows.first().map(|row| member_id(row[3].bytes()?)).transpose();
    let known =
        context.database.read(|reader| reader.fetch_by_keys(&tables::MEMBER_IDENTIFIER, std::slice::from_ref(&key)))?;
    if let Some(known) = owner(known)? {
        return Ok(known == member);
    }
    executor.write(move |tx| {
        if let Some(known) = owner(tx.fetch_by_keys(&tables::MEMBER_IDENTIFIER, std::slice::from_ref(&key))?)? {
            return Ok(known == member);
        }
        let mut row = key;
        row.extend([member.as_bytes().as_slice().into(), Value::Null, Value::Null, Value::Null]);
        tx.insert_rows(&tables::MEMBER_IDENTIFIER, &[row])?;
        Ok(true)
    })
}

/// What became of somebody a member brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferralView {
    /// The friend, by id only.
    pub friend: String,
    pub status: &'static str,
    /// Why it was refused, or did not pay this side.
    pub reason: Option<String>,
    /// When the friend was brought.
    pub joined_at: Instant,
    /// When it came to its status.
    pub at: Instant,
    /// When it pays, unless the order comes back before.
    pub pays_at: Option<Instant>,
}

/// Those whom a member brought, newest first. Reads all the member's referral events: what it costs grows with them.
pub fn referrals(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    page: &PageRequest,
) -> Result<Page<ReferralView>, StoreError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 \
         AND type IN ('referral-joined', 'referral-waits', 'referral-qualified', 'referral-reversed') ORDER BY seq"
    );
    let rows = context.database.read(|reader| reader.query(&sql, &member_key(program.number, member)))?;
    let mut found: Vec<ReferralView> = Vec::new();
    for row in &rows {
        let event = event_from_row(row)?.recorded;
        for effect in &event.record.effects {
            let (status, Some(friend)) = (status(effect.kind), &effect.member) else { continue };
            let Some(status) = status else { continue };
            let place = found.iter().position(|known| known.friend == friend.as_str()).unwrap_or_else(|| {
                found.push(ReferralView {
                    friend: friend.to_string(),
                    status,
                    reason: None,
                    joined_at: event.effective_at,
                    at: event.effective_at,
                    pays_at: None,
                });
                found.len() - 1
            });
            let reason = effect.reason.as_ref().map(ToString::to_string);
            let view = &mut found[place];
            (view.status, view.reason, view.at, view.pays_at) = (status, reason, event.effective_at, effect.until);
        }
    }
    let until = page.after.as_deref().and_then(|after| after.parse::<usize>().ok()).unwrap_or(found.len());
    let from = until.saturating_sub(page.limit);
    let items = found.get(from..until.min(found.len())).unwrap_or_default().iter().rev().cloned().collect();
    Ok(Page { items, next: (from > 0).then(|| from.to_string()) })
}

const fn status(kind: EffectKind) -> Option<&'static str> {
    Some(match kind {
        EffectKind::ReferralJoined => "joined",
        EffectKind::ReferralQualified => "qualified",
        EffectKind::ReferralPaid => "paid",
        EffectKind::ReferralReversed => "reversed",
        EffectKind::ReferralRefused => "refused",
        _ => return None,
    })
}
