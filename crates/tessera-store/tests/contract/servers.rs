//! Several PostgreSQL servers in one URL: which is taken, and how another is found.

use tessera_store::{Database, StoreError, Tx, Write, Writer, tables};

use crate::postgres::{self, OwnCluster};
use crate::support::{key, sample};

/// How a transaction may begin.
type Way<'a> = dyn Fn(&mut Tx<'_>) -> Result<(), StoreError> + 'a;

/// A write that changes nothing.
fn write(writer: &mut Writer) -> Result<(), StoreError> {
    let mut tx = writer.begin()?;
    tx.execute("UPDATE installation SET value = value", &[])?;
    tx.commit()
}

fn count(database: &Database) -> Result<i64, StoreError> {
    database.read(|reader| reader.query("SELECT COUNT(*) FROM installation", &[])?[0][0].int())
}

#[test]
fn whoever_writes_finds_the_leader_and_whoever_reads_is_content_with_a_standby() {
    let Some(leader) = OwnCluster::new() else { return };
    drop(Database::open_postgres(&leader.url()).unwrap());
    let standby = OwnCluster::standby_of(&leader);
    standby.wait_until("SELECT to_regclass('installation') IS NOT NULL");

    let refused = Database::open_postgres(&standby.url()).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("takes no writes")), "{refused}");
    let reading = Database::open_postgres_to_read(&standby.url()).unwrap();
    assert_eq!(count(&reading), Ok(0));

    let both = Database::open_postgres(&OwnCluster::url_of(&[&standby, &leader])).unwrap();
    // However a transaction finds out; two begin with a read that locks.
    let row = |n| sample(&tables::MEMBER, 1, n);
    let ways: [&Way<'_>; 5] = [
        &|tx| tx.execute("DELETE FROM installation", &[]).map(|_| ()),
        &|tx| tx.insert_rows(&tables::MEMBER, &[row(1)]),
        &|tx| tx.write_together(&[Write::Upsert(&tables::MEMBER, &[row(2)])]),
        &|tx| tx.fetch_by_keys(&tables::MEMBER, &[key(&tables::MEMBER, &row(3))]).map(|_| ()),
        &|tx| tx.query("SELECT name FROM installation FOR UPDATE", &[]).map(|_| ()),
    ];
    let mut writers: Vec<Writer> = ways.iter().map(|_| both.writer().unwrap()).collect();
    writers.iter_mut().for_each(|writer| write(writer).unwrap());
    assert_eq!(count(&both), Ok(0));

    // It goes on taking calls, and takes no writes: from now on that is the other's.
    leader.run(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]);
    for (way, (ask, writer)) in ways.iter().zip(&mut writers).enumerate() {
        let away = loop {
            if let Err(error) = ask(&mut writer.begin().unwrap()) {
                break error;
            }
        };
        assert!(away.is_transient(), "{way}: {away}");
        let away = ask(&mut writer.begin().unwrap()).unwrap_err();
        let told = away.to_string().matches("takes no writes").count();
        assert!(away.is_transient() && told == 2, "{way}: {away}");
    }
    standby.run(&["SELECT pg_promote()"]);
    writers.iter_mut().for_each(|writer| write(writer).unwrap());
}

#[test]
fn a_server_that_takes_the_call_and_says_nothing_does_not_hide_the_others() {
    let prepare = |url: &str| drop(Database::open_postgres(url).unwrap());
    let Some(database) = postgres::prepared_database(prepare) else { return };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let named_first = format!("@{},", silent.local_addr().unwrap());
    let url = format!("{}?connect_timeout=1", database.url().replacen('@', &named_first, 1));
    let found = Database::open_postgres(&url).unwrap();
    write(&mut found.writer().unwrap()).unwrap();
    assert_eq!(count(&found), Ok(0));
}
