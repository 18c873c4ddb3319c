//! A batch is nothing but the same commands one by one.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_core::decide::{CartAsk, EffectKind, OutcomeStatus};
use tessera_engine::executor::{Fault, Quoted, quote_cart, quote_carts};
use tessera_engine::report;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, amounts, as_duplicate, event, event_at, refused};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::json as data;

use crate::common::{POINTS, back_all, sale};

on_both_databases!(POINTS =>
    i1_duplicates_in_one_batch_have_one_effect,
    i4_a_return_of_an_order_of_the_same_batch_takes_it_back,
    i4_a_return_that_comes_before_its_purchase_is_parked_and_settled_with_it,
    r3_returns_of_one_order_in_one_batch_take_back_no_more_than_it_earned,
    a_refused_command_does_not_sink_its_batch,
    a_member_who_cannot_be_read_does_not_sink_the_batch,
);

fn i1_duplicates_in_one_batch_have_one_effect(app: &mut TestApp) {
    let again = sale("r-1", "card:1", 50_000);
    let other = sale("r-1", "card:1", 60_000);
    let answers = app.send_together(&[again.clone(), again.clone(), other, again.clone()]);
    let mut answers = answers.into_iter();
    let first = accepted(answers.next().unwrap());
    assert_eq!(accepted(answers.next().unwrap()), as_duplicate(&first));
    assert_eq!(refused(answers.next().unwrap()).code, "idempotency-key-reused");
    assert_eq!(accepted(answers.next().unwrap()), as_duplicate(&first));
    assert_eq!(app.available("card:1", "point"), 60);
}

fn i4_a_return_of_an_order_of_the_same_batch_takes_it_back(app: &mut TestApp) {
    let answers = app.send_together(&[sale("o-1", "card:1", 50_000), back_all("r-2", "card:1", "o-1")]);
    let outcomes: Vec<_> = answers.into_iter().map(accepted).collect();
    assert_eq!(amounts(&outcomes[1].effects, EffectKind::TakenBack, "point"), [50]);
    assert_eq!(app.available("card:1", "point"), 10);
}

fn i4_a_return_that_comes_before_its_purchase_is_parked_and_settled_with_it(app: &mut TestApp) {
    app.send(&sale("o-0", "card:1", 1_000));
    let answers = app.send_together(&[back_all("r-2", "card:1", "o-1"), sale("o-1", "card:1", 50_000)]);
    let outcomes: Vec<_> = answers.into_iter().map(accepted).collect();
    assert_eq!([outcomes[0].status, outcomes[1].status], [OutcomeStatus::Parked, OutcomeStatus::Applied]);
    assert_eq!(amounts(&outcomes[1].effects, EffectKind::TakenBack, "point"), [50]);
    assert_eq!(app.available("card:1", "point"), 11);
    let again = app.send(&back_all("r-2", "card:1", "o-1"));
    assert_eq!((again.status, again.first_status), (OutcomeStatus::Duplicate, Some(OutcomeStatus::Parked)));
    assert_eq!(app.refused(&back_all("r-3", "card:1", "o-1")).code, "nothing-left-to-return");
}

fn r3_returns_of_one_order_in_one_batch_take_back_no_more_than_it_earned(app: &mut TestApp) {
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 3, 60_000)])));
    let one = |id: &str| event("return", id, "card:1", &data::back("o-1", &[("A", 1)]));
    let answers = app.send_together(&[one("b-1"), one("b-2"), one("b-3"), one("b-4")]);
    let codes: Vec<Option<String>> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Refused(refusal) => Some(refusal.code.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [None, None, None, Some("nothing-left-to-return".to_owned())]);
    assert_eq!(app.available("card:1", "point"), 10);
}

fn a_refused_command_does_not_sink_its_batch(app: &mut TestApp) {
    let late = event_at("2019-01-01T10:00", "purchase", "r-2", "card:1", &data::sale("o-2", 1_000));
    let answers = app.send_together(&[sale("r-1", "card:1", 50_000), late, sale("r-3", "card:1", 7_000)]);
    assert!(matches!(answers[..], [Answer::Done { .. }, Answer::Refused(_), Answer::Done { .. }]), "{answers:?}");
    assert_eq!(app.available("card:1", "point"), 67);
}

/// Once a damaged row answered everybody who happened to stand in the same batch with 503.
fn a_member_who_cannot_be_read_does_not_sink_the_batch(app: &mut TestApp) {
    let damaged = app.send(&sale("r-1", "card:1", 50_000)).member.unwrap();
    app.send(&sale("r-2", "card:2", 50_000));
    let id: tessera_core::id::MemberId = damaged.parse().unwrap();
    let break_it = move |tx: &mut tessera_store::Tx<'_>| {
        tx.execute(
            "UPDATE member SET state = $1 WHERE member = $2",
            &[vec![99_u8].into(), id.as_bytes().as_slice().into()],
        )
    };
    assert_eq!(app.engine().executor().write(break_it).unwrap(), 1);
    let events = [sale("r-3", "card:2", 1_000), sale("r-4", "card:1", 1_000), sale("r-5", "card:3", 1_000)];
    let answers = app.send_together(&events);
    assert!(matches!(answers[..], [Answer::Done { .. }, Answer::Unavailable, Answer::Done { .. }]), "{answers:?}");
    assert_eq!((app.available("card:2", "point"), app.available("card:3", "point")), (61, 11));
    app.skip_verification();
}

/// A program with something of everything that members, orders and pools carry from one command to the next.
const RICH: &str = "
unknown_member: enrol
unlinked_returns: { policy: match, within: P30D, unmatched: clamp }
currencies:
  point: { name: Point, expires: { after: P2M, round: month }, overdraft: debt }
  stamp: { name: Stamp, expires: never, pending: P3D }
tiers:
  club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 1.5 } } ] }
events: { visit: { data: { place: { type: text, optional: true } } } }
limits: { per_member: { point: { day: 150 } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000, fraction: carry } } ] }
  stamps: { trigger: purchase, rules: [ { each: event.items, when: item.category == \"coffee\", award: { currency: stamp, amount: item.quantity } } ] }
  card: { trigger: balance, rules: [ { when: member.balance.stamp >= 5, spend: { currency: stamp, amount: 5 }, issue: { voucher: cup } } ] }
  gift: { trigger: purchase, earning: bonus, budget: { point: 60 }, rules: [ { award: { currency: point, amount: 9 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
  seen: { trigger: visit, rules: [ { award: { currency: point, amount: 1 }, limit: { per_member: { day: { times: 2 } } } } ] }
vouchers: { cup: { gives: { free_item: { category: coffee } }, valid: P30D } }
";

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Two months of five members: sales, returns before and after their sales, corrections, copies, mistakes.
fn some_business(seed: u64) -> Vec<Value> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut events: Vec<Value> = Vec::new();
    for number in 0..90 {
        // Orders of a member mostly, now and then somebody else's; the later ones are not there yet.
        let member = dice.roll(5);
        let subject = if dice.roll(9) == 0 { String::new() } else { format!("card:{member}") };
        let order = format!("o-{}-{}", if dice.roll(15) == 0 { dice.roll(5) } else { member }, dice.roll(12));
        let day = (number * 2 / 3 + dice.roll(4)) % 60;
        let time = format!("2026-0{}-{:02}T{:02}:30", 3 + day / 30, 1 + day % 30, dice.roll(24));
        let units = i64::try_from(1 + dice.roll(3)).unwrap();
        let amount = i64::try_from(500 + 777 * dice.roll(60)).unwrap();
        let items = [("A", "coffee", units, amount), ("B", "goods", 1, 1_500)];
        let id = format!("e-{number}");
        events.push(match dice.roll(12) {
            0..=5 => event_at(&time, "purchase", &id, &subject, &data::lines(&order, &items)),
            6 => event_at(&time, "return", &id, &subject, &data::back(&order, &[("A", units)])),
            7 => event_at(&time, "return", &id, &subject, &data::back_all(&order)),
            8 => event_at(&time, "amend", &id, &subject, &data::lines(&order, &items[..1])),
            9 => event_at(&time, "visit", &id, &format!("card:{member}"), "{}"),
            10 => event_at(&time, "enrol", &id, &format!("card:{member}"), r#"{"birthday": "03-20"}"#),
            _ => match events.get(usize::try_from(dice.roll(90)).unwrap()) {
                Some(earlier) => earlier.clone(),
                None => event_at(&time, "return", &id, &subject, &data::back_without_order(&[("A", units, amount)])),
            },
        });
    }
    events
}

/// An answer without what is drawn at random: ids and codes.
fn told(answer: &Answer) -> Value {
    match answer {
        Answer::Done { outcome, .. } => {
            let mut told = json!(outcome);
            let place = outcome.event_id.rsplit('_').next().map(str::to_owned);
            told["event_id"] = json!(place.filter(|_| outcome.event_id.starts_with("evt_")));
            told["member"] = json!(outcome.member.is_some());
            for effect in told["effects"].as_array_mut().unwrap() {
                effect.as_object_mut().unwrap().remove("code");
            }
            told
        }
        Answer::Refused(refusal) => json!({ "refused": refusal }),
        Answer::Unavailable => json!("unavailable"),
    }
}

/// Everything that can be seen of a program from outside, without ids and codes.
fn seen(app: &TestApp) -> Value {
    let context = &app.engine().context;
    let mut members = Vec::new();
    for number in 0..5 {
        let identifier = format!("card:{number}");
        let mut member = app.get(&format!("members/{identifier}")).json();
        if member["id"].is_null() {
            continue;
        }
        member["id"] = Value::Null;
        let lots = app.get(&format!("members/{identifier}/lots")).ok();
        let mut entries = app.get(&format!("members/{identifier}/entries?limit=200")).ok();
        for entry in entries["items"].as_array_mut().unwrap() {
            let event = entry["event_id"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
            entry["event_id"] = event.into();
        }
        members.push(json!({ "member": member, "lots": lots, "entries": entries }));
    }
    let mut csv = Vec::new();
    report::members_csv(context, &app.program, app.now(), &mut csv).unwrap();
    json!({
        "summary": report::summary(context, &app.program, app.now()).unwrap(),
        "csv": String::from_utf8(csv).unwrap(),
        "members": members,
    })
}

/// Sends events together to one program and one by one to another: answers and what can be seen after are the same. Says
/// how many were applied.
fn applied_together_as_one_by_one(document: &str, events: &[Value]) -> usize {
    let [together, one_by_one] = [(); 2].map(|()| {
        let app = TestApp::new(document);
        app.set_clock("2026-05-20T10:00");
        app
    });
    let batched: Vec<Value> = together.send_together(events).iter().map(told).collect();
    for (place, (event, batched)) in events.iter().zip(&batched).enumerate() {
        assert_eq!(told(&one_by_one.submit(event)), *batched, "event {place}: {event}");
    }
    assert_eq!(seen(&one_by_one), seen(&together));
    batched.iter().filter(|answer| answer["status"] == "applied").count()
}

#[rstest]
fn a_batch_equals_the_same_commands_one_by_one(#[values(1, 2, 3, 4, 5, 6, 7, 8)] seed: u64) {
    assert!(applied_together_as_one_by_one(RICH, &some_business(seed)) > 30, "much of it is taken");
}

/// More than two batches hold, and hardly anything that needs more than is read before deciding: so most of it is decided
/// beside writing. New members join by a sale all day, each buys again in the next batch, and a budget runs out.
fn a_busy_day(seed: u64) -> Vec<Value> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut events: Vec<Value> = Vec::new();
    for number in 0..560_u64 {
        let subject = format!("card:{}", dice.roll(4 + number / 30));
        let time = format!("2026-05-{:02}T{:02}:{:02}", 1 + number / 60, 8 + number % 60 / 5, dice.roll(60));
        let items = [("A", "coffee", 1, i64::try_from(500 + 777 * dice.roll(40)).unwrap())];
        let id = format!("e-{number}");
        events.push(match dice.roll(200) {
            0..6 => event_at(&time, "visit", &id, &subject, "{}"),
            6 => event_at(&time, "return", &id, &subject, &data::back_all(&format!("e-{}", dice.roll(560)))),
            7 => events.last().cloned().unwrap_or_else(|| event_at(&time, "visit", &id, &subject, "{}")),
            _ => event_at(&time, "purchase", &id, &subject, &data::lines(&id, &items)),
        });
    }
    events
}

#[rstest]
fn batches_decided_beside_writing_equal_the_same_commands_one_by_one(#[values(1, 2, 3)] seed: u64) {
    let document = RICH.replace("{ point: 60 }", "{ point: 3000 }");
    assert!(applied_together_as_one_by_one(&document, &a_busy_day(seed)) > 500, "most of it is taken");
}

/// The next batch was decided in the belief that the one before it would be written.
#[test]
fn i6_a_batch_that_fails_beside_deciding_is_tried_again_and_so_is_the_next() {
    let app = TestApp::new(POINTS);
    let sales: Vec<Value> = (0..600).map(|number| sale(&format!("r-{number}"), "card:1", 1_000)).collect();
    app.engine().executor().fail_at(Fault::BesideDeciding, 1);
    let answers = app.send_together(&sales);
    assert!(!app.engine().executor().has_fault_left(), "it was met");
    let balance = |answer: Answer| accepted(answer).balances["point"].available;
    let balances: Vec<i64> = answers.into_iter().map(balance).collect();
    assert_eq!(balances, (11..=610).collect::<Vec<_>>(), "each once, in their order");
}

/// A damaged row of the next batch costs neither the batch that is written when it is met, nor the others of its own.
#[test]
fn a_member_who_cannot_be_read_beside_writing_costs_nobody_else() {
    let mut app = TestApp::new(POINTS);
    let damaged = app.send(&sale("first", "card:broken", 50_000)).member.unwrap();
    let id: tessera_core::id::MemberId = damaged.parse().unwrap();
    let break_it = move |tx: &mut tessera_store::Tx<'_>| {
        tx.execute(
            "UPDATE member SET state = $1 WHERE member = $2",
            &[vec![99_u8].into(), id.as_bytes().as_slice().into()],
        )
    };
    assert_eq!(app.engine().executor().write(break_it).unwrap(), 1);
    let sold = |number: usize| match number {
        300 => sale("r-300", "card:broken", 1_000),
        _ => sale(&format!("r-{number}"), &format!("card:{}", number % 7), 1_000),
    };
    let answers = app.send_together(&(0..600).map(sold).collect::<Vec<_>>());
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(matches!(answer, Answer::Unavailable), number == 300, "{number}: {answer:?}");
    }
    app.skip_verification();
}

/// Quotes that wait at the same time share a read: none may see what another would change.
#[rstest]
fn quotes_asked_together_are_those_asked_alone(#[values(1, 2, 3, 4)] seed: u64) {
    let app = TestApp::new(RICH);
    app.set_clock("2026-05-20T10:00");
    let business = some_business(seed);
    let (before, after) = business.split_at(45);
    app.send_together(before);
    let stand = seen(&app);
    let context = &app.engine().context;
    let asked = after.iter().filter_map(|event| app.read(event).ok());
    let commands: Vec<Submission> = asked.map(|command| Submission { key: None, ..command }).collect();
    let carts = vec![CartAsk { best: true, missing: true, rewards: true, ..CartAsk::default() }; commands.len()];
    let together = quote_carts(context, &commands, &carts).unwrap();
    for (command, together) in commands.iter().zip(together) {
        let alone = quote_cart(context, command, carts[0].clone()).unwrap();
        let said = |quoted: &Quoted| quoted.as_ref().map(|(answer, cart)| (told(answer), json!(cart)));
        assert_eq!(said(&together), said(&alone), "{command:?}");
    }
    assert_eq!(seen(&app), stand, "nothing was written");
    assert!(commands.len() > 30);
}
