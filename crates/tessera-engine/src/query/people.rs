use tessera_core::id::MemberId;
use tessera_core::member::Status;
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::identifier::{Identifier, NAME_REPLACED, Subject};
use crate::programs::{ProgramHandle, member_id};
use crate::record::{member_key, own_key};
use crate::report::profile_of;

/// Whom a name or an id leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    Member(MemberId),
    /// They were a member, and left.
    Left,
    /// Another name took this one's place.
    Replaced,
    Nobody,
}

/// The member a caller names; `None` where there is none. The shadow of a guest's order is nobody.
pub fn find_member(
    context: &Context,
    program: &ProgramHandle,
    subject: &Subject,
) -> Result<Option<MemberId>, StoreError> {
    Ok(match locate(context, program, subject)? {
        Located::Member(id) => Some(id),
        _ => None,
    })
}

/// The member a caller names, or why there is none.
pub fn locate(context: &Context, program: &ProgramHandle, subject: &Subject) -> Result<Located, StoreError> {
    context.database.read(|reader| match subject {
        Subject::Member(id) => by_id(reader, program, *id),
        Subject::Identifier(identifier) => by_identifier(context, reader, program, identifier),
        Subject::Nobody => Ok(Located::Nobody),
    })
}

fn by_id(reader: &mut Reader<'_>, program: &ProgramHandle, id: MemberId) -> Result<Located, StoreError> {
    let sql = "SELECT status FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
    let rows = reader.query(sql, &member_key(program.number, id))?;
    let status = rows.first().map(|row| row[0].int()).transpose()?;
    Ok(match status {
        Some(code) if code == Status::Active.code() => Located::Member(id),
        Some(code) if code == Status::Left.code() => Located::Left,
        _ => Located::Nobody,
    })
}

fn by_identifier(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    identifier: &Identifier,
) -> Result<Located, StoreError> {
    let key = context.secrets.identifier_key(program.number, &identifier.to_text());
    let sql = "SELECT member, state FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3";
    let rows = reader.query(sql, &own_key(program.number, &key))?;
    let Some(row) = rows.first() else { return Ok(Located::Nobody) };
    Ok(match row[1].opt_int()? {
        None => Located::Member(member_id(row[0].bytes()?)?),
        Some(NAME_REPLACED) => Located::Replaced,
        // The mark of somebody who left tells nobody that they were here.
        Some(_) => Located::Nobody,
    })
}

/// Every name a member is known under, `kind:value`, the first first.
pub fn identifiers(context: &Context, program: &ProgramHandle, id: MemberId) -> Result<Vec<String>, StoreError> {
    context.database.read(|reader| Ok(profile_of(context, reader, program.number, id)?.identifiers))
}
