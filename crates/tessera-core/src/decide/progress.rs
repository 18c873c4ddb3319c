//! What a member has done so far towards cards, challenges, streaks and badges, and what is missing, in words.

use serde::Serialize;

use super::play::standing;
use crate::member::{MemberState, Streak};
use crate::program::{Challenge, Every, Id, Program, Texts};
use crate::quantity::Amount;
use crate::time::{Day, Instant};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgressView {
    pub cards: Vec<CardView>,
    pub challenges: Vec<ChallengeView>,
    pub streaks: Vec<StreakView>,
    pub badges: Vec<BadgeView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardView {
    pub card: Id,
    pub name: Option<String>,
    pub stamps: i64,
    /// Earned, not yet good.
    pub pending: i64,
    pub needed: i64,
    pub missing: i64,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChallengeView {
    pub challenge: Id,
    pub name: Option<String>,
    /// `open`, `done`, `to_join` or `closed`.
    pub status: &'static str,
    /// What counts in this round.
    pub value: Amount,
    /// From 1.
    pub round: u32,
    pub steps: Vec<StepView>,
    /// What the next step takes, and what is missing of it.
    pub next: Option<Amount>,
    pub missing: Option<Amount>,
    /// Of different values, those that counted.
    pub values: Vec<String>,
    pub from: Option<Day>,
    pub last_day: Option<Day>,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepView {
    pub at: Amount,
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreakView {
    pub streak: Id,
    pub name: Option<String>,
    pub every: Every,
    pub current: u32,
    pub longest: u32,
    /// Whether the current period counts already.
    pub counted_now: bool,
    /// Periods that may still be missed.
    pub grace_left: u32,
    pub next: Option<u32>,
    pub missing: Option<u32>,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BadgeView {
    pub badge: Id,
    pub name: Option<String>,
    pub text: Option<String>,
    pub held: bool,
    pub since: Option<Day>,
}

/// Where a settled member stands at an instant; names and words in a language (`vi`, `th`, else English).
pub fn progress(program: &Program, member: &MemberState, now: Instant, language: &str) -> ProgressView {
    let day = program.calendar.day(now);
    let definition = &program.definition;
    let name = |texts: &Texts| texts.in_language(language).map(ToOwned::to_owned);
    let cards = definition.cards.iter().map(|(id, card)| {
        let purse = member.purse(id.as_str());
        let stamps = purse.map_or(0, crate::ledger::Purse::balance);
        let missing = (card.stamps - stamps).max(0);
        CardView {
            card: id.clone(),
            name: name(&card.name),
            stamps,
            pending: purse.map_or(0, |purse| purse.pending().get()),
            needed: card.stamps,
            missing,
            words: of(language, &stamps.to_string(), &card.stamps.to_string(), &missing.to_string()),
        }
    });
    let challenges = program.challenges.iter().map(|rules| {
        let texts = definition.challenges.get(&rules.id).map(|written| &written.name);
        challenge(rules, texts.and_then(name), member, day, language)
    });
    let streaks = program.streaks.iter().map(|rules| {
        let row = member.streak(rules.id.as_str()).filter(|row| row.every == rules.every);
        let period = rules.every.period(day);
        let (current, longest) = (row.map_or(0, |row| row.current(period)), row.map_or(0, Streak::longest));
        let run = row.map(Streak::run).unwrap_or_default();
        let missed = if current == 0 { 0 } else { run.missed };
        let since = u32::try_from((period - run.last - 1).max(0)).unwrap_or(0);
        let next = rules.milestones.iter().copied().find(|length| *length > current);
        StreakView {
            streak: rules.id.clone(),
            name: definition.streaks.get(&rules.id).and_then(|written| name(&written.name)),
            every: rules.every,
            current,
            longest,
            counted_now: row.is_some_and(|row| row.open.iter().any(|(known, _)| *known == period)),
            grace_left: rules.grace.saturating_sub(missed + if current == 0 { 0 } else { since }),
            next,
            missing: next.map(|next| next - current),
            words: match next {
                Some(next) => of(language, &current.to_string(), &next.to_string(), &(next - current).to_string()),
                None => in_a_row(language, current, rules.every),
            },
        }
    });
    let badges = definition.badges.iter().map(|(id, badge)| {
        let held = member.badges.iter().find(|known| known.badge == *id);
        BadgeView {
            badge: id.clone(),
            name: name(&badge.name),
            text: name(&badge.text),
            held: held.is_some(),
            since: held.map(|known| known.on),
        }
    });
    ProgressView {
        cards: cards.collect(),
        challenges: challenges.collect(),
        streaks: streaks.collect(),
        badges: badges.collect(),
    }
}

fn challenge(rules: &Challenge, name: Option<String>, member: &MemberState, day: Day, language: &str) -> ChallengeView {
    let stretch = super::play::stretch(rules, member, day);
    let row = standing(rules, member, day);
    let value = row.map_or(Amount::ZERO, |row| row.value);
    let given = row.map_or(0, |row| row.given);
    let round = if rules.repeat { given / rules.length().max(1) } else { 0 };
    let before = rules.threshold(round * rules.length()).zip(rules.steps.first());
    let before = before.map_or(Amount::ZERO, |(first, at)| first - *at);
    let here = value - before;
    let next = rules.threshold(given);
    let missing = next.map(|next| next - value).filter(|missing| !missing.is_negative());
    let could_join = rules.asks && stretch.is_none() && rules.within.span(day, None).is_some();
    let status = match (stretch, next) {
        (Some(_), None) => "done",
        (Some(_), Some(_)) => "open",
        (None, _) if could_join => "to_join",
        (None, _) => "closed",
    };
    let steps = (0..rules.length()).zip(&rules.steps);
    let steps = steps.map(|(place, at)| StepView { at: *at, done: round * rules.length() + place < given }).collect();
    let ever = rules.within == crate::program::Within::Ever || status == "done";
    ChallengeView {
        challenge: rules.id.clone(),
        name,
        status,
        value: here,
        round: round + 1,
        steps,
        next: next.map(|next| next - before),
        missing,
        values: row.iter().flat_map(|row| &row.values).map(|(value, _)| value.to_string()).collect(),
        from: stretch.filter(|_| !ever).map(|(from, _)| from),
        last_day: stretch.filter(|_| !ever).map(|(_, until)| until.plus(-1)),
        words: match (status, next, missing) {
            ("open", Some(next), Some(missing)) => {
                of(language, &here.to_string(), &(next - before).to_string(), &missing.to_string())
            }
            ("done", ..) => said(language, ["done", "đã hoàn thành", "สำเร็จแล้ว"]).to_owned(),
            ("to_join", ..) => {
                said(language, ["join to take part", "hãy đăng ký tham gia", "กดเข้าร่วมเพื่อเริ่ม"]).to_owned()
            }
            _ => said(language, ["not running now", "hiện không diễn ra", "ขณะนี้ไม่เปิดให้ร่วม"]).to_owned(),
        },
    }
}

/// One of three: English, Vietnamese, Thai.
fn said<'a>(language: &str, [en, vi, th]: [&'a str; 3]) -> &'a str {
    match language.get(..2).unwrap_or_default() {
        "vi" => vi,
        "th" => th,
        _ => en,
    }
}

fn of(language: &str, value: &str, goal: &str, missing: &str) -> String {
    match (language.get(..2).unwrap_or_default(), missing) {
        ("vi", "0") => format!("{value}/{goal}: đã đủ"),
        ("vi", _) => format!("{value}/{goal}: còn thiếu {missing}"),
        ("th", "0") => format!("{value}/{goal}: ครบแล้ว"),
        ("th", _) => format!("{value}/{goal}: อีก {missing}"),
        (_, "0") => format!("{value} of {goal}: complete"),
        _ => format!("{value} of {goal}: {missing} to go"),
    }
}

fn in_a_row(language: &str, length: u32, every: Every) -> String {
    let unit = match every {
        Every::Day => said(language, ["days", "ngày", "วัน"]),
        Every::Week => said(language, ["weeks", "tuần", "สัปดาห์"]),
        Every::Month => said(language, ["months", "tháng", "เดือน"]),
    };
    match language.get(..2).unwrap_or_default() {
        "vi" => format!("{length} {unit} liên tiếp"),
        "th" => format!("{length} {unit}ติดต่อกัน"),
        _ => format!("{length} {unit} in a row"),
    }
}
