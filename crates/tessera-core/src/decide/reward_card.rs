//! A gift card as a reward: two members in one effect. The redemption causes the card; cancelling asks the card, which
//! gives itself back if nothing of it was used, and only then the points go back (R7, V3).

use super::outcome::{Effect, EffectKind, balance, points};
use super::reward::smallest_units;
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{REWARD_CARD, RefusedFollowUp, RewardCard};
use crate::ledger::{Account, EntryKind, Given, GivenCard, GivenCardState, Redemption};
use crate::member::{Change, GiftCard};
use crate::program::{Exact, GIFT_CARD, Program};
use crate::quantity::Amount;

impl Working<'_> {
    /// Causes a card with so much money, by the event that is open.
    pub(super) fn give_card(&mut self, redemption: u64, rules: &Program, money: Exact) -> Option<GivenCard> {
        let money = Amount::try_from(money.0).ok()?;
        let id = self.state.event_id(redemption);
        let card = RewardCard { redemption: id, amount: smallest_units(rules, money) };
        self.follow_up(self.state.id, REWARD_CARD, &card, Vec::new());
        let id = Some(self.redemption_id(redemption));
        self.effect(Effect { redemption: id, money: Some(money), ..Effect::of(EffectKind::GiftCardGiven) });
        Some(GivenCard { money, state: GivenCardState::Issued })
    }

    /// A redemption that gave a card is to be cancelled: the card is asked.
    pub(super) fn ask_card_back(
        &mut self,
        redemption: u64,
        found: Redemption,
        given: &GivenCard,
    ) -> Result<(), Rejected> {
        if given.state != GivenCardState::Issued {
            return Err(Rejected::GiftCardAskedBack { redemption: self.redemption_id(redemption) });
        }
        self.open_main("redemption-return", EventStatus::Applied);
        let id = self.state.event_id(redemption);
        let amount = self.program.money.units_within(given.money);
        let card = RewardCard { redemption: id, amount };
        self.follow_up(self.state.id, "gift-card-take-back", &card, Vec::new());
        self.note_card(redemption, found, GivenCardState::AskedBack);
        self.follow_causes();
        Ok(())
    }

    fn note_card(&mut self, redemption: u64, found: Redemption, state: GivenCardState) {
        let given = found.given.map(|given| {
            let gift_card = given.gift_card.map(|card| GivenCard { state, ..card });
            Given { gift_card, ..given }
        });
        self.note_redemption(redemption, Redemption { given, ..found });
    }

    /// At the card: it goes if nobody used, loaded or reserved anything of it since it was given.
    pub(super) fn take_gift_card_back(&mut self, card: &RewardCard) -> Result<(), Rejected> {
        let Some(own) = self.state.gift_card else { return Err(Rejected::NeedsMember) };
        let there = balance(&self.state, &GIFT_CARD);
        let issued = self.state.issued(GIFT_CARD.as_str()).get();
        if (there.available, there.held, issued) != (card.amount, 0, card.amount) {
            let (money, left) = (self.program.money.amount(card.amount), self.program.money.amount(there.available));
            return Err(Rejected::GiftCardUsed { money, left });
        }
        self.open_main("gift-card-take-back", EventStatus::Derived);
        while let Some(lot) = self.first_lot(&GIFT_CARD) {
            let taken = self.take_from_lot(EntryKind::TakeBack, Account::Issued, &GIFT_CARD, &lot, points(card.amount));
            if taken.is_zero() {
                break;
            }
        }
        self.effect(Effect::points(EffectKind::TakenBack, &GIFT_CARD, card.amount));
        self.change(Change::GiftCard { card: GiftCard { blocked: true, ..own } });
        self.follow_up(card.redemption.member, "gift-card-taken-back", card, Vec::new());
        Ok(())
    }

    /// At the member: the card is gone, and the points come back.
    pub(super) fn gift_card_is_back(&mut self, card: &RewardCard) -> Result<(), Rejected> {
        let found = self.redemption(card.redemption.seq)?;
        self.open_main("gift-card-taken-back", EventStatus::Derived);
        self.give_card_up(card, found);
        Ok(())
    }

    fn give_card_up(&mut self, card: &RewardCard, found: Redemption) {
        if found.is_back() {
            return;
        }
        let found = self.give_up(card.redemption.seq, found);
        self.note_card(card.redemption.seq, found, GivenCardState::TakenBack);
        self.follow_causes();
    }

    /// At the member: the card could not be made, or does not go. `false` for what is about no card.
    pub(super) fn card_refused(&mut self, refused: &RefusedFollowUp) -> bool {
        let Some(card) = refused.reward_card() else { return false };
        let Ok(found) = self.redemption(card.redemption.seq) else { return true };
        if refused.kind == REWARD_CARD {
            self.give_card_up(&card, found);
        } else {
            let (redemption, reason) = (Some(self.redemption_id(card.redemption.seq)), Some(refused.code.clone()));
            self.effect(Effect { redemption, reason, ..Effect::of(EffectKind::GiftCardKept) });
            self.note_card(card.redemption.seq, found, GivenCardState::Issued);
        }
        true
    }
}
