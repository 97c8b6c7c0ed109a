//! Where can this firmware panic? Every branch to a function that panics, with the source that it comes from.

use std::fs;
use std::ops::Range;
use std::path::Path;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// A branch to a function that panics.
#[derive(Debug)]
pub(crate) struct Site {
    /// The source files that the branch comes from, the innermost first: of inlined functions, and of the one that
    /// they are in.
    files: Vec<String>,
}

impl Site {
    /// Does it come from the source of a crate, whose folder's path contains `folder`? What the standard library does
    /// inline counts for the function that called it.
    pub(crate) fn is_from(&self, folder: &str) -> bool {
        self.files.iter().find(|file| is_of_a_crate(file)).is_some_and(|file| file.contains(folder))
    }

    /// Is nothing there but what the standard library has inlined into itself?
    fn is_of_the_standard_library(&self) -> bool {
        !self.files.is_empty() && !self.files.iter().any(|file| is_of_a_crate(file))
    }
}

fn is_of_a_crate(file: &str) -> bool {
    !file.contains("/library/core/")
}

/// The standard library's functions that only panic.
fn only_panics(symbol: &str) -> bool {
    let of_core = symbol.contains("4core");
    let kinds = ["panicking", "unwrap_failed", "expect_failed", "len_mismatch_fail", "index_fail", "panic_"];
    of_core && kinds.iter().any(|kind| symbol.contains(kind))
}

/// A function's code.
struct Function {
    code: Range<u64>,
    /// Does a branch to it end in a panic?
    panics: bool,
}

/// All branches to functions that panic, but for those from one such function to another. A function of the standard library
/// that was not inlined panics where it is called.
pub(crate) fn sites(elf: &Path) -> Result<Vec<Site>> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let file = object::File::parse(&*bytes)?;
    let mut functions: Vec<_> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| {
            // The lowest bit says that it is Thumb code.
            let start = symbol.address() & !1;
            Function { code: start..start + symbol.size(), panics: symbol.name().is_ok_and(only_panics) }
        })
        .collect();
    let branches = branches(&file)?;
    let loader = Loader::new(elf).map_err(|error| anyhow!("{error}"))?;
    loop {
        let mut sites = Vec::new();
        let mut callees = Vec::new();
        let panics =
            |address| functions.iter().any(|function| function.panics && function.code.contains(&address));
        for &(address, _) in branches.iter().filter(|&&(address, target)| panics(target) && !panics(address))
        {
            let site = Site { files: files_at(&loader, address)? };
            if site.is_of_the_standard_library() {
                callees.push(address);
            } else {
                sites.push(site);
            }
        }
        if callees.is_empty() {
            return Ok(sites);
        }
        for function in &mut functions {
            function.panics |= callees.iter().any(|address| function.code.contains(address));
        }
    }
}

/// Every branch out of a function: where it is, and where it goes.
fn branches(file: &object::File<'_>) -> Result<Vec<(u64, u64)>> {
    let text = file.section_by_name(".text").context("no .text")?;
    let code = text.data()?;
    let mut branches = Vec::new();
    let mut offset = 0;
    while let Some(&[one, two, three, four]) = code.get(offset..offset + 4) {
        let first = u16::from_le_bytes([one, two]);
        let second = u16::from_le_bytes([three, four]);
        let address = text.address() + offset as u64;
        // Instructions whose first half begins with 0b11101, 0b11110 or 0b11111 have two.
        offset += if first >> 11 >= 0b11101 { 4 } else { 2 };
        branches.extend(branch_target(address, first, second).map(|target| (address, target)));
    }
    Ok(branches)
}

fn files_at(loader: &Loader, address: u64) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut frames = loader.find_frames(address).map_err(|error| anyhow!("{error}"))?;
    while let Some(frame) = frames.next().map_err(|error| anyhow!("{error}"))? {
        files.extend(frame.location.and_then(|location| location.file).map(str::to_owned));
    }
    Ok(files)
}

/// Where `bl` and `b.w` go (Armv7-M Architecture Reference Manual, A7.7.12 and A7.7.18).
fn branch_target(address: u64, first: u16, second: u16) -> Option<u64> {
    let is_long_branch = first >> 11 == 0b11110 && second & 0x9000 == 0x9000;
    if !is_long_branch {
        return None;
    }
    let bit = |half: u16, place: u32| u32::from(half >> place & 1);
    let sign = bit(first, 10);
    let upper = [1 ^ bit(second, 13) ^ sign, 1 ^ bit(second, 11) ^ sign];
    let distance = sign << 24
        | upper[0] << 23
        | upper[1] << 22
        | u32::from(first & 0x3ff) << 12
        | u32::from(second & 0x7ff) << 1;
    // 25 bits, with a sign.
    let distance = (distance << 7).cast_signed() >> 7;
    address.checked_add(4)?.checked_add_signed(distance.into())
}

#[cfg(test)]
mod tests {
    use super::{Site, branch_target};

    #[test]
    fn branches_go_where_the_manual_says() {
        // `bl .` and `b.w .+4`
        assert_eq!(branch_target(0x100, 0xf7ff, 0xfffe), Some(0x100));
        assert_eq!(branch_target(0x100, 0xf000, 0xb800), Some(0x104));
        // `bl .+0x1004` and a conditional branch, which does not leave a function
        assert_eq!(branch_target(0, 0xf001, 0xf800), Some(0x1004));
        assert_eq!(branch_target(0, 0xf000, 0x8001), None);
    }

    #[test]
    fn what_is_inlined_from_the_standard_library_counts_for_its_caller() {
        let files =
            ["/rustc/0/library/core/src/slice/index.rs", "/home/a/picoserve-0.20.1/src/io.rs", "/b/main.rs"];
        let site = Site { files: files.map(str::to_owned).to_vec() };
        assert!(site.is_from("/picoserve-"));
        assert!(!site.is_from("/b/"));
        assert!(!site.is_of_the_standard_library());
        let outlined = Site { files: vec!["/rustc/0/library/core/src/slice/sort/mod.rs".to_owned()] };
        assert!(outlined.is_of_the_standard_library());
    }
}
