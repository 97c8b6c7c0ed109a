//! Heads of requests: what is asked, how long it is, and what follows.

use anyhow::{Result, bail, ensure};
use httpling_core::{Config, Framing, RequestHead};

use super::{digits, judged};
use crate::mutation::{Random, mutate};

/// Mutated in between, and put together.
const MODELS: [&[u8]; 7] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x?y=1 HTTP/1.1\r\nHost: example.com:80\r\nContent-Length: 12\r\nAccept: */*\r\n\r\nhello world!",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /a%20b HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close, x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    b"GET http://h/p HTTP/1.1\r\nHost: h\r\nUser-Agent: x (y; z) \xff\xe9\r\nX-A: 1\r\nX-A:2\t\r\n\r\n",
    b"HEAD /../a HTTP/1.1\r\nhOST:  a \r\nCookie: a=b; c=d\r\nTE: trailers\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
];

/// What a mutation may bring in: lines, and parts of them, that say how long a message is, or where a line ends.
const LINES: [&[u8]; 18] = [
    b"Content-Length: 5\r\n",
    b"Content-Length : 5\r\n",
    b"content-length:+5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 0x5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Transfer-Encoding: , chunked,\r\n",
    b"Host: b\r\n",
    b"Host:\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"HTTP/1.0",
    b"HTTP/1.2",
];

const ROUNDS: usize = 100_000;

/// Where h11 refuses what the RFCs want to be taken: its words, and their rule.
const TAKEN_BY_RULE: [(&str, &str); 2] = [
    ("no request line received", "\"SHOULD ignore at least one empty line\" (RFC 9112 §2.2)"),
    ("Only Transfer-Encoding: chunked", "\"MUST parse and ignore\" empty members (RFC 9110 §5.6.1.2)"),
];

pub(super) fn judge_twice() -> Result<()> {
    let verdicts = judged("heads", ROUNDS, head, compare)?;
    // The mutations are such that both verdicts are met.
    let same = verdicts.get("taken by both, as the same").copied().unwrap_or_default();
    ensure!(same > ROUNDS / 20 && verdicts.len() > 10, "{verdicts:?}");
    Ok(())
}

/// The next one.
fn head(random: &mut Random) -> Vec<u8> {
    let model = |random: &mut Random| MODELS.get(random.below(MODELS.len())).copied().unwrap_or_default();
    let mut octets = model(random).to_vec();
    for _ in 0..random.below(4) {
        if random.below(2) == 0 {
            mutate(&mut octets, random);
            continue;
        }
        // Between two lines, or anywhere.
        let at = random.below(octets.len() + 1);
        let line_end =
            octets.iter().skip(at).position(|&octet| octet == b'\n').map_or(at, |behind| at + behind + 1);
        let at = if random.below(4) == 0 { at } else { line_end };
        let line = LINES.get(random.below(LINES.len())).copied().unwrap_or_default();
        octets.splice(at..at, line.iter().copied());
    }
    octets
}

/// What both say of it, in a few words.
///
/// # Errors
/// They see different requests.
fn compare(octets: &[u8], theirs: &str) -> Result<String> {
    let ours = match RequestHead::parse(octets, &Config::DEFAULT) {
        Ok(Some(head)) => Ok(describe(octets, &head)),
        Ok(None) => Err("goes on".to_owned()),
        Err(error) => Err(format!("refused: {error}")),
    };
    let by_rule = TAKEN_BY_RULE.iter().find(|(words, _)| theirs.contains(words));
    Ok(match (ours, by_rule) {
        (Ok(ours), _) if ours == theirs => "taken by both, as the same".to_owned(),
        (Ok(_), Some((_, rule))) => format!("taken by the core alone: {rule}"),
        (Err(ours), _) if ours == theirs => "goes on for both".to_owned(),
        // h11 looks at lines when the head is whole.
        (Err(ours), _) if ours.starts_with("refused") && !theirs.starts_with("refused") => {
            format!("the core alone: {ours}")
        }
        (Err(ours), _) if ours.starts_with("refused") => "refused by both".to_owned(),
        (Err(_), Some((_, rule))) => format!("going on for the core alone: {rule}"),
        (ours, _) => bail!("the core says {ours:?}"),
    })
}

/// As `judge.py` does.
fn describe(octets: &[u8], head: &RequestHead<'_>) -> String {
    let framing = match head.framing() {
        Framing::None => "0".to_owned(),
        Framing::Length(length) => length.to_string(),
        Framing::Chunked => "chunked".to_owned(),
    };
    let fields = head.headers().iter().map(|field| {
        let name = field.name.to_ascii_lowercase();
        let mut value = field.value.to_vec();
        // Codings have no case, and h11 takes it away.
        if name == b"transfer-encoding" {
            value.make_ascii_lowercase();
        }
        [&*name, b"=", &*value].concat()
    });
    let method = head.method().as_bytes().to_vec();
    let said = [method, head.raw_target().to_vec()].into_iter().chain(fields);
    let empty_lines = octets.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
    let mut text = format!("taken: {} {framing}", empty_lines + head.len());
    for part in said {
        text.push(' ');
        text.extend(digits(&part));
    }
    text
}
