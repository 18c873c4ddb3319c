//! What an answer is expected to say: of a command, of a quote, of a cart.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tessera_core::ledger::RedemptionStatus;
use tessera_core::program::{Exact, Id};
use tessera_core::time::Day;

use super::word::{Whole, WordOr};
use super::{Balance, Effect, LineDiscount, Status};
use crate::scenario::moment::Moment;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
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
pub(super) struct Redemption {
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
    member: Option<AtMember>,
    back: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtMember {
    state: Option<tessera_core::ledger::AtMemberState>,
    reason: Option<String>,
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
