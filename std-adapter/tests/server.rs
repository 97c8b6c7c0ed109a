//! The library on real sockets: what a client sees, whatever engine is behind it.
//!
//! Nothing here looks inside. A test waits for what it expects to happen, not for time to pass; the server's time-outs are
//! made short where one is meant to run out, and every wait has an end.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{
    Client, Ending, Gate, PATIENCE, Process, becomes_true, is_refused, is_reset, log_text, status, value,
};
use httpling::{
    Builder, HttpServer, Limits, LogEntry, Methods, Request, RequestHandler, RequestHead, Response,
    SendError, Sent, ShutdownHandle, Version, status,
};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

// ---- a server to talk to ----

/// A server on a thread of this process. It is ended with its test.
struct Running {
    address: SocketAddr,
    handle: ShutdownHandle,
    ended: Receiver<io::Result<()>>,
}

impl Running {
    /// With the handler of these tests.
    fn demo(builder: Builder) -> (Self, Demo) {
        let demo = Demo::default();
        let handler = demo.clone();
        (Self::start(builder, move |_| handler.clone()), demo)
    }

    fn start<H: RequestHandler + Send + 'static, F>(builder: Builder, factory: F) -> Self
    where
        F: Fn(SocketAddr) -> H + Send + Sync + 'static,
    {
        Self::serve(builder.bind("127.0.0.1:0").expect("a free port"), factory)
    }

    fn serve<H: RequestHandler + Send + 'static, F>(server: HttpServer, factory: F) -> Self
    where
        F: Fn(SocketAddr) -> H + Send + Sync + 'static,
    {
        let (address, handle) = (server.local_addr(), server.shutdown_handle());
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let result = server.serve_forever(factory);
            drop(server);
            // Nobody waits any more when the test has failed.
            _ = sender.send(result);
        });
        Self { address, handle, ended }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until `serve_forever` returns.
    fn join(&self) {
        self.ended.recv_timeout(2 * PATIENCE).expect("the server ends").expect("without an error");
    }

    fn is_running(&self) -> bool {
        matches!(self.ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        // It may have been waited for already: then the other end is gone.
        let end = self.ended.recv_timeout(2 * PATIENCE);
        assert!(
            !matches!(end, Err(RecvTimeoutError::Timeout)) || std::thread::panicking(),
            "the server does not end"
        );
    }
}

/// The defaults, without a log, and with little patience for what a test leaves behind.
fn quiet() -> Builder {
    HttpServer::builder().log(false).drain_timeout(Duration::from_secs(3))
}

/// Something of everything.
#[derive(Clone, Default)]
struct Demo {
    gate: Gate,
    /// How handlers ended that noticed.
    outcomes: Arc<Mutex<Vec<SendError>>>,
}

impl Demo {
    /// Writes until it cannot.
    fn write_on(&self, mut body: httpling::Body<'_>, piece: &[u8]) -> Result<Sent, SendError> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Err(error) = body.write_all(piece).and_then(|()| body.flush()) {
                self.outcomes.lock().unwrap().push(error);
                return Err(error);
            }
        }
        body.finish()
    }

    fn outcomes(&self) -> Vec<SendError> {
        self.outcomes.lock().unwrap().clone()
    }
}

impl RequestHandler for Demo {
    fn content_bytes_max(&mut self, request: &RequestHead<'_>, default: u64) -> u64 {
        match request.path() {
            b"/panic-in-limit" => panic!("as the client asked"),
            b"/echo" => u64::MAX,
            _ => default,
        }
    }

    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK).send_header("Content-Type", "text/plain");
        match request.path() {
            b"/peer" => head.end_with(request.peer().unwrap().ip().to_string().as_bytes()),
            b"/target" => head.end_with(request.query().unwrap_or_default().len().to_string().as_bytes()),
            b"/gate" => {
                self.gate.pass();
                head.end_with(b"Hello at last")
            }
            b"/stream" => {
                let mut body = head.streamed().end_headers()?;
                for piece in [&b"one,"[..], b"two,", b"three"] {
                    body.write_all(piece)?;
                    body.flush()?;
                }
                body.finish()
            }
            b"/large" => head.end_with(&large()),
            b"/endless" => self.write_on(head.streamed().end_headers()?, &[b'x'; 16384]),
            // So little that it never fills a socket: what cuts it is not the write.
            b"/ticking" => {
                let mut body = head.streamed().end_headers()?;
                body.write_all(b"tick")?;
                body.flush()?;
                self.gate.pass();
                body.write_all(b"tock")?;
                body.finish()
            }
            b"/panic" => panic!("as the client asked"),
            b"/panic-late" => {
                let mut body = head.streamed().end_headers()?;
                body.write_all(b"the beginning")?;
                body.flush()?;
                panic!("as the client asked")
            }
            b"/panic-in-log" => head.end_with(b"before the panic"),
            _ => head.end_with(b"Hello there"),
        }
    }

    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if request.path() == b"/unread" {
            return response.send_response(status::OK).end_with(b"not read");
        }
        let mut content = vec![0; 4 << 20];
        let content = request.read_to_end(&mut content)?;
        response.send_response(status::OK).end_with(content)
    }

    fn log_request(&mut self, entry: &LogEntry<'_>) {
        assert!(!entry.request_line.starts_with(b"GET /panic-in-log"), "as the client asked");
    }
}

/// More than all buffers on the way hold, and no two places alike.
fn large() -> Vec<u8> {
    (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What `/` answers, and what a test compares with, byte for byte.
const HELLO: &str = "HTTP/1.1 200 OK\r\nServer: httpling\r\nDate: D\r\nContent-Type: text/plain\r\n\
    Content-Length: 11\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// For what a machine that stands still for a second can spoil: three times is no accident.
fn one_of_three(attempt: impl Fn() -> Result<(), String>) {
    let failures: Vec<String> = std::iter::repeat_with(attempt).take(3).map_while(Result::err).collect();
    assert!(failures.len() < 3, "{failures:#?}");
}

// ---- listening ----

#[test]
fn port_0_is_a_free_port_and_the_banner_names_it() {
    let server = quiet().bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().port();
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
    assert_eq!(server.local_addr().ip(), addresses[1].ip());
    let error = quiet().bind(addresses[0]).expect_err("nobody has it");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn all_interfaces_are_ipv4_and_ipv6() {
    let Ok(server) = quiet().bind("[::]:0") else {
        return; // A machine without IPv6.
    };
    let port = server.local_addr().port();
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
    let address = server.local_addr();
    let clients: Vec<Client> = (0..200).map(|_| Client::connect(address)).collect();
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet().protocol(Version::Http10));
    let mut client = server.client();
    client.send(format!("{GET}{GET}"));
    let reply = client.last_reply();
    assert!(reply.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", reply.head);
}

#[test]
fn head_is_get_without_content() {
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, demo) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet().limits(limits));
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").value("Connection"), None);
    }
    client.send(format!("{GET}{GET}"));
    assert_eq!(client.last_reply().value("Connection"), Some("close"));
}

#[test]
fn the_servers_name_can_be_another_or_none() {
    let (server, _) = Running::demo(quiet().server_name(Some("thermometer")));
    assert_eq!(server.client().get("/").value("Server"), Some("thermometer"));
    let (server, _) = Running::demo(quiet().server_name(None));
    assert_eq!(server.client().get("/").value("Server"), None);
}

/// Two small writes on a connection that is kept: without `TCP_NODELAY` the second waits for the acknowledgement of the
/// first, which the client delays for 40 ms (spec 29).
#[test]
fn no_response_waits_for_an_acknowledgement() {
    const ROUNDS: u32 = 100;
    let (server, _) = Running::demo(quiet());
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

// ---- time ----

#[test]
fn a_head_that_comes_too_slowly_is_refused() {
    const DEADLINE: Duration = Duration::from_millis(300);
    // Only this one is short: another one that ran out would be a bug.
    let (server, _) = Running::demo(quiet().head_timeout(DEADLINE));
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
    let (server, _) = Running::demo(quiet());
    let mut client = server.client();
    for octet in GET.as_bytes().chunks(1) {
        client.send(octet);
        assert!(!client.has_something_within(Duration::from_millis(1)) || octet == b"\n");
    }
    assert_eq!(client.reply().text(), "Hello there");
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let (server, _) = Running::demo(quiet().first_byte_timeout(DEADLINE));
    let began = Instant::now();
    let mut client = server.client();
    client.expect_end();
    assert!(began.elapsed() >= DEADLINE && began.elapsed() < PATIENCE);
    // Idle after a request is another thing.
    let mut client = server.client();
    client.get("/");
    assert!(!client.has_something_within(3 * DEADLINE));
    assert_eq!(client.get("/").text(), "Hello there");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let (server, _) = Running::demo(quiet().idle_timeout(DEADLINE));
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
    let (server, _) = Running::demo(quiet().read_timeout(Duration::from_millis(200)));
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.last_reply().status(), 408);
    assert_eq!(server.client().get("/").text(), "Hello there");
}

/// To an HTTP/1.0 client the end of the connection is the end of the content: so it must not look like one.
#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let (server, demo) = Running::demo(quiet().write_timeout(Duration::from_millis(200)));
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
    let (server, _) = Running::demo(quiet().write_timeout(Duration::from_secs(1)));
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

// ---- handlers that fail ----

#[test]
fn a_panic_before_the_response_is_answered_with_500() {
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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
    let (server, _) = Running::demo(quiet());
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

// ---- many clients ----

#[test]
fn many_clients_one_after_the_other() {
    let (server, _) = Running::demo(quiet());
    for _ in 0..500 {
        let mut client = server.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.last_reply().text(), "Hello there");
    }
}

#[test]
fn many_clients_at_once() {
    let (server, _) = Running::demo(quiet());
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
        let (server, _) = Running::demo(quiet().threads(2));
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
    let (server, _) = Running::demo(quiet().threads(1));
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
    let (server, _) = Running::demo(quiet().threads(2));
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
    let address = server.local_addr();
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

// ---- the end ----

#[test]
fn shutdown_ends_a_server_that_waits() {
    let (server, _) = Running::demo(quiet().drain_timeout(PATIENCE));
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
    let (server, demo) = Running::demo(quiet().drain_timeout(3 * PATIENCE));
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
    let (server, demo) = Running::demo(quiet().drain_timeout(3 * PATIENCE));
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
    let (server, demo) = Running::demo(quiet().drain_timeout(Duration::from_millis(200)));
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

// ---- in a process of its own ----

/// Not a test: the server of the tests below, as a process with a log, limits and an end of its own. It ends when its stdin
/// does, so that it never outlives its test.
#[test]
#[ignore = "a part of other tests"]
fn server_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let short = Duration::from_millis(300);
    let builder = HttpServer::builder().head_timeout(short).first_byte_timeout(2 * short).read_timeout(short);
    let server = builder.drain_timeout(short).bind("127.0.0.1:0").unwrap();
    println!("{}", server.banner());
    let handle = server.shutdown_handle();
    std::thread::spawn(move || {
        _ = io::stdin().read_to_end(&mut Vec::new());
        handle.shutdown();
    });
    server.serve_forever(|_| Demo::default()).unwrap();
}

const CHILD: &str = "HTTPLING_TEST_SERVER";

/// That server, behind some words of the shell.
fn command(shell: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" --exact server_process --ignored --nocapture")]);
    command.arg(std::env::current_exe().unwrap()).env(CHILD, "1");
    command
}

fn process(shell: &str) -> Process {
    Process::start(&mut command(shell))
}

#[test]
fn the_log_has_pythons_form() {
    let mut server = process("");
    let mut client = server.client();
    client.get("/");
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    client.ask("PUT /x HTTP/1.1\r\nHost: a\r\n\r\n");
    for broken in [
        "GET /\x1b[2J\"\\\u{85} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        &"x".repeat(70_000),
        "GET / HTTP/1.1\r\nHo",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /panic-late HTTP/1.1\r\nHost: a\r\n\r\n",
        "",
    ] {
        let mut client = server.client();
        // It may be refused before all of it is sent.
        _ = client.try_send(broken);
        // Its end, and so its lines.
        assert_ne!(client.rest().1, Ending::StillOpen, "{broken:?}");
    }
    server.close_stdin();
    let (status, _, lines) = server.end();
    assert!(status.success());
    // The panics' own messages stand between.
    let lines: Vec<&str> = lines.iter().filter(|line| line.contains(" - - [")).map(String::as_str).collect();
    assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [")), "{lines:#?}");
    let texts: Vec<&str> = lines.iter().map(|line| log_text(line)).collect();
    let expected = [
        r#""GET / HTTP/1.1" 200 -"#,
        r#""HEAD /stream HTTP/1.1" 200 -"#,
        "code 501, message Unsupported method",
        r#""PUT /x HTTP/1.1" 501 -"#,
        "code 400, message Bad request target",
        r#""GET /\x1b[2J\x22\x5c\xc2\x85 HTTP/1.1" 400 -"#,
        "code 400, message Bad request line",
        r#""GET  / HTTP/1.1" 400 -"#,
        "code 400, message Host missing",
        r#""GET / HTTP/1.1" 400 -"#,
        "code 414, message Request line too long",
        r#""" 414 -"#,
        "code 408, message Request timed out",
        r#""GET / HTTP/1.1" 408 -"#,
        "code 408, message Request timed out",
        r#""POST / HTTP/1.1" 408 -"#,
        "code 500, message Handler panicked",
        r#""GET /panic HTTP/1.1" 500 -"#,
        "code 200, message Handler panicked",
        r#""GET /panic-late HTTP/1.1" 200 -"#,
    ];
    assert_eq!(texts, expected);
}

/// The shell closes it, or gives it to somebody who has gone.
#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    for shell in ["exec 2>&-;", "exec 2>/dev/full;"] {
        let mut server = process(shell);
        let mut client = server.client();
        for _ in 0..50 {
            assert_eq!(client.get("/").text(), "Hello there", "{shell}");
        }
        server.close_stdin();
        assert!(server.end().0.success(), "{shell}");
    }
}

/// Whoever has the other end of the pipe reads nothing: after 64 KiB the log is stuck, and the service is not.
#[test]
fn a_log_that_is_full_stops_nobody() {
    let (reader, writer) = io::pipe().unwrap();
    let mut server = Process::start_with_stderr(&mut command(""), writer.into());
    // More lines than the pipe and the log's own queue hold.
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1000));
    for _ in 0..6 {
        let mut client = server.client();
        for _ in 0..9 {
            client.send(request.repeat(100));
            for _ in 0..100 {
                assert_eq!(client.reply().text(), "Hello there");
            }
        }
    }
    server.close_stdin();
    assert!(server.end().0.success());
    drop(reader);
}

#[test]
fn no_descriptors_is_no_end() {
    const LIMIT: usize = 128;
    let mut server = process(&format!("ulimit -n {LIMIT};"));
    assert_eq!(server.client().get("/").text(), "Hello there");
    for _ in 0..2 {
        // More than it can have, all silent.
        let crowd: Vec<Client> = (0..2 * LIMIT).map(|_| server.client()).collect();
        // One that speaks is served, for the silent ones are closed sooner or later.
        assert_eq!(server.client().get("/").text(), "Hello there");
        drop(crowd);
        assert_eq!(server.client().get("/").text(), "Hello there");
    }
    assert!(server.is_running());
    server.close_stdin();
    let (status, _, lines) = server.end();
    assert!(status.success());
    // It says so, and does not say it as fast as it can.
    let complaints = lines.iter().filter(|line| line.contains("Cannot accept")).count();
    assert!(complaints < 100, "{complaints} complaints");
}
