//! C8 and C9: what an event causes, and who does not get an offer.

use tessera_core::decide::{EffectKind, Reason};
use tessera_core::member::Change;
use tessera_testkit::shop::{Shop, count_of, json::*, sum_of};

use crate::common::{points_and, points_with};

const STAMPS: &str = "
currencies: { stamp: { name: Stamp, expires: never }, point: { name: Point, expires: never } }
campaigns:
  stamps: { trigger: purchase, rules: [ { award: { currency: stamp, amount: event.net / 1000 } } ] }
  full: { trigger: balance, rules: [ { when: member.balance.stamp >= 9, spend: { currency: stamp, amount: 9 }, issue: { voucher: coffee }, award: { currency: point, amount: 1 } } ] }
vouchers: { coffee: { gives: { free_item: { category: coffee } }, valid: P30D } }
";

#[test]
fn c8_awards_read_the_member_as_they_were_before_the_event() {
    let campaigns = "
  first: { trigger: purchase, audience: member.purchases == 0, rules: [ { award: { currency: point, amount: 100 } } ] }
  poor: { trigger: purchase, audience: member.balance.point < 50, rules: [ { award: { currency: point, amount: 7 } } ] }";
    let mut shop = Shop::new(&points_and("", campaigns));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    assert_eq!(shop.available("point"), 60 + 100 + 7, "the 60 of this purchase make nobody rich before it");
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 177);
}

#[test]
fn c8_two_full_cards_at_once_give_two_rewards() {
    let mut shop = Shop::new(STAMPS);
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 20_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 2);
    assert_eq!((shop.available("stamp"), shop.available("point")), (2, 2));
    assert_eq!(decision.vouchers.len(), 2);
    assert_ne!(decision.vouchers[0].code, decision.vouchers[1].code);
    assert_eq!(
        decision.vouchers[0].expires_at.unwrap().to_string(),
        "2026-04-01T17:00:00Z",
        "the last day is included"
    );
    assert_eq!(decision.events.len(), 2, "joined, bought: what follows is part of the purchase");
}

#[test]
fn c8_what_causes_itself_ends_at_depth_eight() {
    let mut shop = Shop::new(&points_and(
        "",
        "  loop: { trigger: balance, rules: [ { award: { currency: point, amount: 1 } } ] }",
    ));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 18);
    let mut shop = Shop::new(&STAMPS.replace(", award: { currency: point, amount: 1 }", ""));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    assert_eq!((count_of(&decision, EffectKind::VoucherIssued), shop.available("stamp")), (8, 28));
}

#[test]
fn c8_entering_a_level_is_an_event_of_its_own() {
    let program = "
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: silver, at: 50, benefits: [line] }, { id: gold, at: 100 } ] } }
benefits: { line: { name: Line }, lounge: { name: Lounge } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  gift: { trigger: tier, rules: [ { when: event.ladder == \"club\" and event.level == \"gold\" and event.from == \"blue\", award: { currency: point, amount: 500 }, grant: { benefit: lounge, for: P30D } } ] }
";
    let mut shop = Shop::new(program);
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    assert_eq!((shop.available("point"), shop.level("club").as_str()), (600, "gold"));
    assert_eq!(count_of(&decision, EffectKind::BenefitGranted), 1);
    assert_eq!(shop.state().grants[0].last_day.to_string(), "2026-04-01");
    shop.send("2026-04-02T09:00", "purchase", &sale("o2", 1_000));
    assert!(shop.state().grants.is_empty(), "it ended with its last day");
    let mut shop = Shop::new(program);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 60_000));
    assert_eq!(shop.available("point"), 120, "gold was entered from silver");
}

#[test]
fn c8_what_a_late_event_causes_reads_the_member_as_they_are_by_now() {
    let mut shop = Shop::new(STAMPS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 8_000));
    shop.send("2026-03-04T09:00", "purchase", &sale("o2", 0));
    let decision = shop.send("2026-03-03T09:00", "purchase", &sale("late", 1_000));
    assert_eq!(
        count_of(&decision, EffectKind::VoucherIssued),
        1,
        "the ninth stamp fills the card, whenever it was earned"
    );
    let decision = shop.send("2026-03-03T08:00", "purchase", &sale("later", 1_000));
    assert_eq!((count_of(&decision, EffectKind::VoucherIssued), shop.available("stamp")), (0, 1), "not again");
}

#[test]
fn c8_a_rule_spends_only_what_is_there() {
    let mut shop = Shop::new(&points_and(
        "",
        "  swap: { trigger: visit, rules: [ { spend: { currency: point, amount: 30 }, issue: { voucher: cake } } ] }
events: { visit: {} }
vouchers: { cake: { gives: { percent_off: 100 } } }",
    ));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    let decision = shop.send("2026-03-02T10:00", "visit", "{}");
    assert_eq!((sum_of(&decision, EffectKind::Spent, "point"), shop.available("point")), (30, 10));
    let decision = shop.send("2026-03-02T11:00", "visit", "{}");
    assert_eq!((decision.vouchers.len(), shop.available("point")), (0, 10));
    assert!(
        decision
            .trace
            .iter()
            .any(|trace| matches!(trace.reason, Reason::NotEnoughToSpend { wanted: 30, available: 10, .. }))
    );
}

/// An offer to everybody who bought before, from which a share is held out.
fn offer(holdout: &str) -> String {
    points_and(
        "",
        &format!(
            "  again: {{ trigger: purchase, audience: member.purchases > 0, {holdout}rules: [ {{ award: {{ currency: point, amount: 50 }} }} ] }}"
        ),
    )
}

fn exposures(shop: &Shop) -> Vec<(bool, Vec<i64>)> {
    let changes = shop.member().events.iter().flat_map(|event| &event.record.changes);
    changes
        .filter_map(|change| match change {
            Change::Exposed { held_out, worth, .. } => Some((*held_out, worth.values().copied().collect())),
            _ => None,
        })
        .collect()
}

#[test]
fn c9_a_held_out_member_gets_and_sees_nothing_and_both_groups_are_noted_once() {
    let mut shop = Shop::new(&offer("holdout: 0.3, "));
    let (mut held, mut treated) = (0, 0);
    for number in 0..40 {
        shop.of_member(number);
        for visit in 0..3 {
            shop.send("2026-03-02T09:00", "purchase", &sale(&format!("{number}-{visit}"), 10_000));
        }
        let is_held = shop.state().exposures[0].1;
        assert_eq!(exposures(&shop), [(is_held, vec![50])], "once, at the first qualification, with what it is worth");
        assert_eq!(shop.available("point"), if is_held { 30 } else { 130 });
        if is_held {
            held += 1;
            let effects = shop.member().events.iter().flat_map(|event| &event.record.effects);
            assert!(effects.filter_map(|effect| effect.campaign.as_ref()).all(|campaign| campaign.as_str() != "again"));
        } else {
            treated += 1;
        }
        let basis = shop.member().events.last().unwrap().record.basis.clone().unwrap();
        assert_eq!(basis.held_out.is_empty(), !is_held, "the assignment is in the basis");
    }
    assert!(held >= 4 && treated >= 16, "{held} of 40 held out at 0.3");
}

#[test]
fn c9_raising_the_share_only_adds_people() {
    let held = |share: &str| -> Vec<bool> {
        let mut shop = Shop::new(&offer(&format!("holdout: {share}, ")));
        (0..40)
            .map(|number| {
                shop.of_member(number).send("2026-03-02T09:00", "purchase", &sale(&format!("a{number}"), 1_000));
                shop.send("2026-03-02T09:00", "purchase", &sale(&format!("b{number}"), 1_000));
                shop.state().exposures[0].1
            })
            .collect()
    };
    let (few, more, all) = (held("0.1"), held("0.4"), held("1"));
    assert!(few.iter().zip(&more).all(|(few, more)| !few || *more));
    assert!(all.iter().all(|held| *held));
    assert!(more.iter().filter(|held| **held).count() > few.iter().filter(|held| **held).count());
}

#[test]
fn c9_the_control_group_stays_out_of_targeted_offers_but_never_of_base_or_what_is_open_to_all() {
    let open = "  open: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 3 } } ] }";
    let mut shop = Shop::new(&format!("control_group: 1{}\n{open}", offer("").trim_end()));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let decision = shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 26);
    assert!(decision.trace.iter().any(|trace| trace.reason == Reason::HeldOut));
    assert_eq!(exposures(&shop), [(true, vec![50])]);
    let mut shop = Shop::new(&format!("control_group: 0{}\n{open}", offer("").trim_end()));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 76);
    assert_eq!(exposures(&shop), [(false, vec![50])], "those who got it are noted, too");
}

#[test]
fn c9_a_return_is_judged_by_the_assignment_of_the_purchase() {
    let mut shop = Shop::new(&offer("holdout: 0, "));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 70);
    shop.publish("2026-03-03T00:00", &offer("holdout: 1, "));
    shop.send("2026-03-04T10:00", "return", &back_all("o2"));
    assert_eq!(shop.available("point"), 10);
    shop.send("2026-03-04T11:00", "purchase", &sale("o3", 10_000));
    assert_eq!(shop.available("point"), 20);
}

#[test]
fn c8_base_without_points_and_unknown_rules_leave_a_reason() {
    let mut shop = Shop::new(&points_with(""));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 999));
    let words: Vec<&str> = decision.trace.iter().map(|trace| trace.words.as_str()).collect();
    assert_eq!(words, ["`event.net / 1000` gives 0.999, rounded to 0"]);
}
