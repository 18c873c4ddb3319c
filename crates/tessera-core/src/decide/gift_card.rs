//! Gift cards (V3): made, loaded, blocked, made void, given another code. They are spent and refunded as points are, by redemptions
//! of their own; what one returns to is the card that paid, for a redemption is its holder's.

use super::outcome::{Balance, Effect, EffectKind, balance, points};
use super::working::{Posting, Working};
use super::{EventStatus, Rejected, expiry};
use crate::event::{GiftCardRefund, GiftCardStep, Redeem};
use crate::ledger::{Account, EntryKind, LotRef, RedemptionStatus};
use crate::member::{Change, GiftCard, MemberState, Status};
use crate::program::{GIFT_CARD, GiftCardsDefinition, Program};
use crate::time::Day;

/// Whether somebody can pay with what they want to: members with points, a card with its money alone.
pub(super) fn may_pay(member: &MemberState, redeem: &Redeem) -> Result<(), Rejected> {
    let is_card = member.status == Status::GiftCard;
    if is_card != (redeem.currency == GIFT_CARD) {
        return Err(Rejected::UnknownCurrency { currency: redeem.currency.clone() });
    }
    if member.gift_card.is_some_and(|card| card.blocked) {
        return Err(Rejected::GiftCardBlocked);
    }
    Ok(())
}

/// A card has less than is wanted, in money.
pub(super) fn not_enough(program: &Program, wanted: i64, balance: Balance) -> Rejected {
    let money = program.money;
    Rejected::NotEnoughOnGiftCard {
        wanted: money.amount(wanted),
        available: money.amount(balance.available),
        held: money.amount(balance.held),
    }
}

impl Working<'_> {
    pub(super) fn gift_card(&mut self, step: &GiftCardStep) -> Result<(), Rejected> {
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let program = self.program.clone();
        let cards = program.definition.gift_cards.as_ref();
        let card = self.state.gift_card;
        match (step, card) {
            (GiftCardStep::Issue { .. } | GiftCardStep::MoveIn { .. }, Some(_)) => Err(Rejected::GiftCardExists),
            (GiftCardStep::Issue { code, amount }, None) => {
                let cards = cards.ok_or(Rejected::NoGiftCards)?;
                if self.inputs.state.is_some() {
                    return Err(Rejected::GiftCardExists);
                }
                if *amount != 0 {
                    self.may_load(cards, *amount)?;
                }
                self.open_main(step.kind(), EventStatus::Applied);
                self.record().record.joined = Some(Status::GiftCard);
                self.change(Change::GiftCard { card: GiftCard { code: *code, blocked: false } });
                self.load(cards, *amount);
                Ok(())
            }
            (GiftCardStep::MoveIn { code, parts }, None) => {
                if cards.is_none() {
                    return Err(Rejected::NoGiftCards);
                }
                if self.inputs.state.is_some() {
                    return Err(Rejected::GiftCardExists);
                }
                let (money, most) = (program.money, self.room(&GIFT_CARD).get());
                let amount = parts.iter().fold(0_i64, |sum, part| sum.saturating_add(part.amount));
                if amount > most {
                    let (amount, max) = (money.amount(amount), money.amount(most));
                    return Err(Rejected::GiftCardOverMaximum { amount, balance: money.amount(0), max });
                }
                self.open_main(step.kind(), EventStatus::Applied);
                self.record().record.joined = Some(Status::GiftCard);
                self.change(Change::GiftCard { card: GiftCard { code: *code, blocked: false } });
                for part in parts {
                    self.take_over(part.amount, part.expires);
                }
                self.expire_dead_on_arrival();
                Ok(())
            }
            // Members have no card to load or block.
            (_, None) => Err(Rejected::NeedsMember),
            (GiftCardStep::TopUp { amount }, Some(card)) => {
                let cards = cards.ok_or(Rejected::NoGiftCards)?;
                if card.blocked {
                    return Err(Rejected::GiftCardBlocked);
                }
                let moved_in = self.state.purse(GIFT_CARD.as_str()).map_or(0, |purse| purse.totals.imported.get());
                let was_loaded = moved_in > 0 || !self.state.issued(GIFT_CARD.as_str()).is_zero();
                if was_loaded && !cards.reload {
                    return Err(Rejected::GiftCardNotReloadable);
                }
                self.may_load(cards, *amount)?;
                self.open_main(step.kind(), EventStatus::Applied);
                self.load(cards, *amount);
                Ok(())
            }
            (GiftCardStep::Block | GiftCardStep::Unblock, Some(card)) => {
                self.open_main(step.kind(), EventStatus::Applied);
                self.change(Change::GiftCard { card: GiftCard { blocked: *step == GiftCardStep::Block, ..card } });
                Ok(())
            }
            (GiftCardStep::Void, Some(card)) => {
                let has = balance(&self.state, &GIFT_CARD);
                if has.held > 0 {
                    return Err(Rejected::GiftCardInUse { held: program.money.amount(has.held) });
                }
                self.open_main(step.kind(), EventStatus::Applied);
                self.change(Change::GiftCard { card: GiftCard { blocked: true, ..card } });
                if has.available > 0 {
                    self.take_from_lots(EntryKind::TakeBack, Account::Issued, &GIFT_CARD, points(has.available));
                    self.effect(Effect::points(EffectKind::TakenBack, &GIFT_CARD, has.available));
                }
                Ok(())
            }
            (GiftCardStep::Replace { code }, Some(_)) => {
                self.open_main(step.kind(), EventStatus::Applied);
                self.change(Change::GiftCard { card: GiftCard { code: *code, blocked: false } });
                Ok(())
            }
        }
    }

    /// Money comes back with the order that it paid for: never more than that, and not twice.
    pub(super) fn gift_card_refund(&mut self, refund: &GiftCardRefund) -> Result<(), Rejected> {
        let found = self.redemption(refund.redemption)?;
        let is_spent = found.status == RedemptionStatus::Captured && found.terms.currency == GIFT_CARD;
        if !is_spent {
            let redemption = self.redemption_id(refund.redemption);
            return Err(Rejected::RedemptionClosed { redemption, status: found.status });
        }
        self.open_main("gift-card-refund", EventStatus::Derived);
        let amount = refund.amount.min(found.captured - found.returned);
        if amount > 0 {
            self.refund(refund.redemption, found, amount, Some(&refund.order_id));
        }
        Ok(())
    }

    /// Whether so much can be paid in: not too little, and not more than a card may hold.
    fn may_load(&self, cards: &GiftCardsDefinition, amount: i64) -> Result<(), Rejected> {
        let money = self.program.money;
        let least = cards.least(money);
        if amount < least {
            let (amount, min) = (money.amount(amount), money.amount(least));
            return Err(Rejected::GiftCardBelowMinimum { amount, min });
        }
        let Balance { available, held, .. } = balance(&self.state, &GIFT_CARD);
        let room = self.room(&GIFT_CARD).get();
        let most = cards.most(money).unwrap_or(i64::MAX).min(available.saturating_add(held).saturating_add(room));
        if amount > most.saturating_sub(available).saturating_sub(held) {
            return Err(Rejected::GiftCardOverMaximum {
                amount: money.amount(amount),
                balance: money.amount(available.saturating_add(held)),
                max: money.amount(most),
            });
        }
        Ok(())
    }

    /// Money that was paid in elsewhere. It keeps its last day, and where that is over it is gone at once.
    fn take_over(&mut self, amount: i64, expires: Option<Day>) {
        if amount <= 0 {
            return;
        }
        let expires_at = expires.map(|day| self.program.calendar.end(day));
        let lot = LotRef { last_day: expires, funder: None, order: None };
        let posting =
            Posting { currency: &GIFT_CARD, amount: points(amount), lot: Some(lot), expires_at, campaign: None };
        self.post(EntryKind::Import, Account::Imported, Account::Active, posting);
        self.effect(Effect { expires_on: expires, ..Effect::points(EffectKind::Imported, &GIFT_CARD, amount) });
    }

    /// Money is paid in: a lot with its own expiry, counted from today.
    fn load(&mut self, cards: &GiftCardsDefinition, amount: i64) {
        if amount == 0 {
            return;
        }
        let dated = expiry::last_day(&self.program, &cards.expires, self.day());
        let (last_day, expires_at) = dated.unzip();
        let lot = LotRef { last_day, funder: None, order: None };
        let posting =
            Posting { currency: &GIFT_CARD, amount: points(amount), lot: Some(lot), expires_at, campaign: None };
        self.post(EntryKind::Load, Account::Issued, Account::Active, posting);
        self.effect(Effect { expires_on: last_day, ..Effect::points(EffectKind::Loaded, &GIFT_CARD, amount) });
    }
}
