//! Spending points (I2, I3, L1, L7, M6): reserve, capture or void, or spend at once; cancel what was spent.
//!
//! Points go from their lots into the reservation and from there to what they pay for, or back. What is reserved is out
//! of reach for take-backs, other redemptions and expiry until the reservation's own end.

use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};

use super::outcome::{Balance, Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{EventStatus, Recorded, Rejected, gift_card, pool, reward, settle};
use crate::event::{Redeem, RedemptionPart};
use crate::id::{EventId, MemberId};
use crate::ledger::{Account, Bill, EntryKind, Given, Hold, Lot, LotPart, LotRef, Redemption, RedemptionStatus, Terms};
use crate::member::{Change, MemberState, Status};
use crate::program::{CurrencyDefinition, GIFT_CARD, Id, Program};
use crate::quantity::{Amount, Choices, PointTender, Points, pay_with_points};
use crate::time::{Day, Instant};

/// What a redemption would be, with nothing done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    pub currency: Id,
    /// What would be spent: what was asked for, else as many as there are and the payable takes. May be 0.
    pub points: i64,
    /// The lots that would pay, in order.
    pub lots: Vec<LotTrace>,
    pub bill: Option<Bill>,
    /// What a slider may offer.
    pub choices: Choices,
    pub balance: Balance,
}

/// A redemption as its caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionView {
    pub id: CompactString,
    pub status: RedemptionStatus,
    pub currency: Id,
    /// What was reserved, or spent at once.
    pub points: i64,
    pub captured: i64,
    /// Given back since.
    pub returned: i64,
    pub at: Instant,
    /// When the reservation ends by itself (exclusive).
    pub ends_at: Option<Instant>,
    pub order_id: Option<CompactString>,
    pub bill: Option<Bill>,
    /// Who spends from the pool of their household.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<Id>,
    /// What comes with the reward, as far as it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// The partner's code, for those who may see it: it lies sealed, and is in no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The lots that are reserved or paid, in order.
    pub lots: Vec<LotTrace>,
}

/// What one lot pays, and why it is its turn (L1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotTrace {
    pub amount: i64,
    /// The last day it could be spent on by itself.
    pub last_day: Option<Day>,
    pub funder: Option<Id>,
    pub words: String,
}

impl LotTrace {
    fn all(parts: &[LotPart]) -> Vec<Self> {
        let trace = |(place, part): (usize, &LotPart)| {
            let turn = match (place, part.lot.last_day) {
                (0, Some(day)) => format!("first: what expires soonest, on {day}"),
                (_, Some(day)) => format!("next: what expires on {day}"),
                (0, None) => "what never expires: there was nothing else".to_owned(),
                (_, None) => "last: what never expires".to_owned(),
            };
            let words = match &part.lot.funder {
                Some(funder) => format!("{turn}, paid for by {funder}"),
                None => turn,
            };
            Self { amount: part.amount, last_day: part.lot.last_day, funder: part.lot.funder.clone(), words }
        };
        parts.iter().enumerate().map(trace).collect()
    }
}

impl RedemptionView {
    pub fn new(id: EventId, redemption: &Redemption) -> Self {
        let terms = &redemption.terms;
        Self {
            id: id.to_compact_string(),
            status: redemption.status,
            currency: terms.currency.clone(),
            points: redemption.reserved,
            captured: redemption.captured,
            returned: redemption.returned,
            at: terms.at,
            ends_at: terms.ends_at,
            order_id: terms.order_id.clone(),
            bill: terms.bill.clone(),
            by: redemption.by.map(|by| by.to_compact_string()),
            reward: terms.reward.clone(),
            given: redemption.given.clone(),
            code: None,
            lots: LotTrace::all(&redemption.lots),
        }
    }
}

/// The redemption that a stored event is about, as it left it; `None` for events of other kinds.
pub(super) fn view_of(member: MemberId, event: &Recorded) -> Option<RedemptionView> {
    if !crate::event::REDEMPTION_TYPES.contains(&event.kind.as_str()) {
        return None;
    }
    let (seq, redemption) = event.record.redemptions.first()?;
    Some(RedemptionView::new(EventId { member, seq: *seq }, redemption))
}

/// Which lots paid for a redemption's event, and why in this order; empty for events of other kinds.
pub fn explain_redemption(event: &Recorded) -> Vec<LotTrace> {
    let of_kind = crate::event::REDEMPTION_TYPES.contains(&event.kind.as_str());
    let redemption = event.record.redemptions.first().filter(|_| of_kind);
    redemption.map(|(_, redemption)| LotTrace::all(&redemption.lots)).unwrap_or_default()
}

/// What a redemption by a settled member would be. Without `points` nothing is refused for being too little: the
/// answer is then 0 points.
///
/// # Errors
/// As the redemption itself would be refused.
pub fn quote_redemption(program: &Program, member: &MemberState, redeem: &Redeem) -> Result<Quote, Rejected> {
    let redeem = &reward::priced(program, member, redeem)?;
    let definition = currency(program, &redeem.currency)?;
    gift_card::may_pay(member, redeem)?;
    pool::may_spend(program, member, redeem)?;
    let balance = pool::spendable(program, member, redeem);
    let tender = tender_of(program, definition);
    worth_something(redeem, definition)?;
    let choices = tender.choices(redeem.payable, points(balance.available));
    let wanted = redeem.points.unwrap_or(choices.max);
    let bill = match redeem.points {
        Some(wanted) => checked(program, definition, redeem, wanted)?,
        None => redeem.payable.map(|payable| bill(program, redeem.tender.as_ref(), payable, wanted, &tender)),
    };
    if wanted > balance.available {
        return Err(not_enough(program, &redeem.currency, wanted, balance));
    }
    pool::within_limits(program, member, redeem, wanted)?;
    let lots = pool::paying(program, member, redeem, points(wanted));
    let parts: Vec<LotPart> = lots.iter().map(LotPart::of).collect();
    Ok(Quote { currency: redeem.currency.clone(), points: wanted, lots: LotTrace::all(&parts), bill, choices, balance })
}

fn currency<'p>(program: &'p Program, id: &Id) -> Result<&'p CurrencyDefinition, Rejected> {
    program.currency(id.as_str()).ok_or_else(|| Rejected::UnknownCurrency { currency: id.clone() })
}

/// Fewer than are wanted; on a gift card money, which nobody counts in its smallest units.
fn not_enough(program: &Program, currency: &Id, wanted: i64, balance: Balance) -> Rejected {
    if *currency == GIFT_CARD {
        return gift_card::not_enough(program, wanted, balance);
    }
    Rejected::NotEnoughPoints { currency: currency.clone(), wanted, balance }
}

fn tender_of(program: &Program, definition: &CurrencyDefinition) -> PointTender {
    PointTender {
        value: definition.value.map(|value| value.0).unwrap_or_default(),
        scale: definition.scale,
        step: definition.spend.step,
        min: definition.spend.min,
        decimals: u32::try_from(program.money.decimals()).unwrap_or_default(),
    }
}

/// A bill can only be paid with points that have a value in money.
fn worth_something(redeem: &Redeem, definition: &CurrencyDefinition) -> Result<(), Rejected> {
    match redeem.payable {
        Some(_) if definition.value.is_none_or(|value| value.0.is_zero()) => {
            Err(Rejected::WorthNothing { currency: redeem.currency.clone() })
        }
        _ => Ok(()),
    }
}

/// Whether so many points can be spent on what is to be paid (M6); with the bill they leave.
fn checked(
    program: &Program,
    definition: &CurrencyDefinition,
    redeem: &Redeem,
    wanted: i64,
) -> Result<Option<Bill>, Rejected> {
    let (currency, tender) = (|| redeem.currency.clone(), tender_of(program, definition));
    let step = tender.step_of(redeem.payable.is_some());
    // A reward has its price, whatever the steps of the slider are.
    if redeem.reward.is_some() {
        return Ok(None);
    }
    if wanted <= 0 {
        return Err(Rejected::NothingToRedeem);
    }
    if wanted < tender.min {
        return Err(Rejected::BelowMinimum { currency: currency(), wanted, min: tender.min });
    }
    if wanted % step != 0 {
        return Err(Rejected::NotInSteps { currency: currency(), wanted, step });
    }
    let Some(payable) = redeem.payable else { return Ok(None) };
    let most = pay_with_points(payable, Points::MAX, &tender).points.get();
    if wanted > most {
        return Err(Rejected::OverPayable { currency: currency(), wanted, most, payable });
    }
    Ok(Some(bill(program, redeem.tender.as_ref(), payable, wanted, &tender)))
}

/// What points leave of a payable, and what its tender asks for.
fn bill(
    program: &Program,
    pays_the_rest: Option<&CompactString>,
    payable: Amount,
    spent: i64,
    tender: &PointTender,
) -> Bill {
    let paid = pay_with_points(payable, points(spent), tender);
    let rounding = pays_the_rest.and_then(|name| program.definition.cash_rounding.get(name.as_str()));
    let asked = rounding.map_or(paid.remainder, |rounding| rounding.of_tender().round(paid.remainder).0);
    Bill { payable, covered: paid.covered, remainder: paid.remainder, tender: pays_the_rest.cloned(), asked }
}

/// What each lot pays of so many points, in spending order (L1). There are enough.
pub(super) fn by_l1(member: &MemberState, currency: &Id, wanted: Points) -> Vec<Lot> {
    let mut due = wanted;
    let mut paying = Vec::new();
    for lot in member.purse(currency.as_str()).into_iter().flat_map(|purse| &purse.lots) {
        let (taken, rest) = due.split(lot.remaining);
        if !taken.is_zero() {
            paying.push(Lot { remaining: taken, ..lot.clone() });
        }
        due = rest;
    }
    paying
}

impl Working<'_> {
    pub(super) fn redeem(&mut self, redeem: &Redeem) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        let redemption = self.open_main("redemption", EventStatus::Applied);
        let redeem = &reward::priced(&self.program, &self.state, redeem)?;
        let (wanted, bill) = self.what_to_redeem(redeem)?;
        self.needs_proof(redeem, wanted)?;
        // What is to be judged by one of the household's people is reserved until they have answered.
        let asked = self.whom_to_ask(redeem);
        let at_once = redeem.capture;
        let redeem = &Redeem { capture: at_once && asked.is_none(), ..redeem.clone() };
        let mut given = None;
        if let Some(id) = &redeem.reward {
            given = self.take_reward(id)?;
        }
        self.begin_spending(redemption, redeem, wanted);
        let lots = pool::paying(&self.program, &self.state, redeem, points(wanted));
        let reserve = currency(&self.program, &redeem.currency)?.spend.reserve;
        let ends_at = (!redeem.capture).then(|| self.state.clock.plus_seconds(reserve.seconds()));
        let terms = Terms {
            currency: redeem.currency.clone(),
            version: self.program.version,
            at: self.at(),
            ends_at,
            order_id: redeem.order_id.clone(),
            bill,
            reward: redeem.reward.clone(),
        };
        let parts = lots.iter().map(LotPart::of).collect();
        if redeem.capture {
            self.pay(redemption, &terms, Account::Active, &lots);
            given = self.hand_over(redemption, &terms, given);
        } else {
            self.reserve(redemption, &terms, &lots)?;
        }
        if let Some(asked) = asked {
            let member = self.ask_member(redemption, asked, &terms, at_once)?;
            given = given.map(|given| Given { member, ..given });
        }
        let (status, captured) =
            if redeem.capture { (RedemptionStatus::Captured, wanted) } else { (RedemptionStatus::Reserved, 0) };
        let owners = self.paid_by_owners();
        self.note_redemption(
            redemption,
            Redemption {
                terms,
                status,
                reserved: wanted,
                captured,
                returned: 0,
                lots: parts,
                given,
                by: redeem.by,
                owners,
            },
        );
        Ok(())
    }

    /// Looking a member up may earn; spending needs proof that they are there (P4).
    fn needs_proof(&self, redeem: &Redeem, wanted: i64) -> Result<(), Rejected> {
        let proof = &self.program.definition.proof;
        match proof.spending_above.get(&redeem.currency) {
            Some(above) if wanted > *above && !redeem.proven.is_some_and(|kind| proof.takes(kind)) => {
                Err(Rejected::SpendingNeedsProof {
                    currency: redeem.currency.clone(),
                    wanted,
                    above: *above,
                    by: proof.words(),
                })
            }
            _ => Ok(()),
        }
    }

    /// How many points, and the bill they leave, or why not.
    fn what_to_redeem(&self, redeem: &Redeem) -> Result<(i64, Option<Bill>), Rejected> {
        if redeem.points.is_none() && redeem.payable.is_none() {
            return Err(Rejected::NothingToRedeem);
        }
        let quote = quote_redemption(&self.program, &self.state, redeem)?;
        if quote.points > 0 || redeem.reward.is_some() {
            return Ok((quote.points, quote.bill));
        }
        let Some(payable) = redeem.payable else { return Err(Rejected::NothingToRedeem) };
        let definition = currency(&self.program, &redeem.currency)?;
        let most = tender_of(&self.program, definition).choices(Some(payable), Points::MAX).max;
        let (currency, min) = (redeem.currency.clone(), quote.choices.min);
        Err(if most == 0 {
            Rejected::BelowMinimum { currency, wanted: 0, min }
        } else {
            not_enough(&self.program, &currency, min, quote.balance)
        })
    }

    fn reserve(&mut self, redemption: u64, terms: &Terms, lots: &[Lot]) -> Result<(), Rejected> {
        if self.state.holds.len() >= MemberState::HOLDS_MAX {
            return Err(Rejected::TooManyReservations { most: MemberState::HOLDS_MAX });
        }
        self.change(Change::Reserved { hold: Hold { event: redemption, terms: terms.clone(), lots: Vec::new() } });
        for lot in lots {
            self.move_lot(EntryKind::Reservation, (Account::Active, Account::Held), redemption, terms, lot);
            let effect = Effect { until: terms.ends_at, ..self.of_lot(EffectKind::Reserved, redemption, terms, lot) };
            self.effect(effect);
        }
        Ok(())
    }

    /// Points of these lots are spent.
    fn pay(&mut self, redemption: u64, terms: &Terms, from: Account, lots: &[Lot]) {
        for lot in lots {
            self.move_lot(EntryKind::Redemption, (from, Account::Redeemed), redemption, terms, lot);
            let effect = self.of_lot(EffectKind::Spent, redemption, terms, lot);
            self.effect(effect);
        }
        self.keep_alive("redemption");
    }

    fn move_lot(&mut self, kind: EntryKind, (from, to): (Account, Account), redemption: u64, terms: &Terms, lot: &Lot) {
        let key = LotRef { order: Some(redemption), ..lot.key() };
        let (amount, expires_at) = (lot.remaining, lot.expires_at);
        let posting = Posting { currency: &terms.currency, amount, lot: Some(key), expires_at, campaign: None };
        self.post(kind, from, to, posting);
    }

    fn of_lot(&self, kind: EffectKind, redemption: u64, terms: &Terms, lot: &Lot) -> Effect {
        Effect {
            expires_on: lot.last_day,
            redemption: Some(self.redemption_id(redemption)),
            order_id: terms.order_id.clone(),
            ..Effect::points(kind, &terms.currency, lot.remaining.get())
        }
    }

    pub(super) fn redemption_id(&self, redemption: u64) -> CompactString {
        self.state.event_id(redemption).to_compact_string()
    }

    /// Spends what was reserved, or a part of it (I3, L7).
    pub(super) fn capture(&mut self, part: &RedemptionPart) -> Result<(), Rejected> {
        let hold = self.open_hold(part.redemption)?;
        let reserved = hold.held().get();
        let captured = part.points.unwrap_or(reserved);
        if captured > reserved {
            let redemption = self.redemption_id(part.redemption);
            return Err(Rejected::CapturedMoreThanReserved { redemption, wanted: captured, reserved });
        }
        reward::is_whole(&hold.terms, self.redemption_id(part.redemption), captured, reserved)?;
        let terms = Terms { bill: self.bill_of(&hold, captured)?, ..hold.terms.clone() };
        self.open_main("capture", EventStatus::Applied);
        if self.waits_for_answer(part.redemption) {
            let found = self.redemption(part.redemption)?;
            self.note_redemption(part.redemption, found);
        } else {
            self.spend_hold(&hold, terms, captured);
        }
        Ok(())
    }

    /// So many of what was reserved are spent, and the rest is free again.
    pub(super) fn spend_hold(&mut self, hold: &Hold, terms: Terms, captured: i64) {
        let (redemption, reserved) = (hold.event, hold.held().get());
        let (paying, rest) = split(&hold.lots, points(captured));
        let given = self.redemption(redemption).ok().and_then(|found| found.given);
        let by = self.spender(redemption);
        self.pay(redemption, &terms, Account::Held, &paying);
        let owners = self.paid_by_owners();
        self.let_go(hold, &rest);
        let given = self.hand_over(redemption, &terms, given);
        let given = self.give_to_member(redemption, &terms, given);
        let lots = paying.iter().map(LotPart::of).collect();
        let status = RedemptionStatus::Captured;
        self.note_redemption(
            redemption,
            Redemption { terms, status, reserved, captured, returned: 0, lots, given, by, owners },
        );
        self.follow_causes();
    }

    /// The bill of a reservation of which so many points are captured, by its own version.
    fn bill_of(&self, hold: &Hold, captured: i64) -> Result<Option<Bill>, Rejected> {
        let Some(program) = self.inputs.versions.number(hold.terms.version) else { return Ok(hold.terms.bill.clone()) };
        let bill = hold.terms.bill.as_ref();
        let as_redeemed = Redeem {
            currency: hold.terms.currency.clone(),
            points: Some(captured),
            payable: bill.map(|bill| bill.payable),
            tender: bill.and_then(|bill| bill.tender.clone()),
            order_id: None,
            reward: hold.terms.reward.clone(),
            capture: true,
            proven: None,
            by: None,
        };
        checked(program, currency(program, &hold.terms.currency)?, &as_redeemed, captured)
    }

    pub(super) fn void(&mut self, redemption: u64) -> Result<(), Rejected> {
        let hold = self.open_hold(redemption)?;
        self.open_main("void", EventStatus::Applied);
        self.close(&hold, RedemptionStatus::Voided);
        Ok(())
    }

    /// The reservation's own end has come: nothing of it was captured.
    pub(super) fn end_reservation(&mut self, redemption: u64, at: Instant) {
        let Some(hold) = self.state.hold(redemption).cloned() else { return };
        self.open("reservation-end", EventStatus::Derived, at, None);
        self.close(&hold, RedemptionStatus::Ended);
    }

    /// Whoever leaves reserves nothing any more.
    pub(super) fn void_for_leaving(&mut self, hold: &Hold) {
        self.open("void", EventStatus::Derived, self.at_effective(), None);
        self.close(hold, RedemptionStatus::Voided);
    }

    pub(super) fn close(&mut self, hold: &Hold, status: RedemptionStatus) {
        let by = self.spender(hold.event);
        let given = self.over_at_member(hold);
        self.let_go(hold, &hold.lots);
        self.put_reward_back(&hold.terms);
        self.put_code_back(&hold.terms);
        let (terms, reserved) = (hold.terms.clone(), hold.held().get());
        self.note_redemption(
            hold.event,
            Redemption {
                terms,
                status,
                reserved,
                captured: 0,
                returned: 0,
                lots: Vec::new(),
                given,
                by,
                owners: Vec::new(),
            },
        );
        self.follow_causes();
    }

    /// What was reserved goes back to its lots: what is owed is repaid first (R6), and what has died meanwhile is dead
    /// (L7).
    fn let_go(&mut self, hold: &Hold, lots: &[Lot]) {
        let terms = &hold.terms;
        for lot in lots {
            let dead = self.is_dead(&terms.currency, lot.expires_at);
            let home = self.coming_home(&terms.currency, &lot.key(), lot.remaining, dead);
            if dead {
                self.move_lot(EntryKind::Expiry, (Account::Held, Account::Expired), hold.event, terms, lot);
                let effect = self.of_lot(EffectKind::Expired, hold.event, terms, lot);
                self.effect(effect);
                self.settle_homecoming(&terms.currency, &lot.key(), home, dead);
                continue;
            }
            let (repaid, rest) = (home.to_debt, home.to_lot);
            for (amount, to, kind) in
                [(repaid, Account::Debt, EffectKind::DebtRepaid), (rest, Account::Active, EffectKind::Released)]
            {
                if !amount.is_zero() {
                    let lot = Lot { remaining: amount, ..lot.clone() };
                    self.move_lot(EntryKind::Release, (Account::Held, to), hold.event, terms, &lot);
                    let effect = self.of_lot(kind, hold.event, terms, &lot);
                    let expires_on = effect.expires_on.filter(|_| to == Account::Active);
                    self.effect(Effect { expires_on, ..effect });
                }
            }
            self.settle_homecoming(&terms.currency, &lot.key(), home, dead);
        }
        if !lots.is_empty() {
            self.moved(&terms.currency);
        }
        let back: Points = lots.iter().map(|lot| lot.remaining).sum();
        let day = self.program.calendar.day(terms.at);
        self.unspent(self.spender(hold.event), &terms.currency, back.get(), day);
        self.ends_spending(hold.event);
        // What costs only money held no points, so no entry has closed it.
        if self.state.hold(hold.event).is_some() {
            self.change(Change::Closed { redemption: hold.event });
        }
    }

    pub(super) fn owed(&self, currency: &Id) -> Points {
        self.state.purse(currency.as_str()).map_or(Points::ZERO, |purse| purse.debt)
    }

    /// Whether points that are in no open lot have died by now, by their own date or by the currency's.
    pub(super) fn is_dead(&self, currency: &Id, expires_at: Option<Instant>) -> bool {
        let clock = self.state.clock;
        let idle = || {
            let purse = self.state.purse(currency.as_str())?;
            settle::idle_date(self.inputs.versions, purse, clock).map(|(_, end)| end)
        };
        expires_at.or_else(idle).is_some_and(|end| end <= clock)
    }

    /// A reservation that is open, or why it is not.
    fn open_hold(&self, redemption: u64) -> Result<Hold, Rejected> {
        if let Some(hold) = self.state.hold(redemption) {
            return Ok(hold.clone());
        }
        let (found, id) = (self.redemption(redemption)?, self.redemption_id(redemption));
        Err(match (found.status, found.terms.ends_at) {
            (RedemptionStatus::Ended, Some(ended_at)) => Rejected::ReservationEnded { redemption: id, ended_at },
            (status, _) => Rejected::RedemptionClosed { redemption: id, status },
        })
    }

    /// A redemption of the member, as this decision knows it.
    pub(super) fn redemption(&self, redemption: u64) -> Result<Redemption, Rejected> {
        let mut known = self.redemptions.iter().chain(self.inputs.redemptions);
        let found = known.find(|(seq, _)| *seq == redemption).map(|(_, found)| found.clone());
        found.ok_or_else(|| Rejected::UnknownRedemption { redemption: self.redemption_id(redemption) })
    }

    /// Keeps how far a redemption has come, in its own row and with the event that brought it there.
    pub(super) fn note_redemption(&mut self, redemption: u64, now: Redemption) {
        self.redemptions.retain(|(seq, _)| *seq != redemption);
        self.redemptions.push((redemption, now.clone()));
        let of_event = &mut self.record().record.redemptions;
        of_event.retain(|(seq, _)| *seq != redemption);
        of_event.push((redemption, now));
    }

    /// Cancels a redemption, or a part of it (R7).
    pub(super) fn return_redemption(&mut self, part: &RedemptionPart) -> Result<(), Rejected> {
        let found = self.redemption(part.redemption)?;
        let (id, left) = (self.redemption_id(part.redemption), found.captured - found.returned);
        if found.status != RedemptionStatus::Captured {
            return Err(Rejected::RedemptionClosed { redemption: id, status: found.status });
        }
        let wanted = part.points.unwrap_or(left);
        let costs_points = found.terms.reward.is_none() || found.captured > 0;
        if costs_points && (wanted > left || left == 0) || !costs_points && found.is_back() {
            let (captured, returned) = (found.captured, found.returned);
            return Err(Rejected::ReturnedMoreThanCaptured { redemption: id, wanted, captured, returned });
        }
        if costs_points && wanted <= 0 {
            return Err(Rejected::NothingToRedeem);
        }
        reward::is_whole(&found.terms, id, wanted, found.captured)?;
        self.may_be_cancelled(part.redemption, &found)?;
        self.has_arrived(part.redemption, &found)?;
        if let Some(card) = found.given.as_ref().and_then(|given| given.gift_card.clone()) {
            return self.ask_card_back(part.redemption, found, &card);
        }
        let voucher = self.voucher_to_void(part.redemption, &found)?;
        self.open_main("redemption-return", EventStatus::Applied);
        self.void_given(voucher);
        self.put_reward_back(&found.terms);
        let given = self.take_given_back(part.redemption, &found);
        let found = Redemption { given, ..found };
        let order_id = found.terms.order_id.clone();
        self.refund(part.redemption, found, wanted, order_id.as_ref());
        self.follow_causes();
        Ok(())
    }
}

/// So many points of lots in their order, and what is left of them.
fn split(lots: &[Lot], wanted: Points) -> (Vec<Lot>, Vec<Lot>) {
    let (mut due, mut taken, mut left) = (wanted, Vec::new(), Vec::new());
    for lot in lots {
        let (take, rest) = due.split(lot.remaining);
        let keep = lot.remaining.less(take);
        taken.extend((!take.is_zero()).then(|| Lot { remaining: take, ..lot.clone() }));
        left.extend((!keep.is_zero()).then(|| Lot { remaining: keep, ..lot.clone() }));
        due = rest;
    }
    (taken, left)
}
