use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tessera_core::id::{EventId, MemberId};
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Value};

use super::member::{Page, PageRequest};
use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{number, unsigned};

/// One draw, for the audit.
#[derive(Clone, Debug, Serialize)]
pub struct DrawView {
    pub event_id: String,
    pub member: String,
    pub time: Instant,
    pub campaign: Id,
    /// The rule's place in the campaign, from 0.
    pub rule: i64,
    pub chance: String,
    /// From 0 to 999,999; it wins below a million times the chance.
    pub drawn: i64,
    pub won: bool,
}

/// Where a list of draws goes on: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawPlace {
    at: i64,
    event: EventId,
    number: i64,
}

impl fmt::Display for DrawPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.at, self.event, self.number)
    }
}

/// A text that names no place in a list of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the `next` of the page before is expected")]
pub struct DrawPlaceError;

impl FromStr for DrawPlace {
    type Err = DrawPlaceError;

    fn from_str(text: &str) -> Result<Self, DrawPlaceError> {
        let mut parts = text.split('~');
        let (Some(at), Some(event), Some(number), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(DrawPlaceError);
        };
        let at = at.parse().map_err(|_| DrawPlaceError)?;
        let event = event.parse().map_err(|_| DrawPlaceError)?;
        Ok(Self { at, event, number: number.parse().map_err(|_| DrawPlaceError)? })
    }
}

/// The draws of a campaign, newest first.
pub fn draws(
    context: &Context,
    program: &ProgramHandle,
    campaign: &Id,
    page: &PageRequest,
) -> Result<Page<DrawView>, StoreError> {
    let after = page.after.as_deref().and_then(|after| after.parse::<DrawPlace>().ok());
    let mut params: Row = vec![program.number.into(), campaign.as_str().into()];
    let behind = after.map(|place| {
        params.extend([
            place.at.into(),
            place.event.member.as_bytes().as_slice().into(),
            number(place.event.seq).into(),
            place.number.into(),
        ]);
        "AND (at < $3 OR (at = $3 AND (member < $4 OR (member = $4 AND (seq < $5 OR (seq = $5 AND number < $6))))))"
    });
    let sql = format!(
        "SELECT at, member, seq, number, rule, chance, drawn, won FROM draw WHERE program = $1 AND campaign = $2 {} \
         ORDER BY at DESC, member DESC, seq DESC, number DESC LIMIT {}",
        behind.unwrap_or_default(),
        page.limit + 1
    );
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let place = |row: &[Value]| -> Result<DrawPlace, StoreError> {
        let event = EventId { member: member_id(row[1].bytes()?)?, seq: unsigned(row[2].int()?) };
        Ok(DrawPlace { at: row[0].int()?, event, number: row[3].int()? })
    };
    let view = |row: &Row| -> Result<DrawView, StoreError> {
        let DrawPlace { at, event, .. } = place(row)?;
        let member: MemberId = event.member;
        Ok(DrawView {
            event_id: event.to_string(),
            member: member.to_string(),
            time: Instant::from_micros(at),
            campaign: campaign.clone(),
            rule: row[4].int()?,
            chance: row[5].text()?.to_owned(),
            drawn: row[6].int()?,
            won: row[7].int()? == 1,
        })
    };
    let items: Vec<DrawView> = rows.iter().take(page.limit).map(view).collect::<Result<_, _>>()?;
    let last = rows.get(page.limit.saturating_sub(1)).filter(|_| rows.len() > page.limit);
    let next = last.map(|row| place(row)).transpose()?.map(|place| place.to_string());
    Ok(Page { items, next })
}
