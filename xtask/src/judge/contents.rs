//! Contents of requests, and what comes behind them: where does one request end, and the next one begin?

use anyhow::{Result, bail, ensure};
use embedded_io::ErrorKind;
use httpling_core::testing::ScriptedStream;
use httpling_core::{
    CloseReason, Config, Request, RequestHandler, Response, SendError, Sent, Session, status,
};

use super::{digits, judged};
use crate::mutation::{Random, mutate};

const ROUNDS: usize = 40_000;

/// Behind a chunk's size.
const EXTENSIONS: [&str; 7] = ["", "", "", ";a", ";a=b", ";a=\"b;c\"", "; a = \"\\\"\""];
/// Behind the last chunk.
const TRAILERS: [&str; 5] = ["", "", "A: b\r\n", "Content-Length: 3\r\n", "X:\r\nY: \u{e9}\r\n"];
/// What ends something for one reader and not for another.
const TELLING: [&[u8]; 12] = [
    b"\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"+",
    b"-",
    b"0x",
    b" ",
    b";",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
];

/// Where h11 refuses what the RFCs want to be taken.
struct Rule {
    /// In these octets,
    is_met: fn(&[u8]) -> bool,
    /// in these words,
    words: &'static str,
    /// against this rule.
    text: &'static str,
}

const EMPTY_LINE: &str = "\"SHOULD ignore at least one empty line\" (RFC 9112 §2.2)";

const TAKEN_BY_RULE: [Rule; 4] = [
    Rule {
        is_met: has_space_before_extension,
        words: "illegal chunk header",
        text: "\"chunk-ext = *( BWS \";\" BWS chunk-ext-name ...\" (RFC 9112 §7.1.1)",
    },
    Rule { is_met: has_empty_line, words: "no request line received", text: EMPTY_LINE },
    // The first half of one.
    Rule { is_met: |octets| octets.ends_with(b"\r"), words: "illegal request line", text: EMPTY_LINE },
    // It reads trailers as it reads fields.
    Rule {
        is_met: has_trailer,
        words: "Content-Length",
        text: "\"MAY selectively retain or discard the received trailer fields\" (RFC 9112 §7.1.2)",
    },
];

fn has_empty_line(octets: &[u8]) -> bool {
    octets.windows(4).any(|four| four == b"\r\n\r\n")
}

/// A line behind the last chunk that is not empty.
fn has_trailer(octets: &[u8]) -> bool {
    octets.windows(4).any(|four| matches!(four, [b'0', b'\r', b'\n', behind] if *behind != b'\r'))
}

fn has_space_before_extension(octets: &[u8]) -> bool {
    octets.split(|&octet| octet == b'\n').any(|line| {
        let size = line.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
        let space = line.iter().skip(size).take_while(|octet| matches!(octet, b' ' | b'\t')).count();
        size > 0 && space > 0 && line.get(size + space) == Some(&b';')
    })
}

pub(super) fn judge_twice() -> Result<()> {
    let verdicts = judged("contents", ROUNDS, stream, compare)?;
    // The mutations are such that there is something of everything.
    let same = verdicts.get("taken by both, as the same").copied().unwrap_or_default();
    ensure!(same > ROUNDS / 5 && verdicts.len() > 10, "{verdicts:?}");
    Ok(())
}

/// Some requests with content, and what makes their ends hard to find.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut unchanged = 0;
    for _ in 0..=random.below(3) {
        octets.extend_from_slice(b"POST / HTTP/1.1\r\nHost: a\r\n");
        // What is before the first content, heads are judged by.
        if unchanged == 0 {
            unchanged = octets.len();
        }
        if random.below(3) == 0 {
            let length = random.below(30);
            octets.extend(format!("Content-Length: {length}\r\n\r\n").bytes());
            octets.extend(data(random, length));
        } else {
            octets.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            chunks(&mut octets, random);
        }
    }
    let mut rest = octets.split_off(unchanged);
    for _ in 0..random.below(3) {
        if random.below(2) == 0 {
            mutate(&mut rest, random);
        } else {
            let at = random.below(rest.len() + 1);
            rest.splice(at..at, one_of(&TELLING, random).iter().copied());
        }
    }
    octets.append(&mut rest);
    octets
}

fn chunks(octets: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let length = 1 + random.below(20);
        let size = match random.below(8) {
            0 => format!("{length:X}"),
            1 => format!("{length:05x}"),
            _ => format!("{length:x}"),
        };
        octets.extend(size.bytes().chain(one_of(&EXTENSIONS, random).bytes()).chain(*b"\r\n"));
        octets.extend(data(random, length));
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b"0\r\n");
    octets.extend(one_of(&TRAILERS, random).bytes());
    octets.extend_from_slice(b"\r\n");
}

/// Octets that look like something else.
fn data(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| *one_of(b"0a;\r\n", random)).collect()
}

fn one_of<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    #[allow(clippy::indexing_slicing, reason = "positions are below lengths")]
    &all[random.below(all.len())]
}

/// What both say of it, in a few words.
///
/// # Errors
/// They see different requests, or the core sees others when the octets come in other pieces.
fn compare(octets: &[u8], theirs: &str) -> Result<String> {
    let ours = read(&[octets]);
    for length in [1, 7] {
        let pieces: Vec<&[u8]> = octets.chunks(length).collect();
        let in_pieces = read(&pieces);
        ensure!(in_pieces == ours, "the core says {ours:?}, and in pieces of {length}: {in_pieces:?}");
    }
    let (contents, end) = ours;
    let (their_contents, their_end) = split(theirs);
    let by_rule = TAKEN_BY_RULE.iter().find(|rule| their_end.contains(rule.words) && (rule.is_met)(octets));
    let is_refused = end.starts_with("refused");
    let are_both_refused = is_refused && their_end.starts_with("refused");
    Ok(if contents == their_contents && (end == their_end || are_both_refused) {
        if is_refused {
            "refused by both, after the same".to_owned()
        } else {
            "taken by both, as the same".to_owned()
        }
    } else if is_refused && their_contents.starts_with(&contents) {
        format!("the core alone: {end}")
    } else if let (Some(rule), true) = (by_rule, contents.starts_with(&their_contents)) {
        format!("taken by the core alone: {}", rule.text)
    } else {
        bail!("the core says {contents:?}, {end}")
    })
}

/// The contents, as digits, and how it ends.
fn split(said: &str) -> (Vec<String>, String) {
    let is_content = |word: &&str| *word == "-" || word.bytes().all(|octet| octet.is_ascii_hexdigit());
    let contents: Vec<String> = said.split(' ').take_while(is_content).map(str::to_owned).collect();
    let end = said.split(' ').skip(contents.len()).collect::<Vec<_>>().join(" ");
    (contents, end)
}

/// As `judge.py` does.
fn read(pieces: &[&[u8]]) -> (Vec<String>, String) {
    // Whoever sends nothing more has not ended.
    let mut stream = ScriptedStream::<4096>::new(pieces).ending_with(ErrorKind::ConnectionReset);
    let mut contents = Contents::default();
    let reason =
        Session::new(&mut [0; 4096], &mut [0; 512], &Config::DEFAULT).handle(&mut stream, &mut contents);
    let end = match reason {
        CloseReason::Refused(error) => format!("refused: {error}"),
        CloseReason::Finished | CloseReason::Announced => "is the last".to_owned(),
        CloseReason::Transport(ErrorKind::ConnectionReset) => "goes on".to_owned(),
        other => format!("{other:?}"),
    };
    (contents.whole, end)
}

/// Keeps the content of each request.
#[derive(Debug, Default)]
struct Contents {
    whole: Vec<String>,
}

impl RequestHandler for Contents {
    fn dispatch(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let mut buffer = [0; 1024];
        let content = request.read_to_end(&mut buffer)?;
        let digits: String = digits(content).collect();
        self.whole.push(if digits.is_empty() { "-".to_owned() } else { digits });
        response.send_response(status::NO_CONTENT).end()
    }
}
