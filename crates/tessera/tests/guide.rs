//! What people read before they run anything: the commands in it exist with their flags, the links lead somewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use support::help::every_command;
use support::{Tessera, repository};

/// Every page for people, by its path from the root of the repository.
fn pages() -> BTreeMap<PathBuf, String> {
    let root = repository();
    let files = ["", "docs", "docs/decisions", "programs"].into_iter().flat_map(|folder| {
        let files = std::fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().file_name());
        files.map(|name| Path::new(folder).join(name)).collect::<Vec<_>>()
    });
    let pages = files.filter(|file| file.extension().is_some_and(|kind| kind == "md"));
    let pages: BTreeMap<_, _> =
        pages.map(|page| (page.clone(), std::fs::read_to_string(root.join(&page)).unwrap())).collect();
    assert!(pages.len() > 20, "{:?}", pages.keys());
    pages
}

/// A page in its parts: what stands between backquotes, or is set apart as code, and the rest.
fn code_and_prose(text: &str) -> (Vec<String>, String) {
    let text = text.replace("\\\n", " ");
    let (mut code, mut prose, mut fenced) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            code.push(line.trim().to_owned());
        } else {
            prose += line.trim();
            prose.push(' ');
        }
    }
    code.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    (code, prose)
}

/// The words of a command of ours in a line of a shell: without what stands before it, and what is done with its output.
fn words_of(line: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> =
        line.split_whitespace().take_while(|word| !matches!(*word, "#" | ">" | ">>" | "|")).collect();
    let begin = words.iter().position(|word| *word == "tessera")?;
    // Settings of the environment, or the hours of a crontab.
    let before = words[..begin]
        .iter()
        .all(|word| word.contains('=') || word.chars().all(|letter| letter == '*' || letter.is_ascii_digit()));
    before.then(|| words[begin + 1..].to_vec())
}

/// What the binary has: the flags of each command by its words.
struct Commands(BTreeMap<Vec<String>, String>);

/// Settings of every command, which take a value and may stand first.
const SETTINGS: [&str; 3] = ["--data", "--database-url", "--config"];

impl Commands {
    fn of_the_binary() -> Self {
        let tessera = Tessera::new();
        let help = |path: &[String]| {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            tessera.run(&[words.as_slice(), &["--help"]].concat()).out
        };
        Self(every_command(&tessera).into_iter().map(|path| (path.clone(), help(&path))).collect())
    }

    fn is_group(&self, path: &[String]) -> bool {
        self.0[path].contains("\nCommands:\n")
    }

    /// Whether a group of commands is a command itself: it takes flags without one of its own.
    fn does_something(&self, path: &[String]) -> bool {
        self.0[path].lines().any(|line| line.starts_with("Usage: ") && line.contains(" --"))
    }

    /// What is wrong with the words of a command.
    fn mistake(&self, words: &[&str]) -> Option<String> {
        let (mut path, mut flags, mut words) = (Vec::new(), Vec::new(), words.iter());
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                flags.push(word.split(['=', ']']).next().unwrap());
                if SETTINGS.contains(word) {
                    words.next();
                }
            } else if self.is_group(&path) {
                // `a|b` stands for each of them.
                let named = |name: &str| [path.as_slice(), &[name.to_owned()]].concat();
                match word.split('|').find(|name| !self.0.contains_key(&named(name))) {
                    Some(_) if self.does_something(&path) => {}
                    Some(unknown) => return Some(format!("there is no command `{} {unknown}`", path.join(" "))),
                    None => path = named(word.split('|').next().unwrap()),
                }
            }
        }
        let help = &self.0[&path];
        let is_there =
            |flag: &str| help.split(|letter: char| letter != '-' && !letter.is_alphanumeric()).any(|word| word == flag);
        let unknown = flags.into_iter().find(|flag| !is_there(flag))?;
        Some(format!("`{}` has no {unknown}", path.join(" ")))
    }
}

#[test]
fn every_command_that_people_read_of_is_there_with_its_flags() {
    let commands = Commands::of_the_binary();
    let mut texts: Vec<(String, Vec<String>)> =
        pages().into_iter().map(|(page, text)| (page.display().to_string(), code_and_prose(&text).0)).collect();
    texts.extend(commands.0.iter().map(|(path, help)| {
        (format!("tessera {} --help", path.join(" ")), code_and_prose(&help.replace("\n  ", "\n    ")).0)
    }));
    let (mut read, mut wrong) = (0, Vec::new());
    for (place, code) in texts {
        for words in code.iter().filter_map(|line| words_of(line)) {
            read += 1;
            wrong.extend(
                commands.mistake(&words).map(|mistake| format!("{place}: tessera {}: {mistake}", words.join(" "))),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(read > 150, "{read}");
}

/// How a heading is named in a link to it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

/// The folders whose files are named in backquotes by their whole path.
const NAMED: [&str; 5] = ["docs/", "programs/", "scenarios/", "scripts/", "crates/"];

#[test]
fn every_link_and_every_file_that_is_named_is_there() {
    let (pages, root) = (pages(), repository());
    let headings = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
    };
    let mut wrong = Vec::new();
    for (page, text) in &pages {
        let (code, prose) = code_and_prose(text);
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (path, part) = link.split_once('#').unwrap_or((link, ""));
            let to = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            let found = root.join(&to).canonicalize().ok();
            let parts = found
                .as_ref()
                .filter(|_| !part.is_empty())
                .map(|file| headings(&std::fs::read_to_string(file).unwrap()));
            if found.is_none() || parts.is_some_and(|parts| !parts.contains(part)) {
                wrong.push(format!("{}: ({link})", page.display()));
            }
        }
        let named = code
            .iter()
            .filter(|word| NAMED.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '*', '<']));
        wrong
            .extend(named.filter(|file| !root.join(file).exists()).map(|file| format!("{}: `{file}`", page.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
