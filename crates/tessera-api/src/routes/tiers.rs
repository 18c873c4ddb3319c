use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tessera_core::event::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep};
use tessera_core::program::Id;
use tessera_core::quantity::Amount;
use tessera_core::time::{Day, Period};
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::subject;
use crate::extract::{Caller, IdempotencyKey, JsonBody, WriteTiers};
use crate::{AppState, Problem};

/// A level that is given, or taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlacement {
    kind: PlacementWord,
    /// Left out of a `lock`: the level the member has
    #[schema(example = "gold")]
    level: Option<String>,
    /// The last program day
    #[schema(value_type = Option<String>, example = "2026-06-30")]
    until: Option<Day>,
    /// In place of `until`: so long from today, the last day included
    #[serde(rename = "for")]
    #[schema(value_type = Option<String>, example = "P90D")]
    period: Option<Period>,
    /// For a `trial`: what must be reached in it to stay, by measure
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "bean": "300" }))]
    keep_if: BTreeMap<String, Amount>,
    /// Why, shown in the member's history; for a `match` name the other program
    #[schema(example = "Sky Club platinum")]
    reason: String,
    /// For `withdraw`: what ends before its time
    what: Option<PlacementWord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlacementWord {
    Invite,
    Match,
    Trial,
    Lock,
    Unlock,
    Withdraw,
}

impl PlacementWord {
    const fn kind(self) -> Option<PlacementKind> {
        match self {
            Self::Invite => Some(PlacementKind::Invite),
            Self::Match => Some(PlacementKind::Match),
            Self::Trial => Some(PlacementKind::Trial),
            Self::Lock => Some(PlacementKind::Lock),
            Self::Unlock | Self::Withdraw => None,
        }
    }
}

impl NewPlacement {
    fn read(&self, ladder: &str) -> Result<PlaceTier, Problem> {
        let ladder: Id = ladder.parse().map_err(|_| {
            Problem::new(StatusCode::NOT_FOUND, "unknown-ladder", "the program has no ladder of this name")
        })?;
        if self.reason.trim().is_empty() || self.reason.len() > 200 {
            return Err(Problem::invalid("reason: 1 to 200 bytes are expected; the member sees it"));
        }
        let reason = self.reason.as_str().into();
        let Some(kind) = self.kind.kind() else {
            return Ok(PlaceTier { ladder, step: self.end()?, reason });
        };
        let ends = match (self.until, self.period) {
            (Some(_), Some(_)) => return Err(Problem::invalid("until: give it or `for`, not both")),
            (Some(day), None) => PlacementEnd::Until(day),
            (None, Some(period)) => PlacementEnd::For(period),
            (None, None) => PlacementEnd::Open,
        };
        if !self.keep_if.is_empty() && kind != PlacementKind::Trial {
            return Err(Problem::invalid("keep_if: only a trial is kept for what is reached in it"));
        }
        if self.what.is_some() {
            return Err(Problem::invalid("what: only `withdraw` says what ends"));
        }
        let name = |text: &String, what: &str| {
            text.parse::<Id>()
                .map_err(|_| Problem::invalid(format!("{what}: a name of the program's document is expected")))
        };
        let level = self.level.as_ref().map(|level| name(level, "level")).transpose()?;
        let keep_if = self.keep_if.iter().map(|(measure, needed)| Ok((name(measure, "keep_if")?, *needed)));
        let keep_if = keep_if.collect::<Result<BTreeMap<Id, Amount>, Problem>>()?;
        Ok(PlaceTier { ladder, step: PlacementStep::Place { kind, level, ends, keep_if }, reason })
    }

    fn end(&self) -> Result<PlacementStep, Problem> {
        let more = self.level.is_some() || self.until.is_some() || self.period.is_some() || !self.keep_if.is_empty();
        if more {
            return Err(Problem::invalid("kind: what ends at once has no `level`, `until`, `for` or `keep_if`"));
        }
        if self.kind == PlacementWord::Unlock {
            return Ok(PlacementStep::Unlock);
        }
        let what = self.what.and_then(PlacementWord::kind).filter(|kind| *kind != PlacementKind::Lock);
        what.map(PlacementStep::Withdraw)
            .ok_or_else(|| Problem::invalid("what: say what ends: `invite`, `match` or `trial`; a lock is `unlock`ed"))
    }
}

/// Puts a member on a level beside what they reached: by invitation, as a status match, on trial or locked; or ends that.
///
/// Needs `tiers:write`.
///
/// `invite` lasts until it is withdrawn unless it says `until` or `for`; `match` and `trial` always end. A `lock` keeps
/// the level through reviews and returns until it is unlocked. What ends leaves the member where their measures put them.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/tiers/{ladder}", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("ladder" = String, Path, example = "cup"),
        ("Idempotency-Key" = String, Header, description = "Yours, new for each")),
    request_body = NewPlacement,
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "Nothing of the kind is there to end", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_placement(
    State(app): State<AppState>,
    caller: Caller<WriteTiers>,
    Path((_, member, ladder)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewPlacement>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (member, wish) = (subject(&member)?, body.read(&ladder)?);
    let now = app.context.clock.now();
    let submission = Submission::place_tier(&app.context.secrets, &caller.program, member, wish, &key, now);
    render(app.submit(submission).await?, false)
}
