//! `cargo xtask`: the chores of this repository.

mod tools;

mod server;
mod strace;
mod mutation;

mod bench;
mod board;
mod calls;
mod deploy;
mod faults;
mod judge;

mod ci;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of this repository. What a chore needs and the machine lacks is installed.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run every check: format, lints, tests, documentation, builds without std, the board.
    Ci,
    /// Count the system calls that a request costs.
    Calls,
    /// Let another reader judge heads and contents, too: what both take must be the same requests.
    Judge,
    /// Let the program's system calls fail, and look at what its clients see.
    Faults,
    /// Try what `deploy/` is for.
    Deploy(deploy::Arguments),
    /// Build the firmware and run it in QEMU.
    Board(board::Arguments),
    /// Measure the server beside others. A full run takes about ten minutes and writes docs/bench.md and docs/bench.svg.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Ci => ci::run(),
        Chore::Calls => calls::run(),
        Chore::Judge => judge::run(),
        Chore::Faults => faults::run(),
        Chore::Deploy(arguments) => deploy::run(&arguments),
        Chore::Board(arguments) => board::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
