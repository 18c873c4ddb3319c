//! Rows that were read lately, as they are now: whoever asks for them again needs no statement.
//!
//! Only of the embedded database, and only while this handle has the writer: then nobody else changes its rows. Commits
//! count moments up, by one when they begin and by one when they have told what they wrote. A read that begins between two
//! commits takes kept rows for those of its moment as long as nobody has written them since, and keeps what it finds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::table::Table;
use crate::tables::{CODE_POOL, MEMBER, MEMBER_IDENTIFIER, MEMBER_PROFILE, ORDER_KEY, POOL, VOUCHER_CODE};
use crate::value::{Row, Value};

/// The tables whose rows are kept: what quotes and looks at members ask for.
const KEPT: [&Table; 7] = [&MEMBER, &MEMBER_IDENTIFIER, &MEMBER_PROFILE, &ORDER_KEY, &POOL, &CODE_POOL, &VOUCHER_CODE];

/// The most memory that kept rows take, in bytes: some fifty thousand members who come often.
const BYTES_MAX: u64 = 32 << 20;
/// What a row takes beside its values, in bytes: the place in the table, and what allocating costs.
const ROW_OVERHEAD: u64 = 96;
/// A transaction that writes more rows than this forgets all of them, rather than remember which.
const CHANGES_MAX: usize = 1 << 13;
/// Rows to begin with.
const ROWS: usize = 1 << 10;
/// Rows share so many marks of when they were last written. A mark that two share costs one of them a read.
const MARKS: usize = 1 << 12;

/// The table's place in [`KEPT`], and the values of the key.
type Key = Box<[u8]>;
/// `None`: there is no such row.
type Kept = Option<Arc<Row>>;

/// The rows of one database.
pub(crate) struct RecentRows {
    rows: Cache<Key, Kept, ByBytes>,
    /// The moment at which rows were last written, by the hash of their keys.
    marks: Box<[AtomicU64]>,
    /// The moment at which any of them may have been.
    all: AtomicU64,
    /// Held by whoever changes what is kept: a row may be found that a commit is about to tell.
    changing: Mutex<()>,
    /// Odd while a commit is under way.
    moment: AtomicU64,
    /// Whether this handle has the writer.
    is_own: AtomicBool,
}

/// What a transaction has written, until it commits.
#[derive(Default)]
pub(crate) struct Changes {
    /// `None` for a row that nobody has asked for lately.
    rows: Vec<(Key, Option<Arc<Row>>)>,
    /// Any row may have changed.
    all: bool,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Kept> for ByBytes {
    fn weight(&self, key: &Key, row: &Kept) -> u64 {
        let values: usize = row.iter().flat_map(|row| row.iter()).map(size).sum();
        ROW_OVERHEAD + key.len() as u64 + values as u64
    }
}

fn size(value: &Value) -> usize {
    let beside = match value {
        Value::Null | Value::Int(_) => 0,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    };
    size_of::<Value>() + beside
}

impl RecentRows {
    pub(crate) fn new() -> Self {
        Self {
            rows: Cache::with_weighter(ROWS, BYTES_MAX, ByBytes),
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            changing: Mutex::new(()),
            moment: AtomicU64::new(0),
            is_own: AtomicBool::new(false),
        }
    }

    /// From here on nobody but this handle's writer changes rows.
    pub(crate) fn begin(&self) {
        self.commits();
        self.told(&Changes { all: true, ..Changes::default() });
        self.is_own.store(true, Ordering::SeqCst);
    }

    /// From here on others may.
    pub(crate) fn end(&self) {
        self.is_own.store(false, Ordering::SeqCst);
        self.rows.clear();
    }

    /// The moment, where no commit is under way and rows may be kept.
    pub(crate) fn moment(&self) -> Option<u64> {
        let moment = self.moment.load(Ordering::SeqCst);
        (self.is_own.load(Ordering::SeqCst) && moment.is_multiple_of(2)).then_some(moment)
    }

    /// Whether there is a row with this key, and which, at a moment that is not later than now; `None` where that is not
    /// known.
    pub(crate) fn get(&self, moment: u64, table: &'static Table, key: &[Value]) -> Option<Option<Row>> {
        let key = key_at(place_of(table)?, key);
        let row = self.rows.get(&key)?;
        // Looked at after the row: a commit marks it before it puts another in its place.
        self.is_as_at(moment, &key).then(|| row.map(|row| row.to_vec()))
    }

    /// Keeps what a read of `moment` has found under `keys`, which are distinct and in the order of `found`.
    pub(crate) fn keep(&self, moment: u64, table: &'static Table, keys: &[&[Value]], found: &[Row]) {
        let Some(place) = place_of(table) else { return };
        let mut found = found.iter().peekable();
        let _changing = self.changing();
        for key in keys {
            let row = found.next_if(|row| table.key_of(row) == *key);
            let key = key_at(place, key);
            if self.is_as_at(moment, &key) {
                self.rows.insert(key, row.cloned().map(Arc::new));
            }
        }
    }

    /// What a transaction is about to write.
    pub(crate) fn note(&self, changes: &mut Changes, table: &'static Table, rows: &[&[Value]]) {
        let Some(place) = place_of(table) else { return };
        if changes.rows.len() + rows.len() > CHANGES_MAX {
            return changes.unsure();
        }
        changes.rows.extend(rows.iter().map(|row| {
            let key = key_at(place, table.key_of(row));
            let is_kept = self.rows.contains_key(&key);
            (key, is_kept.then(|| Arc::new(row.to_vec())))
        }));
    }

    /// A commit begins: before readers may see it. [`told`](Self::told) follows.
    pub(crate) fn commits(&self) {
        self.moment.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended, and has written this: before anybody is told.
    pub(crate) fn told(&self, changes: &Changes) {
        let changing = self.changing();
        let now = self.moment.load(Ordering::SeqCst);
        if changes.all {
            self.all.store(now, Ordering::SeqCst);
            self.rows.clear();
        } else {
            for (key, row) in &changes.rows {
                self.marks[mark_of(key)].store(now, Ordering::SeqCst);
                // Whoever comes once is not kept for it.
                let is_kept =
                    row.as_ref().is_some_and(|row| self.rows.replace(key.clone(), Some(row.clone()), true).is_ok());
                if !is_kept {
                    self.rows.remove(key);
                }
            }
        }
        drop(changing);
        self.moment.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether nobody has written a row since.
    fn is_as_at(&self, moment: u64, key: &[u8]) -> bool {
        let written = self.marks[mark_of(key)].load(Ordering::SeqCst);
        written.max(self.all.load(Ordering::SeqCst)) <= moment
    }

    /// Nothing can panic while it is held.
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.all
    }

    /// A statement that may write, of which only the text is known.
    pub(crate) fn statement(&mut self, sql: &str) {
        self.all |= match written_table(sql) {
            Some(table) => KEPT.iter().any(|kept| kept.name == table),
            None => true,
        };
    }

    /// What was noted is not what was written, or not all of it.
    pub(crate) fn unsure(&mut self) {
        *self = Self { rows: Vec::new(), all: true };
    }
}

/// The table that a statement writes to: empty where it only reads, `None` where that cannot be told.
fn written_table(sql: &str) -> Option<&str> {
    let mut words =
        sql.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
    let first = words.next()?.to_ascii_uppercase();
    match (first.as_str(), words.next()?) {
        ("SELECT", _) => Some(""),
        ("UPDATE", table) if !table.eq_ignore_ascii_case("or") => Some(table),
        ("INSERT", into) | ("DELETE", into) if ["into", "from"].iter().any(|word| into.eq_ignore_ascii_case(word)) => {
            words.next()
        }
        _ => None,
    }
}

fn place_of(table: &Table) -> Option<u8> {
    KEPT.iter().position(|kept| kept.name == table.name).and_then(|place| u8::try_from(place).ok())
}

/// A key of a table has always the same kinds, so lengths are all that has to stand between its values.
fn key_at(place: u8, key: &[Value]) -> Key {
    let mut bytes = Vec::with_capacity(48);
    bytes.push(place);
    let mut text = |text: &[u8]| {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text);
    };
    for value in key {
        match value {
            Value::Null => text(&[]),
            Value::Int(number) => text(&number.to_le_bytes()),
            Value::Text(words) => text(words.as_bytes()),
            Value::Bytes(bytes) => text(bytes),
        }
    }
    bytes.into()
}

/// FNV-1a: the mark that a key shares with others.
fn mark_of(key: &[u8]) -> usize {
    let hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash >> 32) as usize % MARKS
}

#[cfg(test)]
mod tests;
