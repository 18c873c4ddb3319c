//! What rows of other shards are worth. They are written before the transaction of the member they lead to, so each
//! counts only if what it leads to is there.

use serde::{Deserialize, Serialize};
use tessera_core::decide::{EffectKind, Memory};
use tessera_core::event::Claim;
use tessera_core::id::{Bucket, EventId, MemberId};
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Value, tables};

use super::Context;
use super::archived;
use super::asked::order_names;
use super::batch::One;
use super::load::{ClosedName, Key, KnownKey, Loaded, events_between};
use super::whom::Whom;
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{Rows, own_key, unsigned};
use crate::submission::Submission;

/// Whoever claimed a name so short a time ago is about to be done: that is waited for.
const SOON_SECONDS: i64 = 2;

/// What a claimed name says of its claim.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NameClaim {
    /// The key of the command that is about to give it.
    pub by: String,
    pub at: Instant,
    /// The mark of somebody who left, in whose place it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(Instant, Memory)>,
}

impl NameClaim {
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        serde_json::from_str(row[6].text()?)
            .map_err(|error| StoreError::corrupt("member_identifier", "memory", error.to_string()))
    }

    pub fn key(&self) -> [u8; 16] {
        u128::from_str_radix(&self.by, 16).unwrap_or_default().to_be_bytes()
    }
}

impl KnownKey {
    /// Whether it was used for the command with this hash. Behind it may stand how often its claim was taken over.
    pub fn is_of(&self, hash: &[u8; 16]) -> bool {
        self.hash.starts_with(hash)
    }

    fn row(&self, (program, key): Key) -> Row {
        let mut row = own_key(program, &key);
        let (member, seq) = match self.member {
            Some(member) => (member.as_bytes().as_slice().into(), crate::record::number(self.seq).into()),
            None => (Value::Null, Value::Null),
        };
        row.extend([self.hash.as_slice().into(), member, seq, self.refusal.clone().into()]);
        row
    }
}

impl Loaded {
    /// A claim of this very command, or of an attempt before it: what it led to never came to be.
    pub fn hold_key(&mut self, key: Key) {
        if let Some(known) = self.keys.remove(&key) {
            self.reserved.extend(known.member.map(|member| (key, member)));
            self.hollow.insert((tables::EVENT_KEY.name, key), known.row(key));
        }
    }

    /// A claim of another command, which may still be on its way.
    pub fn contest_key(&mut self, key: Key) {
        if let Some(known) = self.keys.get(&key) {
            self.stale.push((&tables::EVENT_KEY, known.row(key)));
        }
    }

    /// What an earlier attempt of a command claimed that is refused now: it is let go when it is old, and until then the
    /// command has no answer.
    pub fn contest_own(&mut self, key: Key) {
        let table = &tables::EVENT_KEY;
        self.stale.extend(self.hollow.get(&(table.name, key)).map(|row| (table, row.clone())));
        let Some(member) = self.reserved.get(&key).map(|member| Value::from(member.as_bytes().as_slice())) else {
            return;
        };
        let table = &tables::ORDER_KEY;
        let orders = self.hollow.iter().filter(|((name, _), row)| *name == table.name && row[3] == member);
        self.stale.extend(orders.map(|(_, row)| (table, row.clone())));
    }

    /// Names that commands are about to give: they lead to a member once that command's event is there.
    pub(super) fn know_claimed_names(
        &mut self,
        tx: &mut dyn Rows,
        batch: &[Submission],
        claimed: Vec<(Key, Row)>,
    ) -> Result<(), StoreError> {
        for ((program, key), row) in claimed {
            let (claim, member) = (NameClaim::read(&row)?, member_id(row[3].bytes()?)?);
            let by = claim.key();
            if name_is_given(tx, program, member, &by)? {
                self.identifiers.insert((program, key), member);
            } else if batch.iter().any(|command| command.program.number == program && command.is_under(&by)) {
                self.reserved.insert((program, by), member);
                self.hollow.insert((tables::MEMBER_IDENTIFIER.name, (program, key)), row);
                if let Some((until, memory)) = claim.mark {
                    self.closed.insert((program, key), ClosedName::Left { until, memory });
                }
            } else {
                self.contested.insert((program, key));
                let now = batch.iter().map(|command| command.recorded_at).max();
                self.awaits |= now.is_some_and(|now| now < claim.at.plus_seconds(SOON_SECONDS));
            }
        }
        Ok(())
    }
}

impl Submission {
    fn is_under(&self, key: &[u8; 16]) -> bool {
        self.key.is_some_and(|(own, _)| own == *key)
    }
}

/// Whether the command that claimed a name for a member was done.
pub(super) fn name_is_given(
    tx: &mut dyn Rows,
    program: i64,
    member: MemberId,
    by: &[u8; 16],
) -> Result<bool, StoreError> {
    let rows = tx.fetch_by_keys(&tables::EVENT_KEY, &[own_key(program, by)])?;
    let Some(row) = rows.first() else { return Ok(false) };
    if row[4].opt_bytes()? != Some(member.as_bytes().as_slice()) {
        return Ok(false);
    }
    was_done(tx, (program, *by), EventId { member, seq: unsigned(row[5].opt_int()?.unwrap_or(0)) })
}

/// Whether an event is what the command under a key did.
pub(super) fn was_done(tx: &mut dyn Rows, (program, key): Key, id: EventId) -> Result<bool, StoreError> {
    match events_between(tx, program, id.member, id.seq, id.seq)?.first() {
        Some(event) => Ok(event.is_of(&key)),
        None => archived::was_there(tx, program, id),
    }
}

/// Whether the event that an order's row names made that order.
pub(super) fn is_made(
    tx: &mut dyn Rows,
    context: &Context,
    handle: &ProgramHandle,
    key: &[u8; 16],
    id: EventId,
) -> Result<bool, StoreError> {
    let program = handle.number;
    let events = events_between(tx, program, id.member, id.seq, id.seq)?;
    let Some(event) = events.first() else { return archived::was_there(tx, program, id) };
    let codes = event.recorded.record.effects.iter().filter(|effect| effect.kind == EffectKind::Claimable);
    let mut codes = codes.filter_map(|effect| effect.code.as_deref());
    if codes.any(|code| context.secrets.order_key(program, &Claim::key_of(code)) == *key) {
        return Ok(true);
    }
    let order = event.order(&handle.versions());
    Ok(order.is_ok_and(|order| context.secrets.order_key(program, &order.order_id) == *key))
}

impl One<'_> {
    /// Lets go of what earlier attempts of these commands claimed in vain.
    pub(super) fn hold_hollow_keys(&mut self, batch: &[Submission]) -> Result<(), StoreError> {
        let batch = if self.loaded.spread { batch } else { &[] };
        for command in batch {
            let Some((key, hash)) = command.key else { continue };
            let key = (command.program.number, key);
            let claimed = self.loaded.keys.get(&key).is_some_and(|known| known.is_of(&hash) && known.refusal.is_none());
            if claimed && !self.was_done(key)? {
                self.loaded.hold_key(key);
            }
            self.know_own_orders(command, key, &hash);
        }
        Ok(())
    }

    /// An earlier attempt that was cut may have claimed the order and not come to the key of its event. The id of the
    /// member whom it was about to make says that it was this very command.
    fn know_own_orders(&mut self, command: &Submission, key: Key, hash: &[u8; 16]) {
        if self.loaded.reserved.contains_key(&key) {
            return;
        }
        let secrets = &self.context.secrets;
        let orders = order_names(command).into_iter().map(|order| (key.0, secrets.order_key(key.0, &order)));
        let claims = orders.filter_map(|order| self.loaded.hollow.get(&(tables::ORDER_KEY.name, order)));
        let mut claimed = claims.filter_map(|row| row[3].bytes().ok().and_then(MemberId::from_slice));
        if let Some(own) =
            claimed.find(|member| self.made_by(key, hash, member.unix_ms(), self.shard_of(*member)) == *member)
        {
            self.loaded.reserved.insert(key, own);
        }
    }

    /// The id of whoever a command makes. All but the time follows from the command, so that the claims of an attempt say
    /// whose they are.
    fn made_by(&self, (program, key): Key, hash: &[u8; 16], unix_ms: u64, shard: u16) -> MemberId {
        let mut number = 0_u64;
        loop {
            let parts: [&[u8]; 5] = [b"member", &program.to_be_bytes(), &key, hash, &number.to_be_bytes()];
            let mut random = [0; 10];
            random.copy_from_slice(&self.context.secrets.command_hash(&parts)[..10]);
            let made = MemberId::new(unix_ms, random);
            if self.shard_of(made) == shard {
                return made;
            }
            number += 1;
        }
    }

    fn shard_of(&self, member: MemberId) -> u16 {
        self.loaded.shards.of(i64::from(member.bucket().get()))
    }

    /// Whether what a known key leads to is there; of a refused or waiting command nothing has to be.
    pub(super) fn was_done(&mut self, key: Key) -> Result<bool, StoreError> {
        let Some(known) = self.loaded.keys.get(&key) else { return Ok(false) };
        match known.member.filter(|_| known.refusal.is_none()) {
            Some(member) => was_done(self.tx, key, EventId { member, seq: known.seq }),
            None => Ok(true),
        }
    }

    /// Whether a command names something that somebody else is about to give away.
    pub(super) fn is_contested(&self, command: &Submission) -> bool {
        if self.loaded.contested.is_empty() {
            return false;
        }
        let program = command.program.number;
        let subject = match &command.subject {
            Subject::Identifier(identifier) => Some(identifier),
            _ => None,
        };
        let mut names = subject.into_iter().chain(&command.identifiers);
        names.any(|name| {
            let key = self.context.secrets.identifier_key(program, &name.to_text());
            self.loaded.contested.contains(&(program, key))
        })
    }

    /// The shard of the member that a command is about; of one that makes a member, where that member will be.
    pub(super) fn home_of(&self, command: &Submission) -> u16 {
        let shards = &self.loaded.shards;
        let of = |bucket: Bucket| shards.of(i64::from(bucket.get()));
        match (self.whom(command), &command.subject) {
            (Ok(Whom::Known(member)), _) => of(member.bucket()),
            (_, Subject::Member(id)) => of(id.bucket()),
            _ => match self.reserved(command) {
                Some(member) => of(member.bucket()),
                None => of(Bucket::of(&command.key.map_or([0; 16], |(key, _)| key))),
            },
        }
    }

    fn reserved(&self, command: &Submission) -> Option<MemberId> {
        let (key, _) = command.key?;
        self.loaded.reserved.get(&(command.program.number, key)).copied()
    }

    /// The id of whoever joins: the one an earlier attempt chose, else one on the shard of the batch.
    pub(super) fn new_member(&mut self, command: &Submission) -> MemberId {
        if let Some(member) = self.reserved(command) {
            return member;
        }
        if let (Some(home), Some((key, hash))) = (self.home, command.key) {
            let of_program = (command.program.number, key);
            return self.made_by(of_program, &hash, command.recorded_at.unix_ms(), home);
        }
        self.entropy.member_id(command.recorded_at)
    }
}
