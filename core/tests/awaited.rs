//! Content that the buffer will hold: who drives sessions by readiness waits for it before its handler is called, which could
//! only wait.

// A test that panics has failed: that is what it is for.
#![allow(clippy::indexing_slicing, clippy::panic)]

use embedded_io::ErrorKind;
use httpling_core::{
    Config, Limits, Progress, Request, RequestHandler, Response, SendError, Sent, Session, Wire, status,
};

/// Has nothing to read, and takes everything.
struct Silent;

impl Wire for Silent {
    fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::TimedOut)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Ok(bytes.len())
    }

    fn room(&mut self) -> usize {
        usize::MAX
    }
}

#[derive(Default)]
struct Counts {
    calls: u32,
}

impl RequestHandler for Counts {
    fn do_post(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.calls += 1;
        response.send_response(status::OK).end_with(b"")
    }
}

/// The longest content that is waited for here, and room for it with its head.
const AWAITED: u32 = 100;
const INPUT: usize = 200;

/// Octet by octet: after how many of them was the handler called, and for how long was content awaited before?
fn called_after(request: &str, input: usize) -> (usize, usize) {
    let config = Config {
        awaited_content_bytes_max: AWAITED,
        limits: Limits { content_bytes_max: 1000, ..Limits::DEFAULT },
        ..Config::DEFAULT
    };
    let (mut input, mut output) = (vec![0; input], [0; 200]);
    let mut session = Session::new(&mut input, &mut output, &config);
    let (mut counts, mut awaited) = (Counts::default(), 0);
    for (sent, octet) in (1..).zip(request.bytes()) {
        session.free_input()[0] = octet;
        session.received(1);
        let progress = session.advance(&mut Silent, &mut counts);
        if counts.calls > 0 {
            return (sent, awaited);
        }
        assert_eq!(progress, Progress::NeedBytes, "after {sent} octets of {request}");
        awaited += usize::from(session.connection().awaits_content());
    }
    panic!("nobody is called for {request}");
}

#[test]
fn a_handler_is_called_when_its_content_is_there_or_would_not_fit() {
    for (fields, content, input, waits) in [
        ("Content-Length: 0", 0, INPUT, false),
        ("Content-Length: 1", 1, INPUT, true),
        ("Content-Length: 100", 100, INPUT, true),
        // More than is waited for; more than the buffer holds; of unknown length; and of a client that waits itself.
        ("Content-Length: 101", 101, INPUT, false),
        ("Content-Length: 100", 100, 120, false),
        ("Transfer-Encoding: chunked", 20, INPUT, false),
        ("Content-Length: 20\r\nExpect: 100-continue", 20, INPUT, false),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let request = format!("{head}{}", "x".repeat(content));
        let expected = if waits { (request.len(), content) } else { (head.len(), 0) };
        assert_eq!(called_after(&request, input), expected, "{fields}, {input}");
    }
}
