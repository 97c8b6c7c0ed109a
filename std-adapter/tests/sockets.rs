//! The program's sockets: named by arguments or given by a service manager, behind a proxy, shared with the next instance.

#![cfg(target_os = "linux")]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Client, PATIENCE, Process, becomes_true, has, is_refused, log_text, run};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const GET: &str = "GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// With a file to serve, and place for sockets.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.txt"), "the content of a\n").unwrap();
    directory
}

/// The program, started by a shell that does something first.
fn after(preparation: &str, directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!(r#"{preparation}; exec "$0" "$@""#), env!("CARGO_BIN_EXE_httpling")])
        .args(["-d", directory.path().to_str().unwrap()])
        .args(arguments)
        .env("PYTHON_COLORS", "0");
    command
}

fn httpling(directory: &TempDir, arguments: &[&str]) -> Command {
    after(":", directory, arguments)
}

fn fetch(address: SocketAddr) -> String {
    Client::connect(address).ask(GET).text()
}

fn fetch_unix(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").expect("a response").1.to_owned()
}

#[test]
fn a_unix_socket_comes_and_goes_with_the_program() {
    let directory = directory();
    let path = directory.path().join("socket");
    let place = format!("unix:{}", path.display());
    let both = ["-b", "127.0.0.1", "-b", &place, "0"];
    // One that is killed leaves its socket, and the next one takes its place.
    for signal in ["KILL", "TERM"] {
        let process = Process::start(&mut after("umask 077", &directory, &both));
        assert!(becomes_true(|| path.exists()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fetch_unix(&path), "the content of a\n");
        assert_eq!(fetch(process.address), "the content of a\n");
        let logged = process.stderr.wait_for(|line| line.starts_with("- - - [")).expect("a line in the log");
        assert_eq!(log_text(&logged), r#""GET /a.txt HTTP/1.1" 200 -"#);

        let (code, stdout, stderr) = run(&mut httpling(&directory, &["-b", &place]));
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.starts_with(&format!("httpling: cannot listen on {place}: ")), "{stderr}");
        assert!(stderr.contains("in use"), "{stderr}");

        process.signal(signal);
        let (status, stdout, _) = process.end();
        assert_eq!(
            (status.code(), path.exists()),
            if signal == "TERM" { (Some(0), false) } else { (None, true) }
        );
        assert_eq!(stdout[1], format!("Serving HTTP on {place} ...\n"));
    }
}

/// As a service manager hands sockets over: from number 3 on. (A shell can give them numbers; in this process, they have others.)
fn with_sockets(first: &TcpListener, second: &UnixListener, directory: &TempDir, port: &str) -> Process {
    let preparation =
        "exec 3<&0 4<&2 </dev/null 2>/dev/null; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=a:b";
    let mut command = after(preparation, directory, &["-b", "192.0.2.1", port]);
    let (first, second) =
        (OwnedFd::from(first.try_clone().unwrap()), OwnedFd::from(second.try_clone().unwrap()));
    Process::start_with(&mut command, first.into(), second.into())
}

#[test]
fn inherited_sockets_are_used_and_outlive_the_program() {
    let directory = directory();
    let path = directory.path().join("socket");
    let (first, second) = (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&path).unwrap());
    let address = first.local_addr().unwrap();
    for _ in 0..2 {
        // Before anybody accepts.
        let mut early = Client::connect(address);
        early.send(GET);
        let process = with_sockets(&first, &second, &directory, "8000");
        let line = format!("127.0.0.1 port {} (http://{address}/), inherited ...\n", address.port());
        assert_eq!(process.banner, format!("Serving HTTP on {line}"));
        assert_eq!(early.reply().text(), "the content of a\n");
        assert_eq!(fetch(address), "the content of a\n");
        assert_eq!(fetch_unix(&path), "the content of a\n");
        drop(early);
        process.signal("TERM");
        let (status, stdout, _) = process.end();
        assert_eq!(status.code(), Some(0));
        assert_eq!(stdout[1], format!("Serving HTTP on unix:{}, inherited ...\n", path.display()));
        assert!(path.exists());
    }
    // The next one would answer.
    Client::connect(address).send(GET);
}

/// systemd's own tool, where it is: it starts the program when the first client comes.
#[test]
fn systemd_starts_it_for_its_first_client() {
    if !has("systemd-socket-activate") {
        return;
    }
    let directory = directory();
    let address = TcpListener::bind("127.77.0.5:0").unwrap().local_addr().unwrap();
    let first = std::thread::spawn(move || {
        assert!(becomes_true(|| Client::try_connect(address).is_ok()));
        fetch(address)
    });
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", &address.to_string(), env!("CARGO_BIN_EXE_httpling"), "-d"]).arg(directory.path());
    let process = Process::start(&mut command);
    assert!(process.banner.ends_with("/), inherited ...\n"), "{}", process.banner);
    assert_eq!(process.address, address);
    assert_eq!(first.join().unwrap(), "the content of a\n");
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let directory = directory();
    for preparation in
        ["export LISTEN_FDS=1 LISTEN_PID=1", "export LISTEN_FDS=1", "export LISTEN_FDS=x LISTEN_PID=$$"]
    {
        let process = Process::start(&mut after(preparation, &directory, &["-b", "127.0.0.1", "0"]));
        assert!(!process.banner.contains("inherited"));
        assert_eq!(fetch(process.address), "the content of a\n");
    }
    let preparation = "exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";
    let (code, _, stderr) = run(&mut after(preparation, &directory, &["0"]));
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("httpling: cannot use inherited socket 1: "), "{stderr}");
}

/// What a service manager hears.
fn heard(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut word = [0; 64];
    let length = socket.recv(&mut word).expect("a word");
    String::from_utf8_lossy(&word[..length]).into_owned()
}

#[test]
fn a_service_manager_is_told_when_it_begins_and_when_it_ends() {
    let directory = directory();
    let path = directory.path().join("notify");
    let abstract_name = format!("httpling-test-{}", std::process::id());
    let by_name = std::os::unix::net::SocketAddr::from_abstract_name(&abstract_name).unwrap();
    for (name, socket) in [
        (path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap()),
        (format!("@{abstract_name}"), UnixDatagram::bind_addr(&by_name).unwrap()),
    ] {
        let mut command = httpling(&directory, &["-b", "127.0.0.1", "0"]);
        let process = Process::start(command.env("NOTIFY_SOCKET", name));
        assert_eq!(heard(&socket), "READY=1");
        process.signal("TERM");
        assert_eq!(heard(&socket), "STOPPING=1");
        assert_eq!(process.end().0.code(), Some(0));
    }
    // Nobody there is no reason not to serve.
    let mut command = httpling(&directory, &["-b", "127.0.0.1", "0"]);
    let process = Process::start(command.env("NOTIFY_SOCKET", "/nowhere/at/all"));
    assert_eq!(fetch(process.address), "the content of a\n");
}

#[test]
fn a_service_manager_that_keeps_a_watch_is_told_again_and_again() {
    let directory = directory();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    // For itself, for whoever was started, and for somebody else; and a watch that is none.
    let own = "export WATCHDOG_PID=$$";
    for (whose, microseconds, is_kept) in [
        (own, "20000", true),
        (":", "20000", true),
        ("export WATCHDOG_PID=1", "20000", false),
        (own, "0", false),
    ] {
        let mut command = after(whose, &directory, &["-b", "127.0.0.1", "0"]);
        let process = Process::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", microseconds));
        assert_eq!(heard(&socket), "READY=1");
        for _ in 0..if is_kept { 5 } else { 0 } {
            assert_eq!(heard(&socket), "WATCHDOG=1");
        }
        assert_eq!(fetch(process.address), "the content of a\n");
        process.signal("TERM");
        // It may have been told once more.
        let last = (0..1000).map(|_| heard(&socket)).find(|word| !is_kept || word != "WATCHDOG=1");
        assert_eq!(last.as_deref(), Some("STOPPING=1"));
        assert_eq!(process.end().0.code(), Some(0));
        socket.set_nonblocking(true).unwrap();
        while socket.recv(&mut [0; 64]).is_ok() {}
        socket.set_nonblocking(false).unwrap();
    }
}

#[test]
fn the_log_has_the_address_that_the_proxy_names() {
    let directory = directory();
    let process = Process::start(&mut httpling(&directory, &["-b", "127.0.0.1", "--proxy-protocol", "0"]));
    let mut client = process.client();
    let reply = client.ask(&format!("PROXY TCP4 192.0.2.1 198.51.100.7 1234 80\r\n{GET}"));
    assert_eq!(reply.text(), "the content of a\n");
    assert!(process.stderr.wait_for(|line| line.starts_with("192.0.2.1 - - [")).is_some());

    let mut client = process.client();
    client.send(GET);
    assert!(client.rest().0.is_empty());
    let logged = process.stderr.wait_for(|line| line.contains("PROXY")).expect("a line in the log");
    assert!(logged.starts_with("127.0.0.1 - - ["), "{logged}");
    assert_eq!(log_text(&logged), "PROXY header expected, and something else received");
    assert_eq!(process.stderr.all().len(), 2, "one line each");
}

#[test]
fn the_next_instance_begins_before_the_last_one_ends() {
    let directory = directory();
    let metrics = TcpListener::bind("127.77.0.6:0").unwrap().local_addr().unwrap().to_string();
    let place = ["-b", "127.0.0.1", "--reuse-port", "--metrics", &metrics];
    let mut process = Process::start(httpling(&directory, &place).arg("0"));
    let address = process.address;
    for _ in 0..3 {
        let next = Process::start(httpling(&directory, &place).arg(address.port().to_string()));
        process.signal("TERM");
        assert_eq!(std::mem::replace(&mut process, next).end().0.code(), Some(0));
        assert_eq!(fetch(address), "the content of a\n");
    }
    drop(process);
    assert!(is_refused(address));
}
