//! What goes wrong in a life.

use std::sync::mpsc;

use tessera_core::id::MemberId;
use tessera_engine::executor::{Fault, QUEUE_MAX};
use tessera_engine::submission::{Answer, Submission};
use tessera_store::Dialect;
use tessera_testkit::app::TestApp;

use super::Life;

impl Life {
    /// The database holds the writing thread up while callers come: each gets its answer when it goes on.
    pub fn wait_for_a_slow_database(&mut self, app: &TestApp) {
        let neighbour = match app.engine().context.database.dialect() {
            Dialect::Sqlite => None,
            // Another process, which has locked every member.
            Dialect::Postgres => Some(app.neighbour()),
        };
        let executor = neighbour.as_ref().unwrap_or(app.engine()).executor().clone();
        let locks = neighbour.is_some();
        let (entered, inside) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let gate = std::thread::spawn(move || {
            executor.write(move |tx| {
                if locks {
                    tx.query("SELECT member FROM member ORDER BY bucket, program, member FOR UPDATE", &[])?;
                }
                entered.send(()).unwrap();
                let _ended = held.recv();
                Ok::<_, tessera_engine::StoreError>(())
            })
        });
        inside.recv().unwrap();
        let drawn = self.draw_some(app);
        let (answer, answers) = mpsc::channel();
        for place in &drawn {
            let (answer, place) = (answer.clone(), *place);
            let reply = Box::new(move |done| answer.send((place, done)).unwrap());
            app.engine().executor().submit(self.submission(app, place), reply).unwrap();
        }
        // The first of them are on their way to the locked rows, the others wait behind them.
        while locks && app.engine().executor().waiting() == drawn.len() {
            std::thread::yield_now();
        }
        drop((release, answer));
        gate.join().unwrap().unwrap();
        let answers: Vec<_> = answers.iter().collect();
        assert_eq!(answers.len(), drawn.len(), "everybody is answered once");
        // Between the halves of a merge some are told to come back.
        let waits = self.is_between(app);
        for (place, answer) in answers {
            let trouble = app.engine().executor().health().trouble();
            let away = matches!(answer, Answer::Unavailable) && !waits;
            assert!(!away, "a slow database is no reason to turn somebody away: {trouble:?}");
            self.answered(place, answer);
        }
    }

    /// Whether something is on its way from one member to another, or what a crash left is waited for.
    pub fn is_between(&self, app: &TestApp) -> bool {
        app.count("SELECT COUNT(*) FROM outbox WHERE state = 0 AND kind <> 'parked'") > 0
    }

    /// The answers go nowhere, and the installation stops: whether the commands were committed, nobody knows.
    pub fn lose_answers(&mut self, app: &mut TestApp) {
        for place in self.draw_some(app) {
            let submission = self.submission(app, place);
            app.engine().executor().submit(submission, Box::new(|_| {})).unwrap();
        }
        app.restart();
    }

    /// A write fails behind others of the same transaction: all of it is undone, and callers are told to come back.
    pub fn fail_in_the_middle(&mut self, app: &mut TestApp) {
        let table = *self.dice.pick(&["event", "entry", "member"]).unwrap();
        break_table(app, table);
        let before = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        self.deliver(app);
        mend_table(app, table);
        let after = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        // What needs no row of the broken table may pass: a capture of nothing new, a return that is parked.
        assert!(after >= before, "keys do not go away");
        if self.dice.below(2) == 0 {
            app.restart();
        }
    }

    /// The process dies between what a batch writes on one shard and what it writes on the next.
    pub fn die_between_shards(&mut self, app: &mut TestApp) {
        let faults = [Fault::BetweenClaims, Fault::AfterClaims, Fault::AfterCommit];
        let fault = *self.dice.pick(&faults).unwrap();
        let times = 1 + u32::try_from(self.dice.below(6)).unwrap();
        app.engine().executor().fail_at(fault, times);
        self.deliver(app);
        // Also what was asked for and not met is over with it.
        app.restart();
    }

    /// More than the queue holds: whoever finds it full is told so, and nothing else happens to them.
    pub fn overflow(&mut self, app: &TestApp) {
        let (entered, inside) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let executor = app.engine().executor().clone();
        let gate = std::thread::spawn(move || {
            executor.write(move |_| {
                entered.send(()).unwrap();
                let _ended = held.recv();
                Ok::<_, tessera_engine::StoreError>(())
            })
        });
        inside.recv().unwrap();
        // Wake-ups of nobody fill it: they have no key and leave no trace.
        let nobody = || Submission::wake_up(&app.program, MemberId::new(0, [0; 10]), app.now());
        let (answer, answers) = mpsc::channel();
        let mut room = QUEUE_MAX;
        let reply = || {
            let answer = answer.clone();
            Box::new(move |done: Answer| answer.send(done).unwrap())
        };
        while app.engine().executor().submit_in_order(nobody(), reply()).is_ok() {
            room -= 1;
        }
        assert_eq!(room, 0, "the queue holds what it says");
        for place in self.draw_some(app) {
            let submission = self.submission(app, place);
            assert!(app.engine().executor().submit_in_order(submission, Box::new(|_| {})).is_err());
        }
        drop((release, answer));
        gate.join().unwrap().unwrap();
        // What goes wrong next is not to befall them: while the database is away nobody waits in the queue, and the rare
        // write behind them by which a test holds the thread up would be turned away with them.
        assert_eq!(answers.iter().count(), QUEUE_MAX);
    }
}

/// From now on no row can be written to a table.
fn break_table(app: &TestApp, table: &'static str) {
    let verb = if table == "member" { "UPDATE" } else { "INSERT" };
    let statements = match app.engine().context.database.dialect() {
        Dialect::Sqlite => {
            vec![format!("CREATE TRIGGER broken BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")]
        }
        Dialect::Postgres => vec![
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END'"
                .to_owned(),
            format!("CREATE TRIGGER broken BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION broken()"),
        ],
    };
    execute(app, statements);
}

fn mend_table(app: &TestApp, table: &'static str) {
    let statements = match app.engine().context.database.dialect() {
        Dialect::Sqlite => vec!["DROP TRIGGER broken".to_owned()],
        Dialect::Postgres => vec![format!("DROP TRIGGER broken ON {table}"), "DROP FUNCTION broken()".to_owned()],
    };
    execute(app, statements);
}

fn execute(app: &TestApp, statements: Vec<String>) {
    let run = move |tx: &mut tessera_store::Tx<'_>| {
        statements.iter().try_for_each(|statement| tx.execute(statement, &[]).map(drop))
    };
    app.engine().executor().write(run).unwrap();
}
