use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::decide::{self, Entitlement};
use tessera_core::event::Situation;
use tessera_core::member::Status;
use tessera_core::program::{Id, Program, UseOnReturn, UseWindow};
use tessera_core::time::Period;
use tessera_store::StoreError;

use super::member::settled;
use super::people::find_member;
use crate::executor::Context;
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// A benefit that a member has, as a till sees it.
#[derive(Clone, Debug, Serialize)]
pub struct EntitlementView {
    #[serde(flatten)]
    pub entitlement: Entitlement,
    pub name: Option<String>,
    pub text: Option<String>,
    /// Whether it can be used now, as far as what was asked says.
    pub usable: bool,
    /// Why not.
    pub refused: Option<Refusal>,
}

/// Every benefit that a member has now, in the order of their names; `None` where there is no such member. One read of
/// the member's row.
pub fn entitlements(
    context: &Context,
    program: &ProgramHandle,
    subject: &Subject,
    situation: &Situation,
    language: &str,
) -> Result<Option<Vec<EntitlementView>>, StoreError> {
    let id = match subject {
        Subject::Member(id) => Some(*id),
        subject => find_member(context, program, subject)?,
    };
    let Some(id) = id else { return Ok(None) };
    let state = context.database.read(|reader| settled(context, reader, program, id))?;
    let Some(state) = state.filter(|state| state.status == Status::Active) else { return Ok(None) };
    let now = context.clock.now();
    let rules = program.versions().at(now).clone();
    let view = |entitlement: Entitlement| {
        let definition = rules.benefit(entitlement.benefit.as_str()).map(|benefit| &benefit.definition);
        let refused: Option<Refusal> = entitlement.refused.clone().map(Into::into);
        EntitlementView {
            name: definition.and_then(|benefit| benefit.name.in_language(language)).map(str::to_owned),
            text: definition.and_then(|benefit| benefit.text.in_language(language)).map(str::to_owned),
            usable: refused.is_none(),
            refused,
            entitlement,
        }
    };
    Ok(Some(decide::entitlements(&rules, &state, situation, now).into_iter().map(view).collect()))
}

/// A benefit of the program, in every language of the document: for pages, apps and machines.
#[derive(Clone, Debug, Serialize)]
pub struct BenefitView {
    pub id: Id,
    pub name: BTreeMap<String, String>,
    pub text: BTreeMap<String, String>,
    pub kind: Option<Id>,
    pub per: BTreeMap<UseWindow, i64>,
    pub when: Option<String>,
    pub on_return: UseOnReturn,
    pub opens: Option<Period>,
    pub partner: Option<Id>,
    /// The levels that have it, from the lowest up, ladder by ladder.
    pub levels: Vec<LevelOf>,
    /// The clubs that have it.
    pub plans: Vec<Id>,
    /// The campaigns that grant it.
    pub campaigns: Vec<Id>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LevelOf {
    pub ladder: Id,
    pub level: Id,
    pub name: BTreeMap<String, String>,
}

/// Every benefit of a program, in the order of their names, and who has it.
pub fn benefits(rules: &Program) -> Vec<BenefitView> {
    let definition = &rules.definition;
    let view = |id: &Id| {
        let benefit = definition.benefits.get(id)?;
        let levels = definition.tiers.iter().flat_map(|(ladder, rules)| {
            let with_it = rules.levels.iter().filter(|level| level.benefits.contains(id));
            with_it.map(|level| LevelOf {
                ladder: ladder.clone(),
                level: level.id.clone(),
                name: level.name.by_language().clone(),
            })
        });
        let grants = |rule: &tessera_core::program::RuleDefinition| {
            rule.grant.as_ref().is_some_and(|grant| grant.benefit == *id)
        };
        let plans = definition.membership.plans.iter().filter(|(_, plan)| plan.benefits.contains(id));
        let campaigns = definition.campaigns.iter().filter(|(_, campaign)| campaign.rules.iter().any(grants));
        Some(BenefitView {
            id: id.clone(),
            name: benefit.name.by_language().clone(),
            text: benefit.text.by_language().clone(),
            kind: benefit.kind.clone(),
            per: benefit.per.clone(),
            when: benefit.when.as_ref().map(|when| when.0.trim().to_owned()),
            on_return: benefit.on_return,
            opens: benefit.opens,
            partner: benefit.partner.clone(),
            levels: levels.collect(),
            plans: plans.map(|(id, _)| id.clone()).collect(),
            campaigns: campaigns.map(|(id, _)| id.clone()).collect(),
        })
    };
    definition.benefits.keys().filter_map(view).collect()
}
