//! What a scenario file may say. Read to be checked: every key and word of it, with its line. What was expected is then
//! compared as it was written.

#![expect(dead_code, reason = "these are read to be checked; what was written is compared as it stands in the file")]

mod answer;
mod word;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tessera_core::decide::{EffectKind, EventStatus};
use tessera_core::event::PlacementKind;
use tessera_core::ledger::{Account, EntryKind};
use tessera_core::member::ClubStatus;
use tessera_core::program::{Exact, Id, UseWindow};
use tessera_core::time::Day;

use super::moment::Moment;
use answer::{Answer, Redemption};
use word::{Nothing, Whole, WordOr};

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
    tried: Option<bool>,
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
