//! How connections, requests and servers end: in time, by a handler's fault, or because the server does.
//!
//! As in `server.rs`, a test waits for what it expects to happen, not for time to pass.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, large, quiet};
use common::running::Running;
use common::{Ending, PATIENCE, becomes_true, is_refused, status, value};
use httpling::{Methods, RequestHandler, RequestHead, SendError};
use std::time::{Duration, Instant};

// ---- time ----

#[test]
fn a_head_that_comes_too_slowly_is_refused() {
    const DEADLINE: Duration = Duration::from_millis(300);
    // Only this one is short: another one that ran out would be a bug.
    let (server, _) = Demo::serve(quiet().head_timeout(DEADLINE));
    // Nothing more comes.
    let mut client = server.client();
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nHo");
    let reply = client.reply();
    assert_eq!((reply.status(), reply.value("Connection")), (408, Some("close")));
    assert!(began.elapsed() >= DEADLINE);
    client.expect_end();
    // An octet at a time, never silent for long: the deadline is for the whole head. The second request has it too.
    for first in ["", GET] {
        let mut client = server.client();
        if !first.is_empty() {
            assert_eq!(client.ask(first).text(), "Hello there");
        }
        let began = Instant::now();
        client.send("GET / HTTP/1.1\r\nX: ");
        while !client.has_something_within(Duration::from_millis(20)) {
            assert!(began.elapsed() < PATIENCE, "a client that drips is served for ever");
            client.send("x");
        }
        assert!(began.elapsed() >= DEADLINE);
        assert_eq!(client.reply().status(), 408);
    }
}

#[test]
fn a_head_that_is_slow_but_in_time_is_answered() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    for octet in GET.as_bytes().chunks(1) {
        client.send(octet);
        assert!(!client.has_something_within(Duration::from_millis(1)) || octet == b"\n");
    }
    assert_eq!(client.reply().text(), "Hello there");
}

/// Who has said that nothing follows is not waited for; who has not may still be sending, and is heard out.
#[test]
fn a_client_that_announces_its_last_request_is_not_waited_for() {
    let (server, _) = Demo::serve(quiet().discard_timeout(6 * PATIENCE));
    let is_closed = |request: &str| {
        let mut client = server.client();
        client.send(request);
        assert_eq!(client.last_reply().text(), "Hello there");
        // What is sent to a connection that is closed is answered with a reset; while it is dropped there is room for far more.
        for _ in 0..20 {
            if client.try_send("x").is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    };
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"]
    {
        assert!(becomes_true(|| is_closed(request)), "{request}");
    }
    // More has come, or is to come.
    assert!(!is_closed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET"));
    assert!(!is_closed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"));
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let (server, _) = Demo::serve(quiet().first_byte_timeout(DEADLINE));
    let began = Instant::now();
    let mut client = server.client();
    client.expect_end();
    assert!((DEADLINE..PATIENCE).contains(&began.elapsed()));
    // Idle after a request is another thing.
    let mut client = server.client();
    client.get("/");
    assert!(!client.has_something_within(3 * DEADLINE));
    assert_eq!(client.get("/").text(), "Hello there");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let (server, _) = Demo::serve(quiet().idle_timeout(DEADLINE));
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "Hello there");
    }
    let began = Instant::now();
    client.expect_end();
    assert!(began.elapsed() < PATIENCE);
    // Silent from the beginning is another thing.
    let mut client = server.client();
    assert!(!client.has_something_within(3 * DEADLINE));
    assert_eq!(client.get("/").text(), "Hello there");
}

#[test]
fn content_that_does_not_come_is_refused() {
    let (server, _) = Demo::serve(quiet().read_timeout(Duration::from_millis(200)));
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.last_reply().status(), 408);
    assert_eq!(server.client().get("/").text(), "Hello there");
}

/// To an HTTP/1.0 client the end of the connection is the end of the content: so it must not look like one.
#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let (server, demo) = Demo::serve(quiet().write_timeout(Duration::from_millis(200)));
    for version in ["1.0", "1.1"] {
        let mut client = server.client();
        client.send(format!("GET /endless HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert!(becomes_true(|| !demo.outcomes().is_empty()), "the handler is never told");
        let outcomes = std::mem::take(&mut *demo.outcomes.lock().unwrap());
        assert_eq!(outcomes, [SendError::Transport(embedded_io::ErrorKind::TimedOut)]);
        // Whoever reads in the end sees that there is no end.
        let (_, ending) = client.rest();
        assert_eq!(ending, Ending::Reset, "HTTP/{version}");
    }
    assert_eq!(server.client().get("/").text(), "Hello there");
}

#[test]
fn a_client_that_reads_slowly_is_not_cut_off() {
    let (server, _) = Demo::serve(quiet().write_timeout(Duration::from_secs(1)));
    let mut client = server.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert_eq!(value(&head, "Content-Length"), Some("16000000"));
    let began = Instant::now();
    let (mut content, mut piece) = (Vec::new(), vec![0; 500_000]);
    // Longer than the time-out in all, but never without progress for so long.
    while content.len() < 16_000_000 {
        let count = client.try_read(&mut piece).unwrap();
        assert!(count > 0, "the response is short");
        content.extend_from_slice(&piece[..count]);
        if began.elapsed() < Duration::from_millis(1500) {
            std::thread::sleep(Duration::from_millis(50)); // The slowness is what is tested.
        }
    }
    assert!(content == large());
}

/// Who wants no deadline says so with the longest one that there is.
#[test]
fn deadlines_may_be_as_long_as_can_be_said() {
    let forever = Duration::MAX;
    let builder = quiet().threads(1).first_byte_timeout(forever).head_timeout(forever).idle_timeout(forever);
    let builder = builder.read_timeout(forever).write_timeout(forever).discard_timeout(forever);
    let builder = builder.queue_timeout(forever).handler_time_logged(forever).drain_timeout(forever);
    let builder = builder.accept_pause(forever).accept_pause_max(forever);
    let builder = builder.spare_threads_max(usize::MAX).queue_max(usize::MAX).connections_max(usize::MAX);
    let builder =
        builder.lent_bytes_max(usize::MAX).unsent_bytes_max(usize::MAX).descriptors_reserved(usize::MAX);
    let (server, demo) = Demo::serve(builder);
    // Each of them waits for something else, and so does the last one in its handler.
    let mut clients = [
        ("", GET, "Hello there"),
        ("GET / HTTP/1.1\r\nHo", "st: a\r\n\r\n", "Hello there"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf", "half", "halfhalf"),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "4\r\nhalf\r\n0\r\n\r\n",
            "halfhalf",
        ),
        ("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n", "", "Hello at last"),
    ]
    .map(|(begin, end, answer)| {
        let mut client = server.client();
        client.send(begin);
        (client, end, answer)
    });
    demo.gate.wait_for(1);
    let mut slow = server.client();
    slow.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(slow.has_something_within(PATIENCE));
    demo.gate.open();
    for (client, end, answer) in &mut clients {
        client.send(end);
        assert_eq!(client.reply().text(), *answer);
    }
    assert!(slow.reply().content == large());
    // Now all are idle.
    server.handle.shutdown();
    server.join();
}

// ---- handlers that fail ----

#[test]
fn a_panic_before_the_response_is_answered_with_500() {
    let (server, _) = Demo::serve(quiet());
    for request in ["GET /panic", "HEAD /panic"] {
        let mut client = server.client();
        client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n{GET}"));
        let head = client.head();
        assert_eq!((status(&head), value(&head, "Connection")), (500, Some("close")));
        let (rest, ending) = client.rest();
        assert_eq!(ending, Ending::Closed);
        assert_eq!(rest.starts_with(b"<!DOCTYPE HTML>"), request == "GET /panic");
        assert_eq!(rest.ends_with(b"</html>\n"), request == "GET /panic");
    }
    assert_eq!(server.client().get("/").text(), "Hello there");
}

#[test]
fn a_panic_within_the_response_is_seen_as_its_breaking_off() {
    let (server, _) = Demo::serve(quiet());
    for version in ["1.0", "1.1"] {
        let mut client = server.client();
        client.send(format!("GET /panic-late HTTP/{version}\r\nHost: a\r\n\r\n"));
        // What has arrived may be lost with the reset. An end may not have.
        let (bytes, ending) = client.rest();
        assert!(!bytes.ends_with(b"0\r\n\r\n"));
        assert_eq!(ending, Ending::Reset, "HTTP/{version}");
    }
    assert_eq!(server.client().get("/").text(), "Hello there");
}

#[test]
fn a_panic_in_a_hook_costs_nobody_anything() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    assert_eq!(client.get("/panic-in-log").text(), "before the panic");
    assert_eq!(client.get("/").text(), "Hello there");
    let reply = client.ask("POST /panic-in-limit HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(reply.text(), "ab");
}

/// Fails wherever it can but in the methods themselves.
struct Fragile;

impl RequestHandler for Fragile {
    fn allowed_methods(&mut self, _: &RequestHead<'_>) -> Option<Methods> {
        panic!("in allowed_methods")
    }

    fn finish(&mut self) {
        panic!("in finish")
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("in drop")
    }
}

/// With one thread: a thread that is lost is noticed.
#[test]
fn a_panic_anywhere_else_ends_one_connection() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let server = Running::start(quiet().threads(1), move |_| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(call % 2 == 1, "in the factory");
        Fragile
    });
    for _ in 0..3 {
        let mut client = server.client();
        client.try_send(GET).ok();
        let (bytes, ending) = client.rest();
        assert_eq!((bytes, ending == Ending::StillOpen), (vec![], false));
        let mut client = server.client();
        assert_eq!(client.ask(GET).status(), 500);
        let (_, ending) = client.rest();
        assert_ne!(ending, Ending::StillOpen);
    }
    server.handle.shutdown();
    server.join();
}

// ---- the end ----

#[test]
fn shutdown_ends_a_server_that_waits() {
    let (server, _) = Demo::serve(quiet().drain_timeout(PATIENCE));
    let began = Instant::now();
    server.handle.shutdown();
    server.handle.shutdown();
    server.join();
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(is_refused(server.address));
}

#[test]
fn shutdown_lets_a_running_request_finish_and_closes_the_rest() {
    // Longer than any wait here: nothing may depend on it.
    let (server, demo) = Demo::serve(quiet().drain_timeout(3 * PATIENCE));
    let mut idle = server.client();
    assert_eq!(idle.get("/").text(), "Hello there");
    let mut silent = server.client();
    let mut running = server.client();
    running.send(format!("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n{GET}"));
    let mut streaming = server.client();
    streaming.send("GET /ticking HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(2);
    let head = streaming.head();

    server.handle.shutdown();
    idle.expect_end();
    let (said, ending) = silent.rest();
    assert_eq!((said, ending == Ending::StillOpen), (vec![], false));
    assert!(becomes_true(|| is_refused(server.address)), "it still listens");
    assert!(server.is_running());

    demo.gate.open();
    let reply = running.reply();
    assert_eq!((reply.text().as_str(), reply.value("Connection")), ("Hello at last", Some("close")));
    running.expect_end();
    assert_eq!(value(&head, "Transfer-Encoding"), Some("chunked"));
    streaming.expect("4\r\ntick\r\n4\r\ntock\r\n0\r\n\r\n");
    streaming.expect_end();
    let began = Instant::now();
    server.join();
    assert!(began.elapsed() < PATIENCE / 2);
}

/// A request whose head is on its way has begun.
#[test]
fn shutdown_answers_a_request_that_is_arriving() {
    let (server, demo) = Demo::serve(quiet().drain_timeout(3 * PATIENCE));
    let mut arriving = server.client();
    arriving.send("GET / HTTP/1.1\r\nHo");
    // By the time that another client is answered, the first one's bytes are there too.
    let mut running = server.client();
    running.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(1);
    assert!(!arriving.has_something_within(Duration::from_millis(50)));
    server.handle.shutdown();
    assert!(becomes_true(|| is_refused(server.address)), "it still listens");
    arriving.send("st: a\r\n\r\n");
    let reply = arriving.reply();
    assert_eq!((reply.text().as_str(), reply.value("Connection")), ("Hello there", Some("close")));
    arriving.expect_end();
    demo.gate.open();
    server.join();
}

/// To an HTTP/1.0 client the end of the connection is the end of the content: so it must not look like one.
#[test]
fn the_end_of_patience_cuts_what_still_runs() {
    let (server, demo) = Demo::serve(quiet().drain_timeout(Duration::from_millis(200)));
    let mut waiting = server.client();
    waiting.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut streaming = server.client();
    streaming.send("GET /ticking HTTP/1.0\r\n\r\n");
    demo.gate.wait_for(2);
    let mut full = server.client();
    full.send("GET /endless HTTP/1.0\r\n\r\n");
    assert!(full.has_something_within(PATIENCE));
    assert_eq!(status(&streaming.head()), 200);
    streaming.expect("tick");

    let began = Instant::now();
    server.handle.shutdown();
    server.join();
    assert!(began.elapsed() < PATIENCE / 2);
    // Before the handlers are done.
    let (said, ending) = waiting.rest();
    assert_eq!((said, ending == Ending::StillOpen), (vec![], false));
    let (_, ending) = streaming.rest();
    assert_eq!(ending, Ending::Reset);
    let (_, ending) = full.rest();
    assert_eq!(ending, Ending::Reset);
    demo.gate.open();
}

#[test]
fn shutdown_before_the_beginning_is_one_too() {
    let server = quiet().bind("127.0.0.1:0").unwrap();
    server.shutdown_handle().shutdown();
    let server = Running::serve(server, |_| Demo::default());
    server.join();
}
