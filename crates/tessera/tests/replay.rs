//! `replay`: a draft held against what happened, and what the command says where it cannot be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use rstest::rstest;
use serde_json::json;
use support::Tessera;

const SHOP: &str = "program: shop
name: Cơm <tấm>
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies: { point: { name: Point, expires: never, value: 100 } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

const MAPPING: &str = r#"format = "csv"
source = "till"
[event]
type = "purchase"
group_by = "basket"
id = "basket"
time = { column = "time" }
subject = { kind = "card", column = "card", missing = "guest" }
[data]
order_id = "basket"
total = { sum = "amount" }
[item]
sku = "sku"
quantity = "quantity"
amount = "amount"
"#;

const SALES: &str = "basket,time,card,sku,quantity,amount
b1,2026-03-01T10:00:00,1,A,1,40000
b2,2026-03-05T10:00:00,2,A,1,10000
b3,2026-04-02T10:00:00,1,A,1,20000
b4,2026-04-03T10:00:00,,A,1,90000
";

/// A shop that sold something to two members and a guest.
fn shop() -> Tessera {
    let tessera = Tessera::with_document(SHOP);
    let (mapping, sales) = (tessera.write("map.toml", MAPPING), tessera.write("sales.csv", SALES));
    tessera.run(&["import", "events", &sales, "--program", "shop", "--mapping", &mapping]).expect(0);
    tessera
}

#[test]
fn a_draft_is_held_against_what_happened_and_nothing_is_written() {
    let tessera = shop();
    let before = tessera.json(&["report", "summary", "--program", "shop"]);
    let draft = tessera.write("draft.yaml", SHOP.replace("event.net / 1000", "event.net / 500"));
    let replay = ["replay", "--program", "shop", "--draft", &draft];
    let found = tessera.json(&replay);
    assert_eq!((&found["events"], &found["members"]), (&json!(3), &json!(2)), "a guest is no member");
    let point = &found["currencies"]["point"];
    assert_eq!((&point["before"]["issued"], &point["after"]["issued"]), (&json!(70), &json!(140)));
    assert_eq!((&point["before"]["liability"], &point["after"]["liability"]), (&json!("7000"), &json!("14000")));
    assert_eq!(found["by_month"]["2026-04"]["point"]["after"]["issued"], 40);
    assert!(found["per_second"].as_u64().is_some());

    let april = tessera.json(&[&replay[..], &["--from", "2026-04-01T00:00:00+07:00"]].concat());
    let point = &april["currencies"]["point"];
    assert_eq!((&point["before"]["issued"], &point["after"]["issued"]), (&json!(20), &json!(40)), "March stays");
    assert_eq!(point["after"]["outstanding"], 90);

    let page = tessera.folder().join("what-if.html");
    let said = tessera.run(&[&replay[..], &["--html", page.to_str().unwrap()]].concat());
    said.expect(0);
    assert!(said.out.contains("base      point         70    140     +70"), "{}", said.out);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<h1>Cơm &lt;tấm&gt;: what if</h1>") && page.contains("<svg"), "{page}");
    assert!(!page.contains("<script") && !page.contains("http"), "the page needs nothing else");
    assert_eq!(tessera.json(&["report", "summary", "--program", "shop"]), before);
}

#[test]
fn it_reads_beside_a_running_server() {
    let tessera = shop();
    let server = tessera.serve();
    let draft = tessera.write("draft.yaml", SHOP);
    let found = tessera.json(&["replay", "--program", "shop", "--draft", &draft]);
    assert_eq!(found["gain"], json!({ "more": 0, "less": 0, "same": 2, "unit": "VND" }));
    server.stop("TERM");
}

#[rstest]
#[case::a_mistake(SHOP.replace("event.net", "event.nett"), &[], 1, "the draft is not valid")]
#[case::another_program(SHOP.replace("program: shop", "program: stall"), &[], 2, "the draft is of the program `stall`")]
#[case::a_span_that_ends_first(SHOP.to_owned(), &["--from", "2026-04-01T00:00:00Z", "--to", "2026-03-01T00:00:00Z"], 2, "--from is not before --to")]
#[case::a_folder_for_a_page(SHOP.to_owned(), &["--html", "."], 2, "it is a folder")]
fn what_cannot_be_says_why(#[case] draft: String, #[case] more: &[&str], #[case] code: i32, #[case] message: &str) {
    let tessera = shop();
    let draft = tessera.write("draft.yaml", draft);
    let said = tessera.run(&[&["replay", "--program", "shop", "--draft", &draft][..], more].concat());
    said.failed(code, message);
}

#[test]
fn a_draft_that_is_not_there_is_a_wrong_use() {
    shop().run(&["replay", "--program", "shop", "--draft", "no.yaml"]).failed(2, "there is no such file");
}
