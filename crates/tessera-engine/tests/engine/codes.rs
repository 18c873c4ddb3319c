//! Codes of partners and donations: nothing twice and nothing lost, however many ask at once.

use std::collections::BTreeSet;

use tessera_core::event::Redeem;
use tessera_engine::codes::{self, Imported};
use tessera_engine::query;
use tessera_engine::submission::Answer;
use tessera_testkit::app::TestApp;
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{id, reward};

use crate::common::sale;
use crate::contention::{THREADS, at_once};

const GIVING: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
code_pools: { cinema: { low: 5 } }
causes: { trees: { public: true } }
rewards:
  film: { costs: { point: 5 }, gives: { code_pool: cinema } }
  tree: { costs: { point: 1 }, gives: { donation: { cause: trees, money: 20000 } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
";

on_both_databases!(GIVING =>
    c5_of_many_who_want_the_last_codes_each_gets_one_of_their_own_or_none,
    a_list_of_codes_may_come_twice,
    c5_every_donation_is_counted_once,
    codes_are_sealed_where_they_lie,
);

fn import(app: &TestApp, codes: &[&str]) -> Imported {
    let (engine, codes) = (app.engine(), codes.iter().map(ToString::to_string).collect());
    codes::import(&engine.context, engine.executor(), &app.program, &id("cinema"), codes).unwrap()
}

fn now(name: &str) -> Redeem {
    Redeem { capture: true, ..reward(name) }
}

fn c5_of_many_who_want_the_last_codes_each_gets_one_of_their_own_or_none(app: &mut TestApp) {
    for number in 0..THREADS {
        app.send(&sale(&format!("r-{number}"), &format!("card:{number}"), 9_000));
    }
    import(app, &["A-1", "A-2", "A-3"]);
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other = shared.then(|| app.neighbour());
    let answers = at_once(|number| {
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        let submission = app.redeeming(&format!("card:{number}"), now("film"), &format!("k-{number}"));
        engine.submit(submission).unwrap()
    });
    let (mut given, mut refused) = (BTreeSet::new(), 0);
    for answer in answers {
        match answer {
            Answer::Done { outcome, .. } => {
                let redemption = outcome.redemption.unwrap();
                let code = query::code_of(&app.engine().context, &app.program, &redemption).unwrap().unwrap();
                assert!(given.insert(code), "a code was given twice");
            }
            Answer::Refused(refusal) => {
                assert_eq!(refusal.code, "reward-sold-out");
                refused += 1;
            }
            Answer::Unavailable => panic!("the database did not take it"),
        }
    }
    assert_eq!((given.len(), refused), (3, THREADS - 3));
    let pools = codes::pools(&app.engine().context, &app.program, "en").unwrap();
    assert_eq!((pools[0].imported, pools[0].given, pools[0].left, pools[0].low), (3, 3, 0, true));
    import(app, &["A-4"]);
    let answer = app.engine().submit(app.redeeming("card:0", now("tree"), "tree")).unwrap();
    assert!(matches!(answer, Answer::Done { .. }));
    let last = (0..THREADS).find(|number| app.available(&format!("card:{number}"), "point") >= 5).unwrap();
    let more = app.engine().submit(app.redeeming(&format!("card:{last}"), now("film"), "more")).unwrap();
    assert!(matches!(more, Answer::Done { .. }), "what is brought in later can be given: {more:?}");
}

fn a_list_of_codes_may_come_twice(app: &mut TestApp) {
    assert_eq!(import(app, &["A-1", "A-2", "A-1"]), Imported { imported: 2, known: 1 });
    assert_eq!(import(app, &["A-2", "A-3"]), Imported { imported: 1, known: 1 });
    assert_eq!(app.count("SELECT COUNT(*) FROM pool_code"), 3);
}

fn c5_every_donation_is_counted_once(app: &mut TestApp) {
    for number in 0..THREADS {
        app.send(&sale(&format!("r-{number}"), &format!("card:{number}"), 9_000));
    }
    at_once(|number| {
        let submission = app.redeeming(&format!("card:{number}"), now("tree"), &format!("k-{number}"));
        app.engine().submit(submission).unwrap()
    });
    let causes = query::causes(&app.engine().context, &app.program, "en").unwrap();
    assert_eq!(causes[0].total.to_string(), (THREADS * 20_000).to_string());
    let settled = query::settlements(&app.engine().context, &app.program, None, None).unwrap();
    assert_eq!((settled.len(), settled[0].month.as_str()), (1, "2026-03"));
}

fn codes_are_sealed_where_they_lie(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 9_000));
    import(app, &["SECRET-CODE-1"]);
    app.engine().submit(app.redeeming("card:1", now("film"), "k")).unwrap();
    for (table, columns) in [("event", "record"), ("redemption", "progress"), ("event", "payload")] {
        for row in app.query(&format!("SELECT {columns} FROM {table}")) {
            assert!(!row[0].text().unwrap().contains("SECRET-CODE"), "{table}.{columns}");
        }
    }
    for row in app.query("SELECT sealed FROM pool_code") {
        let sealed = row[0].bytes().unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"SECRET"));
    }
}
