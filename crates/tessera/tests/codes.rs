//! Files of codes, as somebody else made them: broken, far too long, the same twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::Tessera;

const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
currencies: { point: { name: Point, expires: never } }
vouchers: { ten: { gives: { amount_off: 10000 } } }
code_pools: { cinema: {} }
rewards: { film: { costs: { point: 80 }, gives: { code_pool: cinema } } }
";

#[test]
fn a_file_of_voucher_codes_is_taken_in_line_by_line_whatever_is_in_it() {
    let tessera = Tessera::with_document(SHOP);
    let mut bytes = b"SUMMER-1\r\n\n".to_vec();
    bytes.extend([b"BAD\xff\xfe\nsummer1\n".as_slice(), &[b'A'; 5_000_000], b"\nSUMMER-2"].concat());
    let file = tessera.write("codes.txt", bytes);
    let import = ["voucher", "import", &file, "--program", "shop", "--voucher", "ten", "--key", "k-1"];
    tessera.run(&import).expect(1);
    let told = tessera.json(&import);
    assert_eq!((&told["lines"], &told["imported"]), (&json!(6), &json!(2)));
    let problems = told["problems"].as_array().unwrap();
    let lines: Vec<u64> = problems.iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5]);
    assert_eq!(problems[1]["detail"], "a duplicate of line 1");
    assert_eq!(problems[2]["detail"], "a line has at most 1000 bytes");
    assert!(told.to_string().len() < 2_000, "what is too long is not repeated");
}

#[test]
fn more_is_wrong_with_a_file_of_codes_than_is_told() {
    let tessera = Tessera::with_document(SHOP);
    let file = tessera.write("codes.txt", "SUMMER-1\n".repeat(10_500));
    let told = tessera.json(&["voucher", "import", &file, "--program", "shop", "--voucher", "ten", "--key", "k-1"]);
    assert_eq!((&told["lines"], &told["imported"]), (&json!(10_500), &json!(1)));
    assert_eq!(told["problems"].as_array().unwrap().len(), 10_000);
}

#[test]
fn codes_of_a_partner_before_a_line_that_is_none_are_in() {
    let tessera = Tessera::with_document(SHOP);
    let long = [b"GOOD-1\nGOOD-2\n".as_slice(), &[b'X'; 2_000_000], b"\nGOOD-3\n"].concat();
    let file = tessera.write("codes.txt", long);
    let import = ["reward", "codes", "import", &file, "--program", "shop", "--pool", "cinema"];
    tessera.run(&import).failed(1, "line 3: ").failed(1, "those before it are in");
    let pools = tessera.json(&["reward", "codes", "list", "--program", "shop"]);
    assert_eq!(pools[0]["imported"], 2);
}
