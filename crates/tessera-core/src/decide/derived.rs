//! Events that an event causes (C8): a balance moved, a level was entered. Decided after it, in the same transaction.

use compact_str::{CompactString, format_compact};

use super::evaluate::{Action, Evaluation};
use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{Credit, DERIVED_MAX};
use crate::code::Code;
use crate::event::{FieldValue, FieldValues};
use crate::id::MemberId;
use crate::ledger::{Account, EntryKind};
use crate::member::Change;
use crate::program::Id;
use crate::time::{Day, Instant, Period};

/// What an event caused, to be decided after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Balance {
        currency: Id,
    },
    Level {
        ladder: Id,
        level: Id,
        from: Id,
    },
    LevelLeft {
        ladder: Id,
        level: Id,
        to: Id,
    },
    ClubJoined {
        plan: Id,
        trial: bool,
    },
    ClubEnded {
        plan: Id,
    },
    /// A step of a challenge, in the stretch of time that begins on a day.
    Step {
        challenge: Id,
        from: Day,
        place: u32,
    },
    /// A streak became so long.
    Milestone {
        streak: Id,
        length: u32,
    },
}

impl Working<'_> {
    /// Notes that an award moved a balance.
    pub(super) fn moved(&mut self, currency: &Id) {
        let cause = Cause::Balance { currency: currency.clone() };
        // Campaigns are for members.
        if self.state.status.is_member() && self.program.trigger("balance").is_some() && !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    pub(super) fn entered_level(&mut self, ladder: Id, level: Id, from: Id) {
        if self.program.trigger("tier").is_some() {
            self.causes.push(Cause::Level { ladder, level, from });
        }
    }

    pub(super) fn left_level(&mut self, ladder: Id, level: Id, to: Id) {
        if self.program.trigger("tier-left").is_some() {
            self.causes.push(Cause::LevelLeft { ladder, level, to });
        }
    }

    pub(super) fn joined_club(&mut self, plan: Id, trial: bool) {
        if self.program.trigger("club-joined").is_some() {
            self.causes.push(Cause::ClubJoined { plan, trial });
        }
    }

    pub(super) fn ended_club(&mut self, plan: Id) {
        if self.program.trigger("club-ended").is_some() {
            self.causes.push(Cause::ClubEnded { plan });
        }
    }

    /// Decides what was caused, in the order it was caused, at most [`DERIVED_MAX`] deep.
    pub(super) fn follow_causes(&mut self) {
        for _ in 0..DERIVED_MAX {
            let causes = std::mem::take(&mut self.causes);
            if causes.is_empty() {
                return;
            }
            for cause in causes {
                let text = |name: &'static str, id: &Id| {
                    (CompactString::const_new(name), FieldValue::Text(id.as_str().into()))
                };
                let truth = |name: &'static str, truth| (CompactString::const_new(name), FieldValue::Boolean(truth));
                let (kind, data): (&str, FieldValues) = match &cause {
                    Cause::ClubJoined { plan, trial } => {
                        ("club-joined", vec![text("plan", plan), truth("trial", *trial)])
                    }
                    Cause::ClubEnded { plan } => ("club-ended", vec![text("plan", plan)]),
                    Cause::Balance { currency } => ("balance", vec![text("currency", currency)]),
                    Cause::Level { ladder, level, from } => {
                        ("tier", vec![text("ladder", ladder), text("level", level), text("from", from)])
                    }
                    Cause::LevelLeft { ladder, level, to } => {
                        ("tier-left", vec![text("ladder", ladder), text("level", level), text("to", to)])
                    }
                    Cause::Step { challenge, from, place } => {
                        self.give_step(challenge, *from, *place);
                        continue;
                    }
                    Cause::Milestone { streak, length } => {
                        self.give_milestone(streak, *length);
                        continue;
                    }
                };
                self.run_trigger(kind, &data, self.at(), None);
            }
        }
        self.causes.clear();
    }

    /// Runs the campaigns of a trigger inside the event that is open, gives what they give and says what that was.
    pub(super) fn run_trigger(
        &mut self,
        kind: &str,
        data: &FieldValues,
        at: Instant,
        only: Option<&Id>,
    ) -> Option<(Evaluation, Vec<Credit>)> {
        self.program.trigger(kind)?;
        let standings = self.standings();
        let basis = self.basis_now(kind, at);
        let evaluation = self.evaluate(kind, None, data, &basis, only);
        let credits = self.give(&evaluation, None);
        self.judge_tiers(&standings);
        if self.record().record.basis.is_none() {
            self.record().record.basis = Some(basis);
        }
        Some((evaluation, credits))
    }

    pub(super) fn act(&mut self, action: &Action) {
        match action {
            Action::Spend { campaign, currency, amount, everything } => {
                let there = self.state.purse(currency.as_str()).map_or(0, |purse| purse.active().get());
                self.spend(campaign, currency, if *everything { there.max(*amount) } else { *amount });
            }
            Action::Badge { campaign, badge } => self.give_badge(campaign, badge),
            Action::Issue { campaign, voucher } => drop(self.issue_voucher(Some(campaign), voucher)),
            Action::Grant { campaign, benefit, period } => self.grant(Some(campaign), benefit, *period),
        }
    }

    /// Grants a benefit for a campaign, or with a reward.
    pub(super) fn grant(&mut self, campaign: Option<&Id>, benefit: &Id, period: Period) {
        let last_day = period.after(self.day());
        self.change(Change::Granted { benefit: benefit.clone(), last_day });
        self.effect(Effect {
            benefit: Some(benefit.clone()),
            campaign: campaign.cloned(),
            expires_on: Some(last_day),
            ..Effect::of(EffectKind::BenefitGranted)
        });
    }

    /// Takes points for what a rule gives, lot by lot (L1). The rule made sure that there are enough.
    fn spend(&mut self, campaign: &Id, currency: &Id, amount: i64) {
        let lots = self.state.purse(currency.as_str()).map(|purse| purse.lots.clone()).unwrap_or_default();
        let mut due = points(amount);
        for lot in lots {
            let (taken, rest) = due.split(lot.remaining);
            let posting = Posting {
                currency,
                amount: taken,
                lot: Some(lot.key()),
                expires_at: lot.expires_at,
                campaign: Some(campaign),
            };
            self.post(EntryKind::Redemption, Account::Active, Account::Redeemed, posting);
            due = rest;
        }
        self.effect(Effect { campaign: Some(campaign.clone()), ..Effect::points(EffectKind::Spent, currency, amount) });
        self.moved(currency);
    }
}

/// A new code: 67 random bits and a check symbol, in groups of four.
pub(super) fn voucher_code(entropy: &[u8; 16], member: MemberId, event: u64, number: u32) -> CompactString {
    let mut key = [0; 32];
    key[..16].copy_from_slice(entropy);
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(member.as_bytes()).update(&event.to_be_bytes()).update(&number.to_be_bytes());
    let mut random = [0; 16];
    hasher.finalize_xof().fill(&mut random);
    format_compact!("{}", Code::from_entropy(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_codes_are_readable_and_differ() {
        let member = MemberId::from_bytes([0; 16]);
        let code = voucher_code(&[7; 16], member, 1, 0);
        assert_eq!(code.len(), 19);
        assert!(Code::parse(&code).is_ok(), "{code}");
        assert_ne!(code, voucher_code(&[7; 16], member, 1, 1));
        assert_ne!(code, voucher_code(&[8; 16], member, 1, 0));
    }
}
