//! A program's system calls, as strace tells of them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::server::PATIENCE;
use crate::tools;

/// Installs it. In some containers nobody may trace anybody.
pub(crate) fn need() -> Result<()> {
    tools::need("strace", "strace")?;
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output()?;
    ensure!(traced.status.success(), "no process may trace another one here");
    Ok(())
}

/// strace, before its options and the program. It goes aside, so that the process is the program's.
pub(crate) fn behind(log: &Path) -> Command {
    _ = fs::remove_file(log);
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-ttt", "-o"]).arg(log);
    command
}

/// What it has written of a program that has ended: its lines are a thread, a time, and a call.
pub(crate) fn read(log: &Path, id: u32) -> Result<String> {
    let began = Instant::now();
    // It writes after the program's end: `NUMBER TIME +++ exited with 0 +++`. It pads numbers.
    let is_end = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next(), words.nth(1)) == (Some(&*id.to_string()), Some("+++"))
    };
    loop {
        let text = fs::read_to_string(log)?;
        if text.lines().any(is_end) {
            return Ok(text);
        }
        ensure!(began.elapsed() < PATIENCE, "strace does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How often it was called.
pub(crate) fn calls(text: &str, name: &str) -> usize {
    let call = format!(" {name}(");
    text.lines().filter(|line| line.contains(&call)).count()
}
