//! The names that the documents of a scenario know: a misspelt one in an expectation would otherwise look like a
//! balance of nothing.

use std::collections::BTreeSet;

use tessera_core::program::{Definition, Kind, Node, Position, Problem, nearest};

use super::read::event_types;
use super::shape::SEEN;

#[derive(Debug, Default)]
pub(super) struct Names {
    events: BTreeSet<String>,
    currencies: BTreeSet<String>,
    ladders: BTreeSet<String>,
    levels: BTreeSet<String>,
    campaigns: BTreeSet<String>,
    vouchers: BTreeSet<String>,
    benefits: BTreeSet<String>,
    plans: BTreeSet<String>,
    rewards: BTreeSet<String>,
}

impl Names {
    /// Those of all versions together.
    pub(super) fn of<'a>(documents: impl Iterator<Item = &'a Definition>) -> Self {
        let mut names = Self::default();
        for definition in documents {
            names.events.extend(event_types(definition));
            names.currencies.extend(definition.currencies.keys().map(ToString::to_string));
            names.ladders.extend(definition.tiers.keys().map(ToString::to_string));
            let levels = definition.tiers.values().flat_map(|ladder| &ladder.levels);
            names.levels.extend(levels.map(|level| level.id.to_string()));
            names.campaigns.extend(definition.campaigns.keys().map(ToString::to_string));
            names.vouchers.extend(definition.vouchers.keys().map(ToString::to_string));
            names.benefits.extend(definition.benefits.keys().map(ToString::to_string));
            names.plans.extend(definition.membership.plans.keys().map(ToString::to_string));
            names.rewards.extend(definition.rewards.keys().map(ToString::to_string));
        }
        names
    }

    pub(super) fn is_event(&self, word: &str) -> bool {
        self.events.contains(word)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(String::as_str)
    }

    /// Finds every name in what is expected that no document knows.
    pub(super) fn check(&self, tree: &Node, problems: &mut Vec<Problem>) {
        let Some(Kind::List(steps)) = tree.get("steps").map(|steps| &steps.kind) else { return };
        for expect in steps.iter().filter_map(|step| step.get("expect")) {
            for place in [expect.get(SEEN), expect.get("answer")].into_iter().flatten() {
                self.check_seen(place, problems);
            }
            if let Some(Kind::Map(members)) = expect.get("members").map(|members| &members.kind) {
                members.iter().for_each(|(_, seen)| self.check_seen(seen, problems));
            }
            for list in ["effects", "without", "because"] {
                self.check_list(expect.get(list), problems);
            }
        }
    }

    fn check_seen(&self, seen: &Node, problems: &mut Vec<Problem>) {
        let maps = [
            ("balances", &self.currencies, "currency"),
            ("lots", &self.currencies, "currency"),
            ("tiers", &self.ladders, "ladder"),
            ("standing", &self.ladders, "ladder"),
            ("vouchers", &self.vouchers, "voucher"),
            ("grants", &self.benefits, "benefit"),
            ("clubs", &self.plans, "plan"),
            ("entitlements", &self.benefits, "benefit"),
        ];
        for (name, known, what) in maps {
            let Some(Kind::Map(entries)) = seen.get(name).map(|map| &map.kind) else { continue };
            for (key, value) in entries {
                check(&key.text, key.at, known, what, problems);
                match &value.kind {
                    Kind::Text(level) if name == "tiers" => check(level, value.at, &self.levels, "level", problems),
                    _ => {}
                }
            }
        }
        self.check_list(seen.get("entries"), problems);
        self.check_list(seen.get("redemptions"), problems);
    }

    fn check_list(&self, list: Option<&Node>, problems: &mut Vec<Problem>) {
        let Some(Kind::List(patterns)) = list.map(|list| &list.kind) else { return };
        let fields = [
            ("currency", &self.currencies, "currency"),
            ("campaign", &self.campaigns, "campaign"),
            ("chosen", &self.campaigns, "campaign"),
            ("voucher", &self.vouchers, "voucher"),
            ("benefit", &self.benefits, "benefit"),
            ("reward", &self.rewards, "reward"),
            ("ladder", &self.ladders, "ladder"),
            ("level", &self.levels, "level"),
        ];
        for pattern in patterns {
            for (field, known, what) in fields {
                if let Some(Node { at, kind: Kind::Text(name) }) = pattern.get(field) {
                    check(name, *at, known, what, problems);
                }
            }
        }
    }
}

fn check(name: &str, at: Position, known: &BTreeSet<String>, what: &str, problems: &mut Vec<Problem>) {
    if known.contains(name) {
        return;
    }
    let problem = Problem::error(at, &[], format!("the program has no {what} `{name}`"));
    problems.push(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.suggest(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem,
        None => problem.suggest(format!("one of: {}", known.iter().map(String::as_str).collect::<Vec<_>>().join(", "))),
    });
}
