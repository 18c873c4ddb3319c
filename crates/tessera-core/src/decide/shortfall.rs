//! What comes home to the own lots of orders that had come back before: it undoes what was taken or owed in its place, so
//! that orders which paid for each other end as if never bought, in whatever order they come back (R1, R7).

use compact_str::CompactString;

use super::outcome::{Effect, EffectKind, points};
use super::take_back::own_lots;
use super::working::{Posting, Working};
use super::{Credit, OrderProgress, OrderRecord};
use crate::ledger::{Account, Entry, EntryKind, LotRef};
use crate::member::{Change, Shortfall};
use crate::program::Id;
use crate::quantity::Points;

/// Points that come home, by where they go.
pub(super) struct Homecoming {
    pub to_debt: Points,
    pub to_lot: Points,
    fills: Vec<Fill>,
}

/// What an order gives back of what it had from elsewhere.
struct Fill {
    order_id: CompactString,
    forgiven: i64,
    owed: i64,
    instead: Vec<(LotRef, i64)>,
}

impl Fill {
    /// What it takes from the lot for it.
    fn taken(&self) -> i64 {
        self.forgiven + self.instead.iter().map(|(_, amount)| amount).sum::<i64>()
    }
}

/// What was taken back for an order in a currency: what is its own, and what went in the place of what was not there.
struct Sides {
    /// How much of each own lot was not taken.
    short: Vec<(LotRef, i64)>,
    own: Vec<Credit>,
    instead: Vec<(LotRef, i64)>,
}

impl Sides {
    fn of(own_lots: Vec<(LotRef, i64)>, currency: &Id, taken: &[Credit]) -> Self {
        let mut sides = Self { short: own_lots, own: Vec::new(), instead: Vec::new() };
        let of_currency = || taken.iter().filter(|credit| credit.currency == *currency);
        let mut from_own = |lot: &LotRef, most: i64| {
            let short = sides.short.iter_mut().find(|(known, _)| known == lot);
            short.map_or(0, |(_, short)| {
                let part = most.min(*short).max(0);
                *short -= part;
                part
            })
        };
        // Only of its own what had died was counted.
        for credit in of_currency().filter(|credit| credit.expired) {
            from_own(credit.lot.as_ref().unwrap_or(&LotRef::default()), credit.amount);
        }
        for credit in of_currency() {
            let of_lot = credit.lot.as_ref().filter(|lot| lot.order.is_none() && !credit.expired);
            let Some(lot) = of_lot else {
                sides.own.push(credit.clone());
                continue;
            };
            let own = from_own(lot, credit.amount);
            sides.own.extend((own > 0).then(|| Credit { amount: own, ..credit.clone() }));
            sides.instead.extend((credit.amount > own).then(|| (lot.clone(), credit.amount - own)));
        }
        sides.short.retain(|(_, short)| *short > 0);
        sides
    }
}

impl Working<'_> {
    fn shortfall_of(&self, record: &OrderRecord, currency: &Id, progress: &OrderProgress) -> Shortfall {
        let own = own_lots(&self.rules_of(record), record, progress, currency);
        let Sides { short, instead, .. } = Sides::of(own, currency, &progress.taken);
        let of = |sums: &std::collections::BTreeMap<Id, i64>| sums.get(currency).copied().unwrap_or(0);
        let found = Shortfall {
            order: record.event,
            order_id: record.order_id.clone(),
            currency: currency.clone(),
            own: short,
            instead,
            owed: of(&progress.owed),
            forgiven: of(&progress.forgiven),
            home: Vec::new(),
        };
        if found.own.is_empty() || found.gap() == 0 {
            return Shortfall { own: Vec::new(), instead: Vec::new(), owed: 0, forgiven: 0, ..found };
        }
        found
    }

    fn known_shortfall(&self, record: &OrderRecord, currency: &Id) -> Option<&Shortfall> {
        self.state.shortfalls.iter().find(|known| known.order == record.event && known.currency == *currency)
    }

    /// Remembers what an order had from elsewhere by now.
    pub(super) fn note_shortfalls(&mut self, record: &OrderRecord, progress: &OrderProgress) {
        let known = self.state.shortfalls.iter().filter(|known| known.order == record.event);
        let taken = progress.taken.iter().map(|credit| &credit.currency);
        let currencies = taken.chain(progress.owed.keys()).chain(progress.forgiven.keys());
        let currencies: std::collections::BTreeSet<Id> =
            currencies.chain(known.map(|known| &known.currency)).cloned().collect();
        for currency in currencies {
            self.note_shortfall(record, &currency, progress);
        }
    }

    pub(super) fn note_shortfall(&mut self, record: &OrderRecord, currency: &Id, progress: &OrderProgress) {
        let found = self.shortfall_of(record, currency, progress);
        let known = self.known_shortfall(record, currency);
        if known.map_or(!found.is_over(), |known| *known != found) {
            self.change(Change::Shortfall { shortfall: found });
        }
    }

    /// What has come home since an order came back, and what repaid what it owed, is known to the order from now on.
    pub(super) fn know_what_came_home(&mut self, record: &OrderRecord, progress: &mut OrderProgress) {
        let known: Vec<Shortfall> =
            self.state.shortfalls.iter().filter(|known| known.order == record.event).cloned().collect();
        for known in known {
            let currency = &known.currency;
            if known == self.shortfall_of(record, currency, progress) {
                continue;
            }
            let own = own_lots(&self.rules_of(record), record, progress, currency);
            let sides = Sides::of(own, currency, &progress.taken);
            let credit = |lot: &LotRef, amount: i64| Credit::new(currency, points(amount), Some(lot.clone()));
            let home = known.home.iter().map(|home| Credit { expired: home.dead, ..credit(&home.lot, home.amount) });
            progress.taken.retain(|credit| credit.currency != *currency);
            progress.taken.extend(sides.own.into_iter().chain(home));
            progress.taken.extend(known.instead.iter().map(|(lot, amount)| credit(lot, *amount)));
            for (sums, sum) in [(&mut progress.owed, known.owed), (&mut progress.forgiven, known.forgiven)] {
                sums.remove(currency);
                if sum > 0 {
                    sums.insert(currency.clone(), sum);
                }
            }
            self.note_shortfall(record, currency, progress);
        }
    }

    /// How much of a dead lot has come home for orders that do not know it yet.
    pub(super) fn came_home_dead(&self, currency: &Id, lot: &LotRef) -> i64 {
        let of_currency = self.state.shortfalls.iter().filter(|known| known.currency == *currency);
        let home = of_currency.flat_map(|known| &known.home).filter(|home| home.dead && home.lot == *lot);
        home.map(|home| home.amount).sum()
    }

    /// Where points go that come home to a lot: to orders that miss them there, then to what is owed, then into the lot.
    pub(super) fn coming_home(&mut self, currency: &Id, lot: &LotRef, amount: Points, dead: bool) -> Homecoming {
        let (mut left, mut owed, mut fills) = (amount.get(), 0, Vec::new());
        for mut known in self.state.shortfalls.clone().into_iter().filter(|known| known.currency == *currency) {
            let found = left.min(known.short_of(lot));
            if found <= 0 {
                continue;
            }
            left -= found;
            known.found(lot, found, dead);
            // What was taken last goes back first.
            let forgiven = found.min(known.forgiven);
            let repaid = (found - forgiven).min(known.owed);
            let mut fill = Fill { order_id: known.order_id.clone(), forgiven, owed: repaid, instead: Vec::new() };
            known.forgiven -= forgiven;
            known.owed -= repaid;
            let mut rest = found - forgiven - repaid;
            while rest > 0
                && let Some((other, taken)) = known.instead.pop()
            {
                let back = rest.min(taken);
                rest -= back;
                fill.instead.push((other.clone(), back));
                known.instead.extend((taken > back).then_some((other, taken - back)));
            }
            owed += repaid;
            fills.push(fill);
            self.change(Change::Shortfall { shortfall: known });
        }
        let debt = self.owed(currency).get();
        let to_debt = points((owed + left.min(debt - owed)).min(debt));
        Homecoming { to_debt, to_lot: amount.less(to_debt), fills }
    }

    /// What came home went into its lot or died there: what orders had in its place goes back.
    pub(super) fn settle_homecoming(&mut self, currency: &Id, lot: &LotRef, home: Homecoming, dead: bool) {
        if home.fills.is_empty() {
            return;
        }
        self.give_back_instead(currency, lot, home, dead);
        self.expire_dead_on_arrival();
    }

    fn give_back_instead(&mut self, currency: &Id, lot: &LotRef, home: Homecoming, dead: bool) {
        for fill in home.fills {
            let order_id = Some(fill.order_id.clone());
            let effect =
                |kind, amount: i64| Effect { order_id: order_id.clone(), ..Effect::points(kind, currency, amount) };
            if dead {
                self.effect(effect(EffectKind::AlreadyExpired, fill.taken() + fill.owed));
                self.restore(currency, None, points(fill.owed), Account::Debt);
                if fill.owed > 0 {
                    self.effect(effect(EffectKind::DebtRepaid, fill.owed));
                }
            } else if fill.taken() > 0 {
                let taken = points(fill.taken());
                self.take_from_lot(EntryKind::TakeBack, Account::Issued, currency, lot, taken);
                self.effect(effect(EffectKind::TakenBack, taken.get()));
            }
            for (other, amount) in fill.instead {
                let back = self.coming_home(currency, &other, points(amount), false);
                for (to, amount, kind) in [
                    (Account::Debt, back.to_debt, EffectKind::DebtRepaid),
                    (Account::Active, back.to_lot, EffectKind::Restored),
                ] {
                    self.restore(currency, Some(&other), amount, to);
                    if !amount.is_zero() {
                        self.effect(effect(kind, amount.get()));
                    }
                }
                self.give_back_instead(currency, &other, back, false);
            }
        }
    }

    fn restore(&mut self, currency: &Id, lot: Option<&LotRef>, amount: Points, to: Account) {
        let expires_at = lot.and_then(|lot| lot.last_day).map(|day| self.program.calendar.end(day));
        let posting = Posting { currency, amount, lot: lot.cloned(), expires_at, campaign: None };
        self.post(EntryKind::Restoration, Account::Issued, to, posting);
    }

    /// What orders that came back owe, as far as nothing has repaid it.
    pub(super) fn owed_for_shortfalls(&self, currency: &Id) -> i64 {
        self.state.shortfalls.iter().filter(|known| known.currency == *currency).map(Shortfall::may_be_repaid).sum()
    }

    /// Debt is repaid: what an order owed of it is from now on taken from where the points would have gone.
    pub(super) fn repay_shortfalls(&mut self, entry: &Entry) {
        let repaying = self.repaying.take();
        if entry.to != Account::Debt || self.state.shortfalls.is_empty() {
            return;
        }
        let currency = &entry.currency;
        let known: Vec<Shortfall> =
            self.state.shortfalls.iter().filter(|known| known.currency == *currency).cloned().collect();
        let mut repaid = self.owed_for_shortfalls(currency) - self.owed(currency).get();
        let lot = repaying.or_else(|| entry.lot.clone()).unwrap_or_else(|| LotRef {
            last_day: self.program.currency(currency.as_str()).and_then(|definition| {
                super::expiry::last_day(&self.program, &definition.expires, self.day()).map(|(day, _)| day)
            }),
            ..LotRef::default()
        });
        let lot = LotRef { order: None, ..lot };
        for mut known in known {
            let part = repaid.min(known.may_be_repaid());
            if part <= 0 {
                continue;
            }
            repaid -= part;
            let own = part.min(known.short_of(&lot));
            known.owed -= part;
            if entry.kind == EntryKind::WriteOff {
                known.forgiven += part;
            } else {
                if own > 0 {
                    known.found(&lot, own, false);
                }
                known.instead.extend((part > own).then(|| (lot.clone(), part - own)));
            }
            self.change(Change::Shortfall { shortfall: known });
        }
    }
}
