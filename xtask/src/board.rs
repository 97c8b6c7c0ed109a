//! The board: build its firmware, run it in QEMU, test it from outside, measure it.

mod firmware;
mod emulator;

mod load;
mod panics;
mod size;

mod client;
mod browser;
mod network_tests;
mod subject;
mod waiting_tests;
mod mutated_tests;
mod http_tests;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use self::emulator::Emulator;
use self::firmware::{Build, Firmware};
use crate::tools::{self, CrossCompiler, Origin, root};

pub(crate) const TARGET: &str = "thumbv7m-none-eabi";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Chore,
    /// The compiler to use, instead of the first that is found.
    #[arg(long, global = true)]
    compiler: Option<Origin>,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Serve on 127.0.0.1 until Ctrl-C.
    Run {
        /// The port on this machine.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        #[arg(long, value_enum, default_value_t = Machine::Lm3s6965evb)]
        machine: Machine,
    },
    /// Run the tests that talk to the board from outside.
    Test,
    /// Print what the firmware needs of flash, memory and time, beside other servers.
    Size,
}

/// A board that QEMU knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// Cortex-M3, 256 KiB of flash, 64 KiB of RAM.
    #[value(name = "lm3s6965evb")]
    Lm3s6965evb,
    /// Cortex-M3, 4 MiB and 4 MiB.
    #[value(name = "mps2-an385")]
    Mps2An385,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.chore {
        Chore::Run { port, machine } => {
            let compiler = CrossCompiler::find(TARGET, arguments.compiler)?;
            let firmware = Firmware::build(&compiler, Build::new("demo", machine))?;
            Emulator::serve(&firmware, port)
        }
        Chore::Test => test(arguments.compiler),
        Chore::Size => size::print(&CrossCompiler::find(TARGET, arguments.compiler)?),
    }
}

/// Looks at the firmware with clippy, where the compiler has it.
pub(crate) fn lint() -> Result<()> {
    let compiler = CrossCompiler::find(TARGET, None)?;
    if !compiler.has_clippy() {
        println!("not without rustup: Debian's compiler has no clippy for this target");
        return Ok(());
    }
    for features in ["", "httpling-board/mps2-an385,httpling-board/lossy"] {
        let mut clippy = compiler.cargo("clippy", &root().join("embedded-example"));
        clippy.args(["--workspace", "--features", features, "--target-dir"]).arg(compiler.target_folder());
        tools::run(clippy.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// Tests the board from outside.
pub(crate) fn test(wish: Option<Origin>) -> Result<()> {
    let compiler = CrossCompiler::find(TARGET, wish)?;
    network_tests::run(&compiler)?;
    http_tests::run(&compiler)
}
