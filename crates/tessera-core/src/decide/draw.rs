//! Surprises: rules that only apply with a chance.
//!
//! A draw is a number from 0 to 999,999, made of the decision's random bytes; it wins below the chance's share of that. It
//! is part of the basis, so that a return and an explanation find the same, and of the event's record, for the audit.
//! Nothing is drawn for a prize that no longer fits its budget and limits whole.

use std::collections::BTreeMap;

use compact_str::{CompactString, ToCompactString};
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::Basis;
use crate::id::MemberId;
use crate::program::{Campaign, Id, Program, Rule, Share};

/// Numbers that a draw can give.
pub const NUMBERS: u32 = 1_000_000;

/// Where the numbers of draws come from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Draws<'a> {
    /// The decision's random bytes: nobody can know them before.
    #[default]
    Fresh,
    /// As they were drawn once, by rule; rules that had none draw by the random bytes.
    Stored(&'a BTreeMap<CompactString, u32>),
    /// Nobody may know yet: a quote says that something may be won, and not whether it is.
    Hidden,
}

/// One draw: what was drawn, and whether it won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    pub campaign: Id,
    /// The rule's place in the campaign, from 0.
    pub rule: u32,
    pub chance: CompactString,
    pub drawn: u32,
    pub won: bool,
}

impl Draw {
    /// The name that a rule's number has in a basis.
    pub fn key(&self) -> CompactString {
        compact_str::format_compact!("{}/{}", self.campaign, self.rule)
    }
}

/// Numbers below this win.
fn winning(chance: Share) -> u32 {
    (chance.decimal() * rust_decimal::Decimal::from(NUMBERS)).floor().to_u32().unwrap_or(0)
}

/// The draw of a rule by the numbers of a basis; `None` where nobody may know.
pub(super) fn draw(basis: &Basis, campaign: &Campaign, place: usize, rule: &Rule, chance: Share) -> Option<Draw> {
    let drawn = *basis.draws.get(&rule.key)?;
    Some(Draw {
        campaign: campaign.id.clone(),
        rule: u32::try_from(place).unwrap_or(u32::MAX),
        chance: chance.decimal().normalize().to_compact_string(),
        drawn,
        won: drawn < winning(chance),
    })
}

/// What tells one decision from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed<'a> {
    pub draws: Draws<'a>,
    pub entropy: &'a [u8; 16],
    pub member: MemberId,
    pub event: u64,
    /// Draws made before in the same decision.
    pub before: usize,
}

/// A number for every rule with a chance that looks at a kind of event.
pub(super) fn numbers(program: &Program, kind: &str, seed: Seed<'_>) -> BTreeMap<CompactString, u32> {
    let places = program.trigger(kind).map(|trigger| trigger.chances.as_slice()).unwrap_or_default();
    let rules = places.iter().map(|(campaign, rule)| &program.campaigns[*campaign].rules[*rule]);
    let number = |rule: &Rule| match seed.draws {
        Draws::Hidden => None,
        Draws::Stored(known) => known.get(&rule.key).copied().or_else(|| Some(fresh(&rule.key, seed))),
        Draws::Fresh => Some(fresh(&rule.key, seed)),
    };
    rules.filter_map(|rule| Some((rule.key.clone(), number(rule)?))).collect()
}

fn fresh(rule: &str, seed: Seed<'_>) -> u32 {
    let mut key = [0; 32];
    key[..16].copy_from_slice(seed.entropy);
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(b"draw");
    hasher.update(seed.member.as_bytes());
    hasher.update(&seed.event.to_be_bytes());
    hasher.update(&u64::try_from(seed.before).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(rule.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 2^64 is so much larger that no number is likelier than another by more than one in ten million million.
    u32::try_from(u64::from_be_bytes(bytes) % u64::from(NUMBERS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g1_of_all_numbers_exactly_the_share_wins() {
        let program = crate::program::load_program(
            "{ program: p, name: P, timezone: Asia/Ho_Chi_Minh, currency: VND, currencies: { point: { name: P, expires: never } },
               campaigns: { lucky: { trigger: purchase, earning: bonus, rules: [ { chance: 0.05, award: { currency: point, amount: 1 } } ] } } }",
            1,
        )
        .unwrap_or_else(|problems| panic!("{problems:?}"));
        let campaign = &program.campaigns[0];
        let won = |number: u32| {
            let draws = BTreeMap::from([(campaign.rules[0].key.clone(), number)]);
            let basis = Basis { draws, ..Basis::default() };
            draw(&basis, campaign, 0, &campaign.rules[0], campaign.rules[0].chance.unwrap()).unwrap().won
        };
        assert_eq!([0, 49_999, 50_000, NUMBERS - 1].map(won), [true, true, false, false]);
    }
}
