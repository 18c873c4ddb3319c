//! What is between two members: it has left one, and arrives at the other or comes back.

use std::collections::{BTreeMap, HashMap, HashSet};

use tessera_core::decide::{FollowUp, Recorded};
use tessera_core::id::MemberId;
use tessera_core::ledger::Account;
use tessera_core::program::Id;
use tessera_store::{Reader, Row, StoreError, tables};

use super::Difference;
use crate::executor::Context;
use crate::record::own_key;
use crate::relay::{DEAD, WAITING, follow_up_key};

/// What entries have left in `clearing`, and what follow-ups say is on the way, by currency.
#[derive(Debug, Default)]
pub(super) struct Clearing {
    held: BTreeMap<Id, i128>,
    on_the_way: BTreeMap<Id, i128>,
}

impl Clearing {
    /// Adds a member's events, and looks whether each follow-up they caused was done, came back or still waits.
    pub fn check(
        &mut self,
        context: &Context,
        reader: &mut Reader<'_>,
        program: i64,
        (member, events): (MemberId, &[Recorded]),
        differs: &mut dyn FnMut(Difference),
    ) -> Result<(), StoreError> {
        for entry in events.iter().flat_map(|event| &event.entries) {
            let amount = i128::from(entry.amount.get());
            for (account, amount) in [(entry.from, -amount), (entry.to, amount)] {
                if account == Account::Clearing {
                    *self.held.entry(entry.currency.clone()).or_default() += amount;
                }
            }
        }
        let caused: Vec<&FollowUp> = events.iter().flat_map(|event| &event.record.follow_ups).collect();
        if caused.is_empty() {
            return Ok(());
        }
        let key = |follow_up: &FollowUp| follow_up_key(&context.secrets, program, follow_up);
        let back = |follow_up: &FollowUp| follow_up.refused("").map(|back| key(&back));
        let ends: Vec<Row> = caused
            .iter()
            .flat_map(|follow_up| [Some(key(follow_up)), back(follow_up)])
            .flatten()
            .map(|key| own_key(program, &key))
            .collect();
        let mut ended: HashSet<Vec<u8>> = HashSet::new();
        for row in reader.fetch_by_keys(&tables::EVENT_KEY, &ends)? {
            // A key without a member is that of a refusal.
            if row[4].opt_bytes()?.is_some() {
                ended.insert(row[2].bytes()?.to_vec());
            }
        }
        // Where the database is spread, what waits is on the shard of whose event caused it.
        let place = |key: [u8; 16]| match context.shards.are_spread() {
            true => vec![i64::from(member.bucket().get()).into(), program.into(), key.as_slice().into()],
            false => own_key(program, &key),
        };
        let rows: Vec<Row> = caused.iter().map(|follow_up| place(key(follow_up))).collect();
        let mut states: HashMap<Vec<u8>, i64> = HashMap::new();
        for row in reader.fetch_by_keys(&tables::OUTBOX, &rows)? {
            states.insert(row[2].bytes()?.to_vec(), row[7].int()?);
        }
        for follow_up in caused {
            let has_ended = |key: [u8; 16]| ended.contains(key.as_slice());
            if has_ended(key(follow_up)) || back(follow_up).is_some_and(has_ended) {
                continue;
            }
            let carried = follow_up.carries.iter().map(|(currency, amount)| (currency, i128::from(amount.get())));
            let owed = follow_up.owes.iter().map(|(currency, amount)| (currency, -i128::from(amount.get())));
            for (currency, amount) in carried.chain(owed) {
                *self.on_the_way.entry(currency.clone()).or_default() += amount;
            }
            let name = format!("{} {} for {}", follow_up.kind, follow_up.key(), follow_up.to);
            match states.get(key(follow_up).as_slice()).copied() {
                Some(WAITING) => {}
                Some(DEAD) => {
                    differs(Difference::new(format!("{name} is stuck: it was given up, see the server's log")))
                }
                _ => differs(Difference::new(format!("{name} was never done, and nothing waits to do it"))),
            }
        }
        Ok(())
    }

    /// Currencies of which more or less is in `clearing` than is on the way.
    pub fn differences(&self) -> Vec<Difference> {
        let currencies: std::collections::BTreeSet<&Id> = self.held.keys().chain(self.on_the_way.keys()).collect();
        let of = |sums: &BTreeMap<Id, i128>, currency| sums.get(currency).copied().unwrap_or(0);
        let differing = currencies.into_iter().filter_map(|currency| {
            let (held, on_the_way) = (of(&self.held, currency), of(&self.on_the_way, currency));
            let what = format!("clearing {currency}: the entries leave {held}, {on_the_way} are on the way");
            (held != on_the_way).then(|| Difference {
                currency: Some(currency.clone()),
                account: Some("clearing"),
                ..Difference::between(what, on_the_way, held)
            })
        });
        differing.collect()
    }
}
