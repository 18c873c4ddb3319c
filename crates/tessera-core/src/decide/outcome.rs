//! What the caller is told.

use std::collections::BTreeMap;

use compact_str::{CompactString, ToCompactString};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::redeem::RedemptionView;
use super::tier::standing;
use crate::event::PlacementKind;
use crate::id::EventId;
use crate::member::{MemberState, Placement, Status};
use crate::program::{GIFT_CARD, Id, LadderRules, Program, Texts};
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant};

/// One thing that an event brought about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    #[serde(rename = "type")]
    pub kind: EffectKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Id>,
    /// The last day it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Day>,
    /// When it becomes spendable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matures_at: Option<Instant>,
    /// What was wanted before a limit cut it, and the limit (C1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped_by: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benefit: Option<Id>,
    /// The redemption it belongs to, by its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redemption: Option<CompactString>,
    /// Until when points are reserved, or a reward is set aside (exclusive).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// What is paid back in money, or donated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<Id>,
    /// In the list of those who wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<i64>,
    /// What of it falls on each line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineDiscount>,
    /// What of it falls on the shipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Amount>,
    /// What was won, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prize: Option<Texts>,
    /// What was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streak: Option<Id>,
    /// The step of a challenge, from 1; the length of a streak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<Id>,
    /// The other member, by id, where two have a part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<CompactString>,
    /// Why, as a stable code, where something did not come about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CompactString>,
    /// The club it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<Id>,
    /// How many uses of the benefit are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<CompactString>,
}

/// What a voucher takes off one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDiscount {
    pub line: CompactString,
    pub amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    Joined,
    /// Joined after having left: what is given once is not given again.
    Rejoined,
    Accrual,
    /// Earned, and waiting.
    Pending,
    /// Earned, and used at once to repay what was owed.
    DebtRepaid,
    Matured,
    TakenBack,
    /// Of what an order no longer earns, what had expired before: nothing is taken for it.
    AlreadyExpired,
    /// Taken back beyond what was there: owed from now on.
    Debt,
    /// Beyond what was there, and forgiven.
    Forgiven,
    Restored,
    Expired,
    Spent,
    /// Out of reach until a redemption is captured or ends.
    Reserved,
    /// Reserved, and back again.
    Released,
    /// Spent, and back again: what it paid for came back, or the redemption was cancelled.
    Refunded,
    /// The part of what came back that was not paid with points.
    MoneyBack,
    Adjusted,
    /// Brought in from another system.
    Imported,
    TierUp,
    TierDown,
    VoucherIssued,
    VoucherRedeemed,
    /// Void with what it was given for.
    VoucherVoided,
    /// Used, and good again: what it was used on came back.
    VoucherRearmed,
    /// Won with a code.
    Prize,
    BenefitGranted,
    /// A guest's order: whoever shows the code of its receipt is its member.
    Claimable,
    /// A guest's order is the member's now.
    Claimed,
    /// The membership ended.
    Left,
    /// Given up by leaving.
    Forfeited,
    /// Spendable, and paid out in money on leaving.
    PaidOut,
    /// Owed, and written off on leaving.
    DebtForgiven,
    /// Went to a cause.
    Donated,
    /// Has a place in the list of those who wait for a reward.
    Waits,
    /// A reward that came free is set aside for the member.
    Offered,
    /// They did not take it in time.
    OfferEnded,
    /// A partner's code was given; the redemption has it.
    CodeGiven,
    ChallengeJoined,
    /// A step of a challenge was done.
    ChallengeStep,
    /// A return undid it.
    StepTaken,
    StreakMilestone,
    MilestoneTaken,
    BadgeGiven,
    BadgeTaken,
    /// On the way to another member.
    Sent,
    /// Paid for sending.
    Fee,
    /// From another member.
    Received,
    /// Sent, and back again: it could not arrive.
    CameBack,
    /// Brought by another member.
    ReferralJoined,
    /// Did what a referral asks for; `until`: when it pays.
    ReferralQualified,
    ReferralPaid,
    ReferralReversed,
    /// It does not pay, or not this side; `reason` says why.
    ReferralRefused,
    BenefitUsed,
    /// A use is there again.
    BenefitReturned,
    /// Somebody put the member on a level.
    TierPlaced,
    TierPlacementEnded,
    ClubJoined,
    /// Another period of a club began.
    ClubRenewed,
    /// The fee of the next period is there already.
    ClubPaidAhead,
    ClubPaymentFailed,
    /// The period is over and the next was not paid: it lasts a little longer.
    ClubGrace,
    ClubCancelled,
    ClubEnded,
    ClubRefunded,
    /// Money was paid in to a gift card.
    Loaded,
    /// Money goes back to the gift card that paid.
    ToGiftCard,
    /// Made as a reward; the redemption has its code.
    GiftCardGiven,
    /// It was used, so it does not go back.
    GiftCardKept,
    /// Ordered from a partner.
    GiftOrdered,
    /// The partner delivered; the redemption has it.
    GiftDelivered,
    GiftUsed,
    /// Nobody used it in time.
    GiftExpired,
    /// The partner took it back.
    GiftRefunded,
    /// The partner does not deliver, or did not in time.
    GiftRefused,
    /// A partner is told that the member has a benefit of theirs from now on.
    PartnerTold,
    /// A partner is told that the member has it no longer.
    PartnerToldOfEnd,
    /// One with another member now, to whom everything went.
    Merged,
    /// Another member is one with this one now.
    MergedIn,
    /// Both had it, or a word about it: it stands once, as this member had it; `reason` says what it is.
    KeptOnce,
    /// Somebody who was merged is a member of their own again.
    Unmerged,
    /// Of what they had brought, what is no longer there.
    Stays,
    HouseholdFounded,
    /// Accepted an invitation; the household answers.
    HouseholdAsked,
    HouseholdInvited,
    HouseholdJoined,
    /// The household took nobody in; `reason` says why.
    HouseholdRefused,
    HouseholdHead,
    HouseholdLeft,
    /// Into the pool of a household.
    ToPool,
    /// Out of the pool, to whose it was.
    FromPool,
    /// What the pool paid of an order goes back to it.
    BackToPool,
    /// No longer earned, and asked back from the pool: owed until it comes.
    AskedOfPool,
    /// The pool buys a reward that is the member's: it counts as theirs.
    RewardOfPool,
    /// It did not buy it, or gave it back: it counts no longer.
    RewardOfPoolBack,
}

impl Effect {
    pub fn of(kind: EffectKind) -> Self {
        Self {
            kind,
            currency: None,
            amount: None,
            campaign: None,
            expires_on: None,
            matures_at: None,
            wanted: None,
            capped_by: None,
            order_id: None,
            ladder: None,
            level: None,
            from: None,
            voucher: None,
            code: None,
            benefit: None,
            redemption: None,
            until: None,
            money: None,
            reward: None,
            place: None,
            lines: Vec::new(),
            shipping: None,
            prize: None,
            cause: None,
            challenge: None,
            streak: None,
            step: None,
            badge: None,
            member: None,
            reason: None,
            plan: None,
            partner: None,
            left: None,
            words: None,
        }
    }

    pub fn points(kind: EffectKind, currency: &Id, amount: i64) -> Self {
        Self { currency: Some(currency.clone()), amount: Some(amount), ..Self::of(kind) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    Applied,
    /// The same command was applied before; this is its first outcome.
    Duplicate,
    /// Waits for the order, or the member, that it names.
    Parked,
    Refused,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub event_id: String,
    pub status: OutcomeStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_status: Option<OutcomeStatus>,
    /// `None` for a guest.
    pub member: Option<String>,
    pub program_version: u32,
    pub effects: Vec<Effect>,
    pub balances: BTreeMap<Id, Balance>,
    pub tiers: BTreeMap<Id, Id>,
    /// What to print on the receipt of a guest, who claims the purchase with it (P6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_code: Option<CompactString>,
    /// The redemption that the command was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redemption: Option<RedemptionView>,
}

impl Outcome {
    /// A redemption of somebody who was merged keeps its own id.
    pub fn of_survivor(&mut self, state: &MemberState) {
        if let Some(view) = &mut self.redemption
            && let Ok(id) = view.id.parse::<EventId>()
            && id.member == state.id
        {
            view.id = state.event_id(id.seq).to_compact_string();
        }
    }
}

/// What a member has in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Spendable. Below zero never: what is owed is `debt`.
    pub available: i64,
    pub pending: i64,
    /// Reserved by redemptions that are under way.
    pub held: i64,
    pub debt: i64,
}

/// Every currency of the program, held or not; of a gift card its money.
pub fn balances(program: &Program, member: &MemberState) -> BTreeMap<Id, Balance> {
    if member.status == Status::GiftCard {
        return BTreeMap::from([(GIFT_CARD, balance(member, &GIFT_CARD))]);
    }
    let held = member.purses.iter().map(|purse| purse.currency.clone());
    let known = program.definition.currencies.keys().cloned().chain(held);
    known.map(|currency| (currency.clone(), balance(member, &currency))).collect()
}

/// What a member has in one currency.
pub(super) fn balance(member: &MemberState, currency: &Id) -> Balance {
    let held = member.held(currency.as_str()).get();
    member.purse(currency.as_str()).map_or_else(Balance::default, |purse| Balance {
        available: purse.active().get(),
        pending: purse.pending().get(),
        held,
        debt: purse.debt.get(),
    })
}

pub(super) fn levels(program: &Program, member: &MemberState) -> BTreeMap<Id, Id> {
    if !member.status.is_member() {
        return BTreeMap::new();
    }
    let level = |ladder: &crate::program::LadderRules| ladder.level(standing::rank(ladder, member)).id.clone();
    program.ladders.iter().map(|ladder| (ladder.id.clone(), level(ladder))).collect()
}

/// A member's place on one ladder, with what is missing to rise and to stay (T8).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierStanding {
    pub ladder: Id,
    pub level: Id,
    pub since: Option<Instant>,
    /// The next review; the level holds until then.
    pub holds_until: Option<Instant>,
    /// What has counted in the current window, by measure; a ladder's only measure is called by what it counts.
    pub measured: BTreeMap<Id, Amount>,
    pub next_level: Option<Id>,
    /// What is still missing to the next level, by measure.
    pub missing_to_rise: BTreeMap<Id, Amount>,
    /// What is still missing in this window to keep the level beyond its end, by measure.
    pub missing_to_stay: BTreeMap<Id, Amount>,
    pub benefits: Vec<Id>,
    /// Levels the member was put on, beside what they reached.
    pub placements: Vec<PlacementView>,
    /// The level and why it is held: `gold until 2026-06-30: status match`.
    pub words: String,
}

/// A level that somebody put a member on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlacementView {
    pub kind: PlacementKind,
    pub level: Id,
    pub since: Instant,
    /// When it ends by itself (exclusive); `None` where somebody has to end it.
    pub until: Option<Instant>,
    pub reason: CompactString,
    /// What is still missing in a trial to stay, by measure; empty once it is reached, or where nothing is asked.
    pub missing_to_keep: BTreeMap<Id, Amount>,
}

/// Where a settled member stands on every ladder at an instant.
pub fn tier_standings(program: &Program, member: &MemberState, now: Instant) -> Vec<TierStanding> {
    let day = program.calendar.day(now);
    let levels = levels(program, member);
    let standing = |ladder: &crate::program::LadderRules| {
        let known = member.ladder(ladder.id.as_str());
        let level = levels.get(&ladder.id).cloned().unwrap_or_default();
        let rank = ladder.rank(&level);
        let above = ladder.above(rank);
        let held = standing::at(program, ladder, member, now, day);
        let (from, until) = standing::period(program, ladder, member.joined_on, day);
        let sum = |measure: &Id| known.map_or(Amount::ZERO, |known| known.sum(measure, from, until));
        let missing = |rank: usize| -> BTreeMap<Id, Amount> {
            let Some(level) = ladder.levels.get(rank).filter(|level| !level.by_invitation) else {
                return BTreeMap::new();
            };
            let short = level.at.of.iter().filter_map(|(measure, threshold)| {
                let short = (threshold.0 - sum(measure).to_decimal()).max(Decimal::ZERO);
                Amount::try_from(short)
                    .ok()
                    .filter(|short| !short.is_zero())
                    .map(|short| (ladder.measure_name(measure), short))
            });
            short.collect()
        };
        TierStanding {
            ladder: ladder.id.clone(),
            since: known.filter(|known| !known.level.as_str().is_empty()).map(|known| known.since),
            holds_until: held.until.filter(|until| *until < Instant::MAX),
            measured: ladder.measures.iter().map(|(name, _)| (ladder.measure_name(name), sum(name))).collect(),
            next_level: above.map(|rank| ladder.level(rank).id.clone()),
            missing_to_rise: above.map(missing).unwrap_or_default(),
            missing_to_stay: if rank == 0 { BTreeMap::new() } else { missing(rank) },
            benefits: ladder.level(rank).benefits.clone(),
            words: words(program, ladder, member, rank, now),
            placements: member
                .placements(ladder.id.as_str(), now)
                .map(|placement| view(ladder, member, placement))
                .collect(),
            level,
        }
    };
    program.ladders.iter().map(standing).collect()
}

fn view(ladder: &LadderRules, member: &MemberState, placement: &Placement) -> PlacementView {
    let missing = placement.keep_if.iter().filter_map(|wanted| {
        let missing = wanted.needed - super::placement::reached(member, ladder.id.as_str(), wanted);
        (missing > Amount::ZERO).then(|| (ladder.measure_name(&wanted.measure), missing))
    });
    PlacementView {
        kind: placement.kind,
        level: placement.level.clone(),
        since: placement.since,
        until: placement.until,
        reason: placement.reason.clone(),
        missing_to_keep: missing.collect(),
    }
}

/// A level with its end and why it is held.
fn words(program: &Program, ladder: &LadderRules, member: &MemberState, rank: usize, now: Instant) -> String {
    let level = &ladder.level(rank).id;
    let day = program.calendar.day(now);
    let (held, measured) =
        (standing::at(program, ladder, member, now, day), standing::by_measures(program, ladder, member, now, day));
    let until = match held.until.filter(|until| *until < Instant::MAX) {
        Some(until) => format!(" until {}", program.calendar.last_day_before(until)),
        None => String::new(),
    };
    let sustains = |placement: &&Placement| {
        let end = placement.until.unwrap_or(Instant::MAX);
        ladder.rank(&placement.level) == held.rank && Some(end) == held.until
    };
    let placed = member.placements(ladder.id.as_str(), now).find(sustains).filter(|_| held != measured);
    match placed {
        Some(placement) => format!("{level}{until}: {}", placement.kind.words()),
        None if rank == 0 => format!("{level}: everybody's level"),
        None => format!("{level}{until}: reached"),
    }
}

/// Points that move, as entries carry them.
pub(super) fn points(amount: i64) -> Points {
    Points::clamped(i128::from(amount))
}
