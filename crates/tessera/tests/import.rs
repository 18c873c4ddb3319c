//! `import`: files become events, bad lines stop nothing, a stopped import goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use serde_json::{Value, json};
use support::server::signal_to;
use support::{Said, Tessera};

const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

const MAPPING: &str = r#"format = "csv"
source = "till"
[event]
type = "purchase"
group_by = "basket"
id = "basket"
time = { column = "time" }
subject = { kind = "card", column = "card", missing = "guest" }
[data]
order_id = "basket"
total = { sum = "amount" }
[item]
sku = "sku"
name = "name"
quantity = "quantity"
amount = "amount"
[return]
when = 'startsWith(row.basket, "C")'
[refuse]
when = 'startsWith(row.basket, "X")'
reason = "training"
"#;

const HEADER: &str = "basket,time,card,sku,name,quantity,amount\n";

/// Three baskets of two lines, one of them a guest's; lines of different baskets may lie between each other.
const GOOD: &str = "b1,2026-03-01T10:00:00,1,A,Latte,1,40000
b2,2026-03-01T10:05:00,,A,Latte,1,40000
b1,2026-03-01T10:00:00,1,B,\"Bánh mì, large\",2,30000
b2,2026-03-01T10:05:00,,B,Bread,1,15000
b3,2026-03-01T11:00:00,2,A,Latte,1,40000
b3,2026-03-01T11:00:00,2,C,Tea,1,20000
";

struct Shop {
    tessera: Tessera,
    mapping: String,
}

impl Shop {
    fn new() -> Self {
        let tessera = Tessera::with_document(SHOP);
        let mapping = tessera.write("mapping.toml", MAPPING);
        Self { tessera, mapping }
    }

    fn import(&self, file: &str, more: &[&str]) -> Said {
        let arguments = ["import", "events", file, "--program", "shop", "--mapping", &self.mapping];
        self.tessera.run(&[&arguments, more].concat())
    }

    /// Imports and gives what was reported, with the exit code.
    fn report(&self, file: &str) -> (i32, Value) {
        let said = self.import(file, &["--json"]);
        let report = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said.code, report)
    }

    fn rejects(&self, name: &str) -> Vec<String> {
        let path = self.tessera.data().join("rejects").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    /// Members with their spending, as the report shows them.
    fn members(&self) -> String {
        let said = self.tessera.run(&["report", "members", "--program", "shop", "--csv"]);
        said.expect(0);
        said.out
    }
}

/// Some figures of a report, by name.
fn figures<const N: usize>(report: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}")))
}

const COUNTS: [&str; 7] = ["lines", "events", "applied", "duplicates", "parked", "refused", "guests"];

#[test]
fn lines_become_baskets_and_a_second_import_changes_nothing() {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}"));
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, COUNTS)), (0, [6, 3, 3, 0, 0, 0, 1]));
    let members = shop.members();
    let rows: Vec<Vec<&str>> = members.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let told: Vec<[&str; 4]> = rows.iter().map(|row| [row[0], row[1], row[3], row[4]]).collect();
    assert_eq!(
        told,
        [["card:1", "2026-03-01T03:00:00Z", "70000", "70"], ["card:2", "2026-03-01T04:00:00Z", "60000", "60"]]
    );
    let (code, again) = shop.report(&file);
    assert_eq!((code, figures(&again, COUNTS)), (0, [6, 3, 0, 3, 0, 0, 0]));
    assert_eq!(shop.members(), members);
    shop.tessera.verify("shop");
}

#[test]
fn people_read_the_same_figures() {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}"));
    let said = shop.import(&file, &[]);
    said.expect(0);
    for (name, count) in [("lines", "6"), ("events", "3"), ("applied", "3"), ("refused", "0"), ("guests", "1")] {
        let found = said.out.lines().any(|line| line.split_whitespace().eq([name, count]));
        assert!(found, "{name} {count} in\n{}", said.out);
    }
    assert!(said.out.contains("per second"));
}

/// A line of basket `b9` that cannot be read or taken, before, between and behind the good ones.
#[rstest]
#[case::a_value_missing(b"b9,2026-03-01T12:00:00,3,B,Bread,1", "6 values where the header has 7")]
#[case::a_value_too_many(b"b9,2026-03-01T12:00:00,3,B,Bread,1,15000,x", "8 values where the header has 7")]
#[case::not_utf8(b"b9,2026-03-01T12:00:00,3,B,Caf\xe9,1,15000", "column name: not UTF-8")]
#[case::a_nul_byte(b"b9,2026-03-01T12:00:00,3,B,Bre\0ad,1,15000", "column name: a NUL byte")]
#[case::a_quote_left_open(b"b9,2026-03-01T12:00:00,3,B,\"Bread,1,15000", "quotes (\") do not pair")]
#[case::a_bad_amount(b"b9,2026-03-01T12:00:00,3,B,Bread,1,15.000.000", "column amount: ")]
#[case::an_amount_in_words(b"b9,2026-03-01T12:00:00,3,B,Bread,1,cheap", "column amount: ")]
#[case::a_bad_quantity(b"b9,2026-03-01T12:00:00,3,B,Bread,one,15000", "column quantity: ")]
#[case::another_member(b"b9,2026-03-01T12:00:00,4,B,Bread,1,15000", "its member differs from line 8")]
fn a_bad_line_takes_its_whole_basket_to_the_rejects_which_import_once_corrected(
    #[case] bad: &[u8],
    #[case] why: &str,
    #[values(0, 1, 2)] place: usize,
) {
    let shop = Shop::new();
    let mut lines: Vec<&[u8]> =
        vec![b"b9,2026-03-01T12:00:00,3,A,Latte,1,40000", b"b9,2026-03-01T12:00:00,3,C,Tea,1,20000"];
    lines.insert(place, bad);
    let text = [format!("{HEADER}{GOOD}").as_bytes(), &lines.join(&b'\n'), b"\n"].concat();
    let file = shop.tessera.write("sales.csv", text);
    // Where two lines disagree, the later one is told.
    let line = if why.contains("differs") { 8 + place.max(1) } else { 8 + place };
    shop.import(&file, &[]).failed(1, &format!("sales.csv:{line}: ")).failed(1, why);
    let members = shop.members();
    assert!(!members.contains("card:3,") && !members.contains("card:4,"), "half a basket is no basket: {members}");
    assert_eq!(members.lines().count(), 3, "the others are taken");

    let rejects = shop.rejects("sales.csv");
    assert_eq!(rejects[0], "basket,time,card,sku,name,quantity,amount,rejected_because");
    assert_eq!(rejects.len(), 4, "{rejects:#?}");
    assert_eq!(
        rejects.iter().filter(|line| line.contains(&why.replace('"', "\"\""))).count(),
        3,
        "each says why: {rejects:#?}"
    );

    // Corrected: the reasons may stay.
    let is_good = |line: &str| line.starts_with("basket") || line.contains(",A,") || line.contains(",C,");
    let right = "b9,2026-03-01T12:00:00,3,B,Bread,1,15000,";
    let corrected: Vec<&str> = rejects.iter().map(|line| if is_good(line) { line } else { right }).collect();
    let corrected = shop.tessera.write("corrected.csv", corrected.join("\n"));
    let (code, report) = shop.report(&corrected);
    assert_eq!((code, figures(&report, ["events", "applied"])), (0, [1, 1]), "{report:#}");
    assert!(shop.members().contains("card:3,2026-03-01T05:00:00Z,1,75000,75"), "{}", shop.members());
    shop.tessera.verify("shop");
}

#[test]
fn a_line_whose_values_moved_is_found_by_one_of_them() {
    let shop = Shop::new();
    let lines = "b9,2026-03-01T12:00:00,3,A,Latte,1,40000\n2026-03-01T12:00:00,b9,B,Bread,1,15000\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}{lines}"));
    shop.import(&file, &[]).failed(1, "sales.csv:9: 6 values where the header has 7");
    assert!(!shop.members().contains("card:3,"));
    assert_eq!(shop.rejects("sales.csv").len(), 3);
}

#[rstest]
#[case::a_bad_time("b9,1st of March,3,A,Latte,1,40000\n", "column time: ")]
#[case::no_time("b9,,3,A,Latte,1,40000\n", "column time: ")]
#[case::no_basket_number(",2026-03-01T12:00:00,3,A,Latte,1,40000\n", "")]
#[case::too_many_decimals("b9,2026-03-01T12:00:00,3,A,Latte,1,1.0000001\n", "column amount: ")]
#[case::from_the_future("b9,2999-03-01T12:00:00,3,A,Latte,1,40000\n", "more than 5 minutes after now")]
fn a_line_that_cannot_be_taken_is_told_with_its_place(#[case] line: &str, #[case] why: &str) {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}{line}"));
    let said = shop.import(&file, &[]);
    said.failed(1, why).failed(1, "sales.csv:8:");
    let (_, report) = shop.report(&file);
    assert_eq!(figures(&report, ["duplicates", "refused"]), [3, 1]);
    assert_eq!(shop.rejects("sales.csv").len(), 2);
}

#[test]
fn a_line_that_comes_too_late_makes_no_second_basket() {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace("group_by", "window = 3\ngroup_by"));
    let late = "b1,2026-03-01T10:00:00,1,C,Tea,1,20000\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}{late}"));
    let said = shop.import(&file, &[]);
    said.failed(1, "sales.csv:8: another event with this source and id was accepted before");
    assert!(said.out.contains("idempotency-key-reused"), "{}", said.out);
    assert!(shop.members().contains("card:1,2026-03-01T03:00:00Z,1,70000,70"));
}

#[test]
fn strict_stops_at_the_first_line_that_is_not_taken() {
    let shop = Shop::new();
    let bad = "b8,2026-03-01T12:00:00,3,A,Latte,1,cheap\nb9,2026-03-01T12:00:00,3,A,Latte,1,40000\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{bad}{GOOD}"));
    let said = shop.import(&file, &["--strict"]);
    said.failed(1, "sales.csv:2: column amount: ");
    // What the mapping asks to refuse is meant, and stops nothing.
    let meant = "X1,2026-03-01T12:00:00,3,A,Latte,1,40000\n";
    let file = shop.tessera.write("meant.csv", format!("{HEADER}{meant}{GOOD}"));
    shop.import(&file, &["--strict"]).expect(0);
}

#[test]
fn what_the_mapping_refuses_is_counted_and_kept_nowhere() {
    let shop = Shop::new();
    let meant = "X1,2026-03-01T12:00:00,3,A,Latte,1,40000\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{meant}{GOOD}"));
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, ["applied", "refused", "meant"])), (0, [3, 1, 1]));
    assert_eq!(report["reasons"], json!([["training", 1]]));
    assert_eq!(report["rejects"], Value::Null);
}

#[test]
fn a_return_is_turned_around() {
    let shop = Shop::new();
    let back = "C1,2026-03-02T10:00:00,1,B,Bánh mì,-1,-15000\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}{back}"));
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, ["applied", "refused"])), (0, [4, 0]), "{report:#}");
    let members = shop.members();
    assert!(members.contains("card:1,2026-03-01T03:00:00Z,1,70000,70,15,55"), "{members}");
}

#[test]
fn a_file_of_rejects_is_not_written_over_while_it_is_read() {
    let shop = Shop::new();
    let bad = "b8,2026-03-01T12:00:00,3,A,Latte,1,cheap\nb9,2026-03-01T12:00:00,3,A,Latte,1,dear\n";
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{bad}"));
    shop.import(&file, &[]).expect(1);
    let path = shop.tessera.data().join("rejects/sales.csv");
    let half = std::fs::read_to_string(&path).unwrap().replacen(",cheap,", ",40000,", 1);
    std::fs::write(&path, &half).unwrap();
    let (code, report) = shop.report(path.to_str().unwrap());
    assert_eq!((code, figures(&report, ["applied", "refused"])), (1, [1, 1]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), half, "the file that is corrected stays");
    let next = shop.rejects("sales-2.csv");
    assert_eq!(next.len(), 2);
    assert_eq!(next[0].matches("rejected_because").count(), 1, "{next:?}");
    assert_eq!(next[1].matches("column amount").count(), 1, "the old reason has gone: {next:?}");
    let (_, report) = shop.report(shop.tessera.data().join("rejects/sales-2.csv").to_str().unwrap());
    assert!(report["rejects"].as_str().unwrap().ends_with("sales-3.csv"), "{report}");
    let itself = path.to_str().unwrap();
    shop.import(itself, &["--rejects", itself]).failed(2, "choose another");
}

#[test]
fn gzip_and_ndjson_are_read_too() {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv.gz", gzipped(&format!("\u{feff}{HEADER}{GOOD}")));
    assert_eq!(shop.report(&file).0, 0);
    let members = shop.members();

    let other = Shop::new();
    other.tessera.write("mapping.toml", MAPPING.replace("\"csv\"", "\"ndjson\""));
    let names: Vec<&str> = HEADER.trim_end().split(',').collect();
    let mut reader = csv_lines(GOOD);
    let mut text = String::from("\n");
    for values in &mut reader {
        let fields: serde_json::Map<String, Value> =
            names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        text += &format!("{}\n", Value::from(fields));
    }
    let file = other.tessera.write("sales.ndjson", text);
    let (code, report) = other.report(&file);
    assert_eq!((code, figures(&report, COUNTS)), (0, [6, 3, 3, 0, 0, 0, 1]), "{report:#}");
    assert_eq!(other.members(), members);
}

/// The values of lines, one of which has a comma inside quotes.
fn csv_lines(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(|line| line.replace("\"Bánh mì, large\"", "Bánh mì; large"));
    lines.map(|line| line.split(',').map(|value| value.replace(';', ",")).collect()).collect()
}

#[test]
fn a_line_of_ndjson_that_is_no_json_is_kept_as_it_is() {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace("\"csv\"", "\"ndjson\"").replace("group_by = \"basket\"\n", ""));
    let good = r#"{"basket":"b1","time":"2026-03-01T10:00:00","card":"1","sku":"A","name":"Latte","quantity":1,"amount":40000.50}"#;
    let broken = good.replace("b1", "b2").replace("\"sku\":", "\"sku\" ");
    let refused = good.replace("b1", "b3").replace("40000.50", "\"cheap\"");
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1_100_000));
    let file = shop
        .tessera
        .write("sales.ndjson", format!("{good}\n{broken}\n{refused}\n{long}\n{}\n", good.replace("b1", "b4")));
    let said = shop.import(&file, &["--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.code, figures(&report, ["lines", "applied", "refused", "bad_lines"])),
        (1, [5, 2, 1, 2]),
        "{report:#}"
    );
    let rejects = shop.rejects("sales.ndjson");
    assert!(rejects.contains(&broken), "as it stands: {}", rejects[0]);
    let corrected: Vec<String> = rejects
        .iter()
        .filter(|line| !line.contains("yyy"))
        .map(|line| line.replace("\"sku\" ", "\"sku\":").replace("\"cheap\"", "1000"))
        .collect();
    let corrected = shop.tessera.write("corrected.ndjson", corrected.join("\n"));
    let (code, report) = shop.report(&corrected);
    assert_eq!((code, figures(&report, ["applied", "refused"])), (0, [2, 0]), "{report:#}");
}

#[rstest]
#[case::a_column_that_is_not_there("sku = \"sku\"", "sku = \"skuu\"", "did you mean `sku`?")]
#[case::a_condition_on_another("row.basket, \"C\"", "row.baskett, \"C\"", "row.<column>")]
#[case::a_condition_that_is_none("startsWith(row.basket, \"C\")", "startsWith(", "is no condition")]
#[case::an_unknown_zone("{ column = \"time\" }", "{ column = \"time\", zone = \"Saigon\" }", "Europe/London")]
#[case::an_unknown_key("group_by", "groupby", "groupby")]
fn a_mapping_that_does_not_fit_is_told_before_the_first_line(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] with: &str,
) {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace(right, wrong));
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{GOOD}"));
    shop.import(&file, &[]).failed(2, with);
    assert_eq!(shop.members().lines().count(), 1, "nothing was taken");
}

#[test]
fn members_are_read_without_a_mapping() {
    let shop = Shop::new();
    let file = shop.tessera.write(
        "members.csv",
        "phone,name,birthday,joined\n+84 901 234 567,Minh,1990-02-28,2026-01-05T09:00:00\n+84902,Khai,,\nnobody,X,30-30,\n",
    );
    let said = shop.tessera.run(&["import", "members", &file, "--program", "shop"]);
    said.failed(1, "members.csv:4:");
    let members = shop.members();
    assert!(members.contains("phone:+84901234567,2026-01-05T02:00:00Z,0,"), "{members}");
    assert_eq!(members.lines().count(), 3);
    let again = shop.tessera.json(&["import", "members", &file, "--program", "shop"]);
    assert_eq!(figures(&again, ["applied", "duplicates"]), [0, 2], "{again}");
}

/// Many baskets, in the order of time.
fn many(baskets: u32) -> String {
    let mut text = HEADER.to_owned();
    for basket in 0..baskets {
        let (day, minute) = (1 + basket / 1440 % 28, basket % 1440);
        for sku in ["A", "B", "C"] {
            text += &format!(
                "b{basket},2026-03-{day:02}T{:02}:{:02}:00,{},{sku},Thing,1,{}\n",
                minute / 60,
                minute % 60,
                basket % 97,
                1_000 + basket
            );
        }
    }
    text
}

/// A file that is a pipe: an import of it has begun when it takes what is written, and cannot have ended before the
/// writer goes.
struct Fed {
    import: Child,
    pipe: std::fs::File,
    told: BufReader<std::process::ChildStderr>,
}

impl Shop {
    fn feed(&self, begin: &str, more: &[&str]) -> Fed {
        let path: PathBuf = self.tessera.folder().join("pipe.csv");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let file = path.to_str().unwrap();
        let arguments = ["import", "events", file, "--program", "shop", "--mapping", &self.mapping];
        let mut command = self.tessera.command(&[&arguments, more].concat());
        let mut import = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = std::fs::File::options().write(true).open(&path).unwrap();
        pipe.write_all(begin.as_bytes()).unwrap();
        let told = BufReader::new(import.stderr.take().unwrap());
        Fed { import, pipe, told }
    }
}

impl Fed {
    /// The next line it says with these words.
    fn hears(&mut self, words: &str) -> String {
        let line = self.told.by_ref().lines().map_while(Result::ok).find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("it ended without saying {words:?}"))
    }
}

#[test]
fn ctrl_c_stops_cleanly_and_the_same_import_goes_on() {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace("group_by", "window = 10\ngroup_by"));
    let text = many(4_000);
    let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    let mut fed = shop.feed(&text[..half], &["--json"]);
    signal_to(fed.import.id(), "INT");
    fed.hears("stopping");
    drop(fed.pipe);
    let stopped = support::said(fed.import.wait_with_output().unwrap());
    stopped.expect(1);
    let report: Value = serde_json::from_str(&stopped.out).unwrap();
    assert_eq!(report["stopped"], true);
    let [events, applied] = figures(&report, ["events", "applied"]);
    assert!(0 < applied && applied == events && applied <= 2_000, "{report:#}");
    shop.tessera.verify("shop");

    let file = shop.tessera.write("sales.csv", &text);
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, ["applied", "duplicates"])), (0, [4_000 - applied, applied]), "{report:#}");
    let whole = Shop::new();
    whole.report(&whole.tessera.write("sales.csv", &text));
    assert_eq!(shop.members(), whole.members(), "as if it had not been stopped");
    shop.tessera.verify("shop");
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let shop = Shop::new();
    let mut fed = shop.feed(&format!("{HEADER}{GOOD}"), &[]);
    signal_to(fed.import.id(), "INT");
    fed.hears("stopping");
    // The pipe stays open: the import would wait for more for ever.
    signal_to(fed.import.id(), "INT");
    assert_eq!(fed.import.wait().unwrap().code(), Some(1));
    drop(fed.pipe);
    shop.tessera.verify("shop");
}

#[test]
fn without_a_terminal_progress_is_plain_lines() {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace("group_by", "window = 10\ngroup_by"));
    let mut fed = shop.feed(&many(1_000), &[]);
    let line = fed.hears(" events, ");
    assert!(line.contains("/s") && !line.contains(['\r', '\u{1b}']), "{line:?}");
    drop(fed.pipe);
    support::said(fed.import.wait_with_output().unwrap()).expect(0);
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[rstest]
#[case::cut(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * 2 / 3), "it was not copied whole")]
#[case::damaged(|bytes: &mut Vec<u8>| { let middle = bytes.len() * 2 / 3; bytes[middle..middle + 64].fill(0xff) }, "damaged")]
fn a_broken_gzip_file_is_told_and_what_stood_before_is_taken(#[case] harm: fn(&mut Vec<u8>), #[case] why: &str) {
    let shop = Shop::new();
    shop.tessera.write("mapping.toml", MAPPING.replace("group_by", "window = 10\ngroup_by"));
    let whole = gzipped(&many(4_000));
    let mut harmed = whole.clone();
    harm(&mut harmed);
    let file = shop.tessera.write("sales.csv.gz", &harmed);
    let said = shop.import(&file, &["--json"]);
    said.failed(1, why).failed(1, "import the whole file again");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let [applied, refused] = figures(&report, ["applied", "refused"]);
    assert!(0 < applied && applied < 4_000 && refused == 0, "{report:#}");
    assert!(report["error"].as_str().unwrap().contains("sales.csv.gz: "), "{report}");
    shop.tessera.write("sales.csv.gz", &whole);
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, ["applied", "duplicates"])), (0, [4_000 - applied, applied]));
    shop.tessera.verify("shop");
}

#[test]
fn gzip_is_known_by_its_content() {
    let shop = Shop::new();
    let file = shop.tessera.write("zipped.csv", gzipped(&format!("{HEADER}{GOOD}")));
    assert_eq!(shop.report(&file).0, 0);
    let file = shop.tessera.write("plain.csv.gz", format!("{HEADER}{GOOD}"));
    assert_eq!(figures(&shop.report(&file).1, ["duplicates"]), [3]);
}

#[rstest]
#[case::empty(b"", "the file is empty")]
#[case::blank(b"\n\n", "the file is empty")]
#[case::utf16(b"\xff\xfeb\0a\0", "UTF-16: save it as CSV UTF-8")]
#[case::a_header_of_bytes(b"basket,\xe9\n", "its first line is not UTF-8")]
#[case::a_header_with_nul(b"basket,\0\n", "its first line holds a NUL byte")]
#[case::semicolons(b"basket;time;card\n", "separated by semicolons: save it with commas")]
#[case::other_columns(b"bill,when\n", "it has: bill, when")]
#[case::a_column_twice(b"basket,time,card,sku,name,quantity,amount,amount\n", "`amount`, which the file has twice")]
fn a_file_that_cannot_be_read_at_all_is_wrong_use(#[case] content: &[u8], #[case] why: &str) {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv", content);
    shop.import(&file, &[]).failed(2, why).failed(2, "sales.csv: ");
    assert_eq!(shop.members().lines().count(), 1, "nothing was taken");
}

#[test]
fn a_folder_is_no_file() {
    let shop = Shop::new();
    let folder = shop.tessera.data();
    shop.import(folder.to_str().unwrap(), &[]).failed(2, "it is a folder");
}

#[test]
fn a_file_without_lines_imports_nothing_and_is_no_mistake() {
    let shop = Shop::new();
    let file = shop.tessera.write("sales.csv", HEADER);
    let (code, report) = shop.report(&file);
    assert_eq!((code, figures(&report, COUNTS)), (0, [0; 7]));
}

#[test]
fn a_line_longer_than_a_mebibyte_costs_only_itself() {
    let shop = Shop::new();
    let long = format!("b8,2026-03-01T12:00:00,3,A,{},1,40000\n", "y".repeat(2 << 20));
    let file = shop.tessera.write("sales.csv", format!("{HEADER}{long}{GOOD}"));
    let said = shop.import(&file, &["--json"]);
    said.expect(1);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(figures(&report, ["lines", "applied", "bad_lines"]), [7, 3, 1], "{report:#}");
    assert!(
        report["examples"][0].as_str().unwrap().ends_with("sales.csv:2: the line is longer than 1 MiB"),
        "{report:#}"
    );
    let rejects = shop.rejects("sales.csv");
    assert!(rejects.len() == 2 && rejects[1].len() < 1_000, "its beginning is kept");
}

#[test]
fn members_are_read_from_ndjson_too() {
    let shop = Shop::new();
    let lines =
        "{\"phone\":\"+84901234567\"}\n{\"phone\":\"+84902\",\"name\":\"Khai\",\"joined\":\"2026-01-05T09:00:00\"}\n";
    for (name, content) in [("members.ndjson", lines.as_bytes().to_vec()), ("members.jsonl.gz", gzipped(lines))] {
        let file = shop.tessera.write(name, content);
        let report = shop.tessera.json(&["import", "members", &file, "--program", "shop"]);
        assert_eq!(figures(&report, ["lines", "refused", "bad_lines"]), [2, 0, 0], "{report}");
    }
    let members = shop.members();
    assert!(members.contains("phone:+84902,2026-01-05T02:00:00Z,"), "{members}");
    assert_eq!(members.lines().count(), 3);
}

#[test]
fn a_file_of_this_folder_is_not_taken_for_one_of_rejects() {
    let shop = Shop::new();
    shop.tessera.write("sales.csv", format!("{HEADER}b9,never,3,A,Latte,1,40000\n"));
    shop.import("sales.csv", &[]).failed(1, "sales.csv:2: column time: ");
    assert_eq!(shop.rejects("sales.csv").len(), 2);
    let mut again = shop.tessera.bare_command(&["import", "events", "sales.csv", "--program", "shop"]);
    again.current_dir(shop.tessera.data().join("rejects")).arg("--data").arg(shop.tessera.data());
    support::said(again.args(["--mapping", &shop.mapping]).output().unwrap()).expect(1);
    assert_eq!(shop.rejects("sales-2.csv").len(), 2, "and one of rejects is");
}

#[test]
fn l9_lots_of_another_system_keep_their_dates() {
    let shop = Shop::new();
    let mapping = "format = \"csv\"\nsource = \"old\"\n[event]\ntype = \"import\"\nid = \"lot\"\ntime = { column = \"earned\" }\n\
                   subject = { kind = \"card\", column = \"card\" }\n[data]\ncurrency = { value = \"point\" }\namount = \"points\"\nexpires = \"expires\"\n";
    let mapping = shop.tessera.write("lots.toml", mapping);
    let lots = "lot,earned,card,points,expires\n1,2025-01-05T10:00:00,77,120,2999-12-31\n2,2025-03-05T10:00:00,77,30,\n3,2025-03-05T10:00:00,78,many,\n";
    let file = shop.tessera.write("lots.csv", lots);
    let early = shop.tessera.json(&["import", "events", &file, "--program", "shop", "--mapping", &mapping]);
    assert_eq!(figures(&early, ["lines", "applied", "refused"]), [3, 0, 3], "nobody joins by a lot: {early:#}");
    let people = shop.tessera.write("people.csv", "card,joined\n77,2025-01-05T10:00:00\n");
    shop.tessera.run(&["import", "members", &people, "--program", "shop"]).expect(0);
    let said = shop.tessera.run(&["import", "events", &file, "--program", "shop", "--mapping", &mapping, "--json"]);
    said.expect(1);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(figures(&report, ["lines", "applied", "refused"]), [3, 2, 1], "{report:#}");
    let members = shop.members();
    assert!(members.contains("card:77,2025-01-05T03:00:00Z,0,0,0,0,150,"), "brought in, not issued: {members}");
    let summary = shop.tessera.json(&["report", "summary", "--program", "shop"]);
    assert_eq!(summary["currencies"]["point"]["outstanding"], 150);
    assert_eq!(shop.tessera.verify("shop")["differences"], json!([]));
}
