//! Warnings: documents that are valid and probably not what was meant.

use rust_decimal::Decimal;

use super::Id;
use super::compile::Campaign;
use super::definition::*;
use super::validate::Checker;
use crate::event::Order;
use crate::expression::{EventFields, EventScope, Expression, Facts};
use crate::quantity::Amount;

pub(super) fn lint(definition: &Definition, campaigns: &[Campaign], checker: &mut Checker<'_>) {
    for campaign in campaigns {
        never_matches(definition, campaign, checker);
        feeds_itself(campaign, checker);
        unbounded_surprise(definition, campaign, checker);
    }
    for (id, currency) in &definition.currencies {
        matures_too_late(id, currency, checker);
    }
    for (id, ladder) in &definition.tiers {
        out_of_reach(definition, id, ladder, campaigns, checker);
    }
    money_pump(definition, campaigns, checker);
    checker.gift_cards_that_expire(definition);
    checker.lint_velocity(definition);
    checker.pools_of_idle_points(definition);
}

/// A surprise without an end costs what nobody has decided.
fn unbounded_surprise(definition: &Definition, campaign: &Campaign, checker: &mut Checker<'_>) {
    let Some(written) = definition.campaigns.get(&campaign.id) else { return };
    for (place, rule) in campaign.rules.iter().enumerate().filter(|(_, rule)| rule.chance.is_some()) {
        let is_bounded = !campaign.budget.is_empty()
            || [&campaign.limits, &rule.limits].iter().any(|limits| !limits.program.is_empty());
        if !is_bounded && written.active {
            let place = place.to_string();
            checker.warning(
                &["campaigns", campaign.id.as_str(), "rules", &place, "chance"],
                "what this surprise may give in all has no end".to_owned(),
                "give the campaign a `budget`, or say `limit: { program: { month: { times: 100 } } }`",
            );
        }
    }
}

fn never_matches(definition: &Definition, campaign: &Campaign, checker: &mut Checker<'_>) {
    let id = campaign.id.as_str();
    if campaign.audience.as_ref().is_some_and(Expression::is_never) {
        checker.warning(
            &["campaigns", id, "audience"],
            "no member can ever match".to_owned(),
            "leave the campaign out, or mend the condition",
        );
    }
    for (place, rule) in campaign.rules.iter().enumerate() {
        if rule.when.as_ref().is_some_and(Expression::is_never) {
            let place = place.to_string();
            checker.warning(
                &["campaigns", id, "rules", &place, "when"],
                "this rule can never match".to_owned(),
                "leave it out, or mend the condition",
            );
        }
        if let Some(extra) = &rule.extra
            && !has_base_points(definition, extra)
        {
            let place = place.to_string();
            checker.warning(
                &["campaigns", id, "rules", &place, "extra"],
                format!("there are no base points in {} to multiply", extra.currency),
                "name a campaign with `earning: base` that awards this currency",
            );
        }
    }
    if let Schedule { from: Some(from), until: Some(until), weekdays, .. } = &campaign.schedule
        && !weekdays.is_empty()
    {
        let days = (until.number() - from.number()).clamp(0, 6);
        let any = (0..=days).any(|ahead| weekdays.contains(&from.plus(ahead).weekday()));
        if !any {
            checker.warning(
                &["campaigns", id, "schedule"],
                "none of its weekdays lies between its first and last day".to_owned(),
                "mend the days",
            );
        }
    }
}

/// Whether some campaign that is not a bonus awards what an extra multiplies.
fn has_base_points(definition: &Definition, extra: &super::Extra) -> bool {
    let awards = |campaign: &CampaignDefinition| {
        campaign.rules.iter().filter_map(|rule| rule.award.as_ref()).any(|award| award.currency == extra.currency)
    };
    definition.campaigns.iter().any(|(id, campaign)| {
        extra.of.as_ref().is_none_or(|of| of == id) && campaign.earning != Some(Earning::Bonus) && awards(campaign)
    })
}

/// A campaign that an award starts and that awards the same currency again.
fn feeds_itself(campaign: &Campaign, checker: &mut Checker<'_>) {
    if campaign.trigger != *"balance" {
        return;
    }
    for (place, rule) in campaign.rules.iter().enumerate() {
        if rule.award.is_some() && rule.spend.is_none() && rule.limits.is_empty() && campaign.limits.is_empty() {
            let place = place.to_string();
            checker.warning(
                &["campaigns", campaign.id.as_str(), "rules", &place],
                "this award moves a balance, which starts the campaign again: points from nothing".to_owned(),
                "give the rule a `limit`, or let it `spend` what started it",
            );
        }
    }
}

fn matures_too_late(id: &Id, currency: &CurrencyDefinition, checker: &mut Checker<'_>) {
    let Expires::After { after, .. } = currency.expires else { return };
    let waits = currency.pending.period;
    if currency.pending.expiry_counts_from == CountsFrom::Earn
        && waits.days_at_most() >= after.days_at_least()
        && !waits.is_zero()
    {
        checker.warning(
            &["currencies", id.as_str(), "pending"],
            format!("points mature after {waits} but expire after {after}: they are dead before they can be spent"),
            "shorten `pending`, or set `expiry_counts_from: maturity`",
        );
    }
}

fn out_of_reach(
    definition: &Definition,
    id: &Id,
    ladder: &LadderDefinition,
    campaigns: &[Campaign],
    checker: &mut Checker<'_>,
) {
    let single = ladder.measure.iter().map(|measure| (Id::default(), measure));
    let measures: Vec<(Id, &Measure)> =
        single.chain(ladder.measures.iter().map(|(name, measure)| (name.clone(), measure))).collect();
    let feeds = |name: &Id| match measures.iter().find(|(known, _)| known == name).map(|(_, measure)| *measure) {
        Some(Measure::Earned { earned, counts }) => campaigns.iter().any(|campaign| {
            let counted = *counts == Counts::All || campaign.is_base;
            counted
                && campaign.rules.iter().any(|rule| {
                    rule.award.as_ref().is_some_and(|award| award.currency == *earned)
                        || (*counts == Counts::All
                            && rule.extra.as_ref().is_some_and(|extra| extra.currency == *earned))
                })
        }),
        _ => true,
    };
    let most = |name: &Id| -> Option<i64> {
        let (_, measure) = measures.iter().find(|(known, _)| known == name)?;
        let Measure::Earned { earned, .. } = measure else { return None };
        let limits = definition.limits.per_member.get(earned)?;
        match ladder.window {
            TierWindow::CalendarYear => limits.get(&crate::time::Window::Year).copied(),
            _ => None,
        }
    };
    for (place, level) in ladder.levels.iter().enumerate().skip(1).filter(|(_, level)| !level.by_invitation) {
        let reachable = level.at.of.iter().filter(|(measure, threshold)| {
            let within = most(measure).is_none_or(|most| Decimal::from(most) >= threshold.0);
            threshold.0 <= Decimal::ZERO || (feeds(measure) && within)
        });
        if reachable.count() < level.at.needed {
            let place = place.to_string();
            checker.warning(
                &["tiers", id.as_str(), "levels", &place, "at"],
                format!("nobody can reach `{}`: nothing that counts gives so much", level.id),
                "award what the ladder measures in a campaign with `earning: base`, or raise the limit",
            );
        }
    }
}

/// Money out for money in: what a purchase earns at the best level with all open extras, at the currency's value.
fn money_pump(definition: &Definition, campaigns: &[Campaign], checker: &mut Checker<'_>) {
    for campaign in campaigns.iter().filter(|campaign| campaign.is_base && campaign.trigger == *"purchase") {
        for (place, rule) in campaign.rules.iter().enumerate() {
            let Some(award) = &rule.award else { continue };
            if rule.each || !award.amount.facts.is_empty() || award.amount.constant().is_some() {
                continue;
            }
            let Some(value) = definition.currencies.get(&award.currency).and_then(|currency| currency.value) else {
                continue;
            };
            let paid = Amount::whole(100_000_000);
            let order = Order { total: paid, currency: definition.currency.as_str().into(), ..Order::default() };
            let fields = EventFields { event: award.amount.fields.event.clone(), ..EventFields::default() };
            let scope = EventScope::new(&fields, Some(&order), &[], &Facts::new(), None);
            scope.set_net(paid.to_decimal());
            let Ok(earned) = award.amount.number(scope.scope()) else { continue };
            let levels = definition.tiers.values().flat_map(|ladder| &ladder.levels);
            let rate = levels.filter_map(|level| level.rate.get(&award.currency)).map(|rate| rate.0).max();
            let rate = rate.unwrap_or(Decimal::ONE).max(Decimal::ONE);
            let extras = campaigns.iter().flat_map(|campaign| &campaign.rules).filter_map(|rule| rule.extra.as_ref());
            let mut extras = extras.filter(|extra| extra.currency == award.currency);
            let factor = extras.try_fold(rate, |factor, extra| {
                rate.checked_mul(extra.times - Decimal::ONE).and_then(|more| factor.checked_add(more))
            });
            let points = factor.and_then(|factor| earned.checked_mul(factor));
            let worth = points.and_then(|points| points.checked_mul(value.0));
            if worth.is_none_or(|worth| worth >= paid.to_decimal()) {
                let place = place.to_string();
                checker.warning(
                    &["campaigns", campaign.id.as_str(), "rules", &place, "award", "amount"],
                    format!(
                        "a money pump: at best {} {} for 100,000,000 {} are worth as much as was paid, or more",
                        points.map_or_else(|| "countless".to_owned(), |points| points.round().to_string()),
                        award.currency,
                        definition.currency
                    ),
                    "award less, or lower the currency's `value`",
                );
            }
        }
    }
}
