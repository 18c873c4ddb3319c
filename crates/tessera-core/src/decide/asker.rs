//! A reward of a household's pool that is one of its people's own (P5): a condition or a limit is about them, a voucher or a
//! benefit is theirs. The household reserves the points and asks whoever wants it; they judge it as they would their own,
//! count it, and only then it is bought. What it gives them they get by a word more, and what comes back counts no longer.

use compact_str::{CompactString, ToCompactString};

use super::outcome::{Effect, EffectKind};
use super::reward::may_have;
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{HouseholdNews, PoolReward, Redeem};
use crate::id::{EventId, MemberId};
use crate::ledger::{AtMember, AtMemberState, Given, Hold, Redemption, RedemptionStatus, Terms};
use crate::member::{Ask, AskState, Change, MemberState, Status};
use crate::program::{Id, Program, Reward};
use crate::time::{Day, Instant};

/// Whether a reward asks for something of whoever has it, or gives what only they have.
fn is_personal(reward: &Reward, day: Day) -> bool {
    let (definition, gives) = (&reward.definition, &reward.definition.gives);
    let is_early = definition.early.is_some() && definition.from.is_some_and(|from| day < from);
    let asks = reward.when.is_some() || !definition.per_member.is_empty() || is_early;
    asks || gives.voucher.is_some() || gives.benefit.is_some()
}

/// Whether one of a household's people may have a reward of its pool, so that who asks is told at once. They are asked
/// again, by the household.
///
/// # Errors
/// As they would be refused it for points of their own.
pub fn may_ask_for(program: &Program, member: &MemberState, reward: &Id, now: Instant) -> Result<(), Rejected> {
    match program.reward(reward.as_str()) {
        Some(known) if is_personal(known, program.calendar.day(now)) => may_have(program, member, reward, known, now),
        _ => Ok(()),
    }
}

impl Working<'_> {
    /// Whom of the household a redemption's reward is about.
    pub(super) fn whom_to_ask(&self, redeem: &Redeem) -> Option<MemberId> {
        let by = redeem.by.filter(|_| self.state.status == Status::Household)?;
        let reward = self.program.reward(redeem.reward.as_ref()?.as_str())?;
        is_personal(reward, self.program.calendar.day(self.state.clock)).then_some(by)
    }

    /// Asks somebody whether they may have what points are reserved for.
    pub(super) fn ask_member(
        &mut self,
        redemption: u64,
        member: MemberId,
        terms: &Terms,
        capture: bool,
    ) -> Result<Option<AtMember>, Rejected> {
        let most = MemberState::HOLDS_MAX;
        if self.state.asks.len() >= most {
            return Err(Rejected::TooManyReservations { most });
        }
        let Some(of) = self.pool_reward(redemption, terms) else { return Ok(None) };
        self.change(Change::Asked { ask: Ask { redemption, member, state: AskState::Open, capture } });
        self.send_news(member, &HouseholdNews::RewardAsk(of));
        Ok(Some(AtMemberState::Asked.into()))
    }

    fn pool_reward(&self, redemption: u64, terms: &Terms) -> Option<PoolReward> {
        let reward = terms.reward.clone()?;
        Some(PoolReward { household: self.state.id, redemption, reward, version: terms.version, at: terms.at })
    }

    /// A reservation is to be spent before its member has answered: it is, as soon as they may have it.
    pub(super) fn waits_for_answer(&mut self, redemption: u64) -> bool {
        let Some(ask) = self.state.ask(redemption).copied().filter(|ask| ask.state == AskState::Open) else {
            return false;
        };
        self.change(Change::Asked { ask: Ask { capture: true, ..ask } });
        true
    }

    /// What was reserved is bought: its member gets what is theirs of it.
    pub(super) fn give_to_member(&mut self, redemption: u64, terms: &Terms, given: Option<Given>) -> Option<Given> {
        let Some(ask) = self.state.ask(redemption).copied() else { return given };
        self.change(Change::AskOver { redemption });
        let of = self.pool_reward(redemption, terms)?;
        let rules = self.inputs.versions.number(terms.version).cloned();
        let gives =
            rules.as_ref().and_then(|rules| rules.reward(of.reward.as_str())).map(|known| &known.definition.gives);
        let is_given = gives.is_some_and(|gives| gives.voucher.is_some() || gives.benefit.is_some());
        let state = if is_given { AtMemberState::Allowed } else { AtMemberState::Given };
        if is_given {
            self.send_news(ask.member, &HouseholdNews::RewardGive(of));
        }
        given.map(|given| Given { member: Some(state.into()), ..given })
    }

    /// A reservation is over, and nothing of it was bought.
    pub(super) fn over_at_member(&mut self, hold: &Hold) -> Option<Given> {
        let ask = self.state.ask(hold.event).copied()?;
        match ask.state {
            // What they counted they are told when they have.
            AskState::Open => self.change(Change::Asked { ask: Ask { state: AskState::Over, ..ask } }),
            AskState::Allowed | AskState::Over => self.tell_of_end(&ask, &hold.terms),
        }
        Some(Given { member: Some(AtMemberState::Back.into()), ..Given::default() })
    }

    fn tell_of_end(&mut self, ask: &Ask, terms: &Terms) {
        self.change(Change::AskOver { redemption: ask.redemption });
        if let Some(of) = self.pool_reward(ask.redemption, terms) {
            self.send_news(ask.member, &HouseholdNews::RewardBack(of));
        }
    }

    /// What was bought comes back: it counts no longer.
    pub(super) fn back_at_member(&mut self, redemption: u64, found: &Redemption, given: &mut Given) {
        let (Some(_), Some(by)) = (&given.member, found.by) else { return };
        given.member = Some(AtMemberState::Back.into());
        if let Some(of) = self.pool_reward(redemption, &found.terms) {
            self.send_news(by, &HouseholdNews::RewardBack(of));
        }
    }

    /// What is on its way to a member cannot be cancelled before it is there.
    pub(super) fn has_arrived(&self, redemption: u64, found: &Redemption) -> Result<(), Rejected> {
        let at_member = found.given.as_ref().and_then(|given| given.member.as_ref());
        match at_member {
            Some(at) if at.state == AtMemberState::Allowed => {
                Err(Rejected::RewardOnItsWay { redemption: self.redemption_id(redemption) })
            }
            _ => Ok(()),
        }
    }

    /// At the household: the member may have it.
    pub(super) fn reward_allowed(&mut self, redemption: u64) {
        let Some(ask) = self.state.ask(redemption).copied() else { return };
        let Ok(found) = self.redemption(redemption) else { return };
        match self.state.hold(redemption).cloned() {
            Some(hold) if ask.capture => self.spend_hold(&hold, hold.terms.clone(), hold.held().get()),
            Some(_) => {
                self.change(Change::Asked { ask: Ask { state: AskState::Allowed, ..ask } });
                self.note_member(redemption, found, AtMemberState::Allowed.into());
            }
            None => self.tell_of_end(&ask, &found.terms),
        }
    }

    /// At the household: the member has what is theirs.
    pub(super) fn reward_had(&mut self, redemption: u64, voucher: Option<&CompactString>) {
        let Ok(found) = self.redemption(redemption) else { return };
        let given = found.given.clone().map(|given| Given { voucher: voucher.cloned(), ..given });
        self.note_member(redemption, Redemption { given, ..found }, AtMemberState::Given.into());
    }

    fn note_member(&mut self, redemption: u64, found: Redemption, member: AtMember) {
        let given = Some(Given { member: Some(member), ..found.given.unwrap_or_default() });
        self.note_redemption(redemption, Redemption { given, ..found });
    }

    /// At the household: the member may not have it, or is no longer there to get it. The points go home.
    pub(super) fn reward_refused(&mut self, news: &HouseholdNews, code: &CompactString) {
        let Some(redemption) = news.of_reward() else { return };
        let reason = Some(code.clone());
        match news {
            HouseholdNews::RewardAsk(_) => {
                let hold = self.state.hold(redemption).cloned();
                self.change(Change::AskOver { redemption });
                if let Some(hold) = hold {
                    self.close(&hold, RedemptionStatus::Voided);
                    if let Ok(found) = self.redemption(redemption) {
                        self.note_member(redemption, found, AtMember { state: AtMemberState::Refused, reason });
                    }
                }
            }
            HouseholdNews::RewardGive(_) => {
                let found = self.redemption(redemption).ok().filter(|found| !found.is_back());
                if let Some(found) = found {
                    let found = self.give_up(redemption, found);
                    self.note_member(redemption, found, AtMember { state: AtMemberState::Refused, reason });
                }
            }
            // Of whoever has left nothing is counted any more.
            _ => {}
        }
    }

    /// At the member: whether they may have what the pool is to buy; it counts as theirs.
    pub(super) fn asked_for_reward(&mut self, of: &PoolReward) -> Result<(), Rejected> {
        self.must_be_there()?;
        if let Some(frozen) = self.state.frozen {
            return Err(Rejected::MemberFrozen { since: frozen.since, quarantined: frozen.quarantined });
        }
        let unknown = || Rejected::UnknownReward { reward: of.reward.clone() };
        let rules = self.inputs.versions.number(of.version).cloned().ok_or_else(unknown)?;
        let reward = rules.reward(of.reward.as_str()).ok_or_else(unknown)?;
        may_have(&rules, &self.state, &of.reward, reward, of.at)?;
        self.open_main("household-reward-ask", EventStatus::Derived);
        self.count_reward(&of.reward, reward, rules.calendar.day(of.at));
        self.tell_of_reward(EffectKind::RewardOfPool, of);
        self.send_news(of.household, &HouseholdNews::RewardAllowed { redemption: of.redemption });
        Ok(())
    }

    /// At the member: it is bought, and what is theirs of it is here.
    pub(super) fn get_reward(&mut self, of: &PoolReward) -> Result<(), Rejected> {
        self.must_be_there()?;
        self.open_main("household-reward-give", EventStatus::Derived);
        let rules = self.inputs.versions.number(of.version).cloned();
        let gives =
            rules.as_ref().and_then(|rules| rules.reward(of.reward.as_str())).map(|known| &known.definition.gives);
        let voucher = gives.and_then(|gives| self.give_own(gives));
        self.send_news(of.household, &HouseholdNews::RewardHad { redemption: of.redemption, voucher });
        self.follow_causes();
        Ok(())
    }

    /// At the member: it was not bought, or is cancelled.
    pub(super) fn reward_is_back(&mut self, of: &PoolReward) -> Result<(), Rejected> {
        self.must_be_there()?;
        self.open_main("household-reward-back", EventStatus::Derived);
        let rules = self.inputs.versions.number(of.version).cloned();
        if let Some((rules, reward)) = rules.as_ref().and_then(|rules| Some((rules, rules.reward(of.reward.as_str())?)))
        {
            self.uncount_reward(&of.reward, reward, rules.calendar.day(of.at));
        }
        self.tell_of_reward(EffectKind::RewardOfPoolBack, of);
        Ok(())
    }

    fn tell_of_reward(&mut self, kind: EffectKind, of: &PoolReward) {
        let redemption = EventId { member: of.household, seq: of.redemption };
        self.effect(Effect {
            reward: Some(of.reward.clone()),
            redemption: Some(redemption.to_compact_string()),
            ..super::household::of(kind, of.household)
        });
    }
}
