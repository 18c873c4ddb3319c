//! Households (P5): to which one a member belongs, and what a household knows of its people and their parts.

use serde::{Deserialize, Serialize};

use super::MemberState;
use crate::id::MemberId;
use crate::ledger::LotRef;
use crate::program::Id;
use crate::time::{Day, Instant};

/// The household of a member. It alone says where they belong, so nobody is in two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belonging {
    /// `None` for whoever has left the last one.
    pub household: Option<MemberId>,
    /// Asked to be taken in, and not answered yet.
    pub asked: bool,
    /// Since when it is so.
    pub since: Day,
    /// The day on which they left a household last.
    pub left_on: Option<Day>,
    /// By currency, what they have put into the pool that neither came back nor was asked back.
    pub given: Vec<(Id, i64)>,
}

/// What makes this holder a household. Its pool is its purses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Household {
    /// In the order in which they joined. At most what a document allows.
    pub people: Vec<Person>,
    /// At most [`Household::INVITATIONS_MAX`]; what is over is forgotten with the next event.
    pub invitations: Vec<Invitation>,
    /// Whose each lot of the pool is, open or reserved. What belongs to nobody in particular is the household's own.
    pub parts: Vec<PoolPart>,
    /// Who reserved what is reserved, by the redemption's event.
    pub spending: Vec<(u64, MemberId)>,
    /// The last one has left.
    pub closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub member: MemberId,
    pub since: Day,
    pub head: bool,
}

/// Lets somebody in who accepts it, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub by: MemberId,
    /// Whom alone it is for; `None`: whoever has the code.
    pub to: Option<MemberId>,
    /// The keyed hash of its code.
    pub code: [u8; 16],
    /// The first instant at which it is over.
    pub until: Instant,
}

/// A reward of the pool that is one of the people's own: whether they may have it only they know, and are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The redemption's event.
    pub redemption: u64,
    pub member: MemberId,
    pub state: AskState,
    /// Spent as soon as they may have it.
    pub capture: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskState {
    /// They have not answered.
    Open,
    Allowed,
    /// The reservation ended before they answered.
    Over,
}

/// Units of one lot that one member has put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPart {
    pub currency: Id,
    /// With the redemption while it is reserved.
    pub lot: LotRef,
    pub owner: MemberId,
    pub amount: i64,
}

impl Belonging {
    /// The household of a member who has been taken in.
    pub fn home(&self) -> Option<MemberId> {
        self.household.filter(|_| !self.asked)
    }

    pub fn given(&self, currency: &Id) -> i64 {
        self.given.iter().find(|(known, _)| known == currency).map_or(0, |(_, amount)| *amount)
    }

    pub(crate) fn give(&mut self, currency: &Id, by: i64) {
        match self.given.iter_mut().find(|(known, _)| known == currency) {
            Some((_, amount)) => *amount += by,
            None => self.given.push((currency.clone(), by)),
        }
        self.given.retain(|(_, amount)| *amount > 0);
    }
}

impl Household {
    /// Invitations that are open at once; one more is refused.
    pub const INVITATIONS_MAX: usize = 20;

    pub fn person(&self, member: MemberId) -> Option<&Person> {
        self.people.iter().find(|person| person.member == member)
    }

    /// Who reserved what a redemption holds.
    pub fn spender(&self, redemption: u64) -> Option<MemberId> {
        self.spending.iter().find(|(known, _)| *known == redemption).map(|(_, member)| *member)
    }

    /// What somebody has of a currency that is not reserved.
    pub fn part_of(&self, owner: MemberId, currency: &str) -> i64 {
        let own = self.parts.iter().filter(|part| part.owner == owner && part.currency == *currency);
        own.filter(|part| part.lot.order.is_none()).map(|part| part.amount).sum()
    }

    pub(super) fn set_person(&mut self, person: &Person) {
        match self.people.iter_mut().find(|known| known.member == person.member) {
            Some(known) => *known = person.clone(),
            None => self.people.push(person.clone()),
        }
    }

    /// Somebody has the place of another, in the order of who is there too; where they have one of their own, it is one.
    pub(super) fn pass_seat(&mut self, from: MemberId, to: MemberId) {
        let Some(place) = self.people.iter().position(|person| person.member == from) else { return };
        let person = self.people.remove(place);
        match self.people.iter_mut().find(|known| known.member == to) {
            Some(known) => {
                known.head |= person.head;
                known.since = known.since.min(person.since);
            }
            None => self.people.insert(place, Person { member: to, ..person }),
        }
        for invitation in self.invitations.iter_mut().filter(|invitation| invitation.by == from) {
            invitation.by = to;
        }
        for (_, by) in self.spending.iter_mut().filter(|(_, by)| *by == from) {
            *by = to;
        }
        for part in std::mem::take(&mut self.parts) {
            let owner = if part.owner == from { to } else { part.owner };
            self.pool(&PoolPart { owner, ..part });
        }
    }

    /// The order of parts of one lot is that in which they came into it: reservations are spent in it.
    pub(super) fn pool(&mut self, part: &PoolPart) {
        let same =
            |known: &PoolPart| known.currency == part.currency && known.lot == part.lot && known.owner == part.owner;
        match self.parts.iter_mut().find(|known| same(known)) {
            Some(known) => known.amount += part.amount,
            None => self.parts.push(part.clone()),
        }
        self.parts.retain(|known| known.amount != 0);
    }
}

impl MemberState {
    /// A reward of the pool that somebody was asked about, by its redemption's event.
    pub fn ask(&self, redemption: u64) -> Option<&Ask> {
        self.asks.iter().find(|ask| ask.redemption == redemption)
    }

    pub(super) fn set_ask(&mut self, ask: &Ask) {
        match self.asks.iter_mut().find(|known| known.redemption == ask.redemption) {
            Some(known) => *known = *ask,
            None => self.asks.push(*ask),
        }
    }

    /// Somebody has the place of another, and answers for them.
    pub(super) fn pass_seat(&mut self, from: MemberId, to: MemberId) {
        self.household.get_or_insert_default().pass_seat(from, to);
        for ask in self.asks.iter_mut().filter(|ask| ask.member == from) {
            ask.member = to;
        }
    }

    /// The household that a member has been taken into.
    pub fn home(&self) -> Option<MemberId> {
        self.belongs.as_ref().and_then(Belonging::home)
    }
}
