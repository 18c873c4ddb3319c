//! Gift cards of another system (L9): a CSV file with `code`, `balance` and, where money dies, `expires`, the last day; `blocked` says
//! `yes` of cards that pay for nothing. A card whose money dies on several days has a line for each of them.
//!
//! The same file under the same key may come again: what is there is known by its code. In the end every line is held
//! against the card that is here, so that totals in are totals out. Codes are money: none of them is told, only the line.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc;

use serde::Serialize;
use tessera_core::decide::OutcomeStatus;
use tessera_core::event::CardPart;
use tessera_core::member::Status;
use tessera_core::program::GIFT_CARD;
use tessera_core::quantity::{Amount, Currency};
use tessera_core::time::Day;
use tessera_store::{StoreError, tables};

use crate::engine::{Engine, EngineError};
use crate::gift_card::{CardCode, CardStep};
use crate::programs::{ProgramHandle, member_id};
use crate::record::{member_key, own_key, state_from_bytes};
use crate::secret::hex;
use crate::submission::{Answer, Submission};

/// Cards that are under way at once, and read at once in the end.
const CHUNK: usize = 500;

/// Lines of a file; more are several files.
pub const LINES_MAX: usize = 1_000_000;

/// What became of a file of cards. Money is decimal text in the program's currency.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CardsMovedIn {
    pub lines: u64,
    pub currency: String,
    pub taken: u64,
    /// Those that were there already, by this key.
    pub known: u64,
    pub rejected: u64,
    /// Cards of the file that are here now.
    pub here: u64,
    /// What the lines say that can be read.
    pub money_in_file: String,
    pub money_taken: String,
    /// Of those that were not taken.
    pub money_rejected: String,
    /// What came in with the cards of the file, as the ledger has it now.
    pub money_here: String,
    /// Every line that was not taken, and every card that has come in with another sum than its line says.
    pub differences: Vec<LineDifference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineDifference {
    pub line: u64,
    pub detail: String,
}

impl CardsMovedIn {
    /// Whether all that is in the file is here.
    pub fn is_whole(&self) -> bool {
        self.differences.is_empty() && self.money_in_file == self.money_here
    }
}

/// A file that cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum CardsError {
    #[error("{0}")]
    File(String),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for CardsError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// A card of the lines that can be read; they are one card where they have one code and different days.
struct Line {
    /// Of its first line.
    number: u64,
    code: CardCode,
    parts: Vec<CardPart>,
    blocked: bool,
}

impl Line {
    fn units(&self) -> i64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.amount))
    }
}

/// Days on which the money of one card dies: more than a year of them is a mistake in the file.
const PARTS_MAX: usize = 366;

/// Takes the cards of a file in. `key`: the caller's own word for the move. `tell`: how many lines are done.
///
/// # Errors
/// If the file has no columns `code` and `balance`, or the installation cannot be used.
pub fn import_cards(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    file: impl Read,
    key: &str,
    tell: &mut dyn FnMut(u64),
) -> Result<CardsMovedIn, CardsError> {
    // A refusal is kept under its key, and would be the answer once the section is there.
    if program.versions().head().definition.gift_cards.is_none() {
        return Err(CardsError::File(tessera_core::decide::Rejected::NoGiftCards.to_string()));
    }
    let mut report = CardsMovedIn::default();
    // What the lines of a code that came before say is in the file, and is not taken.
    let (lines, twice) = read(program, file, &mut report)?;
    let money = program.versions().head().money;
    let (mut in_file, mut rejected, mut here) = (twice, twice, 0_i64);
    let mut done = 0;
    for chunk in lines.chunks(CHUNK) {
        in_file += chunk.iter().map(Line::units).sum::<i64>();
        let refused = send(engine, program, chunk, key, &mut report)?;
        rejected += chunk.iter().filter(|line| refused.contains_key(&line.number)).map(Line::units).sum::<i64>();
        here += compare(engine, program, chunk, &refused, &mut report)?;
        done += chunk.len() as u64;
        tell(done);
    }
    let text = |units: i64| money.amount(units).to_text(money.decimals());
    (report.money_in_file, report.money_here) = (text(in_file), text(here));
    (report.money_taken, report.money_rejected) = (text(in_file - rejected), text(rejected));
    report.currency = money.code().to_owned();
    report.differences.sort_by_key(|difference| difference.line);
    Ok(report)
}

/// A line as it stands.
struct Part {
    code: CardCode,
    part: CardPart,
    blocked: bool,
}

/// The cards of a file, and the money of lines that came before; what cannot be read is told of and left out.
fn read(program: &ProgramHandle, file: impl Read, report: &mut CardsMovedIn) -> Result<(Vec<Line>, i64), CardsError> {
    let money = program.versions().head().money;
    let wrong = |message: String| CardsError::File(message);
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(file);
    let header = csv.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
    let (Some(code), Some(balance)) = (column("code"), column("balance")) else {
        return Err(wrong(
            "its first line names the columns `code`, `balance` and, where there is one, `expires`".to_owned(),
        ));
    };
    let (expires, blocked) = (column("expires"), column("blocked"));
    let mut cards = Cards { lines: Vec::new(), places: HashMap::new(), spoiled: HashMap::new(), twice: 0 };
    for (record, number) in csv.records().zip(2_u64..) {
        report.lines += 1;
        if report.lines > LINES_MAX as u64 {
            return Err(wrong(format!("it has more than {LINES_MAX} lines: make several files of it")));
        }
        let read = record.map_err(|error| error.to_string()).and_then(|record| {
            let field = |column: usize| record.get(column).unwrap_or_default();
            let card = CardCode::printed(field(code)).map_err(|refusal| refusal.detail)?;
            let part = part_of(money, field(balance), expires.map(field).unwrap_or_default());
            let blocked = match blocked.map(field).unwrap_or_default() {
                "" | "no" => Ok(false),
                "yes" => Ok(true),
                other => Err(format!("blocked: `yes` or nothing is expected, not `{other}`")),
            };
            match part.and_then(|part| Ok((part, blocked?))) {
                Ok((part, blocked)) => cards.add(number, Part { code: card, part, blocked }),
                // Its other lines alone would be another card than there was.
                Err(detail) => {
                    cards.spoiled.entry(card.name()).or_insert(number);
                    Err(detail)
                }
            }
        });
        if let Err(detail) = read {
            report.rejected += 1;
            report.differences.push(LineDifference { line: number, detail });
        }
    }
    let Cards { mut lines, spoiled, mut twice, .. } = cards;
    lines.retain(|line| match spoiled.get(&line.code.name()) {
        Some(other) => {
            twice += line.units();
            report.rejected += line.parts.len() as u64;
            let detail = format!("line {other} of the same card cannot be read");
            report.differences.push(LineDifference { line: line.number, detail });
            false
        }
        None => true,
    });
    Ok((lines, twice))
}

fn part_of(money: Currency, balance: &str, expires: &str) -> Result<CardPart, String> {
    let amount: Amount = balance.parse().map_err(|_| format!("balance: `{balance}` is no amount"))?;
    let units = money.units(amount).filter(|units| *units >= 0);
    let amount = units
        .ok_or_else(|| format!("balance: an amount of {} of 0 or more is expected, not `{balance}`", money.code()))?;
    let day = || expires.parse::<Day>().map_err(|_| format!("expires: `{expires}` is no day such as 2026-12-31"));
    Ok(CardPart { amount, expires: (!expires.is_empty()).then(day).transpose()? })
}

/// The cards of the lines so far.
struct Cards {
    lines: Vec<Line>,
    /// By code, where the card is.
    places: HashMap<String, usize>,
    /// By code, a line of the card that cannot be read.
    spoiled: HashMap<String, u64>,
    /// Money of lines that say again what one before them says.
    twice: i64,
}

impl Cards {
    fn add(&mut self, number: u64, part: Part) -> Result<(), String> {
        let Part { code, part, blocked } = part;
        let Some(place) = self.places.get(&code.name()).copied() else {
            self.places.insert(code.name(), self.lines.len());
            self.lines.push(Line { number, code, parts: vec![part], blocked });
            return Ok(());
        };
        let line = &mut self.lines[place];
        let first = line.number;
        let problem = if line.parts.iter().any(|known| known.expires == part.expires) {
            Some(format!("code: the same as in line {first}, and no other day in `expires`"))
        } else if line.blocked != blocked {
            Some(format!("blocked: a card is blocked or not, and line {first} says otherwise"))
        } else if line.parts.len() >= PARTS_MAX {
            Some(format!("code: the money of one card dies on at most {PARTS_MAX} days"))
        } else {
            None
        };
        match problem {
            Some(problem) => {
                self.twice += part.amount;
                Err(problem)
            }
            None => {
                line.parts.push(part);
                Ok(())
            }
        }
    }
}

/// Sends lines through the one door; gives those that were refused, by their number.
fn send(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    lines: &[Line],
    key: &str,
    report: &mut CardsMovedIn,
) -> Result<BTreeMap<u64, String>, CardsError> {
    let secrets = &engine.context.secrets;
    let now = engine.context.clock.now();
    let (done, answers) = mpsc::channel();
    for line in lines {
        // Known by its code: a corrected file may have it in another line.
        let key = format!("moved/{key}/{}", hex(&line.code.key(secrets, program.number)));
        let step = CardStep::MoveIn { code: line.code.clone(), parts: line.parts.clone() };
        let submission = Submission::gift_card(secrets, program, None, step, &key, now);
        let (done, number) = (done.clone(), line.number);
        let reply = Box::new(move |answer| {
            // Whoever asked may have gone; the card is made all the same.
            let _ = done.send((number, answer));
        });
        engine.executor().submit_in_order_waiting(submission, reply).map_err(EngineError::from)?;
    }
    drop(done);
    let blocked: BTreeMap<u64, &Line> =
        lines.iter().filter(|line| line.blocked).map(|line| (line.number, line)).collect();
    let mut refused = BTreeMap::new();
    for (number, answer) in answers {
        match answer {
            Answer::Done { outcome, .. } => {
                match outcome.status {
                    OutcomeStatus::Duplicate => report.known += 1,
                    _ => report.taken += 1,
                }
                // Once, under a key of its own, also where the process ended between the two.
                if let Some(line) = blocked.get(&number) {
                    block(engine, program, line, key)?;
                }
            }
            Answer::Refused(refusal) => {
                refused.insert(number, refusal.detail);
            }
            Answer::Unavailable => {
                refused.insert(number, "it was not taken: send the file again".to_owned());
            }
        }
    }
    report.rejected += refused.len() as u64;
    Ok(refused)
}

/// A card that was lost pays for nothing here either.
fn block(engine: &Engine, program: &Arc<ProgramHandle>, line: &Line, key: &str) -> Result<(), CardsError> {
    let secrets = &engine.context.secrets;
    let key = format!("blocked/{key}/{}", hex(&line.code.key(secrets, program.number)));
    let (step, now) = (CardStep::Block { reason: None }, engine.context.clock.now());
    let about = Some(line.code.subject());
    engine.submit(Submission::gift_card(secrets, program, about, step, &key, now)).map_err(EngineError::from)?;
    Ok(())
}

/// Holds lines against the cards that are here; gives what came in with them.
fn compare(
    engine: &Engine,
    program: &ProgramHandle,
    lines: &[Line],
    refused: &BTreeMap<u64, String>,
    report: &mut CardsMovedIn,
) -> Result<i64, CardsError> {
    let (context, money) = (&engine.context, program.versions().head().money);
    let mut here = 0;
    let mut differences = Vec::new();
    context.database.read(|reader| {
        for line in lines {
            let key = own_key(program.number, &line.code.key(&context.secrets, program.number));
            let rows = reader.fetch_by_keys(&tables::MEMBER_IDENTIFIER, std::slice::from_ref(&key))?;
            let member = rows.first().map(|row| member_id(row[3].bytes()?)).transpose()?;
            let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
            let state = match member {
                Some(member) => reader.query(sql, &member_key(program.number, member))?,
                None => Vec::new(),
            };
            let state = state.first().map(|row| state_from_bytes(row[0].bytes()?)).transpose()?;
            let card = state.filter(|state| state.status == Status::GiftCard);
            let moved_in =
                card.map(|card| card.purse(GIFT_CARD.as_str()).map_or(0, |purse| purse.totals.imported.get()));
            if let Some(detail) = refused.get(&line.number) {
                differences.push(LineDifference { line: line.number, detail: detail.clone() });
                continue;
            }
            here += moved_in.unwrap_or(0);
            report.here += u64::from(moved_in.is_some());
            if moved_in != Some(line.units()) {
                let text = |units: i64| money.amount(units).to_text(money.decimals());
                let found = moved_in.map_or_else(|| "no card".to_owned(), text);
                let detail = format!("{} in the file, {found} here", text(line.units()));
                differences.push(LineDifference { line: line.number, detail });
            }
        }
        Ok::<_, StoreError>(())
    })?;
    report.differences.append(&mut differences);
    Ok(here)
}
