//! What the tests on real sockets share: a client that takes nothing on trust, servers and processes that do not outlive
//! their test, and bounds on everything that waits.

#![allow(dead_code)] // Each test program uses its part.

pub(crate) mod demo;
pub(crate) mod running;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take that ought to come at once. Only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A client: a socket, and every byte that it was sent.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// A response, as it was sent, but for the date: `Date: D`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) head: String,
    /// Without chunk framing.
    pub(crate) content: Vec<u8>,
}

/// How a connection ended, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server said that it has sent everything.
    Closed,
    /// The server took it back.
    Reset,
    /// It did not end in time.
    StillOpen,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server listens")
    }

    /// So many, one after the other, of whom each has sent this.
    pub(crate) fn crowd(address: SocketAddr, clients: usize, sent: impl AsRef<[u8]>) -> Vec<Self> {
        let ask = |_| {
            let mut client = Self::connect(address);
            client.send(&sent);
            client
        };
        (0..clients).map(ask).collect()
    }

    /// So many, one after the other, of whom each has asked for this, was answered, and is idle.
    pub(crate) fn idle_crowd(address: SocketAddr, clients: usize, target: &str) -> Vec<Self> {
        let ask = |_| {
            let mut client = Self::connect(address);
            assert_eq!(client.get(target).status(), 200);
            client
        };
        (0..clients).map(ask).collect()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream().write_all(bytes.as_ref())
    }

    /// A request in one write, and its response.
    pub(crate) fn ask(&mut self, request: &str) -> Reply {
        self.send(request);
        self.reply()
    }

    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    /// Half a close: nothing more is sent, everything is still read.
    pub(crate) fn end_sending(&self) {
        self.stream().shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// As many bytes as `expected` has, and those.
    pub(crate) fn expect(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.reader.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{error} before {expected:?}"));
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    /// Up to the empty line, and that.
    pub(crate) fn head(&mut self) -> String {
        self.try_head().expect("a head")
    }

    fn try_head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.reader.read_until(b'\n', &mut head)? == 0 {
                let text = format!("the end of the stream after {:?}", String::from_utf8_lossy(&head));
                return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
            }
        }
        Ok(undated(&head))
    }

    /// A response that tells where it ends.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("a response")
    }

    pub(crate) fn try_reply(&mut self) -> io::Result<Reply> {
        let head = self.try_head()?;
        let mut content = Vec::new();
        if let Some(length) = value(&head, "Content-Length") {
            content.resize(length.parse().expect("a length"), 0);
            self.reader.read_exact(&mut content)?;
        } else if value(&head, "Transfer-Encoding") == Some("chunked") {
            loop {
                let mut line = String::new();
                self.reader.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim_end(), 16)
                    .map_err(|_| io::Error::other(format!("no chunk size: {line:?}")))?;
                let mut chunk = vec![0; size + 2];
                self.reader.read_exact(&mut chunk)?;
                assert!(chunk.ends_with(b"\r\n"), "a chunk does not end");
                content.extend_from_slice(chunk.get(..size).unwrap_or_default());
                if size == 0 {
                    break;
                }
            }
        }
        Ok(Reply { head, content })
    }

    /// All that still comes, and how it ends.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Ending) {
        let mut bytes = Vec::new();
        let ending = match self.reader.read_to_end(&mut bytes) {
            Ok(_) => Ending::Closed,
            Err(error) if is_reset(&error) => Ending::Reset,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ending::StillOpen
            }
            Err(error) => panic!("{error}"),
        };
        (bytes, ending)
    }

    /// The server closes, properly, and says nothing more.
    pub(crate) fn expect_end(&mut self) {
        let (rest, ending) = self.rest();
        assert_eq!((String::from_utf8_lossy(&rest).as_ref(), ending), ("", Ending::Closed));
    }

    /// Some of what comes.
    ///
    /// # Errors
    /// How the connection failed.
    pub(crate) fn try_read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.reader.read(piece)
    }

    /// A response and the end of the connection.
    pub(crate) fn last_reply(&mut self) -> Reply {
        let reply = self.reply();
        self.expect_end();
        reply
    }

    /// Waits for a byte for so long; takes none.
    pub(crate) fn has_something_within(&mut self, patience: Duration) -> bool {
        self.stream().set_read_timeout(Some(patience)).expect("a time-out");
        let has = self.reader.fill_buf().is_ok();
        self.stream().set_read_timeout(Some(PATIENCE)).expect("a time-out");
        has
    }
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        status(&self.head)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

pub(crate) fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// A head's status code.
pub(crate) fn status(head: &str) -> u16 {
    let code = head.split(' ').nth(1).and_then(|code| code.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status line: {head:?}"))
}

/// A field's value, whatever the case of its name.
pub(crate) fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A head with `D` in place of its date, which must be one.
pub(crate) fn undated(head: &[u8]) -> String {
    let head = String::from_utf8(head.to_vec()).expect("the head is ASCII");
    let Some(date) = value(&head, "Date") else { return head };
    httpdate::parse_http_date(date).expect("a date");
    head.replacen(date, "D", 1)
}

/// A server on which nothing listens any more refuses, or takes the connection back.
pub(crate) fn is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionRefused || is_reset(&error),
    }
}

/// Asks again and again until it is true; false when it does not become true in time.
pub(crate) fn becomes_true(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Where handlers wait until the test lets them go on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    inside: usize,
    open: bool,
}

impl Gate {
    /// A handler goes in, and waits until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.lock();
        state.inside += 1;
        self.0.1.notify_all();
        drop(self.wait(state, |state| !state.open));
    }

    /// The test waits until so many handlers have gone in.
    pub(crate) fn wait_for(&self, handlers: usize) {
        let state = self.wait(self.lock(), |state| state.inside < handlers);
        assert!(state.inside >= handlers, "{} handlers of {handlers} came", state.inside);
    }

    pub(crate) fn open(&self) {
        self.lock().open = true;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, GateState>,
        condition: impl FnMut(&mut GateState) -> bool,
    ) -> MutexGuard<'a, GateState> {
        let (changed, _) =
            self.0.1.wait_timeout_while(state, PATIENCE, condition).unwrap_or_else(PoisonError::into_inner);
        changed
    }
}

/// A server in a process of its own. It is killed when its test ends, however that is.
pub(crate) struct Process {
    child: Child,
    /// Its stdin, whose end is a sign for those that watch it.
    stdin: Option<ChildStdin>,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    pub(crate) banner: String,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it, and waits for the line with its address.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_stderr(command, Stdio::piped())
    }

    pub(crate) fn start_with_stderr(command: &mut Command, stderr: Stdio) -> Self {
        Self::start_with(command, Stdio::piped(), stderr)
    }

    pub(crate) fn start_with(command: &mut Command, stdin: Stdio, stderr: Stdio) -> Self {
        let mut child =
            command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().expect("a pipe"));
        let stderr = child.stderr.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        let banner = stdout.wait_for(|line| line.contains("Serving HTTP on "));
        let Some(banner) = banner else {
            _ = child.kill();
            panic!("no banner, but {:?} and {:?}", stdout.all(), stderr.all());
        };
        let address = address_in(&banner);
        Self { child, stdin, stdout, stderr, banner, address }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// For `kill`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; all lines of its stdout and stderr.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let status = wait(&mut self.child).expect("the program does not end");
        (status, self.stdout.whole(), self.stderr.whole())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Waits for a process, not for ever.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    _ = child.kill();
    None
}

/// What a program says that is expected to end at once: its exit code, stdout and stderr.
pub(crate) fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = Lines::of(child.stdout.take().expect("a pipe"));
    let stderr = Lines::of(child.stderr.take().expect("a pipe"));
    let status = wait(&mut child);
    let text = |lines: &Lines| lines.whole().concat();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    let status = status.unwrap_or_else(|| panic!("it does not end: {stdout:?} {stderr:?}"));
    (status.code(), stdout, stderr)
}

/// Is the program there? Tests with programs of others are for those who have them.
pub(crate) fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

/// The address in `Serving HTTP on HOST port PORT (...) ...`; where it is that of all interfaces, the loopback's.
pub(crate) fn address_in(banner: &str) -> SocketAddr {
    let words: Vec<&str> = banner.split(' ').collect();
    let at = words.iter().position(|&word| word == "port").expect("a port in the banner");
    let (host, port) = (words[at - 1], words[at + 1]);
    let host = match host {
        "::" => "::1",
        "0.0.0.0" => "127.0.0.1",
        host => host,
    };
    SocketAddr::new(host.parse().expect("an address"), port.trim().parse().expect("a number"))
}

/// The lines of a stream, read as they come, so that nobody waits for us. Each ends with its line end.
#[derive(Clone)]
pub(crate) struct Lines(Arc<(Mutex<LinesState>, Condvar)>);

#[derive(Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let to = lines.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                to.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                to.0.1.notify_all();
                line.clear();
            }
            to.lock().ended = true;
            to.0.1.notify_all();
        });
        lines
    }

    /// The first line of which this holds.
    pub(crate) fn wait_for(&self, condition: impl Fn(&str) -> bool) -> Option<String> {
        let find = |lines: &[String]| lines.iter().find(|line| condition(line)).cloned();
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |state| !state.ended && find(&state.lines).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        find(&state.lines)
    }

    /// Those that came until now.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Those that came until the end of the stream.
    pub(crate) fn whole(&self) -> Vec<String> {
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, LinesState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log line's text behind `ADDR - - [DD/Mon/YYYY HH:MM:SS] `, whose form is checked (spec 93).
pub(crate) fn log_text(line: &str) -> &str {
    let (address, rest) = line.split_once(" - - [").unwrap_or_else(|| panic!("no log line: {line:?}"));
    assert!(address == "-" || address.parse::<std::net::IpAddr>().is_ok(), "{line:?}");
    let (time, text) = rest.split_once("] ").unwrap_or_else(|| panic!("no log line: {line:?}"));
    let form: String = time
        .chars()
        .map(|character| match character {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        })
        .collect();
    assert_eq!(form, "00/Aaa/0000 00:00:00", "{line:?}");
    text.trim_end_matches('\n')
}
