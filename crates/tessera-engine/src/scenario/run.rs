//! Runs a scenario: step by step through the engine's own door, and the ledger verified in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tessera_core::code::Code;
use tessera_core::decide::{CartAsk, Effect, EffectKind, RuleTrace};
use tessera_core::event::{Merge, Origin, Redeem, Transfer};
use tessera_core::ledger::PartnerState;
use tessera_core::time::{Calendar, Instant};

use super::compare::Mismatch;
use super::expect::{Said, told};
use super::installation::Installation;
use super::read::Scenario;
use super::step::{Action, Doing, Step};
use super::{Afterwards, Failure};
use crate::EngineError;
use crate::engine::Engine;
use crate::executor::quote_cart;
use crate::identifier::Subject;
use crate::programs::{ProgramError, ProgramHandle, Publication};
use crate::query;
use crate::redemption::Waiting;
use crate::submission::{Answer, CloudEvent, Refusal, Submission};
use crate::verify::verify;

/// Runs the steps until one is not as expected. An error is none of the scenario's: the installation could not be used.
pub(super) fn run(
    scenario: &Scenario,
    database_url: Option<&str>,
    afterwards: Afterwards<'_>,
) -> Result<Vec<Failure>, EngineError> {
    let Some(first) = scenario.steps.first() else { return Ok(Vec::new()) };
    let installation = Installation::new(first.now, scenario.chance, database_url)?;
    let program = publish(&installation, &scenario.document.text, None)?;
    let mut redeemed = Redeemed::new();
    for (place, step) in scenario.steps.iter().enumerate() {
        let (mismatches, trace) = run_step(scenario, step, &installation, &program, &mut redeemed)?;
        if !mismatches.is_empty() {
            let why = trace.iter().map(|rule| told(&json!(rule))).collect();
            return Ok(vec![Failure { step: Some(place + 1), title: step.title.clone(), mismatches, why }]);
        }
    }
    Ok(verified(scenario, &installation, &program, afterwards)?.into_iter().collect())
}

fn run_step(
    scenario: &Scenario,
    step: &Step,
    installation: &Installation,
    program: &Arc<ProgramHandle>,
    redeemed: &mut Redeemed,
) -> Result<(Vec<Mismatch>, Vec<RuleTrace>), EngineError> {
    let calendar = &scenario.calendar;
    installation.clock.set(step.now);
    if scenario.wake_ups {
        installation.let_time_work()?;
    }
    let said = match &step.action {
        Action::Quote { subject, settings } => {
            let (holder, redeem) = super::together::payer(&installation.engine, program, subject, settings)?;
            quoted(&installation.engine, program, &holder, &redeem)?.map(|said| (said, Vec::new()))
        }
        Action::QuoteCart { subject, data, ask, id } => {
            let about = (subject, data, id.as_str());
            Some((quoted_cart(&installation.engine, program, about, ask, step.now)?, Vec::new()))
        }
        Action::MakeCodes { wanted, id } => {
            let made = super::cards::make_codes(&installation.engine, program, wanted, id, redeemed)?;
            made.err().map(|refusal| (Said::Refused(refusal), Vec::new()))
        }
        _ => match answer(step, installation, program, redeemed, calendar)? {
            None => None,
            Some(Answer::Unavailable) => {
                return Err(crate::StoreError::Unavailable("a step was not taken".to_owned()).into());
            }
            Some(Answer::Refused(refusal)) => Some((Said::Refused(refusal), Vec::new())),
            Some(Answer::Done { outcome, trace }) => {
                if let Action::Use { id, .. } = &step.action {
                    redeemed.insert(id.clone(), outcome.event_id.clone());
                }
                if let (Action::Redeem { id, .. } | Action::Pay { id, .. }, Some(redemption)) =
                    (&step.action, &outcome.redemption)
                {
                    redeemed.insert(id.clone(), redemption.id.to_string());
                }
                if let (Some(code), Some(order)) = (&outcome.claim_code, outcome.effects.iter().find_map(claimable)) {
                    redeemed.insert(receipt(order), code.to_string());
                }
                Some((Said::Done(outcome), trace))
            }
        },
    };
    let (mut mismatches, trace) = match said {
        None => (step.expectation.judge_silence(), Vec::new()),
        Some((said, trace)) => (step.expectation.judge_answer(&said, &trace, step.line, calendar), trace),
    };
    installation.relay()?;
    if scenario.wake_ups {
        installation.let_time_work()?;
    }
    mismatches.extend(step.expectation.judge_members(&installation.engine, program, calendar)?);
    Ok((mismatches, trace))
}

/// The order that an effect makes claimable.
fn claimable(effect: &Effect) -> Option<&str> {
    effect.order_id.as_deref().filter(|_| effect.kind == EffectKind::Claimable)
}

/// Under which name the claim code of an order is kept; no step has such an id.
fn receipt(order_id: &str) -> String {
    format!("receipt of {order_id}")
}

/// Redemptions by the id of the step that made each, and claim codes by their order.
type Redeemed = BTreeMap<String, String>;

/// What a redemption would be.
fn quoted(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
    redeem: &Redeem,
) -> Result<Option<Said>, EngineError> {
    let context = &engine.context;
    let found = match subject {
        Subject::Member(id) => Some(*id),
        subject => query::find_member(context, program, subject)?,
    };
    let quote = match found {
        Some(member) => query::quote_redemption(context, program, member, redeem)?,
        None => None,
    };
    Ok(Some(match quote {
        Some(Ok(quote)) => Said::Quoted(json!(quote)),
        Some(Err(refusal)) => Said::Refused(refusal),
        None => Said::Refused(Refusal::new("unknown-member", "nobody is known under this name")),
    }))
}

/// What a purchase would bring, and what its customer wants to know before.
fn quoted_cart(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    (subject, data, id): (&Subject, &serde_json::Value, &str),
    ask: &CartAsk,
    now: Instant,
) -> Result<Said, EngineError> {
    let data = super::vouchers::with_codes(engine, program, subject, data)?;
    let data = serde_json::value::to_raw_value(&data)
        .map_err(|error| crate::StoreError::Database(format!("a step's data have no JSON form: {error}")))?;
    let event = CloudEvent {
        specversion: Some("1.0".into()),
        id: id.into(),
        source: "scenario".into(),
        kind: "purchase".into(),
        subject: subject.to_text().map(Into::into),
        time: None,
        data: Some(&data),
    };
    let submission = match Submission::from_event(&engine.context.secrets, program, &event, now) {
        Ok(submission) => Submission { key: None, ..submission },
        Err(refusal) => return Ok(Said::Refused(refusal)),
    };
    Ok(match quote_cart(&engine.context, &submission, ask.clone())? {
        Some((Answer::Done { outcome, .. }, cart)) => {
            let (mut told, cart) = (json!(outcome), json!(cart));
            if let (Some(told), serde_json::Value::Object(cart)) = (told.as_object_mut(), cart) {
                told.extend(cart);
            }
            Said::Quoted(told)
        }
        Some((Answer::Refused(refusal), _)) => Said::Refused(refusal),
        Some((Answer::Unavailable, _)) | None => {
            return Err(crate::StoreError::Unavailable("a cart was not quoted".to_owned()).into());
        }
    })
}

/// Puts the redemptions that pay for an order in place of the names that the story has for them.
fn with_redemptions(data: &serde_json::Value, redeemed: &Redeemed) -> serde_json::Value {
    let mut data = data.clone();
    let payments = data.get_mut("payments").and_then(|payments| payments.as_array_mut());
    for payment in payments.into_iter().flatten() {
        let known = payment["redemption"].as_str().and_then(|name| redeemed.get(name)).cloned();
        if let Some(id) = known {
            payment["redemption"] = id.into();
        }
    }
    data
}

/// Does what a step does, and says what the engine answered; nothing where nothing is asked.
fn answer(
    step: &Step,
    installation: &Installation,
    program: &Arc<ProgramHandle>,
    redeemed: &Redeemed,
    calendar: &Calendar,
) -> Result<Option<Answer>, EngineError> {
    let engine = &installation.engine;
    let secrets = &engine.context.secrets;
    let submission = match &step.action {
        Action::Wait | Action::Quote { .. } | Action::QuoteCart { .. } | Action::MakeCodes { .. } => return Ok(None),
        Action::Publish { text } => {
            return match publish(installation, text, Some(program)) {
                Ok(_) => Ok(None),
                // Whether a document may follow another is the scenario's business, not the installation's.
                Err(EngineError::Program(error @ ProgramError::StillHeld { .. })) => {
                    Ok(Some(Answer::Refused(Refusal::new("still-held", error.to_string()))))
                }
                Err(EngineError::Program(error @ ProgramError::OtherProgram { .. })) => {
                    Ok(Some(Answer::Refused(Refusal::new("other-program", error.to_string()))))
                }
                Err(error) => Err(error),
            };
        }
        Action::Event { kind, subject, data, happened, id, source } => {
            let mut data = with_redemptions(data, redeemed);
            super::cards::with_made_codes(&mut data, redeemed);
            let mut data = super::vouchers::with_codes(engine, program, subject, &data)?;
            let brought = data.get("referred_by").and_then(|text| text.as_str()?.strip_prefix(super::step::BROUGHT_BY));
            let referrer = brought.and_then(|text| text.parse().ok());
            if let Some(referrer) = referrer
                && let Some(id) = crate::query::find_member(&engine.context, program, &referrer)?
            {
                let code = crate::referral::code(&engine.context, engine.executor(), program, id)?;
                data["referred_by"] = code.code.into();
            }
            let data = serde_json::value::to_raw_value(&data)
                .map_err(|error| crate::StoreError::Database(format!("a step's data have no JSON form: {error}")))?;
            let event = CloudEvent {
                specversion: Some("1.0".into()),
                id: id.into(),
                source: source.into(),
                kind: kind.into(),
                subject: subject.to_text().map(Into::into),
                time: happened.map(|happened| happened.to_string().into()),
                data: Some(&data),
            };
            Submission::from_event(secrets, program, &event, step.now)
        }
        Action::Adjust { subject, settings, id } => {
            Ok(super::adjusting::submission(engine, program, subject, settings, id, step.now)?)
        }
        Action::Join { subject, challenge, id } => {
            Ok(Submission::join_challenge(secrets, program, subject.clone(), challenge.clone(), id, step.now))
        }
        Action::Claim { subject, order_id, id } => match redeemed.get(&receipt(order_id)).map(|code| Code::parse(code))
        {
            Some(Ok(code)) => Ok(Submission::claim(secrets, program, subject.clone(), &code, id, step.now)),
            _ => Err(Refusal::new("unknown-claim-code", format!("no guest's purchase {order_id} came before"))),
        },
        Action::Leave { subject, erase, id } => match query::find_member(&engine.context, program, subject)? {
            Some(member) => Ok(Submission::leave(secrets, program, member, *erase, id, step.now)),
            None => Err(Refusal::new("unknown-member", "nobody is known under this name")),
        },
        Action::Freeze { subject, freeze, id } => {
            let freeze = (freeze.clone(), "scenario");
            Ok(Submission::freeze(secrets, program, subject.clone(), freeze, id, step.now))
        }
        Action::Merge { subject, from, undo, id } => {
            let own = |subject| query::own_id(&engine.context, program, subject);
            match own(subject)?.zip(own(from)?) {
                Some((survivor, from)) if *undo => {
                    Ok(Submission::unmerge(secrets, program, survivor, from, id, step.now))
                }
                Some((into, from)) => {
                    let merge = Merge { into, reason: None };
                    Ok(Submission::merge(secrets, program, from, merge, id, step.now))
                }
                None => Err(Refusal::new("unknown-member", "nobody is known under this name")),
            }
        }
        Action::Waitlist { subject, settings, id } => {
            let waiting = if settings.leave { Waiting::Leave } else { Waiting::Join };
            let about = (settings.reward.clone(), waiting);
            Ok(Submission::waiting(secrets, program, subject.clone(), about, id, step.now))
        }
        Action::Redeem { subject, settings, id } => {
            let (holder, redeem) = super::together::payer(engine, program, subject, settings)?;
            query::may_ask_for(&engine.context, program, &redeem)?
                .map(|()| Submission::redeem(secrets, program, holder, redeem, id, step.now))
        }
        Action::Card { wish, id } => super::cards::step(engine, program, wish, id, step.now),
        Action::Pay { pay, id } => {
            let redeem = pay.redemption(program).redeem();
            Ok(Submission::redeem(secrets, program, super::cards::card(&pay.card), redeem, id, step.now))
        }
        Action::UseCode { subject, settings, back, id } => {
            super::cards::code(redeemed, &settings.code).and_then(|code| {
                let (member, order_id) = (subject.clone(), settings.order_id.as_deref().map(Into::into));
                match back {
                    true => Ok(Submission::rollback_voucher(secrets, program, member, (code, order_id), id, step.now)),
                    false => Submission::redeem_voucher(secrets, program, member, (code, order_id, None), id, step.now),
                }
            })
        }
        Action::Transfer { subject, to, settings, id } => {
            let found = crate::query::find_member(&engine.context, program, to)?;
            let unknown = || Refusal::new("unknown-member", "nobody is known under this name");
            found.ok_or_else(unknown).map(|to| {
                let (currency, amount) = (settings.currency.clone(), settings.amount);
                let transfer = Transfer { to, currency, amount, message: None };
                Submission::transfer(secrets, program, subject.clone(), transfer, id, step.now)
            })
        }
        Action::Household { subject, who, settings, id } => {
            super::together::submission(engine, program, (subject, who), settings, id, step.now)?
        }
        Action::Use { subject, settings, id } => {
            let wish = settings.wish(calendar);
            Ok(Submission::use_benefit(secrets, program, subject.clone(), wish, id, step.now))
        }
        Action::UseBack { used, id } => {
            let known = redeemed.get(used).and_then(|known| known.parse().ok());
            known
                .map(|known| Submission::return_benefit(secrets, program, known, id, step.now))
                .ok_or_else(|| Refusal::new("unknown-benefit-use", format!("`{used}` was refused")))
        }
        Action::Tier { subject, settings, id } => {
            Ok(Submission::place_tier(secrets, program, subject.clone(), settings.wish(), id, step.now))
        }
        Action::OfRedemption { redemption, doing, id } => {
            let known = redeemed.get(redemption).and_then(|known| known.parse().ok());
            let submission = |known| match *doing {
                Doing::Step(what) => Submission::redemption_step(secrets, program, known, what, id, step.now),
                Doing::Partner(to) => {
                    let reason = (to == PartnerState::Refused).then_some("refused");
                    Submission::partner_step(secrets, program, known, (to, reason), id, step.now)
                }
                Doing::Fulfil(to) => Submission::fulfilment(secrets, program, known, (to, "scenario"), id, step.now),
            };
            known
                .map(submission)
                .ok_or_else(|| Refusal::new("unknown-redemption", format!("`{redemption}` was refused")))
        }
    };
    let answer = match submission {
        Ok(submission) => {
            // An adjustment has a key of its own.
            let key = submission.origin.key.clone().or_else(|| step.origin.key.clone());
            let origin = Origin { key, ..step.origin.clone() };
            engine.submit(Submission { explain: true, origin, ..submission })?
        }
        Err(refusal) => Answer::Refused(refusal),
    };
    Ok(Some(answer))
}

fn publish(
    installation: &Installation,
    text: &str,
    program: Option<&Arc<ProgramHandle>>,
) -> Result<Arc<ProgramHandle>, EngineError> {
    let publication = Publication {
        text: text.to_owned(),
        expected_key: program.map(|program| program.key.to_string()),
        by: "scenario".to_owned(),
        ..Publication::default()
    };
    Ok(installation.engine.publish(publication)?.0)
}

/// Every member folded again from the ledger gives what is stored.
fn verified(
    scenario: &Scenario,
    installation: &Installation,
    program: &Arc<ProgramHandle>,
    afterwards: Afterwards<'_>,
) -> Result<Option<Failure>, EngineError> {
    let found = verify(&installation.engine.context, program, &mut |_| {})?;
    let line = scenario.steps.last().map_or(1, |step| step.line);
    let mismatch = |difference: crate::verify::Difference| Mismatch {
        line,
        what: "verification".to_owned(),
        expected: "the stored state as the ledger gives it".to_owned(),
        found: difference.what,
    };
    let mut mismatches: Vec<Mismatch> = found.differences.into_iter().map(mismatch).collect();
    mismatches.extend(afterwards(&installation.engine.context, program)?.into_iter().map(|found| Mismatch {
        line,
        what: "what is left".to_owned(),
        expected: "nothing that is wrong".to_owned(),
        found,
    }));
    let title = "verification".to_owned();
    Ok((!mismatches.is_empty()).then_some(Failure { step: None, title, mismatches, why: Vec::new() }))
}
