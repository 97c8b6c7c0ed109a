//! What the firmware needs.
use super::Machine;
use super::firmware::{Build, Firmware};
use crate::tools::CrossCompiler;
use anyhow::Result;
pub(crate) fn print(compiler: &CrossCompiler) -> Result<()> {
    let s = Firmware::build(compiler, Build::new("echo", Machine::Lm3s6965evb))?.sections()?;
    println!("{} {} {}", s.flash(), s.ram(), compiler.description());
    Ok(())
}
