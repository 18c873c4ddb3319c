//! E-gifts that partners deliver, and what partners are told of their benefits.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{PartnerStep, Redeem, What};
use tessera_core::ledger::PartnerState::{self, Delivered, Expired, Ordered, Refunded, Refused, Used};
use tessera_core::member::{Change, Told};
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, count_of, document, id, json::*, reward};

const GIFTS: &str = "
currencies: { bean: { name: Bean, expires: { after: P6M } } }
partners: { giftly: { deadline: P1D } }
rewards: { gift: { costs: { bean: 100, money: 5000 }, gives: { e_gift: { partner: giftly, product: TEA-50 } }, stock: 1, per_member: { ever: 1 } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

fn ordered(shop: &mut Shop) -> Decision {
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 150_000));
    shop.redeem("2026-03-03T09:00", Redeem { capture: true, ..reward("gift") }).unwrap()
}

fn says(shop: &mut Shop, time: &str, redemption: u64, to: PartnerState) -> Result<Decision, Rejected> {
    let reason = (to == Refused).then(|| "sold-out".into());
    shop.ask(at(time), What::PartnerStep(PartnerStep { redemption, to, reason }))
}

#[test]
fn an_e_gift_is_ordered_when_its_points_are_spent_not_before() {
    let mut shop = Shop::new(GIFTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 150_000));
    let reserved = shop.redeem("2026-03-03T09:00", reward("gift")).unwrap();
    assert!(reserved.partner_orders.is_empty());
    let captured = shop.capture("2026-03-03T09:01", reserved.events[reserved.main].seq, None).unwrap();
    let order = &captured.partner_orders[0];
    assert_eq!((order.partner.as_str(), order.product.as_str()), ("giftly", "TEA-50"));
    assert_eq!(order.until, at("2026-03-04T09:01"));
    assert_eq!(
        (order.redemption, count_of(&captured, EffectKind::GiftOrdered)),
        (reserved.events[reserved.main].seq, 1)
    );
}

#[rstest]
#[case::refused(&[Refused], "sold-out")]
#[case::refunded(&[Delivered, Refunded], "")]
#[case::refunded_after_it_was_used(&[Delivered, Used, Refunded], "")]
#[case::refunded_after_it_expired(&[Delivered, Expired, Refunded], "")]
fn r7_what_a_partner_does_not_give_goes_back_to_its_lots(#[case] steps: &[PartnerState], #[case] reason: &str) {
    let mut shop = Shop::new(GIFTS);
    let redemption = ordered(&mut shop).outcome.redemption.unwrap();
    let lots = [("2026-09-02".to_owned(), 150)];
    assert_eq!(shop.available("bean"), 50);
    let seq = redemption.id.rsplit('_').next().unwrap().parse().unwrap();
    for step in steps {
        says(&mut shop, "2026-03-05T09:00", seq, *step).unwrap();
    }
    assert_eq!(shop.lots("bean"), lots, "with their own expiry");
    let found = shop.redemption(seq).unwrap();
    let given = found.given.unwrap();
    assert_eq!((found.returned, given.back), (100, true));
    assert_eq!(given.partner.unwrap().reason.unwrap_or_default(), reason);
    assert_eq!(shop.pools.get("pool:reward:gift"), Some(&0), "in stock again");
    shop.redeem("2026-03-06T09:00", reward("gift")).expect("it no longer counts for the member");
}

#[test]
fn a_partner_says_only_what_can_follow() {
    for from in PartnerState::ALL {
        for to in PartnerState::ALL {
            let mut shop = Shop::new(GIFTS);
            let seq = ordered(&mut shop).events.last().unwrap().seq;
            let way: &[PartnerState] = match from {
                Ordered => &[],
                Delivered => &[Delivered],
                Used => &[Delivered, Used],
                Expired => &[Delivered, Expired],
                Refunded => &[Delivered, Refunded],
                Refused => &[Refused],
            };
            for step in way {
                says(&mut shop, "2026-03-04T09:00", seq, *step).unwrap();
            }
            let answer = says(&mut shop, "2026-03-05T09:00", seq, to);
            assert_eq!(answer.is_ok(), from.next().contains(&to), "{from:?} to {to:?}");
            if let Err(refused) = answer {
                assert_eq!(refused.code(), "partner-state-not-there");
            }
        }
    }
}

#[test]
fn what_is_at_a_partner_is_not_cancelled_and_nothing_else_is_there() {
    let mut shop = Shop::new(GIFTS);
    let seq = ordered(&mut shop).events.last().unwrap().seq;
    assert_eq!(shop.cancel("2026-03-03T10:00", seq, None).unwrap_err().code(), "is-at-partner");
    says(&mut shop, "2026-03-03T11:00", seq, Delivered).unwrap();
    assert_eq!(shop.cancel("2026-03-03T12:00", seq, None).unwrap_err().code(), "is-at-partner");
    let spent = shop.redeem("2026-03-03T13:00", tessera_testkit::shop::spend("bean", 10)).unwrap();
    let seq = spent.events[spent.main].seq;
    assert_eq!(says(&mut shop, "2026-03-03T14:00", seq, Used).unwrap_err().code(), "not-at-partner");
}

const LOUNGE: &str = "
currencies: { star: { name: Star, expires: never } }
tiers: { club: { measure: { earned: star }, window: calendar_year, levels: [ { id: blue, at: 0 }, { id: gold, at: 100, benefits: [lounge] } ] } }
partners: { airport: {}, cinema: {} }
benefits: { lounge: { name: Lounge, partner: airport }, parking: { name: Parking } }
events: { gift: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  hello: { trigger: gift, rules: [ { grant: { benefit: lounge, for: P3D } } ] }
";

fn told(decision: &Decision) -> Vec<Told> {
    let changes = decision.events.iter().flat_map(|event| &event.record.changes);
    changes.filter_map(|change| if let Change::Told { told } = change { Some(told.clone()) } else { None }).collect()
}

fn word(number: u32, granted: bool) -> Told {
    Told { benefit: id("lounge"), partner: id("airport"), number, granted }
}

#[test]
fn a_partner_is_told_when_a_level_gives_their_benefit_and_when_it_ends() {
    let mut shop = Shop::new(LOUNGE);
    assert_eq!(told(&shop.send("2026-03-02T09:00", "purchase", &sale("o1", 90_000))), []);
    assert_eq!(told(&shop.send("2026-03-03T09:00", "purchase", &sale("o2", 20_000))), [word(1, true)]);
    assert_eq!(told(&shop.send("2026-03-04T09:00", "purchase", &sale("o3", 20_000))), [], "nothing twice");
    assert_eq!(told(&shop.wake("2027-12-31T23:00")), []);
    assert_eq!(told(&shop.wake("2028-01-01T09:00")), [word(2, false)], "the level ended");
    assert_eq!(told(&shop.send("2028-01-02T09:00", "purchase", &sale("o4", 200_000))), [word(3, true)]);
}

#[test]
fn a_benefit_that_ends_by_itself_is_told_without_anybody_asking() {
    let mut shop = Shop::new(LOUNGE);
    assert_eq!(told(&shop.send("2026-03-02T09:00", "gift", "{}")), [word(1, true)]);
    assert_eq!(shop.state().wake_at, Some(at("2026-03-06T00:00")), "the scheduler knows");
    assert_eq!(told(&shop.wake("2026-03-05T23:59")), []);
    let ended = shop.wake("2026-03-07T09:00");
    assert_eq!(told(&ended), [word(2, false)]);
    assert_eq!(ended.events[0].effective_at, at("2026-03-06T00:00"), "dated when it ended");
}

#[test]
fn a_longer_source_keeps_it_and_leaving_ends_it() {
    let mut shop = Shop::new(LOUNGE);
    shop.send("2026-03-02T09:00", "gift", "{}");
    assert_eq!(told(&shop.send("2026-03-03T09:00", "purchase", &sale("o1", 200_000))), []);
    assert_eq!(told(&shop.wake("2026-03-10T09:00")), [], "gold gives it too");
    assert_eq!(told(&shop.ask(at("2026-03-11T09:00"), What::Leave { erase: false }).unwrap()), [word(2, false)]);
}

#[test]
fn another_partner_of_a_new_version_is_told_and_the_old_one_too() {
    let mut shop = Shop::new(LOUNGE);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 200_000));
    shop.publish("2026-03-03T00:00", &LOUNGE.replace("partner: airport", "partner: cinema"));
    let cinema = Told { partner: id("cinema"), ..word(1, true) };
    assert_eq!(told(&shop.wake("2026-03-03T09:00")), [word(2, false), cinema]);
}

#[rstest]
#[case::nobody("rewards: { g: { costs: { bean: 1 }, gives: { e_gift: { partner: nobody, product: X } } } }", "partner")]
#[case::no_product(
    "partners: { a: {} }\nrewards: { g: { costs: { bean: 1 }, gives: { e_gift: { partner: a, product: \"\" } } } }",
    "a product has a name"
)]
#[case::not_alone(
    "partners: { a: {} }\nrewards: { g: { costs: { bean: 1 }, gives: { item: M, e_gift: { partner: a, product: X } } } }",
    "stands alone"
)]
#[case::too_long("partners: { a: { deadline: P31D } }", "an order may take")]
#[case::benefit_of_nobody("benefits: { b: { name: B, partner: nobody } }", "partner")]
fn documents_say_who_delivers(#[case] rest: &str, #[case] problem: &str) {
    let text = document(&format!("currencies: {{ bean: {{ name: Bean, expires: never }} }}\n{rest}"));
    let found = read_document(&text).unwrap_err();
    assert!(found.iter().any(|found| found.message.contains(problem)), "{found:?}");
}
