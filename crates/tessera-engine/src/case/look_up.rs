//! Look-ups of members are no commands: they are counted, and refused, beside the queue.

use std::collections::BTreeMap;

use compact_str::CompactString;
use tessera_core::decide::{CaseHit, LookUp};
use tessera_core::event::Origin;
use tessera_core::program::VelocityAction;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Tx, Value, tables};

use super::{CaseError, Cases, case_id};
use crate::executor::{Context, Executor, pool_key};
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Refusal;

/// Counts a look-up of a member by a name, where rules do.
///
/// # Errors
/// What a rule refuses, and a database that fails.
pub fn look_up(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    origin: &Origin,
) -> Result<(), CaseError> {
    let now = context.clock.now();
    let versions = program.versions();
    let Some(counted) = tessera_core::decide::look_up(&versions, origin, now) else { return Ok(()) };
    let (secrets, number) = (context.secrets.clone(), program.number);
    let command: [u8; 16] = crate::clock::Entropy::default().bytes();
    let attempt = |counted: LookUp| {
        let (secrets, origin) = (secrets.clone(), origin.clone());
        executor.write(move |tx: &mut Tx<'_>| count_look_up(tx, &secrets, (number, command), counted, (&origin, now)))
    };
    let mut refused = attempt(counted);
    // Another server may have counted meanwhile.
    for _ in 0..LOOK_UP_TRIES {
        match (&refused, tessera_core::decide::look_up(&versions, origin, now)) {
            (Err(StoreError::PoolExhausted { .. } | StoreError::Conflict { .. }), Some(counted)) => {
                refused = attempt(counted)
            }
            _ => break,
        }
    }
    refused?.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// How often a look-up is counted again where another server counts too.
const LOOK_UP_TRIES: usize = 20;

fn count_look_up(
    tx: &mut Tx<'_>,
    secrets: &Secrets,
    (number, command): (i64, [u8; 16]),
    counted: LookUp,
    (origin, now): (&Origin, Instant),
) -> Result<Option<Refusal>, StoreError> {
    let changes = counted.pools.clone();
    let keys: Vec<Row> = changes.iter().map(|change| pool_key(number, &change.pool)).collect();
    let mut used: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.fetch_by_keys(&tables::POOL, &keys)? {
        used.insert(row[2].text()?.to_owned(), row[3].int()?);
    }
    let hits = counted.hits(|pool| used.get(pool).copied().unwrap_or(0));
    let refusal = hits.iter().find_map(CaseHit::refusal).map(Refusal::from);
    let mut cases = Cases::default();
    for hit in hits.into_iter().filter(|hit| refusal.is_none() || hit.action != VelocityAction::Flag) {
        let id = case_id(secrets, number, &hit);
        let code = refusal.as_ref().map(|refusal| refusal.code.clone());
        let text = |text: &Option<CompactString>| text.as_deref().map(str::to_owned);
        let row = vec![
            number.into(),
            id.as_str().into(),
            command.as_slice().into(),
            now.micros().into(),
            Value::Null,
            Value::Null,
            hit.by.into(),
            code.into(),
            text(&origin.key).unwrap_or_default().into(),
            text(&origin.staff).into(),
            text(&origin.device).into(),
            text(&origin.location).into(),
        ];
        cases.hit((number, id), hit, (command.to_vec(), row), now);
    }
    if refusal.is_none() {
        let deltas: Vec<(Row, i64, i64)> =
            keys.into_iter().zip(&changes).map(|(key, change)| (key, change.by, change.most)).collect();
        tx.take_from_pools(&deltas)?;
    }
    cases.write(tx)?;
    Ok(refusal)
}
