use compact_str::CompactString;

use super::Balance;
use crate::event::PlacementKind;
use crate::ledger::{FulfilmentState, RedemptionStatus};
use crate::program::{Id, Sign, UseWindow};
use crate::quantity::Amount;
use crate::time::{Day, Instant, Period};

/// Why a command was refused. The member stays as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the event is dated {effective_at}, more than 5 minutes after now ({recorded_at})")]
    InTheFuture { effective_at: Instant, recorded_at: Instant },
    #[error("the event is dated {effective_at}; this program takes late events back to {earliest}")]
    TooLate { effective_at: Instant, earliest: Instant },
    #[error("the member has already joined")]
    AlreadyEnrolled,
    #[error("the order {order_id} is already there; send `amend` to correct it")]
    OrderExists { order_id: CompactString },
    #[error("the order {order_id} belongs to another member")]
    OrderOfAnotherMember { order_id: CompactString },
    #[error("the order {order_id} has no line {line}; its lines are {known}")]
    NoSuchLine { order_id: CompactString, line: CompactString, known: String },
    #[error("{wanted} of line {line} cannot come back: {bought} were bought and {returned} have come back already")]
    TooManyUnits { line: CompactString, wanted: Amount, bought: Amount, returned: Amount },
    #[error("the order {order_id} has come back already")]
    NothingLeft { order_id: CompactString },
    #[error("this program takes no returns without their order")]
    ReturnWithoutOrder,
    #[error("no purchase of {what} by this member was found in the last {within} to match the return")]
    Unmatched { what: String, within: String },
    #[error("{wanted} {currency} would be taken back, {available} are there")]
    NotEnoughToTakeBack { currency: Id, wanted: i64, available: i64 },
    #[error("{wanted} {currency} are needed, {} can be spent", balance.available)]
    NotEnoughPoints { currency: Id, wanted: i64, balance: Balance },
    #[error("{wanted} {currency} are fewer than the least that can be spent, {min}")]
    BelowMinimum { currency: Id, wanted: i64, min: i64 },
    #[error("{wanted} {currency} cannot be spent: only multiples of {step} can")]
    NotInSteps { currency: Id, wanted: i64, step: i64 },
    #[error("{wanted} {currency} are worth more than the {payable} to pay: at most {most} can be spent on it")]
    OverPayable { currency: Id, wanted: i64, most: i64, payable: Amount },
    #[error("{currency} pays no bills: the document gives it no `value` in money")]
    WorthNothing { currency: Id },
    #[error("no points are no redemption: a number above 0 is expected")]
    NothingToRedeem,
    #[error("this member has no redemption {redemption}")]
    UnknownRedemption { redemption: CompactString },
    #[error("the reservation {redemption} ended at {ended_at}")]
    ReservationEnded { redemption: CompactString, ended_at: Instant },
    #[error("the redemption {redemption} is {}: {}", status.word(), advice(*status))]
    RedemptionClosed { redemption: CompactString, status: RedemptionStatus },
    #[error("{wanted} cannot be captured: {reserved} were reserved")]
    CapturedMoreThanReserved { redemption: CompactString, wanted: i64, reserved: i64 },
    #[error("{wanted} cannot go back: {captured} were spent and {returned} have gone back already")]
    ReturnedMoreThanCaptured { redemption: CompactString, wanted: i64, captured: i64, returned: i64 },
    #[error("{wanted} {currency} are more than the {above} that are spent without proof: show {}", by.join(" or "))]
    SpendingNeedsProof { currency: Id, wanted: i64, above: i64, by: Vec<&'static str> },
    #[error("the program has no reward {reward}")]
    UnknownReward { reward: Id },
    #[error("the reward {reward} is not to be had today{}", days(*from, *until))]
    RewardNotNow { reward: Id, from: Option<Day>, until: Option<Day> },
    #[error("the reward {reward} is to be had from {from} on; some may have it {before} before")]
    RewardNotYet { reward: Id, from: Day, before: Period },
    #[error("the reward {reward} is for members of whom `{condition}` holds")]
    RewardNotForMember { reward: Id, condition: String },
    #[error("the reward {reward} is sold out: there were {stock}")]
    RewardSoldOut { reward: Id, stock: i64 },
    #[error("{left} of the reward {reward} are left, and {waiting} members wait for one: wait with them")]
    RewardWaitedFor { reward: Id, left: i64, waiting: i64 },
    #[error("nobody has to wait for the reward {reward}: {left} are left")]
    RewardIsLeft { reward: Id, left: i64 },
    #[error("the reward {reward} has no waiting list")]
    NoWaitlist { reward: Id },
    #[error("this member waits for the reward {reward} already")]
    WaitsAlready { reward: Id },
    #[error("this member waits for {most} rewards, which is the most")]
    WaitsForTooMuch { most: usize },
    #[error("this member does not wait for the reward {reward}")]
    NotWaiting { reward: Id },
    #[error("nobody has anything to do for the redemption {redemption}")]
    NothingToFulfil { redemption: CompactString },
    #[error("the redemption {redemption} is {}, and does not become {} from there{}", state.word(), wanted.word(), or_next(next))]
    FulfilmentNotThere {
        redemption: CompactString,
        state: FulfilmentState,
        wanted: FulfilmentState,
        next: &'static [FulfilmentState],
    },
    #[error("the redemption {redemption} is {}: it is no longer cancelled; refuse it, and the points go back", state.word())]
    FulfilmentTooFar { redemption: CompactString, state: FulfilmentState },
    #[error("the redemption {redemption} could be cancelled until {last_day}")]
    TooLateToCancel { redemption: CompactString, last_day: Day },
    #[error("a member may have {most} of the reward {reward} ({window})")]
    RewardLimit { reward: Id, window: &'static str, most: i64 },
    #[error("{wanted} are not the whole reward: it was {price}")]
    RewardInPart { redemption: CompactString, wanted: i64, price: i64 },
    #[error("{}", unknown_voucher(code, *mistyped))]
    UnknownVoucher { code: CompactString, mistyped: bool },
    #[error("the voucher {voucher} ({code}) was cancelled")]
    VoucherCancelled { code: CompactString, voucher: Id },
    #[error("the voucher {voucher} ({code}) is another member's")]
    VoucherOfAnotherMember { code: CompactString, voucher: Id },
    #[error("the voucher {voucher} ({code}) can be used from {from} on")]
    VoucherNotYet { code: CompactString, voucher: Id, from: Day },
    #[error("the voucher {voucher} ({code}) expired on {expired_on}")]
    VoucherExpired { code: CompactString, voucher: Id, expired_on: Day },
    #[error("the voucher {voucher} ({code}) is used up: it was good for {most} {}", if *most == 1 { "use" } else { "uses" })]
    VoucherUsedUp { code: CompactString, voucher: Id, most: i64 },
    #[error("a member may use the voucher {voucher} {most} {} ({window})", if *most == 1 { "time" } else { "times" })]
    VoucherLimit { voucher: Id, window: &'static str, most: i64 },
    #[error("the voucher {voucher} ({code}) is claimed by a member: it takes nothing off an order")]
    VoucherIsClaimed { code: CompactString, voucher: Id },
    #[error("whether the voucher {voucher} ({code}) may be used depends on what is bought: send it as `order`")]
    VoucherNeedsOrder { code: CompactString, voucher: Id },
    #[error("the voucher {voucher} ({code}) is for the {what} {allowed}, and this is {}", found.as_deref().unwrap_or("none of them"))]
    VoucherNotHere {
        code: CompactString,
        voucher: Id,
        what: &'static str,
        found: Option<CompactString>,
        allowed: String,
    },
    #[error("the voucher {voucher} ({code}) needs an order of {least}, this one is worth {spent}: {missing} more")]
    VoucherBelowMinimum { code: CompactString, voucher: Id, least: Amount, spent: Amount, missing: Amount },
    #[error("the voucher {voucher} ({code}) is for when `{condition}` holds")]
    VoucherConditionNotMet { code: CompactString, voucher: Id, condition: String },
    #[error("nothing on the order is what the voucher {voucher} ({code}) is for")]
    VoucherMatchesNothing { code: CompactString, voucher: Id },
    #[error("the vouchers {voucher} ({code}) and {other_voucher} ({other}) do not go together: take one of them off")]
    VouchersDoNotCombine { code: CompactString, voucher: Id, other: CompactString, other_voucher: Id },
    #[error("an exchange with vouchers cannot wait for the order {order_id}: send it once the order is there")]
    VouchersCannotWait { order_id: CompactString },
    #[error("the order {order_id} was made with other vouchers: a correction names the same, or none")]
    VouchersChanged { order_id: CompactString },
    #[error("this member has no open use of the voucher {code}{}", on_order(order_id.as_deref()))]
    VoucherNotUsed { code: CompactString, order_id: Option<CompactString> },
    #[error("the order {order_id} was made with the voucher {code} and stands: return all of it first")]
    VoucherOrderStands { code: CompactString, order_id: CompactString },
    #[error("{most} reservations of this member are open: capture or void one of them first")]
    TooManyReservations { most: usize },
    #[error("the program has no currency {currency}")]
    UnknownCurrency { currency: Id },
    #[error("amounts in {currency} cannot be counted: the program has {expected} and no rate for it")]
    NoExchangeRate { currency: CompactString, expected: String },
    #[error("{most} events of this member already wait for orders that never came")]
    TooManyParked { most: usize },
    #[error("the program has no challenge {challenge}")]
    UnknownChallenge { challenge: Id },
    #[error("everybody takes part in the challenge {challenge}: it asks nobody")]
    NeedsNoJoining { challenge: Id },
    #[error("the member takes part in the challenge {challenge} already")]
    AlreadyTakesPart { challenge: Id },
    #[error("the challenge {challenge} does not run today")]
    ChallengeNotNow { challenge: Id },
    #[error("an amount of 0 changes nothing")]
    NothingToAdjust,
    #[error("this event needs a member")]
    NeedsMember,
    #[error("no purchase has this claim code")]
    UnknownClaimCode,
    #[error("the purchase {order_id} could be claimed until {until}")]
    ClaimTooLate { order_id: CompactString, until: Instant },
    #[error("whoever rang the purchase {order_id} up does not claim it")]
    OwnSale { order_id: CompactString },
    #[error("a member claims {most} purchases of guests ({window}): no more of them")]
    ClaimedEnough { window: &'static str, most: i64 },
    #[error("the program has no voucher {voucher}")]
    NoSuchVoucher { voucher: Id },
    #[error("the lot expired on {expires}, before it was earned, on {earned}")]
    ExpiresBeforeEarned { expires: Day, earned: Day },
    #[error("{day} is after today, {today}")]
    MovedFromTheFuture { day: Day, today: Day },
    #[error("the member has left")]
    MemberLeft,
    #[error("a new {kind} needs the right one-time code to it: send `proof: true` once it was given")]
    ProofNeeded { kind: Id },
    #[error(
        "nothing was heard of the member since {last_event}, so the number may be somebody else's by now: a second fact \
         is needed, `second` with a card, an email or the birthday"
    )]
    SecondFactNeeded { last_event: Instant },
    #[error("the member was heard of at {last_event}: the number may be given away from {silent_from} on")]
    NotSilent { last_event: Instant, silent_from: Instant },
    #[error("the program has no reason {reason} for adjustments; there are: {known}")]
    UnknownReason { reason: CompactString, known: String },
    #[error("the reason {reason} only {} points", sign.word())]
    AgainstTheReason { reason: Id, sign: Sign },
    #[error("{wanted} {currency} are more than the reason {reason} allows at a time, {most}")]
    MoreThanTheReason { reason: Id, currency: Id, wanted: i64, most: i64 },
    #[error("{wanted} {currency} need a second person: this key moves {most} by itself")]
    SecondApprovalNeeded { currency: Id, wanted: i64, most: i64 },
    #[error("{wanted} {currency} are more than anybody may approve, {most}")]
    AdjustmentTooLarge { currency: Id, wanted: i64, most: i64 },
    #[error("{wanted} {currency} are more than is left of today: {used} of {most} were moved")]
    AdjustedEnoughToday { currency: Id, wanted: i64, used: i64, most: i64 },
    #[error("this program has no `referral`: nobody is paid for bringing members")]
    NoReferral,
    #[error("nobody has the referral code or link `{code}`")]
    UnknownReferralCode { code: CompactString },
    #[error("this is the member's own code: a friend's is expected")]
    ReferralOfOneself,
    #[error(
        "the member joined on {joined_on}: who brought them is said once, by {until} and before the first purchase"
    )]
    ReferralTooLate { joined_on: Day, until: Day },
    #[error("points are sent to another member: this is the same one")]
    TransferToOneself,
    #[error("no points are no transfer: a number above 0 is expected")]
    NothingToTransfer,
    #[error("the document lets nobody send {currency}: it is not among its `transfers`")]
    TransferNotAllowed { currency: Id },
    #[error("{wanted} {currency} are not sent at once: at least {min} are{}", at_most(*max))]
    TransferSize { currency: Id, wanted: i64, min: i64, max: Option<i64> },
    #[error("a member may send {most} {currency} ({window}); {sent} are sent, and {wanted} would be too many")]
    TransferLimit { currency: Id, window: &'static str, most: i64, sent: i64, wanted: i64 },
    #[error("a member who owes {debt} {currency} sends none")]
    TransferWhileOwing { currency: Id, debt: i64 },
    #[error("{wanted} {currency} are more than the member can hold: there is room for {room}")]
    NoRoom { currency: Id, wanted: i64, room: i64 },
    #[error("the program has no benefit {benefit}")]
    UnknownBenefit { benefit: Id },
    #[error("the member does not have the benefit {benefit} now")]
    BenefitNotHeld { benefit: Id },
    #[error("{used} of {most} {benefit} are used {}{}", window.words(), from_next(*next))]
    BenefitUsedUp { benefit: Id, window: UseWindow, used: i64, most: i64, next: Option<Day> },
    #[error("the benefit {benefit} is for what `{condition}` holds of")]
    BenefitNotHere { benefit: Id, condition: String },
    #[error("whether the benefit {benefit} can be used depends on `{field}`: say it")]
    BenefitNeeds { benefit: Id, field: CompactString },
    #[error("the benefit {benefit} opens this at {opens_at}")]
    BenefitNotOpenYet { benefit: Id, opens_at: Instant },
    #[error("there is no use {used} of a benefit that could be taken back")]
    UnknownBenefitUse { used: CompactString },
    #[error("the program has no club {plan}; there are: {known}")]
    UnknownPlan { plan: Id, known: String },
    #[error("the member is not in the club {plan}")]
    NotInClub { plan: Id },
    #[error("the member is in the club {plan} already, until {last_day}")]
    InClub { plan: Id, last_day: Day },
    #[error("the next period of {plan} is paid already; this one lasts until {last_day}")]
    PaidAhead { plan: Id, last_day: Day },
    #[error("the club {plan} cannot be tried: its document has no `trial`")]
    NoTrial { plan: Id },
    #[error("the member has been in the club {plan} before: it is tried once")]
    TrialTaken { plan: Id },
    #[error("{amount} is no amount of {currency}: it has too many digits behind the point, or is too large")]
    NoSuchMoney { amount: CompactString, currency: &'static str },
    #[error("a fee of {plan} is not paid back: the document says `refund: none`")]
    NotRefundable { plan: Id },
    #[error("there is nothing of a fee of {plan} to pay back")]
    NothingToRefund { plan: Id },
    #[error("the program has no ladder {ladder}")]
    UnknownLadder { ladder: Id },
    #[error("the ladder {ladder} has no level {level}; there are: {known}")]
    UnknownLevel { ladder: Id, level: Id, known: String },
    #[error("the ladder {ladder} does not measure {measure}; it measures: {known}")]
    UnknownMeasure { ladder: Id, measure: Id, known: String },
    #[error("say which level of the ladder {ladder}; there are: {known}")]
    PlacementWithoutLevel { ladder: Id, known: String },
    #[error("a {} ends: say `until` its last day, or `for` how long", kind.name())]
    PlacementWithoutEnd { kind: PlacementKind },
    #[error("its last day would be {last_day}, and today is {today}")]
    PlacementInThePast { last_day: Day, today: Day },
    #[error("the member has no level of the ladder {ladder} {}", kind.words())]
    NotPlaced { ladder: Id, kind: PlacementKind },
    #[error("the program has no gift cards: its document has no section `gift_cards`")]
    NoGiftCards,
    #[error("there is a gift card of this code already: load it, or take another code")]
    GiftCardExists,
    #[error("this gift card is blocked: unblock it, or replace it by another")]
    GiftCardBlocked,
    #[error("{} is less than the least that is loaded on a gift card, {}", amount, min)]
    GiftCardBelowMinimum { amount: Amount, min: Amount },
    #[error("a gift card holds {} at most: it has {}, and {} more is too much", max, balance, amount)]
    GiftCardOverMaximum { amount: Amount, balance: Amount, max: Amount },
    #[error("gift cards of this program are loaded once, and this one was")]
    GiftCardNotReloadable,
    #[error("{} is wanted of the gift card: it has {}{}", wanted, available, also_held(*held))]
    NotEnoughOnGiftCard { wanted: Amount, available: Amount, held: Amount },
    #[error("the program has no households: its document has no section `households`")]
    NoHouseholds,
    #[error("there is no such household in this program")]
    NoSuchHousehold,
    #[error("the member is in the household {household}: leave it first")]
    InHousehold { household: CompactString },
    #[error("the member is in no household")]
    NotInHousehold,
    #[error("the member left a household: they may join another from {from} on")]
    HouseholdCoolingOff { from: Day },
    #[error("this invitation is for somebody else, is over, or was accepted before: ask for another")]
    NotInvited,
    #[error("the household has its {size} people already")]
    HouseholdFull { size: u32 },
    #[error("{member} is not in this household")]
    NotOfHousehold { member: CompactString },
    #[error("{member} is in this household already")]
    OfHouseholdAlready { member: CompactString },
    #[error("only the head of the household may {to_do}")]
    OnlyTheHead { to_do: &'static str },
    #[error("the household has {most} invitations open: let one be accepted, or end, first")]
    TooManyInvitations { most: usize },
    #[error("everybody has left this household")]
    HouseholdClosed,
    #[error("say who of the household spends, as `by`")]
    WhoSpends,
    #[error("members may put no {currency} into the pool by hand")]
    NotByHand { currency: Id },
    #[error("a pool pays with points; rewards are bought by members")]
    PoolBuysNoRewards,
    #[error(
        "{wanted} {currency} are wanted of the pool: each may spend {most} a {window}, and {spent} are spent already"
    )]
    PoolLimit { currency: Id, window: &'static str, most: i64, spent: i64, wanted: i64 },
}

/// What a card has besides, which is reserved.
fn also_held(held: Amount) -> String {
    if held.is_zero() { String::new() } else { format!(", and {held} is reserved") }
}

/// Between which days, as far as they are set.
fn days(from: Option<Day>, until: Option<Day>) -> String {
    let from = from.map(|day| format!(" from {day}")).unwrap_or_default();
    let until = until.map(|day| format!(" until {day}")).unwrap_or_default();
    if from.is_empty() && until.is_empty() { String::new() } else { format!(": only{from}{until}") }
}

/// What it may become instead.
fn or_next(next: &[FulfilmentState]) -> String {
    match next {
        [] => ": it stays so".to_owned(),
        next => format!(", but {}", next.iter().map(|state| state.word()).collect::<Vec<_>>().join(", ")),
    }
}

fn unknown_voucher(code: &str, mistyped: bool) -> String {
    if mistyped {
        return format!("{code} is mistyped: its last character does not fit the others");
    }
    format!("there is no voucher {code}")
}

fn on_order(order_id: Option<&str>) -> String {
    order_id.map(|order_id| format!(" on the order {order_id}")).unwrap_or_default()
}

/// The most that may be, where there is one.
fn at_most(max: Option<i64>) -> String {
    max.map(|max| format!(", and at most {max}")).unwrap_or_default()
}

/// When a benefit can be used again.
fn from_next(next: Option<Day>) -> String {
    next.map(|day| format!(", next from {day}")).unwrap_or_default()
}

/// What to do with a redemption that is past what was wanted of it.
const fn advice(status: RedemptionStatus) -> &'static str {
    match status {
        RedemptionStatus::Reserved => "void it instead",
        RedemptionStatus::Captured => "return it instead",
        RedemptionStatus::Voided | RedemptionStatus::Ended => "make another",
    }
}

impl Rejected {
    /// The stable last part of the problem's type. One code has one meaning, for ever.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InTheFuture { .. } => "event-in-the-future",
            Self::TooLate { .. } => "event-too-late",
            Self::AlreadyEnrolled => "already-enrolled",
            Self::OrderExists { .. } => "order-exists",
            Self::OrderOfAnotherMember { .. } => "order-of-another-member",
            Self::NoSuchLine { .. } => "no-such-line",
            Self::TooManyUnits { .. } => "too-many-units-returned",
            Self::NothingLeft { .. } => "nothing-left-to-return",
            Self::ReturnWithoutOrder => "return-without-order",
            Self::Unmatched { .. } => "return-unmatched",
            Self::NotEnoughToTakeBack { .. } => "not-enough-to-take-back",
            Self::NotEnoughPoints { .. } => "not-enough-points",
            Self::BelowMinimum { .. } => "redemption-below-minimum",
            Self::NotInSteps { .. } => "redemption-not-in-steps",
            Self::OverPayable { .. } => "redemption-over-payable",
            Self::WorthNothing { .. } => "currency-without-value",
            Self::NothingToRedeem => "nothing-to-redeem",
            Self::UnknownRedemption { .. } => "unknown-redemption",
            Self::ReservationEnded { .. } => "reservation-ended",
            Self::RedemptionClosed { .. } => "redemption-closed",
            Self::CapturedMoreThanReserved { .. } => "captured-more-than-reserved",
            Self::ReturnedMoreThanCaptured { .. } => "returned-more-than-captured",
            Self::TooManyReservations { .. } => "too-many-reservations",
            Self::SpendingNeedsProof { .. } => "spending-proof-needed",
            Self::UnknownReward { .. } => "unknown-reward",
            Self::RewardNotNow { .. } => "reward-not-now",
            Self::RewardNotYet { .. } => "reward-not-yet",
            Self::RewardNotForMember { .. } => "reward-not-for-member",
            Self::RewardSoldOut { .. } => "reward-sold-out",
            Self::RewardLimit { .. } => "reward-limit",
            Self::RewardWaitedFor { .. } => "reward-waited-for",
            Self::RewardIsLeft { .. } => "reward-is-left",
            Self::NoWaitlist { .. } => "no-waitlist",
            Self::WaitsAlready { .. } => "waits-already",
            Self::WaitsForTooMuch { .. } => "waits-for-too-much",
            Self::NotWaiting { .. } => "not-waiting",
            Self::NothingToFulfil { .. } => "nothing-to-fulfil",
            Self::FulfilmentNotThere { .. } => "fulfilment-not-there",
            Self::FulfilmentTooFar { .. } => "fulfilment-too-far",
            Self::TooLateToCancel { .. } => "too-late-to-cancel",
            Self::RewardInPart { .. } => "reward-in-part",
            Self::UnknownVoucher { mistyped: true, .. } => "voucher-mistyped",
            Self::UnknownVoucher { .. } => "unknown-voucher",
            Self::VoucherCancelled { .. } => "voucher-cancelled",
            Self::VoucherOfAnotherMember { .. } => "voucher-of-another-member",
            Self::VoucherNotYet { .. } => "voucher-not-yet",
            Self::VoucherExpired { .. } => "voucher-expired",
            Self::VoucherUsedUp { .. } => "voucher-used-up",
            Self::VoucherLimit { .. } => "voucher-limit",
            Self::VoucherIsClaimed { .. } => "voucher-is-claimed",
            Self::VoucherNeedsOrder { .. } => "voucher-needs-order",
            Self::VoucherNotHere { .. } => "voucher-not-here",
            Self::VoucherBelowMinimum { .. } => "voucher-below-minimum",
            Self::VoucherConditionNotMet { .. } => "voucher-condition-not-met",
            Self::VoucherMatchesNothing { .. } => "voucher-matches-nothing",
            Self::VouchersDoNotCombine { .. } => "vouchers-do-not-combine",
            Self::VouchersCannotWait { .. } => "vouchers-cannot-wait",
            Self::VouchersChanged { .. } => "vouchers-changed",
            Self::VoucherNotUsed { .. } => "voucher-not-used",
            Self::VoucherOrderStands { .. } => "voucher-order-stands",
            Self::UnknownCurrency { .. } => "unknown-currency",
            Self::NoExchangeRate { .. } => "no-exchange-rate",
            Self::TooManyParked { .. } => "too-many-parked",
            Self::UnknownChallenge { .. } => "unknown-challenge",
            Self::NeedsNoJoining { .. } => "challenge-needs-no-joining",
            Self::AlreadyTakesPart { .. } => "challenge-already-joined",
            Self::ChallengeNotNow { .. } => "challenge-not-now",
            Self::NothingToAdjust => "nothing-to-adjust",
            Self::NeedsMember => "needs-member",
            Self::UnknownClaimCode => "unknown-claim-code",
            Self::ClaimTooLate { .. } => "claim-too-late",
            Self::OwnSale { .. } => "claim-of-own-sale",
            Self::ClaimedEnough { .. } => "claimed-enough",
            Self::NoSuchVoucher { .. } => "no-such-voucher",
            Self::ExpiresBeforeEarned { .. } => "expires-before-earned",
            Self::MovedFromTheFuture { .. } => "moved-from-the-future",
            Self::MemberLeft => "member-left",
            Self::ProofNeeded { .. } => "proof-needed",
            Self::SecondFactNeeded { .. } => "second-fact-needed",
            Self::NotSilent { .. } => "member-not-silent",
            Self::UnknownReason { .. } => "unknown-reason",
            Self::AgainstTheReason { .. } => "adjustment-against-its-reason",
            Self::MoreThanTheReason { .. } => "adjustment-over-its-reason",
            Self::SecondApprovalNeeded { .. } => "second-approval-needed",
            Self::AdjustmentTooLarge { .. } => "adjustment-too-large",
            Self::AdjustedEnoughToday { .. } => "adjusted-enough-today",
            Self::NoReferral => "no-referral",
            Self::UnknownReferralCode { .. } => "unknown-referral-code",
            Self::ReferralOfOneself => "referral-of-oneself",
            Self::ReferralTooLate { .. } => "referral-too-late",
            Self::TransferToOneself => "transfer-to-oneself",
            Self::NothingToTransfer => "nothing-to-transfer",
            Self::TransferNotAllowed { .. } => "transfer-not-allowed",
            Self::TransferSize { .. } => "transfer-size",
            Self::TransferLimit { .. } => "transfer-limit",
            Self::TransferWhileOwing { .. } => "transfer-while-owing",
            Self::NoRoom { .. } => "no-room",
            Self::UnknownBenefit { .. } => "unknown-benefit",
            Self::BenefitNotHeld { .. } => "benefit-not-held",
            Self::BenefitUsedUp { .. } => "benefit-used-up",
            Self::BenefitNotHere { .. } => "benefit-not-here",
            Self::BenefitNeeds { .. } => "benefit-needs-field",
            Self::BenefitNotOpenYet { .. } => "benefit-not-open-yet",
            Self::UnknownBenefitUse { .. } => "unknown-benefit-use",
            Self::UnknownPlan { .. } => "unknown-plan",
            Self::NotInClub { .. } => "not-in-club",
            Self::InClub { .. } => "in-club",
            Self::PaidAhead { .. } => "paid-ahead",
            Self::NoTrial { .. } => "no-trial",
            Self::TrialTaken { .. } => "trial-taken",
            Self::NoSuchMoney { .. } => "no-such-money",
            Self::NotRefundable { .. } => "not-refundable",
            Self::NothingToRefund { .. } => "nothing-to-refund",
            Self::UnknownLadder { .. } => "unknown-ladder",
            Self::UnknownLevel { .. } => "unknown-level",
            Self::UnknownMeasure { .. } => "unknown-measure",
            Self::PlacementWithoutLevel { .. } => "placement-without-level",
            Self::PlacementWithoutEnd { .. } => "placement-without-end",
            Self::PlacementInThePast { .. } => "placement-in-the-past",
            Self::NotPlaced { .. } => "not-placed",
            Self::NoGiftCards => "no-gift-cards",
            Self::GiftCardExists => "gift-card-exists",
            Self::GiftCardBlocked => "gift-card-blocked",
            Self::GiftCardBelowMinimum { .. } => "gift-card-below-minimum",
            Self::GiftCardOverMaximum { .. } => "gift-card-over-maximum",
            Self::GiftCardNotReloadable => "gift-card-not-reloadable",
            Self::NotEnoughOnGiftCard { .. } => "not-enough-on-gift-card",
            Self::NoHouseholds => "no-households",
            Self::NoSuchHousehold => "unknown-household",
            Self::InHousehold { .. } => "in-household",
            Self::NotInHousehold => "not-in-household",
            Self::HouseholdCoolingOff { .. } => "household-cooling-off",
            Self::NotInvited => "not-invited",
            Self::HouseholdFull { .. } => "household-full",
            Self::NotOfHousehold { .. } => "not-of-household",
            Self::OfHouseholdAlready { .. } => "of-household-already",
            Self::OnlyTheHead { .. } => "only-the-head",
            Self::TooManyInvitations { .. } => "too-many-invitations",
            Self::HouseholdClosed => "household-closed",
            Self::WhoSpends => "who-spends",
            Self::NotByHand { .. } => "not-by-hand",
            Self::PoolBuysNoRewards => "pool-buys-no-rewards",
            Self::PoolLimit { .. } => "pool-limit",
        }
    }

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
            | Self::PoolBuysNoRewards
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
            | Self::MemberLeft => Vec::new(),
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
