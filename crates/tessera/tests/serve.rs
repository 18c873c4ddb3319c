//! `serve` and `demo` as processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use support::server::{Client, Server};
use support::{Tessera, repository, said};

const SALE: &str = r#"{"id": "r-1", "source": "till-1", "type": "purchase", "subject": "phone:+84901234567",
    "data": {"order_id": "A-1", "currency": "VND", "total": 120000,
             "items": [{"line": "1", "sku": "LATTE", "category": "coffee", "quantity": 2, "unit_price": 60000}]}}"#;
const BACK: &str = r#"{"id": "r-2", "source": "till-1", "type": "return", "subject": "phone:+84901234567",
    "data": {"order_id": "A-1", "items": [{"line": "1", "quantity": 1}]}}"#;

#[test]
fn the_first_walk_of_the_readme() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    let server = tessera.serve();
    let mut client = Client::new(server.address, &key).unwrap();
    let events = "/v1/programs/copper-cup/events?explain=true";
    let sold = client.ok("POST", events, SALE);
    assert_eq!(sold["balances"]["bean"]["available"], 62);
    assert_eq!(sold["balances"]["stamp"]["available"], 2);
    assert!(sold["explanation"].as_array().is_some_and(|rules| rules.len() > 5));
    let back = client.ok("POST", events, BACK);
    assert_eq!(back["balances"]["bean"]["available"], 56);
    assert_eq!(back["balances"]["stamp"]["available"], 1);
    assert_eq!(client.ok("POST", events, SALE)["status"], "duplicate");
    client.ok("POST", events, &BACK.replace("r-2", "r-3"));
    let (status, refusal) = client.send("POST", events, &BACK.replace("r-2", "r-4")).unwrap();
    assert_eq!(status, 409, "{refusal}");
    let member = client.ok("GET", "/v1/programs/copper-cup/members?identifier=phone:%2B84901234567", "");
    let id = member["items"][0]["id"].as_str().unwrap();
    for part in ["entries", "lots", "events", "tiers"] {
        client.ok("GET", &format!("/v1/programs/copper-cup/members/{id}/{part}"), "");
    }
    let metrics = client.ok("GET", "/metrics", "");
    assert!(metrics.as_str().unwrap().contains("tessera_requests_total"));
    drop(client);
    assert_eq!(server.stop("TERM").0, Some(0));
    assert_eq!(tessera.verify("copper-cup")["members"], 1);
}

#[test]
fn while_it_serves_reading_is_free_and_writing_says_who_holds_it() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    let sales = tessera.write("sales.csv", "id\n1\n");
    let mapping = tessera.write("mapping.toml", "source = 's'\n[event]\ntype = 'purchase'\nid = 'id'\n");
    let people = tessera.write("members.csv", "card\n1\n");
    let coffee = repository().join("programs/coffee.yaml");
    let (coffee, other) = (coffee.to_str().unwrap(), tessera.write("other.yaml", OTHER));
    let server = tessera.serve();
    let mut client = Client::new(server.address, &key).unwrap();
    client.ok("POST", "/v1/programs/copper-cup/events", SALE);

    for arguments in READING {
        tessera.run(arguments).expect(0);
    }
    assert_eq!(tessera.verify("copper-cup")["members"], 1, "what it answered is there to read");

    let held = format!("in use by process {} (`tessera serve` at http://{}, since 2", server.id(), server.address);
    let stop = format!("stop it (kill {}) and try again", server.id());
    let document = "PUT http://{}/v1/programs/copper-cup/document\n       with the document, If-Match: \"1\" and a key";
    for (arguments, advice) in [
        (vec!["program", "apply", coffee], document),
        (vec!["program", "apply", &other], "the first version of a program is published by this command alone"),
        (vec!["program", "rollback", "copper-cup", "--to", "1"], "PUT http://{}/v1/programs/copper-cup/document"),
        (
            vec!["import", "events", &sales, "--program", "copper-cup", "--mapping", &mapping],
            "POST http://{}/v1/programs/copper-cup/events\n       with a key for events:write",
        ),
        (
            vec!["import", "members", &people, "--program", "copper-cup"],
            "POST http://{}/v1/programs/copper-cup/members\n       a member at a time, with a key for members:write",
        ),
        (vec!["key", "create", "--program", "copper-cup"], "keys are made and revoked by this command alone"),
        (vec!["key", "revoke", "--program", "copper-cup", "key_x"], "keys are made and revoked by this command alone"),
        (vec!["serve", "--listen", "127.0.0.1:0"], "--data names another"),
        (vec!["demo", "--no-serve"], "or use the one that is open"),
    ] {
        let said = tessera.run(&arguments);
        said.failed(1, &held).failed(1, &stop).failed(1, &advice.replace("{}", &server.address.to_string()));
    }
    drop(client);
    server.kill();
    tessera.run(&["key", "create", "--program", "copper-cup"]).expect(0);
}

/// What only reads.
const READING: [&[&str]; 7] = [
    &["report", "summary", "--program", "copper-cup"],
    &["report", "members", "--program", "copper-cup"],
    &["program", "show", "copper-cup"],
    &["program", "history", "copper-cup"],
    &["program", "plan", concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/coffee.yaml")],
    &["key", "list", "--program", "copper-cup"],
    &["verify", "--program", "copper-cup"],
];

const OTHER: &str = "program: other
name: Other
timezone: Asia/Ho_Chi_Minh
currency: VND
currencies: { point: { name: Point, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: 1 } } ] } }
";

#[test]
fn beside_a_busy_server_every_reader_sees_one_moment() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    let server = tessera.serve();
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for till in 0..2 {
            let (key, enough, address) = (&key, &enough, server.address);
            scope.spawn(move || {
                let mut client = Client::new(address, key).unwrap();
                for number in (0..).take_while(|_| !enough.load(Ordering::Relaxed)) {
                    let sale =
                        SALE.replace("r-1", &format!("{till}-{number}")).replace("A-1", &format!("{till}-{number}"));
                    let member = format!("\"phone:+84900{till}{:05}\"", number % 40);
                    client.ok(
                        "POST",
                        "/v1/programs/copper-cup/events",
                        &sale.replace("\"phone:+84901234567\"", &member),
                    );
                }
            });
        }
        for _ in 0..3 {
            for arguments in READING {
                tessera.run(arguments).expect(0);
            }
        }
        enough.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.stop("TERM").0, Some(0));
    tessera.verify("copper-cup");
}

#[test]
fn it_stops_when_told_to_even_at_once() {
    let tessera = Tessera::with_program("coffee");
    for signal in ["TERM", "INT"] {
        let (code, log) = tessera.serve().stop(signal);
        assert_eq!(code, Some(0), "{signal}: {log}");
    }
    // With a connection that stays open and says nothing.
    let server = tessera.serve();
    let mut client = Client::new(server.address, "").unwrap();
    client.ok("GET", "/healthz", "");
    assert_eq!(server.stop("TERM").0, Some(0));
}

#[test]
fn a_port_in_use_is_told() {
    let tessera = Tessera::with_program("coffee");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    tessera.run(&["serve", "--listen", &address]).failed(1, "--listen");
}

#[test]
fn what_it_logs_holds_no_personal_data() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    let mut command = tessera.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("TESSERA_LOG", "trace");
    let server = Server::start(command);
    let mut client = Client::new(server.address, &key).unwrap();
    client.ok("POST", "/v1/programs/copper-cup/events", SALE);
    let joining =
        r#"{"id": "r-9", "source": "app", "type": "enrol", "data": {"name": "Minh Khai", "email": "khai@example.vn"}}"#;
    client.ok("POST", "/v1/programs/copper-cup/events", joining);
    client.send("POST", "/v1/programs/copper-cup/events", &joining.replace("r-9", "r-10")).unwrap();
    drop(client);
    let (_, log) = server.stop("TERM");
    // The log was empty once, and so held no secret whatever was done.
    let told = log.matches(r#"answered method=POST route="/v1/programs/{program}/events" status="#).count();
    assert_eq!(told, 3, "a line for each request:\n{log}");
    for secret in ["84901234567", "Minh Khai", "khai@example.vn", &key] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    // Lines in a file once had the colours of a terminal.
    assert!(!log.contains('\u{1b}'), "{log}");
}

/// A time that has been, so that the demo's year does not depend on when the test runs.
const YEARS_END: &str = "2026-03-01T12:00:00+07:00";

#[test]
fn the_demo_makes_its_year_once_and_serves_it() {
    let tessera = Tessera::new();
    let arguments = ["demo", "--members", "25", "--until", YEARS_END, "--no-serve"];
    let made = tessera.run(&arguments);
    made.expect(0);
    assert!(made.out.contains("made 25 members"), "{}", made.out);
    let before = tessera.json(&["report", "summary", "--program", "copper-cup"]);
    assert!(before["purchases"].as_u64().unwrap() > 100 && before["returns"].as_u64().unwrap() > 0, "{before}");
    tessera.verify("copper-cup");
    let again = tessera.run(&arguments);
    again.expect(0);
    assert!(!again.out.contains("made"), "{}", again.out);
    let server = Server::start(tessera.command(&["demo", "--listen", "127.0.0.1:0"]));
    let mut client = Client::new(server.address, "").unwrap();
    client.ok("GET", "/healthz", "");
    drop(client);
    assert_eq!(server.stop("INT").0, Some(0));
}

#[test]
fn the_same_seed_makes_the_same_year() {
    let summaries: Vec<_> = (0..2)
        .map(|_| {
            let tessera = Tessera::new();
            tessera.run(&["demo", "--members", "10", "--seed", "7", "--until", YEARS_END, "--no-serve"]).expect(0);
            tessera.json(&["report", "summary", "--program", "copper-cup", "--at", "2100-01-01T00:00:00Z"])
        })
        .collect();
    for figure in ["members", "purchases", "returns", "spend"] {
        assert!(!summaries[0][figure].is_null(), "{figure}: {:#}", summaries[0]);
        assert_eq!(summaries[0][figure], summaries[1][figure], "{figure}");
    }
}

#[test]
fn without_a_terminal_output_is_plain() {
    let tessera = Tessera::new();
    let made = tessera.run(&["demo", "--members", "5", "--no-serve"]);
    assert!(!made.out.contains('\u{1b}') && !made.err.contains('\u{1b}'), "{made:?}");
    let help = said(tessera.bare_command(&["--help"]).output().unwrap());
    assert!(!help.out.contains('\u{1b}'));
}
