use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{Id, Program};
use tessera_core::quantity::{Amount, Points};
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
    /// Members by ladder and level; every level of the document is listed.
    pub tiers: BTreeMap<Id, BTreeMap<Id, u64>>,
    /// By month of business time in the program's zone.
    pub by_month: BTreeMap<String, MonthFigures>,
    #[serde(skip)]
    spent: Amount,
    #[serde(skip)]
    decimals: usize,
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
        for month in self.by_month.values_mut() {
            month.spend = month.spent.to_text(self.decimals);
        }
        self
    }
}
