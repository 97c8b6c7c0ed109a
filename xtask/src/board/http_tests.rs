//! HTTP on the board, from outside: what the demo answers, who waits for whom, and what no client can bring about.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Machine;
use super::browser;
use super::client::{Answer, Client, persist, request};
use super::emulator::Emulator;
use super::firmware::{Build, Firmware};
use super::mutated_tests::mutated;
use super::panics;
use super::subject::{Host, Subject};
use super::waiting_tests as waiting;
use crate::tools::{self, CrossCompiler};

type Test = (&'static str, fn(&Subject) -> Result<()>);

/// For every board.
const TESTS: [Test; 22] = [
    ("curl is served", curl),
    ("the answers are those of the host, byte for byte", same_as_host),
    ("a hundred clients, one after the other", hundred_clients),
    ("four clients at once keep their connections", four_clients),
    ("requests in one piece are answered in order", pipelining),
    ("requests in many pieces are put together", pieces),
    ("a line or fields that do not fit are refused", too_long),
    ("lengths of 33 bits and more are not cut", long_lengths),
    ("a slow reader of /big keeps nobody waiting", waiting::slow_reader),
    ("a client that asks and does not read keeps nobody waiting", waiting::deaf),
    ("a dripping PUT keeps nobody waiting", waiting::dripping),
    ("content that does not come keeps others waiting for a moment only", waiting::stalled),
    ("content in drops keeps others waiting for a moment only", waiting::dropping),
    ("content in drops on all connections locks nobody out", waiting::all_dropping),
    ("content in drops from more clients than sockets locks nobody out", waiting::more_dropping),
    ("endless content, and answers that nobody reads, keep nobody waiting", waiting::endless),
    ("hundreds of silent clients a second lock nobody out", waiting::flood),
    ("a long upload goes on when others ask", waiting::upload),
    ("half-sent heads make room", waiting::half_sent),
    ("idle connections make room", waiting::idle),
    ("a browser's six connections are served beside four idle ones", waiting::browser_beside_idle),
    ("resets leave no trace", resets),
];

/// For a card that loses frames: each loss costs a second or more.
const LOSSY: [Test; 5] = [
    ("curl is served", curl),
    ("requests in one piece are answered in order", pipelining),
    ("half-sent heads make room", waiting::half_sent),
    ("idle connections make room", waiting::idle),
    ("a browser's six connections are served beside four idle ones", waiting::browser_beside_idle),
];

pub(crate) fn run(compiler: &CrossCompiler) -> Result<()> {
    let host = Host::start()?;
    let main = Build::new("demo", Machine::Lm3s6965evb);
    for build in [main, Build::new("demo", Machine::Mps2An385).late(), main.lossy()] {
        let firmware = Firmware::build(compiler, build)?;
        nothing_panics(&firmware)?;
        let emulator = Emulator::start(&firmware)?;
        let board = Subject { emulator, machine: build.machine, lossy: build.lossy, host: host.address };
        if build.late {
            board.run((
                "who came before the clock began again is not forgotten",
                waiting::clock_begins_again,
            ))?;
        }
        let tests: &[Test] = if build.lossy { &LOSSY } else { &TESTS };
        for test in tests {
            board.run(*test)?;
        }
        if build.machine == Machine::Lm3s6965evb && !build.lossy {
            board.run(("the page is read and clicked in a browser", in_browser))?;
            board.run(("ten thousand requests, mutated, bring nothing about", mutated))?;
        }
        board.run(("all is as it was", Subject::answers))?;
        ensure!(!board.emulator.log().contains("panic"), "the board panicked: {}", board.emulator.log());
    }
    Ok(())
}

/// The firmware has branches to functions that panic, in smoltcp, which does so for a socket that is not there. None of
/// them comes from the core, or from the handler.
fn nothing_panics(firmware: &Firmware) -> Result<()> {
    for site in panics::sites(&firmware.elf)? {
        for folder in ["/core/src/", "/embedded-example/demo/src/"] {
            ensure!(!site.is_from(folder), "a panic can come from {site:?}");
        }
    }
    Ok(())
}

impl Subject {
    fn run(&self, (name, test): Test) -> Result<()> {
        let started = Instant::now();
        let result = persist(self.lossy, || test(self));
        println!("{:?}: {name}: {:.2} s", self.machine, started.elapsed().as_secs_f32());
        result.with_context(|| format!("`{name}` failed; the board's log: {}", self.emulator.log()))
    }
}

/// What curl prints: the status, then the content.
fn curl_prints(board: &Subject, arguments: &[&str], path: &str) -> Result<String> {
    tools::need("curl", "curl")?;
    let url = format!("http://{}{path}", board.emulator.address());
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "%{http_code} "]);
    // What it could not get is a lost connection; what it got is judged by the caller.
    Ok(tools::output(command.args(arguments).arg(url)).map_err(io::Error::other)?)
}

fn curl(board: &Subject) -> Result<()> {
    let cases: [(&[&str], &str, &str); 11] = [
        (&[], "/hello_from_browser", "Hello there200"),
        (&["--output", "/dev/null"], "/", "200"),
        (&["--head", "--output", "/dev/null"], "/", "200"),
        (&["--request", "PUT", "--data", "on"], "/led", "204"),
        (&[], "/led", "on200"),
        (&["--request", "PUT", "--data", "off"], "/led", "204"),
        (&["--http1.0"], "/led", "off200"),
        (&["--data", "some content"], "/echo", "some content200"),
        (&["--data", "in chunks", "--header", "Transfer-Encoding: chunked"], "/echo", "in chunks200"),
        (&["--data", "if asked", "--header", "Expect: 100-continue"], "/echo", "if asked200"),
        (&["--output", "/dev/null"], "/big", "200"),
    ];
    for (arguments, path, expected) in cases {
        // Each loss is a second, and a mebibyte is a thousand segments.
        if board.lossy && path == "/big" {
            continue;
        }
        let printed = curl_prints(board, arguments, path)?;
        ensure!(printed.trim() == expected, "{arguments:?} {path}: {printed}");
    }
    Ok(())
}

/// Fields and figures that may differ.
fn comparable(answer: &Answer) -> Vec<u8> {
    let is_its_own = |line: &[u8]| {
        [&b"Date: "[..], b"Server: ", b"uptime_", b"requests_", b"free_"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let figures = answer.head().contains("version=0.0.4");
    let lines = answer.bytes.split_inclusive(|&byte| byte == b'\n');
    lines
        .filter(|line| !(is_its_own(line) || figures && line.starts_with(b"Content-Length: ")))
        .flatten()
        .copied()
        .collect()
}

fn same_as_host(board: &Subject) -> Result<()> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let requests = [
        // The lamps of both are in the same state from here on.
        request("PUT", "/led", "", b"off"),
        request("GET", "/", "", b""),
        request("HEAD", "/", "", b""),
        request("GET", "/?query", "", b""),
        request("GET", "http://board/led", "", b""),
        request("GET", "/hello_from_browser", "", b""),
        request("GET", "/metrics", "", b""),
        request("HEAD", "/big", "", b""),
        request("GET", "/big", "", b""),
        request("PUT", "/led", "", b"on"),
        request("GET", "/led", "", b""),
        request("PUT", "/led", "", b"off"),
        request("PUT", "/led", "", b"dim"),
        request("PUT", "/led", "", b"brighter"),
        request("PUT", "/led", chunked, b"").into_iter().chain(*b"2\r\non\r\n0\r\n\r\n").collect(),
        request("POST", "/echo", "", b"Hello"),
        request("POST", "/echo", chunked, b"").into_iter().chain(*b"5;a=b\r\nHello\r\n0\r\n\r\n").collect(),
        request("POST", "/echo", "", b""),
        request("POST", "/none", "", b""),
        request("GET", "/none", "", b""),
        request("GET", "/echo", "", b""),
        request("DELETE", "/", "", b""),
        request("OPTIONS", "/led", "", b""),
        request("OPTIONS", "*", "", b""),
        request("BREW", "/pot", "", b""),
        request("GET", "/", "Connection: close\r\n", b""),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
        b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nold".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/2.0\r\n\r\n".to_vec(),
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\nHost: a\n\n".to_vec(),
        b"PUT /led HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\non".to_vec(),
        b"PUT /led HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\non".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ];
    for bytes in requests {
        let [board, host] = [board.emulator.address(), board.host].map(|address| -> Result<Vec<u8>> {
            let mut client = Client::connect(address)?;
            client.send(&bytes)?;
            client.end()?;
            let bytes = client.until_end()?;
            Ok(comparable(&Answer::whole(bytes)))
        });
        let (board, host) = (board?, host?);
        ensure!(
            board == host && !board.is_empty(),
            "to {:?} the board answers {:?} and the host {:?}",
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&board[..board.len().min(2000)]),
            String::from_utf8_lossy(&host[..host.len().min(2000)])
        );
    }
    Ok(())
}

fn hundred_clients(board: &Subject) -> Result<()> {
    (0..100).try_for_each(|_| {
        let answer = board.ask("GET", "/hello_from_browser")?;
        ensure!(answer.content == b"Hello there", "{}", answer.head());
        Ok(())
    })
}

fn four_clients(board: &Subject) -> Result<()> {
    let clients: Vec<_> = (0..4)
        .map(|number| -> Result<_> {
            let mut client = board.connect()?;
            client.ask("GET", "/led")?;
            Ok(thread::spawn(move || -> Result<()> {
                for round in 0..200 {
                    let content = vec![b'a' + number; round % 50 + 1];
                    client.send(&request("POST", "/echo", "", &content))?;
                    ensure!(client.answer("POST")?.content == content, "not what this client sent");
                    ensure!(client.ask("GET", "/hello_from_browser")?.content == b"Hello there");
                }
                Ok(())
            }))
        })
        .collect::<Result<_>>()?;
    clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
}

fn pipelining(board: &Subject) -> Result<()> {
    let mut client = board.connect()?;
    let mut bytes = Vec::new();
    for number in 0..40 {
        bytes.extend(request("POST", "/echo", "", format!("number {number}").as_bytes()));
        bytes.extend(request("GET", "/hello_from_browser", "", b""));
    }
    let mut sender = client.try_clone()?;
    let sending = thread::spawn(move || sender.send(&bytes));
    for number in 0..40 {
        let echo = client.answer("POST")?.text();
        ensure!(echo == format!("number {number}"), "{number}: {echo}");
        ensure!(client.answer("GET")?.content == b"Hello there");
    }
    sending.join().unwrap_or_else(|_| bail!("the sender panicked"))
}

fn pieces(board: &Subject) -> Result<()> {
    let mut client = board.connect()?;
    let bytes = [request("PUT", "/led", "Accept: */*\r\n", b"on"), request("GET", "/led", "", b"")].concat();
    for piece in bytes.chunks(7) {
        client.send(piece)?;
        thread::sleep(Duration::from_millis(3));
    }
    ensure!(client.answer("PUT")?.status() == 204);
    ensure!(client.answer("GET")?.content == b"on");
    Ok(())
}

fn too_long(board: &Subject) -> Result<()> {
    // The limit is the buffer of the small board, and that of the core on the large one.
    let (accepted, refused) = match board.machine {
        Machine::Lm3s6965evb => (900, 1024),
        Machine::Mps2An385 => (65536, 65537),
    };
    let line = |length: usize| {
        let target = "a".repeat(length - "GET / HTTP/1.1".len());
        request("GET", &format!("/{target}"), "", b"")
    };
    for (bytes, status) in [
        (line(accepted), 404),
        (line(refused), 414),
        (request("GET", "/", &format!("X: {}\r\n", "x".repeat(40_000)), b""), 431),
        (request("GET", "/", &"X: x\r\n".repeat(101), b""), 431),
    ] {
        let mut client = board.connect()?;
        // A refusal may come before all is sent, and the rest may meet a closed door.
        let _ = client.send(&bytes);
        let answer = client.answer("GET")?;
        ensure!(answer.status() == status, "expected {status} for {} bytes: {}", bytes.len(), answer.head());
    }
    Ok(())
}

fn long_lengths(board: &Subject) -> Result<()> {
    let length = |method, target, length: &str, content: &str| {
        let mut bytes = request(method, target, &format!("Content-Length: {length}\r\n"), b"");
        bytes.extend_from_slice(content.as_bytes());
        bytes
    };
    let chunk = |size: &str| {
        let mut bytes = request("POST", "/echo", "Transfer-Encoding: chunked\r\n", b"");
        bytes.extend_from_slice(format!("{size}\r\non\r\n0\r\n\r\n").as_bytes());
        bytes
    };
    for (bytes, status) in [
        // Of each, 32 bits would be 2.
        (length("PUT", "/led", "4294967298", "on"), 413),
        (length("POST", "/echo", "4294967298", "on"), 413),
        (length("PUT", "/led", "18446744069414584322", "on"), 413),
        (length("PUT", "/led", "18446744073709551618", "on"), 400),
        (length("PUT", "/led", "2", "on"), 204),
        (chunk("100000002"), 413),
        (chunk("ffffffff00000002"), 413),
        (chunk("10000000000000002"), 400),
        (chunk("0000000000000002"), 200),
    ] {
        let mut client = board.connect()?;
        client.send(&bytes)?;
        let answer = client.answer("PUT")?;
        let sent = String::from_utf8_lossy(&bytes);
        ensure!(answer.status() == status, "expected {status} for {sent:?}: {}", answer.head());
    }
    Ok(())
}

fn resets(board: &Subject) -> Result<()> {
    for _ in 0..30 {
        let mut client = board.connect()?;
        client.send(&request("GET", "/big", "", b""))?;
        thread::sleep(Duration::from_millis(3));
        // What has come and was not read makes a reset of the end.
    }
    board.answers()
}

fn in_browser(board: &Subject) -> Result<()> {
    let picture = tools::root().join("docs/board.png");
    browser::click_led(board.emulator.address(), &picture, |expected| {
        let led = board.ask("GET", "/led")?.text();
        ensure!(led == expected, "the LED is {led}, not {expected}");
        Ok(())
    })
}
