use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::decide;
use tessera_core::event::Redeem;
use tessera_core::id::{Bucket, MemberId};
use tessera_core::program::{Id, RewardGives};
use tessera_core::time::Day;
use tessera_store::{Reader, Row, StoreError, tables};

use super::member::settled;
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::Rows;
use crate::submission::Refusal;

/// A reward of the catalogue, as a member may see it.
#[derive(Clone, Debug, Serialize)]
pub struct RewardView {
    pub id: Id,
    pub name: Option<String>,
    pub currency: Id,
    /// The price: of the member, where one was named and may have it.
    pub points: i64,
    pub gives: RewardGives,
    /// How many are left; `None` where there are as many as are wanted.
    pub left: Option<i64>,
    pub from: Option<Day>,
    pub until: Option<Day>,
    /// Why the member cannot have it now; `None` where they can, or nobody was named.
    pub refused: Option<Refusal>,
}

/// The catalogue in the order of its names, for a member or for anybody; `None` where there is no such member.
pub fn rewards(
    context: &Context,
    program: &ProgramHandle,
    member: Option<MemberId>,
    language: &str,
) -> Result<Option<Vec<RewardView>>, StoreError> {
    let rules = program.versions().at(context.clock.now()).clone();
    context.database.read(|reader| {
        let state = match member {
            Some(member) => match settled(context, reader, program, member)? {
                Some(state) => Some(state),
                None => return Ok(None),
            },
            None => None,
        };
        let taken = taken(reader, program.number, rules.definition.rewards.keys())?;
        let view = |id: &Id| {
            let reward = rules.reward(id.as_str())?;
            let left = reward.definition.stock.map(|stock| (stock - taken.get(id).copied().unwrap_or(0)).max(0));
            let asked = state.as_ref().map(|state| decide::quote_redemption(&rules, state, &one(id)));
            let (points, refused) = match asked {
                Some(Ok(_)) if left == Some(0) => (reward.price, Some(sold_out(id, reward.definition.stock))),
                Some(Ok(quote)) => (quote.points, None),
                Some(Err(rejected)) => (reward.price, Some(rejected.into())),
                None => (reward.price, None),
            };
            let definition = &reward.definition;
            Some(RewardView {
                id: id.clone(),
                name: definition.name.in_language(language).map(str::to_owned),
                currency: reward.currency.clone(),
                points,
                gives: definition.gives.clone(),
                left,
                from: definition.from,
                until: definition.until,
                refused,
            })
        };
        Ok(Some(rules.definition.rewards.keys().filter_map(view).collect()))
    })
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
    }
}

fn sold_out(reward: &Id, stock: Option<i64>) -> Refusal {
    decide::Rejected::RewardSoldOut { reward: reward.clone(), stock: stock.unwrap_or(0) }.into()
}

/// How many of each reward are taken.
fn taken<'a>(
    reader: &mut Reader<'_>,
    program: i64,
    rewards: impl Iterator<Item = &'a Id>,
) -> Result<BTreeMap<Id, i64>, StoreError> {
    let mut taken = BTreeMap::new();
    for reward in rewards {
        let pool = decide::stock_pool(reward);
        let bucket = i64::from(Bucket::of(pool.as_bytes()).get());
        let key: Row = vec![bucket.into(), program.into(), pool.as_str().into()];
        if let Some(row) = Rows::fetch_by_keys(reader, &tables::POOL, &[key])?.first() {
            taken.insert(reward.clone(), row[3].int()?);
        }
    }
    Ok(taken)
}
