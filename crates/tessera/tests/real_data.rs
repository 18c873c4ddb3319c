//! Public data with exact expected figures: the grocer's nine months and the online shop's year, through the commands
//! as people give them. Skipped where the data are not there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A folder of the public data; says so where it is not there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(ROOT).join("../shared/data").join(folder);
    if !path.exists() {
        println!("skipped: no data");
        return None;
    }
    Some(path)
}

/// The release binary where there is one, because debug code takes minutes for this.
fn tessera(folder: &Path, arguments: &[&str]) -> String {
    let built = std::env::var("TESSERA_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tessera").to_owned());
    let output = Command::new(built).arg("--data").arg(folder).args(arguments).current_dir(ROOT).output().unwrap();
    let (said, complained) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}{complained}");
    said
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Rows of a CSV without quotes, by their first column.
fn rows(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|line| (line[0].clone(), header.iter().cloned().zip(line).collect())).collect()
}

#[test]
fn the_grocers_year_is_exact_for_the_program_and_for_every_household() {
    let Some(data) = data("completejourney") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| tessera(folder.path(), arguments);
    let file = data.join("transactions.csv.gz");
    let import = [
        "import",
        "events",
        file.to_str().unwrap(),
        "--program",
        "grocer",
        "--mapping",
        "docs/examples/completejourney.toml",
        "--json",
    ];
    let at = ["--program", "grocer", "--at", "2017-10-01T00:00:00-04:00"];
    run(&["program", "apply", "programs/grocer.yaml"]);
    let imported = json(&run(&import));
    let expected = json(&std::fs::read_to_string(data.join("expected.json")).unwrap());
    let expected = &expected["dev"];
    assert_eq!((count(&imported["lines"]), &imported["applied"]), (635_747, &expected["baskets"]));
    let summary = json(&run(&[&["report", "summary"][..], &at, &["--json"]].concat()));
    assert_eq!(summary["members"], expected["households"]);
    assert_eq!(summary["purchases"], expected["baskets"]);
    assert_eq!(summary["spend"], expected["total_sales_value"]);
    assert_eq!(summary["currencies"]["point"]["issued"], expected["points"]["total_issued"]);
    for (level, members) in expected["points"]["tier_counts"].as_object().unwrap() {
        assert_eq!(&summary["tiers"]["status"][level.to_lowercase()], members, "{level}");
    }
    let months = expected["by_month"].as_object().unwrap();
    assert_eq!(summary["by_month"].as_object().unwrap().len(), months.len());
    for (month, wanted) in months {
        let found = &summary["by_month"][month];
        assert_eq!(
            [&found["purchases"], &found["spend"], &found["issued"]],
            [&wanted["baskets"], &wanted["sales_value"], &wanted["points"]],
            "{month}"
        );
    }
    let members = rows(&run(&[&["report", "members"][..], &at, &["--csv"]].concat()));
    let households = rows(&std::fs::read_to_string(data.join("expected_households_dev.csv")).unwrap());
    assert_eq!(members.len(), households.len());
    for (household, wanted) in &households {
        let found = &members[&format!("household:{household}")];
        let found = ["purchases", "spend", "point_issued", "status_tier"].map(|name| found[name].clone());
        let wanted = [
            wanted["baskets"].clone(),
            wanted["sales_value"].clone(),
            wanted["points"].clone(),
            wanted["tier"].to_lowercase(),
        ];
        assert_eq!(found, wanted, "household {household}");
    }
    run(&["verify", "--program", "grocer"]);
    let replay = ["replay", "--program", "grocer", "--draft", "programs/grocer.yaml", "--to", at[3], "--json"];
    let replayed = json(&run(&replay));
    let point = &replayed["currencies"]["point"];
    assert_eq!(point["after"]["issued"], expected["points"]["total_issued"], "decided again it comes to the same");
    assert_eq!(point["before"], point["after"]);
    assert_eq!((&replayed["events"], &replayed["gain"]["same"]), (&expected["baskets"], &expected["households"]));
    // Of every tenth basket: whoever sends a file again sends all of it, and each line of this one is known.
    let (some, baskets) = a_tenth(&file);
    let path = folder.path().join("again.csv");
    std::fs::write(&path, some).unwrap();
    let again = json(&run(&[&import[..2], &[path.to_str().unwrap()], &import[3..]].concat()));
    assert_eq!(
        (count(&again["applied"]), count(&again["duplicates"])),
        (0, baskets),
        "the same baskets again change nothing"
    );
}

/// The lines of the baskets whose number ends in 7, as a CSV, and how many baskets they are.
fn a_tenth(file: &Path) -> (String, u64) {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.split_inclusive('\n');
    let (mut some, mut baskets) = (lines.next().unwrap().to_owned(), BTreeSet::new());
    for line in lines {
        let basket = line.split(',').next().unwrap();
        if basket.ends_with('7') {
            baskets.insert(basket);
            some.push_str(line);
        }
    }
    (some, u64::try_from(baskets.len()).unwrap())
}

#[test]
fn the_online_shops_year_is_exact_by_kind_of_invoice() {
    let Some(data) = data("online_retail_ii") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| tessera(folder.path(), arguments);
    let expected = json(&std::fs::read_to_string(data.join("expected.json")).unwrap());
    let kinds = &expected["by_kind"];
    run(&["program", "apply", "programs/online-shop.yaml"]);
    let file = data.join("transactions.csv.gz");
    let imported = json(&run(&[
        "import",
        "events",
        file.to_str().unwrap(),
        "--program",
        "online-shop",
        "--mapping",
        "docs/examples/online-retail.toml",
        "--json",
    ]));
    assert_eq!((&imported["lines"], &imported["events"]), (&expected["lines"], &expected["invoices"]));
    assert_eq!(imported["refused"], kinds["adjustment"]["invoices"], "bad-debt adjustments are refused");
    let guests = |kind: &str| count(&kinds[kind]["invoices"]) - count(&kinds[kind]["member_invoices"]);
    assert_eq!(count(&imported["guests"]), guests("sale") + guests("cancellation"));
    let summary = json(&run(&["report", "summary", "--program", "online-shop", "--json"]));
    assert_eq!(summary["members"], expected["customers"]);
    assert_eq!(summary["purchases"], kinds["sale"]["member_invoices"]);
    assert_eq!(summary["returns"], kinds["cancellation"]["member_invoices"]);
    assert_eq!(summary["spend"], kinds["sale"]["member_total"]);
    // What the data folder's own script finds with --full: floors of whole pounds, an invoice at a time.
    let points = &summary["currencies"]["point"];
    assert_eq!((count(&points["issued"]), count(&points["taken_back"])), (8_822_985, 481_424));
    run(&["verify", "--program", "online-shop"]);
}
