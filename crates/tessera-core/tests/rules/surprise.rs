//! G1 and C5: rules that apply by chance: what is drawn, what stands in the record, and where it stops.

use tessera_core::decide::{Draw, Draws, EffectKind, Inputs, Reason, Record, decide};
use tessera_core::event::{Command, What};
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, count_of, document, json::*};

use crate::common::points_and;

fn lucky(settings: &str, rule: &str) -> String {
    points_and(
        "",
        &format!(
            "  lucky: {{ trigger: purchase, earning: bonus, {settings} rules: [ {{ {rule}, award: {{ currency: point, amount: 100 }} }} ] }}\n"
        ),
    )
}

fn draws(shop: &Shop) -> Vec<Draw> {
    shop.member().events.iter().flat_map(|event| event.record.draws.clone()).collect()
}

#[test]
fn g1_over_many_draws_the_share_is_what_the_document_says() {
    let mut shop = Shop::new(&lucky("", "chance: 0.05")).unchecked();
    for member in 0..3 {
        shop.of_member(member);
        for order in 0..500 {
            shop.send("2026-03-02T09:00", "purchase", &sale(&format!("{member}-{order}"), 1_000));
        }
        let draws = draws(&shop);
        let won = i64::try_from(draws.iter().filter(|draw| draw.won).count()).unwrap();
        assert_eq!(draws.len(), 500, "lost draws stand in the record too");
        assert!((8..=45).contains(&won), "{won} of 500 at a twentieth");
        assert_eq!(shop.available("point"), 500 + 100 * won);
        assert!(draws.iter().all(|draw| draw.won == (draw.drawn < 50_000) && draw.chance == "0.05"));
    }
    shop.check();
}

#[test]
fn g1_the_same_event_with_its_stored_draws_is_decided_the_same_whatever_is_drawn_now() {
    let mut shop = Shop::new(&lucky("", "chance: 0.5"));
    for order in 0..20 {
        let before = (order > 0).then(|| shop.state());
        let data = sale(&format!("o{order}"), 1_000);
        let decision = shop.send("2026-03-02T09:00", "purchase", &data);
        let main = &decision.events[decision.main];
        let numbers = main.record.basis.clone().unwrap().draws;
        let what = tessera_core::event::read_event(&shop.versions.head().definition, "purchase", &data).unwrap();
        let inputs = |entropy, draws| Inputs {
            versions: &shop.versions,
            state: before.as_ref(),
            new_member: shop.member().id,
            guest: false,
            pools: &shop.pools,
            orders: &[],
            redemptions: &[],
            codes: &[],
            history: None,
            former: &[],
            memory: None,
            entropy,
            draws,
            payload: &data,
            origin: tessera_core::event::Origin::nowhere(),
            explain: false,
        };
        let now = at("2026-03-02T09:00");
        let command = Command { effective_at: now, recorded_at: now, what: what.clone() };
        let again = decide(&inputs([99; 16], Draws::Stored(&numbers)), &command).unwrap();
        assert_eq!(again.state, decision.state);
        let hidden = decide(&inputs([7; 16], Draws::Hidden), &command).unwrap();
        assert!(hidden.events.iter().all(|event| event.record.draws.is_empty()), "a quote draws nothing");
        assert_eq!(count_of(&hidden, EffectKind::Accrual), 1);
    }
}

#[test]
fn r1_a_return_finds_what_was_drawn_with_the_purchase() {
    let mut shop = Shop::new(&lucky("", "chance: 0.5"));
    let (mut won, mut lost) = (0, 0);
    for number in 0..12 {
        let order = format!("o{number}");
        shop.send("2026-03-02T09:00", "purchase", &lines(&order, &[("A", "x", 2, 10_000)]));
        let prize = shop.available("point") - 10;
        assert!(prize == 0 || prize == 100);
        if prize == 0 {
            lost += 1
        } else {
            won += 1
        }
        shop.send("2026-03-02T10:00", "return", &back(&order, &[("A", 1)]));
        assert_eq!(shop.available("point"), 5 + prize, "half an order is an order still");
        shop.send("2026-03-02T11:00", "return", &back_all(&order));
        assert_eq!(shop.available("point"), 0);
    }
    assert!(won > 0 && lost > 0, "{won} won, {lost} lost");
}

#[test]
fn c5_nothing_is_drawn_for_a_prize_that_no_longer_fits_its_budget_whole() {
    let mut shop = Shop::new(&lucky("budget: { point: 250 },", "chance: 1"));
    for member in 0..4 {
        let decision = shop.of_member(member).send("2026-03-02T09:00", "purchase", &sale(&format!("o{member}"), 1_000));
        assert_eq!(shop.available("point"), if member < 2 { 101 } else { 1 });
        let is_over = decision
            .trace
            .iter()
            .any(|trace| matches!(&trace.reason, Reason::UsedUp { limit } if limit.contains("budget")));
        assert_eq!((is_over, draws(&shop).len()), (member >= 2, usize::from(member < 2)));
    }
    assert_eq!(shop.pools.values().sum::<i64>(), 200);
}

#[test]
fn c1_a_surprise_keeps_its_limits() {
    let mut shop = Shop::new(&lucky("", "chance: 1, limit: { per_member: { month: 2 } }"));
    for order in 0..5 {
        shop.send("2026-03-02T09:00", "purchase", &sale(&format!("o{order}"), 1_000));
    }
    assert_eq!((shop.available("point"), draws(&shop).len()), (205, 2), "who can win no more draws no more");
    shop.send("2026-04-02T09:00", "purchase", &sale("april", 1_000));
    assert_eq!(shop.available("point"), 306);
}

#[test]
fn c8_what_an_award_causes_may_draw_too_and_each_draw_is_its_own() {
    let mut shop = Shop::new(
        "currencies: { point: { name: P, expires: never } }
vouchers: { cake: { gives: { percent_off: 100 } } }
events: { spin: {} }
challenges: { often: { counts: spin, repeat: true, steps: [ { at: 1 } ] } }
campaigns:
  gift: { trigger: challenge, limit: { program: { ever: 1000 } }, rules: [ { chance: 0.3, issue: { voucher: cake } } ] }
  spins: { trigger: spin, rules: [ { award: { currency: point, amount: 1 } } ] }",
    );
    let mut won = 0;
    for _ in 0..60 {
        let decision = shop.send("2026-03-02T09:00", "spin", "{}");
        let record: &Record = &decision.events[decision.main].record;
        let wins = record.draws.iter().filter(|draw| draw.won).count();
        assert_eq!((record.draws.len(), count_of(&decision, EffectKind::VoucherIssued)), (1, wins));
        won += wins;
    }
    assert!((6..=32).contains(&won), "{won} of 60 at 0.3");
    let numbers: std::collections::BTreeSet<u32> = draws(&shop).iter().map(|draw| draw.drawn).collect();
    assert!(numbers.len() > 55, "the numbers differ");
}

#[test]
fn c8_each_step_that_one_event_does_draws_for_itself() {
    let mut shop = Shop::new(
        "currencies: { point: { name: P, expires: never } }
events: { spin: { data: { turns: integer } } }
challenges: { often: { counts: spin, amount: event.turns, repeat: true, steps: [ { at: 1 } ] } }
campaigns: { gift: { trigger: challenge, limit: { program: { ever: 1000 } }, rules: [ { chance: 0.5, award: { currency: point, amount: 1 } } ] } }",
    );
    let (mut all, mut nothing) = (0, 0);
    for _ in 0..20 {
        let spun = shop.send("2026-03-02T09:00", "spin", r#"{"turns": 6}"#);
        let drawn = &spun.events[spun.main].record.draws;
        let numbers: std::collections::BTreeSet<u32> = drawn.iter().map(|draw| draw.drawn).collect();
        assert_eq!((drawn.len(), numbers.len()), (6, 6), "six turns, six draws: {drawn:?}");
        all += u32::from(drawn.iter().all(|draw| draw.won));
        nothing += u32::from(drawn.iter().all(|draw| !draw.won));
    }
    assert!(all + nothing < 10, "they win and lose each for themselves");
}

#[test]
fn i7_a_birthday_s_surprise_is_not_seen_before_it_was_drawn() {
    let mut shop = Shop::new(
        "currencies: { point: { name: P, expires: never } }
campaigns: { cake: { trigger: birthday, limit: { program: { ever: 9 } }, rules: [ { chance: 1, award: { currency: point, amount: 9 } } ] } }",
    );
    shop.send("2026-01-05T09:00", "enrol", r#"{"birthday": "02-10"}"#);
    assert_eq!(shop.seen_at("2026-02-10T09:00").purse("point").map(|purse| purse.active().get()), None);
    shop.wake("2026-02-10T09:00");
    assert_eq!(shop.available("point"), 9);
    assert!(shop.ask(at("2026-02-11T09:00"), What::WakeUp).is_ok());
}

#[rstest::rstest]
#[case::of_base("", "chance: 0.1", "earning: base", "`earning: bonus`")]
#[case::of_nothing("", "chance: 0", "", "a chance is above 0")]
#[case::finer_than_millionths("", "chance: 0.0000001", "", "at most 6 decimals")]
#[case::for_points("", "chance: 0.1, spend: { currency: point, amount: 1 }", "", "leave `extra`, `spend`")]
fn what_cannot_be_left_to_chance_is_refused(
    #[case] settings: &str,
    #[case] rule: &str,
    #[case] earning: &str,
    #[case] said: &str,
) {
    let text = document(&lucky(settings, rule));
    let text = if earning.is_empty() { text } else { text.replace("earning: bonus", earning) };
    let problems: Vec<String> = read_document(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|problem| problem.contains(said)), "{problems:?}");
}

#[test]
fn a_surprise_without_an_end_is_pointed_out() {
    let findings = |text: &str| read_document(&document(text)).unwrap().findings.len();
    assert_eq!(findings(&lucky("", "chance: 0.1")), 1);
    assert_eq!(findings(&lucky("budget: { point: 1000 },", "chance: 0.1")), 0);
    assert_eq!(findings(&lucky("", "chance: 0.1, limit: { program: { month: { times: 10 } } }")), 0);
}
