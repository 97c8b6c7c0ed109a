//! The server beside others, on the same cores, in the same run.
//!
//! A machine's speed drifts, and with it every absolute figure. So each round measures every server in every case, one after
//! the other; what counts is a server's ratio to the ceiling of the same round, and of the rounds the median.

mod cases;
mod machine;
mod servers;
mod measure;
mod results;
mod table;
mod plot;

use std::fs;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::cases::Case;
use self::machine::{Cores, Others};
use self::measure::Bench;
use self::results::Results;
use self::servers::Server;
use crate::tools::{self, root};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Each case once and briefly: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// How often every server is measured in every case.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each measurement takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Vec<Server>,
    /// Only these cases.
    #[arg(long, value_enum, value_delimiter = ',')]
    cases: Vec<Case>,
    /// Do not count system calls afterwards.
    #[arg(long)]
    without_calls: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let servers = all_or(&arguments.servers);
    let cases = all_or(&arguments.cases);
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 1 } else { 7 });
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { 0.3 } else { 0.6 });
    let counts_calls = !arguments.without_calls && !arguments.quick;

    tools::need("taskset", "util-linux")?;
    if servers.contains(&Server::Nginx) {
        tools::need("nginx", "nginx-light")?;
    }
    if counts_calls {
        tools::need("strace", "strace")?;
    }
    let bench = Bench { programs: servers::build()?, cores: Cores::choose()?, seconds };
    machine::raise_descriptor_limit()?;

    let others = Others::watch()?;
    let mut results = Results::new(rounds, seconds, bench.cores.description()?);
    for round in 0..rounds {
        for &case in &cases {
            if case == Case::Idle && round > 0 {
                // Memory does not drift.
                continue;
            }
            // Another one begins each time, so that none always follows the same.
            for &server in servers.iter().cycle().skip(round).take(servers.len()) {
                if server.answers(case) {
                    let sample = bench.measure(server, case);
                    eprintln!("{} of {rounds}: {case}: {server}: {}", round + 1, sample.summary());
                    results.add(server, case, sample);
                }
            }
        }
    }
    results.others_percent = others.percent(&bench.cores)?;
    if counts_calls {
        for &case in cases.iter().filter(|case| case.counts_calls()) {
            for &server in &servers {
                match bench.count_calls(server, case) {
                    Ok(calls) => {
                        eprintln!("{case}: {server}: {calls:.2} system calls");
                        results.add_calls(server, case, calls);
                    }
                    Err(error) => eprintln!("{case}: {server}: not counted: {error:#}"),
                }
            }
        }
    }

    let report = table::write(&results, &servers, &cases)?;
    println!("\n{report}");
    let is_full = arguments.servers.is_empty() && arguments.cases.is_empty() && counts_calls;
    if is_full {
        fs::write(root().join("docs/bench.md"), report)?;
        fs::write(root().join("docs/bench.svg"), plot::draw(&results, &servers)?)?;
        println!("written to docs/bench.md and docs/bench.svg");
    }
    Ok(())
}

/// What was chosen, or everything.
fn all_or<T: ValueEnum + Clone>(chosen: &[T]) -> Vec<T> {
    if chosen.is_empty() { T::value_variants().to_vec() } else { chosen.to_vec() }
}
