//! Two members in one effect: a decision writes to its own member only, and names what it causes for others.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::Rejected;
use super::working::Working;
use crate::event::{RefusedFollowUp, What, read_follow_up};
use crate::id::{EventId, MemberId, member_text};
use crate::program::Id;
use crate::quantity::Points;
use crate::time::Instant;

/// A command about another member, sent through the same door once its cause is committed, and applied exactly once.
///
/// Where it is refused, the cause's member gets a `follow-up-refused` with its data in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// The event that causes it, and which of its follow-ups it is, from 0.
    pub cause: EventId,
    pub number: u32,
    /// Whom it is about.
    #[serde(with = "member_text")]
    pub to: MemberId,
    /// One of [`crate::event::FOLLOW_UP_TYPES`].
    pub kind: CompactString,
    /// Its data, as JSON.
    pub data: String,
    /// Business time: that of the cause. Where the other member has seen later ones, it happens at theirs.
    pub effective_at: Instant,
    /// What of each currency is in `clearing` until it has arrived or come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<(Id, Points)>,
    /// What of each currency is missing in `clearing` until then: a debt is on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owes: Vec<(Id, Points)>,
}

impl FollowUp {
    /// Unique for ever.
    pub fn key(&self) -> CompactString {
        format_compact!("{}:{}", self.cause, self.number)
    }

    /// What the cause's member is told where this was refused; `None` if this is such an answer itself, which is
    /// never refused.
    #[must_use]
    pub fn refused(&self, code: &str) -> Option<Self> {
        if self.kind == "follow-up-refused" {
            return None;
        }
        let refused = RefusedFollowUp {
            cause: self.cause,
            by: self.to,
            kind: self.kind.clone(),
            data: self.data.clone(),
            code: code.into(),
        };
        Some(Self {
            to: self.cause.member,
            kind: "follow-up-refused".into(),
            // Texts only: it always has a JSON form.
            data: serde_json::to_string(&refused).unwrap_or_default(),
            ..self.clone()
        })
    }
}

/// Points by currency.
type Sums = Vec<(Id, Points)>;

impl Working<'_> {
    /// Causes a command about another member by the event that is open. What it `carries` this event has put into
    /// `clearing`.
    pub(super) fn follow_up(&mut self, to: MemberId, kind: &str, data: &impl Serialize, carries: Vec<(Id, Points)>) {
        self.follow_up_owing(to, kind, data, (carries, Vec::new()));
    }

    /// The same with a debt: what it `owes` this event has taken out of `clearing`.
    pub(super) fn follow_up_owing(
        &mut self,
        to: MemberId,
        kind: &str,
        data: &impl Serialize,
        (carries, owes): (Sums, Sums),
    ) {
        let (member, effective_at) = (self.state.id, self.at());
        let event = self.record();
        let follow_up = FollowUp {
            cause: EventId { member, seq: event.seq },
            number: u32::try_from(event.record.follow_ups.len()).unwrap_or(u32::MAX),
            to,
            kind: kind.into(),
            // Maps with text keys and exact numbers: it always has a JSON form.
            data: serde_json::to_string(data).unwrap_or_default(),
            effective_at,
            carries,
            owes,
        };
        event.record.follow_ups.push(follow_up);
    }

    /// Takes back what this member's event sent to another who could not have it. Never refused: nothing stays on the
    /// way.
    pub(super) fn follow_up_refused(&mut self, refused: &RefusedFollowUp) -> Result<(), Rejected> {
        self.open_main("follow-up-refused", super::EventStatus::Derived);
        if self.card_refused(refused) {
            return Ok(());
        }
        match read_follow_up(&refused.kind, &refused.data) {
            Ok(What::Arrival(arrival)) => self.transfer_back(&arrival, refused.by, &refused.code),
            Ok(What::MergeIn(brought)) => self.merge_refused(&brought, refused.by),
            Ok(What::MergeBack(back)) => self.merge_back_refused(&back, refused.by),
            Ok(What::Referral(step)) => self.referral_refused(&step, &refused.code),
            Ok(What::HouseholdNews(news)) => self.household_refused(&news, refused.by, &refused.code),
            _ => {}
        }
        Ok(())
    }
}
