//! What partners are told of their benefits: a member has one from now on, or no longer. Compared at the end of every
//! decision with what they were told last, so that whatever brought it about is told, and nothing twice.

use super::EventStatus;
use super::benefit::{SourceKind, sources};
use super::outcome::{Effect, EffectKind};
use super::working::Working;
use crate::member::{Change, MemberState, Status, Told};
use crate::program::{Id, Program, Versions};
use crate::time::Instant;

/// When a benefit that a partner was told of ends by itself, where no event of its own ends it.
pub(super) fn due<'m>(versions: &Versions, member: &'m MemberState) -> impl Iterator<Item = (Instant, &'m Id)> {
    let ends = |told: &'m Told| {
        let found = sources(versions.at(member.clock), member, &told.benefit, member.clock);
        // A level ends by a review, which is an event.
        if found.iter().any(|source| source.by == SourceKind::Tier) {
            return None;
        }
        let until = found.iter().map(|source| source.until.unwrap_or(Instant::MAX)).max();
        Some((until.unwrap_or(member.clock), &told.benefit))
    };
    member.told.iter().filter(|told| told.granted).filter_map(ends)
}

/// Who is to be told what, by what the member has now.
fn to_tell(program: &Program, member: &MemberState, now: Instant) -> Vec<Told> {
    let has = |benefit: &Id| member.status == Status::Active && !sources(program, member, benefit, now).is_empty();
    let partner_of = |benefit: &Id| program.benefit(benefit.as_str())?.definition.partner.as_ref();
    let ends = |told: &&Told| told.granted && (partner_of(&told.benefit) != Some(&told.partner) || !has(&told.benefit));
    let next = |told: &Told, granted| Told { number: told.number + 1, granted, ..told.clone() };
    let mut found: Vec<Told> = member.told.iter().filter(ends).map(|told| next(told, false)).collect();
    for (benefit, partner) in program.benefits.keys().filter_map(|id| Some((id, partner_of(id)?))) {
        let known = member.told.iter().find(|told| told.benefit == *benefit && told.partner == *partner);
        if known.is_some_and(|told| told.granted) || !has(benefit) {
            continue;
        }
        let fresh = Told { benefit: benefit.clone(), partner: partner.clone(), number: 0, granted: false };
        found.push(next(known.unwrap_or(&fresh), true));
    }
    found
}

impl Working<'_> {
    /// Tells partners what changed, by the event that is open; where there is none, by one of its own.
    pub(super) fn tell_partners(&mut self) {
        let now = self.at_effective().max(self.state.clock);
        let program = self.inputs.versions.at(now).clone();
        for told in to_tell(&program, &self.state, now) {
            if self.events.is_empty() {
                self.open("entitlement-change", EventStatus::Derived, now, None);
                // The command itself has no event.
                self.main = self.events.len();
            }
            let kind = if told.granted { EffectKind::PartnerTold } else { EffectKind::PartnerToldOfEnd };
            let (benefit, partner) = (Some(told.benefit.clone()), Some(told.partner.clone()));
            self.effect(Effect { benefit, partner, ..Effect::of(kind) });
            self.change(Change::Told { told });
        }
    }

    /// A benefit that a partner was told of has ended by itself.
    pub(super) fn end_entitlement(&mut self, at: Instant) {
        self.open("entitlement-change", EventStatus::Derived, at, None);
        self.tell_partners();
    }
}
