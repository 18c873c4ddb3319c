//! Spreading the tables with Citus: which are spread by bucket, which are whole on every machine.

use crate::db::postgres::{PgConnection, Role};
use crate::db::servers::Servers;
use crate::error::StoreError;
use crate::shards::SPREAD;
use crate::tables;

/// A row where the extension is in the database.
pub(crate) const HAS_CITUS: &str = "SELECT 1 FROM pg_extension WHERE extname = 'citus'";
const DISTRIBUTED: &str = "SELECT CAST(logicalrelid AS TEXT) FROM pg_dist_partition";
/// The shard of every bucket, by the ranges of its hash that Citus keeps in `pg_dist_shard`.
pub(crate) const SHARD_OF_EACH_BUCKET: &str = "SELECT get_shard_id_for_distribution_column('member', bucket) \
     FROM generate_series(CAST(0 AS BIGINT), CAST(1023 AS BIGINT)) AS bucket ORDER BY bucket";

/// The statements that spread every table, in order: the first by its bucket over `shards` shards, those like it beside
/// it, and every other one to every machine. Each is written for a database in which none is spread yet.
pub fn citus_statements(shards: u16) -> Vec<(&'static str, String)> {
    let spread = SPREAD.iter().map(|table| {
        let name = table.name;
        let how = match name {
            "member" => format!("colocate_with => 'none', shard_count => {shards}"),
            _ => "colocate_with => 'member'".to_owned(),
        };
        (name, format!("SELECT create_distributed_table('{name}', 'bucket', {how})"))
    });
    let whole = tables::every().filter(|table| SPREAD.iter().all(|spread| spread.name != table.name));
    spread.chain(whole.map(|table| (table.name, format!("SELECT create_reference_table('{}')", table.name)))).collect()
}

/// Spreads the tables of the database at `url` that are not spread yet, and says which. Rows that are there move along.
///
/// # Errors
/// [`StoreError::NoCitus`] where the extension is not in the database; as the server refuses.
pub fn spread_with_citus(url: &str, shards: u16) -> Result<Vec<&'static str>, StoreError> {
    let mut connection = PgConnection::open(&Servers::to_write(url)?, Role::Migration)?;
    if connection.query(HAS_CITUS, &[])?.is_empty() {
        return Err(StoreError::NoCitus);
    }
    let mut known = Vec::new();
    for row in connection.query(DISTRIBUTED, &[])? {
        known.push(row[0].text()?.to_owned());
    }
    let mut spread = Vec::new();
    for (table, sql) in citus_statements(shards) {
        if !known.iter().any(|known| known == table) {
            connection.run(&sql)?;
            spread.push(table);
        }
    }
    Ok(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_spread_by_its_bucket_or_whole_everywhere() {
        let statements = citus_statements(32);
        assert_eq!(statements.len(), tables::every().count());
        assert_eq!(
            statements[0].1,
            "SELECT create_distributed_table('member', 'bucket', colocate_with => 'none', shard_count => 32)"
        );
        assert_eq!(statements[1].1, "SELECT create_distributed_table('event', 'bucket', colocate_with => 'member')");
        let of = |name: &str| statements.iter().find(|(table, _)| *table == name).map(|(_, sql)| sql.as_str());
        assert_eq!(of("waitlist"), Some("SELECT create_reference_table('waitlist')"));
        // What is spread is found by its bucket, so its key begins with it.
        for table in SPREAD {
            assert_eq!(table.columns[0].name, "bucket", "{}", table.name);
            assert!(table.key > 1, "{}", table.name);
        }
    }
}
