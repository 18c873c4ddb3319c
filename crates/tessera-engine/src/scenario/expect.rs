//! What is expected of a step, and whether it is so.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tessera_core::decide::{Effect, Outcome, RuleTrace};
use tessera_core::event::Situation;
use tessera_core::program::{Kind, Node};
use tessera_core::time::Calendar;

use super::compare::{Mismatch, brief, compare, matches, words};
use super::step::Person;
use crate::engine::Engine;
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::query::{self, PageRequest};
use crate::submission::Refusal;
use crate::{EngineError, StoreError};

/// What is expected of one step, as it was written.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    pub(super) answer: Option<Node>,
    /// What the member of the step sees.
    pub(super) seen: Option<Node>,
    pub(super) about: Option<Subject>,
    pub(super) others: Vec<(Person, Node)>,
}

/// What the engine answered to what a step sent.
pub(super) enum Said {
    Done(Box<Outcome>),
    Refused(Refusal),
    /// What would be, with nothing written.
    Quoted(Value),
}

impl Expectation {
    fn named(&self, key: &str) -> Option<&Node> {
        self.answer.as_ref().and_then(|answer| answer.get(key))
    }

    /// Something that was done, where it should have been refused.
    pub(super) fn judge_silence(&self) -> Vec<Mismatch> {
        let expected = self.named("refused");
        expected.map(|expected| Mismatch::new(expected, "refused", words(expected), "done")).into_iter().collect()
    }

    /// Holds an answer against what is expected. What nobody expects is that it is applied.
    pub(super) fn judge_answer(
        &self,
        said: &Said,
        trace: &[RuleTrace],
        line: usize,
        calendar: &Calendar,
    ) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let at_step = |what: &str, expected: &str, found: String| Mismatch {
            line,
            what: what.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        match (said, self.named("refused")) {
            (Said::Refused(refusal), None) => {
                found.push(at_step("status", "applied", refused(refusal)));
                return found;
            }
            (Said::Refused(refusal), Some(expected)) => {
                let mut facts = refusal.facts.clone();
                facts.insert("code".to_owned(), refusal.code.as_str().into());
                let is_code = matches!(&expected.kind, Kind::Text(code) if *code == refusal.code);
                let is_right = is_code || matches(expected, &Value::Object(facts), calendar);
                if !is_right {
                    found.push(Mismatch::new(expected, "refused", words(expected), refused(refusal)));
                }
                return found;
            }
            (Said::Done(outcome), Some(expected)) => {
                let answer = format!("{}, {}", status(outcome), effects(&outcome.effects));
                found.push(Mismatch::new(expected, "refused", words(expected), answer));
                return found;
            }
            (Said::Quoted(quote), Some(expected)) => {
                found.push(Mismatch::new(expected, "refused", words(expected), brief(quote)));
                return found;
            }
            (Said::Quoted(quote), None) => {
                if let Some(answer) = self.named("answer") {
                    compare(&with_plain_balances(answer), quote, "answer", calendar, &mut found);
                }
                return found;
            }
            (Said::Done(_), None) => {}
        }
        let Said::Done(outcome) = said else { return found };
        match self.named("status") {
            Some(expected) => compare(expected, &json!(outcome.status), "status", calendar, &mut found),
            None if status(outcome) == "applied" => {}
            None => found.push(at_step("status", "applied", status(outcome))),
        }
        if let Some(version) = self.named("version") {
            compare(version, &json!(outcome.program_version), "version", calendar, &mut found);
        }
        if let Some(answer) = self.named("answer") {
            compare(&with_plain_balances(answer), &json!(outcome), "answer", calendar, &mut found);
        }
        self.judge_effects(&outcome.effects, calendar, &mut found);
        if let Some(expected) = self.named("because") {
            let trace: Vec<Value> = trace.iter().map(|rule| json!(rule)).collect();
            let told: Vec<String> = trace.iter().map(told).collect();
            among("because", expected, &trace, &told.join("; "), calendar, &mut found);
        }
        found
    }

    fn judge_effects(&self, effects_found: &[Effect], calendar: &Calendar, found: &mut Vec<Mismatch>) {
        let values: Vec<Value> = effects_found.iter().map(|effect| json!(effect)).collect();
        match self.named("effects") {
            Some(Node { kind: Kind::Text(_), .. }) if values.is_empty() => {}
            Some(expected @ Node { kind: Kind::Text(_), .. }) => {
                found.push(Mismatch::new(expected, "effects", "none", effects(effects_found)));
            }
            Some(expected) => among("effects", expected, &values, &effects(effects_found), calendar, found),
            None => {}
        }
        if let Some(Kind::List(patterns)) = self.named("without").map(|without| &without.kind) {
            for pattern in patterns {
                if let Some(there) = values.iter().find(|value| matches(pattern, value, calendar)) {
                    found.push(Mismatch::new(pattern, "without", format!("no {}", words(pattern)), brief(there)));
                }
            }
        }
    }

    /// Holds what members see against what is expected.
    pub(super) fn judge_members(
        &self,
        engine: &Engine,
        program: &Arc<ProgramHandle>,
        calendar: &Calendar,
    ) -> Result<Vec<Mismatch>, EngineError> {
        let mut found = Vec::new();
        if let (Some(expected), Some(subject)) = (&self.seen, &self.about) {
            judge_member(engine, program, subject, expected, "", calendar, &mut found)?;
        }
        if let Some(expected) = self.named("cards") {
            super::cards::judge(engine, program, expected, calendar, &mut found)?;
        }
        for (person, expected) in &self.others {
            let prefix = format!("members.{}.", person.alias);
            judge_member(engine, program, &person.subject, expected, &prefix, calendar, &mut found)?;
        }
        self.judge_cases(engine, program, calendar, &mut found)?;
        Ok(found)
    }
}

impl Expectation {
    /// Holds the cases that there are against those expected.
    fn judge_cases(
        &self,
        engine: &Engine,
        program: &Arc<ProgramHandle>,
        calendar: &Calendar,
        found: &mut Vec<Mismatch>,
    ) -> Result<(), EngineError> {
        let Some(expected) = self.named("cases") else { return Ok(()) };
        let page = PageRequest { limit: CASES_MAX, after: None };
        let cases = crate::case::list(&engine.context, program, &crate::case::Wish::default(), &page)?;
        let values: Vec<Value> = cases.items.iter().map(|case| json!(case)).collect();
        let all = brief(&Value::Array(values.clone()));
        match &expected.kind {
            Kind::Text(_) if values.is_empty() => {}
            Kind::Text(_) => found.push(Mismatch::new(expected, "cases", "none", all)),
            _ => among("cases", expected, &values, &all, calendar, found),
        }
        Ok(())
    }
}

/// More cases than a story has.
const CASES_MAX: usize = 200;

fn status(outcome: &Outcome) -> String {
    brief(&json!(outcome.status))
}

fn refused(refusal: &Refusal) -> String {
    let facts = if refusal.facts.is_empty() { String::new() } else { format!(" {}", brief(&json!(refusal.facts))) };
    format!("refused: {}{facts} ({})", refusal.code, refusal.detail)
}

fn effects(effects: &[Effect]) -> String {
    brief(&Value::Array(effects.iter().map(|effect| json!(effect)).collect()))
}

/// One rule of an explanation, in words.
pub(super) fn told(rule: &Value) -> String {
    let words = rule["words"].as_str().unwrap_or_default();
    format!("{}: {words}", brief(&rule["campaign"]))
}

/// Every pattern is one of the values, each value counting once.
fn among(what: &str, patterns: &Node, values: &[Value], all: &str, calendar: &Calendar, found: &mut Vec<Mismatch>) {
    let Kind::List(patterns) = &patterns.kind else { return };
    let mut left: Vec<&Value> = values.iter().collect();
    for pattern in patterns {
        match left.iter().position(|value| matches(pattern, value, calendar)) {
            Some(place) => {
                left.remove(place);
            }
            None => found.push(Mismatch::new(pattern, what, words(pattern), all)),
        }
    }
}

fn judge_member(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
    expected: &Node,
    prefix: &str,
    calendar: &Calendar,
    found: &mut Vec<Mismatch>,
) -> Result<(), EngineError> {
    let Kind::Map(entries) = &expected.kind else { return Ok(()) };
    let context = &engine.context;
    let Some(id) = query::find_member(context, program, subject)? else {
        found.push(Mismatch::new(expected, prefix.trim_end_matches('.'), words(expected), "no such member"));
        return Ok(());
    };
    let all = PageRequest { limit: HISTORY_MAX, after: None };
    let Some(member) = query::member(context, program, id)? else { return Ok(()) };
    for (key, expected) in entries {
        let what = format!("{prefix}{}", key.text);
        match key.text.as_str() {
            "balances" => compare(&plain_balances(expected), &json!(member.balances), &what, calendar, found),
            "purchases" => compare(expected, &json!(member.purchases), &what, calendar, found),
            "spend" => compare(expected, &json!(member.spend), &what, calendar, found),
            "grants" => compare(expected, &json!(member.grants), &what, calendar, found),
            "entitlements" => {
                let has = query::entitlements(context, program, subject, &Situation::default(), "en")?;
                let has = has.unwrap_or_default().into_iter();
                let has = has.map(|view| (view.entitlement.benefit.to_string(), json!(view)));
                compare(expected, &Value::Object(has.collect()), &what, calendar, found);
            }
            "clubs" => {
                let has = query::clubs(context, program, id, "en")?.unwrap_or_default().into_iter();
                let has = has.map(|club| (club.club.plan.to_string(), json!(club)));
                compare(expected, &Value::Object(has.collect()), &what, calendar, found);
            }
            "pool" | "part" => {
                let found_pool = super::together::seen(engine, program, &member, key.text == "part")?;
                compare(expected, &found_pool, &what, calendar, found);
            }
            "tiers" => {
                let levels = member.tiers.iter().map(|standing| (standing.ladder.to_string(), json!(standing.level)));
                compare(expected, &Value::Object(levels.collect()), &what, calendar, found);
            }
            "standing" => {
                let standings = member.tiers.iter().map(|standing| (standing.ladder.to_string(), json!(standing)));
                compare(expected, &Value::Object(standings.collect()), &what, calendar, found);
            }
            "challenges" | "streaks" | "badges" => {
                let Some(progress) = query::progress(context, program, id, "en")? else { continue };
                let values = match key.text.as_str() {
                    "challenges" => {
                        let all = progress.challenges.iter();
                        Value::Object(all.map(|row| (row.challenge.to_string(), json!(row.value))).collect())
                    }
                    "streaks" => {
                        let all = progress.streaks.iter();
                        Value::Object(all.map(|row| (row.streak.to_string(), json!(row.current))).collect())
                    }
                    _ => {
                        let held = progress.badges.iter().filter(|row| row.held);
                        Value::Array(held.map(|row| json!(row.badge)).collect())
                    }
                };
                compare(expected, &values, &what, calendar, found);
            }
            "vouchers" => {
                let counted = vouchers(engine, program, id, expected)?;
                compare(expected, &counted, &what, calendar, found);
            }
            "lots" => {
                let lots = query::lots(context, program, id)?.unwrap_or_default();
                if let Kind::Map(currencies) = &expected.kind {
                    for (currency, expected) in currencies {
                        let of_currency = lots.iter().filter(|lot| lot.currency == *currency.text.as_str());
                        let of_currency = Value::Array(of_currency.map(|lot| json!(lot)).collect());
                        compare(expected, &of_currency, &format!("{what}.{}", currency.text), calendar, found);
                    }
                }
            }
            "history" => {
                let events = query::events(context, program, id, &all)?.items;
                let values: Vec<Value> = events.iter().map(|event| json!(event)).collect();
                let told: Vec<String> = values
                    .iter()
                    .map(|event| format!("{} at {}", brief(&event["type"]), brief(&event["time"])))
                    .collect();
                among(&what, expected, &values, &told.join(", "), calendar, found);
            }
            "entries" => {
                let entries = query::entries(context, program, id, &all)?.items;
                let values: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
                let told = |entry: &Value| {
                    let [kind, amount, currency] = ["kind", "amount", "currency"].map(|field| brief(&entry[field]));
                    let [from, to] = ["from", "to"].map(|field| brief(&entry[field]));
                    format!("{kind} of {amount} {currency} from {from} to {to}")
                };
                let told: Vec<String> = values.iter().map(told).collect();
                among(&what, expected, &values, &told.join(", "), calendar, found);
            }
            "redemptions" => {
                let redemptions = query::redemptions(context, program, id, &all)?.items;
                let values: Vec<Value> = redemptions.iter().map(|redemption| json!(redemption)).collect();
                let told: Vec<String> = values
                    .iter()
                    .map(|redemption| format!("{} {}", brief(&redemption["points"]), brief(&redemption["status"])))
                    .collect();
                among(&what, expected, &values, &told.join(", "), calendar, found);
            }
            _ => {}
        }
    }
    Ok(())
}

/// More events and entries of one member than this are not looked at.
const HISTORY_MAX: usize = 10_000;

/// How many good vouchers a member holds, of each kind that is asked for.
fn vouchers(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    id: tessera_core::id::MemberId,
    expected: &Node,
) -> Result<Value, StoreError> {
    let held = super::vouchers::held(engine, program, id)?;
    let mut counted = Map::new();
    if let Kind::Map(kinds) = &expected.kind {
        for (kind, _) in kinds {
            let good = held
                .iter()
                .filter(|voucher| voucher.voucher == *kind.text.as_str() && voucher.state == query::VoucherState::Open);
            counted.insert(kind.text.clone(), good.count().into());
        }
    }
    Ok(Value::Object(counted))
}

/// `{ bean: 5 }` is short for `{ bean: { available: 5 } }`.
fn plain_balances(balances: &Node) -> Node {
    let mut balances = balances.clone();
    if let Kind::Map(entries) = &mut balances.kind {
        for (key, value) in entries {
            if matches!(value.kind, Kind::Number(_)) {
                let available = tessera_core::program::Key { at: key.at, text: "available".to_owned() };
                *value = Node { at: value.at, kind: Kind::Map(vec![(available, value.clone())]) };
            }
        }
    }
    balances
}

fn with_plain_balances(answer: &Node) -> Node {
    let mut answer = answer.clone();
    if let Kind::Map(entries) = &mut answer.kind {
        for (_, value) in entries.iter_mut().filter(|(key, _)| key.text == "balances") {
            *value = plain_balances(value);
        }
    }
    answer
}
