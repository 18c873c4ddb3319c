//! Points on their way to pay: reservations that are open, and what became of each redemption.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{AtPartner, Fulfilment, Lot, LotRef};
use crate::id::{MemberId, member_text};
use crate::program::Id;
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant};

/// What a redemption was decided by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub currency: Id,
    /// The version whose settings hold for it.
    pub version: u32,
    /// Business time.
    pub at: Instant,
    /// When the reservation ends by itself (exclusive); `None` where the points were spent at once.
    pub ends_at: Option<Instant>,
    pub order_id: Option<CompactString>,
    pub bill: Option<Bill>,
    /// What the points are spent on, where it is something of the catalogue.
    pub reward: Option<Id>,
}

/// A bill that is paid with points and money (M6). `covered` and `remainder` are exactly `payable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub payable: Amount,
    /// What the points pay.
    pub covered: Amount,
    /// What is left to pay in money, before its tender rounds it.
    pub remainder: Amount,
    /// How the rest is paid, where that was said: `cash`, `card` …
    pub tender: Option<CompactString>,
    /// The rest as its tender rounds it.
    pub asked: Amount,
}

/// A reservation that is open: points of its lots, out of reach for everything else (L7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The redemption's event.
    pub event: u64,
    pub terms: Terms,
    /// What is held of each lot, in spending order.
    pub lots: Vec<Lot>,
}

impl Hold {
    pub fn held(&self) -> Points {
        self.lots.iter().map(|lot| lot.remaining).sum()
    }
}

/// How far a redemption has come. Kept in a row of its own, for members may have many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    pub terms: Terms,
    pub status: RedemptionStatus,
    pub reserved: i64,
    pub captured: i64,
    /// Given back since, for returns of what it paid for or by cancelling it. At most `captured`.
    pub returned: i64,
    /// What is held of each lot, or what each paid, in spending order.
    pub lots: Vec<LotPart>,
    /// What comes with a reward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// Who spent it from the pool of their household.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "member_text::optional")]
    pub by: Option<MemberId>,
    /// Of what a pool paid, whose it was, in the order of the lots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnedPart>,
}

/// Points of a pool that one member had put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedPart {
    #[serde(with = "member_text")]
    pub owner: MemberId,
    pub amount: i64,
}

/// What a reward brought with it besides the points it cost, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// What is to be paid in money besides the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Amount>,
    /// The code of the voucher that was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<CompactString>,
    /// The pool that a partner's code was taken from. The code itself lies sealed in a table of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_pool: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub donation: Option<GivenDonation>,
    /// How far it has come, where people have to do something for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fulfilment: Option<Fulfilment>,
    /// A gift card that was made. Its code follows from the redemption, and stands nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<GivenCard>,
    /// What a partner delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<AtPartner>,
    /// Where a pool pays for what is one of its people's: how far it has come at whoever asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<AtMember>,
    /// Cancelled: what had been given came back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

/// A reward that a pool pays for and that is a member's: their limits and conditions are judged by them, and they get its
/// voucher or benefit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtMember {
    pub state: AtMemberState,
    /// Why they may not have it, as a refusal's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtMemberState {
    /// The points are reserved until the member has said whether they may have it.
    Asked,
    /// They may; what they get of it is on its way once it is captured.
    Allowed,
    /// They may not: the points went back.
    Refused,
    /// They have what is theirs of it.
    Given,
    /// Voided or cancelled: it counts no longer.
    Back,
}

impl From<AtMemberState> for AtMember {
    fn from(state: AtMemberState) -> Self {
        Self { state, reason: None }
    }
}

/// A gift card that a reward gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenCard {
    pub money: Amount,
    pub state: GivenCardState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenCardState {
    Issued,
    /// The redemption is to be cancelled: taken back as soon as the card says that nothing of it was used.
    AskedBack,
    /// The points are back.
    TakenBack,
}

/// Money that went to a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenDonation {
    pub cause: CompactString,
    pub money: Amount,
    /// The program day it counts on.
    pub day: Day,
    /// The program day on which it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedemptionStatus {
    Reserved,
    /// Spent.
    Captured,
    Voided,
    /// The reservation ended by itself.
    Ended,
}

impl RedemptionStatus {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Ended => "ended",
        }
    }
}

/// Points of one lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotPart {
    pub lot: LotRef,
    /// The end of the lot's last day, as resolved when the lot was made.
    pub expires_at: Option<Instant>,
    pub amount: i64,
}

impl LotPart {
    pub fn of(lot: &Lot) -> Self {
        Self { lot: lot.key(), expires_at: lot.expires_at, amount: lot.remaining.get() }
    }
}

impl Redemption {
    /// As it is at an instant: a reservation that has come to its end is over, whether or not anybody looked (I7).
    #[must_use]
    pub fn as_at(self, now: Instant) -> Self {
        let over = self.status == RedemptionStatus::Reserved && self.terms.ends_at.is_some_and(|end| end <= now);
        if over { Self { status: RedemptionStatus::Ended, lots: Vec::new(), ..self } } else { self }
    }

    /// Whether a reward was cancelled after it was given.
    pub fn is_back(&self) -> bool {
        self.given.as_ref().is_some_and(|given| given.back)
    }

    /// Whose the next so many points are that go back, in the order of [`Self::next_back`].
    pub fn owners_back(&self, amount: i64) -> Vec<OwnedPart> {
        let (mut skip, mut due) = (self.returned, amount);
        let mut owners = Vec::new();
        for part in self.owners.iter().rev() {
            let gone = skip.min(part.amount);
            skip -= gone;
            let take = due.min(part.amount - gone);
            due -= take;
            if take > 0 {
                owners.push(OwnedPart { amount: take, ..part.clone() });
            }
        }
        owners
    }

    /// The next so many points to go back, by lot: last spent first, so that however they come back in parts, what
    /// stays spent is what a smaller redemption would have taken.
    pub fn next_back(&self, amount: i64) -> Vec<LotPart> {
        let (mut skip, mut due) = (self.returned, amount);
        let mut parts = Vec::new();
        for part in self.lots.iter().rev() {
            let gone = skip.min(part.amount);
            skip -= gone;
            let take = due.min(part.amount - gone);
            due -= take;
            if take > 0 {
                parts.push(LotPart { amount: take, ..part.clone() });
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_any_split_of_what_comes_back_takes_the_same_of_each_lot() {
        let part = |day: &str, amount| LotPart {
            lot: LotRef { last_day: day.parse().ok(), ..LotRef::default() },
            expires_at: None,
            amount,
        };
        let terms = Terms {
            currency: Id::constant("point"),
            version: 1,
            at: Instant::MIN,
            ends_at: None,
            order_id: None,
            bill: None,
            reward: None,
        };
        let lots = vec![part("2027-01-31", 50), part("2027-02-28", 20), part("2027-03-31", 30)];
        let mut spent = Redemption {
            terms,
            status: RedemptionStatus::Captured,
            reserved: 100,
            captured: 100,
            returned: 0,
            lots,
            given: None,
            by: None,
            owners: Vec::new(),
        };
        let mut left = vec![50, 20, 30];
        for amount in [10, 25, 0, 40, 25] {
            for back in spent.next_back(amount) {
                let place = spent.lots.iter().position(|part| part.lot == back.lot).unwrap();
                left[place] -= back.amount;
            }
            spent.returned += amount;
            let spent_by_l1 = 100 - spent.returned;
            assert_eq!(left, [spent_by_l1.min(50), (spent_by_l1 - 50).clamp(0, 20), (spent_by_l1 - 70).clamp(0, 30)]);
        }
    }
}
