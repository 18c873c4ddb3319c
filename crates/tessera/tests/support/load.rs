//! Sales under load against a server that is hurt on purpose, and what must be true afterwards: everything that was
//! acknowledged is there, once, and the books are whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Answer, Client, Server};
use super::{Said, Tessera};

/// What a purchase brings is easy to count: 3 points, and 2 of a budget that ends.
pub const PROGRAM: &str = "
program: faults
name: Faults
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies: { point: { name: point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: 3 } } ] }
  scarce: { trigger: purchase, budget: { point: 400 }, rules: [ { award: { currency: point, amount: 2 } } ] }
";

const EVENTS: &str = "/v1/programs/faults/events";
const MEMBERS: u64 = 12;
/// Longer than the server may ever take, so that only a server that hangs fails a test by it.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Lets others work before it is asked again; nothing depends on how long.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// What a sale was answered: the id of its event.
pub type Acknowledged = BTreeMap<u64, String>;

/// Tills that send sale after sale, each until it is acknowledged.
pub struct Tills<'a> {
    key: &'a str,
    address: RwLock<SocketAddr>,
    next: AtomicU64,
    closed: AtomicBool,
    /// Something has gone wrong: nobody insists any longer.
    failed: AtomicBool,
    acknowledged: Mutex<Acknowledged>,
    turned_away: AtomicU64,
}

fn sale(number: u64) -> String {
    json!({"id": format!("s-{number}"), "source": "till", "type": "purchase", "subject": format!("card:{}", number % MEMBERS),
        "time": "2026-03-01T10:00:00+07:00",
        "data": {"order_id": format!("o-{number}"), "currency": "VND", "total": 50_000}})
    .to_string()
}

impl<'a> Tills<'a> {
    pub fn new(address: SocketAddr, key: &'a str) -> Self {
        Self {
            key,
            address: RwLock::new(address),
            next: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            turned_away: AtomicU64::new(0),
        }
    }

    /// The server has moved.
    pub fn moved(&self, address: SocketAddr) {
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    pub fn client(&self) -> std::io::Result<Client> {
        let address = *self.address.read().unwrap_or_else(PoisonError::into_inner);
        Client::within(address, self.key, ANSWER_WITHIN)
    }

    /// One try: what the server said, or nothing where the connection broke.
    pub fn try_sale(&self, number: u64) -> Option<Answer> {
        let sent = self.client().and_then(|mut client| {
            let answer = client.send("POST", EVENTS, &sale(number))?;
            assert!(answer.0 != 503 || client.retry_after.is_some(), "503 says when to come back");
            Ok(answer)
        });
        match sent {
            Ok(answer) => Some(answer),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("sale {number}: no answer within {ANSWER_WITHIN:?}: the server hangs")
            }
            Err(_) => None,
        }
    }

    /// Sends a sale until it is acknowledged. Every answer but 200 must be 503.
    pub fn insist(&self, number: u64) -> Value {
        loop {
            assert!(!self.failed.load(Ordering::Relaxed), "the test has failed elsewhere");
            match self.try_sale(number) {
                Some((200, body)) => return serde_json::from_str(&body).unwrap(),
                Some((503, _)) => {
                    self.turned_away.fetch_add(1, Ordering::Relaxed);
                    pause();
                }
                None => pause(),
                Some((status, body)) => panic!("sale {number}: {status} {body}"),
            }
        }
    }

    fn till(&self) {
        while !self.closed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let outcome = self.insist(number);
            let event = outcome["event_id"].as_str().unwrap().to_owned();
            self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(number, event);
        }
    }

    /// How many sales were acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How often a till was told to come back.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Waits until so many more sales are acknowledged.
    pub fn wait_for(&self, more: usize) {
        let wanted = self.count() + more;
        while self.count() < wanted {
            assert!(!self.closed.load(Ordering::Relaxed), "a till has failed");
            pause();
        }
    }

    /// Runs `tills` tills while `harm` does what it does; the tills end with the sale they are at.
    pub fn sell(&self, tills: usize, harm: impl FnOnce()) {
        /// Closes the shop however the harm ends, and where a till fails.
        struct Close<'c>(&'c AtomicBool, &'c AtomicBool);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
                self.1.fetch_or(std::thread::panicking(), Ordering::Relaxed);
            }
        }
        self.closed.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..tills {
                scope.spawn(|| {
                    let close = Close(&self.closed, &self.failed);
                    self.till();
                    std::mem::forget(close);
                });
            }
            let _close = Close(&self.closed, &self.failed);
            harm();
        });
    }

    /// Everything that was acknowledged is known by its event, and is answered as a duplicate.
    pub fn check(&self) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = self.client().unwrap();
        for (number, event) in acknowledged.iter() {
            let outcome = client.ok("POST", EVENTS, &sale(*number));
            assert_eq!((&outcome["status"], &outcome["event_id"]), (&json!("duplicate"), &json!(event)), "{number}");
        }
        acknowledged.len() as u64
    }

    /// What `/readyz` says: status and sentence.
    pub fn readiness(&self) -> Option<Answer> {
        self.client().and_then(|mut client| client.send("GET", "/readyz", "")).ok()
    }

    /// Asks `/readyz` until it says this; every answer on the way must be 200 or 503.
    pub fn wait_until_ready_is(&self, status: u16) -> String {
        loop {
            match self.readiness() {
                Some((found, body)) if found == status => return body,
                Some((200 | 503, _)) | None => {
                    assert!(!self.failed.load(Ordering::Relaxed), "a till has failed");
                    pause();
                }
                Some((other, body)) => panic!("{other} {body}"),
            }
        }
    }
}

/// An installation with the program of the sales, and a key; on PostgreSQL where a URL is given.
pub struct Shop {
    pub tessera: Tessera,
    pub key: String,
    url: Option<String>,
}

impl Shop {
    pub fn new(url: Option<String>) -> Self {
        let mut shop = Self { tessera: Tessera::new(), key: String::new(), url };
        let file = shop.tessera.write("program.yaml", PROGRAM);
        shop.run(&["program", "apply", &file]).expect(0);
        let made = shop.run(&["key", "create", "--program", "faults", "--json"]);
        shop.key = serde_json::from_str::<Value>(&made.out).unwrap()["key"].as_str().unwrap().to_owned();
        shop
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let database = self.url.iter().flat_map(|url| ["--database-url", url.as_str()]);
        database.chain(arguments.iter().copied()).collect()
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.tessera.run(&self.arguments(arguments))
    }

    /// Serves on a free port.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same, with more arguments, which win.
    pub fn serve_with(&self, more: &[&str]) -> Server {
        let mut arguments = self.arguments(&["serve", "--listen", "127.0.0.1:0"]);
        if !more.is_empty() {
            arguments = [more, &["serve", "--listen", "127.0.0.1:0"]].concat();
        }
        Server::start(self.tessera.command(&arguments))
    }

    /// The books are whole, and hold every sale that was acknowledged once and nothing else.
    pub fn check(&self, tills: &Tills<'_>) {
        let sales = tills.check();
        holds(&self.run(&["verify", "--program", "faults", "--json"]), sales);
    }
}

/// What `verify` found is so many sales, each once, and no difference.
pub fn holds(verified: &Said, sales: u64) {
    verified.expect(0);
    let found: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(found["differences"], json!([]));
    // Each member joined by their first sale, which is an event of its own.
    assert_eq!(found["events"], sales + MEMBERS, "a sale is one event");
    // 2 points of a budget of 400 came on top of the first 200.
    assert_eq!(found["entries"], sales + sales.min(200), "a sale is counted once");
}
