//! Several PostgreSQL servers in one URL: which is taken, and how another is found.

use tessera_store::{Database, StoreError, Writer};

use crate::postgres::{self, OwnCluster};

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
    let mut writer = both.writer().unwrap();
    write(&mut writer).unwrap();
    assert_eq!(count(&both), Ok(0));

    // It goes on taking calls, and takes no writes: from now on that is the other's.
    leader.run(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]);
    let away = loop {
        if let Err(error) = write(&mut writer) {
            break error;
        }
    };
    assert!(away.is_transient(), "{away}");
    let away = write(&mut writer).unwrap_err();
    assert!(away.is_transient() && away.to_string().matches("takes no writes").count() == 2, "{away}");
    standby.run(&["SELECT pg_promote()"]);
    write(&mut writer).unwrap();
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
