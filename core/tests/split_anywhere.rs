//! Bytes arrive in pieces that nobody chose. Nothing may depend on them.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod cases;
mod common;

use cases::cases;
use common::catalogue::{GOOD, LAST, WORDS};
use common::tape::Tape;
use common::{Setting, laws};
use httpling_core::{Persistence, Session};
use proptest::prelude::*;
use proptest::sample::select;

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), prop::collection::vec(1usize..40, 1..12)]
}

/// Buffers from much too small to large.
fn setting() -> impl Strategy<Value = Setting> {
    let size = || prop_oneof![0usize..300, Just(2000)];
    (size(), size(), 0u32..60, any::<bool>()).prop_map(|(input, output, drain, small)| {
        let mut setting = Setting { input, output, ..Setting::default() };
        if small {
            setting.config.limits.drain_bytes_max = drain;
            setting.config.limits.fields_max = 2;
            setting.config.limits.chunk_line_bytes_max = 6;
        }
        setting
    })
}

fn requests() -> impl Strategy<Value = Vec<&'static str>> {
    (prop::collection::vec(select(GOOD), 0..5), select(LAST)).prop_map(|(mut requests, last)| {
        requests.push(last);
        requests
    })
}

/// Those whose content is read. What a handler leaves is dropped later.
fn read_whole() -> Vec<&'static str> {
    let is_left = |request: &str| request.contains("/ignore") || request.contains("/peek");
    GOOD.iter().copied().filter(|request| !is_left(request)).collect()
}

/// Requests with an octet changed, taken out or put in, or words in any order.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let mutated = (requests(), any::<prop::sample::Index>(), any::<u8>(), 0..3).prop_map(
        |(requests, at, octet, how)| {
            let mut bytes = requests.concat().into_bytes();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = octet,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, octet),
            }
            bytes
        },
    );
    let words = prop::collection::vec(select(WORDS), 1..14).prop_map(|words| words.concat().into_bytes());
    prop_oneof![requests().prop_map(|requests| requests.concat().into_bytes()), mutated, words]
}

/// A client that drips its content holds nobody but itself: `advance` calls the handler when all is there, if the buffer
/// holds it.
#[test]
fn advance_does_not_wait_for_content_that_fits() {
    let waits = |request: &&&str| request.contains("Content-Length") && !request.contains("Expect");
    for request in GOOD.iter().filter(waits) {
        let (mut input, mut output) = ([0; 200], [0; 600]);
        let setting = Setting::default();
        let mut session = Session::new(&mut input, &mut output, &setting.config);
        let mut demo = common::demo::Demo::default();
        let mut tape = Tape::new(vec![request.as_bytes().to_vec()], vec![1]);
        for _ in 0..request.len() {
            assert!(tape.written.is_empty(), "{request:?}");
            let count = httpling_core::Wire::read(&mut tape, session.free_input()).expect("an octet");
            session.received(count);
            let reads = tape.reads;
            session.advance(&mut tape, &mut demo);
            assert_eq!(tape.reads, reads, "{request:?}: nobody is waited for");
        }
        assert!(!tape.written.is_empty(), "{request:?}");
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn any_split_gives_the_same_responses(
        input in nearly_requests(), pieces in pieces(), setting in setting()
    ) {
        laws::any_split_is_the_whole(&input, &pieces, &setting);
    }

    #[test]
    fn pipelined_is_sequential(requests in requests(), setting in setting()) {
        let requests: Vec<_> = requests.iter().map(|request| request.as_bytes()).collect();
        laws::a_pipeline_is_a_sequence(&requests, &setting);
    }

    #[test]
    fn refused_stays_refused(
        input in nearly_requests(), cut in any::<prop::sample::Index>(),
        suffix in nearly_requests(), setting in setting()
    ) {
        // A beginning of the input, too: it may be refused there already.
        laws::refused_stays_refused(&input[..cut.index(input.len() + 1)], &suffix, &setting);
        laws::refused_stays_refused(&input, &suffix, &setting);
    }

    /// After a request whose content was read, the next octet is the first one behind it.
    #[test]
    fn nothing_is_consumed_past_the_message(
        request in select(read_whole()), rest in nearly_requests(), pieces in pieces(), input_size in 120usize..300
    ) {
        let bytes = [request.as_bytes(), &rest].concat();
        let mut tape = Tape::new(vec![bytes], pieces);
        let (mut input, mut output) = (vec![0; input_size], vec![0; 600]);
        let setting = Setting::default();
        let mut session = Session::new(&mut input, &mut output, &setting.config);
        let mut demo = common::demo::Demo::default();
        let persistence = session.handle_one_request(&mut tape, &mut demo);
        prop_assert_eq!(persistence, Persistence::KeepAlive);
        let left = [session.pending(), &tape.unread()].concat();
        prop_assert_eq!(left.escape_ascii().to_string(), rest.escape_ascii().to_string());
    }
}
