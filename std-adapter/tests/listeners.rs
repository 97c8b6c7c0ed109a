//! Where clients come from: several sockets, Unix sockets, sockets of somebody else, and what becomes of clients at the end.

#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::quiet;
use common::running::Running;
use common::{Client, PATIENCE, becomes_true, is_refused};
use httpling::{HttpServer, LocalAddress, Request, RequestHandler, Response, SendError, Sent, status};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Answers with the client's address, as the factory and the request have it.
struct Peer(Option<SocketAddr>);

impl RequestHandler for Peer {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        assert_eq!(request.peer(), self.0);
        let text = self.0.map_or_else(|| "nobody".to_owned(), |address| address.ip().to_string());
        response.send_response(status::OK).end_with(text.as_bytes())
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The content of the response that comes over a connection.
fn content(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text:?}")).1.to_owned()
}

fn ask_unix(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    content(stream)
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_server_listens_on_several_sockets_of_both_kinds() {
    let directory = directory();
    let path = directory.path().join("socket");
    let first = quiet().listen("127.0.0.1:0").unwrap().listen("127.77.0.4:0").unwrap();
    let server = first.bind_unix(&path).unwrap();
    let addresses: Vec<LocalAddress> = server.local_addresses().cloned().collect();
    let [LocalAddress::Tcp(one), LocalAddress::Tcp(two), LocalAddress::Unix(Some(three))] = &addresses[..]
    else {
        panic!("{addresses:?}")
    };
    assert_eq!((server.local_addr(), three), (Some(*one), &path));
    let lines = [
        format!("Serving HTTP on 127.0.0.1 port {} (http://{one}/) ...", one.port()),
        format!("Serving HTTP on 127.77.0.4 port {} (http://{two}/) ...", two.port()),
        format!("Serving HTTP on unix:{} ...", path.display()),
    ];
    assert_eq!(server.banner(), lines.join("\n"));

    let server = Running::serve(server, Peer);
    for _ in 0..3 {
        for address in [one, two] {
            assert_eq!(Client::connect(*address).ask(GET).text(), "127.0.0.1");
        }
        assert_eq!(ask_unix(&path), "nobody");
    }
    drop(server);
    assert!(is_refused(*one) && is_refused(*two));
    assert!(!path.exists(), "the socket's name is still there");
}

#[test]
fn a_server_without_a_socket_is_none() {
    assert_eq!(quiet().build().expect_err("nothing to listen on").kind(), ErrorKind::InvalidInput);
    let (client, _server) = UnixStream::pair().unwrap();
    for error in [quiet().listener(client), quiet().listener(std::fs::File::open("/dev/null").unwrap())] {
        error.expect_err("it does not listen");
    }
}

#[test]
fn a_connection_over_a_unix_socket_is_like_any_other() {
    let directory = directory();
    let path = directory.path().join("socket");
    let server = Running::serve(quiet().bind_unix(&path).unwrap(), Peer);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Pipelined, byte by byte, and half a close.
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{text}");
    drop(server);
}

#[test]
fn the_socket_of_a_dead_server_is_replaced_and_nothing_else() {
    let directory = directory();
    let path = directory.path().join("socket");
    // Dropping it does not remove its name.
    drop(UnixListener::bind(&path).unwrap());
    let server = quiet().bind_unix(&path).unwrap();
    let error = quiet().bind_unix(&path).expect_err("it answers");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let server = Running::serve(server, Peer);
    assert_eq!(ask_unix(&path), "nobody");

    // Somebody else has the name now: it is not ours to remove.
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
    drop(other);

    for name in ["file", "directory"] {
        let path = directory.path().join(name);
        if name == "file" { std::fs::write(&path, "mine") } else { std::fs::create_dir(&path) }.unwrap();
        let error = quiet().bind_unix(&path).expect_err("something is there");
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{name}");
        assert!(path.exists());
    }
    let error = quiet().bind_unix(directory.path().join("no/such/directory")).expect_err("nowhere");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_full_queue_is_no_dead_server() {
    let directory = directory();
    let path = directory.path().join("socket");
    let server = quiet().backlog(0).bind_unix(&path).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert_eq!(quiet().bind_unix(&path).expect_err("it is alive").kind(), ErrorKind::AddrInUse);
    drop(server);
    assert!(!path.exists());
}

/// As a service manager keeps it between two servers: nobody is refused.
#[test]
fn the_clients_of_a_given_socket_wait_for_the_next_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..3 {
        let server = quiet().listener(listener.try_clone().unwrap()).unwrap().build().unwrap();
        let line =
            format!("Serving HTTP on 127.0.0.1 port {} (http://{address}/), inherited ...", address.port());
        assert_eq!(server.banner(), line);
        let mut early = Client::connect(address);
        let server = Running::serve(server, Peer);
        assert_eq!(early.ask(GET).text(), "127.0.0.1");
        drop(early);
        assert_eq!(Client::connect(address).ask(GET).text(), "127.0.0.1");
        drop(server);
    }
    // Who comes when a server ends is left to the next one.
    let server = || HttpServer::from_listener(listener.try_clone().unwrap()).unwrap();
    let ended = server();
    let mut late = Client::connect(address);
    late.send(GET);
    ended.shutdown_handle().shutdown();
    drop(Running::serve(ended, Peer));
    assert!(!late.has_something_within(Duration::from_millis(100)));
    let server = Running::serve(server(), Peer);
    assert_eq!(late.reply().text(), "127.0.0.1");
    drop(late);
    drop(server);
}

#[test]
fn a_given_unix_socket_keeps_its_name() {
    let directory = directory();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = HttpServer::from_listener(listener.try_clone().unwrap()).unwrap();
    assert_eq!(server.banner(), format!("Serving HTTP on unix:{}, inherited ...", path.display()));
    drop(server);
    assert!(path.exists(), "it is not ours");
    UnixStream::connect(&path).unwrap();
}

/// The kernel lets clients in before anybody accepts them. Who was let in is answered, whenever the server ends.
#[test]
fn whoever_is_in_the_queue_at_the_end_is_answered() {
    let directory = directory();
    let path = directory.path().join("socket");
    let server = quiet().listen("127.0.0.1:0").unwrap().bind_unix(&path).unwrap();
    let address = server.local_addr().unwrap();
    let mut clients: Vec<TcpStream> = (0..150).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut others: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for client in &mut clients {
        client.write_all(GET.as_bytes()).unwrap();
    }
    for client in &mut others {
        client.write_all(GET.as_bytes()).unwrap();
    }
    server.shutdown_handle().shutdown();
    let server = Running::serve(server, Peer);
    assert!(becomes_true(|| is_refused(address)), "it still listens");
    assert!(becomes_true(|| !path.exists()), "its name is still there");
    for client in clients {
        assert_eq!(content(client), "127.0.0.1");
    }
    for client in others {
        assert_eq!(content(client), "nobody");
    }
    drop(server);
}

/// A client that has just connected has its request on the way. It has a second, which on a machine that stands still can be
/// too little: three times is no accident.
#[test]
fn a_first_request_that_crosses_the_end_is_answered() {
    let answer = || {
        let server = quiet().bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let server = Running::serve(server, Peer);
        let mut client = Client::connect(address);
        server.handle.shutdown();
        assert!(becomes_true(|| is_refused(address)), "it still listens");
        std::thread::sleep(Duration::from_millis(150));
        client.try_send(GET).and_then(|()| client.try_reply()).map(|reply| reply.text())
    };
    let answers: Vec<_> = (0..3).map(|_| answer()).take_while(Result::is_err).collect();
    assert!(answers.len() < 3, "{answers:?}");
}

#[test]
fn several_servers_share_a_port_if_all_say_so() {
    let first = quiet().reuse_port(true).bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    assert_eq!(quiet().bind(address).expect_err("one does not").kind(), ErrorKind::AddrInUse);
    let second = quiet().reuse_port(true).bind(address).unwrap();
    let (first, second) = (Running::serve(first, Peer), Running::serve(second, Peer));
    let ask_some = || {
        for _ in 0..20 {
            assert_eq!(Client::connect(address).ask(GET).text(), "127.0.0.1");
        }
    };
    ask_some();
    drop(first);
    ask_some();
    drop(second);
    assert!(is_refused(address));
}

/// Says which server it is of.
#[cfg(target_os = "linux")]
#[derive(Clone)]
struct Named(&'static str);

#[cfg(target_os = "linux")]
impl RequestHandler for Named {
    fn do_get(&mut self, _: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_response(status::OK).end_with(self.0.as_bytes())
    }
}

#[cfg(target_os = "linux")]
#[test]
fn who_comes_to_one_that_leaves_a_shared_port_is_heard_by_the_next_one() {
    use socket2::{Domain, Socket, Type};
    let heard_by = || {
        let last = Running::with(quiet().reuse_port(true), &Named("last"));
        last.handle.shutdown();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        _ = socket.connect(&last.address.into());
        let next = Running::serve(quiet().reuse_port(true).bind(last.address).unwrap(), |_| Named("next"));
        socket.set_nonblocking(false).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut text = String::new();
        stream.write_all(GET.as_bytes()).and_then(|()| stream.read_to_string(&mut text)).ok()?;
        drop(next);
        text.lines().last().map(str::to_owned)
    };
    // A busy machine may take so long to connect that nobody is there.
    assert!((0..5).any(|_| heard_by().as_deref() == Some("next")), "refused, or heard by the last one");
}

// ---- behind a proxy ----

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 1234 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\xc6\x33\x64\x07\x04\xd2\0\x50";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn behind_proxy() -> httpling::Builder {
    quiet().proxy_protocol(true)
}

#[test]
fn the_proxys_client_is_the_peer() {
    let server = Running::start(behind_proxy(), Peer);
    for (header, peer) in [
        (V1, "192.0.2.1"),
        (V2, "192.0.2.2"),
        (b"PROXY TCP6 fd00::1 fd00::2 1234 80\r\n", "fd00::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (LOCAL, "127.0.0.1"),
    ] {
        let whole = [header, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", GET.as_bytes()].concat();
        // At once, in two pieces wherever they are split, and byte by byte.
        for split in 0..whole.len() {
            let mut client = server.client();
            client.send(&whole[..split]);
            if split == header.len() || split == header.len() / 2 {
                assert!(!client.has_something_within(Duration::from_millis(30)));
            }
            client.send(&whole[split..]);
            assert_eq!(client.reply().text(), peer);
            assert_eq!(client.last_reply().text(), peer);
        }
        let mut client = server.client();
        for byte in &whole {
            client.send([*byte]);
        }
        assert_eq!((client.reply().text(), client.last_reply().text()), (peer.to_owned(), peer.to_owned()));
    }
    // With more behind it than the first read takes.
    let pipelined = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5000);
    let mut client = server.client();
    let sender = client.stream().try_clone().unwrap();
    std::thread::spawn(move || (&sender).write_all(&[V2, pipelined.as_bytes()].concat()).unwrap());
    for _ in 0..999 {
        assert_eq!(client.reply().text(), "192.0.2.2");
    }
}

#[test]
fn a_unix_sockets_clients_are_the_proxys() {
    let directory = directory();
    let path = directory.path().join("socket");
    let server = Running::serve(behind_proxy().bind_unix(&path).unwrap(), Peer);
    for (header, peer) in [(V1, "192.0.2.1"), (LOCAL, "nobody")] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&[header, GET.as_bytes()].concat()).unwrap();
        assert_eq!(content(stream), peer);
    }
    drop(server);
}

#[test]
fn who_does_not_come_through_the_proxy_is_not_served() {
    let server = Running::start(behind_proxy(), Peer);
    for octets in
        [GET.as_bytes(), b"PROXY TCP4 nobody\r\n", b"\r\n", b"x", &[V1, V1, GET.as_bytes()].concat()]
    {
        let mut client = server.client();
        client.send(octets);
        client.end_sending();
        let (said, _) = client.rest();
        let said = String::from_utf8_lossy(&said);
        // The second header is no request.
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{said}");
        assert!(!said.contains("200 OK"));
    }
    // And a header is no request to a server that expects none.
    let plain = Running::start(quiet(), Peer);
    let mut client = plain.client();
    client.send([V1, GET.as_bytes()].concat());
    assert_eq!(client.reply().status(), 400);
}

/// A header that does not end, and one behind which nothing comes, hold nobody up for longer than a head may take.
#[test]
fn a_header_has_the_time_of_a_head() {
    let short = Duration::from_millis(200);
    let builder = behind_proxy().head_timeout(short).first_byte_timeout(short);
    let server = Running::start(builder, Peer);
    for octets in [&V1[..20], V1, b""] {
        let mut client = server.client();
        client.send(octets);
        let (said, ending) = client.rest();
        assert_eq!((said, ending == common::Ending::StillOpen), (vec![], false));
    }
    let mut client = server.client();
    client.send([V1, b"GET / HT"].concat());
    assert_eq!(client.reply().status(), 408);

    // In all, and not since its last octet.
    let mut client = server.client();
    client.send(b"PROXY UNKNOWN ");
    let ends = |_| client.try_send(b"x").is_err() || client.has_something_within(Duration::from_millis(20));
    assert!((0..90).any(ends), "it goes on");
}
