//! Clients that do not take what they asked for: who drives sessions by readiness waits for none of them.

// A test that panics has failed: that is what it is for.
#![allow(clippy::indexing_slicing, clippy::panic)]

use embedded_io::ErrorKind;
use httpling_core::{
    CloseReason, Config, Progress, Request, RequestHandler, Response, SendError, Sent, Session, Wire, status,
};

/// Takes so much, and would wait with more.
struct Narrow {
    room: usize,
    written: usize,
}

impl Wire for Narrow {
    fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::TimedOut)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(ErrorKind::TimedOut)?;
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn room(&mut self) -> usize {
        self.room
    }
}

/// Octets of a session's output buffer. Whoever drives it sees to it that a response of so many can be written.
const OUTPUT: usize = 64;

fn receive(session: &mut Session<'_>, request: &[u8]) {
    session.free_input()[..request.len()].copy_from_slice(request);
    session.received(request.len());
}

struct Short;

impl RequestHandler for Short {
    fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_response(status::OK).end_with(b"12")
    }
}

#[test]
fn a_request_waits_while_the_answers_before_it_have_no_room() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const ANSWER: usize = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12".len();
    // Up to room for all five.
    for room in OUTPUT..OUTPUT + 5 * ANSWER {
        let (mut input, mut output) = ([0; 5 * REQUEST.len() + 1], [0; OUTPUT]);
        let mut session = Session::new(&mut input, &mut output, &Config::DEFAULT);
        for _ in 0..5 {
            receive(&mut session, REQUEST);
        }
        let mut wire = Narrow { room, written: 0 };
        loop {
            let before = wire.written;
            match session.advance(&mut wire, &mut Short) {
                Progress::NeedBytes => break,
                Progress::NeedRoom => {
                    assert!(wire.written > before, "{room}: something is done each time");
                    wire.room = OUTPUT;
                }
                closed @ Progress::Close(_) => panic!("{room}: {closed:?}"),
            }
        }
        assert_eq!(wire.written, 5 * ANSWER, "{room}");
    }
}

struct Page;

impl RequestHandler for Page {
    fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_response(status::OK).end_with_static(&[b'x'; 100])
    }
}

#[test]
fn a_client_that_does_not_take_its_content_is_cut_off() {
    let (mut input, mut output) = ([0; 64], [0; OUTPUT]);
    let mut session = Session::new(&mut input, &mut output, &Config::DEFAULT);
    receive(&mut session, b"GET / HTTP/1.0\r\n\r\n");
    let mut wire = Narrow { room: OUTPUT, written: 0 };
    assert!(!session.connection().is_sending());
    assert_eq!(session.advance(&mut wire, &mut Page), Progress::NeedRoom);
    assert!(session.connection().is_sending(), "whoever drives it looks for room, and not for more to do");
    session.timed_out(&mut wire, &mut Page);
    let reason = CloseReason::Broken(SendError::Transport(ErrorKind::TimedOut));
    assert_eq!(session.advance(&mut wire, &mut Page), Progress::Close(reason));
}
