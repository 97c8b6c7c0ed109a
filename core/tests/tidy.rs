//! A file uses only what is listed above it, so that the list of modules is the order to read them in, and there are no
//! cycles. Rules that a compiler does not check.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A longer file is two.
const LINES_MAX: usize = 700;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All modules in reading order, as paths without `crate`, and the files that they are in: a module stands before what it declares,
/// and what it declares in the order in which it does.
fn modules() -> Vec<(Vec<String>, PathBuf)> {
    fn walk(module: &[String], file: &Path, found: &mut Vec<(Vec<String>, PathBuf)>) {
        found.push((module.to_vec(), file.to_owned()));
        let name = file.file_stem().expect("a file").to_string_lossy();
        let folder = file.parent().expect("a folder");
        let folder = if name == "lib" || name == "mod" { folder.to_owned() } else { folder.join(&*name) };
        for line in text(file).lines() {
            // Of modules in files, which end in a semicolon, and begin at the margin.
            let declared = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
                .iter()
                .find_map(|keyword| line.strip_prefix(keyword)?.strip_suffix(';'));
            if let Some(child) = declared {
                let mut path = module.to_vec();
                path.push(child.to_owned());
                let files = [folder.join(format!("{child}.rs")), folder.join(child).join("mod.rs")];
                let file = files.iter().find(|file| file.exists()).expect("a module has its file");
                walk(&path, file, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&[], &source().join("lib.rs"), &mut found);
    found
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).expect("readable")
}

/// A file's lines without comments, and without its tests, which may use anything.
fn code(file: &Path) -> Vec<String> {
    let text = text(file);
    let code = text.split("#[cfg(test)]\nmod tests").next().expect("a part");
    let uncommented = code.lines().map(|line| line.split("//").next().expect("a part").trim_end());
    uncommented.map(str::to_owned).collect()
}

/// The paths that begin with `crate::` or `super::` in a line of `module`, `{` and what is in it cut off.
fn paths(line: &str, module: &[String]) -> Vec<Vec<String>> {
    let end = |rest: &str| {
        rest.find(|end: char| !end.is_alphanumeric() && end != '_' && end != ':').unwrap_or(rest.len())
    };
    let mut paths = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in line.match_indices(word) {
            // `super::super::a` is one path.
            if line[..at].ends_with("::") {
                continue;
            }
            let mut rest = &line[at..at + end(&line[at..])];
            let mut path = module.to_vec();
            if let Some(after) = rest.strip_prefix("crate::") {
                path.clear();
                rest = after;
            }
            while let Some(after) = rest.strip_prefix("super::") {
                path.pop();
                rest = after;
            }
            path.extend(rest.split("::").filter(|part| !part.is_empty()).map(str::to_owned));
            paths.push(path);
        }
    }
    paths
}

#[test]
fn a_file_uses_only_what_is_listed_above_it() {
    let modules = modules();
    let places: BTreeMap<_, _> =
        modules.iter().enumerate().map(|(at, (module, _))| (module.clone(), at)).collect();
    assert!(places.len() > 20, "the modules are found");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (at, (module, file)) in modules.iter().enumerate() {
        // The list itself names everything again.
        if module.is_empty() {
            continue;
        }
        for line in code(file) {
            for path in paths(&line, module) {
                // The longest beginning of the path that is a module.
                let used = (0..=path.len()).rev().find_map(|end| places.get(&path[..end]));
                let &used = used.expect("the crate itself is a module");
                seen += 1;
                // What a module declares may use it, and it may use what it declares. The crate's own list is for others.
                let other = &modules[used].0;
                assert!(!other.is_empty(), "{module:?} names no module: {line}");
                if used > at && !other.starts_with(module) {
                    wrong.push(format!("{module:?} uses {other:?}, which is listed below it"));
                }
            }
        }
    }
    assert!(seen > 50, "the uses are found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_reads_does_not_write() {
    for (module, file) in modules() {
        let Some(first) = module.first() else { continue };
        for line in code(&file) {
            for path in paths(&line, &module) {
                let Some(used) = path.first() else { continue };
                let forbidden = match &**first {
                    "syntax" => used != "syntax",
                    "receive" => used != "receive" && used != "syntax",
                    "send" => used != "send" && used != "syntax",
                    "connection" => used == "session" || used == "exchange",
                    _ => false,
                };
                assert!(!forbidden, "{module:?}: {line}");
            }
        }
    }
}

/// The sources in a folder, and in those below it; not what was built of them.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_is_in_the_list_of_modules() {
    let mut found = Vec::new();
    sources(&source(), &mut found);
    let modules = modules();
    for file in found {
        assert!(modules.iter().any(|(_, other)| *other == file), "{} is in no list", file.display());
    }
}

/// In all packages, their tests and tools: where this one stands alone, in this one.
#[test]
fn every_file_says_what_it_is_and_none_is_long() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let together = package.parent().filter(|folder| folder.join("Cargo.toml").exists());
    let mut found = Vec::new();
    sources(together.unwrap_or(package), &mut found);
    assert!(found.len() > 30, "the files are found");
    for file in found {
        let text = text(&file);
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", file.display());
        assert!(text.starts_with("//!"), "{} says what it is", file.display());
    }
}

/// What must not panic says so with words that a search finds. (The lints say the same, unless somebody allows it.)
#[test]
fn nothing_in_the_code_panics_by_its_own_will() {
    for (module, file) in modules() {
        for line in code(&file) {
            for word in
                [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!(", "unsafe "]
            {
                assert!(!line.contains(word), "{module:?}: {line}");
            }
        }
    }
}
