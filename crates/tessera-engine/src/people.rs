//! Changes of names, leaving and erasure on their way to the executor.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::code::Code;
use tessera_core::event::{Birthday, Claim, Freeze, NameKey, Removal, Renaming, SecondFact, What};
use tessera_core::id::MemberId;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError};

use crate::executor::{Context, Executor};
use crate::identifier::{Identifier, Subject};
use crate::keyed::{by_key, by_key_and};
use crate::programs::ProgramHandle;
use crate::record::own_key;
use crate::relay::WAITING;
use crate::secret::Secrets;
use crate::submission::Submission;

/// A wish to change the names under which a member is known.
#[derive(Clone, Debug, Default)]
pub struct NameChange {
    pub added: Option<Identifier>,
    pub removed: Option<Identifier>,
    pub why: Removal,
    /// Whether a one-time code to the new name was right. Whoever may write members is believed, until codes are sent
    /// and checked here.
    pub proof: bool,
    pub second: Option<Second>,
}

/// Something that only the member knows or has.
#[derive(Clone, Debug)]
pub enum Second {
    Name(Identifier),
    Birthday(Birthday),
}

impl Submission {
    /// Adds, removes or replaces a name. `key`: the caller's idempotency key.
    pub fn rename(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: MemberId,
        change: NameChange,
        key: &str,
        now: Instant,
    ) -> Self {
        let name = |identifier: &Identifier| NameKey {
            kind: identifier.kind().clone(),
            key: secrets.identifier_key(program.number, &identifier.to_text()),
        };
        let text = |identifier: &Option<Identifier>| identifier.as_ref().map(Identifier::to_text).unwrap_or_default();
        let second = match &change.second {
            Some(Second::Name(identifier)) => identifier.to_text(),
            Some(Second::Birthday(birthday)) => format!("birthday {:?}", birthday.0),
            None => String::new(),
        };
        let hashed = [text(&change.added), text(&change.removed), second, format!("{}{:?}", change.proof, change.why)];
        let kind = |identifier: &Option<Identifier>| {
            identifier.iter().map(|identifier| identifier.kind().as_str().to_owned()).collect::<Vec<_>>()
        };
        // Kinds alone: the names are personal.
        let mut data = json!({ "added": kind(&change.added), "removed": kind(&change.removed) });
        if change.removed.is_some() {
            data["why"] = change.why.word().into();
        }
        let renaming = Renaming {
            added: change.added.iter().map(|identifier| identifier.kind().clone()).collect(),
            removed: change.removed.iter().map(name).collect(),
            why: change.why,
            proof: change.proof,
            second: change.second.map(|second| match second {
                Second::Name(identifier) => SecondFact::Name { name: name(&identifier), is_own: false },
                Second::Birthday(birthday) => SecondFact::Birthday(birthday),
            }),
        };
        let submission = of_member(secrets, program, member, What::Rename(renaming), (&data, &hashed), key, now);
        Self { identifiers: change.added.into_iter().collect(), ..submission }
    }

    /// A guest's purchase is a member's. `key`: the caller's idempotency key.
    pub fn claim(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        code: &Code,
        key: &str,
        now: Instant,
    ) -> Self {
        let claim = Claim { code: code.as_str().into(), claimed_at: now, is_own_sale: false };
        let named = member.to_text().unwrap_or_default();
        let hashed = [named, code.as_str().to_owned()];
        let nobody = MemberId::from_bytes([0; 16]);
        let submission = of_member(secrets, program, nobody, What::Claim(claim), (&json!({}), &hashed), key, now);
        Self { subject: member, ..submission }
    }

    /// Freezes a member, or thaws them. `reason`: a word, or the id of a case. `key`: the caller's idempotency key.
    pub fn freeze(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        (freeze, by): (Freeze, &str),
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "reason": freeze.reason.as_str(), "by": by });
        by_key(secrets, program, member, What::Freeze(freeze), &data, key, now)
    }

    /// Ends a membership. `erase`: the person is forgotten too.
    pub fn leave(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: MemberId,
        erase: bool,
        key: &str,
        now: Instant,
    ) -> Self {
        of_member(secrets, program, member, What::Leave { erase }, (&json!({}), &[]), key, now)
    }
}

/// A command about one member. `hashed`: what besides the data makes it another command.
pub(crate) fn of_member(
    secrets: &Secrets,
    program: &Arc<ProgramHandle>,
    member: MemberId,
    what: What,
    (data, hashed): (&Value, &[String]),
    key: &str,
    now: Instant,
) -> Submission {
    by_key_and(secrets, program, Subject::Member(member), what, (data, hashed), key, now)
}

/// Kind of the outbox rows that say when a mark's time is over.
const FORGET: &str = "forget";

/// The outbox row that ends a mark.
pub(crate) fn end_of_mark((program, key): (i64, [u8; 16]), until: Instant) -> Row {
    let mut row = own_key(program, &key);
    let due = until.micros();
    row.extend([FORGET.into(), key.as_slice().into(), due.into(), 0.into(), WAITING.into(), "{}".into(), due.into()]);
    row
}

/// Marks of people who left go when their time is over (P3). Until then nobody is welcomed twice; after it, nothing tells
/// that they were here.
pub(crate) fn forget_marks(context: &Context, executor: &Executor, now: Instant) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT bucket, program, id FROM outbox WHERE state = {WAITING} AND due_at <= $1 AND kind = '{FORGET}'"
    );
    let due = context.database.read(|reader| reader.query(&sql, &[now.micros().into()]))?;
    if due.is_empty() {
        return Ok(());
    }
    executor.write(move |tx| {
        for key in &due {
            let params: Row = key.iter().cloned().chain([now.micros().into()]).collect();
            let found = "bucket = $1 AND program = $2";
            tx.execute(
                &format!("DELETE FROM member_identifier WHERE {found} AND key = $3 AND ends_at <= $4"),
                &params,
            )?;
            tx.execute(&format!("DELETE FROM outbox WHERE {found} AND id = $3 AND due_at <= $4"), &params)?;
        }
        Ok(())
    })
}
