//! What is missing: the nearest things that a cart, or the member behind it, has not come to yet, with exact figures.
//!
//! Conditions say what a campaign or a voucher waits for. Whether a larger cart brings it is decided, not guessed, so that
//! limits, budgets, audiences and holdouts (C9) say the same here as at the counter; what is left to chance is not said.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::Serialize;

use super::best::{self, Best};
use super::price;
use super::words::Words;
use crate::decide::basis::key;
use crate::decide::evaluate::{Look, gate};
use crate::decide::outcome::{EffectKind, Outcome, balance, tier_standings};
use crate::decide::voucher::{VoucherLook, price_vouchers};
use crate::decide::working::Working;
use crate::decide::{Decision, Inputs, Rejected, TierStanding, decide, reward};
use crate::event::{Command, Item, Order, What};
use crate::expression::{CartNumber, EventScope, Goal, LineKind};
use crate::member::MemberState;
use crate::program::{Base, Campaign, Id, Measure, Program, Rule};
use crate::quantity::Amount;
use crate::time::Instant;
use crate::voucher::as_shown;

/// Larger carts that are decided for campaigns: of all that could be, those with the least missing.
pub const LARGER_CARTS_MAX: usize = 4;

/// Rules whose conditions are tried on a larger cart.
const LOOKED_AT_MAX: usize = 32;

/// Vouchers for which the best of a larger cart is looked for.
const VOUCHERS_MAX: usize = 2;

/// How many times what a cart is short of may have to be spent, when vouchers take their part of it.
const TIMES_MAX: i64 = 64;

/// The most lines that anybody is asked to add.
const LINES_MAX: u32 = 100;

/// Something that is nearly there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Missing {
    /// A campaign that the cart does not come to.
    Campaign {
        campaign: Id,
        /// How much more there is to spend, before vouchers.
        spend: Amount,
        /// How many more lines.
        lines: u32,
        /// Of what it is to be, where it is not all the same.
        #[serde(skip_serializing_if = "LineKind::is_any")]
        of: LineKind,
        /// What it then brings more, by currency.
        brings: BTreeMap<Id, i64>,
        vouchers: BTreeSet<Id>,
        benefits: BTreeSet<Id>,
        words: String,
    },
    /// A voucher of the member's, or one that was named, that is for larger carts.
    Voucher {
        code: CompactString,
        voucher: Id,
        spend: Amount,
        /// How much more is then saved.
        saving: Amount,
        words: String,
    },
    /// The next level of a ladder, after the cart.
    Level {
        ladder: Id,
        level: Id,
        /// What is missing by measure, and how many of these it takes.
        measures: BTreeMap<Id, Amount>,
        needed: usize,
        words: String,
    },
    /// The reward that the member's points are the least short of, even with what the cart earns.
    Reward { reward: Id, currency: Id, points: i64, words: String },
}

impl Missing {
    /// What there is to spend first, the least first; then levels and rewards.
    fn nearness(&self) -> (u8, Amount, u32) {
        match self {
            Self::Campaign { spend, lines, .. } => (0, *spend, *lines),
            Self::Voucher { spend, .. } => (0, *spend, 0),
            Self::Level { measures, .. } => match measures.get("spend") {
                Some(spend) if measures.len() == 1 => (0, *spend, 0),
                _ => (1, Amount::ZERO, 0),
            },
            Self::Reward { .. } => (2, Amount::ZERO, 0),
        }
    }
}

/// A cart that was decided, with what is asked about it.
pub(super) struct Asked<'a> {
    pub inputs: &'a Inputs<'a>,
    pub command: &'a Command,
    pub working: &'a Working<'a>,
    /// As it came.
    pub cart: &'a Order,
    /// As it was decided, and what that brought.
    pub order: &'a Order,
    pub decision: &'a Decision,
    pub best: Option<&'a Best>,
    pub is_member: bool,
    pub words: Words<'a>,
}

/// Everything that is nearly there, the nearest first.
pub(super) fn missing(asked: &Asked<'_>) -> Vec<Missing> {
    let codes = asked.working.known_codes();
    let mut found = asked.working.look(&codes, |look| {
        let mut larger = Larger { asked, look, decided: BTreeMap::new() };
        let mut found = larger.campaigns();
        found.extend(larger.levels());
        found.extend(larger.vouchers());
        found
    });
    found.extend(asked.next_reward());
    found.sort_by_key(Missing::nearness);
    found
}

/// A rule that waits for more, with what the cart is short of as it is.
struct Waiting<'p> {
    campaign: &'p Campaign,
    rule: &'p Rule,
    spend: i64,
    lines: i64,
    of: LineKind,
}

/// What there is more on a larger cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct More {
    spend: Amount,
    lines: u32,
    of: LineKind,
}

impl More {
    fn spend(spend: Amount) -> Self {
        Self { spend, lines: 0, of: LineKind::default() }
    }
}

/// Larger carts, and what each would bring.
struct Larger<'a> {
    asked: &'a Asked<'a>,
    look: &'a VoucherLook<'a>,
    decided: BTreeMap<More, Option<(Order, Outcome)>>,
}

impl<'a> Larger<'a> {
    fn program(&self) -> &'a Program {
        &self.asked.working.program
    }

    fn campaigns(&mut self) -> Vec<Missing> {
        let (asked, program) = (self.asked, self.program());
        let Some(trigger) = program.trigger("purchase") else { return Vec::new() };
        let basis = asked.working.basis("purchase");
        let campaigns = trigger.waiting.iter().map(|place| &program.campaigns[*place]);
        let is_spent = |campaign: &Campaign| {
            let room = |(currency, _): &(Id, i64)| basis.rooms.get(&key::budget(&campaign.id, currency)).copied();
            campaign.budget.iter().any(|budget| room(budget) == Some(0))
        };
        let campaigns = campaigns
            .filter(|campaign| campaign.active && !basis.held_out.contains(&campaign.id) && !is_spent(campaign));
        let rules = campaigns.flat_map(|campaign| campaign.rules.iter().map(move |rule| (campaign, rule)));
        let mut waiting: Vec<Waiting<'_>> = rules.filter_map(|(campaign, rule)| self.waiting(campaign, rule)).collect();
        waiting.sort_by_key(|rule| (rule.spend, rule.lines, &rule.campaign.id));
        let (mut found, mut known) = (Vec::new(), BTreeSet::new());
        for rule in waiting.into_iter().take(LOOKED_AT_MAX) {
            if self.decided.len() >= LARGER_CARTS_MAX {
                break;
            }
            if known.contains(&rule.campaign.id) {
                continue;
            }
            let Some((more, order)) = self.meeting(&rule) else { continue };
            let none = |_: &Id| 0;
            let look = Look {
                program,
                kind: "purchase",
                order: Some(&order),
                data: &order.extra,
                basis: &basis,
                only: None,
                spendable: &none,
                explain: false,
            };
            let clock = Some((&program.calendar, basis.at));
            let scope = EventScope::new(&trigger.fields, Some(&order), &order.extra, &basis.facts, clock);
            scope.set_net(order.net(&program.definition.base).to_decimal());
            let is_for = gate(&look, rule.campaign, &scope).is_ok();
            scope.set_net(order.net(base_of(program, rule.rule)).to_decimal());
            let holds = rule.rule.when.as_ref().is_some_and(|when| when.holds(scope.scope()).unwrap_or(false));
            if is_for
                && holds
                && let Some(missing) = self.brings(rule.campaign, &more)
            {
                known.insert(&rule.campaign.id);
                found.push(missing);
            }
        }
        found
    }

    /// A rule that waits for more of what is in the cart.
    fn waiting<'p>(&self, campaign: &'p Campaign, rule: &'p Rule) -> Option<Waiting<'p>> {
        let when = rule.when.as_ref().filter(|when| !rule.each && rule.chance.is_none() && !when.goals.is_empty())?;
        let of = kind_of(&when.goals)?;
        let (spend, lines) = self.short(&when.goals, base_of(self.program(), rule), self.asked.order)?;
        (spend > 0 || lines > 0).then_some(Waiting { campaign, rule, spend, lines, of })
    }

    /// How much an order is short of goals: in the smallest units of money, and in lines.
    fn short(&self, goals: &[Goal], base: &Base, order: &Order) -> Option<(i64, i64)> {
        let unit = self.program().money.amount(1).to_decimal();
        let (mut spend, mut lines) = (0, 0);
        for goal in goals {
            match &goal.of {
                CartNumber::Total => spend = spend.max(goal.short(order.total.to_decimal(), unit)?),
                CartNumber::Net => spend = spend.max(goal.short(order.net(base).to_decimal(), unit)?),
                CartNumber::Lines(kind) => {
                    let there = order.items.iter().filter(|item| kind.matches(item)).count();
                    lines = lines.max(goal.short(Decimal::from(there), Decimal::ONE)?);
                }
                CartNumber::Amount(kind) => {
                    let there = order.items.iter().filter(|item| kind.matches(item)).map(|item| item.amount);
                    spend = spend.max(goal.short(there.sum::<Amount>().to_decimal(), unit)?);
                }
            }
        }
        Some((spend, lines))
    }

    /// The smallest cart that meets what a rule waits for: vouchers in percent take their part of what is added.
    fn meeting(&self, rule: &Waiting<'_>) -> Option<(More, Order)> {
        let goals = &rule.rule.when.as_ref()?.goals;
        let lines = u32::try_from(rule.lines).ok().filter(|lines| *lines <= LINES_MAX)?;
        let cart = |spend: i64| {
            let more = More { spend: self.program().money.amount(spend), lines, of: rule.of.clone() };
            let order = self.with(&more)?;
            let (short, _) = self.short(goals, base_of(self.program(), rule.rule), &order)?;
            Some((short == 0, (more, order)))
        };
        // Nothing less can be enough; what is enough is at most some times as much.
        let (mut low, mut high) = (rule.spend, rule.spend);
        while !cart(high)?.0 {
            low = high.checked_add(1)?;
            high = high.checked_mul(2).filter(|high| (1..=rule.spend.saturating_mul(TIMES_MAX)).contains(high))?;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if cart(middle)?.0 { high = middle } else { low = middle + 1 }
        }
        cart(high).map(|(_, cart)| cart)
    }

    /// The order with so much more on it, of no category that a rule could look for but the one it looks for, and its
    /// vouchers worked out again.
    fn with(&self, more: &More) -> Option<Order> {
        let order = self.asked.order;
        let mut larger = with_more(order, more);
        if !order.vouchers.is_empty() {
            let taken = |order: &Order| -> Option<Amount> {
                let priced = price_vouchers(self.look, order).ok()?;
                Some(priced.iter().map(|one| one.total - one.shipping).sum())
            };
            let more = taken(&larger)? - taken(order)?;
            larger.total -= more;
            larger.discount += more;
        }
        Some(larger)
    }

    fn decided(&mut self, more: &More) -> Option<&(Order, Outcome)> {
        if !self.decided.contains_key(more) {
            let outcome = self.with(more).and_then(|order| {
                let what = What::Purchase(order.clone());
                let command = Command { what, ..self.asked.command.clone() };
                let inputs = Inputs { explain: false, ..*self.asked.inputs };
                Some((order, decide(&inputs, &command).ok()?.outcome))
            });
            self.decided.insert(more.clone(), outcome);
        }
        self.decided.get(more)?.as_ref()
    }

    /// What a campaign brings more with a larger cart; `None` where that is nothing, or takes it from another.
    fn brings(&mut self, campaign: &Campaign, wanted: &More) -> Option<Missing> {
        let before = &self.asked.decision.outcome;
        let words = self.asked.words;
        let (_, after) = self.decided(wanted)?;
        let (had, has) = (earned(before, Some(&campaign.id)), earned(after, Some(&campaign.id)));
        let (all_before, all_after) = (earned(before, None), earned(after, None));
        let of = |sums: &BTreeMap<Id, i64>, currency: &Id| sums.get(currency).copied().unwrap_or(0);
        let more = has.iter().map(|(currency, amount)| (currency.clone(), amount - of(&had, currency)));
        let brings: BTreeMap<Id, i64> = more.filter(|(_, more)| *more > 0).collect();
        if brings.iter().any(|(currency, more)| of(&all_after, currency) - of(&all_before, currency) < *more) {
            return None;
        }
        let new = |kind| -> BTreeSet<Id> {
            let had = given(before, kind, &campaign.id);
            given(after, kind, &campaign.id).into_iter().filter(|id| !had.contains(id)).collect()
        };
        let (vouchers, benefits) = (new(EffectKind::VoucherIssued), new(EffectKind::BenefitGranted));
        if brings.is_empty() && vouchers.is_empty() && benefits.is_empty() {
            return None;
        }
        let definition = &words.program.definition;
        let points = brings.iter().map(|(currency, amount)| words.points(currency, *amount));
        let of_vouchers =
            vouchers.iter().map(|id| words.name(definition.vouchers.get(id).map(|known| &known.name), id));
        let of_benefits =
            benefits.iter().map(|id| words.name(definition.benefits.get(id).map(|known| &known.name), id));
        let gets = points.chain(of_vouchers).chain(of_benefits).collect::<Vec<_>>().join(", ");
        let More { spend, lines, of } = wanted.clone();
        let wanted = words.wanted(spend, lines, &of.words());
        let words = words.said([
            format!("{wanted} to get {gets}"),
            format!("{wanted} để nhận {gets}"),
            format!("{wanted} รับ {gets}"),
        ]);
        let campaign = campaign.id.clone();
        Some(Missing::Campaign { campaign, spend, lines, of, brings, vouchers, benefits, words })
    }

    /// The next level of each ladder; one that spending leads to is decided.
    fn levels(&mut self) -> Vec<Missing> {
        let (asked, program) = (self.asked, self.program());
        let state = &asked.decision.state;
        if !asked.is_member {
            return Vec::new();
        }
        let now = asked.command.effective_at.max(state.clock);
        let standings = tier_standings(program, state, now);
        standings.into_iter().filter_map(|standing| self.level(program, standing)).collect()
    }

    fn level(&mut self, program: &Program, standing: TierStanding) -> Option<Missing> {
        let level = standing.next_level.filter(|_| !standing.missing_to_rise.is_empty())?;
        let ladder = program.ladder(standing.ladder.as_str())?;
        let definition = ladder.levels.iter().find(|known| known.id == level)?;
        let measures = standing.missing_to_rise;
        let met = definition.at.of.len().saturating_sub(measures.len());
        let needed = definition.at.needed.saturating_sub(met).max(1);
        let is_spend = |name: &Id| {
            let of = |(known, _): &&(Id, Measure)| ladder.measure_name(known) == *name;
            matches!(ladder.measures.iter().find(of), Some((_, Measure::Spend)))
        };
        let by_spending = measures.len() == 1 && measures.keys().all(is_spend);
        if by_spending {
            let spend = *measures.values().next()?;
            let (_, after) = self.decided(&More::spend(spend))?;
            let rises = |effect: &&crate::decide::Effect| {
                let to = effect.level.as_ref().map(|level| ladder.rank(level));
                effect.kind == EffectKind::TierUp
                    && effect.ladder.as_ref() == Some(&ladder.id)
                    && to >= Some(ladder.rank(&level))
            };
            after.effects.iter().find(rises)?;
        }
        let words = self.asked.words;
        let short = measures.iter().map(|(measure, amount)| match program.currency(measure.as_str()) {
            _ if is_spend(measure) => words.money(*amount),
            Some(currency) => {
                format!("{} {}", words.grouped(&amount.to_string()), words.name(Some(&currency.name), measure))
            }
            None => format!("{} {measure}", words.grouped(&amount.to_string())),
        });
        let short: Vec<String> = short.collect();
        let joined = if needed == short.len() {
            short.join(", ")
        } else {
            short.join(&words.said([" or ".to_owned(), " hoặc ".to_owned(), " หรือ ".to_owned()]))
        };
        let name = words.name(Some(&definition.name), &level);
        let words = words.said([
            format!("{joined} more to reach {name}"),
            format!("Còn {joined} nữa để lên hạng {name}"),
            format!("อีก {joined} จะได้เลื่อนเป็นระดับ {name}"),
        ]);
        Some(Missing::Level { ladder: standing.ladder, level, measures, needed, words })
    }

    /// Vouchers that larger carts can use, and save more with.
    fn vouchers(&mut self) -> Vec<Missing> {
        let asked = self.asked;
        let mut waiting: BTreeMap<(Amount, Id), CompactString> = BTreeMap::new();
        let mut known: BTreeSet<Id> = BTreeSet::new();
        for record in self.look.codes.iter().filter(|record| !asked.order.vouchers.contains(&record.code)) {
            let Ok((record, rules, terms)) = self.look.usable(&record.code) else { continue };
            if terms.definition.is_claimed() || known.contains(&record.voucher) {
                continue;
            }
            let least = match self.look.fits_place(record, terms, asked.order) {
                Ok(()) => Amount::ZERO,
                Err(Rejected::VoucherBelowMinimum { missing, .. }) => missing,
                Err(_) => continue,
            };
            let goals = terms.when.as_ref().map(|when| when.goals.as_slice()).unwrap_or_default();
            // What is added for a voucher is of no kind.
            if kind_of(goals).is_none_or(|kind| !kind.is_any()) {
                continue;
            }
            let Some((short, 0)) = self.short(goals, &rules.definition.base, asked.order) else { continue };
            let spend = least.max(self.program().money.amount(short));
            let base = &rules.definition.base;
            if let Some(spend) = self.with_its_saving(spend, goals, base, &record.code).filter(|spend| !spend.is_zero())
            {
                known.insert(record.voucher.clone());
                waiting.insert((spend, record.voucher.clone()), record.code.clone());
            }
        }
        let waiting = waiting.into_iter().take(VOUCHERS_MAX);
        waiting.filter_map(|((spend, voucher), code)| self.voucher(spend, voucher, &code)).collect()
    }

    /// How much more there is to spend where a voucher asks for what is paid, of which it takes its own part. What is short
    /// is added until nothing is: never more than it takes.
    fn with_its_saving(&self, least: Amount, goals: &[Goal], base: &Base, code: &CompactString) -> Option<Amount> {
        let mut spend = least;
        for _ in 0..TIMES_MAX {
            let Some(order) = self.paid_with(spend, code) else { return Some(spend) };
            let (short, _) = self.short(goals, base, &order)?;
            if short == 0 {
                return Some(spend);
            }
            spend += self.program().money.amount(short);
        }
        None
    }

    /// A larger order as it is paid with one voucher more; `None` where it cannot be used on it.
    fn paid_with(&self, spend: Amount, code: &CompactString) -> Option<Order> {
        let mut larger = with_more(self.asked.order, &one_line(spend));
        let taken = |order: &Order| -> Option<Amount> {
            let priced = price_vouchers(self.look, order).ok()?;
            Some(priced.iter().map(|one| one.total - one.shipping).sum())
        };
        let before = taken(&larger)?;
        larger.vouchers.push(code.clone());
        let more = taken(&larger)? - before;
        larger.total -= more;
        larger.discount += more;
        Some(larger)
    }

    fn voucher(&self, spend: Amount, voucher: Id, code: &CompactString) -> Option<Missing> {
        let saving = self.saving_with(spend, code).filter(|saving| *saving > Amount::ZERO)?;
        let words = self.asked.words;
        let record = self.look.codes.iter().find(|record| record.code == *code)?;
        let rules = self.look.versions.number(record.version).unwrap_or_else(|| self.look.versions.head());
        let name = words.name(rules.voucher(voucher.as_str()).map(|terms| &terms.definition.name), &voucher);
        let (wanted, money) = (words.wanted(spend, 0, ""), words.money(saving));
        let words = words.said([
            format!("{wanted} to use {name} and save {money} more"),
            format!("{wanted} để dùng {name}, tiết kiệm thêm {money}"),
            format!("{wanted} เพื่อใช้ {name} ประหยัดเพิ่ม {money}"),
        ]);
        Some(Missing::Voucher { code: as_shown(code), voucher, spend, saving, words })
    }

    /// How much more is saved on a larger cart, where a voucher has its part in it.
    fn saving_with(&self, spend: Amount, code: &CompactString) -> Option<Amount> {
        let asked = self.asked;
        if let Some(before) = asked.best {
            let larger = with_more(asked.cart, &one_line(spend));
            let (working, program) = (asked.working, self.program());
            let prices = price::rules(program, &working.state, &larger, working.at_effective());
            let prices = if asked.is_member { prices } else { Vec::new() };
            let after = best::best(self.look, program, &larger, &prices, asked.words.language);
            let uses = after.order.vouchers.contains(code);
            return uses.then(|| after.saving - before.saving);
        }
        let mut larger = with_more(asked.order, &one_line(spend));
        let before: Amount = price_vouchers(self.look, &larger).ok()?.iter().map(|one| one.total).sum();
        larger.vouchers.push(code.clone());
        let after: Amount = price_vouchers(self.look, &larger).ok()?.iter().map(|one| one.total).sum();
        Some(after - before)
    }
}

impl Asked<'_> {
    /// The reward that the member has the fewest points too few for.
    fn next_reward(&self) -> Option<Missing> {
        let (program, member) = (&*self.working.program, &self.decision.state);
        if !self.is_member {
            return None;
        }
        let now = self.command.effective_at.max(member.clock);
        let short = |id: &Id| {
            let reward = program.reward(id.as_str())?;
            let short = reward::reward_price(program, member, reward) - balance(member, &reward.currency).available;
            let may = short > 0 && super::rewards::is_there(self.working, id) && may_have(program, member, id, now);
            may.then(|| (short, id.clone(), reward.currency.clone()))
        };
        let (points, reward, currency) = program.definition.rewards.keys().filter_map(short).min()?;
        let name = self.words.name(program.definition.rewards.get(&reward).map(|known| &known.name), &reward);
        let short = self.words.points(&currency, points);
        let words = self.words.said([
            format!("{short} more for {name}"),
            format!("Còn thiếu {short} để đổi {name}"),
            format!("อีก {short} ก็แลก {name} ได้"),
        ]);
        Some(Missing::Reward { reward, currency, points, words })
    }
}

fn may_have(program: &Program, member: &MemberState, id: &Id, now: Instant) -> bool {
    program.reward(id.as_str()).is_some_and(|reward| reward::may_have(program, member, id, reward, now).is_ok())
}

fn base_of<'p>(program: &'p Program, rule: &'p Rule) -> &'p Base {
    rule.award.as_ref().map_or(&program.definition.base, |award| &award.base)
}

/// The lines that goals ask for; `None` where they ask for several kinds.
fn kind_of(goals: &[Goal]) -> Option<LineKind> {
    let kinds = goals.iter().filter_map(|goal| match &goal.of {
        CartNumber::Lines(kind) | CartNumber::Amount(kind) if !kind.is_any() => Some(kind),
        _ => None,
    });
    let kinds: BTreeSet<&LineKind> = kinds.collect();
    (kinds.len() <= 1).then(|| kinds.first().map_or_else(LineKind::default, |kind| (*kind).clone()))
}

fn one_line(spend: Amount) -> More {
    More { spend, lines: 1, of: LineKind::default() }
}

/// An order with so much more to pay on its lines.
fn with_more(order: &Order, more: &More) -> Order {
    let mut larger = order.clone();
    larger.total += more.spend;
    let needs_line = !order.items.is_empty() || !more.of.is_any();
    let added = if needs_line { more.lines.max(u32::from(!more.spend.is_zero())) } else { more.lines };
    for place in 0..added {
        let amount = if place == 0 { more.spend } else { Amount::ZERO };
        larger.items.push(Item { quantity: Amount::whole(1), amount, ..more.of.line() });
    }
    larger
}

/// What was earned, by currency; with a campaign only by that.
fn earned(outcome: &Outcome, campaign: Option<&Id>) -> BTreeMap<Id, i64> {
    let mut sums = BTreeMap::new();
    for effect in &outcome.effects {
        let earned = matches!(effect.kind, EffectKind::Accrual | EffectKind::Pending | EffectKind::DebtRepaid);
        let is_meant = campaign.is_none() || effect.campaign.as_ref() == campaign;
        if let (true, Some(currency), Some(amount)) = (earned && is_meant, &effect.currency, effect.amount) {
            *sums.entry(currency.clone()).or_insert(0) += amount;
        }
    }
    sums
}

/// Vouchers or benefits that a campaign gave.
fn given(outcome: &Outcome, kind: EffectKind, campaign: &Id) -> BTreeSet<Id> {
    let effects = outcome.effects.iter().filter(|effect| effect.kind == kind);
    let own = effects.filter(|effect| effect.campaign.as_ref() == Some(campaign));
    own.filter_map(|effect| effect.voucher.clone().or_else(|| effect.benefit.clone())).collect()
}
