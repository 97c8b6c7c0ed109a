//! What the server says of itself in numbers, against what its clients have seen.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, quiet};
use common::running::Running;
use common::{Client, Ending, Process, becomes_true, value};
use httpling::metrics::{ByDeadline, Snapshot};
use httpling::{Builder, Limits};
use std::process::Command;
use std::time::Duration;

/// Waits for numbers of which this holds.
fn wait_for(server: &Running, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let snapshot = || server.metrics.snapshot();
    assert!(becomes_true(|| condition(&snapshot())), "{:#?}", snapshot());
    snapshot()
}

/// So many clients of a handler that waits.
fn gate(server: &Running, clients: usize) -> Vec<Client> {
    Client::crowd(server.address, clients, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn connections_requests_and_octets_are_counted() {
    let (server, _) = Demo::serve(quiet().threads(2));
    assert_eq!(server.metrics.snapshot(), Snapshot::default());
    let (mut sent, mut received) = (0, 0);
    for request in [
        format!("{GET}{GET}POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        // Content that the handler reads itself.
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .to_owned(),
        "PUT / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let mut client = server.client();
        client.send(&request);
        client.end_sending();
        let (bytes, ending) = client.rest();
        assert_eq!(ending, Ending::Closed, "{request}");
        sent += request.len() as u64;
        received += bytes.len() as u64;
    }
    let idle = server.client();
    let snapshot =
        wait_for(&server, |snapshot| snapshot.connections_active == 1 && snapshot.connections_accepted == 8);
    assert_eq!((snapshot.bytes_received, snapshot.bytes_sent), (sent, received));
    let requests = snapshot.requests;
    assert_eq!((requests.successful, requests.client_error, requests.server_error), (5, 1, 2));
    assert_eq!(requests.total(), 8);
    assert_eq!((snapshot.connections_closed, snapshot.connections_refused), (7, 1));
    assert_eq!((snapshot.handler_panics, snapshot.requests_unavailable), (1, 0));
    assert_eq!((snapshot.accept_errors, snapshot.timeouts), (0, ByDeadline::default()));
    drop(idle);
    wait_for(&server, |snapshot| snapshot.connections_active == 0);
}

/// What threads have counted does not go with them.
#[test]
fn numbers_stay_when_the_server_has_ended() {
    let (server, _) = Demo::serve(quiet());
    server.client().get("/");
    server.handle.shutdown();
    server.join();
    let snapshot = wait_for(&server, |snapshot| snapshot.connections_active == 0);
    assert_eq!((snapshot.requests.successful, snapshot.connections_accepted), (1, 1));
}

#[test]
fn running_and_waiting_requests_are_counted() {
    let (server, demo) = Demo::serve(quiet().threads(1).spare_threads_max(2));
    // From the first one on, its kind is known to wait, once the loop is found to.
    let mut clients = gate(&server, 1);
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").status(), 200);
    clients.append(&mut gate(&server, 4));
    let snapshot = wait_for(&server, |snapshot| snapshot.requests_active + snapshot.requests_queued == 5);
    assert!(snapshot.requests_queued >= 2, "{snapshot:?}");
    demo.gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().status(), 200);
    }
    let snapshot = wait_for(&server, |snapshot| snapshot.requests_active == 0);
    assert_eq!((snapshot.requests_queued, snapshot.requests.successful), (0, 6));
}

#[test]
fn requests_without_a_thread_are_counted() {
    let builder = quiet().threads(1).spare_threads_max(1).queue_timeout(Duration::from_millis(50));
    let (server, demo) = Demo::serve(builder);
    let mut first = gate(&server, 1);
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").status(), 200);
    let mut refused = gate(&server, 1);
    assert_eq!(refused[0].reply().status(), 503);
    let snapshot = server.metrics.snapshot();
    assert_eq!((snapshot.timeouts.queue, snapshot.requests_unavailable), (1, 1));
    demo.gate.open();
    assert_eq!(first[0].reply().status(), 200);
}

#[test]
fn deadlines_are_counted_by_what_they_are_for() {
    let short = Duration::from_millis(50);
    let count = |builder: Builder, request: &str| {
        let (server, _) = Demo::serve(builder);
        let mut client = server.client();
        client.send(request);
        if request.contains("endless") {
            // It is not read.
            wait_for(&server, |snapshot| {
                snapshot.connections_active == 0 && snapshot.connections_closed == 1
            });
        } else {
            assert_ne!(client.rest().1, Ending::StillOpen, "{request}");
        }
        let metrics = server.metrics.clone();
        drop(server);
        metrics.snapshot().timeouts
    };
    let timeouts = count(quiet().first_byte_timeout(short), "");
    assert_eq!((timeouts.first_byte, timeouts.idle), (1, 0));
    let timeouts = count(quiet().idle_timeout(short), GET);
    assert_eq!((timeouts.first_byte, timeouts.idle), (0, 1));
    let timeouts = count(quiet().head_timeout(short), "GET / HTTP/1.1\r\nHo");
    assert_eq!((timeouts.head, timeouts.content), (1, 0));
    for framing in ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{framing}");
        let timeouts = count(quiet().read_timeout(short), &request);
        assert_eq!((timeouts.head, timeouts.content), (0, 1), "{framing}");
    }
    let timeouts = count(quiet().write_timeout(short), "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((timeouts.write, timeouts.content), (1, 0));
}

#[test]
fn idle_connections_that_make_place_are_counted() {
    let (server, _) = Demo::serve(quiet().threads(1).connections_max(2));
    let mut idle = Client::idle_crowd(server.address, 2, "/");
    assert_eq!(server.client().get("/").status(), 200);
    assert!(server.metrics.snapshot().connections_evicted >= 1, "{:?}", server.metrics.snapshot());
    idle[0].expect_end();
}

#[test]
fn what_clients_may_not_send_is_counted() {
    let limits = Limits { fields_max: 1, ..Limits::DEFAULT };
    let (server, _) = Demo::serve(quiet().limits(limits));
    for request in ["GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "\x16\x03\x01"] {
        let mut client = server.client();
        client.send(request);
        client.end_sending();
        assert_ne!(client.rest().1, Ending::StillOpen);
    }
    wait_for(&server, |snapshot| snapshot.connections_refused == 2 && snapshot.requests.client_error == 2);
}

#[test]
fn the_program_shows_them_to_prometheus() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.txt"), "the content of a\n").unwrap();
    let arguments = ["-b", "127.0.0.1", "-p", "HTTP/1.1", "--metrics", "127.0.0.1:0", "0", "-d"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_httpling"));
    let process = Process::start(command.args(arguments).arg(directory.path()));
    let said = process.stdout.wait_for(|line| line.starts_with("Metrics at http://")).unwrap();
    let address =
        said.trim_end().strip_prefix("Metrics at http://").unwrap().strip_suffix("/metrics").unwrap();
    let mut prometheus = Client::connect(address.parse().unwrap());

    for target in ["/a.txt", "/nope", "/a.txt", "/nope", "/a.txt"] {
        process.client().get(target);
    }
    let reply = prometheus.get("/metrics");
    assert_eq!(reply.status(), 200);
    assert_eq!(value(&reply.head, "Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "httpling_requests_total{status=\"2xx\"} 3",
        "httpling_requests_total{status=\"4xx\"} 2",
        "httpling_connections_accepted_total 5",
        "# TYPE httpling_connections_accepted_total counter",
    ] {
        assert!(reply.text().lines().any(|other| other == line), "{line} is not in {}", reply.text());
    }
    // The files are elsewhere, and so are the numbers.
    assert_eq!(prometheus.get("/a.txt").status(), 404);
    assert_eq!(process.client().get("/metrics").status(), 404);
    // Whoever reads the numbers is not in the log of who reads the files.
    process.signal("TERM");
    let (status, _, log) = process.end();
    assert!(status.success());
    assert_eq!(log.iter().filter(|line| line.contains("/metrics")).count(), 1, "{log:#?}");
}

#[test]
fn memory_that_is_lent_is_counted_until_it_is_given_back() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(10_000)));
    wait_for(&server, |snapshot| snapshot.bytes_lent >= 10_000);
    client.send("\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
    wait_for(&server, |snapshot| snapshot.bytes_lent == 0);
}

/// Whatever clients do, and wherever a connection ends: nothing is counted twice, and nothing is left.
#[test]
fn in_the_end_the_accounts_balance() {
    let short = Duration::from_millis(100);
    let builder = quiet().threads(2).spare_threads_max(3).queue_max(3).queue_timeout(short);
    // There is too little of everything.
    let builder = builder.connections_max(24).lent_bytes_max(60_000).unsent_bytes_max(200_000);
    let builder = builder.head_timeout(short).idle_timeout(short).read_timeout(short).write_timeout(short);
    let (server, demo) = Demo::serve(builder);
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(20_000));
    let head = |start: &str| format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n");
    let chunks = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let requests = [
        String::new(),
        GET.to_owned(),
        GET.repeat(20),
        "GET / HTTP/1.1\r\nHo".to_owned(),
        "\x16\x03\x01\r\n\r\n".to_owned(),
        format!("{long}\r\n\r\n"),
        long,
        head("GET /large"),
        head("GET /large").repeat(3),
        head("GET /endless"),
        head("GET /stream"),
        head("GET /gate"),
        format!("{GET}{}{GET}", head("GET /gate")),
        head("GET /panic"),
        head("GET /panic-late"),
        format!("{}{GET}", head("GET /panic-in-log")),
        head("PUT /"),
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc".to_owned(),
        "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nabc".to_owned(),
        chunks.to_owned(),
        format!("{chunks}0\r\n\r\n{GET}"),
    ];
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut open = Vec::new();
    for round in 0..600 {
        let Ok(mut client) = Client::try_connect(server.address) else { continue };
        let request = &requests[random(requests.len())];
        // Whole, or a part of it.
        let end = if random(3) == 0 { random(request.len() + 1) } else { request.len() };
        _ = client.try_send(&request.as_bytes()[..end]);
        match random(5) {
            0 => socket2::SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap(),
            1 => _ = client.stream().shutdown(std::net::Shutdown::Write),
            2 => _ = client.has_something_within(Duration::from_millis(1)),
            _ => {}
        }
        open.push(client);
        while open.len() > random(40) {
            drop(open.swap_remove(random(open.len())));
        }
        if round == 300 {
            demo.gate.open();
        }
    }
    drop(open);
    let is_still = |snapshot: &Snapshot| {
        snapshot.connections_active == 0 && snapshot.requests_active == 0 && snapshot.requests_queued == 0
    };
    let snapshot = wait_for(&server, is_still);
    assert_eq!(snapshot.connections_accepted, snapshot.connections_closed);
    assert_eq!((snapshot.bytes_lent, snapshot.bytes_unsent), (0, 0), "{snapshot:#?}");
    assert!(snapshot.handler_panics > 0 && snapshot.connections_refused > 0, "{snapshot:#?}");
    assert_eq!(server.client().get("/").status(), 200);
}
