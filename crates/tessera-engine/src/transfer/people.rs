//! A program's members as files that another installation takes in: `members.csv`, `lots.csv`, `vouchers.csv` and the
//! `moving.toml` that explains them; and its gift cards, in `cards.csv`.
//!
//! They are as settled to now. What is reserved is written with a remark, for it is the member's until it is spent, and so is
//! their part of a household's pool. Pending points that wait for an order of here stay, and are counted.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tessera_core::decide;
use tessera_core::id::MemberId;
use tessera_core::ledger::Lot;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::{Expires, GIFT_CARD, Id, Program};
use tessera_core::time::{Day, Instant, MonthDay};
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
    /// Units of all currencies that wait for an order of here: they stay behind.
    pub pending: i64,
    /// Units that are reserved, or in the pool of a household: written as lots of whose they are, with a remark.
    pub held: i64,
    pub pooled: i64,
    /// Units of pools that are nobody's in particular: they stay behind.
    pub common: i64,
    /// Cards on which something is reserved: it is in their balance.
    pub cards_held: u64,
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
    lots.write_record(["lot", "member", "currency", "amount", "earned", "expires", "funder", "matures", "remark"])?;
    cards.write_record(["code", "balance", "expires", "blocked", "reserved"])?;
    vouchers.write_record(["code", "member", "voucher", "expires"])?;
    let mut people = People::default();
    let now = context.clock.now();
    let written = context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if !matches!(state.status, Status::Active | Status::GiftCard | Status::Household) {
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
            if state.status == Status::Household {
                return people.pool(&mut lots, &state).map_err(broken);
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

/// A lot of a member.
struct Row<'a> {
    currency: &'a Id,
    lot: &'a Lot,
    units: i64,
    matures: Option<Day>,
    remark: String,
}

fn write_lot(
    lots: &mut Csv,
    (holder, number): (MemberId, u64),
    member: MemberId,
    row: &Row<'_>,
) -> Result<(), csv::Error> {
    lots.write_record([
        format!("{holder}-{number}"),
        member.to_string(),
        row.currency.to_string(),
        row.units.to_string(),
        row.lot.earned_at.to_string(),
        row.lot.last_day.map(|day| day.to_string()).unwrap_or_default(),
        row.lot.funder.as_ref().map(ToString::to_string).unwrap_or_default(),
        row.matures.map(|day| day.to_string()).unwrap_or_default(),
        row.remark.clone(),
    ])
}

/// What a redemption holds, in words.
fn reserved(state: &MemberState, redemption: u64) -> String {
    format!("reserved {}", state.event_id(redemption))
}

fn lots_of(lots: &mut Csv, rules: &Program, state: &MemberState) -> Result<u64, csv::Error> {
    let mut rows = Vec::new();
    for purse in &state.purses {
        let row =
            |lot, matures, remark| Row { currency: &purse.currency, lot, units: lot.remaining.get(), matures, remark };
        rows.extend(purse.lots.iter().map(|lot| row(lot, None, String::new())));
        for wait in &purse.waits {
            let Some(at) = wait.matures_at else { continue };
            let day = Some(rules.calendar.day(at));
            rows.extend(wait.lots.iter().map(|lot| row(lot, day, String::new())));
        }
        for hold in state.holds.iter().filter(|hold| hold.terms.currency == purse.currency) {
            rows.extend(hold.lots.iter().map(|lot| row(lot, None, reserved(state, hold.event))));
        }
    }
    for (row, number) in rows.iter().zip(1..) {
        write_lot(lots, (state.id, number), state.id, row)?;
    }
    Ok(rows.len() as u64)
}

impl People {
    /// Writes a household's pool as what it is: parts of its people's.
    fn pool(&mut self, lots: &mut Csv, state: &MemberState) -> Result<(), csv::Error> {
        let Some(household) = &state.household else { return Ok(()) };
        let mut number = 0;
        for part in &household.parts {
            if household.person(part.owner).is_none() {
                self.common += part.amount;
                continue;
            }
            let purse = state.purse(part.currency.as_str());
            let open = purse.into_iter().flat_map(|purse| &purse.lots);
            let hold = part.lot.order.and_then(|redemption| state.hold(redemption));
            let mut there = open.chain(hold.into_iter().flat_map(|hold| &hold.lots));
            let Some(lot) = there.find(|lot| lot.is(&part.lot)) else { continue };
            let what = part.lot.order.map(|redemption| format!(" {}", reserved(state, redemption)));
            let remark = format!("pool {}{}", state.id, what.unwrap_or_default());
            number += 1;
            let row = Row { currency: &part.currency, lot, units: part.amount, matures: None, remark };
            write_lot(lots, (state.id, number), part.owner, &row)?;
            self.pooled += part.amount;
        }
        self.lots += number;
        Ok(())
    }

    /// Writes a card with its code, which is as good as its money: a line for each day on which some of it dies.
    fn card(&mut self, cards: &mut Csv, rules: &Program, state: &MemberState, code: &str) -> Result<(), csv::Error> {
        let blocked = state.gift_card.is_some_and(|card| card.blocked);
        let open = state.purse(GIFT_CARD.as_str()).map(|purse| purse.lots.as_slice()).unwrap_or_default();
        let held = state.holds.iter().flat_map(|hold| &hold.lots);
        // By day, what there is and how much of it is reserved. What never dies is the last of all.
        let mut days: BTreeMap<(bool, Option<Day>), (i64, i64)> = BTreeMap::new();
        for (lot, is_held) in open.iter().map(|lot| (lot, false)).chain(held.map(|lot| (lot, true))) {
            let (all, reserved) = days.entry((lot.last_day.is_none(), lot.last_day)).or_default();
            let units = lot.remaining.get();
            (*all, *reserved) = (*all + units, *reserved + if is_held { units } else { 0 });
        }
        if days.is_empty() {
            days.insert((true, None), (0, 0));
        }
        self.cards_held += u64::from(days.values().any(|(_, reserved)| *reserved > 0));
        self.cards += 1;
        let text = |units: i64| rules.money.amount(units).to_text(rules.money.decimals());
        for ((_, last_day), (all, reserved)) in days {
            cards.write_record([
                code.rsplit(':').next().unwrap_or_default(),
                &text(all),
                &last_day.map(|day| day.to_string()).unwrap_or_default(),
                if blocked { "yes" } else { "" },
                &if reserved > 0 { text(reserved) } else { String::new() },
            ])?;
        }
        Ok(())
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
    text += "\n[lots]\nid = \"lot\"\ncurrency = \"currency\"\namount = \"amount\"\nearned = \"earned\"\nexpires = \"expires\"\nfunder = \"funder\"\nmatures = \"matures\"\nremark = \"remark\"\n";
    text += "\n[vouchers]\nid = \"code\"\nvoucher = \"voucher\"\ncode = \"code\"\nexpires = \"expires\"\n";
    text
}
