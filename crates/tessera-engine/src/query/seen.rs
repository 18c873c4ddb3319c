//! Several members seen in one read of the database, each as if alone.

use std::collections::HashMap;
use std::sync::Arc;

use tessera_core::decide;
use tessera_core::id::MemberId;
use tessera_core::member::Status;
use tessera_store::{Reader, Row, StoreError, Table, tables};

use super::member::{MemberView, view};
use super::people::{self, Located};
use crate::executor::Context;
use crate::identifier::{Identifier, Subject};
use crate::profile::Profile;
use crate::programs::ProgramHandle;
use crate::record::{member_key, own_key, state_from_bytes};
use crate::report::{profile_of_row, whole_profile};

/// Whom somebody asks about.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub program: Arc<ProgramHandle>,
    pub subject: Subject,
}

/// What is seen of whom somebody asks about.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Settled to now.
    Member(Box<MemberView>),
    /// There is no member, and why.
    Not(Located),
}

/// What each of these would see. They share one read, which costs more than what it finds.
pub fn see(context: &Context, wanted: &[Wanted]) -> Result<Vec<Seen>, StoreError> {
    context.database.read_again(|reader| {
        let found = Found::read(context, reader, wanted)?;
        wanted.iter().map(|one| found.see(context, reader, one)).collect()
    })
}

/// Rows by their keys.
#[derive(Default)]
struct Found {
    names: HashMap<Row, Row>,
    members: HashMap<Row, Row>,
    profiles: HashMap<Row, Row>,
}

impl Found {
    fn read(context: &Context, reader: &mut Reader<'_>, wanted: &[Wanted]) -> Result<Self, StoreError> {
        let named = |one: &Wanted| match &one.subject {
            Subject::Identifier(name) => Some(name_key(context, &one.program, name)),
            _ => None,
        };
        let names: Vec<Row> = wanted.iter().filter_map(named).collect();
        let names = rows_by_key(reader, &tables::MEMBER_IDENTIFIER, &names)?;
        let mut found = Self { names, ..Self::default() };
        let mut keys = Vec::new();
        for one in wanted {
            if let Located::Member(id) = found.locate(context, one)? {
                keys.push(member_key(one.program.number, id));
            }
        }
        found.members = rows_by_key(reader, &tables::MEMBER, &keys)?;
        found.profiles = rows_by_key(reader, &tables::MEMBER_PROFILE, &keys)?;
        Ok(found)
    }

    /// Whom a name or an id leads to, whoever they were merged into.
    fn locate(&self, context: &Context, wanted: &Wanted) -> Result<Located, StoreError> {
        match &wanted.subject {
            Subject::Member(id) => Ok(Located::Member(*id)),
            // A gift card is nobody.
            Subject::Identifier(name) if name.is_gift_card() => Ok(Located::Nobody),
            Subject::Identifier(name) => {
                let row = self.names.get(&name_key(context, &wanted.program, name));
                people::led_to(row.map(|row| (&row[NAME_KEY], &row[NAME_KEY + 1])))
            }
            Subject::Nobody => Ok(Located::Nobody),
        }
    }

    fn see(&self, context: &Context, reader: &mut Reader<'_>, wanted: &Wanted) -> Result<Seen, StoreError> {
        let program = &wanted.program;
        let located = self.locate(context, wanted)?;
        let Located::Member(id) = located else { return Ok(Seen::Not(located)) };
        let key = member_key(program.number, id);
        let Some(row) = self.members.get(&key) else { return Ok(Seen::Not(Located::Nobody)) };
        let state = state_from_bytes(row[MEMBER_STATE].bytes()?)?;
        match state.status {
            Status::Active => {}
            Status::Left => return Ok(Seen::Not(Located::Left)),
            Status::Merged => return self.see_survivor(context, reader, program, id),
            Status::Guest | Status::GiftCard | Status::Household => return Ok(Seen::Not(Located::Nobody)),
        }
        let state = decide::settled_to(&program.versions(), &state, context.clock.now());
        // Whoever was merged has something to add.
        let profile = match (self.profiles.get(&key), state.merged_now().next()) {
            (_, Some(_)) => whole_profile(context, reader, program.number, &state)?,
            (Some(row), None) => profile_of_row(context, &row[key.len()], &row[key.len() + 1])?,
            (None, None) => Profile::default(),
        };
        Ok(Seen::Member(Box::new(view(context, program, profile, &state))))
    }

    /// The few who were merged cost reads of their own.
    fn see_survivor(
        &self,
        context: &Context,
        reader: &mut Reader<'_>,
        program: &Arc<ProgramHandle>,
        id: MemberId,
    ) -> Result<Seen, StoreError> {
        let now = people::survivor(reader, program, id)?;
        if now == id {
            return Ok(Seen::Not(Located::Nobody));
        }
        let wanted = Wanted { program: program.clone(), subject: Subject::Member(now) };
        Self::read(context, reader, std::slice::from_ref(&wanted))?.see(context, reader, &wanted)
    }
}

/// Columns of the key of a name, and the place of a member's state.
const NAME_KEY: usize = 3;
const MEMBER_STATE: usize = 6;

fn name_key(context: &Context, program: &ProgramHandle, name: &Identifier) -> Row {
    own_key(program.number, &context.secrets.identifier_key(program.number, &name.to_text()))
}

fn rows_by_key(reader: &mut Reader<'_>, table: &'static Table, keys: &[Row]) -> Result<HashMap<Row, Row>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = reader.fetch_by_keys(table, keys)?;
    Ok(rows.into_iter().map(|row| (row[..table.key].to_vec(), row)).collect())
}
