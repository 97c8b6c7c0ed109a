//! The program among clients that are too many, too slow, or there when it ends.

// Signals, and limits of descriptors.
#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Client, Ending, Process, becomes_true, status, value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No socket holds so much.
const BIG: usize = 16 << 20;

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.txt"), "the content of a\n").unwrap();
    std::fs::write(directory.path().join("middle.bin"), vec![b'm'; 1 << 20]).unwrap();
    std::fs::write(directory.path().join("big.bin"), vec![b'b'; BIG]).unwrap();
    directory
}

/// The program, behind some words of the shell.
fn serve(shell: &str, directory: &TempDir, options: &[&str]) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_httpling")]);
    command.args(["-b", "127.0.0.1", "-p", "HTTP/1.1", "0", "-d"]).arg(directory.path()).args(options);
    Process::start(&mut command)
}

const FILE: &str = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request and its answer, on a socket without a buffer of ours.
fn ask(stream: &mut TcpStream) {
    stream.write_all(FILE.as_bytes()).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"the content of a\n") {
        let count = stream.read(&mut piece).unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// What a process has in memory, in KiB, where the system tells.
fn memory_kib(id: u32) -> Option<usize> {
    // (The number in `status` is not exact.)
    let sums = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = sums.lines().find(|line| line.starts_with("Anonymous:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Octets of an idle connection: at most 300 of the engine's, which the compiler sees to; the rest is the file handler's, and what
/// the allocator needs for itself.
const EACH_MAX: usize = 448;

#[test]
fn ten_thousand_idle_connections_are_kept_and_cost_little() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)).unwrap();
    // This process has them, too, and some more.
    let count = limit.saturating_sub(200).min(10_000);
    let directory = directory();
    let process =
        serve("", &directory, &["--idle-timeout", "600", "--first-byte-timeout", "600", "--backlog", "4096"]);
    let mut first = process.client();
    assert_eq!(first.ask(FILE).status(), 200);
    let connect = || {
        let mut stream = TcpStream::connect(process.address).unwrap();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        ask(&mut stream);
        stream
    };
    // What is needed once, on each loop, is there with the first ones.
    let mut streams: Vec<TcpStream> = (0..count / 5).map(|_| connect()).collect();
    let before = memory_kib(process.id());
    let more = count - streams.len();
    streams.extend((0..more).map(|_| connect()));
    if let (Some(before), Some(after)) = (before, memory_kib(process.id())) {
        let each = after.saturating_sub(before) * 1024 / more.max(1);
        println!("{each} octets for each of {more} connections");
        assert!(each <= EACH_MAX, "{each} octets for each of {more} connections");
    }
    // All are still there, and others find place beside them.
    for stream in streams.iter_mut().rev().step_by(7) {
        ask(stream);
    }
    assert_eq!(process.client().ask(FILE).status(), 200);
    assert_eq!(first.ask(FILE).status(), 200);
    process.signal("TERM");
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "closed without a word");
    }
    assert_eq!(process.end().0.code(), Some(0));
}

/// Clients that ask and do not read.
mod deaf {
    use super::*;

    /// So short that it is not sent from its file.
    const ANSWER: usize = 16_000;
    /// All together they are more than the sockets hold, and not more than a connection may ask for.
    const ANSWERS: usize = 900;

    /// A server that keeps so much for them, and one thread for each need.
    pub(super) fn process(directory: &TempDir, bound: usize) -> Process {
        std::fs::write(directory.path().join("small.bin"), vec![b's'; ANSWER]).unwrap();
        let bound = bound.to_string();
        let options = ["--unsent-bytes-max", &bound, "--threads", "1", "--spare-threads-max", "1"];
        serve("", directory, &[&options[..], &["--metrics", "127.0.0.1:0"]].concat())
    }

    /// One that is being answered.
    pub(super) fn client(process: &Process) -> Client {
        let mut client = process.client();
        client.send("GET /small.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(ANSWERS));
        assert!(client.has_something_within(common::PATIENCE));
        client
    }

    /// Does it get all that it asked for, now that it reads?
    pub(super) fn is_served(client: &mut Client) -> bool {
        (0..ANSWERS).all(|_| client.try_reply().is_ok_and(|reply| reply.content.len() == ANSWER))
    }
}

/// What is kept of responses that are not taken has a bound in all, and who has taken nothing for longest is cut off. None of these
/// clients has a thread.
#[test]
fn responses_that_nobody_takes_share_a_bound() {
    const CLIENTS: usize = 24;
    const BOUND: usize = 400_000;
    let directory = directory();
    let process = deaf::process(&directory, BOUND);
    let mut clients = vec![deaf::client(&process)];
    // Its sockets are full before anybody else's begin to be.
    assert!(becomes_true(|| unsent_bytes(&process) > 0));
    clients.extend((1..CLIENTS).map(|_| deaf::client(&process)));
    assert!(process.stderr.wait_for(|line| line.contains("is cut off")).is_some());
    assert_eq!(process.client().ask(FILE).status(), 200);
    let held = unsent_bytes(&process);
    // What has just been added is over the bound until somebody is cut off for it.
    assert!((1..BOUND + 300_000).contains(&held), "{held} octets are held");
    let served: Vec<bool> = clients.iter_mut().map(deaf::is_served).collect();
    assert!(!served[0], "who came first has waited for longest");
    assert!(served.contains(&true), "no more than needed are cut off");
}

/// Also when it was looked at meanwhile, so that its deadline is later than that of who comes now.
#[test]
fn who_has_taken_nothing_for_longest_is_cut_off_first() {
    let directory = directory();
    // For one of them, and not for two.
    let process = deaf::process(&directory, 170_000);
    let first = deaf::client(&process);
    assert!(becomes_true(|| unsent_bytes(&process) > 0));
    std::thread::sleep(Duration::from_millis(1500)); // It is looked at after a second.
    let mut second = deaf::client(&process);
    assert!(becomes_true(|| first.stream().take_error().unwrap().is_some()));
    assert!(deaf::is_served(&mut second));
}

/// What the program says of itself.
fn unsent_bytes(process: &Process) -> usize {
    let said = process.stdout.wait_for(|line| line.starts_with("Metrics at http://")).unwrap();
    let address = said.trim_end().trim_start_matches("Metrics at http://").trim_end_matches("/metrics");
    let page = Client::connect(address.parse().unwrap()).get("/metrics").text();
    let line = page.lines().find_map(|line| line.strip_prefix("httpling_unsent_bytes ")).unwrap();
    line.parse().unwrap()
}

/// Whose request came in time is served, although its server comes to it late; and the request that begins then has all of its
/// time, and not what is left of an older deadline.
#[test]
fn a_server_that_was_stopped_does_not_blame_its_clients() {
    let directory = directory();
    let process = serve("", &directory, &["--idle-timeout", "0.5"]);
    let mut client = process.client();
    assert_eq!(client.ask(FILE).status(), 200);
    process.signal("STOP");
    std::thread::sleep(Duration::from_secs(1));
    let (begin, rest) = FILE.split_at(FILE.len() / 2);
    client.send(format!("{FILE}{begin}"));
    process.signal("CONT");
    assert_eq!(client.reply().status(), 200);
    client.send(rest);
    assert_eq!(client.reply().status(), 200);
}

/// Readers that take nothing have a descriptor for their connection and one for their file. Whoever comes meanwhile is served,
/// or told when to come again, or waits; and when they have gone, it is as if they had never been there.
#[test]
fn the_server_recovers_from_a_lack_of_descriptors() {
    let directory = directory();
    let mut process = serve("ulimit -n 120;", &directory, &[]);
    for _ in 0..2 {
        let greedy = Client::crowd(process.address, 200, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
        // The first ones are being served. (Which of them is first to have its file is for the loops to say.)
        let mut greedy = greedy.into_iter();
        let is_served = |client: &mut Client| status(&client.head()) == 200;
        let mut patient = greedy.find_map(|mut client| is_served(&mut client).then_some(client)).unwrap();
        let mut others: Vec<Client> = greedy.collect();
        let mut answers = [0; 2];
        others.retain_mut(|client| {
            // It may be in the kernel's queue.
            if !client.has_something_within(Duration::from_millis(1)) {
                return true;
            }
            let head = client.head();
            match status(&head) {
                200 => answers[0] += 1,
                503 => {
                    assert!(value(&head, "Retry-After").is_some(), "{head}");
                    answers[1] += 1;
                }
                _ => panic!("{head}"),
            }
            false
        });
        assert!(answers[0] > 0, "{answers:?}");
        drop(others);
        let mut rest = vec![0; BIG];
        let mut received = 0;
        while received < BIG {
            let count = patient.try_read(&mut rest[received..]).unwrap();
            assert_ne!(count, 0, "it is short");
            received += count;
        }
        assert!(rest.iter().all(|&octet| octet == b'b'));
        drop(patient);
        assert!(becomes_true(|| process.client().ask(FILE).status() == 200));
        for _ in 0..20 {
            assert_eq!(process.client().ask(FILE).status(), 200);
        }
    }
    assert!(process.is_running());
    process.signal("TERM");
    assert_eq!(process.end().0.code(), Some(0));
}

/// Files are asked for from all sides while it ends: each answer is whole, or has not begun.
#[test]
fn shutdown_under_load_truncates_no_file() {
    let directory = directory();
    for signal in ["TERM", "INT"] {
        let process = serve("", &directory, &["--drain-timeout", "60"]);
        let address = process.address;
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        while let Ok(mut client) = Client::try_connect(address) {
                            let request = "GET /middle.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                            if client.try_send(request).is_err() {
                                continue;
                            }
                            let (bytes, ending) = client.rest();
                            assert_ne!(ending, Ending::StillOpen);
                            if bytes.is_empty() {
                                continue;
                            }
                            let text = String::from_utf8(bytes).unwrap();
                            let (head, content) = text.split_once("\r\n\r\n").expect("a whole head");
                            assert_eq!((status(head), content.len()), (200, 1 << 20));
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            assert!(becomes_true(|| answered.load(Ordering::Relaxed) >= 40));
            process.signal(signal);
            for client in clients {
                client.join().unwrap();
            }
        });
        assert_eq!(process.end().0.code(), Some(0), "SIG{signal}");
    }
}

/// Somebody puts another version in its place all the time: each answer is of one version.
#[test]
fn a_file_that_is_replaced_is_never_torn() {
    const ANSWERS: usize = 300;
    let directory = directory();
    let path = directory.path().join("version.bin");
    // Each has a length and an octet of its own; every other one is so short that it is copied.
    let length = |octet: u8| usize::from(octet) * if octet.is_multiple_of(2) { 50 } else { 5000 };
    let version = |octet: u8| directory.path().join(format!("{octet}.bin"));
    for octet in b'a'..=b'z' {
        std::fs::write(version(octet), vec![octet; length(octet)]).unwrap();
    }
    let put = |octet: u8| {
        let next = directory.path().join("next.bin");
        std::fs::hard_link(version(octet), &next).unwrap();
        std::fs::rename(next, &path).unwrap();
    };
    // Not the one that comes next: a name is not moved to its own file.
    put(b'z');
    let process = serve("", &directory, &[]);
    let stops = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut octets = (b'a'..=b'z').cycle();
            let began = Instant::now();
            // A test that fails does not tell it to stop.
            while !stops.load(Ordering::Relaxed) && began.elapsed() < common::PATIENCE {
                put(octets.next().unwrap());
            }
        });
        let mut seen = HashSet::new();
        let mut client = process.client();
        let began = Instant::now();
        let mut answers = 0;
        // On a busy machine whoever replaces it may have no turn for a while.
        while answers < ANSWERS || (seen.len() < 2 && began.elapsed() < common::PATIENCE) {
            if answers > 0 && answers % ANSWERS == 0 {
                // A connection has only so many requests.
                client = process.client();
            }
            answers += 1;
            let reply = client.get("/version.bin");
            let octet = reply.content[0];
            let is_whole = reply.status() == 200 && reply.content == vec![octet; length(octet)];
            assert!(is_whole, "{} {} octets, the first is {octet}", reply.head, reply.content.len());
            seen.insert(octet);
        }
        stops.store(true, Ordering::Relaxed);
        assert!(seen.len() > 1, "it was replaced");
    });
}
