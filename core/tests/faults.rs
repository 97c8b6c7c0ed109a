//! Transports fail. Here they fail at every position of some conversations, in every way.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod common;

use common::catalogue::method;
use common::judge::{self, Reply};
use common::tape::{End, Fault, Tape};
use common::{Between, Outcome, Setting, advance, handle};
use embedded_io::ErrorKind;
use httpling_core::{CloseReason, SendError};

/// Pipelines that between them do everything.
const PIPELINES: &[&[&str]] = &[
    &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ],
    &[
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\nA: b\r\n\r\n",
        "GET /204 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "GET /long?n=20 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /stream?n=12 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /produced?n=150 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /static HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /offered?n=90 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789",
        "POST /peek HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /static HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
    ],
    &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "GET /early HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "GET /pieces?n=150 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /counted?n=150 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /events?n=3 HTTP/1.0\r\n\r\n",
    ],
];

/// Pipelines in which a response begins before its request has ended, or a handler goes on after an error.
const STUBBORN: &[&[&str]] = &[
    &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /converse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    ],
    &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /swallow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nhey you.",
    ],
    &["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /deaf?n=4 HTTP/1.1\r\nHost: a\r\n\r\n"],
    &["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /fail-late HTTP/1.1\r\nHost: a\r\n\r\n"],
];

const READ_FAULTS: [Fault; 5] = [
    Fault::Zero,
    Fault::Error(ErrorKind::TimedOut),
    Fault::Error(ErrorKind::ConnectionReset),
    Fault::Once(ErrorKind::Other),
    Fault::Once(ErrorKind::Interrupted),
];

const WRITE_FAULTS: [Fault; 6] = [
    Fault::Zero,
    Fault::Error(ErrorKind::TimedOut),
    Fault::Error(ErrorKind::BrokenPipe),
    Fault::Once(ErrorKind::ConnectionReset),
    Fault::Once(ErrorKind::TimedOut),
    Fault::Once(ErrorKind::Interrupted),
];

fn setting() -> Setting {
    Setting { input: 160, output: 160, ..Setting::default() }
}

/// The final responses. Of the requests, the first `arrived` octets had arrived: a method that was not among them is unknown.
fn finals(outcome: &Outcome, pipeline: &[&str], arrived: usize) -> Vec<Reply> {
    let mut start = 0;
    let mut methods = Vec::new();
    for request in pipeline {
        let method_end = start + request.find(' ').expect("a space");
        methods.push(if arrived > method_end { method(request) } else { "GET" });
        start += request.len();
    }
    let (replies, rest) = judge::replies(&outcome.written, &methods);
    assert_eq!(rest.escape_ascii().to_string(), "");
    replies.into_iter().filter(|reply| !reply.is_interim()).collect()
}

/// Requests that are whole before the fault are answered as ever; the one in which it strikes is refused, or
/// nothing is said; and nothing is read after it.
#[test]
fn reads_fail_at_every_position() {
    for pipeline in PIPELINES {
        let input = pipeline.concat().into_bytes();
        for pieces in [vec![], vec![1], vec![5]] {
            let tape = || Tape::new(vec![input.clone()], pieces.clone());
            let whole = handle(&mut tape(), &setting());
            let expected = finals(&whole, pipeline, input.len());
            for at in 0..=input.len() {
                let mut ends = pipeline.iter().scan(0, |end, request| {
                    *end += request.len();
                    Some(*end)
                });
                let done = ends.position(|end| end > at).unwrap_or(pipeline.len());
                for fault in READ_FAULTS {
                    let mut broken = tape();
                    broken.read_fault = Some((at, fault));
                    let outcome = handle(&mut broken, &setting());
                    let where_ = format!("{fault:?} at {at} of {}", input.escape_ascii());
                    assert_eq!(broken.reads_after_end, 0, "{where_}");
                    if fault == Fault::Once(ErrorKind::Interrupted) {
                        let without = common::laws::without_continue;
                        assert_eq!(without(&outcome.written), without(&whole.written), "{where_}");
                        continue;
                    }
                    check_read_fault(&finals(&outcome, pipeline, at), &expected, done, fault, &where_);
                    // Driven by an event loop too. (It waits for content before it calls the handler, so it may
                    // refuse where a handler that does not read would have answered.)
                    let mut broken = tape();
                    broken.read_fault = Some((at, fault));
                    let ready = advance(&mut broken, &setting(), Between::Lent);
                    check_read_fault(&finals(&ready, pipeline, at), &expected, done, fault, &where_);
                }
            }
        }
    }
}

fn check_read_fault(replies: &[Reply], expected: &[Reply], done: usize, fault: Fault, where_: &str) {
    let good = replies.iter().zip(expected).take_while(|(one, other)| one == other).count();
    assert!(good >= done, "{good} of {done} requests are answered: {where_}");
    match (&replies[good..], fault) {
        ([], _) => {}
        ([refusal], Fault::Zero) => assert_eq!(refusal.status, 400, "{where_}"),
        ([refusal], Fault::Error(ErrorKind::TimedOut)) => assert_eq!(refusal.status, 408, "{where_}"),
        (others, _) => panic!("{others:?}: {where_}"),
    }
    assert!(replies.iter().all(|reply| reply.whole), "{replies:?}: {where_}");
    assert!(replies[good..].iter().all(Reply::closes), "{replies:?}: {where_}");
}

/// What has left is a beginning of what would have left; it closes, says why, and never writes again.
#[test]
fn writes_fail_at_every_position() {
    for pipeline in PIPELINES.iter().chain(STUBBORN) {
        let input = pipeline.concat().into_bytes();
        // In the third way, content comes when its handler already waits for it.
        let content = pipeline[0].len() + pipeline[1].find("\r\n\r\n").expect("a head") + 4;
        for pieces in [vec![], vec![1], vec![content, usize::MAX]] {
            for most in [usize::MAX, 1] {
                let tape = || {
                    let mut tape = Tape::new(vec![input.clone()], pieces.clone());
                    tape.write_most = most;
                    tape
                };
                let whole = handle(&mut tape(), &setting());
                for at in 0..whole.written.len() {
                    for fault in WRITE_FAULTS {
                        let where_ = format!("{fault:?} at {at} for {}", input.escape_ascii());
                        for ready in [false, true] {
                            let mut broken = tape();
                            broken.write_fault = Some((at, fault));
                            let outcome = if ready {
                                advance(&mut broken, &setting(), Between::Kept)
                            } else {
                                handle(&mut broken, &setting())
                            };
                            if fault == Fault::Once(ErrorKind::Interrupted) {
                                assert_eq!(outcome.reason, whole.reason, "{where_}");
                                continue;
                            }
                            // (Where it fails earlier, `100 Continue` is not yet sent, in other pieces.)
                            assert!(
                                whole.written.starts_with(&outcome.written) || ready,
                                "{where_}: {}",
                                outcome.written.escape_ascii()
                            );
                            assert_eq!(broken.writes_after_fault, 0, "{where_}");
                            let fits = matches!(
                                outcome.reason,
                                Some(
                                    CloseReason::Transport(_) | CloseReason::Broken(SendError::Transport(_))
                                )
                            );
                            assert!(fits, "{:?}: {where_}", outcome.reason);
                        }
                    }
                }
            }
        }
    }
}

/// When the response has begun to leave, a fault in the request can no longer be told: the response is cut.
#[test]
fn reads_fail_when_the_response_has_begun() {
    let [pipeline, ..] = STUBBORN else { panic!("there are some") };
    let input = pipeline.concat().into_bytes();
    let content = pipeline[0].len() + pipeline[1].find("\r\n\r\n").expect("a head") + 4;
    // Behind the first octet of content, which is sent back at once.
    for at in content + 4..input.len() {
        for fault in READ_FAULTS {
            if fault == Fault::Once(ErrorKind::Interrupted) {
                continue;
            }
            let mut tape = Tape::whole(&input);
            tape.read_fault = Some((at, fault));
            let outcome = handle(&mut tape, &setting());
            let replies = finals(&outcome, pipeline, at);
            assert_eq!(replies.len(), 2, "{at}");
            assert!(!replies[1].whole, "{at}: never padded, never ended as if it were whole");
            let reason = outcome.reason;
            assert!(matches!(reason, Some(CloseReason::Broken(_) | CloseReason::Transport(_))), "{reason:?}");
        }
    }
}

/// The client sends a request, ends its side, and takes its time with the answer: it gets all of it.
#[test]
fn a_client_that_ends_gets_content_that_is_still_being_sent() {
    for request in [
        "GET /static HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /produced?n=90 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /offered?n=90 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let setting = setting();
        let whole = handle(&mut Tape::whole(request.as_bytes()), &setting);
        let (mut input, mut output) = ([0; 160], [0; 64]);
        let mut session = httpling_core::Session::new(&mut input, &mut output, &setting.config);
        let mut demo = common::demo::Demo::default();
        let mut tape = Tape::whole(request.as_bytes());
        tape.end = End::Stream;
        tape.room_step = Some(5);
        let count = httpling_core::Wire::read(&mut tape, session.free_input()).expect("it is there");
        session.received(count);
        assert_eq!(session.advance(&mut tape, &mut demo), httpling_core::Progress::NeedRoom);
        assert_eq!(httpling_core::Wire::read(&mut tape, session.free_input()), Ok(0));
        session.end_of_stream(&mut tape, &mut demo);
        let reason = loop {
            tape.make_room();
            match session.advance(&mut tape, &mut demo) {
                httpling_core::Progress::NeedRoom => {}
                httpling_core::Progress::Close(reason) => break reason,
                httpling_core::Progress::NeedBytes => panic!("there are none"),
            }
        };
        assert_eq!(tape.written.escape_ascii().to_string(), whole.written.escape_ascii().to_string());
        assert_eq!(reason, CloseReason::Finished);
    }
}
