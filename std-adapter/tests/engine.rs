//! The engine under what engines break under: crowds, waits, faults and the end of everything.
//!
//! As in `server.rs`, a test waits for what it expects to happen, not for time to pass.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{GET, quiet};
use common::running::Running;
use common::{Client, Ending, Gate, PATIENCE, becomes_true};
use httpling::{Builder, Request, RequestHandler, Response, SendError, Sent, status};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
struct Demo {
    gate: Gate,
    served: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    /// Requests that this handler has served: it is one for each connection.
    own: usize,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Content that lives as long as the program, and that no socket holds.
#[allow(clippy::cast_possible_truncation)] // Less than 23.
static LARGE: [u8; 8 << 20] = {
    let mut octets = [0; 8 << 20];
    let mut place = 0;
    while place < octets.len() {
        // No two neighbours are alike.
        octets[place] = b'a' + (place % 23) as u8;
        place += 97;
    }
    octets
};

impl RequestHandler for Demo {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.served.fetch_add(1, Ordering::SeqCst);
        self.own += 1;
        let head = response.send_response(status::OK);
        match request.path() {
            path if path.starts_with(b"/gate") => {
                self.gate.pass();
                head.end_with(b"at last")
            }
            b"/thread" => head.end_with(format!("{:?}", std::thread::current().id()).as_bytes()),
            b"/computed" => {
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(300) {}
                head.end_with(format!("{:?}", std::thread::current().id()).as_bytes())
            }
            b"/computes" => {
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(20) {}
                head.end_with(format!("{:?}", std::thread::current().id()).as_bytes())
            }
            b"/own" => head.end_with(self.own.to_string().as_bytes()),
            b"/static" => head.end_with_static(&LARGE),
            b"/produced" => head.end_with_producer(LARGE.len() as u64, 7),
            b"/written" => {
                let mut body = head.content_length(LARGE.len() as u64).end_headers()?;
                body.write_all(&LARGE)?;
                body.finish()
            }
            _ => head.end_with(b"Hello there"),
        }
    }

    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if request.path() == b"/gate" {
            self.gate.pass();
        }
        let mut content = [0; 4096];
        let content = request.read_to_end(&mut content)?;
        response.send_response(status::OK).end_with(content)
    }

    fn produce(&mut self, key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        assert_eq!(key, 7);
        let position = usize::try_from(position).unwrap();
        out.copy_from_slice(&LARGE[position..position + out.len()]);
        Ok(())
    }
}

fn one_loop() -> Builder {
    quiet().threads(1)
}

/// One loop, and a handler that waits for something that is not its client: nobody else waits for it.
#[test]
fn a_handler_that_waits_holds_up_nobody() {
    let demo = Demo::default();
    let server = Running::with(one_loop(), &demo);
    let mut slow = Client::crowd(server.address, 20, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(20);
    let mut fast = server.client();
    for _ in 0..50 {
        assert_eq!(fast.get("/").text(), "Hello there");
    }
    demo.gate.open();
    for client in &mut slow {
        assert_eq!(client.reply().text(), "at last");
        // The connection goes on where it was.
        assert_eq!(client.get("/own").text(), "2");
    }
}

/// A crowd of handlers that compute does not pass through the loop one by one: once one is known to, the next are served beside it.
#[test]
fn a_handler_that_computes_is_served_beside_the_loop() {
    let server = Running::with(one_loop(), &Demo::default());
    let mut client = server.client();
    // The loop's own thread would answer both.
    let is_beside = becomes_true(|| client.get("/thread").text() != client.get("/computes").text());
    assert!(is_beside);
}

/// More than there are threads: they wait for their turn, and all are answered.
#[test]
fn more_waiting_handlers_than_threads_queue() {
    let demo = Demo::default();
    let server = Running::with(one_loop().spare_threads_max(4), &demo);
    // So that the kind is known.
    let mut first = server.client();
    first.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").text(), "Hello there");
    let mut others = Client::crowd(server.address, 30, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(3);
    for _ in 0..20 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    demo.gate.open();
    assert_eq!(first.reply().text(), "at last");
    for client in &mut others {
        assert_eq!(client.reply().text(), "at last");
    }
}

/// What was asked in one piece is answered in one piece: the first read has all of it.
#[test]
fn requests_in_a_row_have_one_write() {
    let server = Running::with(one_loop(), &Demo::default());
    let mut client = server.client();
    // Answers that leave one by one may happen to be read together, but not each time.
    for _ in 0..50 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(16));
        let mut answers = vec![0; 64 * 1024];
        let count = client.try_read(&mut answers).unwrap();
        assert_eq!(String::from_utf8_lossy(&answers[..count]).matches("Hello there").count(), 16);
    }
}

/// All threads wait, and then a handler does of which nobody knew: the others are still served, and so is whoever comes then, as
/// long as it is known that he does not wait.
#[test]
fn the_last_thread_is_for_the_loop() {
    let demo = Demo::default();
    let server = Running::with(one_loop().spare_threads_max(2), &demo);
    let ask = |path: &str| {
        let mut client = server.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client
    };
    // The first one loses its loop, the second one is served beside it, and there is no thread for the third one.
    let mut waiting = vec![ask("/gate")];
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").text(), "Hello there");
    waiting.push(ask("/gate"));
    demo.gate.wait_for(2);
    waiting.push(ask("/gate"));
    assert_eq!(server.client().get("/").text(), "Hello there");

    waiting.push(ask("/gate-of-another-kind"));
    demo.gate.wait_for(3);
    for _ in 0..20 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    // From here on nobody could take the loop over: who is not known waits, and its loop does not.
    waiting.push(ask("/gate-of-a-third-kind"));
    let mut stranger = ask("/own");
    for _ in 0..20 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    // In two pieces it is the same request.
    let mut pieces = server.client();
    pieces.send("GET /gate-of-a-fourth-kind HTTP/1.1\r\n");
    assert_eq!(server.client().get("/").text(), "Hello there");
    pieces.send("Host: a\r\n\r\n");
    waiting.push(pieces);
    // Nor does it help to stand behind one that does not wait.
    let mut behind = server.client();
    behind.send(format!("{GET}GET /gate-of-a-fifth-kind HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(behind.reply().text(), "Hello there");
    waiting.push(behind);
    for _ in 0..20 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    demo.gate.open();
    for client in &mut waiting {
        assert_eq!(client.reply().text(), "at last");
    }
    assert_eq!(stranger.reply().text(), "1");
}

/// The queue is full, or waits for too long: whoever asks is told when to come again, and is not kept waiting.
#[test]
fn a_full_queue_is_a_503() {
    for (queue, patience) in [(2, Duration::from_secs(60)), (1000, Duration::from_millis(100))] {
        let demo = Demo::default();
        let builder = one_loop().spare_threads_max(2).queue_max(queue).queue_timeout(patience);
        let server = Running::with(builder, &demo);
        let mut first = server.client();
        first.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
        demo.gate.wait_for(1);
        assert_eq!(server.client().get("/").text(), "Hello there");
        let mut others = Client::crowd(server.address, 10, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
        // One more may run, and two may wait where that is the bound; or one less, if the thread for it is still on its way.
        let refused = if queue == 2 { 7 } else { 9 };
        let mut left = Vec::new();
        let mut seen = 0;
        let all_refused = becomes_true(|| {
            for mut client in others.drain(..) {
                if client.has_something_within(Duration::from_millis(1)) {
                    let reply = client.reply();
                    assert_eq!((reply.status(), reply.value("Retry-After")), (503, Some("1")));
                    client.expect_end();
                    seen += 1;
                } else {
                    left.push(client);
                }
            }
            others.append(&mut left);
            seen >= refused
        });
        assert!(all_refused, "{seen} of {refused} were refused, {} are waiting", others.len());
        demo.gate.open();
        assert_eq!(first.reply().text(), "at last");
        for client in &mut others {
            assert_eq!(client.reply().text(), "at last");
        }
    }
}

/// Handlers that wait for content, one for each client, and one loop.
#[test]
fn slow_content_holds_up_nobody() {
    let demo = Demo::default();
    let server = Running::with(one_loop(), &demo);
    let mut slow = Client::crowd(
        server.address,
        20,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    for _ in 0..20 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    for client in &mut slow {
        client.send(format!("3\r\ndef\r\n0\r\n\r\n{GET}"));
    }
    for client in &mut slow {
        assert_eq!(client.reply().text(), "abcdef");
        assert_eq!(client.reply().text(), "Hello there");
    }
}

/// Of which one kind of request is known to wait: `POST /gate`.
fn with_a_kind_that_waits(builder: Builder) -> Running {
    let demo = Demo::default();
    let server = Running::with(builder, &demo);
    let mut client = server.client();
    client.send("POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    demo.gate.wait_for(1);
    // The loop was handed over.
    assert_eq!(server.client().get("/").text(), "Hello there");
    demo.gate.open();
    assert_eq!(client.reply().text(), "x");
    server
}

/// Not even when its kind is known to wait: content that comes too slowly does not earn time by being looked at beside the loop.
#[test]
fn slow_content_of_a_kind_that_waits_is_refused() {
    let server = with_a_kind_that_waits(one_loop().read_timeout(Duration::from_millis(200)));
    let mut client = server.client();
    client.send("POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n");
    let began = Instant::now();
    while !client.has_something_within(Duration::from_millis(20)) {
        assert!(began.elapsed() < PATIENCE, "a client that drips is served for ever");
        client.send("x");
    }
    assert_eq!(client.reply().status(), 408);
}

/// Nor does content that nobody reads, and that looks like a request of that kind.
#[test]
fn content_that_is_dropped_is_no_request() {
    let server = with_a_kind_that_waits(one_loop().discard_timeout(Duration::from_millis(200)));
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    assert_eq!(client.reply().text(), "Hello there");
    let began = Instant::now();
    while !client.has_something_within(Duration::from_millis(20)) {
        assert!(began.elapsed() < PATIENCE, "a client that drips is listened to for ever");
        if client.try_send("POST /gate HTTP/1.1\r\n").is_err() {
            break;
        }
    }
}

/// There are no threads left to wait on: that is said, and the loop goes on.
#[test]
fn slow_content_without_threads_is_a_503() {
    let demo = Demo::default();
    // However long the first one takes on this machine, it makes no place.
    let server = Running::with(one_loop().spare_threads_max(1).bytes_per_second_min(0), &demo);
    // In chunks: content whose length is known is waited for before its handler is called, if it is short.
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let mut first = server.client();
    first.send(post);
    // It gives its loop away as soon as it waits.
    assert_eq!(server.client().get("/").text(), "Hello there");
    let mut second = server.client();
    let reply = second.ask(post);
    assert_eq!((reply.status(), reply.value("Retry-After")), (503, Some("1")));
    assert_eq!(server.client().get("/").text(), "Hello there");
    first.send("3\r\ndef\r\n0\r\n\r\n");
    assert_eq!(first.reply().text(), "abcdef");
}

/// Slow clients have as many threads as there are, or nearly, and others come: those keep theirs who do not wait for it.
#[test]
fn slow_content_makes_place_for_others() {
    // Of eight, one is for those who are not slow. Of two, none is, until one was wanted.
    for threads in [8, 2] {
        let server = Running::with(one_loop().spare_threads_max(threads), &Demo::default());
        let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        let mut slow = Client::crowd(server.address, threads, post);
        // In two pieces, of which the second is sent when the handler waits for it, or was refused.
        let upload = || {
            let mut client = server.client();
            client.send(post);
            client.has_something_within(Duration::from_millis(20));
            _ = client.try_send("3\r\ndef\r\n0\r\n\r\n");
            client.reply().status() == 200
        };
        let mut has_place =
            || slow.iter_mut().any(|client| client.has_something_within(Duration::from_millis(1)));
        assert!(becomes_true(|| upload() && has_place()), "{threads} slow clients keep all others out");
        for _ in 0..3 {
            assert_eq!(server.client().get("/").text(), "Hello there");
        }
        // Not more of them than there was need for.
        let mut refused = 0;
        for client in &mut slow {
            _ = client.try_send("3\r\ndef\r\n0\r\n\r\n");
            let reply = client.reply();
            if reply.status() == 503 {
                assert_eq!(reply.value("Retry-After"), Some("1"));
                client.expect_end();
                refused += 1;
            } else {
                assert_eq!(reply.text(), "abcdef");
            }
        }
        assert!(threads == 2 || refused < threads, "all made place");
    }
}

/// The same of clients that read slowly what their handlers write.
#[test]
fn slow_readers_make_place_for_others() {
    // What the system may not tell of counts as taken: with a higher rate that is soon too little.
    let server =
        Running::with(one_loop().spare_threads_max(8).bytes_per_second_min(1_000_000), &Demo::default());
    let written = "GET /written HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut slow = Client::crowd(server.address, 8, written);
    let download = || {
        let mut client = server.client();
        client.send(written);
        client.try_reply().is_ok_and(|reply| reply.content == LARGE)
    };
    let mut is_cut =
        || slow.iter_mut().any(|client| client.stream().take_error().is_ok_and(|error| error.is_some()));
    assert!(becomes_true(|| download() && is_cut()), "slow readers keep all others out");
    assert_eq!(server.client().get("/").text(), "Hello there");
}

/// Who has lost its loop already, because it waited for something else, needs no other thread to wait for its client.
#[test]
fn slow_content_behind_another_wait_needs_no_thread() {
    let demo = Demo::default();
    let server = Running::with(one_loop().spare_threads_max(1), &demo);
    let mut client = server.client();
    client.send("POST /gate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    demo.gate.wait_for(1);
    // Only another thread can answer this, and there is none besides but the loop's reserve.
    assert_eq!(server.client().get("/").text(), "Hello there");
    demo.gate.open();
    assert!(!client.has_something_within(Duration::from_millis(100)), "its content has not come");
    client.send("3\r\ndef\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "abcdef");
}

/// Whoever does not read has no thread, whatever way the content is sent when the handler has returned; the others go on.
#[test]
fn slow_readers_hold_up_nobody() {
    let demo = Demo::default();
    // For those whose handler itself writes there are threads, and not for the others.
    let server = Running::with(one_loop().spare_threads_max(4), &demo);
    let mut slow = Vec::new();
    for target in ["/static", "/produced", "/static", "/produced", "/static", "/produced", "/written"] {
        let mut client = server.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n{GET}"));
        slow.push(client);
    }
    assert!(becomes_true(|| demo.served.load(Ordering::SeqCst) >= slow.len()));
    for _ in 0..50 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    for client in &mut slow {
        assert!(client.reply().content == LARGE, "every byte, once");
        assert_eq!(client.reply().text(), "Hello there");
    }
}

/// A pipeline longer than all buffers, whose answers nobody reads before it is sent.
#[test]
fn long_pipelines_are_answered_byte_for_byte() {
    const REQUESTS: usize = 900;
    let server = Running::with(one_loop(), &Demo::default());
    let mut client = server.client();
    let filler = "x".repeat(300);
    let mut requests = String::new();
    for number in 0..REQUESTS {
        write!(requests, "GET /own HTTP/1.1\r\nHost: a\r\nX: {filler}{number}\r\n\r\n").unwrap();
    }
    client.send(&requests);
    for number in 1..=REQUESTS {
        assert_eq!(client.reply().text(), number.to_string());
    }
    client.end_sending();
    client.expect_end();
}

/// Answers that the client does not take, and behind them more requests than the buffers hold.
#[test]
fn pipelines_behind_answers_that_wait_are_not_lost() {
    const REQUESTS: usize = 990;
    let server = Running::with(one_loop(), &Demo::default());
    let mut client = server.client();
    let request = format!("GET /own HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1000));
    client.send("GET /static HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut sender = client.stream().try_clone().unwrap();
    let sending =
        std::thread::spawn(move || io::Write::write_all(&mut sender, request.repeat(REQUESTS).as_bytes()));
    assert!(client.reply().content == LARGE);
    for number in 1..=REQUESTS {
        assert_eq!(client.reply().text(), (number + 1).to_string());
    }
    sending.join().unwrap().unwrap();
}

/// Heads that grow byte by byte, past the length at which they get a buffer of their own.
#[test]
fn heads_may_come_in_any_pieces() {
    let server = Running::with(one_loop(), &Demo::default());
    let head = format!("GET /own HTTP/1.1\r\nHost: a\r\nLong: {}\r\n\r\n", "x".repeat(30_000));
    for piece in [1, 7, 1000, 2048, 2049, 4096, 29_000] {
        let mut client = server.client();
        let mut sent = 0;
        // The first ones one by one, and then so many that the server must put them together.
        for part in head.as_bytes().chunks(piece).take(200) {
            client.send(part);
            sent += part.len();
            std::thread::yield_now();
        }
        client.send(&head.as_bytes()[sent..]);
        assert_eq!(client.reply().text(), "1");
        // And the next one in one piece with its successor.
        client.send(format!("{head}{head}"));
        assert_eq!((client.reply().text(), client.reply().text()), ("2".to_owned(), "3".to_owned()));
    }
}

/// (`abuse.rs` has thousands, in a process of their own: not everybody may have so many descriptors.)
#[test]
fn idle_connections_are_kept_and_their_handlers_dropped() {
    const CLIENTS: usize = 300;
    let demo = Demo::default();
    let server = Running::with(quiet().threads(2), &demo);
    let mut clients = Client::crowd(server.address, CLIENTS, GET);
    for client in &mut clients {
        assert_eq!(client.reply().text(), "Hello there");
    }
    for client in clients.iter_mut().rev() {
        assert_eq!(client.get("/own").text(), "2");
    }
    drop(clients);
    // Each has had a handler, and none is kept: all but the one that this test has, and the one that the factory has.
    assert!(becomes_true(|| demo.dropped.load(Ordering::SeqCst) >= CLIENTS));
}

/// One loop lets all of them in, and may not keep them.
#[test]
fn kept_connections_are_spread_over_the_loops() {
    const CLIENTS: usize = 32;
    let server = Running::with(quiet().threads(2), &Demo::default());
    // Who asks for nothing is no reason to send those who do to other loops.
    let _silent = Client::crowd(server.address, CLIENTS * 2, "");
    // One after the other: a crowd is let in by several loops, and is spread by that.
    let mut clients = Client::idle_crowd(server.address, CLIENTS, "/");
    // Loops go from thread to thread on a busy machine: a round in which one did looks even. Not most of them.
    assert!(becomes_true(|| {
        let is_even = |_: &i32| {
            let mut threads = HashMap::new();
            for client in &mut clients {
                *threads.entry(client.get("/thread").text()).or_insert(0) += 1;
            }
            threads.values().all(|count| *count <= CLIENTS * 3 / 4)
        };
        (0..10).filter(is_even).count() >= 8
    }));
}

/// Also those that wait for room before their first response is out.
#[test]
fn slow_readers_are_spread_over_the_loops() {
    let server = Running::with(quiet().threads(2), &Demo::default());
    let mut clients = Client::crowd(
        server.address,
        8,
        "GET /produced HTTP/1.1\r\nHost: a\r\n\r\nGET /thread HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let mut threads = HashSet::new();
    for client in &mut clients {
        assert_eq!(client.reply().content.len(), LARGE.len());
        threads.insert(client.reply().text());
    }
    assert!(threads.len() > 1);
}

/// Who has no moment left calls others, and whoever comes is let in by them, too.
#[test]
fn a_loop_that_does_not_keep_up_is_helped() {
    let server = Running::with(quiet().threads(2), &Demo::default());
    let mut threads = HashSet::new();
    assert!(becomes_true(|| {
        // All at once, so that the loop has no moment in between, however seldom this thread has its turn.
        let request = "GET /computed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let clients = Client::crowd(server.address, 200, request);
        threads.extend(clients.into_iter().map(|mut client| client.last_reply().text()));
        threads.len() > 1
    }));
}

/// Clients that go away in the middle of everything.
#[test]
fn resets_cost_nobody_anything() {
    let demo = Demo::default();
    let server = Running::with(one_loop(), &demo);
    for round in 0..200 {
        let mut client = server.client();
        socket2::SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
        match round % 5 {
            0 => {}
            1 => client.send("GET / HTTP/1.1\r\nHo"),
            2 => client.send("GET /static HTTP/1.1\r\nHost: a\r\n\r\n"),
            3 => client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"),
            _ => client.send(GET.repeat(10)),
        }
    }
    assert_eq!(server.client().get("/").text(), "Hello there");
}

/// Requests are arriving all the time, from all sides: each is answered whole or not at all.
#[test]
fn shutdown_under_load_truncates_nothing() {
    let demo = Demo::default();
    let server = Running::with(quiet().threads(2), &demo);
    let barrier = Arc::new(Barrier::new(9));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, barrier) = (server.address, Arc::clone(&barrier));
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut answered = 0_usize;
                loop {
                    if answered == 20 {
                        barrier.wait();
                    }
                    if client.try_send(GET).is_err() {
                        break;
                    }
                    let Ok(reply) = client.try_reply() else { break };
                    assert_eq!(reply.text(), "Hello there");
                    answered += 1;
                    if reply.value("Connection") == Some("close") {
                        let (rest, ending) = client.rest();
                        assert!(rest.is_empty() && ending != Ending::StillOpen);
                        break;
                    }
                    if answered.is_multiple_of(900) {
                        client = Client::connect(address);
                    }
                }
                assert!(answered >= 20);
            })
        })
        .collect();
    barrier.wait();
    server.handle.shutdown();
    server.join();
    for client in clients {
        client.join().unwrap();
    }
}

/// How often the threads of this process that have such a name were woken.
#[cfg(target_os = "linux")]
fn wakes() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let texts = tasks.filter_map(|task| {
        let path = task.unwrap().path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        name.starts_with("httpling").then(|| std::fs::read_to_string(path.join("status")).ok())?
    });
    let count = |text: String| -> u64 {
        let line = text.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    texts.map(count).sum()
}

/// No connection, no deadline, no wake-up.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_server_sleeps() {
    let server = Running::with(quiet().threads(2), &Demo::default());
    assert_eq!(server.client().get("/").text(), "Hello there");
    // Other tests of this process have servers too: one moment of silence of all of them is enough.
    let quiet = Duration::from_millis(300);
    let end = Instant::now() + 6 * PATIENCE;
    loop {
        let before = wakes();
        std::thread::sleep(quiet);
        if wakes() == before {
            break;
        }
        assert!(Instant::now() < end, "it wakes again and again");
    }
}

/// Half a close behind a request whose answer takes its time.
#[test]
fn half_a_close_is_no_reason_to_answer_half() {
    let demo = Demo::default();
    let server = Running::with(one_loop(), &demo);
    let mut client = server.client();
    client.send("GET /static HTTP/1.1\r\nHost: a\r\n\r\nGET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end_sending();
    assert!(client.reply().content == LARGE);
    demo.gate.open();
    assert_eq!(client.last_reply().text(), "at last");
    let mut piece = [0];
    assert_eq!(client.stream().read(&mut piece).unwrap(), 0);
}
