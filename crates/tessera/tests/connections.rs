//! Callers that are slow, endless or silent cost a connection and nothing else, on the real server. And what it measures.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use support::load::{Shop, Tills};
use support::repository;
use support::server::{Client, Server};

const EVENTS: &str = "/v1/programs/faults/events";

/// Serves with the given settings of connections.
fn serve(shop: &Shop, settings: &str) -> Server {
    let file = shop.tessera.write("connections.toml", format!("[connections]\n{settings}\n"));
    shop.serve_with(&["--config", &file])
}

fn connect(address: SocketAddr, begin: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(begin.as_bytes()).unwrap();
    stream
}

/// All that the server says until it closes.
fn until_closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // What was sent and not read may end it by a reset.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8(said).unwrap()
}

/// A sale by another connection is answered meanwhile. On a machine that stands still for a second it may be cut off as
/// those that are slow; then it is sent again.
fn sells(shop: &Shop, server: &Server, number: u64) {
    Tills::new(server.address, &shop.key).insist(number);
}

fn post(key: &str, kind: &str, rest: &str) -> String {
    format!("POST {EVENTS} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n{rest}")
}

#[test]
fn slow_callers_are_given_up_and_stop_nobody() {
    let shop = Shop::new(None);
    let server = serve(&shop, "head_seconds = 1\nbody_seconds = 1");
    let cloud_event = |rest: &str| post(&shop.key, "application/json", rest);
    // A head that does not end, one that never began, and bodies that stop: all at once, many of each.
    let many = |begin: &str| -> Vec<TcpStream> { (0..40).map(|_| connect(server.address, begin)).collect() };
    let heads = many("GET /healthz HTTP/1.1\r\nHost: t\r\nX-Slow: ");
    let silent = many("");
    let bodies = many(&cloud_event("Content-Length: 900\r\n\r\n{\"id\": "));
    let chunks = many(&cloud_event("Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n"));
    sells(&shop, &server, 1);
    for stream in heads.into_iter().chain(silent) {
        assert_eq!(until_closed(stream), "", "no head, no answer");
    }
    for stream in bodies.into_iter().chain(chunks) {
        let said = until_closed(stream);
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("/body-too-slow"), "{said}");
        assert!(said.to_ascii_lowercase().contains("connection: close"), "{said}");
    }
    sells(&shop, &server, 2);
}

#[test]
fn what_never_ends_is_cut_off_by_its_size() {
    let shop = Shop::new(None);
    let server = serve(&shop, "");
    // Headers, a body in one piece and one in chunks, each longer than any may be.
    let mut head = connect(server.address, "GET /healthz HTTP/1.1\r\nHost: t\r\nX-Long: ");
    while head.write_all(&[b'a'; 8192]).is_ok() {}
    let said = until_closed(head);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");

    let (status, body) =
        Client::new(server.address, &shop.key).unwrap().send("POST", EVENTS, &" ".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(status, 413, "{body}");
    let rest = "Transfer-Encoding: chunked\r\n\r\n";
    for kind in ["application/json", "application/x-ndjson"] {
        let mut endless = connect(server.address, &post(&shop.key, kind, rest));
        let chunk = format!("{:x}\r\n{}\r\n", 65_536, "1".repeat(65_536));
        while endless.write_all(chunk.as_bytes()).is_ok() {}
        let said = until_closed(endless);
        // The answer may be lost with the connection, and then it was cut off all the same.
        assert!(said.is_empty() || said.contains("/body-too-large"), "{kind}: {said}");
    }
    sells(&shop, &server, 1);
}

#[test]
fn a_stream_that_stops_is_ended_with_what_was_answered() {
    let shop = Shop::new(None);
    let server = serve(&shop, "body_seconds = 1");
    let line = json!({"id": "1", "source": "s", "type": "purchase", "subject": "card:1",
        "data": {"order_id": "1", "currency": "VND", "total": 5}})
    .to_string();
    let begin = post(&shop.key, "application/x-ndjson", "Transfer-Encoding: chunked\r\n\r\n");
    let stream = connect(server.address, &format!("{begin}{:x}\r\n{line}\n\r\n", line.len() + 1));
    let said = until_closed(stream);
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("\"applied\""), "{said}");
    assert!(said.contains("/body-too-slow"), "{said}");
    assert!(said.find("\"applied\"") < said.find("/body-too-slow"), "{said}");
}

/// Sockets this process may still open, on both ends of a connection apart.
fn sockets() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse().ok());
    files.unwrap_or(256_usize).saturating_sub(200)
}

#[test]
fn thousands_of_idle_connections_stop_nobody() {
    let shop = Shop::new(None);
    let server = serve(&shop, "");
    let many = sockets().min(3_000);
    if many < 3_000 {
        println!("{many} connections in place of 3,000: the limit of open files is low");
    }
    let idle: Vec<TcpStream> = (0..many).map(|_| connect(server.address, "")).collect();
    let mut client = Client::new(server.address, &shop.key).unwrap();
    let metrics = client.ok("GET", "/metrics", "");
    let open = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("tessera_connections "));
    assert!(open.unwrap().parse::<usize>().unwrap() > many / 2, "{open:?} of {many}");
    for number in 0..30 {
        sells(&shop, &server, number);
    }
    drop(idle);
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn one_connection_too_many_is_answered_and_the_next_has_room() {
    let shop = Shop::new(None);
    let server = serve(&shop, "most = 8");
    let mut open: Vec<Client> = (0..8).map(|_| Client::new(server.address, &shop.key).unwrap()).collect();
    for client in &mut open {
        assert_eq!(client.ok("GET", "/healthz", ""), json!("ok\n"));
    }
    for _ in 0..20 {
        let mut more = Client::new(server.address, &shop.key).unwrap();
        // Where its request crosses the answer, the connection may break instead.
        let Ok((status, body)) = more.send("GET", "/healthz", "") else { continue };
        assert_eq!((status, more.retry_after.as_deref()), (503, Some("1")));
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["type"], "https://tessera.example/problems/too-many-connections");
    }
    assert_eq!(until_closed(connect(server.address, "")).split(' ').nth(1), Some("503"), "told without a request");
    // Those inside go on, and whoever leaves makes room.
    assert_eq!(open[0].ok("GET", "/healthz", ""), json!("ok\n"));
    open.clear();
    while !matches!(Client::new(server.address, "").unwrap().send("GET", "/healthz", ""), Ok((200, _))) {}
}

/// The names in the table of the operator's manual.
fn documented() -> BTreeSet<String> {
    let manual = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `tessera_"));
    rows.map(|row| format!("tessera_{}", row.split(['`', '{']).next().unwrap())).collect()
}

#[test]
fn every_documented_metric_is_there_and_every_metric_is_documented() {
    let shop = Shop::new(None);
    let server = shop.serve();
    sells(&shop, &server, 1);
    let mut client = Client::new(server.address, &shop.key).unwrap();
    let (status, _) = client
        .send(
            "POST",
            EVENTS,
            &json!({"id": "r", "source": "s", "type": "return", "subject": "card:1",
        "data": {"order_id": "o-1", "items": [{"line": "9"}]}})
            .to_string(),
        )
        .unwrap();
    assert_eq!(status, 422);
    let text = client.ok("GET", "/metrics", "");
    let text = text.as_str().unwrap();
    let mut found: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    for name in &found {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} says what it is\n{text}");
    }
    // Only where there are pools of codes, partners that fail, cases, and shards.
    let seldom = ["codes_left", "partner_failures_total", "case_hits_total", "cases_closed_total", "crossings_total"];
    found.extend(seldom.map(|name| format!("tessera_{name}")));
    assert_eq!(found, documented(), "{text}");
    let value = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("tessera_refusals_total{code=\"no-such-line\"}"), 1.0);
    assert_eq!(value("tessera_batches_failed_total"), 0.0);
    assert_eq!(value("tessera_queue_depth"), 0.0);
    assert!(value("tessera_batch_size_count") >= 2.0 && value("tessera_commit_seconds_sum") > 0.0, "{text}");
    for lag in ["tessera_wake_up_lag_seconds", "tessera_outbox_lag_seconds"] {
        assert!((0.0..60.0).contains(&value(lag)), "{text}");
    }
}
