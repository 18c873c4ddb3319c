//! What a database does to a server: full, restarted, gone, silent. Callers get their answer or 503 with `Retry-After`,
//! `/readyz` says what is wrong while it is, the server recovers by itself, nothing acknowledged is lost and nothing
//! is done twice (I6).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../tessera-testkit/src/postgres.rs"]
mod postgres;
mod support;

use std::process::Command;
use std::time::Duration;

use postgres::OwnCluster;
use support::load::{Shop, Tills, holds, pause};
use support::proxy::Proxy;
use support::server::Server;
use support::{Tessera, binary, said};

/// Reading goes on while nothing can be written.
fn reads(tills: &Tills<'_>) {
    let mut client = tills.client().unwrap();
    let (status, body) = client.send("GET", "/v1/programs/faults/members/card:1", "").unwrap();
    assert_eq!(status, 200, "{body}");
}

/// Limits the size of files that a running process may write, in bytes.
fn limit_files(process: u32, limit: &str) -> bool {
    let limited = Command::new("prlimit").args(["--pid", &process.to_string(), &format!("--fsize={limit}")]).status();
    limited.is_ok_and(|status| status.success())
}

#[test]
fn a_disk_that_takes_no_more_is_told_and_survived() {
    let shop = Shop::new(None);
    // Told by an error, as a full disk is, and not by a signal.
    let serve = shop.tessera.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    let server = Server::start(command);
    let (full, room) = ("4096:", "unlimited:");
    if !limit_files(server.id(), room) {
        println!("skipped: prlimit is not there");
        return;
    }
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(6, || {
        for _ in 0..3 {
            tills.wait_for(30);
            assert!(limit_files(server.id(), full));
            let said = tills.wait_until_ready_is(503);
            assert!(said.contains("not ready: the database is unavailable: SQLite: disk I/O error"), "{said}");
            reads(&tills);
            let before = tills.turned_away();
            while tills.turned_away() < before + 6 {
                pause();
            }
            assert!(limit_files(server.id(), room));
            tills.wait_until_ready_is(200);
        }
        tills.wait_for(30);
    });
    shop.check(&tills);
    shop.run(&["doctor", "--full"]).expect(0);
}

/// Mounts a small file system in a place that only the server sees, and serves from it.
const ON_SMALL_DISK: &str = r#"mount -t tmpfs -o size=6m none "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@""#;

#[test]
fn a_full_disk_is_told_and_survived() {
    let shop = Shop::new(None);
    let disk = shop.tessera.folder().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", ON_SMALL_DISK, "small-disk"]).arg(&disk).arg(shop.tessera.data());
    let mut trial = Command::new("unshare");
    let tried = trial.args(["-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none"]).arg(&disk).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("skipped: no file system of the test's own can be mounted here");
        return;
    }
    command.arg(binary()).arg("--data").arg(&disk).args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(command);
    // Where the server sees its disk.
    let inside = |program: &std::path::Path, arguments: &[&str]| {
        let mut enter = Command::new("nsenter");
        enter.args(["--preserve-credentials", "-U", "-m", "-t", &server.id().to_string()]).arg(program);
        said(enter.args(arguments).output().unwrap())
    };
    let shell = |text: &str| inside("sh".as_ref(), &["-c", text, "sh", disk.to_str().unwrap()]);
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(6, || {
        tills.wait_for(30);
        shell("cat /dev/zero > \"$1/filler\"").expect(1);
        let said = tills.wait_until_ready_is(503);
        assert!(said.contains("not ready: the database is unavailable: SQLite: "), "{said}");
        reads(&tills);
        shell("rm \"$1/filler\"").expect(0);
        tills.wait_until_ready_is(200);
        tills.wait_for(30);
    });
    let sales = tills.check();
    let verify = ["--data", disk.to_str().unwrap(), "verify", "--program", "faults", "--json"];
    holds(&inside(&binary(), &verify), sales);
}

#[test]
fn a_database_that_is_restarted_under_load_loses_nothing() {
    let Some(mut cluster) = OwnCluster::new() else { return };
    let shop = Shop::new(Some(cluster.url()));
    let server = shop.serve();
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(8, || {
        for mode in ["fast", "immediate"] {
            tills.wait_for(40);
            cluster.stop(mode);
            let said = tills.wait_until_ready_is(503);
            assert!(said.contains("not ready: the database is unavailable: "), "{said}");
            cluster.start();
            tills.wait_until_ready_is(200);
        }
        tills.wait_for(40);
    });
    shop.check(&tills);
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_leader_that_dies_is_succeeded_by_its_standby_and_nothing_acknowledged_is_lost() {
    let Some(mut leader) = OwnCluster::new() else { return };
    let standby = OwnCluster::standby_of(&leader);
    // From here on what is acknowledged is on both.
    leader.run(&["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]);
    leader.wait_until("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'");
    // Named first is the one that is not written to.
    let shop = Shop::new(Some(OwnCluster::url_of(&[&standby, &leader])));
    let server = shop.serve();
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(6, || {
        tills.wait_for(40);
        leader.stop("immediate");
        let said = tills.wait_until_ready_is(503);
        assert!(said.contains("not ready: the database is unavailable: "), "{said}");
        let before = tills.turned_away();
        while tills.turned_away() < before + 6 {
            pause();
        }
        standby.run(&["SELECT pg_promote()"]);
        tills.wait_until_ready_is(200);
        tills.wait_for(40);
    });
    shop.check(&tills);
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_sale_that_waits_for_a_standby_in_vain_is_not_acknowledged() {
    let Some(leader) = OwnCluster::new() else { return };
    let shop = Shop::new(Some(leader.url()));
    let server = shop.serve_with(&["--database-url", &format!("{}?tcp_user_timeout=1", leader.url())]);
    let tills = Tills::new(server.address, &shop.key);
    tills.insist(0);
    leader.run(&["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"]);
    // A standby that is wanted for every commit, and never says that it has it. It takes a moment until that is so.
    let status = |number: u64| tills.try_sale(number).map(|(status, _)| status);
    let waits = (1..30).find(|number| status(*number) == Some(503));
    let waits = waits.expect("a sale that is on one machine only is not acknowledged");
    for again in 0..3 {
        assert_eq!(status(waits), Some(503), "{again}: sent again, it is still on one machine only");
    }
    leader.run(&["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"]);
    tills.wait_until_ready_is(200);
    tills.sell(4, || tills.wait_for(40));
    shop.check(&tills);
}

/// A shop whose server reaches its database over a network that can be hurt.
fn over_network() -> Option<(OwnCluster, Shop, Proxy, Server)> {
    let cluster = OwnCluster::new()?;
    let shop = Shop::new(Some(cluster.url()));
    let proxy = Proxy::to(cluster.socket());
    let server = shop.serve_with(&["--database-url", &proxy.url()]);
    Some((cluster, shop, proxy, server))
}

#[test]
fn a_commit_whose_answer_is_lost_is_done_once() {
    let Some((_cluster, shop, proxy, server)) = over_network() else { return };
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(6, || {
        for round in 0..12 {
            tills.wait_for(7);
            proxy.cut_at_commit(round % 3 > 0);
        }
        proxy.cut();
        tills.wait_until_ready_is(200);
        tills.wait_for(20);
    });
    shop.check(&tills);
}

#[test]
fn a_network_that_swallows_everything_is_given_up_and_comes_back() {
    let Some((_cluster, shop, proxy, server)) = over_network() else { return };
    let tills = Tills::new(server.address, &shop.key);
    tills.sell(6, || {
        for _ in 0..2 {
            tills.wait_for(20);
            proxy.swallow(true);
            let before = tills.turned_away();
            let said = tills.wait_until_ready_is(503);
            assert!(said.contains("answer") || said.contains("cannot reach PostgreSQL"), "{said}");
            while tills.turned_away() < before + 6 {
                pause();
            }
            proxy.swallow(false);
            tills.wait_until_ready_is(200);
        }
        // A slow one is only slow.
        proxy.delay(Duration::from_millis(15));
        tills.wait_for(12);
        proxy.delay(Duration::ZERO);
        tills.wait_for(20);
    });
    shop.check(&tills);
}

#[test]
fn a_server_does_not_wait_for_ever_for_a_database_that_takes_the_call_and_says_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://x@{}/x?connect_timeout=1&tcp_user_timeout=1", silent.local_addr().unwrap());
    let said = Tessera::new().run(&["--database-url", &url, "serve", "--listen", "127.0.0.1:0"]);
    said.failed(1, "did not answer within 2000 ms");
}
