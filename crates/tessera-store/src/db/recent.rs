//! Rows that were read lately, as they are now: whoever asks for them again needs no statement, and no thread that may
//! block.
//!
//! Only of the embedded database, and only while this handle has the writer: then nobody else changes its rows. A commit
//! tells what it has written; what was read before that and comes late is not kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::error::StoreError;
use crate::hot::distinct_keys;
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
    marks: Mutex<Marks>,
    /// Goes up when a commit begins to tell what it has written, and when it has told it: odd in between.
    moment: AtomicU64,
    /// Whether this handle has the writer.
    is_own: AtomicBool,
}

struct Marks {
    /// The moment at which rows were last written, by the hash of their keys.
    written: Box<[u64]>,
    /// The moment at which all of them may have been.
    all: u64,
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

/// Rows of one moment, from memory alone.
pub struct Recent<'d> {
    rows: &'d RecentRows,
    moment: u64,
}

impl Recent<'_> {
    /// All columns of the rows whose primary key is one of `keys`, each row once, in no order; `None` where they would have
    /// to be read.
    ///
    /// # Errors
    /// [`StoreError::Database`] if a key does not fit the table.
    pub fn fetch_by_keys(&self, table: &'static Table, keys: &[Row]) -> Result<Option<Vec<Row>>, StoreError> {
        if keys.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Some(place) = place_of(table) else { return Ok(None) };
        let mut found = Vec::with_capacity(keys.len());
        for key in distinct_keys(table, keys)? {
            match self.rows.rows.get(&key_at(place, key)) {
                Some(Some(row)) => found.push(row.to_vec()),
                Some(None) => {}
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Whether nothing has changed since this began: then everything found is of one moment.
    pub fn is_still_so(&self) -> bool {
        self.rows.moment.load(Ordering::SeqCst) == self.moment
    }
}

impl RecentRows {
    pub(crate) fn new() -> Self {
        Self {
            rows: Cache::with_weighter(ROWS, BYTES_MAX, ByBytes),
            marks: Mutex::new(Marks { written: vec![0; MARKS].into(), all: 0 }),
            moment: AtomicU64::new(0),
            is_own: AtomicBool::new(false),
        }
    }

    /// From here on nobody but this handle's writer changes rows.
    pub(crate) fn begin(&self) {
        self.tell(&Changes { all: true, ..Changes::default() });
        self.is_own.store(true, Ordering::SeqCst);
    }

    /// From here on others may.
    pub(crate) fn end(&self) {
        self.is_own.store(false, Ordering::SeqCst);
        self.rows.clear();
    }

    /// What is known of now; `None` while nothing may be kept, and for the instant in which a commit tells what it wrote.
    pub(crate) fn now(&self) -> Option<Recent<'_>> {
        let moment = self.since()?;
        moment.is_multiple_of(2).then_some(Recent { rows: self, moment })
    }

    /// The moment at which a read begins whose rows are to be kept.
    pub(crate) fn since(&self) -> Option<u64> {
        self.is_own.load(Ordering::SeqCst).then(|| self.moment.load(Ordering::SeqCst))
    }

    /// Keeps what a read that began at `since` has found under `keys`, which are distinct and in the order of `found`.
    pub(crate) fn keep(&self, since: u64, table: &'static Table, keys: &[&[Value]], found: &[Row]) {
        let Some(place) = place_of(table) else { return };
        let mut found = found.iter().peekable();
        let marks = self.marks();
        for key in keys {
            let row = found.next_if(|row| table.key_of(row) == *key);
            let key = key_at(place, key);
            if marks.all.max(marks.written[mark_of(&key)]) <= since {
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

    /// Tells what has been committed, once readers see it and before anybody is told.
    pub(crate) fn tell(&self, changes: &Changes) {
        if changes.rows.is_empty() && !changes.all {
            return;
        }
        let mut marks = self.marks();
        let now = self.moment.fetch_add(1, Ordering::SeqCst) + 1;
        if changes.all {
            marks.all = now;
            self.rows.clear();
        } else {
            for (key, row) in &changes.rows {
                marks.written[mark_of(key)] = now;
                // Whoever comes once is not kept for it.
                let is_kept =
                    row.as_ref().is_some_and(|row| self.rows.replace(key.clone(), Some(row.clone()), true).is_ok());
                if !is_kept {
                    self.rows.remove(key);
                }
            }
        }
        self.moment.fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing can panic while it is held.
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
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
