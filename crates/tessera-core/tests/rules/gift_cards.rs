//! V3, I2, I3, A1, M4, M6: gift cards. Made, loaded, spent in parts, refunded to themselves, blocked, replaced.

use tessera_core::decide::{Balance, Decision, EffectKind, Rejected, quote_redemption};
use tessera_core::event::{CardPart, GiftCardStep, What, read_follow_up};
use tessera_core::ledger::{Account, EntryKind};
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{Severity, read_document};
use tessera_core::quantity::Amount;
use tessera_testkit::shop::{Shop, at, count_of, document, json::*, pay, reserve, spend, sum_of};

const CARD: &str = "gift-card";
const CODE: [u8; 16] = [1; 16];

/// One point per 1,000 ₫, a gift when a balance moves, and cards with these settings.
fn shop_with(cards: &str) -> Shop {
    let mut shop = Shop::new(&format!(
        "gift_cards: {{ {cards} }}
currencies: {{ point: {{ name: P, expires: {{ inactivity: P6M, moved_by: [purchase, redemption] }} }} }}
tiers: {{ club: {{ measure: spend, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 100000 }} ] }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  hello: {{ trigger: enrol, rules: [ {{ award: {{ currency: point, amount: 50 }} }} ] }}
  moved: {{ trigger: balance, rules: [ {{ award: {{ currency: point, amount: 1 }}, limit: {{ per_member: {{ day: 1 }} }} }} ] }}"
    ));
    shop.of_member(1);
    shop
}

fn step(shop: &mut Shop, time: &str, step: GiftCardStep) -> Result<Decision, Rejected> {
    shop.ask(at(time), What::GiftCard(step))
}

fn issue(shop: &mut Shop, time: &str, amount: i64) -> Result<Decision, Rejected> {
    step(shop, time, GiftCardStep::Issue { code: CODE, amount })
}

fn top_up(shop: &mut Shop, time: &str, amount: i64) -> Result<Decision, Rejected> {
    step(shop, time, GiftCardStep::TopUp { amount })
}

/// A shop whose card has 500,000 ₫.
fn loaded(cards: &str) -> Shop {
    let mut shop = shop_with(cards);
    issue(&mut shop, "2026-01-10T09:00", 500_000).unwrap();
    shop
}

fn money(amount: i64) -> Amount {
    Amount::whole(amount)
}

fn has(available: i64, held: i64) -> Balance {
    Balance { available, held, ..Balance::default() }
}

#[test]
fn v3_a_card_is_made_with_what_is_paid_in() {
    let mut shop = shop_with("min: 50000, max: 5000000");
    let made = issue(&mut shop, "2026-01-10T09:00", 500_000).unwrap();
    assert_eq!(shop.balance(CARD), has(500_000, 0));
    assert_eq!(sum_of(&made, EffectKind::Loaded, CARD), 500_000);
    let entry = &made.events[0].entries[0];
    assert_eq!((entry.kind, entry.from, entry.to), (EntryKind::Load, Account::Issued, Account::Active));
    assert_eq!(made.outcome.balances.keys().map(|id| id.as_str()).collect::<Vec<_>>(), [CARD]);
    assert_eq!(made.state.gift_card.unwrap().code, CODE);
}

#[test]
fn v3_a_card_is_no_member() {
    let mut shop = loaded("");
    let state = shop.state();
    assert_eq!(state.status, Status::GiftCard);
    assert_eq!(state.status.code(), 5);
    let spent = shop.redeem("2026-01-11T09:00", spend(CARD, 100_000)).unwrap();
    assert_eq!(count_of(&spent, EffectKind::Joined) + count_of(&spent, EffectKind::Accrual), 0);
    assert!(spent.outcome.tiers.is_empty());
    assert_eq!(
        shop.state().purses.len(),
        1,
        "no welcome, no gift when a balance moves, no date that keeps points alive"
    );
    assert!(shop.state().wake_at.is_none());
}

#[test]
fn v3_a_card_printed_empty_is_loaded_at_the_counter() {
    let mut shop = shop_with("min: 50000, reload: false");
    issue(&mut shop, "2026-01-10T09:00", 0).unwrap();
    assert_eq!(shop.balance(CARD), has(0, 0));
    top_up(&mut shop, "2026-01-12T09:00", 200_000).unwrap();
    assert_eq!(shop.balance(CARD), has(200_000, 0));
    let again = top_up(&mut shop, "2026-01-12T10:00", 200_000).unwrap_err();
    assert_eq!(again, Rejected::GiftCardNotReloadable);
}

#[test]
fn v3_what_is_loaded_stays_between_the_least_and_the_most() {
    let mut shop = shop_with("min: 50000, max: 600000");
    let refused = issue(&mut shop, "2026-01-10T09:00", 49_999).unwrap_err();
    assert_eq!(refused, Rejected::GiftCardBelowMinimum { amount: money(49_999), min: money(50_000) });
    issue(&mut shop, "2026-01-10T09:00", 500_000).unwrap();
    shop.redeem("2026-01-10T10:00", reserve(CARD, 100_000)).unwrap();
    let refused = top_up(&mut shop, "2026-01-10T10:01", 100_001).unwrap_err();
    let expected =
        Rejected::GiftCardOverMaximum { amount: money(100_001), balance: money(500_000), max: money(600_000) };
    assert_eq!(refused, expected, "what is reserved is still on the card");
    assert_eq!(refused.to_string(), "a gift card holds 600000 at most: it has 500000, and 100001 more is too much");
    top_up(&mut shop, "2026-01-10T10:01", 100_000).unwrap();
    assert!(matches!(top_up(&mut shop, "2026-01-10T10:02", -5), Err(Rejected::GiftCardBelowMinimum { .. })));
}

#[test]
fn v3_a_card_pays_in_parts_to_the_last_dong() {
    let mut shop = loaded("");
    let bill = shop.redeem("2026-01-11T09:00", pay(CARD, "120500", None)).unwrap();
    let reserved = bill.outcome.redemption.unwrap();
    assert_eq!((reserved.points, shop.balance(CARD)), (120_500, has(379_500, 120_500)));
    let seq = bill.events[bill.main].seq;
    shop.capture("2026-01-11T09:01", seq, Some(100_500)).unwrap();
    assert_eq!(shop.balance(CARD), has(399_500, 0), "what was not captured is back");
    let rest = shop.redeem("2026-01-12T09:00", pay(CARD, "1000000", None)).unwrap().outcome.redemption.unwrap();
    let bill = rest.bill.unwrap();
    assert_eq!((rest.points, bill.covered, bill.remainder), (399_500, money(399_500), money(600_500)));
}

#[test]
fn m6_a_card_pays_exactly_and_only_the_rest_is_rounded() {
    let mut shop = Shop::new(
        "currency: THB
cash_rounding: { cash: 0.25 }
gift_cards: {}
currencies: { point: { name: P, expires: never } }",
    );
    issue(&mut shop, "2026-01-10T09:00", 10_033).unwrap();
    let redeem = tessera_core::event::Redeem { tender: Some("cash".into()), ..pay(CARD, "150.40", None) };
    let quote = quote_redemption(shop.versions.head(), &shop.state(), &redeem).unwrap();
    let bill = quote.bill.unwrap();
    assert_eq!(quote.points, 10_033, "satang");
    assert_eq!((bill.covered.to_string(), bill.remainder.to_string()), ("100.33".into(), "50.07".into()));
    assert_eq!(bill.asked.to_string(), "50");
}

#[test]
fn i2_the_second_of_two_that_want_the_last_money_is_refused_with_what_is_there() {
    let mut shop = loaded("");
    shop.redeem("2026-01-11T09:00", reserve(CARD, 300_000)).unwrap();
    let refused = shop.redeem("2026-01-11T09:00", spend(CARD, 200_001)).unwrap_err();
    let expected =
        Rejected::NotEnoughOnGiftCard { wanted: money(200_001), available: money(200_000), held: money(300_000) };
    assert_eq!(refused, expected);
    assert_eq!(refused.to_string(), "200001 is wanted of the gift card: it has 200000, and 300000 is reserved");
    shop.redeem("2026-01-11T09:01", spend(CARD, 200_000)).unwrap();
    assert_eq!(shop.balance(CARD), has(0, 300_000));
}

#[test]
fn i3_a_reservation_on_a_card_ends_by_itself() {
    let mut shop = loaded("reserve: PT5M");
    shop.redeem("2026-01-11T09:00", reserve(CARD, 300_000)).unwrap();
    shop.wake("2026-01-11T09:05");
    assert_eq!(shop.balance(CARD), has(500_000, 0));
}

#[test]
fn v3_a_refund_goes_to_the_card_that_paid_and_is_never_more_than_it_paid() {
    let mut shop = loaded("");
    let paid = shop.redeem("2026-01-11T09:00", spend(CARD, 200_000)).unwrap();
    let seq = paid.events[paid.main].seq;
    shop.cancel("2026-01-12T09:00", seq, Some(150_000)).unwrap();
    let refused = shop.cancel("2026-01-12T09:01", seq, Some(50_001)).unwrap_err();
    assert!(matches!(refused, Rejected::ReturnedMoreThanCaptured { captured: 200_000, returned: 150_000, .. }));
    shop.cancel("2026-01-12T09:02", seq, None).unwrap();
    assert_eq!(shop.balance(CARD), has(500_000, 0));
    let purse = shop.state().purse(CARD).cloned().unwrap();
    assert_eq!(purse.totals.redeemed.get(), 0);
}

#[test]
fn v3_a_card_lives_for_ever_unless_the_document_says_otherwise() {
    let mut shop = loaded("");
    assert_eq!(shop.lots(CARD), [("-".to_owned(), 500_000)]);
    let mut dated = loaded("expires: { after: P1Y }");
    top_up(&mut dated, "2026-06-01T09:00", 100_000).unwrap();
    let expected = [("2027-01-10".to_owned(), 500_000), ("2027-06-01".to_owned(), 100_000)];
    assert_eq!(dated.lots(CARD), expected, "each load has its own date");
    let paid = dated.redeem("2027-01-05T09:00", spend(CARD, 200_000)).unwrap();
    dated.wake("2027-02-01T09:00");
    let purse = dated.state().purse(CARD).cloned().unwrap();
    assert_eq!((dated.available(CARD), purse.totals.expired.get()), (100_000, 300_000));
    dated.cancel("2027-02-02T09:00", paid.events[paid.main].seq, Some(50_000)).unwrap();
    let expected = [("2027-03-04".to_owned(), 50_000), ("2027-06-01".to_owned(), 100_000)];
    assert_eq!(dated.lots(CARD), expected, "money that comes back after its end lives another 30 days");
    shop.wake("2036-01-01T09:00");
    assert_eq!(shop.available(CARD), 500_000);
}

#[test]
fn v3_a_blocked_card_pays_nothing_and_takes_nothing_until_it_is_unblocked() {
    let mut shop = loaded("");
    let reserved = shop.redeem("2026-01-11T09:00", reserve(CARD, 100_000)).unwrap();
    let paid = shop.redeem("2026-01-11T09:00", spend(CARD, 50_000)).unwrap();
    step(&mut shop, "2026-01-11T09:01", GiftCardStep::Block).unwrap();
    assert_eq!(shop.redeem("2026-01-11T09:02", spend(CARD, 1_000)).unwrap_err(), Rejected::GiftCardBlocked);
    assert_eq!(top_up(&mut shop, "2026-01-11T09:02", 50_000).unwrap_err(), Rejected::GiftCardBlocked);
    shop.capture("2026-01-11T09:03", reserved.events[reserved.main].seq, None).unwrap();
    shop.cancel("2026-01-11T09:04", paid.events[paid.main].seq, None).unwrap();
    assert_eq!(shop.balance(CARD), has(400_000, 0), "what was reserved before is paid, what comes back comes back");
    step(&mut shop, "2026-01-11T09:05", GiftCardStep::Unblock).unwrap();
    shop.redeem("2026-01-11T09:06", spend(CARD, 1_000)).unwrap();
}

#[test]
fn v3_a_void_card_has_nothing_left_and_what_is_reserved_is_settled_first() {
    let mut shop = loaded("");
    let reserved = shop.redeem("2026-01-11T09:00", reserve(CARD, 100_000)).unwrap();
    let in_use = step(&mut shop, "2026-01-11T09:01", GiftCardStep::Void).unwrap_err();
    assert_eq!(in_use, Rejected::GiftCardInUse { held: money(100_000) });
    shop.capture("2026-01-11T09:02", reserved.events[reserved.main].seq, None).unwrap();
    let made_void = step(&mut shop, "2026-01-11T09:03", GiftCardStep::Void).unwrap();
    assert_eq!(sum_of(&made_void, EffectKind::TakenBack, CARD), 400_000);
    assert_eq!(shop.balance(CARD), has(0, 0));
    assert_eq!(shop.redeem("2026-01-11T09:04", spend(CARD, 1_000)).unwrap_err(), Rejected::GiftCardBlocked);
    let again = step(&mut shop, "2026-01-11T09:05", GiftCardStep::Void).unwrap();
    assert_eq!(count_of(&again, EffectKind::TakenBack), 0);
    // What it paid for may still come back.
    shop.cancel("2026-01-11T09:06", reserved.events[reserved.main].seq, Some(40_000)).unwrap();
    assert_eq!(shop.balance(CARD), has(40_000, 0));
}

/// A card of another system with money that dies on these days.
fn moved_in(parts: &[(i64, Option<&str>)]) -> GiftCardStep {
    let part = |(amount, day): &(i64, Option<&str>)| CardPart {
        amount: *amount,
        expires: day.map(|day| day.parse().unwrap()),
    };
    GiftCardStep::MoveIn { code: CODE, parts: parts.iter().map(part).collect() }
}

#[test]
fn l9_each_part_of_a_card_dies_on_its_own_day_as_it_did_there() {
    let mut shop = shop_with("");
    let parts =
        [(30_000, Some("2026-02-28")), (20_000, Some("2026-06-30")), (5_000, Some("2025-12-31")), (1_000, None)];
    let moved = step(&mut shop, "2026-01-10T09:00", moved_in(&parts)).unwrap();
    assert_eq!(sum_of(&moved, EffectKind::Imported, CARD), 56_000);
    assert_eq!(sum_of(&moved, EffectKind::Expired, CARD), 5_000);
    let lots = |shop: &Shop| tessera_testkit::shop::lots(&shop.state(), CARD);
    let day = |day: &str, amount| (day.to_owned(), amount);
    assert_eq!(lots(&shop), [day("2026-02-28", 30_000), day("2026-06-30", 20_000), day("-", 1_000)]);
    shop.wake_at(at("2026-03-01T00:00"));
    assert_eq!(shop.balance(CARD), has(21_000, 0));
}

#[test]
fn l9_a_card_of_another_system_has_what_it_had_there() {
    let mut shop = shop_with("min: 50000, max: 100000, reload: false, expires: { after: P1Y }");
    let card = moved_in(&[(730_000, Some("2026-02-28"))]);
    let moved = step(&mut shop, "2026-01-10T09:00", card.clone()).unwrap();
    assert_eq!(sum_of(&moved, EffectKind::Imported, CARD), 730_000, "more than is sold here");
    let entry = &moved.events[0].entries[0];
    assert_eq!((entry.kind, entry.from, entry.to), (EntryKind::Import, Account::Imported, Account::Active));
    assert_eq!(step(&mut shop, "2026-01-10T09:01", card).unwrap_err(), Rejected::GiftCardExists);
    assert_eq!(top_up(&mut shop, "2026-01-10T09:01", 60_000).unwrap_err(), Rejected::GiftCardNotReloadable);
    shop.redeem("2026-01-11T09:00", spend(CARD, 30_000)).unwrap();
    shop.wake_at(at("2026-03-01T00:00"));
    let totals = shop.state().purse(CARD).unwrap().totals;
    assert_eq!((totals.imported.get(), totals.redeemed.get(), totals.expired.get()), (730_000, 30_000, 700_000));
    assert!(totals.issued.is_zero(), "nobody bought it here");
}

#[test]
fn l9_money_that_was_dead_there_is_dead_here() {
    let mut shop = shop_with("");
    let card = moved_in(&[(50_000, Some("2025-12-31"))]);
    let moved = step(&mut shop, "2026-01-10T09:00", card).unwrap();
    assert_eq!(sum_of(&moved, EffectKind::Expired, CARD), 50_000);
    assert_eq!(shop.balance(CARD), has(0, 0));
}

#[test]
fn v3_the_least_may_be_loaded_and_a_card_holds_no_more_than_there_can_be() {
    let mut shop = shop_with("min: 50000");
    issue(&mut shop, "2026-01-10T09:00", 50_000).unwrap();
    let most = 1_000_000_000_000;
    assert_eq!(top_up(&mut shop, "2026-01-10T10:00", most).unwrap_err().code(), "gift-card-over-maximum");
    let mut shop = shop_with("");
    let too_much = moved_in(&[(most + 1, None)]);
    assert_eq!(step(&mut shop, "2026-01-10T09:00", too_much).unwrap_err().code(), "gift-card-over-maximum");
    let today = moved_in(&[(50_000, Some("2026-01-10"))]);
    step(&mut shop, "2026-01-10T09:00", today).unwrap();
    assert_eq!(shop.balance(CARD), has(50_000, 0), "its last day is a day of its own");
    shop.wake("2026-01-11T00:00");
    assert_eq!(shop.balance(CARD), has(0, 0));
}

#[test]
fn v3_a_replaced_card_has_its_balance_under_another_code() {
    let mut shop = loaded("");
    step(&mut shop, "2026-01-11T09:00", GiftCardStep::Block).unwrap();
    step(&mut shop, "2026-01-11T09:01", GiftCardStep::Replace { code: [2; 16] }).unwrap();
    let card = shop.state().gift_card.unwrap();
    assert_eq!((card.code, card.blocked), ([2; 16], false));
    assert_eq!(shop.balance(CARD), has(500_000, 0));
}

#[test]
fn v3_a_card_pays_with_its_money_and_members_with_their_points() {
    let mut shop = loaded("");
    let unknown = |rejected| matches!(rejected, Rejected::UnknownCurrency { .. });
    assert!(unknown(shop.redeem("2026-01-11T09:00", spend("point", 1)).unwrap_err()));
    assert_eq!(issue(&mut shop, "2026-01-11T09:00", 1).unwrap_err(), Rejected::GiftCardExists);
    shop.of_member(0).send("2026-01-11T09:00", "enrol", "{}");
    assert!(unknown(shop.redeem("2026-01-11T10:00", spend(CARD, 1)).unwrap_err()));
    assert!(unknown(shop.adjust("2026-01-11T10:00", CARD, 1_000).unwrap_err()));
    assert_eq!(top_up(&mut shop, "2026-01-11T10:00", 1_000).unwrap_err(), Rejected::NeedsMember);
    assert_eq!(issue(&mut shop, "2026-01-11T10:00", 1).unwrap_err(), Rejected::GiftCardExists);
    assert!(!shop.state().purses.iter().any(|purse| purse.currency == *CARD));
}

#[test]
fn v3_without_the_section_there_are_no_cards() {
    let mut shop = Shop::new("currencies: { point: { name: P, expires: never } }");
    assert_eq!(issue(&mut shop, "2026-01-10T09:00", 1).unwrap_err(), Rejected::NoGiftCards);
}

#[test]
fn m4_what_is_paid_with_a_card_earns_and_what_is_paid_for_one_does_not() {
    let mut shop = shop_with("");
    shop.of_member(0).send("2026-01-10T09:00", "enrol", "{}");
    let sold = shop.send("2026-01-10T10:00", "purchase", &lines("o1", &[("A", "gift_card", 1, 500_000)]));
    assert_eq!(sum_of(&sold, EffectKind::Accrual, "point"), 0);
    let paid = r#"{"order_id": "o2", "currency": "VND", "total": 80000, "payments": [{"method": "gift_card", "amount": 80000}]}"#;
    let paid = shop.send("2026-01-11T10:00", "purchase", paid);
    assert_eq!(sum_of(&paid, EffectKind::Accrual, "point"), 80 + 1);
}

#[test]
fn v3_a_document_says_what_is_wrong_with_its_cards() {
    let problems = |cards: &str, more: &str| -> Vec<String> {
        let text =
            document(&format!("gift_cards: {cards}\ncurrencies: {{ point: {{ name: P, expires: never }} }}{more}"));
        match read_document(&text) {
            Ok(document) => document.findings.iter().map(ToString::to_string).collect(),
            Err(problems) => {
                problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect()
            }
        }
    };
    let one = |cards: &str, words: &str| {
        let found = problems(cards, "");
        assert!(found.len() == 1 && found[0].contains(words), "{cards}: {found:?}");
    };
    one("{ min: 0 }", "0 is no amount of VND above 0");
    one("{ max: 10.5 }", "10.5 is no amount of VND above 0");
    one("{ min: 100, max: 50 }", "a card could not hold the least that is loaded");
    one("{ expires: { inactivity: P1Y } }", "lives for a time from its load, or for ever");
    one("{ reserve: P60D }", "a reservation lasts");
    one("{ expires: { after: P5Y } }", "many countries forbid");
    assert_eq!(problems("{ min: 50000, max: 5000000, reload: true, expires: never, name: Card }", ""), [""; 0]);
}

#[test]
fn v3_no_currency_of_a_document_is_called_as_what_cards_hold() {
    let text = document("currencies: { gift-card: { name: P, expires: never } }");
    let problems = read_document(&text).unwrap_err();
    assert!(problems[0].to_string().contains("`gift-card` is what gift cards hold"), "{problems:?}");
}

#[test]
fn a_card_is_stored_and_read_back() {
    let state = loaded("").state();
    assert_eq!(MemberState::from_bytes(&state.to_bytes()).unwrap(), state);
}

/// An order of three lines of 100,000 ₫, 150,000 ₫ of it paid with a card.
fn paid_with_card(shop: &mut Shop) -> u64 {
    let paid = shop.redeem("2026-01-11T09:00", spend(CARD, 150_000)).unwrap();
    let seq = paid.events[paid.main].seq;
    let payment = shop.payment(seq, 150_000).replace("\"points\"", "\"gift_card\"");
    shop.of_member(0).send("2026-01-10T09:00", "enrol", "{}");
    let order = format!(
        r#"{{"order_id": "o1", "currency": "VND", "total": 300000, "payments": [{payment}, {{"method": "cash", "amount": 150000}}],
            "items": [{{"sku": "A", "quantity": 3, "unit_price": 100000}}]}}"#
    );
    shop.send("2026-01-11T09:01", "purchase", &order);
    seq
}

/// What goes back to the card and in cash, and the commands that bring it to the card.
fn given_back(decision: &Decision) -> (Amount, Amount) {
    let sum = |kind| {
        let effects = decision.outcome.effects.iter().filter(|effect| effect.kind == kind);
        effects.filter_map(|effect| effect.money).sum()
    };
    (sum(EffectKind::ToGiftCard), sum(EffectKind::MoneyBack))
}

fn relay(shop: &mut Shop, decision: &Decision) {
    for follow_up in &decision.follow_ups {
        let what = read_follow_up(&follow_up.kind, &follow_up.data).unwrap();
        shop.of_member(1).ask(follow_up.effective_at, what).unwrap();
    }
}

#[test]
fn r8_what_a_card_paid_of_an_order_goes_back_to_it_in_proportion() {
    for split in [vec![3], vec![1, 2], vec![2, 1], vec![1, 1, 1]] {
        let mut shop = loaded("");
        paid_with_card(&mut shop);
        let (mut to_card, mut cash) = (Amount::ZERO, Amount::ZERO);
        for (place, units) in split.iter().enumerate() {
            let time = format!("2026-01-12T09:0{place}");
            let returned = shop.of_member(0).send(&time, "return", &back("o1", &[("A", *units)]));
            let (card, money) = given_back(&returned);
            assert_eq!(card, Amount::whole(50_000 * units), "half of what came back");
            to_card += card;
            cash += money;
            relay(&mut shop, &returned);
        }
        assert_eq!((to_card, cash), (money(150_000), money(150_000)), "{split:?}");
        assert_eq!(shop.of_member(1).balance(CARD), has(500_000, 0), "{split:?}");
        assert_eq!(shop.of_member(0).available("point"), 50 + 2, "the welcome, and a gift on each day a balance moved");
    }
}

#[test]
fn v3_what_comes_back_to_a_card_is_never_more_than_it_paid_nor_counted_twice() {
    let mut shop = loaded("");
    let seq = paid_with_card(&mut shop);
    shop.of_member(1).cancel("2026-01-11T10:00", seq, Some(100_000)).unwrap();
    let returned = shop.of_member(0).send("2026-01-12T09:00", "return", &back_all("o1"));
    assert_eq!(given_back(&returned).0, money(150_000));
    relay(&mut shop, &returned);
    assert_eq!(shop.balance(CARD), has(500_000, 0), "50,000 were left to come back");
}

#[test]
fn v3_an_order_of_nobody_gives_back_to_the_card_too() {
    let mut shop = loaded("");
    let paid = shop.redeem("2026-01-11T09:00", spend(CARD, 150_000)).unwrap();
    let payment = shop.payment(paid.events[paid.main].seq, 150_000).replace("\"points\"", "\"gift_card\"");
    let order = format!(r#"{{"order_id": "o1", "currency": "VND", "total": 150000, "payments": [{payment}]}}"#);
    let mut guests = shop.clone().guest();
    guests.of_member(2).send("2026-01-11T09:01", "purchase", &order);
    let returned = guests.send("2026-01-12T09:00", "return", &back_all("o1"));
    assert_eq!((given_back(&returned), returned.follow_ups.len()), ((money(150_000), Amount::ZERO), 1));
}

#[test]
fn v3_an_order_that_names_points_as_a_card_gives_nothing_back_to_them() {
    let mut shop = shop_with("");
    shop.of_member(0).send("2026-01-10T09:00", "purchase", &sale("o0", 200_000));
    let spent = shop.redeem("2026-01-11T09:00", spend("point", 150)).unwrap();
    let has = shop.balance("point");
    let payment = shop.payment(spent.events[spent.main].seq, 150).replace("\"points\"", "\"gift_card\"");
    let order = format!(r#"{{"order_id": "o1", "currency": "VND", "total": 150, "payments": [{payment}]}}"#);
    shop.send("2026-01-11T09:01", "purchase", &order);
    shop.send("2026-01-11T09:02", "return", &back_all("o1"));
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!((refused.code(), shop.of_member(0).balance("point")), ("redemption-closed", has));
}
