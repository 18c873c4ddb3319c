//! Which shard each bucket is on, and the watch over transactions that must keep to one.

use std::sync::Arc;

use crate::error::StoreError;
use crate::table::Table;
use crate::tables;
use crate::value::{Row, Value};

/// How many buckets there are: `0..1024`, for ever.
pub const BUCKETS: u16 = 1024;

/// The tables whose rows live where their bucket does. What one transaction of a batch writes in them lies on one shard;
/// every other table is small or seldom written and is whole on every machine.
pub static SPREAD: [&Table; 14] = [
    &tables::MEMBER,
    &tables::EVENT,
    &tables::ENTRY,
    &tables::EVENT_KEY,
    &tables::ORDER_KEY,
    &tables::MEMBER_IDENTIFIER,
    &tables::VOUCHER,
    &tables::VOUCHER_CODE,
    &tables::REDEMPTION,
    &tables::POOL,
    &tables::MEMBER_PROFILE,
    &tables::OUTBOX,
    &tables::FULFILMENT,
    &tables::POSSESSION,
];

/// Which shard each bucket is on. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// A shard per bucket; nothing where the database was never spread.
    of: Option<Arc<[u16]>>,
    count: u16,
}

impl Shards {
    /// Buckets in equal ranges over `count` shards, 1 to 1,024; more are 1,024.
    pub fn even(count: u16) -> Self {
        let count = count.clamp(1, BUCKETS);
        let shard = |bucket: u16| u32::from(bucket) * u32::from(count) / u32::from(BUCKETS);
        let of: Vec<u16> = (0..BUCKETS).map(|bucket| u16::try_from(shard(bucket)).unwrap_or(0)).collect();
        Self { of: Some(of.into()), count }
    }

    /// As a database says: a number per bucket, the same for buckets that lie together.
    ///
    /// # Errors
    /// [`StoreError::SchemaBroken`] unless there is one for every bucket.
    pub fn of_places(places: &[i64]) -> Result<Self, StoreError> {
        if places.len() != usize::from(BUCKETS) {
            let problem = format!("{} of {BUCKETS} buckets have a shard", places.len());
            return Err(StoreError::SchemaBroken { problem });
        }
        let mut known: Vec<i64> = places.to_vec();
        known.sort_unstable();
        known.dedup();
        let number = |place: &i64| u16::try_from(known.binary_search(place).unwrap_or(0)).unwrap_or(0);
        let of: Vec<u16> = places.iter().map(number).collect();
        Ok(Self { of: Some(of.into()), count: u16::try_from(known.len()).unwrap_or(BUCKETS) })
    }

    /// Whether the database is spread, be it over one shard: keys are then claimed before their member's transaction.
    pub fn are_spread(&self) -> bool {
        self.of.is_some()
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.count.max(1)
    }

    /// The shard of a bucket; the first for what is none.
    pub fn of(&self, bucket: i64) -> u16 {
        let place = usize::try_from(bucket).ok();
        place.and_then(|place| self.of.as_ref()?.get(place)).copied().unwrap_or(0)
    }

    /// The first bucket of a shard: where rows live that belong to the shard and to no member.
    pub fn first_bucket(&self, shard: u16) -> i64 {
        let found = self.of.as_ref().and_then(|of| of.iter().position(|of| *of == shard));
        found.and_then(|bucket| i64::try_from(bucket).ok()).unwrap_or(0)
    }
}

/// Notes which shards a transaction names, and refuses the second.
#[derive(Debug)]
pub(crate) struct Watch {
    shards: Shards,
    /// The shard named first, and the table in which it was.
    first: Option<(u16, String)>,
}

impl Watch {
    pub(crate) fn over(shards: &Shards) -> Self {
        Self { shards: shards.clone(), first: None }
    }

    /// Rows or keys of a table, which begin with their bucket.
    pub(crate) fn rows(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        if !SPREAD.iter().any(|spread| spread.name == table.name) {
            return Ok(());
        }
        for row in rows {
            if let Some(Value::Int(bucket)) = row.first() {
                self.name(table.name, *bucket)?;
            }
        }
        Ok(())
    }

    /// A statement: those over spread tables say `bucket = $n`.
    pub(crate) fn statement(&mut self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        let words = || sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let Some(table) = SPREAD.iter().find(|table| follows_a_verb(words(), table.name)) else { return Ok(()) };
        let number = sql.split_once("bucket = $").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()));
        let number = number.and_then(|mut parts| parts.next()?.parse::<usize>().ok());
        match number.and_then(|number| params.get(number.checked_sub(1)?)) {
            Some(Value::Int(bucket)) => self.name(table.name, *bucket),
            _ => Err(StoreError::Database(format!("{}: a statement of a batch that names no bucket", table.name))),
        }
    }

    fn name(&mut self, table: &str, bucket: i64) -> Result<(), StoreError> {
        let shard = self.shards.of(bucket);
        match &self.first {
            None => self.first = Some((shard, table.to_owned())),
            Some((first, _)) if *first == shard => {}
            Some((first, other)) => {
                let problem =
                    format!("a transaction names two shards: {first} in {other}, {shard} (bucket {bucket}) in {table}");
                return Err(StoreError::Database(problem));
            }
        }
        Ok(())
    }
}

/// Whether a statement reads or writes a table: a column may have the name of one.
fn follows_a_verb<'s>(mut words: impl Iterator<Item = &'s str>, table: &str) -> bool {
    let mut before = "";
    words.any(|word| {
        let found = word == table && ["FROM", "UPDATE", "INTO", "JOIN"].contains(&before);
        if !word.is_empty() {
            before = word;
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_spread_evenly_and_every_shard_has_a_first_one() {
        for count in [1, 2, 3, 8, 32, 1000, BUCKETS] {
            let shards = Shards::even(count);
            let mut sizes = vec![0; usize::from(count)];
            (0..i64::from(BUCKETS)).for_each(|bucket| sizes[usize::from(shards.of(bucket))] += 1);
            let (least, most) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
            assert!(least >= 1 && most - least <= 1, "{count}: {least} to {most}");
            for shard in 0..count {
                assert_eq!(shards.of(shards.first_bucket(shard)), shard);
            }
        }
        assert_eq!((Shards::default().count(), Shards::default().are_spread()), (1, false));
        assert_eq!(Shards::default().of(1023), 0);
    }

    #[test]
    fn places_of_a_catalogue_become_shards() {
        let places: Vec<i64> = (0..1024).map(|bucket| 102_008 + bucket % 3 * 7).collect();
        let shards = Shards::of_places(&places).unwrap();
        assert_eq!(shards.count(), 3);
        assert_eq!([shards.of(0), shards.of(1), shards.of(2), shards.of(3)], [0, 1, 2, 0]);
        assert!(Shards::of_places(&places[1..]).is_err());
    }

    #[test]
    fn a_watch_refuses_the_second_shard_and_a_statement_without_a_bucket() {
        let shards = Shards::even(8);
        let key = |bucket: i64| -> Row { vec![bucket.into(), 1.into(), Value::from(vec![7_u8; 16])] };
        let mut watch = Watch::over(&shards);
        watch.rows(&tables::MEMBER, &[key(0), key(127)]).unwrap();
        watch.rows(&tables::WAITLIST, &[key(1000)]).unwrap();
        watch.statement("SELECT payload FROM event WHERE bucket = $1 AND program = $2", &key(5)).unwrap();
        watch.statement("SELECT key FROM program WHERE program = $1", &[1.into()]).unwrap();
        let error = watch.rows(&tables::EVENT_KEY, &[key(128)]).unwrap_err().to_string();
        assert!(error.contains("names two shards: 0 in member, 1 (bucket 128) in event_key"), "{error}");
        let error = watch.statement("UPDATE outbox SET state = $1 WHERE topic = $2", &key(0)).unwrap_err().to_string();
        assert!(error.contains("outbox: a statement of a batch that names no bucket"), "{error}");
        assert!(watch.statement("DELETE FROM member_profile WHERE bucket = $1", &key(900)).is_err());
    }
}
