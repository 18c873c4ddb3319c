//! Which master key a database belongs to: its fingerprint is kept in the database, and another key is refused.
//!
//! Under another key nobody would be found by phone number or card, and every event would count again.

use tessera_store::{Database, Shards, StoreError, Tx, Value};

use crate::engine::EngineError;
use crate::secret::{SecretError, Secrets};

/// Where in the table `installation` the fingerprint stands.
pub(crate) const MASTER_KEY: &str = "master_key";

/// Where it stands over how many shards the database is spread: a number, or [`CITUS`].
const SHARDS: &str = "shards";
/// The shards are those of Citus.
const CITUS: &str = "citus";

/// Over what a database is spread; over nothing unless somebody said so.
pub fn shards(database: &Database) -> Result<Shards, StoreError> {
    let known = database.read(|reader| {
        let rows = reader.query("SELECT value FROM installation WHERE name = $1", &[SHARDS.into()])?;
        rows.into_iter().flatten().next().map(Value::into_text).transpose()
    })?;
    let unreadable = || StoreError::corrupt("installation", "value", "neither a number of shards nor citus");
    match known.as_deref() {
        None => Ok(Shards::default()),
        Some(CITUS) => database.shards_of_citus(),
        Some(count) => Ok(Shards::even(count.parse().map_err(|_| unreadable())?)),
    }
}

/// Spreads a database over `count` shards from the next start on: a queue for each, and nothing in one transaction that
/// lies on two. It stays spread for ever, be it over one.
pub fn spread(database: &Database, count: u16) -> Result<(), StoreError> {
    let mut writer = database.writer()?;
    let mut tx = writer.begin()?;
    note_shards(&mut tx, count)?;
    tx.commit()
}

/// Notes that a database is spread over `count` shards.
pub fn note_shards(tx: &mut Tx<'_>, count: u16) -> Result<(), StoreError> {
    write_shards(tx, &count.to_string())
}

/// Notes that it is spread over those of Citus, which has the tables by then.
pub fn note_citus(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    write_shards(tx, CITUS)
}

/// Has Citus spread the tables at `url` that it does not have yet, and says which.
///
/// # Errors
/// [`StoreError::NoCitus`] where the extension is not there.
pub fn spread_with_citus(url: &str, shards: u16) -> Result<Vec<&'static str>, StoreError> {
    tessera_store::spread_with_citus(url, shards)
}

fn write_shards(tx: &mut Tx<'_>, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO installation (name, value) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[SHARDS.into(), value.into()])?;
    Ok(())
}

/// The fingerprint of the key a database belongs to; nothing where nobody has opened it to write yet.
pub fn fingerprint(database: &Database) -> Result<Option<String>, StoreError> {
    database.read(|reader| {
        let rows = reader.query("SELECT value FROM installation WHERE name = $1", &[MASTER_KEY.into()])?;
        rows.into_iter().flatten().next().map(Value::into_text).transpose()
    })
}

/// Whether a database holds nothing of anybody: no program, no key.
pub(crate) fn is_new(database: &Database) -> Result<bool, StoreError> {
    if fingerprint(database)?.is_some() {
        return Ok(false);
    }
    database.read(|reader| Ok(reader.query("SELECT program FROM program LIMIT 1", &[])?.is_empty()))
}

/// Refuses a key that is not the database's.
pub(crate) fn check(database: &Database, secrets: &Secrets) -> Result<(), EngineError> {
    match fingerprint(database)? {
        Some(known) if known == secrets.fingerprint() => Ok(()),
        Some(_) => Err(SecretError::OtherKey.into()),
        None => opens_a_profile(database, secrets),
    }
}

/// The same; where no key is written down yet, this one is.
pub(crate) fn claim(database: &Database, secrets: &Secrets) -> Result<(), EngineError> {
    if fingerprint(database)?.is_none() {
        opens_a_profile(database, secrets)?;
        let mut writer = database.writer()?;
        let mut tx = writer.begin()?;
        // Whoever starts at the same time may have been first; then theirs counts.
        tx.execute(
            "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[MASTER_KEY.into(), secrets.fingerprint().into()],
        )?;
        tx.commit()?;
    }
    check(database, secrets)
}

/// A database from before fingerprints tells by what is sealed in it.
fn opens_a_profile(database: &Database, secrets: &Secrets) -> Result<(), EngineError> {
    let rows = database.read(|reader| reader.query("SELECT wrapped_key FROM member_profile LIMIT 1", &[]))?;
    let Some(wrapped) = rows.first() else { return Ok(()) };
    secrets.unwrap_member_key(wrapped[0].bytes()?).map_err(|_| SecretError::OtherKey)?;
    Ok(())
}
