//! API keys: made once, shown once, kept as a hash.

use serde::Serialize;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Database, StoreError, Value};

use crate::clock::Entropy;
use crate::executor::{Context, Executor};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Scope {
    #[serde(rename = "events:write")]
    WriteEvents,
    #[serde(rename = "members:read")]
    ReadMembers,
    #[serde(rename = "members:write")]
    WriteMembers,
    #[serde(rename = "adjustments:write")]
    WriteAdjustments,
    #[serde(rename = "moving:write")]
    WriteMoving,
    #[serde(rename = "redemptions:write")]
    WriteRedemptions,
    #[serde(rename = "fulfilment:write")]
    WriteFulfilment,
    #[serde(rename = "benefits:write")]
    WriteBenefits,
    #[serde(rename = "tiers:write")]
    WriteTiers,
    #[serde(rename = "possession:write")]
    WritePossession,
    #[serde(rename = "memberships:write")]
    WriteMemberships,
    #[serde(rename = "gift-cards:write")]
    WriteGiftCards,
    #[serde(rename = "cases:write")]
    WriteCases,
    #[serde(rename = "households:write")]
    WriteHouseholds,
    #[serde(rename = "document:read")]
    ReadDocument,
    #[serde(rename = "document:write")]
    WriteDocument,
}

impl Scope {
    pub const ALL: [Self; 16] = [
        Self::WriteEvents,
        Self::ReadMembers,
        Self::WriteMembers,
        Self::WriteAdjustments,
        Self::WriteMoving,
        Self::WriteRedemptions,
        Self::WriteFulfilment,
        Self::WritePossession,
        Self::WriteBenefits,
        Self::WriteTiers,
        Self::WriteMemberships,
        Self::WriteGiftCards,
        Self::WriteCases,
        Self::WriteHouseholds,
        Self::ReadDocument,
        Self::WriteDocument,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteEvents => "events:write",
            Self::ReadMembers => "members:read",
            Self::WriteMembers => "members:write",
            Self::WriteAdjustments => "adjustments:write",
            Self::WriteMoving => "moving:write",
            Self::WriteRedemptions => "redemptions:write",
            Self::WriteFulfilment => "fulfilment:write",
            Self::WritePossession => "possession:write",
            Self::WriteBenefits => "benefits:write",
            Self::WriteTiers => "tiers:write",
            Self::WriteMemberships => "memberships:write",
            Self::WriteGiftCards => "gift-cards:write",
            Self::WriteCases => "cases:write",
            Self::WriteHouseholds => "households:write",
            Self::ReadDocument => "document:read",
            Self::WriteDocument => "document:write",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A key that was just made: the only moment its text is known.
#[derive(Clone, Serialize)]
pub struct NewKey {
    pub id: String,
    pub key: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct KeyInfo {
    pub id: String,
    pub name: String,
    pub scopes: Vec<Scope>,
    /// The role that the document's limits of adjustments know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub created_at: Instant,
    pub revoked_at: Option<Instant>,
}

/// Makes a key without a role: 160 random bits.
pub fn create(
    context: &Context,
    executor: &Executor,
    program: i64,
    name: &str,
    scopes: &[Scope],
) -> Result<NewKey, StoreError> {
    create_with_role(context, executor, program, name, scopes, None)
}

/// Makes a key with a role, as the document's limits of adjustments know it.
pub fn create_with_role(
    context: &Context,
    executor: &Executor,
    program: i64,
    name: &str,
    scopes: &[Scope],
    role: Option<&Id>,
) -> Result<NewKey, StoreError> {
    let mut entropy = Entropy::default();
    let id = format!("key_{}", tessera_core::id::base32(&entropy.bytes::<10>()));
    let key = format!("tsk_{}", tessera_core::id::base32(&entropy.bytes::<20>()));
    let hash = context.secrets.access_hash(&key);
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    let params: Vec<Value> = vec![
        program.into(),
        id.as_str().into(),
        name.into(),
        hash.as_slice().into(),
        scopes.join(" ").into(),
        context.clock.now().micros().into(),
        role.map(ToString::to_string).into(),
    ];
    let insert = "INSERT INTO api_key (program, id, name, hash, scopes, created_at, revoked_at, role) VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)";
    executor.write(move |tx| tx.execute(insert, &params))?;
    Ok(NewKey { id, key })
}

/// The keys of a program, newest first.
pub fn list(database: &Database, program: i64) -> Result<Vec<KeyInfo>, StoreError> {
    let rows = database.read(|reader| {
        reader.query(
            "SELECT id, name, scopes, created_at, revoked_at, role FROM api_key WHERE program = $1 ORDER BY created_at DESC, id",
            &[program.into()],
        )
    })?;
    let info = |row: Vec<Value>| {
        Ok(KeyInfo {
            id: row[0].text()?.to_owned(),
            name: row[1].text()?.to_owned(),
            scopes: row[2].text()?.split(' ').filter_map(Scope::parse).collect(),
            created_at: Instant::from_micros(row[3].int()?),
            revoked_at: row[4].opt_int()?.map(Instant::from_micros),
            role: row[5].opt_text()?.map(str::to_owned),
        })
    };
    rows.into_iter().map(info).collect()
}

/// Revokes a key at once; `false` where the program has no such key.
pub fn revoke(context: &Context, executor: &Executor, program: i64, id: &str) -> Result<bool, StoreError> {
    let params: Vec<Value> = vec![program.into(), id.into(), context.clock.now().micros().into()];
    let update = "UPDATE api_key SET revoked_at = $3 WHERE program = $1 AND id = $2 AND revoked_at IS NULL";
    Ok(executor.write(move |tx| tx.execute(update, &params))? > 0)
}

/// A key that was recognised.
#[derive(Clone, Debug)]
pub struct KnownKey {
    pub program: i64,
    pub scopes: Vec<Scope>,
    pub id: String,
    pub name: String,
    pub role: Option<Id>,
}

/// What a key's text opens; `None` for a key that is unknown or revoked.
pub fn authenticate(context: &Context, key: &str) -> Result<Option<KnownKey>, StoreError> {
    let hash = context.secrets.access_hash(key);
    let rows = context.database.read(|reader| {
        reader.query(
            "SELECT program, scopes, id, name, role FROM api_key WHERE hash = $1 AND revoked_at IS NULL",
            &[hash.as_slice().into()],
        )
    })?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(KnownKey {
        program: row[0].int()?,
        scopes: row[1].text()?.split(' ').filter_map(Scope::parse).collect(),
        id: row[2].text()?.to_owned(),
        name: row[3].text()?.to_owned(),
        role: row[4].opt_text()?.and_then(|role| role.parse().ok()),
    }))
}
