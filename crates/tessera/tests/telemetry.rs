//! What the server tells of itself: traces that a collector can follow, and log lines for machines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use serde_json::{Value, json};
use support::Tessera;
use support::server::{Client, Server};

const SALE: &str = r#"{"id": "r-1", "source": "till-1", "type": "purchase", "subject": "phone:+84901234567",
    "data": {"order_id": "A-1", "currency": "VND", "total": 120000}}"#;

/// A collector of traces that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    bodies: mpsc::Receiver<String>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (keep, bodies) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let keep = keep.clone();
                std::thread::spawn(move || while take(&stream, &keep).is_some() {});
            }
        });
        Self { address, bodies }
    }

    /// Every span that came, once nobody sends any more.
    fn spans(&self) -> Vec<Value> {
        let bodies = self.bodies.try_iter().map(|body| serde_json::from_str::<Value>(&body).unwrap());
        let mut spans = Vec::new();
        for body in bodies {
            let each = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
            for resource in each(&body, "resourceSpans") {
                for scope in each(&resource, "scopeSpans") {
                    spans.extend(each(&scope, "spans"));
                }
            }
        }
        spans
    }
}

fn take(stream: &TcpStream, keep: &mpsc::Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut path) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
        if path.is_empty() {
            path = line.to_owned();
        }
    }
    assert!(path.starts_with("POST /v1/traces "), "{path}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    keep.send(String::from_utf8(body).unwrap()).ok()?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}").ok()
}

#[test]
fn a_request_is_traced_from_its_caller_to_the_commit() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    let collector = Collector::start();
    let mut command = tessera.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    let server = Server::start(command);
    // One more header in place of the end of another.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let caller = format!("{key}\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01");
    Client::new(server.address, &caller).unwrap().ok("POST", "/v1/programs/copper-cup/events", SALE);
    let (code, _) = server.stop("TERM");
    assert_eq!(code, Some(0));

    let spans = collector.spans();
    let named = |name: &str| {
        let found: Vec<&Value> = spans.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let request = named("POST /v1/programs/{program}/events");
    assert_eq!(request["traceId"], trace);
    assert_eq!(request["parentSpanId"], "b7ad6b7169203331");
    let status = json!({ "key": "http.response.status_code", "value": { "intValue": "200" } });
    assert!(request["attributes"].as_array().unwrap().contains(&status), "{request:#}");
    let batch = spans.iter().find(|span| span["name"] == "batch" && span["links"].is_array()).unwrap();
    let linked = |link: &Value| link["traceId"] == trace && link["spanId"] == request["spanId"];
    assert!(batch["links"].as_array().unwrap().iter().any(linked), "{batch:#}");
    for part in ["read", "decide", "write", "commit"] {
        let of_batch = |span: &&Value| span["name"] == part && span["parentSpanId"] == batch["spanId"];
        assert_eq!(spans.iter().filter(of_batch).count(), 1, "{part}");
    }
    let all = format!("{spans:?}");
    assert!(!all.contains("901234567") && !all.contains(&key), "nothing personal and no key is in a trace: {all}");
}

#[test]
fn a_collector_that_is_not_there_holds_nobody_up() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key("copper-cup");
    // Nobody listens on the first port, and no other test is ever given it.
    let settings = "log_format = \"json\"\n[traces]\ncollector = \"http://127.0.0.1:1\"\nshare = 0.5\n";
    let settings = tessera.write("tessera.toml", settings);
    let server = Server::start(tessera.command(&["serve", "--listen", "127.0.0.1:0", "--config", &settings]));
    Client::new(server.address, &key).unwrap().ok("POST", "/v1/programs/copper-cup/events", SALE);
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0));
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    assert_eq!(tessera.verify("copper-cup")["members"], 1);
}

#[test]
fn a_share_that_is_none_is_told() {
    let tessera = Tessera::new();
    let settings = tessera.write("tessera.toml", "[traces]\nshare = 2.0\n");
    let said = tessera.run(&["serve", "--config", &settings]);
    said.failed(2, "2 is no share of requests to trace");
}
