//! Settings that are spelt right and that nothing would act on. They are refused with what would act, so that nobody
//! waits for what never comes. Versions that are published already keep them: see [`load_program`](super::load_program).

use super::compile::Campaign;
use super::definition::*;
use super::limits::Limits;
use super::validate::Checker;
use super::{Base, Id};
use crate::event::{BUILT_IN_TYPES, DERIVED_TRIGGERS, ITEM_FIELDS, MEMBERSHIP_TYPES, PURCHASE_FIELDS, is_reserved};

const CLUBS: &str = "who comes and goes runs the campaigns of `club-joined` and `club-ended`";

/// Event types that no campaign runs on, and why.
const WITHOUT_CAMPAIGNS: [(&str, &str); 9] = [
    ("return", "a return takes back what the purchase earned"),
    ("exchange", "its new purchase runs the campaigns of `purchase`"),
    ("amend", "the order is worked out again by the campaigns of `purchase`"),
    ("profile", "a birthday that it tells runs the campaigns of `birthday`"),
    ("membership-fee", CLUBS),
    ("membership-trial", CLUBS),
    ("membership-payment-failed", CLUBS),
    ("membership-cancel", CLUBS),
    ("membership-refund", CLUBS),
];

pub(super) fn refuse(definition: &Definition, campaigns: &[Campaign], checker: &mut Checker<'_>) {
    unlinked_returns(definition, checker);
    for (id, currency) in &definition.currencies {
        self::currency(definition, id, currency, checker);
    }
    for (id, ladder) in &definition.tiers {
        self::ladder(definition, id.as_str(), ladder, checker);
    }
    for (id, event) in &definition.events {
        self::event(id.as_str(), event, checker);
    }
    for campaign in campaigns {
        self::campaign(definition, campaign, checker);
    }
    if definition.stacking.extras_max.is_some() && definition.stacking.extras != Extras::Product {
        checker.suggest(
            &["stacking", "extras_max"],
            "only `extras: product` has a most".to_owned(),
            "leave it out, or set `extras: product`",
        );
    }
}

fn unlinked_returns(definition: &Definition, checker: &mut Checker<'_>) {
    if definition.unlinked_returns.policy == UnlinkedPolicy::Match {
        return;
    }
    for key in ["within", "unmatched"] {
        if checker.has(&["unlinked_returns", key]) {
            checker.suggest(
                &["unlinked_returns", key],
                format!("`{key}` is for `policy: match`"),
                "leave it out, or set `policy: match`",
            );
        }
    }
}

fn currency(definition: &Definition, id: &Id, currency: &CurrencyDefinition, checker: &mut Checker<'_>) {
    let expires = ["currencies", id.as_str(), "expires"];
    let at = |key: &'static str| [expires[0], expires[1], expires[2], key];
    if matches!(currency.expires, Expires::Fixed { .. }) && checker.has(&at("round")) {
        checker.suggest(&at("round"), "a fixed date is not rounded".to_owned(), "leave `round` out");
    }
    match &currency.expires {
        Expires::Inactivity { moved_by, .. } => {
            for kind in moved_by {
                // Points that are spent move it too.
                if *kind != *"redemption" {
                    happens(definition, &at("moved_by"), kind, checker);
                }
            }
        }
        _ if checker.has(&at("moved_by")) => {
            let message = "only `inactivity` is moved by events".to_owned();
            checker.suggest(&at("moved_by"), message, "leave `moved_by` out, or set `inactivity`");
        }
        _ => {}
    }
    let pending = ["currencies", id.as_str(), "pending"];
    for key in ["expiry_counts_from", "counts_to_tiers"] {
        let path = [pending[0], pending[1], pending[2], key];
        if !currency.pending.waits() && checker.has(&path) {
            let message = format!("nothing waits, so `{key}` does nothing");
            checker.suggest(&path, message, "say how long with `for`, or until which event with `until`");
        }
    }
}

/// Counting and moving dates is done by purchases and by the document's own events.
fn happens(definition: &Definition, path: &[&str], kind: &Id, checker: &mut Checker<'_>) {
    let is_built_in = BUILT_IN_TYPES.contains(&kind.as_str()) || MEMBERSHIP_TYPES.contains(&kind.as_str());
    if is_built_in && *kind != *"purchase" {
        let own: Vec<&str> = definition.events.keys().map(Id::as_str).filter(|own| *own != "purchase").collect();
        let own = if own.is_empty() { "one of your own events".to_owned() } else { own.join(", ") };
        checker.suggest(
            path,
            format!("events of type `{kind}` are not counted here"),
            &format!("use `purchase` or {own}"),
        );
    }
}

fn ladder(definition: &Definition, id: &str, ladder: &LadderDefinition, checker: &mut Checker<'_>) {
    let single = ladder.measure.iter().map(|measure| (vec!["tiers", id, "measure"], measure));
    let several = ladder.measures.iter();
    let several = several.map(|(name, measure)| (vec!["tiers", id, "measures", name.as_str()], measure));
    for (path, measure) in single.chain(several) {
        let Measure::Events { events } = measure else { continue };
        happens(definition, &path, events, checker);
        let counts = [path.as_slice(), &["counts"]].concat();
        if checker.has(&counts) {
            checker.suggest(&counts, "events have no base points".to_owned(), "leave `counts` out");
        }
    }
    let crosses = matches!(ladder.measure, Some(Measure::Earned { .. } | Measure::Spend));
    if ladder.crossing == Crossing::Marginal && !crosses {
        checker.suggest(
            &["tiers", id, "crossing"],
            "`marginal` needs one measure, of points or `spend`: an event has no parts".to_owned(),
            "leave `crossing` out",
        );
    }
}

fn event(id: &str, event: &EventDefinition, checker: &mut Checker<'_>) {
    if is_reserved(id) && !BUILT_IN_TYPES.contains(&id) && !DERIVED_TRIGGERS.contains(&id) {
        checker.suggest(
            &["events", id],
            format!("`{id}` is a name of the program's own"),
            "choose another, such as your own word for it",
        );
    }
    if id != "purchase" {
        return;
    }
    let of_items = ITEM_FIELDS.iter().map(|(name, ..)| *name);
    for (part, fields) in [("data", &event.data), ("item", &event.item)] {
        for name in fields.keys().map(Id::as_str) {
            let known = match part {
                "data" => {
                    PURCHASE_FIELDS.iter().any(|(known, ..)| *known == name)
                        || ["items", "payments", "exchange_rate", "net"].contains(&name)
                }
                _ => of_items.clone().any(|known| known == name),
            };
            if known {
                checker.suggest(
                    &["events", id, part, name],
                    format!("every purchase has `{name}` already"),
                    "leave it out, or choose another name",
                );
            }
        }
    }
}

fn campaign(definition: &Definition, campaign: &Campaign, checker: &mut Checker<'_>) {
    let id = campaign.id.as_str();
    let Some(written) = definition.campaigns.get(&campaign.id) else { return };
    if let Some((trigger, why)) = WITHOUT_CAMPAIGNS.iter().find(|(trigger, _)| campaign.trigger == **trigger) {
        checker.suggest(
            &["campaigns", id, "trigger"],
            format!("no campaign runs on `{trigger}`: {why}"),
            "use purchase, enrol, birthday, balance, tier, tier-left, club-joined, club-ended or an event of your own",
        );
    }
    if campaign.is_base && campaign.holdout.is_some() {
        checker.suggest(
            &["campaigns", id, "holdout"],
            "base earning is a promise to everybody, nobody is held out of it".to_owned(),
            "set `earning: bonus`, or leave `holdout` out",
        );
    }
    for currency in written.budget.keys() {
        let of_rule = |rule: &RuleDefinition| {
            rule.award.as_ref().is_some_and(|award| award.currency == *currency)
                || rule.extra.as_ref().is_some_and(|extra| extra.currency == *currency)
        };
        if !written.rules.iter().any(of_rule) {
            checker.suggest(
                &["campaigns", id, "budget", currency.as_str()],
                format!("the campaign gives no {currency}"),
                "leave it out of the budget",
            );
        }
    }
    limit(&["campaigns", id, "limit"], written.limit.as_ref(), &campaign.limits, gives_points(&written.rules), checker);
    for (place, (rule, compiled)) in written.rules.iter().zip(&campaign.rules).enumerate() {
        let place = place.to_string();
        let path = ["campaigns", id, "rules", place.as_str()];
        let at = |rest: &[&'static str]| -> Vec<&str> { path.iter().copied().chain(rest.iter().copied()).collect() };
        limit(
            &at(&["limit"]),
            rule.limit.as_ref(),
            &compiled.limits,
            gives_points(std::slice::from_ref(rule)),
            checker,
        );
        let is_purchase = campaign.trigger == *"purchase";
        if is_purchase && rule.spend.is_some() && (rule.award.is_some() || rule.extra.is_some()) {
            checker.suggest(
                &at(&["spend"]),
                "a return of the purchase could not undo points that are spent for points".to_owned(),
                "spend them in a campaign with `trigger: balance`",
            );
        }
        chance(&path, rule, campaign, checker);
        if let Some(award) = rule.award.as_ref().filter(|_| !is_purchase) {
            let lines = (award.per == RoundPer::Line, "per", "only a purchase has lines to round");
            let net = (
                award.base.is_some_and(|base: Base| base != definition.base),
                "base",
                "only a purchase has an `event.net`",
            );
            for (_, key, why) in [lines, net].into_iter().filter(|(is_there, ..)| *is_there) {
                checker.suggest(&at(&["award", key]), why.to_owned(), "leave it out");
            }
        }
    }
}

/// What is drawn is a gift on top: base earning is a promise, and nothing is multiplied, spent or carried over by chance.
fn chance(path: &[&str], rule: &RuleDefinition, campaign: &Campaign, checker: &mut Checker<'_>) {
    let Some(chance) = rule.chance else { return };
    let at = [path, &["chance"]].concat();
    let carries = rule.award.as_ref().is_some_and(|award| award.fraction == Fraction::Carry);
    if campaign.is_base {
        let message = "base earning is a promise to everybody and left to no chance".to_owned();
        checker.suggest(&at, message, "set `earning: bonus`");
    } else if rule.extra.is_some() || rule.spend.is_some() || carries {
        let message = "a surprise is given, not multiplied, spent or carried over".to_owned();
        checker.suggest(&at, message, "leave `extra`, `spend` and `fraction: carry` out");
    }
    if chance.decimal().is_zero() || chance.decimal().normalize().scale() > 6 {
        let message = "a chance is above 0, in millionths".to_owned();
        checker.suggest(&at, message, "write it with at most 6 decimals, such as 0.05");
    }
}

fn gives_points(rules: &[RuleDefinition]) -> bool {
    rules.iter().any(|rule| rule.award.is_some() || rule.extra.is_some())
}

/// One event is one time anyway, and what gives no points has none to cut.
fn limit(path: &[&str], written: Option<&Limit>, compiled: &Limits, gives_points: bool, checker: &mut Checker<'_>) {
    let Some(written) = written else { return };
    if let Some(cap) = compiled.per_event {
        let at = [path, &["per_event"]].concat();
        if !gives_points {
            let message = "there are no points to cut, and one event is one time anyway".to_owned();
            checker.suggest(&at, message, "leave it out");
        } else if cap.counts_times {
            checker.suggest(
                &at,
                "this counts times, and one event is one time anyway".to_owned(),
                &format!("for at most {} points of one event say `per_event: {{ points: {} }}`", cap.max, cap.max),
            );
        }
    }
    let kept: Vec<(&str, crate::time::Window)> = compiled
        .per_member
        .iter()
        .map(|(window, _)| ("per_member", *window))
        .chain(compiled.program.iter().map(|(window, _)| ("program", *window)))
        .collect();
    for (scope, window) in &kept {
        let caps = if *scope == "per_member" { &compiled.per_member } else { &compiled.program };
        let counts_points = caps.iter().any(|(known, cap)| known == window && !cap.counts_times);
        if counts_points && !gives_points {
            let at = [path, &[*scope, window.name()]].concat();
            checker.suggest(&at, "there are no points to cut".to_owned(), "say how often: `{ times: 4 }`");
        }
    }
    if written.returns_give_back.is_some() && kept.is_empty() {
        let at = [path, &["returns_give_back"]].concat();
        checker.suggest(&at, "there is no limit over a window whose room could go back".to_owned(), "leave it out");
    }
}
