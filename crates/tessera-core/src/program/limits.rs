use compact_str::{CompactString, format_compact};

use super::{Campaign, Cap, Definition, Id, Limit};
use crate::time::{Day, Window};

/// A limit with its window, as keys of counters, pools and rooms.
pub(crate) mod key {
    use super::*;

    pub fn rule(rule: &str, window: Window) -> CompactString {
        format_compact!("rule/{rule}/{}", window.name())
    }
    pub fn campaign(campaign: &Id, window: Window) -> CompactString {
        format_compact!("campaign/{campaign}/{}", window.name())
    }
    pub fn member(currency: &Id, window: Window) -> CompactString {
        format_compact!("member/{currency}/{}", window.name())
    }
    /// Over all members, so a pool: the window's first day is part of the name.
    pub fn pool(limit: &str, window: Window, day: Day) -> CompactString {
        dated(&format_compact!("pool:{limit}"), window, day)
    }
    /// A pool's name with the window's first day.
    pub fn dated(pool: &CompactString, window: Window, day: Day) -> CompactString {
        match window {
            Window::Ever => pool.clone(),
            window => format_compact!("{pool}/{}", day.start_of(window)),
        }
    }
    pub fn program(currency: &Id, window: Window, day: Day) -> CompactString {
        pool(&of_program(currency, window), window, day)
    }
    pub(super) fn of_program(currency: &Id, window: Window) -> CompactString {
        format_compact!("program/{currency}/{}", window.name())
    }
    pub fn budget(campaign: &Id, currency: &Id) -> CompactString {
        format_compact!("pool:budget/{campaign}/{currency}")
    }
    pub fn balance(currency: &Id) -> CompactString {
        format_compact!("balance/{currency}")
    }
    pub fn is_pool(key: &str) -> bool {
        key.starts_with("pool:")
    }
    /// The window a limit is counted in; none for budgets and limits that no window closes.
    pub fn window(key: &str) -> Option<Window> {
        let (before, last) = key.rsplit_once('/')?;
        let dated = is_pool(key) && last.parse::<Day>().is_ok();
        let name = if dated { before.rsplit_once('/')?.1 } else { last };
        Window::ALL.into_iter().find(|window| window.name() == name)
    }
}

/// A limit or budget under the name by which it is counted.
#[derive(Clone, Debug)]
pub(crate) struct NamedLimit {
    /// Of a pool without the day on which its window begins.
    name: CompactString,
    window: Window,
    of_member: bool,
    pub most: i64,
}

impl NamedLimit {
    fn of_member(name: CompactString, window: Window, most: i64) -> Self {
        Self { name, window, of_member: true, most }
    }

    fn of_pool(name: &str, window: Window, most: i64) -> Self {
        Self { name: format_compact!("pool:{name}"), window, of_member: false, most }
    }

    pub fn name(&self) -> &CompactString {
        &self.name
    }

    /// Its key on a day.
    pub fn key(&self, day: Day) -> CompactString {
        if self.of_member { self.name.clone() } else { key::dated(&self.name, self.window, day) }
    }

    /// The window in which a member's use is counted; `None` for what a pool counts.
    pub fn of_member_in(&self) -> Option<Window> {
        self.of_member.then_some(self.window)
    }
}

/// The limits that a document sets for all campaigns together.
pub(super) fn of_program(definition: &Definition) -> Vec<NamedLimit> {
    let mut found = Vec::new();
    for (currency, windows) in &definition.limits.per_member {
        found.extend(
            windows.iter().map(|(window, most)| NamedLimit::of_member(key::member(currency, *window), *window, *most)),
        );
    }
    for (currency, windows) in &definition.limits.program {
        found.extend(
            windows
                .iter()
                .map(|(window, most)| NamedLimit::of_pool(&key::of_program(currency, *window), *window, *most)),
        );
    }
    found
}

impl Campaign {
    /// Its limits and budgets, and those of its rules.
    pub(super) fn named_limits(&self) -> impl Iterator<Item = NamedLimit> {
        let own = self.limits.named(|window| key::campaign(&self.id, window));
        let budget = self.budget.iter().map(|(currency, most)| NamedLimit {
            name: key::budget(&self.id, currency),
            window: Window::Ever,
            of_member: false,
            most: *most,
        });
        let rules = self.rules.iter().flat_map(|rule| rule.limits.named(|window| key::rule(&rule.key, window)));
        own.into_iter().chain(budget).chain(rules)
    }
}

/// Compiled limits of a rule or a campaign (C1, C2).
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub per_event: Option<CapRule>,
    pub per_member: Vec<(Window, CapRule)>,
    pub program: Vec<(Window, CapRule)>,
    /// Whether a return gives room back.
    pub give_back: bool,
}

/// At most so many points, or so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapRule {
    pub counts_times: bool,
    pub max: i64,
}

impl Limits {
    /// `fixed`: whether what is limited gives the same each time, so that a bare number counts times.
    pub(super) fn compile(limit: Option<&Limit>, fixed: bool) -> Self {
        let Some(limit) = limit else { return Self::default() };
        let rule = |cap: Cap| CapRule {
            counts_times: match cap {
                Cap::Plain(_) => fixed,
                Cap::Times(_) => true,
                Cap::Points(_) => false,
            },
            max: cap.number(),
        };
        Self {
            per_event: limit.per_event.map(rule),
            per_member: limit.per_member.iter().map(|(window, cap)| (*window, rule(*cap))).collect(),
            program: limit.program.iter().map(|(window, cap)| (*window, rule(*cap))).collect(),
            give_back: limit.returns_give_back.unwrap_or(true),
        }
    }

    fn named(&self, name: impl Fn(Window) -> CompactString) -> Vec<NamedLimit> {
        let of_member =
            self.per_member.iter().map(|(window, cap)| NamedLimit::of_member(name(*window), *window, cap.max));
        let of_pool = self.program.iter().map(|(window, cap)| NamedLimit::of_pool(&name(*window), *window, cap.max));
        of_member.chain(of_pool).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.per_event.is_none() && self.per_member.is_empty() && self.program.is_empty()
    }
}
