//! I1-I6, A1: months of a program's life drawn from a seed, with everything going wrong that may.
//!
//! Answers are lost, the installation stops before and after a commit and between shards, writes fail in the middle, the
//! queue is full, the database is slow, deliveries are repeated, shuffled and late, the clock steps back, the program
//! changes. Members buy, return, spend, found households, become one and two again; gift cards are sold, loaded, spent,
//! blocked, given another code. After every step the whole ledger is verified and nobody has less than nothing. In the end
//! every command was sent until it was answered, what is stored is exactly what was acknowledged, nothing lost, nothing
//! twice, and the log decided again comes to the same ledger.
//!
//! A failure prints its seed. `TESSERA_SEED=7 cargo test -p tessera-engine simulation` lives that life again, and
//! `TESSERA_SEEDS=100..200` all of those.

mod check;
mod command;
mod faults;

use serde_json::json;
use tessera_core::decide::{EffectKind, Outcome, OutcomeStatus};
use tessera_core::id::MemberId;
use tessera_core::ledger::RedemptionStatus;
use tessera_core::time::Instant;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, as_duplicate};

use self::command::{Command, Dice, Fate, Sent};

/// Everything at once: pending points that mature, debt, tiers, a budget that ends, redemptions, codes that go round,
/// households, merges, gift cards.
const PROGRAM: &str = "
unknown_member: enrol
currencies:
  point: { name: P, expires: { after: LIFE, round: month }, overdraft: debt, value: 100, spend: { reserve: PT30M } }
  star: { name: S, expires: never, pending: P7D }
events: { visit: { data: {} } }
households: { size: 3, invites: anyone, pools: { point: { contribute: 0.5, by_hand: true }, star: { contribute: all } } }
members: { merge: { undo_within: P21D } }
gift_cards: { max: MOST, expires: { after: LIFE }, reserve: P4D, restored: { grace: P14D } }
vouchers: { cup: { gives: { amount_off: 2000 }, valid: P30D, on_return: rearm, transferable: true } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: GOLD, rate: { point: 2 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / RATE } }, { award: { currency: star, amount: event.net / 9000 } } ] }
  extra: { trigger: purchase, budget: { point: BUDGET }, rules: [ { when: event.net > 60000, award: { currency: point, amount: 20 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

/// Points of the campaign that has a budget.
const BUDGET: i64 = 400;
/// The most that a gift card may hold.
const CARD_MAX: i64 = 250_000;
/// Members' cards from the beginning.
const MEMBERS: u64 = 6;
/// Steps of a life. A step sends up to a dozen commands.
const STEPS: u64 = 60;

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing() {
    everything_happens(&lives(3, false, None));
}

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing_on_postgresql() {
    lives(1, true, None);
}

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing_over_shards() {
    lives(1, false, Some(8));
}

#[test]
fn a_year_in_which_everything_goes_wrong_loses_nothing_over_shards_of_postgresql() {
    lives(1, true, Some(8));
}

fn lives(count: u64, on_postgres: bool, shards: Option<u16>) -> Vec<Life> {
    let app = |seed| TestApp::of_seed(seed, &program(1000), on_postgres, shards);
    seeds(count).into_iter().map_while(|seed| Some(live(&mut app(seed)?, seed))).collect()
}

/// What never happens in the lives that a test draws is not tested by them.
fn everything_happens(lives: &[Life]) {
    let sum = |count: fn(&Life) -> i64| lives.iter().map(count).sum::<i64>();
    let happened = [
        ("turned away", sum(|life| life.turned_away)),
        ("found done", sum(|life| life.found_done)),
        ("vouchers used", sum(|life| life.used_codes)),
        ("paid by a pool", sum(|life| life.paid_by_pools)),
        ("taken in by a household", sum(|life| life.taken_in)),
        ("merged", sum(|life| life.merged)),
        ("two again", sum(|life| life.two_again)),
        ("orders paid by a gift card", sum(|life| life.paid_by_cards)),
        ("back to a gift card", sum(|life| life.refunded)),
    ];
    let missing = happened.iter().find(|(_, count)| *count == 0);
    assert!(lives.len() < 3 || missing.is_none(), "a life in which something never happens: {happened:?}");
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
    let program = PROGRAM.replace("RATE", &rate.to_string()).replace("LIFE", life).replace("GOLD", gold);
    program.replace("BUDGET", &BUDGET.to_string()).replace("MOST", &CARD_MAX.to_string())
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
    let mut life = Life { dice: Dice(seed), now: app.now(), ..Life::default() };
    for step in 0..STEPS {
        life.step(app);
        app.clock.set(life.now);
        life.check(app, &format!("step {step}"));
    }
    life.end(app);
    life
}

#[derive(Default)]
struct Life {
    dice: Dice,
    now: Instant,
    steps: u64,
    sent: Vec<Sent>,
    /// Orders with whom they were delivered for, if they were, by id.
    orders: Vec<(String, String)>,
    redemptions: Vec<String>,
    /// Of vouchers, as members were given them.
    codes: Vec<String>,
    /// Everybody who ever was a member by themselves.
    met: Vec<MemberId>,
    /// Each with who founded it.
    households: Vec<(MemberId, MemberId)>,
    /// Who was invited to which.
    invited: Vec<(MemberId, MemberId)>,
    /// Who took in whom.
    merges: Vec<(MemberId, MemberId)>,
    /// Codes of gift cards that somebody asked for.
    cards: Vec<String>,
    /// What gift cards spent: the redemption, how much, for which order.
    paid: Vec<(String, i64, String)>,
    /// Commands that were told to come back.
    turned_away: i64,
    /// Commands without an answer that had been done all the same.
    found_done: i64,
    used_codes: i64,
    paid_by_pools: i64,
    paid_by_cards: i64,
    taken_in: i64,
    merged: i64,
    two_again: i64,
    refunded: i64,
}

impl Life {
    fn step(&mut self, app: &mut TestApp) {
        self.steps += 1;
        let hours = 2 + self.dice.below(78);
        self.now = plus_hours(self.now, i64::try_from(hours).unwrap());
        // A clock that is put right steps back now and then.
        let shown = if self.dice.below(8) == 0 { plus_hours(self.now, -1) } else { self.now };
        app.clock.set(shown);
        match self.dice.below(14) {
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
            8 if app.engine().context.shards.are_spread() => self.die_between_shards(app),
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
            (Fate::Refused(code), answer) if NO_TRACE.contains(&code.as_str()) => self.answered(place, answer),
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
                self.found_done += i64::from(outcome.status == OutcomeStatus::Duplicate);
                let first =
                    Outcome { status: outcome.first_status.unwrap_or(outcome.status), first_status: None, ..*outcome };
                self.remember(place, &first);
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

    /// What later commands may be about.
    fn remember(&mut self, place: usize, first: &Outcome) {
        if let Some(redemption) = &first.redemption
            && redemption.status == RedemptionStatus::Reserved
        {
            self.redemptions.push(first.event_id.clone());
        }
        let of_kind = |kind: EffectKind| first.effects.iter().filter(move |effect| effect.kind == kind);
        let issued = of_kind(EffectKind::VoucherIssued).filter_map(|effect| effect.code.as_ref());
        self.codes.extend(issued.map(ToString::to_string));
        self.used_codes += i64::try_from(of_kind(EffectKind::VoucherRedeemed).count()).unwrap();
        match &self.sent[place].command {
            Command::Household { about, .. } => {
                let founded = of_kind(EffectKind::HouseholdFounded).filter_map(|effect| effect.member.as_ref());
                self.households.extend(founded.map(|household| (household.parse().unwrap(), *about)));
            }
            Command::Pool { .. } => self.paid_by_pools += 1,
            Command::Pay { amount, order_id: Some(order), .. } => {
                self.redemptions.push(first.event_id.clone());
                self.paid.push((first.event_id.clone(), *amount, order.clone()));
            }
            Command::Merge { from, into, .. } => self.merges.push((*into, *from)),
            Command::Event(event) if !event["data"]["payments"].is_null() => self.paid_by_cards += 1,
            _ => {}
        }
    }

    fn submission(&self, app: &TestApp, place: usize) -> Submission {
        self.sent[place].command.submission(app)
    }
}

/// Refusals that leave no trace: nobody is known by that name.
const NO_TRACE: [&str; 4] = ["unknown-member", "unknown-household", "unknown-gift-card", "gift-card-replaced"];

fn plus_hours(at: Instant, hours: i64) -> Instant {
    at.plus_seconds(hours * 3600)
}
