//! A client that looks at every byte of an answer, which curl does not.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    /// What came behind the last answer.
    rest: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its bytes, as they came.
    pub(crate) bytes: Vec<u8>,
    /// How many of them are its head.
    head: usize,
    /// Its content, decoded.
    pub(crate) content: Vec<u8>,
}

impl Answer {
    /// All that came on a connection, its content not decoded.
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        Self { content: bytes[head..].to_vec(), head, bytes }
    }

    pub(crate) fn head(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.head]).into_owned()
    }

    pub(crate) fn status(&self) -> u16 {
        self.head().get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    fn field(&self, name: &str) -> Option<String> {
        let head = self.head();
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }
}

impl Client {
    /// Connects, with time-outs, so that a silent server is a failed test.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, rest: Vec::new() })
    }

    /// The same connection once more, to send from elsewhere.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, rest: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&mut self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Sends a request for `target` without content and waits for the answer.
    pub(crate) fn ask(&mut self, method: &str, target: &str) -> Result<Answer> {
        self.send(request(method, target, "", b"").as_slice())?;
        self.answer(method)
    }

    /// Waits for the answer to a request with this method.
    pub(crate) fn answer(&mut self, method: &str) -> Result<Answer> {
        let head = loop {
            match self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more()?,
            }
        };
        let mut answer = Answer { bytes: self.rest[..head].to_vec(), head, content: Vec::new() };
        let end = if method == "HEAD" || matches!(answer.status(), 100..=199 | 204 | 304) {
            head
        } else if answer.field("transfer-encoding").as_deref() == Some("chunked") {
            self.chunks(head, &mut answer.content)?
        } else {
            let length = answer.field("content-length").context("no length")?;
            let end = head + length.parse::<usize>()?;
            while self.rest.len() < end {
                self.more()?;
            }
            answer.content = self.rest[head..end].to_vec();
            end
        };
        answer.bytes = self.rest.drain(..end).collect();
        Ok(answer)
    }

    /// Decodes chunks, and says where they end.
    fn chunks(&mut self, mut at: usize, content: &mut Vec<u8>) -> Result<usize> {
        loop {
            let line = loop {
                match self.rest[at..].windows(2).position(|window| window == b"\r\n") {
                    Some(length) => break length,
                    None => self.more()?,
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.rest[at..at + line])?, 16)?;
            let start = at + line + 2;
            while self.rest.len() < start + size + 2 {
                self.more()?;
            }
            content.extend_from_slice(&self.rest[start..start + size]);
            ensure!(&self.rest[start + size..start + size + 2] == b"\r\n", "a chunk does not end");
            at = start + size + 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    fn more(&mut self) -> Result<()> {
        let mut bytes = [0; 8192];
        match self.stream.read(&mut bytes)? {
            0 => {
                let came = String::from_utf8_lossy(&self.rest);
                Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    format!("the connection ended after {came:?}"),
                ))?;
            }
            count => self.rest.extend_from_slice(&bytes[..count]),
        }
        Ok(())
    }

    /// Everything until the server closes, or resets.
    pub(crate) fn until_end(&mut self) -> Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.rest);
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error.into()),
            _ => Ok(bytes),
        }
    }
}

/// Asks until there is an answer, at most [`ATTEMPTS`] times, where connections may get lost. A client whose first bytes got
/// lost looks silent, and has to go when somebody else wants its socket; one that gets no bytes gives up. Each then asks
/// again. A wrong answer is an answer: it is not asked for twice.
pub(crate) fn persist(lossy: bool, mut ask: impl FnMut() -> Result<()>) -> Result<()> {
    let mut result = ask();
    for _ in 1..if lossy { ATTEMPTS } else { 1 } {
        match &result {
            Err(error) if is_lost(error) => result = ask(),
            _ => break,
        }
    }
    result
}

const ATTEMPTS: usize = 10;

/// Did the connection fail, and not what was said on it?
fn is_lost(error: &Error) -> bool {
    error.chain().any(<dyn std::error::Error>::is::<io::Error>)
}

/// A request's bytes. `fields` are lines with their ends.
pub(crate) fn request(method: &str, target: &str, fields: &str, content: &[u8]) -> Vec<u8> {
    let length =
        if content.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: board\r\n{fields}{length}\r\n").into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    /// How often `ask` is called when it fails so for the first three times.
    fn calls(lossy: bool, fail: impl Fn() -> Error) -> (usize, bool) {
        let mut calls = 0;
        let result = persist(lossy, || {
            calls += 1;
            if calls > 3 { Ok(()) } else { Err(fail()).context("asked") }
        });
        (calls, result.is_ok())
    }

    #[test]
    fn only_what_was_lost_is_asked_for_again() {
        let lost = || io::Error::from(ErrorKind::ConnectionReset).into();
        let wrong = || anyhow::anyhow!("200 was expected");
        assert_eq!(calls(true, lost), (4, true));
        assert_eq!(calls(false, lost), (1, false));
        assert_eq!(calls(true, wrong), (1, false));
    }

    #[test]
    fn it_ends() {
        let mut calls = 0;
        let result = persist(true, || {
            calls += 1;
            bail!(io::Error::from(ErrorKind::TimedOut))
        });
        assert_eq!((calls, result.is_err()), (ATTEMPTS, true));
    }
}
