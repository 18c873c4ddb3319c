//! A served installation, and a plain HTTP client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use serde_json::Value;

use super::Tessera;

/// A process that serves on a free port. It is killed when this goes.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    /// What it logs, read all the time so that it never waits for a reader.
    log: Option<JoinHandle<String>>,
}

impl Tessera {
    /// Serves the data folder.
    pub fn serve(&self) -> Server {
        Server::start(self.command(&["serve", "--listen", "127.0.0.1:0"]))
    }

    /// A key with all scopes.
    pub fn key(&self, program: &str) -> String {
        self.json(&["key", "create", "--program", program])["key"].as_str().unwrap().to_owned()
    }
}

impl Server {
    /// Starts a command that prints where it listens, and waits until it has.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            err.read_to_string(&mut log).unwrap();
            log
        });
        let (found, address) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let address = line.split_once("http://").map(|(_, rest)| rest);
                let address = address.and_then(|rest| rest.split([' ', '/']).next()).and_then(|text| text.parse().ok());
                if let Some(address) = address {
                    // Only the first address is waited for.
                    let _ = found.send(address);
                }
            }
        });
        match address.recv() {
            Ok(address) => Self { address, child, log: Some(log) },
            Err(_) => panic!("it ended without serving: {}", log.join().unwrap()),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to stop as an operator would, and says with which code it ended and what it logged.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        signal_to(self.child.id(), signal);
        let code = self.child.wait().unwrap().code();
        let log = self.log.take().unwrap().join().unwrap();
        (code, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name: `INT`.
pub fn signal_to(process: u32, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A connection that is kept open from one request to the next.
pub struct Client {
    stream: BufReader<TcpStream>,
    key: String,
    /// What the last answer said about when to come back.
    pub retry_after: Option<String>,
}

/// Status and body of an answer.
pub type Answer = (u16, String);

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), key: key.to_owned(), retry_after: None })
    }

    /// The same, which gives up when an answer takes longer.
    pub fn within(address: SocketAddr, key: &str, limit: std::time::Duration) -> std::io::Result<Self> {
        let client = Self::new(address, key)?;
        client.stream.get_ref().set_read_timeout(Some(limit))?;
        Ok(client)
    }

    /// Sends one request and reads its answer; an error when the connection broke on the way.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        self.send_with(method, path, body, "")
    }

    /// The same under an idempotency key.
    pub fn send_once(&mut self, method: &str, path: &str, body: &str, once: &str) -> std::io::Result<Answer> {
        self.send_with(method, path, body, &format!("Idempotency-Key: {once}\r\n"))
    }

    fn send_with(&mut self, method: &str, path: &str, body: &str, headers: &str) -> std::io::Result<Answer> {
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: tessera\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let mut length = 0;
        self.retry_after = None;
        loop {
            let header = self.line()?;
            if header.is_empty() {
                break;
            }
            let Some((name, value)) = header.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(|_| broken())?,
                "retry-after" => self.retry_after = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body).map_err(|_| broken())?))
    }

    /// Sends a request that must succeed.
    pub fn ok(&mut self, method: &str, path: &str, body: &str) -> Value {
        let (status, body) = self.send(method, path, body).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or(Value::String(body))
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn broken() -> std::io::Error {
    std::io::ErrorKind::UnexpectedEof.into()
}
