mod html;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Args;
use serde::Serialize;
use tessera_core::program;
use tessera_core::time::Instant;
use tessera_engine::replay::{Comparison, Span, replay};

use super::program::{print_findings, read};
use super::{Context, instant, known};
use crate::output::{Failure, Progress, counted, grouped, grouped_amount, json, moment, note, say, table, unreadable};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera replay --program copper-cup --draft programs/coffee.yaml\n  tessera replay --program copper-cup --draft draft.yaml --from 2026-01-01T00:00:00+07:00 --html what-if.html\n\nDecides every recorded event again as the draft would have, in memory, and compares: nothing is written. With --from, what came before stays as it was. What each figure means: docs/glossary.md"
)]
pub struct Arguments {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// The document to try, YAML or JSON
    #[arg(long, value_name = "FILE")]
    draft: PathBuf,
    /// From when the draft is in force, as if it had been published then; from the first event when left out
    #[arg(long, value_parser = instant, value_name = "TIME")]
    from: Option<Instant>,
    /// The end of the business looked at, exclusive; now when left out
    #[arg(long, value_parser = instant, value_name = "TIME")]
    to: Option<Instant>,
    /// Write the comparison as a page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A comparison with what it was taken over.
#[derive(Debug, Serialize)]
struct WhatIf {
    program: String,
    /// The version in force at the end of the span.
    version: u32,
    from: Option<Instant>,
    to: Instant,
    per_second: u64,
    #[serde(flatten)]
    found: Comparison,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let text = read(&arguments.draft)?;
    let draft_name = arguments.draft.display().to_string();
    let document = program::read_document(&text).map_err(|findings| {
        print_findings(&draft_name, &findings);
        Failure::refused("the draft is not valid")
    })?;
    if document.definition.program.as_str() != arguments.program {
        let wrong = format!("the draft is of the program `{}`", document.definition.program);
        return Err(Failure::usage(wrong).right(format!("its first line would say `program: {}`", arguments.program)));
    }
    let to = arguments.to.unwrap_or_else(|| context.now());
    if arguments.from.is_some_and(|from| from >= to) {
        return Err(Failure::usage("--from is not before --to"));
    }
    let reader = context.reader()?;
    let handle = known(&reader, &arguments.program)?;
    let versions = handle.versions();
    let draft = program::load_program(&text, versions.head().version + 1)
        .map_err(|_| Failure::refused("the draft is not valid"))?;
    let events = reader.database.read(|reader| {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM event WHERE program = $1";
        let rows = reader.query(sql, &[handle.number.into()])?;
        rows.first().map_or(Ok(0), |row| row[0].int())
    })?;
    let started = std::time::Instant::now();
    let span = Span { from: arguments.from, to };
    let watched = Watched::default();
    let found = std::thread::scope(|scope| {
        scope.spawn(|| watched.show(u64::try_from(events).unwrap_or(0), started));
        let found = replay(&reader, &handle, Arc::new(draft), span, &|done| watched.tell(done));
        watched.end();
        found
    })?;
    let per_second = (found.events as f64 / started.elapsed().as_secs_f64().max(0.001)) as u64;
    let version = versions.at(to).version;
    // Whoever is in the figures has no history before that.
    let from = arguments.from.max(found.history_from);
    let what_if = WhatIf { program: arguments.program.clone(), version, from, to, per_second, found };
    if let Some(file) = &arguments.html {
        let page = html::page(&what_if, &document.definition.name);
        std::fs::write(file, page).map_err(|error| unreadable(file, &error))?;
    }
    if context.json {
        json(&what_if)?;
    } else {
        print(&what_if);
    }
    if let Some(file) = &arguments.html {
        note!("wrote {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Progress told from many threads and shown by one.
#[derive(Default)]
struct Watched {
    done: AtomicU64,
    ended: AtomicBool,
}

impl Watched {
    fn tell(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn show(&self, length: u64, started: std::time::Instant) {
        let mut progress = Progress::new("events", length);
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let done = self.done.load(Ordering::Relaxed);
            progress.at(done, done, started);
        }
        progress.done();
    }
}

/// What the figures do not tell, as events were archived.
fn archived(found: &Comparison) -> Option<String> {
    let since = found.history_from?;
    let members = counted(found.left_out, "member", "members");
    Some(format!(
        "Events before {} were archived. {members} of whom some are gone, or who share a household with such a member, are \
         left out of every figure: they tell of the others, who joined since. What those left out drew of budgets is not \
         known here.",
        moment(since)
    ))
}

fn print(what_if: &WhatIf) {
    let found = &what_if.found;
    let since = what_if.from.map_or_else(|| "the first event".to_owned(), moment);
    say!("`{}` from {since} to {}, version {} → the draft", what_if.program, moment(what_if.to), what_if.version);
    say!(
        "{} of {} decided again, {}/s\n",
        counted(found.events, "event", "events"),
        counted(found.members, "member", "members"),
        grouped(what_if.per_second)
    );
    if let Some(gone) = archived(found) {
        say!("{gone}\n");
    }
    for (code, count) in &found.refused {
        say!("{} the draft refuses: {code}\n", counted(*count, "event", "events"));
    }
    let rows = found.currencies.iter().flat_map(|(currency, sides)| {
        [("before", &sides.before), ("after", &sides.after)].map(|(side, flow)| {
            let money = |amount: &Option<String>| amount.as_deref().map_or_else(|| "-".to_owned(), grouped_amount);
            let figures = [flow.issued, flow.taken_back, flow.spent, flow.expired, flow.outstanding].map(grouped);
            let name = if side == "before" { currency.to_string() } else { String::new() };
            [name, side.to_owned()]
                .into_iter()
                .chain(figures)
                .chain([money(&flow.cost), money(&flow.liability)])
                .collect()
        })
    });
    let header = ["currency", "", "issued", "taken back", "spent", "expired", "outstanding", "cost", "liability"];
    say!("{}\n", table(&header, &[2, 3, 4, 5, 6, 7, 8], rows));
    let rows = found.campaigns.iter().flat_map(|(campaign, currencies)| {
        currencies.iter().map(move |(currency, sides)| {
            let change = sides.after - sides.before;
            let change = if change > 0 { format!("+{}", grouped(change)) } else { grouped(change) };
            vec![campaign.to_string(), currency.to_string(), grouped(sides.before), grouped(sides.after), change]
        })
    });
    say!("{}\n", table(&["campaign", "currency", "before", "after", "change"], &[2, 3, 4], rows));
    for (ladder, tiers) in &found.tiers {
        let rows = tiers
            .levels
            .iter()
            .map(|known| vec![known.level.to_string(), grouped(known.sides.before), grouped(known.sides.after)]);
        say!("{}", table(&[ladder.as_str(), "before", "after"], &[1, 2], rows));
        for step in &tiers.moves {
            say!("  {} from {} to {}", counted(step.members, "member", "members"), step.from, step.to);
        }
        say!("");
    }
    let gain = &found.gain;
    say!("{} gain, {} lose, {} keep what they have", grouped(gain.more), grouped(gain.less), grouped(gain.same));
    for (title, list) in [("most gained", &found.winners), ("most lost", &found.losers)] {
        if list.is_empty() {
            continue;
        }
        say!("");
        let rows = list.iter().map(|one| vec![one.member.clone(), grouped_amount(&one.gain), html::why(one)]);
        say!("{}", table(&[title, &gain.unit, "why"], &[1], rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_page_say_that_events_were_archived_and_whom_that_leaves_out() {
        let found =
            Comparison { left_out: 1_200, history_from: Some(Instant::from_micros(0)), ..Comparison::default() };
        let what_if = WhatIf {
            program: "shop".to_owned(),
            version: 3,
            from: None,
            to: Instant::from_micros(1),
            per_second: 0,
            found,
        };
        let said = archived(&what_if.found).expect("somebody is left out");
        assert!(said.contains("Events before 1970-01-01") && said.contains("were archived. 1,200 members"), "{said}");
        assert!(html::page(&what_if, &program::Texts::default()).contains(&said), "the page says the same");
        let json = serde_json::to_value(&what_if).expect("a comparison has a JSON form");
        assert_eq!((&json["left_out"], json["history_from"].is_string()), (&serde_json::Value::from(1_200), true));
        assert_eq!(archived(&Comparison::default()), None, "where every event is there nothing is said");
    }
}
