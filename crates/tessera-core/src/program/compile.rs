//! From a definition to what decides: expressions compiled, rules indexed by trigger, names resolved.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;

use super::benefits::Benefit;
use super::challenges::Challenge;
use super::definition::*;
use super::gift_cards::GIFT_CARD;
use super::limits::{self, Limits, NamedLimit};
use super::membership::PlanDefinition;
use super::prices::Price;
use super::referral::Referral;
use super::rewards::Reward;
use super::streaks::StreakRules;
use super::triggers::{Trigger, triggers};
use super::validate::{Checker, Strictness};
use super::velocity::VelocityRule;
use super::vouchers::Voucher;
use super::{Id, Node, Problem, Share};
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::{Currency, Rounding};
use crate::time::{Calendar, Day};

/// A published version, ready to decide.
#[derive(Debug)]
pub struct Program {
    pub version: u32,
    pub definition: Definition,
    pub calendar: Calendar,
    pub money: Currency,
    /// By priority, highest first, then by name.
    pub campaigns: Vec<Campaign>,
    /// Their places, by name.
    places: BTreeMap<Id, usize>,
    triggers: BTreeMap<Id, Trigger>,
    /// Limits and budgets that are counted over all members, by name.
    pools: BTreeMap<CompactString, NamedLimit>,
    pub ladders: Vec<LadderRules>,
    rewards: BTreeMap<Id, Reward>,
    pub referral: Option<Referral>,
    vouchers: BTreeMap<Id, Voucher>,
    /// Member prices, by name.
    pub prices: BTreeMap<Id, Price>,
    pub challenges: Vec<Challenge>,
    pub streaks: Vec<StreakRules>,
    pub benefits: BTreeMap<Id, Benefit>,
    pub velocity: Vec<VelocityRule>,
    /// What gift cards hold, where the program has any.
    gift_card: Option<CurrencyDefinition>,
}

#[derive(Debug)]
pub struct Campaign {
    pub id: Id,
    pub trigger: Id,
    /// Base earning: the tier's rate, and it counts to tiers.
    pub is_base: bool,
    pub active: bool,
    pub schedule: Schedule,
    pub audience: Option<Expression>,
    pub holdout: Option<Share>,
    pub budget: Vec<(Id, i64)>,
    pub limits: Limits,
    /// Funders with their weights; the program itself has no name.
    pub funders: Vec<(Option<Id>, i128)>,
    pub days_before: i32,
    pub rules: Vec<Rule>,
}

#[derive(Debug)]
pub struct Rule {
    /// `campaign/2`, the third rule.
    pub key: CompactString,
    pub each: bool,
    pub when: Option<Expression>,
    pub award: Option<Award>,
    pub extra: Option<Extra>,
    pub spend: Option<SpendAction>,
    pub issue: Option<Id>,
    pub grant: Option<GrantAction>,
    pub badge: Option<Id>,
    pub chance: Option<Share>,
    pub limits: Limits,
}

#[derive(Debug)]
pub struct Award {
    pub currency: Id,
    pub amount: Expression,
    pub rounding: Rounding,
    pub per: RoundPer,
    pub fraction: Fraction,
    pub base: Base,
    /// Units of the currency in one: 100 for a scale of 2.
    pub unit: Decimal,
}

#[derive(Debug)]
pub struct Extra {
    pub currency: Id,
    pub times: Decimal,
    pub of: Option<Id>,
    pub rounding: Rounding,
}

/// A ladder with its measures by name.
#[derive(Debug)]
pub struct LadderRules {
    pub id: Id,
    pub measures: Vec<(Id, Measure)>,
    pub window: TierWindow,
    pub holds_to: HoldsTo,
    pub down: Down,
    pub crossing: Crossing,
    pub return_undoes: ReturnUndoes,
    /// Lowest first.
    pub levels: Vec<LevelDefinition>,
}

impl LadderRules {
    /// A level's place, the base being 0; a level that the version does not know is base.
    pub fn rank(&self, level: &Id) -> usize {
        self.levels.iter().position(|known| known.id == *level).unwrap_or(0)
    }

    /// What people call a measure: its name, or for a ladder's only one what it counts (`bean`, `spend`, `visit`).
    pub fn measure_name(&self, measure: &Id) -> Id {
        if !measure.as_str().is_empty() {
            return measure.clone();
        }
        match self.measures.first() {
            Some((_, Measure::Earned { earned, .. })) => earned.clone(),
            Some((_, Measure::Events { events })) => events.clone(),
            _ => Id::constant("spend"),
        }
    }

    /// The next level under a place that can be reached.
    pub fn below(&self, rank: usize) -> usize {
        (0..rank).rev().find(|rank| !self.levels[*rank].by_invitation).unwrap_or(0)
    }

    /// The next level above a place that can be reached; `None` at the top.
    pub fn above(&self, rank: usize) -> Option<usize> {
        (rank + 1..self.levels.len()).find(|rank| !self.levels[*rank].by_invitation)
    }

    pub fn level(&self, rank: usize) -> &LevelDefinition {
        &self.levels[rank.min(self.levels.len() - 1)]
    }
}

impl Program {
    /// Compiles and checks. The program is `None` when a finding is an error.
    pub(super) fn compile(
        definition: &Definition,
        tree: &Node,
        version: u32,
        strictness: Strictness,
    ) -> (Option<Self>, Vec<Problem>) {
        let mut checker = Checker::new(tree, strictness, &definition.made);
        if strictness == Strictness::New {
            checker.definition(definition);
            checker.membership(definition, Currency::from_code(&definition.currency));
        }
        let calendar = match Calendar::new(&definition.timezone, definition.day_starts) {
            Ok(calendar) => Some(calendar),
            Err(error) => {
                checker.error(&["timezone"], error.to_string());
                None
            }
        };
        let money = Currency::from_code(&definition.currency);
        if money.is_none() {
            let message = format!("`{}` is no ISO 4217 currency such as VND, THB or USD", definition.currency);
            checker.error(&["currency"], message);
        }
        let mut campaigns: Vec<Campaign> = definition
            .campaigns
            .iter()
            .map(|(id, campaign)| compile_campaign(definition, id, campaign, &mut checker))
            .collect();
        campaigns.sort_by(|left, right| {
            let priority = |campaign: &Campaign| definition.campaigns[&campaign.id].priority;
            priority(right).cmp(&priority(left)).then(left.id.cmp(&right.id))
        });
        let ladders: Vec<LadderRules> =
            definition.tiers.iter().map(|(id, ladder)| compile_ladder(id, ladder)).collect();
        let rewards = checker.rewards(definition);
        let vouchers = checker.vouchers(definition);
        let prices = checker.prices(definition);
        checker.transfers(definition);
        let referral = checker.referral(definition);
        let challenges = checker.challenges(definition);
        let streaks = checker.streaks(definition);
        let benefits = checker.benefits(definition);
        let velocity = checker.velocity(definition, money);
        if strictness == Strictness::New {
            super::inert::refuse(definition, &campaigns, &mut checker);
        }
        // What is wrong would only make the lints guess.
        if strictness == Strictness::New && !checker.has_errors() {
            super::lint::lint(definition, &campaigns, &mut checker);
        }
        let findings = checker.findings();
        let (Some(calendar), Some(money)) = (calendar, money) else { return (None, findings) };
        if findings.iter().any(Problem::is_error) {
            return (None, findings);
        }
        let limits = limits::of_program(definition);
        let mut triggers = triggers(&campaigns, &challenges, &streaks, &limits);
        // What qualifies a referral reads the member as they were before the event: its facts are in the basis.
        if let Some((referral, when)) = referral.as_ref().and_then(|known| Some((known, known.when.as_ref()?))) {
            let kind = referral.definition.qualifies.trigger.clone();
            let trigger = triggers.entry(kind).or_insert_with(|| Trigger::new(&limits));
            trigger.facts.extend(when.facts.iter().cloned());
        }
        let limits = campaigns.iter().flat_map(Campaign::named_limits).chain(limits);
        let pools = limits.filter(|limit| limit.of_member_in().is_none());
        let pools = pools.map(|limit| (limit.name().clone(), limit)).collect();
        let places = campaigns.iter().enumerate().map(|(place, campaign)| (campaign.id.clone(), place)).collect();
        let definition = definition.clone();
        let gift_card = definition.gift_cards.as_ref().map(|cards| cards.currency(money));
        let program = Self {
            version,
            definition,
            calendar,
            money,
            campaigns,
            places,
            triggers,
            pools,
            ladders,
            rewards,
            vouchers,
            prices,
            challenges,
            streaks,
            benefits,
            velocity,
            referral,
            gift_card,
        };
        (Some(program), findings)
    }

    /// The campaigns of an event type; none for types no campaign looks at.
    pub fn trigger(&self, kind: &str) -> Option<&Trigger> {
        self.triggers.get(kind)
    }

    pub fn campaign(&self, id: &str) -> Option<&Campaign> {
        self.place_of(id).map(|place| &self.campaigns[place])
    }

    /// A campaign's place among all.
    pub(crate) fn place_of(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// A rule by its key, with its campaign.
    pub(crate) fn rule(&self, key: &str) -> Option<(&Campaign, &Rule)> {
        let (campaign, _) = key.rsplit_once('/')?;
        let campaign = self.campaign(campaign)?;
        campaign.rules.iter().find(|rule| rule.key == key).map(|rule| (campaign, rule))
    }

    /// Limits and budgets that are counted over all members.
    pub(crate) fn pools(&self) -> impl Iterator<Item = &NamedLimit> {
        self.pools.values()
    }

    /// One of them, by its key on a day.
    pub(crate) fn pool(&self, key: &str, day: Day) -> Option<&NamedLimit> {
        let undated = key.rsplit_once('/').map(|(name, _)| name);
        let mut named = [Some(key), undated].into_iter().flatten().filter_map(|name| self.pools.get(name));
        named.find(|limit| limit.key(day) == key)
    }

    /// The same program without looking up which campaigns an event can concern: decides the same, in more time.
    #[doc(hidden)]
    #[must_use]
    pub fn looking_at_all(mut self) -> Self {
        self.triggers.values_mut().for_each(Trigger::look_at_all);
        self
    }

    pub fn reward(&self, id: &str) -> Option<&Reward> {
        self.rewards.get(id)
    }

    pub fn voucher(&self, id: &str) -> Option<&Voucher> {
        self.vouchers.get(id)
    }

    pub fn challenge(&self, id: &str) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.id == *id)
    }

    pub fn streak(&self, id: &str) -> Option<&StreakRules> {
        self.streaks.iter().find(|streak| streak.id == *id)
    }

    pub fn benefit(&self, id: &str) -> Option<&Benefit> {
        self.benefits.get(id)
    }

    pub fn plan(&self, id: &str) -> Option<&PlanDefinition> {
        self.definition.membership.plans.get(id)
    }

    pub fn ladder(&self, id: &str) -> Option<&LadderRules> {
        self.ladders.iter().find(|ladder| ladder.id == *id)
    }

    /// A currency of the document, or what its gift cards hold.
    pub fn currency(&self, id: &str) -> Option<&CurrencyDefinition> {
        let implied = self.gift_card.as_ref().filter(|_| GIFT_CARD == *id);
        implied.or_else(|| self.definition.currencies.get(id))
    }
}

fn compile_campaign(
    definition: &Definition,
    id: &Id,
    campaign: &CampaignDefinition,
    checker: &mut Checker<'_>,
) -> Campaign {
    let types = RootTypes::for_trigger(definition, campaign.trigger.as_str(), false);
    let path = ["campaigns", id.as_str(), "audience"];
    let audience = campaign.audience.as_ref();
    let audience = audience.and_then(|formula| checker.expression(&path, formula, &types, Expected::Truth));
    let program_share: Decimal =
        Decimal::ONE - campaign.funded_by.values().map(|share| share.decimal()).sum::<Decimal>();
    let shares = campaign.funded_by.iter().map(|(funder, share)| (Some(funder.clone()), share.decimal()));
    let funders = shares.chain([(None, program_share)]).filter(|(_, share)| *share > Decimal::ZERO);
    let is_base = match campaign.earning {
        Some(earning) => earning == Earning::Base,
        None => {
            campaign.trigger == *"purchase"
                && campaign.schedule.is_none()
                && campaign.audience.is_none()
                && campaign.budget.is_empty()
                && campaign.holdout.is_none()
        }
    };
    let rules = campaign.rules.iter().enumerate();
    let rules: Vec<Rule> =
        rules.map(|(place, rule)| compile_rule(definition, id, campaign, place, rule, checker)).collect();
    let fixed = rules.iter().all(Rule::is_fixed);
    Campaign {
        id: id.clone(),
        trigger: campaign.trigger.clone(),
        is_base,
        active: campaign.active,
        schedule: campaign.schedule.clone().unwrap_or_default(),
        audience,
        holdout: campaign.holdout,
        budget: campaign.budget.iter().map(|(currency, most)| (currency.clone(), *most)).collect(),
        limits: Limits::compile(campaign.limit.as_ref(), fixed),
        funders: funders.map(|(funder, share)| (funder, weight(share))).collect(),
        days_before: campaign.days_before,
        rules,
    }
}

impl Campaign {
    /// Whether somebody may be held out of it, so that what it brings can be measured (C9). Base earning and campaigns open
    /// to all are promises to everybody.
    pub(crate) fn may_hold_out(&self) -> bool {
        !self.is_base && (self.audience.is_some() || self.holdout.is_some())
    }
}

/// A share as a whole number of millionths.
fn weight(share: Decimal) -> i128 {
    i128::from(Rounding::HalfEven.whole(share * Decimal::from(1_000_000)))
}

impl Rule {
    /// Whether it gives the same each time it applies.
    fn is_fixed(&self) -> bool {
        self.extra.is_none() && self.award.as_ref().is_none_or(|award| award.amount.constant().is_some())
    }
}

fn compile_rule(
    definition: &Definition,
    id: &Id,
    campaign: &CampaignDefinition,
    place: usize,
    rule: &RuleDefinition,
    checker: &mut Checker<'_>,
) -> Rule {
    let number = place.to_string();
    let at = |rest: &[&'static str]| -> Vec<String> {
        ["campaigns", id.as_str(), "rules", &number]
            .iter()
            .copied()
            .chain(rest.iter().copied())
            .map(str::to_owned)
            .collect()
    };
    let types = RootTypes::for_trigger(definition, campaign.trigger.as_str(), rule.each.is_some());
    let when =
        rule.when.as_ref().and_then(|formula| checker.expression_at(&at(&["when"]), formula, &types, Expected::Truth));
    let award = rule.award.as_ref().and_then(|award| {
        let amount = checker.expression_at(&at(&["award", "amount"]), &award.amount, &types, Expected::Number)?;
        let scale = definition.currencies.get(&award.currency).map_or(0, |currency| currency.scale);
        Some(Award {
            currency: award.currency.clone(),
            amount,
            rounding: award.rounding,
            per: award.per,
            fraction: award.fraction,
            base: award.base.unwrap_or(definition.base),
            unit: Decimal::from(10_i64.pow(scale.min(6))),
        })
    });
    let extra = rule.extra.as_ref().map(|extra| Extra {
        currency: extra.currency.clone(),
        times: extra.times.0,
        of: extra.of.clone(),
        rounding: extra.rounding,
    });
    let mut compiled = Rule {
        key: format_compact!("{id}/{place}"),
        each: rule.each.is_some(),
        when,
        award,
        extra,
        spend: rule.spend.clone(),
        issue: rule.issue.as_ref().map(|issue| issue.voucher.clone()),
        grant: rule.grant.clone(),
        badge: rule.badge.clone(),
        chance: rule.chance,
        limits: Limits::default(),
    };
    compiled.limits = Limits::compile(rule.limit.as_ref(), compiled.is_fixed());
    compiled
}

fn compile_ladder(id: &Id, ladder: &LadderDefinition) -> LadderRules {
    let single = ladder.measure.iter().map(|measure| (Id::default(), measure.clone()));
    let named = ladder.measures.iter().map(|(name, measure)| (name.clone(), measure.clone()));
    LadderRules {
        id: id.clone(),
        measures: single.chain(named).collect(),
        window: ladder.window,
        holds_to: ladder.holds_to,
        down: ladder.down,
        crossing: ladder.crossing,
        return_undoes: ladder.return_undoes,
        levels: ladder.levels.clone(),
    }
}
