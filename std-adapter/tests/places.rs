//! As many connections as there may be: who makes place, and who waits.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, LAST, quiet};
use common::running::Running;
use common::{Client, becomes_true};
use std::time::Duration;

/// Longer than a connection must have been idle to be closed for another one.
const IDLE: Duration = Duration::from_millis(400);

/// Asks, so that it is idle for a shorter time than all that have asked before.
fn ask(client: &mut Client) {
    // The server counts in ticks of the system.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(client.get("/").text(), "Hello there");
}

/// As many connections as there may be: who is idle for longest makes place, and nobody else does.
#[test]
fn the_longest_idle_connection_makes_place() {
    let (server, demo) = Demo::serve(quiet().threads(1).connections_max(4));
    let mut busy = server.client();
    busy.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    demo.gate.wait_for(1);
    let mut idle = Client::crowd(server.address, 3, "");
    idle.iter_mut().for_each(ask);
    // Of those that are left, the one that came first has asked last.
    for (longest, others) in [(0, vec![2, 1]), (2, vec![1])] {
        std::thread::sleep(IDLE);
        assert_eq!(server.client().ask(LAST).text(), "Hello there");
        idle[longest].expect_end();
        for other in others {
            ask(&mut idle[other]);
        }
        // It takes the place that has become free.
        if longest == 0 {
            idle[0] = server.client();
            ask(&mut idle[0]);
        }
    }
    demo.gate.open();
    assert_eq!(busy.reply().text(), "Hello at last");
}

/// Where the loop that lets clients in has nobody who is idle, another one has.
#[test]
fn an_idle_connection_of_another_loop_makes_place() {
    let (server, _) = Demo::serve(quiet().threads(2).connections_max(2));
    let mut clients = [server.client(), server.client()];
    clients.iter_mut().for_each(ask);
    // Each has settled in a loop of its own, and now one of them has something to do.
    for busy in 0..2 {
        clients[busy].send("GET / HTTP/1.1\r\nHo");
        std::thread::sleep(IDLE);
        assert_eq!(server.client().ask(LAST).text(), "Hello there");
        clients[1 - busy].expect_end();
        clients[busy].send("st: a\r\n\r\n");
        assert_eq!(clients[busy].reply().text(), "Hello there");
        clients[1 - busy] = server.client();
        ask(&mut clients[1 - busy]);
    }
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
    let _waiting = Client::crowd(server.local_addr().unwrap(), 40, "");
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
