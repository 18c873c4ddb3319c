//! What a member had in another system: who they were there, their level, their points, their vouchers.
//!
//! A file's columns are flat and JSON is not, so `tiers.cup.level` and `{ "tiers": { "cup": { "level": … } } }` are one.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde_json::value::RawValue;

use super::{Birthday, DataProblem};
use crate::program::{Id, nearest};
use crate::quantity::{Amount, Points};
use crate::time::Day;

/// A member as they were elsewhere (L9). They have joined, and nobody welcomes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedIn {
    /// The day they joined there; left out, today.
    pub joined: Option<Day>,
    pub birthday: Option<Birthday>,
    pub tiers: BTreeMap<Id, MovedLevel>,
    /// Points without a lot of their own: dated as the document dates what is earned today. Below zero they are owed.
    pub balances: BTreeMap<Id, i64>,
    /// By currency that dies by inactivity, the last day it can be spent on.
    pub idle_until: BTreeMap<Id, Day>,
    pub purchases: u32,
    pub spend: Amount,
    pub first_purchase: Option<Day>,
    pub last_purchase: Option<Day>,
}

/// A member's place on one ladder, as it was elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedLevel {
    pub level: Id,
    /// The day it was reached; left out, today.
    pub since: Option<Day>,
    /// The last day it holds; left out, as if it was reached today.
    pub holds_until: Option<Day>,
    /// What counts so far in the period that runs.
    pub progress: Option<Amount>,
}

/// A voucher that another system issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedVoucher {
    pub voucher: Id,
    /// Its code there; left out, a new one.
    pub code: Option<CompactString>,
    /// The last day it is good on; left out, for ever.
    pub expires: Option<Day>,
}

const MEMBER_FIELDS: [&str; 9] =
    ["joined", "birthday", "tiers", "balances", "idle_until", "purchases", "spend", "first_purchase", "last_purchase"];
const LEVEL_FIELDS: [&str; 4] = ["level", "since", "holds_until", "progress"];
const VOUCHER_FIELDS: [&str; 3] = ["voucher", "code", "expires"];

pub(super) fn moved_in(data: &str) -> Result<MovedIn, DataProblem> {
    let mut moved = MovedIn::default();
    for Leaf { path, text } in leaves(data)? {
        let at = |message: String| DataProblem::new(format!("data.{path}"), message);
        let segments: Vec<&str> = path.split('.').collect();
        match segments.as_slice() {
            ["joined"] => moved.joined = Some(day(&text).map_err(at)?),
            ["birthday"] => moved.birthday = Some(text.parse::<Birthday>().map_err(|error| at(error.to_string()))?),
            ["first_purchase"] => moved.first_purchase = Some(day(&text).map_err(at)?),
            ["last_purchase"] => moved.last_purchase = Some(day(&text).map_err(at)?),
            ["purchases"] => {
                moved.purchases = text.parse().map_err(|_| at(format!("`{text}` is no number of purchases")))?;
            }
            ["spend"] => moved.spend = text.parse::<Amount>().map_err(|error| at(error.to_string()))?,
            ["balances", currency] => {
                let currency = currency.parse::<Id>().map_err(|error| at(error.to_string()))?;
                let amount = units(&text).map_err(at)?;
                moved.balances.insert(currency, amount);
            }
            ["idle_until", currency] => {
                let currency = currency.parse::<Id>().map_err(|error| at(error.to_string()))?;
                moved.idle_until.insert(currency, day(&text).map_err(at)?);
            }
            ["tiers", ladder, field] if LEVEL_FIELDS.contains(field) => {
                let ladder = ladder.parse::<Id>().map_err(|error| at(error.to_string()))?;
                let known = moved.tiers.entry(ladder).or_default();
                match *field {
                    "level" => known.level = text.parse::<Id>().map_err(|error| at(error.to_string()))?,
                    "since" => known.since = Some(day(&text).map_err(at)?),
                    "holds_until" => known.holds_until = Some(day(&text).map_err(at)?),
                    _ => known.progress = Some(text.parse::<Amount>().map_err(|error| at(error.to_string()))?),
                }
            }
            ["tiers", ..] => {
                return Err(at("a level is told as `level`, `since`, `holds_until`, `progress`".to_owned()));
            }
            [first, ..] => return Err(at(unknown(first, &MEMBER_FIELDS))),
            [] => {}
        }
    }
    if let Some((ladder, _)) = moved.tiers.iter().find(|(_, known)| known.level.as_str().is_empty()) {
        return Err(DataProblem::new(format!("data.tiers.{ladder}.level"), "is missing: which level it is"));
    }
    if let (Some(first), Some(last)) = (moved.first_purchase, moved.last_purchase)
        && last < first
    {
        return Err(DataProblem::new("data.last_purchase", format!("is {last}, before the first one, {first}")));
    }
    Ok(moved)
}

pub(super) fn moved_voucher(data: &str) -> Result<MovedVoucher, DataProblem> {
    let (mut voucher, mut code, mut expires) = (None, None, None);
    for Leaf { path, text } in leaves(data)? {
        let at = |message: String| DataProblem::new(format!("data.{path}"), message);
        match path.as_str() {
            "voucher" => voucher = Some(text.parse::<Id>().map_err(|error| at(error.to_string()))?),
            // Shown as it was there; found however it is typed.
            "code" => {
                crate::voucher::normalise(&text).map_err(|error| at(error.to_string()))?;
                code = Some(CompactString::from(text.trim()));
            }
            "expires" => expires = Some(day(&text).map_err(at)?),
            other => return Err(at(unknown(other, &VOUCHER_FIELDS))),
        }
    }
    let voucher = voucher.ok_or_else(|| DataProblem::new("data.voucher", "is missing: which voucher it is"))?;
    Ok(MovedVoucher { voucher, code, expires })
}

fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown field; did you mean `{near}`?"),
        None => format!("unknown field; there are: {}", known.join(", ")),
    }
}

fn day(text: &str) -> Result<Day, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no day such as 2026-03-31"))
}

/// A whole number of a currency's units, however it is written.
fn units(text: &str) -> Result<i64, String> {
    let most = Points::MAX.get();
    let number = text.trim().parse::<i64>().ok().filter(|number| (-most..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is no balance: a whole number is expected, below zero for what is owed"))
}

/// A value of the data with its path; `null` and objects without anything in them are none.
struct Leaf {
    path: String,
    text: String,
}

fn leaves(data: &str) -> Result<Vec<Leaf>, DataProblem> {
    let mut found = Vec::new();
    gather("", data, &mut found, 0)?;
    Ok(found)
}

/// How deep a member's data are nested at the most.
const DEEP: usize = 4;

fn gather(path: &str, raw: &str, found: &mut Vec<Leaf>, depth: usize) -> Result<(), DataProblem> {
    let wrong = |message: &str| {
        let at = if path.is_empty() { "data".to_owned() } else { format!("data.{path}") };
        DataProblem::new(at, message)
    };
    match raw.trim_start().as_bytes().first() {
        Some(b'{') if depth < DEEP => {
            let fields: BTreeMap<String, &RawValue> =
                serde_json::from_str(raw).map_err(|_| wrong("a JSON object is expected"))?;
            for (name, value) in fields {
                let inner = if path.is_empty() { name } else { format!("{path}.{name}") };
                gather(&inner, value.get(), found, depth + 1)?;
            }
        }
        Some(b'"') => {
            let text = serde_json::from_str(raw).map_err(|_| wrong("a text is expected"))?;
            found.push(Leaf { path: path.to_owned(), text });
        }
        Some(b'0'..=b'9' | b'-') if depth > 0 => {
            found.push(Leaf { path: path.to_owned(), text: raw.trim().to_owned() })
        }
        Some(b'n') if depth > 0 => {}
        _ => {
            return Err(wrong(if depth == 0 { "a JSON object is expected" } else { "a text or a number is expected" }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l9_flat_columns_and_nested_data_are_one() {
        let flat = r#"{"joined": "2020-01-31", "balances.bean": "12", "tiers.cup.level": "copper", "tiers.cup.since": "2025-01-01", "spend": "12.50"}"#;
        let nested = r#"{"joined": "2020-01-31", "balances": {"bean": 12}, "tiers": {"cup": {"level": "copper", "since": "2025-01-01", "holds_until": null}}, "spend": 12.5}"#;
        let read = moved_in(flat);
        assert_eq!(read, moved_in(nested));
        assert_eq!(read.map(|moved| moved.balances.len()), Ok(1));
    }

    #[test]
    fn l9_what_cannot_be_says_where() {
        let cases = [
            (r#"{"joind": "2020-01-31"}"#, "data.joind: unknown field; did you mean `joined`?"),
            (r#"{"joined": "31.01.2020"}"#, "data.joined: `31.01.2020` is no day"),
            (r#"{"balances.bean": "5.5"}"#, "data.balances.bean: `5.5` is no balance"),
            (r#"{"balances.bean": "1e3"}"#, "is no balance"),
            (r#"{"tiers.cup.since": "2020-01-31"}"#, "data.tiers.cup.level: is missing"),
            (r#"{"tiers.cup": "gold"}"#, "data.tiers.cup: a level is told as"),
            (r#"{"purchases": "many"}"#, "data.purchases"),
            (r#"{"spend": true}"#, "data.spend: a text or a number"),
            (r#"{"first_purchase": "2021-01-01", "last_purchase": "2020-01-01"}"#, "before the first one"),
            (r#"{"birthday": "1990-13-01"}"#, "data.birthday"),
            ("[]", "data: a JSON object"),
        ];
        for (data, message) in cases {
            let problem = moved_in(data).map_err(|problem| problem.to_string());
            assert!(problem.as_ref().is_err_and(|problem| problem.contains(message)), "{data}: {problem:?}");
        }
        let voucher = |data: &str| moved_voucher(data).map_err(|problem| problem.to_string());
        assert!(voucher("{}").is_err_and(|problem| problem.contains("data.voucher: is missing")));
        assert!(voucher(r#"{"voucher": "cake", "code": "A-1"}"#).is_err_and(|problem| problem.contains("data.code")));
    }
}
