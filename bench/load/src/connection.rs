//! One connection, and what is asked on it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::answer::{After, Checker, Expected};

/// What is sent, and the content that must come back.
#[derive(Debug)]
pub(crate) struct Question {
    once: Vec<u8>,
    /// `once`, as often as it is sent at a time.
    batch: Vec<u8>,
    batch_count: usize,
    content: Vec<u8>,
    /// Does it ask that the connection is closed?
    closes: bool,
}

impl Question {
    pub(crate) fn get(path: &str, content: &[u8]) -> Self {
        Self::new(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes(), content.to_vec())
    }

    pub(crate) fn post(length: usize) -> Self {
        // Each place has its value, so that a piece in the wrong place is seen.
        let content: Vec<u8> = (0..length).map(|at| (at * 31 % 251).to_le_bytes()[0]).collect();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        );
        Self::new([head.as_bytes(), &content].concat(), content)
    }

    fn new(once: Vec<u8>, content: Vec<u8>) -> Self {
        Self { batch: once.clone(), once, batch_count: 1, content, closes: false }
    }

    /// So many at a time.
    pub(crate) fn pipelined(mut self, count: usize) -> Self {
        self.batch = self.once.repeat(count);
        self.batch_count = count;
        self
    }

    /// Asks that the connection is closed. (Of a GET: the field goes behind the last one.)
    pub(crate) fn closing(mut self) -> Self {
        self.once.truncate(self.once.len() - b"\r\n".len());
        self.once.extend_from_slice(b"Connection: close\r\n\r\n");
        self.closes = true;
        self.pipelined(1)
    }

    pub(crate) fn batch_count(&self) -> usize {
        self.batch_count
    }

    pub(crate) fn once(&self) -> &[u8] {
        &self.once
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }
}

/// What reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not all answers are there.
    Waiting,
    /// All are, and the connection may be used again.
    Answered,
    /// The server has closed, or said that it will. So many of the batch were answered.
    Closed { answered: usize },
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    checker: Checker,
    /// How much of the batch went out.
    sent: usize,
    /// How many of its requests were answered.
    answered: usize,
    after: After,
    /// Is something asked that is not answered?
    pub(crate) asked: bool,
    /// When the batch was due, or went out.
    pub(crate) since: Instant,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            checker: Checker::default(),
            sent: 0,
            answered: 0,
            after: After::Open,
            asked: false,
            since: Instant::now(),
        })
    }

    /// Sends the batch, or its beginning.
    pub(crate) fn ask(&mut self, question: &Question, since: Instant) -> io::Result<()> {
        self.sent = 0;
        self.answered = 0;
        self.asked = true;
        self.since = since;
        self.send_rest(question)
    }

    /// Sends of the batch what the socket takes.
    pub(crate) fn send_rest(&mut self, question: &Question) -> io::Result<()> {
        while self.asked && self.sent < question.batch.len() {
            let rest = &question.batch[self.sent..];
            match self.stream.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what came. With `to_the_end`, until there is nothing more; otherwise until a read does not fill the buffer.
    pub(crate) fn receive(
        &mut self,
        question: &Question,
        expected: &Expected,
        buffer: &mut [u8],
        to_the_end: bool,
    ) -> Result<Progress> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(self.progress(question)),
                // What was pipelined behind the last answer is dropped.
                Err(error)
                    if self.after == After::Closes && error.kind() == io::ErrorKind::ConnectionReset =>
                {
                    0
                }
                Err(error) => return Err(error.into()),
            };
            if count == 0 {
                let as_asked = question.closes && self.answered == question.batch_count;
                ensure!(self.after == After::Closes || as_asked, "closed without a word");
                return Ok(Progress::Closed { answered: self.answered });
            }
            let mut bytes = &buffer[..count];
            while !bytes.is_empty() {
                if !self.asked || self.after == After::Closes || self.answered == question.batch_count {
                    bail!("more than was asked for");
                }
                if let Some(after) = self.checker.take(expected, &mut bytes)? {
                    self.answered += 1;
                    self.after = after;
                }
            }
            if count < buffer.len() && !to_the_end {
                return Ok(self.progress(question));
            }
        }
    }

    fn progress(&mut self, question: &Question) -> Progress {
        // Where the connection closes its end is awaited: only then is it over.
        if self.asked && self.answered == question.batch_count && self.after == After::Open {
            self.asked = false;
            Progress::Answered
        } else {
            Progress::Waiting
        }
    }
}
