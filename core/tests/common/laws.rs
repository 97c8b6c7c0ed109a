//! Laws: what holds for every input. The tests try them on inputs of their own, the fuzzer on those that it finds.

use super::judge::{self, Verdict};
use super::tape::{End, Tape};
use super::{Between, Outcome, Setting, advance, handle, is_same_log};
use httpling_core::{CloseReason, Config, Framing, HeadParser, RequestError, RequestHead};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Without `100 Continue`, which is sent only when content has not arrived, and so depends on pieces, as it may.
pub fn without_continue(written: &[u8]) -> Vec<u8> {
    let mut rest = written;
    let mut kept = Vec::new();
    while let Some(&octet) = rest.first() {
        if let Some(after) = rest.strip_prefix(CONTINUE) {
            rest = after;
        } else {
            kept.push(octet);
            rest = &rest[1..];
        }
    }
    kept
}

fn assert_same(one: &Outcome, other: &Outcome, way: &str) {
    let (mut one_written, mut other_written) =
        (without_continue(&one.written), without_continue(&other.written));
    // Of a response that breaks off, as much has left as had to.
    if let (Some(CloseReason::Broken(_)), Some(CloseReason::Broken(_))) = (one.reason, other.reason) {
        let both = one_written.len().min(other_written.len());
        one_written.truncate(both);
        other_written.truncate(both);
    }
    assert!(
        one_written == other_written,
        "{way}: out is\n{}\nand not\n{}",
        other_written.escape_ascii(),
        one_written.escape_ascii()
    );
    assert_eq!(one.reason, other.reason, "{way}");
    assert!(is_same_log(&one.log, &other.log), "{way}: {:?} and not {:?}", other.log, one.log);
}

/// However the input is split, and whoever drives the session, the same bytes leave, for the same reason it closes, and
/// the same is logged.
pub fn any_split_is_the_whole(input: &[u8], pieces: &[usize], setting: &Setting) {
    let whole = handle(&mut Tape::whole(input), setting);
    let in_pieces = || Tape::new(vec![input.to_vec()], pieces.to_vec());
    assert_same(&whole, &handle(&mut in_pieces(), setting), "handle in pieces");
    assert_same(&whole, &advance(&mut Tape::whole(input), setting, Between::Kept), "advance");
    assert_same(&whole, &advance(&mut in_pieces(), setting, Between::Kept), "advance in pieces");
    assert_same(&whole, &advance(&mut in_pieces(), setting, Between::Lent), "advance in pieces, lent");
    let mut narrow = in_pieces();
    narrow.room_step = Some(pieces.first().copied().unwrap_or(1));
    assert_same(&whole, &advance(&mut narrow, setting, Between::Lent), "advance with little room");
    let mut slow = in_pieces();
    slow.write_most = 1;
    assert_same(&whole, &handle(&mut slow, setting), "writes of one byte");
}

/// Requests in a pipeline get the bytes that they get one after the other.
pub fn a_pipeline_is_a_sequence(requests: &[&[u8]], setting: &Setting) {
    let pipeline = handle(&mut Tape::whole(&requests.concat()), setting);
    let turns = requests.iter().map(|request| request.to_vec()).collect();
    let sequence = handle(&mut Tape::new(turns, Vec::new()), setting);
    assert_same(&sequence, &pipeline, "in a pipeline");
}

/// It ends, whatever the bytes and the buffers; it reads what is there once, and nothing after the end.
pub fn it_ends(input: &[u8], setting: &Setting, end: End) {
    let mut tape = Tape::whole(input);
    tape.end = end;
    let outcome = handle(&mut tape, setting);
    assert!(outcome.reason.is_some());
    assert!(tape.reads <= input.len() + 1, "{} reads for {} bytes", tape.reads, input.len());
    assert_eq!(tape.reads_after_end, 0);
    let mut tape = Tape::new(vec![input.to_vec()], vec![1]);
    tape.end = end;
    advance(&mut tape, setting, Between::Lent);
    // A handler whose content was awaited meets the end itself, when the owner has told it.
    assert!(tape.reads_after_end <= 1);
}

/// Once bytes are refused, nothing that follows them changes the refusal.
pub fn refused_stays_refused(input: &[u8], suffix: &[u8], setting: &Setting) {
    let mut tape = Tape::whole(input);
    tape.end = End::Never;
    let before = advance(&mut tape, setting, Between::Kept);
    let Some(CloseReason::Refused(error)) = before.reason else { return };
    // These two tell that nothing more came.
    if matches!(error, RequestError::Incomplete | RequestError::TimedOut) {
        return;
    }
    let after = handle(&mut Tape::whole(&[input, suffix].concat()), setting);
    assert_same(&before, &after, "with something behind it");
}

/// Head and framing as the judge reads them.
pub fn heads_are_the_judges(bytes: &[u8], config: &Config<'_>) {
    let verdict = judge::head(bytes, config);
    let mut parser = HeadParser::new();
    match (parser.parse(bytes, config), &verdict) {
        (Ok(Some(head)), Verdict::Accepted(expected)) => assert_eq!(&read(bytes, &head), expected),
        (Ok(None), Verdict::Incomplete) | (Err(_), Verdict::Refused(_)) => {}
        // What is refused before its end has come is refused in whatever comes.
        (Err(error), Verdict::Incomplete) => {
            let more = judge::head(&[bytes, b"\r\n\r\n"].concat(), config);
            assert!(!matches!(more, Verdict::Accepted(_)), "{error:?} for {}", bytes.escape_ascii());
        }
        (ours, _) => panic!("{ours:?} but {verdict:?} for {}", bytes.escape_ascii()),
    }
}

fn read(bytes: &[u8], head: &RequestHead<'_>) -> judge::Head {
    let start = bytes.len() - bytes.strip_prefix(b"\r\n").unwrap_or(bytes).len();
    assert_eq!(head.raw_request_line(), &bytes[start..start + head.raw_request_line().len()]);
    judge::Head {
        length: head.len(),
        method: head.method().as_bytes().to_vec(),
        target: head.raw_target().to_vec(),
        http_11: head.version() == httpling_core::Version::Http11,
        fields: head.headers().iter().map(|line| (line.name.to_vec(), line.value.to_vec())).collect(),
        framing: match head.framing() {
            Framing::None => judge::Framing::None,
            Framing::Length(length) => judge::Framing::Length(length),
            Framing::Chunked => judge::Framing::Chunked,
        },
    }
}

/// Chunked content as the judge reads it: the same octets, or a refusal.
pub fn chunks_are_the_judges(chunks: &[u8]) {
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let outcome = handle(&mut Tape::whole(&[head, chunks].concat()), &Setting::default());
    let (replies, _) = judge::replies(&outcome.written, &["POST"]);
    let reply = replies.last().expect("there is an answer");
    match judge::chunks(chunks) {
        Some((content, _)) => {
            let input = chunks.escape_ascii();
            assert_eq!((reply.status, &reply.content), (200, &content), "{input}: {:?}", outcome.reason);
        }
        None => assert_ne!(reply.status, 200, "{}", chunks.escape_ascii()),
    }
}
