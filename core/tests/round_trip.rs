//! What we send is read back by a parser that is not ours, and what we accept it accepts too.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod cases;
mod common;

use cases::cases;
use common::catalogue::{GOOD, LAST};
use common::tape::Tape;
use common::{Setting, judge};
use httpling_core::{
    CloseReason, Config, Request, RequestHandler, RequestHead, Response, SendError, Sent, Session, Status,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A response as a handler might write it, wisely or not.
#[derive(Clone, Debug)]
struct Script {
    code: u16,
    reason: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    pieces: Vec<Vec<u8>>,
    framing: Framing,
    flushes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Measured,
    Declared,
    Streamed,
    AtOnce,
    Produced,
}

impl RequestHandler for Script {
    fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let status = Status::new(self.code).expect("a final code");
        let mut head = match &self.reason {
            Some(reason) => response.send_response_with_reason(status, reason),
            None => response.send_response(status),
        };
        for (name, value) in &self.fields {
            head = head.send_header(name, value);
        }
        let content = self.pieces.concat();
        let mut body = match self.framing {
            Framing::AtOnce => return head.end_with(&content),
            Framing::Produced => return head.end_with_producer(content.len() as u64, 7),
            Framing::Measured => head.end_headers()?,
            Framing::Declared => head.content_length(content.len() as u64).end_headers()?,
            Framing::Streamed => head.streamed().end_headers()?,
        };
        for piece in &self.pieces {
            body.write_all(piece)?;
            if self.flushes {
                body.flush()?;
            }
        }
        body.finish()
    }

    fn produce(&mut self, key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        assert_eq!(key, 7);
        let position = usize::try_from(position).expect("short");
        out.copy_from_slice(&self.pieces.concat()[position..position + out.len()]);
        Ok(())
    }
}

impl Script {
    /// Is this a head that may be sent?
    fn is_right(&self) -> bool {
        let value = |octet: u8| octet == b'\t' || (octet >= b' ' && octet != 0x7f);
        let token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
        self.reason.as_ref().is_none_or(|reason| reason.bytes().all(value))
            && self.fields.iter().all(|(name, content)| {
                !name.is_empty() && name.bytes().all(token) && content.iter().all(|&octet| value(octet))
            })
    }
}

fn is_framing(name: &str) -> bool {
    ["Connection", "Content-Length", "Transfer-Encoding"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn script() -> impl Strategy<Value = Script> {
    let name = prop_oneof![
        8 => "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}",
        1 => select(vec!["X-A: b\r\nX-B", "X A", "", "X-A:", "X\0", "\u{e4}", "Transfer-Encoding", "X-A\n", " X"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        8 => "[ -~\t]{0,30}".prop_map(String::into_bytes),
        1 => select(vec!["a\r\nX: b", "a\nb", "a\rb", "a\0b", "\x7f", "\r\n\r\n<html>"])
            .prop_map(|value| value.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..10),
    ];
    let reason = prop::option::of(
        prop_oneof![4 => "[ -~]{0,20}", 1 => any::<String>(), 1 => Just("OK\r\nX: y".to_owned())],
    );
    let framing = select(vec![
        Framing::Measured,
        Framing::Declared,
        Framing::Streamed,
        Framing::AtOnce,
        Framing::Produced,
    ]);
    (
        // A 500 is the engine's own.
        (200u16..=999).prop_map(|code| if code == 500 { 501 } else { code }),
        reason,
        prop::collection::vec((name, value), 0..6),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..6),
        framing,
        any::<bool>(),
    )
        .prop_map(|(code, reason, fields, pieces, framing, flushes)| Script {
            code,
            reason,
            fields,
            pieces,
            framing,
            flushes,
        })
}

const ASKING: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
];

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn another_parser_reads_what_we_send(
        mut script in script(), asking in select(ASKING), output in prop_oneof![0usize..300, Just(1500)]
    ) {
        let method = common::catalogue::method(asking);
        let (mut input, mut buffer) = (vec![0; 128], vec![0; output]);
        let config = Config::DEFAULT;
        let mut tape = Tape::whole(asking.as_bytes());
        let reason = Session::new(&mut input, &mut buffer, &config).handle(&mut tape, &mut script);
        let Some((reply, rest)) = judge::reply(&tape.written, method) else {
            panic!("no whole head: {}", tape.written.escape_ascii())
        };
        prop_assert_eq!(rest, b"", "one response, and nothing behind it");
        let sent: Vec<_> = reply.fields.iter().filter(|(name, _)| !is_framing(name)).collect();

        let is_right = script.is_right() && !script.fields.iter().any(|(name, _)| is_framing(name));
        let content = script.pieces.concat();
        let forbidden = matches!(script.code, 204 | 205 | 304);
        let large = script.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let large = large + script.reason.as_ref().map_or(0, String::len) + 120 > output;
        if is_right && !forbidden && !large {
            prop_assert_eq!(reply.status, script.code);
            // (The other parser does not give out octets above ASCII here.)
            if let Some(reason) = script.reason.as_ref().filter(|reason| reason.is_ascii()) {
                prop_assert_eq!(&reply.reason, reason.as_str());
            }
        } else if !is_right {
            prop_assert_eq!(reply.status, 500);
        }
        if reply.status == script.code && sent.len() == script.fields.len() {
            for ((name, value), (sent_name, sent_value)) in script.fields.iter().zip(&sent) {
                let value = String::from_utf8_lossy(value).into_owned();
                prop_assert_eq!(name, sent_name);
                prop_assert_eq!(value.trim_matches([' ', '\t']), String::from_utf8_lossy(sent_value));
            }
            if method == "HEAD" || forbidden {
                prop_assert_eq!(&reply.content, b"");
            } else {
                prop_assert!(reply.whole);
                prop_assert_eq!(&reply.content, &content);
            }
        } else {
            // An error of ours: only fields of ours.
            prop_assert_eq!(reply.status, 500);
            for (name, _) in sent {
                prop_assert!(["Content-Type", "X-Content-Type-Options"].contains(&&**name), "{}", name);
            }
        }
        // The connection does what the head says.
        let goes_on = reason == CloseReason::EndOfStream;
        prop_assert_eq!(goes_on, !reply.closes(), "{:?}", reason);
        if goes_on && asking.contains("1.0") {
            prop_assert_eq!(reply.values("Connection"), [b"keep-alive"]);
            prop_assert!(reply.values("Transfer-Encoding").is_empty(), "chunks are for HTTP/1.1");
        }
    }

    /// What the strict parser accepts, a parser of others accepts, and reads in the same way.
    #[test]
    fn what_we_accept_others_accept(
        request in select([GOOD, LAST].concat()), at in any::<prop::sample::Index>(), octet in any::<u8>()
    ) {
        let mut bytes = request.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = octet;
        let Ok(Some(ours)) = RequestHead::parse(&bytes, &Config::DEFAULT) else { return Ok(()) };
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut theirs = httparse::Request::new(&mut headers);
        let parsed = match theirs.parse(&bytes) {
            // It knows two versions only.
            Err(httparse::Error::Version) => return Ok(()),
            parsed => parsed.expect("accepted"),
        };
        let skipped = bytes.len() - bytes.strip_prefix(b"\r\n").unwrap_or(&bytes).len();
        prop_assert_eq!(parsed, httparse::Status::Complete(ours.len() + skipped));
        prop_assert_eq!(theirs.method.unwrap().as_bytes(), ours.method().as_bytes());
        prop_assert_eq!(theirs.path.unwrap().as_bytes(), ours.raw_target());
        prop_assert_eq!(theirs.headers.len(), ours.headers().iter().count());
        for (theirs, ours) in theirs.headers.iter().zip(ours.headers()) {
            prop_assert_eq!(theirs.name.as_bytes(), ours.name);
            prop_assert_eq!(theirs.value, ours.value);
        }
    }
}

/// Every octet, in a name, in a value and in a reason, through the whole engine: no head has a line more for it.
#[test]
fn no_octet_ends_a_line() {
    for octet in 0..=u8::MAX {
        let text = String::from_utf8(vec![b'X', octet]).unwrap_or_else(|_| "X\u{e9}".to_owned());
        let plain = Script {
            code: 200,
            reason: None,
            fields: Vec::new(),
            pieces: vec![b"content".to_vec()],
            framing: Framing::AtOnce,
            flushes: false,
        };
        let scripts = [
            Script { fields: vec![(text.clone(), b"v".to_vec())], ..plain.clone() },
            Script { fields: vec![("X".to_owned(), vec![b'v', octet, b'v'])], ..plain.clone() },
            Script { reason: Some(text.clone()), ..plain.clone() },
        ];
        for mut script in scripts {
            let setting = Setting::default();
            let (mut input, mut output) = ([0; 128], [0; 1024]);
            let mut tape = Tape::whole(ASKING[0].as_bytes());
            Session::new(&mut input, &mut output, &setting.config).handle(&mut tape, &mut script);
            let end = tape
                .written
                .windows(9)
                .position(|window| window == b"<!DOCTYPE")
                .unwrap_or(tape.written.len());
            let head = &tape.written[..end];
            let lines = head.split(|&octet| octet == b'\n' || octet == b'\r').filter(|line| !line.is_empty());
            let lines = lines.filter(|line| **line != *b"content").count();
            // Status line, the field if there is one, Content-Length; or the four fields of an error page.
            let most = if tape.written.starts_with(b"HTTP/1.1 500") { 5 } else { 2 + script.fields.len() };
            assert_eq!(lines, most, "{octet}: {}", tape.written.escape_ascii());
        }
    }
}
