//! Each promise of the server, kept by a real server: one test for each, or the name of the test that does it already.
//!
//! | promise | test |
//! | --- | --- |
//! | request line | `server.rs` `a_request_line_may_have_65536_octets`; here with the option |
//! | field section | here |
//! | memory lent to unfinished heads | `large.rs` `unfinished_heads_share_a_bound` |
//! | memory lent to responses that are not taken | `abuse.rs` `responses_that_nobody_takes_share_a_bound` |
//! | empty lines before a request | here |
//! | chunk-size line, extensions, trailers | here |
//! | content | here; `server.rs` `large_content_goes_both_ways` where the handler allows more |
//! | unread content | `server.rs` `unread_content_is_dropped`; here by its time |
//! | head deadline | `endings.rs` `a_head_that_comes_too_slowly_is_refused`; here with the option |
//! | silent new connection | `endings.rs` `a_silent_connection_is_closed_without_a_word`; here with the option |
//! | idle connection | `endings.rs` `an_idle_connection_is_closed_without_a_word`; here with the option |
//! | content rate | `endings.rs` `content_that_does_not_come_is_refused`; here by its rate |
//! | write rate | `endings.rs` `a_client_that_does_not_read_is_cut_off`; here by its rate |
//! | handler time | `process.rs` `a_handler_that_takes_long_is_told_of`; `engine.rs` `a_handler_that_waits_holds_up_nobody` |
//! | requests per connection | here |
//! | connections | here: the soft limit is raised, and 64 are left; `process.rs` `connections_leave_descriptors_to_files` |
//! | at the limit | `places.rs` `the_longest_idle_connection_makes_place`, `an_idle_connection_of_another_loop_makes_place`, `without_idle_connections_accepting_waits`; here: no spinning, one log line a second |
//! | all handlers busy | `engine.rs` `a_full_queue_is_a_503` |
//! | accept errors | `cargo xtask faults`; `process.rs` `no_descriptors_is_no_end`, `who_is_idle_leaves_its_descriptor_to_others`, `who_is_idle_in_another_loop_leaves_its_descriptor_to_others` |
//! | no descriptor for a file | `no_descriptor.rs`; `cargo xtask faults` |
//! | refusals | `server.rs` `a_refusal_arrives_although_the_client_is_still_sending`, `a_refusal_arrives_although_the_client_never_stops_sending`; here: not for ever |
//! | half-close | `server.rs` `a_request_and_half_a_close_is_answered_whole`, `engine.rs` `half_a_close_is_no_reason_to_answer_half` |
//! | SIGTERM, SIGINT | `program.rs` `both_signals_end_it_with_exit_0`, `both_signals_let_a_running_transfer_finish`, `it_ends_when_its_patience_does`, `a_second_signal_ends_it_at_once`; `abuse.rs` under load |
//! | restart | `program.rs` `a_restart_on_the_same_port_works_at_once` |
//! | panic in a handler | `endings.rs` `a_panic_before_the_response_is_answered_with_500` and its neighbours |
//! | read error in the middle of content | `cargo xtask faults` |
//! | files | `files/`; `abuse.rs` `a_file_that_is_replaced_is_never_torn` |
//! | log | `process.rs` |
//! | idle | here; `engine.rs` `an_idle_server_sleeps` |
//! | backlog | `server.rs` `a_burst_of_clients_finds_room` |
//! | `TCP_NODELAY` | `server.rs` `no_response_waits_for_an_acknowledgement`; one write: `cargo xtask calls` |

// Signals, and the shell's limits.
#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, quiet};
use common::{Client, Ending, PATIENCE, Process, log_text, run};
use httpling::Limits;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program with HTTP/1.1, serving a file, with these options.
struct Program {
    process: Process,
    /// It is removed with the test.
    _directory: TempDir,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        Self::start_behind("", options)
    }

    /// Behind some words of the shell.
    fn start_behind(shell: &str, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.txt"), "the content of a\n").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_httpling")]);
        command.args(["-b", "127.0.0.1", "-p", "HTTP/1.1", "0", "-d"]).arg(directory.path()).args(options);
        Self { process: Process::start(command.env("PYTHON_COLORS", "0")), _directory: directory }
    }

    fn client(&self) -> Client {
        self.process.client()
    }
}

/// The table above: `file.rs`, and names of tests in it.
#[test]
fn the_table_names_tests_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let rows = include_str!("promises.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let mut seen = 0;
    for row in rows {
        let mut text = String::new();
        // What stands between two marks is every other part.
        for word in row.split('`').skip(1).step_by(2) {
            if word.strip_suffix(".rs").is_some() {
                text = std::fs::read_to_string(folder.join(word)).unwrap_or_else(|_| panic!("no {word}"));
            } else if word.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
                assert!(text.contains(&format!("fn {word}()")), "no {word}: {row}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "the tests are found");
}

const FILE: &str = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the program's options are by default.
#[test]
fn the_help_names_each_promise_with_its_default() {
    let (code, help, _) = run(Command::new(env!("CARGO_BIN_EXE_httpling")).arg("--help"));
    assert_eq!(code, Some(0));
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (option, default) in [
        ("--request-line-max", "65536"),
        ("--field-section-max", "32768"),
        ("--fields-max", "100"),
        ("--requests-max", "1000"),
        ("--first-byte-timeout", "10"),
        ("--head-timeout", "10"),
        ("--idle-timeout", "15"),
        ("--write-timeout", "30"),
        ("--bytes-per-second-min", "500"),
        ("--drain-timeout", "10"),
        ("--connections-max", "16384"),
        ("--descriptors-reserved", "8"),
        ("--backlog", "4096"),
        ("--spare-threads-max", "256"),
        ("--queue-max", "1024"),
        ("--lent-bytes-max", "67108864"),
        ("--unsent-bytes-max", "67108864"),
        ("--queue-timeout", "5"),
        ("--handler-time-logged", "10"),
    ] {
        let (_, after) = help.split_once(option).unwrap_or_else(|| panic!("no {option} in {help}"));
        let (_, after) = after.split_once("[default: ").unwrap();
        assert!(after.starts_with(&format!("{default}]")), "{option}: {after:.40}");
    }
}

#[test]
fn request_line() {
    let program = Program::start(&["--request-line-max", "40"]);
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 14));
    assert_eq!(program.client().ask(&line(40)).status(), 404);
    assert_eq!(program.client().ask(&line(41)).status(), 414);
}

#[test]
fn field_section() {
    /// The program's fields, and what it is asked with.
    fn ask(program: &Program, fields: &str) -> u16 {
        let mut client = program.client();
        client.ask(&format!("GET /a.txt HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).status()
    }
    let octets = |all: usize| format!("X: {}\r\n", "x".repeat(all - "Host: a\r\nX: \r\n".len()));
    let program = Program::start(&[]);
    assert_eq!(ask(&program, &octets(32 * 1024)), 200);
    assert_eq!(ask(&program, &octets(32 * 1024 + 1)), 431);
    assert_eq!(ask(&program, &"X: y\r\n".repeat(99)), 200);
    assert_eq!(ask(&program, &"X: y\r\n".repeat(100)), 431);
    let program = Program::start(&["--field-section-max", "100", "--fields-max", "3"]);
    assert_eq!(ask(&program, &octets(100)), 200);
    assert_eq!(ask(&program, &octets(101)), 431);
    assert_eq!(ask(&program, &"X: y\r\n".repeat(2)), 200);
    assert_eq!(ask(&program, &"X: y\r\n".repeat(3)), 431);
}

#[test]
fn empty_lines_before_a_request() {
    let program = Program::start(&[]);
    let mut client = program.client();
    for _ in 0..2 {
        assert_eq!(client.ask(&format!("\r\n{FILE}")).status(), 200);
    }
    assert_eq!(client.ask(&format!("\r\n\r\n{FILE}")).status(), 400);
    client.expect_end();
}

#[test]
fn chunks() {
    let (server, _) = Demo::serve(quiet());
    let ask = |chunks: &str| {
        let mut client = server.client();
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{chunks}"));
        client.reply().status()
    };
    // A line has as many octets as its number, its extensions, and not its end.
    let line = |octets: usize| format!("3;{}\r\nabc\r\n", "x".repeat(octets - 2));
    assert_eq!(ask(&format!("{}0\r\n\r\n", line(256))), 200);
    assert_eq!(ask(&format!("{}0\r\n\r\n", line(257))), 400);
    assert_eq!(ask("0000000000000003\r\nabc\r\n0\r\n\r\n"), 200);
    assert_eq!(ask("00000000000000003\r\nabc\r\n0\r\n\r\n"), 400);
    // All extensions of a content: 70 lines have more than 16 KiB of them, and 60 have less.
    assert_eq!(ask(&format!("{}0\r\n\r\n", line(250).repeat(60))), 200);
    assert_eq!(ask(&format!("{}0\r\n\r\n", line(250).repeat(70))), 400);
    let trailers = |lines: usize| format!("0\r\n{}\r\n", "X: y\r\n".repeat(lines));
    assert_eq!(ask(&trailers(100)), 200);
    assert_eq!(ask(&trailers(101)), 431);
    // Each line counts from its first octet on.
    let octets = |all: usize| {
        let (lines, frame) = ("X: y\r\n".repeat(50), "X: \r\n".len());
        format!("0\r\n{lines}X: {}\r\n\r\n", "x".repeat(all - lines.len() - frame))
    };
    assert_eq!(ask(&octets(32 * 1024)), 200);
    assert_eq!(ask(&octets(32 * 1024 + 1)), 431);
}

/// Before any of it is sent.
#[test]
fn content() {
    let (server, _) = Demo::serve(quiet());
    let head = |length: u64| format!("POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut client = server.client();
    client.send(head((1 << 20) + 1));
    assert_eq!(client.last_reply().status(), 413);
    let mut client = server.client();
    client.send(head(1 << 20));
    client.send("x".repeat(1 << 20));
    assert_eq!(client.reply().content.len(), 1 << 20);
    // Without a length it is seen when it has come.
    let mut client = server.client();
    client.send("POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("100000\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1 << 20)));
    assert_eq!(client.reply().status(), 413);
}

/// What the handler has left is waited for, and not for ever.
#[test]
fn unread_content() {
    let (server, _) = Demo::serve(quiet().discard_timeout(Duration::from_millis(100)));
    let mut client = server.client();
    client.send("POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    assert_eq!(client.reply().text(), "not read");
    assert_ne!(client.rest().1, Ending::StillOpen);
    // Content that is short is waited for before its handler is called, and this is not.
    let head = |length| format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    // With more patience, what comes later is dropped, and the connection goes on.
    let limits = Limits { drain_bytes_max: 20_000, ..Limits::DEFAULT };
    let (server, _) = Demo::serve(quiet().limits(limits).discard_timeout(6 * PATIENCE));
    let mut client = server.client();
    client.send(head(20_000));
    assert_eq!(client.reply().text(), "not read");
    client.send(format!("{}{GET}", "x".repeat(20_000)));
    assert_eq!(client.reply().text(), "Hello there");
    client.send(head(20_001));
    assert_eq!(client.reply().value("Connection"), Some("close"));
}

/// Who has been refused and neither closes nor stops is let go after a time, however little it sends.
#[test]
fn lingering() {
    let (server, _) = Demo::serve(quiet().discard_timeout(Duration::from_millis(100)));
    let mut client = server.client();
    client.send("wrong\r\n\r\n");
    assert_eq!(client.last_reply().status(), 400);
    let began = Instant::now();
    // The server has said its last word, and what comes for nobody is answered with a reset.
    while io::Write::write(&mut client.stream(), b"x").is_ok() {
        assert!(began.elapsed() < PATIENCE, "a client that was refused is listened to for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn deadlines() {
    const OPTIONS: [&str; 3] = ["--first-byte-timeout", "--head-timeout", "--idle-timeout"];
    for (short, sent, expected) in
        [(0, "", vec![]), (1, "GET / HTTP/1.1\r\nHo", vec![408]), (2, FILE, vec![200])]
    {
        // Only this one is short: another one that ran out would come too late.
        let seconds = |option| if option == short { "0.1" } else { "600" };
        let options: Vec<&str> = (0..3).flat_map(|option| [OPTIONS[option], seconds(option)]).collect();
        let program = Program::start(&options);
        let mut client = program.client();
        client.send(sent);
        let statuses: Vec<u16> = expected.iter().map(|_| client.reply().status()).collect();
        assert_eq!(statuses, expected, "{options:?}");
        client.expect_end();
    }
}

/// Content earns time, and what comes slowly earns less than it takes.
#[test]
fn content_rate() {
    let patience = Duration::from_millis(500);
    let (server, _) = Demo::serve(quiet().read_timeout(patience).bytes_per_second_min(500));
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = server.client();
    client.send(head.replace("Host: a", "Host: a\r\nExpect: 100-continue"));
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    client.send(format!("1388\r\n{}\r\n", "x".repeat(5000)));
    assert!(!client.has_something_within(3 * patience), "it has 10 s more");
    client.send("0\r\n\r\n");
    assert_eq!(client.reply().content.len(), 5000);

    // A handler waits for the first two, and the loop for the third one.
    for framing in ["Transfer-Encoding: chunked", "Content-Length: 1000000", "Content-Length: 10000"] {
        let mut client = server.client();
        client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        let began = Instant::now();
        while !client.has_something_within(Duration::from_millis(50)) {
            assert!(began.elapsed() < PATIENCE, "{framing}: a client that drips is served for ever");
            client.send("1\r\nx\r\n");
        }
        assert_eq!(client.reply().status(), 408, "{framing}");
    }
}

/// It takes something all the time, and not enough.
#[test]
fn write_rate() {
    let (server, _) =
        Demo::serve(quiet().write_timeout(Duration::from_secs(1)).bytes_per_second_min(u32::MAX));
    let mut client = server.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut received, mut piece) = (0, vec![0; 20_000]);
    // So slow that much of it is still to be sent after two seconds, whatever the sockets hold.
    let end = loop {
        assert!(received < 16_000_000, "it may crawl to the end");
        match client.try_read(&mut piece) {
            Ok(0) => panic!("it looks whole"),
            Ok(count) => received += count,
            Err(error) => break error,
        }
        std::thread::sleep(Duration::from_millis(10)); // The slowness is what is tested.
    };
    assert!(common::is_reset(&end), "{end}");
}

#[test]
fn requests_per_connection() {
    for (options, requests) in [(&[][..], 1000), (&["--requests-max", "2"], 2)] {
        let program = Program::start(options);
        let mut client = program.client();
        client.send(FILE.repeat(requests + 1));
        for _ in 1..requests {
            assert_eq!(client.reply().value("Connection"), None);
        }
        assert_eq!(client.last_reply().value("Connection"), Some("close"));
    }
}

/// The limit of descriptors that the shell gives is raised as far as it may be.
#[cfg(target_os = "linux")]
#[test]
fn connections() {
    let program = Program::start_behind("ulimit -Sn 80;", &[]);
    // More than 80 at a time.
    let mut clients = Client::crowd(program.process.address, 100, "");
    for client in &mut clients {
        assert_eq!(client.ask(FILE).status(), 200);
    }
    for client in &mut clients {
        assert_eq!(client.ask(FILE).status(), 200);
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

/// 64 descriptors are for other things than connections, wherever the limit is.
#[cfg(target_os = "linux")]
#[test]
fn connections_have_all_descriptors_but_64() {
    const MOST: usize = 100 - 64;
    let program = Program::start_behind("ulimit -n 100;", &["--head-timeout", "60"]);
    let mut busy = Client::crowd(program.process.address, MOST, "GET /a.txt HTTP/1.1\r\n");
    let mut waiting = program.client();
    waiting.send(FILE);
    let complaint = program.process.stderr.wait_for(|line| line.contains("Cannot accept"));
    let expected = "Cannot accept: as many connections as there may be, and none is idle";
    assert_eq!(complaint.as_deref().map(log_text), Some(expected));
    for client in &mut busy {
        client.send("Host: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.last_reply().status(), 200);
    }
    assert_eq!(waiting.reply().status(), 200);
}

/// The processor's time that a process has used.
#[cfg(target_os = "linux")]
fn processor_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Nobody makes place: others wait in the kernel, and the server sleeps.
#[cfg(target_os = "linux")]
#[test]
fn at_the_limit() {
    let program = Program::start(&["--connections-max", "2", "--head-timeout", "60"]);
    let mut busy = Client::crowd(program.process.address, 2, "GET /a.txt HTTP/1.1\r\n");
    let mut waiting = Client::crowd(program.process.address, 5, FILE);
    let (began, before) = (Instant::now(), processor_time(program.process.id()));
    assert!(!waiting[0].has_something_within(Duration::from_secs(2)));
    // A loop that spins uses all of it.
    let used = processor_time(program.process.id()).saturating_sub(before);
    assert!(used < Duration::from_millis(500), "{used:?}");
    let complaints =
        program.process.stderr.all().iter().filter(|line| line.contains("Cannot accept")).count();
    // One a second, of seconds that have begun.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!((1..=seconds).contains(&complaints), "{complaints} in {seconds} s");
    for client in &mut busy {
        client.send("Host: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.last_reply().status(), 200);
    }
    for client in &mut waiting {
        assert_eq!(client.reply().status(), 200);
    }
}

/// How often the threads of a process have gone to sleep.
#[cfg(target_os = "linux")]
fn sleeps(id: u32) -> u64 {
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    // One may end while we look.
    let texts = threads.flatten().flat_map(|thread| std::fs::read_to_string(thread.path().join("status")));
    texts.map(count).sum()
}

/// The whole program: what serves, what logs, what waits for signals, and the server of its own numbers.
#[cfg(target_os = "linux")]
#[test]
fn idle() {
    let program = Program::start(&["--metrics", "127.0.0.1:0"]);
    assert_eq!(program.client().ask(FILE).status(), 200);
    assert!(program.process.stderr.wait_for(|line| line.contains("a.txt")).is_some());
    // It comes to rest within a moment, and then nothing wakes it.
    let end = Instant::now() + 3 * PATIENCE;
    loop {
        let before = sleeps(program.process.id());
        std::thread::sleep(Duration::from_millis(1500));
        if sleeps(program.process.id()) == before {
            break;
        }
        assert!(Instant::now() < end, "it wakes again and again");
    }
    assert_eq!(program.client().ask(FILE).status(), 200);
}
