//! Moving in: how the files of another system become members, lots and vouchers, as one TOML file says.
//!
//! Each file is then an import like any other, with a mapping made of this one. What joins them is the member's name in
//! the other system, which stays one of their identifiers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::mapping::{
    EventMapping, Field, Format, Mapping, MappingError, Missing, MissingTime, SubjectMapping, TimeMapping,
};

/// A mapping of several files that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    /// What the other system is called; with an id the idempotency key.
    pub source: String,
    /// Who a line is about: the kind of identifier, and its column.
    pub member: MemberColumn,
    #[serde(default)]
    pub format: Option<Format>,
    /// The zone of times without an offset; the program's own when left out.
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub members: BTreeMap<String, Field>,
    #[serde(default)]
    pub lots: Option<Lots>,
    #[serde(default)]
    pub vouchers: Option<Vouchers>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberColumn {
    pub kind: String,
    pub column: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lots {
    /// The column with the lot's id, unique in the other system.
    pub id: String,
    pub currency: Field,
    /// The column with what is left of it.
    pub amount: String,
    /// The column with the day or time it was earned.
    pub earned: String,
    /// The column with the last day it can be spent on.
    #[serde(default)]
    pub expires: Option<String>,
    /// Who paid for it, where that is not the program.
    #[serde(default)]
    pub funder: Option<Field>,
    /// The column with the first day it can be spent on, where it still waits.
    #[serde(default)]
    pub matures: Option<String>,
    /// The column with a remark, such as `reserved`: the reconciliation counts lines by its first word, and it changes nothing.
    #[serde(default)]
    pub remark: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouchers {
    /// The column with the voucher's id, unique in the other system; often its code.
    pub id: String,
    pub voucher: Field,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub expires: Option<String>,
}

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Members,
    Lots,
    Vouchers,
}

impl Part {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Lots => "lots",
            Self::Vouchers => "vouchers",
        }
    }
}

/// The files that move in together.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub members: Option<PathBuf>,
    pub lots: Option<PathBuf>,
    pub vouchers: Option<PathBuf>,
}

impl Parts {
    /// Each file that was given, in the order in which they go in: points need somebody who has them.
    pub fn each(&self) -> impl Iterator<Item = (Part, &Path)> {
        let parts = [(Part::Members, &self.members), (Part::Lots, &self.lots), (Part::Vouchers, &self.vouchers)];
        parts.into_iter().filter_map(|(part, file)| file.as_deref().map(|file| (part, file)))
    }
}

/// Fields of a member beside those that name a currency, a ladder or a kind of identifier.
const PLAIN: [&str; 11] = [
    "joined",
    "birthday",
    "name",
    "phone",
    "email",
    "language",
    "identifiers",
    "purchases",
    "spend",
    "first_purchase",
    "last_purchase",
];

fn is_field(name: &str) -> bool {
    match name.split('.').collect::<Vec<_>>().as_slice() {
        [plain] => PLAIN.contains(plain),
        ["balances" | "idle_until" | "identifiers", _] => true,
        ["tiers", _, field] => ["level", "since", "holds_until", "progress"].contains(field),
        _ => false,
    }
}

impl Moving {
    /// Whether a mapping file is one of these, and not of one file of events.
    pub fn is_meant(text: &str) -> bool {
        let table = toml::from_str::<toml::Table>(text);
        table.is_ok_and(|table| ["members", "lots", "vouchers"].iter().any(|part| table.contains_key(*part)))
    }

    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let moving: Self = toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        if let Some(name) = moving.members.keys().find(|name| !is_field(name)) {
            return Err(MappingError::Toml(format!(
                "[members] has no field `{name}`; there are {}, and `balances.<currency>`, `idle_until.<currency>`, `identifiers.<kind>`, `tiers.<ladder>.level`, `.since`, `.holds_until`, `.progress`",
                PLAIN.join(", ")
            )));
        }
        Ok(moving)
    }

    /// How one of the files is read; none where the mapping does not say.
    pub fn mapping(&self, part: Part) -> Result<Mapping, MappingError> {
        let missing = || MappingError::Toml(format!("it has no [{}], and that file is given", part.word()));
        let column = |column: &String| Field::Column(column.clone());
        let mut data = BTreeMap::new();
        let (kind, id, time) = match part {
            Part::Members => {
                data.clone_from(&self.members);
                ("move-in", self.member.column.clone(), None)
            }
            Part::Lots => {
                let lots = self.lots.as_ref().ok_or_else(missing)?;
                data.insert("currency".to_owned(), lots.currency.clone());
                data.insert("amount".to_owned(), column(&lots.amount));
                data.extend(lots.expires.iter().map(|expires| ("expires".to_owned(), column(expires))));
                data.extend(lots.matures.iter().map(|matures| ("matures".to_owned(), column(matures))));
                data.extend(lots.funder.iter().map(|funder| ("funder".to_owned(), funder.clone())));
                ("import", lots.id.clone(), Some(lots.earned.clone()))
            }
            Part::Vouchers => {
                let vouchers = self.vouchers.as_ref().ok_or_else(missing)?;
                data.insert("voucher".to_owned(), vouchers.voucher.clone());
                data.extend(vouchers.code.iter().map(|code| ("code".to_owned(), column(code))));
                data.extend(vouchers.expires.iter().map(|expires| ("expires".to_owned(), column(expires))));
                ("move-voucher", vouchers.id.clone(), None)
            }
        };
        Ok(Mapping {
            format: self.format,
            source: self.source_of(part),
            event: EventMapping {
                kind: kind.to_owned(),
                group_by: None,
                window: 0,
                id,
                time: time.map(|column| TimeMapping { column, zone: self.zone.clone(), missing: MissingTime::Refuse }),
                subject: Some(SubjectMapping {
                    kind: self.member.kind.clone(),
                    column: self.member.column.clone(),
                    missing: Missing::Refuse,
                }),
            },
            data,
            item: BTreeMap::new(),
            returns: None,
            refuse: None,
        })
    }

    /// Ids of different files may be alike.
    pub fn source_of(&self, part: Part) -> String {
        format!("{}:{}", self.source, part.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "source = 'old'\nmember = { kind = 'old', column = 'no' }\n[members]\njoined = 'since'\n'tiers.cup.level' = { column = 'level', values = { G = 'gold' } }\n";

    #[test]
    fn a_mapping_of_moving_in_is_told_from_one_of_events() {
        assert!(Moving::is_meant(GOOD));
        assert!(!Moving::is_meant("source = 'till'\n[event]\ntype = 'purchase'\nid = 'basket'\n"));
        let moving = Moving::parse(GOOD).unwrap();
        let mapping = moving.mapping(Part::Members).unwrap();
        assert_eq!((mapping.source.as_str(), mapping.event.kind.as_str()), ("old:members", "move-in"));
        assert_eq!(mapping.columns(), ["no", "no", "since", "level"]);
        assert!(moving.mapping(Part::Lots).unwrap_err().to_string().contains("no [lots]"));
        let wrong = GOOD.replace("joined", "joind");
        assert!(Moving::parse(&wrong).unwrap_err().to_string().contains("no field `joind`"));
    }
}
