//! What a refusal knows, as data for whoever asks by machine.

use compact_str::CompactString;

use super::Rejected;
use crate::program::Id;

impl Rejected {
    /// The facts of the refusal as data.
    pub fn facts(&self) -> serde_json::Map<String, serde_json::Value> {
        let pairs: Vec<(&str, serde_json::Value)> = match self {
            Self::InTheFuture { effective_at, recorded_at } => {
                vec![("time", effective_at.to_string().into()), ("now", recorded_at.to_string().into())]
            }
            Self::TooLate { effective_at, earliest } => {
                vec![("time", effective_at.to_string().into()), ("earliest", earliest.to_string().into())]
            }
            Self::OrderExists { order_id }
            | Self::OrderOfAnotherMember { order_id }
            | Self::NothingLeft { order_id } => {
                vec![("order_id", order_id.as_str().into())]
            }
            Self::NoSuchLine { order_id, line, known } => {
                vec![
                    ("order_id", order_id.as_str().into()),
                    ("line", line.as_str().into()),
                    ("lines", known.as_str().into()),
                ]
            }
            Self::TooManyUnits { line, wanted, bought, returned } => vec![
                ("line", line.as_str().into()),
                ("wanted", wanted.to_string().into()),
                ("bought", bought.to_string().into()),
                ("returned", returned.to_string().into()),
            ],
            Self::Unmatched { what, within } => {
                vec![("items", what.as_str().into()), ("within", within.as_str().into())]
            }
            Self::NotEnoughToTakeBack { currency, wanted, available } => {
                vec![
                    ("currency", currency.as_str().into()),
                    ("wanted", (*wanted).into()),
                    ("available", (*available).into()),
                ]
            }
            Self::NotEnoughPoints { currency, wanted, balance } => vec![
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("available", balance.available.into()),
                ("pending", balance.pending.into()),
                ("held", balance.held.into()),
                ("debt", balance.debt.into()),
            ],
            Self::BelowMinimum { currency, wanted, min } => {
                vec![("currency", currency.as_str().into()), ("wanted", (*wanted).into()), ("min", (*min).into())]
            }
            Self::NotInSteps { currency, wanted, step } => {
                vec![("currency", currency.as_str().into()), ("wanted", (*wanted).into()), ("step", (*step).into())]
            }
            Self::OverPayable { currency, wanted, most, payable } => vec![
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("most", (*most).into()),
                ("payable", payable.to_string().into()),
            ],
            Self::SpendingNeedsProof { currency, wanted, above, by } => vec![
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("above", (*above).into()),
                ("by", by.clone().into()),
            ],
            Self::UnknownReward { reward } => vec![("reward", reward.as_str().into())],
            Self::RewardNotNow { reward, from, until } => vec![
                ("reward", reward.as_str().into()),
                ("from", from.map(|day| day.to_string()).into()),
                ("until", until.map(|day| day.to_string()).into()),
            ],
            Self::RewardNotYet { reward, from, before } => vec![
                ("reward", reward.as_str().into()),
                ("from", from.to_string().into()),
                ("early", before.to_string().into()),
            ],
            Self::RewardNotForMember { reward, condition } => {
                vec![("reward", reward.as_str().into()), ("condition", condition.as_str().into())]
            }
            Self::RewardSoldOut { reward, stock } => {
                vec![("reward", reward.as_str().into()), ("stock", (*stock).into())]
            }
            Self::RewardWaitedFor { reward, left, waiting } => {
                vec![("reward", reward.as_str().into()), ("left", (*left).into()), ("waiting", (*waiting).into())]
            }
            Self::RewardIsLeft { reward, left } => {
                vec![("reward", reward.as_str().into()), ("left", (*left).into())]
            }
            Self::NoWaitlist { reward } | Self::WaitsAlready { reward } | Self::NotWaiting { reward } => {
                vec![("reward", reward.as_str().into())]
            }
            Self::WaitsForTooMuch { most } => vec![("most", (*most).into())],
            Self::NothingToFulfil { redemption } => vec![("redemption", redemption.as_str().into())],
            Self::FulfilmentNotThere { redemption, state, wanted, next } => vec![
                ("redemption", redemption.as_str().into()),
                ("state", state.word().into()),
                ("wanted", wanted.word().into()),
                ("next", next.iter().map(|state| state.word()).collect::<Vec<_>>().into()),
            ],
            Self::FulfilmentTooFar { redemption, state } => {
                vec![("redemption", redemption.as_str().into()), ("state", state.word().into())]
            }
            Self::GivenVoucherUsed { redemption, code, voucher } => vec![
                ("redemption", redemption.as_str().into()),
                ("code", code.as_str().into()),
                ("voucher", voucher.as_str().into()),
            ],
            Self::GiftCardAskedBack { redemption } => vec![("redemption", redemption.as_str().into())],
            Self::GiftCardUsed { money, left } => {
                vec![("money", money.to_string().into()), ("left", left.to_string().into())]
            }
            Self::NotAtPartner { redemption } => vec![("redemption", redemption.as_str().into())],
            Self::PartnerStateNotThere { redemption, state, wanted, next } => vec![
                ("redemption", redemption.as_str().into()),
                ("state", state.word().into()),
                ("wanted", wanted.word().into()),
                ("next", next.iter().map(|state| state.word()).collect::<Vec<_>>().into()),
            ],
            Self::IsAtPartner { redemption, state } => {
                vec![("redemption", redemption.as_str().into()), ("state", state.word().into())]
            }
            Self::TooLateToCancel { redemption, last_day } => {
                vec![("redemption", redemption.as_str().into()), ("last_day", last_day.to_string().into())]
            }
            Self::RewardLimit { reward, window, most } => {
                vec![("reward", reward.as_str().into()), ("window", (*window).into()), ("most", (*most).into())]
            }
            Self::RewardInPart { redemption, wanted, price } => vec![
                ("redemption", redemption.as_str().into()),
                ("wanted", (*wanted).into()),
                ("price", (*price).into()),
            ],
            Self::WorthNothing { currency } => vec![("currency", currency.as_str().into())],
            Self::UnknownRedemption { redemption } => vec![("redemption", redemption.as_str().into())],
            Self::ReservationEnded { redemption, ended_at } => {
                vec![("redemption", redemption.as_str().into()), ("ended_at", ended_at.to_string().into())]
            }
            Self::RedemptionClosed { redemption, status } => {
                vec![("redemption", redemption.as_str().into()), ("redemption_status", status.word().into())]
            }
            Self::CapturedMoreThanReserved { redemption, wanted, reserved } => vec![
                ("redemption", redemption.as_str().into()),
                ("wanted", (*wanted).into()),
                ("reserved", (*reserved).into()),
            ],
            Self::ReturnedMoreThanCaptured { redemption, wanted, captured, returned } => vec![
                ("redemption", redemption.as_str().into()),
                ("wanted", (*wanted).into()),
                ("captured", (*captured).into()),
                ("returned", (*returned).into()),
            ],
            Self::UnknownVoucher { code, .. } => vec![("code", code.as_str().into())],
            Self::VoucherCancelled { code, voucher }
            | Self::VoucherOfAnotherMember { code, voucher }
            | Self::VoucherIsClaimed { code, voucher }
            | Self::VoucherNeedsOrder { code, voucher }
            | Self::VoucherMatchesNothing { code, voucher } => of_voucher(code, voucher, Vec::new()),
            Self::VoucherNotYet { code, voucher, from } => {
                of_voucher(code, voucher, vec![("from", from.to_string().into())])
            }
            Self::VoucherExpired { code, voucher, expired_on } => {
                of_voucher(code, voucher, vec![("expired_on", expired_on.to_string().into())])
            }
            Self::VoucherUsedUp { code, voucher, most } => of_voucher(code, voucher, vec![("most", (*most).into())]),
            Self::VoucherLimit { voucher, window, most } => {
                vec![("voucher", voucher.as_str().into()), ("window", (*window).into()), ("most", (*most).into())]
            }
            Self::VoucherNotHere { code, voucher, what, found, allowed } => {
                let found = found.as_deref().into();
                of_voucher(
                    code,
                    voucher,
                    vec![("what", (*what).into()), ("found", found), ("allowed", allowed.as_str().into())],
                )
            }
            Self::VoucherBelowMinimum { code, voucher, least, spent, missing } => of_voucher(
                code,
                voucher,
                vec![
                    ("min_spend", least.to_string().into()),
                    ("spent", spent.to_string().into()),
                    ("missing", missing.to_string().into()),
                ],
            ),
            Self::VoucherConditionNotMet { code, voucher, condition } => {
                of_voucher(code, voucher, vec![("condition", condition.as_str().into())])
            }
            Self::VouchersDoNotCombine { code, voucher, other, other_voucher } => of_voucher(
                code,
                voucher,
                vec![("other_code", other.as_str().into()), ("other_voucher", other_voucher.as_str().into())],
            ),
            Self::VouchersCannotWait { order_id } | Self::VouchersChanged { order_id } => {
                vec![("order_id", order_id.as_str().into())]
            }
            Self::VoucherNotUsed { code, order_id } => {
                vec![("code", code.as_str().into()), ("order_id", order_id.as_deref().into())]
            }
            Self::VoucherOrderStands { code, order_id } => {
                vec![("code", code.as_str().into()), ("order_id", order_id.as_str().into())]
            }
            Self::UnknownCurrency { currency } => vec![("currency", currency.as_str().into())],
            Self::NoExchangeRate { currency, expected } => {
                vec![("currency", currency.as_str().into()), ("expected", expected.as_str().into())]
            }
            Self::UnknownReferralCode { code } => vec![("code", code.as_str().into())],
            Self::ReferralTooLate { joined_on, until } => {
                vec![("joined_on", joined_on.to_string().into()), ("until", until.to_string().into())]
            }
            Self::TransferNotAllowed { currency } => vec![("currency", currency.as_str().into())],
            Self::TransferSize { currency, wanted, min, max } => vec![
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("min", (*min).into()),
                ("max", (*max).into()),
            ],
            Self::TransferLimit { currency, window, most, sent, wanted } => vec![
                ("currency", currency.as_str().into()),
                ("window", (*window).into()),
                ("most", (*most).into()),
                ("sent", (*sent).into()),
                ("wanted", (*wanted).into()),
            ],
            Self::TransferWhileOwing { currency, debt } => {
                vec![("currency", currency.as_str().into()), ("debt", (*debt).into())]
            }
            Self::NoRoom { currency, wanted, room } => {
                vec![("currency", currency.as_str().into()), ("wanted", (*wanted).into()), ("room", (*room).into())]
            }
            Self::TooManyParked { most } | Self::TooManyReservations { most } => vec![("most", (*most).into())],
            Self::ClaimTooLate { order_id, until } => {
                vec![("order_id", order_id.as_str().into()), ("until", until.to_string().into())]
            }
            Self::OwnSale { order_id } => vec![("order_id", order_id.as_str().into())],
            Self::MemberFrozen { since, quarantined } => {
                vec![("since", since.to_string().into()), ("quarantined", (*quarantined).into())]
            }
            Self::TooOften { hit } | Self::SecondPersonNeeded { hit } => vec![
                ("rule", hit.rule.as_str().into()),
                ("what", hit.what.word().into()),
                ("per", hit.per.words().into()),
                ("most", hit.most.into()),
                ("used", hit.used.into()),
                ("until", hit.until.to_string().into()),
            ],
            Self::ClaimedEnough { window, most } => vec![("window", (*window).into()), ("most", (*most).into())],
            Self::NoSuchVoucher { voucher } => vec![("voucher", voucher.as_str().into())],
            Self::ExpiresBeforeEarned { expires, earned } => {
                vec![("expires", expires.to_string().into()), ("earned", earned.to_string().into())]
            }
            Self::MovedFromTheFuture { day, today } => {
                vec![("day", day.to_string().into()), ("today", today.to_string().into())]
            }
            Self::ProofNeeded { kind } => vec![("kind", kind.as_str().into())],
            Self::SecondFactNeeded { last_event } => vec![("last_event", last_event.to_string().into())],
            Self::NotSilent { last_event, silent_from } => {
                vec![("last_event", last_event.to_string().into()), ("silent_from", silent_from.to_string().into())]
            }
            Self::UnknownReason { reason, known } => {
                vec![("reason", reason.as_str().into()), ("reasons", known.as_str().into())]
            }
            Self::AgainstTheReason { reason, sign } => {
                vec![("reason", reason.as_str().into()), ("sign", sign.word().into())]
            }
            Self::MoreThanTheReason { reason, currency, wanted, most } => vec![
                ("reason", reason.as_str().into()),
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("most", (*most).into()),
            ],
            Self::SecondApprovalNeeded { currency, wanted, most }
            | Self::AdjustmentTooLarge { currency, wanted, most } => {
                vec![("currency", currency.as_str().into()), ("wanted", (*wanted).into()), ("most", (*most).into())]
            }
            Self::AdjustedEnoughToday { currency, wanted, used, most } => vec![
                ("currency", currency.as_str().into()),
                ("wanted", (*wanted).into()),
                ("used", (*used).into()),
                ("most", (*most).into()),
            ],
            Self::UnknownChallenge { challenge }
            | Self::NeedsNoJoining { challenge }
            | Self::AlreadyTakesPart { challenge }
            | Self::ChallengeNotNow { challenge } => vec![("challenge", challenge.as_str().into())],
            Self::UnknownBenefit { benefit } | Self::BenefitNotHeld { benefit } => {
                vec![("benefit", benefit.as_str().into())]
            }
            Self::BenefitUsedUp { benefit, window, used, most, next } => vec![
                ("benefit", benefit.as_str().into()),
                ("window", window.name().into()),
                ("used", (*used).into()),
                ("most", (*most).into()),
                ("next", next.map(|day| day.to_string()).into()),
            ],
            Self::BenefitNotHere { benefit, condition } => {
                vec![("benefit", benefit.as_str().into()), ("condition", condition.as_str().into())]
            }
            Self::BenefitNeeds { benefit, field } => {
                vec![("benefit", benefit.as_str().into()), ("field", field.as_str().into())]
            }
            Self::BenefitNotOpenYet { benefit, opens_at } => {
                vec![("benefit", benefit.as_str().into()), ("opens_at", opens_at.to_string().into())]
            }
            Self::UnknownBenefitUse { used } => vec![("use", used.as_str().into())],
            Self::UnknownPlan { plan, known } => {
                vec![("plan", plan.as_str().into()), ("plans", known.as_str().into())]
            }
            Self::NotInClub { plan }
            | Self::NoTrial { plan }
            | Self::TrialTaken { plan }
            | Self::NotRefundable { plan }
            | Self::NothingToRefund { plan } => vec![("plan", plan.as_str().into())],
            Self::InClub { plan, last_day } | Self::PaidAhead { plan, last_day } => {
                vec![("plan", plan.as_str().into()), ("last_day", last_day.to_string().into())]
            }
            Self::NoSuchMoney { amount, currency } => {
                vec![("amount", amount.as_str().into()), ("currency", (*currency).into())]
            }
            Self::UnknownLadder { ladder } => vec![("ladder", ladder.as_str().into())],
            Self::UnknownLevel { ladder, level, known } => vec![
                ("ladder", ladder.as_str().into()),
                ("level", level.as_str().into()),
                ("levels", known.as_str().into()),
            ],
            Self::UnknownMeasure { ladder, measure, known } => vec![
                ("ladder", ladder.as_str().into()),
                ("measure", measure.as_str().into()),
                ("measures", known.as_str().into()),
            ],
            Self::PlacementWithoutLevel { ladder, known } => {
                vec![("ladder", ladder.as_str().into()), ("levels", known.as_str().into())]
            }
            Self::PlacementWithoutEnd { kind } => vec![("kind", kind.name().into())],
            Self::PlacementInThePast { last_day, today } => {
                vec![("last_day", last_day.to_string().into()), ("today", today.to_string().into())]
            }
            Self::NotPlaced { ladder, kind } => {
                vec![("ladder", ladder.as_str().into()), ("kind", kind.name().into())]
            }
            Self::GiftCardInUse { held } => vec![("held", held.to_string().into())],
            Self::GiftCardBelowMinimum { amount, min } => {
                vec![("amount", amount.to_string().into()), ("min", min.to_string().into())]
            }
            Self::GiftCardOverMaximum { amount, balance, max } => vec![
                ("amount", amount.to_string().into()),
                ("balance", balance.to_string().into()),
                ("max", max.to_string().into()),
            ],
            Self::NotEnoughOnGiftCard { wanted, available, held } => vec![
                ("wanted", wanted.to_string().into()),
                ("available", available.to_string().into()),
                ("held", held.to_string().into()),
            ],
            Self::TooManyMerged { most } => vec![("most", (*most).into())],
            Self::BothInClub { plan } => vec![("plan", plan.as_str().into())],
            Self::RewardOnItsWay { redemption } => vec![("redemption", redemption.as_str().into())],
            Self::BothInHousehold { own, theirs } => {
                vec![("own", own.as_str().into()), ("theirs", theirs.as_str().into())]
            }
            Self::NotMerged { member } => vec![("member", member.as_str().into())],
            Self::MergeUndoTooLate { merged_at, until } => {
                vec![("merged_at", merged_at.to_string().into()), ("until", until.to_string().into())]
            }
            Self::InHousehold { household } => vec![("household", household.as_str().into())],
            Self::HouseholdCoolingOff { from } => vec![("from", from.to_string().into())],
            Self::HouseholdFull { size } => vec![("size", (*size).into())],
            Self::NotOfHousehold { member } | Self::OfHouseholdAlready { member } => {
                vec![("member", member.as_str().into())]
            }
            Self::TooManyInvitations { most } => vec![("most", (*most).into())],
            Self::NotByHand { currency } => vec![("currency", currency.as_str().into())],
            Self::PoolLimit { currency, window, most, spent, wanted } => vec![
                ("currency", currency.as_str().into()),
                ("window", (*window).into()),
                ("most", (*most).into()),
                ("spent", (*spent).into()),
                ("wanted", (*wanted).into()),
            ],
            Self::NoHouseholds
            | Self::NoSuchHousehold
            | Self::NotInHousehold
            | Self::NotInvited
            | Self::OnlyTheHead { .. }
            | Self::HouseholdClosed
            | Self::WhoSpends
            | Self::MergeWithOneself
            | Self::NoGiftCards
            | Self::GiftCardExists
            | Self::GiftCardBlocked
            | Self::GiftCardNotReloadable
            | Self::AlreadyEnrolled
            | Self::ReturnWithoutOrder
            | Self::NothingToAdjust
            | Self::NothingToRedeem
            | Self::TransferToOneself
            | Self::NoReferral
            | Self::ReferralOfOneself
            | Self::NothingToTransfer
            | Self::NeedsMember
            | Self::UnknownClaimCode
            | Self::MemberLeft
            | Self::NotFrozen => Vec::new(),
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The facts that every refusal of a voucher has, and more.
fn of_voucher(
    code: &CompactString,
    voucher: &Id,
    more: Vec<(&'static str, serde_json::Value)>,
) -> Vec<(&'static str, serde_json::Value)> {
    let named = [("code", code.as_str().into()), ("voucher", voucher.as_str().into())];
    named.into_iter().chain(more).collect()
}
