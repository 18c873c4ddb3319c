//! Caps in the course of one event (C1, C7): rule → campaign → member → program → balance limits.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::{CompactString, format_compact};

use super::basis::key;
use super::evaluate::{Applied, Look, Use};
use crate::program::{Id, Limits};
use crate::time::Window;

/// Room under each cap, as it is used up in the course of one event (C1).
pub(super) struct Caps<'a> {
    look: &'a Look<'a>,
    left: BTreeMap<CompactString, i64>,
    /// Campaigns and rules whose times are already counted for this event.
    counted: BTreeSet<CompactString>,
}

/// One cap that an award must pass.
struct Pass {
    key: CompactString,
    gives_back: bool,
}

impl<'a> Caps<'a> {
    pub fn new(look: &'a Look<'a>) -> Self {
        Self { look, left: BTreeMap::new(), counted: BTreeSet::new() }
    }

    fn room(&self, key: &CompactString) -> i64 {
        self.left.get(key).copied().unwrap_or_else(|| self.look.basis.rooms.get(key).copied().unwrap_or(0))
    }

    /// The rule's and then the campaign's limits that count times or points.
    fn passes(&self, found: &Applied<'_>, times: bool) -> Vec<Pass> {
        let day = self.look.basis.day;
        let mut passes = Vec::new();
        let mut add = |limits: &Limits, name: &dyn Fn(Window) -> CompactString| {
            let of_kind = |cap: &crate::program::CapRule| cap.counts_times == times;
            for (window, _) in limits.per_member.iter().filter(|(_, cap)| of_kind(cap)) {
                passes.push(Pass { key: name(*window), gives_back: limits.give_back });
            }
            for (window, _) in limits.program.iter().filter(|(_, cap)| of_kind(cap)) {
                passes.push(Pass { key: key::pool(&name(*window), *window, day), gives_back: limits.give_back });
            }
        };
        add(&found.rule.limits, &|window| key::rule(&found.rule.key, window));
        add(&found.campaign.limits, &|window| key::campaign(&found.campaign.id, window));
        passes
    }

    /// The first limit that counts times and has none left.
    pub fn times_left(&self, found: &Applied<'_>) -> Result<(), CompactString> {
        let used_up = self
            .passes(found, true)
            .into_iter()
            .find(|pass| !self.counted.contains(&pass.key) && self.room(&pass.key) < 1);
        used_up.map_or(Ok(()), |pass| Err(pass.key))
    }

    pub fn count(&mut self, found: &Applied<'_>, usage: &mut BTreeMap<CompactString, Use>) {
        for pass in self.passes(found, true) {
            if self.counted.insert(pass.key.clone()) {
                self.use_up(pass, 1, usage);
            }
        }
    }

    fn use_up(&mut self, pass: Pass, by: i64, usage: &mut BTreeMap<CompactString, Use>) {
        let left = self.room(&pass.key) - by;
        self.left.insert(pass.key.clone(), left);
        let used = usage.entry(pass.key).or_default();
        used.by += by;
        used.gives_back = pass.gives_back;
    }

    /// What fits of an award, and the first cap that cut it.
    pub fn take(
        &mut self,
        found: &Applied<'_>,
        currency: &Id,
        wanted: i64,
        usage: &mut BTreeMap<CompactString, Use>,
    ) -> (i64, Option<CompactString>) {
        let passes = self.passes_of(found, currency);
        let mut amount = wanted;
        let mut capped_by = None;
        for pass in &passes {
            let room = self.room(&pass.key);
            if room < amount {
                amount = room.max(0);
                capped_by = Some(pass.key.clone());
            }
        }
        if amount > 0 {
            for pass in passes {
                self.use_up(pass, amount, usage);
            }
        }
        (amount, capped_by)
    }

    /// The first cap that an award does not fit whole.
    pub fn first_too_small(&mut self, found: &Applied<'_>, currency: &Id, wanted: i64) -> Option<CompactString> {
        let passes = self.passes_of(found, currency);
        passes.into_iter().find(|pass| self.room(&pass.key) < wanted).map(|pass| pass.key)
    }

    /// Every cap that an award of a currency must pass, in their order.
    fn passes_of(&mut self, found: &Applied<'_>, currency: &Id) -> Vec<Pass> {
        let definition = &self.look.program.definition;
        let day = self.look.basis.day;
        let mut passes: Vec<Pass> = Vec::new();
        let of_rule = (&found.rule.limits, format_compact!("rule/{}/event", found.rule.key));
        let of_campaign = (&found.campaign.limits, format_compact!("campaign/{}/event", found.campaign.id));
        for (limits, event) in [of_rule, of_campaign] {
            if let Some(cap) = limits.per_event.filter(|cap| !cap.counts_times) {
                self.left.entry(event.clone()).or_insert(cap.max);
                passes.push(Pass { key: event, gives_back: false });
            }
        }
        passes.extend(self.passes(found, false));
        if found.campaign.budget.iter().any(|(known, _)| known == currency) {
            passes.push(Pass { key: key::budget(&found.campaign.id, currency), gives_back: true });
        }
        if let Some(most) = definition.limits.per_event.get(currency) {
            let event = format_compact!("member/{currency}/event");
            self.left.entry(event.clone()).or_insert(*most);
            passes.push(Pass { key: event, gives_back: false });
        }
        if let Some(windows) = definition.limits.per_member.get(currency) {
            passes.extend(windows.keys().map(|window| Pass { key: key::member(currency, *window), gives_back: true }));
        }
        if let Some(windows) = definition.limits.program.get(currency) {
            passes.extend(
                windows.keys().map(|window| Pass { key: key::program(currency, *window, day), gives_back: true }),
            );
        }
        if definition.currencies.get(currency).is_some_and(|currency| currency.max_balance.is_some()) {
            passes.push(Pass { key: key::balance(currency), gives_back: false });
        }
        passes
    }
}

/// Whether a used limit is one that windows or pools count (and not a balance or one event's own).
pub(super) fn is_counted(limit: &str) -> bool {
    !limit.starts_with("balance/") && !limit.ends_with("/event")
}
