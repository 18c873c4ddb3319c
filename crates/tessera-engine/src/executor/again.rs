//! Commands that were sent again, where commits wait for a standby.
//!
//! What an earlier attempt wrote may be seen before it is on the standby: its connection was given up while it waited. To
//! answer from it as it is would acknowledge what the standby may never have. So whoever answers from it locks a row
//! beside it: a lock is written to the log behind it, and its commit waits for both.

use std::collections::BTreeMap;

use tessera_core::id::MemberId;
use tessera_store::{Dialect, StoreError, Tx, Writer, tables};

use super::claims::begin;
use super::{Context, load::Key};
use crate::record::{member_key, own_key};

/// A command whose key was used before: whose event answers it, unless it waits for somebody.
#[derive(Debug)]
pub(super) struct SentAgain {
    pub key: Key,
    pub member: Option<MemberId>,
}

impl SentAgain {
    fn bucket(&self) -> Result<i64, StoreError> {
        let (program, key) = self.key;
        let row = self.member.map_or_else(|| own_key(program, &key), |member| member_key(program, member));
        row[0].int()
    }

    fn lock(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (program, key) = self.key;
        match self.member {
            Some(member) => tx.fetch_by_keys(&tables::MEMBER, &[member_key(program, member)]).map(drop),
            None => {
                let sql = "UPDATE event_key SET seq = seq WHERE bucket = $1 AND program = $2 AND key = $3";
                tx.execute(sql, &own_key(program, &key)).map(drop)
            }
        }
    }
}

/// Within the transaction of the batch, which is that of one log: one lock is behind all of them.
pub(super) fn lock_one(tx: &mut Tx<'_>, context: &Context, again: &[SentAgain]) -> Result<(), StoreError> {
    match (context.database.dialect(), again.first()) {
        (Dialect::Postgres, Some(first)) => first.lock(tx),
        _ => Ok(()),
    }
}

/// Where the database is spread, shards may have a log each.
pub(super) fn lock_one_a_shard(context: &Context, writer: &mut Writer, again: &[SentAgain]) -> Result<(), StoreError> {
    if context.database.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let mut of_shards: BTreeMap<u16, &SentAgain> = BTreeMap::new();
    for command in again {
        of_shards.entry(context.shards.of(command.bucket()?)).or_insert(command);
    }
    for command in of_shards.into_values() {
        let mut tx = begin(writer, &context.shards)?;
        command.lock(&mut tx)?;
        tx.commit()?;
    }
    Ok(())
}
