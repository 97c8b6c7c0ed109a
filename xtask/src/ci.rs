//! All checks, in the order in which they are cheapest to fail.

use std::fs;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::tools::{self, CrossCompiler, cargo, root, target_folder};
use crate::{board, calls, deploy, faults, judge};

/// A processor with a board in QEMU, and one of another kind.
const TARGETS: [&str; 2] = ["thumbv7m-none-eabi", "riscv32imac-unknown-none-elf"];

/// Systems on which nothing of this is run, but all of it must compile. They differ in what the code asks for: signals, `epoll`,
/// `openat2`, the C library.
const SYSTEMS: [&str; 3] = ["x86_64-pc-windows-gnu", "x86_64-apple-darwin", "x86_64-unknown-freebsd"];
/// What users of this repository get.
const PUBLISHED: [&str; 4] = ["--package", "httpling-core", "--package", "httpling"];
/// Where a `usize` has 32 bits. What is built for it needs no library of the system's, and a 64-bit kernel runs it.
const SHORT: &str = "i686-unknown-linux-musl";

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
    // Some tests ask Python the same, where it is there.
    tools::where_possible("comparison with Python", || tools::need("python3", "python3"), || Ok(()))?;
    step("tests", || tools::run(cargo().args(["test", "--workspace", "--all-targets"])))?;
    step("lints for other systems", || SYSTEMS.into_iter().try_for_each(lint_for))?;
    step("tests with 32 bits", || {
        let test = || tools::run(cargo().args(["test", "--lib", "--target", SHORT]).args(PUBLISHED));
        tools::where_possible(SHORT, || tools::add_target(SHORT), test)
    })?;
    step("oldest compiler", oldest_compiler)?;
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
    step("packages", packages)?;
    step("heads and contents that are judged twice", judge::run)?;
    step("system calls that are made", calls::run)?;
    step("system calls that fail", faults::run)?;
    step("restarts under load", deploy::test)?;
    step("board: lints", board::lint)?;
    step("board: tests", || board::test(None))?;
    for check in &*tools::left_out() {
        println!("\nLEFT OUT, because this machine cannot do it: {check}");
    }
    println!("\nall checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Each must build from what is in it. (The second is built with the first one's package, which nobody has yet.)
///
/// In a folder that nobody has used before: what cargo has once unpacked of that package it takes again, by the folder's name and the
/// package's version, although there is something else in it by now.
fn packages() -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let folder = target_folder("packages").join(now.to_string());
    let mut package = cargo();
    package.args(["package", "--quiet", "--allow-dirty"]).args(PUBLISHED).arg("--target-dir").arg(&folder);
    let result = tools::run(&mut package);
    fs::remove_dir_all(folder)?;
    result
}

/// What is published, for another system.
fn lint_for(system: &str) -> Result<()> {
    let lint = || {
        let mut clippy = cargo();
        clippy.args(["clippy", "--target", system]).args(PUBLISHED);
        tools::run(clippy.args(["--", "--deny", "warnings"]))
    };
    tools::where_possible(system, || tools::add_target(system), lint)
}

/// Everything but the heaviest tests, with the compiler that the manifests name as the oldest one. (Newer ones only look for what
/// is known to have been added since.)
fn oldest_compiler() -> Result<()> {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let checking = |arguments: &[&str]| {
        let mut cargo = Command::new("rustup");
        cargo.current_dir(root()).args(["run", version, "cargo", "check"]).args(arguments);
        // Those of the compiler that runs us are told to the programs that we start.
        cargo.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
        cargo.arg("--target-dir").arg(target_folder("oldest"));
        cargo
    };
    let check = || {
        tools::run(checking(&["--all-targets"]).args(PUBLISHED))?;
        tools::run(&mut checking(&["--package", "xtask"]))
    };
    tools::where_possible(version, || tools::add_compiler(version), check)
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
