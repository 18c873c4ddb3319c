use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde_json::json;
use tessera_core::decide::Outcome;
use tessera_core::program::GIFT_CARD;
use tessera_core::quantity::Amount;
use tessera_engine::Engine;
use tessera_engine::gift_card::{CardCode, CardStep, card_subject, unknown_code};
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::{self, CardStatus};
use tessera_engine::submission::{Answer, Refusal, Submission};
use tessera_engine::transfer::{CardsError, import_cards};

use super::code_file::CodeFile;
use super::task::Task;
use super::{Context, all_of, known};
use crate::output::{
    Failure, Progress, REFUSED, counted, grouped, grouped_amount, json as print_json, moment, note, say, say_first,
    table, unreadable,
};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make cards, a line each in a CSV file
    #[command(
        override_usage = "tessera gift-card issue [OPTIONS] --program <PROGRAM> --key <KEY>\n         --to <FILE>",
        after_help = "Examples:\n  tessera gift-card issue --program copper-cup --amount 500000 --count 100 --key tet --to tet.csv\n  tessera gift-card issue --program copper-cup --count 5000 --key print-1 --to empty.csv\n\nWithout --amount cards are empty, and loaded when they are sold. The same key gives the same cards: a run that was stopped goes on when it is started again."
    )]
    Issue(Issue),
    /// Take in cards of another system, and prove that all of them are here
    #[command(
        override_usage = "tessera gift-card import [OPTIONS] --program <PROGRAM> --key <KEY> <FILE>",
        after_help = "Example:\n  tessera gift-card import cards.csv --program copper-cup --key old-till\n\nA CSV file with `code`, `balance` and, where money dies, `expires`, the last day; `blocked` says `yes` of cards that pay for nothing. The same file under the same key may be imported again. Every line is held against the ledger in the end; the exit code is 1 when anything differs."
    )]
    Import(Import),
    /// Show a card
    #[command(after_help = "Example:\n  tessera gift-card show CDFG-2345-HJKM-67NP --program copper-cup")]
    Show(Show),
    /// List cards: the end of the code, and what is on them
    #[command(after_help = "Example:\n  tessera gift-card list --program copper-cup --status blocked")]
    List(List),
    /// Take for good what is on a card, and block it
    #[command(
        override_usage = "tessera gift-card void [OPTIONS] --program <PROGRAM> --key <KEY> <CARD>",
        after_help = "Example:\n  tessera gift-card void CDFG-2345-HJKM-67NP --program copper-cup --key undo-1 --reason \"sold twice\""
    )]
    Void(Void),
    /// Pay money in
    #[command(
        override_usage = "tessera gift-card top-up [OPTIONS] --program <PROGRAM> --amount <AMOUNT>\n         --key <KEY> <CARD>",
        after_help = "Example:\n  tessera gift-card top-up CDFG-2345-HJKM-67NP --program copper-cup --amount 200000 --key till-1-0042"
    )]
    TopUp(TopUp),
}

#[derive(Args, Debug)]
pub struct Issue {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// How many, at most 1,000,000
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// What is on each, in the program's money
    #[arg(long, default_value = "0")]
    amount: String,
    /// Your own word for this print run: the same again gives the same cards
    #[arg(long)]
    key: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args, Debug)]
pub struct Import {
    /// A card a line
    file: PathBuf,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Your own word for this move
    #[arg(long)]
    key: String,
}

#[derive(Args, Debug)]
pub struct Show {
    /// Its code, or its id
    card: String,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
}

#[derive(Args, Debug)]
pub struct List {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Only these: active, empty or blocked
    #[arg(long)]
    status: Option<CardStatus>,
}

#[derive(Args, Debug)]
pub struct Void {
    /// Its code, or its id
    card: String,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Your own word for this: the same again changes nothing
    #[arg(long)]
    key: String,
    /// Why, kept with the event
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args, Debug)]
pub struct TopUp {
    /// Its code, or its id
    card: String,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// How much, in the program's money
    #[arg(long)]
    amount: String,
    /// Your own word for this payment: the same again pays in once
    #[arg(long)]
    key: String,
}

/// The most cards of one run.
const CARDS_MAX: u32 = 1_000_000;

/// Cards that are under way at once.
const AHEAD: u32 = 500;

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Issue(arguments) => issue(context, &arguments),
        Command::Import(arguments) => import(context, &arguments),
        Command::Show(arguments) => show(context, &arguments),
        Command::List(arguments) => list(context, &arguments),
        Command::Void(Void { card, program, key, reason }) => {
            let engine = context.writer(&task("gift-card void", &program, &format!("gift-cards/{card}/void")))?;
            step(context, engine, (&program, &card), |_| Ok(CardStep::Void { reason }), &key)
        }
        Command::TopUp(TopUp { card, program, amount, key }) => {
            let engine = context.writer(&task("gift-card top-up", &program, &format!("gift-cards/{card}/top-up")))?;
            let paid_in =
                |program: &ProgramHandle| Ok(CardStep::TopUp { amount: units(program, &amount)?, order_id: None });
            step(context, engine, (&program, &card), paid_in, &key)
        }
    }
}

fn task(command: &'static str, program: &str, rest: &str) -> Task {
    Task::over_api(command, "POST", format!("/v1/programs/{program}/{rest}"), "with a key for gift-cards:write")
}

/// An amount in the smallest units of the program's money.
fn units(program: &ProgramHandle, text: &str) -> Result<i64, Failure> {
    let money = program.versions().head().money;
    let units = text.parse::<Amount>().ok().and_then(|amount| money.units(amount)).filter(|units| *units >= 0);
    units.ok_or_else(|| {
        let (code, digits) = (money.code(), money.decimals());
        let wrong = format!("--amount: `{text}` is no amount of {code}");
        let right = match digits {
            0 => "a whole number of 0 or more is expected, such as 50000".to_owned(),
            _ => format!("a number of 0 or more with at most {digits} decimals is expected, such as 12.50"),
        };
        Failure::usage(wrong).right(right)
    })
}

fn issue(context: &Context, arguments: &Issue) -> Result<ExitCode, Failure> {
    if !(1..=CARDS_MAX).contains(&arguments.count) {
        return Err(Failure::usage(format!("--count: a number from 1 to {CARDS_MAX} is expected")));
    }
    let engine = context.writer(&task("gift-card issue", &arguments.program, "gift-cards/batch"))?;
    let program = known(&engine.context, &arguments.program)?;
    let amount = units(&program, &arguments.amount)?;
    let secrets = &engine.context.secrets;
    let submission = |number: u32| {
        let key = format!("{}/{number}", arguments.key);
        let code = CardCode::fresh(secrets, program.number, &key);
        let shown = code.shown().to_owned();
        let issue = CardStep::Issue { code, amount, buyer: None, order_id: None };
        (shown, Submission::gift_card(secrets, &program, None, issue, &key, engine.context.clock.now()))
    };
    // What is wrong with one is wrong with all: said before there is a file.
    let (_, first) = submission(1);
    done(engine.submit(first)?)?;
    let mut file = CodeFile::create(&arguments.to, "number,code,id,balance")?;
    let started = Instant::now();
    let mut progress = Progress::new("cards", u64::from(arguments.count));
    let mut from = 1;
    while from <= arguments.count {
        let until = arguments.count.min(from + AHEAD - 1);
        let (answer, answers) = mpsc::channel();
        let mut codes = Vec::new();
        for number in from..=until {
            let (code, submission) = submission(number);
            codes.push(code);
            let answer = answer.clone();
            let reply = Box::new(move |done| {
                // Whoever asked may have gone; the card is made all the same.
                let _ = answer.send((number, done));
            });
            engine.executor().submit_in_order_waiting(submission, reply)?;
        }
        drop(answer);
        let mut made: Vec<(u32, Answer)> = answers.iter().collect();
        made.sort_by_key(|(number, _)| *number);
        for ((number, answer), code) in made.into_iter().zip(codes) {
            let outcome = done(answer)?;
            let id = outcome.member.as_deref().unwrap_or_default();
            file.line(format_args!("{number},{code},{id},{}", balance(&program, &outcome)))?;
        }
        progress.at(u64::from(until), u64::from(until), started);
        from = until + 1;
    }
    file.finish()?;
    progress.done();
    engine.close();
    if context.json {
        print_json(&json!({ "cards": arguments.count, "file": arguments.to }))?;
    } else {
        let cards = counted(u64::from(arguments.count), "card", "cards");
        say!("{cards} in {}", arguments.to.display());
        note!("whoever has a code may spend what is on the card: keep the file as you would keep money");
    }
    Ok(ExitCode::SUCCESS)
}

fn import(context: &Context, arguments: &Import) -> Result<ExitCode, Failure> {
    let file = std::fs::File::open(&arguments.file).map_err(|error| unreadable(&arguments.file, &error))?;
    let not_over_api = "the API makes cards, and does not take them in";
    let engine = context.writer(&Task::of_command("gift-card import", not_over_api))?;
    let program = known(&engine.context, &arguments.program)?;
    let started = Instant::now();
    let mut progress = Progress::new("cards", 0);
    let mut tell = |done| progress.at(0, done, started);
    let found = import_cards(&engine, &program, BufReader::new(file), &arguments.key, &mut tell);
    progress.done();
    let found = found.map_err(|error| match error {
        CardsError::File(wrong) => Failure::usage(format!("{}: {wrong}", arguments.file.display())),
        CardsError::Engine(error) => Failure::refused(error),
    })?;
    engine.close();
    if context.json {
        print_json(&found)?;
    } else {
        let cards = [found.lines, found.taken + found.known, found.rejected, found.here].map(grouped);
        let money = [&found.money_in_file, &found.money_taken, &found.money_rejected, &found.money_here];
        let money = money.map(|sum| grouped_amount(sum));
        let row = |name: &str, figures: [String; 4]| [vec![name.to_owned()], figures.to_vec()].concat();
        let header = ["gift cards", "in the file", "taken", "not taken", "here now"];
        say!("{}", table(&header, &[1, 2, 3, 4], [row("lines", cards), row(&found.currency, money)]));
        let file = arguments.file.display();
        say_first(&found.differences, |found| format!("{file}:{}: {}", found.line, found.detail));
    }
    Ok(if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn done(answer: Answer) -> Result<Box<Outcome>, Failure> {
    match answer {
        Answer::Done { outcome, .. } => Ok(outcome),
        Answer::Refused(refusal) => Err(Failure::refused(refusal.detail)),
        Answer::Unavailable => Err(Failure::refused("the command was not taken; try it again")),
    }
}

/// What is on a card after a step, as text in the program's money.
fn balance(program: &ProgramHandle, outcome: &Outcome) -> String {
    let money = program.versions().head().money;
    let balance = outcome.balances.get(&GIFT_CARD).map_or(0, |balance| balance.available);
    money.amount(balance).to_text(money.decimals())
}

/// Why there is no such card; a code may be mistyped.
fn unknown(card: &str, refusal: Refusal) -> Failure {
    let by_code = refusal.code == "unknown-gift-card" && !card.starts_with("mem_");
    Failure::refused(if by_code { unknown_code(card).detail } else { refusal.detail })
}

/// Does something with a card.
fn step(
    context: &Context,
    engine: Engine,
    (program, card): (&str, &str),
    step: impl FnOnce(&ProgramHandle) -> Result<CardStep, Failure>,
    key: &str,
) -> Result<ExitCode, Failure> {
    let program = known(&engine.context, program)?;
    let subject = card_subject(card).map_err(|refusal| unknown(card, refusal))?;
    let (step, now) = (step(&program)?, engine.context.clock.now());
    let submission = Submission::gift_card(&engine.context.secrets, &program, Some(subject), step, key, now);
    let outcome = match engine.submit(submission)? {
        Answer::Refused(refusal) => return Err(unknown(card, refusal)),
        answer => done(answer)?,
    };
    let code = program.versions().head().money.code();
    let balance = balance(&program, &outcome);
    engine.close();
    if context.json {
        print_json(
            &json!({ "event_id": outcome.event_id, "id": outcome.member, "currency": code, "balance": balance }),
        )?;
    } else {
        say!("{} {code} on it", grouped_amount(&balance));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, arguments: &Show) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = known(&reader, &arguments.program)?;
    let subject = card_subject(&arguments.card).map_err(|refusal| unknown(&arguments.card, refusal))?;
    let card = query::gift_card(&reader, &program, &subject)?.map_err(|refusal| unknown(&arguments.card, refusal))?;
    if context.json {
        print_json(&card)?;
        return Ok(ExitCode::SUCCESS);
    }
    let money = |amount: &str| format!("{} {}", grouped_amount(amount), card.currency);
    say!("{:<10}…{}", "code", card.last_four);
    say!("{:<10}{}", "id", card.id);
    say!("{:<10}{}", "status", card.status.word());
    say!("{:<10}{}", "balance", money(&card.balance));
    say!("{:<10}{}", "reserved", money(&card.held));
    say!("{:<10}{}", "made", moment(card.made_at));
    for part in card.expires.iter() {
        if let Some(day) = part.last_day {
            say!("{:<10}{day}: {}", "use by", money(&part.amount));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(context: &Context, arguments: &List) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = known(&reader, &arguments.program)?;
    let cards = all_of(|page| query::gift_cards(&reader, &program, (page, arguments.status)))?;
    if context.json {
        print_json(&cards)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = cards.into_iter().map(|card| {
        vec![
            card.id,
            format!("…{}", card.last_four),
            card.status.word().to_owned(),
            grouped_amount(&card.balance),
            grouped_amount(&card.held),
            moment(card.made_at),
        ]
    });
    say!("{}", table(&["id", "code", "status", "balance", "reserved", "made"], &[3, 4], rows));
    Ok(ExitCode::SUCCESS)
}
