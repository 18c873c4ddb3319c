//! The types of an expression's roots, so that a misspelt field or a text compared with a number is found at publish.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use zen_expression::variable::VariableType;

use crate::event::{ITEM_FIELDS, PURCHASE_FIELDS};
use crate::program::{Definition, FieldDefinition, FieldKind, Id};

/// The types behind `event`, `member`, `now` and, under `each`, `item`.
#[derive(Clone, Debug)]
pub struct RootTypes {
    pub(super) root: VariableType,
    /// The same as if nothing were ever missing: a text that may be missing is still no number.
    pub(super) given: VariableType,
    /// The dotted paths that exist, to suggest the one that was meant.
    pub(super) paths: Vec<String>,
}

type Fields = BTreeMap<String, VariableType>;

impl RootTypes {
    /// What expressions may read on an event type; `with_item` under `each: event.items`.
    pub fn for_trigger(definition: &Definition, trigger: &str, with_item: bool) -> Self {
        let mut roots = Fields::new();
        roots.insert("member".to_owned(), member(definition));
        roots.insert("now".to_owned(), now());
        let (event, item) = event(definition, trigger);
        roots.insert("event".to_owned(), event);
        if with_item {
            roots.insert("item".to_owned(), item.unwrap_or(VariableType::Null));
        }
        let mut paths = Vec::new();
        for (name, kind) in &roots {
            list_paths(name, kind, &mut paths);
        }
        let root = object(roots);
        Self { given: given(&root), root, paths }
    }
}

fn given(kind: &VariableType) -> VariableType {
    match kind {
        VariableType::Nullable(inner) => given(inner),
        VariableType::Array(inner) => given(inner).array(),
        VariableType::Object(fields) => {
            let fields = fields.borrow().iter().map(|(name, kind)| (name.to_string(), given(kind))).collect();
            object(fields)
        }
        other => other.clone(),
    }
}

fn object(fields: Fields) -> VariableType {
    let fields = fields.into_iter().map(|(name, kind)| (Rc::from(name.as_str()), kind));
    VariableType::Object(Rc::new(RefCell::new(fields.collect())))
}

fn list_paths(name: &str, kind: &VariableType, paths: &mut Vec<String>) {
    paths.push(name.to_owned());
    if let VariableType::Object(fields) = kind {
        for (field, kind) in fields.borrow().iter() {
            list_paths(&format!("{name}.{field}"), kind, paths);
        }
    }
}

fn numbers<'a>(names: impl Iterator<Item = &'a Id>) -> VariableType {
    object(names.map(|name| (name.to_string(), VariableType::Number)).collect())
}

fn member(definition: &Definition) -> VariableType {
    let currencies = || numbers(definition.currencies.keys());
    let mut fields = Fields::new();
    for group in ["balance", "pending", "debt", "issued"] {
        fields.insert(group.to_owned(), currencies());
    }
    for number in ["top_percent", "purchases", "spend", "returns", "days_since_last_purchase", "days_since_joined"] {
        fields.insert(number.to_owned(), VariableType::Number);
    }
    fields.insert("count".to_owned(), numbers(definition.events.keys()));
    fields.insert("challenge".to_owned(), numbers(definition.challenges.keys()));
    fields.insert("streak".to_owned(), numbers(definition.streaks.keys()));
    let badges = definition.badges.keys().map(|name| (name.to_string(), VariableType::Bool));
    fields.insert("badge".to_owned(), object(badges.collect()));
    let ladders = definition.tiers.iter().map(|(name, ladder)| {
        let levels = ladder.levels.iter().map(|level| Rc::from(level.id.as_str())).collect();
        (name.to_string(), VariableType::Enum(None, levels))
    });
    fields.insert("tier".to_owned(), object(ladders.collect()));
    let plans = || definition.membership.plans.keys();
    let in_club = plans().map(|plan| (plan.to_string(), VariableType::Bool));
    fields.insert("club".to_owned(), object(in_club.collect()));
    fields.insert("club_days_left".to_owned(), numbers(plans()));
    object(fields)
}

/// `now.date` is the program day; the other parts are of the wall clock.
fn now() -> VariableType {
    let text = ["date", "weekday", "time"].map(|name| (name.to_owned(), VariableType::String));
    let number = ["year", "month", "day", "hour", "minute"].map(|name| (name.to_owned(), VariableType::Number));
    object(text.into_iter().chain(number).collect())
}

fn event(definition: &Definition, trigger: &str) -> (VariableType, Option<VariableType>) {
    let own = definition.events.get(trigger);
    let mut fields = Fields::new();
    let mut item_type = None;
    if trigger == "purchase" {
        let mut item = built_in(&ITEM_FIELDS);
        for (name, field) in own.iter().flat_map(|own| &own.item) {
            item.insert(name.to_string(), declared(field));
        }
        let item = object(item);
        fields = built_in(&PURCHASE_FIELDS);
        fields.insert("net".to_owned(), VariableType::Number);
        fields.insert("items".to_owned(), item.clone().array());
        item_type = Some(item);
    }
    for (name, field) in own.iter().flat_map(|own| &own.data) {
        fields.insert(name.to_string(), declared(field));
    }
    match trigger {
        "balance" => {
            fields.insert("currency".to_owned(), VariableType::String);
        }
        "benefit-use" => {
            for name in ["total", "shipping"] {
                fields.insert(name.to_owned(), VariableType::Number);
            }
            for name in ["location", "channel"] {
                fields.insert(name.to_owned(), VariableType::String);
            }
        }
        "club-joined" | "club-ended" => {
            fields.insert("plan".to_owned(), VariableType::String);
            if trigger == "club-joined" {
                fields.insert("trial".to_owned(), VariableType::Bool);
            }
        }
        "tier" => {
            for name in ["ladder", "level", "from"] {
                fields.insert(name.to_owned(), VariableType::String);
            }
        }
        "tier-left" => {
            for name in ["ladder", "level", "to"] {
                fields.insert(name.to_owned(), VariableType::String);
            }
        }
        "challenge" => {
            fields.insert("challenge".to_owned(), VariableType::String);
            fields.insert("step".to_owned(), VariableType::Number);
            fields.insert("round".to_owned(), VariableType::Number);
        }
        "streak" => {
            fields.insert("streak".to_owned(), VariableType::String);
            fields.insert("length".to_owned(), VariableType::Number);
        }
        _ => {}
    }
    (object(fields), item_type)
}

fn built_in(fields: &[(&str, FieldKind, bool)]) -> Fields {
    fields.iter().map(|(name, kind, optional)| ((*name).to_owned(), nullable(of_kind(*kind), *optional))).collect()
}

fn declared(field: &FieldDefinition) -> VariableType {
    let kind = if field.one_of.is_empty() {
        of_kind(field.kind)
    } else {
        VariableType::Enum(None, field.one_of.iter().map(|text| Rc::from(text.as_str())).collect())
    };
    nullable(kind, field.optional)
}

fn of_kind(kind: FieldKind) -> VariableType {
    match kind {
        FieldKind::Text => VariableType::String,
        FieldKind::Integer | FieldKind::Number => VariableType::Number,
        FieldKind::Boolean => VariableType::Bool,
    }
}

fn nullable(kind: VariableType, optional: bool) -> VariableType {
    if optional { VariableType::Nullable(Rc::new(kind)) } else { kind }
}
