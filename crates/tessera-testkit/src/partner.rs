//! A partner in this process, which does what a test plans; and one behind a socket, which speaks as real ones do.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tessera_connect::partner::{
    CallError, Cancellation, Entitlement, NoticeProblem, Order, OrderAnswer, Partner, PartnerNotice, read_notice,
};
use tessera_connect::signature::{HEADERS, Secret, SignedHeaders};
use tessera_core::time::Instant;

/// What both sides sign with.
pub const SECRET: &str = "whsec_dGhlIHBhcnRuZXIncyBvd24gc2VjcmV0";

/// What a partner does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Deliver,
    /// Takes the order, to deliver it later.
    Accept,
    Refuse(&'static str),
    /// Does not answer.
    Fail,
    /// Takes the order and delivers it, and the answer is lost.
    LoseAnswer,
}

/// Delivers every order once, unless something else is planned.
#[derive(Debug)]
pub struct FakePartner {
    secret: Secret,
    seen: Mutex<Seen>,
}

/// What a partner has seen and done.
#[derive(Debug, Default)]
pub struct Seen {
    /// Orders that were taken, by their id: the same id is the same order.
    pub orders: BTreeMap<String, Order>,
    /// Calls about orders, those in vain too.
    pub order_calls: usize,
    /// Orders that were cancelled, in order, what came twice too.
    pub cancelled: Vec<String>,
    /// What was heard of entitlements, in order, what came twice too.
    pub heard: Vec<Entitlement>,
    plan: VecDeque<Plan>,
}

impl Default for FakePartner {
    fn default() -> Self {
        Self { secret: Secret::parse(SECRET).expect("the test's secret is one"), seen: Mutex::default() }
    }
}

impl FakePartner {
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next calls, one after the other; then everything is delivered again.
    pub fn plan(&self, plan: &[Plan]) {
        self.seen().plan = plan.iter().copied().collect();
    }

    /// The code that an order is delivered with.
    pub fn code(order: &str) -> String {
        format!("GIFT-{}", order.rsplit('_').next().unwrap_or_default())
    }

    /// Whether a member has an entitlement, as far as the partner knows: by the highest number it heard.
    pub fn is_entitled(&self, member: &str, entitlement: &str) -> bool {
        let seen = self.seen();
        let about = |heard: &&Entitlement| heard.member == member && heard.entitlement == entitlement;
        seen.heard.iter().filter(about).max_by_key(|heard| heard.number).is_some_and(|heard| heard.granted)
    }

    /// A signed notice.
    pub fn sign(&self, id: &str, at: Instant, body: &str) -> SignedHeaders {
        self.secret.sign(id, at, body.as_bytes())
    }
}

impl Partner for FakePartner {
    fn order(&self, order: &Order, _: Instant) -> Result<OrderAnswer, CallError> {
        let mut seen = self.seen();
        seen.order_calls += 1;
        let plan = seen.plan.pop_front().unwrap_or(Plan::Deliver);
        if matches!(plan, Plan::Deliver | Plan::Accept | Plan::LoseAnswer) {
            let known = seen.orders.insert(order.id.clone(), order.clone());
            assert!(known.is_none_or(|known| known == *order), "the same order, and other things in it");
        }
        let reference = Some(format!("REF-{}", order.id));
        match plan {
            Plan::Deliver => Ok(OrderAnswer::Delivered { reference, code: Self::code(&order.id) }),
            Plan::Accept => Ok(OrderAnswer::Accepted { reference }),
            Plan::Refuse(reason) => Ok(OrderAnswer::Refused { reason: reason.to_owned() }),
            Plan::Fail | Plan::LoseAnswer => Err(CallError::Status(503)),
        }
    }

    fn cancel(&self, order: &Order, _: Instant) -> Result<Cancellation, CallError> {
        let mut seen = self.seen();
        let plan = seen.plan.pop_front().unwrap_or(Plan::Deliver);
        if plan != Plan::Fail {
            seen.cancelled.push(order.id.clone());
        }
        match plan {
            Plan::Fail | Plan::LoseAnswer => Err(CallError::Status(503)),
            Plan::Refuse(_) => Ok(Cancellation::TooLate),
            Plan::Deliver | Plan::Accept => Ok(Cancellation::Cancelled),
        }
    }

    fn tell(&self, entitlement: &Entitlement, _: Instant) -> Result<(), CallError> {
        let mut seen = self.seen();
        let plan = seen.plan.pop_front().unwrap_or(Plan::Deliver);
        if plan != Plan::Fail {
            seen.heard.push(entitlement.clone());
        }
        if matches!(plan, Plan::Fail | Plan::LoseAnswer) { Err(CallError::Status(503)) } else { Ok(()) }
    }

    fn read(&self, headers: &SignedHeaders, body: &[u8], now: Instant) -> Result<PartnerNotice, NoticeProblem> {
        self.secret.verify(headers, body, now)?;
        read_notice(&headers.id, body)
    }
}

/// A partner behind a socket of this machine. Ends when it is dropped.
#[derive(Debug)]
pub struct PartnerServer {
    pub address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PartnerServer {
    /// # Panics
    /// If there is no free port.
    pub fn start(partner: Arc<FakePartner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                answer(&partner, stream);
            }
        });
        Self { address: format!("http://{address}"), stop, thread: Some(thread) }
    }
}

impl Drop for PartnerServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for a connection: this one ends it.
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Reads one request and answers it.
fn answer(partner: &FakePartner, mut stream: TcpStream) {
    let Some((path, headers, body)) = request(&stream) else { return };
    let (status, text) = respond(partner, &path, &headers, &body);
    let text = text.to_string();
    let length = text.len();
    // Whoever hung up gets no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
}

fn request(stream: &TcpStream) -> Option<(String, BTreeMap<String, String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, headers, body))
}

fn respond(partner: &FakePartner, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> (u16, Value) {
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let [id, timestamp, signature] = HEADERS.map(header);
    let seconds: i64 = timestamp.parse().unwrap_or_default();
    let (signed, at) = (SignedHeaders { id, timestamp, signature }, Instant::from_micros(seconds * 1_000_000));
    if partner.secret.verify(&signed, body, at).is_err() {
        return (401, json!({}));
    }
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return (400, json!({})) };
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let instant = |name: &str| said[name].as_str().and_then(|text| text.parse().ok()).unwrap_or(Instant::MIN);
    let order = || Order {
        id: text("id"),
        program: text("program"),
        product: text("product"),
        ordered_at: instant("ordered_at"),
        until: instant("until"),
    };
    if path.ends_with("/cancellations") {
        return match partner.cancel(&order(), at) {
            Ok(Cancellation::Cancelled) => (200, json!({})),
            Ok(Cancellation::TooLate) => (409, json!({})),
            Ok(Cancellation::NotTaken) => (404, json!({})),
            Err(_) => (503, json!({})),
        };
    }
    if path.ends_with("/orders") {
        let order = order();
        return match partner.order(&order, at) {
            Ok(OrderAnswer::Delivered { reference, code }) => {
                (200, json!({ "state": "delivered", "reference": reference, "code": code }))
            }
            Ok(OrderAnswer::Accepted { reference }) => (202, json!({ "state": "accepted", "reference": reference })),
            Ok(OrderAnswer::Refused { reason }) => (200, json!({ "state": "refused", "reason": reason })),
            Err(_) => (503, json!({})),
        };
    }
    let entitlement = Entitlement {
        id: text("id"),
        program: text("program"),
        member: text("member"),
        entitlement: text("entitlement"),
        granted: said["granted"].as_bool().unwrap_or_default(),
        number: said["number"].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default(),
        at: instant("at"),
    };
    if partner.tell(&entitlement, at).is_ok() { (200, json!({})) } else { (503, json!({})) }
}
