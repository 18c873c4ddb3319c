use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tessera_core::decide::{self, LotTrace, Quote, RedemptionView};
use tessera_core::event::Redeem;
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{FulfilmentState, Given, GivenCardState, PartnerState, RedemptionStatus};
use tessera_core::time::Instant;
use tessera_store::{Reader, Row, StoreError, tables};

use super::member::{Page, PageRequest, page_of, settled};
use crate::codes;
use crate::executor::Context;
use crate::partner;
use crate::programs::ProgramHandle;
use crate::record::{Rows, StoredEvent, redemption_from_text, redemption_key, unsigned};
use crate::submission::Refusal;

/// One redemption of a program, as it is now; `None` where there is none.
pub fn redemption(
    context: &Context,
    program: &ProgramHandle,
    id: EventId,
) -> Result<Option<RedemptionView>, StoreError> {
    let key = redemption_key(program.number, id);
    context.database.read(|reader| {
        let rows = Rows::fetch_by_keys(reader, &tables::REDEMPTION, &[key])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let found = redemption_from_text(row[4].text()?)?.as_at(context.clock.now());
        with_code(context, reader, program.number, id, RedemptionView::new(id, &found)).map(Some)
    })
}

/// A redemption that people have to do something for.
#[derive(Clone, Debug, Serialize)]
pub struct FulfilmentView {
    pub redemption: String,
    pub member: String,
    pub reward: String,
    pub state: FulfilmentState,
    pub since: Instant,
}

/// Where a list of them goes on: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FulfilmentPlace {
    since: i64,
    redemption: EventId,
}

impl fmt::Display for FulfilmentPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.since, self.redemption)
    }
}

/// A text that names no place in a list of what people have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the `next` of the page before is expected")]
pub struct FulfilmentPlaceError;

impl FromStr for FulfilmentPlace {
    type Err = FulfilmentPlaceError;

    fn from_str(text: &str) -> Result<Self, FulfilmentPlaceError> {
        let (since, redemption) = text.split_once('.').ok_or(FulfilmentPlaceError)?;
        let since = since.parse().map_err(|_| FulfilmentPlaceError)?;
        Ok(Self { since, redemption: redemption.parse().map_err(|_| FulfilmentPlaceError)? })
    }
}

/// Redemptions at one point of what people do for them, those that have been there longest first.
pub fn fulfilments(
    context: &Context,
    program: &ProgramHandle,
    state: FulfilmentState,
    page: &PageRequest,
) -> Result<Page<FulfilmentView>, StoreError> {
    let after = page.after.as_deref().and_then(|after| after.parse::<FulfilmentPlace>().ok());
    let (since, member, seq) = match after {
        Some(FulfilmentPlace { since, redemption }) => {
            (since, redemption.member.as_bytes().to_vec(), crate::record::number(redemption.seq))
        }
        None => (i64::MIN, Vec::new(), 0),
    };
    let sql = format!(
        "SELECT since, member, seq, reward FROM fulfilment WHERE program = $1 AND state = $2 \
         AND (since > $3 OR (since = $3 AND (member > $4 OR (member = $4 AND seq > $5)))) \
         ORDER BY since, member, seq LIMIT {}",
        page.limit + 1
    );
    let params = [program.number.into(), state.code().into(), since.into(), member.as_slice().into(), seq.into()];
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let place = |row: &Row| {
        let member = crate::programs::member_id(row[1].bytes()?)?;
        let redemption = EventId { member, seq: unsigned(row[2].int()?) };
        Ok::<_, StoreError>(FulfilmentPlace { since: row[0].int()?, redemption })
    };
    let view = |row: &Row| {
        let FulfilmentPlace { since, redemption } = place(row)?;
        Ok(FulfilmentView {
            redemption: redemption.to_string(),
            member: redemption.member.to_string(),
            reward: row[3].text()?.to_owned(),
            state,
            since: Instant::from_micros(since),
        })
    };
    let items: Vec<FulfilmentView> = rows.iter().take(page.limit).map(view).collect::<Result<_, StoreError>>()?;
    let last = rows.get(page.limit.saturating_sub(1)).filter(|_| rows.len() > page.limit);
    let next = last.map(place).transpose()?.map(|place| place.to_string());
    Ok(Page { items, next })
}

/// The code that came with a redemption, for whoever redeemed or asks for it.
pub fn code_of(
    context: &Context,
    program: &ProgramHandle,
    redemption: &RedemptionView,
) -> Result<Option<String>, StoreError> {
    let Ok(id) = redemption.id.parse::<EventId>() else { return Ok(None) };
    if !has_code(redemption) {
        return Ok(None);
    }
    context.database.read(|reader| opened(context, reader, program.number, id, redemption))
}

fn has_code(redemption: &RedemptionView) -> bool {
    let given = redemption.given.as_ref();
    let is_given = |given: &Given| given.code_pool.is_some() || is_delivered(given) || has_card(given);
    redemption.status == RedemptionStatus::Captured && given.is_some_and(is_given)
}

fn has_card(given: &Given) -> bool {
    given.gift_card.as_ref().is_some_and(|card| card.state != GivenCardState::TakenBack)
}

fn is_delivered(given: &Given) -> bool {
    use PartnerState::{Delivered, Expired, Used};
    given.partner.as_ref().is_some_and(|partner| matches!(partner.state, Delivered | Used | Expired))
}

fn opened(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    id: EventId,
    view: &RedemptionView,
) -> Result<Option<String>, StoreError> {
    match &view.given {
        Some(given) if has_card(given) => {
            Ok(Some(crate::gift_card::reward_code(&context.secrets, program, id).shown().to_owned()))
        }
        Some(given) if is_delivered(given) => partner::code_of(reader, &context.secrets, program, id),
        _ => codes::of_redemption(reader, &context.secrets, program, id),
    }
}

fn with_code(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    id: EventId,
    view: RedemptionView,
) -> Result<RedemptionView, StoreError> {
    if !has_code(&view) {
        return Ok(view);
    }
    let code = opened(context, reader, program, id, &view)?;
    Ok(RedemptionView { code, ..view })
}

/// What a member redeemed, newest first.
pub fn redemptions(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    page: &PageRequest,
) -> Result<Page<RedemptionView>, StoreError> {
    let rows = page_of(context, program, member, page, "seq, progress", "redemption")?;
    let now = context.clock.now();
    let view = |row: &Vec<tessera_store::Value>| {
        let id = EventId { member, seq: unsigned(row[0].int()?) };
        Ok(RedemptionView::new(id, &redemption_from_text(row[1].text()?)?.as_at(now)))
    };
    let items: Vec<RedemptionView> = rows.iter().take(page.limit).map(view).collect::<Result<_, StoreError>>()?;
    let last = rows.get(page.limit.saturating_sub(1)).filter(|_| rows.len() > page.limit);
    let next = last.map(|row| row[0].int()).transpose()?.map(|seq| seq.to_string());
    Ok(Page { items, next })
}

/// What a redemption by a member would be now, with nothing written; `None` where there is no such member.
pub fn quote_redemption(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    redeem: &Redeem,
) -> Result<Option<Result<Quote, Refusal>>, StoreError> {
    context.database.read(|reader| {
        let Some(state) = settled(context, reader, program, member)? else { return Ok(None) };
        let rules = program.versions().at(context.clock.now()).clone();
        Ok(Some(decide::quote_redemption(&rules, &state, redeem).map_err(Refusal::from)))
    })
}

/// Which lots paid in an event of a redemption, and why in this order; empty for every other event.
pub fn explain_redemption(event: &StoredEvent) -> Vec<LotTrace> {
    decide::explain_redemption(&event.recorded)
}
