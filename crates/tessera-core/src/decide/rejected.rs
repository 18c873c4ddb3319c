//! Why a command was refused: here the sentence for people, beside it the code for machines and the facts as data.

mod code;
mod facts;

use compact_str::CompactString;

use super::{Balance, CaseHit};
use crate::event::PlacementKind;
use crate::ledger::{FulfilmentState, PartnerState, RedemptionStatus};
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
    #[error("the reward {reward} is sold out: none of {stock} is left")]
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
    #[error("no partner delivers anything for the redemption {redemption}")]
    NotAtPartner { redemption: CompactString },
    #[error("the redemption {redemption} is {}, and a partner does not make it {} from there", state.word(), wanted.word())]
    PartnerStateNotThere {
        redemption: CompactString,
        state: PartnerState,
        wanted: PartnerState,
        next: &'static [PartnerState],
    },
    #[error("the redemption {redemption} is {} at its partner: only they take it back, and then the points go back", state.word())]
    IsAtPartner { redemption: CompactString, state: PartnerState },
    #[error("the voucher {voucher} ({code}) that came with it was used: the redemption is not cancelled")]
    GivenVoucherUsed { redemption: CompactString, code: CompactString, voucher: Id },
    #[error("the gift card of the redemption {redemption} is asked back already")]
    GiftCardAskedBack { redemption: CompactString },
    #[error("of the {money} on the gift card {left} are left: it was used, and is not taken back")]
    GiftCardUsed { money: Amount, left: Amount },
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
    #[error("these are one member already")]
    MergeWithOneself,
    #[error("{most} members are one with this one, which is the most")]
    TooManyMerged { most: usize },
    #[error("both are in the club {plan}: end one of the two memberships first, with its refund")]
    BothInClub { plan: Id },
    #[error("this member is in the household {own}, the other in {theirs}: one of the two leaves theirs first")]
    BothInHousehold { own: CompactString, theirs: CompactString },
    #[error("{member} is not merged into this member, or came with somebody else: undo that merge")]
    NotMerged { member: CompactString },
    #[error("the merge of {merged_at} could be undone until {until}")]
    MergeUndoTooLate { merged_at: Instant, until: Instant },
    #[error("no purchase has this claim code")]
    UnknownClaimCode,
    #[error("the purchase {order_id} could be claimed until {until}")]
    ClaimTooLate { order_id: CompactString, until: Instant },
    #[error("whoever rang the purchase {order_id} up does not claim it")]
    OwnSale { order_id: CompactString },
    #[error("{}", frozen(*since, *quarantined))]
    MemberFrozen { since: Instant, quarantined: bool },
    #[error("the member is not frozen")]
    NotFrozen,
    #[error("{}", too_often(hit, "no more of them"))]
    TooOften { hit: Box<CaseHit> },
    #[error("{}", too_often(hit, "a second person has to let it pass"))]
    SecondPersonNeeded { hit: Box<CaseHit> },
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
    #[error("{held} of this gift card is reserved: capture or void the redemption first")]
    GiftCardInUse { held: Amount },
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
    #[error("{redemption} is still on its way to the member who asked for it: try again in a moment")]
    RewardOnItsWay { redemption: CompactString },
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

fn frozen(since: Instant, quarantined: bool) -> String {
    if quarantined {
        format!(
            "the member's number went to somebody else at {since}: nothing is spent until a second fact says who they are"
        )
    } else {
        format!("the member is frozen since {since}: nothing is spent, sent or claimed until they are thawed")
    }
}

/// The rule, what was counted for whom, and when its window ends.
fn too_often(hit: &CaseHit, then: &str) -> String {
    let CaseHit { rule, what, per, most, used, until, .. } = hit;
    format!(
        "{} by this {} would come to {used} until {until}, and the rule {rule} lets {most} pass: {then}",
        what.words(),
        per.words()
    )
}

impl Rejected {
    /// The velocity rule's case that this refusal belongs to.
    pub fn case_hit(&self) -> Option<&CaseHit> {
        match self {
            Self::TooOften { hit } | Self::SecondPersonNeeded { hit } => Some(hit),
            _ => None,
        }
    }
}
