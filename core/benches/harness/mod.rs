//! Counts instructions, which say the same on every run and on every machine, however busy it is.
//!
//! `cargo bench` runs the bench, and the bench runs itself once for each case under `valgrind --tool=callgrind`,
//! which counts what happens inside [`measured`] and nothing else. Without valgrind the cases are timed, which shows
//! an order of magnitude and no more.

// A bench that cannot count has nothing to say.
#![allow(clippy::expect_used, clippy::panic)]

pub(crate) mod heads;

use std::process::Command;
use std::time::Instant;

/// Something to measure: one call of `run` does `units` of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) units: u32,
    pub(crate) run: fn(),
}

/// A figure to reach: the cost of `case` is at most `most` times that of `than`.
pub(crate) struct Goal {
    pub(crate) case: &'static str,
    pub(crate) than: &'static str,
    pub(crate) most: f64,
}

/// What `cargo bench` calls. A goal that is not reached is said, and is no failure: this measures, tests judge.
pub(crate) fn main(cases: &[Case], goals: &[Goal]) {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(case) = cases.iter().find(|case| arguments.get(1).is_some_and(|name| name == case.name)) {
        // What is done only once in the life of a program is done here.
        (case.run)();
        measured(case.run);
        return;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches` asks only whether everything runs.
        for case in cases {
            (case.run)();
        }
        return;
    }

    let counted = Command::new("valgrind").arg("--version").output().is_ok();
    let unit = if counted { "instructions" } else { "nanoseconds (install valgrind to count instructions)" };
    println!("\n{:44} {unit}", "");
    let cost =
        |case: &Case| if counted { instructions(case) } else { nanoseconds(case) } / f64::from(case.units);
    let costs: Vec<(&str, f64)> = cases.iter().map(|case| (case.name, cost(case))).collect();
    for (name, cost) in &costs {
        println!("{name:44} {cost:12.1}");
    }

    let cost_of =
        |name: &str| costs.iter().find(|(case, _)| *case == name).map_or(f64::NAN, |(_, cost)| *cost);
    for Goal { case, than, most } in goals {
        let ratio = cost_of(case) / cost_of(than);
        let verdict = if ratio <= *most { "PASS" } else { "FALL SHORT" };
        println!("{case} / {than}: {ratio:.4}, at most {most:.4}: {verdict}");
    }
}

/// Callgrind counts while this runs.
#[inline(never)]
fn measured(run: fn()) {
    run();
}

fn instructions(case: &Case) -> f64 {
    let itself = std::env::current_exe().expect("the bench has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*harness*measured*"])
        .arg(itself)
        .arg(case.name)
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report.split_once("Collected :").and_then(|(_, rest)| rest.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("valgrind counted nothing: {report}"))
}

fn nanoseconds(case: &Case) -> f64 {
    let rounds = 1000;
    let start = Instant::now();
    for _ in 0..rounds {
        measured(case.run);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}
