//! The floor: what it costs to write the rows of an import and nothing else.
//!
//! As many rows a table and as wide ones as the import left, written by one loop through the store's verbs in
//! transactions of the executor's size, each flushed to the disk. Nothing is read, decided, parsed or queued. Names and
//! profiles of new members are left out: they are a few in a hundred.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use tessera_engine::executor::BATCH_MAX;
use tessera_store::{Database, Row, StoreError, Tx, Value, Writer, tables};

use super::figures::{Cpu, Stopwatch, rounded};
use super::installation::Installation;
use super::random::Random;
use crate::output::Failure;

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub per_second: u64,
    #[serde(flatten)]
    pub cpu: Cpu,
    pub rows_per_event: f64,
}

/// No program of an installation has this number.
const PROGRAM: i64 = 0;

/// How many rows the import left and how wide they are on average.
#[derive(Clone, Copy, Debug)]
struct Shape {
    purchases: u64,
    events: u64,
    entries: u64,
    vouchers: u64,
    payload: usize,
    record: usize,
    state: usize,
}

impl Shape {
    fn of(database: &Database, program: i64, purchases: u64) -> Result<Self, StoreError> {
        let averages = |table: &str, columns: &[&str]| {
            let columns: Vec<String> =
                columns.iter().map(|column| format!(", CAST(AVG(LENGTH({column})) AS BIGINT)")).collect();
            let sql = format!("SELECT CAST(COUNT(*) AS BIGINT){} FROM {table} WHERE program = $1", columns.concat());
            let row = database.read(|reader| reader.query(&sql, &[program.into()]))?.pop().unwrap_or_default();
            row.iter()
                .map(|value| Ok(u64::try_from(value.opt_int()?.unwrap_or(0)).unwrap_or(0)))
                .collect::<Result<Vec<u64>, StoreError>>()
        };
        let event = averages("event", &["payload", "record"])?;
        let member = averages("member", &["state"])?;
        let width = |width: u64| usize::try_from(width).unwrap_or(0);
        Ok(Self {
            purchases,
            events: event[0],
            entries: averages("entry", &[])?[0],
            vouchers: averages("voucher", &[])?[0],
            payload: width(event[1]),
            record: width(event[2]),
            state: width(member[1]),
        })
    }

    /// How many of `rows` fall to the purchase of a number, so that all of them are written in the end.
    fn share(&self, rows: u64, number: u64) -> u64 {
        rows * (number + 1) / self.purchases - rows * number / self.purchases
    }
}

/// What the loop remembers of a member.
struct Member {
    id: [u8; 16],
    bucket: i64,
    version: i64,
    events: i64,
    entries: i64,
}

struct Purchases {
    shape: Shape,
    payload: String,
    record: String,
    state: Vec<u8>,
    members: Vec<Member>,
    random: Random,
    done: u64,
}

/// The rows of a transaction, a list per table.
#[derive(Default)]
struct Batch {
    events: Vec<Row>,
    event_keys: Vec<Row>,
    order_keys: Vec<Row>,
    entries: Vec<Row>,
    vouchers: Vec<Row>,
    members: Vec<Row>,
}

/// Writes what the import wrote once more, after the installation is closed: nothing of it runs beside the loop.
pub fn run(installation: Installation, events: u64, members: u32, seed: u64) -> Result<Figures, Failure> {
    let shape = Shape::of(&installation.engine.context.database, installation.program.number, events.max(1))?;
    let Installation { engine, folder, database_url, run, .. } = installation;
    engine.close();
    let database = match database_url {
        Some(url) => Database::open_postgres(&url)?,
        None => Database::open_sqlite(&folder.path().join("floor.db"))?,
    };
    let mut purchases = Purchases::new(shape, members, Random::new(seed ^ run.unsigned_abs(), 1));
    let mut writer = database.writer()?;
    let (mut making, mut rows) = (Duration::ZERO, 0);
    let stopwatch = Stopwatch::start("floor");
    while purchases.done < shape.purchases {
        let began = Instant::now();
        let batch = purchases.batch();
        making += began.elapsed();
        rows += batch.rows();
        batch.commit(&mut writer)?;
    }
    // Making the rows is no part of writing them.
    let spent = stopwatch.stop().without(making);
    let done = purchases.done;
    Ok(Figures {
        per_second: (done as f64 / spent.seconds()) as u64,
        cpu: spent.cpu(done),
        rows_per_event: rounded(rows as f64 / done as f64, 10.0),
    })
}

impl Purchases {
    fn new(shape: Shape, members: u32, mut random: Random) -> Self {
        let member = |_| {
            let (high, low) = (random.next(), random.next());
            let mut id = [0; 16];
            id[..8].copy_from_slice(&high.to_be_bytes());
            id[8..].copy_from_slice(&low.to_be_bytes());
            Member { id, bucket: bucket(low), version: 0, events: 0, entries: 0 }
        };
        Self {
            shape,
            payload: "p".repeat(shape.payload),
            record: "r".repeat(shape.record),
            state: vec![9; shape.state],
            members: (0..members).map(member).collect(),
            random,
            done: 0,
        }
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut touched = HashSet::with_capacity(BATCH_MAX);
        for _ in 0..BATCH_MAX {
            if self.done == self.shape.purchases {
                break;
            }
            let pick = self.random.below(u32::try_from(self.members.len()).unwrap_or(1)) as usize;
            self.purchase(pick, &mut batch);
            touched.insert(pick);
        }
        // A member who comes twice in a batch is written once.
        for pick in touched {
            let (state, member) = (self.state.as_slice().into(), &mut self.members[pick]);
            member.version += 1;
            batch.members.push(row(member, [member.version.into(), now(self.done), Value::Int(1), state]));
        }
        batch
    }

    fn purchase(&mut self, pick: usize, batch: &mut Batch) {
        let (number, shape) = (self.done, self.shape);
        self.done += 1;
        let now = now(number);
        let (event_key, order_key) = (self.random.next(), self.random.next());
        let member = &mut self.members[pick];
        for _ in 0..shape.share(shape.events, number) {
            member.events += 1;
            let (payload, record) = (self.payload.as_str().into(), self.record.as_str().into());
            let rest = [
                member.events.into(),
                "purchase".into(),
                Value::Int(1),
                now.clone(),
                now.clone(),
                Value::Int(1),
                payload,
                record,
            ];
            batch.events.push(row(member, rest));
        }
        for _ in 0..shape.share(shape.entries, number) {
            member.entries += 1;
            let codes = [Value::Int(1), Value::Int(4), Value::Int(0), Value::Int(185)];
            let head = [member.entries.into(), member.events.into(), now.clone(), "bean".into()];
            let rest = ["2026-01-31".into(), now.clone(), "everyday".into(), Value::Int(1), Value::from([7; 32])];
            batch.entries.push(row(member, head.into_iter().chain(codes).chain(rest)));
        }
        for _ in 0..shape.share(shape.vouchers, number) {
            let code = format!("{:016X}", self.random.next());
            let rest =
                [code.into(), "free-coffee".into(), member.events.into(), now.clone(), now.clone(), Value::Int(1)];
            batch.vouchers.push(row(member, rest));
        }
        let seq: Value = member.events.into();
        batch.event_keys.push(
            [claim(event_key), vec![Value::from([5; 16]), Value::from(member.id), seq.clone(), Value::Null]].concat(),
        );
        batch
            .order_keys
            .push([claim(order_key), vec![Value::from(member.id), seq, Value::Int(1), Value::Null]].concat());
    }
}

/// A row of a member's: the three columns that lead every one, and the rest.
fn row(member: &Member, rest: impl IntoIterator<Item = Value>) -> Row {
    [Value::Int(member.bucket), Value::Int(PROGRAM), Value::from(member.id)].into_iter().chain(rest).collect()
}

/// A second for each purchase from September 2026 on: instants only have to be as wide as real ones.
fn now(number: u64) -> Value {
    Value::Int(1_790_000_000_000_000 + i64::try_from(number).unwrap_or(0) * 1_000_000)
}

fn bucket(hash: u64) -> i64 {
    i64::try_from(hash % 1_024).unwrap_or(0)
}

/// The key columns of a look-up key in its own bucket.
fn claim(key: u64) -> Row {
    let mut wide = [0; 16];
    wide[..8].copy_from_slice(&key.to_be_bytes());
    vec![Value::Int(bucket(key)), Value::Int(PROGRAM), Value::from(wide)]
}

impl Batch {
    fn rows(&self) -> usize {
        let lists = [&self.events, &self.event_keys, &self.order_keys, &self.entries, &self.vouchers, &self.members];
        lists.into_iter().map(Vec::len).sum()
    }

    fn write(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.insert_rows(&tables::EVENT_KEY, &self.event_keys)?;
        tx.insert_rows(&tables::ORDER_KEY, &self.order_keys)?;
        tx.insert_rows(&tables::EVENT, &self.events)?;
        tx.insert_rows(&tables::ENTRY, &self.entries)?;
        tx.insert_rows(&tables::VOUCHER, &self.vouchers)?;
        tx.upsert_rows(&tables::MEMBER, &self.members)
    }

    fn commit(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let mut tx = writer.begin()?;
        self.write(&mut tx)?;
        tx.commit()
    }
}
