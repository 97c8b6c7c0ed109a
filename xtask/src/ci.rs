//! All checks, in the order in which they are cheapest to fail.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::tools::{self, CrossCompiler, cargo, root, target_folder};
use crate::{board, deploy, faults};

/// A processor with a board in QEMU, and one of another kind.
const TARGETS: [&str; 2] = ["thumbv7m-none-eabi", "riscv32imac-unknown-none-elf"];

pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    step("format", || {
        tools::run(cargo().args(["fmt", "--all", "--check"]))?;
        ["embedded-example", "bench"].into_iter().try_for_each(|folder| {
            tools::run(cargo().args(["fmt", "--all", "--check"]).current_dir(root().join(folder)))
        })
    })?;
    step("lints", || {
        tools::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    step("tests", || tools::run(cargo().args(["test", "--workspace", "--all-targets"])))?;
    step("documentation tests", || tools::run(cargo().args(["test", "--workspace", "--doc"])))?;
    step("documentation", || {
        tools::run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("core and handler without std", || {
        TARGETS.into_iter().try_for_each(|target| {
            let compiler = CrossCompiler::find(target, None)?;
            // The handler brings the core.
            let mut build = compiler.cargo("build", &root().join("embedded-example"));
            tools::run(
                build
                    .args(["--package", "httpling-demo", "--release"])
                    .arg("--target-dir")
                    .arg(target_folder("no-std")),
            )
        })
    })?;
    step("handler: tests", || {
        let mut test = cargo();
        test.current_dir(root().join("embedded-example"));
        // That folder's own settings choose the board's processor.
        let host = tools::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        tools::run(
            test.args(["test", "--package", "httpling-demo", "--target", &host])
                .arg("--target-dir")
                .arg(target_folder("handler")),
        )
    })?;
    step("measuring: lints", || {
        tools::run(measuring("clippy").args(["--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    step("measuring: tests", || tools::run(measuring("test").args(["--package", "httpling-load"])))?;
    step("examples", || tools::run(cargo().args(["build", "--workspace", "--examples"])))?;
    step("system calls that fail", faults::run)?;
    step("restarts under load", deploy::test)?;
    step("board: lints", board::lint)?;
    step("board: tests", || board::test(None))?;
    println!("\nall checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// A command of cargo where the peers are, which are a workspace of their own.
fn measuring(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.arg(command).current_dir(root().join("bench")).arg("--target-dir").arg(target_folder("bench"));
    cargo
}

/// Runs one step, with its name before and its time after.
fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let started = Instant::now();
    check().with_context(|| format!("step `{name}` failed"))?;
    println!("== {name}: passed in {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}
