//! An adjustment as it is kept while it waits, and afterwards.

use tessera_core::id::{EventId, MemberId};
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Database, Row, StoreError, Tx, Value};

use super::{AdjustmentView, By, State, Wanted};
use crate::executor::Executor;
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{number, unsigned};
use crate::submission::Refusal;

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) hash: Vec<u8>,
    pub(super) member: MemberId,
    pub(super) state: State,
    pub(super) currency: Id,
    pub(super) amount: i64,
    pub(super) reason: String,
    pub(super) note: Option<String>,
    pub(super) undoes: Option<u64>,
    pub(super) asked: By,
    pub(super) asked_at: Instant,
    pub(super) ends_at: Option<Instant>,
    pub(super) decided: Option<By>,
    pub(super) decided_at: Option<Instant>,
    pub(super) event: Option<u64>,
    pub(super) refusal: Option<Refusal>,
}

/// The columns of `adjustment` behind the program, in the order rows are read.
pub(super) const COLUMNS: &str = "id, hash, member, state, currency, amount, reason, note, undoes, asked_by, asked_name, asked_role, staff, asked_at, ends_at, decided_by, decided_name, decided_at, event_seq, refusal";

impl Kept {
    pub(super) fn new(
        id: String,
        hash: Vec<u8>,
        member: MemberId,
        wanted: &Wanted,
        state: State,
        now: Instant,
        ends_at: Option<Instant>,
    ) -> Self {
        Self {
            id,
            hash,
            member,
            state,
            currency: wanted.currency.clone(),
            amount: wanted.amount,
            reason: wanted.reason.clone(),
            note: wanted.note.clone(),
            undoes: wanted.undoes.map(|event| event.seq),
            asked: wanted.by.clone(),
            asked_at: now,
            ends_at,
            decided: None,
            decided_at: None,
            event: None,
            refusal: None,
        }
    }

    pub(super) fn from_row(row: &[Value]) -> Result<Self, StoreError> {
        let corrupt = |column: &'static str| StoreError::corrupt("adjustment", column, "not a value of ours");
        let text = |place: usize| Ok::<_, StoreError>(row[place].opt_text()?.map(str::to_owned));
        let code = row[3].int()?;
        let role = |role: Option<&str>| role.map(str::parse::<Id>).transpose();
        let decided = text(15)?.map(|key| By { key, ..By::default() });
        let name = text(16)?.unwrap_or_default();
        Ok(Self {
            id: row[0].text()?.to_owned(),
            hash: row[1].bytes()?.to_vec(),
            member: member_id(row[2].bytes()?)?,
            state: State::ALL.into_iter().find(|state| state.code() == code).ok_or_else(|| corrupt("state"))?,
            currency: row[4].text()?.parse().map_err(|_| corrupt("currency"))?,
            amount: row[5].int()?,
            reason: row[6].text()?.to_owned(),
            note: text(7)?,
            undoes: row[8].opt_int()?.map(unsigned),
            asked: By {
                key: row[9].text()?.to_owned(),
                name: row[10].text()?.to_owned(),
                role: role(row[11].opt_text()?).map_err(|_| corrupt("asked_role"))?,
                staff: text(12)?,
            },
            asked_at: Instant::from_micros(row[13].int()?),
            ends_at: row[14].opt_int()?.map(Instant::from_micros),
            decided: decided.map(|decided| By { name, ..decided }),
            decided_at: row[17].opt_int()?.map(Instant::from_micros),
            event: row[18].opt_int()?.map(unsigned),
            refusal: row[19].opt_text()?.and_then(|text| serde_json::from_str(text).ok()),
        })
    }

    fn row(&self, program: i64) -> Row {
        vec![
            program.into(),
            self.id.as_str().into(),
            self.hash.as_slice().into(),
            self.member.as_bytes().as_slice().into(),
            self.state.code().into(),
            self.currency.as_str().into(),
            self.amount.into(),
            self.reason.as_str().into(),
            self.note.clone().into(),
            self.undoes.map(number).into(),
            self.asked.key.as_str().into(),
            self.asked.name.as_str().into(),
            self.asked.role.as_ref().map(ToString::to_string).into(),
            self.asked.staff.clone().into(),
            self.asked_at.micros().into(),
            self.ends_at.map(Instant::micros).into(),
            Value::Null,
            Value::Null,
            Value::Null,
            self.event.map(number).into(),
            Value::Null,
        ]
    }

    pub(super) fn state_at(&self, now: Instant) -> State {
        match self.state {
            State::Waiting if self.ends_at.is_some_and(|end| end <= now) => State::Expired,
            state => state,
        }
    }

    /// As it was asked for, under a key of its own for the door: what was refused for want of a second person is
    /// decided anew.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            member: Subject::Member(self.member),
            currency: self.currency.clone(),
            amount: self.amount,
            reason: self.reason.clone(),
            note: None,
            undoes: self.undoes.map(|seq| EventId { member: self.member, seq }),
            by: self.asked.clone(),
            key: self.id.clone(),
        }
    }

    pub(super) fn view(&self, now: Instant) -> AdjustmentView {
        let event = |seq: u64| EventId { member: self.member, seq }.to_string();
        AdjustmentView {
            id: self.id.clone(),
            state: self.state_at(now),
            member: self.member.to_string(),
            currency: self.currency.to_string(),
            amount: self.amount,
            reason: self.reason.clone(),
            note: self.note.clone(),
            undoes: self.undoes.map(event),
            asked_by: self.asked.name.clone(),
            role: self.asked.role.as_ref().map(ToString::to_string),
            staff: self.asked.staff.clone(),
            asked_at: self.asked_at,
            ends_at: self.ends_at,
            decided_by: self.decided.as_ref().map(|decided| decided.name.clone()),
            decided_at: self.decided_at,
            event_id: self.event.map(event),
            refusal: self.refusal.clone(),
        }
    }
}

pub(super) fn find(database: &Database, program: &ProgramHandle, id: &str) -> Result<Option<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM adjustment WHERE program = $1 AND id = $2");
    let rows = database.read(|reader| reader.query(&sql, &[program.number.into(), id.into()]))?;
    rows.first().map(|row| Kept::from_row(row)).transpose()
}

/// Keeps one, if it is not kept yet.
pub(super) fn keep(executor: &Executor, program: &ProgramHandle, kept: &Kept) -> Result<(), StoreError> {
    let row = kept.row(program.number);
    let places: Vec<String> = (1..=row.len()).map(|place| format!("${place}")).collect();
    let insert =
        format!("INSERT INTO adjustment (program, {COLUMNS}) VALUES ({}) ON CONFLICT DO NOTHING", places.join(", "));
    executor.write(move |tx: &mut Tx<'_>| tx.execute(&insert, &row))?;
    Ok(())
}
