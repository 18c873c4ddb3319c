//! The search for the vouchers and member prices that save most: every combination, but for those that cannot be better
//! than two that are known.
//!
//! What bounds it: [`VOUCHERS_TRIED_MAX`] vouchers, [`PRICES_TRIED_MAX`] member prices and [`WORK_MAX`] steps. Within
//! these the best is proven; beyond them it is the best that was found.

use std::cmp::Reverse;

use super::best::{goods, paid};
use crate::decide::voucher::{VoucherLook, price_vouchers};
use crate::event::Order;
use crate::program::{Id, Program, Stacks, Voucher};
use crate::quantity::Amount;
use crate::time::Instant;
use crate::voucher::{CodeRecord, Left, VOUCHERS_MAX};

/// Vouchers of which every combination is looked at.
pub const VOUCHERS_TRIED_MAX: usize = 12;

/// Member prices that are each taken or left: so many double the work so many times.
pub const PRICES_TRIED_MAX: usize = 4;

/// Vouchers that are taken off in the course of one search: some milliseconds.
pub const WORK_MAX: u32 = 5_000;

/// A code that may be used on the cart.
pub(super) struct Usable<'a> {
    pub record: &'a CodeRecord,
    pub rules: &'a Program,
    pub terms: &'a Voucher,
    /// How many codes of this voucher the member may use.
    pub room: usize,
    /// Its condition reads what is paid: only a whole combination tells whether it holds.
    pub late: bool,
    /// The one before it is the same but for the code: this one is taken only beside it.
    pub twin: bool,
}

/// The cart at some of its member prices.
pub(super) struct Variant {
    pub prices: Vec<usize>,
    pub order: Order,
    /// What the prices take off.
    pub off: Amount,
    /// What each voucher takes alone; `None` where it may not be used.
    pub alone: Vec<Option<Amount>>,
}

/// A combination that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub saving: Amount,
    pub variant: usize,
    pub prices: Vec<usize>,
    /// In their turn.
    pub vouchers: Vec<usize>,
}

pub(super) struct Search<'a> {
    pub look: &'a VoucherLook<'a>,
    pub program: &'a Program,
    /// As it was asked about, without vouchers.
    pub order: &'a Order,
    pub usable: &'a [Usable<'a>],
    pub variants: &'a [Variant],
    /// The best and the next, best first.
    pub top: Vec<Found>,
    pub work: u32,
}

/// What one combination has taken so far.
struct Taken<'v> {
    left: Left<'v>,
    vouchers: Vec<usize>,
    goods: Amount,
    shipping: Amount,
}

impl<'a> Search<'a> {
    /// Looks at every combination. Whether that was possible.
    pub fn run(&mut self) -> bool {
        let variants = self.variants;
        for place in 0..variants.len() {
            let mut taken = self.nothing(place);
            self.offer(place, &taken);
            self.deeper(place, &mut taken, 0);
        }
        let proven = self.work < WORK_MAX;
        if !proven {
            (0..variants.len()).for_each(|place| self.greedy(place));
        }
        proven
    }

    fn nothing(&self, variant: usize) -> Taken<'a> {
        let decimals = u32::try_from(self.program.money.decimals()).unwrap_or_default();
        Taken {
            left: Left::of(&self.variants[variant].order, &self.program.prices, decimals),
            vouchers: Vec::new(),
            goods: Amount::ZERO,
            shipping: Amount::ZERO,
        }
    }

    /// Every combination that goes on with vouchers from a place on.
    fn deeper(&mut self, variant: usize, taken: &mut Taken<'a>, from: usize) {
        for next in from..self.usable.len() {
            if self.work >= WORK_MAX || self.cannot_be_better(variant, taken, next) {
                return;
            }
            if let Some(mut more) = self.with(variant, taken, next) {
                self.offer(variant, &more);
                self.deeper(variant, &mut more, next + 1);
            }
        }
    }

    /// What was taken with one voucher more, whose turn is after all of them; `None` where it may not be, or takes
    /// nothing.
    fn with(&mut self, variant: usize, taken: &Taken<'a>, next: usize) -> Option<Taken<'a>> {
        let voucher = &self.usable[next];
        self.variants[variant].alone[next]?;
        let is_one = |place: &&usize| self.usable[**place].record.voucher == voucher.record.voucher;
        let fits = taken.vouchers.len() < VOUCHERS_MAX
            && (!voucher.twin || taken.vouchers.last() == Some(&(next - 1)))
            && taken.vouchers.iter().filter(is_one).count() < voucher.room
            && taken.vouchers.iter().all(|place| self.go_together(*place, next));
        if !fits {
            return None;
        }
        self.work += 1;
        let mut left = taken.left.clone();
        let discount = left.take(voucher.terms)?;
        let goods: Amount = discount.lines.iter().copied().sum();
        if discount.total().is_zero() {
            return None;
        }
        let mut vouchers = taken.vouchers.clone();
        vouchers.push(next);
        Some(Taken { left, vouchers, goods: taken.goods + goods, shipping: taken.shipping + discount.shipping })
    }

    pub fn go_together(&self, one: usize, other: usize) -> bool {
        self.stacks(one).goes_with(self.stacks(other))
    }

    fn stacks(&self, place: usize) -> &'a Stacks {
        &self.usable[place].terms.definition.stacks
    }

    /// Whether nothing that goes on from here can save more than what is known: no voucher takes more than it takes
    /// alone, for what is left of lines and shipping only gets less.
    fn cannot_be_better(&self, variant: usize, taken: &Taken<'a>, from: usize) -> bool {
        let [_, second] = self.top.as_slice() else { return false };
        let mut groups: Vec<(&Option<Id>, Amount)> = Vec::new();
        let (mut sum, mut lone) = (Amount::ZERO, Amount::ZERO);
        for place in from..self.usable.len() {
            let Some(alone) = self.variants[variant].alone[place] else { continue };
            if !taken.vouchers.iter().all(|known| self.go_together(*known, place)) {
                continue;
            }
            match self.stacks(place) {
                Stacks::Never => lone = lone.max(alone),
                Stacks::Always => sum += alone,
                Stacks::Exclusive { group } => match groups.iter_mut().find(|(known, _)| *known == group) {
                    Some((_, most)) => *most = (*most).max(alone),
                    None => groups.push((group, alone)),
                },
            }
        }
        let more = lone.max(sum + groups.into_iter().map(|(_, most)| most).sum());
        let off = self.variants[variant].off + taken.goods + taken.shipping + more;
        off.min(goods(self.order) + self.order.shipping) < second.saving
    }

    fn offer(&mut self, variant: usize, taken: &Taken<'_>) {
        let (saving, prices) = (self.saving(variant, taken), self.variants[variant].prices.clone());
        let found = Found { saving, variant, prices, vouchers: taken.vouchers.clone() };
        let is_worse = matches!(self.top.as_slice(), [_, second] if self.rank(second) <= self.rank(&found));
        if is_worse || self.top.contains(&found) {
            return;
        }
        if found.vouchers.iter().any(|place| self.usable[*place].late) && !self.can_be_had(&found, taken) {
            return;
        }
        self.top.push(found);
        let mut top = std::mem::take(&mut self.top);
        top.sort_by(|one, other| self.rank(one).cmp(&self.rank(other)));
        top.truncate(2);
        self.top = top;
    }

    fn saving(&self, variant: usize, taken: &Taken<'_>) -> Amount {
        let off = self.variants[variant].off + taken.goods;
        off.min(goods(self.order)) + taken.shipping.min(self.order.shipping)
    }

    /// As the purchase itself would be judged.
    fn can_be_had(&self, found: &Found, taken: &Taken<'_>) -> bool {
        let variant = &self.variants[found.variant];
        let order = self.paid(variant, (taken.goods, taken.shipping), &found.vouchers);
        price_vouchers(self.look, &order).is_ok()
    }

    /// The order as it is paid with vouchers that take so much off goods and shipping.
    pub fn paid(&self, variant: &Variant, (goods_off, shipping_off): (Amount, Amount), vouchers: &[usize]) -> Order {
        let codes = vouchers.iter().map(|place| self.usable[*place].record.code.clone()).collect();
        let items = variant.order.items.clone();
        paid(self.program, self.order, (variant.off, goods_off, shipping_off), (items, codes))
    }

    /// C4: the most that is saved; of equal ones with the fewest vouchers, then with the fewest member prices, then those
    /// that expire first, then by name and code. Nothing in it depends on when or where it is asked.
    fn rank(&self, found: &Found) -> Rank<'a> {
        let usable = self.usable;
        let records = || found.vouchers.iter().map(move |place| usable[*place].record);
        let mut expiries: Vec<Instant> = records().map(|record| record.expires_at.unwrap_or(Instant::MAX)).collect();
        expiries.sort_unstable();
        let mut names: Vec<(&'a Id, &'a str)> =
            records().map(|record| (&record.voucher, record.code.as_str())).collect();
        names.sort_unstable();
        (Reverse(found.saving), found.vouchers.len(), found.prices.clone(), expiries, names)
    }

    /// Adds the voucher that saves most, as long as one does.
    fn greedy(&mut self, variant: usize) {
        let mut chosen = self.nothing(variant);
        loop {
            let mut best: Option<Taken<'a>> = None;
            for next in (0..self.usable.len()).filter(|next| !chosen.vouchers.contains(next)) {
                let mut set: Vec<usize> = chosen.vouchers.iter().copied().chain([next]).collect();
                set.sort_unstable();
                let Some(taken) = self.all_of(variant, &set) else { continue };
                let saved = |taken: &Taken<'_>| taken.goods + taken.shipping;
                if saved(&taken) > best.as_ref().map_or(saved(&chosen), saved) {
                    best = Some(taken);
                }
            }
            let Some(taken) = best else { return };
            self.offer(variant, &taken);
            chosen = taken;
        }
    }

    fn all_of(&mut self, variant: usize, set: &[usize]) -> Option<Taken<'a>> {
        let mut taken = self.nothing(variant);
        for next in set {
            taken = self.with(variant, &taken, *next)?;
        }
        Some(taken)
    }

    /// What a combination takes off goods and shipping.
    pub fn taken_of(&mut self, found: &Found) -> (Amount, Amount) {
        let taken = self.all_of(found.variant, &found.vouchers);
        taken.map_or((Amount::ZERO, Amount::ZERO), |taken| (taken.goods, taken.shipping))
    }

    /// What a combination would save in all.
    pub fn saving_of(&mut self, variant: usize, set: &[usize]) -> Option<Amount> {
        let taken = self.all_of(variant, set)?;
        Some(self.saving(variant, &taken))
    }
}

/// What is compared, the better first.
type Rank<'a> = (Reverse<Amount>, usize, Vec<usize>, Vec<Instant>, Vec<(&'a Id, &'a str)>);
