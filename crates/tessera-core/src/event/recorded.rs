//! Every command read again from how it was recorded, whoever had sent it.

use std::collections::BTreeMap;
use std::str::FromStr;

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Adjustment, DataProblem, FOLLOW_UP_TYPES, Freeze, FulfilmentStep, HouseholdStep, Merge, PartnerStep, PlaceTier,
    PlacementEnd, PlacementKind, PlacementStep, Redeem, RedeemVoucher, RedemptionPart, Situation, Transfer, Unmerge,
    UseBenefit, What, read_event, read_follow_up,
};
use crate::id::{EventId, MemberId, member_text};
use crate::ledger::{FulfilmentState, PartnerState};
use crate::program::{Definition, Id, ProofKind};
use crate::quantity::Amount;
use crate::time::{Day, Instant, Period};
use crate::voucher::normalise;

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
            let Redeemed { reward, currency, capture, points, payable, tender, order_id, proof, by } = parsed(data)?;
            // A reward's price names the currency.
            let currency = currency.or_else(|| definition.currencies.keys().next().cloned()).unwrap_or_default();
            What::Redeem(Redeem { reward, currency, points, payable, tender, order_id, capture, proven: proof, by })
        }
        "capture" => What::Capture(part(data)?),
        "void" => What::Void { redemption: part(data)?.redemption },
        "redemption-return" => What::ReturnRedemption(part(data)?),
        // A guest's order that somebody claimed is a purchase of its own time.
        "claim" => read_event(definition, "purchase", data)?,
        "fulfilment" => {
            let Fulfilled { redemption, state, by } = parsed(data)?;
            What::Fulfil(FulfilmentStep { redemption: redemption.seq, to: state, by })
        }
        "partner-notice" => {
            let SaidByPartner { redemption, state, reason } = parsed(data)?;
            What::PartnerStep(PartnerStep { redemption: redemption.seq, to: state, reason })
        }
        "voucher-redemption" => {
            let UsedCode { code, order_id } = parsed(data)?;
            let code = normalise(&code).map_err(|_| DataProblem::new("data.code", "a code is expected"))?;
            // What it took off an order is on that order's receipt; points, benefits and prizes are given again.
            What::RedeemVoucher(RedeemVoucher { code, order_id, order: None })
        }
        // Who waited for what moves no points; of a use that was rolled back only the voucher comes back, and a replay
        // takes every voucher for good.
        "waitlist" | "waitlist-leave" | "seat-offer" | "voucher-rollback" => What::WakeUp,
        "household" => What::Household(HouseholdStep::Found { known: None }),
        "household-leave" => What::Household(HouseholdStep::Leave),
        // The codes of invitations stand in no data: whoever decides again takes them from the records.
        "household-accept" => {
            let Accepted { household } = parsed(data)?;
            What::Household(HouseholdStep::Accept { household, code: None })
        }
        "household-put-in" => {
            let PutIn { currency, amount } = parsed(data)?;
            What::Household(HouseholdStep::PutIn { currency, amount })
        }
        "household-invite" => {
            let Invited { by, to } = parsed(data)?;
            What::Household(HouseholdStep::Invite { by, to, code: [0; 16] })
        }
        "household-removal" => {
            let Removed { by, member } = parsed(data)?;
            What::Household(HouseholdStep::Remove { by, member })
        }
        "household-head" => {
            let Headed { by, to } = parsed(data)?;
            What::Household(HouseholdStep::NewHead { by, to })
        }
        "leave" => What::Leave { erase: false },
        "erase" => What::Leave { erase: true },
        // Names are not kept with the event, and move no points.
        "identifiers" => What::WakeUp,
        "ranking" => What::Rank { top_percent: parsed::<Standing>(data)?.top_percent },
        "challenge-join" => What::JoinChallenge { challenge: parsed::<Joined>(data)?.challenge },
        "transfer" => {
            let Sent { to, currency, amount, message } = parsed(data)?;
            What::Transfer(Transfer { to, currency, amount, message })
        }
        "merge" => {
            let MergedInto { into, reason } = parsed(data)?;
            What::Merge(Merge { into, reason })
        }
        "merge-undo" => What::Unmerge(Unmerge { from: parsed::<Undone>(data)?.from }),
        "benefit-use" => {
            let Used { benefit, order_id, total, shipping, location, channel, public_at } = parsed(data)?;
            let situation = Situation { total, shipping, location, channel, public_at };
            What::UseBenefit(UseBenefit { benefit, order_id, situation })
        }
        "freeze" | "thaw" => What::Freeze(Freeze { frozen: kind == "freeze", reason: parsed::<Why>(data)?.reason }),
        "benefit-return" => What::ReturnBenefit { used: parsed::<UseReturned>(data)?.used.seq },
        "tier-invite" => What::PlaceTier(placement(Some(PlacementKind::Invite), data)?),
        "tier-match" => What::PlaceTier(placement(Some(PlacementKind::Match), data)?),
        "tier-trial" => What::PlaceTier(placement(Some(PlacementKind::Trial), data)?),
        "tier-lock" => What::PlaceTier(placement(Some(PlacementKind::Lock), data)?),
        "tier-unlock" | "tier-withdraw" => What::PlaceTier(placement(None, data)?),
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
    proof: Option<ProofKind>,
    #[serde(default, with = "member_text::optional")]
    by: Option<MemberId>,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(with = "member_text")]
    household: MemberId,
}

#[derive(Deserialize)]
struct Invited {
    #[serde(with = "member_text")]
    by: MemberId,
    #[serde(default, with = "member_text::optional")]
    to: Option<MemberId>,
}

#[derive(Deserialize)]
struct Removed {
    #[serde(with = "member_text")]
    by: MemberId,
    #[serde(with = "member_text")]
    member: MemberId,
}

#[derive(Deserialize)]
struct Headed {
    #[serde(with = "member_text")]
    by: MemberId,
    #[serde(with = "member_text")]
    to: MemberId,
}

#[derive(Deserialize)]
struct PutIn {
    currency: Id,
    amount: i64,
}

/// What is done with a redemption.
#[derive(Deserialize)]
struct Done {
    redemption: EventId,
    points: Option<i64>,
}

/// What somebody did for a redemption.
#[derive(Deserialize)]
struct Fulfilled {
    redemption: EventId,
    state: FulfilmentState,
    by: CompactString,
}

/// What a partner said of a redemption.
#[derive(Deserialize)]
struct SaidByPartner {
    redemption: EventId,
    state: PartnerState,
    reason: Option<CompactString>,
}

/// A code used by itself.
#[derive(Deserialize)]
struct UsedCode {
    code: CompactString,
    order_id: Option<CompactString>,
}

#[derive(Deserialize)]
struct Why {
    reason: CompactString,
}

#[derive(Deserialize)]
struct Standing {
    top_percent: Option<u8>,
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

#[derive(Deserialize)]
struct MergedInto {
    #[serde(with = "member_text")]
    into: MemberId,
    reason: Option<CompactString>,
}

#[derive(Deserialize)]
struct Undone {
    #[serde(with = "member_text")]
    from: MemberId,
}

#[derive(Deserialize)]
struct Used {
    benefit: Id,
    order_id: Option<CompactString>,
    total: Option<Amount>,
    shipping: Option<Amount>,
    location: Option<CompactString>,
    channel: Option<CompactString>,
    public_at: Option<Instant>,
}

#[derive(Deserialize)]
struct UseReturned {
    #[serde(rename = "use")]
    used: EventId,
}

#[derive(Deserialize)]
struct Placed {
    ladder: Id,
    reason: CompactString,
    level: Option<Id>,
    until: Option<Day>,
    #[serde(rename = "for")]
    period: Option<Period>,
    #[serde(default)]
    keep_if: BTreeMap<CompactString, Amount>,
    kind: Option<PlacementKind>,
}

/// A level given, or ended where there is no `kind` in the event's type.
fn placement(given: Option<PlacementKind>, data: &str) -> Result<PlaceTier, DataProblem> {
    let Placed { ladder, reason, level, until, period, keep_if, kind } = parsed(data)?;
    let step = match (given, kind) {
        (Some(kind), _) => {
            let ends = match (until, period) {
                (Some(day), _) => PlacementEnd::Until(day),
                (None, Some(period)) => PlacementEnd::For(period),
                (None, None) => PlacementEnd::Open,
            };
            // A ladder's only measure has no name.
            let named = |name: &str| if name.is_empty() { Ok(Id::default()) } else { name.parse::<Id>() };
            let keep_if: Result<BTreeMap<Id, Amount>, _> =
                keep_if.into_iter().map(|(name, amount)| Ok((named(&name)?, amount))).collect();
            let keep_if =
                keep_if.map_err(|error: <Id as FromStr>::Err| DataProblem::new("data.keep_if", error.to_string()))?;
            PlacementStep::Place { kind, level, ends, keep_if }
        }
        (None, Some(kind)) => PlacementStep::Withdraw(kind),
        (None, None) => PlacementStep::Unlock,
    };
    Ok(PlaceTier { ladder, step, reason })
}

fn part(data: &str) -> Result<RedemptionPart, DataProblem> {
    let Done { redemption, points } = parsed(data)?;
    Ok(RedemptionPart { redemption: redemption.seq, points })
}

fn parsed<T: DeserializeOwned>(data: &str) -> Result<T, DataProblem> {
    serde_json::from_str(data).map_err(|error| DataProblem::new("data", error.to_string()))
}
