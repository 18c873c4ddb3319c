//! Events that are not in the database any more, as their partition was dropped (`docs/scale.md`): what rests on them is
//! refused, and never decided from what is left.

use tessera_core::decide::Recorded;
use tessera_core::id::EventId;
use tessera_store::{StoreError, tables};

use crate::record::{Rows, member_key, state_from_bytes};
use crate::submission::Refusal;

const CODE: &str = "history-archived";

/// The number of a member's first event.
const FIRST: u64 = 1;

pub(super) fn order(order_id: &str) -> Refusal {
    let detail = format!(
        "the purchase {order_id} is not in the database any more: it was archived, so what it earned is not known here; \
         bring the archive back, or adjust the points by hand"
    );
    Refusal::new(CODE, detail).with("order_id", order_id)
}

/// Of a claim code: the purchase that it names cannot be read.
pub(super) fn receipt() -> Refusal {
    let detail = "the purchase of this receipt is not in the database any more: it was archived";
    Refusal::new(CODE, detail)
}

/// A known member's events, which must be all of them.
pub(super) fn history(events: &[Recorded]) -> Option<Refusal> {
    let whole = events.first().is_some_and(|event| event.seq == FIRST);
    (!whole).then(|| {
        let detail = "this rests on all events of the member, and the first of them are not in the database any more: they \
                      were archived; send it with the time it has now, or adjust the points by hand";
        Refusal::new(CODE, detail)
    })
}

/// What came of an event cannot be told again.
pub(super) fn answer(id: EventId) -> Refusal {
    let detail = format!(
        "this was accepted before, as {id}, and counts once; what it was answered is not in the database any more: it \
         was archived"
    );
    Refusal::new("answer-archived", detail).with("event_id", id.to_string())
}

/// Whether the member has come past an event that is not there: then it was, and was archived.
pub(super) fn was_there(tx: &mut dyn Rows, program: i64, id: EventId) -> Result<bool, StoreError> {
    let rows = tx.fetch_by_keys(&tables::MEMBER, &[member_key(program, id.member)])?;
    rows.first().map_or(Ok(false), |row| Ok(state_from_bytes(row[6].bytes()?)?.events >= id.seq))
}
