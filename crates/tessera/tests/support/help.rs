//! What `--help` says there is.

use super::Tessera;

/// The commands below a command, from its help.
fn commands_below(tessera: &Tessera, path: &[&str]) -> Vec<String> {
    let help = tessera.run(&[path, &["--help"]].concat());
    help.expect(0);
    let Some((_, list)) = help.out.split_once("Commands:\n") else { return Vec::new() };
    // What is said of a command may go on in the next line, which stands further in.
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command and group of commands, by its words.
pub fn every_command(tessera: &Tessera) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        all.extend(commands_below(tessera, &words).into_iter().map(|name| [path.clone(), vec![name]].concat()));
        next += 1;
    }
    assert!(all.len() >= 20, "{all:?}");
    all
}
