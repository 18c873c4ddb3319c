//! What vouchers take off an order, line by line: pure, so that a quote can try one set after the other.

use compact_str::CompactString;
use rust_decimal::Decimal;

use crate::event::Order;
use std::collections::BTreeMap;

use crate::program::{Id, ItemChoice, PercentOf, Price, Stacks, Voucher};
use crate::quantity::{Amount, Rounding, apportion};

/// A voucher somebody wants to use on an order.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub code: &'a str,
    pub id: &'a Id,
    pub voucher: &'a Voucher,
}

/// What one voucher takes off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discount {
    /// By line, in the order's own order; of an order without lines, of its goods.
    pub lines: Vec<Amount>,
    pub shipping: Amount,
}

impl Discount {
    pub fn total(&self) -> Amount {
        self.lines.iter().copied().sum::<Amount>() + self.shipping
    }
}

/// Why vouchers cannot be used on an order as it is; the numbers are places in the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Two do not go together (C3).
    DoNotCombine(usize, usize),
    /// Nothing on the order is what it is for.
    MatchesNothing(usize),
}

/// The category of lines that sell gift cards: nothing is taken off money, unless a voucher says so.
const GIFT_CARD: &str = "gift_card";

/// What the goods of an order are worth before any discount.
///
/// Tills send the lines before a discount on the whole order, or after it; the larger is the worth.
pub fn worth(order: &Order) -> Amount {
    let lines: Amount = order.items.iter().map(|item| item.amount).sum();
    let paid = order.total - order.shipping - order.tip + order.discount;
    lines.max(paid).max(Amount::ZERO)
}

/// What each candidate takes off the order, in the candidates' own places. They are worked out by priority, then name,
/// then code, so that every channel gets the same (C3, C4). Lines at one of the member prices `prices` are for vouchers
/// that the price goes together with; `decimals` are those of the order's currency.
///
/// The lines of a discount sum to it (M3), and together no line loses more than it is worth.
///
/// # Errors
/// The first two that do not go together, or the first that is about nothing on the order.
pub fn discounts(
    order: &Order,
    prices: &BTreeMap<Id, Price>,
    candidates: &[Candidate<'_>],
    decimals: u32,
) -> Result<Vec<Discount>, Conflict> {
    for (place, one) in candidates.iter().enumerate() {
        for (other_place, other) in candidates.iter().enumerate().skip(place + 1) {
            if !one.voucher.definition.stacks.goes_with(&other.voucher.definition.stacks) {
                return Err(Conflict::DoNotCombine(place, other_place));
            }
        }
    }
    let mut turns: Vec<usize> = (0..candidates.len()).collect();
    turns.sort_by_key(|place| turn(&candidates[*place]));
    let mut left = Left::of(order, prices, decimals);
    let mut found = vec![Discount::default(); candidates.len()];
    for place in turns {
        found[place] = left.take(candidates[place].voucher).ok_or(Conflict::MatchesNothing(place))?;
    }
    Ok(found)
}

/// When it is a voucher's turn: by priority, then name, then code.
fn turn<'a>(candidate: &Candidate<'a>) -> (std::cmp::Reverse<i32>, &'a Id, &'a str) {
    (std::cmp::Reverse(candidate.voucher.definition.priority), candidate.id, candidate.code)
}

/// What is left of an order's lines while vouchers take from them.
#[derive(Clone)]
pub(crate) struct Left<'a> {
    order: &'a Order,
    original: Vec<Amount>,
    lines: Vec<Amount>,
    /// With which vouchers the member price of a line goes together.
    beside: Vec<Option<&'a Stacks>>,
    shipping: Amount,
    decimals: u32,
}

impl<'a> Left<'a> {
    pub(crate) fn of(order: &'a Order, prices: &'a BTreeMap<Id, Price>, decimals: u32) -> Self {
        let lines: Vec<Amount> = match order.items.as_slice() {
            [] => vec![worth(order)],
            items => items.iter().map(|item| item.amount.max(Amount::ZERO)).collect(),
        };
        let price = |item: &crate::event::Item| Some(&prices.get(item.member_price.as_deref()?)?.definition.stacks);
        let beside = order.items.iter().map(price).collect();
        // What is taken off the shipping is told to the voucher again that took it.
        let shipping = (order.shipping + order.shipping_discount).max(Amount::ZERO);
        Self { order, original: lines.clone(), lines, beside, shipping, decimals }
    }

    /// What a voucher takes of what is left; `None` where no line is one that it is for.
    pub(crate) fn take(&mut self, voucher: &Voucher) -> Option<Discount> {
        let gives = &voucher.definition.gives;
        let rounding = voucher.definition.rounding;
        let mut discount = Discount { lines: vec![Amount::ZERO; self.lines.len()], shipping: Amount::ZERO };
        let meant: Vec<usize> = (0..self.lines.len()).filter(|line| self.is_meant(*line, voucher)).collect();
        let takes_goods = gives.amount_off.is_some() || gives.percent_off.is_some() || gives.free_item.is_some();
        if takes_goods && meant.is_empty() {
            return None;
        }
        let up_to = gives.up_to.and_then(|most| Amount::try_from(most.0).ok());
        let capped = |amount: Amount| up_to.map_or(amount, |most| amount.min(most));
        if let Some(percent) = gives.percent_off {
            let of = match voucher.definition.percent_of {
                PercentOf::Remaining => &self.lines,
                PercentOf::Original => &self.original,
            };
            let whole: Amount = meant.iter().map(|line| of[*line]).sum();
            let part = whole.to_decimal().checked_mul(percent.0).unwrap_or_default() / Decimal::ONE_HUNDRED;
            self.spread(capped(self.rounded(part, rounding)), &meant, &mut discount);
        } else if let Some(amount) = gives.amount_off.and_then(|amount| Amount::try_from(amount.0).ok()) {
            self.spread(amount, &meant, &mut discount);
        } else if let Some(choice) = &gives.free_item {
            self.free_unit(choice, &meant, rounding, &mut discount);
        }
        if gives.frees_shipping() {
            discount.shipping = if takes_goods { self.shipping } else { capped(self.shipping) };
            self.shipping -= discount.shipping;
        }
        Some(discount)
    }

    fn is_meant(&self, line: usize, voucher: &Voucher) -> bool {
        let choice = voucher.definition.gives.choice();
        let Some(item) = self.order.items.get(line) else { return choice.is_none() };
        let sells_money = item.category.as_deref() == Some(GIFT_CARD);
        let named = choice.is_some_and(|choice| choice.category.as_deref() == Some(GIFT_CARD));
        let allowed = self.beside[line].is_none_or(|price| price.goes_with(&voucher.definition.stacks));
        allowed && choice.is_none_or(|choice| choice.means(item)) && (!sells_money || named)
    }

    fn rounded(&self, amount: Decimal, rounding: Rounding) -> Amount {
        let units = Decimal::from(10_i64.pow(self.decimals.min(6)));
        let whole = rounding.whole(amount.checked_mul(units).unwrap_or_default());
        Amount::from_millionths(i128::from(whole) * 10_i128.pow(6 - self.decimals.min(6)))
    }

    /// Takes at most so much off these lines, by largest remainder over what is left of them (M3).
    fn spread(&mut self, wanted: Amount, lines: &[usize], discount: &mut Discount) {
        let there: Amount = lines.iter().map(|line| self.lines[*line]).sum();
        let whole = wanted.min(there);
        if whole.is_zero() {
            return;
        }
        let left: Vec<Amount> = lines.iter().map(|line| self.lines[*line]).collect();
        let unit = Amount::finest_digit(left.iter().copied().chain([whole]));
        let weights: Vec<i128> = left.iter().map(|amount| amount.millionths() / unit).collect();
        for (line, part) in lines.iter().zip(apportion(whole.millionths() / unit, &weights)) {
            let part = Amount::from_millionths(part * unit);
            self.lines[*line] -= part;
            discount.lines[*line] += part;
        }
    }

    /// One unit of the line whose unit is dearest; of two the first.
    fn free_unit(&mut self, choice: &ItemChoice, lines: &[usize], rounding: Rounding, discount: &mut Discount) {
        let unit = |line: usize| {
            let quantity = self.order.items.get(line).map_or(Amount::whole(1), |item| item.quantity);
            if quantity <= Amount::whole(1) {
                return self.lines[line];
            }
            let exact = self.lines[line].to_decimal().checked_div(quantity.to_decimal()).unwrap_or_default();
            self.rounded(exact, rounding).min(self.lines[line])
        };
        let dearest = lines.iter().copied().max_by_key(|line| (unit(*line), std::cmp::Reverse(*line)));
        let Some(line) = dearest else { return };
        let up_to = choice.up_to.and_then(|most| Amount::try_from(most.0).ok());
        let free = up_to.map_or(unit(line), |most| unit(line).min(most));
        self.lines[line] -= free;
        discount.lines[line] += free;
    }
}

/// Lines by the names they have on the receipt, those without a part left out.
pub(crate) fn named_lines(order: &Order, lines: &[Amount]) -> Vec<(CompactString, Amount)> {
    let parts = lines.iter().enumerate().filter(|(place, part)| !part.is_zero() && *place < order.items.len());
    parts.map(|(place, part)| (order.line_name(place), *part)).collect()
}
