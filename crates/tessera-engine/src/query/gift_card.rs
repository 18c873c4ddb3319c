use serde::Serialize;
use tessera_core::code::last_four;
use tessera_core::decide::{self, Quote};
use tessera_core::event::Redeem;
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Account, Entry, EntryKind};
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{GIFT_CARD, Program};
use tessera_core::time::{Day, Instant};
use tessera_store::{Reader, StoreError};

use super::member::{Page, PageRequest, page_of, settled};
use crate::executor::Context;
use crate::gift_card::{replaced_gift_card, unknown_code, unknown_gift_card};
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{ENTRY_COLUMNS, entry_from_row, own_key, state_from_bytes};
use crate::report::profile_of;
use crate::submission::Refusal;

/// What a card is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CardStatus {
    /// It has money, or some of it is reserved.
    Active,
    /// It may be loaded, and pays nothing before.
    Empty,
    Blocked,
}

impl CardStatus {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Active, "active"), (Self::Empty, "empty"), (Self::Blocked, "blocked")];

    fn of(card: &MemberState) -> Self {
        let active = card.purse(GIFT_CARD.as_str()).map(|purse| purse.active()).unwrap_or_default();
        match card.gift_card {
            Some(known) if known.blocked => Self::Blocked,
            _ if active.is_zero() && card.held(GIFT_CARD.as_str()).is_zero() => Self::Empty,
            _ => Self::Active,
        }
    }

    pub fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(status, _)| *status == self).map_or("", |(_, word)| word)
    }
}

impl std::str::FromStr for CardStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|(_, word)| *word == text).map(|(status, _)| status);
        known.ok_or_else(|| "one of active, empty and blocked is expected".to_owned())
    }
}

/// A gift card as it is now. Money is decimal text in the program's currency.
#[derive(Clone, Debug, Serialize)]
pub struct GiftCardView {
    pub id: String,
    /// The end of the code: the whole is shown once, when the card is made.
    pub last_four: String,
    pub status: CardStatus,
    pub currency: String,
    /// What it pays now.
    pub balance: String,
    /// Reserved by redemptions that are under way.
    pub held: String,
    pub made_at: Instant,
    /// What expires when, the soonest first; what never does stands last and without a day.
    pub expires: Vec<ExpiryView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ExpiryView {
    pub amount: String,
    /// "Use by": the last day, in the program's zone.
    pub last_day: Option<Day>,
}

/// Money that moved between two accounts: `active` is what the card can pay, `held` what is reserved.
#[derive(Clone, Debug, Serialize)]
pub struct MovementView {
    pub seq: u64,
    pub event_id: String,
    pub at: Instant,
    pub kind: EntryKind,
    pub from: Account,
    pub to: Account,
    pub amount: String,
    /// The redemption it belongs to.
    pub redemption: Option<String>,
}

type Found<T> = Result<Result<T, Refusal>, StoreError>;

/// Reads of the card that a caller names, settled to now, or says why there is none.
fn of_card<T>(
    context: &Context,
    program: &ProgramHandle,
    card: &Subject,
    read: impl FnOnce(&mut Reader<'_>, &MemberState) -> Result<T, StoreError>,
) -> Found<T> {
    context.database.read(|reader| {
        let (id, code) = match card {
            Subject::Member(id) => (Some(*id), None),
            Subject::Identifier(identifier) => {
                let key = context.secrets.identifier_key(program.number, &identifier.to_text());
                (by_code(reader, program, &key)?, Some(key))
            }
            Subject::Nobody => (None, None),
        };
        let state = match id {
            Some(id) => settled(context, reader, program, id)?.filter(|state| state.status == Status::GiftCard),
            None => None,
        };
        let Some(state) = state else {
            return Ok(Err(match card {
                Subject::Identifier(identifier) => unknown_code(identifier.value()),
                _ => unknown_gift_card(),
            }));
        };
        if code.is_some_and(|code| state.gift_card.is_some_and(|known| known.code != code)) {
            return Ok(Err(replaced_gift_card()));
        }
        read(reader, &state).map(Ok)
    })
}

fn by_code(reader: &mut Reader<'_>, program: &ProgramHandle, key: &[u8; 16]) -> Result<Option<MemberId>, StoreError> {
    let sql = "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3";
    let rows = reader.query(sql, &own_key(program.number, key))?;
    rows.first().map(|row| member_id(row[0].bytes()?)).transpose()
}

/// A gift card, settled to now.
pub fn gift_card(context: &Context, program: &ProgramHandle, card: &Subject) -> Found<GiftCardView> {
    of_card(context, program, card, |reader, state| view(context, reader, program, state))
}

/// Cards that are read in one query.
const CHUNK: usize = 200;

/// Cards that are looked at in one read: a rare status among many must not keep a reader to itself.
const READ_MAX: usize = 5_000;

/// What one read found.
struct Piece<T> {
    found: Vec<T>,
    /// Where the next one goes on; nothing at the end of the list.
    goes_on: Option<MemberId>,
}

/// The first `limit` that are wanted of a list of which few may be, and whether there is another. `read` is told behind
/// whom to look and how many to find at most; it may find fewer before the end.
fn first_wanted<T>(
    limit: usize,
    mut after: Option<MemberId>,
    mut read: impl FnMut(Option<MemberId>, usize) -> Result<Piece<T>, StoreError>,
) -> Result<(Vec<T>, bool), StoreError> {
    let mut all = Vec::new();
    loop {
        let Piece { found, goes_on } = read(after, limit + 1 - all.len())?;
        all.extend(found);
        if all.len() > limit || goes_on.is_none() {
            break;
        }
        after = goes_on;
    }
    let more = all.len() > limit;
    all.truncate(limit);
    Ok((all, more))
}

/// The gift cards of a program, in no order that means anything; of one status where one is named.
pub fn gift_cards(
    context: &Context,
    program: &ProgramHandle,
    (page, wanted): (&PageRequest, Option<CardStatus>),
) -> Result<Page<GiftCardView>, StoreError> {
    let after = page.after.as_deref().and_then(|after| after.parse::<MemberId>().ok());
    let read = |after, room| context.database.read(|reader| piece(context, reader, program, (after, room, wanted)));
    let (items, more) = first_wanted(page.limit, after, read)?;
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Page { items, next })
}

/// The cards behind one that are wanted, at most so many, of those that one read looks at.
fn piece(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    (mut after, room, wanted): (Option<MemberId>, usize, Option<CardStatus>),
) -> Result<Piece<GiftCardView>, StoreError> {
    let (versions, now) = (program.versions(), context.clock.now());
    let sql = format!(
        "SELECT state FROM member WHERE program = $1 AND status = {} AND (bucket > $2 OR (bucket = $2 AND member > $3)) \
         ORDER BY bucket, member LIMIT {CHUNK}",
        Status::GiftCard.code()
    );
    let mut found = Vec::new();
    for _ in 0..READ_MAX / CHUNK {
        let (bucket, last) =
            after.map_or((-1, Vec::new()), |id| (i64::from(id.bucket().get()), id.as_bytes().to_vec()));
        let rows = reader.query(&sql, &[program.number.into(), bucket.into(), last.into()])?;
        for row in &rows {
            let state = decide::settled_to(&versions, &state_from_bytes(row[0].bytes()?)?, now);
            after = Some(state.id);
            if wanted.is_none_or(|wanted| wanted == CardStatus::of(&state)) {
                found.push(view(context, reader, program, &state)?);
            }
            if found.len() == room {
                return Ok(Piece { found, goes_on: after });
            }
        }
        if rows.len() < CHUNK {
            return Ok(Piece { found, goes_on: None });
        }
    }
    Ok(Piece { found, goes_on: after })
}

fn view(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    state: &MemberState,
) -> Result<GiftCardView, StoreError> {
    let rules = program.versions().head().clone();
    let money = |units: i64| rules.money.amount(units).to_text(rules.money.decimals());
    let profile = profile_of(context, reader, program.number, state.id)?;
    let purse = state.purse(GIFT_CARD.as_str());
    let lots = purse.map(|purse| purse.lots.as_slice()).unwrap_or_default();
    let expires =
        lots.iter().map(|lot| ExpiryView { amount: money(lot.remaining.get()), last_day: lot.last_day }).collect();
    Ok(GiftCardView {
        id: state.id.to_string(),
        last_four: profile.identifiers.last().map(|code| last_four(code).to_owned()).unwrap_or_default(),
        status: CardStatus::of(state),
        currency: rules.definition.currency.clone(),
        balance: money(purse.map_or(0, |purse| purse.active().get())),
        held: money(state.held(GIFT_CARD.as_str()).get()),
        made_at: state.joined_at,
        expires,
    })
}

/// What moved on a card, newest first.
pub fn gift_card_movements(
    context: &Context,
    program: &ProgramHandle,
    card: &Subject,
    page: &PageRequest,
) -> Found<Page<MovementView>> {
    let id = match of_card(context, program, card, |_, state| Ok(state.id))? {
        Ok(id) => id,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let rows = page_of(context, program, id, page, ENTRY_COLUMNS, "entry")?;
    let entries: Vec<Entry> =
        rows.iter().take(page.limit).map(|row| entry_from_row(row)).collect::<Result<_, StoreError>>()?;
    let next = (rows.len() > page.limit).then(|| entries.last().map(|last| last.seq.to_string())).flatten();
    let rules = program.versions().head().clone();
    let items = entries.iter().map(|entry| movement(&rules, id, entry)).collect();
    Ok(Ok(Page { items, next }))
}

fn movement(rules: &Program, card: MemberId, entry: &Entry) -> MovementView {
    let redemption = entry.lot.as_ref().and_then(|lot| lot.order);
    MovementView {
        seq: entry.seq,
        event_id: EventId { member: card, seq: entry.event }.to_string(),
        at: entry.at,
        kind: entry.kind,
        from: entry.from,
        to: entry.to,
        amount: rules.money.amount(entry.amount.get()).to_text(rules.money.decimals()),
        redemption: redemption.map(|seq| EventId { member: card, seq }.to_string()),
    }
}

/// What a card would pay now, with nothing written.
pub fn quote_gift_card(context: &Context, program: &ProgramHandle, card: &Subject, redeem: &Redeem) -> Found<Quote> {
    let rules = program.versions().at(context.clock.now()).clone();
    let quoted = of_card(context, program, card, |_, state| Ok(decide::quote_redemption(&rules, state, redeem)))?;
    Ok(quoted.and_then(|quote| quote.map_err(Refusal::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of which every seventh is wanted, looked at five at a time.
    fn pages(length: usize, limit: usize) -> Vec<Vec<usize>> {
        let ids: Vec<MemberId> =
            (0..length).map(|number| MemberId::from_bytes([u8::try_from(number).unwrap(); 16])).collect();
        let read = |after: Option<MemberId>, room: usize| {
            let from = after.map_or(0, |after| ids.iter().position(|id| *id == after).unwrap() + 1);
            let mut found = Vec::new();
            for (number, id) in ids.iter().enumerate().skip(from).take(5) {
                if number % 7 == 6 {
                    found.push(number);
                }
                if found.len() == room {
                    return Ok(Piece { found, goes_on: Some(*id) });
                }
            }
            Ok(Piece { found, goes_on: ids.get(from + 4).copied() })
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (found, more) = first_wanted(limit, after, read).unwrap();
            after = found.last().map(|last| ids[*last]);
            pages.push(found);
            if !more {
                return pages;
            }
        }
    }

    #[test]
    fn a_page_of_a_rare_status_is_whole_and_the_last_one_says_so() {
        for length in 0..60 {
            let all: Vec<usize> = (0..length).filter(|number| number % 7 == 6).collect();
            for limit in 1..6 {
                let pages = pages(length, limit);
                assert_eq!(pages.concat(), all, "{length}, {limit}");
                assert_eq!(pages.len(), all.len().div_ceil(limit).max(1), "{length}, {limit}: {pages:?}");
            }
        }
    }
}
