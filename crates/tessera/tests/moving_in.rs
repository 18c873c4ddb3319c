//! Moving in from another system (L9): nothing fires, nothing is lost, and every difference is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::Tessera;

const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
day_starts: \"04:00\"
currency: VND
unknown_member: enrol
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  star: { name: Star, expires: { inactivity: P6M } }
tiers:
  club:
    measure: { earned: point }
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 2 } } ]
vouchers: { cake: { gives: { amount_off: 20000 }, valid: P2Y } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } }, { award: { currency: star, amount: 1 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 500 } } ] }
  climbed: { trigger: tier, rules: [ { issue: { voucher: cake } } ] }
";

const MAPPING: &str = r#"source = "old-till"
member = { kind = "old", column = "no" }

[members]
joined = "since"
phone = "phone"
name = "name"
birthday = "born"
purchases = "visits"
spend = "spent"
"balances.point" = "rest"
"identifiers.card" = "card"
"tiers.club.level" = { column = "level", values = { Standard = "blue", Gold = "gold" } }
"tiers.club.holds_until" = "level_until"

[lots]
id = "lot"
currency = { value = "point" }
amount = "left"
earned = "earned"
expires = "expires"

[vouchers]
id = "code"
voucher = { value = "cake" }
code = "code"
expires = "until"
"#;

const MEMBERS: i64 = 5_000;

/// The files of another system: members, lots, vouchers, and the points they are worth.
struct Old {
    members: Vec<u8>,
    lots: String,
    vouchers: String,
    points: i64,
    lot_lines: i64,
    gold: i64,
    voucher_lines: i64,
}

fn old() -> Old {
    let mut old = Old {
        members: b"no,since,phone,name,born,visits,spent,rest,card,level,level_until\n".to_vec(),
        lots: "lot,no,left,earned,expires\n".to_owned(),
        vouchers: "code,no,until\n".to_owned(),
        points: 0,
        lot_lines: 0,
        gold: 0,
        voucher_lines: 0,
    };
    for number in 1..=MEMBERS {
        let gold = number % 7 == 0;
        let rest = match number {
            // Some owe.
            number if number % 97 == 0 => -3,
            number if number % 3 == 0 => number % 50,
            _ => 0,
        };
        let (level, until) = if gold { ("Gold", "2099-12-31") } else { ("Standard", "") };
        old.gold += i64::from(gold);
        let line = format!(
            "M{number},20{:02}-03-04,+849{number:08},Người {number},19{:02}-02-2{},{},{}.50,{},C{number},{level},{until}\n",
            10 + number % 14,
            50 + number % 40,
            number % 8,
            number % 90,
            number * 10,
            if rest == 0 { String::new() } else { rest.to_string() },
        );
        old.members.extend_from_slice(line.as_bytes());
        old.points += rest;
        old.lot_lines += i64::from(rest != 0);
        for part in 0..number % 3 {
            let left = 10 + number % 90 + part;
            // Of some the last day is past: a lot and its expiry.
            let expires = if number % 11 == 0 { "2022-06-30" } else { "2099-12-31" };
            old.lots += &format!("L{number}-{part},M{number},{left},2021-0{}-11,{expires}\n", 1 + part);
            old.points += left;
            old.lot_lines += 1;
        }
        if number % 10 == 0 {
            old.vouchers += &format!("CAKE-{number},M{number},2099-12-31\n");
            old.voucher_lines += 1;
        }
    }
    old
}

fn import(tessera: &Tessera, more: &[&str]) -> (i32, Value) {
    let files = ["--lots", "lots.csv", "--vouchers", "vouchers.csv", "--mapping", "moving.toml"];
    let arguments = ["import", "members", "members.csv", "--program", "shop", "--json"];
    let said = tessera.run(&[&arguments, &files[..], more].concat());
    (said.code, serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("no JSON ({error}): {said:?}")))
}

#[test]
fn l9_five_thousand_members_move_in_and_every_deliberate_error_is_told() {
    let tessera = Tessera::with_document(SHOP);
    let mut old = old();
    let line = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let first = line(&old.members);
    let wrong: [&[u8]; 7] = [
        b"M10,2020-01-01,+84911111111,Twice,,,,1,,Standard,\n",
        b"E1,2020-01-01,+84922222222,Half,,,,5.5,,Standard,\n",
        b"E2,2020-01-01,+84933333333,Level,,,,,,Platinum,\n",
        b"E3,2020-01-01,12,Phone,,,,4,,Standard,\n",
        b"E4,2020-01-01,+84944444444,Enc\xff\xfeoding,,,,9,,Standard,\n",
        b"E5,2020-01-01,+84900000001,Taken,,,,,,Standard,\n",
        b"E6,2020-13-01,+84955555555,Date,,,,,,Standard,\n",
    ];
    for text in wrong {
        old.members.extend_from_slice(text);
    }
    let first_lot = line(old.lots.as_bytes());
    old.lots +=
        "X1,M20,30,2021-05-01,2021-04-30\nX2,NOBODY,40,2021-05-01,2099-12-31\nX3,M21,-7,2021-05-01,2099-12-31\n";
    let first_voucher = line(old.vouchers.as_bytes());
    old.vouchers += "CAKE-X,E1,2099-12-31\n";
    tessera.write("members.csv", &old.members);
    tessera.write("lots.csv", &old.lots);
    tessera.write("vouchers.csv", &old.vouchers);
    tessera.write("moving.toml", MAPPING);
    let totals = format!(
        "figure,expected\nmembers,{MEMBERS}\npoints.point,{}\nlevels.club.gold,{}\nvouchers.cake,9999\n",
        old.points + 1,
        old.gold
    );
    tessera.write("totals.csv", totals);

    let (code, found) = import(&tessera, &["--reconcile", "totals.csv"]);
    assert_eq!(code, 1);
    let found = &found["reconciliation"];
    let told: Vec<(String, u64, String, String)> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| {
            let text = |name: &str| difference[name].as_str().unwrap_or_default().to_owned();
            (text("file"), difference["line"].as_u64().unwrap_or(0), text("member"), text("what"))
        })
        .collect();
    let of =
        |file: &str, line: u64, member: &str, what: &str| (file.to_owned(), line, member.to_owned(), what.to_owned());
    let expected = [
        of("members.csv", first, "M10", "repeated-id"),
        of("members.csv", first + 1, "E1", "invalid-event"),
        of("members.csv", first + 2, "E2", "invalid-line"),
        of("members.csv", first + 3, "E3", "invalid-event"),
        of("members.csv", first + 4, "E4", "unreadable-line"),
        of("members.csv", first + 5, "E5", "identifier-taken"),
        of("members.csv", first + 6, "E6", "invalid-event"),
        of("lots.csv", first_lot, "M20", "expires-before-earned"),
        of("lots.csv", first_lot + 1, "NOBODY", "unknown-member"),
        of("lots.csv", first_lot + 2, "M21", "invalid-event"),
        of("vouchers.csv", first_voucher, "E1", "unknown-member"),
        of("", 0, "", "total-differs"),
        of("", 0, "", "total-differs"),
    ];
    assert_eq!(told, expected, "every deliberate error and nothing else");
    let point = &found["currencies"]["point"];
    assert_eq!(point["taken"], json!({ "lines": old.lot_lines, "points": old.points }));
    assert_eq!(point["in_ledger"], point["taken"], "what was taken is in the ledger");
    let of_wrong_lines: i64 = [1, 4, 9, 30, 40, -7].iter().sum();
    assert_eq!(point["rejected"], json!({ "lines": 6, "points": of_wrong_lines }));
    assert_eq!(found["members"], json!({ "in_files": MEMBERS + 7, "taken": MEMBERS, "now": MEMBERS }));
    assert_eq!(found["levels"]["club.gold"], json!({ "in_files": old.gold, "taken": old.gold, "now": old.gold }));
    let vouchers = old.voucher_lines;
    assert_eq!(found["vouchers"]["cake"], json!({ "in_files": vouchers + 1, "taken": vouchers, "now": vouchers }));
    tessera.verify("shop");

    // Again: everything is a duplicate, and the report on its own says the same.
    let (code, again) = import(&tessera, &[]);
    assert_eq!((code, &again["imported"]["members"]["applied"]), (1, &json!(0)));
    assert_eq!(again["imported"]["members"]["duplicates"], MEMBERS);
    let files = ["members.csv", "--lots", "lots.csv", "--vouchers", "vouchers.csv", "--mapping", "moving.toml"];
    let report = [&["report", "moving-in", "--program", "shop", "--expected", "totals.csv"], &files[..]].concat();
    assert_eq!(tessera.json(&report)["differences"], found["differences"]);
    let said = tessera.run(&report);
    said.expect(1);
    assert!(said.out.contains("repeated-id") && said.out.contains("members.csv:5008"), "{}", said.out);

    // What was rejected is corrected in the rejects file and taken, once.
    let rejects = std::fs::read_to_string(tessera.data().join("rejects/lots.csv")).unwrap();
    tessera.write("corrected.csv", rejects.replace("2021-04-30", "2099-04-30").replace("NOBODY", "M1"));
    let (_, taken) = {
        let arguments = ["import", "members", "members.csv", "--lots", "corrected.csv", "--mapping", "moving.toml"];
        let said = tessera.run(&[&arguments[..], &["--program", "shop", "--json"]].concat());
        (said.code, serde_json::from_str::<Value>(&said.out).unwrap())
    };
    assert_eq!(taken["imported"]["lots"]["applied"], 2, "{taken}");
}

#[test]
fn l9_what_adds_up_says_so_and_nothing_fired() {
    let tessera = Tessera::with_document(SHOP);
    tessera.write("moving.toml", MAPPING);
    let header = "no,since,phone,name,born,visits,spent,rest,card,level,level_until\n";
    tessera.write(
        "members.csv",
        format!("{header}M1,2019-05-06,+84901234567,Minh,1990-02-28,12,340.50,40,C1,Gold,2099-12-31\n"),
    );
    tessera.write("lots.csv", "lot,no,left,earned,expires\nL1,M1,25,2021-05-01,2099-12-31\n");
    tessera.write("vouchers.csv", "code,no,until\nCAKE-1,M1,2099-12-31\n");
    tessera.write(
        "totals.csv",
        "figure,expected\nmembers,1\npoints.point,65\nlots.point,2\nlevels.club.gold,1\nvouchers.cake,1\n",
    );
    let (code, found) = import(&tessera, &["--reconcile", "totals.csv"]);
    assert_eq!((code, &found["reconciliation"]["equal"]), (0, &json!(true)), "{found:#}");
    let members = tessera.run(&["report", "members", "--program", "shop"]);
    let line = members.out.lines().nth(1).unwrap();
    assert!(line.contains("2019-05-05T21:00:00Z,12,") && line.contains("gold"), "{}", members.out);
    let summary = tessera.json(&["report", "summary", "--program", "shop"]);
    assert_eq!(summary["currencies"]["point"]["issued"], 0, "no welcome, no gift for the level: {summary:#}");
    tessera.verify("shop");

    let said = tessera.run(&[
        "report",
        "moving-in",
        "members.csv",
        "--lots",
        "lots.csv",
        "--mapping",
        "moving.toml",
        "--program",
        "shop",
    ]);
    said.expect(0);
    assert!(said.out.contains("everything adds up"), "{}", said.out);
}

#[test]
fn l9_a_mapping_that_does_not_fit_is_told_before_the_first_line() {
    let tessera = Tessera::with_document(SHOP);
    tessera.write("moving.toml", MAPPING.replace("left", "remaining"));
    tessera.write("members.csv", "no,since\nM1,2019-05-06\n");
    tessera.write("lots.csv", "lot,no\n");
    let run = |more: &[&str]| {
        tessera.run(
            &[&["import", "members", "members.csv", "--program", "shop", "--mapping", "moving.toml"], more].concat(),
        )
    };
    run(&[]).failed(2, "which the file does not have");
    tessera.write("moving.toml", MAPPING.replace("[lots]", "[lot]"));
    run(&[]).failed(2, "unknown field `lot`");
    tessera.write("plain.toml", "source = 'x'\n[event]\ntype = 'enrol'\nid = 'no'\n");
    let plain =
        ["import", "members", "members.csv", "--program", "shop", "--mapping", "plain.toml", "--lots", "lots.csv"];
    tessera.run(&plain).failed(2, "it has no [members], [lots] or [vouchers]");
}

/// Every line of a file by its columns.
fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|line| header.iter().cloned().zip(line).collect()).collect()
}

/// What an export says of a member under the name of the first installation, without what is another's by nature.
fn told(tessera: &Tessera, folder: &str) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut line in table(&tessera.read(&format!("{folder}/members.csv"))) {
        let id = line.remove("member").unwrap();
        let identifiers = line.remove("identifiers").unwrap();
        let (moved, mut others): (Vec<&str>, Vec<&str>) =
            identifiers.split(';').partition(|identifier| identifier.starts_with("moved:"));
        others.sort_unstable();
        let name = moved.first().map_or(id.clone(), |name| name.trim_start_matches("moved:").to_owned());
        names.insert(id, name.clone());
        found.entry(name).or_default().push(format!("{line:?} {others:?}"));
    }
    for file in ["lots", "vouchers"] {
        for mut line in table(&tessera.read(&format!("{folder}/{file}.csv"))) {
            line.remove("lot");
            let member = line.remove("member").unwrap();
            found.get_mut(&names[&member]).unwrap().push(format!("{line:?}"));
        }
    }
    for lines in found.values_mut() {
        lines.sort();
    }
    found
}

#[test]
fn l9_members_of_one_installation_move_into_another_with_equal_balances_lots_and_levels() {
    let tessera = Tessera::with_document(SHOP);
    let people = "card,name,birthday,joined\n1,An,1990-02-28,2026-01-05T09:00:00+07:00\n2,Minh,07-01,2026-01-06T09:00:00+07:00\n3,,,2026-01-07T09:00:00+07:00\n";
    tessera.run(&["import", "members", &tessera.write("people.csv", people), "--program", "shop"]).expect(0);
    let mut sales = "basket,time,card,amount\n".to_owned();
    for (number, (card, day)) in [("1", 10), ("2", 12), ("1", 14), ("3", 15), ("1", 20)].into_iter().enumerate() {
        sales += &format!("b{number},2026-02-{day}T10:00:00,{card},{}\n", 30_000 * (number + 1));
    }
    let sales = tessera.write("sales.csv", sales);
    let mapping = "source = 'till'\n[event]\ntype = 'purchase'\nid = 'basket'\ntime = { column = 'time' }\nsubject = { kind = 'card', column = 'card' }\n[data]\norder_id = 'basket'\ntotal = 'amount'\n";
    let mapping = tessera.write("till.toml", mapping);
    tessera.run(&["import", "events", &sales, "--program", "shop", "--mapping", &mapping]).expect(0);
    tessera.run(&["export", "members", "--program", "shop", "--to", "out"]).expect(0);
    tessera.run(&["export", "members", "--program", "shop", "--to", "out"]).failed(1, "out");

    let other = tessera.bare_command(&["--data", "other", "program", "apply", "program.yaml"]).output().unwrap();
    support::said(other).expect(0);
    let files = ["--lots", "out/lots.csv", "--vouchers", "out/vouchers.csv", "--mapping", "out/moving.toml"];
    let start = ["--data", "other", "import", "members", "out/members.csv", "--program", "shop", "--reconcile"];
    let said = support::said(tessera.bare_command(&[&start, &files[..]].concat()).output().unwrap());
    said.expect(0);
    assert!(said.out.contains("everything adds up"), "{}", said.out);
    let back = ["--data", "other", "export", "members", "--program", "shop", "--to", "back"];
    support::said(tessera.bare_command(&back).output().unwrap()).expect(0);
    let (before, after) = (told(&tessera, "out"), told(&tessera, "back"));
    assert_eq!(before, after);
    assert!(before.values().any(|lines| lines.iter().any(|line| line.contains("gold"))), "{before:#?}");
    let verified = ["--data", "other", "verify", "--program", "shop"];
    support::said(tessera.bare_command(&verified).output().unwrap()).expect(0);
}

const WITH_CARDS: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
gift_cards: { min: 50000, max: 1000000 }
currencies: { point: { name: Point, expires: { after: P12M }, pending: { for: P30D } }, star: { name: Star, expires: never } }
";

#[test]
fn l9_what_waits_what_is_owed_and_gift_cards_go_from_one_installation_to_another() {
    let tessera = Tessera::with_document(WITH_CARDS);
    let mapping = "source = 'old'\nmember = { kind = 'old', column = 'no' }\n[members]\n'balances.star' = 'stars'\n[lots]\nid = 'lot'\ncurrency = { value = 'point' }\namount = 'left'\nearned = 'earned'\nexpires = 'until'\nmatures = 'from'\n";
    tessera.write("moving.toml", mapping);
    tessera.write("members.csv", "no,stars\nM1,-40\nM2,12\n");
    tessera.write("lots.csv", "lot,no,left,earned,until,from\nL1,M1,25,2026-01-01,2100-01-31,2099-02-01\n");
    let files = ["--lots", "lots.csv", "--mapping", "moving.toml", "--program", "shop", "--reconcile"];
    tessera.run(&[&["import", "members", "members.csv"], &files[..]].concat()).expect(0);
    tessera.write(
        "cards.csv",
        "code,balance,expires,blocked\nHCM 0001 2345,350000,,\nHCM 0001 2346,120000,2099-06-30,yes\n",
    );
    tessera.run(&["gift-card", "import", "cards.csv", "--program", "shop", "--key", "old"]).expect(0);
    tessera.run(&["export", "members", "--program", "shop", "--to", "out"]).expect(0);

    let in_other = |arguments: &[&str]| {
        let said = support::said(tessera.bare_command(&[&["--data", "other"], arguments].concat()).output().unwrap());
        said.expect(0);
        said
    };
    in_other(&["program", "apply", "program.yaml"]);
    let files = ["--lots", "out/lots.csv", "--vouchers", "out/vouchers.csv", "--mapping", "out/moving.toml"];
    in_other(&[&["import", "members", "out/members.csv", "--program", "shop", "--reconcile"], &files[..]].concat());
    in_other(&["gift-card", "import", "out/cards.csv", "--program", "shop", "--key", "moved"]);
    in_other(&["verify", "--program", "shop"]);
    in_other(&["export", "members", "--program", "shop", "--to", "back"]);
    assert_eq!(told(&tessera, "out"), told(&tessera, "back"));
    let cards = |folder: &str| {
        let mut cards = table(&tessera.read(&format!("{folder}/cards.csv")));
        cards.sort();
        cards
    };
    assert_eq!(cards("out"), cards("back"));
    let text = tessera.read("out/cards.csv");
    assert!(text.contains("HCM00012346,120000,2099-06-30,yes") && text.contains("HCM00012345,350000,,"), "{text}");
    let (lots, members) = (tessera.read("back/lots.csv"), tessera.read("back/members.csv"));
    assert!(lots.contains(",2099-02-01") && members.contains(",-40"), "{lots}{members}");
}

const TOGETHER: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
gift_cards: { min: 50000, max: 1000000 }
households: { pools: { point: { by_hand: true } } }
currencies: { point: { name: Point, expires: { after: P12M }, value: 10 }, star: { name: Star, expires: never } }
";

/// What each holder has by currency, day and word of the remark; cards by code and day.
fn sums(tessera: &Tessera, folder: &str) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    let mut add = |name: String, amount: &str| *sums.entry(name).or_insert(0) += amount.parse::<i64>().unwrap();
    for lot in table(&tessera.read(&format!("{folder}/lots.csv"))) {
        add(format!("{} {}", lot["currency"], lot["expires"]), &lot["amount"]);
    }
    for card in table(&tessera.read(&format!("{folder}/cards.csv"))) {
        add(format!("{} {}", card["code"], card["expires"]), &card["balance"]);
    }
    sums
}

#[test]
fn l9_what_is_reserved_or_in_a_pool_and_cards_of_several_days_go_along_to_the_unit() {
    let tessera = Tessera::with_document(TOGETHER);
    let mapping = "source = 'old'\nmember = { kind = 'old', column = 'no' }\n[members]\njoined = 'since'\n[lots]\nid = 'lot'\ncurrency = 'currency'\namount = 'left'\nearned = 'earned'\nexpires = 'until'\n";
    tessera.write("moving.toml", mapping);
    tessera.write("members.csv", "no,since\nM1,2026-01-01\nM2,2026-01-01\n");
    tessera.write(
        "lots.csv",
        "lot,no,currency,left,earned,until\nL1,M1,point,25,2026-01-01,2099-01-31\nL2,M1,point,40,2026-01-01,2099-02-28\nL3,M2,point,30,2026-01-02,2099-03-31\nL4,M1,star,7,2026-01-02,\n",
    );
    let files = ["--lots", "lots.csv", "--mapping", "moving.toml", "--program", "shop"];
    tessera.run(&[&["import", "members", "members.csv"], &files[..]].concat()).expect(0);
    tessera.write(
        "cards.csv",
        "code,balance,expires,blocked\nHCM 0001 2345,350000,2099-01-31,\nHCM 0001 2346,120000,,yes\nHCM 0001 2345,1,2099-06-30,\nHCM 0001 2345,50000,,\nHCM 0001 2347,9,tomorrow,\nHCM 0001 2347,8,2099-06-30,\nHCM 0001 2346,7,,yes\n",
    );
    // Of a card that cannot be read as a whole nothing comes in.
    let cards = ["gift-card", "import", "cards.csv", "--program", "shop", "--key", "old", "--json"];
    let report: Value = serde_json::from_str(&tessera.run(&cards).expect(1).out).unwrap();
    let lines: Vec<u64> =
        report["differences"].as_array().unwrap().iter().map(|found| found["line"].as_u64().unwrap()).collect();
    assert_eq!((lines, &report["taken"], &report["money_here"]), (vec![6, 7, 8], &json!(2), &json!("520001")));
    let good = tessera.read("cards.csv").replace("tomorrow", "2099-07-31").replace("HCM 0001 2346,7,,yes\n", "");
    tessera.write("cards.csv", good);
    let again: Value = serde_json::from_str(&tessera.run(&cards).expect(0).out).unwrap();
    assert_eq!((&again["taken"], &again["known"], &again["money_here"]), (&json!(1), &json!(2), &json!("520018")));

    let key = tessera.key("shop");
    let server = tessera.serve();
    let mut client = support::server::Client::new(server.address, &key).unwrap();
    let mut number = 0;
    let mut post = |path: &str, body: Value| {
        number += 1;
        let path = format!("/v1/programs/shop/{path}");
        let (status, said) = client.send_once("POST", &path, &body.to_string(), &format!("k-{number}")).unwrap();
        assert!((200..300).contains(&status), "{path}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    post("redemptions", json!({ "member": "old:M1", "currency": "point", "points": 30 }));
    post("gift-cards/HCM00012345/redemptions", json!({ "amount": "360000" }));
    let founded = post("households", json!({ "member": "old:M2" }));
    let household = founded["household"].as_str().unwrap().to_owned();
    let path = format!("/v1/programs/shop/households/{household}");
    let asked = "/v1/programs/shop/members/old:M2";
    while client.ok("GET", asked, "")["household"]["asked"] != json!(false) {}
    let put = json!({ "member": "old:M2", "currency": "point", "amount": 20 }).to_string();
    client.send_once("POST", "/v1/programs/shop/household-contributions", &put, "put").unwrap();
    while client.ok("GET", &path, "")["pool"]["point"]["available"] != json!(20) {}
    let reserve = json!({ "member": household, "by": "old:M2", "currency": "point", "points": 12 }).to_string();
    assert_eq!(client.send_once("POST", "/v1/programs/shop/redemptions", &reserve, "pool").unwrap().0, 201);
    drop(client);
    assert_eq!(server.stop("TERM").0, Some(0));

    let told = tessera.json(&["export", "members", "--program", "shop", "--to", "out"]);
    assert_eq!(
        (&told["held"], &told["pooled"], &told["common"], &told["cards_held"]),
        (&json!(30), &json!(20), &json!(0), &json!(1))
    );
    let lots = tessera.read("out/lots.csv");
    assert!(
        lots.contains(",25,")
            && lots.contains(",reserved evt_")
            && lots.contains(&format!(",pool {household} reserved evt_")),
        "{lots}"
    );
    let cards = tessera.read("out/cards.csv");
    assert!(
        cards.contains("HCM00012345,350000,2099-01-31,,350000\n") && cards.contains("HCM00012345,50000,,,9999\n"),
        "{cards}"
    );

    let in_other = |arguments: &[&str]| {
        let said = support::said(tessera.bare_command(&[&["--data", "other"], arguments].concat()).output().unwrap());
        said.expect(0);
        said
    };
    in_other(&["program", "apply", "program.yaml"]);
    tessera.write("totals.csv", "figure,expected\nmembers,2\npoints.point,95\npoints.star,7\n");
    let files = ["--lots", "out/lots.csv", "--vouchers", "out/vouchers.csv", "--mapping", "out/moving.toml"];
    let start = ["import", "members", "out/members.csv", "--program", "shop", "--reconcile", "totals.csv", "--json"];
    let said = in_other(&[&start, &files[..]].concat());
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let point = &found["reconciliation"]["currencies"]["point"];
    assert_eq!(
        (&point["remarks"]["reserved"], &point["remarks"]["pool"], &point["in_ledger"]["points"]),
        (&json!({ "lines": 2, "points": 30 }), &json!({ "lines": 2, "points": 20 }), &json!(95))
    );
    in_other(&["gift-card", "import", "out/cards.csv", "--program", "shop", "--key", "moved"]);
    in_other(&["verify", "--program", "shop"]);
    in_other(&["export", "members", "--program", "shop", "--to", "back"]);
    assert_eq!(sums(&tessera, "out"), sums(&tessera, "back"));
    assert!(!tessera.read("back/lots.csv").contains("reserved"), "nothing is reserved there");
}
