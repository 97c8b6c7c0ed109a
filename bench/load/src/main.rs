//! `load`: asks a server on this machine, checks every answer, and says how many came and how late.
//!
//! Prints lines of `name=value`. An answer counts when its status is 200, its length is right and its content is what was
//! expected; anything else is an error, and a run with errors has failed: `error=` says how.
//!
//! Why not wrk: where requests are pipelined it takes its two cores about half as many answers a second as this, and the servers
//! wait for it. And it measures from when a request was sent, not from when it was due.

mod answer;
mod connection;
mod drive;
mod report;

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use self::answer::Expected;
use self::connection::Question;
use self::drive::{Group, Pace, Share, Time};
use self::report::Report;

#[derive(Debug, Parser)]
#[command(about = "Asks a server and checks every answer")]
struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Each connection asks again as soon as it was answered.
    Closed {
        #[command(flatten)]
        common: Common,
        /// Requests that are sent at once, and answered before the next are sent.
        #[arg(long, default_value_t = 1)]
        pipeline: usize,
        /// POST so many octets and expect them back, instead of GET /.
        #[arg(long)]
        post: Option<usize>,
        /// A new connection for each request.
        #[arg(long)]
        reconnect: bool,
    },
    /// Requests fall due at a fixed rate, whether or not the server keeps up. Latency counts from when a request was due.
    Open {
        #[command(flatten)]
        common: Common,
        /// Requests a second.
        #[arg(long)]
        rate: f64,
        /// At the same time, ask for this path on connections of their own, again and again.
        #[arg(long, requires = "beside_connections")]
        beside: Option<String>,
        #[arg(long, requires = "beside")]
        beside_connections: Option<usize>,
    },
    /// Opens connections, asks once on each, and holds them until a line comes from stdin.
    Idle {
        address: SocketAddr,
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
}

#[derive(Debug, Args)]
struct Common {
    address: SocketAddr,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Threads, each with its share of the connections.
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// How long to measure.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// What is answered before is checked and counted, but not measured.
    #[arg(long, default_value_t = 0.2)]
    warm_up: f64,
}

fn main() -> Result<()> {
    match Arguments::parse().kind {
        Kind::Closed { common, pipeline, post, reconnect } => {
            let question = match post {
                Some(length) => Question::post(length),
                None => Question::get("/", b"Hello there"),
            };
            let question = if reconnect { question.closing() } else { question.pipelined(pipeline) };
            let pace = if reconnect { Pace::Reconnecting } else { Pace::Closed };
            run(&common, &[(question, pace, common.connections)])
        }
        Kind::Open { common, rate, beside, beside_connections } => {
            // Each thread keeps its own schedule.
            let interval = Duration::from_secs_f64(f64::from(common.threads) / rate);
            let mut groups =
                vec![(Question::get("/", b"Hello there"), Pace::Every(interval), common.connections)];
            if let (Some(path), Some(connections)) = (beside, beside_connections) {
                groups.push((Question::get(&path, b"Hello at last"), Pace::Closed, connections));
            }
            run(&common, &groups)
        }
        Kind::Idle { address, connections } => idle(address, connections),
    }
}

/// Asks by all groups in all threads, and prints the first group's report, and of the others how many answers came.
fn run(common: &Common, groups: &[(Question, Pace, usize)]) -> Result<()> {
    let expected: Vec<Expected> = groups
        .iter()
        .map(|(question, ..)| Expected::learn(common.address, question))
        .collect::<Result<_>>()
        .context("the first request was not answered as expected")?;
    let time = Time {
        warm_up: Duration::from_secs_f64(common.warm_up),
        measured: Duration::from_secs_f64(common.seconds),
    };
    let connected = Barrier::new(common.threads as usize);
    let mut report = Report::default();
    let mut beside = Report::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..common.threads)
            .map(|index| {
                let share = Share { index, of: common.threads };
                let groups: Vec<Group<'_>> = groups
                    .iter()
                    .zip(&expected)
                    .map(|(&(ref question, pace, connections), expected)| Group {
                        address: common.address,
                        question,
                        expected,
                        pace,
                        connections: part(connections, share),
                    })
                    .collect();
                let connected = &connected;
                scope.spawn(move || drive::run(&groups, time, connected, share))
            })
            .collect();
        for thread in threads {
            let reports = thread.join().unwrap_or_else(|_| vec![Report::failed("a thread panicked")]);
            let mut reports = reports.into_iter();
            report.add(reports.next().unwrap_or_default());
            reports.for_each(|other| beside.add(other));
        }
    });
    report.print(time.measured, "");
    if groups.len() > 1 {
        beside.print(time.measured, "beside.");
    }
    Ok(())
}

/// One thread's part of the connections.
fn part(whole: usize, share: Share) -> usize {
    let (index, of) = (share.index as usize, share.of as usize);
    whole / of + usize::from(index < whole % of)
}

fn idle(address: SocketAddr, count: usize) -> Result<()> {
    let question = Question::get("/", b"Hello there");
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let (stream, _) = answer::ask_once(address, &question)
            .with_context(|| format!("connection {} of {count}", number + 1))?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    println!("open={count}");
    io::stdin().lock().read_line(&mut String::new())?;
    let closed = streams.iter().filter(|stream| !is_silent(stream)).count();
    println!("errors={closed}");
    if closed > 0 {
        println!("error={closed} connections were closed");
    }
    Ok(())
}

/// Is the connection open, with nothing more to read?
fn is_silent(stream: &std::net::TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
