//! How often and how much in how long a time: counted after everything else of a command is decided, so that a rule may
//! look at what it moved; what is more passes and opens a case, waits for a second person, or is refused.
//!
//! What one member does is counted in the member's state, alone or together with one of the staff or a device: it goes along
//! when two become one (P1). What staff, devices, shops and keys do concerns many members:
//! it is counted in pools whose name carries the end of the window, so that servers count together and no limit is ever
//! overrun. What is returned or voided gives no room back: whoever does and undoes is who is looked for.

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use super::working::Working;
use super::{PoolChange, Rejected};
use crate::event::{Command, GiftCardStep, Order, Origin, What};
use crate::expression::{EventScope, Facts};
use crate::id::MemberId;
use crate::ledger::{Account, EntryKind};
use crate::member::{Change, MemberState, Status};
use crate::program::{Id, Per, Program, Summed, VelocityAction, VelocityRule, Versions, Watched, Who};
use crate::time::Instant;

/// A command that was more than a rule lets pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseHit {
    pub rule: Id,
    pub what: Watched,
    #[serde(skip)]
    pub per: Per,
    /// Who it was counted for: ids and keyed hashes.
    pub subject: CompactString,
    pub member: MemberId,
    pub from: Instant,
    /// The end of the window (exclusive).
    pub until: Instant,
    /// With this command.
    pub used: i64,
    pub most: i64,
    /// What this command added.
    pub by: i64,
    pub action: VelocityAction,
    /// The pool in which a second person lets more pass.
    #[serde(skip)]
    pub more: CompactString,
}

/// The rule as whose cases purchases of staff for themselves are kept.
pub const OWN_PURCHASES: Id = Id::constant("own-purchases");

/// Pools of velocity rules: `pool:velocity/<end of the window>/<limit>/<subject>`. Those of windows that ended sort before
/// those that are open.
const POOL: &str = "pool:velocity";
/// What a second person lets pass beyond a limit.
const MORE: &str = "pool:velocity-more";

fn pool_name(kind: &str, until: Instant, limit: &str, subject: &str) -> CompactString {
    format_compact!("{kind}/{:020}/{limit}/{subject}", until.micros().max(0))
}

/// Names from `.0` on and before `.1` are pools of velocity rules whose windows ended before an instant.
pub fn ended_velocity_pools(before: Instant) -> [(CompactString, CompactString); 2] {
    [POOL, MORE].map(|kind| (format_compact!("{kind}/"), format_compact!("{kind}/{:020}/", before.micros().max(0))))
}

/// What is counted of a command, if anything is.
fn watched(what: &What) -> Option<Watched> {
    Some(match what {
        What::Claim(_) => Watched::Claim,
        What::Redeem(_) => Watched::Redemption,
        What::Adjust(_) => Watched::Adjustment,
        What::GiftCard(GiftCardStep::Issue { .. } | GiftCardStep::TopUp { .. }) => Watched::GiftCard,
        What::Transfer(_) => Watched::Transfer,
        What::Purchase(_) | What::Exchange(_) => Watched::Purchase,
        What::Return(_) => Watched::Return,
        What::RedeemVoucher(_) => Watched::Voucher,
        _ => return None,
    })
}

fn order_of(what: &What) -> Option<&Order> {
    match what {
        What::Purchase(order) => Some(order),
        What::Exchange(exchange) => Some(&exchange.bought),
        _ => None,
    }
}

/// When it was done, as a rule counts it: a claim when somebody claimed, not when they bought.
fn done_at(command: &Command) -> Instant {
    match &command.what {
        What::Claim(claim) => claim.claimed_at,
        _ => command.effective_at,
    }
}

/// Who it is counted for; nobody where it does not say.
fn subject(per: &Per, what: &What, origin: &Origin, member: Option<MemberId>) -> Option<CompactString> {
    let order = order_of(what);
    let of = |who: &Who| match who {
        Who::Member => member.map(|member| format_compact!("{member}")),
        Who::Staff => order.and_then(|order| order.staff.clone()).or_else(|| origin.staff.clone()),
        Who::Location => order.and_then(|order| order.location.clone()).or_else(|| origin.location.clone()),
        Who::Device => origin.device.clone(),
        Who::Key => origin.key.clone(),
    };
    let parts: Option<Vec<CompactString>> = per.0.iter().map(of).collect();
    Some(parts?.join(" + ").into())
}

/// As what the member's state counts a limit; `None` where it is no member's.
fn own_name(per: &Per, limit: &CompactString, what: &What, origin: &Origin) -> Option<CompactString> {
    let others = Per(per.0.iter().copied().filter(|who| *who != Who::Member).collect());
    match (others.0.len() == per.0.len(), others.0.is_empty()) {
        (true, _) => None,
        (_, true) => Some(limit.clone()),
        _ => Some(format_compact!("{limit} {}", subject(&others, what, origin, None)?)),
    }
}

/// The rules of a program that count a kind of command.
fn rules_of(program: &Program, what: Watched) -> impl Iterator<Item = &VelocityRule> {
    program.velocity.iter().filter(move |rule| rule.what == what)
}

/// The pools that a command's velocity rules count in. `member`: whom it is about, where that is known.
pub fn velocity_pools(
    versions: &Versions,
    command: &Command,
    origin: &Origin,
    member: Option<MemberId>,
) -> Vec<CompactString> {
    let at = done_at(command);
    let program = versions.at(at);
    let (false, Some(_), Some(what)) = (program.velocity.is_empty(), &origin.key, watched(&command.what)) else {
        return Vec::new();
    };
    let mut pools = Vec::new();
    for rule in rules_of(program, what) {
        let Some(subject) = subject(&rule.per, &command.what, origin, member) else { continue };
        let (_, until) = rule.window.around(&program.calendar, at);
        for (limit, ..) in &rule.limits {
            pools.extend((!rule.per.is_member()).then(|| pool_name(POOL, until, limit, &subject)));
            pools.extend((rule.action == VelocityAction::Hold).then(|| pool_name(MORE, until, limit, &subject)));
        }
    }
    pools
}

/// What a look-up by a name counts: its pools with what it adds and the most they hold, and what is more.
pub struct LookUp {
    pub pools: Vec<PoolChange>,
    rules: Vec<CaseHit>,
}

impl std::fmt::Debug for LookUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookUp").field("pools", &self.pools.len()).finish_non_exhaustive()
    }
}

/// What a look-up counts at a time, by the rules there are; `None` where none counts it.
pub fn look_up(versions: &Versions, origin: &Origin, at: Instant) -> Option<LookUp> {
    let program = versions.at(at);
    let (mut pools, mut rules) = (Vec::new(), Vec::new());
    for rule in rules_of(program, Watched::Lookup) {
        let Some(subject) = subject(&rule.per, &What::WakeUp, origin, None) else { continue };
        let (from, until) = rule.window.around(&program.calendar, at);
        for (limit, _, most) in &rule.limits {
            let pool = pool_name(POOL, until, limit, &subject);
            pools.push(PoolChange {
                pool,
                by: 1,
                most: if rule.action == VelocityAction::Flag { i64::MAX } else { *most },
            });
            rules.push(CaseHit {
                rule: rule.id.clone(),
                what: rule.what,
                per: rule.per.clone(),
                subject: subject.clone(),
                member: MemberId::from_bytes([0; 16]),
                from,
                until,
                used: 0,
                most: *most,
                by: 1,
                action: rule.action,
                more: pool_name(MORE, until, limit, &subject),
            });
        }
    }
    (!pools.is_empty()).then_some(LookUp { pools, rules })
}

impl LookUp {
    /// What is more, by how much was used before.
    pub fn hits(self, used: impl Fn(&str) -> i64) -> Vec<CaseHit> {
        let counted = self.pools.iter().zip(self.rules);
        let hits = counted.map(|(pool, hit)| CaseHit { used: used(&pool.pool) + pool.by, ..hit });
        hits.filter(|hit| hit.used > hit.most).collect()
    }
}

impl CaseHit {
    /// How it is refused; `None` where it passes.
    pub fn refusal(&self) -> Option<Rejected> {
        match self.action {
            VelocityAction::Flag => None,
            VelocityAction::Hold => Some(Rejected::SecondPersonNeeded { hit: Box::new(self.clone()) }),
            VelocityAction::Refuse => Some(Rejected::TooOften { hit: Box::new(self.clone()) }),
        }
    }
}

impl Working<'_> {
    /// Counts what was done, where rules do.
    pub(super) fn watch(&mut self, command: &Command) -> Result<(), Rejected> {
        let origin = self.inputs.origin;
        let (Some(_), Some(what)) = (&origin.key, watched(&command.what)) else { return Ok(()) };
        let at = done_at(command);
        let program = self.inputs.versions.at(at).clone();
        self.note_own_purchase(&program, command, at);
        for rule in rules_of(&program, what) {
            if rule.per.is_member() && self.state.status == Status::Guest {
                continue;
            }
            let Some(subject) = subject(&rule.per, &command.what, origin, Some(self.state.id)) else { continue };
            if !self.is_watched(&program, rule, command, at) {
                continue;
            }
            let window = rule.window.around(&program.calendar, at);
            for (limit, measure, most) in &rule.limits {
                let by = self.measured_of(&program, command, measure);
                if by > 0 {
                    let own = own_name(&rule.per, limit, &command.what, origin);
                    self.count(rule, (limit, *most), by, (&subject, own), window)?;
                }
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        rule: &VelocityRule,
        (limit, most): (&CompactString, i64),
        by: i64,
        (subject, own): (&CompactString, Option<CompactString>),
        (from, until): (Instant, Instant),
    ) -> Result<(), Rejected> {
        let more = pool_name(MORE, until, limit, subject);
        let allowed = match rule.action {
            VelocityAction::Hold => most.saturating_add(self.used_of_pool(&more)),
            _ => most,
        };
        let pool = pool_name(POOL, until, limit, subject);
        let in_pool = if rule.per.is_member() { 0 } else { self.used_of_pool(&pool) };
        let in_state = own.as_ref().map_or(0, |own| self.counted(own, from, until));
        let used = in_pool.saturating_add(in_state).saturating_add(by);
        if used > most {
            let hit = CaseHit {
                rule: rule.id.clone(),
                what: rule.what,
                per: rule.per.clone(),
                subject: subject.clone(),
                member: self.state.id,
                from,
                until,
                used,
                most,
                by,
                action: rule.action,
                more,
            };
            if used > allowed
                && let Some(rejected) = hit.refusal()
            {
                return Err(rejected);
            }
            // What a second person let pass has its case already.
            if rule.action == VelocityAction::Flag {
                self.cases.push(hit);
            }
        }
        match own.filter(|own| rule.per.is_member() || self.has_room_for(own, from)) {
            Some(rule) => self.change(Change::Velocity { rule, from, until, by }),
            None => {
                let most = if rule.action == VelocityAction::Flag { i64::MAX } else { allowed - in_state };
                self.take_from_pool(pool, by, most);
            }
        }
        Ok(())
    }

    /// Whether the state may count one more pair: what is beyond is counted in pools, and not added up by a merge.
    fn has_room_for(&self, own: &CompactString, from: Instant) -> bool {
        let velocity = &self.state.velocity;
        let is_known = velocity.iter().any(|known| known.rule == *own && known.from == from);
        is_known || velocity.len() < MemberState::VELOCITY_MAX
    }

    /// What the member used of a limit in a window: in the state while it is open, else in the history.
    fn counted(&self, limit: &CompactString, from: Instant, until: Instant) -> i64 {
        if until > self.state.clock {
            let known = self.state.velocity.iter().find(|known| known.rule == *limit && known.from == from);
            return known.map_or(0, |known| known.used);
        }
        let changes = self.inputs.history.unwrap_or_default().iter().flat_map(|event| &event.record.changes);
        let by = changes.filter_map(|change| match change {
            Change::Velocity { rule, from: began, by, .. } if rule == limit && *began == from => Some(*by),
            _ => None,
        });
        by.fold(0, i64::saturating_add)
    }

    fn is_watched(&self, program: &Program, rule: &VelocityRule, command: &Command, at: Instant) -> bool {
        let Some(when) = &rule.when else { return true };
        // The member as they were before it; who joins with it had done nothing.
        let day = program.calendar.day(at);
        let newcomer = MemberState::new(self.state.id, self.state.status, at, day);
        let before = self.inputs.state.unwrap_or(&newcomer);
        let fact = |fact: &crate::expression::Fact| (fact.clone(), super::basis::fact_value(program, before, fact, at));
        let facts: Facts = when.facts.iter().map(fact).collect();
        let claimed = self.inputs.orders.first().map(|record| &record.content);
        let order = match &command.what {
            What::Claim(_) => claimed,
            what => order_of(what),
        };
        let extra = order.map(|order| order.extra.clone()).unwrap_or_default();
        let scope = EventScope::new(&when.fields, order, &extra, &facts, Some((&program.calendar, at)));
        if let Some(order) = order {
            scope.set_net(order.net(&program.definition.base).to_decimal());
        }
        when.holds(scope.scope()).unwrap_or(false)
    }

    /// What the command adds to a sum.
    fn measured_of(&self, program: &Program, command: &Command, measure: &Summed) -> i64 {
        let currency = match measure {
            Summed::Count => return 1,
            Summed::Money => return self.money_of(program, command),
            Summed::Points(currency) => currency,
        };
        match &command.what {
            What::Adjust(adjustment) if adjustment.currency == *currency => adjustment.amount.saturating_abs(),
            What::Transfer(transfer) if transfer.currency == *currency => transfer.amount,
            What::Adjust(_) | What::Transfer(_) => 0,
            what => {
                let spends = matches!(what, What::Redeem(_));
                let Some(main) = self.events.get(self.main) else { return 0 };
                let of = main.entries.iter().filter(|entry| entry.currency == *currency);
                let counts = of.filter(|entry| match entry.kind {
                    EntryKind::Accrual => !spends,
                    EntryKind::Reservation | EntryKind::Redemption => spends && entry.from == Account::Active,
                    _ => false,
                });
                counts.fold(0, |sum, entry| sum.saturating_add(entry.amount.get()))
            }
        }
    }

    fn money_of(&self, program: &Program, command: &Command) -> i64 {
        let order = match &command.what {
            What::GiftCard(GiftCardStep::Issue { amount, .. } | GiftCardStep::TopUp { amount }) => return *amount,
            What::Claim(_) => self.inputs.orders.first().map(|record| &record.content),
            what => order_of(what),
        };
        let priced = order.and_then(|order| super::priced_in(program, order).ok());
        // A total in finer parts than the smallest coin is rounded down: it never stops what would pass.
        let digits = u32::try_from(program.money.decimals()).unwrap_or(0);
        let minor = |total: crate::quantity::Amount| {
            crate::program::minor(program.money, total.to_decimal().trunc_with_scale(digits))
        };
        priced.and_then(|order| minor(order.total)).unwrap_or(0)
    }

    /// Staff who buy from themselves: where the document says so, it is looked at.
    fn note_own_purchase(&mut self, program: &Program, command: &Command, at: Instant) {
        let Some(order) = order_of(&command.what).filter(|_| program.definition.staff.flag) else { return };
        let Some(staff) = self.inputs.origin.own_staff.clone().filter(|own| order.staff.as_ref() == Some(own)) else {
            return;
        };
        let day = program.calendar.day(at);
        let hit = CaseHit {
            rule: OWN_PURCHASES,
            what: Watched::Purchase,
            per: Per(vec![Who::Staff]),
            subject: staff,
            member: self.state.id,
            from: program.calendar.start(day),
            until: program.calendar.end(day),
            used: 1,
            most: 0,
            by: 1,
            action: VelocityAction::Flag,
            more: CompactString::default(),
        };
        self.cases.push(hit);
    }
}
