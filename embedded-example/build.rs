//! Puts the board's memory map where the linker looks for it, and asks for `cortex-m-rt`'s layout.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let board = match env::var_os("CARGO_FEATURE_MPS2_AN385") {
        Some(_) => "mps2-an385",
        None => "lm3s6965evb",
    };
    let map = format!("memory/{board}.x");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={map}");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::copy(map, out.join("memory.x"))?;
    // `link.x` includes it for the names of interrupt handlers. The board's vector table has one handler, by name.
    fs::write(out.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Sections need not start at a page boundary: flash has no pages to map.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    // Without gaps between what is aligned differently.
    println!("cargo::rustc-link-arg-bins=--sort-section=alignment");
    Ok(())
}
