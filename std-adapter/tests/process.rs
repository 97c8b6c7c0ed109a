//! A server in a process of its own: its log, and its descriptors.

// The shell, and its limits.
#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::Demo;
use common::{Client, Ending, PATIENCE, Process, log_text};
use httpling::{HttpServer, Request, RequestHandler, Response, SendError, Sent, status};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Not a test: the server of the tests below, as a process with a log, limits and an end of its own. It ends when its stdin
/// does, so that it never outlives its test.
#[test]
#[ignore = "a part of other tests"]
fn server_process() {
    let Ok(kind) = std::env::var(CHILD) else { return };
    let short = Duration::from_millis(300);
    let builder = HttpServer::builder();
    let builder = match kind.as_str() {
        IMPATIENT => {
            builder.head_timeout(short).first_byte_timeout(2 * short).read_timeout(short).drain_timeout(short)
        }
        // Whoever makes place does it for others, and not because his time is over.
        GREEDY => builder.threads(2).head_timeout(6 * PATIENCE).idle_timeout(6 * PATIENCE),
        _ => builder.handler_time_logged(short),
    };
    let server = builder.bind("127.0.0.1:0").unwrap();
    println!("{}", server.banner());
    let handle = server.shutdown_handle();
    std::thread::spawn(move || {
        _ = io::stdin().read_to_end(&mut Vec::new());
        handle.shutdown();
    });
    if kind == GREEDY {
        server.serve_forever(|_| Greedy).unwrap();
    }
    server.serve_forever(|_| Demo::default()).unwrap();
}

const CHILD: &str = "HTTPLING_TEST_SERVER";
/// It waits for nothing but its end.
const IMPATIENT: &str = "impatient";
/// It waits, and tells of handlers that do.
const PATIENT: &str = "patient";

/// Its handler takes descriptors.
const GREEDY: &str = "greedy";

/// That server, of a kind, behind some words of the shell.
fn command(shell: &str, kind: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" --exact server_process --ignored --nocapture")]);
    command.arg(std::env::current_exe().unwrap()).env(CHILD, kind);
    // A panic's message is one write, and so never inside of a line of the log; its backtrace is many.
    command.env("RUST_BACKTRACE", "0");
    command
}

fn process(shell: &str) -> Process {
    Process::start(&mut command(shell, IMPATIENT))
}

#[test]
fn the_log_has_pythons_form() {
    let mut server = process("");
    let mut client = server.client();
    client.get("/");
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    client.ask("PUT /x HTTP/1.1\r\nHost: a\r\n\r\n");
    for broken in [
        "GET /\x1b[2J\"\\\u{85} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        &"x".repeat(70_000),
        "GET / HTTP/1.1\r\nHo",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /panic-late HTTP/1.1\r\nHost: a\r\n\r\n",
        "",
    ] {
        let mut client = server.client();
        // It may be refused before all of it is sent.
        _ = client.try_send(broken);
        // Its end, and so its lines.
        assert_ne!(client.rest().1, Ending::StillOpen, "{broken:?}");
    }
    server.close_stdin();
    let (status, _, lines) = server.end();
    assert!(status.success());
    // The panics' own messages stand between.
    let lines: Vec<&str> = lines.iter().filter(|line| line.contains(" - - [")).map(String::as_str).collect();
    assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [")), "{lines:#?}");
    let texts: Vec<&str> = lines.iter().map(|line| log_text(line)).collect();
    let expected = [
        r#""GET / HTTP/1.1" 200 -"#,
        r#""HEAD /stream HTTP/1.1" 200 -"#,
        "code 501, message Unsupported method",
        r#""PUT /x HTTP/1.1" 501 -"#,
        "code 400, message Bad request target",
        r#""GET /\x1b[2J\x22\x5c\xc2\x85 HTTP/1.1" 400 -"#,
        "code 400, message Bad request line",
        r#""GET  / HTTP/1.1" 400 -"#,
        "code 400, message Host missing",
        r#""GET / HTTP/1.1" 400 -"#,
        "code 414, message Request line too long",
        r#""" 414 -"#,
        "code 408, message Request timed out",
        r#""GET / HTTP/1.1" 408 -"#,
        "code 408, message Request timed out",
        r#""POST / HTTP/1.1" 408 -"#,
        "code 500, message Handler panicked",
        r#""GET /panic HTTP/1.1" 500 -"#,
        "code 200, message Handler panicked",
        r#""GET /panic-late HTTP/1.1" 200 -"#,
    ];
    assert_eq!(texts, expected);
}

/// The shell closes it, or gives it to somebody who has gone.
#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    for shell in ["exec 2>&-;", "exec 2>/dev/full;"] {
        let mut server = process(shell);
        let mut client = server.client();
        for _ in 0..50 {
            assert_eq!(client.get("/").text(), "Hello there", "{shell}");
        }
        server.close_stdin();
        assert!(server.end().0.success(), "{shell}");
    }
}

/// Whoever has the other end of the pipe reads nothing: after 64 KiB the log is stuck, and the service is not.
#[test]
fn a_log_that_is_full_stops_nobody() {
    let (reader, writer) = io::pipe().unwrap();
    let mut server = Process::start_with_stderr(&mut command("", IMPATIENT), writer.into());
    // More lines than the pipe and the log's own queue hold.
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1000));
    for _ in 0..6 {
        let mut client = server.client();
        for _ in 0..9 {
            client.send(request.repeat(100));
            for _ in 0..100 {
                assert_eq!(client.reply().text(), "Hello there");
            }
        }
    }
    server.close_stdin();
    assert!(server.end().0.success());
    drop(reader);
}

#[test]
fn no_descriptors_is_no_end() {
    const LIMIT: usize = 128;
    let mut server = process(&format!("ulimit -n {LIMIT};"));
    assert_eq!(server.client().get("/").text(), "Hello there");
    for _ in 0..2 {
        // More than it can have, all silent.
        let crowd = Client::crowd(server.address, 2 * LIMIT, "");
        // One that speaks is served, for the silent ones are closed sooner or later.
        assert_eq!(server.client().get("/").text(), "Hello there");
        drop(crowd);
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    assert!(server.is_running());
    server.close_stdin();
    let (status, _, lines) = server.end();
    assert!(status.success());
    // It says so, and does not say it as fast as it can.
    let complaints = lines.iter().filter(|line| line.contains("Cannot accept")).count();
    assert!(complaints < 100, "{complaints} complaints");
}

/// The handler waits for its client, who waits for the line.
#[test]
fn a_handler_that_takes_long_is_told_of() {
    let mut server = Process::start(&mut command("", PATIENT));
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let line = server.stderr.wait_for(|line| line.contains("A handler")).unwrap();
    assert_eq!(log_text(&line), "A handler has been running for 300ms");
    // Nothing ends it.
    client.send("0\r\n\r\n");
    assert_eq!(client.reply().text(), "abc");
    let line = server.stderr.wait_for(|line| line.contains("Handler took")).unwrap();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert_eq!(client.get("/").text(), "Hello there");
    server.close_stdin();
    let (status, _, lines) = server.end();
    assert!(status.success());
    assert_eq!(lines.iter().filter(|line| line.contains("andler")).count(), 2, "{lines:#?}");
}

/// Also while the server has so much to do that whoever watches it never rests.
#[test]
fn a_handler_that_takes_long_is_told_of_on_a_busy_server() {
    let server = Process::start(&mut command("", PATIENT));
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let began = Instant::now();
                while !is_told.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
                    let mut busy = server.client();
                    for _ in 0..100 {
                        assert_eq!(busy.get("/").text(), "Hello there");
                    }
                }
            });
        }
        let line = server.stderr.wait_for(|line| line.contains("A handler has been running for 300ms"));
        is_told.store(true, Ordering::Relaxed);
        assert!(line.is_some());
    });
    client.send("0\r\n\r\n");
    assert_eq!(client.reply().text(), "abc");
}

/// What a process has had in memory at most, in KiB.
#[cfg(target_os = "linux")]
fn peak_kib(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A handler that reads it in pieces has it in pieces.
#[cfg(target_os = "linux")]
#[test]
fn uploads_take_no_memory_however_large_they_are() {
    const MIB: usize = 1 << 20;
    const MIBS: usize = 64;
    let server = Process::start(&mut command("", PATIENT));
    let piece = vec![b'x'; MIB];
    let upload = |mibs: usize, framing: &str| {
        let mut client = server.client();
        client.send(format!("POST /count HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        let is_chunked = framing.ends_with("chunked");
        for _ in 0..mibs {
            if is_chunked {
                client.send(format!("{MIB:x}\r\n"));
            }
            client.send(&piece);
            if is_chunked {
                client.send("\r\n");
            }
        }
        if is_chunked {
            client.send("0\r\n\r\n");
        }
        assert_eq!(client.reply().text(), (mibs * MIB).to_string());
    };
    // What is made once is made.
    upload(1, "Transfer-Encoding: chunked");
    let before = peak_kib(server.id());
    upload(MIBS, "Transfer-Encoding: chunked");
    upload(MIBS, &format!("Content-Length: {}", MIBS * MIB));
    let grown = peak_kib(server.id()) - before;
    assert!(grown < 4 * 1024, "{grown} KiB");
}

/// Colours and times count, too.
#[test]
fn a_line_of_the_log_has_4096_octets_at_most() {
    let mut server = process("");
    assert_eq!(server.client().get(&format!("/{}", "\"".repeat(10))).status(), 400);
    assert_eq!(server.client().get(&format!("/{}", "x".repeat(10_000))).status(), 200);
    server.close_stdin();
    let (_, _, lines) = server.end();
    assert_eq!(lines.iter().map(String::len).max(), Some(4096));
    assert!(lines.iter().all(|line| line.ends_with('\n')));
}

const LIMIT: usize = 128;

/// What [`Greedy`] has taken.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Takes descriptors, as handlers do that have files open.
struct Greedy;

impl RequestHandler for Greedy {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let files = || std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok);
        let mut taken = TAKEN.lock().unwrap();
        let count = match request.path() {
            b"/take" => {
                let most = LIMIT - 24;
                taken.extend(files().take_while(|file| usize::try_from(file.as_raw_fd()).unwrap() < most));
                taken.len()
            }
            b"/release" => {
                taken.clear();
                0
            }
            _ => files().take(LIMIT).collect::<Vec<_>>().len(),
        };
        response.send_response(status::OK).end_with(count.to_string().as_bytes())
    }
}

/// Who is connected is served with files, and others wait.
#[test]
fn connections_leave_descriptors_to_files() {
    let server = Process::start(&mut command(&format!("ulimit -n {LIMIT};"), GREEDY));
    let mut first = server.client();
    assert_ne!(first.get("/take").text(), "0");
    // None of them is idle: a request has begun on each.
    let begin = "GET /count HTTP/1.1\r\n";
    first.send(begin);
    let mut crowd = Client::crowd(server.address, 40, begin);
    let line = server.stderr.wait_for(|line| line.contains("Cannot accept")).unwrap();
    assert_eq!(log_text(&line), "Cannot accept: the last descriptors are for files");
    first.send("Host: a\r\n\r\nGET /release HTTP/1.1\r\nHost: a\r\n\r\n");
    let left: usize = first.reply().text().parse().unwrap();
    assert!(left >= 8, "{left}");
    assert_eq!(first.reply().text(), "0");
    for client in &mut crowd {
        client.send("Host: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.last_reply().status(), 200);
    }
}

/// Who is idle makes place where descriptors are few, long before its time is over.
#[test]
fn who_is_idle_leaves_its_descriptor_to_others() {
    let server = Process::start(&mut command(&format!("ulimit -n {LIMIT};"), GREEDY));
    let mut first = server.client();
    assert_ne!(first.get("/take").text(), "0");
    // It is not idle.
    first.send("GET /count HTTP/1.1\r\n");
    // More than there are descriptors for: the last ones are served in the places of others.
    let crowd = Client::idle_crowd(server.address, LIMIT / 4, "/count");
    let few = |line: &str| line.contains("Cannot accept: the last descriptors are for files");
    assert!(server.stderr.wait_for(few).is_some());
    first.send("Host: a\r\n\r\n");
    assert_eq!(first.reply().status(), 200);
    drop(crowd);
}

/// Also where the loop that lets clients in has none of them.
#[test]
fn who_is_idle_in_another_loop_leaves_its_descriptor_to_others() {
    let server = Process::start(&mut command(&format!("ulimit -n {LIMIT};"), GREEDY));
    let mut first = server.client();
    assert_ne!(first.get("/take").text(), "0");
    let begin = "GET /count HTTP/1.1\r\n";
    first.send(begin);
    let mut crowd = Vec::new();
    let is_few =
        || server.stderr.all().iter().any(|line| line.contains("the last descriptors are for files"));
    while !is_few() {
        assert!(crowd.len() < LIMIT, "there are enough descriptors");
        let mut client = server.client();
        assert_eq!(client.get("/count").status(), 200);
        // They settle here and there in turn, and who has settled where the first one is has something to do.
        if crowd.len() % 2 == 1 {
            client.send(begin);
        }
        crowd.push(client);
    }
    assert_eq!(server.client().get("/count").status(), 200);
}
