//! A mapping held against a file's columns: how rows become one event.

use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tessera_core::program::{FieldKind, nearest};
use tessera_core::quantity::Amount;
use tessera_core::time::{Calendar, Day, Instant};

use super::condition::RowCondition;
use super::mapping::{Field, Mapping, MappingError, Missing, MissingTime, SumField, Summed};
use super::rows::{Columns, Row};
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// The code of refusals that the mapping asks for: they are meant, so nothing is to be corrected.
pub(super) const BY_MAPPING: &str = "refused-by-mapping";

/// The fact of a refusal that says which line of the file is at fault.
pub(super) const FILE_LINE: &str = "file_line";

/// A mapping with its columns found in the file.
pub(super) struct Plan<'a> {
    mapping: &'a Mapping,
    columns: &'a Columns,
    pub group: Option<usize>,
    id: usize,
    time: Option<(usize, TimeZone)>,
    subject: Option<usize>,
    returns: Option<RowCondition>,
    refuse: Option<RowCondition>,
    kinds: HashMap<String, FieldKind>,
    /// Where a day alone is a day of the program.
    days: Option<Calendar>,
}

/// One event as the file tells it.
pub(super) struct RawEvent {
    pub kind: String,
    pub id: String,
    pub time: Option<Instant>,
    pub subject: Option<String>,
    pub data: String,
}

/// Fields that are amounts on every purchase.
const AMOUNTS: [&str; 9] =
    ["total", "tax", "shipping", "tip", "discount", "exchange_rate", "quantity", "unit_price", "amount"];

impl<'a> Plan<'a> {
    pub fn new(mapping: &'a Mapping, columns: &'a Columns, program: &ProgramHandle) -> Result<Self, MappingError> {
        let place = |name: &str| {
            let place = columns.place(name).ok_or_else(|| {
                let hint = hint(name, columns);
                MappingError::NoColumn { column: name.to_owned(), hint }
            })?;
            match columns.names.iter().filter(|other| *other == name).count() {
                0 | 1 => Ok(place),
                _ => Err(MappingError::TwoColumns(name.to_owned())),
            }
        };
        for column in mapping.columns() {
            place(column)?;
        }
        let event = &mapping.event;
        let versions = program.versions();
        let definition = &versions.head().definition;
        let time = match &event.time {
            None => None,
            Some(time) => {
                let zone = time.zone.as_deref().unwrap_or(&definition.timezone);
                let zone = TimeZone::get(zone).map_err(|_| MappingError::Zone(zone.to_owned()))?;
                Some((place(&time.column)?, zone))
            }
        };
        let declared = definition.events.get(event.kind.as_str());
        let kinds = declared.into_iter().flat_map(|declared| declared.data.iter().chain(&declared.item));
        let condition = |when: &str| RowCondition::new(when, columns);
        Ok(Self {
            mapping,
            columns,
            group: event.group_by.as_deref().map(place).transpose()?,
            id: place(&event.id)?,
            time,
            subject: event.subject.as_ref().map(|subject| place(&subject.column)).transpose()?,
            returns: mapping.returns.as_ref().map(|returns| condition(&returns.when)).transpose()?,
            refuse: mapping.refuse.as_ref().map(|refuse| condition(&refuse.when)).transpose()?,
            kinds: kinds.map(|(name, field)| (name.to_string(), field.kind)).collect(),
            days: (event.kind == "import").then(|| versions.head().calendar.clone()),
        })
    }

    pub fn event(&self, rows: &[Row]) -> Result<RawEvent, Refusal> {
        let Some(first) = rows.first() else { return Err(Refusal::new("invalid-line", "no line")) };
        if let (Some(condition), Some(refuse)) = (&self.refuse, &self.mapping.refuse)
            && condition.holds(first)?
        {
            return Err(Refusal::new(BY_MAPPING, refuse.reason.clone()));
        }
        let is_return = self.returns.as_ref().map_or(Ok(false), |condition| condition.holds(first))?;
        let kind = if is_return { "return" } else { self.mapping.event.kind.as_str() };
        // The first line's time counts; whose event it is must be said once.
        let differs = self.subject.and_then(|place| rows.iter().find(|row| row.values[place] != first.values[place]));
        if let Some(other) = differs {
            let detail = format!("line {}: its member differs from line {} of the same event", other.line, first.line);
            return Err(Refusal::new("lines-disagree", detail).with(FILE_LINE, other.line));
        }
        Ok(RawEvent {
            kind: kind.to_owned(),
            id: first.values[self.id].clone(),
            time: self.time_of(first)?,
            subject: self.subject_of(first)?,
            data: self.data(rows, is_return)?,
        })
    }

    fn time_of(&self, row: &Row) -> Result<Option<Instant>, Refusal> {
        let Some((place, zone)) = &self.time else { return Ok(None) };
        let text = row.values[*place].trim();
        let missing = self.mapping.event.time.as_ref().map(|time| time.missing);
        if text.is_empty() && missing == Some(MissingTime::Now) {
            return Ok(None);
        }
        if let Ok(instant) = text.parse::<Instant>() {
            return Ok(Some(instant));
        }
        // The day a lot was earned is a day of the program, from its cut-off.
        if let (Some(calendar), Ok(day)) = (&self.days, text.parse::<Day>()) {
            return Ok(Some(calendar.start(day)));
        }
        let civil: Option<DateTime> = text.parse().ok();
        let resolved = civil.and_then(|civil| zone.to_ambiguous_timestamp(civil).compatible().ok());
        resolved
            .map(|timestamp| Some(Instant::from(timestamp)))
            .ok_or_else(|| self.bad(row, *place, "a time such as 2026-03-31T23:59:00 is expected"))
    }

    fn subject_of(&self, row: &Row) -> Result<Option<String>, Refusal> {
        let (Some(place), Some(subject)) = (self.subject, &self.mapping.event.subject) else { return Ok(None) };
        let value = row.values[place].trim();
        match (value.is_empty(), subject.missing) {
            (false, _) => Ok(Some(format!("{}:{value}", subject.kind))),
            (true, Missing::Guest) => Ok(None),
            (true, Missing::Refuse) => Err(self.bad(row, place, "the member is missing")),
        }
    }

    fn bad(&self, row: &Row, place: usize, problem: &str) -> Refusal {
        let column = self.columns.names.get(place).map_or("?", String::as_str);
        Refusal::new("invalid-line", format!("line {}, column {column}: {problem}", row.line)).with(FILE_LINE, row.line)
    }

    fn data(&self, rows: &[Row], is_return: bool) -> Result<String, Refusal> {
        let mut data = String::with_capacity(64 + rows.len() * 64);
        data.push('{');
        let first = &rows[0];
        for (name, field) in &self.mapping.data {
            // A return names no order of its own: the number of a credit note is not an order's.
            let skipped =
                is_return && !matches!(name.as_str(), "currency" | "total" | "location" | "channel" | "staff");
            if skipped {
                continue;
            }
            let value = match field {
                Field::Sum(SumField { sum }) => {
                    let total: Amount =
                        rows.iter().map(|row| self.summed(row, sum)).sum::<Result<Amount, Refusal>>()?;
                    Some(if is_return { total.abs() } else { total }.to_string())
                }
                field => self.value(first, name, field)?,
            };
            push(&mut data, name, value.as_deref());
        }
        if !self.mapping.item.is_empty() {
            data.push_str("\"items\":[");
            for row in rows {
                data.push('{');
                for (name, field) in &self.mapping.item {
                    let value = self.value(row, name, field)?;
                    let value = if is_return { value.map(|value| turned(name, value)) } else { value };
                    push(&mut data, name, value.as_deref());
                }
                close(&mut data, '}');
                data.push(',');
            }
            close(&mut data, ']');
            data.push(',');
        }
        close(&mut data, '}');
        Ok(data)
    }

    fn summed(&self, row: &Row, sum: &Summed) -> Result<Amount, Refusal> {
        match sum {
            Summed::Product(product) => self.product(row, &product.product),
            Summed::Field(name) => match self.mapping.item.get(name) {
                Some(Field::Product(product)) => self.product(row, &product.product),
                Some(Field::Column(column)) => self.amount(row, column),
                _ => self.amount(row, name),
            },
        }
    }

    fn product(&self, row: &Row, (left, right): &(String, String)) -> Result<Amount, Refusal> {
        let product = self.amount(row, left)?.product(self.amount(row, right)?);
        product.map_err(|error| {
            let detail = format!("line {}, columns {left} and {right}: {error}", row.line);
            Refusal::new("invalid-line", detail).with(FILE_LINE, row.line)
        })
    }

    fn amount(&self, row: &Row, column: &str) -> Result<Amount, Refusal> {
        let place = self.columns.place(column).unwrap_or_default();
        row.values[place]
            .trim()
            .parse()
            .map_err(|error: tessera_core::quantity::AmountError| self.bad(row, place, &error.to_string()))
    }

    /// A field as JSON; `None` for an empty one.
    fn value(&self, row: &Row, name: &str, field: &Field) -> Result<Option<String>, Refusal> {
        match field {
            Field::Value(value) => Ok(Some(self.literal(name, &value.value))),
            Field::Product(product) => Ok(Some(self.product(row, &product.product)?.to_string())),
            Field::Sum(_) => Ok(None),
            Field::Translated(translated) => {
                let place = self.columns.place(&translated.column).unwrap_or_default();
                let text = row.values[place].trim();
                match translated.values.get(text) {
                    _ if text.is_empty() => Ok(None),
                    Some(value) => Ok(Some(self.literal(name, value))),
                    None => Err(self.bad(row, place, &format!("the mapping says nothing about `{text}`"))),
                }
            }
            Field::Column(column) => {
                let place = self.columns.place(column).unwrap_or_default();
                let text = &row.values[place];
                if text.is_empty() {
                    return Ok(None);
                }
                if AMOUNTS.contains(&name) {
                    return Ok(Some(self.amount(row, column)?.to_string()));
                }
                Ok(Some(self.literal(name, text)))
            }
        }
    }

    /// Declared numbers and booleans as they are, everything else as text.
    fn literal(&self, name: &str, text: &str) -> String {
        match self.kinds.get(name) {
            Some(FieldKind::Integer | FieldKind::Number) if text.trim().parse::<Amount>().is_ok() => {
                text.trim().to_owned()
            }
            Some(FieldKind::Boolean) if matches!(text, "true" | "false") => text.to_owned(),
            _ => serde_json::Value::from(text).to_string(),
        }
    }
}

/// What may be meant by a column that the file does not have.
fn hint(name: &str, columns: &Columns) -> String {
    if let [only] = columns.names.as_slice() {
        for (sign, name) in [(';', "semicolons"), ('\t', "tabs")] {
            if only.contains(sign) {
                return format!("its columns are separated by {name}: save it with commas");
            }
        }
    }
    match nearest(name, columns.names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has: {}", columns.names.join(", ")),
    }
}

/// What comes back is counted from 0 up, however the file writes it.
fn turned(name: &str, value: String) -> String {
    match name {
        "quantity" => value.trim_start_matches('-').to_owned(),
        "amount" => value.parse::<Amount>().map_or(value, |amount| (-amount).to_string()),
        _ => value,
    }
}

fn push(data: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        data.push_str(&serde_json::Value::from(name).to_string());
        data.push(':');
        data.push_str(value);
        data.push(',');
    }
}

fn close(data: &mut String, bracket: char) {
    if data.ends_with(',') {
        data.pop();
    }
    data.push(bracket);
}
