//! A whole installation out of one database and into another, on the built binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

// The test kit's own file instead of the test kit: that depends on most of the product.
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../tessera-testkit/src/postgres.rs"]
mod postgres;
mod support;

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rstest::rstest;
use serde_json::{Value, json};
use support::server::{Client, Server};
use support::{Said, Tessera, said};

/// Members join with what they buy; strangers wait.
const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: park
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
campaigns:
  base:
    trigger: purchase
    rules:
      - award: { currency: point, amount: event.net / 1000 }
vouchers:
  lid: { name: Lid, gives: { points: { point: 5 } } }
  tenth: { name: A tenth, gives: { percent_off: 10 } }
gift_cards: { min: 50000 }
households: { pools: { point: { by_hand: true } } }
";

/// A command about a data folder, on the database at `url` or the embedded one.
fn on(tessera: &Tessera, data: &str, url: Option<&str>, arguments: &[&str]) -> Said {
    let mut command = tessera.bare_command(&["--data", data]);
    if let Some(url) = url {
        command.args(["--database-url", url]);
    }
    said(command.args(arguments).output().unwrap())
}

fn key_into(tessera: &Tessera, data: &str) {
    std::fs::create_dir(tessera.folder().join(data)).unwrap();
    std::fs::copy(tessera.data().join("master.key"), tessera.folder().join(data).join("master.key")).unwrap();
}

/// Purchases and returns, a return before its purchase, a stranger, a refusal, a guest, several versions, keys, profiles.
fn business(tessera: &Tessera) -> String {
    let file = tessera.write("shop.yaml", SHOP);
    tessera.run(&["program", "apply", &file]).expect(0);
    let people: String = (0..60).map(|n| format!("{n},Nguyễn “An” {n},vi\n")).collect();
    let people = tessera.write("members.csv", format!("card,name,language\n{people}"));
    tessera.run(&["import", "members", &people, "--program", "shop"]).expect(0);
    // Codes that were made, shared and taken in, and money on cards.
    let issue = [
        "voucher",
        "issue",
        "--voucher",
        "lid",
        "--count",
        "40",
        "--length",
        "10",
        "--key",
        "lids",
        "--to",
        "lids.csv",
    ];
    let share = ["voucher", "share", "--voucher", "tenth", "--code", "TET2026", "--total", "20"];
    let partner = tessera.write("partner.txt", "PARTNER-1\nPARTNER-2\n");
    let import = ["voucher", "import", &partner, "--voucher", "tenth", "--key", "partner"];
    let cards = ["gift-card", "issue", "--count", "7", "--amount", "60000", "--key", "cards", "--to", "cards.csv"];
    for made in [&issue[..], &share, &import, &cards] {
        tessera.run(&[made, &["--program", "shop"]].concat()).expect(0);
    }
    let lid = tessera.read("lids.csv").lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    let key = tessera.key("shop");
    let revoked = tessera.json(&["key", "create", "--program", "shop", "--name", "till “1”"]);
    tessera.run(&["key", "revoke", "--program", "shop", revoked["id"].as_str().unwrap()]).expect(0);
    let server = tessera.serve();
    let mut client = Client::new(server.address, &key).unwrap();
    let send = |client: &mut Client, id: &str, kind: &str, subject: &str, data: Value| {
        let event = json!({"id": id, "source": "till", "type": kind, "subject": subject, "data": data});
        let (status, body) = client.send("POST", "/v1/programs/shop/events", &event.to_string()).unwrap();
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    for n in 0..200 {
        let data = json!({"order_id": format!("o-{n}"), "currency": "VND", "total": 50_000 + n * 100, "items": [
            {"line": "1", "sku": "LATTE", "quantity": 2, "unit_price": 25_000 + n * 50}]});
        let (status, body) = send(&mut client, &format!("p-{n}"), "purchase", &format!("card:{}", n % 60), data);
        assert_eq!((status, &body["status"]), (200, &json!("applied")), "{body}");
        if n % 5 == 0 {
            let data = json!({"order_id": format!("o-{n}"), "items": [{"line": "1", "quantity": 1}]});
            let (status, body) = send(&mut client, &format!("r-{n}"), "return", &format!("card:{}", n % 60), data);
            assert_eq!((status, &body["status"]), (200, &json!("applied")), "{body}");
        }
    }
    let early = send(&mut client, "r-early", "return", "card:1", json!({"order_id": "o-late"}));
    assert_eq!((early.0, &early.1["status"]), (200, &json!("parked")), "{early:?}");
    let stranger = json!({"order_id": "o-stranger", "currency": "VND", "total": 70_000});
    let stranger = send(&mut client, "p-stranger", "purchase", "card:4711", stranger);
    assert_eq!((stranger.0, &stranger.1["status"]), (200, &json!("parked")), "{stranger:?}");
    let claimed = client.send_once(
        "POST",
        &format!("/v1/programs/shop/vouchers/{lid}/redeem"),
        r#"{"member":"card:3"}"#,
        "lid-1",
    );
    assert_eq!(claimed.unwrap().0, 200);
    let shared = json!({"order_id": "o-shared", "currency": "VND", "total": 70_000, "vouchers": ["TET2026"]});
    let shared = send(&mut client, "p-shared", "purchase", "card:4", shared);
    assert_eq!((shared.0, &shared.1["status"]), (200, &json!("applied")), "{shared:?}");
    let twice = send(
        &mut client,
        "r-twice",
        "return",
        "card:0",
        json!({"order_id": "o-0", "items": [{"line": "1", "quantity": 2}]}),
    );
    assert!(twice.0 >= 400, "{twice:?}");
    two_in_one(&mut client);
    drop(client);
    assert_eq!(server.stop("TERM").0, Some(0));
    let file = tessera.write("shop.yaml", SHOP.replace("/ 1000", "/ 500"));
    tessera.run(&["program", "apply", &file, "--note", "twice\nas much"]).expect(0);
    tessera.run(&["program", "rollback", "shop", "--to", "1"]).expect(0);
    key
}

/// Two members who are one, and one and another who save together.
fn two_in_one(client: &mut Client) {
    let mut number = 0;
    let mut post = |client: &mut Client, path: &str, body: Value| {
        number += 1;
        let path = format!("/v1/programs/shop/{path}");
        let (status, answer) = client.send_once("POST", &path, &body.to_string(), &format!("two-{number}")).unwrap();
        assert!((200..300).contains(&status), "{path}: {answer}");
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let is = |client: &mut Client, card: &str, has: &str| loop {
        // What one causes for the other is on its way.
        let member = client.ok("GET", &format!("/v1/programs/shop/members/{card}"), "");
        if member.pointer(has).is_some_and(|found| *found != json!(true)) {
            return member;
        }
    };
    post(client, "members/card:5/merge", json!({ "from": "card:6" }));
    is(client, "card:5", "/merged/0/member");
    let founded = post(client, "households", json!({ "member": "card:5" }));
    let household = founded["household"].as_str().unwrap().to_owned();
    is(client, "card:5", "/household/id");
    let mut tries = 0;
    let invited = loop {
        tries += 1;
        let path = format!("/v1/programs/shop/households/{household}/invitations");
        let (status, answer) =
            client.send_once("POST", &path, r#"{"by":"card:5"}"#, &format!("invite-{tries}")).unwrap();
        if status < 300 {
            break serde_json::from_str::<Value>(&answer).unwrap();
        }
        assert_eq!(status, 404, "{answer}");
    };
    post(client, &format!("households/{household}/members"), json!({ "member": "card:7", "code": invited["code"] }));
    is(client, "card:7", "/household/asked");
    post(client, "household-contributions", json!({ "member": "card:7", "currency": "point", "amount": 9 }));
    let path = format!("/v1/programs/shop/households/{household}");
    while client.ok("GET", &path, "")["pool"]["point"]["available"] != json!(9) {}
}

/// The reports of a program, and what `verify` folded: equal on both sides of a move.
fn figures(tessera: &Tessera, data: &str, url: Option<&str>) -> Vec<String> {
    let at = "2100-01-01T00:00:00+07:00";
    [
        &["verify", "--program", "shop", "--json"][..],
        &["report", "summary", "--program", "shop", "--at", at, "--json"],
        &["report", "members", "--program", "shop", "--at", at],
        &["program", "history", "shop", "--json"],
        &["program", "show", "shop"],
        &["key", "list", "--program", "shop", "--json"],
        &["voucher", "list", "--program", "shop", "--voucher", "lid", "--json"],
        &["voucher", "list", "--program", "shop", "--voucher", "tenth", "--json"],
        &["gift-card", "list", "--program", "shop", "--json"],
    ]
    .map(|arguments| {
        let said = on(tessera, data, url, arguments);
        said.expect(0);
        said.out
    })
    .to_vec()
}

#[test]
fn an_installation_moves_to_postgres_and_back_with_nothing_lost() {
    let Some(database) = postgres::database() else { return };
    let url = database.url();
    let tessera = Tessera::new();
    let key = business(&tessera);
    let before = figures(&tessera, "data", None);
    let verified: Value = serde_json::from_str(&before[0]).unwrap();
    assert!(verified["differences"] == json!([]) && verified["members"] == 68, "{verified}");
    let told = tessera.json(&["export", "--all", "--to", "first.gz"]);
    assert!(told["rows"].as_u64().unwrap() > 1_000, "{told}");

    // Without the key, or with another, nothing is taken.
    on(&tessera, "pg", Some(&url), &["import", "all", "first.gz"]).failed(1, "the master key of the export is missing");
    assert!(!tessera.folder().join("pg").exists());
    key_into(&tessera, "pg");
    let imported = on(&tessera, "pg", Some(&url), &["import", "all", "first.gz", "--json"]);
    imported.expect(0);
    let imported: Value = serde_json::from_str(&imported.out).unwrap();
    assert_eq!((&imported["rows"], &imported["programs"]), (&told["rows"], &json!(["shop"])));
    assert_eq!(figures(&tessera, "pg", Some(&url)), before);
    on(&tessera, "pg", Some(&url), &["doctor", "--full"]).expect(0);
    on(&tessera, "pg", Some(&url), &["doctor"]).expect(0);
    on(&tessera, "pg", Some(&url), &["backup", "--to", "pg.db"]).failed(2, "pg_dump");
    on(&tessera, "pg", Some(&url), &["migrate", "--check"]).expect(0);
    on(&tessera, "pg", Some(&url), &["import", "all", "first.gz"]).failed(1, "it holds shop");

    on(&tessera, "pg", Some(&url), &["export", "--all", "--to", "second.gz"]).expect(0);
    let bytes = |name: &str| std::fs::read(tessera.folder().join(name)).unwrap();
    assert!(bytes("first.gz") == bytes("second.gz"), "the same rows make the same file");
    key_into(&tessera, "back");
    on(&tessera, "back", None, &["import", "all", "second.gz"]).expect(0);
    assert_eq!(figures(&tessera, "back", None), before);
    on(&tessera, "back", None, &["doctor", "--full"]).expect(0);
    on(&tessera, "back", None, &["export", "--all", "--to", "third.gz"]).expect(0);
    assert!(bytes("first.gz") == bytes("third.gz"));

    // It is alive: what was seen counts once, who was known is known, what waited still waits for its purchase.
    let server = Server::start(tessera.bare_command(&["--data", "back", "serve", "--listen", "127.0.0.1:0"]));
    let mut client = Client::new(server.address, &key).unwrap();
    let event = |id: &str, order: &str, total: u32| {
        json!({"id": id, "source": "till", "type": "purchase", "subject": "card:1", "data": {
            "order_id": order, "currency": "VND", "total": total, "items": [{"line": "1", "sku": "LATTE", "quantity": 2, "unit_price": total / 2}]}}).to_string()
    };
    assert_eq!(client.ok("POST", "/v1/programs/shop/events", &event("p-1", "o-1", 50_100))["status"], "duplicate");
    let available = |answer: &Value| answer["balances"]["point"]["available"].as_i64().unwrap();
    let first = available(&client.ok("POST", "/v1/programs/shop/events", &event("p-next", "o-next", 10_000)));
    let late = client.ok("POST", "/v1/programs/shop/events", &event("p-late", "o-late", 10_000));
    assert_eq!(available(&late), first, "what it earned was returned before it came");
    let member = |client: &mut Client, card: &str| client.ok("GET", &format!("/v1/programs/shop/members/{card}"), "");
    let survivor = member(&mut client, "card:6");
    assert_eq!(survivor["id"], member(&mut client, "card:5")["id"], "one by either card");
    let household = survivor["household"]["id"].as_str().unwrap();
    let household = client.ok("GET", &format!("/v1/programs/shop/households/{household}"), "");
    assert_eq!(
        (&household["pool"]["point"]["available"], household["people"].as_array().unwrap().len()),
        (&json!(9), 2)
    );
    drop(client);
    server.stop("TERM");
    on(&tessera, "back", None, &["verify", "--program", "shop"]).expect(0);
}

/// A gzipped file with its text changed.
fn changed(file: &[u8], change: impl Fn(String) -> String) -> Vec<u8> {
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(change(text).as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn swapped(text: &str, one: usize) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(one, one + 1);
    lines.join("\n") + "\n"
}

#[rstest]
#[case::half_of_it(|file: &[u8]| file[..file.len() / 2].to_vec(), 1, "cut off")]
#[case::all_but_its_last_byte(|file: &[u8]| file[..file.len() - 1].to_vec(), 1, "cut off")]
#[case::nothing(|_: &[u8]| Vec::new(), 1, "cut off")]
#[case::no_gzip(|_: &[u8]| b"card,name\n1,An\n".to_vec(), 2, "not an export")]
#[case::another_gzip(|file: &[u8]| changed(file, |_| "card,name\n1,An\n".to_owned()), 2, "not an export")]
#[case::a_byte_of_it(|file: &[u8]| { let mut file = file.to_vec(); let at = file.len() / 2; file[at] ^= 0x55; file }, 1, "damaged")]
#[case::without_its_end(|file: &[u8]| changed(file, |text| { let end = text.trim_end().rfind('\n').unwrap(); text[..=end].to_owned() }), 1, "cut off")]
#[case::a_line_more(|file: &[u8]| changed(file, |text| text + "[1]\n"), 1, "after its end")]
#[case::a_figure(|file: &[u8]| changed(file, |text| text.replace("[1,\"shop\",1,", "[1,\"shop\",2,")), 1, "sum")]
#[case::a_column(|file: &[u8]| changed(file, |text| text.replace("[1,\"shop\",1,", "[1,\"shop\",")), 1, "no row")]
#[case::another_version(|file: &[u8]| changed(file, |text| text.replacen("\"schema\":\"V", "\"schema\":\"V9", 1)), 1, "another version")]
#[case::a_newer_format(|file: &[u8]| changed(file, |text| text.replacen("\"format\":1", "\"format\":2", 1)), 1, "its format is 2")]
#[case::two_lines_swapped(|file: &[u8]| changed(file, |text| swapped(&text, 10)), 1, "sum")]
fn what_is_not_as_it_was_written_is_refused_and_leaves_nothing(
    #[case] damage: fn(&[u8]) -> Vec<u8>,
    #[case] code: i32,
    #[case] says: &str,
) {
    let tessera = Tessera::with_document(SHOP);
    let people: String = (0..40).map(|n| format!("{n}\n")).collect();
    let people = tessera.write("members.csv", format!("card\n{people}"));
    tessera.run(&["import", "members", &people, "--program", "shop"]).expect(0);
    tessera.run(&["export", "--all", "--to", "all.gz"]).expect(0);
    let file = std::fs::read(tessera.folder().join("all.gz")).unwrap();
    let damaged = damage(&file);
    assert!(damaged != file, "it is damaged");
    tessera.write("damaged.gz", damaged);
    key_into(&tessera, "new");
    on(&tessera, "new", None, &["import", "all", "damaged.gz"]).failed(code, says);
    assert!(!tessera.folder().join("new/tessera.db").exists());
    on(&tessera, "new", None, &["import", "all", "all.gz"]).expect(0);
    on(&tessera, "new", None, &["verify", "--program", "shop"]).expect(0);
}

#[test]
fn an_export_writes_over_nothing_and_an_import_too() {
    let tessera = Tessera::with_document(SHOP);
    tessera.run(&["export", "--to", "all.gz"]).failed(2, "--all");
    tessera.run(&["export", "--all", "--to", "all.gz"]).expect(0);
    tessera.run(&["export", "--all", "--to", "all.gz"]).failed(2, "is there already");
    tessera.run(&["export", "--all", "--to", "nowhere/all.gz"]).failed(2, "nowhere");
    tessera.run(&["import", "all", "nowhere.gz"]).failed(2, "nowhere.gz");
    tessera.run(&["import", "all", "all.gz"]).failed(1, "it holds shop");
    std::fs::create_dir(tessera.folder().join("other")).unwrap();
    tessera.write("other/master.key", "ab".repeat(32));
    on(&tessera, "other", None, &["import", "all", "all.gz"]).failed(1, "belongs to another master key");
    assert!(!tessera.folder().join("other/tessera.db").exists());
    let server = tessera.serve();
    tessera.run(&["import", "all", "all.gz"]).failed(1, &format!("in use by process {}", server.id()));
    tessera.run(&["export", "--all", "--to", "beside.gz"]).expect(0);
}

/// Killed in the middle, an import leaves nothing, and is started again.
#[cfg(unix)]
#[rstest]
#[case::embedded(false)]
#[case::on_postgres(true)]
fn an_import_that_is_killed_leaves_nothing(#[case] on_postgres: bool) {
    let database = if on_postgres { postgres::database() } else { None };
    if on_postgres && database.is_none() {
        return;
    }
    let url = database.as_ref().map(postgres::TestDatabase::url);
    let tessera = Tessera::with_document(SHOP);
    let people: String = (0..6_000).map(|n| format!("{n},A name of some length {n}\n")).collect();
    let people = tessera.write("members.csv", format!("card,name\n{people}"));
    tessera.run(&["import", "members", &people, "--program", "shop"]).expect(0);
    tessera.run(&["export", "--all", "--to", "all.gz"]).expect(0);
    let file = std::fs::read(tessera.folder().join("all.gz")).unwrap();
    assert!(file.len() > 512 << 10, "{}", file.len());
    key_into(&tessera, "new");

    // It reads from a pipe that we fill: when it has taken most, it is in the middle of its rows.
    let pipe = tessera.folder().join("pipe.gz");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = tessera.bare_command(&["--data", "new", "import", "all", "pipe.gz"]);
    if let Some(url) = &url {
        command.args(["--database-url", url]);
    }
    let mut child = command.spawn().unwrap();
    let mut filled = std::fs::File::options().write(true).open(&pipe).unwrap();
    filled.write_all(&file[..file.len() / 4 * 3]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(filled);

    on(&tessera, "new", url.as_deref(), &["report", "summary", "--program", "shop"]).expect(1);
    on(&tessera, "new", url.as_deref(), &["import", "all", "all.gz"]).expect(0);
    on(&tessera, "new", url.as_deref(), &["verify", "--program", "shop"]).expect(0);
    on(&tessera, "new", url.as_deref(), &["export", "--all", "--to", "again.gz"]).expect(0);
    assert!(std::fs::read(tessera.folder().join("again.gz")).unwrap() == file);
}
