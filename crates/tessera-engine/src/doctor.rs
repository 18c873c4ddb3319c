//! Whether an installation is well: one check after the other, each with what is wrong and what to do about it.
//!
//! Nothing is written, so it works beside a running server. A check that cannot be made because of an earlier one says
//! so instead of guessing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde::Serialize;
use tessera_core::time::Instant;
use tessera_store::{Database, Schema, StoreError};

use crate::clock::Clock;
use crate::engine::{EngineError, Location};
use crate::executor::Context;
use crate::folder::Lock;
use crate::installation;
use crate::programs::{ProgramHandle, Programs};
use crate::secret::{SecretError, Secrets};
use crate::verify::{Verification, verify, verify_some};

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Good,
    /// It could not be looked at; `found` says why.
    Skipped,
    /// It goes on, but somebody should look.
    Warning,
    /// It must be put right.
    Problem,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub check: &'static str,
    pub state: State,
    /// What is, or what is wrong.
    pub found: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Check {
    fn new(check: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { check, state, found: found.into(), advice: None }
    }

    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Good, found)
    }

    fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, why)
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(check, State::Warning, found) }
    }

    fn problem(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(check, State::Problem, found) }
    }
}

/// Members folded again per program, unless all are.
pub const SAMPLE: u32 = 200;
/// What was due and is not done after this time is late: fifteen minutes, in microseconds.
const LATE: i64 = 15 * 60 * 1_000_000;
/// Room on the disk below which writing may fail any time.
const ROOM_PROBLEM: u64 = 256 << 20;
/// Room below which it is time to make some.
const ROOM_WARNING: u64 = 1 << 30;
/// A log beyond this is not copied back: a reader holds it, or the copying fails.
const LOG_WARNING: u64 = 2 << 30;
/// Members have buckets below this.
const BUCKETS: i64 = 1024;

/// Looks at everything. With `full`, every member is folded again, else [`SAMPLE`] of each program. `progress` is told
/// how many were.
pub fn examine(location: &Location, clock: Arc<dyn Clock>, full: bool, progress: &mut dyn FnMut(u64)) -> Vec<Check> {
    let embedded = location.database_url.is_none();
    let mut checks = Vec::new();
    if embedded || location.master_key.is_none() {
        checks.push(folder(&location.folder));
    }
    let (key, secrets) = master_key(location);
    checks.push(key);
    let lock = embedded.then(|| Lock::of(&location.folder));
    if let Some(lock) = &lock {
        checks.push(writer(lock));
        checks.push(disk(location));
    }
    let (schema, readable) = schema(location);
    checks.push(schema);
    let database = readable.then(|| open(location)).transpose();
    let database = match database {
        Ok(Some(database)) => database,
        Ok(None) => {
            checks.extend(WITH_DATABASE.map(|check| Check::skipped(check, "the database cannot be read")));
            return checks;
        }
        Err(error) => {
            checks.push(Check::problem("database", error.to_string(), "put right what it says"));
            return checks;
        }
    };
    checks.push(if embedded { file(location, &database) } else { Check::skipped(FILE, "it is its server's to check") });
    checks.push(key_fits(&database, secrets.as_ref()));
    let (loaded, programs) = load(&database);
    checks.extend(loaded);
    let serving = lock.is_none_or(|lock| matches!(lock, Ok(Lock::Held(_))));
    let now = clock.now();
    checks.push(or_unread(WAKE_UPS, wake_ups(&database, now, serving)));
    checks.push(or_unread(OUTBOX, outbox(&database, now, serving)));
    if programs.iter().any(|program| !program.versions().at(now).definition.code_pools.is_empty()) {
        checks.push(or_unread(CODE_POOLS, code_pools(&database, &programs, now)));
    }
    match secrets {
        // Orders are found by keyed hashes.
        None => checks.push(Check::skipped(LEDGER, "without the master key orders cannot be found")),
        Some(secrets) => {
            // A note that cannot be read is found by whoever opens the installation.
            let shards = crate::installation::shards(&database).unwrap_or_default();
            let context = Context { database, secrets, clock, programs: Programs::default(), shards };
            let of = |program: &Arc<ProgramHandle>| match full {
                true => verify(&context, program, progress),
                false => {
                    let bucket = now.micros().rem_euclid(BUCKETS);
                    verify_some(&context, program, (bucket, SAMPLE), progress)
                }
            };
            checks.push(or_unread(LEDGER, ledger(&programs, full, of)));
        }
    }
    checks
}

const FILE: &str = "file";
const KEY_FITS: &str = "key fits";
const PROGRAMS: &str = "programs";
const WAKE_UPS: &str = "wake-ups";
const OUTBOX: &str = "outbox";
const CODE_POOLS: &str = "code pools";
const LEDGER: &str = "ledger";
/// The checks that read the database.
const WITH_DATABASE: [&str; 6] = [FILE, KEY_FITS, PROGRAMS, WAKE_UPS, OUTBOX, LEDGER];

fn or_unread(check: &'static str, made: Result<Check, StoreError>) -> Check {
    made.unwrap_or_else(|error| Check::problem(check, error.to_string(), "restore a backup if it stays so"))
}

fn folder(folder: &Path) -> Check {
    let name = folder.display();
    let metadata = match std::fs::metadata(folder) {
        Err(error) => {
            return Check::problem("folder", format!("{name}: {error}"), "name the data folder with --data");
        }
        Ok(metadata) if !metadata.is_dir() => {
            return Check::problem("folder", format!("{name} is a file"), "name the data folder with --data");
        }
        Ok(metadata) => metadata,
    };
    if mode(&metadata) & 0o002 != 0 {
        let found = format!("{name} may be changed by everybody on this machine");
        return Check::problem("folder", found, format!("chmod o-w {name}"));
    }
    Check::good("folder", name.to_string())
}

/// The permissions of a file; none where the system has no such thing.
fn mode(metadata: &std::fs::Metadata) -> u32 {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    #[cfg(not(unix))]
    0
}

fn master_key(location: &Location) -> (Check, Option<Secrets>) {
    const CHECK: &str = "master key";
    let secrets = match location.secrets(false) {
        Ok(secrets) => secrets,
        Err(error) => {
            let advice = "put master.key back from where it is kept apart, or give it in TESSERA_MASTER_KEY";
            let found = match &error {
                SecretError::Missing(path) => format!("{} is missing", path.display()),
                other => other.to_string(),
            };
            return (Check::problem(CHECK, found, advice), None);
        }
    };
    let path = location.key_file();
    // Where the environment gives the key, a file that still lies there is no less of a secret.
    let check = match std::fs::metadata(&path) {
        Ok(metadata) if mode(&metadata) & 0o077 != 0 => {
            let found = format!("{} may be read by others than its owner", path.display());
            Check::problem(CHECK, found, format!("chmod 600 {}", path.display()))
        }
        Ok(_) if location.master_key.is_none() => Check::good(CHECK, format!("{}, for its owner only", path.display())),
        _ => Check::good(CHECK, "from the environment"),
    };
    (check, Some(secrets))
}

fn writer(lock: &std::io::Result<Lock>) -> Check {
    const CHECK: &str = "lock";
    match lock {
        Ok(Lock::Held(Some(holder))) => Check::good(CHECK, format!("in use by {holder}")),
        Ok(Lock::Held(None)) => Check::good(CHECK, "in use by a process that does not say who it is"),
        Ok(Lock::Free(Some(last))) => Check::good(CHECK, format!("free; the last to write was {last}")),
        Ok(Lock::Free(None)) => Check::good(CHECK, "free"),
        Err(error) => Check::problem(
            CHECK,
            format!("files cannot be locked here ({error}): two processes could write at once"),
            "move the data folder to a local disk",
        ),
    }
}

/// Bytes free on the disk of a folder, as `df` tells; nothing where there is no `df`.
fn room(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // Filesystem, blocks, used, available: names hold no spaces before the numbers of the second line.
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib << 10)
}

fn disk(location: &Location) -> Check {
    const CHECK: &str = "disk";
    let Some(free) = room(&location.folder) else {
        return Check::skipped(CHECK, "this system does not tell how much room is left");
    };
    let found = format!("{} free", size(free));
    match free {
        ..ROOM_PROBLEM => Check::problem(CHECK, found, "make room: without it nothing can be written"),
        ROOM_PROBLEM..ROOM_WARNING => {
            Check::warning(CHECK, found, "make room, or move the data folder to a larger disk")
        }
        _ => Check::good(CHECK, found),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Where the schema of the database of a location stands.
pub fn schema_of(location: &Location) -> Result<Schema, StoreError> {
    match &location.database_url {
        Some(url) => Database::schema_of_postgres(url),
        None => Database::schema_of_sqlite(&location.database_file()),
    }
}

/// And whether the database can be read by this program.
fn schema(location: &Location) -> (Check, bool) {
    const CHECK: &str = "schema";
    let file = location.database_file();
    if location.database_url.is_none() && !file.exists() {
        let advice = "name the data folder with --data, make an installation with `tessera program apply FILE`, or \
                      restore a backup";
        return (Check::problem(CHECK, format!("there is no database {}", file.display()), advice), false);
    }
    match schema_of(location) {
        Ok(Schema { applied, pending }) if pending.is_empty() => {
            let newest = applied.last().copied().unwrap_or("empty");
            (Check::good(CHECK, format!("{newest}, as this program knows it")), true)
        }
        Ok(Schema { pending, .. }) => {
            let found = format!("still to come: {}", pending.join(", "));
            (Check::problem(CHECK, found, "run `tessera migrate`; `tessera serve` does it when it starts"), false)
        }
        Err(error @ StoreError::SchemaTooNew { .. }) => {
            (Check::problem(CHECK, error.to_string(), "install the newer version of Tessera"), false)
        }
        Err(error @ StoreError::SchemaBroken { .. }) => (Check::problem(CHECK, error.to_string(), RESTORE), false),
        Err(error @ StoreError::Database(_)) if location.database_url.is_none() => {
            (Check::problem(CHECK, error.to_string(), RESTORE), false)
        }
        Err(error) => (Check::problem(CHECK, error.to_string(), "make the database reachable"), false),
    }
}

const RESTORE: &str = "restore a backup: `tessera backup restore FILE --data DIR`";

fn open(location: &Location) -> Result<Database, StoreError> {
    match &location.database_url {
        Some(url) => Database::open_postgres_to_read(url),
        None => Database::open_sqlite_to_read(&location.database_file()),
    }
}

/// SQLite's own check of every page.
fn file(location: &Location, database: &Database) -> Check {
    let found = database.read(|reader| reader.query("PRAGMA quick_check(3)", &[]));
    let words: Vec<String> = match found {
        Ok(rows) => rows.into_iter().flatten().filter_map(|text| text.into_text().ok()).collect(),
        Err(error) => vec![error.to_string()],
    };
    if words != ["ok"] {
        return Check::problem(FILE, format!("the database file is damaged: {}", words.join("; ")), RESTORE);
    }
    let file = location.database_file();
    let length = |file: &Path| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let log = length(&file.with_extension("db-wal"));
    let found = format!("{}, every page as it should be; log {}", size(length(&file)), size(log));
    match log {
        LOG_WARNING.. => Check::warning(
            FILE,
            found,
            "the log is not copied back: end the backup, export or report that reads for so long, or restart the server",
        ),
        _ => Check::good(FILE, found),
    }
}

fn key_fits(database: &Database, secrets: Option<&Secrets>) -> Check {
    let Some(secrets) = secrets else { return Check::skipped(KEY_FITS, "there is no master key") };
    match installation::check(database, secrets) {
        Ok(()) => Check::good(KEY_FITS, format!("the database is of the master key {}", secrets.fingerprint())),
        Err(error @ EngineError::Secret(SecretError::OtherKey)) => Check::problem(
            KEY_FITS,
            error.to_string(),
            "find the master.key that was made with this database: no other opens it",
        ),
        Err(error) => Check::problem(KEY_FITS, error.to_string(), RESTORE),
    }
}

/// Every program, as a server would load it: a document that this version no longer takes stops its program.
fn load(database: &Database) -> (Vec<Check>, Vec<Arc<ProgramHandle>>) {
    let programs = Programs::default();
    let keys = match programs.list(database) {
        Ok(keys) => keys,
        Err(error) => return (vec![Check::problem(PROGRAMS, error.to_string(), RESTORE)], Vec::new()),
    };
    let (mut checks, mut loaded) = (Vec::new(), Vec::new());
    for key in &keys {
        match programs.get(database, key) {
            Ok(program) => loaded.push(program),
            Err(error) => checks.push(Check::problem(
                PROGRAMS,
                format!("`{key}` does not load: {error}"),
                "go back to the version of Tessera that published it, and report this",
            )),
        }
    }
    if checks.is_empty() {
        let found = match keys.as_slice() {
            [] => "none yet".to_owned(),
            keys => format!("{} load", keys.join(", ")),
        };
        checks.push(Check::good(PROGRAMS, found));
    }
    (checks, loaded)
}

/// Codes of partners that run low, by the document in force.
fn code_pools(database: &Database, programs: &[Arc<ProgramHandle>], now: Instant) -> Result<Check, StoreError> {
    let (mut pools, mut low) = (0, Vec::new());
    for program in programs {
        let rules = program.versions().at(now).clone();
        let found = database.read(|reader| crate::codes::pools_of(reader, program.number, &rules.definition, "en"))?;
        pools += found.len();
        let words =
            |pool: &crate::codes::CodePoolView| format!("{} left in `{}` of `{}`", pool.left, pool.pool, program.key);
        low.extend(found.iter().filter(|pool| pool.low).map(words));
    }
    Ok(match low.as_slice() {
        [] => Check::good(CODE_POOLS, format!("{pools} pools, none is low")),
        low => Check::warning(
            CODE_POOLS,
            low.join(", "),
            "ask the partner for more, and bring them in: POST /v1/programs/PROGRAM/code-pools/POOL/codes",
        ),
    })
}

/// How long ago a time is, in the largest unit that is not too coarse.
fn ago(at: i64, now: Instant) -> String {
    match (now.micros() - at) / 60_000_000 {
        minutes @ ..120 => format!("{minutes} minutes ago"),
        minutes @ 120..2_880 => format!("{} hours ago", minutes / 60),
        minutes => format!("{} days ago", minutes / 1_440),
    }
}

fn wake_ups(database: &Database, now: Instant, serving: bool) -> Result<Check, StoreError> {
    let late: [_; 1] = [(now.micros() - LATE).into()];
    let rows = database.read(|reader| {
        reader.query("SELECT CAST(COUNT(*) AS BIGINT), MIN(wake_at) FROM member WHERE wake_at <= $1", &late)
    })?;
    let Some((count, Some(oldest))) =
        rows.first().map(|row| Ok::<_, StoreError>((row[0].int()?, row[1].opt_int()?))).transpose()?
    else {
        return Ok(Check::good(WAKE_UPS, "none is late"));
    };
    let found = format!("{count} members should have been woken, the first {}", ago(oldest, now));
    Ok(Check::warning(WAKE_UPS, found, late_advice(serving)))
}

fn late_advice(serving: bool) -> &'static str {
    if serving {
        "the server is behind: see its log, and `tessera_wake_up_lag_seconds` in its metrics"
    } else {
        "start `tessera serve`, which catches up; no figure is wrong meanwhile"
    }
}

fn outbox(database: &Database, now: Instant, serving: bool) -> Result<Check, StoreError> {
    let (waiting, oldest, dead) = database.read(|reader| {
        let late = reader.query(
            "SELECT CAST(COUNT(*) AS BIGINT), MIN(due_at) FROM outbox WHERE state = 0 AND due_at <= $1",
            &[(now.micros() - LATE).into()],
        )?;
        let dead = reader.query("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE state = 2", &[])?;
        let count = |rows: &[Vec<tessera_store::Value>]| rows.first().map_or(Ok(0), |row| row[0].int());
        let oldest = late.first().map_or(Ok(None), |row| row[1].opt_int())?;
        Ok((count(&late)?, oldest, count(&dead)?))
    })?;
    Ok(match (oldest, dead) {
        (None, 0) => Check::good(OUTBOX, "nothing is late"),
        (Some(oldest), _) => {
            let found = format!("{waiting} wait and should be done, the first {}", ago(oldest, now));
            Check::warning(OUTBOX, found, late_advice(serving))
        }
        (None, dead) => Check::warning(
            OUTBOX,
            format!("{dead} were given up: an event that had waited was refused, or something between two members"),
            "the log of the server says which and why; send a corrected event under an id of its own; `tessera verify` \
             says whether points are between two members",
        ),
    })
}

fn ledger(
    programs: &[Arc<ProgramHandle>],
    full: bool,
    mut of: impl FnMut(&Arc<ProgramHandle>) -> Result<Verification, StoreError>,
) -> Result<Check, StoreError> {
    let (mut members, mut events, mut differing) = (0, 0, Vec::new());
    for program in programs {
        let found = of(program)?;
        members += found.members;
        events += found.events;
        if !found.differences.is_empty() {
            differing.push(format!("{} differences in `{}`", found.differences.len(), program.key));
        }
    }
    let which = if full { "all" } else { "a sample" };
    let found = format!("{members} members ({which}) and {events} events folded again");
    if differing.is_empty() {
        return Ok(Check::good(LEDGER, format!("{found}: no difference")));
    }
    let advice = "`tessera verify --program PROGRAM` lists them; restore a backup from before if the file was changed \
                  by hand, and report this if it was not";
    Ok(Check::problem(LEDGER, format!("{found}: {}", differing.join(", ")), advice))
}
