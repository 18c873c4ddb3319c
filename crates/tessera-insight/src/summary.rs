use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{GIFT_CARD, Id, Program};
use tessera_core::quantity::{Amount, Currency, Points};
use tessera_core::time::Day;

/// A program at one instant: members, sales, points and tiers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub members: u64,
    /// Gross of returns, with those of amount zero, without guests.
    pub purchases: u64,
    pub returns: u64,
    /// Gross of returns, without guests: decimal text in the program's currency.
    pub spend: String,
    pub currencies: BTreeMap<Id, CurrencyFigures>,
    /// Money on gift cards; there where the program has or had some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_cards: Option<GiftCardFigures>,
    /// Members by ladder and level; every level of the document is listed.
    pub tiers: BTreeMap<Id, BTreeMap<Id, u64>>,
    /// By month of business time in the program's zone.
    pub by_month: BTreeMap<String, MonthFigures>,
    #[serde(skip)]
    spent: Amount,
    #[serde(skip)]
    decimals: usize,
    #[serde(skip)]
    money: Option<Currency>,
}

/// Money on gift cards: decimal text in the program's currency. What was sold or moved in is outstanding, spent,
/// expired or made void.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GiftCardFigures {
    /// Cards that were ever made, with those printed empty.
    pub cards: u64,
    /// Paid in.
    pub sold: String,
    /// On cards that came from another system.
    pub moved_in: String,
    /// Net of what came back.
    pub spent: String,
    pub expired: String,
    /// Taken off cards that were made void.
    pub voided: String,
    /// What the program owes: on cards or reserved.
    pub outstanding: String,
    /// Reserved by redemptions that are under way.
    pub held: String,
    /// Of what is outstanding, what is on blocked cards.
    pub blocked: String,
    #[serde(skip)]
    units: [i64; 8],
}

/// One currency, in its smallest units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CurrencyFigures {
    /// Gross of what was taken back.
    pub issued: i64,
    pub taken_back: i64,
    pub redeemed: i64,
    pub expired: i64,
    /// Active, pending and reserved.
    pub outstanding: i64,
    pub pending: i64,
    /// Reserved by redemptions that are under way.
    pub held: i64,
    pub debt: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MonthFigures {
    pub purchases: u64,
    pub spend: String,
    /// Over all currencies, gross of what was taken back.
    pub issued: i64,
    pub issued_by_currency: BTreeMap<Id, i64>,
    #[serde(skip)]
    spent: Amount,
}

impl Summary {
    /// An empty summary that names every currency and level of the program.
    pub fn new(program: &Program) -> Self {
        let levels = |ladder: &tessera_core::program::LadderRules| {
            ladder.levels.iter().map(|level| (level.id.clone(), 0)).collect()
        };
        Self {
            currencies: program
                .definition
                .currencies
                .keys()
                .map(|id| (id.clone(), CurrencyFigures::default()))
                .collect(),
            tiers: program.ladders.iter().map(|ladder| (ladder.id.clone(), levels(ladder))).collect(),
            decimals: program.money.decimals(),
            money: Some(program.money),
            gift_cards: program.definition.gift_cards.as_ref().map(|_| GiftCardFigures::default()),
            ..Self::default()
        }
    }

    /// Adds a member as settled to the summary's instant. Guests do not count; of whoever left, or is one with another
    /// member, what happened counts and the member does not.
    pub fn add_member(&mut self, program: &Program, member: &MemberState) {
        if member.status == Status::Guest {
            return;
        }
        // What a merged member bought is among what the other one did.
        if member.status != Status::Merged {
            self.purchases += u64::from(member.statistics.purchases);
            self.returns += u64::from(member.statistics.returns);
            self.spent += member.statistics.spend;
        }
        for purse in &member.purses {
            let figures = self.currencies.entry(purse.currency.clone()).or_default();
            let (active, pending) = (purse.active().get(), purse.pending().get());
            figures.issued += purse.totals.issued.get();
            figures.taken_back += purse.totals.taken_back.get();
            figures.redeemed += purse.totals.redeemed.get();
            figures.expired += purse.totals.expired.get();
            let held = member.held(purse.currency.as_str()).get();
            figures.outstanding += active + pending + held;
            figures.pending += pending;
            figures.held += held;
            figures.debt += purse.debt.get();
        }
        if member.status != Status::Active {
            return;
        }
        self.members += 1;
        for ladder in &program.ladders {
            let known = member.ladder(ladder.id.as_str()).map(|known| ladder.rank(&known.level));
            let level = ladder.level(known.unwrap_or(0)).id.clone();
            *self.tiers.entry(ladder.id.clone()).or_default().entry(level).or_default() += 1;
        }
    }

    /// Adds a gift card as settled to the summary's instant. It is no member.
    pub fn add_gift_card(&mut self, card: &MemberState) {
        let figures = self.gift_cards.get_or_insert_default();
        figures.cards += 1;
        let Some(purse) = card.purse(GIFT_CARD.as_str()) else { return };
        let held = card.held(GIFT_CARD.as_str()).get();
        let outstanding = purse.active().get() + held;
        let is_blocked = card.gift_card.is_some_and(|card| card.blocked);
        let of_card = [
            purse.totals.issued.get(),
            purse.totals.redeemed.get(),
            purse.totals.expired.get(),
            outstanding,
            held,
            if is_blocked { outstanding } else { 0 },
            purse.totals.taken_back.get(),
            purse.totals.imported.get(),
        ];
        for (sum, part) in figures.units.iter_mut().zip(of_card) {
            *sum += part;
        }
    }

    /// Adds a purchase of a member to its month.
    pub fn add_purchase(&mut self, day: Day, amount: Amount) {
        let month = self.month(day);
        month.purchases += 1;
        month.spent += amount;
    }

    /// Adds what an amendment changed of a purchase to the purchase's month.
    pub fn add_correction(&mut self, day: Day, by: Amount) {
        self.month(day).spent += by;
    }

    /// Adds points that were issued to a member to their month.
    pub fn add_issued(&mut self, day: Day, currency: &Id, amount: Points) {
        let month = self.month(day);
        month.issued += amount.get();
        *month.issued_by_currency.entry(currency.clone()).or_default() += amount.get();
    }

    fn month(&mut self, day: Day) -> &mut MonthFigures {
        let text = day.to_string();
        self.by_month.entry(text[..text.len() - 3].to_owned()).or_default()
    }

    /// Writes the sums of money out as text.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.spend = self.spent.to_text(self.decimals);
        if let (Some(figures), Some(money)) = (&mut self.gift_cards, self.money) {
            let [sold, spent, expired, outstanding, held, blocked, voided, moved_in] =
                figures.units.map(|units| money.amount(units).to_text(money.decimals()));
            *figures = GiftCardFigures {
                sold,
                moved_in,
                spent,
                expired,
                voided,
                outstanding,
                held,
                blocked,
                ..figures.clone()
            };
        }
        for month in self.by_month.values_mut() {
            month.spend = month.spent.to_text(self.decimals);
        }
        self
    }
}
