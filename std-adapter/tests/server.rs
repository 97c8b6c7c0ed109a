//! The library on real sockets: what a client sees, whatever engine is behind it.
//!
//! Nothing here looks inside. A test waits for what it expects to happen, not for time to pass; the server's time-outs are
//! made short where one is meant to run out, and every wait has an end.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{Demo, GET, HELLO, large, one_of_three, quiet};
use common::running::Running;
use common::{Client, Ending, Gate, PATIENCE, is_reset, status, value};
use httpling::{Limits, Version};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// ---- listening ----

#[test]
fn port_0_is_a_free_port_and_the_banner_names_it() {
    let server = quiet().bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    assert_ne!(port, 0);
    assert_eq!(
        server.banner(),
        format!("Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...")
    );
}

#[test]
fn names_are_resolved() {
    let demo = Demo::default();
    let server = Running::serve(quiet().bind(("localhost", 0)).unwrap(), move |_| demo.clone());
    assert!(server.address.ip().is_loopback());
    assert_eq!(server.client().get("/").text(), "Hello there");
}

#[test]
fn the_first_address_that_can_be_had_is_taken() {
    // The first one is for documentation: nobody has it (RFC 5737).
    let addresses: [SocketAddr; 2] = ["203.0.113.7:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let server = quiet().bind(&addresses[..]).unwrap();
    assert_eq!(server.local_addr().unwrap().ip(), addresses[1].ip());
    let error = quiet().bind(addresses[0]).expect_err("nobody has it");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn all_interfaces_are_ipv4_and_ipv6() {
    let Ok(server) = quiet().bind("[::]:0") else {
        return; // A machine without IPv6.
    };
    let port = server.local_addr().unwrap().port();
    assert_eq!(server.banner(), format!("Serving HTTP on :: port {port} (http://[::]:{port}/) ..."));
    let demo = Demo::default();
    let server = Running::serve(server, move |_| demo.clone());
    for (host, peer) in [("127.0.0.1", "::ffff:127.0.0.1"), ("::1", "::1")] {
        let mut client = Client::connect(SocketAddr::new(host.parse().unwrap(), port));
        assert_eq!(client.get("/peer").text(), peer);
    }
    drop(server);
}

#[test]
fn an_address_in_use_is_an_error() {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = quiet().bind(first.local_addr().unwrap()).expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(quiet().bind(&[][..]).expect_err("nothing to bind").kind(), io::ErrorKind::InvalidInput);
}

/// The end that closes first remembers the connection for a minute, and its port with it (spec 21).
#[cfg(target_os = "linux")]
#[test]
fn a_restart_on_the_same_port_works_at_once() {
    // An address of its own, so that no other test can take the port in between.
    let mut address: SocketAddr = "127.77.0.1:0".parse().unwrap();
    for _ in 0..3 {
        let demo = Demo::default();
        let server = Running::serve(quiet().bind(address).unwrap(), move |_| demo.clone());
        address = server.address;
        let mut client = server.client();
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(reply.text(), "Hello there");
        client.expect_end();
    }
}

/// The kernel holds them until somebody accepts (spec 26).
#[test]
fn a_burst_of_clients_finds_room() {
    let server = quiet().bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let clients = Client::crowd(address, 200, "");
    let demo = Demo::default();
    let server = Running::serve(server, move |_| demo.clone());
    for mut client in clients {
        assert_eq!(client.get("/").text(), "Hello there");
    }
    drop(server);
}

// ---- requests and responses ----

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    for _ in 0..3 {
        client.send(GET);
        assert_eq!(client.head(), HELLO);
        client.expect("Hello there");
    }
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.head(), HELLO.replace("Content-Length", "Connection: close\r\nContent-Length"));
    client.expect("Hello there");
    client.expect_end();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (server, _) = Demo::serve(quiet());
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
        GET /stream HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n\
        GET /target?12345 HTTP/1.1\r\nHost: a\r\n\r\n";
    for piece in [requests.len(), 1, 7, 60] {
        let mut client = server.client();
        let mut left = requests.as_bytes();
        while let Some((now, later)) =
            left.split_at_checked(piece.min(left.len())).filter(|it| !it.0.is_empty())
        {
            client.send(now);
            left = later;
        }
        assert_eq!(client.head(), HELLO);
        client.expect("Hello there");
        assert_eq!(client.reply().text(), "abc");
        let streamed = client.head();
        assert_eq!(value(&streamed, "Transfer-Encoding"), Some("chunked"));
        client.expect("4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\n\r\n");
        assert_eq!(client.head(), HELLO);
        assert_eq!(client.reply().text(), "not read");
        assert_eq!(client.reply().text(), "5");
        client.end_sending();
        client.expect_end();
    }
}

#[test]
fn http_10_is_kept_alive_where_it_asks_for_it() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    for _ in 0..2 {
        let reply = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((reply.value("Connection"), reply.text().as_str()), (Some("keep-alive"), "Hello there"));
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.last_reply().value("Connection"), Some("close"));

    // Content without a length ends with the connection (RFC 9112 §6.3).
    let mut client = server.client();
    client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.head();
    assert_eq!((value(&head, "Transfer-Encoding"), value(&head, "Connection")), (None, Some("close")));
    assert_eq!(client.rest(), (b"one,two,three".to_vec(), Ending::Closed));
}

/// What the program does by default (spec 62).
#[test]
fn a_server_of_http_10_serves_one_request_per_connection() {
    let (server, _) = Demo::serve(quiet().protocol(Version::Http10));
    let mut client = server.client();
    client.send(format!("{GET}{GET}"));
    let reply = client.last_reply();
    assert!(reply.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", reply.head);
}

/// A thread keeps its date as long as no time passes: not longer.
#[test]
fn the_date_goes_on_with_the_time() {
    let (server, _) = Demo::serve(quiet().threads(1));
    let second = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    // One connection: its loop wakes up for the request alone.
    let mut client = server.client();
    for _ in 0..3 {
        // The system's tick may be some milliseconds behind.
        let earliest = second(SystemTime::now() - Duration::from_millis(100));
        client.send(GET);
        let (mut answer, mut piece) = (String::new(), [0; 1000]);
        while !answer.ends_with("Hello there") {
            let count = client.try_read(&mut piece).unwrap();
            answer.push_str(str::from_utf8(&piece[..count]).unwrap());
        }
        let date = second(httpdate::parse_http_date(value(&answer, "Date").unwrap()).unwrap());
        assert!((earliest..=second(SystemTime::now())).contains(&date), "{earliest}: {answer}");
        std::thread::sleep(Duration::from_millis(1100)); // The next second.
    }
}

#[test]
fn head_is_get_without_content() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    client.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(value(&client.head(), "Content-Length"), Some("16000000"));
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.head()), 200);
    assert_eq!(client.head(), HELLO);
    client.expect("Hello there");
    client.end_sending();
    client.expect_end();
}

#[test]
fn a_client_that_waits_to_be_asked_for_content_is_asked() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    let head = |path: &str, length: u64| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    client.send(head("/echo", 5));
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    assert_eq!(client.reply().text(), "hello");
    // Too much for it: told so, and not asked.
    client.send(head("/other", 2 << 20));
    assert_eq!(client.last_reply().status(), 413);
    // A handler that does not want it does not ask either. Nobody knows whether it comes, so the connection ends.
    let mut client = server.client();
    client.send(head("/unread", 5));
    let reply = client.last_reply();
    assert_eq!((reply.text().as_str(), reply.value("Connection")), ("not read", Some("close")));
}

#[test]
fn chunked_content_is_decoded() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let content =
        "4;name=value\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Trailer: 1\r\n\r\n";
    for piece in [content.len(), 1, 3] {
        client.send(head);
        for bytes in content.as_bytes().chunks(piece) {
            client.send(bytes);
        }
        assert_eq!(client.reply().text(), "Wikipedia in \r\n\r\nchunks.");
    }
    client.send(format!("{head}4\r\nWiki\r\nxyz\r\n"));
    assert_eq!(client.last_reply().status(), 400);
}

#[test]
fn large_content_goes_both_ways() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    let content = large();
    assert!(client.get("/large").content == content);
    let content = &content[..3 << 20];
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", content.len()));
    client.send(content);
    assert!(client.reply().content == content);
    assert_eq!(client.get("/").text(), "Hello there");
}

/// Content that nobody reads is not the next request (spec 58).
#[test]
fn unread_content_is_dropped() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    let smuggled = "GET /target?1 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!(
        "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}{GET}",
        smuggled.len()
    ));
    assert_eq!(client.reply().text(), "not read");
    assert_eq!(client.reply().text(), "Hello there");
    // Too much to wait for.
    client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let reply = client.last_reply();
    assert_eq!((reply.text().as_str(), reply.value("Connection")), ("not read", Some("close")));
}

/// "A half-close is a request that is answered whole": `printf … | nc` is such a client.
#[test]
fn a_request_and_half_a_close_is_answered_whole() {
    let (server, demo) = Demo::serve(quiet());
    let mut client = server.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end_sending();
    assert!(client.last_reply().content == large());
    // The end has arrived long before the response is there.
    let mut client = server.client();
    client.send(format!("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n{GET}"));
    client.end_sending();
    demo.gate.wait_for(1);
    demo.gate.open();
    assert_eq!(client.reply().text(), "Hello at last");
    assert_eq!(client.last_reply().text(), "Hello there");
    // Half a request is none.
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHo");
    client.end_sending();
    assert_eq!(client.last_reply().status(), 400);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    client.end_sending();
    assert_eq!(client.last_reply().status(), 400);
}

/// A socket that is closed before everything was read sends a reset, which can destroy the answer on its way (spec 33).
#[test]
fn a_refusal_arrives_although_the_client_is_still_sending() {
    let (server, _) = Demo::serve(quiet());
    let content = vec![b'x'; 100_000];
    for (request, expected) in [
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/2.0\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 505),
    ] {
        one_of_three(|| {
            let mut client = server.client();
            client.send(request);
            // It is there, and the client goes on as if it were not.
            assert!(client.has_something_within(PATIENCE));
            for piece in content.chunks(10_000) {
                client.try_send(piece).map_err(|error| format!("{expected}: cannot send: {error}"))?;
            }
            client.end_sending();
            let reply = client.try_reply().map_err(|error| format!("{expected}: {error}"))?;
            assert_eq!((reply.status(), reply.value("Connection")), (expected, Some("close")));
            match client.rest() {
                (rest, Ending::Closed) if rest.is_empty() => Ok(()),
                other => Err(format!("{expected}: then {other:?}")),
            }
        });
    }
}

#[test]
fn a_refusal_arrives_although_the_client_never_stops_sending() {
    let (server, _) = Demo::serve(quiet());
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let mut stream = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        // Until the server cuts it off, which it must.
        let mut sent = 0;
        while sent < 1_000_000_000 {
            match io::Write::write(&mut stream, &[b'x'; 16384]) {
                Ok(count) => sent += count,
                Err(error) => return Some(error),
            }
        }
        None
    });
    assert_eq!(client.reply().status(), 413);
    let error = sender.join().unwrap().expect("the server does not take all of it");
    assert!(is_reset(&error), "{error}");
}

#[test]
fn a_request_line_may_have_65536_octets() {
    let (server, _) = Demo::serve(quiet());
    let line = |length: usize| {
        let frame = "GET /target? HTTP/1.1".len();
        format!("GET /target?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - frame))
    };
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.ask(&line(65536)).text(), (65536 - "GET /target? HTTP/1.1".len()).to_string());
    }
    assert_eq!(client.ask(&line(65537)).status(), 414);
    client.expect_end();
    // Without a line end, too, and not one octet later.
    let mut client = server.client();
    client.send("x".repeat(65537 + 1));
    assert_eq!(client.last_reply().status(), 414);
}

#[test]
fn the_last_request_of_a_connection_is_told_so() {
    let limits = Limits { requests_max: 3, ..Limits::DEFAULT };
    let (server, _) = Demo::serve(quiet().limits(limits));
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").value("Connection"), None);
    }
    client.send(format!("{GET}{GET}"));
    assert_eq!(client.last_reply().value("Connection"), Some("close"));
}

#[test]
fn the_servers_name_can_be_another_or_none() {
    let (server, _) = Demo::serve(quiet().server_name(Some("thermometer")));
    assert_eq!(server.client().get("/").value("Server"), Some("thermometer"));
    let (server, _) = Demo::serve(quiet().server_name(None));
    assert_eq!(server.client().get("/").value("Server"), None);
}

/// Two small writes on a connection that is kept: without `TCP_NODELAY` the second waits for the acknowledgement of the
/// first, which the client delays for 40 ms (spec 29).
#[test]
fn no_response_waits_for_an_acknowledgement() {
    const ROUNDS: u32 = 100;
    let (server, _) = Demo::serve(quiet());
    one_of_three(|| {
        let mut client = server.client();
        let began = Instant::now();
        for _ in 0..ROUNDS {
            assert_eq!(client.get("/stream").text(), "one,two,three");
        }
        let took = began.elapsed();
        if took < ROUNDS * Duration::from_millis(20) { Ok(()) } else { Err(format!("{took:?}")) }
    });
}

// ---- many clients ----

#[test]
fn many_clients_one_after_the_other() {
    let (server, _) = Demo::serve(quiet());
    for _ in 0..500 {
        let mut client = server.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.last_reply().text(), "Hello there");
    }
}

#[test]
fn many_clients_at_once() {
    let (server, _) = Demo::serve(quiet());
    let address = server.address;
    let threads: Vec<_> = (0..32)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for round in 0..50 {
                    let content = format!("{number} in round {round}");
                    let length = content.len();
                    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
                    assert_eq!(client.ask(&(head + &content)).text(), content);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A browser keeps connections that it may never use again (spec 27).
#[test]
fn idle_connections_lock_nobody_out() {
    for greeting in ["", GET] {
        let (server, _) = Demo::serve(quiet().threads(2));
        let idle: Vec<Client> = (0..4)
            .map(|_| {
                let mut client = server.client();
                if !greeting.is_empty() {
                    assert_eq!(client.ask(greeting).text(), "Hello there");
                }
                client
            })
            .collect();
        // Long before any of them times out.
        let began = Instant::now();
        for _ in 0..3 {
            assert_eq!(server.client().get("/").text(), "Hello there");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(idle);
    }
}

/// Its request is on its way, and it is not idle because another one comes.
#[test]
fn a_new_connection_has_time_for_its_request() {
    let (server, _) = Demo::serve(quiet().threads(1));
    one_of_three(|| {
        let a_moment = Duration::from_millis(20);
        let mut first = server.client();
        assert!(!first.has_something_within(a_moment));
        let mut second = server.client();
        second.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        // It may be answered at once, or in its turn.
        second.has_something_within(a_moment);
        first.try_send(GET).map_err(|error| error.to_string())?;
        first.end_sending();
        let reply = first.try_reply().map_err(|error| error.to_string())?;
        assert_eq!(reply.text(), "Hello there");
        assert_eq!(second.last_reply().text(), "Hello there");
        Ok(())
    });
}

/// They wait for their turn; none of them is taken for an idle one.
#[test]
fn more_clients_than_threads_are_all_answered() {
    let (server, _) = Demo::serve(quiet().threads(2));
    let address = server.address;
    let threads: Vec<_> = (0..24)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..4 {
                    let mut client = Client::connect(address);
                    client.send("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                    assert_eq!(client.last_reply().text(), "one,two,three");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn handle_request_serves_one_connection() {
    let server = quiet().bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        assert_eq!(client.get("/").text(), "Hello there");
        assert_eq!(client.get("/panic").status(), 500);
        client.expect_end();
        let mut client = Client::connect(address);
        client.send(GET);
        client.end_sending();
        assert_eq!(client.last_reply().text(), "Hello there");
        let mut client = Client::connect(address);
        client.send(GET);
        // It is in the queue. Nobody serves it.
        assert!(!client.has_something_within(Duration::from_millis(100)));
    });
    for _ in 0..2 {
        server.handle_request(|_| Demo::default()).unwrap();
    }
    clients.join().unwrap();
}

// ---- for a watchdog ----

#[test]
fn a_pulse_beats_unless_a_loop_is_stuck() {
    let gate = Gate::default();
    let stuck = gate.clone();
    let server = quiet().threads(1).spare_threads_max(1).bind("127.0.0.1:0").unwrap();
    let pulse = server.pulse();
    assert!(pulse.beats(Duration::ZERO), "nobody serves yet: nobody is stuck");
    let server = Running::serve(server, move |_| {
        stuck.pass();
        Demo::default()
    });
    let mut first = server.client();
    assert!(pulse.beats(PATIENCE));
    first.send(GET);
    gate.wait_for(1);
    assert!(pulse.beats(PATIENCE), "another thread drives the loop");
    // One for the handlers that wait, one for the loop, and its reserve.
    let mut others = Client::crowd(server.address, 2, GET);
    gate.wait_for(3);
    assert!(!pulse.beats(Duration::from_millis(50)));
    gate.open();
    assert!(pulse.beats(PATIENCE));
    for client in others.iter_mut().chain([&mut first]) {
        assert_eq!(client.reply().text(), "Hello there");
    }
    server.handle.shutdown();
    server.join();
    assert!(pulse.beats(Duration::ZERO), "it has ended");
}
