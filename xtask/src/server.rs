//! The program, as a process of its own, and a client that takes nothing on trust.

use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::tools::{cargo, run, target_folder};

/// Nothing takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Builds the program, and says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "httpling", "--bin", "httpling"]))?;
    Ok(target_folder("debug").join("httpling"))
}

/// The program, until it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it, and waits for the line with its address.
    pub(crate) fn start(command: &mut Command, stdin: Stdio, stderr: Stdio) -> Result<Self> {
        let mut process = command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let stdout = process.stdout.take().context("a pipe")?;
        let mut server = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut banner = String::new();
        BufReader::new(stdout).read_line(&mut banner)?;
        let mut words = banner.split(' ').skip_while(|word| *word != "on").skip(1);
        let (host, _, port) = (words.next(), words.next(), words.next());
        let (host, port) = host.zip(port).with_context(|| format!("no banner, but {banner:?}"))?;
        server.address = SocketAddr::new(host.parse()?, port.parse()?);
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it, whatever it does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn end(&mut self) -> Result<()> {
        ensure!(self.process.try_wait()?.is_none(), "it has ended");
        run(Command::new("kill").args(["-s", "TERM", &self.process.id().to_string()]))?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        _ = self.kill();
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) status: u16,
    pub(crate) content: Vec<u8>,
}

/// Reads an answer; `None` when the connection ends before it does.
pub(crate) fn read_answer(reader: &mut impl BufRead) -> io::Result<Option<Answer>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    // Some write names of fields in lower case.
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().map(|(_, value)| value);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (Some(status), Some(length)) = (status, length.and_then(|length| length.parse().ok())) else {
        return Err(io::Error::other(head));
    };
    let mut content = vec![0; length];
    reader.read_exact(&mut content)?;
    Ok(Some(Answer { head, status, content }))
}

/// Is this the end of a connection, as a client sees it?
pub(crate) fn is_cut(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
