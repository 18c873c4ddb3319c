//! Everything that must hold for a document to be published, beyond its spelling.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::definition::*;
use super::made::Made;
use super::{Formula, Id, Node, Problem, nearest};
use crate::event::{BUILT_IN_TYPES, DERIVED_TRIGGERS, MEMBERSHIP_TYPES};
use crate::expression::{Expected, Expression, RootTypes};

/// Collects findings, each with the line it is about.
pub(super) struct Checker<'a> {
    tree: &'a Node,
    strictness: Strictness,
    made: &'a Made,
    findings: Vec<Problem>,
}

/// A document that is to be published is held to everything; one that was published before has been, by the rules of
/// its day, and must go on deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    New,
    Published,
}

impl<'a> Checker<'a> {
    pub fn new(tree: &'a Node, strictness: Strictness, made: &'a Made) -> Self {
        Self { tree, strictness, made, findings: Vec::new() }
    }

    /// Whether the document is held to everything, not only run again.
    pub fn is_new(&self) -> bool {
        self.strictness == Strictness::New
    }

    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Problem::is_error)
    }

    pub fn findings(self) -> Vec<Problem> {
        self.findings
    }

    pub fn error(&mut self, path: &[&str], message: String) {
        let path = self.made.place(&owned(path));
        self.findings.push(Problem::error(self.tree.nearest(&path).at, &path, message));
    }

    pub fn warning(&mut self, path: &[&str], message: String, suggestion: &str) {
        let path = self.made.place(&owned(path));
        self.findings.push(Problem::warning(self.tree.nearest(&path).at, &path, message).suggest(suggestion));
    }

    pub fn suggest(&mut self, path: &[&str], message: String, suggestion: &str) {
        let path = self.made.place(&owned(path));
        self.findings.push(Problem::error(self.tree.nearest(&path).at, &path, message).suggest(suggestion));
    }

    /// Whether the document says something at a path.
    pub fn has(&self, path: &[&str]) -> bool {
        let mut node = Some(self.tree);
        for key in path {
            node = node.and_then(|node| node.get(key));
        }
        node.is_some()
    }

    /// An error unless a name is one of the known; says which was probably meant.
    pub fn known<'k>(&mut self, path: &[&str], what: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) {
        if known.clone().any(|candidate| candidate == name) {
            return;
        }
        let suggestion = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match known.collect::<Vec<_>>() {
                names if names.is_empty() => format!("the document has no {what}"),
                names => format!("there are: {}", names.join(", ")),
            },
        };
        self.suggest(path, format!("there is no {what} `{name}`"), &suggestion);
    }

    pub fn expression(
        &mut self,
        path: &[&str],
        formula: &Formula,
        types: &RootTypes,
        expected: Expected,
    ) -> Option<Expression> {
        self.expression_at(&owned(path), formula, types, expected)
    }

    pub fn expression_at(
        &mut self,
        path: &[String],
        formula: &Formula,
        types: &RootTypes,
        expected: Expected,
    ) -> Option<Expression> {
        match Expression::new(&formula.0, types, expected) {
            Ok(expression) => Some(expression),
            Err(findings) => {
                let published = self.strictness == Strictness::Published;
                if let Some(expression) = published.then(|| Expression::unchecked(&formula.0)).flatten() {
                    return Some(expression);
                }
                let path = &self.made.place(path);
                for finding in findings {
                    let mut at = self.tree.nearest(path).at;
                    at.column += finding.offset;
                    let problem = Problem::error(at, path, format!("{} in `{}`", finding.message, formula.0.trim()));
                    self.findings.push(match finding.suggestion {
                        Some(suggestion) => problem.suggest(suggestion),
                        None => problem,
                    });
                }
                None
            }
        }
    }

    pub fn definition(&mut self, definition: &Definition) {
        for (code, rate) in &definition.exchange_rates {
            if rate.0 <= Decimal::ZERO {
                self.error(&["exchange_rates", code], "a rate is above 0".to_owned());
            }
            if crate::quantity::Currency::from_code(code).is_none() {
                self.error(&["exchange_rates", code], format!("`{code}` is no ISO 4217 currency"));
            }
        }
        self.spending(definition);
        self.claims(definition);
        self.proof(definition);
        self.partners(definition);
        self.people(definition);
        self.adjustments(definition);
        for (path, message) in &definition.made.clashes {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.error(&path, message.clone());
        }
        self.cards(definition);
        self.leaderboards(definition);
        self.gift_cards(definition);
        self.households(definition);
        if definition.currencies.is_empty() {
            self.error(&["currencies"], "a program has at least one currency".to_owned());
        }
        for (id, currency) in &definition.currencies {
            self.currency(definition, id.as_str(), currency);
        }
        for (id, event) in &definition.events {
            self.event(id.as_str(), event);
        }
        for (id, ladder) in &definition.tiers {
            self.ladder(definition, id.as_str(), ladder);
        }
        let campaigns = definition.campaigns.len();
        if self.is_new() && campaigns > CAMPAIGNS_MAX {
            let message = format!(
                "a document has at most {CAMPAIGNS_MAX} campaigns, with those that challenges and the like are; this one has {campaigns}"
            );
            self.error(&["campaigns"], message);
        }
        for (id, campaign) in &definition.campaigns {
            self.campaign(definition, id.as_str(), campaign);
        }
        self.stacking(definition);
        let limits = &definition.limits;
        for (section, limits) in [("per_member", &limits.per_member), ("program", &limits.program)] {
            for (currency, windows) in limits {
                self.known(
                    &["limits", section, currency.as_str()],
                    "currency",
                    currency.as_str(),
                    names(&definition.currencies),
                );
                for (window, most) in windows {
                    self.positive(&["limits", section, currency.as_str(), window.name()], *most);
                }
            }
        }
        for (currency, most) in &limits.per_event {
            self.known(
                &["limits", "per_event", currency.as_str()],
                "currency",
                currency.as_str(),
                names(&definition.currencies),
            );
            self.positive(&["limits", "per_event", currency.as_str()], *most);
        }
    }

    fn positive(&mut self, path: &[&str], number: i64) {
        if number <= 0 {
            self.error(path, format!("{number} leaves nothing: a number above 0 is expected"));
        }
    }

    fn currency(&mut self, definition: &Definition, id: &str, currency: &CurrencyDefinition) {
        if currency.scale > 6 {
            self.error(&["currencies", id, "scale"], "a currency has at most 6 digits behind the point".to_owned());
        }
        if let Some(most) = currency.max_balance {
            self.positive(&["currencies", id, "max_balance"], most);
        }
        if currency.value.is_some_and(|value| value.0 < Decimal::ZERO) {
            self.error(&["currencies", id, "value"], "a value is 0 or more".to_owned());
        }
        if let Expires::Inactivity { moved_by, .. } = &currency.expires {
            for kind in moved_by {
                self.known(
                    &["currencies", id, "expires", "moved_by"],
                    "event type",
                    kind.as_str(),
                    event_types(definition).chain(std::iter::once("redemption")),
                );
            }
        }
        if let Some(kind) = &currency.pending.until {
            let path = ["currencies", id, "pending", "until"];
            self.known(&path, "event type", kind.as_str(), names(&definition.events));
            let names_order = |event: &EventDefinition| event.data.contains_key("order_id");
            if definition.events.get(kind).is_some_and(|event| !names_order(event)) {
                self.error(
                    &path,
                    format!("`{kind}` cannot release points: it has no field `order_id` that names the order"),
                );
            }
        }
    }

    fn event(&mut self, id: &str, event: &EventDefinition) {
        if DERIVED_TRIGGERS.contains(&id) || id == "adjustment" {
            self.error(&["events", id], format!("`{id}` is a name of the program's own: choose another"));
        } else if BUILT_IN_TYPES.contains(&id) && id != "purchase" {
            let message = format!("`{id}` is an event of every program: fields can be declared on `purchase` only");
            self.error(&["events", id], message);
        }
        if !event.item.is_empty() && id != "purchase" {
            self.error(&["events", id, "item"], "only `purchase` has lines".to_owned());
        }
        let numeric = |kind: FieldKind| matches!(kind, FieldKind::Integer | FieldKind::Number);
        for (name, field) in &event.data {
            let path = ["events", id, "data", name.as_str()];
            if (field.min.is_some() || field.max.is_some()) && !numeric(field.kind) {
                self.error(&path, "only numbers have `min` and `max`".to_owned());
            }
            if matches!((field.min, field.max), (Some(min), Some(max)) if min > max) {
                self.error(&path, "`min` is above `max`: no number fits".to_owned());
            }
            if !field.one_of.is_empty() && field.kind != FieldKind::Text {
                self.error(&path, "only texts have `one_of`".to_owned());
            }
        }
    }

    fn ladder(&mut self, definition: &Definition, id: &str, ladder: &LadderDefinition) {
        let path = ["tiers", id];
        if ladder.measure.is_some() != ladder.measures.is_empty() {
            self.error(&path, "a ladder has either one `measure` or several `measures`".to_owned());
        }
        let single = ladder.measure.iter().map(|measure| ("measure", measure));
        let several = ladder.measures.iter().map(|(name, measure)| (name.as_str(), measure));
        for (name, measure) in single.chain(several) {
            let path =
                if name == "measure" { vec!["tiers", id, "measure"] } else { vec!["tiers", id, "measures", name] };
            match measure {
                Measure::Earned { earned, .. } => {
                    self.known(&path, "currency", earned.as_str(), names(&definition.currencies));
                }
                Measure::Events { events } => self.known(&path, "event type", events.as_str(), event_types(definition)),
                Measure::Spend => {}
            }
        }
        self.levels(definition, id, ladder);
    }

    fn levels(&mut self, definition: &Definition, id: &str, ladder: &LadderDefinition) {
        if ladder.levels.is_empty() {
            self.error(&["tiers", id, "levels"], "a ladder has at least one level".to_owned());
        }
        let mut seen = BTreeSet::new();
        let mut before: Option<Decimal> = None;
        for (place, level) in ladder.levels.iter().enumerate() {
            let number = place.to_string();
            let path = ["tiers", id, "levels", number.as_str()];
            let at = ["tiers", id, "levels", number.as_str(), "at"];
            if !seen.insert(&level.id) {
                self.error(&path, format!("the level `{}` stands here twice", level.id));
            }
            let single = match level.at.of.as_slice() {
                [(measure, threshold)] if measure.as_str().is_empty() => Some(threshold.0),
                _ => None,
            };
            if level.by_invitation != level.at.of.is_empty() {
                let message = if level.by_invitation {
                    "a level by invitation is never reached: leave `at` out"
                } else {
                    "`at` is missing: what it takes to reach the level, or `by_invitation: true`"
                };
                self.error(&at, message.to_owned());
            }
            if level.by_invitation && place == 0 {
                self.error(&path, "the first level is everybody's: nobody needs an invitation".to_owned());
            }
            match single {
                Some(_) if ladder.measure.is_none() => {
                    self.error(&at, "the ladder has several measures: say `at: { all: { … } }`".to_owned());
                }
                Some(threshold) => {
                    if place == 0 && !threshold.is_zero() {
                        self.error(&at, "the first level is the base and begins at 0".to_owned());
                    }
                    if before.is_some_and(|before| threshold <= before) {
                        self.error(&at, format!("{threshold} is not above the level before"));
                    }
                    before = Some(threshold);
                }
                None => {
                    for (measure, _) in &level.at.of {
                        self.known(&at, "measure", measure.as_str(), names(&ladder.measures));
                    }
                }
            }
            for (currency, rate) in &level.rate {
                self.known(&path, "currency", currency.as_str(), names(&definition.currencies));
                if rate.0 < Decimal::ZERO {
                    self.error(&path, "a rate is 0 or more".to_owned());
                }
            }
            for benefit in &level.benefits {
                self.known(&path, "benefit", benefit.as_str(), names(&definition.benefits));
            }
        }
    }

    fn campaign(&mut self, definition: &Definition, id: &str, campaign: &CampaignDefinition) {
        let trigger = campaign.trigger.as_str();
        let triggers = event_types(definition).chain(DERIVED_TRIGGERS);
        self.known(&["campaigns", id, "trigger"], "trigger", trigger, triggers);
        if campaign.days_before != 0 && trigger != "birthday" {
            self.error(&["campaigns", id, "days_before"], "only `trigger: birthday` has `days_before`".to_owned());
        }
        if !(0..=60).contains(&campaign.days_before) {
            self.error(&["campaigns", id, "days_before"], "`days_before` is 0 to 60".to_owned());
        }
        let funded: Decimal = campaign.funded_by.values().map(|share| share.decimal()).sum();
        if funded > Decimal::ONE {
            self.error(&["campaigns", id, "funded_by"], format!("the shares add up to {funded}, more than the whole"));
        }
        for (currency, most) in &campaign.budget {
            self.known(
                &["campaigns", id, "budget", currency.as_str()],
                "currency",
                currency.as_str(),
                names(&definition.currencies),
            );
            self.positive(&["campaigns", id, "budget", currency.as_str()], *most);
        }
        if campaign.rules.is_empty() {
            self.error(&["campaigns", id, "rules"], "a campaign has at least one rule".to_owned());
        }
        if let Some(Schedule { from: Some(from), until: Some(until), .. }) = &campaign.schedule
            && from > until
        {
            self.error(&["campaigns", id, "schedule"], format!("it ends on {until}, before it begins on {from}"));
        }
        self.limit(&["campaigns", id, "limit"], campaign.limit.as_ref());
        for (place, rule) in campaign.rules.iter().enumerate() {
            self.rule(definition, id, campaign, &place.to_string(), rule);
        }
    }

    fn limit(&mut self, path: &[&str], limit: Option<&Limit>) {
        let Some(limit) = limit else { return };
        let caps = limit.per_event.iter().chain(limit.per_member.values()).chain(limit.program.values());
        for cap in caps.copied().collect::<Vec<_>>() {
            self.positive(path, cap.number());
        }
    }

    fn rule(
        &mut self,
        definition: &Definition,
        id: &str,
        campaign: &CampaignDefinition,
        place: &str,
        rule: &RuleDefinition,
    ) {
        let trigger = campaign.trigger.as_str();
        let base = ["campaigns", id, "rules", place];
        let at = |rest: &'static str| [base[0], base[1], base[2], base[3], rest];
        let acts = rule.award.is_some()
            || rule.extra.is_some()
            || rule.spend.is_some()
            || rule.issue.is_some()
            || rule.grant.is_some()
            || rule.badge.is_some();
        if !acts {
            self.suggest(
                &base,
                "this rule does nothing".to_owned(),
                "give it award, extra, issue, grant, badge or spend",
            );
        }
        if let Some(each) = &rule.each
            && (each.0.trim() != "event.items" || trigger != "purchase")
        {
            self.error(&at("each"), "a rule can run for each of `event.items` of a purchase".to_owned());
        }
        self.limit(&at("limit"), rule.limit.as_ref());
        if let Some(award) = &rule.award {
            self.known(&at("award"), "currency", award.currency.as_str(), names(&definition.currencies));
            if award.per == RoundPer::Line && award.fraction == Fraction::Carry {
                let message =
                    "what is rounded line by line has no one fraction to carry: leave `per` or `fraction` out";
                self.error(&at("award"), message.to_owned());
            }
        }
        if let Some(spend) = &rule.spend {
            self.known(&at("spend"), "currency", spend.currency.as_str(), names(&definition.currencies));
            self.positive(&at("spend"), spend.amount);
        }
        if let Some(issue) = &rule.issue {
            self.known(&at("issue"), "voucher", issue.voucher.as_str(), names(&definition.vouchers));
        }
        if let Some(badge) = &rule.badge {
            self.known(&at("badge"), "badge", badge.as_str(), names(&definition.badges));
        }
        if let Some(grant) = &rule.grant {
            self.known(&at("grant"), "benefit", grant.benefit.as_str(), names(&definition.benefits));
        }
        if let Some(extra) = &rule.extra {
            self.known(&at("extra"), "currency", extra.currency.as_str(), names(&definition.currencies));
            if extra.times.0 <= Decimal::ONE {
                self.error(&at("extra"), format!("{} times adds nothing: a number above 1 is expected", extra.times.0));
            }
            if trigger != "purchase" {
                self.error(&at("extra"), "an extra multiplies the base points of a purchase".to_owned());
            }
            if let Some(of) = &extra.of {
                self.known(&at("extra"), "campaign", of.as_str(), names(&definition.campaigns));
                if of.as_str() == id {
                    self.error(&at("extra"), "an extra is of another campaign".to_owned());
                }
            }
        }
    }

    fn stacking(&mut self, definition: &Definition) {
        for (place, group) in definition.stacking.order.iter().enumerate() {
            let number = place.to_string();
            for (kind, members) in [("exclusive", &group.exclusive), ("never", &group.never), ("always", &group.always)]
            {
                for campaign in members {
                    let path = ["stacking", "order", number.as_str(), kind];
                    self.known(&path, "campaign", campaign.as_str(), names(&definition.campaigns));
                }
            }
        }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

fn names<T>(map: &std::collections::BTreeMap<Id, T>) -> impl Iterator<Item = &str> + Clone {
    map.keys().map(Id::as_str)
}

fn event_types(definition: &Definition) -> impl Iterator<Item = &str> + Clone {
    let clubs: &[&str] = if definition.membership.plans.is_empty() { &[] } else { &MEMBERSHIP_TYPES };
    BUILT_IN_TYPES
        .into_iter()
        .chain(clubs.iter().copied())
        .chain(definition.events.keys().map(Id::as_str).filter(|name| !BUILT_IN_TYPES.contains(name)))
}
