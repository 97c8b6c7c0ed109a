//! The results, for the terminal and for `docs/bench.md`.

use std::fmt::Write;

use anyhow::Result;

use super::cases::{Case, IDLE_CONNECTIONS};
use super::results::{Figure, Results};
use super::servers::Server;

const INTRODUCTION: &str = "\
Written by `cargo xtask bench`, which starts every server on the same cores and asks it from others. Each answers `GET /` with \
`Hello there`, `Date`, `Server` and `Content-Type`, and POST with what was posted. Each answer is checked: status, length, content. One \
wrong answer, and the measurement is shown as failed.

The *ceiling* is no server: an epoll loop per thread that counts blank lines and sends the same octets for each, as many as `httpling` does. What counts \
is the ratio to it in the same round, and of all rounds the median: absolute figures drift with the machine.
";

/// More work of others than this, and the figures are those of a disturbed machine.
const OTHERS_PERCENT_MAX: f64 = 5.0;
const DISTURBED: &str = "That is too much: ratios of a few percent, and latencies, mean little here. Run it again on a quiet machine.";

pub(crate) fn write(results: &Results, servers: &[Server], cases: &[Case]) -> Result<String> {
    let mut text = format!("# How fast it is\n\n{INTRODUCTION}\n");
    let Results { rounds, seconds, machine, others_percent, .. } = results;
    let plural = if *rounds == 1 { "" } else { "s" };
    writeln!(
        text,
        "{machine}. {rounds} round{plural} of {seconds} s for each figure. \
         Other programs had {others_percent:.0} % of the machine's time meanwhile."
    )?;
    if *others_percent > OTHERS_PERCENT_MAX {
        writeln!(text, "**{DISTURBED}**")?;
    }
    writeln!(text, "\n![The same as bars](bench.svg)")?;

    let throughput: Vec<Case> = cases.iter().copied().filter(|case| case.is_throughput()).collect();
    if !throughput.is_empty() {
        writeln!(text, "\n## Requests a second\n\nIn thousands; behind it, divided by the ceiling's.\n")?;
        table(&mut text, servers, &throughput, |server, case| throughput_cell(results, server, case))?;
        writeln!(text, "\n## Processor time of a request\n")?;
        writeln!(text, "Microseconds of the server: in user space + in the kernel, all rounds together.\n")?;
        table(&mut text, servers, &throughput, |server, case| {
            cell(
                results.processor_time(server, case).map(|(user, system)| format!("{user:.2} + {system:.2}")),
            )
        })?;
        let counted: Vec<Case> = throughput.iter().copied().filter(|case| case.counts_calls()).collect();
        if counted
            .iter()
            .any(|&case| servers.iter().any(|&server| results.calls(server, case) != Figure::None))
        {
            writeln!(text, "\n## System calls of a request\n\nUnder strace, in a run of their own.\n")?;
            table(&mut text, servers, &counted, |server, case| {
                cell(results.calls(server, case).map(|calls| format!("{calls:.2}")))
            })?;
        }
    }
    if cases.contains(&Case::Rate) || cases.contains(&Case::RateBesideBlocking) {
        write_latencies(&mut text, results, servers)?;
    }
    if cases.contains(&Case::Idle) {
        writeln!(text, "\n## Memory of an idle connection\n")?;
        writeln!(
            text,
            "{IDLE_CONNECTIONS} connections, each of which asked once: KiB of the server's memory (PSS), without the kernel's.\n"
        )?;
        table(&mut text, servers, &[Case::Idle], |server, _| {
            cell(results.idle_kib(server).map(|kib| format!("{kib:.2}")))
        })?;
    }
    write_failures(&mut text, results, servers, cases)?;
    Ok(text)
}

fn throughput_cell(results: &Results, server: Server, case: Case) -> String {
    let rate = cell(results.rate(server, case).map(|rate| format!("{:.1}", rate / 1000.0)));
    match results.ratio(server, case) {
        Figure::Is(ratio) if server != Server::Ceiling => format!("{rate} · **{ratio:.2}**"),
        _ => rate,
    }
}

fn write_latencies(text: &mut String, results: &Results, servers: &[Server]) -> Result<()> {
    writeln!(text, "\n## Latency at 20,000 requests a second\n")?;
    writeln!(
        text,
        "Microseconds from when a request was due, so that those that waited behind a slow one count. Beside handlers that block: 50 more \
         connections whose requests each sleep 20 ms in a plain handler.\n"
    )?;
    writeln!(text, "| | p50 | p99 | p99.9 |\n| --- | --: | --: | --: |")?;
    for &server in servers {
        for (case, note) in [(Case::Rate, ""), (Case::RateBesideBlocking, ", beside handlers that block")] {
            match results.latency(server, case) {
                Figure::None => {}
                Figure::Failed => writeln!(text, "| {server}{note} | failed | | |")?,
                Figure::Is([p50, p99, p999]) => {
                    writeln!(text, "| {server}{note} | {p50:.0} | {p99:.0} | {p999:.0} |")?;
                }
            }
        }
    }
    Ok(())
}

/// What failed, and why.
fn write_failures(text: &mut String, results: &Results, servers: &[Server], cases: &[Case]) -> Result<()> {
    let mut lines = String::new();
    for &server in servers {
        for &case in cases {
            if let Some(reason) = results.failure(server, case) {
                writeln!(lines, "- {server}, {case}: {reason}")?;
            }
        }
    }
    if !lines.is_empty() {
        write!(text, "\n## What failed\n\n{lines}")?;
    }
    let mut versions = Vec::new();
    for &server in servers {
        let version = server.version()?;
        if !version.is_empty() {
            versions.push(format!("{server} {version}"));
        }
    }
    if !versions.is_empty() {
        writeln!(text, "\nMeasured: {}.", versions.join("; "))?;
    }
    Ok(())
}

/// A row for each server, a column for each case.
fn table(
    text: &mut String,
    servers: &[Server],
    cases: &[Case],
    cell: impl Fn(Server, Case) -> String,
) -> Result<()> {
    let titles: Vec<_> = cases.iter().map(ToString::to_string).collect();
    writeln!(text, "| | {} |", titles.join(" | "))?;
    writeln!(text, "| --- |{}", " --: |".repeat(cases.len()))?;
    for &server in servers {
        let cells: Vec<_> = cases.iter().map(|&case| cell(server, case)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            writeln!(text, "| {server} | {} |", cells.join(" | "))?;
        }
    }
    Ok(())
}

fn cell(figure: Figure<String>) -> String {
    match figure {
        Figure::None => String::new(),
        Figure::Failed => "failed".to_owned(),
        Figure::Is(text) => text,
    }
}
