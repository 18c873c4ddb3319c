//! Two members in one effect: what one member's decision causes for another, as the relay brings it.

use std::collections::BTreeMap;

use tessera_core::decide::{Decision, FollowUp, OrderRecord, Recorded, Rejected};
use tessera_core::event::{Merge, Profile, Transfer, Unmerge, What, read_follow_up};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::Account;

use super::{Member, Shop, at, id};

impl Shop {
    /// Sends points to the member of a number; they arrive when [`Shop::relay`] is called.
    pub fn transfer(&mut self, time: &str, to: usize, currency: &str, amount: i64) -> Result<Decision, Rejected> {
        let current = self.current;
        let to = self.of_member(to).member().id;
        self.current = current;
        self.ask(at(time), What::Transfer(Transfer { to, currency: id(currency), amount, message: None }))
    }

    /// Makes the member one with the member of a number, who has everything when [`Shop::relay`] was called.
    pub fn merge(&mut self, time: &str, into: usize) -> Result<Decision, Rejected> {
        let current = self.current;
        self.of_member(into);
        let into = self.members[self.survivor(into)].id;
        self.current = current;
        self.ask(at(time), What::Merge(Merge { into, reason: None }))
    }

    /// Takes the member of a number out of the member again.
    pub fn unmerge(&mut self, time: &str, from: usize) -> Result<Decision, Rejected> {
        let from = self.members[from].id;
        self.ask(at(time), What::Unmerge(Unmerge { from }))
    }

    /// What concerns somebody who was merged is about the survivor, but for what is between the two.
    pub(super) fn go_to_survivor(&mut self, what: &What) {
        if !what.is_of_merged() {
            self.current = self.survivor(self.current);
        }
    }

    /// Who a member is by now.
    pub(super) fn survivor(&self, mut number: usize) -> usize {
        while let Some(into) = self.members[number].stored().and_then(|state| state.into) {
            number = self.number_of(into);
        }
        number
    }

    pub(super) fn number_of(&self, member: MemberId) -> usize {
        let number = self.members.iter().position(|known| known.id == member);
        number.unwrap_or_else(|| panic!("nobody is {member}"))
    }

    pub(super) fn place_of(&self, event: EventId) -> (usize, u64) {
        (self.number_of(event.member), event.seq)
    }

    pub(super) fn was_merged(&self, member: MemberId) -> bool {
        self.members
            .iter()
            .filter_map(|known| known.stored())
            .any(|state| state.merged.iter().any(|merged| merged.id == member))
    }

    /// What happened to the points of orders before their makers were merged.
    pub(super) fn former(&self, orders: &[OrderRecord]) -> Vec<Recorded> {
        let Some(order) = orders.iter().find(|order| order.made_by != order.member) else { return Vec::new() };
        let member = &self.members[self.number_of(order.made_by)];
        let since = member.events.iter().filter(|event| event.effective_at >= order.effective_at);
        since.cloned().collect()
    }

    /// The member joins, brought by the member of a number.
    pub fn join_brought_by(&mut self, time: &str, referrer: usize, device: Option<&str>) -> Result<Decision, Rejected> {
        let current = self.current;
        let referrer = Some(self.of_member(referrer).member().id);
        self.current = current;
        let device = device.map(Into::into);
        let profile = Profile { referred_by: Some("CODE".into()), referrer, device, ..Profile::default() };
        self.ask(at(time), What::Enrol(profile))
    }

    /// Brings what decisions caused for other members, and what that causes; what is refused goes back. Says what each
    /// came to, in order.
    pub fn relay(&mut self) -> Vec<Result<Decision, Rejected>> {
        let current = self.current;
        let mut done = Vec::new();
        while !self.waiting.is_empty() {
            done.push(self.bring(0));
        }
        self.current = current;
        for (currency, left) in self.clearing() {
            assert_eq!(left, 0, "P7: {currency} is between two members, and nothing is on the way");
        }
        done
    }

    /// Brings one thing of what decisions caused, by its place in the order in which they did: what two members cause may
    /// arrive in any.
    pub fn relay_one(&mut self, place: usize) -> Result<Decision, Rejected> {
        let current = self.current;
        let applied = self.bring(place);
        self.current = current;
        applied
    }

    fn bring(&mut self, place: usize) -> Result<Decision, Rejected> {
        let follow_up = self.waiting.remove(place);
        let applied = self.follow(&follow_up);
        if let Err(rejected) = &applied {
            let back = follow_up.refused(rejected.code());
            let back = back.unwrap_or_else(|| panic!("what comes back was refused: {rejected}"));
            self.follow(&back).unwrap_or_else(|rejected| panic!("what comes back was refused: {rejected}"));
        }
        applied
    }

    fn follow(&mut self, follow_up: &FollowUp) -> Result<Decision, Rejected> {
        let what = read_follow_up(&follow_up.kind, &follow_up.data).unwrap_or_else(|problem| panic!("{problem}"));
        let known = self.members.iter().position(|member| member.id == follow_up.to);
        self.current = known.unwrap_or_else(|| {
            assert!(what.makes_household(), "a follow-up for nobody: {follow_up:?}");
            self.members.push(Member { id: follow_up.to, state: None, events: Vec::new() });
            self.members.len() - 1
        });
        self.ask(follow_up.effective_at, what)
    }

    /// What all members' entries have left in `clearing`, by currency.
    pub fn clearing(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        let events = self.members.iter().flat_map(|member| &member.events);
        for entry in events.flat_map(|event| &event.entries) {
            for (account, amount) in [(entry.from, -entry.amount.get()), (entry.to, entry.amount.get())] {
                if account == Account::Clearing {
                    *sums.entry(entry.currency.to_string()).or_insert(0) += amount;
                }
            }
        }
        sums
    }
}
