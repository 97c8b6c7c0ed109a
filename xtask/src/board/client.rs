//! A client that looks at every byte of an answer, which curl does not.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

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
            0 => bail!("the connection ended after {:?}", String::from_utf8_lossy(&self.rest)),
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

/// A request's bytes. `fields` are lines with their ends.
pub(crate) fn request(method: &str, target: &str, fields: &str, content: &[u8]) -> Vec<u8> {
    let length =
        if content.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: board\r\n{fields}{length}\r\n").into_bytes();
    bytes.extend_from_slice(content);
    bytes
}
