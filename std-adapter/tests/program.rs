//! The program as its users meet it: command line, signals, log, and the clients they have.
//!
//! Numbers are those of the behaviour of Python's `http.server`, which the program stands in for. (`python.rs` asks the two the
//! same.) Every process ends with its test.

// Signals, and the shell's redirections.
#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Client, Ending, Process, becomes_true, has, is_refused, log_text, run, value};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// The program, without what the environment may say about colours.
fn httpling(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_httpling"));
    command.args(arguments).env("PYTHON_COLORS", "0");
    command
}

const BIG: usize = 16 << 20;

/// A directory to serve.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("a.txt", b"the content of a\n");
    write("sub/b & c.txt", b"b and c\n");
    write("site/index.html", b"<!DOCTYPE html><title>site</title>");
    write("big.bin", &big());
    directory
}

fn big() -> Vec<u8> {
    (0..u32::try_from(BIG / 4).unwrap()).flat_map(u32::to_le_bytes).collect()
}

/// The program, serving that directory on a free port.
fn serve(directory: &TempDir, more: &[&str]) -> Process {
    let arguments = ["-b", "127.0.0.1", "-d", directory.path().to_str().unwrap(), "0"];
    Process::start(httpling(&arguments).args(more))
}

/// A request of HTTP/1.1, alone on its connection.
fn fetch(address: SocketAddr, target: &str) -> common::Reply {
    let mut client = Client::connect(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    client.last_reply()
}

// ---- command line ----

#[test]
fn help_and_version_go_to_stdout() {
    for name in ["-h", "--help", "--hel"] {
        let (code, stdout, stderr) = run(&mut httpling(&[name]));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
        for word in
            ["Usage: httpling", "--bind", "--directory", "--protocol", "[default: 8000]", "65536", "408"]
        {
            assert!(stdout.contains(word), "{word} is not in {stdout}");
        }
    }
    for name in ["-V", "--version"] {
        let (code, stdout, stderr) = run(&mut httpling(&[name]));
        let version = concat!("httpling ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), version, ""));
    }
}

#[test]
fn a_wrong_command_line_is_said_and_exits_2() {
    for (line, message) in [
        ("abc", "error: argument port: invalid int value: 'abc'"),
        ("", "error: argument port: invalid int value: ''"),
        ("70000", "error: argument port: must be 0 to 65535: '70000'"),
        ("99999999999999999999", "error: argument port: must be 0 to 65535: '99999999999999999999'"),
        ("-1", "error: unrecognized arguments: -1"),
        ("--nope", "error: unrecognized arguments: --nope"),
        ("--cgi", "error: unrecognized arguments: --cgi"),
        ("8000 9000", "error: unrecognized arguments: 9000"),
        ("-b", "'--bind <ADDRESS>'"),
        ("-p HTTP/2.0", "must be HTTP/1.0 or HTTP/1.1"),
        ("-p 1.1", "must be HTTP/1.0 or HTTP/1.1"),
        ("-H nocolon", "'--header <NAME: VALUE>'"),
        ("--content-type=", "'--content-type <TYPE>'"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (code, stdout, stderr) = run(&mut httpling(&arguments));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{line}: {stderr}");
        assert!(stderr.contains(message), "{line}: {stderr}");
        assert!(stderr.contains("--help"), "{line}: {stderr}");
    }
}

#[test]
fn what_cannot_be_served_is_said_in_one_line_and_exits_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = env!("CARGO_BIN_EXE_httpling");
    // Too long a label for any name server to be asked.
    let name = "x".repeat(64);
    for (arguments, words) in [
        (vec!["-b", "127.0.0.1", &port], vec!["127.0.0.1", &port, "in use"]),
        (vec![&port], vec!["all interfaces", &port, "in use"]),
        // For documentation: nobody has it (RFC 5737).
        (vec!["-b", "203.0.113.7", "0"], vec!["203.0.113.7", "port 0: "]),
        (vec!["-b", &name, "0"], vec!["cannot resolve", &name]),
        #[cfg(unix)]
        (vec!["-b", "unix:", "0"], vec!["cannot listen on unix:", "needs a path"]),
        (vec!["-b", "127.0.0.1", "0", "--metrics", "203.0.113.7:0"], vec!["metrics on 203.0.113.7:0"]),
        (vec!["-d", "/nowhere/at/all", "0"], vec!["'/nowhere/at/all'", "No such file or directory"]),
        (vec!["-d", file, "0"], vec![file, "not a directory"]),
    ] {
        let (code, stdout, stderr) = run(&mut httpling(&arguments));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("httpling: "), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word} is not in {stderr}");
        }
    }
}

/// Behind a pipe, too, and before the first client (spec 16, 17).
#[test]
fn the_banner_names_what_is_listened_on() {
    let directory = directory();
    let path = directory.path().to_str().unwrap();
    for (arguments, host, url_host) in [
        (&["-b", "127.0.0.1", "0"][..], "127.0.0.1", "127.0.0.1"),
        (&["0", "--bind=127.0.0.1"], "127.0.0.1", "127.0.0.1"),
        (&["-b127.0.0.1", "0"], "127.0.0.1", "127.0.0.1"),
        (&["--bi", "::1", "0"], "::1", "[::1]"),
        (&["-b", "localhost", "0"], "localhost", "localhost"),
        (&["0"], "::", "[::]"),
    ] {
        if host.contains(':') && TcpListener::bind("[::1]:0").is_err() {
            continue; // A machine without IPv6.
        }
        let process = Process::start(httpling(arguments).args(["--directory", path]));
        let port = process.address.port();
        let mut expected = format!("Serving HTTP on {host} port {port} (http://{url_host}:{port}/) ...\n");
        if host == "localhost" {
            // It stands for one or the other.
            let ip = process.address.ip();
            expected = format!("Serving HTTP on {ip} port {port} (http://{}/) ...\n", process.address);
            assert!(ip.is_loopback());
        }
        assert_eq!(process.banner, expected);
        assert_eq!(fetch(process.address, "/a.txt").text(), "the content of a\n");
        if arguments == ["0"] {
            // All interfaces are IPv4's, too (spec 5).
            let ipv4 = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
            assert_eq!(fetch(ipv4, "/a.txt").text(), "the content of a\n");
        }
    }
}

#[test]
fn the_current_directory_is_served_by_default() {
    let directory = directory();
    let arguments = ["-b", "127.0.0.1", "0"];
    let process = Process::start(httpling(&arguments).current_dir(directory.path().join("sub")));
    assert_eq!(fetch(process.address, "/b%20%26%20c.txt").text(), "b and c\n");
    assert_eq!(fetch(process.address, "/a.txt").status(), 404);
}

#[test]
fn every_connection_serves_one_request_unless_the_protocol_is_http_11() {
    let directory = directory();
    let request = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    for arguments in [&[][..], &["-p", "HTTP/1.0"]] {
        let process = serve(&directory, arguments);
        let mut client = process.client();
        client.send(request);
        let reply = client.last_reply();
        assert!(reply.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", reply.head);
    }
    let process = serve(&directory, &["--protocol", "HTTP/1.1"]);
    let mut client = process.client();
    for _ in 0..3 {
        let reply = client.ask(request);
        assert!(reply.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", reply.head);
        assert_eq!((reply.text().as_str(), reply.value("Connection")), ("the content of a\n", None));
    }
}

#[test]
fn fields_and_the_media_type_can_be_given() {
    let directory = directory();
    std::fs::write(directory.path().join("unknown"), "?").unwrap();
    let process = serve(
        &directory,
        &["-H", "X-A: b", "--header=Cache-Control:no-store", "--content-type", "text/x-me"],
    );
    let reply = fetch(process.address, "/unknown");
    assert_eq!(reply.value("X-A"), Some("b"));
    assert_eq!(reply.value("Cache-Control"), Some("no-store"));
    assert_eq!(reply.value("Content-Type"), Some("text/x-me"));
}

/// In a query and, but for some of them, in a path (spec 49).
#[test]
fn what_browsers_do_not_encode_is_served() {
    let directory = directory();
    std::fs::write(directory.path().join("[a]|b^c.txt"), "odd").unwrap();
    let process = serve(&directory, &[]);
    assert_eq!(fetch(process.address, "/[a]|b^c.txt").content, b"odd");
    assert_eq!(fetch(process.address, r#"/a.txt?{"q":"<`|\^>"}"#).content, b"the content of a\n");
    // The address that it is sent to has them encoded: `/\` begins another host for a browser (spec 118).
    let reply = fetch(process.address, r"/\/../sub?a|b");
    assert_eq!(reply.value("Location"), Some("/%5C/../sub/?a%7Cb"));
}

/// The end that closes first remembers the connection for a minute, and its port with it (spec 21).
#[cfg(target_os = "linux")]
#[test]
fn a_restart_on_the_same_port_works_at_once() {
    let directory = directory();
    // An address of its own, so that no other test can take the port in between.
    let place = ["-b", "127.77.0.2", "-d", directory.path().to_str().unwrap()];
    let mut port = "0".to_owned();
    for _ in 0..3 {
        let process = Process::start(httpling(&place).arg(&port));
        assert_eq!(fetch(process.address, "/a.txt").status(), 200);
        port = process.address.port().to_string();
        process.signal("TERM");
        assert!(process.end().0.success());
    }
}

// ---- signals ----

#[test]
fn both_signals_end_it_with_exit_0() {
    let directory = directory();
    for (signal, words) in [("INT", &["\n", "Keyboard interrupt received, exiting.\n"][..]), ("TERM", &[])] {
        let process = serve(&directory, &["-p", "HTTP/1.1"]);
        // Neither keeps it: one that is idle, and one that says nothing.
        let mut idle = process.client();
        assert_eq!(idle.get("/a.txt").status(), 200);
        let silent = process.client();
        let banner = process.banner.clone();
        process.signal(signal);
        idle.expect_end();
        let began = Instant::now();
        let (status, stdout, stderr) = process.end();
        assert!(began.elapsed() < Duration::from_secs(5), "SIG{signal}");
        assert_eq!(status.code(), Some(0), "SIG{signal}");
        assert_eq!(stdout[0], banner);
        assert_eq!(stdout[1..], *words, "SIG{signal}");
        // The last line is not lost.
        assert_eq!(
            stderr.iter().map(|line| log_text(line)).collect::<Vec<_>>(),
            [r#""GET /a.txt HTTP/1.1" 200 -"#]
        );
        drop(silent);
    }
}

#[test]
fn both_signals_let_a_running_transfer_finish() {
    let directory = directory();
    for signal in ["INT", "TERM"] {
        let process = serve(&directory, &[]);
        let mut client = begin_transfer(&process);
        process.signal(signal);
        assert!(becomes_true(|| is_refused(process.address)), "it still listens");
        let (content, ending) = client.rest();
        assert_eq!((content.len(), ending), (BIG, Ending::Closed), "SIG{signal}");
        assert!(content == big());
        assert_eq!(process.end().0.code(), Some(0), "SIG{signal}");
    }
}

/// Asks for more than any socket holds, and takes only the head.
fn begin_transfer(process: &Process) -> Client {
    let mut client = process.client();
    client.send("GET /big.bin HTTP/1.0\r\n\r\n");
    assert_eq!(value(&client.head(), "Content-Length"), Some(BIG.to_string().as_str()));
    client
}

/// Who has not got all of it by then sees that.
#[test]
fn it_ends_when_its_patience_does() {
    let directory = directory();
    let process = serve(&directory, &["--drain-timeout", "0.3"]);
    let mut client = begin_transfer(&process);
    process.signal("TERM");
    assert_eq!(process.end().0.code(), Some(0));
    let (content, ending) = client.rest();
    assert!(content.len() < BIG);
    assert_eq!(ending, Ending::Reset);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = directory();
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        // Longer than anybody waits here.
        let process = serve(&directory, &["--drain-timeout", "600", "--write-timeout", "600"]);
        let client = begin_transfer(&process);
        process.signal(first);
        assert!(becomes_true(|| is_refused(process.address)), "it still listens");
        process.signal(second);
        assert_eq!(process.end().0.code(), Some(0), "{first}, {second}");
        drop(client);
    }
}

/// The log is written by another thread: what it was given last is written too.
#[test]
fn the_last_log_line_is_written() {
    let directory = directory();
    for round in 0..20 {
        let process = serve(&directory, &[]);
        let target = format!("/nope-{round}");
        assert_eq!(fetch(process.address, &target).status(), 404);
        process.signal("TERM");
        let (_, _, stderr) = process.end();
        let texts: Vec<&str> = stderr.iter().map(|line| log_text(line)).collect();
        let last = format!("\"GET {target} HTTP/1.1\" 404 -");
        assert_eq!(texts, ["code 404, message File not found", &last], "round {round}");
    }
}

/// `httpling >/dev/full`, `httpling >&- 2>&-`: nobody is told, and everybody is served.
#[cfg(target_os = "linux")]
#[test]
fn stdout_and_stderr_may_be_anything() {
    let directory = directory();
    for redirection in [">/dev/full 2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"] {
        // An address of its own, so that no other test takes the port in between.
        let address = TcpListener::bind("127.77.0.3:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        let mut child = Killed(
            Command::new("sh")
                .args(["-c", &script, env!("CARGO_BIN_EXE_httpling"), "-b", "127.77.0.3", &port, "-d"])
                .arg(directory.path())
                .spawn()
                .unwrap(),
        );
        assert!(becomes_true(|| Client::try_connect(address).is_ok()), "{redirection}");
        for _ in 0..3 {
            assert_eq!(fetch(address, "/a.txt").text(), "the content of a\n", "{redirection}");
        }
        let id = child.0.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        assert_eq!(common::wait(&mut child.0).unwrap().code(), Some(0), "{redirection}");
    }
}

/// A process that ends with its test.
#[cfg(target_os = "linux")]
struct Killed(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Killed {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

// ---- clients ----

#[test]
fn curl_gets_files_and_listings() {
    if !has("curl") {
        return;
    }
    let directory = directory();
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let process = serve(&directory, &["-p", protocol]);
        let curl = |arguments: &[&str], path: &str| {
            let url = format!("http://{}{path}", process.address);
            let common = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "10"];
            let (code, stdout, stderr) = run(Command::new("curl").args(common).args(arguments).arg(url));
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{path}");
            stdout
        };
        assert_eq!(curl(&[], "/a.txt"), "the content of a\n");
        let head = curl(&["--head"], "/a.txt");
        assert!(head.starts_with(&format!("{protocol} 200 OK\r\n")), "{head}");
        assert_eq!(value(&head, "Content-Length"), Some("17"), "{head}");
        let listing = curl(&[], "/");
        for item in [r#"<a href="a.txt">a.txt</a>"#, r#"<a href="sub/">sub/</a>"#, "Directory listing for /"]
        {
            assert!(listing.contains(item), "{item} is not in {listing}");
        }
        let head = curl(&["--head"], "/");
        assert_eq!(value(&head, "Content-Length"), Some(listing.len().to_string().as_str()), "{head}");
        assert!(curl(&["--location"], "/sub").contains(r#"<a href="b%20%26%20c.txt">b &amp; c.txt</a>"#));
        assert_eq!(curl(&["--location"], "/site"), "<!DOCTYPE html><title>site</title>");
        let code = ["--output", "/dev/null", "--write-out", "%{http_code} %{size_download} %{num_connects}"];
        assert_eq!(curl(&code, "/big.bin"), format!("200 {BIG} 1"));
        assert!(curl(&code, "/nope").starts_with("404 "));
        let mut post = code.to_vec();
        post.extend(["--data", "a=b"]);
        assert!(curl(&post, "/").starts_with("501 "));
        // With `Expect: 100-continue`, which curl sends with as much content as this.
        let upload = format!("@{}", directory.path().join("big.bin").display());
        let mut post = code.to_vec();
        post.extend(["--header", "Expect: 100-continue", "--data-binary", &upload]);
        let answer = curl(&post, "/");
        assert!(answer.starts_with("501 ") || answer.starts_with("413 "), "{answer}");
    }
}

/// Six connections that are used, and two more that were opened in case (spec 26, 27).
#[test]
fn a_browsers_connections_are_served_in_parallel() {
    let directory = directory();
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let process = serve(&directory, &["-p", protocol]);
        let address = process.address;
        let spare = Client::crowd(process.address, 2, "");
        // One takes its time.
        let mut slow = process.client();
        slow.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
        let threads: Vec<_> = (0..6)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = Client::connect(address);
                    for target in ["/", "/a.txt", "/site/", "/favicon.ico", "/big.bin"].repeat(2) {
                        let reply = client.get(target);
                        let expected = if target == "/favicon.ico" { 404 } else { 200 };
                        assert_eq!(reply.status(), expected);
                        if reply.value("Connection") == Some("close") {
                            client.expect_end();
                            client = Client::connect(address);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(slow.reply().content == big());
        drop(spare);
    }
}

// ---- examples ----

/// When anything of it was changed last.
fn changed(path: &Path) -> SystemTime {
    let itself = path.metadata().unwrap().modified().unwrap();
    let inside = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| changed(&entry.path()));
    inside.fold(itself, SystemTime::max)
}

/// Where Cargo puts it. It builds the examples before it runs all tests; when it was told to run some of them only, it has built
/// none, or those that are there are of another day.
fn example(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_httpling")).parent().unwrap();
    let path = directory.join("examples").join(name);
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src", "examples", "../core/src"].map(|folder| changed(&package.join(folder)));
    let is_built = |path: &Path| {
        let built = path.metadata().and_then(|data| data.modified());
        built.is_ok_and(|built| sources.iter().all(|source| *source <= built))
    };
    if !is_built(&path) {
        let profile = match directory.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "httpling", "--profile", profile, "--example", name]);
        assert!(cargo.status().unwrap().success());
    }
    assert!(path.exists(), "{} is not built: `cargo build --examples` as this test was", path.display());
    path
}

#[test]
fn hello_says_hello() {
    for arguments in [&["0"][..], &["0", "2"]] {
        let process =
            Process::start(Command::new(example("hello")).args(arguments).env("PYTHON_COLORS", "0"));
        let mut client = process.client();
        for _ in 0..2 {
            let reply = client.get("/any?thing");
            assert_eq!((reply.status(), reply.text().as_str()), (200, "Hello there"));
            assert_eq!(reply.value("Content-Type"), Some("text/html"));
        }
        assert_eq!(client.ask("POST / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 501);
        if arguments.len() == 1 {
            let said = process.stderr.wait_for(|line| line.contains("POST / HTTP/1.1\" 501"));
            assert_eq!(log_text(&said.unwrap()), r#""POST / HTTP/1.1" 501 -"#);
        }
    }
}

#[test]
fn echo_does_what_its_table_says() {
    let process = Process::start(Command::new(example("echo")).args(["0", "4"]));
    let mut client = process.client();
    assert_eq!(client.get("/").text(), "Hello there");
    let post = |framing: &str, content: &str| {
        format!("POST /any HTTP/1.1\r\nHost: a\r\nContent-Type: text/x-me\r\n{framing}\r\n\r\n{content}")
    };
    let reply = client.ask(&post("Content-Length: 5", "hello"));
    assert_eq!((reply.text().as_str(), reply.value("Content-Type")), ("hello", Some("text/x-me")));
    let reply = client.ask(&post("Transfer-Encoding: chunked", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"));
    assert_eq!((reply.text().as_str(), reply.value("Content-Type")), ("hello!", Some("text/x-me")));
    let content = "x".repeat(3_000_000);
    assert!(client.ask(&post("Content-Length: 3000000", &content)).text() == content);
    client.send(post("Expect: 100-continue\r\nContent-Length: 100000", ""));
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&content[..100_000]);
    assert!(client.reply().text() == content[..100_000]);
    let began = Instant::now();
    assert_eq!(client.get("/slow?ms=30").text(), "Hello at last");
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(client.get("/stream?n=3").text(), "chunk 1\nchunk 2\nchunk 3\n");
    let reply = client.ask("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((reply.status(), reply.value("Allow").is_some()), (204, true));
    for (request, expected) in [("DELETE /", 405), ("GET /slow?ms=x", 400), ("GET /panic", 500)] {
        let mut client = process.client();
        let reply = client.ask(&format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(reply.status(), expected, "{request}");
        assert_eq!(reply.value("Allow").is_some(), expected == 405);
    }
    assert_eq!(client.get("/").text(), "Hello there");
}
