//! An acknowledged event survives `kill -9` (I6): the real binary under load, killed and started again, on both
//! databases. `TESSERA_SEED` moves the moments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../tessera-testkit/src/postgres.rs"]
mod postgres;
mod support;

use support::load::{Shop, Tills};

const ROUNDS: u64 = 4;

fn killed_and_started_again(shop: &Shop) {
    let seed: u64 = std::env::var("TESSERA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut server = Some(shop.serve());
    let tills = Tills::new(server.as_ref().unwrap().address, &shop.key);
    tills.sell(8, || {
        for round in 0..ROUNDS {
            // Killed after so many answers, in the middle of what the tills are sending.
            let many = 40 + (seed.wrapping_mul(2_654_435_761) >> 7).wrapping_add(round * 97) % 200;
            tills.wait_for(usize::try_from(many).unwrap());
            server.take().unwrap().kill();
            server = Some(shop.serve());
            tills.moved(server.as_ref().unwrap().address);
        }
        tills.wait_for(20);
    });
    shop.check(&tills);
}

#[test]
fn i6_what_was_acknowledged_survives_kill_9_once() {
    killed_and_started_again(&Shop::new(None));
}

#[test]
fn i6_what_was_acknowledged_survives_kill_9_once_on_postgresql() {
    let Some(database) = postgres::database() else { return };
    killed_and_started_again(&Shop::new(Some(database.url())));
}
