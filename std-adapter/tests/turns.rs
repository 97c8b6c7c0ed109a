//! Nobody takes more than his turn: clients for whom there is always something to do, and others beside them.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::quiet;
use common::running::Running;
use common::{Client, PATIENCE, becomes_true};
use httpling::{Request, RequestHandler, Response, SendError, Sent, status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Content without end, made no faster than clients take it: it hardly ever fills a socket.
#[derive(Clone, Default)]
struct Endless {
    /// Pieces that were made of it.
    pieces: Arc<AtomicUsize>,
}

impl Endless {
    fn pieces(&self) -> usize {
        self.pieces.load(Ordering::Relaxed)
    }
}

impl RequestHandler for Endless {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK);
        match request.path() {
            b"/endless" => head.end_with_producer(1 << 40, 0),
            _ => head.end_with(b"Hello there"),
        }
    }

    fn produce(&mut self, _key: u32, _position: u64, out: &mut [u8]) -> Result<(), SendError> {
        self.pieces.fetch_add(1, Ordering::Relaxed);
        // It computes: from one that slept, the loop would be taken.
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(100) {
            std::hint::spin_loop();
        }
        out.fill(b'x');
        Ok(())
    }
}

const READERS: usize = 8;
/// More than each of them can have in a turn.
const TURN: usize = 20;

/// Runs `act` while clients take all that they are given, as fast as they can.
fn beside_greedy_readers(server: &Running, endless: &Endless, act: impl FnOnce()) {
    let stops = AtomicBool::new(false);
    let readers = [(); READERS].map(|()| server.client());
    let read = |mut client: Client| {
        client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
        let (began, mut piece) = (Instant::now(), vec![0; 1 << 20]);
        // A test that fails does not tell it to stop.
        while !stops.load(Ordering::Relaxed) && began.elapsed() < 3 * PATIENCE {
            client.try_read(&mut piece).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for client in readers {
            scope.spawn(|| read(client));
        }
        assert!(becomes_true(|| endless.pieces() > 4 * READERS * TURN), "each has had some turns");
        act();
        stops.store(true, Ordering::Relaxed);
    });
}

#[test]
fn who_takes_all_that_there_is_leaves_others_their_turn() {
    let endless = Endless::default();
    let server = Running::with(quiet().threads(1), &endless);
    beside_greedy_readers(&server, &endless, || {
        // Counted in what the others got meanwhile. A busy machine may keep this client from asking, but not each time.
        let ask = || {
            let before = endless.pieces();
            assert_eq!(server.client().get("/").text(), "Hello there");
            endless.pieces() - before
        };
        let least = (0..10).map(|_| ask()).min().unwrap();
        assert!(least < 8 * READERS * TURN, "{least} pieces for others, and then its turn");
    });
}

/// The deadlines of what it did before it began to take are not its own any more.
#[test]
fn who_takes_all_that_there_is_meets_no_deadline() {
    let endless = Endless::default();
    let patience = Duration::from_secs(2);
    let server = Running::with(quiet().threads(1).first_byte_timeout(patience), &endless);
    beside_greedy_readers(&server, &endless, || std::thread::sleep(patience * 5 / 4));
    assert_eq!(server.metrics.snapshot().timeouts.first_byte, 0);
}
