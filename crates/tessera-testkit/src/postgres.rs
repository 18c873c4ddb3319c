//! A PostgreSQL of the tests' own.
//!
//! [`database`] gives each test a fresh, empty database in a throw-away cluster that nobody else uses: made with
//! `initdb` in a temporary folder, reachable only through a socket in it, and not waiting for the disk: what a process
//! wrote survives every process, and no test cuts the power. Under `cargo nextest`, where each test is a process, one
//! cluster serves the run; under `cargo test`, one serves each test binary.
//!
//! A small shell loop watches the process that owns the cluster (nextest, or this very process). When that is gone,
//! however it ended, the loop stops the server and removes the folder.
//!
//! Where PostgreSQL is not installed the tests say so and pass, unless `TESSERA_REQUIRE_POSTGRES=1` makes them fail.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a cluster may take to answer its first query.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What a server without a port of its own has in the name of its socket.
const PORT: u16 = 5432;

/// What a server with TLS is told besides; `ssl` is not said on its command line, so that a test can switch it off.
#[allow(dead_code, reason = "not every test that includes this file has such a server")]
const TLS_SETTINGS: &str =
    "\nssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'issuer.crt'\n";

/// Waits for the owner ($1) to end, then stops the server of the folder ($2), whichever it is by then, and removes that.
const WATCH: &str = r#"
trap '' HUP INT TERM
while kill -0 "$1" 2>/dev/null && [ -d "$2" ]; do sleep 0.3; done
server=$(head -n 1 "$2/data/postmaster.pid" 2>/dev/null)
if [ -n "$server" ]; then
  kill -QUIT "$server" 2>/dev/null
  for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$server" 2>/dev/null || break; sleep 0.3; done
  kill -KILL "$server" 2>/dev/null
fi
rm -rf "$2" "$2.lock"
"#;

/// Whether tests that usually take the embedded database shall take PostgreSQL: `TESSERA_TEST_DATABASE=postgres`.
#[allow(dead_code, reason = "not every test that includes this file has the choice")]
pub fn asked_for() -> bool {
    std::env::var_os("TESSERA_TEST_DATABASE").is_some_and(|wanted| wanted == "postgres")
}

/// A fresh, empty database; dropped with this value.
pub struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
}

/// A new database, or nothing (with a note) where PostgreSQL is not installed.
///
/// # Panics
/// If PostgreSQL is there but does not work, or is missing while `TESSERA_REQUIRE_POSTGRES=1`.
#[allow(dead_code, reason = "not every test that includes this file asks for an empty one")]
pub fn database() -> Option<TestDatabase> {
    let cluster = cluster()?;
    let name = new_name();
    let made = cluster.ask(&[&drop_if_there(&name), &format!("CREATE DATABASE {name}")]);
    made.expect("a new database in the tests' own cluster");
    Some(TestDatabase { cluster, name })
}

/// The same with what `prepare` makes in the database at a URL: the first test of a run makes it, the others copy it.
///
/// # Panics
/// As [`database`].
#[allow(dead_code, reason = "not every test that includes this file asks for a prepared one")]
pub fn prepared_database(prepare: impl FnOnce(&str)) -> Option<TestDatabase> {
    let cluster = cluster()?;
    let name = new_name();
    let copy_as =
        |how: &str| cluster.ask(&[&drop_if_there(&name), &format!("CREATE DATABASE {name} TEMPLATE prepared{how}")]);
    // As files: through the log, as servers do it by themselves from version 15 on, it costs four times as much. Those
    // before know no other way, and no word for it.
    let copy = || copy_as(" STRATEGY file_copy").or_else(|_| copy_as(""));
    if copy().is_err() {
        let lock = cluster.lock();
        if copy().is_err() {
            cluster.ask(&[&drop_if_there("preparing"), "CREATE DATABASE preparing"]).expect("a new database");
            prepare(&url_in(&cluster.folder, "preparing"));
            // Whoever was connected to it is gone a moment later; nobody connects to what is copied.
            let deadline = Instant::now() + READY_WITHIN;
            while let Err(error) = cluster.ask(&["ALTER DATABASE preparing RENAME TO prepared"]) {
                assert!(Instant::now() < deadline, "somebody stays connected to the database to be copied: {error}");
                std::thread::sleep(ASK_EVERY);
            }
            copy().expect("a copy of the prepared database");
        }
        drop(lock);
    }
    Some(TestDatabase { cluster, name })
}

fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let found = CLUSTER.get_or_init(|| Programs::find().map(Cluster::shared)).as_ref();
    if found.is_none() {
        missing();
    }
    found
}

fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A process of this number may have been here before and have ended without tidying up.
fn drop_if_there(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name}")
}

impl TestDatabase {
    /// Where it is, in the form `postgres://…`.
    pub fn url(&self) -> String {
        url_in(&self.cluster.folder, &self.name)
    }

    /// What a query for one number says.
    ///
    /// # Panics
    /// If it says something else.
    #[allow(dead_code, reason = "not every test that includes this file asks")]
    pub fn count(&self, sql: &str) -> i64 {
        self.cluster.answer(&self.name, sql).parse().expect("a number")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Only to save room: the cluster goes as a whole in the end.
        let _: io::Result<()> = self.cluster.ask(&[&format!("DROP DATABASE {} WITH (FORCE)", self.name)]);
    }
}

/// A cluster that one test has to itself, to stop and start. Removed with this value.
#[allow(dead_code, reason = "not every test that includes this file hurts one")]
pub struct OwnCluster {
    cluster: Cluster,
    user: Option<User>,
    server: Option<Child>,
}

#[allow(dead_code, reason = "not every test that includes this file hurts one")]
impl OwnCluster {
    /// One of its own, started; nothing (with a note) where PostgreSQL is not installed.
    ///
    /// # Panics
    /// If PostgreSQL is there but does not work, or is missing while `TESSERA_REQUIRE_POSTGRES=1`.
    pub fn new() -> Option<Self> {
        Self::with(Cluster::fill)
    }

    /// One with TLS, which listens on this machine's addresses too. It trusts whoever comes, from `pg_hba` on.
    ///
    /// `files` are put where its settings name them, in PEM: `server.crt`, `server.key` and `issuer.crt`, who issues what
    /// clients show.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_tls(files: &[(&str, &str)]) -> Option<Self> {
        Self::with_and_start(
            |cluster, user| {
                cluster.fill(user)?;
                let settings = cluster.folder.join("data/postgresql.conf");
                fs::OpenOptions::new().append(true).open(settings)?.write_all(TLS_SETTINGS.as_bytes())?;
                files.iter().try_for_each(|(name, text)| cluster.put(name, text, user))
            },
            || Some(free_port()),
        )
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it listens on its socket only.
    pub fn port(&self) -> u16 {
        self.cluster.port.expect("a server that listens")
    }

    /// Writes a file of its data folder, and has it read its settings again.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn put(&self, name: &str, text: &str) {
        self.cluster.put(name, text, self.user.as_ref()).expect("a file in the data folder");
        self.reload();
    }

    /// Has it read its settings again; whoever connects from now on finds them so.
    pub fn reload(&self) {
        let read_at = || self.cluster.answer("postgres", "SELECT pg_conf_load_time()");
        let before = read_at();
        self.run(&["SELECT pg_reload_conf()"]);
        while read_at() == before {
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// One that follows another: it takes what that one writes, and no writes of its own until it is promoted.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn standby_of(leader: &Self) -> Self {
        let copied = Self::with(|cluster, user| cluster.copy(&leader.cluster.folder, user));
        copied.expect("where there is a PostgreSQL, there is another")
    }

    fn with(fill: impl FnOnce(&Cluster, Option<&User>) -> io::Result<()>) -> Option<Self> {
        Self::with_and_start(fill, || None)
    }

    fn with_and_start(
        fill: impl FnOnce(&Cluster, Option<&User>) -> io::Result<()>,
        port: impl FnOnce() -> Option<u16>,
    ) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(programs) = Programs::find() else {
            missing();
            return None;
        };
        let name = format!("tessera-pg-own-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut cluster = Cluster { programs, folder: std::env::temp_dir().join(name), port: None };
        let user = cluster.make(fill).expect("a PostgreSQL of the test's own");
        cluster.watch(std::process::id()).expect("a shell");
        cluster.port = port();
        let mut own = Self { cluster, user, server: None };
        own.start();
        Some(own)
    }

    /// Runs statements as the superuser, each by itself.
    ///
    /// # Panics
    /// If one is refused.
    pub fn run(&self, statements: &[&str]) {
        self.cluster.ask(statements).expect("the statements of a test");
    }

    /// Waits until a query for a truth says `t`.
    pub fn wait_until(&self, sql: &str) {
        while self.cluster.answer("postgres", sql) != "t" {
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&mut self) {
        let mut server = self.cluster.launch(self.user.as_ref()).expect("PostgreSQL starts");
        self.cluster.wait_for(&mut server).expect("PostgreSQL answers");
        self.server = Some(server);
    }

    /// Stops it as `pg_ctl stop -m` does: `fast` ends transactions, `immediate` leaves them to recovery.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self, mode: &str) {
        let signal = if mode == "immediate" { "-QUIT" } else { "-INT" };
        let Some(mut server) = self.server.take() else { return };
        let told = Command::new("kill").args([signal, &server.id().to_string()]).status().expect("kill runs");
        assert!(told.success(), "PostgreSQL has ended already");
        server.wait().expect("PostgreSQL ends");
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.cluster.folder.join(format!(".s.PGSQL.{}", self.cluster.port.unwrap_or(PORT)))
    }

    /// Where its database is, by its socket, in the form `postgres://…`.
    pub fn url(&self) -> String {
        Self::url_of(&[self])
    }

    /// Where the database of several is, which are asked in this order.
    pub fn url_of(each: &[&Self]) -> String {
        let hosts: Vec<String> = each.iter().map(|own| own.cluster.host()).collect();
        format!("postgres://postgres@{}/postgres", hosts.join(","))
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The watcher removes what is left should this fail.
            let _: io::Result<()> = server.kill();
            let _: io::Result<_> = server.wait();
        }
        let _: io::Result<()> = fs::remove_dir_all(&self.cluster.folder);
    }
}

/// A port of this machine that nobody has at this moment.
#[allow(dead_code, reason = "not every test that includes this file has a server that listens")]
fn free_port() -> u16 {
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    taken.expect("a free port").port()
}

fn url_in(folder: &Path, database: &str) -> String {
    format!("postgres://postgres@{}/{database}", host_in(folder))
}

/// A socket's folder as the host of a URL.
fn host_in(folder: &Path) -> String {
    folder.to_string_lossy().replace('%', "%25").replace('/', "%2F")
}

fn missing() {
    let required = std::env::var_os("TESSERA_REQUIRE_POSTGRES").is_some_and(|value| value == "1");
    assert!(!required, "TESSERA_REQUIRE_POSTGRES=1, but no PostgreSQL (initdb, postgres, psql) was found");
    println!("skipped: no PostgreSQL");
}

/// Where `initdb`, `postgres` and `psql` are.
struct Programs {
    bin: PathBuf,
    psql: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let configured = Command::new("pg_config").arg("--bindir").output().ok();
        let configured = configured.map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim().to_owned()));
        let mut bins: Vec<PathBuf> = configured.into_iter().collect();
        // Debian and its kin keep one folder per version: the newest first.
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = versions
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_by(|one, other| other.cmp(one));
        bins.extend(versions.into_iter().map(|(_, bin)| bin));
        let path = std::env::var_os("PATH").unwrap_or_default();
        bins.extend(std::env::split_paths(&path));

        let bin = bins.iter().find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())?;
        let psql = bins.iter().map(|bin| bin.join("psql")).find(|psql| psql.is_file())?;
        Some(Self { bin: bin.clone(), psql })
    }
}

struct Cluster {
    programs: Programs,
    folder: PathBuf,
    /// Where it listens besides its socket, if it does.
    port: Option<u16>,
}

impl Cluster {
    /// Its socket as the host of a URL.
    #[allow(dead_code, reason = "not every test that includes this file has a cluster of its own")]
    fn host(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", host_in(&self.folder))
    }

    /// The cluster of this test run; the first test process that asks starts it.
    fn shared(programs: Programs) -> Self {
        // Under nextest the parent of every test process is nextest itself, which outlives them all.
        let run = std::env::var("NEXTEST_RUN_ID").ok();
        let owner = if run.is_some() { parent_id() } else { std::process::id() };
        let key: String = run.as_deref().unwrap_or("p").chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let folder = std::env::temp_dir().join(format!("tessera-pg-{key}-{owner}"));
        let cluster = Self { programs, folder, port: None };
        let _lock = cluster.lock();
        if cluster.ask(&["SELECT 1"]).is_err() {
            cluster.start(owner).expect("a PostgreSQL of the tests' own");
        }
        cluster
    }

    /// One process of a run at a time, until the file is dropped.
    fn lock(&self) -> File {
        let lock = File::create(self.folder.with_extension("lock")).expect("a lock file in the temporary folder");
        lock.lock().expect("the lock of the tests' PostgreSQL");
        lock
    }

    /// Makes the cluster and starts it; the caller holds the lock.
    fn start(&self, owner: u32) -> io::Result<()> {
        let user = self.make(Self::fill)?;
        let mut server = self.launch(user.as_ref())?;
        self.watch(owner)?;
        self.wait_for(&mut server)
    }

    /// Makes the folder and what is in it; says as whom it is to run.
    fn make(&self, fill: impl FnOnce(&Self, Option<&User>) -> io::Result<()>) -> io::Result<Option<User>> {
        // What is left of one that died on the way.
        let _: io::Result<()> = fs::remove_dir_all(&self.folder);
        fs::DirBuilder::new().mode(0o700).create(&self.folder)?;
        let user = User::unprivileged(&self.folder)?;
        if let Some(user) = &user {
            chown(&self.folder, Some(user.uid), Some(user.gid))?;
        }
        fill(self, user.as_ref())?;
        Ok(user)
    }

    /// Makes an empty cluster.
    fn fill(&self, user: Option<&User>) -> io::Result<()> {
        let data = self.folder.join("data");
        // Words sorted as people do, as on most servers: whoever relies on the order of bytes must say so. Not every
        // build can.
        let linguistic = ["--locale-provider=icu", "--icu-locale=en"].as_slice();
        self.init(&data, user, linguistic).or_else(|_| self.init(&data, user, &[]))
    }

    /// Copies the cluster that runs in another folder, to follow it.
    fn copy(&self, leader: &Path, user: Option<&User>) -> io::Result<()> {
        let mut copy = self.command(&self.programs.bin.join("pg_basebackup"), user);
        copy.args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-h"]).arg(leader);
        let copied = copy.arg("-D").arg(self.folder.join("data")).output()?;
        if copied.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr))))
    }

    fn launch(&self, user: Option<&User>) -> io::Result<Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"))?;
        let mut postgres = self.command(&self.programs.bin.join("postgres"), user);
        postgres.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        if let Some(port) = self.port {
            postgres.args(["-c", "listen_addresses=localhost", "-p", &port.to_string()]);
        } else {
            postgres.args(["-c", "listen_addresses="]);
        }
        for setting in ["fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB"] {
            postgres.args(["-c", setting]);
        }
        // A group of its own: a Ctrl-C for the tests must not reach it before the watcher does.
        postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        postgres.spawn()
    }

    /// Writes a file into the data folder, for nobody but the server.
    #[allow(dead_code, reason = "not every test that includes this file has one to write")]
    fn put(&self, name: &str, text: &str, user: Option<&User>) -> io::Result<()> {
        let file = self.folder.join("data").join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        user.map_or(Ok(()), |user| chown(&file, Some(user.uid), Some(user.gid)))
    }

    fn watch(&self, owner: u32) -> io::Result<()> {
        let mut watcher = Command::new("sh");
        watcher.args(["-c", WATCH, "tessera-pg-watch", &owner.to_string()]).arg(&self.folder);
        watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().map(drop)
    }

    /// Waits until it answers.
    fn wait_for(&self, server: &mut Child) -> io::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = self.ask(&["SELECT 1"]) {
            let ended = server.try_wait()?.is_some();
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not answer: {error}\n{log}")));
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(())
    }

    fn init(&self, data: &Path, user: Option<&User>, locale: &[&str]) -> io::Result<()> {
        let mut initdb = self.command(&self.programs.bin.join("initdb"), user);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]).args(locale);
        let made = initdb.arg("-D").arg(data).output()?;
        if made.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))))
    }

    /// Runs statements as the superuser, each by itself.
    fn ask(&self, statements: &[&str]) -> io::Result<()> {
        let mut psql = self.command(&self.programs.psql, None);
        psql.args(["-X", "-q", "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-h"]).arg(&self.folder);
        psql.args(["-p", &self.port.unwrap_or(PORT).to_string()]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let answer = psql.output()?;
        if answer.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&answer.stderr).into_owned()))
    }

    /// What a query for one value says; nothing where it is refused.
    fn answer(&self, database: &str, sql: &str) -> String {
        let mut psql = self.command(&self.programs.psql, None);
        psql.args(["-X", "-q", "-A", "-t", "-U", "postgres", "-d", database, "-c", sql, "-h"]).arg(&self.folder);
        psql.args(["-p", &self.port.unwrap_or(PORT).to_string()]);
        let answer = psql.output().expect("psql runs");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// A program that sees none of the caller's settings (`PGHOST`, `PGDATA`, …), as the given user.
    fn command(&self, program: &Path, user: Option<&User>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // A folder the user may enter, whoever that is.
        command.current_dir(OsStr::new("/")).env("LC_ALL", "C");
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

/// Who runs the server: PostgreSQL refuses root.
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `nobody`, if we are root (as whoever owns a folder we just made tells); otherwise we ourselves.
    fn unprivileged(our_folder: &Path) -> io::Result<Option<Self>> {
        if fs::metadata(our_folder)?.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let nobody = users.lines().find_map(|line| {
            let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
            Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        });
        Ok(Some(nobody.unwrap_or(Self { uid: 65_534, gid: 65_534 })))
    }
}
