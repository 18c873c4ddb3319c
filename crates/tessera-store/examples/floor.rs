//! The floor: what it costs to write the rows of a purchase, and nothing else.
//!
//! One thread writes an event, its key, its order, two entries and the member's state (300 bytes) per purchase, 64
//! purchases a transaction, every commit flushed to the disk. Nothing is read, decided, parsed or queued, so no path
//! through the engine can be cheaper; how near it comes is what `docs/performance.md` watches.
//!
//! `cargo run --release -p tessera-store --example floor -- [EVENTS] [MEMBERS] [postgres://…]`

use std::error::Error;
use std::time::{Duration, Instant};

use tessera_store::{Database, Row, StoreError, Tx, Value, Writer, tables};

const BATCH: usize = 64;
const PROGRAM: i64 = 1;
const ROWS_PER_EVENT: usize = 6;

/// What the loop remembers of a member: its version, which is also how many events it has.
struct Member {
    id: [u8; 16],
    bucket: i64,
    version: i64,
}

struct Purchases {
    members: Vec<Member>,
    payload: String,
    record: String,
    events: u64,
    random: u64,
}

/// The rows of a batch, a list per table.
#[derive(Default)]
struct Batch {
    events: Vec<Row>,
    event_keys: Vec<Row>,
    order_keys: Vec<Row>,
    entries: Vec<Row>,
    members: Vec<Row>,
}

impl Purchases {
    fn new(members: usize) -> Self {
        let mut purchases = Self {
            members: Vec::with_capacity(members),
            payload: "{\"order_id\":\"2026-11-22/4711\",\"currency\":\"VND\",\"total\":\"185000\"}".repeat(9),
            record: "{\"version\":3,\"tier\":\"gold\",\"effects\":[{\"type\":\"earn\",\"amount\":185}]}".repeat(7),
            events: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        };
        for _ in 0..members {
            let (high, low) = (purchases.random(), purchases.random());
            let mut id = [0; 16];
            id[..8].copy_from_slice(&high.to_be_bytes());
            id[8..].copy_from_slice(&low.to_be_bytes());
            purchases.members.push(Member { id, bucket: bucket(low), version: 0 });
        }
        purchases
    }

    /// splitmix64: the same run every time.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut seen = std::collections::HashSet::with_capacity(BATCH);
        while batch.events.len() < BATCH {
            let pick = usize::try_from(self.random() % self.members.len() as u64).unwrap_or(0);
            if seen.insert(pick) {
                self.purchase(pick, &mut batch);
            }
        }
        batch
    }

    fn purchase(&mut self, pick: usize, batch: &mut Batch) {
        self.events += 1;
        let now = 1_790_000_000_000_000 + i64::try_from(self.events).unwrap_or(0);
        let (event_key, order_key) = (self.random(), self.random());
        let member = &mut self.members[pick];
        member.version += 1;
        let seq = member.version;
        let lead = || vec![Value::Int(member.bucket), Value::Int(PROGRAM), Value::from(member.id)];
        let row = |rest: Vec<Value>| [lead(), rest].concat();
        batch.events.push(row(vec![
            seq.into(),
            "purchase".into(),
            Value::Int(1),
            now.into(),
            now.into(),
            Value::Int(3),
            self.payload.as_str().into(),
            self.record.as_str().into(),
        ]));
        for (side, kind) in [(0, 1), (1, 2)] {
            batch.entries.push(row(vec![
                (2 * seq + side).into(),
                seq.into(),
                now.into(),
                "points".into(),
                Value::Int(kind),
                Value::Int(4),
                Value::Int(0),
                Value::Int(185),
                "2027-11-30".into(),
                (now + 1).into(),
                "base".into(),
                Value::Int(3),
                Value::from([7; 32]),
            ]));
        }
        batch.members.push(row(vec![seq.into(), now.into(), Value::Int(1), Value::from([9; 300])]));
        let claim = |key: u64| vec![bucket(key).into(), Value::Int(PROGRAM), wide(key)];
        let known = vec![Value::from([5; 32]), Value::from(member.id), seq.into(), Value::Null];
        batch.event_keys.push([claim(event_key), known].concat());
        let order = vec![Value::from(member.id), seq.into(), Value::Int(1), Value::Null];
        batch.order_keys.push([claim(order_key), order].concat());
    }
}

fn bucket(hash: u64) -> i64 {
    i64::try_from(hash % 1_024).unwrap_or(0)
}

fn wide(key: u64) -> Value {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    Value::from(bytes)
}

impl Batch {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.insert_rows(&tables::EVENT_KEY, &self.event_keys)?;
        tx.insert_rows(&tables::ORDER_KEY, &self.order_keys)?;
        tx.insert_rows(&tables::EVENT, &self.events)?;
        tx.insert_rows(&tables::ENTRY, &self.entries)?;
        tx.upsert_rows(&tables::MEMBER, &self.members)
    }

    fn commit(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let mut tx = writer.begin()?;
        self.write(&mut tx)?;
        tx.commit()
    }
}

/// User and system time of this process, as Linux tells it in hundredths of a second.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(200_000), |text| text.parse())?;
    let members: usize = args.next().map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let database = match args.next() {
        Some(url) => Database::open_postgres(&url)?,
        None => Database::open_sqlite(&folder.path().join("floor.db"))?,
    };
    let mut writer = database.writer()?;
    let mut purchases = Purchases::new(members);

    let (mut making, mut slowest, mut commits) = (Duration::ZERO, Duration::ZERO, Vec::new());
    let (started, cpu_before) = (Instant::now(), cpu_time());
    while purchases.events < events {
        let begun = Instant::now();
        let batch = purchases.batch();
        let made = Instant::now();
        batch.commit(&mut writer)?;
        making += made - begun;
        slowest = slowest.max(made.elapsed());
        commits.push(made.elapsed());
    }
    let (took, cpu_after) = (started.elapsed() - making, cpu_time());

    let done = purchases.events as f64;
    let rate = done / took.as_secs_f64();
    commits.sort_unstable();
    let median = commits.get(commits.len() / 2).copied().unwrap_or_default();
    let late = commits.get(commits.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "{:?}: {done} events of {ROWS_PER_EVENT} rows, {members} members, {BATCH} events a transaction",
        database.dialect()
    );
    println!("  {rate:.0} events/s, {:.0} rows/s", rate * ROWS_PER_EVENT as f64);
    println!("  a batch takes {median:.1?} (median), {late:.1?} (p99), {slowest:.1?} (slowest)");
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        // Making the rows is no part of writing them.
        let cpu = (after - before).saturating_sub(making);
        println!("  {:.1} µs of this process's CPU per event", cpu.as_secs_f64() * 1e6 / done);
    }
    Ok(())
}
