//! The program beside Python's `http.server`, which it stands in for: the two serve one directory and are asked the same.
//!
//! What is the same is compared octet for octet, but for what is listed here; where the two differ, each has its row with the
//! number of the rule that we follow instead. (Pages of Pythons before 3.11 look different.)

// Names that are no UTF-8, and rights.
#![cfg(unix)]
// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Ending, Process, becomes_true, has, log_text, undated, value};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

// ---- the directory ----

/// When all its files were changed, and a bit.
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Names that a link must encode, a page must escape, or a type is guessed from.
const ODD: &[&[u8]] = &[
    b"a:b",
    b"caf\xe9.txt",
    "\u{e9}.html".as_bytes(),
    b"a b+c.JPG",
    b"<&>\"'",
    b"x.tar.gz",
    b"x.Z",
    b".hidden",
    b"..three.txt",
    b"100%",
    b"50%25",
    b"back\\slash",
    b"line\nend",
    b"que?ry",
    b"ha#sh",
    b"~tilde-_.",
    b"no extension.",
    // After `a b+c.JPG`: case does not count.
    b"B",
];

struct Directory {
    directory: TempDir,
}

impl Directory {
    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Or it could not be removed.
        _ = fs::set_permissions(self.root().join("shut"), Permissions::from_mode(0o700));
    }
}

fn directory() -> Directory {
    let directory = Directory { directory: tempfile::tempdir().unwrap() };
    let root = directory.root();
    let write = |name: &[u8], content: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let modified = UNIX_EPOCH + Duration::new(784_111_777, 500);
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    };
    write(b"../secret.txt", b"secret");
    write(b"a.txt", b"0123456789");
    write(b"page.html", b"<p>page");
    write(b"zero", b"");
    write(b"large", &(0..=255).cycle().take(600_001).collect::<Vec<u8>>());
    write(b"sub/b & c.txt", b"b and c");
    write(b"site/index.html", b"index");
    write(b"site/index.htm", b"not this one");
    write(b"odd/index.htm", b"htm");
    write(b"shut/in.txt", b"in");
    for name in ["empty", "odd/index.html"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    for name in ODD {
        write(&[b"names/", *name].concat(), name);
    }
    for (to, name) in
        [("../a.txt", "to file"), ("../sub", "to directory"), ("nowhere", "broken"), ("..", "up")]
    {
        symlink(to, root.join("names").join(name)).unwrap();
    }
    for (name, mode) in [("page.html", 0o0), ("shut", 0o311)] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    directory
}

/// Is there a Python that says today's pages, and knows `--protocol`?
fn has_python() -> bool {
    let mut asks = Command::new("python3");
    asks.args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]);
    let is_new = has("python3") && asks.status().unwrap().success();
    if !is_new {
        println!("skipped: there is no python3 of 3.11 or later");
    }
    is_new
}

/// Ours and Python's, on the same directory; `None` where there is no Python.
fn both(directory: &Directory, options: &[&str]) -> Option<[Process; 2]> {
    let serve = |mut command: Command| {
        command.args(["-b", "127.0.0.1", "-d"]).arg(directory.root()).args(options).arg("0");
        Process::start(command.env("PYTHON_COLORS", "0"))
    };
    has_python().then(|| {
        let mut pythons = Command::new("python3");
        pythons.args(["-u", "-m", "http.server"]);
        [serve(Command::new(env!("CARGO_BIN_EXE_httpling"))), serve(pythons)]
    })
}

/// All that is answered.
fn answer(process: &Process, request: &str) -> Vec<u8> {
    let mut client = process.client();
    // It may be refused before all of it is sent.
    if client.try_send(request).is_ok() {
        _ = client.stream().shutdown(std::net::Shutdown::Write);
    }
    let (bytes, ending) = client.rest();
    assert_ne!(ending, Ending::StillOpen, "{request:?}");
    bytes
}

// ---- what is the same ----

/// A response without what the two are known to say differently.
#[derive(Debug, PartialEq)]
struct Comparable {
    status_line: String,
    /// In some order.
    fields: Vec<String>,
    content: String,
}

/// Fields that both have and differ in (79, 80), and those that only we send: for conditions and ranges (131), against sniffing
/// (92), and for those who would keep the connection.
const NOT_COMPARED: [&str; 6] =
    ["Server", "Date", "ETag", "Accept-Ranges", "X-Content-Type-Options", "Connection"];

impl Comparable {
    fn of(response: &[u8]) -> Self {
        let find = |octets: &[u8], word: &[u8]| octets.windows(word.len()).position(|window| window == word);
        let end = find(response, b"\r\n\r\n").unwrap_or_else(|| panic!("{}", response.escape_ascii())) + 4;
        let (head, content) = response.split_at(end);
        let head = undated(head);
        assert_eq!((value(&head, "Date"), value(&head, "Server").is_some()), (Some("D"), true), "{head}");
        if let Some(length) = value(&head, "Content-Length").filter(|_| !content.is_empty()) {
            assert_eq!(length, content.len().to_string(), "{head}");
        }
        let mut content = content.to_vec();
        // Pages have it since 3.14 (89, 144).
        if let (Some(start), Some(end)) = (find(&content, b"<style"), find(&content, b"</style>\n")) {
            let start = content[..start].iter().rposition(|octet| *octet == b'\n').unwrap() + 1;
            content.drain(start..end + b"</style>\n".len());
        }
        let (status_line, fields) = head.split_once("\r\n").unwrap();
        // The reason is the code's, and not what the client sent (91).
        let status_line = if common::status(&head) < 400 { status_line } else { &status_line[..12] };
        let mut fields: Vec<String> = fields
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| !NOT_COMPARED.contains(name))
            .map(|(name, value)| match name {
                // It is that of the content, which is compared.
                "Content-Length" => format!("{name}: {}", content.len()),
                // Text is said to be UTF-8 (137).
                "Content-type" if !content.starts_with(b"<!DOCTYPE") => {
                    format!("{name}: {}", value.trim_end_matches("; charset=utf-8"))
                }
                _ => format!("{name}: {value}"),
            })
            .collect();
        fields.sort_unstable();
        Self { status_line: status_line.to_owned(), fields, content: content.escape_ascii().to_string() }
    }
}

/// What GET and HEAD are asked of, besides each name of [`ODD`], encoded.
#[rustfmt::skip]
const TARGETS: &[&str] = &[
    "/", "/a.txt", "/a.txt?query", "/a.txt?/../sub", "/a.txt/", "/page.html", "/zero", "/large", "/missing", "/missing/",
    "/sub", "/sub/", "/sub?a=b/c", "//sub", "///sub/..", "/sub/../sub", "/sub/b%20&%20c.txt", "/sub/b%20%26%20c.txt",
    "/sub/%2e%2e/a.txt", "/sub/..%2fa.txt", "/../../a.txt", "/%2e%2e/%2e%2e/a.txt", "/../secret.txt", "/empty", "/empty/",
    "/site", "/site/", "/site/?a", "/site/index.html", "/odd/", "/odd/index.html", "/odd/index.html/", "/names", "/names/",
    "/names/to%20file", "/names/to%20directory", "/names/to%20directory/", "/names/broken", "/names/up/a.txt",
    "/names/a:b", "/names/a%20b+c.JPG", "/names/a%20b%2bc.JPG", "/names/a%20b%20c.JPG", "/names/100%", "/names/50%25",
    "/names/b", "/names/caf%ED%B3%A9.txt", "/shut", "/shut/", "/shut/in.txt", "/a.txt/b", "/%61.txt", "/%2561.txt",
    "/a.txt%20", "/%zz", "/%", "/./a.txt", "/.", "/..", "/sub/.", "/sub/..",
];

/// A name in a target.
fn encoded(name: &[u8]) -> String {
    // A name that is no UTF-8 is found in the form that a listing gives it (107).
    if str::from_utf8(name).is_err() {
        return "caf%ED%B3%A9.txt".to_owned();
    }
    name.iter().fold(String::new(), |text, octet| format!("{text}%{octet:02X}"))
}

#[test]
fn files_and_directories_are_answered_the_same() {
    let directory = directory();
    let Some(processes) = both(&directory, &[]) else { return };
    let names = ODD.iter().map(|name| format!("/names/{}", encoded(name)));
    let long = format!("/{}", "x".repeat(300));
    for target in TARGETS.iter().map(ToString::to_string).chain(names).chain([long]) {
        let [ours, pythons] = processes.each_ref().map(|process| {
            let [get, head] =
                ["GET", "HEAD"].map(|method| answer(process, &format!("{method} {target} HTTP/1.0\r\n\r\n")));
            assert!(head.ends_with(b"\r\n\r\n"), "{target}: {}", head.escape_ascii());
            assert!(get.len() >= head.len(), "{target}");
            assert_eq!(undated(&head), undated(&get[..head.len()]), "{target}");
            Comparable::of(&get)
        });
        assert_eq!(ours, pythons, "{target}");
    }
}

#[test]
fn methods_and_conditions_are_answered_the_same() {
    let directory = directory();
    let Some(processes) = both(&directory, &[]) else { return };
    let methods = ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW", "D'OH", "HEADS"];
    let methods = methods.map(|method| format!("{method} /a.txt HTTP/1.0\r\n\r\n"));
    let dates = [
        MODIFIED,
        "Sun, 06 Nov 1994 08:49:36 GMT",
        "Sunday, 06-Nov-94 08:49:38 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sat, 06 Nov 2094 08:49:37 GMT",
        "x",
        "",
    ];
    let conditions = ["/a.txt", "/site/", "/sub/", "/missing"].into_iter().flat_map(|target| {
        dates.map(|date| format!("GET {target} HTTP/1.0\r\nIf-Modified-Since: {date}\r\n\r\n"))
    });
    let both_conditions =
        format!("GET /a.txt HTTP/1.0\r\nIf-Modified-Since: {MODIFIED}\r\nIf-None-Match: \"other\"\r\n\r\n");
    let versions =
        ["1.1", "1.2", "1.9"].map(|version| format!("GET /a.txt HTTP/{version}\r\nHost: a\r\n\r\n"));
    for request in methods.into_iter().chain(conditions).chain([both_conditions]).chain(versions) {
        let [ours, pythons] = processes.each_ref().map(|process| Comparable::of(&answer(process, &request)));
        assert_eq!(ours, pythons, "{request}");
    }
}

/// The status of each response, of which all have a status line.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at + 9..at + 12].parse().unwrap()).collect()
}

/// Which connections go on, with HTTP/1.1 (62–73).
#[test]
fn connections_are_kept_the_same() {
    let directory = directory();
    let Some([ours, pythons]) = both(&directory, &["--protocol", "HTTP/1.1"]) else { return };
    let ask = |start: &str, fields: &str| format!("{start}\r\nHost: a\r\n{fields}\r\n");
    let get = ask("GET /a.txt HTTP/1.1", "");
    // What is sent in front of a request; Python's statuses, and ours.
    for (first, expected) in [
        (ask("GET /a.txt HTTP/1.1", ""), [&[200, 200][..]; 2]),
        (ask("HEAD /large HTTP/1.1", ""), [&[200, 200]; 2]),
        (ask("GET /sub HTTP/1.1", ""), [&[301, 200]; 2]),
        (ask("GET /names/ HTTP/1.1", ""), [&[200, 200]; 2]),
        (ask("GET /a.txt HTTP/1.1", &format!("If-Modified-Since: {MODIFIED}\r\n")), [&[304, 200]; 2]),
        (ask("GET /a.txt HTTP/1.1", "Connection: close\r\n"), [&[200]; 2]),
        (ask("GET /a.txt HTTP/1.1", "Connection: Close\r\n"), [&[200]; 2]),
        (ask("GET /a.txt HTTP/1.1", "Connection: keep-alive\r\n"), [&[200, 200]; 2]),
        (ask("GET /a.txt HTTP/1.0", ""), [&[200]; 2]),
        (ask("GET /a.txt HTTP/1.0", "Connection: keep-alive\r\n"), [&[200, 200]; 2]),
        (ask("GET /a.txt HTTP/1.1", "Connection: close, x\r\n"), [&[200, 200], &[200]]), // 63
        (ask("GET /a.txt HTTP/1.1", "Expect: other\r\n"), [&[200, 200]; 2]),
        (ask("GET /a.txt HTTP/1.1", "Expect: 100-continue\r\n"), [&[100, 200, 200], &[200, 200]]), // 69
        (ask("GET /missing HTTP/1.1", ""), [&[404], &[404]]),
        (ask("POST /a.txt HTTP/1.1", "Content-Length: 3\r\n") + "abc", [&[501], &[501]]),
    ] {
        let answers = [&pythons, &ours].map(|process| statuses(&answer(process, &format!("{first}{get}"))));
        assert_eq!(answers.each_ref().map(Vec::as_slice), expected, "{first}");
    }
}

// ---- what is not ----

/// The same requests to both. Where the answers differ, the number is that of the rule we follow instead.
#[test]
fn requests_are_refused_by_our_rules() {
    let directory = directory();
    let Some([ours, pythons]) = both(&directory, &[]) else { return };
    let port_less = |process: &Process| process.banner.replace(&process.address.port().to_string(), "PORT");
    assert_eq!(port_less(&ours), port_less(&pythons));

    let many_fields = "X: y\r\n".repeat(101);
    let long = "x".repeat(70_000);
    // What is sent; Python's status, 0 for an answer without a status line, and ours.
    for (request, expected) in [
        ("GET / HTTP/1.0\r\n\r\n", (200, 200)),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", (200, 200)),
        ("HEAD /a.txt HTTP/1.0\r\n\r\n", (200, 200)),
        ("GET /a.txt?query HTTP/1.9\r\nHost: a\r\n\r\n", (200, 200)),
        ("GET /sub HTTP/1.0\r\n\r\n", (301, 301)),
        ("GET /nope HTTP/1.0\r\n\r\n", (404, 404)),
        ("HEAD /nope HTTP/1.0\r\n\r\n", (404, 404)),
        ("GET /a.txt/ HTTP/1.0\r\n\r\n", (404, 404)),
        ("GET /../../a.txt HTTP/1.0\r\n\r\n", (200, 200)),
        ("GET /%2e%2e/a.txt HTTP/1.0\r\n\r\n", (200, 200)),
        ("FOO / HTTP/1.0\r\n\r\n", (501, 501)),
        ("get / HTTP/1.0\r\n\r\n", (501, 501)),
        ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", (501, 501)),
        ("GET / x HTTP/1.0\r\n\r\n", (400, 400)),
        (&format!("GET /{long} HTTP/1.0\r\n\r\n"), (414, 414)),
        (&format!("GET / HTTP/1.0\r\n{many_fields}\r\n"), (431, 431)),
        (&format!("GET / HTTP/1.0\r\nX: {long}\r\n\r\n"), (431, 431)),
        ("", (0, 0)),
        ("\r\n", (0, 0)),
        ("\r\nGET / HTTP/1.0\r\n\r\n", (0, 200)),            // 39
        ("GET\t/\tHTTP/1.0\r\n\r\n", (200, 400)),            // 38
        ("GET  /  HTTP/1.0\r\n\r\n", (200, 400)),            // 38
        ("GET\r\n\r\n", (0, 400)),                           // 44
        ("GET / HTTP/9\r\n\r\n", (0, 400)),                  // 44
        ("GET / HTTP/2.0\r\n\r\n", (0, 505)),                // 44
        ("GET /\r\n\r\n", (0, 400)),                         // 47
        ("POST /\r\n\r\n", (0, 400)),                        // 47
        ("GET http://a/a.txt HTTP/1.0\r\n\r\n", (404, 200)), // 50
        ("GET / HTTP/1.0\r\nno colon\r\n\r\n", (200, 400)),  // 54
        ("GET / HTTP/1.0\r\nX : y\r\n\r\n", (200, 400)),     // 55
        ("GET / HTTP/1.0\r\nX: y\r\n folded\r\n\r\n", (200, 400)), // 55
        ("GET / HTTP/1.1\r\n\r\n", (200, 400)),              // 56
        ("GET / HTTP/1.0\r\nContent-Length: x\r\n\r\n", (200, 400)), // 57
        ("GET /%00 HTTP/1.0\r\n\r\n", (0, 404)),             // 113
        // RFC 9112 §2.2 lets a server take LF for a line end (spec 52). Two readers of one message can differ in it.
        ("GET / HTTP/1.0\n\n", (200, 400)),
    ] {
        let answers = [&pythons, &ours].map(|process| {
            let bytes = answer(process, request);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.starts_with("HTTP/") { (common::status(&text), text) } else { (0, text) }
        });
        let [(python, python_text), (our, our_text)] = &answers;
        let shown = &request[..request.len().min(100)];
        assert_eq!((*python, *our), expected, "{shown:?}: {python_text:.200?} {our_text:.200?}");
    }
}

#[test]
fn lines_of_the_log_are_the_same() {
    let directory = directory();
    let Some([ours, pythons]) = both(&directory, &[]) else { return };
    let requests = [
        "GET / HTTP/1.0\r\n\r\n",
        "HEAD /a.txt?a=b HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\n\r\n",
        "GET /sub HTTP/1.0\r\n\r\n",
        "GET /nope HTTP/1.0\r\n\r\n",
        "FOO / HTTP/1.0\r\n\r\n",
    ];
    let logs = [&pythons, &ours].map(|process| {
        for request in requests {
            answer(process, request);
        }
        assert!(becomes_true(|| process.stderr.all().len() >= 7), "{:?}", process.stderr.all());
        let lines = process.stderr.all();
        assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [")), "{lines:?}");
        // Ours does not repeat what the client said.
        lines.iter().map(|line| log_text(line).replace(" ('FOO')", "")).collect::<Vec<_>>()
    });
    assert_eq!(logs[0], logs[1]);
}
