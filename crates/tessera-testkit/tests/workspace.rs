//! The shape of the workspace: which crate may see which, which licences and crates may come in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Arrows between our crates, and no others. The test kit and the binary see everything.
const ARROWS: [(&str, &[&str]); 6] = [
    ("tessera-core", &[]),
    ("tessera-insight", &["tessera-core"]),
    ("tessera-store", &["tessera-core"]),
    ("tessera-connect", &["tessera-core"]),
    ("tessera-engine", &["tessera-store", "tessera-connect", "tessera-insight", "tessera-core"]),
    ("tessera-api", &["tessera-engine", "tessera-connect", "tessera-core"]),
];

/// Licences that go with MIT OR Apache-2.0; `deny.toml` says the same to cargo-deny.
const LICENCES: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
];

/// Crates with a licence of their own that we accept for them alone; `deny.toml` has the reasons.
const EXCEPTIONS: [(&str, &str); 1] = [("webpki-roots", "CDLA-Permissive-2.0")];

/// Crates that must not come in, with the reason.
const FORBIDDEN: [(&str, &str); 5] = [
    ("openssl", "TLS is rustls; a system library would have to be installed"),
    ("sqlx", "one graph holds one libsqlite3-sys, and ours is rusqlite's"),
    ("sea-orm", "one graph holds one libsqlite3-sys, and ours is rusqlite's"),
    ("serde_yaml", "archived; documents are read by saphyr-parser"),
    ("rand", "randomness comes from tessera_engine::clock::Entropy alone"),
];

/// Crates of ours that may not depend on something that reads clocks, files or networks.
const PURE: [(&str, &[&str]); 2] = [
    ("tessera-core", &["tokio", "axum", "rusqlite", "tokio-postgres", "getrandom", "tracing", "metrics"]),
    ("tessera-insight", &["tokio", "axum", "rusqlite", "tokio-postgres", "getrandom"]),
];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--all-features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What each of our crates depends on when it is built for use, not for its tests.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let ours = packages(metadata).iter().filter(|package| package["source"].is_null());
    ours.map(|package| {
        let wanted = package["dependencies"].as_array().into_iter().flatten().filter(|wanted| wanted["kind"] != "dev");
        let names = wanted.filter_map(|wanted| wanted["name"].as_str()).map(str::to_owned).collect();
        (package["name"].as_str().unwrap_or_default().to_owned(), names)
    })
    .collect()
}

#[test]
fn crates_see_only_what_the_arrows_allow() {
    let found = dependencies(&metadata());
    assert!(found.len() >= 7, "the workspace is read: {found:?}");
    for (name, seen) in &found {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            assert!(matches!(name.as_str(), "tessera" | "tessera-testkit"), "{name} has no place among the arrows");
            continue;
        };
        for other in seen.iter().filter(|other| other.starts_with("tessera")) {
            assert!(allowed.contains(&other.as_str()), "{name} may not see {other}");
        }
    }
    for (name, forbidden) in PURE {
        for other in forbidden {
            assert!(!found[name].contains(*other), "{name} is pure: it may not see {other}");
        }
    }
}

#[test]
fn licences_and_crates_are_those_we_accept() {
    let metadata = metadata();
    let others = packages(&metadata).iter().filter(|package| !package["source"].is_null());
    let mut seen = 0;
    for package in others {
        seen += 1;
        let name = package["name"].as_str().unwrap_or_default();
        let direct = dependencies(&metadata).values().any(|wanted| wanted.contains(name));
        for (forbidden, reason) in FORBIDDEN {
            // `rand` may stand below a dependency; none of ours may use it.
            let comes_in = name == forbidden && (forbidden != "rand" || direct);
            assert!(!comes_in, "{name} must not come in: {reason}");
        }
        let licence = package["license"].as_str().unwrap_or("none");
        let is_exception = EXCEPTIONS.contains(&(name, licence));
        assert!(is_exception || accepted(licence), "{name} is licensed as {licence}");
    }
    assert!(seen > 50, "dependencies are read");
}

/// Whether one way through an SPDX expression uses only licences we accept.
fn accepted(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let known = |licence: &str| LICENCES.contains(&licence.trim()) || licence.contains("WITH LLVM-exception");
    // `A OR (B AND C)`: an alternative is acceptable when each of its parts is.
    let alternatives = flat.split(" OR ").any(|alternative| alternative.split(" AND ").all(known));
    alternatives && !flat.split(" AND ").any(|part| part.split(" OR ").all(|licence| !known(licence)))
}

#[test]
fn licence_expressions_are_understood() {
    assert!(
        accepted("MIT OR Apache-2.0") && accepted("(MIT OR Apache-2.0) AND Unicode-3.0") && accepted("Unlicense/MIT")
    );
    assert!(!accepted("GPL-3.0") && !accepted("MIT AND AGPL-3.0") && !accepted("none"));
}
