//! How much memory a server has that knows many members and little to do.
//!
//! It is a process of its own, of this very binary: what making the members took is not in the figures, nor is what asks.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use tessera_engine::access::{self, Scope};
use tokio::runtime::Builder;

use super::client::Connection;
use super::installation::{Installation, MASTER_KEY, Place};
use super::load::Tally;
use super::till::Till;
use crate::output::{Failure, Progress};

/// How many members, and how long the server is left alone before it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub members: u32,
    pub rest: Duration,
    pub seed: u64,
}

/// Resident memory, in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Once it answers, and before it was asked anything.
    pub started_bytes: u64,
    /// After the requests and the rest.
    pub idle_bytes: u64,
    /// The most it had at any time.
    pub most_bytes: u64,
    pub members: u32,
    pub requests: u32,
    pub rest_seconds: u64,
    pub refused: u64,
    #[serde(skip)]
    pub example: Option<String>,
}

/// A quote, a balance and a purchase each.
const SALES: u32 = 100;
const REQUESTS: u32 = SALES * 3;
/// How long the server may take until it can write.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(20);
/// What it says before its address.
const LISTENING: &str = "listening on http://";

pub fn run(place: &Place, wanted: Wanted) -> Result<Figures, Failure> {
    let Wanted { members, rest, seed } = wanted;
    // Before a million members are made for nothing.
    Memory::of(std::process::id())?;
    let installation = Installation::make(place)?;
    let (mut progress, began) = (Progress::new("members", members.into()), Instant::now());
    installation.enrol(members, &mut |count| progress.at(count, count, began))?;
    progress.done();
    let (engine, run) = (&installation.engine, installation.run);
    let key = access::create(&engine.context, engine.executor(), installation.program.number, "bench", &Scope::ALL)?;
    // What writes to a folder has it to itself.
    let folder = installation.close();
    let server = Server::start(folder.path(), place)?;
    let client = Builder::new_current_thread().enable_all().build()?;
    let mut connection = client.block_on(server.ready())?;
    let started = Memory::of(server.id)?;
    let mut till = Till::new(seed, 0, members, run, &key.key);
    let tally = client.block_on(sell(&mut till, &mut connection))?;
    drop(connection);
    std::thread::sleep(rest);
    let idle = Memory::of(server.id)?;
    Ok(Figures {
        started_bytes: started.resident,
        idle_bytes: idle.resident,
        most_bytes: idle.most,
        members,
        requests: REQUESTS,
        rest_seconds: rest.as_secs(),
        refused: tally.refused,
        example: tally.example,
    })
}

async fn sell(till: &mut Till, connection: &mut Connection) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for _ in 0..SALES {
        let (member, lines) = (till.member(), till.basket());
        for step in 0..3 {
            let request = match step {
                0 => till.quote(member, &lines),
                1 => till.balances(member),
                _ => till.purchase(member, &lines),
            };
            let answer = connection.ask(request).await?;
            if answer.status != 200 {
                tally.refused(1, answer);
            }
        }
    }
    Ok(tally)
}

/// `tessera serve` on a folder, until this value goes.
struct Server {
    id: u32,
    address: SocketAddr,
    // Open for as long as it runs: it may say something.
    _says: BufReader<ChildStdout>,
}

/// The server that runs, for whoever stops the bench: it would be left behind on a folder that is gone.
static RUNNING: Mutex<Option<Child>> = Mutex::new(None);

/// Ends the server, if one runs. Nothing of it is kept, so it may go at once.
pub fn end_server() {
    let running = RUNNING.lock().ok().and_then(|mut running| running.take());
    if let Some(mut server) = running {
        // One that has ended already is as good.
        let _ = server.kill();
        let _ = server.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end_server();
    }
}

impl Server {
    fn start(folder: &Path, place: &Place) -> Result<Self, Failure> {
        // Its settings are those of somebody who set nothing, wherever the bench is run.
        let settings = folder.join("bench.toml");
        std::fs::write(&settings, "")?;
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars_os() {
            if ["TESSERA_", "OTEL_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder).arg("--config").arg(&settings);
        command.env("TESSERA_MASTER_KEY", MASTER_KEY.repeat(32)).env("TESSERA_LOG", "warn");
        if let Some(url) = &place.database_url {
            // Not as an argument: those of a process can be read by everybody, and it may hold a password.
            command.env("TESSERA_DATABASE_URL", url);
        }
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let (id, says) = (server.id(), server.stdout.take());
        if let Ok(mut running) = RUNNING.lock() {
            *running = Some(server);
        }
        let listening = says.and_then(listening);
        let Some((address, says)) = listening else {
            end_server();
            return Err(Failure::refused("the server did not start"));
        };
        Ok(Self { id, address, _says: says })
    }

    /// A connection, once it can write.
    async fn ready(&self) -> Result<Connection, Failure> {
        let mut connection = Connection::open(self.address).await?;
        let began = Instant::now();
        while connection.ask("GET /readyz HTTP/1.1\r\nhost: tessera\r\n\r\n").await?.status != 200 {
            if began.elapsed() > READY_WITHIN {
                return Err(Failure::refused(format!("the server was not ready within {} s", READY_WITHIN.as_secs())));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(connection)
    }
}

/// Where it says that it listens; nothing if it ends before.
fn listening(says: ChildStdout) -> Option<(SocketAddr, BufReader<ChildStdout>)> {
    let mut says = BufReader::new(says);
    loop {
        let mut line = String::new();
        if says.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some((_, rest)) = line.split_once(LISTENING) {
            return Some((rest.split_whitespace().next()?.parse().ok()?, says));
        }
    }
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    resident: u64,
    most: u64,
}

impl Memory {
    fn of(process: u32) -> Result<Self, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok();
        let found = status.as_deref().and_then(Self::read);
        found.ok_or_else(|| {
            let wrong = "memory cannot be measured here: this system does not tell how much a process has";
            Failure::refused(wrong).right("run it on Linux, which tells it in /proc")
        })
    }

    fn read(status: &str) -> Option<Self> {
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            // In kB, as the kernel calls 1,024 bytes.
            found.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        Some(Self { resident: line("VmRSS")?, most: line("VmHWM")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_is_read_to_the_byte() {
        let status = "Name:\ttessera\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\nThreads:\t9\n";
        assert_eq!(Memory::read(status), Some(Memory { resident: 204_800, most: 307_200 }));
        assert_eq!(Memory::read("VmHWM:\t  300 kB\n"), None);
    }
}
