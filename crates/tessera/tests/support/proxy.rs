//! A network between the server and PostgreSQL that can be cut, made slow, or made to swallow everything.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What PostgreSQL's simple protocol has for a COMMIT, without the length.
const COMMIT: &[u8] = b"COMMIT\0";

#[derive(Default)]
struct Network {
    swallows: AtomicBool,
    /// Milliseconds before anything is passed on.
    delay: AtomicU64,
    /// The next COMMIT cuts its connection: before it gets through, or before its answer does.
    cut_before_commit: AtomicBool,
    cut_after_commit: AtomicBool,
    /// How many COMMITs met a cut.
    cuts: AtomicU64,
    open: Mutex<Vec<(TcpStream, UnixStream)>>,
}

/// Ends, with its connections, when the test does.
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
}

impl Proxy {
    /// Listens on a free port, and leads to the socket.
    pub fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let network = Arc::new(Network::default());
        let shared = network.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                connect(&shared, client, &socket);
            }
        });
        Self { address, network }
    }

    /// The database behind it, as a server that waits a second for an answer finds it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres?connect_timeout=1&tcp_user_timeout=1", self.address)
    }

    /// From now on every byte is taken and none is passed on, in neither direction; or no longer.
    pub fn swallow(&self, does: bool) {
        self.network.swallows.store(does, Ordering::SeqCst);
    }

    /// Holds up everything that is passed on.
    pub fn delay(&self, by: Duration) {
        self.network.delay.store(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for (client, server) in self.network.open().drain(..) {
            hang_up(&client, &server);
        }
    }

    /// Cuts the connection of the next COMMIT, before it gets through or before its answer does, and waits for that.
    pub fn cut_at_commit(&self, after: bool) {
        let before = self.network.cuts.load(Ordering::SeqCst);
        let cut = if after { &self.network.cut_after_commit } else { &self.network.cut_before_commit };
        cut.store(true, Ordering::SeqCst);
        while self.network.cuts.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
    }
}

impl Network {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<(TcpStream, UnixStream)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hang_up(client: &TcpStream, server: &UnixStream) {
    // It may have hung up already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn connect(network: &Arc<Network>, client: TcpStream, socket: &Path) {
    // Without a server behind it the call is taken and ended.
    let Ok(server) = UnixStream::connect(socket) else { return };
    client.set_nodelay(true).unwrap();
    network.open().push((client.try_clone().unwrap(), server.try_clone().unwrap()));
    let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let shared = network.clone();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || pass(&shared, &mut from, &mut to, true, &ends));
    let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let shared = network.clone();
    let (mut from, mut to) = (server, client);
    std::thread::spawn(move || pass(&shared, &mut from, &mut to, false, &ends));
}

fn pass(network: &Network, from: &mut impl Read, to: &mut impl Write, asks: bool, ends: &(TcpStream, UnixStream)) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 {
            break;
        }
        let delay = network.delay.load(Ordering::SeqCst);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
        if network.swallows.load(Ordering::SeqCst) {
            continue;
        }
        let bytes = &bytes[..read];
        let commits = asks && bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
        if commits && network.cut_before_commit.swap(false, Ordering::SeqCst) {
            network.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if commits && network.cut_after_commit.swap(false, Ordering::SeqCst) {
            // The server's end stays open until it has done it: only the answer is lost.
            let _ = ends.0.shutdown(Shutdown::Both);
            let _ = to.write_all(bytes);
            network.cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    hang_up(&ends.0, &ends.1);
}
