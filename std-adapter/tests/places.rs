//! As many connections as there may be: who makes place, and who waits.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, quiet};
use common::running::Running;
use common::{Client, becomes_true};
use std::time::Duration;

/// As many connections as there may be: who is idle makes place, and who is not is left alone.
#[test]
fn the_longest_idle_connection_makes_place() {
    let (server, demo) = Demo::serve(quiet().threads(1).connections_max(4));
    let mut busy = server.client();
    busy.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(1);
    let mut idle: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = server.client();
            client.get("/");
            // So that one is idle for longer than the other, and all for long enough to be closed.
            std::thread::sleep(Duration::from_millis(100));
            client
        })
        .collect();
    for _ in 0..2 {
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    idle[0].expect_end();
    demo.gate.open();
    assert_eq!(busy.reply().text(), "Hello at last");
}

/// As many connections as there may be, and none is idle: the next one waits until one has ended.
#[test]
fn without_idle_connections_accepting_waits() {
    let (server, demo) = Demo::serve(quiet().threads(2).connections_max(3));
    let mut busy =
        Client::crowd(server.address, 3, "GET /gate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    demo.gate.wait_for(3);
    let mut waits = server.client();
    waits.send(GET);
    assert!(!waits.has_something_within(Duration::from_millis(100)));
    demo.gate.open();
    assert_eq!(waits.reply().text(), "Hello there");
    for client in &mut busy {
        assert_eq!(client.last_reply().text(), "Hello at last");
    }
}

/// However many ask for its place at once.
#[test]
fn an_idle_connection_makes_place_for_one() {
    let server = quiet().threads(1).connections_max(1).bind("127.0.0.1:0").unwrap();
    // They are in the queue before anybody looks: the longer it stays full, the more are accepted in a row.
    let _waiting: Vec<Client> = (0..40).map(|_| Client::connect(server.local_addr().unwrap())).collect();
    let server = Running::serve(server, |_| Demo::default());
    let mut most = 0;
    assert!(becomes_true(|| {
        let snapshot = server.metrics.snapshot();
        most = most.max(snapshot.connections_active);
        snapshot.connections_accepted >= 16
    }));
    // The one that makes place ends when the next one is there.
    assert!(most <= 2, "{most} connections, and one is the limit");
    let snapshot = server.metrics.snapshot();
    assert!(snapshot.connections_evicted <= snapshot.connections_closed + 1, "{snapshot:#?}");
}
