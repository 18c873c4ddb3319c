use tessera_core::id::MemberId;
use tessera_core::member::{MemberState, Status};
use tessera_store::{Reader, StoreError, Value};

use crate::executor::Context;
use crate::identifier::{Identifier, NAME_REPLACED, Subject};
use crate::programs::{ProgramHandle, member_id};
use crate::record::{member_key, own_key, state_from_bytes};
use crate::report::whole_profile;

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
        // A gift card is nobody.
        Subject::Identifier(identifier) if identifier.is_gift_card() => Ok(Located::Nobody),
        Subject::Identifier(identifier) => by_identifier(context, reader, program, identifier),
        Subject::Nobody => Ok(Located::Nobody),
    })
}

/// Who a member is by now, if they were merged (P2).
pub(super) fn survivor(
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    member: MemberId,
) -> Result<MemberId, StoreError> {
    let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3 AND status = $4";
    let mut now = member;
    for _ in 0..=MemberState::MERGED_MAX {
        let mut key = member_key(program.number, now);
        key.push(Status::Merged.code().into());
        let rows = reader.query(sql, &key)?;
        let Some(row) = rows.first() else { return Ok(now) };
        match state_from_bytes(row[0].bytes()?)?.into {
            Some(into) => now = into,
            None => return Ok(now),
        }
    }
    Ok(member)
}

fn by_id(reader: &mut Reader<'_>, program: &ProgramHandle, id: MemberId) -> Result<Located, StoreError> {
    let id = survivor(reader, program, id)?;
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
    match led_to(rows.first().map(|row| (&row[0], &row[1])))? {
        Located::Member(id) => Ok(Located::Member(survivor(reader, program, id)?)),
        other => Ok(other),
    }
}

/// Whom the row of a name leads to by itself: its columns `member` and `state`.
pub(super) fn led_to(row: Option<(&Value, &Value)>) -> Result<Located, StoreError> {
    let Some((member, state)) = row else { return Ok(Located::Nobody) };
    Ok(match state.opt_int()? {
        None => Located::Member(member_id(member.bytes()?)?),
        Some(NAME_REPLACED) => Located::Replaced,
        // The mark of somebody who left tells nobody that they were here.
        Some(_) => Located::Nobody,
    })
}

/// Whom a name or an id leads to by itself, whoever they were merged into.
pub fn own_id(context: &Context, program: &ProgramHandle, subject: &Subject) -> Result<Option<MemberId>, StoreError> {
    let identifier = match subject {
        Subject::Member(id) => return Ok(Some(*id)),
        Subject::Identifier(identifier) if !identifier.is_gift_card() => identifier,
        _ => return Ok(None),
    };
    let key = context.secrets.identifier_key(program.number, &identifier.to_text());
    let sql = "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3 AND state IS NULL";
    let rows = context.database.read(|reader| reader.query(sql, &own_key(program.number, &key)))?;
    rows.first().map(|row| member_id(row[0].bytes()?)).transpose()
}

/// Every name a member is known under, `kind:value`, the first first.
pub fn identifiers(context: &Context, program: &ProgramHandle, id: MemberId) -> Result<Vec<String>, StoreError> {
    context.database.read(|reader| match super::member::settled(context, reader, program, id)? {
        Some(state) => Ok(whole_profile(context, reader, program.number, &state)?.identifiers),
        None => Ok(Vec::new()),
    })
}
