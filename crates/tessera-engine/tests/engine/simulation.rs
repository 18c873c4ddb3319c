//! I1-I6, A1: months of a program's life drawn from a seed, with everything going wrong that may.
//!
//! Answers are lost, the installation stops before and after a commit, writes fail in the middle, the queue is full, the
//! database is slow, deliveries are repeated, shuffled and late, the clock steps back, the program changes. After every
//! step the whole ledger is verified and nobody has less than nothing. In the end every command was sent until it was
//! answered, what is stored is exactly what was acknowledged, nothing lost, nothing twice, and the log decided again
//! comes to the same ledger.
//!
//! A failure prints its seed. `TESSERA_SEED=7 cargo test -p tessera-engine simulation` lives that life again, and
//! `TESSERA_SEEDS=100..200` all of those.

use std::sync::mpsc;

use serde_json::{Value, json};
use tessera_core::decide::{EffectKind, Outcome, OutcomeStatus};
use tessera_core::event::{HouseholdStep, Redeem};
use tessera_core::id::MemberId;
use tessera_core::ledger::RedemptionStatus;
use tessera_core::time::Instant;
use tessera_engine::executor::QUEUE_MAX;
use tessera_engine::query;
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Submission};
use tessera_store::Dialect;
use tessera_testkit::app::{TestApp, as_duplicate, event};
use tessera_testkit::shop::{id, json, reserve};

/// Everything at once: pending points that mature, debt, tiers, a budget that ends, redemptions, codes that go round,
/// households.
const PROGRAM: &str = "
unknown_member: enrol
currencies:
  point: { name: P, expires: { after: LIFE, round: month }, overdraft: debt, value: 100, spend: { reserve: PT30M } }
  star: { name: S, expires: never, pending: P7D }
events: { visit: { data: {} } }
households: { size: 3, invites: anyone, pools: { point: { contribute: 0.5, by_hand: true }, star: { contribute: all } } }
vouchers: { cup: { gives: { amount_off: 2000 }, valid: P30D, on_return: rearm, transferable: true } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: GOLD, rate: { point: 2 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / RATE } }, { award: { currency: star, amount: event.net / 9000 } } ] }
  extra: { trigger: purchase, budget: { point: 400 }, rules: [ { when: event.net > 60000, award: { currency: point, amount: 20 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

const MEMBERS: u64 = 6;
/// Steps of a life. A step sends up to a dozen commands.
const STEPS: u64 = 60;

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing() {
    let lives: Vec<Life> = seeds(3).into_iter().map(|seed| live(&mut TestApp::new(&program(1000)), seed)).collect();
    let sum = |count: fn(&Life) -> usize| lives.iter().map(count).sum::<usize>();
    let happened = [
        ("turned away", sum(|life| life.turned_away)),
        ("found done", sum(|life| life.found_done)),
        ("vouchers used", sum(|life| life.used_codes)),
        ("paid by a pool", sum(|life| life.paid_by_pools)),
        ("taken in by a household", sum(|life| life.taken_in)),
    ];
    let missing = happened.iter().find(|(_, count)| *count == 0);
    assert!(lives.len() < 3 || missing.is_none(), "a life in which something never happens: {happened:?}");
}

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing_on_postgresql() {
    for seed in seeds(1) {
        let Some(mut app) = TestApp::on_postgres(&program(1000)) else { return };
        live(&mut app, seed);
    }
}

fn seeds(count: u64) -> Vec<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a seed is a number");
    match (std::env::var("TESSERA_SEED"), std::env::var("TESSERA_SEEDS")) {
        (Ok(seed), _) => vec![number(&seed)],
        (_, Ok(seeds)) => {
            let (first, end) = seeds.split_once("..").expect("TESSERA_SEEDS is a range such as 100..200");
            (number(first)..number(end)).collect()
        }
        _ => (1..=count).collect(),
    }
}

/// One of the versions that follow each other: what a purchase earns, how long it lasts and who is gold are others.
fn program(rate: u32) -> String {
    let (life, gold) = if rate == 1000 { ("P2M", "300") } else { ("P3M", "250") };
    PROGRAM.replace("RATE", &rate.to_string()).replace("LIFE", life).replace("GOLD", gold)
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
        codes: Vec::new(),
        households: Vec::new(),
        invited: Vec::new(),
        turned_away: 0,
        found_done: 0,
        used_codes: 0,
        paid_by_pools: 0,
        taken_in: 0,
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
    Reserve {
        member: u64,
        points: i64,
        key: String,
    },
    Redemption {
        id: String,
        step: Step,
        key: String,
    },
    Household {
        about: MemberId,
        step: HouseholdStep,
        key: String,
    },
    /// Points of a pool, reserved by somebody of the household.
    Pool {
        household: MemberId,
        by: MemberId,
        points: i64,
        key: String,
    },
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
    /// Of vouchers, as members were given them.
    codes: Vec<String>,
    /// Each with who founded it.
    households: Vec<(MemberId, MemberId)>,
    /// Who was invited to which.
    invited: Vec<(MemberId, MemberId)>,
    /// Commands that were told to come back.
    turned_away: usize,
    /// Commands without an answer that had been done all the same.
    found_done: usize,
    used_codes: usize,
    paid_by_pools: usize,
    taken_in: usize,
}

impl Life {
    fn step(&mut self, app: &mut TestApp) {
        let hours = 2 + self.dice.below(78);
        self.now = plus_hours(self.now, i64::try_from(hours).unwrap());
        // A clock that is put right steps back now and then.
        let shown = if self.dice.below(8) == 0 { plus_hours(self.now, -1) } else { self.now };
        app.clock.set(shown);
        match self.dice.below(13) {
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
            7 => self.wait_for_a_slow_database(app),
            _ => self.deliver(app),
        }
        // What members cause for each other arrives soon, or later.
        if self.dice.below(3) > 0 {
            app.relay();
        }
    }

    /// New commands, together and in any order.
    fn deliver(&mut self, app: &TestApp) {
        let drawn = self.draw_some(app);
        let answers = app.submit_together(drawn.iter().map(|place| Ok(self.submission(app, *place))).collect());
        for (place, answer) in drawn.into_iter().zip(answers) {
            self.answered(place, answer);
        }
    }

    /// The database holds the writing thread up while callers come: each gets its answer when it goes on.
    fn wait_for_a_slow_database(&mut self, app: &TestApp) {
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
        for (place, answer) in answers {
            let trouble = app.engine().executor().health().trouble();
            let away = matches!(answer, Answer::Unavailable);
            assert!(!away, "a slow database is no reason to turn somebody away: {trouble:?}");
            self.answered(place, answer);
        }
    }

    /// The answers go nowhere, and the installation stops: whether the commands were committed, nobody knows.
    fn lose_answers(&mut self, app: &mut TestApp) {
        for place in self.draw_some(app) {
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
        let drawn = self.draw_some(app);
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
        while app.engine().executor().submit_in_order(nobody(), Box::new(|_| {})).is_ok() {
            room -= 1;
        }
        assert_eq!(room, 0, "the queue holds what it says");
        for place in self.draw_some(app) {
            let submission = self.submission(app, place);
            assert!(app.engine().executor().submit_in_order(submission, Box::new(|_| {})).is_err());
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
            (Fate::Refused(code), answer) if code == "unknown-member" || code == "unknown-household" => {
                self.answered(place, answer);
            }
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
                let with_code = |kind: EffectKind| first.effects.iter().filter(move |effect| effect.kind == kind);
                let issued = with_code(EffectKind::VoucherIssued).filter_map(|effect| effect.code.as_ref());
                self.codes.extend(issued.map(ToString::to_string));
                self.used_codes += with_code(EffectKind::VoucherRedeemed).count();
                let mut founded = with_code(EffectKind::HouseholdFounded).filter_map(|effect| effect.member.as_ref());
                if let (Some(household), Command::Household { about, .. }) =
                    (founded.next_back(), &self.sent[place].command)
                {
                    self.households.push((household.parse().unwrap(), *about));
                }
                self.paid_by_pools += usize::from(matches!(self.sent[place].command, Command::Pool { .. }));
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

    fn draw_some(&mut self, app: &TestApp) -> Vec<usize> {
        let mut drawn = Vec::new();
        let members: Vec<MemberId> = (0..MEMBERS).filter_map(|member| id_of(app, member)).collect();
        for _ in 0..1 + self.dice.below(10) {
            let (command, not_before) = self.draw(app.now(), &members);
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

    fn draw(&mut self, now: Instant, members: &[MemberId]) -> (Command, Instant) {
        if self.dice.below(5) == 0
            && let Some(command) = self.draw_together(members)
        {
            return (command, now);
        }
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
        let command = match self.dice.below(13) {
            10 => of_kind("visit", member, "{}"),
            // A code of anybody's, used or not, by anybody.
            11 | 12 => {
                let Some(code) = self.dice.pick(&self.codes).cloned() else {
                    return (of_kind("visit", member, "{}"), at);
                };
                let order = format!("o-{number}");
                self.orders.push((member, order.clone()));
                let vouchers = format!(", \"vouchers\": [\"{code}\"]");
                of_kind("purchase", member, &json::sale_with(&order, &[("A", "goods", 1, 40_000)], &vouchers))
            }
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

    /// Something that somebody does about a household.
    fn draw_together(&mut self, members: &[MemberId]) -> Option<Command> {
        let key = format!("c-{}", self.sent.len());
        let by = *self.dice.pick(members)?;
        let what = self.dice.below(12);
        let founded = self.dice.pick(&self.households).copied();
        let household = founded.map(|(household, _)| household);
        // Mostly by somebody who belongs there.
        let by = founded.map(|(_, founder)| founder).filter(|_| self.dice.below(4) > 0).unwrap_or(by);
        let (about, step) = match what {
            _ if household.is_none() => (by, HouseholdStep::Found { known: None }),
            0 => (by, HouseholdStep::Found { known: None }),
            1..=3 => {
                let (to, code) = (*self.dice.pick(members)?, [u8::try_from(self.sent.len() % 256).unwrap(); 16]);
                self.invited.push((household?, to));
                (household?, HouseholdStep::Invite { by, to: Some(to), code })
            }
            4..=6 => {
                let (household, to) = self.invited.last().copied()?;
                (to, HouseholdStep::Accept { household, code: None })
            }
            7 => (*self.dice.pick(members)?, HouseholdStep::Leave),
            8 => {
                let amount = 1 + i64::try_from(self.dice.below(20)).unwrap();
                (by, HouseholdStep::PutIn { currency: id("point"), amount })
            }
            _ => {
                let points = 1 + i64::try_from(self.dice.below(20)).unwrap();
                return Some(Command::Pool { household: household?, by, points, key });
            }
        };
        Some(Command::Household { about, step, key })
    }

    fn submission(&self, app: &TestApp, place: usize) -> Submission {
        let secrets = &app.engine().context.secrets;
        match &self.sent[place].command {
            Command::Event(event) => app.read(event).unwrap(),
            Command::Reserve { member, points, key } => {
                app.redeeming(&format!("card:{member}"), reserve("point", *points), key)
            }
            Command::Redemption { id, step, key } => app.redemption_step(id, *step, key),
            Command::Household { about, step, key } => {
                let about = about.to_string().parse().unwrap();
                Submission::household(secrets, &app.program, about, step.clone(), key, app.now())
            }
            Command::Pool { household, by, points, key } => {
                let redeem = Redeem { by: Some(*by), ..reserve("point", *points) };
                app.redeeming(&household.to_string(), redeem, key)
            }
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
        for (household, _) in &self.households {
            let seen = query::household(&app.engine().context, &app.program, *household).unwrap();
            for (currency, balance) in json!(seen)["pool"].as_object().into_iter().flatten() {
                for part in ["available", "held"] {
                    let amount = balance[part].as_i64().unwrap_or_default();
                    assert!(amount >= 0, "{when}: {currency} of the household {household}: {balance}");
                }
            }
        }
        let twice = app.count("SELECT COUNT(*) FROM voucher_code WHERE uses > 1");
        assert_eq!(twice, 0, "{when}: V1: a code is good for one use");
        let given = app.count("SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM pool WHERE pool NOT LIKE '%#%'");
        assert!(given <= 400, "{when}: C5: the budget is 400, and {given} were given");
    }

    /// Everything is sent until it is answered. What is stored then is what was acknowledged.
    fn end(&mut self, app: &mut TestApp) {
        self.now = plus_hours(self.now, 24);
        app.clock.set(self.now);
        app.run_scheduler();
        for place in 0..self.sent.len() {
            self.send_again(app, place);
            assert!(!matches!(self.sent[place].fate, Fate::Open), "{:?} has no answer", self.sent[place].command);
        }
        app.run_scheduler();
        self.check(app, "in the end");
        self.taken_in = usize::try_from(app.count("SELECT COUNT(*) FROM event WHERE type = 'household-join'")).unwrap();
        app.check_replay_of_all_versions();
        let accepted = self.sent.iter().filter(|sent| matches!(sent.fate, Fate::Done(_))).count();
        let applied = self
            .sent
            .iter()
            .filter(|sent| matches!(&sent.fate, Fate::Done(outcome) if outcome.status == OutcomeStatus::Applied));
        assert!(applied.count() > self.sent.len() / 3, "a life in which little happens shows little");
        // What one member's event caused for another came under a key of its own.
        let caused =
            app.count("SELECT COUNT(*) FROM event WHERE payload LIKE '{\"source\":\"tessera\"%' AND status = 3");
        let keys = app.count("SELECT COUNT(*) FROM event_key WHERE refusal IS NULL");
        assert_eq!(keys - caused, i64::try_from(accepted).unwrap(), "a key for everything that was accepted");
        // 3: events that time or another event brought about.
        let events = app.count("SELECT COUNT(*) FROM event WHERE status <> 3");
        assert_eq!(usize::try_from(events).unwrap(), accepted, "an event for everything that was accepted");
    }
}

fn id_of(app: &TestApp, member: u64) -> Option<MemberId> {
    let reply = app.get(&format!("members/card:{member}"));
    reply.status.is_success().then(|| reply.json()["id"].as_str().unwrap().parse().unwrap())
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
