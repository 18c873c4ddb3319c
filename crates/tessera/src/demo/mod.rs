//! A coffee chain in Ho Chi Minh City and a year of its business, made by a seeded generator.
//!
//! Nothing here is random: the same seed and the same end make the same members, visits and returns.

mod menu;
mod people;
mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use serde_json::value::RawValue;
use tessera_core::time::Instant;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::submission::{Answer, CloudEvent, Submission};
use tessera_engine::{Engine, EngineError};

use random::Random;

/// About how many events a member makes in a year, for the progress bar.
pub const EVENTS_PER_MEMBER: u64 = 27;

/// A member of every demo.
pub const FIRST_MEMBER: &str = "phone:+84900000001";

/// What was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    pub members: u64,
    pub purchases: u64,
    pub returns: u64,
    pub visits: u64,
    pub reviews: u64,
}

/// One thing that happens, to be sent in the order of time.
struct Happening {
    at: Instant,
    member: u32,
    kind: &'static str,
    data: String,
}

const DAY: i64 = 86_400;

/// Makes so many members and the year until then, in the order of time.
pub fn make(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    (members, until): (u32, Instant),
    seed: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Made, EngineError> {
    let mut made = Made::default();
    let mut happenings = Vec::new();
    for member in 1..=members {
        let mut random = Random::new(seed, u64::from(member));
        year_of(member, until, &mut random, &mut happenings, &mut made);
    }
    happenings.sort_by_key(|happening| (happening.at, happening.member));
    let refused = Arc::new(AtomicU64::new(0));
    for (number, happening) in happenings.iter().enumerate() {
        send(engine, program, number, happening, &refused)?;
        if number.is_multiple_of(500) {
            progress(number as u64);
        }
    }
    // The queue is in order, so an empty write comes after everything sent.
    engine.executor().write(|_| Ok::<_, tessera_engine::StoreError>(()))?;
    let refused = refused.load(Ordering::Relaxed);
    if refused > 0 {
        tracing::warn!(refused, "some of the demo's events were refused");
    }
    Ok(made)
}

fn send(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    number: usize,
    happening: &Happening,
    refused: &Arc<AtomicU64>,
) -> Result<(), EngineError> {
    let id = format!("demo-{number}");
    let phone = people::phone(happening.member);
    let Ok(data) = serde_json::from_str::<&RawValue>(&happening.data) else { return Ok(()) };
    let event = CloudEvent {
        specversion: None,
        id: id.into(),
        source: "demo".into(),
        kind: happening.kind.into(),
        subject: Some(format!("phone:{phone}").into()),
        time: Some(happening.at.to_string().into()),
        data: Some(data),
    };
    match Submission::from_event(&engine.context.secrets, program, &event, engine.context.clock.now()) {
        Ok(submission) => {
            let refused = refused.clone();
            let reply = Box::new(move |answer| {
                if !matches!(answer, Answer::Done { .. }) {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
            engine.executor().submit_in_order_waiting(submission, reply)?;
        }
        Err(refusal) => {
            tracing::warn!(
                kind = happening.kind,
                detail = refusal.detail,
                "the demo made an event the program does not take"
            );
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// One member's year: joins, comes as often as their kind does, sometimes brings something back or says what they think.
fn year_of(member: u32, until: Instant, random: &mut Random, happenings: &mut Vec<Happening>, made: &mut Made) {
    let start = until.plus_seconds(-365 * DAY);
    // A third were there from the beginning, the others joined in the course of the year; the first always was.
    let joined_day = if member == 1 || random.below(3) == 0 { random.below(7) } else { random.below(330) };
    let joined = business_time(start, joined_day.cast_signed(), random);
    happenings.push(Happening { at: joined, member, kind: "enrol", data: people::profile(member, random) });
    made.members += 1;
    let habit = Habit::draw(member, random);
    let mut day = joined_day.cast_signed();
    let mut visits = 0_u32;
    loop {
        day += habit.days_between(random);
        let at = business_time(start, day, random);
        if at >= until.plus_seconds(-600) {
            break;
        }
        visits += 1;
        if habit.has_left(visits, random) {
            break;
        }
        one_visit(member, visits, at, until, random, happenings, made);
    }
}

fn one_visit(
    member: u32,
    visit: u32,
    at: Instant,
    until: Instant,
    random: &mut Random,
    happenings: &mut Vec<Happening>,
    made: &mut Made,
) {
    let location = menu::location(member, random);
    if random.below(12) == 0 {
        happenings.push(Happening { at, member, kind: "visit", data: json!({ "location": location }).to_string() });
        made.visits += 1;
        return;
    }
    let order_id = format!("CC-{member}-{visit}");
    let order = menu::order(&order_id, location, random);
    let back = random.below(60) == 0;
    let items = order["items"].as_array().map_or(0, Vec::len);
    happenings.push(Happening { at, member, kind: "purchase", data: order.to_string() });
    made.purchases += 1;
    let later = at.plus_seconds(600 + i64::try_from(random.below(3 * 86_400)).unwrap_or(0));
    if back && later < until {
        let line = (random.below(items.max(1) as u64) + 1).to_string();
        let data = json!({ "order_id": order_id, "items": [{ "line": line, "quantity": 1 }] });
        happenings.push(Happening { at: later, member, kind: "return", data: data.to_string() });
        made.returns += 1;
    } else if random.below(25) == 0 && later < until {
        let stars = [5, 5, 4, 4, 4, 3, 2, 1][random.below(8) as usize];
        let data = json!({ "order_id": order_id, "stars": stars });
        happenings.push(Happening { at: later, member, kind: "review", data: data.to_string() });
        made.reviews += 1;
    }
}

/// A time of day when coffee is drunk: most in the morning, some after lunch, few in the evening.
fn business_time(start: Instant, day: i64, random: &mut Random) -> Instant {
    let hour = [7, 7, 8, 8, 8, 9, 9, 10, 11, 13, 13, 14, 15, 16, 18, 19, 20][random.below(17) as usize];
    // Ho Chi Minh City is seven hours ahead the whole year; the year begins at its midnight.
    let midnight = start.micros() / (DAY * 1_000_000) * (DAY * 1_000_000);
    let seconds = day * DAY + (hour - 7) * 3_600 + i64::try_from(random.below(3_600)).unwrap_or(0);
    Instant::from_micros(midnight).plus_seconds(seconds)
}

/// How often somebody comes, and how easily they stop.
#[derive(Clone, Copy)]
struct Habit {
    days: u64,
    /// One in so many visits is the last.
    stays: u64,
}

impl Habit {
    fn draw(member: u32, random: &mut Random) -> Self {
        if member == 1 {
            return Self { days: 3, stays: u64::MAX };
        }
        match random.below(100) {
            0..=7 => Self { days: 2, stays: 400 },
            8..=29 => Self { days: 6, stays: 120 },
            30..=64 => Self { days: 16, stays: 30 },
            _ => Self { days: 40, stays: 6 },
        }
    }

    fn days_between(self, random: &mut Random) -> i64 {
        i64::try_from(1 + random.below(2 * self.days)).unwrap_or(1)
    }

    fn has_left(self, visits: u32, random: &mut Random) -> bool {
        visits > 2 && random.below(self.stays) == 0
    }
}
