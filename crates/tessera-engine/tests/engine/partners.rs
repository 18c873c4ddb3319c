//! What goes to partners and comes back: ordered once, delivered or given back, told in order.

use tessera_connect::partner::{HttpPartner, Partners};
use tessera_connect::signature::Secret;
use tessera_core::ledger::PartnerState;
use tessera_engine::partner::{PartnerRelay, month, reconcile, relay_due};
use tessera_engine::query;
use tessera_engine::submission::Answer;
use tessera_testkit::app::{TestApp, accepted, event};
use tessera_testkit::on_both_databases;
use tessera_testkit::partner::{FakePartner, PartnerServer, Plan, SECRET};
use tessera_testkit::shop::{at, id, reward};

use crate::common::sale;
use crate::contention::{THREADS, at_once};

const GIFTS: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 500, benefits: [lounge] } ] } }
partners: { giftly: { deadline: P1D }, airport: {} }
benefits: { lounge: { name: Lounge, partner: airport } }
rewards:
  gift: { costs: { point: 100 }, gives: { e_gift: { partner: giftly, product: TEA-50 } }, stock: 3 }
  film: { costs: { point: 5 }, gives: { code_pool: cinema } }
code_pools: { cinema: {} }
events: { pass: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  pass: { trigger: pass, rules: [ { grant: { benefit: lounge, for: P1D } } ] }
";

on_both_databases!(GIFTS =>
    i6_an_order_whose_answer_was_lost_is_made_once_though_the_server_is_restarted,
    r7_what_a_partner_refuses_comes_back,
    r7_what_is_not_delivered_in_time_comes_back,
    r7_what_was_given_up_is_cancelled_at_the_partner_until_it_hears_it,
    a_partner_that_is_down_is_left_alone_for_a_while,
    c5_of_many_who_want_the_last_gifts_each_gets_one_of_their_own_or_none,
    what_is_delivered_lies_sealed,
    entitlements_are_told_in_order_however_often_it_takes,
    months_are_held_against_the_partners_list,
);

/// A member with 400 points who ordered a gift; says the redemption.
fn ordered(app: &TestApp, card: &str) -> String {
    app.send(&sale(&format!("r-{card}"), card, 400_000));
    let submission = app.redeeming(card, gift(), &format!("k-{card}"));
    accepted(app.engine().submit(submission).unwrap()).redemption.unwrap().id.to_string()
}

fn gift() -> tessera_core::event::Redeem {
    tessera_core::event::Redeem { capture: true, ..reward("gift") }
}

fn view(app: &TestApp, redemption: &str) -> tessera_core::decide::RedemptionView {
    query::redemption(&app.engine().context, &app.program, redemption.parse().unwrap()).unwrap().unwrap()
}

fn state(app: &TestApp, redemption: &str) -> PartnerState {
    view(app, redemption).given.unwrap().partner.unwrap().state
}

/// Calls about orders, and orders that the partner took.
fn counts(app: &TestApp) -> (usize, usize) {
    let seen = app.partner.seen();
    (seen.order_calls, seen.orders.len())
}

/// Moves the clock on and sends what is due.
fn later(app: &TestApp, seconds: i64) -> usize {
    app.clock.set(app.now().plus_seconds(seconds));
    app.relay_to_partners()
}

fn i6_an_order_whose_answer_was_lost_is_made_once_though_the_server_is_restarted(app: &mut TestApp) {
    app.partner.plan(&[Plan::LoseAnswer, Plan::LoseAnswer]);
    let redemption = ordered(app, "card:1");
    assert_eq!((app.relay_to_partners(), state(app, &redemption)), (0, PartnerState::Ordered));
    assert_eq!(view(app, &redemption).code, None);
    app.restart();
    assert_eq!(later(app, 2), 0);
    app.restart();
    assert_eq!(later(app, 4), 1);
    let (calls, orders) = counts(app);
    assert_eq!((calls, orders), (3, 1), "one order, asked thrice");
    assert_eq!(view(app, &redemption).code, Some(FakePartner::code(&redemption)));
    assert_eq!((later(app, 3600), app.partner.seen().order_calls), (0, 3), "and never again");
    assert_eq!(app.available("card:1", "point"), 300);
}

fn r7_what_a_partner_refuses_comes_back(app: &mut TestApp) {
    app.partner.plan(&[Plan::Refuse("sold-out")]);
    let redemption = ordered(app, "card:1");
    assert_eq!((app.available("card:1", "point"), app.relay_to_partners()), (300, 1));
    assert_eq!((state(app, &redemption), app.available("card:1", "point")), (PartnerState::Refused, 400));
    assert_eq!(view(app, &redemption).given.unwrap().partner.unwrap().reason.unwrap(), "sold-out");
    assert_eq!(app.count("SELECT used FROM pool WHERE pool = 'pool:reward:gift'"), 0, "in stock again");
}

fn r7_what_is_not_delivered_in_time_comes_back(app: &mut TestApp) {
    app.partner.plan(&[Plan::Accept; 40]);
    let redemption = ordered(app, "card:1");
    app.relay_to_partners();
    for _ in 0..10 {
        later(app, 600);
    }
    assert_eq!(state(app, &redemption), PartnerState::Ordered);
    app.clock.set(at("2026-03-03T10:00"));
    assert_eq!(app.relay_to_partners(), 1);
    assert_eq!(app.partner.seen().cancelled, [redemption.as_str()]);
    assert_eq!((state(app, &redemption), app.available("card:1", "point")), (PartnerState::Refused, 400));
    assert_eq!(view(app, &redemption).given.unwrap().partner.unwrap().reason.unwrap(), "deadline");
    assert_eq!(view(app, &redemption).code, None);
}

fn r7_what_was_given_up_is_cancelled_at_the_partner_until_it_hears_it(app: &mut TestApp) {
    app.partner.plan(&[Plan::Accept, Plan::Fail, Plan::LoseAnswer]);
    let redemption = ordered(app, "card:1");
    app.relay_to_partners();
    app.clock.set(at("2026-03-03T10:00"));
    assert_eq!(app.relay_to_partners(), 0);
    // The points do not wait for the partner.
    assert_eq!((state(app, &redemption), app.available("card:1", "point")), (PartnerState::Refused, 400));
    app.restart();
    assert_eq!((later(app, 600), later(app, 600), later(app, 600)), (0, 1, 0));
    assert_eq!(app.partner.seen().cancelled, [redemption.as_str(), redemption.as_str()], "the same, said twice");
    assert_eq!(app.partner.seen().order_calls, 1);
    assert_eq!(app.available("card:1", "point"), 400);
}

fn a_partner_that_is_down_is_left_alone_for_a_while(app: &mut TestApp) {
    app.partner.plan(&[Plan::Fail; 5]);
    let orders = ["card:1", "card:2", "card:3"].map(|card| ordered(app, card));
    app.relay_to_partners();
    later(app, 2);
    assert_eq!(app.partner.seen().order_calls, 5, "five in a row");
    assert_eq!((later(app, 10), app.partner.seen().order_calls), (0, 5), "nobody calls");
    let done: usize = (0..10).map(|_| later(app, 30)).sum();
    assert_eq!(done, 3);
    assert!(orders.iter().all(|order| state(app, order) == PartnerState::Delivered));
}

fn c5_of_many_who_want_the_last_gifts_each_gets_one_of_their_own_or_none(app: &mut TestApp) {
    for number in 0..THREADS {
        app.send(&sale(&format!("r-{number}"), &format!("card:{number}"), 150_000));
    }
    let answers = at_once(|number| {
        let submission = app.redeeming(&format!("card:{number}"), gift(), &format!("k-{number}"));
        app.engine().submit(submission).unwrap()
    });
    let given: Vec<String> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Done { outcome, .. } => Some(outcome.redemption.unwrap().id.to_string()),
            Answer::Refused(refusal) => {
                assert_eq!(refusal.code, "reward-sold-out");
                None
            }
            Answer::Unavailable => panic!("the database did not take it"),
        })
        .collect();
    assert_eq!((given.len(), app.run_scheduler()), (3, 3));
    assert_eq!(app.partner.seen().orders.len(), 3);
    assert!(given.iter().all(|id| view(app, id).code == Some(FakePartner::code(id))));
}

fn what_is_delivered_lies_sealed(app: &mut TestApp) {
    let redemption = ordered(app, "card:1");
    app.relay_to_partners();
    let code = FakePartner::code(&redemption);
    let is_in = |bytes: &[u8]| bytes.windows(code.len()).any(|window| window == code.as_bytes());
    for table in ["partner_order", "event", "redemption", "outbox", "member"] {
        for value in app.query(&format!("SELECT * FROM {table}")).into_iter().flatten() {
            let seen = value.opt_text().ok().flatten().is_some_and(|text| is_in(text.as_bytes()))
                || value.opt_bytes().ok().flatten().is_some_and(is_in);
            assert!(!seen, "the code stands in {table}");
        }
    }
}

fn entitlements_are_told_in_order_however_often_it_takes(app: &mut TestApp) {
    // Told and not heard, told and the answer lost: the end must not overtake the beginning.
    app.partner.plan(&[Plan::Fail, Plan::LoseAnswer, Plan::Fail]);
    app.send(&event("pass", "p-1", "card:1", "{}"));
    assert_eq!(app.run_scheduler(), 0, "in vain");
    app.set_clock("2026-03-04T00:00");
    let member = app.member("card:1")["id"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        app.clock.set(app.now().plus_seconds(5));
        app.run_scheduler();
    }
    let heard: Vec<(u32, bool)> = app.partner.seen().heard.iter().map(|heard| (heard.number, heard.granted)).collect();
    assert_eq!(heard, [(1, true), (1, true), (2, false)]);
    assert!(!app.partner.is_entitled(&member, "lounge"));
    app.send(&sale("r-1", "card:1", 500_000));
    app.restart();
    app.run_scheduler();
    assert!(app.partner.is_entitled(&member, "lounge"));
    assert_eq!(app.count("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE kind = 'partner' AND state = 0"), 0);
}

fn months_are_held_against_the_partners_list(app: &mut TestApp) {
    let (first, second) = (ordered(app, "card:1"), ordered(app, "card:2"));
    app.relay_to_partners();
    app.set_clock("2026-04-01T09:00");
    ordered(app, "card:3");
    app.relay_to_partners();
    let context = &app.engine().context;
    let of = |day: &str| month(context, &app.program, Some(&id("giftly")), day.parse().unwrap()).unwrap();
    let orders = of("2026-03-15");
    assert_eq!((orders.len(), of("2026-04-15").len(), of("2026-05-15").len()), (2, 1, 0));
    let list = format!("order,state\n{first},delivered\n{second},used\n");
    let found = reconcile(&orders, &list).unwrap();
    assert_eq!((found.agree, found.differences.len(), found.differences[0].kind), (1, 1, "state"));
}

#[test]
fn a_partner_behind_a_socket_is_spoken_to_as_the_pages_say() {
    let app = TestApp::new(GIFTS);
    let server = PartnerServer::start(app.partner.clone());
    let adapter = HttpPartner::new(&server.address, Secret::parse(SECRET).unwrap()).unwrap();
    let adapter = std::sync::Arc::new(adapter);
    let partners = Partners::default().with(id("giftly"), adapter.clone()).with(id("airport"), adapter);
    let sent = |app: &TestApp| relay_due(&app.engine().context, app.engine().executor(), &partners).unwrap();
    app.partner.plan(&[Plan::Fail, Plan::Accept, Plan::Deliver]);
    let redemption = ordered(&app, "card:1");
    for (seconds, done) in [(0, 0), (2, 0), (4, 1)] {
        app.clock.set(app.now().plus_seconds(seconds));
        assert_eq!(sent(&app), done);
    }
    assert_eq!(view(&app, &redemption).code, Some(FakePartner::code(&redemption)));
    app.send(&event("pass", "p-1", "card:1", "{}"));
    assert_eq!(sent(&app), 1);
    assert_eq!(app.partner.seen().heard.len(), 1);
    app.partner.plan(&[Plan::Accept, Plan::Deliver]);
    let late = ordered(&app, "card:3");
    sent(&app);
    app.clock.set(app.now().plus_seconds(24 * 3600));
    sent(&app);
    assert_eq!(app.partner.seen().cancelled, [late]);
    let stranger = HttpPartner::new(&server.address, Secret::parse("a secret of somebody else").unwrap()).unwrap();
    let strangers = Partners::default().with(id("giftly"), std::sync::Arc::new(stranger));
    ordered(&app, "card:2");
    let (context, executor) = (&app.engine().context, app.engine().executor());
    assert_eq!(relay_due(context, executor, &strangers).unwrap(), 0, "an answer of 401 is no delivery");
}

#[test]
fn the_relay_runs_by_itself_and_ends() {
    let app = TestApp::new(GIFTS);
    let redemption = ordered(&app, "card:1");
    let (context, executor) = (app.engine().context.clone(), app.engine().executor().clone());
    let relay = PartnerRelay::start(context, executor, app.partners.clone()).unwrap();
    while state(&app, &redemption) == PartnerState::Ordered {
        std::thread::yield_now();
    }
    drop(relay);
    assert_eq!(app.partner.seen().orders.len(), 1);
}
