//! Every command read again from how it was recorded, whoever had sent it.

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Adjustment, DataProblem, FOLLOW_UP_TYPES, Redeem, RedemptionPart, Transfer, What, read_event, read_follow_up,
};
use crate::id::{EventId, MemberId, member_text};
use crate::program::{Definition, Id};
use crate::quantity::Amount;

/// Reads the data of an event of a member's history as the command that it was.
///
/// What was allowed then is not asked again: an adjustment is read without who asked for it.
///
/// # Errors
/// For an event that nobody sent, for a type that the document does not have, and for data of another shape.
pub fn read_recorded(definition: &Definition, kind: &str, data: &str) -> Result<What, DataProblem> {
    Ok(match kind {
        "adjustment" => {
            let Adjusted { currency, amount, reason } = parsed(data)?;
            What::Adjust(Adjustment::new(currency, amount, &reason))
        }
        "redemption" => {
            let Redeemed { reward, currency, capture, points, payable, tender, order_id } = parsed(data)?;
            // A reward's price names the currency.
            let currency = currency.or_else(|| definition.currencies.keys().next().cloned()).unwrap_or_default();
            What::Redeem(Redeem { reward, currency, points, payable, tender, order_id, capture })
        }
        "capture" => What::Capture(part(data)?),
        "void" => What::Void { redemption: part(data)?.redemption },
        "redemption-return" => What::ReturnRedemption(part(data)?),
        "leave" => What::Leave { erase: false },
        "erase" => What::Leave { erase: true },
        // Names are not kept with the event, and move no points.
        "identifiers" => What::WakeUp,
        "challenge-join" => What::JoinChallenge { challenge: parsed::<Joined>(data)?.challenge },
        "transfer" => {
            let Sent { to, currency, amount, message } = parsed(data)?;
            What::Transfer(Transfer { to, currency, amount, message })
        }
        kind if FOLLOW_UP_TYPES.contains(&kind) => read_follow_up(kind, data)?,
        kind => read_event(definition, kind, data)?,
    })
}

#[derive(Deserialize)]
struct Adjusted {
    currency: Id,
    amount: i64,
    reason: CompactString,
}

#[derive(Deserialize)]
struct Redeemed {
    reward: Option<Id>,
    currency: Option<Id>,
    capture: bool,
    points: Option<i64>,
    payable: Option<Amount>,
    tender: Option<CompactString>,
    order_id: Option<CompactString>,
}

/// What is done with a redemption.
#[derive(Deserialize)]
struct Done {
    redemption: EventId,
    points: Option<i64>,
}

#[derive(Deserialize)]
struct Joined {
    challenge: Id,
}

#[derive(Deserialize)]
struct Sent {
    #[serde(with = "member_text")]
    to: MemberId,
    currency: Id,
    amount: i64,
    message: Option<CompactString>,
}

fn part(data: &str) -> Result<RedemptionPart, DataProblem> {
    let Done { redemption, points } = parsed(data)?;
    Ok(RedemptionPart { redemption: redemption.seq, points })
}

fn parsed<T: DeserializeOwned>(data: &str) -> Result<T, DataProblem> {
    serde_json::from_str(data).map_err(|error| DataProblem::new("data", error.to_string()))
}
