//! The units of systemd, looked at by its own tools where they are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::file;
use crate::tools::{is_installed, output, target_folder};

/// What the program is called in the unit.
const INSTALLED: &str = "/usr/local/bin/httpling";
/// Tenths of systemd's measure of what a service could do if it were taken over: 0 nothing, 100 everything.
const EXPOSURE_MAX: u32 = 5;

/// Checks that the units are valid, and what the service may do.
pub(super) fn check(program: &Path) -> Result<()> {
    if !is_installed("systemd-analyze") {
        println!("not without systemd-analyze: the units are not checked");
        return Ok(());
    }
    let folder = target_folder("deploy").join("units");
    fs::create_dir_all(&folder)?;
    let units = ["httpling.service", "httpling.socket"].map(|name| (file(name), folder.join(name)));
    for (from, to) in &units {
        let program = program.to_str().context("a name that systemd can read")?;
        fs::write(to, fs::read_to_string(from)?.replace(INSTALLED, program))?;
    }
    let units = units.map(|(_, to)| to);
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
