//! An acknowledged event survives `kill -9` (I6): the real binary under load, killed and started again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/coffee.yaml");
const CLIENTS: u64 = 8;

fn binary() -> PathBuf {
    std::env::var_os("TESSERA_BIN").map_or_else(|| env!("CARGO_BIN_EXE_tessera").into(), PathBuf::from)
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(binary()).arg("--data").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A server on a free port; killed without warning when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(binary());
        command.arg("--data").arg(folder).args(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        Self { child, address: address.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one purchase; `None` when the server went away before it answered.
fn send(address: &str, key: &str, number: u64) -> Option<Value> {
    let body = format!(
        r#"{{"id":"{number}","source":"kill","type":"purchase","subject":"card:{}","time":"2026-03-01T10:00:00+07:00","data":{{"order_id":"{number}","currency":"VND","total":50000}}}}"#,
        number % 40
    );
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!(
        "POST /v1/programs/copper-cup/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).ok()
}

#[test]
fn i6_what_was_acknowledged_survives_kill_9_once() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["program", "apply", PROGRAM]);
    let made: Value =
        serde_json::from_str(&run(folder.path(), &["key", "create", "--program", "copper-cup", "--json"])).unwrap();
    let key = made["key"].as_str().unwrap();
    let seed: u64 = std::env::var("TESSERA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let next = AtomicU64::new(0);
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..4 {
        let server = std::sync::Mutex::new(Some(Server::start(folder.path())));
        let address = server.lock().unwrap().as_ref().unwrap().address.clone();
        // Killed after so many answers, in the middle of what the other clients are sending.
        let last = 40 + (seed.wrapping_mul(2_654_435_761) >> 7).wrapping_add(round * 97) % 200;
        let answered = AtomicU64::new(0);
        let found: Vec<(u64, String)> = std::thread::scope(|scope| {
            let client = || {
                let mut mine = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(outcome) = send(&address, key, number) else { return mine };
                    mine.push((number, outcome["event_id"].as_str().unwrap().to_owned()));
                    if answered.fetch_add(1, Ordering::Relaxed) + 1 == last {
                        server.lock().unwrap().take();
                    }
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        assert!(found.len() as u64 >= last, "{} were answered", found.len());
        acknowledged.extend(found);
    }
    let server = Server::start(folder.path());
    for (number, event) in &acknowledged {
        let outcome = send(&server.address, key, *number).unwrap();
        assert_eq!(
            (outcome["status"].as_str(), outcome["event_id"].as_str()),
            (Some("duplicate"), Some(event.as_str())),
            "event {number}"
        );
    }
    drop(server);
    let verified: Value =
        serde_json::from_str(&run(folder.path(), &["verify", "--program", "copper-cup", "--json"])).unwrap();
    assert_eq!(verified["differences"], Value::Array(Vec::new()));
}
