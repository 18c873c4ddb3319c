//! Everything a batch names, read at once, and what its commands have changed since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use compact_str::CompactString;
use tessera_core::decide::{Memory, OrderProgress, OrderRecord, Recorded};
use tessera_core::event::What;
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::Redemption;
use tessera_core::member::MemberState;
use tessera_core::program::Versions;
use tessera_core::time::Instant;
use tessera_store::{Dialect, Row, Shards, StoreError, Table, tables};

use super::asked::{Asked, pool_keys, rows_of, staff_key};
use super::known::is_made;
use super::{Context, slices};
use crate::identifier::{NAME_CLAIMED, NAME_LEFT, Subject};
use crate::programs::{ProgramHandle, member_id, refresh_at};
use crate::record::{
    ENTRY_COLUMNS, EVENT_COLUMNS, Rows, StoredEvent, entry_from_row, event_from_row, member_key, number,
    order_progress, order_record, own_key, redemption_from_text, redemption_key, state_from_bytes, unsigned,
};
use crate::submission::Submission;
use crate::voucher::KnownCode;

/// A key that some command used before.
#[derive(Clone, Debug)]
pub(super) struct KnownKey {
    pub hash: Vec<u8>,
    pub member: Option<MemberId>,
    pub seq: u64,
    pub refusal: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct KnownOrder {
    pub member: MemberId,
    pub seq: u64,
    pub version: i64,
    pub progress: Option<OrderProgress>,
    /// Where the database is spread, progress is kept with the member: the version of that row, 0 where there is none.
    pub local: Option<i64>,
}

impl KnownOrder {
    /// Whose events the order's progress names, where they are a survivor's.
    pub fn named_by(&self) -> Option<MemberId> {
        self.progress.as_ref()?.by
    }
}

#[derive(Clone, Debug)]
pub(super) struct KnownMember {
    pub state: MemberState,
    /// The version the row was read at; 0 for a member this batch makes.
    pub version: i64,
}

/// A name that leads to nobody any more.
#[derive(Clone, Debug)]
pub(super) enum ClosedName {
    /// Blocked for ever: another took its place.
    Replaced,
    /// Whoever had it left, and this is remembered of them until an instant.
    Left { until: Instant, memory: Memory },
}

pub(super) type Key = (i64, [u8; 16]);

/// What a batch knows. Keys carry the program first: a program is the wall.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub keys: HashMap<Key, KnownKey>,
    pub identifiers: HashMap<Key, MemberId>,
    /// Members who are staff, by the name of whoever rang an order up.
    pub staff: HashMap<Key, MemberId>,
    pub closed: HashMap<Key, ClosedName>,
    pub orders: HashMap<Key, KnownOrder>,
    pub redemptions: HashMap<(i64, EventId), Redemption>,
    pub codes: HashMap<Key, KnownCode>,
    pub members: HashMap<(i64, MemberId), KnownMember>,
    pub pools: HashMap<i64, BTreeMap<CompactString, i64>>,
    /// Members with rows that this batch has decided and not yet written.
    pub touched: HashSet<(i64, MemberId)>,
    /// Members whose rows the batch before this one has decided, and is writing meanwhile.
    pub being_written: HashSet<(i64, MemberId)>,
    /// Keys used by this batch, or the one being written, whose outcome is not written yet.
    pub fresh_keys: HashSet<Key>,
    /// What the batch's commands name, whether it is there or not.
    pub asked: Asked,
    /// Over what the database is spread, if it is. What follows is empty where it is not.
    pub shards: Shards,
    pub spread: bool,
    /// The shard whose members the batch is about.
    pub home: Option<u16>,
    /// Rows that hold nothing, such as claims without an effect, by table: what is written in their place.
    pub hollow: HashMap<(&'static str, Key), Row>,
    /// What was remembered under names when the batch was read.
    pub marks: HashMap<Key, ClosedName>,
    /// The members that commands were about to make, by their keys.
    pub reserved: HashMap<Key, MemberId>,
    /// Names that somebody else is about to give to a member.
    pub contested: HashSet<Key>,
    /// Whether one of them will soon be known.
    pub awaits: bool,
    /// The programs of the batch.
    pub programs: HashMap<i64, Arc<ProgramHandle>>,
    /// Claims of others whose effect is not there: let go when they are old.
    pub stale: Vec<(&'static Table, Row)>,
}

impl Loaded {
    /// At which version each member was read.
    pub fn versions(&self) -> HashMap<(i64, MemberId), i64> {
        self.members.iter().map(|(key, known)| (*key, known.version)).collect()
    }

    /// Everything `batch` names, for the one transaction that decides it.
    pub fn read(tx: &mut dyn Rows, context: &Context, batch: &[Submission]) -> Result<Self, StoreError> {
        let mut programs: Vec<Arc<ProgramHandle>> = Vec::new();
        for command in batch {
            if !programs.iter().any(|known| known.number == command.program.number) {
                programs.push(command.program.clone());
            }
        }
        Self::read_under(tx, context, batch, &programs)
    }

    /// The same under the versions this process knows.
    pub fn read_rows(tx: &mut dyn Rows, context: &Context, batch: &[Submission]) -> Result<Self, StoreError> {
        Self::read_under(tx, context, batch, &[])
    }

    /// `programs`: those to be looked at for a newer version.
    fn read_under(
        tx: &mut dyn Rows,
        context: &Context,
        batch: &[Submission],
        programs: &[Arc<ProgramHandle>],
    ) -> Result<Self, StoreError> {
        let shards = context.shards.clone();
        let asked = Asked::by(context, batch);
        let mut loaded = Self { spread: shards.are_spread(), shards, asked, ..Self::default() };
        if loaded.spread {
            let programs = batch.iter().map(|command| (command.program.number, command.program.clone()));
            loaded.programs = programs.collect();
        }
        let mut found = tx.fetch_together(&loaded.asked.first_keys(batch, programs))?.into_iter();
        let mut next = || found.next().unwrap_or_default();
        let (heads, keys, names, orders, codes) = (next(), next(), next(), next(), next());
        for program in programs {
            let head = heads.iter().find(|row| row[0] == program.number.into());
            refresh_at(tx, program, head)?;
        }
        loaded.know_keys(&keys)?;
        loaded.know_identifiers(tx, batch, names)?;
        loaded.read_staff(tx, context, batch)?;
        loaded.know_orders(tx, context, orders)?;
        loaded.know_codes(codes)?;
        let pools = match loaded.spread {
            // Pools are read for the shard that the batch turns out to be of.
            true => None,
            false => Some(loaded.pools_named(context, batch)),
        };
        loaded.read_members_and_pools(tx, batch, pools.as_ref())?;
        // After the members: whoever has a member's row has their redemptions to themselves.
        loaded.read_redemptions(tx, batch)?;
        if !loaded.spread && context.database.dialect() == Dialect::Postgres {
            loaded.read_known_orders_again(tx, context)?;
        }
        Ok(loaded)
    }

    fn know_keys(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        for row in rows {
            let member = row[4].opt_bytes()?.map(member_id).transpose()?;
            let known = KnownKey {
                hash: row[3].bytes()?.to_vec(),
                member,
                seq: unsigned(row[5].opt_int()?.unwrap_or(0)),
                refusal: row[6].opt_text()?.map(str::to_owned),
            };
            if self.spread && known.refusal.is_some() {
                self.hollow.insert((tables::EVENT_KEY.name, key_of(row)?), row.clone());
            }
            self.keys.insert(key_of(row)?, known);
        }
        Ok(())
    }

    fn know_identifiers(&mut self, tx: &mut dyn Rows, batch: &[Submission], rows: Vec<Row>) -> Result<(), StoreError> {
        let mut claimed = Vec::new();
        for row in rows {
            let key = key_of(&row)?;
            match row[4].opt_int()? {
                Some(NAME_CLAIMED) => claimed.push((key, row)),
                None => drop(self.identifiers.insert(key, member_id(row[3].bytes()?)?)),
                Some(NAME_LEFT) => {
                    let until = Instant::from_micros(row[5].opt_int()?.unwrap_or(0));
                    let memory = row[6].opt_text()?.and_then(|text| serde_json::from_str(text).ok());
                    self.closed.insert(key, ClosedName::Left { until, memory: memory.unwrap_or_default() });
                    if self.spread {
                        self.hollow.insert((tables::MEMBER_IDENTIFIER.name, key), row);
                    }
                }
                Some(_) => drop(self.closed.insert(key, ClosedName::Replaced)),
            }
        }
        if self.spread {
            self.know_claimed_names(tx, batch, claimed)?;
            self.marks = self.closed.clone();
        }
        Ok(())
    }

    /// Who of those who rang orders up is a member: only where a document asks, and without their rows.
    fn read_staff(&mut self, tx: &mut dyn Rows, context: &Context, batch: &[Submission]) -> Result<(), StoreError> {
        let key = |command: &Submission| staff_key(context, command).map(|key| (command.program.number, key));
        let keys: Vec<Key> = batch.iter().filter_map(key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        for row in tx.fetch_by_keys(&tables::MEMBER_IDENTIFIER, &rows_of(&keys))? {
            if row[4].opt_int()?.is_none() {
                self.staff.insert(key_of(&row)?, member_id(row[3].bytes()?)?);
            }
        }
        self.asked.staff = keys;
        Ok(())
    }

    /// Orders tell whose rows to lock, so they are read first; another process may have changed them until the lock
    /// was there. From then on nobody does.
    fn read_known_orders_again(&mut self, tx: &mut dyn Rows, context: &Context) -> Result<(), StoreError> {
        let keys: Vec<Row> = self.orders.keys().map(|(program, key)| own_key(*program, key)).collect();
        self.read_orders_of(tx, context, &keys)
    }

    fn read_orders_of(&mut self, tx: &mut dyn Rows, context: &Context, keys: &[Row]) -> Result<(), StoreError> {
        let rows = tx.fetch_by_keys(&tables::ORDER_KEY, keys)?;
        self.know_orders(tx, context, rows)
    }

    fn know_orders(&mut self, tx: &mut dyn Rows, context: &Context, rows: Vec<Row>) -> Result<(), StoreError> {
        for row in rows {
            let (key, member, seq) = (key_of(&row)?, member_id(row[3].bytes()?)?, unsigned(row[4].int()?));
            if let Some(handle) = self.programs.get(&key.0)
                && !is_made(tx, context, handle, &key.1, EventId { member, seq })?
            {
                self.hollow.insert((tables::ORDER_KEY.name, key), row);
                continue;
            }
            let (local, progress) = order_progress(tx, self.spread, &row)?;
            self.orders.insert(key, KnownOrder { member, seq, version: row[5].int()?, progress, local });
        }
        Ok(())
    }

    /// Pools after the members: locks are taken in this order everywhere.
    fn read_members_and_pools(
        &mut self,
        tx: &mut dyn Rows,
        batch: &[Submission],
        pools: Option<&HashSet<(i64, CompactString)>>,
    ) -> Result<(), StoreError> {
        for command in batch {
            let merged_into = match &command.what {
                What::Merge(merge) => Some(merge.into),
                _ => None,
            };
            let subject = match command.subject {
                Subject::Member(id) => Some(id),
                _ => None,
            };
            let members = subject.into_iter().chain(merged_into);
            self.asked.members.extend(members.map(|member| (command.program.number, member)));
        }
        let members = self.named_members().into_iter().map(|(program, member)| member_key(program, member));
        let mut asked = vec![(&tables::MEMBER, members.collect())];
        asked.extend(pools.into_iter().flat_map(pool_keys));
        let mut found = tx.fetch_together(&asked)?.into_iter();
        let merged_into = self.know_members(found.next().unwrap_or_default())?;
        if let Some(names) = pools {
            self.know_pools(names, found)?;
        }
        self.read_members_of(tx, merged_into)
    }

    /// Whom the commands name, by an id, a name or an order.
    pub fn named_members(&self) -> HashSet<(i64, MemberId)> {
        let mut named: HashSet<(i64, MemberId)> = self.asked.members.iter().copied().collect();
        named.extend(self.identifiers.iter().map(|((program, _), member)| (*program, *member)));
        named.extend(self.orders.iter().map(|((program, _), order)| (*program, order.member)));
        named.extend(self.orders.iter().filter_map(|((program, _), order)| Some((*program, order.named_by()?))));
        named
    }

    /// Whether rows of a member are decided and not written yet, by this batch or the one before.
    pub fn is_unwritten(&self, member: (i64, MemberId)) -> bool {
        self.touched.contains(&member) || self.being_written.contains(&member)
    }

    /// Reads members, and whoever they were merged into.
    fn read_members_of(&mut self, tx: &mut dyn Rows, mut wanted: HashSet<(i64, MemberId)>) -> Result<(), StoreError> {
        wanted.retain(|wanted| !self.members.contains_key(wanted));
        while !wanted.is_empty() {
            let keys: Vec<Row> = wanted.drain().map(|(program, member)| member_key(program, member)).collect();
            wanted = self.know_members(tx.fetch_by_keys(&tables::MEMBER, &keys)?)?;
        }
        Ok(())
    }

    /// Says whom of those who are not known yet they were merged into.
    fn know_members(&mut self, rows: Vec<Row>) -> Result<HashSet<(i64, MemberId)>, StoreError> {
        let mut merged_into = HashSet::new();
        for row in rows {
            let state = state_from_bytes(row[6].bytes()?)?;
            let program = row[1].int()?;
            merged_into.extend(state.into.map(|into| (program, into)));
            self.members.insert((program, state.id), KnownMember { state, version: row[3].int()? });
        }
        merged_into.retain(|wanted| !self.members.contains_key(wanted));
        Ok(merged_into)
    }

    /// Who a member is by now (P2): the last of those they were merged into; themselves where that leads back.
    pub fn survivor(&self, program: i64, member: MemberId) -> MemberId {
        let mut now = member;
        for _ in 0..=MemberState::MERGED_MAX {
            match self.members.get(&(program, now)).and_then(|known| known.state.into) {
                Some(into) if into == member || !self.members.contains_key(&(program, into)) => return member,
                Some(into) => now = into,
                None => return now,
            }
        }
        member
    }

    /// Whose order it is by now: of what a survivor changed the survivor's, else that of whoever made it.
    pub fn owner(&self, program: i64, order: &KnownOrder) -> MemberId {
        self.survivor(program, order.named_by().unwrap_or(order.member))
    }

    /// The order as its owner names what it rests on; `None` as long as the owner does not know of the merge.
    pub fn seen_by_owner(&self, program: i64, known: &KnownOrder, record: OrderRecord) -> Option<OrderRecord> {
        let owner = self.owner(program, known);
        if owner == known.member {
            return Some(record);
        }
        let state = |member: MemberId| self.members.get(&(program, member)).map(|known| &known.state);
        record.of_survivor(state(known.named_by().unwrap_or(known.member))?, state(owner)?)
    }

    /// The event that holds an order's content.
    fn content_of(&self, program: i64, known: &KnownOrder) -> EventId {
        let own = EventId { member: known.member, seq: known.seq };
        let Some(progress) = &known.progress else { return own };
        match known.named_by().and_then(|by| self.members.get(&(program, by))) {
            Some(by) => by.state.event_id(progress.content),
            None => EventId { seq: progress.content, ..own },
        }
    }

    fn read_redemptions(&mut self, tx: &mut dyn Rows, batch: &[Submission]) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        for command in batch {
            let program = command.program.number;
            wanted.extend(command.what.paid_by().map(|redemption| (program, redemption)));
            if let (Some(seq), Subject::Member(member)) = (command.what.names_redemption(), &command.subject) {
                wanted.push((program, EventId { member: *member, seq }));
            }
        }
        self.read_redemptions_of(tx, &wanted)?;
        self.asked.redemptions = wanted;
        Ok(())
    }

    /// Reads redemptions that are not known yet.
    pub fn read_redemptions_of(&mut self, tx: &mut dyn Rows, wanted: &[(i64, EventId)]) -> Result<(), StoreError> {
        let unknown = wanted.iter().filter(|wanted| !self.redemptions.contains_key(wanted));
        let keys: Vec<Row> = unknown.map(|(program, redemption)| redemption_key(*program, *redemption)).collect();
        for row in tx.fetch_by_keys(&tables::REDEMPTION, &keys)? {
            let redemption = EventId { member: member_id(row[2].bytes()?)?, seq: unsigned(row[3].int()?) };
            self.redemptions.insert((row[1].int()?, redemption), redemption_from_text(row[4].text()?)?);
        }
        Ok(())
    }

    fn know_codes(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        for row in rows {
            self.codes.insert(key_of(&row)?, KnownCode::read(row)?);
        }
        Ok(())
    }

    /// Reads codes that are not known yet.
    pub fn read_codes_of(&mut self, tx: &mut dyn Rows, wanted: &[Key]) -> Result<(), StoreError> {
        let unknown = wanted.iter().filter(|key| !self.codes.contains_key(key));
        let keys: Vec<Row> = unknown.map(|(program, key)| own_key(*program, key)).collect();
        let rows = tx.fetch_by_keys(&tables::VOUCHER_CODE, &keys)?;
        self.know_codes(rows)
    }

    pub fn read_pools(&mut self, tx: &mut dyn Rows, context: &Context, batch: &[Submission]) -> Result<(), StoreError> {
        let names = self.pools_named(context, batch);
        let found = tx.fetch_together(&pool_keys(&names))?;
        self.know_pools(&names, found.into_iter())?;
        self.read_slices(tx, names.iter().map(|(program, pool)| (*program, pool)))
    }

    /// `found`: the rows of [`pool_keys`].
    fn know_pools(
        &mut self,
        names: &HashSet<(i64, CompactString)>,
        mut found: impl Iterator<Item = Vec<Row>>,
    ) -> Result<(), StoreError> {
        // There are no codes where nobody brought any in.
        for (program, name) in names.iter().filter(|(_, name)| tessera_core::decide::imports_of(name).is_some()) {
            self.pools.entry(*program).or_default().insert(name.clone(), 0);
        }
        for row in found.next().unwrap_or_default() {
            let Ok(pool) = row[2].text()?.parse() else { continue };
            let name = tessera_core::decide::codes_imported(&pool);
            self.pools.entry(row[1].int()?).or_default().insert(name, row[3].int()?);
        }
        for row in found.next().unwrap_or_default() {
            self.pools.entry(row[1].int()?).or_default().insert(row[2].text()?.into(), row[3].int()?);
        }
        Ok(())
    }

    /// What the batch's own shard has of pools and not given out yet is as good as free.
    fn read_slices<'n>(
        &mut self,
        tx: &mut dyn Rows,
        names: impl Iterator<Item = (i64, &'n CompactString)>,
    ) -> Result<(), StoreError> {
        let Some(home) = self.home else { return Ok(()) };
        let bucket = self.shards.first_bucket(home);
        let names: Vec<(i64, &CompactString)> = names.collect();
        let keys: Vec<Row> = names.iter().map(|(program, pool)| slices::free_key(bucket, *program, pool)).collect();
        let mut free: HashMap<(i64, String), i64> = HashMap::new();
        for row in tx.fetch_by_keys(&tables::POOL, &keys)? {
            free.insert((row[1].int()?, row[2].text()?.to_owned()), row[3].int()?);
        }
        for (program, pool) in names {
            if let Some(free) = free.get(&(program, slices::free_name(pool))) {
                *self.pools.entry(program).or_default().entry(pool.clone()).or_default() -= free;
            }
        }
        Ok(())
    }

    /// Reads pools that are not known yet; one that is not there is unused.
    pub fn read_pools_of(
        &mut self,
        tx: &mut dyn Rows,
        program: i64,
        names: &[CompactString],
    ) -> Result<(), StoreError> {
        let known = self.pools.entry(program).or_default();
        let unknown: Vec<&CompactString> = names.iter().filter(|name| !known.contains_key(*name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let keys: Vec<Row> = unknown.iter().map(|name| pool_key(program, name)).collect();
        let unknown: Vec<CompactString> = unknown.into_iter().cloned().collect();
        known.extend(unknown.iter().map(|name| (name.clone(), 0)));
        for row in tx.fetch_by_keys(&tables::POOL, &keys)? {
            known.insert(row[2].text()?.into(), row[3].int()?);
        }
        self.read_slices(tx, unknown.iter().map(|name| (program, name)))
    }
}

/// Reads the keys of orders that the batch's commands did not name.
pub(super) fn known_orders(
    loaded: &mut Loaded,
    tx: &mut dyn Rows,
    context: &Context,
    program: i64,
    orders: &[CompactString],
) -> Result<(), StoreError> {
    let keys = orders.iter().map(|order| context.secrets.order_key(program, order));
    let unread = keys.filter(|key| !loaded.orders.contains_key(&(program, *key)));
    let unread: Vec<Row> = unread.map(|key| own_key(program, &key)).collect();
    if unread.is_empty() {
        return Ok(());
    }
    loaded.read_orders_of(tx, context, &unread)?;
    let mut members = HashSet::new();
    for order in loaded.orders.values() {
        members.extend([Some(order.member), order.named_by()].into_iter().flatten().map(|member| (program, member)));
    }
    loaded.read_members_of(tx, members)
}

pub(crate) fn pool_key(program: i64, pool: &str) -> Row {
    vec![i64::from(tessera_core::id::Bucket::of(pool.as_bytes()).get()).into(), program.into(), pool.into()]
}

pub(super) fn key_of(row: &Row) -> Result<Key, StoreError> {
    let key = row[2].bytes()?.try_into().map_err(|_| StoreError::corrupt("event_key", "key", "not 16 bytes"))?;
    Ok((row[1].int()?, key))
}

/// Events of one member with their entries, by sequence numbers `from..=until`.
pub(crate) fn events_between(
    tx: &mut dyn Rows,
    program: i64,
    member: MemberId,
    from: u64,
    until: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut params = member_key(program, member);
    params.extend([number(from).into(), number(until).into()]);
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq >= $4 AND seq <= $5 ORDER BY seq"
    );
    tx.query(&sql, &params)?.iter().map(|row| event_from_row(row)).collect()
}

/// Every event of a member with its entries, oldest first.
pub(super) fn history(tx: &mut dyn Rows, program: i64, member: MemberId) -> Result<Vec<Recorded>, StoreError> {
    let events = events_between(tx, program, member, 0, u64::MAX)?;
    let mut events: Vec<Recorded> = events.into_iter().map(|event| event.recorded).collect();
    let sql =
        format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq");
    for row in tx.query(&sql, &member_key(program, member))? {
        let entry = entry_from_row(&row)?;
        if let Ok(place) = events.binary_search_by_key(&entry.event, |event| event.seq) {
            events[place].entries.push(entry);
        }
    }
    Ok(events)
}

/// An order with the events that it rests on; `None` where these were archived.
pub(super) fn order(
    loaded: &Loaded,
    tx: &mut dyn Rows,
    program: i64,
    versions: &Versions,
    known: &KnownOrder,
) -> Result<Option<OrderRecord>, StoreError> {
    let content = loaded.content_of(program, known);
    let Some(made_by) = one_event(tx, program, known.member, known.seq)? else { return Ok(None) };
    let progress = known.progress.clone();
    if content == (EventId { member: known.member, seq: known.seq }) {
        return order_record(versions, known.member, &made_by, &made_by, progress).map(Some);
    }
    let Some(content) = one_event(tx, program, content.member, content.seq)? else { return Ok(None) };
    order_record(versions, known.member, &made_by, &content, progress).map(Some)
}

/// `None` where it was archived.
pub(super) fn one_event(
    tx: &mut dyn Rows,
    program: i64,
    member: MemberId,
    seq: u64,
) -> Result<Option<StoredEvent>, StoreError> {
    Ok(events_between(tx, program, member, seq, seq)?.into_iter().next())
}

/// The most purchases looked at to match a return without order (R11).
const CANDIDATES_MAX: usize = 500;

/// The member's purchases since an instant, newest first, each with its progress.
pub(super) fn purchases_since(
    loaded: &Loaded,
    tx: &mut dyn Rows,
    context: &Context,
    program: i64,
    versions: &Versions,
    member: MemberId,
    since: Instant,
) -> Result<Vec<(OrderRecord, Key, KnownOrder)>, StoreError> {
    let mut params = member_key(program, member);
    params.push(since.micros().into());
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND effective_at >= $4 \
         AND type IN ('purchase', 'exchange', 'claim') AND status = 1 ORDER BY effective_at DESC, seq DESC LIMIT {CANDIDATES_MAX}"
    );
    let events: Vec<StoredEvent> =
        tx.query(&sql, &params)?.iter().map(|row| event_from_row(row)).collect::<Result<_, _>>()?;
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let order_id = event.order(versions)?.order_id;
        let key = own_key(program, &context.secrets.order_key(program, &order_id));
        let rows = tx.fetch_by_keys(&tables::ORDER_KEY, &[key])?;
        let Some(row) = rows.first() else { continue };
        let (local, progress) = order_progress(tx, loaded.spread, row)?;
        let (seq, version) = (event.recorded.seq, row[5].int()?);
        let known = KnownOrder { member, seq, version, progress: progress.clone(), local };
        let content = loaded.content_of(program, &known);
        let content = if content == (EventId { member, seq: event.recorded.seq }) {
            event.clone()
        } else {
            let Some(content) = one_event(tx, program, content.member, content.seq)? else { continue };
            content
        };
        let record = order_record(versions, member, &event, &content, progress)?;
        if let Some(record) = loaded.seen_by_owner(program, &known, record) {
            records.push((record, key_of(row)?, known));
        }
    }
    Ok(records)
}
