//! What the member can have now, at their own price.

use serde::Serialize;

use super::words::Words;
use crate::decide::basis::Usage;
use crate::decide::working::Working;
use crate::decide::{code_pool, codes_imported, outcome, reward};
use crate::program::Id;
use crate::quantity::Amount;

/// Rewards that a quote names: the dearest.
pub const REWARDS_MAX: usize = 20;

/// A reward that the member can have now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RewardNow {
    pub reward: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub currency: Id,
    /// The member's own price in points.
    pub points: i64,
    /// What others pay, where the member's level pays less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinary: Option<i64>,
    /// What is to be paid in money besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Amount>,
}

/// Whether a reward is in stock, beyond those who wait for it.
pub(super) fn is_there(working: &Working<'_>, id: &Id) -> bool {
    let Some(reward) = working.program.reward(id.as_str()) else { return false };
    let in_stock = reward.definition.stock.is_none_or(|stock| working.is_free(id, stock).is_ok());
    let has_code = reward.definition.gives.code_pool.as_ref().is_none_or(|pool| {
        let imported = working.inputs.pools.get(&codes_imported(pool)).copied().unwrap_or(i64::MAX);
        working.pool(&code_pool(pool)) < imported
    });
    in_stock && has_code
}

/// What the points that can be spent are enough for, the dearest first.
pub(super) fn now(working: &Working<'_>, words: Words<'_>) -> Vec<RewardNow> {
    let (program, member) = (&*working.program, &working.state);
    let can_be_had = |id: &Id| {
        let reward = program.reward(id.as_str())?;
        let points = reward::reward_price(program, member, reward);
        let enough = points <= outcome::balance(member, &reward.currency).available;
        let may = reward::may_have(program, member, id, reward, member.clock.max(working.at_effective())).is_ok();
        (enough && may && is_there(working, id)).then(|| RewardNow {
            reward: id.clone(),
            name: reward.definition.name.in_language(words.language).map(str::to_owned),
            currency: reward.currency.clone(),
            points,
            ordinary: (reward.price != points).then_some(reward.price),
            money: reward.money,
        })
    };
    let mut found: Vec<RewardNow> = program.definition.rewards.keys().filter_map(can_be_had).collect();
    found.sort_by(|one, other| (other.points, &one.reward).cmp(&(one.points, &other.reward)));
    found.truncate(REWARDS_MAX);
    found
}
