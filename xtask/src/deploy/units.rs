//! The units of systemd, looked at by its own tools where they are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{INSTALLED, edited};
use crate::tools::{is_installed, output, target_folder, where_possible};

/// Tenths of systemd's measure of what a service could do if it were taken over: 0 nothing, 100 everything.
const EXPOSURE_MAX: u32 = 5;

/// Checks that the units are valid, and what the service may do.
pub(super) fn check(program: &Path) -> Result<()> {
    let need = || {
        ensure!(is_installed("systemd-analyze"), "no systemd-analyze");
        Ok(())
    };
    where_possible("systemd's own look at the units", need, || analyze(program))
}

fn analyze(program: &Path) -> Result<()> {
    let folder = target_folder("deploy").join("units");
    fs::create_dir_all(&folder)?;
    let program = program.to_str().context("a name that systemd can read")?;
    let units = ["httpling.service", "httpling.socket"].map(|name| folder.join(name));
    fs::write(&units[0], edited("httpling.service", &[(INSTALLED, program)])?)?;
    fs::write(&units[1], edited("httpling.socket", &[])?)?;
    // It says what it does not know, and succeeds; of a machine, other units may be at fault.
    let mut verify = Command::new("systemd-analyze");
    let said = verify.arg("verify").args(&units).output()?;
    let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.success() && !complaints.contains("httpling"), "{complaints}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE_MAX}")]);
    let table = output(security.arg(&units[0]))?;
    println!("{}", table.lines().last().unwrap_or_default().trim());
    Ok(())
}
