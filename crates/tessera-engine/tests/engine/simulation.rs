//! I1-I6, A1: months of a program's life drawn from a seed, with everything going wrong that may.
//!
//! Answers are lost, the installation stops before and after a commit, writes fail in the middle, the queue is full,
//! deliveries are repeated, shuffled and late, the clock steps back. After every step the whole ledger is verified and
//! nobody has less than nothing. In the end every command was sent until it was answered, and what is stored is exactly
//! what was acknowledged: nothing lost, nothing twice.
//!
//! A failure prints its seed. `TESSERA_SEED=7 cargo test -p tessera-engine simulation` lives that life again.

use std::sync::mpsc;

use serde_json::{Value, json};
use tessera_core::decide::{Outcome, OutcomeStatus};
use tessera_core::ledger::RedemptionStatus;
use tessera_core::time::Instant;
use tessera_engine::executor::QUEUE_MAX;
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Submission};
use tessera_store::Dialect;
use tessera_testkit::app::{TestApp, as_duplicate, event};
use tessera_testkit::shop::{json, reserve};

/// Everything at once: pending points that mature, debt, tiers, a budget that ends, a reward with stock.
const PROGRAM: &str = "
unknown_member: enrol
currencies:
  point: { name: P, expires: { after: P2M, round: month }, overdraft: debt, value: 100, spend: { reserve: PT30M } }
  star: { name: S, expires: never, pending: P7D }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 300, rate: { point: 2 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / RATE } }, { award: { currency: star, amount: event.net / 9000 } } ] }
  extra: { trigger: purchase, budget: { point: 400 }, rules: [ { when: event.net > 60000, award: { currency: point, amount: 20 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

const MEMBERS: u64 = 6;
/// Steps of a life. A step sends up to a dozen commands.
const STEPS: u64 = 60;

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing() {
    let lives: Vec<Life> = seeds(3).into_iter().map(|seed| live(&mut TestApp::new(&program(1000)), seed)).collect();
    let sum = |count: fn(&Life) -> usize| lives.iter().map(count).sum::<usize>();
    let (turned_away, found_done) = (sum(|life| life.turned_away), sum(|life| life.found_done));
    assert!(
        lives.len() < 3 || (turned_away > 0 && found_done > 0),
        "{turned_away} turned away, {found_done} found done"
    );
}

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing_on_postgresql() {
    for seed in seeds(1) {
        let Some(mut app) = TestApp::on_postgres(&program(1000)) else { return };
        live(&mut app, seed);
    }
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("TESSERA_SEED") {
        Ok(seed) => vec![seed.parse().expect("TESSERA_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

fn program(rate: u32) -> String {
    PROGRAM.replace("RATE", &rate.to_string())
}

/// Tells the seed when a life ends badly.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the seed was {0}: TESSERA_SEED={0} lives it again", self.0);
        }
    }
}

fn live(app: &mut TestApp, seed: u64) -> Life {
    let _told = Told(seed);
    let now = app.now();
    let mut life = Life {
        dice: Dice(seed),
        now,
        sent: Vec::new(),
        orders: Vec::new(),
        redemptions: Vec::new(),
        turned_away: 0,
        found_done: 0,
    };
    for step in 0..STEPS {
        life.step(app);
        app.clock.set(life.now);
        life.check(app, &format!("step {step}"));
    }
    life.end(app);
    life
}

/// Numbers that follow from a seed (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(list.len()).ok().filter(|end| *end > 0)?;
        list.get(usize::try_from(self.below(end)).ok()?)
    }
}

/// A command as whoever sends it keeps it, to send it again.
#[derive(Clone, Debug)]
enum Command {
    Event(Value),
    Reserve { member: u64, points: i64, key: String },
    Redemption { id: String, step: Step, key: String },
}

/// What became of a command, as far as its sender knows.
#[derive(Clone, Debug)]
enum Fate {
    /// No answer, or one that says "again".
    Open,
    Done(Box<Outcome>),
    Refused(String),
}

struct Sent {
    command: Command,
    fate: Fate,
    /// Business time: it is not sent again while the clock stands before it.
    not_before: Instant,
}

struct Life {
    dice: Dice,
    now: Instant,
    sent: Vec<Sent>,
    /// Orders of members, delivered or not, by id.
    orders: Vec<(u64, String)>,
    redemptions: Vec<String>,
    /// Commands that were told to come back.
    turned_away: usize,
    /// Commands without an answer that had been done all the same.
    found_done: usize,
}

impl Life {
    fn step(&mut self, app: &mut TestApp) {
        let hours = self.dice.below(80);
        self.now = plus_hours(self.now, i64::try_from(hours).unwrap());
        // A clock that is put right steps back now and then.
        let shown = if self.dice.below(8) == 0 { plus_hours(self.now, -1) } else { self.now };
        app.clock.set(shown);
        match self.dice.below(12) {
            0 => self.lose_answers(app),
            1 => self.fail_in_the_middle(app),
            2 => self.deliver_again(app),
            3 => self.overflow(app),
            4 => {
                app.run_scheduler();
            }
            5 => {
                let rate = if self.dice.below(2) == 0 { 1000 } else { 1500 };
                app.publish(&program(rate)).unwrap();
            }
            6 => app.restart(),
            _ => self.deliver(app),
        }
    }

    /// New commands, together and in any order.
    fn deliver(&mut self, app: &TestApp) {
        let drawn = self.draw_some(app.now());
        let answers = app.submit_together(drawn.iter().map(|place| Ok(self.submission(app, *place))).collect());
        for (place, answer) in drawn.into_iter().zip(answers) {
            self.answered(place, answer);
        }
    }

    /// The answers go nowhere, and the installation stops: whether the commands were committed, nobody knows.
    fn lose_answers(&mut self, app: &mut TestApp) {
        for place in self.draw_some(app.now()) {
            let submission = self.submission(app, place);
            app.engine().executor().submit(submission, Box::new(|_| {})).unwrap();
        }
        app.restart();
    }

    /// A write fails behind others of the same transaction: all of it is undone, and callers are told to come back.
    fn fail_in_the_middle(&mut self, app: &mut TestApp) {
        let table = *self.dice.pick(&["event", "entry", "member"]).unwrap();
        break_table(app, table);
        let before = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        let drawn = self.draw_some(app.now());
        let answers = app.submit_together(drawn.iter().map(|place| Ok(self.submission(app, *place))).collect());
        for (place, answer) in drawn.into_iter().zip(answers) {
            self.answered(place, answer);
        }
        mend_table(app, table);
        let after = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        // What needs no row of the broken table may pass: a capture of nothing new, a return that is parked.
        assert!(after >= before, "keys do not go away");
        if self.dice.below(2) == 0 {
            app.restart();
        }
    }

    /// More than the queue holds: whoever finds it full is told so, and nothing else happens to them.
    fn overflow(&mut self, app: &TestApp) {
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
        let nobody = || Submission::wake_up(&app.program, tessera_core::id::MemberId::new(0, [0; 10]), app.now());
        let mut room = QUEUE_MAX;
        while app.engine().executor().submit(nobody(), Box::new(|_| {})).is_ok() {
            room -= 1;
        }
        assert_eq!(room, 0, "the queue holds what it says");
        for place in self.draw_some(app.now()) {
            let submission = self.submission(app, place);
            assert!(app.engine().executor().submit(submission, Box::new(|_| {})).is_err());
        }
        drop(release);
        gate.join().unwrap().unwrap();
    }

    /// Commands that were sent before, answered or not, once more.
    fn deliver_again(&mut self, app: &TestApp) {
        for _ in 0..1 + self.dice.below(6) {
            let places: Vec<usize> = (0..self.sent.len()).collect();
            let Some(place) = self.dice.pick(&places).copied() else { return };
            self.send_again(app, place);
        }
        // Another body under a key that was taken.
        let taken = self.sent.iter().find_map(|sent| match (&sent.command, &sent.fate) {
            (Command::Event(event), Fate::Done(_)) if event["type"] == "purchase" => Some(event.clone()),
            _ => None,
        });
        if let Some(mut event) = taken {
            event["data"]["total"] = json!(7);
            assert_eq!(app.refused(&event).code, "idempotency-key-reused");
        }
    }

    fn send_again(&mut self, app: &TestApp, place: usize) {
        if app.now() < self.sent[place].not_before {
            return;
        }
        let answer = app.engine().submit(self.submission(app, place)).unwrap();
        match (&self.sent[place].fate, answer) {
            (Fate::Done(first), Answer::Done { outcome, .. }) => assert_eq!(*outcome, as_duplicate(first)),
            // I1: "nobody knows them" leaves no trace, so it may be another answer later.
            (Fate::Refused(code), answer) if code == "unknown-member" => self.answered(place, answer),
            (Fate::Refused(code), Answer::Refused(refusal)) => {
                assert_eq!((code, refusal.replayed), (&refusal.code, true));
            }
            (Fate::Open, answer) => self.answered(place, answer),
            (fate, answer) => panic!("{:?} was {fate:?} and is now {answer:?}", self.sent[place].command),
        }
    }

    fn answered(&mut self, place: usize, answer: Answer) {
        let fate = match answer {
            Answer::Done { outcome, .. } => {
                // One whose first answer was lost is a duplicate of that answer.
                self.found_done += usize::from(outcome.status == OutcomeStatus::Duplicate);
                let first =
                    Outcome { status: outcome.first_status.unwrap_or(outcome.status), first_status: None, ..*outcome };
                if let Some(redemption) = &first.redemption
                    && redemption.status == RedemptionStatus::Reserved
                {
                    self.redemptions.push(first.event_id.clone());
                }
                Fate::Done(Box::new(first))
            }
            Answer::Refused(refusal) => Fate::Refused(refusal.code),
            Answer::Unavailable => {
                self.turned_away += 1;
                Fate::Open
            }
        };
        self.sent[place].fate = fate;
    }

    fn draw_some(&mut self, now: Instant) -> Vec<usize> {
        let mut drawn = Vec::new();
        for _ in 0..1 + self.dice.below(10) {
            let (command, not_before) = self.draw(now);
            drawn.push(self.sent.len());
            self.sent.push(Sent { command, fate: Fate::Open, not_before });
        }
        // A return may come before its purchase, in the same batch or much later.
        for place in (1..drawn.len()).rev() {
            let other = usize::try_from(self.dice.below(u64::try_from(place).unwrap() + 1)).unwrap();
            drawn.swap(place, other);
        }
        drawn
    }

    fn draw(&mut self, now: Instant) -> (Command, Instant) {
        let number = self.sent.len();
        let key = format!("c-{number}");
        let member = self.dice.below(MEMBERS);
        let at =
            if self.dice.below(5) == 0 { plus_hours(now, -i64::try_from(self.dice.below(72)).unwrap()) } else { now };
        let of_kind = |kind: &str, member: u64, data: &str| {
            let mut event = event(kind, &key, &format!("card:{member}"), data);
            event["time"] = at.to_string().into();
            Command::Event(event)
        };
        let command = match self.dice.below(10) {
            0..=3 => {
                let order = format!("o-{number}");
                self.orders.push((member, order.clone()));
                let units = 1 + i64::try_from(self.dice.below(3)).unwrap();
                let price = 1000 * (1 + i64::try_from(self.dice.below(60)).unwrap());
                of_kind(
                    "purchase",
                    member,
                    &json::lines(&order, &[("A", "goods", units, units * price), ("B", "goods", 1, 5000)]),
                )
            }
            4 | 5 => {
                // Sometimes one that nobody has delivered, or whose purchase comes only afterwards.
                let Some((member, order)) = self.dice.pick(&self.orders).cloned() else {
                    return (of_kind("enrol", member, "{}"), at);
                };
                let data =
                    if self.dice.below(2) == 0 { json::back_all(&order) } else { json::back(&order, &[("A", 1)]) };
                of_kind("return", member, &data)
            }
            6 | 7 => {
                Command::Reserve { member, points: 1 + i64::try_from(self.dice.below(60)).unwrap(), key: key.clone() }
            }
            _ => {
                let Some(id) = self.dice.pick(&self.redemptions).cloned() else {
                    return (of_kind("enrol", member, "{}"), at);
                };
                let step = match self.dice.below(4) {
                    0 => Step::Void,
                    1 => Step::Return { points: Some(1) },
                    _ => Step::Capture { points: None },
                };
                Command::Redemption { id, step, key: key.clone() }
            }
        };
        (command, at)
    }

    fn submission(&self, app: &TestApp, place: usize) -> Submission {
        match &self.sent[place].command {
            Command::Event(event) => app.read(event).unwrap(),
            Command::Reserve { member, points, key } => {
                app.redeeming(&format!("card:{member}"), reserve("point", *points), key)
            }
            Command::Redemption { id, step, key } => app.redemption_step(id, *step, key),
        }
    }

    /// The ledger is whole, and nobody has less than nothing.
    fn check(&self, app: &TestApp, when: &str) {
        let found = app.verify();
        assert!(found.differences.is_empty(), "{when}: {:#?}", found.differences);
        for member in 0..MEMBERS {
            let reply = app.get(&format!("members/card:{member}"));
            if reply.status.is_success() {
                for (currency, balance) in reply.json()["balances"].as_object().unwrap() {
                    for part in ["available", "pending", "held", "debt"] {
                        assert!(balance[part].as_i64().unwrap() >= 0, "{when}: {currency} of {member}: {balance}");
                    }
                }
            }
        }
        let given = app.count("SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM pool WHERE pool NOT LIKE '%#%'");
        assert!(given <= 400, "{when}: C5: the budget is 400, and {given} were given");
    }

    /// Everything is sent until it is answered. What is stored then is what was acknowledged.
    fn end(&mut self, app: &mut TestApp) {
        self.now = plus_hours(self.now, 24);
        app.clock.set(self.now);
        for place in 0..self.sent.len() {
            self.send_again(app, place);
            assert!(!matches!(self.sent[place].fate, Fate::Open), "{:?} has no answer", self.sent[place].command);
        }
        app.run_scheduler();
        self.check(app, "in the end");
        let accepted = self.sent.iter().filter(|sent| matches!(sent.fate, Fate::Done(_))).count();
        let applied = self
            .sent
            .iter()
            .filter(|sent| matches!(&sent.fate, Fate::Done(outcome) if outcome.status == OutcomeStatus::Applied));
        assert!(applied.count() > self.sent.len() / 3, "a life in which little happens shows little");
        let keys = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        assert_eq!(usize::try_from(keys).unwrap(), accepted, "a key for everything that was accepted");
        // 3: events that time or another event brought about.
        let events = app.count("SELECT COUNT(*) FROM event WHERE status <> 3");
        assert_eq!(usize::try_from(events).unwrap(), accepted, "an event for everything that was accepted");
    }
}

fn plus_hours(at: Instant, hours: i64) -> Instant {
    at.plus_seconds(hours * 3600)
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
