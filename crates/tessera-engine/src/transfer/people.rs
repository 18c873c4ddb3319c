//! A program's members as files that another installation takes in: `members.csv`, `lots.csv`, `vouchers.csv` and the
//! `moving.toml` that explains them; and its gift cards, in `cards.csv`.
//!
//! They are as settled to now. What is on its way stays: reservations, and pending points that wait for an order of here,
//! are counted, not written.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tessera_core::decide;
use tessera_core::id::MemberId;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{Expires, GIFT_CARD, Program};
use tessera_core::time::{Instant, MonthDay};
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::new_file::NewFile;
use crate::programs::ProgramHandle;
use crate::record::member_key;
use crate::report::{each_member, profile_of, whole_profile};

/// What was written, and what was not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct People {
    pub members: u64,
    pub lots: u64,
    pub vouchers: u64,
    /// Gift cards that are good or blocked.
    pub cards: u64,
    /// Units of all currencies that wait for an order of here, or are reserved: they stay behind.
    pub pending: i64,
    pub held: i64,
    /// Cards on which something is reserved: that stays behind.
    pub cards_held: u64,
    /// Cards whose money dies on several days: it is written with the last one.
    pub cards_one_day: u64,
}

type Csv = csv::Writer<io::BufWriter<std::fs::File>>;

/// Writes a program's members into a folder. Files that are there are never written over.
///
/// # Errors
/// If the folder or a file cannot be written, or the database cannot be read.
pub fn export_people(context: &Context, program: &Arc<ProgramHandle>, folder: &Path) -> io::Result<People> {
    std::fs::create_dir_all(folder)?;
    let rules = program.versions().head().clone();
    let create = |name: &str| {
        let (new, file) = NewFile::create(&folder.join(name))?;
        Ok::<_, io::Error>((new, csv::Writer::from_writer(io::BufWriter::new(file))))
    };
    let (members_file, mut members) = create("members.csv")?;
    let (lots_file, mut lots) = create("lots.csv")?;
    let (vouchers_file, mut vouchers) = create("vouchers.csv")?;
    let (cards_file, mut cards) = create("cards.csv")?;
    let (mapping_file, mut mapping) = NewFile::create(&folder.join("moving.toml"))?;
    members.write_record(header(&rules))?;
    lots.write_record(["lot", "member", "currency", "amount", "earned", "expires", "funder", "matures"])?;
    cards.write_record(["code", "balance", "expires", "blocked"])?;
    vouchers.write_record(["code", "member", "voucher", "expires"])?;
    let mut people = People::default();
    let now = context.clock.now();
    let written = context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if !matches!(state.status, Status::Active | Status::GiftCard) {
                return Ok(());
            }
            let state = decide::settled_to(&program.versions(), &state, now);
            // The file is what fails here, if anything.
            let broken = |error: csv::Error| StoreError::Unavailable(format!("the files cannot be written: {error}"));
            if state.status == Status::GiftCard {
                let profile = profile_of(context, reader, program.number, id)?;
                let code = profile.identifiers.last().map(String::as_str).unwrap_or_default();
                return people.card(&mut cards, &rules, &state, code).map_err(broken);
            }
            let line = member_line(context, reader, program.number, &rules, &state, now)?;
            people.members += 1;
            members.write_record(line).map_err(broken)?;
            people.lots += lots_of(&mut lots, &rules, &state).map_err(broken)?;
            people.vouchers += vouchers_of(&mut vouchers, reader, program.number, &rules, id, now, &broken)?;
            for purse in &state.purses {
                let undated = purse.waits.iter().filter(|wait| wait.matures_at.is_none()).flat_map(|wait| &wait.lots);
                people.pending += undated.map(|lot| lot.remaining.get()).sum::<i64>();
                people.held += state.held(purse.currency.as_str()).get();
            }
            Ok(())
        })
    });
    written.map_err(|error: StoreError| io::Error::other(error.to_string()))?;
    mapping.write_all(mapping_text(program.key.as_str(), &rules).as_bytes())?;
    mapping.sync_all()?;
    for (new, writer) in [(members_file, members), (lots_file, lots), (vouchers_file, vouchers), (cards_file, cards)] {
        let buffer = writer.into_inner().map_err(|error| error.into_error())?;
        buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        new.finish()?;
    }
    mapping_file.finish()?;
    Ok(people)
}

const PLAIN: [&str; 10] =
    ["member", "joined", "identifiers", "name", "language", "phone", "email", "birthday", "purchases", "spend"];

fn header(rules: &Program) -> Vec<String> {
    let mut header: Vec<String> = PLAIN.into_iter().map(str::to_owned).collect();
    header.push("last_purchase".to_owned());
    header.extend(rules.definition.currencies.keys().map(|currency| format!("balances.{currency}")));
    header.extend(idle(rules).map(|currency| format!("idle_until.{currency}")));
    for ladder in &rules.ladders {
        header.extend(["level", "since", "holds_until"].map(|field| format!("tiers.{}.{field}", ladder.id)));
        header.extend((ladder.measures.len() == 1).then(|| format!("tiers.{}.progress", ladder.id)));
    }
    header
}

/// Currencies that die by inactivity.
fn idle(rules: &Program) -> impl Iterator<Item = &str> {
    let currencies = rules.definition.currencies.iter();
    currencies.filter(|(_, currency)| matches!(currency.expires, Expires::Inactivity { .. })).map(|(id, _)| id.as_str())
}

fn birthday_text(birthday: MonthDay) -> String {
    match birthday.day {
        Some(day) => format!("{:02}-{day:02}", birthday.month),
        None => format!("{:02}", birthday.month),
    }
}

fn member_line(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    rules: &Program,
    state: &MemberState,
    now: Instant,
) -> Result<Vec<String>, StoreError> {
    let profile = whole_profile(context, reader, program, state)?;
    let field = |name: &str| profile.fields.get(name).cloned().unwrap_or_default();
    // Phone and email are identifiers too, in columns of their own where the member gave them.
    let given = [("phone", field("phone")), ("email", field("email"))];
    let is_given = |identifier: &&String| {
        given.iter().any(|(kind, value)| !value.is_empty() && identifier.starts_with(&format!("{kind}:")))
    };
    let others: Vec<&str> =
        profile.identifiers.iter().filter(|identifier| !is_given(identifier)).map(String::as_str).collect();
    let birthday = state.birthday_next.map(|(_, birthday)| birthday).or(state.birthday);
    let mut line = vec![
        state.id.to_string(),
        state.joined_on.to_string(),
        others.join(";"),
        field("name"),
        field("language"),
        field("phone"),
        field("email"),
        birthday.map(birthday_text).unwrap_or_default(),
        state.statistics.purchases.to_string(),
        state.statistics.spend.to_string(),
        state.statistics.last_purchase.map(|day| day.to_string()).unwrap_or_default(),
    ];
    // Points come with their lots: here is what is owed.
    for currency in rules.definition.currencies.keys() {
        let owed = state.purse(currency.as_str()).map_or(0, |purse| purse.debt.get());
        line.push(if owed > 0 { format!("-{owed}") } else { String::new() });
    }
    for currency in idle(rules) {
        let idle = state.purse(currency).and_then(|purse| purse.idle);
        line.push(idle.filter(|(_, end)| *end > now).map(|(day, _)| day.to_string()).unwrap_or_default());
    }
    let standings = decide::tier_standings(rules, state, now);
    for ladder in &rules.ladders {
        let standing = standings.iter().find(|standing| standing.ladder == ladder.id);
        let day = |at: Instant| rules.calendar.day(at).to_string();
        let last = |end: Instant| day(Instant::from_micros(end.micros() - 1));
        line.push(standing.map(|standing| standing.level.to_string()).unwrap_or_default());
        line.push(standing.and_then(|standing| standing.since).map(day).unwrap_or_default());
        line.push(standing.and_then(|standing| standing.holds_until).map(last).unwrap_or_default());
        if ladder.measures.len() == 1 {
            let measured = standing.and_then(|standing| standing.measured.values().next().copied());
            line.push(measured.filter(|amount| !amount.is_zero()).map(|amount| amount.to_string()).unwrap_or_default());
        }
    }
    Ok(line)
}

fn lots_of(lots: &mut Csv, rules: &Program, state: &MemberState) -> Result<u64, csv::Error> {
    let mut number = 0;
    for purse in &state.purses {
        let open = purse.lots.iter().map(|lot| (lot, None));
        let dated = purse.waits.iter().filter_map(|wait| Some((wait, wait.matures_at?)));
        let waiting = dated.flat_map(|(wait, at)| wait.lots.iter().map(move |lot| (lot, Some(rules.calendar.day(at)))));
        for (lot, matures) in open.chain(waiting) {
            number += 1;
            lots.write_record([
                format!("{}-{number}", state.id),
                state.id.to_string(),
                purse.currency.to_string(),
                lot.remaining.get().to_string(),
                lot.earned_at.to_string(),
                lot.last_day.map(|day| day.to_string()).unwrap_or_default(),
                lot.funder.as_ref().map(ToString::to_string).unwrap_or_default(),
                matures.map(|day| day.to_string()).unwrap_or_default(),
            ])?;
        }
    }
    Ok(number)
}

impl People {
    /// Writes a card with its code, which is as good as its money.
    fn card(&mut self, cards: &mut Csv, rules: &Program, state: &MemberState, code: &str) -> Result<(), csv::Error> {
        let blocked = state.gift_card.is_some_and(|card| card.blocked);
        let lots = state.purse(GIFT_CARD.as_str()).map(|purse| purse.lots.as_slice()).unwrap_or_default();
        let units: i64 = lots.iter().map(|lot| lot.remaining.get()).sum();
        self.cards_held += u64::from(!state.held(GIFT_CARD.as_str()).is_zero());
        self.cards_one_day += u64::from(lots.iter().any(|lot| lot.last_day != lots[0].last_day));
        // What never dies is the last of all.
        let never = lots.iter().any(|lot| lot.last_day.is_none());
        let last_day = lots.iter().filter_map(|lot| lot.last_day).max().filter(|_| !never);
        self.cards += 1;
        cards.write_record([
            code.rsplit(':').next().unwrap_or_default(),
            &rules.money.amount(units).to_text(rules.money.decimals()),
            &last_day.map(|day| day.to_string()).unwrap_or_default(),
            if blocked { "yes" } else { "" },
        ])
    }
}

fn vouchers_of(
    vouchers: &mut Csv,
    reader: &mut Reader<'_>,
    program: i64,
    rules: &Program,
    id: MemberId,
    now: Instant,
    broken: &dyn Fn(csv::Error) -> StoreError,
) -> Result<u64, StoreError> {
    let sql = "SELECT code, voucher, expires_at FROM voucher WHERE bucket = $1 AND program = $2 AND member = $3 AND status = 1 ORDER BY code";
    let mut count = 0;
    for row in reader.query(sql, &member_key(program, id))? {
        let expires_at = row[2].opt_int()?.map(Instant::from_micros);
        if expires_at.is_some_and(|end| end <= now) {
            continue;
        }
        let last = expires_at.map(|end| rules.calendar.day(Instant::from_micros(end.micros() - 1)).to_string());
        let record = [row[0].text()?, &id.to_string(), row[1].text()?, last.as_deref().unwrap_or_default()];
        vouchers.write_record(record).map_err(broken)?;
        count += 1;
    }
    Ok(count)
}

/// The mapping of these files: every column is the field of its name.
fn mapping_text(program: &str, rules: &Program) -> String {
    let mut text =
        format!("source = \"{program}\"\nmember = {{ kind = \"moved\", column = \"member\" }}\n\n[members]\n");
    for name in header(rules).iter().filter(|name| *name != "member") {
        text += &format!("\"{name}\" = \"{name}\"\n");
    }
    text += "\n[lots]\nid = \"lot\"\ncurrency = \"currency\"\namount = \"amount\"\nearned = \"earned\"\nexpires = \"expires\"\nfunder = \"funder\"\nmatures = \"matures\"\n";
    text += "\n[vouchers]\nid = \"code\"\nvoucher = \"voucher\"\ncode = \"code\"\nexpires = \"expires\"\n";
    text
}
