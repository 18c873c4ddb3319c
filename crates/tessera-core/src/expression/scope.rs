//! The values an expression reads, built once for an event and only as far as its program's rules read them.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use zen_expression::Scope;
use zen_expression::variable::{Variable, VariableMap};

use super::{Fact, FactValue, Facts, FieldOf};
use crate::event::{FieldValue, Item, Order};
use crate::time::{Calendar, Instant};

/// The fields that expressions read of an event and of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFields {
    pub event: BTreeSet<String>,
    /// Whether there are lines at all.
    pub items: bool,
    /// Whether lines are read as a whole, and not only those fields of one that `item` has.
    pub whole_items: bool,
    pub item: BTreeSet<String>,
    /// Whether `item` is read, as a whole or a field of it.
    pub line: bool,
    pub now: bool,
}

impl EventFields {
    pub(super) fn read_by(paths: &[Vec<&str>]) -> Self {
        let mut fields = Self::default();
        for path in paths {
            fields.line |= path.first() == Some(&"item");
            match path.as_slice() {
                ["item", field, ..] => {
                    fields.items = true;
                    fields.item.insert((*field).to_owned());
                }
                ["event", "items", ..] | ["item"] => (fields.items, fields.whole_items) = (true, true),
                ["event", field, ..] => {
                    fields.event.insert((*field).to_owned());
                }
                ["event"] => {
                    (fields.items, fields.whole_items) = (true, true);
                    fields.event.insert("net".to_owned());
                }
                ["now", ..] => fields.now = true,
                _ => {}
            }
        }
        fields
    }

    pub fn merge(&mut self, other: &Self) {
        self.event.extend(other.event.iter().cloned());
        self.items |= other.items;
        self.whole_items |= other.whole_items;
        self.item.extend(other.item.iter().cloned());
        self.line |= other.line;
        self.now |= other.now;
    }
}

/// The roots of one event, for all rules that look at it.
pub struct EventScope {
    scope: Scope,
    items: Vec<Variable>,
    reads_net: bool,
}

impl std::fmt::Debug for EventScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventScope").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl EventScope {
    /// `data` are the event's own fields; an order adds those of a purchase.
    pub fn new(
        fields: &EventFields,
        order: Option<&Order>,
        data: &[(compact_str::CompactString, FieldValue)],
        facts: &Facts,
        now: Option<(&Calendar, Instant)>,
    ) -> Self {
        let mut event = VariableMap::new();
        let mut items = Vec::new();
        if let Some(order) = order {
            for name in &fields.event {
                event.insert_str(name, order_field(order, name));
            }
            if fields.items {
                items = order.items.iter().map(|line| item(line, fields)).collect();
                event.insert_str("items", Variable::from_array(items.clone()));
            }
        }
        for (name, value) in data {
            event.insert_str(name, field(value));
        }
        let mut root = VariableMap::new();
        root.insert_str("event", Variable::from_object(event));
        root.insert_str("member", member(facts));
        if let (true, Some((calendar, instant))) = (fields.now, now) {
            root.insert_str("now", wall_clock(calendar, instant));
        }
        Self { scope: Scope::new(Variable::from_object(root)), items, reads_net: fields.event.contains("net") }
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Tells the texts of a field: the event's, or that of each of its lines.
    pub fn each_text(&self, of: FieldOf, field: &str, mut tell: impl FnMut(&str)) {
        let mut tell_of = |fields: &Variable| {
            if let Variable::Object(fields) = fields
                && let Some(Variable::String(text)) = fields.borrow().get_str(field)
            {
                tell(text.as_str());
            }
        };
        match of {
            FieldOf::Event => self.scope.get_str("event").iter().for_each(tell_of),
            FieldOf::Line => self.items.iter().for_each(&mut tell_of),
        }
    }

    /// Whether any expression reads `event.net`; where none does it need not be set.
    pub fn reads_net(&self) -> bool {
        self.reads_net
    }

    /// Sets `event.net`, which depends on what a rule counts (M4).
    pub fn set_net(&self, net: Decimal) {
        if let Some(Variable::Object(event)) = self.scope.get_str("event") {
            event.borrow_mut().insert_str("net", Variable::Number(net));
        }
    }

    /// The scope with `item` set to one line.
    pub fn with_item(&mut self, index: usize) -> &Scope {
        if let Some(item) = self.items.get(index) {
            self.scope.set_local("item".into(), item.clone());
        }
        &self.scope
    }
}

fn order_field(order: &Order, name: &str) -> Variable {
    let text = |value: &Option<compact_str::CompactString>| value.as_ref().map_or(Variable::Null, |text| string(text));
    let amount = |value: crate::quantity::Amount| Variable::Number(value.to_decimal());
    match name {
        "order_id" => string(&order.order_id),
        "currency" => string(&order.currency),
        "total" => amount(order.total),
        "tax" => amount(order.tax),
        "shipping" => amount(order.shipping),
        "shipping_discount" => amount(order.shipping_discount),
        "tip" => amount(order.tip),
        "discount" => amount(order.discount),
        "location" => text(&order.location),
        "channel" => text(&order.channel),
        "staff" => text(&order.staff),
        "payment_method" => order.payments.first().map_or(Variable::Null, |payment| string(&payment.method)),
        _ => Variable::Null,
    }
}

/// What every line has.
const ITEM_FIELDS: [&str; 9] =
    ["line", "sku", "name", "category", "brand", "member_price", "quantity", "amount", "unit_price"];

fn item(item: &Item, read: &EventFields) -> Variable {
    let mut fields = VariableMap::new();
    if read.whole_items {
        for name in ITEM_FIELDS.into_iter().chain(item.extra.iter().map(|(name, _)| name.as_str())) {
            fields.insert_str(name, item_field(item, name));
        }
    } else {
        for name in &read.item {
            fields.insert_str(name, item_field(item, name));
        }
    }
    Variable::from_object(fields)
}

fn item_field(item: &Item, name: &str) -> Variable {
    let text = |value: &Option<compact_str::CompactString>| value.as_ref().map_or(Variable::Null, |text| string(text));
    let number = |value: crate::quantity::Amount| Variable::Number(value.to_decimal());
    match name {
        "line" => text(&item.line),
        "sku" => text(&item.sku),
        "name" => text(&item.name),
        "category" => text(&item.category),
        "brand" => text(&item.brand),
        "member_price" => text(&item.member_price),
        "quantity" => number(item.quantity),
        "amount" => number(item.amount),
        "unit_price" => item.unit_price.map_or(Variable::Null, number),
        // Of a field given twice the last.
        _ => item.extra.iter().rev().find(|(known, _)| known == name).map_or(Variable::Null, |(_, value)| field(value)),
    }
}

fn field(value: &FieldValue) -> Variable {
    match value {
        FieldValue::Text(text) => string(text),
        FieldValue::Number(number) => Variable::Number(number.to_decimal()),
        FieldValue::Boolean(truth) => Variable::Bool(*truth),
    }
}

fn string(text: &str) -> Variable {
    Variable::String(text.into())
}

fn member(facts: &Facts) -> Variable {
    let mut member = VariableMap::new();
    for (fact, value) in facts {
        let value = match value {
            FactValue::Number(number) => Variable::Number(*number),
            FactValue::Text(text) => string(text.as_str()),
            FactValue::Truth(truth) => Variable::Bool(*truth),
        };
        let (group, id) = match fact {
            Fact::Balance(id) => ("balance", id),
            Fact::Pending(id) => ("pending", id),
            Fact::Debt(id) => ("debt", id),
            Fact::Issued(id) => ("issued", id),
            Fact::Tier(id) => ("tier", id),
            Fact::Count(id) => ("count", id),
            Fact::Club(id) => ("club", id),
            Fact::ClubDaysLeft(id) => ("club_days_left", id),
            Fact::Challenge(id) => ("challenge", id),
            Fact::Streak(id) => ("streak", id),
            Fact::Badge(id) => ("badge", id),
            single => {
                member.insert_str(&single.to_string(), value);
                continue;
            }
        };
        if !member.contains_key_str(group) {
            member.insert_str(group, Variable::empty_object());
        }
        if let Some(Variable::Object(inner)) = member.get_str(group) {
            inner.borrow_mut().insert_str(id.as_str(), value);
        }
    }
    Variable::from_object(member)
}

fn wall_clock(calendar: &Calendar, instant: Instant) -> Variable {
    let (local, day) = (calendar.local(instant), calendar.day(instant));
    let mut now = VariableMap::with_capacity(8);
    now.insert_str("date", string(&day.to_string()));
    now.insert_str("weekday", string(day.weekday().name()));
    now.insert_str("time", string(&format!("{:02}:{:02}", local.hour(), local.minute())));
    now.insert_str("year", Variable::Number(local.year().into()));
    now.insert_str("month", Variable::Number(local.month().into()));
    now.insert_str("day", Variable::Number(local.day().into()));
    now.insert_str("hour", Variable::Number(local.hour().into()));
    now.insert_str("minute", Variable::Number(local.minute().into()));
    Variable::from_object(now)
}
