//! A program document as it is written, typed. `shared` spelling: the keys here are the keys of the YAML.
//!
//! Every setting's default is the first value that the rules name. What is accepted here acts; sections of features
//! that do not exist yet are refused by name (see [`LATER_SECTIONS`]).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::adjustments::AdjustmentsDefinition;
use super::benefits::BenefitDefinition;
use super::cards::CardDefinition;
use super::challenges::{BadgeDefinition, ChallengeDefinition};
use super::claims::ClaimsDefinition;
use super::gift_cards::GiftCardsDefinition;
use super::households::HouseholdsDefinition;
use super::leaderboards::{LeaderboardDefinition, RankingDefinition};
use super::made::Made;
use super::membership::MembershipDefinition;
use super::people::{IdentityDefinition, LeavingDefinition};
use super::proof::ProofDefinition;
use super::referral::ReferralDefinition;
use super::rewards::{CauseDefinition, CodePoolDefinition, RewardDefinition};
use super::scalar::{Exact, Formula, Id, Share, Texts, word_or_map};
use super::spending::{CashRounding, SpendDefinition};
use super::streaks::StreakDefinition;
use super::transfers::TransferDefinition;
use super::vouchers::VoucherDefinition;
use crate::quantity::Rounding;
use crate::time::{Day, Period, RoundTo, TimeOfDay, Weekday, Window};

/// Sections that belong to the document but to no feature of this version.
pub const LATER_SECTIONS: [&str; 7] = ["games", "partners", "journeys", "segments", "texts", "surveys", "catalogue"];

/// Actions of a rule that belong to no feature of this version.
pub const LATER_ACTIONS: [&str; 2] = ["set", "send"];

/// A loyalty program.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The program's key, used in every address and command.
    pub program: Id,
    pub name: Texts,
    /// An IANA zone such as `Asia/Ho_Chi_Minh`: days, months and expiry are counted in it.
    pub timezone: String,
    /// When a program day begins.
    #[serde(default)]
    pub day_starts: TimeOfDay,
    /// The ISO 4217 currency of amounts.
    pub currency: String,
    /// One unit of a foreign currency in the program's: `{ USD: 25000 }`. An event may carry its own rate (M5).
    #[serde(default)]
    pub exchange_rates: BTreeMap<String, Exact>,
    /// To what the money that is left to pay beside points is rounded, by the tender that pays it (M6).
    #[serde(default)]
    pub cash_rounding: BTreeMap<Id, CashRounding>,
    /// What happens to an event about a member nobody knows.
    #[serde(default)]
    pub unknown_member: UnknownMember,
    /// What happens to a return that names no order (R11).
    #[serde(default)]
    pub unlinked_returns: UnlinkedReturns,
    /// How old an event may be that arrives late (I5).
    #[serde(default = "backdate_max")]
    pub backdate_max: Period,
    /// What of a purchase earns, unless a rule says otherwise (M4).
    #[serde(default)]
    pub base: Base,
    pub currencies: BTreeMap<Id, CurrencyDefinition>,
    #[serde(default)]
    pub tiers: BTreeMap<Id, LadderDefinition>,
    #[serde(default)]
    pub benefits: BTreeMap<Id, BenefitDefinition>,
    /// Clubs that members pay to be in.
    #[serde(default)]
    pub membership: MembershipDefinition,
    /// Event types of your own, and fields of your own on the types every program has.
    #[serde(default)]
    pub events: BTreeMap<Id, EventDefinition>,
    #[serde(default)]
    pub campaigns: BTreeMap<Id, CampaignDefinition>,
    #[serde(default)]
    pub vouchers: BTreeMap<Id, VoucherDefinition>,
    /// What points can be spent on.
    #[serde(default)]
    pub rewards: BTreeMap<Id, RewardDefinition>,
    /// Which points members may send to each other, by currency; what is not listed cannot be sent.
    #[serde(default)]
    pub transfers: BTreeMap<Id, TransferDefinition>,
    /// When spending needs proof that the member is there (P4).
    #[serde(default)]
    pub proof: ProofDefinition,
    /// What bringing a friend is worth.
    #[serde(default)]
    pub referral: Option<ReferralDefinition>,
    /// Codes of partners that rewards give.
    #[serde(default)]
    pub code_pools: BTreeMap<Id, CodePoolDefinition>,
    /// What rewards donate to.
    #[serde(default)]
    pub causes: BTreeMap<String, CauseDefinition>,
    /// Money on cards: left out, none are sold or taken.
    #[serde(default)]
    pub gift_cards: Option<GiftCardsDefinition>,
    /// People who save together: left out, there are no households.
    #[serde(default)]
    pub households: Option<HouseholdsDefinition>,
    #[serde(default)]
    pub stacking: Stacking,
    /// Limits over all campaigns together, by currency (C7).
    #[serde(default)]
    pub limits: ProgramLimits,
    /// Guests' purchases that somebody claims later (P6). Left out, nobody does.
    #[serde(default)]
    pub claims: Option<ClaimsDefinition>,
    /// Which proof a change of a member's names needs (P4).
    #[serde(default)]
    pub identity: IdentityDefinition,
    /// What becomes of the points of somebody who leaves (P3).
    #[serde(default)]
    pub leaving: LeavingDefinition,
    /// The share of members who see no targeted offer at all (C9).
    #[serde(default)]
    pub control_group: Option<Share>,
    /// Why balances may be changed by hand, how much by whom, and from where on two people decide (A2).
    #[serde(default)]
    pub adjustments: Option<AdjustmentsDefinition>,
    /// Stamp cards.
    #[serde(default)]
    pub cards: BTreeMap<Id, CardDefinition>,
    /// Goals over events, with steps that give something.
    #[serde(default)]
    pub challenges: BTreeMap<Id, ChallengeDefinition>,
    /// Days, weeks or months in a row.
    #[serde(default)]
    pub streaks: BTreeMap<Id, StreakDefinition>,
    /// What challenges, streaks and rules give to be shown.
    #[serde(default)]
    pub badges: BTreeMap<Id, BadgeDefinition>,
    /// Who did most in a stretch of time.
    #[serde(default)]
    pub leaderboards: BTreeMap<Id, LeaderboardDefinition>,
    /// Who is among the best.
    #[serde(default)]
    pub ranking: Option<RankingDefinition>,
    /// What cards, challenges and streaks stand for.
    #[serde(skip)]
    pub made: Made,
}

fn backdate_max() -> Period {
    Period::days(90)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownMember {
    #[default]
    Refuse,
    /// The event makes the member, who joins at its business time.
    Enrol,
    /// The event waits until somebody joins with that identifier.
    Park,
}

/// R11: `match | refuse | take_back`, as a word or with settings.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlinkedReturns {
    pub policy: UnlinkedPolicy,
    /// How far back `match` looks for the purchase.
    pub within: Period,
    /// What becomes of units that `match` does not find.
    pub unmatched: Unmatched,
}

impl Default for UnlinkedReturns {
    fn default() -> Self {
        Self { policy: UnlinkedPolicy::Match, within: Period::days(30), unmatched: Unmatched::Refuse }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnlinkedPolicy {
    /// Finds the member's own unreturned units, newest purchase first.
    Match,
    Refuse,
    /// Takes what the items would earn at the return's own time.
    TakeBack,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    #[default]
    Refuse,
    /// Takes what the items would earn, at most the balance.
    Clamp,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnlinkedReturnsMap {
    #[serde(default)]
    policy: Option<UnlinkedPolicy>,
    #[serde(default)]
    within: Option<Period>,
    #[serde(default)]
    unmatched: Unmatched,
}

word_or_map!(
    UnlinkedReturns,
    "match, refuse, take_back or their settings",
    |word| {
        let policy = match word {
            "match" => Some(UnlinkedPolicy::Match),
            "refuse" => Some(UnlinkedPolicy::Refuse),
            "take_back" => Some(UnlinkedPolicy::TakeBack),
            _ => None,
        };
        policy.map(|policy| UnlinkedReturns { policy, ..UnlinkedReturns::default() })
    },
    UnlinkedReturnsMap,
    |read| {
        let usual = UnlinkedReturns::default();
        Ok::<_, String>(UnlinkedReturns {
            policy: read.policy.unwrap_or(usual.policy),
            within: read.within.unwrap_or(usual.within),
            unmatched: read.unmatched,
        })
    }
);

/// What of a purchase earns (M4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Base {
    pub tax: bool,
    pub shipping: bool,
    pub tips: bool,
    /// The part paid for gift cards (lines of category `gift_card`).
    pub gift_cards_sold: bool,
    /// The part paid with a gift card (payments of method `gift_card`).
    pub paid_with_gift_card: bool,
    /// The part paid with points (payments of method `points`).
    pub paid_with_points: bool,
    pub discount: DiscountBase,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            tax: false,
            shipping: false,
            tips: false,
            gift_cards_sold: false,
            paid_with_gift_card: true,
            paid_with_points: false,
            discount: DiscountBase::After,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscountBase {
    #[default]
    After,
    Before,
}

/// A currency of the program: points, stars, stamps, miles, cashback.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrencyDefinition {
    pub name: Texts,
    pub expires: Expires,
    #[serde(default)]
    pub pending: Pending,
    /// What happens when more is taken back than is there (R6).
    #[serde(default)]
    pub overdraft: Overdraft,
    /// Money that one is worth when spent, in the program's currency.
    #[serde(default)]
    pub value: Option<Exact>,
    /// How it is spent: in which amounts, how long a reservation lasts.
    #[serde(default)]
    pub spend: SpendDefinition,
    /// Digits behind the point: 0 for points, 2 for cashback in baht (M1).
    #[serde(default)]
    pub scale: u32,
    /// The most a member may hold, active and pending together.
    #[serde(default)]
    pub max_balance: Option<i64>,
    /// Whether a return takes it back (R2).
    #[serde(default)]
    pub on_return: OnReturn,
}

impl CurrencyDefinition {
    /// One with every setting as it is when left out.
    pub(super) fn plain(expires: Expires) -> Self {
        Self {
            name: Texts::default(),
            expires,
            pending: Pending::default(),
            overdraft: Overdraft::default(),
            value: None,
            spend: SpendDefinition::default(),
            scale: 0,
            max_balance: None,
            on_return: OnReturn::default(),
        }
    }
}

/// When what was earned dies (L3, L4). Of several that compete the longest holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Expires {
    Never,
    After {
        after: Period,
        round: RoundTo,
    },
    /// Every year on a date, written `12-31`.
    Fixed {
        fixed: MonthAndDay,
    },
    /// One date for the whole currency, moved out by qualifying events.
    Inactivity {
        inactivity: Period,
        round: RoundTo,
        moved_by: Vec<Id>,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpiresMap {
    after: Option<Period>,
    fixed: Option<MonthAndDay>,
    inactivity: Option<Period>,
    #[serde(default)]
    round: RoundTo,
    moved_by: Option<Vec<Id>>,
}

word_or_map!(
    Expires,
    "`never`, or one of after, fixed and inactivity",
    |word| { (word == "never").then_some(Expires::Never) },
    ExpiresMap,
    |read| {
        match (read.after, read.fixed, read.inactivity) {
            (Some(after), None, None) => Ok(Expires::After { after, round: read.round }),
            (None, Some(fixed), None) => Ok(Expires::Fixed { fixed }),
            (None, None, Some(inactivity)) => Ok(Expires::Inactivity {
                inactivity,
                round: read.round,
                moved_by: read.moved_by.unwrap_or_else(|| vec![Id::constant("purchase")]),
            }),
            _ => Err("exactly one of `after`, `fixed` and `inactivity` is expected"),
        }
    }
);

/// A date of every year, written `12-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthAndDay {
    pub month: i8,
    pub day: i8,
}

impl std::str::FromStr for MonthAndDay {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no date of the year: 31 December is written \"12-31\"");
        let (month, day) = text.split_once('-').ok_or_else(wrong)?;
        let (month, day) = (month.parse().map_err(|_| wrong())?, day.parse().map_err(|_| wrong())?);
        // A leap year, so that 02-29 is a date of the year.
        Day::new(2024, month, day).map(|_| Self { month, day }).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for MonthAndDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for MonthAndDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MonthAndDay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{2}-[0-9]{2}$", "examples": ["12-31"] })
    }
}

/// How long what was earned waits before it can be spent (L6): a period, or until an event that names the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    pub period: Period,
    /// The event type whose `order_id` makes it spendable; `for` is then the longest wait, if given.
    pub until: Option<Id>,
    pub expiry_counts_from: CountsFrom,
    /// Whether pending points already count to tiers.
    pub counts_to_tiers: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountsFrom {
    #[default]
    Earn,
    Maturity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PendingMap {
    #[serde(default, rename = "for")]
    period: Period,
    until: Option<Id>,
    #[serde(default)]
    expiry_counts_from: CountsFrom,
    #[serde(default)]
    counts_to_tiers: bool,
}

word_or_map!(
    Pending,
    "a period such as P14D, or settings",
    |word| { word.parse().ok().map(|period| Pending { period, ..Pending::default() }) },
    PendingMap,
    |read| {
        Ok::<_, String>(Pending {
            period: read.period,
            until: read.until,
            expiry_counts_from: read.expiry_counts_from,
            counts_to_tiers: read.counts_to_tiers,
        })
    }
);

impl Pending {
    /// Whether anything waits at all.
    pub fn waits(&self) -> bool {
        !self.period.is_zero() || self.until.is_some()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overdraft {
    /// The rest is owed and repaid first by what is earned next.
    #[default]
    Debt,
    /// The rest is forgiven.
    Clamp,
    /// The return is refused.
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReturn {
    #[default]
    Reverse,
    Keep,
}

/// A ladder of levels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LadderDefinition {
    /// What is measured, for levels whose `at` is one number.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// Several measures by name, for levels whose `at` has several conditions (T7).
    #[serde(default)]
    pub measures: BTreeMap<Id, Measure>,
    #[serde(default)]
    pub window: TierWindow,
    #[serde(default)]
    pub holds_to: HoldsTo,
    #[serde(default)]
    pub down: Down,
    /// Which rate an order earns at that itself crosses a threshold (T5).
    #[serde(default)]
    pub crossing: Crossing,
    /// When a return that undoes a crossing takes the level away (T6).
    #[serde(default)]
    pub return_undoes: ReturnUndoes,
    pub levels: Vec<LevelDefinition>,
}

/// What a ladder measures (T1): points earned, money spent, or events counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    Earned { earned: Id, counts: Counts },
    Spend,
    Events { events: Id },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Bonus points do not buy tiers.
    #[default]
    Base,
    All,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MeasureMap {
    earned: Option<Id>,
    #[serde(default)]
    counts: Counts,
    events: Option<Id>,
}

word_or_map!(
    Measure,
    "`spend`, { earned: <currency> } or { events: <type> }",
    |word| { (word == "spend").then_some(Measure::Spend) },
    MeasureMap,
    |read| {
        match (read.earned, read.events) {
            (Some(earned), None) => Ok(Measure::Earned { earned, counts: read.counts }),
            (None, Some(events)) => Ok(Measure::Events { events }),
            _ => Err("exactly one of `earned` and `events` is expected"),
        }
    }
);

/// The stretch of time a measure is counted in (T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierWindow {
    #[default]
    CalendarYear,
    /// Years that begin on the day of joining.
    Anniversary,
    Rolling {
        rolling: Period,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TierWindowMap {
    rolling: Period,
}

word_or_map!(
    TierWindow,
    "calendar_year, anniversary or { rolling: P12M }",
    |word| {
        match word {
            "calendar_year" => Some(TierWindow::CalendarYear),
            "anniversary" => Some(TierWindow::Anniversary),
            _ => None,
        }
    },
    TierWindowMap,
    |read| Ok::<_, String>(TierWindow::Rolling { rolling: read.rolling })
);

/// To the end of which period a level holds (T3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldsTo {
    #[default]
    Next,
    Current,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Down {
    pub to: DownTo,
    /// How much longer a level is kept after its end.
    pub grace: Period,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownTo {
    #[default]
    OneDown,
    ToEarned,
    ToBase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    /// The rate of the level before the order.
    #[default]
    Before,
    /// Each part of the order at its own rate.
    Marginal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnUndoes {
    #[default]
    AtOnce,
    AtReview,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelDefinition {
    pub id: Id,
    /// What it takes to reach it; left out of a level that is `by_invitation`.
    #[serde(default)]
    pub at: Threshold,
    /// Nothing that is measured reaches it: somebody is asked in.
    #[serde(default)]
    pub by_invitation: bool,
    #[serde(default)]
    pub name: Texts,
    /// Base earning is multiplied by this, by currency.
    #[serde(default)]
    pub rate: BTreeMap<Id, Exact>,
    #[serde(default)]
    pub benefits: Vec<Id>,
}

/// What it takes to reach a level: a number, or conditions over several measures (T7). Without conditions it is never
/// reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// How many of the conditions must hold.
    pub needed: usize,
    /// By measure; under the empty name for the ladder's one `measure`.
    pub of: Vec<(Id, Exact)>,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { needed: 1, of: Vec::new() }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ThresholdMap {
    all: Option<BTreeMap<Id, Exact>>,
    any: Option<BTreeMap<Id, Exact>>,
    at_least: Option<usize>,
    of: Option<BTreeMap<Id, Exact>>,
}

word_or_map!(
    Threshold,
    "a number, { all: … }, { any: … } or { at_least: 2, of: … }",
    |word| {
        let number = rust_decimal::Decimal::from_str_exact(word).ok();
        number.map(|number| Threshold { needed: 1, of: vec![(Id::default(), Exact(number))] })
    },
    ThresholdMap,
    |read| {
        let (needed, conditions) = match (read.all, read.any, read.at_least, read.of) {
            (Some(all), None, None, None) => (all.len(), all),
            (None, Some(any), None, None) => (1, any),
            (None, None, Some(needed), Some(of)) => (needed, of),
            _ => {
                return Err(serde::de::Error::custom(
                    "exactly one of `all`, `any`, or `at_least` with `of` is expected",
                ));
            }
        };
        if needed == 0 || needed > conditions.len() {
            Err(format!("{needed} of {} conditions can never be judged", conditions.len()))
        } else {
            Ok(Threshold { needed, of: conditions.into_iter().collect() })
        }
    }
);

/// An event type of the program's own, or more fields for one that every program has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventDefinition {
    #[serde(default)]
    pub name: Texts,
    #[serde(default)]
    pub data: BTreeMap<Id, FieldDefinition>,
    /// More fields on each line of a purchase.
    #[serde(default)]
    pub item: BTreeMap<Id, FieldDefinition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldDefinition {
    pub kind: FieldKind,
    pub optional: bool,
    pub min: Option<Exact>,
    pub max: Option<Exact>,
    /// The only texts allowed.
    pub one_of: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Text,
    Integer,
    Number,
    Boolean,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FieldMap {
    #[serde(rename = "type")]
    kind: FieldKind,
    #[serde(default)]
    optional: bool,
    min: Option<Exact>,
    max: Option<Exact>,
    #[serde(default)]
    one_of: Vec<String>,
}

word_or_map!(
    FieldDefinition,
    "text, integer, number, boolean or settings with a type",
    |word| {
        let kind = match word {
            "text" => Some(FieldKind::Text),
            "integer" => Some(FieldKind::Integer),
            "number" => Some(FieldKind::Number),
            "boolean" => Some(FieldKind::Boolean),
            _ => None,
        };
        kind.map(|kind| FieldDefinition { kind, optional: false, min: None, max: None, one_of: Vec::new() })
    },
    FieldMap,
    |read| Ok::<_, String>(FieldDefinition {
        kind: read.kind,
        optional: read.optional,
        min: read.min,
        max: read.max,
        one_of: read.one_of,
    })
);

/// What is given for what, when and to whom.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignDefinition {
    #[serde(default)]
    pub name: Texts,
    /// An event type; or `birthday`, `balance` (an award moved a balance), `tier` (a level was entered), `challenge` (a
    /// step was done), `streak` (a milestone was reached).
    pub trigger: Id,
    /// Base earning has the tier's rate and counts to tiers. Left out: a purchase campaign without schedule,
    /// audience, budget and holdout is base, every other is a bonus.
    #[serde(default)]
    pub earning: Option<Earning>,
    #[serde(default = "yes")]
    pub active: bool,
    #[serde(default)]
    pub schedule: Option<Schedule>,
    #[serde(default)]
    pub audience: Option<Formula>,
    /// The share of members who do not get it, to measure what it brings (C9).
    #[serde(default)]
    pub holdout: Option<Share>,
    /// The most that the campaign may give in all, by currency (C5).
    #[serde(default)]
    pub budget: BTreeMap<Id, i64>,
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Who pays, by share; what is left is the program's.
    #[serde(default)]
    pub funded_by: BTreeMap<Id, Share>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// For `birthday`: how many days ahead.
    #[serde(default)]
    pub days_before: i32,
    pub rules: Vec<RuleDefinition>,
}

impl CampaignDefinition {
    /// One without rules, with every setting as it is when left out.
    pub(super) fn on(trigger: Id) -> Self {
        Self {
            name: Texts::default(),
            trigger,
            earning: None,
            active: true,
            schedule: None,
            audience: None,
            holdout: None,
            budget: BTreeMap::new(),
            limit: None,
            funded_by: BTreeMap::new(),
            priority: 0,
            days_before: 0,
            rules: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Earning {
    Base,
    Bonus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The first program day.
    pub from: Option<Day>,
    /// The last program day, inclusive.
    pub until: Option<Day>,
    pub weekdays: Vec<Weekday>,
    /// From and until, by the wall clock; until is exclusive and may be past midnight.
    pub hours: Option<(TimeOfDay, TimeOfDay)>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDefinition {
    /// `event.items`: the rule runs for every line; `item` is the line.
    #[serde(default)]
    pub each: Option<Formula>,
    #[serde(default)]
    pub when: Option<Formula>,
    #[serde(default)]
    pub award: Option<AwardDefinition>,
    #[serde(default)]
    pub extra: Option<ExtraDefinition>,
    #[serde(default)]
    pub spend: Option<SpendAction>,
    #[serde(default)]
    pub issue: Option<IssueAction>,
    #[serde(default)]
    pub grant: Option<GrantAction>,
    /// A badge of the document.
    #[serde(default)]
    pub badge: Option<Id>,
    /// The share of times that the rule applies, drawn each time.
    #[serde(default)]
    pub chance: Option<Share>,
    #[serde(default)]
    pub limit: Option<Limit>,
}

/// Points for something.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwardDefinition {
    pub currency: Id,
    pub amount: Formula,
    #[serde(default)]
    pub rounding: Rounding,
    /// Whether the order or each line is rounded (M7).
    #[serde(default)]
    pub per: RoundPer,
    /// What becomes of the fraction that rounding cuts off (M2).
    #[serde(default)]
    pub fraction: Fraction,
    #[serde(default)]
    pub base: Option<Base>,
}

impl AwardDefinition {
    pub(super) fn of(currency: &Id, amount: &str) -> Self {
        Self {
            currency: currency.clone(),
            amount: Formula(amount.to_owned()),
            rounding: Rounding::default(),
            per: RoundPer::default(),
            fraction: Fraction::default(),
            base: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundPer {
    #[default]
    Order,
    Line,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fraction {
    #[default]
    Drop,
    Carry,
}

/// Base points once more: `times: 2` adds as much again (C7).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraDefinition {
    pub currency: Id,
    pub times: Exact,
    /// The campaign whose base points are meant; left out: all base points of the currency.
    #[serde(default)]
    pub of: Option<Id>,
    #[serde(default)]
    pub rounding: Rounding,
}

/// Takes points for what the same rule gives: a full stamp card.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendAction {
    pub currency: Id,
    pub amount: i64,
    /// Takes what is there beyond the amount too: a card whose surplus is lost.
    #[serde(skip)]
    pub everything: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueAction {
    pub voucher: Id,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantAction {
    pub benefit: Id,
    /// How long, from the business day, the last day included.
    #[serde(rename = "for")]
    pub period: Period,
}

/// How much, or how often, at the most (C1, C2).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    pub per_event: Option<Cap>,
    pub per_member: BTreeMap<Window, Cap>,
    /// Over all members.
    pub program: BTreeMap<Window, Cap>,
    /// Whether a return gives the room back (C2).
    #[serde(rename = "returns_give_back")]
    pub returns_give_back: Option<bool>,
}

/// A bare number counts times where the amount is fixed (`amount: 50`, `issue`, `grant`) and points where it is worked
/// out (a formula, an extra); `{ times: 4 }` and `{ points: 200 }` say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    Plain(i64),
    Times(i64),
    Points(i64),
}

impl Cap {
    pub const fn number(self) -> i64 {
        match self {
            Self::Plain(number) | Self::Times(number) | Self::Points(number) => number,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CapMap {
    times: Option<i64>,
    points: Option<i64>,
}

word_or_map!(
    Cap,
    "a whole number, { times: 4 } or { points: 200 }",
    |word| word.parse().ok().map(Cap::Plain),
    CapMap,
    |read| {
        match (read.times, read.points) {
            (Some(times), None) => Ok(Cap::Times(times)),
            (None, Some(points)) => Ok(Cap::Points(points)),
            _ => Err("exactly one of `times` and `points` is expected"),
        }
    }
);

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramLimits {
    /// By currency, then window.
    pub per_member: BTreeMap<Id, BTreeMap<Window, i64>>,
    pub program: BTreeMap<Id, BTreeMap<Window, i64>>,
    /// The most one event may give, by currency.
    pub per_event: BTreeMap<Id, i64>,
}

/// Which campaigns go together (C3), and how several extras add up (C7).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stacking {
    pub order: Vec<StackingGroup>,
    pub extras: Extras,
    /// The most that several extras may multiply to, for `product`.
    pub extras_max: Option<Exact>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extras {
    #[default]
    Add,
    Highest,
    Product,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StackingGroup {
    /// Only one of these gives.
    pub exclusive: Vec<Id>,
    /// None of these goes together with any other bonus campaign.
    pub never: Vec<Id>,
    /// These go together with everything, even inside an exclusive group.
    pub always: Vec<Id>,
    pub choose: Choose,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// What is worth most to the member; then priority, then name.
    #[default]
    Best,
    /// The first by priority, then name.
    First,
}
