//! Two servers on one PostgreSQL: hot members and a hot budget under 64 clients, one server killed in the middle.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../tessera-testkit/src/postgres.rs"]
mod postgres;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use support::Tessera;
use support::load::pause;
use support::server::{Client, Server};

/// What is bought three days ago dies after one: every purchase leaves something for the schedulers of both.
const PROGRAM: &str = "
program: shared
name: Shared
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies: { bean: { name: bean, expires: never }, leaf: { name: leaf, expires: { after: P1D } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 10000 } }, { award: { currency: leaf, amount: 3 } } ] }
  scarce: { trigger: purchase, budget: { bean: 500 }, rules: [ { award: { currency: bean, amount: 7 } } ] }
";

const CLIENTS: u64 = 64;
const EVENTS: u64 = 640;
/// Few, so that both servers write the same rows all the time.
const MEMBERS: u64 = 5;

/// Where the two servers listen; the address of one that was killed is the one it has now.
struct Servers(Mutex<[Option<Server>; 2]>);

impl Servers {
    fn address(&self, which: usize) -> Option<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[which].as_ref().map(|server| server.address)
    }

    fn put(&self, which: usize, server: Option<Server>) -> Option<Server> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[which], server)
    }
}

fn serve(tessera: &Tessera, url: &str) -> Server {
    Server::start(tessera.command(&["--database-url", url, "serve", "--listen", "127.0.0.1:0"]))
}

fn purchase(number: u64, time: &str) -> String {
    json!({"id": number.to_string(), "source": "shared", "type": "purchase", "subject": format!("card:{}", number % MEMBERS),
        "time": time, "data": {"order_id": number.to_string(), "currency": "VND", "total": 50_000}})
    .to_string()
}

/// Sends until there is an answer: a server that is gone or busy is no answer.
fn insist(servers: &Servers, key: &str, number: u64, time: &str) -> Value {
    let mut which = usize::from(number.is_multiple_of(2));
    loop {
        let sent = servers.address(which).and_then(|address| {
            Client::new(address, key)
                .and_then(|mut client| client.send("POST", "/v1/programs/shared/events", &purchase(number, time)))
                .ok()
        });
        match sent {
            Some((200, body)) => return serde_json::from_str(&body).unwrap(),
            Some((503, _)) | None => {
                which = 1 - which;
                pause();
            }
            Some((status, body)) => panic!("event {number}: {status} {body}"),
        }
    }
}

#[test]
fn two_servers_on_one_database_lose_nothing_and_do_nothing_twice() {
    let Some(database) = postgres::database() else { return };
    let (tessera, url) = (Tessera::new(), database.url());
    let run = |arguments: &[&str]| tessera.run(&[&["--database-url", &url], arguments].concat());
    let file = tessera.write("program.yaml", PROGRAM);
    run(&["program", "apply", &file]).expect(0);
    let made = run(&["key", "create", "--program", "shared", "--json"]);
    let key = serde_json::from_str::<Value>(&made.out).unwrap()["key"].as_str().unwrap().to_owned();
    // Three days before whatever day it is: the date is the server's own.
    let now = database.count("SELECT (extract(epoch FROM now()) - 3 * 86400)::bigint");
    let time = tessera_core::time::Instant::from_micros(now * 1_000_000).to_string();

    let servers = Servers(Mutex::new([Some(serve(&tessera, &url)), Some(serve(&tessera, &url))]));
    let (next, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let outcomes: BTreeMap<u64, Value> = std::thread::scope(|scope| {
        let client = || {
            let mut mine = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= EVENTS {
                    return mine;
                }
                mine.push((number, insist(&servers, &key, number, &time)));
                // In the middle of what everybody else is sending.
                if answered.fetch_add(1, Ordering::Relaxed) == EVENTS / 3 {
                    servers.put(0, None).unwrap().kill();
                    servers.put(0, Some(serve(&tessera, &url)));
                }
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(outcomes.len() as u64, EVENTS);

    // Either server knows every one of them, by the same event.
    for (number, first) in &outcomes {
        let again = insist(&servers, &key, *number, &time);
        assert_eq!((&again["status"], &again["event_id"]), (&json!("duplicate"), &first["event_id"]), "{number}");
    }
    for which in 0..2 {
        let (code, log) = servers.put(which, None).unwrap().stop("TERM");
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("deadlock") && !log.contains("panicked"), "{log}");
    }
    run(&["verify", "--program", "shared"]).expect(0);
    let count = |sql: &str| database.count(sql);
    assert_eq!(count("SELECT count(*) FROM event WHERE type = 'purchase'"), i64::try_from(EVENTS).unwrap());
    assert_eq!(count("SELECT used FROM pool"), 500, "C5: the budget is given to its end and not beyond");
    // 5 of each purchase, and the budget.
    let issued = "SELECT sum(amount)::bigint FROM entry WHERE currency = 'bean'";
    assert_eq!(count(issued), i64::try_from(EVENTS).unwrap() * 5 + 500);
    // What died did so once, whoever woke the member.
    let died = "SELECT sum(amount)::bigint FROM entry WHERE currency = 'leaf' AND kind = 5";
    assert_eq!(count(died), i64::try_from(EVENTS).unwrap() * 3);
}
