//! What the firmware needs, and what others need: flash, memory, stack, instructions, requests a second.
//!
//! A server's own share is what it needs more than an echo in its place.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::emulator::Emulator;
use super::firmware::{Build, Firmware};
use super::{Machine, load, panics};
use crate::tools::CrossCompiler;

/// A server, and the echo that it is compared to.
struct Candidate {
    name: &'static str,
    /// Part of the path of its source: panics from there are its own.
    source: &'static str,
    program: &'static str,
    echo: &'static str,
}

const CANDIDATES: [Candidate; 3] = [
    Candidate { name: "httpling", source: "/core/src/", program: "httpling", echo: "echo_blocking" },
    Candidate { name: "picoserve 0.20", source: "/picoserve-", program: "picoserve", echo: "echo_async" },
    Candidate { name: "edge-http 0.8", source: "/edge-http-", program: "edge_http", echo: "echo_async" },
];

/// A whole image: server and network.
struct Image {
    name: &'static str,
    package: &'static str,
    program: &'static str,
    /// Where it says `Hello there`.
    path: &'static str,
}

const IMAGES: [Image; 6] = [
    Image { name: "echo, smoltcp", package: "httpling-board", program: "echo", path: "/" },
    Image { name: "httpling, smoltcp", package: "httpling-board", program: "hello", path: "/" },
    Image {
        name: "httpling's demo, smoltcp",
        package: "httpling-board",
        program: "demo",
        path: "/hello_from_browser",
    },
    Image { name: "echo, embassy", package: "httpling-peers-network", program: "network_echo", path: "/" },
    Image {
        name: "picoserve 0.20, embassy",
        package: "httpling-peers-network",
        program: "network_picoserve",
        path: "/",
    },
    Image {
        name: "edge-http 0.8, embassy",
        package: "httpling-peers-network",
        program: "network_edge_http",
        path: "/",
    },
];

pub(crate) fn print(compiler: &CrossCompiler) -> Result<()> {
    println!("opt-level z, {}", compiler.description());
    println!("each server says hello to `GET /` and 404 else, ours without an error page\n");
    print_shares(compiler)?;
    println!();
    print_images(compiler)
}

/// What a server reported, and what its file says.
struct Weight {
    values: HashMap<String, u64>,
    flash: u64,
    sites: Vec<panics::Site>,
}

impl Weight {
    fn take(compiler: &CrossCompiler, program: &'static str) -> Result<Self> {
        let build = Build { package: "httpling-peers", ..Build::new(program, Machine::Mps2An385) };
        let firmware = Firmware::build(compiler, build)?;
        let mut emulator = Emulator::start_counting(&firmware)?;
        emulator.wait_for("end\n", Duration::from_secs(60))?;
        let log = emulator.log();
        let values = log
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| Ok((key.to_owned(), value.parse()?)))
            .collect::<Result<_>>()?;
        let flash = firmware.sections()?.flash();
        Ok(Self { values, flash, sites: panics::sites(&firmware.elf)? })
    }

    fn value(&self, key: &str) -> Result<u64> {
        self.values.get(key).copied().with_context(|| format!("the board did not report `{key}`"))
    }
}

/// Prints a table, row by row as they are measured. The first column is of words, the others are of figures.
fn print_table<T>(heads: &[&str], items: &[T], row: impl Fn(&T) -> Result<Vec<String>>) -> Result<()> {
    println!("| {} |", heads.join(" | "));
    println!("| ---{} |", " | --:".repeat(heads.len().saturating_sub(1)));
    for item in items {
        println!("| {} |", row(item)?.join(" | "));
    }
    Ok(())
}

fn print_shares(compiler: &CrossCompiler) -> Result<()> {
    let heads = [
        "HTTP alone: less an echo in its place",
        "flash",
        "state",
        "stack: answered",
        "400",
        "chunked POST",
        "instructions: curl",
        "browser",
        "reads / writes / flushes",
        "panic sites, of them its own",
    ];
    print_table(&heads, &CANDIDATES, |candidate| {
        let echo = Weight::take(compiler, candidate.echo)?;
        let server = Weight::take(compiler, candidate.program)?;
        let more = |key: &str| Ok::<_, anyhow::Error>(server.value(key)?.saturating_sub(echo.value(key)?));
        let own = server.sites.iter().filter(|site| site.is_from(candidate.source)).count();
        Ok(vec![
            candidate.name.to_owned(),
            server.flash.saturating_sub(echo.flash).to_string(),
            more("state")?.to_string(),
            more("curl.stack")?.max(more("browser.stack")?).to_string(),
            more("bad.stack")?.to_string(),
            more("chunked.stack")?.to_string(),
            more("curl.instructions")?.to_string(),
            more("browser.instructions")?.to_string(),
            format!(
                "{}–{} / {} / {}",
                server.value("curl.reads")?,
                server.value("browser.reads")?,
                server.value("browser.writes")?,
                server.value("browser.flushes")?
            ),
            format!("{}, {own}", server.sites.len()),
        ])
    })
}

fn print_images(compiler: &CrossCompiler) -> Result<()> {
    let heads = [
        "whole image, lm3s6965evb",
        ".text",
        ".rodata",
        ".data",
        ".bss",
        "flash",
        "static RAM",
        "requests/s: 1 client",
        "3 clients",
    ];
    print_table(&heads, &IMAGES, |image| {
        let build = Build { package: image.package, ..Build::new(image.program, Machine::Lm3s6965evb) };
        let firmware = Firmware::build(compiler, build)?;
        let sections = firmware.sections()?;
        let figures =
            [sections.text, sections.rodata, sections.data, sections.bss, sections.flash(), sections.ram()];
        let board = Emulator::start(&firmware)?;
        let mut row = vec![image.name.to_owned()];
        row.extend(figures.map(|bytes| bytes.to_string()));
        for clients in [1, 3] {
            row.push(format!("{:.0}", load::requests_per_second(&board, image.path, clients)?));
        }
        Ok(row)
    })
}
