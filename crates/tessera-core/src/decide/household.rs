//! Households (P5): founded, joined, left. Where a member belongs is in the member's state alone, so nobody is in two;
//! who is in it is in the household's. Each tells the other by follow-ups.

use compact_str::{CompactString, ToCompactString};

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{HouseholdNews, HouseholdStep, Pooled};
use crate::id::MemberId;
use crate::member::{Belonging, Change, Household, Invitation, MemberState, Person, Status};
use crate::program::{HouseholdsDefinition, Id, Inviters, Program};
use crate::time::Instant;

/// The id of the household that an event of a member founds: nobody has to keep it, and a retry makes no second.
fn founded_by(member: MemberId, event: u64, at: Instant) -> MemberId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"household").update(member.as_bytes()).update(&event.to_be_bytes());
    let mut random = [0; 10];
    hasher.finalize_xof().fill(&mut random);
    MemberId::new(u64::try_from(at.micros() / 1_000).unwrap_or_default(), random)
}

/// The invitation by which a household would take somebody in at an instant, or why it would not.
///
/// # Errors
/// As the household would refuse them.
pub fn may_take_in(
    program: &Program,
    household: &MemberState,
    member: MemberId,
    code: Option<&[u8; 16]>,
    now: Instant,
) -> Result<Invitation, Rejected> {
    let rules = program.definition.households.as_ref().ok_or(Rejected::NoHouseholds)?;
    let household = household.household.as_ref().ok_or(Rejected::NoSuchHousehold)?;
    if household.closed {
        return Err(Rejected::HouseholdClosed);
    }
    let lets_in = |known: &&Invitation| match (&known.to, code) {
        (Some(to), _) => *to == member,
        (None, Some(code)) => known.code == *code,
        (None, None) => false,
    };
    let mut open = household.invitations.iter().filter(|known| known.until > now);
    let invitation = open.find(lets_in).cloned().ok_or(Rejected::NotInvited)?;
    has_room(household, rules)?;
    Ok(invitation)
}

fn has_room(household: &Household, rules: &HouseholdsDefinition) -> Result<(), Rejected> {
    let size = usize::try_from(rules.size).unwrap_or(usize::MAX);
    if household.people.len() >= size { Err(Rejected::HouseholdFull { size: rules.size }) } else { Ok(()) }
}

impl Working<'_> {
    pub(super) fn households(&self) -> Result<HouseholdsDefinition, Rejected> {
        self.program.definition.households.clone().ok_or(Rejected::NoHouseholds)
    }

    pub(super) fn household_step(&mut self, step: &HouseholdStep) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || !matches!(self.state.status, Status::Active | Status::Household) {
            return Err(Rejected::NeedsMember);
        }
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        match step {
            HouseholdStep::Found { known } => {
                self.may_join()?;
                let event = self.open_main(step.kind(), EventStatus::Applied);
                let household = known.unwrap_or_else(|| founded_by(self.state.id, event, self.at()));
                self.ask_in(household, EffectKind::HouseholdFounded);
                self.send_news(household, &HouseholdNews::Made { head: self.state.id });
                Ok(())
            }
            HouseholdStep::Accept { household, code } => {
                self.may_join()?;
                self.open_main(step.kind(), EventStatus::Applied);
                self.ask_in(*household, EffectKind::HouseholdAsked);
                self.send_news(*household, &HouseholdNews::Join { member: self.state.id, code: *code });
                Ok(())
            }
            HouseholdStep::Leave => {
                let known = self.state.belongs.as_ref().and_then(|belongs| belongs.household);
                let household = known.ok_or(Rejected::NotInHousehold)?;
                self.open_main(step.kind(), EventStatus::Applied);
                self.no_longer_in(household, EffectKind::HouseholdLeft);
                self.send_news(household, &HouseholdNews::Gone { member: self.state.id, of_program: false });
                Ok(())
            }
            HouseholdStep::PutIn { currency, amount } => self.put_in(currency, *amount),
            HouseholdStep::Invite { by, to, code } => self.invite(*by, *to, *code),
            HouseholdStep::Remove { by, member } => {
                self.must_be_head(*by, "send somebody away")?;
                self.person(*member)?;
                self.open_main(step.kind(), EventStatus::Applied);
                self.let_out(*member, false);
                Ok(())
            }
            HouseholdStep::NewHead { by, to } => {
                self.must_be_head(*by, "say who is the head")?;
                let next = self.person(*to)?;
                self.open_main(step.kind(), EventStatus::Applied);
                self.be_head(next);
                Ok(())
            }
        }
    }

    pub(super) fn send_news(&mut self, other: MemberId, news: &HouseholdNews) {
        let carries = match news {
            HouseholdNews::Put { points, .. } | HouseholdNews::Back { points, .. } => vec![carried(points)],
            HouseholdNews::Out { points, .. } => points.iter().map(carried).collect(),
            _ => Vec::new(),
        };
        self.follow_up(other, news.kind(), news, carries);
    }

    /// Nobody is in two households, and after one it takes a while to the next.
    fn may_join(&self) -> Result<(), Rejected> {
        let rules = self.households()?;
        let Some(belongs) = &self.state.belongs else { return Ok(()) };
        if let Some(household) = belongs.household {
            return Err(Rejected::InHousehold { household: household.to_compact_string() });
        }
        let today = self.program.calendar.day(self.at_effective());
        match belongs.left_on.map(|left| rules.cooling_off.after(left)) {
            Some(from) if today < from => Err(Rejected::HouseholdCoolingOff { from }),
            _ => Ok(()),
        }
    }

    fn ask_in(&mut self, household: MemberId, effect: EffectKind) {
        let left_on = self.state.belongs.as_ref().and_then(|belongs| belongs.left_on);
        let belonging =
            Belonging { household: Some(household), asked: true, since: self.day(), left_on, given: Vec::new() };
        self.change(Change::Belongs { belonging });
        self.effect(of(effect, household));
    }

    /// The member belongs nowhere any more; unless they were never taken in, they have left.
    pub(super) fn no_longer_in(&mut self, household: MemberId, effect: EffectKind) {
        let (today, known) = (self.day(), self.state.belongs.clone());
        let was_in = known.as_ref().is_some_and(|belongs| !belongs.asked);
        let left_on = if was_in { Some(today) } else { known.and_then(|belongs| belongs.left_on) };
        let belonging = Belonging { household: None, asked: false, since: today, left_on, given: Vec::new() };
        self.change(Change::Belongs { belonging });
        self.effect(of(effect, household));
    }

    /// Whoever leaves the program leaves their household too. What they had put in stays with it.
    pub(super) fn leave_household_behind(&mut self) {
        if let Some(household) = self.state.belongs.as_ref().and_then(|belongs| belongs.household) {
            self.effect(of(EffectKind::HouseholdLeft, household));
            self.send_news(household, &HouseholdNews::Gone { member: self.state.id, of_program: true });
        }
    }

    fn open_household(&self) -> Result<&Household, Rejected> {
        let household = self.state.household.as_ref().ok_or(Rejected::NoSuchHousehold)?;
        if household.closed { Err(Rejected::HouseholdClosed) } else { Ok(household) }
    }

    fn person(&self, member: MemberId) -> Result<Person, Rejected> {
        let found = self.open_household()?.person(member).cloned();
        found.ok_or_else(|| Rejected::NotOfHousehold { member: member.to_compact_string() })
    }

    fn must_be_head(&self, by: MemberId, to_do: &'static str) -> Result<(), Rejected> {
        if self.person(by)?.head { Ok(()) } else { Err(Rejected::OnlyTheHead { to_do }) }
    }

    fn invite(&mut self, by: MemberId, to: Option<MemberId>, code: [u8; 16]) -> Result<(), Rejected> {
        let rules = self.households()?;
        if !self.person(by)?.head && rules.invites == Inviters::Head {
            return Err(Rejected::OnlyTheHead { to_do: "invite" });
        }
        let household = self.open_household()?;
        if let Some(to) = to.filter(|to| household.person(*to).is_some()) {
            return Err(Rejected::OfHouseholdAlready { member: to.to_compact_string() });
        }
        has_room(household, &rules)?;
        let now = self.at_effective();
        if household.invitations.iter().filter(|known| known.until > now).count() >= Household::INVITATIONS_MAX {
            return Err(Rejected::TooManyInvitations { most: Household::INVITATIONS_MAX });
        }
        self.open_main("household-invite", EventStatus::Applied);
        let until = self.program.calendar.end(rules.invitation.after(self.day()));
        self.change(Change::Invited { invitation: Invitation { by, to, code, until } });
        let effect = Effect { until: Some(until), ..of(EffectKind::HouseholdInvited, to.unwrap_or(self.state.id)) };
        self.effect(effect);
        Ok(())
    }

    /// A household hears of its people, or a member of their household.
    pub(super) fn household_news(&mut self, news: &HouseholdNews) -> Result<(), Rejected> {
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let kind = news.kind();
        match news {
            HouseholdNews::Made { head } => {
                if self.inputs.state.is_some() {
                    return Err(Rejected::NoSuchHousehold);
                }
                self.open_main(kind, EventStatus::Derived);
                self.record().record.joined = Some(Status::Household);
                self.take_in(*head, true);
            }
            HouseholdNews::Join { member, code } => {
                let invitation = may_take_in(&self.program, &self.state, *member, code.as_ref(), self.at_effective())?;
                self.open_main(kind, EventStatus::Derived);
                self.change(Change::Uninvited { code: invitation.code });
                self.take_in(*member, false);
            }
            HouseholdNews::Gone { member, of_program } => {
                self.open_main(kind, EventStatus::Derived);
                self.let_out(*member, *of_program);
            }
            HouseholdNews::Put { member, points } => self.arrive_in_pool(*member, points)?,
            HouseholdNews::Ask { member, currency, amount, own } => {
                self.open_main(kind, EventStatus::Derived);
                let points = self.take_of_pool(*member, currency, *amount, own);
                let household = self.state.id;
                self.send_news(*member, &HouseholdNews::Back { household, asked: *amount, points });
            }
            HouseholdNews::Refund { redemption, order_id, paid, before, back } => {
                self.open_main(kind, EventStatus::Derived);
                self.refund_pool(*redemption, order_id, *paid, (*before, *back));
            }
            HouseholdNews::Seat { from, to } => {
                self.open_main(kind, EventStatus::Derived);
                self.pass_seat(*from, *to);
            }
            HouseholdNews::RewardAllowed { redemption } => {
                self.open_main(kind, EventStatus::Derived);
                self.reward_allowed(*redemption);
            }
            HouseholdNews::RewardHad { redemption, voucher } => {
                self.open_main(kind, EventStatus::Derived);
                self.reward_had(*redemption, voucher.as_ref());
            }
            HouseholdNews::RewardAsk(of) => self.asked_for_reward(of)?,
            HouseholdNews::RewardGive(of) => self.get_reward(of)?,
            HouseholdNews::RewardBack(of) => self.reward_is_back(of)?,
            HouseholdNews::TakenIn { household, member } => {
                self.must_be_there()?;
                self.open_main(kind, EventStatus::Derived);
                self.taken_in(*household, *member);
            }
            HouseholdNews::Out { household, member, points } => {
                self.must_be_there()?;
                self.open_main(kind, EventStatus::Derived);
                // Whoever is one with them by now may be in it by a place of their own.
                if *member == self.state.id && self.state.home() == Some(*household) {
                    self.no_longer_in(*household, EffectKind::HouseholdLeft);
                }
                for points in points {
                    self.come_home(*household, points);
                }
                self.come_to_rest();
            }
            HouseholdNews::Back { household, asked, points } => {
                self.must_be_there()?;
                self.open_main(kind, EventStatus::Derived);
                self.come_home(*household, points);
                self.not_in_pool(&points.currency, asked - points.amount());
                self.come_to_rest();
            }
        }
        Ok(())
    }

    fn taken_in(&mut self, household: MemberId, member: MemberId) {
        let is_own = member == self.state.id;
        match self.state.belongs.clone() {
            Some(belongs) if is_own && belongs.asked && belongs.household == Some(household) => {
                let belonging = Belonging { household: Some(household), asked: false, since: self.day(), ..belongs };
                self.change(Change::Belongs { belonging });
                self.effect(of(EffectKind::HouseholdJoined, household));
            }
            // They are in it already, by the place of somebody who became one with them (P1).
            _ if self.state.home() == Some(household) => {
                if !is_own {
                    self.send_news(household, &HouseholdNews::Seat { from: member, to: self.state.id });
                }
            }
            // They have changed their mind on the way, or are one with somebody by now who is not of the household.
            _ => self.send_news(household, &HouseholdNews::Gone { member, of_program: false }),
        }
    }

    pub(super) fn must_be_there(&self) -> Result<(), Rejected> {
        let is_there = self.inputs.state.is_some() && self.state.status == Status::Active;
        if is_there { Ok(()) } else { Err(Rejected::NeedsMember) }
    }

    fn take_in(&mut self, member: MemberId, head: bool) {
        let since = self.day();
        self.change(Change::Person { person: Person { member, since, head } });
        self.effect(of(EffectKind::HouseholdJoined, member));
        let household = self.state.id;
        self.send_news(member, &HouseholdNews::TakenIn { household, member });
    }

    fn be_head(&mut self, next: Person) {
        let people = self.state.household.as_ref().map(|household| household.people.clone()).unwrap_or_default();
        for person in people.into_iter().filter(|person| person.head && person.member != next.member) {
            self.change(Change::Person { person: Person { head: false, ..person } });
        }
        self.effect(of(EffectKind::HouseholdHead, next.member));
        self.change(Change::Person { person: Person { head: true, ..next } });
    }

    /// Somebody is no longer of the household. Who left the program leaves behind what they had put in; everybody else
    /// takes it along, and the last one everything.
    fn let_out(&mut self, member: MemberId, of_program: bool) {
        let Some(household) = self.state.household.clone() else { return };
        let Some(person) = household.person(member).cloned() else { return };
        let is_last = household.people.len() == 1;
        if is_last {
            for hold in self.state.holds.clone() {
                self.void_within(&hold);
            }
        }
        self.change(Change::PersonGone { member });
        self.effect(of(EffectKind::HouseholdLeft, member));
        let next = self.state.household.as_ref().and_then(|household| household.people.first()).cloned();
        if let Some(next) = next.filter(|_| person.head) {
            self.be_head(next);
        }
        if of_program {
            self.keep_for_all(member);
        } else {
            let points = self.take_all_of(member, is_last);
            let household = self.state.id;
            self.send_news(member, &HouseholdNews::Out { household, member, points });
        }
        if is_last {
            self.change(Change::HouseholdClosed);
        }
    }

    /// What a household or one of its people could not be told.
    pub(super) fn household_refused(&mut self, news: &HouseholdNews, by: MemberId, code: &CompactString) {
        match news {
            HouseholdNews::Made { head: member } | HouseholdNews::Join { member, .. } => {
                // They may have asked elsewhere by now, and so may whoever is one with them: that is answered apart.
                let asks = self.state.belongs.as_ref().is_some_and(|own| own.asked && own.household == Some(by));
                if asks && *member == self.state.id {
                    self.no_longer_in(by, EffectKind::HouseholdRefused);
                }
            }
            HouseholdNews::Put { points, .. } => self.put_back_in_lots(points),
            HouseholdNews::Ask { currency, amount, .. } => self.not_in_pool(currency, *amount),
            // They have left the program meanwhile.
            HouseholdNews::Out { points, .. } => self.back_in_pool(points),
            HouseholdNews::Back { points, .. } => self.back_in_pool(std::slice::from_ref(points)),
            HouseholdNews::RewardAsk(_) | HouseholdNews::RewardGive(_) | HouseholdNews::RewardBack(_) => {
                self.reward_refused(news, code);
            }
            HouseholdNews::TakenIn { .. }
            | HouseholdNews::Gone { .. }
            | HouseholdNews::Refund { .. }
            | HouseholdNews::Seat { .. }
            | HouseholdNews::RewardAllowed { .. }
            | HouseholdNews::RewardHad { .. } => {}
        }
        for effect in &mut self.record().record.effects {
            effect.reason = Some(code.clone());
        }
        self.come_to_rest();
    }
}

/// What a follow-up has in `clearing`.
fn carried(points: &Pooled) -> (Id, crate::quantity::Points) {
    (points.currency.clone(), super::outcome::points(points.amount()))
}

pub(super) fn of(kind: EffectKind, other: MemberId) -> Effect {
    Effect { member: Some(other.to_compact_string()), ..Effect::of(kind) }
}
