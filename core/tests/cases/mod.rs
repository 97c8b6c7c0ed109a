//! How properties are tried.

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, unless `PROPTEST_CASES` says how many. Those that failed once are kept at the top level, for ever.
#[allow(unreachable_pub)] // A module of several binaries.
pub fn cases(count: u32) -> Config {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/core.txt");
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: asked.unwrap_or(count),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(folder))),
        ..Config::default()
    }
}
