//! System calls that are made: how many does a request cost?
//!
//! Each case is run with few requests and with many: the difference is what the requests cost, without the beginning and the end.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::server::{PATIENCE, Server, read_answer};
use crate::strace;
use crate::tools::{self, cargo, target_folder, where_possible};

/// Something that clients do, and what it may cost.
struct Case {
    what: &'static str,
    ask: fn(SocketAddr, usize) -> Result<()>,
    /// How often at least, and at most: a connection has 1000 requests.
    times: [usize; 2],
    /// Calls each time, without waiting.
    most: f64,
    /// Of these, each time.
    each: &'static [(&'static str, f64)],
}

const CASES: [Case; 3] = [
    Case {
        what: "a request on a connection that is kept",
        ask: kept,
        times: [100, 900],
        most: 2.0,
        each: &[("recvfrom", 1.0), ("sendto", 1.0)],
    },
    Case {
        what: "16 requests in a row",
        ask: in_a_row,
        times: [10, 60],
        most: 2.0,
        each: &[("recvfrom", 1.0), ("sendto", 1.0)],
    },
    // Besides these: accept, and the read. The request is there by then, so that nobody need watch the socket: a client that was
    // held up before it asked costs two calls more.
    Case {
        what: "a request on a connection of its own",
        ask: single,
        times: [100, 500],
        most: 5.2,
        each: &[("sendto", 1.0), ("close", 1.0)],
    },
];

/// The loop waits once for each event, if they come one by one: it is no call of a request that comes with others.
const WAITS: &str = "epoll_pwait";
/// Of these calls only std makes any, which asks of each descriptor that it closes whether it is open, where it is built to be
/// debugged.
const DEBUGGING: &str = "fcntl";
/// The thread that watches the loops while they are awake, and what it is given when it goes to sleep: they are no request's.
const WATCH: &str = "\"httpling-watch\"";
const WAKING: &str = "futex";
/// Waits for each connection that closes: for it to come, and perhaps for its request; and now and then something else ends one.
const WAITS_MAX: f64 = 2.5;

/// What is rarer than that is not of the requests: a deadline that is looked at, or a loop that goes to another thread, because its
/// own was stopped for too long.
const SLACK: f64 = 0.1;

/// All cases, where strace may trace.
pub(crate) fn run() -> Result<()> {
    where_possible("system calls that are made", strace::need, all)
}

fn all() -> Result<()> {
    tools::run(cargo().args(["build", "--package", "httpling", "--example", "hello"]))?;
    let program = target_folder("debug").join("examples/hello");
    let folder = target_folder("calls");
    fs::create_dir_all(&folder)?;
    for Case { what, ask, times: [least, more], most, each } in CASES {
        let [few, many] = [least, more].map(|times| count(&program, &folder.join("strace.log"), ask, times));
        let (few, many) = (few.context(what)?, many.context(what)?);
        #[allow(clippy::cast_precision_loss)] // There are some thousands of them.
        let cost = |name: &String| {
            let count = |calls: &BTreeMap<String, usize>| calls.get(name).map_or(0.0, |count| *count as f64);
            (count(&many) - count(&few)) / (more - least) as f64
        };
        let costs = many.keys().map(|name| (name.as_str(), cost(name))).filter(|(_, cost)| *cost >= SLACK);
        let costs: BTreeMap<&str, f64> = costs.collect();
        let waits = costs.get(WAITS).copied().unwrap_or(0.0);
        let sum = costs.iter().filter(|(name, _)| **name != WAITS).map(|(_, cost)| cost).sum::<f64>();
        let parts: Vec<String> = costs.iter().map(|(name, cost)| format!("{cost:.2} {name}")).collect();
        println!("{what}: {sum:.2} calls, and {waits:.2} waits ({})", parts.join(", "));
        ensure!(sum <= most + SLACK, "{what} costs more than {most} calls");
        ensure!(waits <= WAITS_MAX, "{what} costs more than {WAITS_MAX} waits");
        for (name, most) in each {
            let cost = costs.get(name).copied().unwrap_or(0.0);
            ensure!((cost - most).abs() <= SLACK, "{what} costs {cost} calls of {name}, and not {most}");
        }
    }
    Ok(())
}

/// The calls of a server that is asked so often.
fn count(
    program: &Path,
    log: &Path,
    ask: fn(SocketAddr, usize) -> Result<()>,
    times: usize,
) -> Result<BTreeMap<String, usize>> {
    let mut command = strace::behind(log);
    // One loop, which is who waits, accepts and answers.
    command.arg(program).args(["0", "1"]);
    let mut server = Server::start(&mut command, Stdio::null(), Stdio::null())?;
    ask(server.address, times)?;
    server.kill()?;
    let text = strace::read(log, server.id())?;
    let thread = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let watch = text.lines().find(|line| line.contains(WATCH)).and_then(thread);
    let mut calls = BTreeMap::new();
    for line in text.lines().filter(|line| thread(line) != watch) {
        let call = line.split_whitespace().nth(2).and_then(|call| call.split_once('('));
        if let Some((name, _)) = call.filter(|(name, _)| ![DEBUGGING, WAKING].contains(name)) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(calls)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_nodelay(true)?;
    Ok(client)
}

/// Asks in one write, and reads as many answers.
fn ask(client: &mut BufReader<TcpStream>, request: &str, answers: usize) -> Result<()> {
    client.get_mut().write_all(request.repeat(answers).as_bytes())?;
    for _ in 0..answers {
        let answer = read_answer(client)?.context("no answer")?;
        ensure!((answer.status, &*answer.content) == (200, b"Hello there"), "{answer:?}");
    }
    Ok(())
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn kept(address: SocketAddr, times: usize) -> Result<()> {
    let mut client = BufReader::new(connect(address)?);
    (0..times).try_for_each(|_| ask(&mut client, REQUEST, 1))
}

fn in_a_row(address: SocketAddr, times: usize) -> Result<()> {
    let mut client = BufReader::new(connect(address)?);
    (0..times).try_for_each(|_| ask(&mut client, REQUEST, 16))
}

fn single(address: SocketAddr, times: usize) -> Result<()> {
    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for _ in 0..times {
        let mut client = BufReader::new(connect(address)?);
        ask(&mut client, REQUEST, 1)?;
        ensure!(client.read(&mut [0])? == 0, "it is not closed");
    }
    Ok(())
}
