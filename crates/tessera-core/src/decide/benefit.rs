//! Benefits (T6): who has them and from where, how many uses are left, and a use or its return.

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use super::basis;
use super::outcome::{Effect, EffectKind};
use super::tier::standing;
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{Situation, UseBenefit};
use crate::expression::{EventScope, Facts};
use crate::member::{BenefitUse, Change, MemberState, Status};
use crate::program::{Benefit, Id, Program, UseOnReturn, UseWindow, minor};
use crate::time::{Day, Instant, Period};

/// A benefit that a member has now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entitlement {
    pub benefit: Id,
    /// The plain word that tills act on.
    pub kind: Option<Id>,
    /// Where it comes from: never empty.
    pub from: Vec<Source>,
    /// When the last of these ends (exclusive); `None` where one of them has no end.
    pub until: Option<Instant>,
    pub last_day: Option<Day>,
    /// How many uses are left, by window.
    pub uses: Vec<UsesLeft>,
    /// The condition on each use.
    pub when: Option<CompactString>,
    /// How long before its public time something is open.
    pub opens: Option<Period>,
    /// When what was asked for opens to this member.
    pub opens_at: Option<Instant>,
    /// Who gives it in place of the program.
    pub partner: Option<Id>,
    /// Why it cannot be used now.
    #[serde(skip)]
    pub refused: Option<Rejected>,
}

/// Where a benefit comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Source {
    pub by: SourceKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Id>,
    /// When it ends (exclusive); `None` where it has no end.
    pub until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Tier,
    Grant,
    Club,
}

/// How often a benefit may still be used in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsesLeft {
    pub window: UseWindow,
    pub most: i64,
    pub used: i64,
    pub left: i64,
    /// The first day of the next window.
    pub next: Day,
}

/// How long a use is remembered at the least, in days: orders come back.
const REMEMBERED: i32 = 90;

/// The key a use is counted under.
fn counter(benefit: &Id, window: UseWindow) -> CompactString {
    format_compact!("benefit/{benefit}/{}", window.name())
}

/// Where a member has a benefit from, at an instant.
pub(super) fn sources(program: &Program, member: &MemberState, benefit: &Id, now: Instant) -> Vec<Source> {
    let day = program.calendar.day(now);
    let mut found = Vec::new();
    for ladder in &program.ladders {
        let level = ladder.level(standing::rank(ladder, member));
        if level.benefits.contains(benefit) {
            let until = standing::at(program, ladder, member, now, day).until.filter(|until| *until < Instant::MAX);
            found.push(Source {
                by: SourceKind::Tier,
                ladder: Some(ladder.id.clone()),
                level: Some(level.id.clone()),
                plan: None,
                until,
            });
        }
    }
    let grants = member.grants.iter().filter(|grant| grant.benefit == *benefit && grant.last_day >= day);
    found.extend(grants.map(|grant| Source {
        by: SourceKind::Grant,
        ladder: None,
        level: None,
        plan: None,
        until: Some(program.calendar.end(grant.last_day)),
    }));
    let gives = |plan: &Id| program.plan(plan.as_str()).is_some_and(|plan| plan.benefits.contains(benefit));
    let clubs = member.clubs.iter().filter(|club| club.is_open(now) && gives(&club.plan));
    found.extend(clubs.map(|club| Source {
        by: SourceKind::Club,
        ladder: None,
        level: None,
        plan: Some(club.plan.clone()),
        until: Some(club.ends_at),
    }));
    found
}

/// Every benefit that a settled member has, in the order of their names.
pub fn entitlements(program: &Program, member: &MemberState, situation: &Situation, now: Instant) -> Vec<Entitlement> {
    let entitlement = |(id, benefit): (&Id, &Benefit)| {
        let from = sources(program, member, id, now);
        let definition = &benefit.definition;
        let until = from.iter().map(|source| source.until.unwrap_or(Instant::MAX)).max()?;
        let until = Some(until).filter(|until| *until < Instant::MAX);
        Some(Entitlement {
            benefit: id.clone(),
            kind: definition.kind.clone(),
            until,
            last_day: until.map(|until| program.calendar.last_day_before(until)),
            from,
            uses: uses_left(program, member, id, benefit, now),
            when: definition.when.as_ref().map(|when| when.0.trim().into()),
            opens: definition.opens,
            opens_at: opens_at(program, benefit, situation),
            partner: definition.partner.clone(),
            refused: may_use(program, member, id, benefit, situation, now).err(),
        })
    };
    program.benefits.iter().filter_map(entitlement).collect()
}

fn uses_left(program: &Program, member: &MemberState, id: &Id, benefit: &Benefit, now: Instant) -> Vec<UsesLeft> {
    let day = program.calendar.day(now);
    let left = |(window, most): (&UseWindow, &i64)| {
        let (from, next) = window.around(day, member.joined_on);
        let used = member.used(&counter(id, *window), from);
        UsesLeft { window: *window, most: *most, used, left: (most - used).max(0), next }
    };
    benefit.definition.per.iter().map(left).collect()
}

/// When what is asked for opens to whoever has early access.
fn opens_at(program: &Program, benefit: &Benefit, situation: &Situation) -> Option<Instant> {
    Some(program.calendar.before(situation.public_at?, benefit.definition.opens?))
}

/// Whether a benefit that a member has may be used now.
fn may_use(
    program: &Program,
    member: &MemberState,
    id: &Id,
    benefit: &Benefit,
    situation: &Situation,
    now: Instant,
) -> Result<(), Rejected> {
    let used_up = uses_left(program, member, id, benefit, now).into_iter().filter(|uses| uses.left == 0);
    // Of several windows that are used up the one that opens last says when.
    if let Some(uses) = used_up.max_by_key(|uses| uses.next) {
        let next = (uses.window != UseWindow::Ever).then_some(uses.next);
        let (used, most) = (uses.used, uses.most);
        return Err(Rejected::BenefitUsedUp { benefit: id.clone(), window: uses.window, used, most, next });
    }
    if benefit.definition.opens.is_some() {
        let Some(opens_at) = opens_at(program, benefit, situation) else {
            return Err(Rejected::BenefitNeeds { benefit: id.clone(), field: "public_at".into() });
        };
        if now < opens_at {
            return Err(Rejected::BenefitNotOpenYet { benefit: id.clone(), opens_at });
        }
    }
    let Some(when) = &benefit.when else { return Ok(()) };
    let fields = situation.fields();
    if let Some(missing) = when.fields.event.iter().find(|name| !fields.iter().any(|(known, _)| known == name.as_str()))
    {
        return Err(Rejected::BenefitNeeds { benefit: id.clone(), field: missing.as_str().into() });
    }
    let facts: Facts =
        when.facts.iter().map(|fact| (fact.clone(), basis::fact_value(program, member, fact, now))).collect();
    let scope = EventScope::new(&when.fields, None, &fields, &facts, Some((&program.calendar, now)));
    if when.holds(scope.scope()).unwrap_or(false) {
        Ok(())
    } else {
        Err(Rejected::BenefitNotHere { benefit: id.clone(), condition: when.source().to_owned() })
    }
}

impl Working<'_> {
    pub(super) fn use_benefit(&mut self, wish: &UseBenefit) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        let event = self.open_main("benefit-use", EventStatus::Applied);
        let (program, now, day) = (self.program.clone(), self.at(), self.day());
        let id = &wish.benefit;
        let Some(benefit) = program.benefit(id.as_str()) else {
            return Err(Rejected::UnknownBenefit { benefit: id.clone() });
        };
        if sources(&program, &self.state, id, now).is_empty() {
            return Err(Rejected::BenefitNotHeld { benefit: id.clone() });
        }
        may_use(&program, &self.state, id, benefit, &wish.situation, now)?;
        let window = |window: &UseWindow| {
            let (from, until) = window.around(day, self.state.joined_on);
            (counter(id, *window), from, until)
        };
        let counted: Vec<(CompactString, Day, Day)> = benefit.definition.per.keys().map(window).collect();
        for (limit, from, until) in &counted {
            self.change(Change::Used { limit: limit.clone(), from: *from, until: *until, by: 1 });
        }
        let until = counted.iter().map(|(.., until)| *until).max().unwrap_or(day).max(day.plus(REMEMBERED));
        let worth = benefit.definition.worth.and_then(|worth| minor(program.money, worth.0)).unwrap_or(0);
        let (order_id, club) = (wish.order_id.clone(), self.charge_club(id, worth));
        let used = BenefitUse { event, benefit: id.clone(), order_id: order_id.clone(), counted, until, club };
        self.change(Change::BenefitUsed { used });
        let left = uses_left(&program, &self.state, id, benefit, now).into_iter().map(|uses| uses.left).min();
        self.effect(Effect { benefit: Some(id.clone()), order_id, left, ..Effect::of(EffectKind::BenefitUsed) });
        Ok(())
    }

    /// Takes back a use, in windows that are still open.
    pub(super) fn return_benefit(&mut self, used: u64) -> Result<(), Rejected> {
        let Some(known) = self.state.benefit_use(used).cloned() else {
            return Err(Rejected::UnknownBenefitUse { used: self.redemption_id(used) });
        };
        self.open_main("benefit-return", EventStatus::Applied);
        self.give_use_back(&known);
        Ok(())
    }

    /// A whole order came back: its uses can be used once more where the benefit says so.
    pub(super) fn return_benefits_of(&mut self, order_id: &CompactString) {
        let program = self.program.clone();
        let gives_back = |used: &&BenefitUse| {
            let benefit = program.benefit(used.benefit.as_str());
            used.order_id.as_ref() == Some(order_id)
                && benefit.is_none_or(|benefit| benefit.definition.on_return == UseOnReturn::GiveBack)
        };
        let back: Vec<BenefitUse> = self.state.uses.iter().filter(gives_back).cloned().collect();
        for used in back {
            self.give_use_back(&used);
        }
    }

    fn give_use_back(&mut self, used: &BenefitUse) {
        let today = self.program.calendar.day(self.state.clock);
        for (limit, from, until) in used.counted.iter().filter(|(.., until)| *until > today) {
            self.change(Change::Used { limit: limit.clone(), from: *from, until: *until, by: -1 });
        }
        self.change(Change::BenefitReturned { used: used.event });
        if let Some((plan, worth)) = &used.club {
            self.uncharge_club(plan, &used.benefit, *worth, used.event);
        }
        let effect = Effect {
            benefit: Some(used.benefit.clone()),
            order_id: used.order_id.clone(),
            ..Effect::of(EffectKind::BenefitReturned)
        };
        self.effect(effect);
    }
}
