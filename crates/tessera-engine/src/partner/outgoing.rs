use serde::{Deserialize, Serialize};
use tessera_core::decide::PartnerOrder;
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::PartnerState;
use tessera_core::member::Told;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Tx, Value, tables};

use crate::clock::Entropy;
use crate::executor::Context;
use crate::record::{Rows, own_key, redemption_key};
use crate::relay::WAITING;
use crate::secret::Secrets;

/// Kind of the outbox rows that go to partners.
pub(super) const KIND: &str = "partner";

/// What waits to be sent to a partner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outgoing {
    Order { partner: Id, redemption: String, product: String, ordered_at: Instant, until: Instant },
    Told { partner: Id, member: String, benefit: Id, number: u32, granted: bool, at: Instant },
}

impl Outgoing {
    pub fn partner(&self) -> &Id {
        match self {
            Self::Order { partner, .. } | Self::Told { partner, .. } => partner,
        }
    }

    pub fn read(payload: &Value) -> Result<Self, StoreError> {
        serde_json::from_str(payload.text()?)
            .map_err(|error| StoreError::corrupt("outbox", "payload", error.to_string()))
    }

    fn row(&self, program: i64, id: [u8; 16], topic: [u8; 16], now: Instant) -> Row {
        let mut row = own_key(program, &id);
        // Texts, numbers and instants: it always has a JSON form.
        let payload = serde_json::to_string(self).unwrap_or_default();
        row.extend([
            KIND.into(),
            topic.as_slice().into(),
            now.micros().into(),
            0.into(),
            WAITING.into(),
            payload.into(),
            now.micros().into(),
        ]);
        row
    }
}

/// A new order: its own row, and the one that sends it.
pub(crate) fn order_row(
    context: &Context,
    program: i64,
    (member, order): (MemberId, PartnerOrder),
    (at, now): (Instant, Instant),
) -> (Row, Row) {
    let redemption = EventId { member, seq: order.redemption };
    let mut row = redemption_key(program, redemption);
    row.extend([
        order.partner.as_str().into(),
        order.product.as_str().into(),
        PartnerState::Ordered.code().into(),
        Value::Null,
        Value::Null,
        at.micros().into(),
        at.micros().into(),
    ]);
    let key = context.secrets.event_key(program, "tessera:partner-order", &redemption.to_string());
    let outgoing = Outgoing::Order {
        partner: order.partner,
        redemption: redemption.to_string(),
        product: order.product.into(),
        ordered_at: at,
        until: order.until,
    };
    (row, outgoing.row(program, key, key, now))
}

/// What sends word of an entitlement. All words of one member, benefit and partner have one topic, in which they go one
/// after the other.
pub(crate) fn told_row(
    context: &Context,
    program: i64,
    (member, told): (MemberId, &Told),
    (at, now): (Instant, Instant),
) -> Row {
    let topic = format!("{member}/{}/{}", told.benefit, told.partner);
    let key = |text: &str| context.secrets.event_key(program, "tessera:entitlement", text);
    let (id, topic) = (key(&format!("{topic}/{}", told.number)), key(&topic));
    let outgoing = Outgoing::Told {
        partner: told.partner.clone(),
        member: member.to_string(),
        benefit: told.benefit.clone(),
        number: told.number,
        granted: told.granted,
        at,
    };
    outgoing.row(program, id, topic, now)
}

/// An order as it is stored.
pub(super) struct StoredOrder {
    pub partner: String,
    pub state: PartnerState,
}

/// Reads an order; `None` where there is none.
pub(super) fn stored(
    rows: &mut dyn Rows,
    program: i64,
    redemption: EventId,
) -> Result<Option<StoredOrder>, StoreError> {
    let found = rows.fetch_by_keys(&tables::PARTNER_ORDER, &[redemption_key(program, redemption)])?;
    let Some(row) = found.first() else { return Ok(None) };
    let state = PartnerState::from_code(row[6].int()?);
    let state = state.ok_or_else(|| StoreError::corrupt("partner_order", "state", "not a value of ours"))?;
    Ok(Some(StoredOrder { partner: row[4].text()?.to_owned(), state }))
}

/// Keeps what the partner calls an order and what was delivered, sealed, as long as it waits for that. Says whether the
/// partner uses the name for this order alone.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    secrets: &Secrets,
    (program, redemption): (i64, EventId),
    reference: Option<&str>,
    code: Option<&str>,
) -> Result<bool, StoreError> {
    let key = redemption_key(program, redemption);
    let Some(order) = stored(tx, program, redemption)? else { return Ok(true) };
    if let Some(reference) = reference {
        let sql = "SELECT member, seq FROM partner_order WHERE program = $1 AND partner = $2 AND reference = $3 \
                   AND reference IS NOT NULL";
        let others = tx.query(sql, &[program.into(), order.partner.as_str().into(), reference.into()])?;
        if others.iter().any(|row| row[..] != key[2..]) {
            return Ok(false);
        }
    }
    let sealed = code.map(|code| secrets.seal_code(&mut Entropy::default(), code));
    let mut params = key;
    params.extend([reference.into(), sealed.into()]);
    tx.execute(
        "UPDATE partner_order SET reference = COALESCE($5, reference), sealed = COALESCE($6, sealed) \
         WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = $4 AND state = 1",
        &params,
    )?;
    Ok(true)
}

/// What a partner delivered for a redemption, opened.
pub(crate) fn code_of(
    rows: &mut dyn Rows,
    secrets: &Secrets,
    program: i64,
    redemption: EventId,
) -> Result<Option<String>, StoreError> {
    let found = rows.fetch_by_keys(&tables::PARTNER_ORDER, &[redemption_key(program, redemption)])?;
    let sealed = found.first().map(|row| row[8].opt_bytes()).transpose()?.flatten();
    let open = |sealed: &[u8]| {
        secrets.open_code(sealed).map_err(|error| StoreError::corrupt("partner_order", "sealed", error.to_string()))
    };
    sealed.map(open).transpose()
}
