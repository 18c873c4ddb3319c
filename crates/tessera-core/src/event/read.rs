//! From an event's JSON to a command: strict about names and types, exact about numbers.

use std::borrow::Cow;
use std::marker::PhantomData;

use compact_str::CompactString;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::data::{DataProblem, FieldValues, TEXT_MAX, read_field};
use super::membership::MembershipData;
use super::{Exchange, ITEMS_MAX, Imported, Item, Order, Payment, Profile, Return, ReturnItem, What};
use crate::id::EventId;
use crate::program::{Definition, EventDefinition, FieldDefinition, Id, nearest};
use crate::quantity::{Amount, Points};
use crate::text::Text;
use crate::voucher::{self, VOUCHERS_MAX};

/// The names of the event types a program knows.
#[derive(Clone, Copy, Debug)]
pub struct DocumentedTypes<'a>(pub &'a Definition);

impl DocumentedTypes<'_> {
    pub fn knows(&self, kind: &str) -> bool {
        let of_clubs = !self.0.membership.plans.is_empty() && super::MEMBERSHIP_TYPES.contains(&kind);
        super::BUILT_IN_TYPES.contains(&kind) || of_clubs || self.0.events.contains_key(kind)
    }
}

/// Reads an event's `data` for its type, or says where it is wrong. Personal fields of `enrol` and `profile` are
/// not read here: the caller takes them out first.
pub fn read_event(definition: &Definition, kind: &str, data: &str) -> Result<What, DataProblem> {
    let declared = definition.events.get(kind);
    let purchase = definition.events.get("purchase");
    match kind {
        "purchase" => parse(data, OrderSeed { declared }).map(What::Purchase),
        "amend" => parse(data, OrderSeed { declared: purchase }).map(What::Amend),
        "return" => parse(data, ReturnSeed { declared: purchase }).map(What::Return),
        "exchange" => parse(data, ExchangeSeed { declared: purchase }).map(What::Exchange),
        "enrol" => parse(data, ProfileSeed).map(What::Enrol),
        "profile" => parse(data, ProfileSeed).map(What::Profile),
        "import" => imported(data).map(What::Import),
        "move-in" => super::moving::moved_in(data).map(What::MoveIn),
        "move-voucher" => super::moving::moved_voucher(data).map(What::MoveVoucher),
        _ if DocumentedTypes(definition).knows(kind) && declared.is_none() => {
            parse(data, PhantomData::<MembershipData>)?.of_kind(kind).map(What::Membership)
        }
        _ => match declared {
            Some(declared) => {
                let kind: Id = kind
                    .parse()
                    .map_err(|error: crate::program::IdProblem| DataProblem::new("type", error.to_string()))?;
                parse(data, DeclaredSeed { declared }).map(|data| What::Declared { kind, data })
            }
            None => {
                let known = super::BUILT_IN_TYPES.into_iter().chain(definition.events.keys().map(Id::as_str));
                let hint = match nearest(kind, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "declare it in the document's `events`".to_owned(),
                };
                Err(DataProblem::new("type", format!("this program has no event type `{kind}`; {hint}")))
            }
        },
    }
}

fn imported(data: &str) -> Result<Imported, DataProblem> {
    let imported = parse(data, PhantomData::<Imported>)?;
    if !(1..=Points::MAX.get()).contains(&imported.amount) {
        return Err(DataProblem::new("data.amount", "at least 1 is expected: what is left of the lot"));
    }
    if let (Some(matures), Some(expires)) = (imported.matures, imported.expires)
        && expires < matures
    {
        let message = format!("is {matures}, behind its last day, {expires}: it could never be spent");
        return Err(DataProblem::new("data.matures", message));
    }
    Ok(imported)
}

fn parse<'a, S: DeserializeSeed<'a>>(data: &'a str, seed: S) -> Result<S::Value, DataProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(data);
    let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        let text = error.to_string();
        let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        // Our own messages carry their path in front of a tab; serde's carry none.
        match text.split_once('\t') {
            Some((path, message)) => DataProblem::new(format!("data.{path}"), message),
            None => DataProblem::new("data", text),
        }
    })
}

fn wrong<E: de::Error>(path: &str, message: &str) -> E {
    E::custom(format_args!("{path}\t{message}"))
}

/// Puts a segment in front of an error's path.
fn under<E: de::Error>(segment: &str, error: &E) -> E {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    match text.split_once('\t') {
        Some(("", message)) => E::custom(format_args!("{segment}\t{message}")),
        Some((path, message)) if path.starts_with('[') => E::custom(format_args!("{segment}{path}\t{message}")),
        Some((path, message)) => E::custom(format_args!("{segment}.{path}\t{message}")),
        None => E::custom(format_args!("{segment}\t{text}")),
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<CompactString, A::Error> {
    let Text(text) = map.next_value::<Text<'de>>().map_err(|_| wrong::<A::Error>(name, "a text is expected"))?;
    if text.len() > TEXT_MAX {
        return Err(wrong(name, &format!("at most {TEXT_MAX} bytes are kept")));
    }
    Ok(CompactString::from(text))
}

fn optional_text<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<Option<CompactString>, A::Error> {
    let text = map.next_value::<Option<Text<'de>>>().map_err(|_| wrong::<A::Error>(name, "a text is expected"))?;
    match text {
        Some(Text(text)) if text.len() > TEXT_MAX => Err(wrong(name, &format!("at most {TEXT_MAX} bytes are kept"))),
        text => Ok(text.map(|Text(text)| CompactString::from(text))),
    }
}

fn amount<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<Amount, A::Error> {
    map.next_value::<Amount>().map_err(|error| under(name, &error))
}

/// The codes of an order's vouchers, as they are looked up.
fn codes<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<CompactString>, A::Error> {
    let texts: Vec<Cow<'de, str>> =
        map.next_value().map_err(|_| wrong::<A::Error>("vouchers", "a list of codes is expected"))?;
    if texts.len() > VOUCHERS_MAX {
        return Err(wrong("vouchers", &format!("at most {VOUCHERS_MAX} vouchers are used on one order")));
    }
    let mut codes = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        let path = format!("vouchers[{place}]");
        let code = voucher::normalise(text).map_err(|error| wrong::<A::Error>(&path, &error.to_string()))?;
        if codes.contains(&code) {
            return Err(wrong(&path, "this code stands here twice"));
        }
        codes.push(code);
    }
    Ok(codes)
}

fn declared_value<'de, A: MapAccess<'de>>(
    map: &mut A,
    name: &str,
    fields: Option<&FieldDefinition>,
    known: &[&str],
    values: &mut FieldValues,
) -> Result<(), A::Error> {
    let Some(field) = fields else {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("unknown field; did you mean `{near}`?"),
            None => "unknown field; declare it in the document's `events`".to_owned(),
        };
        return Err(wrong(name, &hint));
    };
    let raw: &RawValue = map.next_value()?;
    if raw.get() == "null" && field.optional {
        return Ok(());
    }
    let value = read_field(field, raw.get()).map_err(|message| wrong::<A::Error>(name, &message))?;
    values.push((name.into(), value));
    Ok(())
}

fn require_declared<'a, E: de::Error>(
    fields: impl Iterator<Item = (&'a Id, &'a FieldDefinition)>,
    values: &FieldValues,
) -> Result<(), E> {
    for (name, field) in fields {
        if !field.optional && !values.iter().any(|(given, _)| given == name.as_str()) {
            return Err(wrong(name.as_str(), "is missing"));
        }
    }
    Ok(())
}

macro_rules! seed {
    ($seed:ident => $value:ty, $expecting:literal) => {
        impl<'de> DeserializeSeed<'de> for $seed<'_> {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }
    };
}

#[derive(Clone, Copy)]
struct OrderSeed<'a> {
    declared: Option<&'a EventDefinition>,
}
seed!(OrderSeed => Order, "a purchase");

const ORDER_KEYS: [&str; 15] = [
    "order_id",
    "currency",
    "exchange_rate",
    "total",
    "tax",
    "shipping",
    "shipping_discount",
    "tip",
    "discount",
    "location",
    "channel",
    "staff",
    "payments",
    "items",
    "vouchers",
];

impl<'de> Visitor<'de> for OrderSeed<'_> {
    type Value = Order;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a purchase as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Order, A::Error> {
        let mut order = Order::default();
        let (mut has_id, mut has_total) = (false, false);
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "order_id" => {
                    order.order_id = text(&mut map, "order_id")?;
                    has_id = !order.order_id.is_empty();
                }
                "currency" => order.currency = text(&mut map, "currency")?,
                "exchange_rate" => {
                    let rate = amount(&mut map, "exchange_rate")?;
                    if rate <= Amount::ZERO {
                        return Err(wrong("exchange_rate", "a rate is above 0"));
                    }
                    order.exchange_rate = Some(rate.to_decimal());
                }
                "total" => {
                    order.total = amount(&mut map, "total")?;
                    has_total = true;
                }
                "tax" => order.tax = amount(&mut map, "tax")?,
                "shipping" => order.shipping = amount(&mut map, "shipping")?,
                "shipping_discount" => order.shipping_discount = amount(&mut map, "shipping_discount")?,
                "tip" => order.tip = amount(&mut map, "tip")?,
                "discount" => order.discount = amount(&mut map, "discount")?,
                "location" => order.location = optional_text(&mut map, "location")?,
                "channel" => order.channel = optional_text(&mut map, "channel")?,
                "staff" => order.staff = optional_text(&mut map, "staff")?,
                "payments" => {
                    order.payments =
                        map.next_value_seed(List(PaymentSeed(&()))).map_err(|error| under("payments", &error))?
                }
                "items" => {
                    let seed = List(ItemSeed { declared: self.declared });
                    order.items = map.next_value_seed(seed).map_err(|error| under("items", &error))?;
                }
                "vouchers" => order.vouchers = codes(&mut map)?,
                name => {
                    let field = self.declared.and_then(|declared| declared.data.get(name));
                    declared_value(&mut map, name, field, &ORDER_KEYS, &mut order.extra)?;
                }
            }
        }
        if !has_id {
            return Err(wrong("order_id", "is missing: the number of the receipt or order"));
        }
        if !has_total {
            return Err(wrong("total", "is missing: what the customer owes"));
        }
        require_declared(self.declared.iter().flat_map(|declared| &declared.data), &order.extra)?;
        Ok(order)
    }
}

#[derive(Clone, Copy)]
struct PaymentSeed<'a>(#[allow(dead_code)] &'a ());
seed!(PaymentSeed => Payment, "a payment");

impl<'de> Visitor<'de> for PaymentSeed<'_> {
    type Value = Payment;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a payment with method and amount")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payment, A::Error> {
        let (mut method, mut paid, mut redemption) = (None, None, None);
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "method" => method = Some(text(&mut map, "method")?),
                "amount" => paid = Some(amount(&mut map, "amount")?),
                "redemption" => {
                    let id = text(&mut map, "redemption")?.parse::<EventId>();
                    redemption = Some(id.map_err(|_| {
                        wrong::<A::Error>("redemption", "the id of a redemption, such as evt_…_2, is expected")
                    })?);
                }
                name => declared_value(&mut map, name, None, &["method", "amount", "redemption"], &mut Vec::new())?,
            }
        }
        let redeems =
            method.as_deref().is_some_and(|method| [super::order::POINTS, super::order::GIFT_CARD].contains(&method));
        if redemption.is_some() && !redeems {
            return Err(wrong("redemption", "only a payment of method `points` or `gift_card` has one"));
        }
        match (method, paid) {
            (Some(method), Some(amount)) => Ok(Payment { method, amount, redemption }),
            (None, _) => Err(wrong("method", "is missing: cash, card, points …")),
            (_, None) => Err(wrong("amount", "is missing")),
        }
    }
}

/// A list of at most [`ITEMS_MAX`] things.
struct List<S>(S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for List<S> {
    type Value = Vec<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for List<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let index = items.len();
            match seq.next_element_seed(self.0).map_err(|error| under(&format!("[{index}]"), &error))? {
                Some(_) if index == ITEMS_MAX => return Err(wrong("", &format!("at most {ITEMS_MAX} lines are read"))),
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
    }
}

#[derive(Clone, Copy)]
struct ItemSeed<'a> {
    declared: Option<&'a EventDefinition>,
}
seed!(ItemSeed => Item, "a line");

const ITEM_KEYS: [&str; 9] =
    ["line", "sku", "name", "category", "brand", "quantity", "unit_price", "amount", "member_price"];

impl<'de> ItemSeed<'_> {
    /// The line, with whether it has an amount of its own.
    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<(Item, bool), A::Error> {
        let mut item = Item { quantity: Amount::whole(1), ..Item::default() };
        let mut given = None;
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "line" => item.line = optional_text(&mut map, "line")?,
                "sku" => item.sku = optional_text(&mut map, "sku")?,
                "name" => item.name = optional_text(&mut map, "name")?,
                "category" => item.category = optional_text(&mut map, "category")?,
                "brand" => item.brand = optional_text(&mut map, "brand")?,
                "quantity" => item.quantity = amount(&mut map, "quantity")?,
                "unit_price" => item.unit_price = Some(amount(&mut map, "unit_price")?),
                "amount" => given = Some(amount(&mut map, "amount")?),
                "member_price" => item.member_price = optional_text(&mut map, "member_price")?,
                name => {
                    let field = self.declared.and_then(|declared| declared.item.get(name));
                    declared_value(&mut map, name, field, &ITEM_KEYS, &mut item.extra)?;
                }
            }
        }
        let amount = match (given, item.unit_price) {
            (Some(amount), _) => Some(amount),
            (None, Some(price)) => Some(
                item.quantity.product(price).map_err(|error| wrong::<A::Error>("unit_price", &error.to_string()))?,
            ),
            (None, None) => None,
        };
        item.amount = amount.unwrap_or_default();
        Ok((item, amount.is_some()))
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a line of the order")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        let (item, has_amount) = self.read(map)?;
        if !has_amount {
            return Err(wrong("amount", "is missing: give `amount`, or `quantity` and `unit_price`"));
        }
        require_declared(self.declared.iter().flat_map(|declared| &declared.item), &item.extra)?;
        Ok(item)
    }
}

#[derive(Clone, Copy)]
struct ReturnItemSeed<'a> {
    declared: Option<&'a EventDefinition>,
}
seed!(ReturnItemSeed => ReturnItem, "a line");

impl<'de> Visitor<'de> for ReturnItemSeed<'_> {
    type Value = ReturnItem;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a line that comes back")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ReturnItem, A::Error> {
        let (item, _) = ItemSeed { declared: self.declared }.read(map)?;
        if item.line.is_none() && item.sku.is_none() {
            return Err(wrong("line", "is missing: name the line, or its `sku`"));
        }
        if item.quantity.is_negative() {
            return Err(wrong("quantity", "is negative: a return counts what comes back from 0 up"));
        }
        Ok(ReturnItem { item })
    }
}

#[derive(Clone, Copy)]
struct ReturnSeed<'a> {
    declared: Option<&'a EventDefinition>,
}
seed!(ReturnSeed => Return, "a return");

impl<'de> Visitor<'de> for ReturnSeed<'_> {
    type Value = Return;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a return as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Return, A::Error> {
        let mut back = Return::default();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "order_id" => back.order_id = optional_text(&mut map, "order_id")?,
                "currency" => back.currency = optional_text(&mut map, "currency")?,
                "total" => back.total = Some(amount(&mut map, "total")?),
                "items" => {
                    let seed = List(ReturnItemSeed { declared: self.declared });
                    back.items = map.next_value_seed(seed).map_err(|error| under("items", &error))?;
                }
                // Where and by whom something came back is kept with the event; no rule reads it.
                "location" | "channel" | "staff" => {
                    optional_text(&mut map, &key)?;
                }
                name => {
                    let known = ["order_id", "currency", "total", "items", "location", "channel", "staff"];
                    declared_value(&mut map, name, None, &known, &mut Vec::new())?;
                }
            }
        }
        if back.order_id.is_none() && back.items.is_empty() && back.total.is_none() {
            return Err(wrong("order_id", "is missing: name the order, or the items that come back"));
        }
        Ok(back)
    }
}

#[derive(Clone, Copy)]
struct ExchangeSeed<'a> {
    declared: Option<&'a EventDefinition>,
}
seed!(ExchangeSeed => Exchange, "an exchange");

impl<'de> Visitor<'de> for ExchangeSeed<'_> {
    type Value = Exchange;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an exchange with `returned` and `bought`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exchange, A::Error> {
        let (mut back, mut bought) = (None, None);
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "returned" => {
                    let seed = ReturnSeed { declared: self.declared };
                    back = Some(map.next_value_seed(seed).map_err(|error| under("returned", &error))?);
                }
                "bought" => {
                    let seed = OrderSeed { declared: self.declared };
                    bought = Some(map.next_value_seed(seed).map_err(|error| under("bought", &error))?);
                }
                name => declared_value(&mut map, name, None, &["returned", "bought"], &mut Vec::new())?,
            }
        }
        let back: Return =
            back.ok_or_else(|| wrong::<A::Error>("returned", "is missing: the order and items that come back"))?;
        if back.order_id.is_none() {
            return Err(wrong("returned.order_id", "is missing: an exchange names the order"));
        }
        let bought = bought.ok_or_else(|| wrong::<A::Error>("bought", "is missing: the new purchase"))?;
        Ok(Exchange { back, bought })
    }
}

#[derive(Clone, Copy)]
struct ProfileSeed;

impl<'de> DeserializeSeed<'de> for ProfileSeed {
    type Value = Profile;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Profile, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ProfileSeed {
    type Value = Profile;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a profile as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Profile, A::Error> {
        let mut profile = Profile::default();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "birthday" => {
                    let text = optional_text(&mut map, "birthday")?;
                    let read = text.map(|text| text.parse()).transpose();
                    profile.birthday =
                        read.map_err(|error: super::BirthdayError| wrong::<A::Error>("birthday", &error.to_string()))?;
                }
                "referred_by" => profile.referred_by = optional_text(&mut map, "referred_by")?,
                "device" => profile.device = optional_text(&mut map, "device")?,
                name => declared_value(&mut map, name, None, &["birthday"], &mut Vec::new())?,
            }
        }
        Ok(profile)
    }
}

#[derive(Clone, Copy)]
struct DeclaredSeed<'a> {
    declared: &'a EventDefinition,
}
seed!(DeclaredSeed => FieldValues, "an event");

impl<'de> Visitor<'de> for DeclaredSeed<'_> {
    type Value = FieldValues;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the event's data as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldValues, A::Error> {
        let mut values = FieldValues::new();
        let known: Vec<&str> = self.declared.data.keys().map(Id::as_str).collect();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            declared_value(&mut map, &key, self.declared.data.get(key.as_ref()), &known, &mut values)?;
        }
        require_declared(self.declared.data.iter(), &values)?;
        Ok(values)
    }
}
