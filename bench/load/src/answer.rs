//! Is what came back the answer that was expected?
//!
//! Every answer is looked at: status, length, and content. One that lies in the buffer as a whole and is the same as the
//! first one, but for the fields, needs only comparisons; any other is parsed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::connection::Question;

const BLANK_LINE: &[u8] = b"\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200";
/// A longer head is an error.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// So many octets of each piece of content are compared: enough to see that none is missing or twice.
const COMPARED: usize = 256;

/// What an answer must be.
#[derive(Debug)]
pub(crate) struct Expected {
    content: Vec<u8>,
    /// A whole answer, and where its content begins; empty before the first.
    sample: Vec<u8>,
    head_bytes: usize,
    /// Does the sample say that the connection closes?
    closes: bool,
}

impl Expected {
    /// Asks once, to see what this server's answers look like.
    pub(crate) fn learn(address: SocketAddr, question: &Question) -> Result<Self> {
        let (_, sample) = ask_once(address, question)?;
        let head_bytes = sample.len() - question.content().len();
        let (_, head) = parse(&sample)?.context("half a head")?;
        Ok(Self { content: question.content().to_vec(), sample, head_bytes, closes: head.closes })
    }

    /// Is this the sample again, with other values in its fields?
    fn is_whole(&self, answer: &[u8]) -> bool {
        let head_end = self.head_bytes - BLANK_LINE.len();
        answer.starts_with(OK) && answer[head_end..] == self.sample[head_end..]
    }
}

/// Asks on a connection of its own, and returns the answer with it.
pub(crate) fn ask_once(address: SocketAddr, question: &Question) -> Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut writer = stream.try_clone()?;
    // Beside the reading, for content that does not fit into the sockets' buffers.
    let once = question.once().to_vec();
    let writer = std::thread::spawn(move || writer.write_all(&once));
    let expected =
        Expected { content: question.content().to_vec(), sample: Vec::new(), head_bytes: 0, closes: false };
    let mut checker = Checker::default();
    let mut sample = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "closed before the end of the answer");
        sample.extend_from_slice(&buffer[..count]);
        let mut bytes = &buffer[..count];
        if checker.take(&expected, &mut bytes)?.is_some() {
            ensure!(bytes.is_empty(), "more than was asked for");
            break;
        }
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    Ok((stream, sample))
}

/// How the connection goes on after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Open,
    /// It said so.
    Closes,
}

/// Follows the answers on a connection.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// The beginning of a head whose end has not come.
    head: Vec<u8>,
    /// In the content: how it goes on afterwards, and how much of it came.
    content: Option<(After, usize)>,
}

impl Checker {
    /// Takes one answer from `bytes`, or all of them if they end before it does.
    ///
    /// # Errors
    /// It is not what was expected.
    pub(crate) fn take(&mut self, expected: &Expected, bytes: &mut &[u8]) -> Result<Option<After>> {
        if self.content.is_none()
            && self.head.is_empty()
            && !expected.sample.is_empty()
            && let Some((answer, rest)) = bytes.split_at_checked(expected.sample.len())
            && expected.is_whole(answer)
        {
            *bytes = rest;
            return Ok(Some(if expected.closes { After::Closes } else { After::Open }));
        }
        let (after, came) = match self.content.take() {
            Some(content) => content,
            None => match self.take_head(expected, bytes)? {
                Some(after) => (after, 0),
                None => return Ok(None),
            },
        };
        let left = &expected.content[came..];
        let (piece, rest) = bytes.split_at(left.len().min(bytes.len()));
        *bytes = rest;
        let compared = piece.len().min(COMPARED);
        ensure!(piece[..compared] == left[..compared], "wrong content");
        if piece.len() == left.len() {
            return Ok(Some(after));
        }
        self.content = Some((after, came + piece.len()));
        Ok(None)
    }

    fn take_head(&mut self, expected: &Expected, bytes: &mut &[u8]) -> Result<Option<After>> {
        let before = self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let Some((head_bytes, head)) = parse(&self.head)? else {
            ensure!(self.head.len() < HEAD_BYTES_MAX, "a head without end");
            *bytes = &[];
            return Ok(None);
        };
        *bytes = &bytes[head_bytes - before..];
        self.head.clear();
        ensure!(head.length == expected.content.len(), "content of {} octets", head.length);
        Ok(Some(if head.closes { After::Closes } else { After::Open }))
    }
}

/// What a head says.
struct Head {
    length: usize,
    closes: bool,
}

/// A head, if it is whole, and its length.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes)? else { return Ok(None) };
    if response.code != Some(200) {
        bail!("status {}", response.code.unwrap_or_default());
    }
    let value = |name: &str| {
        response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let length = value("Content-Length").context("no Content-Length")?;
    let length = std::str::from_utf8(length)?.parse()?;
    let closes = value("Connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    Ok(Some((head_bytes, Head { length, closes })))
}
