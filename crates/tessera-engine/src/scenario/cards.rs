//! Gift cards and codes of a story. Codes are random, so a story has names for them: a card is called what its first step
//! calls it, and codes that are made together `cap-1`, `cap-2` and so on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::code::{LENGTH, normalise};
use tessera_core::program::{Exact, GIFT_CARD, Id, Kind, Node};
use tessera_core::quantity::Amount;
use tessera_core::time::{Calendar, Day, Instant};

use super::compare::{Mismatch, compare};
use super::step::Redemption;
use crate::engine::{Engine, EngineError};
use crate::gift_card::{CardCode, CardStep, card_subject};
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::query;
use crate::submission::{Refusal, Submission};
use crate::voucher::{BatchError, BatchKind, NewBatch, chunks, make_chunk, open_batch};

/// What is done with a gift card. Amounts are in the program's money.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CardWish {
    pub(super) card: String,
    #[serde(rename = "do", default)]
    pub(super) doing: CardDoing,
    pub(super) amount: Option<Exact>,
    pub(super) order_id: Option<String>,
    /// The name of the card that replaces it.
    pub(super) to: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CardDoing {
    #[default]
    Issue,
    TopUp,
    Block,
    Unblock,
    Void,
    Replace,
}

/// What is paid with a gift card.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pay {
    pub(super) card: String,
    pub(super) amount: Option<Exact>,
    pub(super) payable: Option<Exact>,
    pub(super) tender: Option<String>,
    pub(super) order_id: Option<String>,
    /// Spent at once, in place of being reserved.
    #[serde(default)]
    pub(super) capture: bool,
}

/// Codes of a voucher that are made together, or one that many share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeCodes {
    pub(super) voucher: Id,
    pub(super) count: Option<u64>,
    pub(super) length: Option<usize>,
    /// What the story calls them, with a number behind it; left out, as the voucher is called.
    pub(super) name: Option<String>,
    /// One code that many share, and how often it is good in all.
    pub(super) code: Option<String>,
    pub(super) total: Option<u64>,
    pub(super) expires_on: Option<Day>,
}

/// A code that a member uses by itself, or whose use is taken back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UseCode {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) code: String,
    pub(super) order_id: Option<String>,
}

/// The code of a card of the story, as if it were printed elsewhere.
fn code_of(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("STORY{:0>8}", letters.to_uppercase())
}

/// As whom a card of the story is addressed.
pub(super) fn card(name: &str) -> Subject {
    card_subject(&code_of(name)).unwrap_or(Subject::Nobody)
}

/// An amount in the smallest units of the program's money.
fn units(program: &ProgramHandle, amount: Option<Exact>) -> Result<i64, Refusal> {
    let wrong = || Refusal::new("invalid-request", "amount: no amount of the program's money");
    let amount = amount.map_or(Ok(Amount::ZERO), |amount| Amount::try_from(amount.0)).map_err(|_| wrong())?;
    program.versions().head().money.units(amount).ok_or_else(wrong)
}

/// What a step does with a card.
pub(super) fn step(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    wish: &CardWish,
    id: &str,
    now: Instant,
) -> Result<Submission, Refusal> {
    let order_id = wish.order_id.clone();
    let (subject, step) = match wish.doing {
        CardDoing::Issue => {
            let (code, amount) = (CardCode::printed(&code_of(&wish.card))?, units(program, wish.amount)?);
            (None, CardStep::Issue { code, amount, buyer: None, order_id })
        }
        CardDoing::TopUp => {
            (Some(card(&wish.card)), CardStep::TopUp { amount: units(program, wish.amount)?, order_id })
        }
        CardDoing::Block => (Some(card(&wish.card)), CardStep::Block { reason: None }),
        CardDoing::Unblock => (Some(card(&wish.card)), CardStep::Unblock),
        CardDoing::Void => (Some(card(&wish.card)), CardStep::Void { reason: None }),
        CardDoing::Replace => {
            let code = CardCode::printed(&code_of(wish.to.as_deref().unwrap_or_default()))?;
            (Some(card(&wish.card)), CardStep::Replace { code })
        }
    };
    Ok(Submission::gift_card(&engine.context.secrets, program, subject, step, id, now))
}

impl Pay {
    /// The redemption that it is. An amount that is none of the money is asked for as none, and refused.
    pub(super) fn redemption(&self, program: &ProgramHandle) -> Redemption {
        let points = self.amount.map(|amount| units(program, Some(amount)).unwrap_or_default());
        Redemption { points, ..self.as_written() }
    }

    pub(super) fn as_written(&self) -> Redemption {
        Redemption {
            _member: String::new(),
            reward: None,
            currency: Some(GIFT_CARD),
            points: None,
            payable: self.payable,
            tender: self.tender.clone(),
            order_id: self.order_id.clone(),
            capture: self.capture,
            proven: None,
            pool: false,
        }
    }
}

/// Codes by their name in the story: `code cap-1`.
type Known = BTreeMap<String, String>;

fn known_as(name: &str) -> String {
    format!("code {name}")
}

/// Makes the codes of a step, which are known by their names from then on.
pub(super) fn make_codes(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    wanted: &MakeCodes,
    id: &str,
    known: &mut Known,
) -> Result<Result<(), Refusal>, EngineError> {
    let shared = wanted.code.as_deref().and_then(|code| normalise(code).ok());
    let new = NewBatch {
        voucher: wanted.voucher.clone(),
        kind: if shared.is_some() { BatchKind::Shared } else { BatchKind::Made },
        name: String::new(),
        count: wanted.count.or(wanted.total).unwrap_or(0),
        length: wanted.length.unwrap_or(LENGTH),
        expires_on: wanted.expires_on,
        code: shared.clone(),
    };
    let batch = match open_batch(&engine.context, engine.executor(), program, (&new, id)) {
        Ok(batch) => batch,
        Err(BatchError::Refused(refusal)) => return Ok(Err(refusal)),
        Err(BatchError::Store(error)) => return Err(error.into()),
    };
    if shared.is_some() {
        return Ok(Ok(()));
    }
    let name = wanted.name.clone().unwrap_or_else(|| wanted.voucher.to_string());
    for numbers in chunks(batch.codes) {
        let from = numbers.start;
        let codes = match make_chunk(&engine.context, engine.executor(), program, (&batch, numbers)) {
            Ok(codes) => codes,
            Err(BatchError::Refused(refusal)) => return Ok(Err(refusal)),
            Err(BatchError::Store(error)) => return Err(error.into()),
        };
        for (number, code) in (from..).zip(codes) {
            known.insert(known_as(&format!("{name}-{number}")), code.to_string());
        }
    }
    Ok(Ok(()))
}

/// The code behind a name of the story, or the code itself.
pub(super) fn code(known: &Known, name: &str) -> Result<tessera_core::code::Normal, Refusal> {
    let code = known.get(&known_as(name)).map_or(name, String::as_str);
    normalise(code).map_err(|error| Refusal::new("invalid-request", format!("code: {error}")))
}

/// Puts codes in place of the names that the story has for them.
pub(super) fn with_made_codes(data: &mut Value, known: &Known) {
    for place in ["/vouchers", "/bought/vouchers"] {
        let codes = data.pointer_mut(place).and_then(Value::as_array_mut);
        for value in codes.into_iter().flatten() {
            if let Some(code) = value.as_str().and_then(|name| known.get(&known_as(name))) {
                *value = code.as_str().into();
            }
        }
    }
}

/// Holds what is on the cards of the story against what is expected.
pub(super) fn judge(
    engine: &Engine,
    program: &ProgramHandle,
    expected: &Node,
    calendar: &Calendar,
    found: &mut Vec<Mismatch>,
) -> Result<(), EngineError> {
    let Kind::Map(entries) = &expected.kind else { return Ok(()) };
    for (name, wanted) in entries {
        let shown = match query::gift_card(&engine.context, program, &card(&name.text))? {
            Ok(view) => json!(view),
            Err(refusal) => json!({ "status": refusal.code }),
        };
        compare(wanted, &shown, &format!("cards.{}", name.text), calendar, found);
    }
    Ok(())
}
