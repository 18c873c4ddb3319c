//! What a scenario file may say. Read to be checked: every key and word of it, with its line. What was expected is then
//! compared as it was written.

#![expect(dead_code, reason = "these are read to be checked; what was written is compared as it stands in the file")]

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};
use tessera_core::decide::{EffectKind, EventStatus};
use tessera_core::event::PlacementKind;
use tessera_core::ledger::{Account, EntryKind, RedemptionStatus};
use tessera_core::member::ClubStatus;
use tessera_core::program::{Exact, Id, UseWindow};
use tessera_core::time::Day;

use super::moment::Moment;

/// Stands for the one key of a step that is an event's type; no key that can be typed by accident.
pub(super) const EVENT: &str = "<event>";
/// Stands for what is expected of the step's member.
pub(super) const SEEN: &str = "<seen>";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) scenario: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) shows: Vec<String>,
    pub(super) program: Option<String>,
    pub(super) document: Option<IgnoredAny>,
    pub(super) change: Option<IgnoredAny>,
    pub(super) members: Option<IgnoredAny>,
    #[serde(default = "first")]
    pub(super) chance: u64,
    #[serde(default = "yes")]
    pub(super) wake_ups: bool,
    pub(super) steps: Vec<Step>,
}

fn first() -> u64 {
    1
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) say: Option<String>,
    pub(super) at: Option<Moment>,
    pub(super) happened: Option<Moment>,
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) from: Option<super::step::Sender>,
    #[serde(rename = "<event>")]
    pub(super) event: Option<IgnoredAny>,
    pub(super) adjust: Option<super::step::Adjust>,
    pub(super) publish: Option<WordOr<String, Publish>>,
    pub(super) redeem: Option<super::step::Redemption>,
    pub(super) quote: Option<super::step::Quote>,
    pub(super) capture: Option<super::step::OfRedemption>,
    pub(super) void: Option<super::step::OfRedemption>,
    pub(super) fulfil: Option<super::step::Fulfil>,
    pub(super) partner: Option<super::step::SaidByPartner>,
    pub(super) waitlist: Option<super::step::Waitlist>,
    pub(super) transfer: Option<super::step::Sending>,
    /// Of a redemption; that of an order is an event.
    #[serde(rename = "return")]
    pub(super) give_back: Option<super::step::OfRedemption>,
    pub(super) join: Option<super::step::Join>,
    pub(super) claim: Option<super::step::Claim>,
    pub(super) leave: Option<super::step::Leave>,
    pub(super) freeze: Option<super::step::Freezing>,
    pub(super) thaw: Option<super::step::Freezing>,
    pub(super) merge: Option<super::step::Merge>,
    #[serde(rename = "merge-undo")]
    pub(super) merge_undo: Option<super::step::Merge>,
    #[serde(rename = "use")]
    pub(super) uses: Option<super::step::Use>,
    #[serde(rename = "use-back")]
    pub(super) use_back: Option<super::step::UseBack>,
    pub(super) tier: Option<super::step::Tier>,
    #[serde(rename = "gift-card")]
    pub(super) gift_card: Option<super::cards::CardWish>,
    pub(super) pay: Option<super::cards::Pay>,
    #[serde(rename = "make-codes")]
    pub(super) make_codes: Option<super::cards::MakeCodes>,
    #[serde(rename = "redeem-code")]
    pub(super) redeem_code: Option<super::cards::UseCode>,
    #[serde(rename = "rollback-code")]
    pub(super) rollback_code: Option<super::cards::UseCode>,
    pub(super) household: Option<super::step::Together>,
    pub(super) expect: Option<Expect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    document: Option<IgnoredAny>,
    change: Option<IgnoredAny>,
}

/// Keys of an expectation that are about the answer.
pub(super) const EXPECT_KEYS: [&str; 10] =
    ["status", "refused", "effects", "without", "because", "answer", "version", "members", "cards", "cases"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    status: Option<Status>,
    refused: Option<WordOr<String, BTreeMap<String, IgnoredAny>>>,
    effects: Option<WordOr<Nothing, Vec<Effect>>>,
    without: Option<Vec<Effect>>,
    because: Option<Vec<Because>>,
    answer: Option<Answer>,
    version: Option<u32>,
    members: Option<BTreeMap<String, Seen>>,
    cards: Option<BTreeMap<String, Card>>,
    /// Cases that there are.
    cases: Option<WordOr<Nothing, Vec<Case>>>,
    #[serde(rename = "<seen>")]
    seen: Option<Seen>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: Option<Id>,
    subject: Option<String>,
    what: Option<tessera_core::program::Watched>,
    per: Option<String>,
    state: Option<CaseState>,
    action: Option<tessera_core::program::VelocityAction>,
    most: Option<i64>,
    used: Option<i64>,
    hits: Option<i64>,
    from: Option<Moment>,
    until: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CaseState {
    Open,
    Taken,
    Closed,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Applied,
    Duplicate,
    Parked,
}

/// What is on a gift card.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    /// `active`, `empty` or `blocked`; or why it is not to be had, such as `gift-card-replaced`.
    status: Option<String>,
    balance: Option<Exact>,
    held: Option<Exact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    first_status: Option<Status>,
    balances: Option<BTreeMap<Id, WordOr<Whole, Balance>>>,
    tiers: Option<BTreeMap<Id, Id>>,
    redemption: Option<Redemption>,
    // Of a quote.
    currency: Option<Id>,
    points: Option<i64>,
    lots: Option<Vec<LotTrace>>,
    bill: Option<Bill>,
    choices: Option<Choices>,
    balance: Option<Balance>,
    // Of the quote of a cart.
    effects: Option<Vec<Effect>>,
    prices: Option<Vec<LinePrice>>,
    best: Option<Best>,
    missing: Option<Vec<Missing>>,
    rewards: Option<Vec<RewardNow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinePrice {
    line: Option<String>,
    price: Option<Id>,
    name: Option<String>,
    was: Option<Exact>,
    amount: Option<Exact>,
    saving: Option<Exact>,
    words: Option<String>,
}

/// What saves most on a cart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Best {
    saving: Option<Exact>,
    prices: Option<Vec<LinePrice>>,
    vouchers: Option<Vec<VoucherSaving>>,
    considered: Option<Vec<Considered>>,
    runner_up: Option<RunnerUp>,
    proven: Option<bool>,
    purchase: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoucherSaving {
    voucher: Option<Id>,
    name: Option<String>,
    saving: Option<Exact>,
    lines: Option<Vec<LineDiscount>>,
    shipping: Option<Exact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Considered {
    voucher: Option<Id>,
    used: Option<bool>,
    alone: Option<Exact>,
    reason: Option<String>,
    words: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunnerUp {
    saving: Option<Exact>,
    difference: Option<Exact>,
    prices: Option<Vec<Id>>,
}

/// What a cart or its member is short of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Missing {
    #[serde(rename = "type")]
    kind: Option<String>,
    campaign: Option<Id>,
    voucher: Option<Id>,
    ladder: Option<Id>,
    level: Option<Id>,
    reward: Option<Id>,
    currency: Option<Id>,
    spend: Option<Exact>,
    lines: Option<u32>,
    points: Option<i64>,
    needed: Option<usize>,
    saving: Option<Exact>,
    measures: Option<BTreeMap<Id, Exact>>,
    brings: Option<BTreeMap<Id, i64>>,
    vouchers: Option<Vec<Id>>,
    benefits: Option<Vec<Id>>,
    words: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewardNow {
    reward: Option<Id>,
    name: Option<String>,
    currency: Option<Id>,
    points: Option<i64>,
    ordinary: Option<i64>,
    money: Option<Exact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redemption {
    status: Option<RedemptionStatus>,
    currency: Option<Id>,
    points: Option<i64>,
    captured: Option<i64>,
    returned: Option<i64>,
    at: Option<Moment>,
    ends_at: Option<Moment>,
    order_id: Option<String>,
    bill: Option<Bill>,
    reward: Option<Id>,
    given: Option<Given>,
    lots: Option<Vec<LotTrace>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    money: Option<Exact>,
    code_pool: Option<Id>,
    donation: Option<Donation>,
    fulfilment: Option<Fulfilment>,
    partner: Option<AtPartner>,
    gift_card: Option<GivenCard>,
    back: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Donation {
    cause: Option<String>,
    money: Option<Exact>,
    day: Option<Day>,
    back: Option<Day>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenCard {
    money: Option<Exact>,
    state: Option<tessera_core::ledger::GivenCardState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtPartner {
    partner: Option<Id>,
    state: Option<tessera_core::ledger::PartnerState>,
    since: Option<Moment>,
    until: Option<Moment>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fulfilment {
    state: Option<tessera_core::ledger::FulfilmentState>,
    since: Option<Moment>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LotTrace {
    amount: Option<i64>,
    last_day: Option<Day>,
    funder: Option<Id>,
    words: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bill {
    payable: Option<Exact>,
    covered: Option<Exact>,
    remainder: Option<Exact>,
    tender: Option<String>,
    asked: Option<Exact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choices {
    min: Option<i64>,
    max: Option<i64>,
    step: Option<i64>,
}

/// Keys of an expectation that are about a member, as they see themselves at the end of the step.
pub(super) const SEEN_KEYS: &[&str] = &[
    "balances",
    "tiers",
    "standing",
    "lots",
    "vouchers",
    "grants",
    "history",
    "entries",
    "redemptions",
    "purchases",
    "spend",
    "challenges",
    "streaks",
    "badges",
    "entitlements",
    "clubs",
    "pool",
    "part",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    balances: Option<BTreeMap<Id, WordOr<Whole, Balance>>>,
    tiers: Option<BTreeMap<Id, Id>>,
    standing: Option<BTreeMap<Id, Standing>>,
    lots: Option<BTreeMap<Id, Vec<Lot>>>,
    vouchers: Option<BTreeMap<Id, u32>>,
    grants: Option<BTreeMap<Id, Day>>,
    /// Paid memberships, by plan.
    clubs: Option<BTreeMap<Id, Option<Club>>>,
    /// What the member can use: all that is named, and `null` for what they do not have.
    entitlements: Option<BTreeMap<Id, Option<Entitlement>>>,
    history: Option<Vec<Event>>,
    entries: Option<Vec<Entry>>,
    redemptions: Option<Vec<Redemption>>,
    purchases: Option<u32>,
    spend: Option<Exact>,
    challenges: Option<BTreeMap<Id, Exact>>,
    streaks: Option<BTreeMap<Id, u32>>,
    badges: Option<Vec<Id>>,
    /// What is in the pool of the member's household, and what of it is theirs.
    pool: Option<BTreeMap<Id, i64>>,
    part: Option<BTreeMap<Id, i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    available: Option<i64>,
    pending: Option<i64>,
    held: Option<i64>,
    debt: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    level: Option<Id>,
    since: Option<Moment>,
    holds_until: Option<Moment>,
    measured: Option<BTreeMap<Id, Exact>>,
    next_level: Option<Id>,
    missing_to_rise: Option<BTreeMap<Id, Exact>>,
    missing_to_stay: Option<BTreeMap<Id, Exact>>,
    benefits: Option<Vec<Id>>,
    placements: Option<Vec<Placement>>,
    words: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placement {
    kind: Option<PlacementKind>,
    level: Option<Id>,
    since: Option<Moment>,
    until: Option<Moment>,
    reason: Option<String>,
    missing_to_keep: Option<BTreeMap<Id, Exact>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Club {
    status: Option<ClubStatus>,
    from: Option<Day>,
    last_day: Option<Day>,
    ends_at: Option<Moment>,
    renews: Option<bool>,
    payment_failed: Option<bool>,
    fee: Option<Exact>,
    paid_ahead: Option<Exact>,
    days_left: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entitlement {
    kind: Option<Id>,
    from: Option<Vec<Source>>,
    until: Option<Moment>,
    last_day: Option<Day>,
    uses: Option<Vec<UsesLeft>>,
    when: Option<String>,
    opens_at: Option<Moment>,
    partner: Option<Id>,
    usable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    by: Option<String>,
    ladder: Option<Id>,
    level: Option<Id>,
    plan: Option<Id>,
    until: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsesLeft {
    window: Option<UseWindow>,
    most: Option<i64>,
    used: Option<i64>,
    left: Option<i64>,
    next: Option<Day>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lot {
    amount: Option<i64>,
    state: Option<LotState>,
    last_day: Option<Day>,
    expires_at: Option<Moment>,
    earned_at: Option<Moment>,
    matures_at: Option<Moment>,
    funder: Option<Id>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LotState {
    Active,
    Held,
    Pending,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<EventStatus>,
    time: Option<Moment>,
    recorded_at: Option<Moment>,
    program_version: Option<u32>,
    source: Option<String>,
    source_id: Option<String>,
    data: Option<IgnoredAny>,
    effects: Option<Vec<Effect>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: Option<EntryKind>,
    currency: Option<Id>,
    from: Option<Account>,
    to: Option<Account>,
    amount: Option<i64>,
    at: Option<Moment>,
    campaign: Option<Id>,
    program_version: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Effect {
    #[serde(rename = "type")]
    kind: Option<EffectKind>,
    currency: Option<Id>,
    amount: Option<i64>,
    campaign: Option<Id>,
    expires_on: Option<Day>,
    matures_at: Option<Moment>,
    wanted: Option<i64>,
    capped_by: Option<String>,
    order_id: Option<String>,
    ladder: Option<Id>,
    level: Option<Id>,
    from: Option<Id>,
    voucher: Option<Id>,
    benefit: Option<Id>,
    challenge: Option<Id>,
    streak: Option<Id>,
    step: Option<u32>,
    badge: Option<Id>,
    plan: Option<Id>,
    partner: Option<Id>,
    left: Option<i64>,
    words: Option<String>,
    until: Option<Moment>,
    money: Option<Exact>,
    cause: Option<String>,
    reward: Option<Id>,
    place: Option<i64>,
    lines: Option<Vec<LineDiscount>>,
    shipping: Option<String>,
    prize: Option<IgnoredAny>,
    /// Why not, as a code.
    reason: Option<String>,
}

/// What a voucher took off one line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineDiscount {
    line: Option<String>,
    amount: Option<String>,
}

/// What became of one rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    campaign: Option<Id>,
    rule: Option<u32>,
    applied: Option<bool>,
    reason: Option<String>,
    words: Option<String>,
    currency: Option<Id>,
    amount: Option<i64>,
    rate: Option<Exact>,
    times: Option<Exact>,
    base: Option<i64>,
    before: Option<i64>,
    left: Option<i64>,
    wanted: Option<i64>,
    available: Option<i64>,
    by: Option<String>,
    limit: Option<String>,
    chosen: Option<Id>,
    condition: Option<String>,
    challenge: Option<Id>,
    streak: Option<Id>,
}

/// A value that is one word, or a map or list of settings.
pub(super) struct WordOr<W, S>(PhantomData<(W, S)>);

/// What a word may be.
pub(super) trait Word {
    const EXPECTED: &'static str;
    fn is_one(text: &str) -> bool;
}

/// A whole number.
struct Whole;

impl Word for Whole {
    const EXPECTED: &'static str = "a whole number, or settings such as { available: 5, pending: 2 }";
    fn is_one(text: &str) -> bool {
        text.parse::<i64>().is_ok()
    }
}

struct Nothing;

impl Word for Nothing {
    const EXPECTED: &'static str = "`none`, or a list of effects";
    fn is_one(text: &str) -> bool {
        text == "none"
    }
}

impl Word for String {
    const EXPECTED: &'static str = "a word, or settings";
    fn is_one(text: &str) -> bool {
        !text.is_empty()
    }
}

impl<'de, W: Word, S: Deserialize<'de>> Deserialize<'de> for WordOr<W, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<W, S>(PhantomData<(W, S)>);
        impl<'de, W: Word, S: Deserialize<'de>> de::Visitor<'de> for Visitor<W, S> {
            type Value = WordOr<W, S>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(W::EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let wrong = || E::custom(format!("{} is expected here, not `{text}`", W::EXPECTED));
                W::is_one(text).then_some(WordOr(PhantomData)).ok_or_else(wrong)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                S::deserialize(MapAccessDeserializer::new(map)).map(|_| WordOr(PhantomData))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                S::deserialize(SeqAccessDeserializer::new(seq)).map(|_| WordOr(PhantomData))
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}
