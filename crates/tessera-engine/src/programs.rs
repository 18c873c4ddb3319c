//! Published programs and their versions: cached here, kept in the database, read again when the head moves.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tessera_core::id::MemberId;
use tessera_core::member::MemberState;
use tessera_core::program::{self, Difference, Document, GIFT_CARD, Id, Problem, Versions};
use tessera_core::time::Instant;
use tessera_store::{Database, Dialect, Row, StoreError, Tx, Value, tables};

use crate::record::Rows;

/// One program: its number in the database, its key, and its versions as last seen.
#[derive(Debug)]
pub struct ProgramHandle {
    pub number: i64,
    pub key: Id,
    versions: RwLock<Arc<Versions>>,
}

impl ProgramHandle {
    pub fn versions(&self) -> Arc<Versions> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace(&self, versions: Arc<Versions>) {
        *self.versions.write().unwrap_or_else(PoisonError::into_inner) = versions;
    }
}

/// Every program this process has met.
#[derive(Debug, Default)]
pub struct Programs {
    known: RwLock<HashMap<String, Arc<ProgramHandle>>>,
}

/// One published version, for lists.
#[derive(Clone, Debug, serde::Serialize)]
pub struct VersionInfo {
    pub version: u32,
    pub valid_from: Option<Instant>,
    pub created_at: Instant,
    pub created_by: String,
    pub note: String,
}

fn mistakes(findings: &[Problem]) -> String {
    match findings.iter().filter(|problem| problem.is_error()).count() {
        1 => "a mistake".to_owned(),
        several => format!("{several} mistakes"),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("there is no program `{key}`")]
    Unknown { key: String },
    #[error("the program `{key}` has no version {version}; its newest is {newest}")]
    UnknownVersion { key: String, version: u32, newest: u32 },
    #[error("the document has {}", mistakes(.0))]
    Invalid(Vec<Problem>),
    #[error("the document is of the program `{found}`, not of `{expected}`")]
    OtherProgram { expected: String, found: String },
    #[error("the program changed meanwhile: version {found} is the newest, the change was made to version {expected}")]
    Changed { expected: u32, found: u32 },
    #[error("the document drops the {what} `{name}`, which {holders} members still hold: keep it, or move them first")]
    StillHeld { what: &'static str, name: String, holders: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What publishing a document would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The newest version now; 0 for a program that does not exist yet.
    pub base: u32,
    pub differences: Vec<Difference>,
    pub findings: Vec<Problem>,
}

impl Programs {
    /// A program by its key, read from the database the first time.
    pub fn get(&self, database: &Database, key: &str) -> Result<Arc<ProgramHandle>, ProgramError> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(known.clone());
        }
        let loaded = database.read(|reader| {
            let rows = reader.query("SELECT program FROM program WHERE key = $1", &[key.into()])?;
            let Some(row) = rows.first() else { return Ok(None) };
            let number = row[0].int()?;
            let rows = reader.query(VERSIONS, &[number.into()])?;
            Ok(Some((number, versions_of(rows)?)))
        })?;
        let unknown = || ProgramError::Unknown { key: key.to_owned() };
        let (number, versions) = loaded.ok_or_else(unknown)?;
        let key_id: Id = key.parse().map_err(|_| unknown())?;
        let handle = Arc::new(ProgramHandle { number, key: key_id, versions: RwLock::new(Arc::new(versions)) });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry(key.to_owned()).or_insert(handle).clone())
    }

    /// A program that this process has met.
    pub fn known(&self, key: &str) -> Option<Arc<ProgramHandle>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The program of a number that this process has met.
    pub fn by_number(&self, number: i64) -> Option<Arc<ProgramHandle>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().find(|handle| handle.number == number).cloned()
    }

    /// The keys of all programs, sorted.
    pub fn list(&self, database: &Database) -> Result<Vec<String>, StoreError> {
        database.read(|reader| {
            let rows = reader.query("SELECT key FROM program ORDER BY key", &[])?;
            rows.into_iter().map(|mut row| row.remove(0).into_text()).collect()
        })
    }
}

const VERSIONS: &str = "SELECT version, valid_from, document FROM program_version WHERE program = $1 ORDER BY version";

/// Reads the versions again when another process has published one.
pub(crate) fn refresh(tx: &mut dyn Rows, handle: &ProgramHandle) -> Result<(), StoreError> {
    let rows = tx.fetch_by_keys(&tables::PROGRAM, &[vec![handle.number.into()]])?;
    refresh_at(tx, handle, rows.first())
}

/// The same, with the program's row at hand.
pub(crate) fn refresh_at(tx: &mut dyn Rows, handle: &ProgramHandle, row: Option<&Row>) -> Result<(), StoreError> {
    let head = row.map_or(Ok(0), |row| row[2].int())?;
    if i64::from(handle.versions().head().version) != head {
        let rows = tx.query(VERSIONS, &[handle.number.into()])?;
        handle.replace(Arc::new(versions_of(rows)?));
    }
    Ok(())
}

/// Looks whether another process has published a version, and says so. The embedded database has no other process.
pub fn refresh_from(database: &Database, handle: &ProgramHandle) -> Result<bool, StoreError> {
    if database.dialect() == Dialect::Sqlite {
        return Ok(false);
    }
    let before = handle.versions().head().version;
    database.read(|reader| refresh(reader, handle))?;
    Ok(handle.versions().head().version != before)
}

fn versions_of(rows: Vec<Vec<Value>>) -> Result<Versions, StoreError> {
    let corrupt = |problem: String| StoreError::corrupt("program_version", "document", problem);
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let version = u32::try_from(row[0].int()?).map_err(|_| corrupt("a version above 4 billion".to_owned()))?;
        let program = program::load_program(row[2].text()?, version).map_err(|problems| {
            corrupt(format!(
                "version {version} cannot be run: {}",
                problems.first().map_or_else(String::new, ToString::to_string)
            ))
        })?;
        list.push((Instant::from_micros(row[1].int()?), Arc::new(program)));
    }
    Versions::from_list(list).ok_or_else(|| corrupt("a program without a version".to_owned()))
}

/// What a document would change, without publishing it.
pub fn plan(database: &Database, text: &str) -> Result<(Document, Plan), ProgramError> {
    let document = program::read_document(text).map_err(ProgramError::Invalid)?;
    let key = document.definition.program.as_str();
    let newest = database.read(|reader| {
        reader.query(
            "SELECT v.version, v.document FROM program_version v JOIN program p ON p.program = v.program AND p.head = v.version WHERE p.key = $1",
            &[key.into()],
        )
    })?;
    let (base, differences) = match newest.first() {
        None => (0, Vec::new()),
        Some(row) => {
            let before = program::load_document(row[1].text()?).map_err(ProgramError::Invalid)?;
            let version = u32::try_from(row[0].int()?).unwrap_or(u32::MAX);
            (version, program::difference(&before.tree, &document.tree))
        }
    };
    let findings = document.findings.clone();
    Ok((document, Plan { base, differences, findings }))
}

/// Who publishes what, and on which version the change was made.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    pub text: String,
    /// The key the document must have, where the caller names one.
    pub expected_key: Option<String>,
    /// The newest version the change was made to; publishing is refused when it is no longer the newest.
    pub expected_head: Option<u32>,
    pub by: String,
    pub note: String,
}

/// Publishes a document as the next version; the same document again changes nothing.
pub(crate) fn publish(
    tx: &mut Tx<'_>,
    publication: &Publication,
    now: Instant,
) -> Result<(i64, u32, bool), ProgramError> {
    let document = program::read_document(&publication.text).map_err(ProgramError::Invalid)?;
    let key = document.definition.program.as_str();
    if let Some(expected) = publication.expected_key.as_ref().filter(|expected| *expected != key) {
        return Err(ProgramError::OtherProgram { expected: expected.clone(), found: key.to_owned() });
    }
    let known = tx.query("SELECT program, head FROM program WHERE key = $1", &[key.into()])?;
    let (number, head) = match known.first() {
        Some(row) => (row[0].int()?, u32::try_from(row[1].int()?).unwrap_or(u32::MAX)),
        None => {
            let rows = tx.query("SELECT CAST(COALESCE(MAX(program), 0) + 1 AS BIGINT) FROM program", &[])?;
            let number = rows.first().map_or(Ok(1), |row| row[0].int())?;
            tx.execute(
                "INSERT INTO program (program, key, head, created_at) VALUES ($1, $2, $3, $4)",
                &[number.into(), key.into(), 0.into(), now.micros().into()],
            )?;
            (number, 0)
        }
    };
    if let Some(expected) = publication.expected_head.filter(|expected| *expected != head) {
        return Err(ProgramError::Changed { expected, found: head });
    }
    if head > 0 {
        let rows = tx.query(
            "SELECT document FROM program_version WHERE program = $1 AND version = $2",
            &[number.into(), i64::from(head).into()],
        )?;
        let before = rows.first().map_or(Ok(""), |row| row[0].text())?;
        let before = program::load_document(before).map_err(ProgramError::Invalid)?;
        if program::difference(&before.tree, &document.tree).is_empty() {
            return Ok((number, head, false));
        }
        refuse_dropping_what_is_held(tx, number, &before, &document)?;
    }
    let version = head + 1;
    tx.execute(
        "INSERT INTO program_version (program, version, valid_from, created_at, created_by, note, document) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            number.into(),
            i64::from(version).into(),
            now.micros().into(),
            now.micros().into(),
            publication.by.as_str().into(),
            publication.note.as_str().into(),
            publication.text.as_str().into(),
        ],
    )?;
    tx.execute("UPDATE program SET head = $2 WHERE program = $1", &[number.into(), i64::from(version).into()])?;
    // What falls due may have moved (a new birthday campaign, another review): everybody is looked at again. A member
    // that was looked at is woken at its own time again, so this can stop and go on anywhere.
    tx.execute_patiently(
        "UPDATE member SET wake_at = $2 WHERE program = $1 AND status IN (1, 5)",
        &[number.into(), now.micros().into()],
    )?;
    Ok((number, version, true))
}

/// A currency or ladder that members still have must stay.
fn refuse_dropping_what_is_held(
    tx: &mut Tx<'_>,
    number: i64,
    before: &Document,
    after: &Document,
) -> Result<(), ProgramError> {
    let (before, after) = (&before.definition, &after.definition);
    let gift_card = GIFT_CARD;
    let mut currencies: Vec<&Id> = before.currencies.keys().filter(|id| !after.currencies.contains_key(*id)).collect();
    // What is on cards must stay spendable.
    currencies.extend((before.gift_cards.is_some() && after.gift_cards.is_none()).then_some(&gift_card));
    let ladders: Vec<&Id> = before.tiers.keys().filter(|id| !after.tiers.contains_key(*id)).collect();
    if currencies.is_empty() && ladders.is_empty() {
        return Ok(());
    }
    let mut held: HashMap<&Id, u64> = HashMap::new();
    let (mut bucket, mut member) = (-1_i64, Vec::new());
    loop {
        let rows = tx.query(
            "SELECT bucket, member, state FROM member WHERE program = $1 AND (bucket > $2 OR (bucket = $2 AND member > $3)) ORDER BY bucket, member LIMIT 1000",
            &[number.into(), bucket.into(), member.clone().into()],
        )?;
        let Some(last) = rows.last() else { break };
        (bucket, member) = (last[0].int()?, last[1].bytes()?.to_vec());
        for row in &rows {
            let state = MemberState::from_bytes(row[2].bytes()?)
                .map_err(|error| StoreError::corrupt("member", "state", error.to_string()))?;
            for id in &currencies {
                let holds = state.purse(id.as_str()).is_some_and(|purse| {
                    !purse.active().is_zero() || !purse.pending().is_zero() || !purse.debt.is_zero()
                }) || !state.held(id.as_str()).is_zero();
                *held.entry(id).or_default() += u64::from(holds);
            }
            for id in &ladders {
                let holds = state.ladder(id.as_str()).is_some_and(|ladder| {
                    !ladder.level.as_str().is_empty() && before.tiers[*id].levels[0].id != ladder.level
                });
                *held.entry(id).or_default() += u64::from(holds);
            }
        }
    }
    for (ids, what) in [(currencies, "currency"), (ladders, "ladder")] {
        for id in ids {
            let holders = held.get(id).copied().unwrap_or(0);
            if holders > 0 {
                return Err(ProgramError::StillHeld { what, name: id.to_string(), holders });
            }
        }
    }
    Ok(())
}

/// The versions of a program, newest first.
pub fn history(database: &Database, number: i64) -> Result<Vec<VersionInfo>, StoreError> {
    database.read(|reader| {
        let rows = reader.query(
            "SELECT version, valid_from, created_at, created_by, note FROM program_version WHERE program = $1 ORDER BY version DESC",
            &[number.into()],
        )?;
        let info = |row: Vec<Value>| {
            let version = u32::try_from(row[0].int()?).unwrap_or(u32::MAX);
            Ok(VersionInfo {
                version,
                // The first version is in force for all time before the second.
                valid_from: (version > 1).then(|| row[1].int().map(Instant::from_micros)).transpose()?,
                created_at: Instant::from_micros(row[2].int()?),
                created_by: row[3].text()?.to_owned(),
                note: row[4].text()?.to_owned(),
            })
        };
        rows.into_iter().map(info).collect()
    })
}

/// The text of one version as it was published.
pub fn document_text(
    database: &Database,
    handle: &ProgramHandle,
    version: Option<u32>,
) -> Result<(u32, String), ProgramError> {
    let number: Value = handle.number.into();
    let (newest, document) = database.read(|reader| {
        let rows = reader.query("SELECT head FROM program WHERE program = $1", std::slice::from_ref(&number))?;
        let newest = rows.first().map_or(Ok(0), |row| row[0].int())?;
        let wanted = version.map_or(newest, i64::from);
        let sql = "SELECT document FROM program_version WHERE program = $1 AND version = $2";
        Ok((newest, reader.query(sql, &[number, wanted.into()])?))
    })?;
    let newest = u32::try_from(newest).unwrap_or(u32::MAX);
    let wanted = version.unwrap_or(newest);
    match document.into_iter().next() {
        Some(mut row) => Ok((wanted, row.remove(0).into_text()?)),
        None => Err(ProgramError::UnknownVersion { key: handle.key.to_string(), version: wanted, newest }),
    }
}

/// A member's id from a stored key.
pub(crate) fn member_id(bytes: &[u8]) -> Result<MemberId, StoreError> {
    MemberId::from_slice(bytes).ok_or_else(|| StoreError::corrupt("member", "member", "not 16 bytes"))
}
