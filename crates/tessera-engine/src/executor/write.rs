//! What a batch writes: every table once, the member rows and the pools last.

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use tessera_core::decide::{CaseHit, Decision, EffectKind, FollowUp};
use tessera_core::event::{Claim, What};
use tessera_core::id::{Bucket, EventId, MemberId};
use tessera_core::member::Change;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Row, Shards, StoreError, Table, Tx, Value, Write, tables};

use super::Context;
use super::again::SentAgain;
use super::claims::Claims;
use super::forget;
use super::known::NameClaim;
use super::load::{ClosedName, Key, KnownOrder, Loaded, key_of, pool_key};
use super::slices::Wanted;
use crate::case::{self, Cases};
use crate::identifier::{NAME_CLAIMED, NAME_LEFT, NAME_REPLACED};
use crate::profile::SealedProfile;
use crate::record::{Envelope, entry_row, event_row, member_key, member_row, own_key, redemption_key};
use crate::relay::{Payload, follow_up_key};
use crate::submission::{Refusal, Submission};
use crate::voucher;

#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Commands that were answered from what an earlier attempt wrote.
    pub again: Vec<SentAgain>,
    keys: Vec<Row>,
    /// Keys that a refusal held before.
    kept_keys: Vec<Row>,
    new_orders: Vec<Row>,
    pub(super) orders: BTreeMap<(i64, [u8; 16]), Row>,
    identifiers: Vec<Row>,
    /// The keys of the commands that give them.
    given_by: Vec<Option<[u8; 16]>>,
    /// Names that lead nowhere from now on, with whom they led to; `None` of what is kept: free for anybody.
    pub(super) closed: Vec<(Key, MemberId, Option<ClosedName>)>,
    /// When marks are forgotten.
    marks: Vec<Row>,
    /// Marks and blocks that a member's name takes the place of.
    pub(super) reopened: Vec<Key>,
    /// Marks of people who were erased after they had left.
    pub(super) undated: Vec<Key>,
    /// Members whose personal data go.
    pub(super) erased: Vec<(i64, MemberId)>,
    events: Vec<Row>,
    entries: Vec<Row>,
    vouchers: Vec<Row>,
    pub(super) redemptions: BTreeMap<(i64, EventId), Row>,
    draws: Vec<Row>,
    fulfilments: BTreeMap<(i64, EventId), Row>,
    waitlist: BTreeMap<(i64, Id, i64), Row>,
    pub(super) new_voucher_codes: Vec<Row>,
    /// Codes whose uses changed.
    pub(super) voucher_codes: BTreeMap<(i64, [u8; 16]), Row>,
    /// Codes of partners to be given, each to a redemption.
    codes: Vec<(i64, Id, EventId, Instant)>,
    /// Orders of e-gifts.
    partner_orders: Vec<Row>,
    /// What became of orders, and when.
    partner_states: BTreeMap<(i64, EventId), (i64, i64)>,
    profiles: Vec<Row>,
    /// Commands for later: what an event causes for another member, events that wait for theirs.
    outbox: Vec<Row>,
    /// Events that wait for a member, in the buckets of their keys.
    parked: Vec<Row>,
    /// Whether some of them may go at once.
    pub wakes_relay: bool,
    /// Identifiers whose waiting events may go now.
    released: Vec<(i64, [u8; 16], Instant)>,
    pub(super) pools: HashMap<(i64, CompactString), (i64, i64)>,
    cases: Cases,
}

impl Writes {
    /// How many events there are to write.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Whether what this changes of what the next batch names can be told from memory.
    pub fn may_be_followed(&self, next: &Loaded) -> bool {
        let ends_no_name = self.closed.is_empty() && self.reopened.is_empty() && self.undated.is_empty();
        let codes = self.voucher_codes.is_empty() && self.new_voucher_codes.is_empty();
        let asked = &next.asked;
        ends_no_name
            && self.erased.is_empty()
            && (codes || asked.codes.is_empty())
            && (self.redemptions.is_empty() || asked.redemptions.is_empty())
            && (self.orders.is_empty() || asked.orders.iter().all(|order| !self.orders.contains_key(order)))
    }

    /// Notes everything one decision wants written.
    pub fn stage(&mut self, context: &Context, loaded: &mut Loaded, command: &Submission, mut decision: Decision) {
        let program = command.program.number;
        let member = decision.state.id;
        let caused_before = self.outbox.len();
        if let (true, Some(main)) = (loaded.spread, decision.events.get_mut(decision.main)) {
            let key = command.key.map(|(key, _)| crate::secret::hex(&key));
            main.record.key = Some(key.unwrap_or_default().into());
        }
        for (place, event) in decision.events.iter().enumerate() {
            let payload = match &event.data {
                // A claim carries the order it is about.
                Some(data) if place == decision.main && matches!(command.what, What::Claim(_)) => {
                    Envelope::text(None, None, data)
                }
                _ if place == decision.main => command.envelope.clone(),
                Some(data) => Envelope::text(None, None, data),
                None => "{\"data\":{}}".to_owned(),
            };
            self.events.push(event_row(member, program, event, command.recorded_at, payload));
            self.draws.extend(crate::record::draw_rows(member, program, event));
            self.entries.extend(event.entries.iter().map(|entry| entry_row(member, program, entry)));
            for change in &event.record.changes {
                if let Change::Told { told } = change {
                    let times = (event.effective_at, command.recorded_at);
                    self.outbox.push(crate::partner::told_row(context, program, (member, told), times));
                }
            }
            let codes = event.record.effects.iter().filter(|effect| effect.kind == EffectKind::Claimable);
            for code in codes.filter_map(|effect| effect.code.as_deref()) {
                let key = context.secrets.order_key(program, &Claim::key_of(code));
                self.new_order(loaded, (program, key), EventId { member, seq: event.seq });
            }
        }
        if let (Some((key, hash)), Some(main)) = (command.key, decision.events.get(decision.main)) {
            let mut row = own_key(program, &key);
            let seq = crate::record::number(main.seq);
            row.extend([hash.as_slice().into(), member.as_bytes().as_slice().into(), seq.into(), Value::Null]);
            self.key(loaded, (program, key), row);
        }
        for (order_id, seq) in decision.orders {
            let key = context.secrets.order_key(program, &order_id);
            match loaded.orders.get(&(program, key)).map(|known| known.version) {
                // A guest's order that is this member's now (P6).
                Some(version) => {
                    let known = KnownOrder { member, seq, version, progress: None, local: None };
                    self.order_progress(program, key, &known);
                    loaded.orders.insert((program, key), known);
                }
                None => self.new_order(loaded, (program, key), EventId { member, seq }),
            }
        }
        for (order_id, progress) in decision.progress {
            let key = context.secrets.order_key(program, &order_id);
            let Some(known) = loaded.orders.get_mut(&(program, key)) else { continue };
            known.progress = Some(progress);
            self.order_progress(program, key, known);
        }
        for voucher in decision.vouchers {
            let mut row = member_key(program, member);
            row.extend([
                voucher.code.as_str().into(),
                voucher.voucher.as_str().into(),
                crate::record::number(voucher.event).into(),
                voucher.issued_at.micros().into(),
                voucher.expires_at.map(Instant::micros).into(),
                1.into(),
            ]);
            self.vouchers.push(row);
            self.new_voucher_codes.push(voucher::issued_row(context, program, member, &voucher));
        }
        for code in decision.voucher_codes {
            let key = (program, context.secrets.code_key(program, &code.code));
            let Some(known) = loaded.codes.get_mut(&key) else { continue };
            self.voucher_codes.insert(key, known.now(&code));
        }
        for (seq, redemption) in decision.redemptions {
            let id = decision.state.event_id(seq);
            let mut row = redemption_key(program, id);
            // Names, numbers and instants: it always has a JSON form.
            row.push(serde_json::to_string(&redemption).unwrap_or_default().into());
            self.redemptions.insert((program, id), row);
            let fulfilment = redemption.given.as_ref().and_then(|given| given.fulfilment.as_ref());
            if let (Some(fulfilment), Some(reward)) = (fulfilment, &redemption.terms.reward) {
                let mut row = redemption_key(program, id);
                let (state, since) = (fulfilment.state.code(), fulfilment.since.micros());
                row.extend([reward.as_str().into(), state.into(), since.into()]);
                self.fulfilments.insert((program, id), row);
            }
            if let Some(partner) = redemption.given.as_ref().and_then(|given| given.partner.as_ref()) {
                self.partner_states.insert((program, id), (partner.state.code(), partner.since.micros()));
            }
            loaded.redemptions.insert((program, id), redemption);
        }
        for order in decision.partner_orders {
            let since = decision.events.get(decision.main).map_or(command.recorded_at, |event| event.effective_at);
            let times = (since, command.recorded_at);
            let (row, outgoing) = crate::partner::order_row(context, program, (member, order), times);
            self.partner_orders.push(row);
            self.outbox.push(outgoing);
        }
        for wait in decision.waitlist {
            let bucket = i64::from(Bucket::of(wait.reward.as_str().as_bytes()).get());
            let row: Row = vec![
                bucket.into(),
                program.into(),
                wait.reward.as_str().into(),
                wait.place.into(),
                member.as_bytes().as_slice().into(),
                wait.state.code().into(),
                command.recorded_at.micros().into(),
            ];
            self.waitlist.insert((program, wait.reward, wait.place), row);
        }
        for change in decision.pools {
            *loaded.pools.entry(program).or_default().entry(change.pool.clone()).or_default() += change.by;
            let (by, most) = self.pools.entry((program, change.pool)).or_insert((0, change.most));
            *by += change.by;
            // The smaller one holds for all that is taken together.
            *most = (*most).min(change.most);
        }
        for (pool, seq) in decision.codes {
            let known = |name: CompactString| loaded.pools.get(&program).and_then(|pools| pools.get(&name)).copied();
            let imported = known(tessera_core::decide::codes_imported(&pool)).unwrap_or(0);
            let left = imported - known(tessera_core::decide::code_pool(&pool)).unwrap_or(0);
            let labels = [("program", command.program.key.to_string()), ("pool", pool.to_string())];
            metrics::gauge!("tessera_codes_left", &labels).set(left as f64);
            self.codes.push((program, pool, EventId { member, seq }, command.recorded_at));
        }
        let seq = decision.events.get(decision.main).map(|event| event.seq);
        for hit in decision.cases {
            let id = case::case_id(&context.secrets, program, &hit);
            self.cases.add(command, (id, hit), Ok(seq));
        }
        for follow_up in decision.follow_ups {
            self.follow_up(context, program, command.recorded_at, follow_up);
        }
        if loaded.spread {
            // What an event causes waits on the shard of its member.
            let bucket = i64::from(member.bucket().get());
            self.outbox.iter_mut().skip(caused_before).for_each(|row| row[0] = bucket.into());
        }
        loaded.touched.insert((program, member));
        if let Some(known) = loaded.members.get_mut(&(program, member)) {
            known.state = decision.state;
        } else {
            loaded.members.insert((program, member), super::load::KnownMember { state: decision.state, version: 0 });
        }
    }

    fn new_order(&mut self, loaded: &mut Loaded, (program, key): Key, EventId { member, seq }: EventId) {
        let mut row = own_key(program, &key);
        row.extend([member.as_bytes().as_slice().into(), crate::record::number(seq).into(), 1.into(), Value::Null]);
        loaded.orders.insert((program, key), KnownOrder { member, seq, version: 1, progress: None, local: None });
        self.new_orders.push(row);
    }

    /// A new order's row carries its progress when both come in one batch; a known one goes up by one version.
    fn order_progress(&mut self, program: i64, key: [u8; 16], known: &KnownOrder) {
        let progress = known.progress.as_ref().and_then(|progress| serde_json::to_string(progress).ok());
        let own = own_key(program, &key);
        if let Some(row) = self.new_orders.iter_mut().find(|row| row[..3] == own[..]) {
            row[6] = progress.into();
            return;
        }
        let mut row = own;
        // Where the database is spread, how far an order has come stands with its member.
        if known.local.is_some() {
            row[0] = i64::from(known.member.bucket().get()).into();
        }
        row.extend([
            known.member.as_bytes().as_slice().into(),
            crate::record::number(known.seq).into(),
            (known.local.unwrap_or(known.version) + 1).into(),
            progress.into(),
        ]);
        self.orders.insert((program, key), row);
    }

    fn key(&mut self, loaded: &mut Loaded, key: (i64, [u8; 16]), row: Row) {
        if loaded.keys.contains_key(&key) {
            self.kept_keys.push(row)
        } else {
            self.keys.push(row)
        }
        loaded.fresh_keys.insert(key);
    }

    /// What was more than a velocity rule lets pass: by its event, or refused.
    pub fn case(&mut self, command: &Submission, case: (String, CaseHit), came: Result<Option<u64>, &Refusal>) {
        self.cases.add(command, case, came);
    }

    /// A refusal is kept under its key, and holds nothing (I1).
    pub fn refusal(&mut self, loaded: &mut Loaded, command: &Submission, refusal: &Refusal) {
        let (Some((key, hash)), Ok(text)) = (command.key, serde_json::to_string(refusal)) else { return };
        let mut row = own_key(command.program.number, &key);
        row.extend([hash.as_slice().into(), Value::Null, Value::Null, text.into()]);
        self.key(loaded, (command.program.number, key), row);
    }

    pub fn identifier(&mut self, loaded: &mut Loaded, (program, key): Key, member: MemberId, command: &Submission) {
        let now = command.recorded_at;
        let mut row = own_key(program, &key);
        row.extend([member.as_bytes().as_slice().into(), Value::Null, Value::Null, Value::Null]);
        self.identifiers.push(row);
        self.given_by.push(command.key.map(|(key, _)| key));
        if loaded.closed.remove(&(program, key)).is_some() {
            self.reopened.push((program, key));
        }
        loaded.identifiers.insert((program, key), member);
        self.released.push((program, key, now));
    }

    /// A name no longer leads to a member: it is free, or kept as something that leads nowhere.
    pub fn close_name(&mut self, loaded: &mut Loaded, key: Key, member: MemberId, kept: Option<ClosedName>) {
        loaded.identifiers.remove(&key);
        if let Some(kept) = &kept {
            loaded.closed.insert(key, kept.clone());
        }
        if let Some(ClosedName::Left { until, .. }) = &kept {
            self.marks.push(crate::people::end_of_mark(key, *until));
        }
        self.closed.push((key, member, kept));
    }

    /// What is remembered under a mark tells no birthday any more.
    pub fn forget_birthday(&mut self, key: Key) {
        self.undated.push(key);
    }

    /// The person goes: what was personal is deleted, with the key that opened it.
    pub fn erase(&mut self, program: i64, member: MemberId) {
        let key = member_key(program, member);
        self.profiles.retain(|known| known[..3] != key[..]);
        self.erased.push((program, member));
    }

    fn write_names(
        tx: &mut Tx<'_>,
        closed: Vec<(Key, MemberId, Option<ClosedName>)>,
        reopened: &[Key],
    ) -> Result<(), StoreError> {
        let once = |changed: u64| match changed {
            1 => Ok(()),
            _ => Err(StoreError::Conflict { table: tables::MEMBER_IDENTIFIER.name }),
        };
        for ((program, key), member, kept) in closed {
            let mut params = own_key(program, &key);
            params.push(member.as_bytes().as_slice().into());
            let found = "bucket = $1 AND program = $2 AND key = $3 AND member = $4 AND state IS NULL";
            let (state, owner, ends_at, memory) = match kept {
                None => {
                    once(tx.execute(&format!("DELETE FROM member_identifier WHERE {found}"), &params)?)?;
                    continue;
                }
                Some(ClosedName::Replaced) => (NAME_REPLACED, member, None, None),
                // The mark leads to nobody, not even to whom it was.
                Some(ClosedName::Left { until, memory }) => (
                    NAME_LEFT,
                    MemberId::from_bytes([0; 16]),
                    Some(until.micros()),
                    serde_json::to_string(&memory).ok(),
                ),
            };
            params.extend([state.into(), owner.as_bytes().as_slice().into(), ends_at.into(), memory.into()]);
            let sql = format!(
                "UPDATE member_identifier SET state = $5, member = $6, ends_at = $7, memory = $8 WHERE {found}"
            );
            once(tx.execute(&sql, &params)?)?;
        }
        for (program, key) in reopened {
            let sql =
                "DELETE FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3 AND state IS NOT NULL";
            once(tx.execute(sql, &own_key(*program, key))?)?;
        }
        Ok(())
    }

    pub fn profile(&mut self, program: i64, member: MemberId, sealed: SealedProfile) {
        let mut row = member_key(program, member);
        row.extend([sealed.wrapped_key.into(), sealed.data.into()]);
        self.profiles.retain(|known| known[..3] != row[..3]);
        self.profiles.push(row);
    }

    /// An event that waits until somebody joins with an identifier.
    pub fn park(&mut self, loaded: &mut Loaded, command: &Submission, topic: [u8; 16]) {
        let Some((key, hash)) = command.key else { return };
        let program = command.program.number;
        let payload = serde_json::json!({
            "kind": command.what.kind(),
            "time": command.effective_at.to_string(),
            "key": crate::secret::hex(&key),
            "hash": crate::secret::hex(&hash),
            "envelope": command.envelope,
        });
        let mut row: Row = vec![i64::from(Bucket::of(&key).get()).into(), program.into(), key.as_slice().into()];
        let now = command.recorded_at.micros();
        row.extend([
            "parked".into(),
            topic.as_slice().into(),
            i64::MAX.into(),
            0.into(),
            0.into(),
            payload.to_string().into(),
            now.into(),
        ]);
        self.parked.push(row);
        let mut row = own_key(program, &key);
        row.extend([hash.as_slice().into(), Value::Null, Value::Null, Value::Null]);
        self.key(loaded, (program, key), row);
    }

    /// What an event causes for another member goes out once the event is committed.
    fn follow_up(&mut self, context: &Context, program: i64, now: Instant, follow_up: FollowUp) {
        let key = follow_up_key(&context.secrets, program, &follow_up);
        let to = follow_up.to;
        // Texts and numbers: it always has a JSON form.
        let payload = serde_json::to_string(&Payload { follow_up: Some(follow_up) }).unwrap_or_default();
        let mut row = own_key(program, &key);
        let now = now.micros();
        row.extend([
            "command".into(),
            to.as_bytes().as_slice().into(),
            now.into(),
            0.into(),
            0.into(),
            payload.into(),
            now.into(),
        ]);
        self.outbox.push(row);
        self.wakes_relay = true;
    }

    /// What of it lies on shards of its own keys, to be claimed before the rest is written; and claims of others in whose
    /// place it would come.
    pub fn claims(&mut self, loaded: &Loaded, now: Instant) -> (Claims, Vec<(&'static Table, Row)>) {
        let mut claims = Claims::default();
        let mut contested = Vec::new();
        let mut add = |table: &'static Table, row: Row| {
            let over = key_of(&row).ok().and_then(|key| loaded.hollow.get(&(table.name, key)).cloned());
            // A claim for another member may still get its effect there.
            let leads_to = match table.name {
                "event_key" => Some(4),
                "order_key" => Some(3),
                _ => None,
            };
            let elsewhere = over
                .as_ref()
                .zip(leads_to)
                .filter(|(over, place)| over[*place] != Value::Null && over[*place] != row[*place]);
            match elsewhere {
                Some((over, _)) => contested.push((table, over.clone())),
                None => claims.add(&loaded.shards, table, row, over),
            }
        };
        let keys = std::mem::take(&mut self.keys).into_iter().chain(std::mem::take(&mut self.kept_keys));
        keys.for_each(|row| add(&tables::EVENT_KEY, row));
        std::mem::take(&mut self.new_orders).into_iter().for_each(|row| add(&tables::ORDER_KEY, row));
        std::mem::take(&mut self.new_voucher_codes).into_iter().for_each(|row| add(&tables::VOUCHER_CODE, row));
        std::mem::take(&mut self.parked).into_iter().for_each(|row| add(&tables::OUTBOX, row));
        let given_by = std::mem::take(&mut self.given_by);
        for (mut row, by) in std::mem::take(&mut self.identifiers).into_iter().zip(given_by) {
            if let (Some(by), Ok(key)) = (by, key_of(&row)) {
                let mark = match loaded.marks.get(&key) {
                    Some(ClosedName::Left { until, memory }) => Some((*until, memory.clone())),
                    _ => None,
                };
                let claim = NameClaim { by: crate::secret::hex(&by), at: now, mark };
                row[4] = NAME_CLAIMED.into();
                row[6] = serde_json::to_string(&claim).ok().into();
            }
            add(&tables::MEMBER_IDENTIFIER, row);
        }
        // Both come with the claim of the name.
        self.reopened.clear();
        self.released.clear();
        (claims, contested)
    }

    /// What it takes of pools, to be taken from the slices of its shard.
    pub fn pools_wanted(&mut self) -> Vec<Wanted> {
        let wanted = std::mem::take(&mut self.pools).into_iter();
        let mut wanted: Vec<Wanted> =
            wanted.map(|((program, pool), (by, most))| Wanted { program, pool: pool.into(), by, most }).collect();
        wanted.sort_by(|one, other| (one.program, &one.pool).cmp(&(other.program, &other.pool)));
        wanted
    }

    /// Why it writes to other shards too, if it does: the rare things that are one transaction over several.
    pub fn crosses(&self, shards: &Shards, home: u16) -> Option<&'static str> {
        let away = |row: &Row| shards.of(row[0].int().unwrap_or(0)) != home;
        let named = |key: &Key| shards.of(i64::from(Bucket::of(&key.1).get())) != home;
        let ended = self.closed.iter().any(|(key, ..)| named(key)) || self.undated.iter().any(named);
        if ended || self.marks.iter().any(away) {
            Some("a name that ends")
        } else if self.voucher_codes.values().any(away) {
            Some("the use of a code")
        } else if self.orders.values().any(away) {
            Some("an order of another member")
        } else if self.profiles.iter().any(away)
            || self.redemptions.values().any(away)
            || self.fulfilments.values().any(away)
        {
            Some("a merged member")
        } else {
            None
        }
    }

    /// Writes everything, in the order in which locks are taken everywhere: keys, members, pools. What is not rare goes
    /// together.
    pub fn write(mut self, tx: &mut Tx<'_>, loaded: &Loaded) -> Result<(), StoreError> {
        self.outbox.append(&mut self.parked);
        let orders: Vec<Row> = self.orders.into_values().collect();
        let fulfilments: Vec<Row> = self.fulfilments.into_values().collect();
        let waitlist: Vec<Row> = self.waitlist.into_values().collect();
        let voucher_codes: Vec<Row> = self.voucher_codes.into_values().collect();
        let redemptions: Vec<Row> = self.redemptions.into_values().collect();
        let members = loaded.touched.iter().filter_map(|(program, member)| {
            let known = loaded.members.get(&(*program, *member))?;
            Some(member_row(*program, known.version + 1, &known.state))
        });
        let members: Vec<Row> = members.collect();
        let mut together = vec![
            Write::Insert(&tables::EVENT_KEY, &self.keys),
            Write::Upsert(&tables::EVENT_KEY, &self.kept_keys),
            Write::Insert(&tables::ORDER_KEY, &self.new_orders),
            Write::Upsert(&tables::ORDER_KEY, &orders),
        ];
        if !self.closed.is_empty() || !self.reopened.is_empty() {
            tx.write_together(&std::mem::take(&mut together))?;
            Self::write_names(tx, self.closed, &self.reopened)?;
        }
        together.extend([
            Write::Upsert(&tables::OUTBOX, &self.marks),
            Write::Insert(&tables::MEMBER_IDENTIFIER, &self.identifiers),
            Write::Insert(&tables::EVENT, &self.events),
            Write::Insert(&tables::ENTRY, &self.entries),
            Write::Insert(&tables::VOUCHER, &self.vouchers),
            Write::Insert(&tables::DRAW, &self.draws),
            Write::Upsert(&tables::FULFILMENT, &fulfilments),
            Write::Upsert(&tables::WAITLIST, &waitlist),
            Write::Insert(&tables::VOUCHER_CODE, &self.new_voucher_codes),
            Write::Upsert(&tables::VOUCHER_CODE, &voucher_codes),
            Write::Upsert(&tables::REDEMPTION, &redemptions),
            Write::Insert(&tables::PARTNER_ORDER, &self.partner_orders),
        ]);
        if !self.partner_states.is_empty() {
            tx.write_together(&std::mem::take(&mut together))?;
            Self::write_partner_states(tx, self.partner_states)?;
        }
        together
            .extend([Write::Upsert(&tables::MEMBER, &members), Write::Upsert(&tables::MEMBER_PROFILE, &self.profiles)]);
        if !self.erased.is_empty() || !self.undated.is_empty() {
            tx.write_together(&std::mem::take(&mut together))?;
            forget::forget(tx, &self.erased)?;
            forget::forget_birthdays(tx, &self.undated)?;
        }
        together.push(Write::Insert(&tables::OUTBOX, &self.outbox));
        tx.write_together(&together)?;
        for (program, topic, now) in self.released {
            tx.execute(
                "UPDATE outbox SET kind = 'command', due_at = $3 WHERE program = $1 AND kind = 'parked' AND topic = $2",
                &[program.into(), topic.as_slice().into(), now.micros().into()],
            )?;
        }
        let pools: Vec<(Row, i64, i64)> =
            self.pools.into_iter().map(|((program, pool), (by, most))| (pool_key(program, &pool), by, most)).collect();
        tx.take_from_pools(&pools)?;
        self.cases.write(tx)?;
        for (program, pool, redemption, now) in self.codes {
            crate::codes::give(tx, program, &pool, redemption, now)?;
        }
        Ok(())
    }

    fn write_partner_states(tx: &mut Tx<'_>, states: BTreeMap<(i64, EventId), (i64, i64)>) -> Result<(), StoreError> {
        for ((program, id), (state, since)) in states {
            let mut params = redemption_key(program, id);
            params.extend([state.into(), since.into()]);
            let sql = "UPDATE partner_order SET state = $5, changed_at = $6 WHERE bucket = $1 AND program = $2 \
                       AND member = $3 AND seq = $4 AND state <> $5";
            tx.execute(sql, &params)?;
        }
        Ok(())
    }
}
