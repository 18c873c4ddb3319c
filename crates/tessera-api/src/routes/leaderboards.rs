use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::event::Adjustment;
use tessera_core::program::{Id, PRIZES_MAX};
use tessera_core::time::Day;
use tessera_engine::identifier::Subject;
use tessera_engine::query::{self, LeaderboardQuery, LeaderboardView};
use tessera_engine::submission::{Answer, Submission};

use super::members::{language, named};
use crate::extract::{Caller, IdempotencyKey, PageQuery, Parameters, ReadMembers, WantedPage, WriteAdjustments};
use crate::{AppState, Problem};

/// Which stretch of time, and whose own place.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    period: Option<String>,
    member: Option<String>,
}

impl Wanted {
    fn day(&self) -> Result<Option<Day>, Problem> {
        let day = self.period.as_ref().map(|day| day.parse::<Day>()).transpose();
        day.map_err(|_| Problem::invalid("period: a day of it is expected, such as 2026-03-31"))
    }
}

/// Who did most, in the order of places; of equal ones who reached it earlier.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/leaderboards/{leaderboard}", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("leaderboard" = String, Path, example = "spring"),
        ("period" = Option<String>, Query, description = "A day of the period; left out: today", example = "2026-03-31"),
        ("member" = Option<String>, Query, description = "Whose own place is wanted, wherever it is: an id, or kind:value", example = "phone:+84901234567"),
        PageQuery),
    responses((status = 200, description = "Places, `own` and `next`", body = Object),
        (status = 404, description = "There is none of this name, or not on this day", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_leaderboard(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, board)): Path<(String, String)>,
    Parameters(wanted): Parameters<Wanted>,
    WantedPage(page, ..): WantedPage<u32>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let member = match &wanted.member {
        Some(member) => Some(named(&app, &caller.program, member).await?),
        None => None,
    };
    let query = LeaderboardQuery {
        day: wanted.day()?,
        limit: page.limit,
        after: page.after.and_then(|after| after.parse().ok()).unwrap_or(0),
        member,
        language: language(&headers),
    };
    let (context, program) = (app.context.clone(), caller.program.clone());
    let board: Id = board.parse().map_err(|_| unknown())?;
    let view = app.blocking(move || Ok(query::leaderboard(&context, &program, &board, &query)?)).await?;
    Ok(Json(json!(view.ok_or_else(unknown)?)))
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-leaderboard",
        "the program has no leaderboard of this name, or it does not run on this day",
    )
}

/// Gives the prizes of a leaderboard whose period is over, each once, however often it is asked.
///
/// Needs `adjustments:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/leaderboards/{leaderboard}/close", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("leaderboard" = String, Path, example = "spring"),
        ("period" = String, Query, description = "A day of the period", example = "2026-03-31"),
        ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "`prizes`, each with `status`: `applied`, `duplicate` or `refused`", body = Object),
        (status = 409, description = "The period is not over", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_leaderboard_close(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Path((_, board)): Path<(String, String)>,
    Parameters(wanted): Parameters<Wanted>,
    _: IdempotencyKey,
) -> Result<Json<Value>, Problem> {
    let day = wanted.day()?.ok_or_else(|| Problem::invalid("period: a day of it is expected, such as 2026-03-31"))?;
    let board: Id = board.parse().map_err(|_| unknown())?;
    let limit = usize::try_from(PRIZES_MAX).unwrap_or(usize::MAX);
    let query = LeaderboardQuery { day: Some(day), limit, after: 0, member: None, language: "en".to_owned() };
    let (context, program, name) = (app.context.clone(), caller.program.clone(), board.clone());
    let view = app.blocking(move || Ok(query::leaderboard(&context, &program, &name, &query)?)).await?;
    let view: LeaderboardView = view.ok_or_else(unknown)?;
    if !view.over {
        let detail = format!("the leaderboard runs until {}: close it after that day", view.last_day);
        let problem = Problem::new(StatusCode::CONFLICT, "leaderboard-still-running", detail);
        return Err(problem.with("last_day", view.last_day.to_string()));
    }
    let rules = caller.program.versions().head().clone();
    let Some(definition) = rules.definition.leaderboards.get(&board) else { return Err(unknown()) };
    let mut prizes = Vec::new();
    for place in &view.items {
        let Some(prize) = definition.prize(place.place) else { break };
        let Ok(member) = place.member.parse() else { continue };
        let reason = format!("{board} {}: place {}", view.from, place.place);
        let adjustment = Adjustment::new(prize.currency.clone(), prize.amount, &reason);
        // One prize for one place of one period, whoever asks again, and whoever would stand there by then.
        let key = format!("leaderboard:{board}:{}:{}", view.from, place.place);
        let now = app.context.clock.now();
        let secrets = &app.context.secrets;
        let submission =
            Submission::adjustment(secrets, &caller.program, Subject::Member(member), adjustment, &key, now);
        let mut told = match app.submit(submission).await? {
            Answer::Done { outcome, .. } => json!({ "status": outcome.status, "event_id": outcome.event_id }),
            Answer::Refused(refusal) => json!({ "status": "refused", "code": refusal.code }),
            Answer::Unavailable => return Err(Problem::unavailable()),
        };
        told["place"] = place.place.into();
        told["member"] = place.member.clone().into();
        told["currency"] = json!(prize.currency);
        told["amount"] = prize.amount.into();
        prizes.push(told);
    }
    Ok(Json(json!({ "leaderboard": board, "from": view.from, "last_day": view.last_day, "prizes": prizes })))
}
