//! P5, I3, R7: who spends a household's pool, and what comes back to whom.

use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::event::Redeem;
use tessera_testkit::shop::{reserve, spend, sum_of};

use super::{ALL, HOME, buy, couple, coupled, id_of, joined, pay, pool, program};

#[test]
fn p5_spending_takes_the_spenders_own_part_first_and_gives_it_back_to_whose_it_was() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 70)).unwrap();
    assert_eq!(pool(&mut shop), (30, [30, 0, 0]));
    let view = spent.outcome.redemption.clone().unwrap();
    assert_eq!(view.by, Some(id_of(&mut shop, 1).to_string().into()));
    let redemption = spent.events[spent.main].seq;
    shop.of_member(HOME).cancel("2026-01-09T09:00", redemption, Some(20)).unwrap();
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]), "last spent, first back");
    shop.of_member(HOME).cancel("2026-01-09T10:00", redemption, None).unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    assert_eq!(shop.of_member(HOME).lots("point"), [("2027-01-31".to_owned(), 100)]);
}

#[test]
fn i3_a_reservation_of_the_pool_is_captured_in_part_voided_or_ends() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let held = pay(&mut shop, 1, "2026-01-08T09:00", reserve("point", 70)).unwrap();
    assert_eq!((pool(&mut shop).0, shop.of_member(HOME).balance("point").held), (30, 70));
    let redemption = held.events[held.main].seq;
    shop.of_member(HOME).capture("2026-01-08T09:05", redemption, Some(50)).unwrap();
    // 40 of the spender's own and 10 of the other's.
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
    let held = pay(&mut shop, 0, "2026-01-08T10:00", reserve("point", 50)).unwrap();
    let redemption = held.events[held.main].seq;
    shop.of_member(HOME).void("2026-01-08T10:05", redemption).unwrap();
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
    pay(&mut shop, 0, "2026-01-08T11:00", reserve("point", 50)).unwrap();
    shop.of_member(HOME).wake("2026-01-08T11:15");
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
}

#[test]
fn r7_what_comes_back_after_its_end_stays_expired() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let spent = pay(&mut shop, 0, "2027-01-30T09:00", spend("point", 60)).unwrap();
    let back = shop.of_member(HOME).cancel("2027-02-02T09:00", spent.events[spent.main].seq, None).unwrap();
    assert_eq!(sum_of(&back, EffectKind::Expired, "point"), 60);
    assert_eq!(pool(&mut shop), (0, [0, 0, 0]));
}

#[test]
fn p5_only_who_is_in_it_spends_and_says_who_they_are() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let stranger = pay(&mut shop, 2, "2026-01-08T09:00", spend("point", 10)).unwrap_err();
    assert_eq!(stranger.code(), "not-of-household");
    let nobody = shop.of_member(HOME).redeem("2026-01-08T09:00", spend("point", 10)).unwrap_err();
    assert_eq!(nobody, Rejected::WhoSpends);
    let too_much = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 61)).unwrap_err();
    assert_eq!((too_much.code(), too_much.facts()["available"].as_i64()), ("not-enough-points", Some(60)));
    // A member's own points are no pool.
    let by = Some(id_of(&mut shop, 1));
    let wrong = shop.of_member(0).redeem("2026-01-08T09:00", Redeem { by, ..spend("point", 1) }).unwrap_err();
    assert_eq!(wrong, Rejected::NoSuchHousehold);
}

#[test]
fn p5_the_document_says_who_spends_and_how_much() {
    let mut shop = couple("pools: { point: { contribute: all, spend: head } }");
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    assert_eq!(pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 10)).unwrap_err().code(), "only-the-head");
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 10)).unwrap();
    let mut shop = couple("pools: { point: { contribute: all, spend: own_part } }");
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 0, "2026-01-07T09:00", "o2", 20);
    let refused = pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 21)).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["available"].as_i64()), ("not-enough-points", Some(20)));
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 20)).unwrap();
    assert_eq!(pool(&mut shop), (60, [0, 60, 0]));
}

#[test]
fn p5_each_spends_at_most_what_the_window_leaves_and_what_comes_back_makes_room() {
    let mut shop = couple("pools: { point: { contribute: all, per_member: { month: 50 } } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 300);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 40)).unwrap();
    let refused = pay(&mut shop, 1, "2026-01-08T10:00", spend("point", 11)).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["spent"].as_i64()), ("pool-limit", Some(40)));
    pay(&mut shop, 0, "2026-01-08T10:00", spend("point", 50)).unwrap();
    shop.of_member(HOME).cancel("2026-01-09T09:00", spent.events[spent.main].seq, Some(30)).unwrap();
    let held = pay(&mut shop, 1, "2026-01-09T10:00", reserve("point", 40)).unwrap();
    shop.of_member(HOME).void("2026-01-09T10:05", held.events[held.main].seq).unwrap();
    pay(&mut shop, 1, "2026-01-09T11:00", spend("point", 40)).unwrap();
    pay(&mut shop, 1, "2026-02-01T09:00", spend("point", 50)).unwrap();
}

#[test]
fn p5_what_is_nobodys_pays_first_but_not_where_everybody_spends_their_own() {
    for (who, mine, left) in [("anyone", 10, [20, 0]), ("own_part", 20, [0, 0])] {
        let mut shop = couple(&format!("pools: {{ point: {{ contribute: all, spend: {who} }} }}"));
        buy(&mut shop, 0, "2026-01-07T09:00", "o1", 20);
        buy(&mut shop, 1, "2026-01-07T10:00", "o2", 10);
        // What somebody leaves behind with the program is the household's own, in one lot with the rest.
        let gone = tessera_core::event::What::Leave { erase: false };
        shop.of_member(1).ask(tessera_testkit::shop::at("2026-01-08T09:00"), gone).unwrap();
        shop.relay();
        assert_eq!(pool(&mut shop), (30, [20, 0, 0]));
        pay(&mut shop, 0, "2026-01-09T09:00", spend("point", mine)).unwrap();
        assert_eq!(pool(&mut shop), (30 - mine, [left[0], left[1], 0]), "{who}");
    }
}

#[test]
fn p5_a_limit_that_comes_later_is_not_gone_below_none_by_what_was_spent_before() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 100);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 40)).unwrap();
    let limited = program("pools: { point: { contribute: all, per_member: { month: 50 } } }", "");
    shop.publish("2026-01-09T00:00", &limited);
    shop.of_member(HOME).cancel("2026-01-09T09:00", spent.events[spent.main].seq, None).unwrap();
    assert!(shop.state().counters.iter().all(|counter| counter.used > 0), "{:?}", shop.state().counters);
    let refused = pay(&mut shop, 1, "2026-01-09T10:00", spend("point", 51)).unwrap_err();
    assert_eq!(refused.code(), "pool-limit");
}

const REWARDS: &str = "
partners: { giftly: {} }
rewards:
  machine: { costs: { point: 70 }, gives: { item: true }, stock: 1, fulfilment: { approval: true } }
  gift: { costs: { point: 50 }, gives: { e_gift: { partner: giftly, product: TEA-50 } } }";

#[test]
fn p5_a_pool_buys_a_reward_and_what_comes_back_is_whose_it_was() {
    let mut shop = coupled(joined(&format!("{}{REWARDS}", program(ALL, ""))));
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let machine = || Redeem { capture: true, ..tessera_testkit::shop::reward("machine") };
    let bought = pay(&mut shop, 1, "2026-01-08T09:00", machine()).unwrap();
    assert_eq!(pool(&mut shop), (30, [30, 0, 0]));
    assert_eq!(bought.outcome.redemption.as_ref().unwrap().by, Some(id_of(&mut shop, 1).to_string().into()));
    // Somebody has to approve it, and does not: the points go home, and the machine is there again.
    let seq = bought.events[bought.main].seq;
    let step = tessera_core::event::FulfilmentStep {
        redemption: seq,
        to: tessera_core::ledger::FulfilmentState::Refused,
        by: "office".into(),
    };
    shop.of_member(HOME)
        .ask(tessera_testkit::shop::at("2026-01-08T11:00"), tessera_core::event::What::Fulfil(step))
        .unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    let again = pay(&mut shop, 0, "2026-01-08T12:00", machine()).unwrap();
    shop.of_member(HOME).cancel("2026-01-08T13:00", again.events[again.main].seq, None).unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    // Reserved first.
    let held = pay(&mut shop, 0, "2026-01-08T14:00", tessera_testkit::shop::reward("gift")).unwrap();
    let seq = held.events[held.main].seq;
    let captured = shop.of_member(HOME).capture("2026-01-08T14:01", seq, None).unwrap();
    assert_eq!((captured.partner_orders.len(), pool(&mut shop)), (1, (50, [10, 40, 0])));
    let step = tessera_core::event::PartnerStep {
        redemption: seq,
        to: tessera_core::ledger::PartnerState::Refused,
        reason: Some("sold-out".into()),
    };
    shop.of_member(HOME)
        .ask(tessera_testkit::shop::at("2026-01-08T15:00"), tessera_core::event::What::PartnerStep(step))
        .unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
}
