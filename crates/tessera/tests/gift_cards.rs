//! `tessera gift-card`, and gift cards through everything that is done to an installation, on the built binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Tessera, said};

const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
gift_cards: { min: 50000, max: 1000000 }
currencies: { point: { name: Point, expires: never } }
";

/// Codes of a file that `gift-card issue` wrote.
fn codes(tessera: &Tessera, file: &str) -> Vec<String> {
    let text = tessera.read(file);
    text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect()
}

fn of_shop<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--program", "shop"]].concat()
}

fn summary(tessera: &Tessera) -> Value {
    tessera.json(&of_shop(&["report", "summary"]))["gift_cards"].clone()
}

#[test]
fn v3_cards_are_made_shown_loaded_listed_and_made_void() {
    let tessera = Tessera::with_document(SHOP);
    let issue = |to: &str| {
        of_shop(&["gift-card", "issue", "--count", "3", "--amount", "100000", "--key", "k", "--to", to]).join(" ")
    };
    let run = |line: &str| tessera.run(&line.split(' ').collect::<Vec<_>>());
    run(&issue("one.csv")).expect(0);
    let cards = codes(&tessera, "one.csv");
    assert_eq!((cards.len(), cards[0].len()), (3, 19));
    run(&issue("again.csv")).expect(0);
    assert_eq!(codes(&tessera, "again.csv"), cards, "the same key gives the same cards");
    let shown = tessera.json(&of_shop(&["gift-card", "show", &cards[0]]));
    assert_eq!((&shown["balance"], &shown["status"]), (&json!("100000"), &json!("active")));
    let paid_in = of_shop(&["gift-card", "top-up", &cards[0], "--amount", "50000", "--key", "t-1"]);
    assert_eq!(tessera.json(&paid_in)["balance"], "150000");
    assert_eq!(tessera.json(&paid_in)["balance"], "150000", "the same key pays in once");
    tessera.run(&of_shop(&["gift-card", "top-up", &cards[0], "--amount", "1", "--key", "t-2"])).failed(1, "least");
    let void = of_shop(&["gift-card", "void", &cards[1], "--key", "v-1", "--reason", "twice"]);
    tessera.run(&void).expect(0);
    let listed = tessera.json(&of_shop(&["gift-card", "list"]));
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let blocked = tessera.json(&of_shop(&["gift-card", "list", "--status", "blocked"]));
    assert_eq!((blocked.as_array().unwrap().len(), &blocked[0]["last_four"]), (1, &json!(cards[1][15..])));
    assert!(!listed.to_string().contains(&cards[2]), "codes are not shown");
    let figures = summary(&tessera);
    assert_eq!(
        (&figures["sold"], &figures["voided"], &figures["outstanding"]),
        (&json!("350000"), &json!("100000"), &json!("250000"))
    );
    tessera.verify("shop");
}

#[test]
fn v3_what_is_wrong_with_a_card_is_told() {
    let tessera = Tessera::with_document(SHOP);
    let issue = |more: &[&str]| {
        tessera.run(&[&of_shop(&["gift-card", "issue", "--key", "k", "--to", "x.csv"])[..], more].concat())
    };
    issue(&["--amount", "1000"]).failed(1, "less than the least");
    issue(&["--amount", "a lot"]).failed(2, "no amount of VND");
    issue(&["--count", "0"]).failed(2, "from 1 to 1000000");
    assert!(!tessera.folder().join("x.csv").exists(), "what is wrong is said before there is a file");
    tessera.run(&of_shop(&["gift-card", "show", "2222-2222-2222-2223"])).failed(1, "mistyped");
    tessera.run(&of_shop(&["gift-card", "show", "HCM00012345"])).failed(1, "no gift card of this code");
    tessera.run(&of_shop(&["gift-card", "list", "--status", "lost"])).failed(2, "active, empty and blocked");
    let without =
        SHOP.replace("gift_cards: { min: 50000, max: 1000000 }\n", "").replace("program: shop", "program: bare");
    let file = tessera.write("bare.yaml", without);
    tessera.run(&["program", "apply", &file]).expect(0);
    let bare = ["gift-card", "issue", "--program", "bare", "--key", "k", "--to", "x.csv"];
    tessera.run(&bare).failed(1, "no section `gift_cards`");
}

#[test]
fn l9_cards_of_another_system_come_in_and_totals_in_are_totals_out() {
    let tessera = Tessera::with_document(SHOP);
    let good = "code,balance,expires\nHCM 0001 2345,350000,\nHCM 0001 2346,2500000,2099-06-30\nHCM 0001 2347,0,\n";
    let import = |key: &str| tessera.run(&of_shop(&["gift-card", "import", "cards.csv", "--key", key, "--json"]));
    let told = |said: &support::Said| serde_json::from_str::<Value>(&said.out).unwrap();
    tessera.write("cards.csv", good);
    let first = told(import("old").expect(0));
    assert_eq!(
        (&first["taken"], &first["money_in_file"], &first["money_here"]),
        (&json!(3), &json!("2850000"), &json!("2850000"))
    );
    let again = told(import("old").expect(0));
    assert_eq!((&again["taken"], &again["known"], &again["money_here"]), (&json!(0), &json!(3), &json!("2850000")));
    let card = tessera.json(&of_shop(&["gift-card", "show", "hcm00012346"]));
    assert_eq!((&card["balance"], &card["expires"][0]["last_day"]), (&json!("2500000"), &json!("2099-06-30")));
    let figures = summary(&tessera);
    assert_eq!(
        (&figures["sold"], &figures["moved_in"], &figures["outstanding"]),
        (&json!("0"), &json!("2850000"), &json!("2850000"))
    );

    let wrong =
        "HCM 0001 2345,350000,\nHCM 0001 2348,-5,\nÄÖ,100,\nHCM 0001 2349,60000,tomorrow\nHCM 0001 2350,70000,\n";
    tessera.write("cards.csv", good.to_owned() + wrong);
    let said = import("old");
    let report = told(said.expect(1));
    let lines: Vec<u64> =
        report["differences"].as_array().unwrap().iter().map(|found| found["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7, 8]);
    let money = [&report["money_in_file"], &report["money_taken"], &report["money_rejected"], &report["money_here"]];
    assert_eq!(money, [&json!("3270000"), &json!("2920000"), &json!("350000"), &json!("2920000")]);
    assert_eq!((&report["taken"], &report["known"], &report["rejected"]), (&json!(1), &json!(3), &json!(4)));
    assert!(!said.out.contains("2348") && !said.out.contains("2349"), "codes are not told: {}", said.out);
    // The same cards under another word are others' cards: nothing comes in twice.
    tessera.write("cards.csv", good);
    assert_eq!(told(import("other").expect(1))["rejected"], 3);
    assert_eq!(summary(&tessera)["moved_in"], "2920000");
    tessera.write("cards.csv", "number,sum\n1,2\n");
    import("none").failed(2, "names the columns");
    tessera.verify("shop");
}

#[test]
fn cards_move_with_a_backup_and_with_an_export_of_all() {
    let tessera = Tessera::with_document(SHOP);
    let issue =
        of_shop(&["gift-card", "issue", "--count", "5", "--amount", "100000", "--key", "k", "--to", "cards.csv"]);
    tessera.run(&issue).expect(0);
    let cards = codes(&tessera, "cards.csv");
    tessera.run(&of_shop(&["gift-card", "void", &cards[0], "--key", "v"])).expect(0);
    let on = |data: &str, arguments: &[&str]| {
        let data = tessera.folder().join(data);
        said(tessera.bare_command(&["--data"]).arg(data).args(arguments).output().unwrap())
    };
    let list = of_shop(&["gift-card", "list", "--json"]);
    let before = tessera.run(&list);
    tessera.run(&["backup", "--to", "backup.db", "--with-key"]).expect(0);
    on("restored", &["backup", "restore", "backup.db"]).expect(0);
    tessera.run(&["export", "--all", "--to", "all.gz"]).expect(0);
    std::fs::create_dir(tessera.folder().join("moved")).unwrap();
    std::fs::copy(tessera.data().join("master.key"), tessera.folder().join("moved/master.key")).unwrap();
    on("moved", &["import", "all", "all.gz"]).expect(0);
    for data in ["restored", "moved"] {
        assert_eq!(on(data, &list).out, before.out);
        on(data, &["doctor", "--full"]).expect(0);
        let paid = on(data, &of_shop(&["gift-card", "top-up", &cards[1], "--amount", "50000", "--key", "t", "--json"]));
        assert_eq!(serde_json::from_str::<Value>(&paid.expect(0).out).unwrap()["balance"], "150000");
    }
}

/// Killed in the middle, a print run goes on when it is started again: no card twice, none missing.
#[cfg(unix)]
#[test]
fn i6_a_print_run_that_is_killed_goes_on() {
    use std::os::unix::fs::PermissionsExt;
    let tessera = Tessera::with_document(SHOP);
    let run = |to: &'static str| {
        of_shop(&["gift-card", "issue", "--count", "4000", "--amount", "50000", "--key", "run", "--to", to])
    };
    let mut child = tessera.command(&run("first.csv")).spawn().unwrap();
    let file = tessera.folder().join("first.csv");
    // The file grows chunk by chunk: when it has something, the run is in its middle.
    while std::fs::metadata(&file).map_or(0, |file| file.len()) == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    tessera.run(&run("second.csv")).expect(0);
    let mode = std::fs::metadata(tessera.folder().join("second.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "codes are for whoever made them");
    let cards = codes(&tessera, "second.csv");
    assert_eq!((cards.len(), cards.iter().collect::<BTreeSet<_>>().len()), (4000, 4000));
    let figures = summary(&tessera);
    assert_eq!((&figures["cards"], &figures["sold"]), (&json!(4000), &json!("200000000")));
    tessera.verify("shop");
}
