//! What the server says of itself in numbers, against what its clients have seen.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, quiet};
use common::running::Running;
use common::{Ending, Process, becomes_true, value};
use httpling::metrics::{ByDeadline, Metrics, Snapshot};
use httpling::{Builder, Limits};
use std::process::Command;
use std::time::Duration;

/// A server and its numbers.
fn serve(builder: Builder) -> (Running, Demo, Metrics) {
    let server = builder.bind("127.0.0.1:0").unwrap();
    let (demo, metrics) = (Demo::default(), server.metrics());
    let handler = demo.clone();
    (Running::serve(server, move |_| handler.clone()), demo, metrics)
}

/// Waits for numbers of which this holds.
fn wait_for(metrics: &Metrics, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
    assert!(becomes_true(|| condition(&metrics.snapshot())), "{:#?}", metrics.snapshot());
    metrics.snapshot()
}

#[test]
fn connections_requests_and_octets_are_counted() {
    let (server, _, metrics) = serve(quiet().threads(2));
    assert_eq!(metrics.snapshot(), Snapshot::default());
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
        wait_for(&metrics, |snapshot| snapshot.connections_active == 1 && snapshot.connections_accepted == 8);
    assert_eq!((snapshot.bytes_received, snapshot.bytes_sent), (sent, received));
    let requests = snapshot.requests;
    assert_eq!((requests.successful, requests.client_error, requests.server_error), (5, 1, 2));
    assert_eq!(requests.total(), 8);
    assert_eq!((snapshot.connections_closed, snapshot.connections_refused), (7, 1));
    assert_eq!((snapshot.handler_panics, snapshot.requests_unavailable), (1, 0));
    assert_eq!((snapshot.accept_errors, snapshot.timeouts), (0, ByDeadline::default()));
    drop(idle);
    wait_for(&metrics, |snapshot| snapshot.connections_active == 0);
}

/// What threads have counted does not go with them.
#[test]
fn numbers_stay_when_the_server_has_ended() {
    let (server, _, metrics) = serve(quiet());
    server.client().get("/");
    server.handle.shutdown();
    server.join();
    drop(server);
    let snapshot = wait_for(&metrics, |snapshot| snapshot.connections_active == 0);
    assert_eq!((snapshot.requests.successful, snapshot.connections_accepted), (1, 1));
}

#[test]
fn running_and_waiting_requests_are_counted() {
    let (server, demo, metrics) = serve(quiet().threads(1).spare_threads_max(2));
    let ask = || {
        let mut client = server.client();
        client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    // From the first one on, its kind is known to wait, once the loop is found to.
    let mut clients = vec![ask()];
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").status(), 200);
    clients.extend((0..4).map(|_| ask()));
    let snapshot = wait_for(&metrics, |snapshot| snapshot.requests_active + snapshot.requests_queued == 5);
    assert!(snapshot.requests_queued >= 2, "{snapshot:?}");
    demo.gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().status(), 200);
    }
    let snapshot = wait_for(&metrics, |snapshot| snapshot.requests_active == 0);
    assert_eq!((snapshot.requests_queued, snapshot.requests.successful), (0, 6));
}

#[test]
fn requests_without_a_thread_are_counted() {
    let builder = quiet().threads(1).spare_threads_max(1).queue_timeout(Duration::from_millis(50));
    let (server, demo, metrics) = serve(builder);
    let ask = || {
        let mut client = server.client();
        client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let mut first = ask();
    demo.gate.wait_for(1);
    assert_eq!(server.client().get("/").status(), 200);
    let mut refused = ask();
    assert_eq!(refused.reply().status(), 503);
    let snapshot = metrics.snapshot();
    assert_eq!((snapshot.timeouts.queue, snapshot.requests_unavailable), (1, 1));
    demo.gate.open();
    assert_eq!(first.reply().status(), 200);
}

#[test]
fn deadlines_are_counted_by_what_they_are_for() {
    let short = Duration::from_millis(50);
    let count = |builder: Builder, request: &str| {
        let (server, _, metrics) = serve(builder);
        let mut client = server.client();
        client.send(request);
        if request.contains("endless") {
            // It is not read.
            wait_for(&metrics, |snapshot| {
                snapshot.connections_active == 0 && snapshot.connections_closed == 1
            });
        } else {
            assert_ne!(client.rest().1, Ending::StillOpen, "{request}");
        }
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
    let (server, _, metrics) = serve(quiet().threads(1).connections_max(2));
    let mut idle: Vec<_> = (0..2)
        .map(|_| {
            let mut client = server.client();
            client.get("/");
            client
        })
        .collect();
    assert_eq!(server.client().get("/").status(), 200);
    assert!(metrics.snapshot().connections_evicted >= 1, "{:?}", metrics.snapshot());
    idle[0].expect_end();
}

#[test]
fn what_clients_may_not_send_is_counted() {
    let limits = Limits { fields_max: 1, ..Limits::DEFAULT };
    let (server, _, metrics) = serve(quiet().limits(limits));
    for request in ["GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "\x16\x03\x01"] {
        let mut client = server.client();
        client.send(request);
        client.end_sending();
        assert_ne!(client.rest().1, Ending::StillOpen);
    }
    wait_for(&metrics, |snapshot| snapshot.connections_refused == 2 && snapshot.requests.client_error == 2);
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
    let mut prometheus = common::Client::connect(address.parse().unwrap());

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
    let (server, _, metrics) = serve(quiet());
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(10_000)));
    wait_for(&metrics, |snapshot| snapshot.bytes_lent >= 10_000);
    client.send("\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
    wait_for(&metrics, |snapshot| snapshot.bytes_lent == 0);
}
