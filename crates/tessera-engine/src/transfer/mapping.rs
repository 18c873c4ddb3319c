//! How the columns of a file become events, as a TOML file says.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// A mapping file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// As the file's name says when left out.
    #[serde(default)]
    pub format: Option<Format>,
    /// With the event's id the idempotency key: branch, till or system the file comes from.
    pub source: String,
    pub event: EventMapping,
    #[serde(default)]
    pub data: BTreeMap<String, Field>,
    #[serde(default)]
    pub item: BTreeMap<String, Field>,
    #[serde(default, rename = "return")]
    pub returns: Option<Condition>,
    #[serde(default)]
    pub refuse: Option<Refuse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Ndjson,
}

impl Format {
    /// `.ndjson` and `.jsonl`, with or without `.gz` behind, are NDJSON; everything else is CSV.
    pub fn of(file: &Path) -> Self {
        let name = file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if name.ends_with(".ndjson") || name.ends_with(".jsonl") { Self::Ndjson } else { Self::Csv }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventMapping {
    #[serde(rename = "type")]
    pub kind: String,
    /// Lines with the same value of this column make one event.
    #[serde(default)]
    pub group_by: Option<String>,
    /// How many lines apart the lines of one event may be at the most.
    #[serde(default = "usual_window")]
    pub window: u64,
    pub id: String,
    #[serde(default)]
    pub time: Option<TimeMapping>,
    #[serde(default)]
    pub subject: Option<SubjectMapping>,
}

fn usual_window() -> u64 {
    10_000
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeMapping {
    pub column: String,
    /// The zone of times without an offset; the program's own when left out.
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub missing: MissingTime,
}

/// What a line without a time means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingTime {
    #[default]
    Refuse,
    Now,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectMapping {
    pub kind: String,
    pub column: String,
    #[serde(default)]
    pub missing: Missing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    #[default]
    Refuse,
    Guest,
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// A column.
    Column(String),
    /// The same for every line.
    Value(ValueField),
    /// The sum over the event's lines.
    Sum(SumField),
    /// The product of two columns.
    Product(ProductField),
    /// A column whose values mean others here.
    Translated(TranslatedField),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatedField {
    pub column: String,
    /// What each of its values means; every other one is refused.
    pub values: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueField {
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumField {
    pub sum: Box<Summed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Summed {
    /// A field of [item], or a column.
    Field(String),
    Product(ProductField),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductField {
    pub product: (String, String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub when: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    pub when: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("the mapping is not valid: {0}")]
    Toml(String),
    #[error("the mapping names the column `{column}`, which the file does not have; {hint}")]
    NoColumn { column: String, hint: String },
    #[error("the mapping names the column `{0}`, which the file has twice: give one of them another name")]
    TwoColumns(String),
    #[error("nothing says whose line it is: a list of members has a column {0}; or give --mapping")]
    NoMember(String),
    #[error("`{when}` in the mapping is no condition about a row: {problem}")]
    Condition { when: String, problem: String },
    #[error("the mapping's zone `{0}` is not known; zones are named as Europe/London")]
    Zone(String),
    #[error("the mapping's `{0}` is a sum, which only fields of [data] can be")]
    SumOfItem(String),
}

impl Mapping {
    /// Reads a mapping file.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let mapping: Self = toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        for (name, field) in &mapping.item {
            if matches!(field, Field::Sum(_)) {
                return Err(MappingError::SumOfItem(name.clone()));
            }
        }
        Ok(mapping)
    }

    /// What a file is read as.
    pub fn format_of(&self, file: &Path) -> Format {
        self.format.unwrap_or_else(|| Format::of(file))
    }

    /// Every column the mapping reads.
    pub fn columns(&self) -> Vec<&str> {
        let event = &self.event;
        let mut columns = vec![event.id.as_str()];
        columns.extend(event.group_by.as_deref());
        columns.extend(event.time.iter().map(|time| time.column.as_str()));
        columns.extend(event.subject.iter().map(|subject| subject.column.as_str()));
        for field in self.data.values().chain(self.item.values()) {
            match field {
                Field::Column(column) => columns.push(column),
                Field::Sum(SumField { sum }) => match sum.as_ref() {
                    Summed::Field(name) if self.item.contains_key(name) => {}
                    Summed::Field(column) => columns.push(column),
                    Summed::Product(product) => columns.extend([product.product.0.as_str(), &product.product.1]),
                },
                Field::Product(product) => columns.extend([product.product.0.as_str(), &product.product.1]),
                Field::Translated(translated) => columns.push(&translated.column),
                Field::Value(_) => {}
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_sums_of_items_are_refused() {
        let good = "source = 'till'\n[event]\ntype = 'purchase'\nid = 'basket'\n[data]\ntotal = { sum = { product = ['n', 'price'] } }\n";
        assert!(Mapping::parse(good).is_ok());
        assert!(Mapping::parse(&good.replace("id =", "idd =")).unwrap_err().to_string().contains("idd"));
        let sum = format!("{good}[item]\namount = {{ sum = 'x' }}\n");
        assert_eq!(Mapping::parse(&sum).unwrap_err(), MappingError::SumOfItem("amount".into()));
    }
}
