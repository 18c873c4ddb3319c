//! What holds after every step of a life, and in its end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tessera_core::decide::{EffectKind, Outcome, OutcomeStatus};
use tessera_engine::gift_card::card_subject;
use tessera_engine::query;
use tessera_testkit::app::{TestApp, amounts};

use super::command::{Command, Fate, Sent};
use super::{BUDGET, CARD_MAX, Life, NO_TRACE, plus_hours};

impl Life {
    /// The ledger is whole, and nobody has less than nothing.
    pub fn check(&self, app: &TestApp, when: &str) {
        let found = app.verify();
        assert!(found.differences.is_empty(), "{when}: A1: {:#?}", found.differences);
        for member in 0..self.cards() {
            let reply = app.get(&format!("members/card:{member}"));
            if reply.status.is_success() {
                not_negative(&reply.json()["balances"], &format!("{when}: card:{member}"));
            }
        }
        for (household, _) in &self.households {
            let seen = query::household(&app.engine().context, &app.program, *household).unwrap();
            not_negative(&json!(seen)["pool"], &format!("{when}: household {household}"));
        }
        for code in &self.cards {
            let card = card_subject(code).unwrap();
            if let Ok(seen) = query::gift_card(&app.engine().context, &app.program, &card).unwrap() {
                let [balance, held]: [i64; 2] = [&seen.balance, &seen.held].map(|money| money.parse().unwrap());
                assert!(balance >= 0 && held >= 0, "{when}: V3: {code} has {balance}, {held} of it reserved");
            }
        }
        for row in app.query("SELECT progress FROM redemption") {
            let known: Value = serde_json::from_str(row[0].text().unwrap()).unwrap();
            let [reserved, captured, returned] = ["reserved", "captured", "returned"].map(|part| known[part].as_i64());
            assert!(captured <= reserved && returned <= captured, "{when}: I3: {known}");
        }
        let twice = app.count("SELECT COUNT(*) FROM voucher_code WHERE uses > 1");
        assert_eq!(twice, 0, "{when}: V1: a code is good for one use");
        let given = app.count("SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM pool WHERE pool NOT LIKE '%#%'");
        assert!(given <= BUDGET, "{when}: C5: the budget is {BUDGET}, and {given} were given");
    }

    /// Everything is sent until it is answered. What is stored then is what was acknowledged.
    pub fn end(&mut self, app: &mut TestApp) {
        // What one merge makes come back comes after its other half, and the next merge after that.
        for _ in 0..self.sent.len() {
            self.now = plus_hours(self.now, 24);
            app.clock.set(self.now);
            app.run_scheduler();
            let open = (0..self.sent.len()).filter(|place| matches!(self.sent[*place].fate, Fate::Open));
            let open: Vec<usize> = open.collect();
            let Some(first) = open.first() else { break };
            let first = *first;
            for place in &open {
                self.send_again(app, *place);
            }
            let left = open.iter().filter(|place| matches!(self.sent[**place].fate, Fate::Open)).count();
            assert!(left < open.len(), "{:?} has no answer, nor any other", self.sent[first].command);
        }
        for place in 0..self.sent.len() {
            self.send_again(app, place);
            assert!(!matches!(self.sent[place].fate, Fate::Open), "{:?} has no answer", self.sent[place].command);
        }
        app.run_scheduler();
        // Something may be on its way still: who was told to come back between the halves of a merge waits some minutes.
        app.check_replay_of_all_versions();
        for _ in 0..self.sent.len() {
            if !self.is_between(app) {
                break;
            }
            self.now = plus_hours(self.now, 1);
            app.clock.set(self.now);
            app.run_scheduler();
        }
        self.check(app, "in the end");
        app.check_replay_of_all_versions();
        self.check_what_is_stored(app);
        self.check_households(app);
        self.check_cards(app);
    }

    fn check_what_is_stored(&mut self, app: &TestApp) {
        let happened = |kind: &str| app.count(&format!("SELECT COUNT(*) FROM event WHERE type = '{kind}'"));
        self.taken_in = happened("household-join");
        self.merged = happened("merge-in");
        self.two_again = happened("merge-back");
        self.refunded = happened("gift-card-refund");
        let accepted = self.done().count();
        let applied = self.done().filter(|(_, outcome)| outcome.status == OutcomeStatus::Applied);
        assert!(applied.count() > self.sent.len() / 3, "a life in which little happens shows little");
        // What one member's event caused for another came under a key of its own.
        let caused =
            app.count("SELECT COUNT(*) FROM event WHERE payload LIKE '{\"source\":\"tessera\"%' AND status = 3");
        let keys = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        let more = keys - caused - i64::try_from(accepted).unwrap();
        // What claimed its key, died, and has an answer that leaves no trace: its claim holds nothing.
        let no_trace = |sent: &&Sent| matches!(&sent.fate, Fate::Refused(code) if NO_TRACE.contains(&code.as_str()));
        let hollow = match app.engine().context.shards.are_spread() {
            true => self.sent.iter().filter(no_trace).count(),
            false => 0,
        };
        assert!(
            (0..=i64::try_from(hollow).unwrap()).contains(&more),
            "a key for all that was accepted, and {more} more"
        );
        // 3: events that time or another event brought about.
        let events = app.count("SELECT COUNT(*) FROM event WHERE status <> 3");
        assert_eq!(usize::try_from(events).unwrap(), accepted, "an event for everything that was accepted");
        let on_the_way = app.count("SELECT COUNT(*) FROM outbox WHERE state = 0 AND kind = 'command'");
        assert_eq!(on_the_way, 0, "what members cause for each other has arrived");
    }

    fn done(&self) -> impl Iterator<Item = (&Command, &Outcome)> {
        self.sent.iter().filter_map(|sent| match &sent.fate {
            Fate::Done(outcome) => Some((&sent.command, outcome.as_ref())),
            _ => None,
        })
    }

    /// P5: nobody is in two households, and whoever is in one knows it.
    fn check_households(&self, app: &TestApp) {
        let mut people = BTreeSet::new();
        for (household, _) in &self.households {
            let seen = query::household(&app.engine().context, &app.program, *household).unwrap();
            for person in seen.iter().flat_map(|seen| &seen.people) {
                assert!(people.insert(person.member.clone()), "P5: {} is in two households", person.member);
                let member = app.member(&person.member);
                assert_eq!(member["id"].as_str(), Some(person.member.as_str()), "P1: their place is the survivor's");
                assert_eq!(member["household"]["id"], household.to_string(), "P5: {member}");
            }
        }
    }

    /// V3: what was paid in is there, or spent, or died, or was made void; and it is what was acknowledged.
    fn check_cards(&self, app: &TestApp) {
        // As at an instant is before it.
        let now = app.now().plus_seconds(1);
        let summary = tessera_engine::report::summary(&app.engine().context, &app.program, now).unwrap();
        let cards = summary.gift_cards.unwrap();
        let figures = [&cards.sold, &cards.spent, &cards.expired, &cards.voided, &cards.outstanding];
        let [sold, spent, expired, voided, outstanding]: [i64; 5] = figures.map(|money| money.parse().unwrap());
        assert_eq!(sold, spent + expired + voided + outstanding, "V3: {cards:?}");
        let loaded = self.done().flat_map(|(_, outcome)| amounts(&outcome.effects, EffectKind::Loaded, "gift-card"));
        assert_eq!(sold, loaded.sum::<i64>(), "V3: what was acknowledged was paid in");
        assert!(outstanding <= CARD_MAX * i64::try_from(self.cards.len()).unwrap(), "V3: {cards:?}");
    }
}

fn not_negative(balances: &Value, whose: &str) {
    for (currency, balance) in balances.as_object().into_iter().flatten() {
        for part in ["available", "pending", "held", "debt"] {
            let amount = balance[part].as_i64().unwrap_or_default();
            assert!(amount >= 0, "{whose}: {currency}: {balance}");
        }
    }
}
