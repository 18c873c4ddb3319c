//! What tests share. A dev-dependency only.

#[cfg(feature = "app")]
pub mod app;
pub mod bytes;
#[cfg(feature = "app")]
pub mod partner;
pub mod postgres;
pub mod reference;
pub mod shop;

/// How many cases a property draws: usually so many, or as many as `PROPTEST_CASES` asks for in a long run. Where a case
/// is dear, a long run draws `dearness` times fewer.
pub fn cases(usual: u32, dearness: u32) -> proptest::test_runner::Config {
    let asked = proptest::test_runner::Config::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => (asked.cases / dearness.max(1)).max(1),
        None => usual,
    };
    proptest::test_runner::Config { cases, ..asked }
}
