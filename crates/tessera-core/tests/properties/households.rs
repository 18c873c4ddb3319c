//! P5, P1 over random histories of a household: who earns, puts in, spends, returns, leaves, joins again, lets expire, and
//! becomes one with somebody and two again.

use proptest::prelude::*;
use tessera_core::event::{HouseholdStep, Redeem, What};
use tessera_core::id::MemberId;
use tessera_core::ledger::Account;
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, at, id, json, reserve, spend};

const CODE: [u8; 16] = [9; 16];
const HOME: usize = 3;

fn program(share: &str, who: &str, overdraft: &str) -> String {
    format!(
        "
households: {{ pools: {{ point: {{ contribute: {share}, by_hand: true, spend: {who}, per_member: {{ month: 250 }} }} }} }}
currencies: {{ point: {{ name: Point, expires: {{ after: P2M, round: month }}, pending: P2D, overdraft: {overdraft}, spend: {{ restored: {{ grace: P30D }} }} }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
"
    )
}

#[derive(Clone, Debug)]
enum Deed {
    Buy(i64),
    Return(i64),
    PutIn(i64),
    Spend(i64),
    Reserve(i64),
    Capture(i64),
    Void,
    Cancel(i64),
    Leave,
    Join,
    Relay,
    /// One with the member of a number, and two again.
    Merge(usize),
    Unmerge(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (1..12_i64).prop_map(Deed::Buy),
        3 => (1..10_i64).prop_map(Deed::Return),
        2 => (1..80_i64).prop_map(Deed::PutIn),
        4 => (1..120_i64).prop_map(Deed::Spend),
        2 => (1..120_i64).prop_map(Deed::Reserve),
        1 => (1..120_i64).prop_map(Deed::Capture),
        1 => Just(Deed::Void),
        2 => (1..100_i64).prop_map(Deed::Cancel),
        1 => Just(Deed::Leave),
        2 => Just(Deed::Join),
        4 => Just(Deed::Relay),
        1 => (0..3_usize).prop_map(Deed::Merge),
        1 => (0..3_usize).prop_map(Deed::Unmerge),
    ]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(80, 1))]

    #[test]
    fn p5_parts_sum_to_the_pool_and_nobody_takes_more_than_their_own(
        deeds in prop::collection::vec((0..3_usize, deed(), 0..9_i64), 1..50),
        share in prop_oneof![Just("all"), Just("none"), Just("0.37")],
        who in prop_oneof![Just("anyone"), Just("head"), Just("own_part")],
        overdraft in prop_oneof![Just("debt"), Just("clamp")],
    ) {
        let mut shop = Shop::new(&program(share, who, overdraft));
        let mut now = at("2026-01-10T09:00");
        for member in 0..3 {
            shop.of_member(member).send_at(now, "enrol", "{}");
        }
        let people = [0, 1, 2].map(|member| shop.of_member(member).member().id);
        shop.of_member(0).ask(now, What::Household(HouseholdStep::Found { known: None })).unwrap();
        shop.relay();
        let household = shop.of_member(HOME).member().id;
        let (mut orders, mut redemptions, mut were_one) = (vec![Vec::new(); 3], Vec::new(), false);
        for (place, (member, deed, days)) in deeds.into_iter().enumerate() {
            now = now.plus_seconds(days * 86_400 + 60);
            let by = Some(who_now(&shop, member, &people));
            shop.of_member(member);
            // Whatever is refused changes nothing.
            match deed {
                Deed::Buy(units) => {
                    let order = format!("o-{place}");
                    let items = [("A", "goods", units, units * 10_000)];
                    shop.send_at(now, "purchase", &json::lines(&order, &items));
                    orders[member].push(order);
                }
                Deed::Return(units) => {
                    if let Some(order) = orders[member].last().cloned() {
                        drop(shop.offer(now, now.max(shop.state().clock), "return", &json::back(&order, &[("A", units)])));
                    }
                }
                Deed::PutIn(amount) => {
                    drop(shop.ask(now, What::Household(HouseholdStep::PutIn { currency: id("point"), amount })));
                }
                Deed::Spend(points) | Deed::Reserve(points) => {
                    let capture = matches!(deed, Deed::Spend(_));
                    let wish = if capture { spend("point", points) } else { reserve("point", points) };
                    let paid = shop.of_member(HOME).ask(now, What::Redeem(Redeem { by, ..wish }));
                    redemptions.extend(paid.ok().map(|paid| paid.events[paid.main].seq));
                }
                Deed::Capture(_) | Deed::Void | Deed::Cancel(_) => {
                    if let Some(redemption) = redemptions.last().copied() {
                        let time = now.to_string();
                        shop.of_member(HOME);
                        match deed {
                            Deed::Capture(points) => drop(shop.capture(&time, redemption, Some(points))),
                            Deed::Cancel(points) => drop(shop.cancel(&time, redemption, Some(points))),
                            _ => drop(shop.void(&time, redemption)),
                        }
                    }
                }
                Deed::Leave => drop(shop.ask(now, What::Household(HouseholdStep::Leave))),
                Deed::Join => {
                    let head = shop.of_member(HOME).state().household.unwrap().people.iter().find(|person| person.head).map(|person| person.member);
                    if let Some(by) = head {
                        drop(shop.ask(now, What::Household(HouseholdStep::Invite { by, to: by_other(by, who_now(&shop, member, &people)), code: CODE })));
                    }
                    drop(shop.of_member(member).ask(now, What::Household(HouseholdStep::Accept { household, code: Some(CODE) })));
                }
                Deed::Relay => drop(shop.relay()),
                Deed::Merge(into) => {
                    were_one |= shop.merge(&now.to_string(), into).is_ok();
                    // A return of their orders comes back until both halves are there.
                    shop.relay();
                }
                Deed::Unmerge(from) => {
                    drop(shop.unmerge(&now.to_string(), from));
                    shop.relay();
                }
            }
        }
        shop.relay();
        shop.check();
        prop_assert_eq!(shop.clearing().values().sum::<i64>(), 0);
        // What went into the pool of each, less what came home to them, is not below zero.
        let state = shop.of_member(HOME).state();
        let pool = state.household.clone().unwrap();
        for (member, id) in people.into_iter().enumerate() {
            let (mut put, mut back) = (0, 0);
            for entry in shop.of_member(member).member().events.iter().flat_map(|event| &event.entries) {
                match (entry.from, entry.to) {
                    (_, Account::Clearing) => put += entry.amount.get(),
                    (Account::Clearing, _) => back += entry.amount.get(),
                    _ => {}
                }
            }
            let own = pool.part_of(id, "point");
            // The last one out takes what nobody else is there to take.
            prop_assert!(were_one || pool.closed || back + own <= put, "member {member} put in {put}, has {own} there, {back} came home");
        }
        let is_in = |member: &usize| {
            let state = shop.clone().of_member(*member).state();
            state.status == Status::Active && state.home() == Some(household)
        };
        let in_it: Vec<_> = (0..3).filter(is_in).map(|member| people[member]).collect();
        let mut listed: Vec<_> = pool.people.iter().map(|person| person.member).collect();
        listed.sort();
        prop_assert_eq!(in_it, listed, "both sides know who is in it");
    }
}

/// Who a member is by now.
fn who_now(shop: &Shop, member: usize, people: &[MemberId; 3]) -> MemberId {
    let mut now = member;
    for _ in people {
        let into = shop.clone().of_member(now).state().into;
        now = into.and_then(|into| people.iter().position(|known| *known == into)).unwrap_or(now);
    }
    people[now]
}

/// An invitation for one; the head needs none.
fn by_other(head: MemberId, to: MemberId) -> Option<MemberId> {
    (head != to).then_some(to)
}
