//! Velocity rules: how often, and how much, in how long a time, and what happens to what is more (P6).
//!
//! A rule counts in windows that follow each other: the hours of a day, program days, weeks, months. So around the end
//! of a window twice as much may pass in a short time; a rule that must not allow that says half.

use std::collections::BTreeMap;
use std::str::FromStr;

use compact_str::{CompactString, format_compact};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::definition::Definition;
use super::membership::minor;
use super::scalar::{Exact, Formula, Id};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::Currency;
use crate::time::{Calendar, Duration, Instant, Window};

/// So often, or so much, in so long a time, and what happens to more. At least one of `count`, `points` and `money`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VelocityDefinition {
    /// What is counted.
    pub what: Watched,
    /// For whom it is counted: one of `member`, `staff`, `device`, `location` and `key`, or several together:
    /// `[staff, member]` counts each pair. What names no staff, device or location is not counted for it.
    pub per: Per,
    /// Minutes or hours that divide a day (`PT15M`, `PT1H`), `P1D`, `P7D` (Monday to Sunday) or `P1M`.
    pub window: Stretch,
    /// So many pass.
    #[serde(default)]
    pub count: Option<i64>,
    /// So much of a currency passes: what a purchase or claim earns, a redemption spends, an adjustment moves either way,
    /// a transfer sends.
    #[serde(default)]
    pub points: BTreeMap<Id, i64>,
    /// So much money passes: the total of a purchase or claim, what is paid in to a gift card.
    #[serde(default)]
    pub money: Option<Exact>,
    /// Only what this holds for is counted: `event.total >= 500000` of a purchase, `member.days_since_joined < 7`.
    #[serde(default)]
    pub when: Option<Formula>,
    /// What happens to what is more.
    #[serde(default)]
    pub action: VelocityAction,
}

/// What a velocity rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// A guest's purchase that a member claims.
    Claim,
    Redemption,
    Adjustment,
    /// Money paid in to a gift card.
    GiftCard,
    Transfer,
    /// A purchase, or what is bought in an exchange.
    Purchase,
    Return,
    /// A voucher's code that is used by itself.
    Voucher,
    /// Somebody looks a member up by a name, such as a phone number.
    Lookup,
}

impl Watched {
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Redemption,
        Self::Adjustment,
        Self::GiftCard,
        Self::Transfer,
        Self::Purchase,
        Self::Return,
        Self::Voucher,
        Self::Lookup,
    ];

    /// What a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|watched| watched.word() == word)
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Redemption => "redemption",
            Self::Adjustment => "adjustment",
            Self::GiftCard => "gift_card",
            Self::Transfer => "transfer",
            Self::Purchase => "purchase",
            Self::Return => "return",
            Self::Voucher => "voucher",
            Self::Lookup => "lookup",
        }
    }

    /// Several of them, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Claim => "claims",
            Self::Redemption => "redemptions",
            Self::Adjustment => "adjustments",
            Self::GiftCard => "payments in to gift cards",
            Self::Transfer => "transfers",
            Self::Purchase => "purchases",
            Self::Return => "returns",
            Self::Voucher => "vouchers used",
            Self::Lookup => "look-ups",
        }
    }

    const fn moves_points(self) -> bool {
        matches!(self, Self::Claim | Self::Redemption | Self::Adjustment | Self::Transfer | Self::Purchase)
    }

    const fn moves_money(self) -> bool {
        matches!(self, Self::Claim | Self::Purchase | Self::GiftCard)
    }

    /// Whether a second person may let more of it pass.
    const fn may_be_held(self) -> bool {
        matches!(self, Self::Claim | Self::Redemption | Self::Transfer | Self::Voucher)
    }

    /// The event type as whose its conditions are checked.
    const fn trigger(self) -> &'static str {
        match self {
            Self::Claim | Self::Purchase => "purchase",
            other => other.word(),
        }
    }
}

/// Whom a rule counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Member,
    Staff,
    Device,
    Location,
    Key,
}

impl Who {
    pub const ALL: [Self; 5] = [Self::Member, Self::Staff, Self::Device, Self::Location, Self::Key];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Staff => "staff",
            Self::Device => "device",
            Self::Location => "location",
            Self::Key => "key",
        }
    }
}

/// One of them, or several together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Per(pub Vec<Who>);

impl Per {
    /// Whether the member's own state counts.
    pub fn is_member(&self) -> bool {
        self.0 == [Who::Member]
    }

    /// `staff`, or `staff and member`.
    pub fn words(&self) -> String {
        self.0.iter().map(|who| who.word()).collect::<Vec<_>>().join(" and ")
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        const EXPECTED: &str = "member, staff, device, location or key, or a list of them";
        fn who<E: de::Error>(word: &str) -> Result<Who, E> {
            let found = Who::ALL.into_iter().find(|who| who.word() == word);
            found.ok_or_else(|| E::custom(format!("{EXPECTED} is expected here, not `{word}`")))
        }
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Per;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Per, E> {
                Ok(Per(vec![who(word)?]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Per, A::Error> {
                let mut all = Vec::new();
                while let Some(word) = list.next_element::<String>()? {
                    all.push(who(&word)?);
                }
                Ok(Per(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Per {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Per".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let who = generator.subschema_for::<Who>();
        schemars::json_schema!({ "anyOf": [who, { "type": "array", "items": who, "minItems": 1 }] })
    }
}

/// What happens to what is more than a rule lets pass. It opens a case each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VelocityAction {
    /// It passes.
    #[default]
    Flag,
    /// It is refused until a second person lets it pass.
    Hold,
    /// It is refused.
    Refuse,
}

/// A stretch of time: one begins where the one before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// So many seconds from the beginning of a program day on.
    Part(i64),
    Days(Window),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("minutes or hours that divide a day (PT15M, PT1H), P1D, P7D or P1M are expected")]
pub struct StretchError;

impl FromStr for Stretch {
    type Err = StretchError;

    fn from_str(text: &str) -> Result<Self, StretchError> {
        match text {
            "P1D" | "PT24H" => return Ok(Self::Days(Window::Day)),
            "P7D" | "P1W" => return Ok(Self::Days(Window::Week)),
            "P1M" => return Ok(Self::Days(Window::Month)),
            _ => {}
        }
        let seconds = text.parse::<Duration>().map_err(|_| StretchError)?.seconds();
        let divides = (60..86_400).contains(&seconds) && 86_400 % seconds == 0;
        divides.then_some(Self::Part(seconds)).ok_or(StretchError)
    }
}

impl<'de> Deserialize<'de> for Stretch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Stretch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stretch".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(P1D|P7D|P1W|P1M|PT([0-9]+[HM])+)$", "examples": ["PT15M", "PT1H", "P1D", "P7D", "P1M"] })
    }
}

impl Stretch {
    /// The stretch that holds an instant: its beginning, and its end (exclusive).
    pub fn around(self, calendar: &Calendar, at: Instant) -> (Instant, Instant) {
        let day = calendar.day(at);
        let seconds = match self {
            Self::Part(seconds) => seconds,
            Self::Days(window) => return (calendar.start(day.start_of(window)), calendar.start(day.end_of(window))),
        };
        let (start, end) = (calendar.start(day), calendar.end(day));
        let passed = at.micros().saturating_sub(start.micros()).div_euclid(1_000_000).div_euclid(seconds);
        let from = start.plus_seconds(passed.saturating_mul(seconds));
        (from, from.plus_seconds(seconds).min(end))
    }
}

/// What is added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summed {
    Count,
    Points(Id),
    /// In the smallest units of the program's money.
    Money,
}

/// A rule, ready to count.
#[derive(Debug)]
pub struct VelocityRule {
    pub id: Id,
    pub what: Watched,
    pub per: Per,
    pub window: Stretch,
    pub when: Option<Expression>,
    pub action: VelocityAction,
    /// What is added up, under its name, and how much of it passes.
    pub limits: Vec<(CompactString, Summed, i64)>,
}

/// Below this many a rule that stops what is more stops ordinary days.
const ORDINARY: i64 = 2;

impl Checker<'_> {
    /// Checks and compiles the velocity rules.
    pub(super) fn velocity(&mut self, definition: &Definition, money: Option<Currency>) -> Vec<VelocityRule> {
        let mut rules = Vec::new();
        for (id, rule) in &definition.velocity {
            let at = |key: &'static str| ["velocity", id.as_str(), key];
            let repeated = rule.per.0.iter().enumerate().any(|(place, who)| rule.per.0[..place].contains(who));
            if rule.per.0.is_empty() || repeated {
                self.error(&at("per"), "each of member, staff, device, location and key at most once".to_owned());
            }
            if rule.action == VelocityAction::Hold && !rule.what.may_be_held() {
                let message = format!("nobody waits for a second person with {}", rule.what.words());
                self.suggest(&at("action"), message, "say `flag` or `refuse`");
            }
            if rule.what == Watched::Lookup && rule.per.0.contains(&Who::Member) {
                let message = "who looks members up is counted, not whom they find".to_owned();
                self.suggest(&at("per"), message, "say `key`, `staff`, `device` or `location`");
            }
            if !rule.points.is_empty() && !rule.what.moves_points() {
                self.error(&at("points"), format!("{} move no points: say `count`", rule.what.words()));
            }
            if rule.money.is_some() && !rule.what.moves_money() {
                self.error(&at("money"), format!("no money is known of {}: say `count`", rule.what.words()));
            }
            let limits = self.velocity_limits(id, rule, definition, money);
            let types = RootTypes::for_trigger(definition, rule.what.trigger(), false);
            let when = rule.when.as_ref();
            let when = when.and_then(|formula| self.expression(&at("when"), formula, &types, Expected::Truth));
            rules.push(VelocityRule {
                id: id.clone(),
                what: rule.what,
                per: rule.per.clone(),
                window: rule.window,
                when,
                action: rule.action,
                limits,
            });
        }
        rules
    }

    fn velocity_limits(
        &mut self,
        id: &Id,
        rule: &VelocityDefinition,
        definition: &Definition,
        money: Option<Currency>,
    ) -> Vec<(CompactString, Summed, i64)> {
        let mut limits = Vec::new();
        let positive = |checker: &mut Self, path: &[&str], most: i64| {
            if most <= 0 {
                checker.error(path, format!("{most} lets nothing pass: a number above 0 is expected"));
            }
        };
        if let Some(count) = rule.count {
            positive(self, &["velocity", id.as_str(), "count"], count);
            limits.push((id.as_str().into(), Summed::Count, count));
        }
        for (currency, most) in &rule.points {
            let path = ["velocity", id.as_str(), "points", currency.as_str()];
            self.known(&path, "currency", currency.as_str(), definition.currencies.keys().map(Id::as_str));
            positive(self, &path, *most);
            limits.push((format_compact!("{id}/{currency}"), Summed::Points(currency.clone()), *most));
        }
        if let (Some(most), Some(currency)) = (rule.money, money) {
            match minor(currency, most.0) {
                Some(most) => {
                    positive(self, &["velocity", id.as_str(), "money"], most);
                    limits.push((format_compact!("{id}/money"), Summed::Money, most));
                }
                None => {
                    let message = format!("{} is no amount of {}", most.0, definition.currency);
                    self.error(&["velocity", id.as_str(), "money"], message);
                }
            }
        }
        if rule.count.is_none() && rule.points.is_empty() && rule.money.is_none() {
            let message = "nothing is counted".to_owned();
            self.suggest(&["velocity", id.as_str()], message, "say `count`, `points` or `money`");
        }
        limits
    }

    /// Rules that are right and stop what is ordinary, or nothing.
    pub(super) fn lint_velocity(&mut self, definition: &Definition) {
        for (id, rule) in &definition.velocity {
            if rule.action != VelocityAction::Flag && rule.count.is_some_and(|count| count < ORDINARY) {
                self.warning(
                    &["velocity", id.as_str(), "count"],
                    format!("the second of the {} on an ordinary day is stopped", rule.what.words()),
                    "let at least 2 pass, or say `action: flag` and look at the cases first",
                );
            }
            if rule.what == Watched::Claim && definition.claims.is_none() {
                self.warning(
                    &["velocity", id.as_str(), "what"],
                    "nobody claims anything: the document has no `claims`".to_owned(),
                    "leave the rule out, or say `claims: {}`",
                );
            }
            let counter = matches!(rule.what, Watched::Purchase | Watched::Redemption | Watched::Lookup);
            if rule.action == VelocityAction::Refuse && rule.per.0 == [Who::Location] && counter {
                self.warning(
                    &["velocity", id.as_str(), "action"],
                    "on a good day this closes the whole shop".to_owned(),
                    "say `action: flag`, or count by `staff` or `device`",
                );
            }
        }
    }
}

/// What becomes of purchases that staff make for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StaffDefinition {
    /// What a purchase earns that the buyer rang up: whose name `staff:<id>` is the `staff` of the order.
    pub own_purchases: OwnPurchases,
    /// Whether such a purchase opens a case.
    pub flag: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnPurchases {
    /// As any other.
    #[default]
    Earn,
    /// Base points, and none of extras, bonuses and other rules.
    Base,
    None,
}

impl StaffDefinition {
    /// Whether anything depends on who the buyer is.
    pub fn looks(self) -> bool {
        self.flag || self.own_purchases != OwnPurchases::Earn
    }
}
