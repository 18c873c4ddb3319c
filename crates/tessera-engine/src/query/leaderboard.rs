use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_core::id::MemberId;
use tessera_core::ledger::Account;
use tessera_core::member::Status;
use tessera_core::program::{Id, LeaderboardDefinition, Measure, Names};
use tessera_core::time::{Day, Instant};
use tessera_store::{Reader, Row, StoreError};

use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{ENTRY_COLUMNS, entry_from_row};
use crate::report::profile_of;

/// A leaderboard in one stretch of time.
#[derive(Clone, Debug, Serialize)]
pub struct LeaderboardView {
    pub leaderboard: Id,
    pub name: Option<String>,
    /// Both included.
    pub from: Day,
    pub last_day: Day,
    /// Whether the stretch is over.
    pub over: bool,
    /// Members with anything that counts.
    pub players: usize,
    pub items: Vec<PlaceView>,
    pub next: Option<String>,
    /// The place of the member that was asked for, wherever it is.
    pub own: Option<PlaceView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PlaceView {
    /// From 1.
    pub place: u32,
    pub member: String,
    /// Initials, where the document shows them.
    pub name: Option<String>,
    pub score: i64,
    /// When the score rose last: of equal ones the earlier stands before.
    pub reached_at: Instant,
}

/// What a leaderboard is asked for.
#[derive(Clone, Debug)]
pub struct LeaderboardQuery {
    /// A day of the stretch; `None`: today.
    pub day: Option<Day>,
    pub limit: usize,
    /// Places behind this one.
    pub after: u32,
    pub member: Option<MemberId>,
    pub language: String,
}

/// One member's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub member: MemberId,
    pub score: i64,
    pub reached_at: Instant,
}

/// A leaderboard, worked out from the ledger and the events of its stretch; `None` where the program has none of the
/// name, or it does not run on that day.
pub fn leaderboard(
    context: &Context,
    program: &ProgramHandle,
    board: &Id,
    query: &LeaderboardQuery,
) -> Result<Option<LeaderboardView>, StoreError> {
    let rules = program.versions().head().clone();
    let Some(definition) = rules.definition.leaderboards.get(board) else { return Ok(None) };
    let today = rules.calendar.day(context.clock.now());
    let Some((from, until)) = definition.within.span(query.day.unwrap_or(today), None) else { return Ok(None) };
    let instants = (rules.calendar.start(from), rules.calendar.start(until));
    context.database.read(|reader| {
        let standings = standings(reader, program.number, definition, instants)?;
        let view = |reader: &mut Reader<'_>, place: usize, standing: &Standing| -> Result<PlaceView, StoreError> {
            Ok(PlaceView {
                place: u32::try_from(place + 1).unwrap_or(u32::MAX),
                member: standing.member.to_string(),
                name: initials(context, reader, program.number, definition, standing.member)?,
                score: standing.score,
                reached_at: standing.reached_at,
            })
        };
        let shown = standings.len().min(usize::try_from(definition.top).unwrap_or(usize::MAX));
        let first = usize::try_from(query.after).unwrap_or(usize::MAX).min(shown);
        let last = shown.min(first.saturating_add(query.limit));
        let mut items = Vec::new();
        for (place, standing) in standings.iter().enumerate().take(last).skip(first) {
            items.push(view(reader, place, standing)?);
        }
        let own = standings.iter().enumerate().find(|(_, standing)| Some(standing.member) == query.member);
        let own = own.map(|(place, standing)| view(reader, place, standing)).transpose()?;
        Ok(Some(LeaderboardView {
            leaderboard: board.clone(),
            name: definition.name.in_language(&query.language).map(str::to_owned),
            from,
            last_day: until.plus(-1),
            over: until <= today,
            players: standings.len(),
            items,
            next: (last < shown).then(|| last.to_string()),
            own,
        }))
    })
}

fn initials(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    definition: &LeaderboardDefinition,
    member: MemberId,
) -> Result<Option<String>, StoreError> {
    if definition.names == Names::Hidden {
        return Ok(None);
    }
    let profile = profile_of(context, reader, program, member)?;
    let name = profile.fields.get("name").map(String::as_str).unwrap_or_default();
    let letters: Vec<String> =
        name.split_whitespace().filter_map(|word| word.chars().next()).map(|first| format!("{first}.")).collect();
    Ok((!letters.is_empty()).then(|| letters.join(" ")))
}

const BUCKETS: i64 = 1024;

/// Everybody with anything that counts: most first; of equal ones who reached it earlier, then by id.
pub(crate) fn standings(
    reader: &mut Reader<'_>,
    program: i64,
    definition: &LeaderboardDefinition,
    (from, until): (Instant, Instant),
) -> Result<Vec<Standing>, StoreError> {
    let mut standings: Vec<Standing> = Vec::new();
    let people =
        format!("SELECT member FROM member WHERE bucket = $1 AND program = $2 AND status = {}", Status::Active.code());
    let (sql, what) = match &definition.measure {
        Measure::Earned { earned, .. } => (
            format!(
                "SELECT member, {ENTRY_COLUMNS} FROM entry WHERE bucket = $1 AND program = $2 AND currency = $3 \
                 AND at >= $4 AND at < $5"
            ),
            earned,
        ),
        Measure::Events { events } => (
            "SELECT member, effective_at FROM event WHERE bucket = $1 AND program = $2 AND type = $3 \
             AND effective_at >= $4 AND effective_at < $5 AND status = 1"
                .to_owned(),
            events,
        ),
        Measure::Spend => return Ok(Vec::new()),
    };
    let earned = matches!(definition.measure, Measure::Earned { .. });
    for bucket in 0..BUCKETS {
        let params: Row =
            vec![bucket.into(), program.into(), what.as_str().into(), from.micros().into(), until.micros().into()];
        let mut scores: BTreeMap<MemberId, (i64, Instant)> = BTreeMap::new();
        reader.query_each(&sql, &params, &mut |row| {
            let (by, at) = match earned {
                true => {
                    let entry = entry_from_row(&row[1..])?;
                    let by = match (entry.from, entry.to) {
                        (Account::Issued, _) => entry.amount.get(),
                        (_, Account::Issued) => -entry.amount.get(),
                        _ => 0,
                    };
                    (by, entry.at)
                }
                false => (1, Instant::from_micros(row[1].int()?)),
            };
            if by != 0 {
                let known = scores.entry(member_id(row[0].bytes()?)?).or_insert((0, from));
                known.0 += by;
                if by > 0 {
                    known.1 = known.1.max(at);
                }
            }
            Ok(())
        })?;
        if scores.is_empty() {
            continue;
        }
        let mut active: BTreeSet<MemberId> = BTreeSet::new();
        reader.query_each(&people, &[bucket.into(), program.into()], &mut |row| {
            active.insert(member_id(row[0].bytes()?)?);
            Ok(())
        })?;
        let counts = scores.into_iter().filter(|(member, (score, _))| *score > 0 && active.contains(member));
        standings.extend(counts.map(|(member, (score, reached_at))| Standing { member, score, reached_at }));
    }
    standings
        .sort_unstable_by_key(|standing| (std::cmp::Reverse(standing.score), standing.reached_at, standing.member));
    Ok(standings)
}
