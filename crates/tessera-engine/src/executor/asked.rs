//! What the commands of a batch name, told before anything is read, and the keys by which it is read.

use std::collections::HashSet;
use std::sync::Arc;

use compact_str::CompactString;
use tessera_core::decide::velocity_pools;
use tessera_core::event::{Claim, Command, FieldValue, SecondFact, What};
use tessera_core::id::{Bucket, EventId, MemberId};
use tessera_store::{Row, Table, tables};

use super::Context;
use super::load::{Key, Loaded, pool_key};
use crate::identifier::{Identifier, Subject};
use crate::programs::ProgramHandle;
use crate::record::own_key;
use crate::submission::Submission;
use crate::voucher::shared_pool;

/// What the commands of a batch name.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Members named by their ids.
    pub members: Vec<(i64, MemberId)>,
    pub identifiers: Vec<Key>,
    /// The names of whoever rang orders up.
    pub staff: Vec<Key>,
    pub orders: Vec<Key>,
    pub codes: Vec<Key>,
    pub redemptions: Vec<(i64, EventId)>,
}

impl Asked {
    /// All but the members and redemptions, which are known once names and orders are read.
    pub(super) fn by(context: &Context, batch: &[Submission]) -> Self {
        let mut asked = Self::default();
        for command in batch {
            let program = command.program.number;
            asked.add_identifiers(context, command);
            let orders = order_names(command);
            asked.orders.extend(orders.iter().map(|order| (program, context.secrets.order_key(program, order))));
            let codes = command.what.voucher_codes();
            asked.codes.extend(codes.map(|code| (program, context.secrets.code_key(program, code))));
        }
        asked
    }

    fn add_identifiers(&mut self, context: &Context, command: &Submission) {
        let (program, keys) = (command.program.number, &mut self.identifiers);
        let subject = match &command.subject {
            Subject::Identifier(identifier) => Some(identifier),
            _ => None,
        };
        for identifier in subject.into_iter().chain(&command.identifiers) {
            keys.push((program, context.secrets.identifier_key(program, &identifier.to_text())));
        }
        if let What::Enrol(profile) | What::Profile(profile) = &command.what
            && let Some(key) = crate::referral::key_of(&context.secrets, program, profile)
        {
            keys.push((program, key));
        }
        if let What::Rename(renaming) = &command.what {
            let second = match &renaming.second {
                Some(SecondFact::Name { name, .. }) => Some(name),
                _ => None,
            };
            keys.extend(renaming.removed.iter().chain(second).map(|name| (program, name.key)));
        }
    }

    /// What is read first, since the rest follows from it.
    pub(super) fn first_keys(
        &self,
        batch: &[Submission],
        programs: &[Arc<ProgramHandle>],
    ) -> [(&'static Table, Vec<Row>); 5] {
        let own = |command: &Submission| command.key.map(|(key, _)| own_key(command.program.number, &key));
        [
            (&tables::PROGRAM, programs.iter().map(|program| vec![program.number.into()]).collect()),
            (&tables::EVENT_KEY, batch.iter().filter_map(own).collect()),
            (&tables::MEMBER_IDENTIFIER, rows_of(&self.identifiers)),
            (&tables::ORDER_KEY, rows_of(&self.orders)),
            (&tables::VOUCHER_CODE, rows_of(&self.codes)),
        ]
    }
}

impl Loaded {
    /// The scarce things that the commands may use.
    pub(super) fn pools_named(&self, context: &Context, batch: &[Submission]) -> HashSet<(i64, CompactString)> {
        let mut names: HashSet<(i64, CompactString)> = HashSet::new();
        let mut looked = HashSet::new();
        for command in batch {
            let (program, versions) = (command.program.number, command.program.versions());
            let rules = versions.at(command.effective_at);
            // Commands of one day and version name the same pools.
            if looked.insert((program, rules.version, rules.calendar.day(command.effective_at))) {
                let pools = tessera_core::decide::pools(&versions, command.effective_at);
                names.extend(pools.into_iter().map(|pool| (program, pool)));
            }
            let named = match &command.subject {
                Subject::Member(id) => Some(*id),
                Subject::Identifier(identifier) => {
                    let key = context.secrets.identifier_key(program, &identifier.to_text());
                    self.identifiers.get(&(program, key)).copied()
                }
                Subject::Nobody => None,
            };
            if !rules.velocity.is_empty() {
                let counted = velocity_pools(&versions, &core_of(command), &command.origin, named);
                names.extend(counted.into_iter().map(|pool| (program, pool)));
            }
            if let What::Adjust(adjustment) = &command.what {
                let pool = tessera_core::decide::adjustment_pool(rules, adjustment, command.effective_at);
                names.extend(pool.map(|pool| (program, pool)));
            }
        }
        let shared = self.codes.iter().filter(|(_, code)| code.is_shared());
        names.extend(shared.map(|((program, key), _)| (*program, shared_pool(key))));
        names
    }
}

/// What tells how much of them is used, and how many codes of partners there are.
pub(super) fn pool_keys(names: &HashSet<(i64, CompactString)>) -> [(&'static Table, Vec<Row>); 2] {
    let imported = names.iter().filter_map(|(program, name)| {
        let pool = tessera_core::decide::imports_of(name)?;
        let bucket = i64::from(Bucket::of(pool.as_bytes()).get());
        Some(vec![bucket.into(), (*program).into(), pool.into()])
    });
    let pools = names.iter().map(|(program, pool)| pool_key(*program, pool));
    [(&tables::CODE_POOL, imported.collect()), (&tables::POOL, pools.collect())]
}

/// A command as the core sees it.
fn core_of(command: &Submission) -> Command {
    Command { effective_at: command.effective_at, recorded_at: command.recorded_at, what: command.what.clone() }
}

/// The key of the name under which whoever rang an order up may be a member, where the document asks.
pub(super) fn staff_key(context: &Context, command: &Submission) -> Option<[u8; 16]> {
    let staff = match &command.what {
        What::Purchase(order) => order.staff.as_ref(),
        What::Exchange(exchange) => exchange.bought.staff.as_ref(),
        _ => None,
    }?;
    let versions = command.program.versions();
    let looks = versions.at(command.effective_at).definition.staff.looks();
    let identifier = looks.then(|| format!("staff:{staff}").parse::<Identifier>().ok()).flatten()?;
    Some(context.secrets.identifier_key(command.program.number, &identifier.to_text()))
}

/// Every order a command makes or names.
pub(super) fn order_names(command: &Submission) -> Vec<CompactString> {
    let what = &command.what;
    let mut names: Vec<CompactString> =
        what.makes_order().into_iter().chain(what.names_order()).map(CompactString::from).collect();
    if let What::Claim(claim) = what {
        names.push(Claim::key_of(&claim.code));
    }
    if let What::Declared { data, .. } = what {
        names.extend(data.iter().filter_map(|(name, value)| match value {
            FieldValue::Text(text) if name == "order_id" => Some(text.clone()),
            _ => None,
        }));
    }
    names
}

pub(super) fn rows_of(keys: &[Key]) -> Vec<Row> {
    keys.iter().map(|(program, key)| own_key(*program, key)).collect()
}
