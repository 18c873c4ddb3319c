//! What is forgotten of people who are erased.

use tessera_core::decide::{Memory, Record};
use tessera_core::id::MemberId;
use tessera_core::member::Change;
use tessera_store::{Row, StoreError, Tx};

use super::load::Key;
use crate::identifier::NAME_LEFT;
use crate::record::{member_key, own_key};

/// Members whose personal data go.
pub(super) fn forget(tx: &mut Tx<'_>, erased: &[(i64, MemberId)]) -> Result<(), StoreError> {
    for (program, member) in erased {
        let key = member_key(*program, *member);
        tx.execute("DELETE FROM member_profile WHERE bucket = $1 AND program = $2 AND member = $3", &key)?;
        // The secret of their card, and codes sent to them.
        tx.execute("DELETE FROM possession WHERE bucket = $1 AND program = $2 AND member = $3", &key)?;
        undate(tx, &key)?;
        // What they told when they joined, such as the year they were born.
        tx.execute(
            "UPDATE event SET payload = '{\"data\":{}}' WHERE bucket = $1 AND program = $2 AND member = $3 \
             AND type IN ('enrol', 'profile', 'move-in')",
            &key,
        )?;
        // What colleagues noted about them.
        let (_, of_program) = key.split_at(1);
        tx.execute("UPDATE adjustment SET note = NULL WHERE program = $1 AND member = $2", of_program)?;
        tx.execute("UPDATE case_file SET note = NULL WHERE program = $1 AND member = $2", of_program)?;
    }
    Ok(())
}

/// Takes a member's birthday out of their events: of what these changed, and of what a merge brought with it. The erasure,
/// which comes last, forgets it in the state too, so what is folded from the rest is the same.
fn undate(tx: &mut Tx<'_>, key: &Row) -> Result<(), StoreError> {
    let corrupt =
        |column: &'static str| move |error: serde_json::Error| StoreError::corrupt("event", column, error.to_string());
    let sql = "SELECT seq, record, payload FROM event WHERE bucket = $1 AND program = $2 AND member = $3 \
               AND (record LIKE '%\"birthday%' OR record LIKE '%\"gift\"%' OR type IN ('merge-in', 'merge-back'))";
    for row in tx.query(sql, key)? {
        let mut record: Record = serde_json::from_str(row[1].text()?).map_err(corrupt("record"))?;
        let of_birthday = |change: &Change| {
            matches!(change, Change::Birthday { .. } | Change::BirthdayNext { .. } | Change::Gift { .. })
        };
        record.changes.retain(|change| !of_birthday(change));
        let mut record = serde_json::to_value(&record).map_err(corrupt("record"))?;
        undate_states(&mut record);
        let told: serde_json::Value = serde_json::from_str(row[2].text()?).map_err(corrupt("payload"))?;
        let mut undated = told.clone();
        undate_states(&mut undated);
        let payload = if undated == told { row[2].clone() } else { undated.to_string().into() };
        let mut params = key.clone();
        params.extend([row[0].clone(), record.to_string().into(), payload]);
        let update = "UPDATE event SET record = $5, payload = $6 \
                      WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = $4";
        tx.execute(update, &params)?;
    }
    Ok(())
}

/// Takes the birthday out of every member's state that stands in a text.
fn undate_states(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            if fields.contains_key("birthday_since") {
                for name in ["birthday", "birthday_since", "birthday_next"] {
                    fields.remove(name);
                }
                fields.insert("gifts".to_owned(), serde_json::Value::Array(Vec::new()));
            }
            fields.values_mut().for_each(undate_states);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(undate_states),
        _ => {}
    }
}

/// The same out of what is remembered under names.
pub(super) fn forget_birthdays(tx: &mut Tx<'_>, marks: &[Key]) -> Result<(), StoreError> {
    for (program, key) in marks {
        let key = own_key(*program, key);
        let found = format!("bucket = $1 AND program = $2 AND key = $3 AND state = {NAME_LEFT}");
        let rows = tx.query(&format!("SELECT memory FROM member_identifier WHERE {found}"), &key)?;
        let Some(text) = rows.first().map(|row| row[0].opt_text()).transpose()?.flatten() else { continue };
        let memory: Memory = serde_json::from_str(text).unwrap_or_default();
        let mut params = key;
        params.push(serde_json::to_string(&memory.without_birthdays()).ok().into());
        tx.execute(&format!("UPDATE member_identifier SET memory = $4 WHERE {found}"), &params)?;
    }
    Ok(())
}
