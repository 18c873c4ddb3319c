use serde::Serialize;
use tessera_core::decide::EffectKind;
use tessera_core::id::{EventId, MemberId};
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::StoreError;

use super::member::{Page, PageRequest};
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::{EVENT_COLUMNS, StoredEvent, event_from_row, member_key, number};

/// Points that went from one member to another, as one of them sees it.
#[derive(Clone, Debug, Serialize)]
pub struct TransferView {
    pub event_id: String,
    pub at: Instant,
    pub direction: Direction,
    /// The other member.
    pub member: Option<String>,
    pub currency: Option<Id>,
    /// Units that were sent or have arrived, without the fee.
    pub amount: i64,
    /// What the sender paid on top, or got back of that.
    pub fee: i64,
    /// The sender's name for what was said with it.
    pub message_id: Option<String>,
    /// Why it came back.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Sent,
    Received,
    /// It was sent and could not arrive.
    CameBack,
}

/// What of an event says a transfer, or nothing where it is about something else.
fn view(member: MemberId, event: &StoredEvent) -> Result<Option<TransferView>, StoreError> {
    let recorded = &event.recorded;
    let effects = &recorded.record.effects;
    let of = |kinds: &[EffectKind]| -> i64 {
        effects.iter().filter(|effect| kinds.contains(&effect.kind)).filter_map(|effect| effect.amount).sum()
    };
    let data: serde_json::Value = serde_json::from_str(event.envelope()?.data.get()).unwrap_or_default();
    let (direction, moved, fee) = match recorded.kind.as_str() {
        "transfer" => (Direction::Sent, EffectKind::Sent, EffectKind::Fee),
        "transfer-in" => (Direction::Received, EffectKind::Received, EffectKind::Fee),
        _ if data["kind"] == "transfer-in" => (Direction::CameBack, EffectKind::CameBack, EffectKind::Refunded),
        _ => return Ok(None),
    };
    // What repaid a debt as it arrived has come too.
    let moved = [moved, EffectKind::DebtRepaid];
    let Some(known) = effects.iter().find(|effect| moved.contains(&effect.kind)) else { return Ok(None) };
    Ok(Some(TransferView {
        event_id: EventId { member, seq: recorded.seq }.to_string(),
        at: recorded.effective_at,
        direction,
        member: known.member.as_deref().map(str::to_owned),
        currency: known.currency.clone(),
        amount: of(&moved),
        fee: of(&[fee]),
        message_id: data["message"].as_str().map(str::to_owned),
        reason: known.reason.as_deref().map(str::to_owned),
    }))
}

/// Points that a member sent and received, newest first.
pub fn transfers(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
    page: &PageRequest,
) -> Result<Page<TransferView>, StoreError> {
    let mut params = member_key(program.number, id);
    params.push(number(page.below()).into());
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq < $4 \
         AND type IN ('transfer', 'transfer-in', 'follow-up-refused') ORDER BY seq DESC LIMIT {}",
        page.limit + 1
    );
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let (mut items, mut last) = (Vec::new(), None);
    for row in rows.iter().take(page.limit) {
        let event = event_from_row(row)?;
        last = Some(event.recorded.seq.to_string());
        items.extend(view(id, &event)?);
    }
    Ok(Page { items, next: last.filter(|_| rows.len() > page.limit) })
}
