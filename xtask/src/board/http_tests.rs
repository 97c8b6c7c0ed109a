//! HTTP on the board, from outside: what the demo answers, who waits for whom, and what no client can bring about.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};

use super::Machine;
use super::browser;
use super::client::{Answer, Client, persist, request};
use super::emulator::Emulator;
use super::firmware::{Build, Firmware};
use super::panics;
use crate::tools::{self, CrossCompiler, cargo};

type Test = (&'static str, fn(&Subject) -> Result<()>);

/// What is tested: a board, and beside it the same handler on this machine.
struct Subject {
    emulator: Emulator,
    machine: Machine,
    lossy: bool,
    host: SocketAddr,
}

impl Subject {
    fn connect(&self) -> Result<Client> {
        Client::connect(self.emulator.address())
    }

    fn ask(&self, method: &str, target: &str) -> Result<Answer> {
        self.connect()?.ask(method, target)
    }

    /// A figure from `/metrics`.
    fn figure(&self, name: &str) -> Result<u64> {
        let text = self.ask("GET", "/metrics")?.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {name} in {text}"))?.parse()?)
    }

    /// `/` answers.
    fn answers(&self) -> Result<()> {
        let answer = self.ask("GET", "/")?;
        ensure!(answer.status() == 200, "{}", answer.head());
        Ok(())
    }

    /// `/` answers, and not only when another connection has used up its patience.
    fn answers_meanwhile(&self) -> Result<()> {
        let started = Instant::now();
        self.answers()?;
        ensure!(started.elapsed() < HALF_A_TURN, "the answer took {} ms", started.elapsed().as_millis());
        Ok(())
    }
}

/// A connection that waits in its turn may do so for twice as long. It takes milliseconds where nobody waits: the rest is for
/// machines that are busy otherwise.
const HALF_A_TURN: Duration = Duration::from_secs(5);

/// For every board.
const TESTS: [Test; 18] = [
    ("curl is served", curl),
    ("the answers are those of the host, byte for byte", same_as_host),
    ("a hundred clients, one after the other", hundred_clients),
    ("four clients at once keep their connections", four_clients),
    ("requests in one piece are answered in order", pipelining),
    ("requests in many pieces are put together", pieces),
    ("a line or fields that do not fit are refused", too_long),
    ("lengths of 33 bits and more are not cut", long_lengths),
    ("a slow reader of /big keeps nobody waiting", slow_reader),
    ("a client that asks and does not read keeps nobody waiting", deaf),
    ("a dripping PUT keeps nobody waiting", dripping),
    ("content that does not come keeps others waiting for a moment only", stalled),
    ("content in drops keeps others waiting for a moment only", dropping),
    ("content in drops on all connections locks nobody out", all_dropping),
    ("half-sent heads make room", half_sent),
    ("idle connections make room", idle),
    ("a browser's six connections are served beside four idle ones", browser_beside_idle),
    ("resets leave no trace", resets),
];

/// For a card that loses frames: each loss costs a second or more.
const LOSSY: [Test; 5] = [
    ("curl is served", curl),
    ("requests in one piece are answered in order", pipelining),
    ("half-sent heads make room", half_sent),
    ("idle connections make room", idle),
    ("a browser's six connections are served beside four idle ones", browser_beside_idle),
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
            board.run(("who came before the clock began again is not forgotten", clock_begins_again))?;
        }
        let tests: &[Test] = if build.lossy { &LOSSY } else { &TESTS };
        for test in tests {
            board.run(*test)?;
        }
        if build.machine == Machine::Lm3s6965evb && !build.lossy {
            board.run(("a request at the last moment is heard", last_moment))?;
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

/// The same handler on this machine.
struct Host {
    child: Child,
    address: SocketAddr,
}

impl Host {
    fn start() -> Result<Self> {
        tools::run(cargo().args(["build", "--quiet", "--package", "httpling", "--example", "demo"]))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| tools::root().join("target"), Into::into);
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(target.join("debug/examples/demo"))
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the demo on this machine")?;
        let host = Self { child, address };
        for _ in 0..200 {
            if Client::connect(address).is_ok() {
                return Ok(host);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the demo on this machine does not answer")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

fn slow_reader(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(&request("GET", "/big", "", b""))?;
    thread::sleep(Duration::from_millis(100));
    for _ in 0..20 {
        board.answers_meanwhile()?;
    }
    let answer = slow.answer("GET")?;
    ensure!(answer.content.len() == 1 << 20, "{} bytes", answer.content.len());
    let is_right = |(position, byte): (usize, &u8)| usize::from(*byte) == 32 + position % 64;
    ensure!(answer.content.iter().enumerate().all(is_right), "bytes are missing or twice there");
    Ok(())
}

fn deaf(board: &Subject) -> Result<()> {
    // More answers than there is room for on their way, which is some megabytes where nobody reads.
    const REQUESTS: usize = 20_000;
    let bytes = request("POST", "/echo", "", &[b'a'; 300]);
    let mut deaf = board.connect()?;
    let mut sender = deaf.try_clone()?;
    let sending = thread::spawn(move || (0..REQUESTS).try_for_each(|_| sender.send(&bytes)));
    let mut before = 0;
    // Until no more of them are answered.
    loop {
        board.answers_meanwhile()?;
        let answered = board.figure("requests_total")?;
        if answered == before + 2 {
            break;
        }
        before = answered;
        thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..20 {
        board.answers_meanwhile()?;
    }
    // What it was to hear has waited for it, as long as nobody else needed its socket.
    for _ in 0..REQUESTS {
        ensure!(deaf.answer("POST")?.status() == 200);
    }
    sending.join().unwrap_or_else(|_| bail!("the sender panicked"))
}

fn dripping(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(b"PUT /led HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\no")?;
    thread::sleep(Duration::from_millis(50));
    for _ in 0..10 {
        let started = Instant::now();
        board.answers_meanwhile()?;
        thread::sleep(Duration::from_millis(50).saturating_sub(started.elapsed()));
    }
    slow.send(b"n")?;
    ensure!(slow.answer("PUT")?.status() == 204);
    Ok(())
}

fn stalled(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHe")?;
    thread::sleep(Duration::from_millis(50));
    board.answers_meanwhile()?;
    board.answers_meanwhile()
}

fn dropping(board: &Subject) -> Result<()> {
    beside_drops(board, 1)
}

fn all_dropping(board: &Subject) -> Result<()> {
    beside_drops(board, 4)
}

/// Asks while clients send content to `/echo`, a chunk of one octet every few milliseconds, and begin again when they are cut off.
fn beside_drops(board: &Subject, clients: usize) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let drip = || -> Result<()> {
        let mut client = board.connect()?;
        client.send(&request("POST", "/echo", "Transfer-Encoding: chunked\r\n", b""))?;
        while !is_over.load(Ordering::Relaxed) {
            client.send(b"1\r\nx\r\n")?;
            thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // To be cut off is what it is there for.
                    let _ = drip();
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let answers = (0..5).try_for_each(|_| board.answers());
        is_over.store(true, Ordering::Relaxed);
        answers
    })
}

/// So many clients in the middle of a head.
fn half_heads(board: &Subject, count: usize) -> Result<Vec<Client>> {
    let half = |_| {
        let mut client = board.connect()?;
        client.send(b"GET / HTTP/1.1\r\nHo")?;
        Ok(client)
    };
    (0..count).map(half).collect()
}

/// Asks on a connection that has been idle for almost as long as it may be, while others have the turn until that time is over.
fn last_moment(board: &Subject) -> Result<()> {
    // On a busy machine a request can come too late indeed; where the board is wrong, each is lost.
    for _ in 0..3 {
        let mut clients = (0..4).map(|_| board.connect()).collect::<Result<Vec<_>>>()?;
        clients.iter_mut().try_for_each(|client| client.ask("GET", "/led").map(drop))?;
        thread::sleep(Duration::from_millis(14_500));
        let [client, others @ ..] = &mut *clients else { bail!("there are four") };
        for other in others {
            // Each takes half a second.
            other.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\na")?;
        }
        thread::sleep(Duration::from_millis(50));
        if client.ask("GET", "/led").is_ok_and(|answer| answer.status() == 200) {
            return Ok(());
        }
    }
    bail!("none of three was answered")
}

fn half_sent(board: &Subject) -> Result<()> {
    let mut result = Ok(());
    // As long as connections of the test before are about to end, who asks may be one too many to wait in the driver, and is sent
    // away to ask again, six seconds later. Where the board is wrong, each time.
    for _ in 0..3 {
        let half = half_heads(board, 6)?;
        // Each has a second; then the one that has had it longest goes.
        result = if board.lossy { board.answers() } else { board.answers_meanwhile() };
        if result.is_ok() {
            break;
        }
        drop(half);
        thread::sleep(Duration::from_secs(3));
    }
    result
}

/// The first test after the start.
fn clock_begins_again(board: &Subject) -> Result<()> {
    // Seconds, when 32 bits of milliseconds are over.
    const END: u64 = (1 << 32) / 1000;
    let left = END.saturating_sub(board.figure("uptime_seconds")?);
    thread::sleep(Duration::from_secs(left.saturating_sub(1)));
    let _half = half_heads(board, 4)?;
    thread::sleep(Duration::from_secs(3));
    // Each socket is taken, by somebody who came before.
    board.answers_meanwhile()?;
    let uptime = board.figure("uptime_seconds")?;
    ensure!(uptime > END, "{uptime} s are not seven weeks");
    Ok(())
}

fn idle(board: &Subject) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = board.connect()?;
        client.ask("GET", "/led")?;
        clients.push(client);
    }
    board.answers()?;
    if board.lossy {
        return Ok(());
    }
    // The youngest of them are still there.
    let youngest = clients.last_mut().context("there are ten")?;
    ensure!(youngest.ask("GET", "/led")?.status() == 200);
    Ok(())
}

fn browser_beside_idle(board: &Subject) -> Result<()> {
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut client = board.connect()?;
        client.ask("GET", "/led")?;
        idle.push(client);
    }
    thread::scope(|scope| {
        let asking = |_| {
            scope.spawn(|| -> Result<Client> {
                let mut client = board.connect()?;
                ensure!(client.ask("GET", "/")?.status() == 200);
                Ok(client)
            })
        };
        let six: Vec<_> = (0..6).map(asking).collect();
        six.into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")).map(drop))
    })
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

/// Requests with a few bytes changed, lost, doubled or moved: always the same ones, and twice.
fn mutated(board: &Subject) -> Result<()> {
    let models = [
        request("GET", "/", "Accept: */*\r\nConnection: keep-alive\r\n", b""),
        request("HEAD", "/hello_from_browser?a=b", "", b""),
        request("PUT", "/led", "", b"on"),
        request("POST", "/echo", "Expect: 100-continue\r\n", b"content"),
        b"POST /echo HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: x\r\n\r\n"
            .to_vec(),
        b"GET http://a/metrics HTTP/1.0\r\n\r\n".to_vec(),
    ];
    send_mutated(board, &models)?;
    let free = board.figure("free_stack_bytes")?;
    // What leaks, or goes deeper each time, needs more for the same again.
    send_mutated(board, &models)?;
    let left = board.figure("free_stack_bytes")?;
    ensure!(left + INTERRUPT_BYTES >= free, "{free} B of stack were free, and now {left}");
    Ok(())
}

/// An interrupt may have come at the deepest place in the second round alone: what the processor and the handler push.
const INTERRUPT_BYTES: u64 = 64;

fn send_mutated(board: &Subject, models: &[Vec<u8>]) -> Result<()> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let started = Instant::now();
    for round in 0..10_000 {
        let mut bytes = models[random.below(models.len())].clone();
        if random.below(4) == 0 {
            bytes.extend_from_slice(&models[random.below(models.len())]);
        }
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        let mut client = board.connect()?;
        client.send(&bytes)?;
        client.end()?;
        let answer = client.until_end()?;
        ensure!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 "),
            "round {round}: to {:?} the answer is {:?}",
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&answer)
        );
        ensure!(started.elapsed() < Duration::from_secs(300), "only {round} requests in five minutes");
    }
    Ok(())
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: &[u8] = b"\r\n\t :;,=\"0123456789abcfABCF\x00\x7f\x80\xff/%?[]*+-";
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let telling = TELLING[random.below(TELLING.len())];
    match random.below(6) {
        0 => bytes[at] = telling,
        1 => bytes.insert(at, telling),
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 1 << random.below(8),
        4 => {
            let end = bytes.len().min(at + random.below(20));
            let doubled = bytes[at..end].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => bytes.truncate(at),
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap_or_default() % limit.max(1)
    }
}
