use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::data::FieldValues;
use crate::id::EventId;
use crate::program::{Base, DiscountBase, FieldKind};
use crate::quantity::{Amount, apportion};

/// The most lines one order may have: real wholesale invoices reach 700.
pub const ITEMS_MAX: usize = 1_000;

/// What expressions may read of a purchase: name, type, whether it may be missing.
pub const PURCHASE_FIELDS: [(&str, FieldKind, bool); 12] = [
    ("order_id", FieldKind::Text, false),
    ("currency", FieldKind::Text, false),
    ("total", FieldKind::Number, false),
    ("tax", FieldKind::Number, false),
    ("shipping", FieldKind::Number, false),
    ("shipping_discount", FieldKind::Number, false),
    ("tip", FieldKind::Number, false),
    ("discount", FieldKind::Number, false),
    ("location", FieldKind::Text, true),
    ("channel", FieldKind::Text, true),
    ("staff", FieldKind::Text, true),
    ("payment_method", FieldKind::Text, true),
];

/// What expressions may read of one line.
pub const ITEM_FIELDS: [(&str, FieldKind, bool); 9] = [
    ("line", FieldKind::Text, true),
    ("sku", FieldKind::Text, true),
    ("name", FieldKind::Text, true),
    ("category", FieldKind::Text, true),
    ("brand", FieldKind::Text, true),
    ("quantity", FieldKind::Number, false),
    ("unit_price", FieldKind::Number, true),
    ("amount", FieldKind::Number, false),
    ("member_price", FieldKind::Text, true),
];

/// A purchase: what was bought and paid.
///
/// `total` is what the customer owes, after discount, with tax, shipping and tip. The lines' amounts are before a
/// discount on the whole order where they add up to more than the goods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub order_id: CompactString,
    pub currency: CompactString,
    /// One unit of `currency` in the program's currency, where they differ (M5).
    pub exchange_rate: Option<rust_decimal::Decimal>,
    pub total: Amount,
    pub tax: Amount,
    pub shipping: Amount,
    /// What was taken off the shipping; `shipping` is what is left of it.
    pub shipping_discount: Amount,
    pub tip: Amount,
    pub discount: Amount,
    pub location: Option<CompactString>,
    pub channel: Option<CompactString>,
    pub staff: Option<CompactString>,
    pub payments: Vec<Payment>,
    pub items: Vec<Item>,
    /// Codes of vouchers that are used on it, as they are looked up.
    pub vouchers: Vec<CompactString>,
    /// Fields that the program declares.
    pub extra: FieldValues,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub method: CompactString,
    pub amount: Amount,
    /// The redemption whose points paid: they come back with the order (R7).
    pub redemption: Option<EventId>,
}

impl Payment {
    /// The redemption whose points paid: the member's own, or of the pool of their household.
    pub fn by_points(&self) -> Option<EventId> {
        self.redemption.filter(|_| self.by_gift_card().is_none())
    }

    /// The redemption of the gift card that paid.
    pub fn by_gift_card(&self) -> Option<EventId> {
        self.redemption.filter(|_| self.method == GIFT_CARD)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub line: Option<CompactString>,
    pub sku: Option<CompactString>,
    pub name: Option<CompactString>,
    pub category: Option<CompactString>,
    pub brand: Option<CompactString>,
    pub quantity: Amount,
    pub unit_price: Option<Amount>,
    pub amount: Amount,
    /// The member price that `amount` is at: vouchers keep off it, unless it allows them (C3).
    pub member_price: Option<CompactString>,
    pub extra: FieldValues,
}

/// The category of lines that sell gift cards, and the payment methods with rules of their own (M4).
pub(super) const GIFT_CARD: &str = "gift_card";
pub(super) const POINTS: &str = "points";

impl Order {
    /// The name returns use for a line: its own, else its place from 1.
    pub fn line_name(&self, index: usize) -> CompactString {
        match self.items.get(index).and_then(|item| item.line.clone()) {
            Some(line) => line,
            None => compact_str::format_compact!("{}", index + 1),
        }
    }

    /// What is left of the order when `returned` units of each line are taken out (R1).
    ///
    /// Tax, discount and payments shrink with the goods (M3: by largest remainder over the lines); shipping and tip
    /// stay until everything is returned, when nothing is left at all (R2).
    #[must_use]
    pub fn without(&self, returned: &Returned) -> Self {
        if returned.everything {
            return self.emptied();
        }
        if returned.lines.iter().all(|units| units.is_zero()) {
            return self.clone();
        }
        // A line without units, or one that corrects another, stays until everything is returned.
        let left = |index: usize, amount: Amount| {
            let (bought, back) = (self.items[index].quantity, returned.units(index));
            if bought <= Amount::ZERO {
                amount
            } else {
                amount.portion((bought - back).millionths(), bought.millionths())
            }
        };
        let kept = |whole: Amount| -> Amount {
            let parts = self.over_lines(whole);
            parts.into_iter().enumerate().map(|(index, part)| left(index, part)).sum()
        };
        let mut rest = self.clone();
        let goods = self.total - self.shipping - self.tip;
        let goods_left = kept(goods);
        rest.total = goods_left + self.shipping + self.tip;
        rest.tax = kept(self.tax);
        rest.discount = kept(self.discount);
        for payment in &mut rest.payments {
            payment.amount = payment.amount.portion(rest.total.millionths(), self.total.millionths());
        }
        for (index, item) in rest.items.iter_mut().enumerate() {
            if !self.items[index].quantity.is_zero() {
                item.amount = left(index, self.items[index].amount);
                item.quantity -= returned.units(index);
            }
        }
        let mut index = 0;
        rest.items.retain(|item| {
            index += 1;
            !item.quantity.is_zero() || self.items[index - 1].quantity.is_zero()
        });
        rest
    }

    fn emptied(&self) -> Self {
        Self {
            total: Amount::ZERO,
            tax: Amount::ZERO,
            shipping: Amount::ZERO,
            shipping_discount: Amount::ZERO,
            tip: Amount::ZERO,
            discount: Amount::ZERO,
            payments: Vec::new(),
            items: Vec::new(),
            ..self.clone()
        }
    }

    /// What a rule's base settings leave of the order (M4), never below zero.
    pub fn net(&self, base: &Base) -> Amount {
        let mut net = self.total;
        let mut leave_out = |counts: bool, amount: Amount| {
            if !counts {
                net -= amount;
            }
        };
        leave_out(base.tax, self.tax);
        leave_out(base.shipping, self.shipping);
        leave_out(base.tips, self.tip);
        leave_out(base.paid_with_gift_card, self.paid_with(GIFT_CARD));
        leave_out(base.paid_with_points, self.paid_with(POINTS));
        if !base.gift_cards_sold {
            let sold = self.items.iter().filter(|item| item.category.as_deref() == Some(GIFT_CARD));
            net -= sold.map(|item| item.amount).sum();
        }
        if base.discount == DiscountBase::Before {
            net += self.discount;
        }
        net.max(Amount::ZERO)
    }

    /// The order's net amount spread over its lines by largest remainder (M3); the parts sum to the whole.
    pub fn net_by_line(&self, base: &Base) -> Vec<Amount> {
        self.over_lines(self.net(base))
    }

    /// An amount spread over the lines by their amounts: exactly theirs where it is their sum.
    fn over_lines(&self, whole: Amount) -> Vec<Amount> {
        let sum: Amount = self.items.iter().map(|item| item.amount).sum();
        if whole == sum {
            return self.items.iter().map(|item| item.amount).collect();
        }
        let weights: Vec<i128> = self.items.iter().map(|item| item.amount.millionths()).collect();
        // Shares are cut at the finest digit the order itself uses, so that they are amounts of its currency.
        let unit = Amount::finest_digit(self.items.iter().map(|item| item.amount).chain([whole]));
        let shares = apportion(whole.millionths() / unit, &weights);
        shares.into_iter().map(|share| Amount::from_millionths(share * unit)).collect()
    }

    fn paid_with(&self, method: &str) -> Amount {
        self.payments.iter().filter(|payment| payment.method == method).map(|payment| payment.amount).sum()
    }

    /// Every amount in the program's currency, at `rate` program units for one of the order's (M5).
    #[must_use]
    pub fn converted(&self, rate: rust_decimal::Decimal) -> Self {
        let convert = |amount: &mut Amount| {
            let product = amount.to_decimal().checked_mul(rate).map(|product| product.round_dp(6));
            *amount = product.and_then(|product| Amount::try_from(product).ok()).unwrap_or(*amount);
        };
        let mut order = self.clone();
        let Self { total, tax, shipping, shipping_discount, tip, discount, .. } = &mut order;
        [total, tax, shipping, shipping_discount, tip, discount].into_iter().for_each(convert);
        order.payments.iter_mut().for_each(|payment| convert(&mut payment.amount));
        for item in &mut order.items {
            convert(&mut item.amount);
            item.unit_price.iter_mut().for_each(convert);
        }
        order
    }
}

/// Units of an order's lines that have come back so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Set when the whole order was returned at once, lines or none.
    pub everything: bool,
    /// By line, in the order's own order.
    pub lines: Vec<Amount>,
}

impl Returned {
    /// Whether nothing has come back yet.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.lines.iter().all(|units| units.is_zero())
    }

    pub fn units(&self, index: usize) -> Amount {
        self.lines.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn order(lines: &[(&str, &str)], total: &str) -> Order {
        let items = lines.iter().map(|(quantity, price)| Item {
            quantity: amount(quantity),
            amount: amount(price),
            ..Item::default()
        });
        Order { items: items.collect(), total: amount(total), ..Order::default() }
    }

    #[test]
    fn m3_a_discount_is_spread_by_largest_remainder() {
        let three = Order { discount: amount("1"), ..order(&[("1", "1"), ("1", "1"), ("1", "1")], "2") };
        let parts = three.net_by_line(&Base::default());
        assert_eq!(parts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "1", "0"]);
        assert_eq!(parts.into_iter().sum::<Amount>(), amount("2"));
    }

    #[test]
    fn m3_everything_off_leaves_exactly_nothing() {
        let free = Order { discount: amount("9.99"), ..order(&[("3", "9.99")], "0") };
        assert_eq!(free.net(&Base::default()), Amount::ZERO);
    }

    #[test]
    fn m4_each_part_counts_as_set() {
        let mut sale = order(&[("1", "80"), ("1", "20")], "130");
        sale.items[1].category = Some("gift_card".into());
        (sale.tax, sale.shipping, sale.tip, sale.discount) = (amount("10"), amount("15"), amount("5"), amount("7"));
        sale.payments = vec![
            Payment { method: "gift_card".into(), amount: amount("30"), redemption: None },
            Payment { method: "points".into(), amount: amount("12"), redemption: None },
        ];
        let net = |change: fn(&mut Base)| {
            let mut base = Base::default();
            change(&mut base);
            sale.net(&base).to_string()
        };
        assert_eq!(net(|_| ()), "68", "130 - tax 10 - shipping 15 - tip 5 - gift card sold 20 - points 12");
        assert_eq!(net(|base| base.tax = true), "78");
        assert_eq!(net(|base| base.shipping = true), "83");
        assert_eq!(net(|base| base.tips = true), "73");
        assert_eq!(net(|base| base.gift_cards_sold = true), "88");
        assert_eq!(net(|base| base.paid_with_gift_card = false), "38");
        assert_eq!(net(|base| base.paid_with_points = true), "80");
        assert_eq!(net(|base| base.discount = DiscountBase::Before), "75");
    }

    #[test]
    fn m5_foreign_amounts_are_converted_exactly() {
        let sale = order(&[("1", "1.10"), ("2", "2.20")], "3.30");
        let converted = sale.converted("25000".parse().unwrap());
        assert_eq!(converted.total, amount("82500"));
        assert_eq!(converted.items[0].amount, amount("27500"));
    }

    #[test]
    fn r1_what_is_left_depends_only_on_the_units_not_on_the_steps() {
        let sale = Order { tax: amount("1"), shipping: amount("2"), ..order(&[("3", "10"), ("2", "7")], "19") };
        let left = |lines: &[&str]| {
            sale.without(&Returned { everything: false, lines: lines.iter().map(|text| amount(text)).collect() })
        };
        assert_eq!(left(&["0", "0"]), sale);
        let one = left(&["1", "0"]);
        assert_eq!(one.items[0].quantity, amount("2"));
        assert_eq!(one.shipping, amount("2"));
        let all = sale.without(&Returned { everything: true, lines: vec![] });
        assert_eq!((all.total, all.items.len()), (Amount::ZERO, 0));
    }
}
