//! System calls that fail: what the program's clients see of it.
//!
//! The program runs under strace, which lets calls fail that would have worked. Whatever happens, a client gets a whole answer, or
//! sees that it has none; nobody waits for ever, the server goes on, does not spin, and ends when it is told to.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::server::{self, Answer, PATIENCE, Server, is_cut, read_answer};
use crate::strace;
use crate::tools::{target_folder, where_possible};

/// What a client may see of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing: the call is made again.
    Nothing,
    /// Some connections are cut.
    Cut,
    /// The same, or nothing: it ends only a connection that waits for more.
    PerhapsCut,
    /// Some answers are errors of the server's, or connections are cut.
    Error,
    /// Some answers are 503 with `Retry-After`.
    Unavailable,
}

/// A call that fails.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// The file that it is about, if only calls for that one fail.
    file: Option<&'static str>,
    seen: Seen,
}

impl Fault {
    /// Does something lack that a moment may bring, or was it only the network that failed, and the next client is there?
    fn is_lack(&self) -> bool {
        matches!(self.error, "EMFILE" | "ENFILE" | "ENOBUFS" | "ENOMEM")
    }
}

const fn fault(call: &'static str, error: &'static str, seen: Seen) -> Fault {
    Fault { call, error, file: None, seen }
}

const fn file_fault(call: &'static str, error: &'static str, file: &'static str, seen: Seen) -> Fault {
    Fault { call, error, file: Some(file), seen }
}

const FAULTS: [Fault; 31] = [
    fault("accept4", "EMFILE", Seen::Nothing),
    fault("accept4", "ENFILE", Seen::Nothing),
    fault("accept4", "ENOBUFS", Seen::Nothing),
    fault("accept4", "ENOMEM", Seen::Nothing),
    fault("accept4", "ECONNABORTED", Seen::Nothing),
    fault("accept4", "EPROTO", Seen::Nothing),
    fault("accept4", "ENETDOWN", Seen::Nothing),
    fault("accept4", "EHOSTUNREACH", Seen::Nothing),
    fault("accept4", "EHOSTDOWN", Seen::Nothing),
    fault("accept4", "ENONET", Seen::Nothing),
    fault("accept4", "EINTR", Seen::Nothing),
    fault("epoll_ctl", "ENOMEM", Seen::PerhapsCut),
    fault("epoll_ctl", "ENOSPC", Seen::PerhapsCut),
    fault("close", "EIO", Seen::Nothing),
    fault("epoll_pwait", "EINTR", Seen::Nothing),
    fault("recvfrom", "EINTR", Seen::Nothing),
    fault("recvfrom", "ECONNRESET", Seen::Cut),
    fault("recvfrom", "EIO", Seen::Cut),
    fault("sendto", "EINTR", Seen::Nothing),
    fault("sendto", "EPIPE", Seen::Cut),
    fault("sendto", "ENOBUFS", Seen::Cut),
    file_fault("sendfile", "EINTR", LARGE, Seen::Nothing),
    file_fault("sendfile", "EINVAL", LARGE, Seen::Nothing),
    file_fault("sendfile", "EIO", LARGE, Seen::Cut),
    file_fault("sendfile", "ENOSYS", LARGE, Seen::Nothing),
    file_fault("statx", "EIO", SMALL, Seen::Error),
    file_fault("pread64", "EINTR", SMALL, Seen::Nothing),
    file_fault("pread64", "EIO", SMALL, Seen::Error),
    file_fault("openat2", "ENOMEM", SMALL, Seen::Unavailable),
    file_fault("openat2", "EMFILE", SMALL, Seen::Unavailable),
    file_fault("openat2", "ENFILE", SMALL, Seen::Unavailable),
];

/// When it fails on a thread: a few times in a row, and every seventh time. (Not the first ones: what waits for
/// signals receives them from a socket of its own, once at the beginning, and ends when that fails.)
const SCHEDULES: [&str; 2] = ["5..8", "7+7"];

/// A file that is read, and one that is sent from its descriptor.
const SMALL: &str = "small.txt";
const LARGE: &str = "large.bin";

/// Connections that ask once, and connections that ask for both files this often.
const SINGLE: usize = 24;
const LASTING: usize = 6;
const ROUNDS: usize = 4;

/// Calls of a kind: more, and somebody makes them again and again.
const CALLS_MAX: usize = 1500;

/// All faults, where strace may trace.
pub(crate) fn run() -> Result<()> {
    where_possible("system calls that fail", strace::need, all)
}

fn all() -> Result<()> {
    let program = server::build()?;
    let folder = target_folder("faults");
    fs::create_dir_all(&folder)?;
    let contents = [(SMALL, content(1000)), (LARGE, content(1 << 20))];
    for (name, content) in &contents {
        fs::write(folder.join(name), content)?;
    }
    pauses(&program, &folder)?;
    for fault in FAULTS {
        for schedule in SCHEDULES {
            let what = format!("{} fails with {}, times {schedule}", fault.call, fault.error);
            let tally = Trial { fault, schedule, program: &program, folder: &folder, contents: &contents }
                .run()
                .with_context(|| what.clone())?;
            println!("{what}: {tally}");
        }
    }
    Ok(())
}

/// Nobody can be accepted: how often is it tried? After 50 ms, each time after twice as long, and never after more than a second.
fn pauses(program: &Path, folder: &Path) -> Result<()> {
    let fault = fault("accept4", "EMFILE", Seen::Nothing);
    let trial = Trial { fault, schedule: "1+", program, folder, contents: &[] };
    let log = folder.join("strace.log");
    let mut server = Server::start(&mut trial.command(&log)?, Stdio::null(), Stdio::null())?;
    let client = TcpStream::connect_timeout(&server.address, PATIENCE)?;
    thread::sleep(Duration::from_secs(4));
    server.end()?;
    drop(client);
    let text = strace::read(&log, server.id())?;
    let times: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("accept4("))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok())
        .collect();
    let gaps: Vec<f64> = times.iter().zip(times.iter().skip(1)).map(|(from, to)| to - from).collect();
    // The last one is the server's end.
    let (_, gaps) = gaps.split_last().context("it is tried once")?;
    println!("accept4 always fails: it is tried again after {gaps:.2?} s");
    let mut shortest = 0.05;
    for gap in gaps {
        // A tick of the clock is 10 ms at most.
        ensure!(*gap > shortest - 0.015, "after {gap} s already");
        shortest = (shortest * 2.0_f64).min(1.0);
    }
    // A busy machine may be late once, and not each time.
    let longest = gaps.iter().skip(5).copied().fold(f64::MAX, f64::min);
    ensure!(longest < 1.5, "it is not tried again after a second");
    Ok(())
}

/// No two neighbours are alike.
fn content(octets: usize) -> Vec<u8> {
    (b'a'..=b'w').cycle().take(octets).collect()
}

/// One run of the program, with one fault.
struct Trial<'a> {
    fault: Fault,
    schedule: &'a str,
    program: &'a Path,
    folder: &'a Path,
    contents: &'a [(&'static str, Vec<u8>)],
}

/// What clients saw.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    cut: usize,
    errors: usize,
    unavailable: usize,
    /// Calls that were made, and that failed.
    calls: usize,
    injected: usize,
}

impl Tally {
    /// Asks for files on one connection, until it ends.
    fn ask(&mut self, address: SocketAddr, files: &[(&str, &[u8])]) -> Result<()> {
        let mut client = TcpStream::connect_timeout(&address, PATIENCE)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(client.try_clone()?);
        for (at, (name, content)) in files.iter().enumerate() {
            let last = if at + 1 == files.len() { "Connection: close\r\n" } else { "" };
            let request = format!("GET /{name} HTTP/1.1\r\nHost: a\r\n{last}\r\n");
            let answer = client.write_all(request.as_bytes()).and_then(|()| read_answer(&mut reader));
            match answer {
                Ok(Some(Answer { status: 200, content: got, .. })) => {
                    ensure!(got == *content, "{name} has {} octets, and not its own", got.len());
                    self.whole += 1;
                }
                Ok(Some(Answer { status: 503, head, .. })) => {
                    ensure!(head.contains("\r\nRetry-After: "), "{head}");
                    self.unavailable += 1;
                    return Ok(());
                }
                Ok(Some(Answer { status, .. })) => {
                    ensure!(status >= 500, "{name} is answered with {status}");
                    self.errors += 1;
                    return Ok(());
                }
                Ok(None) => {
                    self.cut += 1;
                    return Ok(());
                }
                Err(error) if is_cut(&error) => {
                    self.cut += 1;
                    return Ok(());
                }
                Err(error) => bail!("{name}: {error}"),
            }
        }
        ensure!(reader.read(&mut [0]).unwrap_or(0) == 0, "something comes after the last answer");
        Ok(())
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { whole, cut, errors, unavailable, calls, injected } = self;
        write!(
            f,
            "{injected} of {calls} calls; {whole} answers, {cut} cut, {errors} errors, {unavailable} 503"
        )
    }
}

impl Trial<'_> {
    fn run(&self) -> Result<Tally> {
        let log = self.folder.join("strace.log");
        let said = self.folder.join("stderr.log");
        let mut server = Server::start(&mut self.command(&log)?, Stdio::null(), File::create(&said)?.into())?;
        let mut tally = Tally::default();
        let files: Vec<(&str, &[u8])> =
            self.contents.iter().map(|(name, content)| (*name, &**content)).collect();
        for file in files.iter().cycle().take(SINGLE) {
            tally.ask(server.address, &[*file])?;
        }
        for _ in 0..LASTING {
            tally.ask(server.address, &files.repeat(ROUNDS))?;
        }
        server.end()?;
        let text = strace::read(&log, server.id())?;
        tally.calls = strace::calls(&text, self.fault.call);
        tally.injected = text.lines().filter(|line| line.contains("(INJECTED)")).count();
        self.judge(&tally)?;
        if self.fault.call == "accept4" {
            let has_paused = fs::read_to_string(&said)?.contains("Cannot accept");
            ensure!(has_paused == self.fault.is_lack(), "it pauses: {has_paused}");
        }
        Ok(tally)
    }

    fn command(&self, log: &Path) -> Result<Command> {
        let Fault { call, error, file, .. } = self.fault;
        let mut command = strace::behind(log);
        if let Some(file) = file {
            command.arg("-P").arg(self.folder.join(file).canonicalize()?);
        }
        command.args(["-e", &format!("trace={call}"), "-e"]);
        command.arg(format!("inject={call}:error={error}:when={}", self.schedule));
        command.arg(self.program).args(["-b", "127.0.0.1", "-p", "HTTP/1.1", "--threads", "1"]);
        // Who is cut is cut at once: the end of another deadline could look like it.
        command.args(["--idle-timeout", "600", "0", "-d"]).arg(self.folder.canonicalize()?);
        Ok(command)
    }

    fn judge(&self, tally: &Tally) -> Result<()> {
        let Tally { whole, cut, errors, unavailable, calls, injected } = *tally;
        ensure!(injected > 0, "the fault did not happen: {tally}");
        ensure!(calls <= CALLS_MAX, "{calls} calls for so few requests: {tally}");
        let allowed = match self.fault.seen {
            Seen::Nothing => 0,
            Seen::Cut | Seen::PerhapsCut => cut,
            Seen::Error => cut + errors,
            Seen::Unavailable => unavailable,
        };
        ensure!(cut + errors + unavailable == allowed, "clients saw what they should not: {tally}");
        ensure!(whole >= SINGLE / 2, "few were answered: {tally}");
        let may_see_nothing = matches!(self.fault.seen, Seen::Nothing | Seen::PerhapsCut);
        ensure!(may_see_nothing || allowed > 0, "nobody has seen anything: {tally}");
        Ok(())
    }
}
