use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::decide;
use tessera_core::event::Redeem;
use tessera_core::id::MemberId;
use tessera_core::program::{Id, Program, RewardGives};
use tessera_core::quantity::Amount;
use tessera_core::time::Day;
use tessera_store::{Reader, Shards, StoreError};

use super::member::{PageRequest, settled};
use crate::codes;
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// A reward of the catalogue, as a member may see it.
#[derive(Clone, Debug, Serialize)]
pub struct RewardView {
    pub id: Id,
    pub name: Option<String>,
    pub text: Option<String>,
    pub images: Vec<String>,
    pub currency: Id,
    /// The price in points: the member's own, where one was named.
    pub points: i64,
    /// What is to be paid in money besides.
    pub money: Option<Amount>,
    pub gives: RewardGives,
    /// How many are left; `None` where there are as many as are wanted.
    pub left: Option<i64>,
    pub from: Option<Day>,
    pub until: Option<Day>,
    /// Whether the member has the points for it; `None` where nobody was named.
    pub affordable: Option<bool>,
    /// How many points the member has too few.
    pub missing: Option<i64>,
    /// Why the member cannot have it now, in words and as data; `None` where they can, or nobody was named.
    pub refused: Option<Refusal>,
}

/// In which order a catalogue is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RewardSort {
    /// By id.
    #[default]
    Id,
    Name,
    /// The cheapest in points first.
    Price,
    /// The dearest first.
    PriceDown,
}

impl RewardSort {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "id" => Some(Self::Id),
            "name" => Some(Self::Name),
            "price" => Some(Self::Price),
            "-price" => Some(Self::PriceDown),
            _ => None,
        }
    }
}

/// Which rewards are looked for.
#[derive(Clone, Debug, Default)]
pub struct RewardQuery {
    pub member: Option<MemberId>,
    pub language: String,
    /// Only what gives this: `item`, `voucher`, `donation` …
    pub gives: Option<String>,
    /// Only what the member has the points for.
    pub affordable: bool,
    /// Only what the member can have now, or what is left where nobody was named.
    pub available: bool,
    pub sort: RewardSort,
}

/// A page of a catalogue.
#[derive(Clone, Debug, Serialize)]
pub struct RewardPage {
    pub items: Vec<RewardView>,
    pub next: Option<String>,
}

/// What is found of a catalogue.
#[derive(Clone, Debug)]
pub enum Catalogue {
    Page(RewardPage),
    /// There is no such member.
    UnknownMember,
    /// The program has no reward that the page is to come after.
    UnknownPlace,
}

/// The catalogue for a member or for anybody.
pub fn rewards(
    context: &Context,
    program: &ProgramHandle,
    asked: &RewardQuery,
    page: &PageRequest,
) -> Result<Catalogue, StoreError> {
    let rules = program.versions().at(context.clock.now()).clone();
    let found = context.database.read(|reader| {
        let state = match asked.member {
            Some(member) => match settled(context, reader, program, member)? {
                Some(state) => Some(state),
                None => return Ok(None),
            },
            None => None,
        };
        let left = left(reader, &context.shards, program.number, &rules)?;
        let view = |id: &Id| view(&rules, id, state.as_ref(), &left, &asked.language);
        Ok(Some(rules.definition.rewards.keys().filter_map(view).collect::<Vec<_>>()))
    })?;
    let Some(mut views) = found else { return Ok(Catalogue::UnknownMember) };
    views.sort_by(|one, other| match asked.sort {
        RewardSort::Id => one.id.cmp(&other.id),
        RewardSort::Name => (&one.name, &one.id).cmp(&(&other.name, &other.id)),
        RewardSort::Price => (one.points, one.money, &one.id).cmp(&(other.points, other.money, &other.id)),
        RewardSort::PriceDown => (other.points, other.money, &one.id).cmp(&(one.points, one.money, &other.id)),
    });
    // The last of the page before has its place among all: it may no longer be what is looked for, as one that was sold
    // out since.
    let start = match page.after.as_deref() {
        None => 0,
        Some(after) => match views.iter().position(|reward| reward.id == *after) {
            Some(place) => place + 1,
            None => return Ok(Catalogue::UnknownPlace),
        },
    };
    let mut items: Vec<RewardView> =
        views.into_iter().skip(start).filter(|reward| is_asked_for(reward, asked)).take(page.limit + 1).collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Catalogue::Page(RewardPage { items, next }))
}

fn view(
    rules: &Program,
    id: &Id,
    state: Option<&tessera_core::member::MemberState>,
    left: &BTreeMap<Id, i64>,
    language: &str,
) -> Option<RewardView> {
    let reward = rules.reward(id.as_str())?;
    let definition = &reward.definition;
    let left = left.get(id).copied();
    let points = state.map_or(reward.price, |state| decide::reward_price(rules, state, reward));
    let missing = state.map(|state| {
        let available = state.purse(reward.currency.as_str()).map_or(0, |purse| purse.active().get());
        (points - available).max(0)
    });
    let refused = state.and_then(|state| match decide::quote_redemption(rules, state, &one(id)) {
        Ok(_) if left == Some(0) => Some(sold_out(id, definition.stock)),
        Ok(_) => None,
        Err(rejected) => Some(rejected.into()),
    });
    Some(RewardView {
        id: id.clone(),
        name: definition.name.in_language(language).map(str::to_owned),
        text: definition.text.in_language(language).map(str::to_owned),
        images: definition.images.clone(),
        currency: reward.currency.clone(),
        points,
        money: reward.money,
        gives: definition.gives.clone(),
        left,
        from: definition.from,
        until: definition.until,
        affordable: missing.map(|missing| missing == 0),
        missing,
        refused,
    })
}

fn is_asked_for(reward: &RewardView, asked: &RewardQuery) -> bool {
    let gives = |kind: &String| serde_json::json!(reward.gives).get(kind).is_some();
    asked.gives.as_ref().is_none_or(gives)
        && (!asked.affordable || reward.affordable == Some(true))
        && (!asked.available || (reward.refused.is_none() && reward.left != Some(0)))
}

fn one(reward: &Id) -> Redeem {
    Redeem {
        reward: Some(reward.clone()),
        currency: Id::default(),
        points: None,
        payable: None,
        tender: None,
        order_id: None,
        capture: false,
        proven: None,
        by: None,
    }
}

fn sold_out(reward: &Id, stock: Option<i64>) -> Refusal {
    decide::Rejected::RewardSoldOut { reward: reward.clone(), stock: stock.unwrap_or(0) }.into()
}

/// How many there are left of each reward that is scarce: in stock, and of the codes it gives.
fn left(
    reader: &mut Reader<'_>,
    shards: &Shards,
    program: i64,
    rules: &Program,
) -> Result<BTreeMap<Id, i64>, StoreError> {
    let definition = &rules.definition;
    let codes: BTreeMap<Id, i64> =
        codes::pools_of(reader, program, definition, "")?.into_iter().map(|pool| (pool.pool, pool.left)).collect();
    let mut left = BTreeMap::new();
    for (id, reward) in &definition.rewards {
        let mut least = reward.gives.code_pool.as_ref().and_then(|pool| codes.get(pool).copied());
        if let Some(stock) = reward.stock {
            let taken = crate::executor::in_use(reader, shards, program, &decide::stock_pool(id))?;
            least = Some(least.unwrap_or(i64::MAX).min((stock - taken).max(0)));
        }
        left.extend(least.map(|least| (id.clone(), least)));
    }
    Ok(left)
}
