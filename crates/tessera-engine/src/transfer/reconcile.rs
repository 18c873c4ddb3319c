//! Totals in are totals out: what stands in the files of another system, held against what the ledger now has.
//!
//! The files are counted here on their own, line by line as they stand, and not by the code that imported them. What
//! became of a line is what its idempotency key says. Memory holds a few numbers for each member.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde::Serialize;
use tessera_core::id::MemberId;
use tessera_core::ledger::Account;
use tessera_core::program::Id;
use tessera_store::{StoreError, tables};

use super::mapping::{Field, Format, Mapping, MappingError};
use super::moving::{Moving, Part, Parts};
use super::plan::Plan;
use super::rows::Rows;
use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{own_key, unsigned};
use crate::report::each_member;
use crate::submission::{CloudEvent, Submission};

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("{}: {problem}", file.display())]
    File { file: PathBuf, problem: String },
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lines of a file, with the points they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub lines: u64,
    pub points: i128,
}

impl Sum {
    fn add(&mut self, points: i128) {
        self.lines += 1;
        self.points += points;
    }
}

/// A currency: in the files, of it taken and not, and what the ledger has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CurrencyFigures {
    pub in_files: Sum,
    pub taken: Sum,
    pub rejected: Sum,
    /// Lots that came into the ledger out of the account `imported`, of members of the files.
    pub in_ledger: Sum,
    /// Of those in the files, lots with a remark, by its first word: `reserved`, `pool`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remarks: BTreeMap<String, Sum>,
}

/// So many of something in the files, of them taken, and how many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub in_files: u64,
    pub taken: u64,
    pub now: u64,
}

/// Something that does not add up.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub file: Option<String>,
    pub line: Option<u64>,
    /// The member as the other system calls them.
    pub member: Option<String>,
    /// A code: a refusal's, or `repeated-id`, `points-differ`, `level-differs`, `voucher-missing`, `total-differs`.
    pub what: String,
    pub detail: String,
}

/// Everything that was compared.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reconciliation {
    pub members: Count,
    pub currencies: BTreeMap<String, CurrencyFigures>,
    /// By `ladder.level`.
    pub levels: BTreeMap<String, Count>,
    pub vouchers: BTreeMap<String, Count>,
    /// Why lines were not taken, most frequent first: the code, and the lines with their points in all currencies.
    pub rejected: Vec<(String, Sum)>,
    pub differences: Vec<Difference>,
    /// Nothing differs.
    pub equal: bool,
}

/// What the files say of one member, as far as it was taken.
#[derive(Default)]
struct Known {
    line: u64,
    is_member: bool,
    points: Vec<(String, i128)>,
    levels: Vec<(String, String)>,
    /// Vouchers with a code: which, the code, and its line.
    codes: Vec<(String, String, u64)>,
}

/// A line as it stands in its file.
struct RawLine {
    number: u64,
    member: String,
    id: String,
    points: Vec<(String, i128)>,
    levels: Vec<(String, String)>,
    voucher: Option<(String, String)>,
    /// The first word of a lot's remark.
    remark: Option<String>,
}

/// What became of a line.
enum Fate {
    Taken,
    Refused { code: String, detail: String },
    Never,
}

/// Lines whose keys are looked up at once.
const CHUNK: usize = 500;

/// Compares the files with the ledger, and with totals that somebody expects: `points.bean`, `levels.cup.copper` ….
///
/// # Errors
/// If a file or the database cannot be read, or the mapping does not fit.
pub fn reconcile(
    context: &Context,
    program: &Arc<ProgramHandle>,
    moving: &Moving,
    parts: &Parts,
    expected: &[(String, i128)],
) -> Result<Reconciliation, ReconcileError> {
    let mut work = Work {
        context,
        program,
        moving,
        report: Reconciliation::default(),
        known: HashMap::new(),
        reasons: HashMap::new(),
    };
    for (part, file) in parts.each() {
        work.count(part, file)?;
    }
    work.compare_with_ledger()?;
    work.compare_with_expected(expected);
    let mut report = work.report;
    report.rejected = work.reasons.into_iter().collect();
    report.rejected.sort_by(|left, right| right.1.lines.cmp(&left.1.lines).then(left.0.cmp(&right.0)));
    report.equal = report.differences.is_empty();
    Ok(report)
}

struct Work<'a> {
    context: &'a Context,
    program: &'a Arc<ProgramHandle>,
    moving: &'a Moving,
    report: Reconciliation,
    /// By the member's name in the other system.
    known: HashMap<String, Known>,
    reasons: HashMap<String, Sum>,
}

impl Work<'_> {
    fn count(&mut self, part: Part, file: &Path) -> Result<(), ReconcileError> {
        let mapping = self.moving.mapping(part)?;
        let mut seen: HashMap<[u8; 16], u64> = HashMap::new();
        let mut reasons: Option<HashMap<u64, (String, String)>> = None;
        let mut waiting: Vec<RawLine> = Vec::new();
        let broken = |problem: String| ReconcileError::File { file: file.to_owned(), problem };
        let mut raw = RawFile::open(file, mapping.format_of(file)).map_err(broken)?;
        loop {
            let next = raw.next().map_err(broken)?;
            let is_last = next.is_none();
            waiting.extend(next.map(|values| raw_line(part, &mapping, self.moving, &values)));
            if waiting.len() < CHUNK && !is_last {
                continue;
            }
            let source = self.moving.source_of(part);
            let key = |line: &RawLine| self.context.secrets.event_key(self.program.number, &source, &line.id);
            let keys: Vec<[u8; 16]> = waiting.iter().map(key).collect();
            let mut fates = self.fates(&keys)?;
            for (line, key) in waiting.drain(..).zip(keys) {
                let first = *seen.entry(key).or_insert(line.number);
                let fate = match fates.remove(&key) {
                    _ if first != line.number => Fate::Refused {
                        code: "repeated-id".to_owned(),
                        detail: format!("`{}` is in line {first} already", line.id),
                    },
                    Some(fate) => fate,
                    None => Fate::Never,
                };
                let fate = match fate {
                    Fate::Never => {
                        let known = match &reasons {
                            Some(known) => known,
                            None => reasons.insert(self.reasons_of(&mapping, file)?),
                        };
                        let told = known.get(&line.number).cloned();
                        let (code, detail) = match told {
                            Some(told) => told,
                            // What is about nobody leaves no trace either.
                            None if part != Part::Members && !self.is_known(&line.member)? => {
                                ("unknown-member".to_owned(), "no member has come under this number".to_owned())
                            }
                            None => ("never-imported".to_owned(), "no import has sent this line".to_owned()),
                        };
                        Fate::Refused { code, detail }
                    }
                    fate => fate,
                };
                self.note(part, file, line, fate);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn note(&mut self, part: Part, file: &Path, line: RawLine, fate: Fate) {
        let taken = matches!(fate, Fate::Taken);
        let all: i128 = line.points.iter().map(|(_, points)| points).sum();
        for (currency, points) in &line.points {
            let figures = self.report.currencies.entry(currency.clone()).or_default();
            figures.in_files.add(*points);
            if let Some(remark) = &line.remark {
                figures.remarks.entry(remark.clone()).or_default().add(*points);
            }
            if taken { figures.taken.add(*points) } else { figures.rejected.add(*points) }
        }
        if part == Part::Members {
            self.report.members.in_files += 1;
            self.report.members.taken += u64::from(taken);
        }
        for (ladder, level) in &line.levels {
            let count = self.report.levels.entry(format!("{ladder}.{level}")).or_default();
            count.in_files += 1;
            count.taken += u64::from(taken);
        }
        if let Some((voucher, _)) = &line.voucher {
            let count = self.report.vouchers.entry(voucher.clone()).or_default();
            count.in_files += 1;
            count.taken += u64::from(taken);
        }
        if let Fate::Refused { code, detail } = fate {
            self.reasons.entry(code.clone()).or_default().add(all);
            self.report.differences.push(Difference {
                file: Some(file.display().to_string()),
                line: Some(line.number),
                member: Some(line.member),
                what: code,
                detail,
            });
            return;
        }
        let known = self.known.entry(line.member).or_default();
        if part == Part::Members {
            known.line = line.number;
            known.is_member = true;
        }
        for (currency, points) in line.points {
            match known.points.iter_mut().find(|(name, _)| *name == currency) {
                Some((_, sum)) => *sum += points,
                None => known.points.push((currency, points)),
            }
        }
        known.levels.extend(line.levels);
        if let Some((voucher, code)) = line.voucher {
            match code.is_empty() {
                // It has a code of ours: that it was taken is all there is to compare.
                true => self.report.vouchers.entry(voucher).or_default().now += 1,
                false => known.codes.push((voucher, code, line.number)),
            }
        }
    }

    /// What became of lines, by their keys.
    fn fates(&self, keys: &[[u8; 16]]) -> Result<HashMap<[u8; 16], Fate>, StoreError> {
        let wanted: Vec<_> = keys.iter().map(|key| own_key(self.program.number, key)).collect();
        let rows = self.context.database.read(|reader| reader.fetch_by_keys(&tables::EVENT_KEY, &wanted))?;
        let mut fates = HashMap::new();
        for row in rows {
            let Ok(key) = <[u8; 16]>::try_from(row[2].bytes()?) else { continue };
            let fate = match row[6].opt_text()? {
                Some(text) => match serde_json::from_str::<crate::submission::Refusal>(text) {
                    Ok(refusal) => Fate::Refused { code: refusal.code, detail: refusal.detail },
                    Err(_) => Fate::Refused { code: "refused".to_owned(), detail: text.to_owned() },
                },
                None => Fate::Taken,
            };
            fates.insert(key, fate);
        }
        Ok(fates)
    }

    /// Why lines never reached the door: they leave no trace, so they are read once more as the import reads them.
    fn reasons_of(&self, mapping: &Mapping, file: &Path) -> Result<HashMap<u64, (String, String)>, ReconcileError> {
        let broken = |problem: String| ReconcileError::File { file: file.to_owned(), problem };
        let mut rows = Rows::open(file, mapping.format_of(file), &mapping.columns()).map_err(broken)?;
        let columns = rows.columns.clone();
        let plan = Plan::new(mapping, &columns, self.program)?;
        let now = self.context.clock.now();
        let mut reasons = HashMap::new();
        while let Some(row) = rows.next().map_err(|error| broken(error.to_string()))? {
            let row = match row {
                Ok(row) => row,
                Err(bad) => {
                    reasons.insert(bad.line, ("unreadable-line".to_owned(), bad.problem));
                    continue;
                }
            };
            let line = row.line;
            let made = plan.event(std::slice::from_ref(&row)).and_then(|event| {
                let data = serde_json::from_str(&event.data)
                    .map_err(|error| crate::submission::Refusal::new("invalid-event", error.to_string()))?;
                let event = CloudEvent {
                    specversion: None,
                    id: event.id.as_str().into(),
                    source: mapping.source.as_str().into(),
                    kind: event.kind.as_str().into(),
                    subject: event.subject.map(Into::into),
                    time: event.time.map(|time| time.to_string().into()),
                    data: Some(data),
                };
                Submission::from_event(&self.context.secrets, self.program, &event, now).map(|_| ())
            });
            if let Err(refusal) = made {
                reasons.insert(line, (refusal.code, refusal.detail));
            }
        }
        Ok(reasons)
    }

    fn is_known(&self, name: &str) -> Result<bool, StoreError> {
        let text = format!("{}:{name}", self.moving.member.kind);
        let Ok(identifier) = text.parse::<crate::identifier::Identifier>() else { return Ok(false) };
        let key = self.context.secrets.identifier_key(self.program.number, &identifier.to_text());
        let key = own_key(self.program.number, &key);
        let rows = self.context.database.read(|reader| reader.fetch_by_keys(&tables::MEMBER_IDENTIFIER, &[key]))?;
        // A name that somebody left behind is nobody's.
        Ok(rows.iter().any(|row| row[4] == tessera_store::Value::Null))
    }

    /// Who the members of the files are here.
    fn members(&self) -> Result<HashMap<MemberId, String>, ReconcileError> {
        let mut found = HashMap::new();
        let names: Vec<&String> = self.known.keys().collect();
        for chunk in names.chunks(CHUNK) {
            let mut by_key = HashMap::new();
            for name in chunk {
                let text = format!("{}:{name}", self.moving.member.kind);
                if let Ok(identifier) = text.parse::<crate::identifier::Identifier>() {
                    let key = self.context.secrets.identifier_key(self.program.number, &identifier.to_text());
                    by_key.insert(key, (*name).clone());
                }
            }
            let keys: Vec<_> = by_key.keys().map(|key| own_key(self.program.number, key)).collect();
            let rows = self.context.database.read(|reader| reader.fetch_by_keys(&tables::MEMBER_IDENTIFIER, &keys))?;
            for row in rows.iter().filter(|row| row[4] == tessera_store::Value::Null) {
                let Ok(key) = <[u8; 16]>::try_from(row[2].bytes()?) else { continue };
                if let Some(name) = by_key.remove(&key) {
                    found.insert(member_id(row[3].bytes()?)?, name);
                }
            }
        }
        Ok(found)
    }

    fn compare_with_ledger(&mut self) -> Result<(), ReconcileError> {
        let members = self.members()?;
        self.report.members.now = members.len() as u64;
        let ledger = self.imported(&members)?;
        let mut codes: HashMap<MemberId, Vec<String>> = HashMap::new();
        let mut levels: HashMap<MemberId, Vec<(Id, Id)>> = HashMap::new();
        self.context.database.read(|reader| {
            let rules = self.program.versions().head().clone();
            each_member(reader, self.program.number, &mut |_, id, state| {
                if members.contains_key(&id) {
                    let level = |ladder: &tessera_core::program::LadderRules| {
                        let rank = state.ladder(ladder.id.as_str()).map_or(0, |known| ladder.rank(&known.level));
                        (ladder.id.clone(), ladder.level(rank).id.clone())
                    };
                    levels.insert(id, rules.ladders.iter().map(level).collect());
                }
                Ok(())
            })?;
            let rows = reader.query(
                "SELECT member, code FROM voucher WHERE program = $1 ORDER BY bucket, member",
                &[self.program.number.into()],
            )?;
            for row in rows {
                codes.entry(member_id(row[0].bytes()?)?).or_default().push(row[1].text()?.to_owned());
            }
            Ok::<_, StoreError>(())
        })?;
        let ids: HashMap<&String, MemberId> = members.iter().map(|(id, name)| (name, *id)).collect();
        let mut names: Vec<&String> = self.known.keys().collect();
        names.sort_by_key(|name| (self.known[*name].line, (*name).clone()));
        for name in names {
            let known = &self.known[name];
            let id = ids.get(name).copied();
            let differs = |what: &str, detail: String| Difference {
                file: None,
                line: Some(known.line).filter(|_| known.is_member),
                member: Some(name.clone()),
                what: what.to_owned(),
                detail,
            };
            let mut currencies: Vec<&str> = known.points.iter().map(|(currency, _)| currency.as_str()).collect();
            let here = id.and_then(|id| ledger.get(&id));
            currencies.extend(here.iter().flat_map(|sums| sums.keys().map(Id::as_str)));
            currencies.sort_unstable();
            currencies.dedup();
            for currency in currencies {
                let taken = known.points.iter().find(|(name, _)| name == currency).map_or(0, |(_, points)| *points);
                let found = here.and_then(|sums| sums.get(currency)).map_or(0, |sum| sum.points);
                if taken != found {
                    let detail = format!("{taken} {currency} of the files were taken, the ledger has {found}");
                    self.report.differences.push(differs("points-differ", detail));
                }
            }
            for (ladder, level) in &known.levels {
                let now = id.and_then(|id| levels.get(&id));
                let now = now.and_then(|levels| levels.iter().find(|(known, _)| known.as_str() == ladder));
                let now = now.map_or("none", |(_, level)| level.as_str());
                self.report.levels.entry(format!("{ladder}.{now}")).or_default().now += 1;
                if now != level {
                    let detail = format!("the level of {ladder} is {now}, the file says {level}");
                    self.report.differences.push(differs("level-differs", detail));
                }
            }
            for (voucher, code, line) in &known.codes {
                let there = id.and_then(|id| codes.get(&id)).is_some_and(|codes| codes.contains(code));
                self.report.vouchers.entry(voucher.clone()).or_default().now += u64::from(there);
                if !there {
                    let detail = format!("the voucher {code} of line {line} is not there");
                    self.report.differences.push(differs("voucher-missing", detail));
                }
            }
        }
        Ok(())
    }

    /// What came out of the account `imported`, less what is owed to it, by member and currency.
    fn imported(
        &mut self,
        members: &HashMap<MemberId, String>,
    ) -> Result<HashMap<MemberId, BTreeMap<Id, Sum>>, ReconcileError> {
        let sql = "SELECT member, currency, CAST(COUNT(DISTINCT event_seq) AS BIGINT), CAST(SUM(CASE WHEN debit = $3 THEN amount ELSE -amount END) AS BIGINT) FROM entry WHERE bucket = $1 AND program = $2 AND (debit = $3 OR credit = $3) GROUP BY member, currency";
        let mut found: HashMap<MemberId, BTreeMap<Id, Sum>> = HashMap::new();
        let account = i64::from(Account::Imported.code());
        for bucket in 0..i64::from(tessera_core::id::BUCKETS) {
            let params = [bucket.into(), self.program.number.into(), account.into()];
            for row in self.context.database.read(|reader| reader.query(sql, &params))? {
                let id = member_id(row[0].bytes()?)?;
                if !members.contains_key(&id) {
                    continue;
                }
                let currency: Id =
                    row[1].text()?.parse().map_err(|_| StoreError::corrupt("entry", "currency", "not a name"))?;
                let sum = Sum { lines: unsigned(row[2].int()?), points: i128::from(row[3].int()?) };
                let all = &mut self.report.currencies.entry(currency.to_string()).or_default().in_ledger;
                all.lines += sum.lines;
                all.points += sum.points;
                found.entry(id).or_default().insert(currency, sum);
            }
        }
        Ok(found)
    }

    fn compare_with_expected(&mut self, expected: &[(String, i128)]) {
        for (figure, expected) in expected {
            let found = match figure.split_once('.') {
                None if figure == "members" => Some(i128::from(self.report.members.now)),
                Some(("points", currency)) => {
                    Some(self.report.currencies.get(currency).map_or(0, |figures| figures.in_ledger.points))
                }
                Some(("lots", currency)) => {
                    Some(self.report.currencies.get(currency).map_or(0, |figures| figures.in_ledger.lines.into()))
                }
                Some(("levels", level)) => Some(self.report.levels.get(level).map_or(0, |count| count.now.into())),
                Some(("vouchers", voucher)) => {
                    Some(self.report.vouchers.get(voucher).map_or(0, |count| count.now.into()))
                }
                _ => None,
            };
            let detail = match found {
                Some(found) if found == *expected => continue,
                Some(found) => format!("{figure}: {expected} are expected, {found} are there"),
                None => format!(
                    "{figure} is no figure; there are members, points.<currency>, lots.<currency>, levels.<ladder>.<level>, vouchers.<voucher>"
                ),
            };
            let what = "total-differs".to_owned();
            self.report.differences.push(Difference { file: None, line: None, member: None, what, detail });
        }
    }
}

/// Totals that somebody expects: CSV with the columns `figure` and `expected`.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn read_expected(file: &Path) -> Result<Vec<(String, i128)>, String> {
    let mut raw = RawFile::open(file, Format::Csv)?;
    let mut expected = Vec::new();
    while let Some(values) = raw.next()? {
        let number = values.get("expected").replace([',', ' ', '_'], "");
        let number = number.parse().map_err(|_| {
            format!("line {}: `{}` is no whole number; the columns are figure and expected", values.line, number)
        })?;
        expected.push((values.get("figure"), number));
    }
    Ok(expected)
}

/// A file of lines as they stand, read without any rule of the import.
enum RawFile {
    Csv { reader: Box<csv::Reader<Box<dyn Read>>>, header: Vec<String> },
    Ndjson { reader: Box<dyn BufRead>, line: u64 },
}

/// The values of a line, by column.
struct Values {
    line: u64,
    values: HashMap<String, String>,
}

impl Values {
    fn get(&self, column: &str) -> String {
        self.values.get(column).map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    fn field(&self, field: &Field) -> String {
        match field {
            Field::Column(column) => self.get(column),
            Field::Value(value) => value.value.clone(),
            Field::Translated(translated) => {
                let value = self.get(&translated.column);
                translated.values.get(&value).cloned().unwrap_or(value)
            }
            Field::Sum(_) | Field::Product(_) => String::new(),
        }
    }
}

impl RawFile {
    fn open(file: &Path, format: Format) -> Result<Self, String> {
        let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
        let mut plain = BufReader::new(opened);
        let is_packed = plain.fill_buf().map_err(|error| error.to_string())?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
        match format {
            Format::Ndjson => Ok(Self::Ndjson { reader: Box::new(BufReader::new(reader)), line: 0 }),
            Format::Csv => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(reader);
                let mut first = csv::ByteRecord::new();
                reader.read_byte_record(&mut first).map_err(|error| error.to_string())?;
                let name = |value: &[u8]| String::from_utf8_lossy(value).trim_start_matches('\u{feff}').to_owned();
                Ok(Self::Csv { reader: Box::new(reader), header: first.iter().map(name).collect() })
            }
        }
    }

    fn next(&mut self) -> Result<Option<Values>, String> {
        match self {
            Self::Csv { reader, header } => {
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let values = header.iter().cloned().zip(record.iter().map(text)).collect();
                Ok(Some(Values { line, values }))
            }
            Self::Ndjson { reader, line } => loop {
                let mut bytes = Vec::new();
                if reader.read_until(b'\n', &mut bytes).map_err(|error| error.to_string())? == 0 {
                    return Ok(None);
                }
                *line += 1;
                if bytes.trim_ascii().is_empty() {
                    continue;
                }
                let fields: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(&bytes).unwrap_or_default();
                let text = |value: serde_json::Value| match value {
                    serde_json::Value::String(text) => text,
                    serde_json::Value::Null => String::new(),
                    other => other.to_string(),
                };
                let values = fields.into_iter().map(|(name, value)| (name, text(value))).collect();
                return Ok(Some(Values { line: *line, values }));
            },
        }
    }
}

fn raw_line(part: Part, mapping: &Mapping, moving: &Moving, values: &Values) -> RawLine {
    let mut line = RawLine {
        number: values.line,
        member: values.get(&moving.member.column),
        id: values.values.get(&mapping.event.id).cloned().unwrap_or_default(),
        points: Vec::new(),
        levels: Vec::new(),
        voucher: None,
        remark: None,
    };
    // What is no number counts as none: it cannot be taken, and is listed with its line.
    let number = |text: String| text.parse::<i128>().unwrap_or(0);
    match part {
        Part::Members => {
            for (name, field) in &mapping.data {
                let value = values.field(field);
                match name.split('.').collect::<Vec<_>>().as_slice() {
                    _ if value.is_empty() => {}
                    ["balances", currency] if number(value.clone()) != 0 => {
                        line.points.push(((*currency).to_owned(), number(value)));
                    }
                    ["tiers", ladder, "level"] => line.levels.push(((*ladder).to_owned(), value)),
                    _ => {}
                }
            }
        }
        Part::Lots => {
            let currency = mapping.data.get("currency").map(|field| values.field(field)).unwrap_or_default();
            let amount = mapping.data.get("amount").map(|field| values.field(field)).unwrap_or_default();
            line.points.push((currency, number(amount)));
            let remark = moving.lots.as_ref().and_then(|lots| lots.remark.as_deref());
            let remark = remark.map(|column| values.get(column)).unwrap_or_default();
            line.remark = remark.split_whitespace().next().map(str::to_owned);
        }
        Part::Vouchers => {
            let voucher = mapping.data.get("voucher").map(|field| values.field(field)).unwrap_or_default();
            let code = mapping.data.get("code").map(|field| values.field(field)).unwrap_or_default();
            line.voucher = Some((voucher, code));
        }
    }
    line
}
