//! Is what came back the answer that was expected?
//!
//! Every answer is looked at: status, length, and content. One that lies in the buffer as a whole and is the same as the
//! first one, but for the time, needs only a comparison; any other is parsed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

use crate::connection::Question;

/// A longer head is an error.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// So many octets of each piece of content are compared: enough to see that none is missing or twice.
const COMPARED: usize = 256;

/// What an answer must be.
#[derive(Debug)]
pub(crate) struct Expected {
    content: Vec<u8>,
    /// A whole answer, and where in it the time is; empty before the first.
    sample: Vec<u8>,
    date: Range<usize>,
    /// Does the sample say that the connection closes?
    closes: bool,
}

impl Expected {
    /// Asks once, to see what this server's answers look like.
    pub(crate) fn learn(address: SocketAddr, question: &Question) -> Result<Self> {
        let (_, sample) = ask_once(address, question)?;
        let (_, head) = parse(&sample)?.context("half a head")?;
        let date = date_of(&sample);
        Ok(Self { content: question.content().to_vec(), sample, date, closes: head.closes })
    }

    /// Is this the sample again, perhaps at another time?
    fn is_sample(&self, answer: &[u8]) -> bool {
        let Range { start, end } = self.date;
        answer[..start] == self.sample[..start] && answer[end..] == self.sample[end..]
    }
}

/// Where the value of `Date` stands, if there is one.
fn date_of(answer: &[u8]) -> Range<usize> {
    const NAME: &[u8] = b"\r\ndate: ";
    let lowercase = answer.to_ascii_lowercase();
    let Some(field) = memmem::find(&lowercase, NAME) else { return 0..0 };
    let start = field + NAME.len();
    start..start + memmem::find(&answer[start..], b"\r\n").unwrap_or_default()
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
        Expected { content: question.content().to_vec(), sample: Vec::new(), date: 0..0, closes: false };
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
            && expected.is_sample(answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 5\r\n\r\nHello";

    fn expected() -> Expected {
        Expected { content: b"Hello".to_vec(), sample: ANSWER.to_vec(), date: date_of(ANSWER), closes: false }
    }

    /// What is made of these octets, in pieces of so many: one result for each whole answer.
    fn answers(bytes: &[u8], piece: usize) -> Result<Vec<After>> {
        let mut checker = Checker::default();
        let mut found = Vec::new();
        for mut bytes in bytes.chunks(piece) {
            while !bytes.is_empty() {
                found.extend(checker.take(&expected(), &mut bytes)?);
            }
        }
        Ok(found)
    }

    /// The same in one piece, and however it is cut.
    fn all_answers(bytes: &[u8]) -> Result<Vec<After>, String> {
        let whole = answers(bytes, bytes.len()).map_err(|error| error.to_string());
        for piece in 1..bytes.len() {
            assert_eq!(
                answers(bytes, piece).map_err(|error| error.to_string()).is_ok(),
                whole.is_ok(),
                "by {piece}"
            );
        }
        whole
    }

    fn changed(from: &str, to: &str) -> Vec<u8> {
        String::from_utf8(ANSWER.to_vec()).unwrap().replace(from, to).into_bytes()
    }

    #[test]
    fn each_answer_is_found_however_it_is_cut() {
        let bytes =
            [ANSWER, &changed("Date: 1", "Date: 2"), &changed("Date: 1", "Date: 12345"), ANSWER].concat();
        assert_eq!(all_answers(&bytes).unwrap(), [After::Open; 4]);
    }

    #[test]
    fn an_answer_that_closes_says_so() {
        let bytes = changed("Date: 1", "Connection: close");
        assert_eq!(all_answers(&bytes).unwrap(), [After::Closes]);
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        for (from, to) in [
            ("200 OK", "503 OK"),
            ("Length: 5", "Length: 4"),
            ("Length: 5", "Length: x"),
            ("Content-Length: 5\r\n", ""),
            ("Hello", "Hallo"),
            ("HTTP/1.1", "HTTX/1.1"),
        ] {
            // Also behind a right one.
            let bytes = [ANSWER, &changed(from, to)].concat();
            assert!(all_answers(&bytes).is_err(), "{to}");
        }
    }

    #[test]
    fn half_an_answer_is_none() {
        for end in 0..ANSWER.len() {
            assert_eq!(answers(&ANSWER[..end], ANSWER.len()).unwrap(), []);
        }
    }
}
