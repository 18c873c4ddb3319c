//! The last piece, the last points, the last of a budget, the last use of a code: sixty-four callers of the real server want
//! it at once, and exactly one gets it (I2, C5, G1, V1).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::SocketAddr;
use std::sync::Barrier;

use serde_json::{Value, json};
use support::Tessera;
use support::server::Client;

const CLIENTS: usize = 64;

const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies:
  bean: { name: bean, expires: never }
  star: { name: star, expires: never }
rewards:
  mug: { costs: { bean: 40 }, gives: { item: MUG-01 }, stock: 1 }
  cookie: { costs: { bean: 100 }, gives: { item: COOKIE-01 } }
vouchers:
  opening: { gives: { percent_off: 10 } }
campaigns:
  everyday: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  first: { trigger: purchase, budget: { star: 5 }, rules: [ { when: event.channel == \"web\", award: { currency: star, amount: 5 } } ] }
";

/// Each client sends its own request, all at the same moment; what each was answered.
fn together(
    address: SocketAddr,
    key: &str,
    (name, path): (&str, &str),
    body: impl Fn(usize) -> Value + Sync,
) -> Vec<(u16, Value)> {
    let start = Barrier::new(CLIENTS);
    let (start, body) = (&start, &body);
    std::thread::scope(|scope| {
        let send = |number: usize| {
            // The key's header is followed by another.
            let key = format!("{key}\r\nIdempotency-Key: {name}-{number}");
            let mut client = Client::new(address, &key).unwrap();
            move || {
                start.wait();
                let (status, answer) = client.send("POST", path, &body(number).to_string()).unwrap();
                (status, serde_json::from_str(&answer).unwrap())
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(send(number))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// Of these answers one is good, and all others were refused with this problem.
#[track_caller]
fn one_of(answers: &[(u16, Value)], code: &str) {
    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status < 300);
    assert_eq!(good.len(), 1, "{answers:?}");
    for (status, problem) in refused {
        let kind = problem["type"].as_str().unwrap_or_default();
        assert!((400..500).contains(status) && kind.ends_with(&format!("/{code}")), "{status} {problem}");
    }
}

fn sale(order: &str, card: &str, more: &Value) -> Value {
    let mut data = json!({ "order_id": order, "currency": "VND", "total": 100_000 });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "id": order, "source": "till", "type": "purchase", "subject": format!("card:{card}"), "data": data })
}

#[test]
fn of_sixty_four_who_want_the_last_one_exactly_one_gets_it() {
    let tessera = Tessera::with_document(SHOP);
    let key = tessera.key("shop");
    tessera
        .run(&["voucher", "share", "--program", "shop", "--voucher", "opening", "--code", "TET2026", "--total", "1"])
        .expect(0);
    let server = tessera.serve();
    let at = |path: &str| format!("/v1/programs/shop/{path}");
    let (events, redemptions) = (at("events"), at("redemptions"));

    // The last of a budget: everybody buys in the web shop, and one gets its stars.
    let sold = together(server.address, &key, ("web", &events), |n| {
        sale(&format!("web-{n}"), &n.to_string(), &json!({ "channel": "web" }))
    });
    assert!(sold.iter().all(|(status, _)| *status == 200), "{sold:?}");
    let stars = sold.iter().filter(|(_, sold)| sold["balances"]["star"]["available"] == 5);
    assert_eq!(stars.count(), 1, "{sold:?}");

    // The last piece of stock, for whoever of them all has 40 of their 100 beans left for it.
    let mugs = together(
        server.address,
        &key,
        ("mug", &redemptions),
        |n| json!({ "member": format!("card:{n}"), "reward": "mug", "capture": true }),
    );
    one_of(&mugs, "reward-sold-out");

    // The last points of one member, who has not got the mug.
    let poor = mugs.iter().position(|(status, _)| *status >= 300).unwrap();
    let last = together(
        server.address,
        &key,
        ("cookie", &redemptions),
        |_| json!({ "member": format!("card:{poor}"), "reward": "cookie", "capture": true }),
    );
    one_of(&last, "not-enough-points");

    // The last use of a code.
    let coded = together(server.address, &key, ("code", &events), |n| {
        let items = json!([{ "line": "1", "sku": "A", "quantity": 1, "unit_price": 100_000 }]);
        sale(&format!("code-{n}"), &n.to_string(), &json!({ "items": items, "vouchers": ["TET2026"] }))
    });
    one_of(&coded, "voucher-used-up");

    assert_eq!(server.stop("TERM").0, Some(0));
    assert_eq!(tessera.verify("shop")["members"], CLIENTS);
}
