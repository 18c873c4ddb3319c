//! Gift cards on their way to the executor. A card is found by the keyed hash of its code; the code itself is nowhere
//! but in the sealed profile of the card.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::code::{Code, CodeError};
use tessera_core::event::{CardPart, GiftCardStep, REWARD_CARD, RewardCard, What};
use tessera_core::id::EventId;
use tessera_core::time::Instant;

use crate::identifier::{Identifier, Subject};
use crate::keyed::by_key_and;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::{Refusal, Submission};

/// What is done with a card, as its caller says it. Amounts are in the smallest units of the program's money.
#[derive(Clone, Debug)]
pub enum CardStep {
    Issue {
        /// The code: of a card that was printed elsewhere, or one of our own.
        code: CardCode,
        amount: i64,
        /// Who bought it, and with which order.
        buyer: Option<String>,
        order_id: Option<String>,
    },
    /// A card of another system, with what is on it.
    MoveIn {
        code: CardCode,
        /// At least one, each with a day of its own.
        parts: Vec<CardPart>,
    },
    TopUp {
        amount: i64,
        order_id: Option<String>,
    },
    Block {
        reason: Option<String>,
    },
    Unblock,
    /// What is on it goes for good.
    Void {
        reason: Option<String>,
    },
    /// The balance goes on under another code.
    Replace {
        code: CardCode,
    },
}

/// A card's code, and whether the caller chose it.
#[derive(Clone)]
pub struct CardCode {
    identifier: Identifier,
    shown: String,
    given: bool,
}

impl std::fmt::Debug for CardCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardCode").field("given", &self.given).finish_non_exhaustive()
    }
}

/// The shortest and the longest code of a card that was printed elsewhere, in symbols without spaces and dashes.
const PRINTED: (usize, usize) = (8, 40);

impl CardCode {
    /// A code of our own for an idempotency key: a retry gets the same.
    pub fn fresh(secrets: &Secrets, program: i64, key: &str) -> Self {
        let code = Code::from_entropy(secrets.code_entropy(program, "gift-card", key));
        // A code is letters and digits, so it is always a name.
        let identifier = Identifier::gift_card(code.as_str()).unwrap_or_else(|_| unreachable!("a code is a name"));
        Self { identifier, shown: code.to_string(), given: false }
    }

    /// A code that stands on a card printed elsewhere.
    ///
    /// # Errors
    /// When it could be guessed or mistaken for something else.
    pub fn printed(text: &str) -> Result<Self, Refusal> {
        let identifier = of_code(text).filter(|identifier| {
            let symbols = identifier.value();
            (PRINTED.0..=PRINTED.1).contains(&symbols.len())
                && symbols.bytes().all(|symbol| symbol.is_ascii_alphanumeric())
        });
        let (least, most) = PRINTED;
        let refusal = || {
            let detail =
                format!("code: {least} to {most} letters and digits are expected; spaces and dashes do not count");
            Refusal::new("invalid-event", detail).with("path", "code")
        };
        let identifier = identifier.ok_or_else(refusal)?;
        Ok(Self { identifier, shown: text.trim().to_owned(), given: true })
    }

    /// The whole name of the card.
    pub(crate) fn name(&self) -> String {
        self.identifier.to_text()
    }

    /// What is stored of it: enough to know it again, and nothing to pay with.
    pub(crate) fn key(&self, secrets: &Secrets, program: i64) -> [u8; 16] {
        secrets.identifier_key(program, &self.name())
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::Identifier(self.identifier.clone())
    }

    /// As it is printed and shown to whom it belongs.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// A card as its caller names it: by its code, or by its id where the code is not at hand.
pub fn card_subject(text: &str) -> Result<Subject, Refusal> {
    if text.starts_with("mem_") {
        return text.parse().map(Subject::Member).map_err(|_| unknown_gift_card());
    }
    of_code(text).map(Subject::Identifier).ok_or_else(unknown_gift_card)
}

/// A card by its code alone: whoever pays has it.
pub fn paying_card(text: &str) -> Result<Subject, Refusal> {
    of_code(text).map(Subject::Identifier).ok_or_else(unknown_gift_card)
}

fn of_code(text: &str) -> Option<Identifier> {
    (text.len() <= 100).then(|| Identifier::gift_card(text).ok()).flatten()
}

/// Nobody has this code.
pub fn unknown_gift_card() -> Refusal {
    Refusal::new("unknown-gift-card", "there is no gift card of this code in this program")
}

/// The same, saying where the code was mistyped.
pub fn unknown_code(text: &str) -> Refusal {
    let symbols = text.chars().filter(|symbol| !tessera_core::code::is_separator(*symbol)).count();
    match Code::parse(text) {
        // Cards printed elsewhere have codes of any kind: only what is as long as ours is judged by our rules.
        Err(problem @ (CodeError::Check | CodeError::Symbol { .. })) if symbols == Code::LENGTH => {
            Refusal::new("unknown-gift-card", format!("there is no gift card of this code: {problem}"))
                .with("mistyped", true)
        }
        _ => unknown_gift_card(),
    }
}

/// This code paid once, and another does now.
pub fn replaced_gift_card() -> Refusal {
    Refusal::new("gift-card-replaced", "this gift card was replaced: its balance is under the code of the new one")
}

impl Submission {
    /// Makes a card. `key`: the caller's idempotency key.
    pub fn gift_card(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        card: Option<Subject>,
        step: CardStep,
        key: &str,
        now: Instant,
    ) -> Self {
        let hash_of = |code: &CardCode| secrets.identifier_key(program.number, &code.identifier.to_text());
        let mut identifiers = Vec::new();
        // The code stands in no event. Whether the caller gave the same again is told by its hash.
        let mark = |code: &CardCode| if code.given { crate::secret::hex(&hash_of(code)) } else { String::new() };
        let (step, data, mark, made) = match step {
            CardStep::Issue { code, amount, buyer, order_id } => {
                let data =
                    object([("amount", Some(amount.into())), ("buyer", text(buyer)), ("order_id", text(order_id))]);
                let issue = GiftCardStep::Issue { code: hash_of(&code), amount };
                (issue, data, mark(&code), Some(code.identifier))
            }
            CardStep::MoveIn { code, parts } => {
                let data = match parts.as_slice() {
                    [one] => json!(one),
                    _ => json!({ "amount": parts.iter().map(|part| part.amount).sum::<i64>(), "parts": &parts }),
                };
                let moved = GiftCardStep::MoveIn { code: hash_of(&code), parts };
                (moved, data, mark(&code), Some(code.identifier))
            }
            CardStep::TopUp { amount, order_id } => {
                let data = object([("amount", Some(amount.into())), ("order_id", text(order_id))]);
                (GiftCardStep::TopUp { amount }, data, String::new(), None)
            }
            CardStep::Block { reason } => {
                (GiftCardStep::Block, object([("reason", text(reason))]), String::new(), None)
            }
            CardStep::Void { reason } => (GiftCardStep::Void, object([("reason", text(reason))]), String::new(), None),
            CardStep::Unblock => (GiftCardStep::Unblock, json!({}), String::new(), None),
            CardStep::Replace { code } => {
                let replace = GiftCardStep::Replace { code: hash_of(&code) };
                let mark = mark(&code);
                identifiers.push(code.identifier);
                (replace, json!({}), mark, None)
            }
        };
        let subject = card.or(made.map(Subject::Identifier)).unwrap_or(Subject::Nobody);
        let what = What::GiftCard(step);
        // A code of our own follows from the key; one that is given is part of what is asked.
        let named = if what.makes_gift_card() { Subject::Nobody } else { subject.clone() };
        let submission = by_key_and(secrets, program, named, what, (&data, &[mark]), key, now);
        Self { subject, identifiers, ..submission }
    }
}

/// The code of the card that a redemption gave: it follows from the redemption, and lies nowhere.
pub(crate) fn reward_code(secrets: &Secrets, program: i64, redemption: EventId) -> CardCode {
    CardCode::fresh(secrets, program, &format!("reward/{redemption}"))
}

/// What a member's redemption causes at a card, and the card it is about: its making, or its end.
pub(crate) fn reward_card(secrets: &Secrets, program: i64, kind: &str, data: &str) -> Option<(What, Subject)> {
    let is_new = kind == REWARD_CARD;
    if !is_new && kind != "gift-card-take-back" {
        return None;
    }
    let card: RewardCard = serde_json::from_str(data).ok()?;
    let code = reward_code(secrets, program, card.redemption);
    let issue =
        GiftCardStep::Issue { code: secrets.identifier_key(program, &code.identifier.to_text()), amount: card.amount };
    let what = if is_new { What::GiftCard(issue) } else { What::GiftCardTakeBack(card) };
    Some((what, Subject::Identifier(code.identifier)))
}

fn text(value: Option<String>) -> Option<Value> {
    value.map(Value::from)
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}
