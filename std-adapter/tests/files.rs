//! `FileHandler`, through a whole session over a stream in memory, on real directories.
#![cfg(unix)]
// A test that panics has failed: that is what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use httpling::files::{DotFiles, FileHandler, Links, Listings};
use httpling::{CloseReason, Config, Leniency, SendError, Session};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

// ---- the stream, and what is said on it ----

/// Gives its input, keeps what is written, and does something before each write.
struct Stream<'a> {
    input: &'a [u8],
    written: Vec<u8>,
    writes: usize,
    before_write: Box<dyn FnMut(usize) + 'a>,
}

impl ErrorType for Stream<'_> {
    type Error = ErrorKind;
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let count = self.input.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.input[..count]);
        self.input = &self.input[count..];
        Ok(count)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        (self.before_write)(self.writes);
        self.writes += 1;
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    /// With its line ends.
    head: String,
    content: Vec<u8>,
    reason: CloseReason,
    writes: usize,
}

impl Answer {
    /// One response, and nothing behind it.
    fn parse(written: &[u8], reason: CloseReason, writes: usize) -> Self {
        let end = written.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(written[..end].to_vec()).expect("ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head, content: written[end..].to_vec(), reason, writes }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("UTF-8")
    }

    /// Status and content, for comparisons.
    fn is(&self, status: u16, content: &str) {
        assert_eq!((self.status, self.text()), (status, content), "{}", self.head);
    }
}

fn converse<'a>(
    files: &FileHandler,
    input: &'a [u8],
    before_write: impl FnMut(usize) + 'a,
) -> (Stream<'a>, CloseReason) {
    // As a server's: room for a small file and its head.
    let (mut request, mut response) = (vec![0; 16 * 1024], vec![0; 65 * 1024]);
    let leniency = Leniency { target_octets: true, ..Leniency::default() };
    let config = Config { leniency, ..Config::DEFAULT };
    let mut stream = Stream { input, written: Vec::new(), writes: 0, before_write: Box::new(before_write) };
    let reason = Session::new(&mut request, &mut response, &config).handle(&mut stream, &mut files.clone());
    (stream, reason)
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n").into_bytes();
    for (name, value) in fields {
        request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

fn ask(files: &FileHandler, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    let request = request(method, target, fields);
    let (stream, reason) = converse(files, &request, |_| ());
    Answer::parse(&stream.written, reason, stream.writes)
}

fn fetch(files: &FileHandler, target: &str) -> Answer {
    ask(files, "GET", target, &[])
}

// ---- the directory ----

/// Long ago, so that its files are settled: Sun, 06 Nov 1994 08:49:37 GMT, and a bit.
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let modified = UNIX_EPOCH + Duration::new(784_111_777, 500);
    fs::write(&path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// ```text
/// secret.txt                         outside
/// root/ a.txt  page.html  empty  large  .env  .well-known/w.txt
///       sub/ b.txt  dir/             without index page
///       site/ index.html  deep/      with one
///       odd/ index.html/  index.htm  with a directory of that name
///       links/ in -> ../a.txt  dir -> ../sub  out -> ../../secret.txt  outdir -> ../..  broken  absolute
/// ```
struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap() };
        let root = site.root();
        for name in ["sub/dir", "site/deep", "odd/index.html", "links", ".well-known"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        write(site.directory.path().join("secret.txt"), "secret");
        write(root.join("a.txt"), "0123456789");
        write(root.join("page.html"), "<p>page");
        write(root.join("empty"), "");
        write(root.join("large"), large());
        write(root.join(".env"), "password");
        write(root.join(".well-known/w.txt"), "well known");
        write(root.join("sub/b.txt"), "b");
        write(root.join("site/index.html"), "index");
        write(root.join("odd/index.htm"), "htm");
        for (to, name) in [
            ("../a.txt", "in"),
            ("../sub", "dir"),
            ("../../secret.txt", "out"),
            ("../..", "outdir"),
            ("nowhere", "broken"),
        ] {
            symlink(to, root.join("links").join(name)).unwrap();
        }
        symlink(root.join("a.txt"), root.join("links/absolute")).unwrap();
        site
    }

    fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }

    fn files(&self) -> FileHandler {
        FileHandler::new(self.root()).unwrap()
    }
}

/// More than one piece, and no multiple of one.
fn large() -> Vec<u8> {
    (0..600_001u32).flat_map(u32::to_le_bytes).take(600_001).collect()
}

// ---- files ----

#[test]
fn a_file_leaves_with_its_head_in_one_write() {
    let site = Site::new();
    let answer = fetch(&site.files(), "/a.txt");
    let etag = answer.header("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.len() == 18, "{etag}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-type: text/plain; charset=utf-8\r\nLast-Modified: {MODIFIED}\r\nETag: {etag}\r\n\
         Accept-Ranges: bytes\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"
    );
    assert_eq!(answer.head, head);
    assert_eq!(answer.text(), "0123456789");
    assert_eq!(answer.writes, 1);
}

#[test]
fn the_largest_small_file_leaves_in_one_write() {
    let site = Site::new();
    for (length, writes) in [(65_536, 1), (131_072, 2)] {
        write(site.root().join("edge"), vec![b'x'; length]);
        let answer = fetch(&site.files(), "/edge");
        assert_eq!((answer.status, answer.content.len(), answer.writes), (200, length, writes));
    }
}

#[test]
fn a_large_file_is_sent_whole() {
    let site = Site::new();
    let answer = fetch(&site.files(), "/large");
    assert_eq!(answer.header("Content-Length"), Some("600001"));
    assert_eq!(answer.header("Content-type"), Some("application/octet-stream"));
    assert!(answer.content == large());
}

#[test]
fn an_empty_file() {
    let answer = fetch(&Site::new().files(), "/empty");
    answer.is(200, "");
    assert_eq!(answer.header("Content-Length"), Some("0"));
}

#[test]
fn head_has_the_head_of_get_and_no_content() {
    let site = Site::new();
    for target in ["/a.txt", "/large", "/empty", "/site/", "/sub/", "/sub", "/missing"] {
        let (get, head) = (fetch(&site.files(), target), ask(&site.files(), "HEAD", target, &[]));
        assert_eq!(head.head, get.head, "{target}");
        assert_eq!(head.content, b"", "{target}");
    }
}

#[test]
fn a_file_with_a_slash_behind_it_is_not_there() {
    let site = Site::new();
    for target in ["/a.txt/", "/a.txt%2f", "/site/index.html/", "/a.txt/b", "/a.txt/../a.txt/"] {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
}

#[test]
fn what_is_not_there_says_so() {
    let site = Site::new();
    let answer = fetch(&site.files(), "/missing");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("<p>Message: File not found.</p>"), "{}", answer.text());
    assert!(answer.text().contains("404 - Nothing matches the given URI."), "{}", answer.text());
    let long = format!("/{}", "x".repeat(300));
    let longer = format!("/{}", "x/".repeat(4000));
    for target in ["/missing/", "/a%00.txt", "/%00", "/%ED%B0%AF", &long, &longer] {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
}

#[test]
fn names_are_octets() {
    let site = Site::new();
    for (name, targets) in [
        (&b"caf\xc3\xa9"[..], &["/caf%C3%A9", "/caf%c3%a9"][..]),
        (b"caf\xe9", &["/caf%E9", "/caf%ED%B3%A9"]),
        (b"a b+c", &["/a%20b+c", "/a%20b%2Bc"]),
        (b"100%", &["/100%", "/100%25"]),
        (b"a?b#c", &["/a%3Fb%23c", "/a%3fb%23c?query"]),
        (b"a\\b", &["/a%5Cb"]),
        (b"a:b", &["/a:b", "/a%3Ab"]),
        (b"...", &["/...", "/%2e%2e%2e"]),
        (b"line\nend", &["/line%0Aend"]),
    ] {
        write(site.root().join(OsStr::from_bytes(name)), name);
        for target in targets {
            let answer = fetch(&site.files(), target);
            assert_eq!((answer.status, answer.content.as_slice()), (200, name), "{target}");
        }
    }
}

#[test]
fn the_query_names_nothing() {
    let site = Site::new();
    for target in
        ["/a.txt?", "/a.txt?/../sub", "/a.txt?a=b%00", "http://other/a.txt?b", "//a.txt", "///a.txt"]
    {
        fetch(&site.files(), target).is(200, "0123456789");
    }
}

#[test]
fn other_methods_are_pythons_501() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"] {
        assert_eq!(ask(&site.files(), method, "/a.txt", &[]).status, 501, "{method}");
    }
}

// ---- staying inside ----

#[test]
fn no_spelling_leads_out() {
    let site = Site::new();
    let ups = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
        "..%00",
        "..;",
        "...",
        "%c0%ae%c0%ae",
        "%ED%B2%AE%ED%B2%AE",
        "..%5c",
        "..\\",
        "%2e%2e%2f..",
        "./..",
        "sub/../..",
        "sub%2f..%2f..",
    ];
    let slashes = ["/", "//", "%2f", "%2F", "/./", "%5c", "\\", "%252f"];
    for up in ups {
        for slash in slashes {
            for depth in 1..4 {
                let climb = format!("{up}{slash}").repeat(depth);
                for lead in ["/", "//", "http://a/", "/sub/", "/sub%2f", "/links/outdir/"] {
                    let target = format!("{lead}{climb}secret.txt");
                    let answer = fetch(&site.files(), &target);
                    assert!(matches!(answer.status, 404), "{target}: {}", answer.head);
                    assert!(!answer.text().contains("secret</"), "{target}");
                }
            }
        }
    }
    for target in [
        "/../../../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
    ] {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
}

#[test]
fn links_that_stay_inside_are_followed() {
    let site = Site::new();
    fetch(&site.files(), "/links/in").is(200, "0123456789");
    fetch(&site.files(), "/links/absolute").is(200, "0123456789");
    fetch(&site.files(), "/links/dir/b.txt").is(200, "b");
    assert_eq!(fetch(&site.files(), "/links/dir").header("Location"), Some("/links/dir/"));
}

#[test]
fn links_that_lead_out_are_not_there_unless_asked_for() {
    let site = Site::new();
    for target in
        ["/links/out", "/links/outdir", "/links/outdir/", "/links/outdir/secret.txt", "/links/broken"]
    {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
    let follows = site.files().links(Links::FollowAnywhere);
    fetch(&follows, "/links/out").is(200, "secret");
    fetch(&follows, "/links/outdir/secret.txt").is(200, "secret");
    assert_eq!(fetch(&follows, "/links/outdir/../../secret.txt").status, 404);
    assert_eq!(fetch(&follows, "/links/broken").status, 404);
}

#[test]
fn an_index_page_that_leads_out_does_not_turn_into_a_listing() {
    let site = Site::new();
    symlink("../../secret.txt", site.root().join("sub/index.html")).unwrap();
    assert_eq!(fetch(&site.files(), "/sub/").status, 404);
    fetch(&site.files().links(Links::FollowAnywhere), "/sub/").is(200, "secret");
}

#[test]
fn the_directory_is_the_one_that_is_there_now() {
    let site = Site::new();
    let current = site.directory.path().join("current");
    symlink("root", &current).unwrap();
    let files = FileHandler::new(&current).unwrap();
    fetch(&files, "/a.txt").is(200, "0123456789");
    fs::create_dir(site.directory.path().join("next")).unwrap();
    write(site.directory.path().join("next/a.txt"), "next");
    fs::remove_file(&current).unwrap();
    assert_eq!(fetch(&files, "/a.txt").status, 404);
    symlink("next", &current).unwrap();
    fetch(&files, "/a.txt").is(200, "next");
}

#[test]
fn only_a_directory_is_served() {
    let site = Site::new();
    assert_eq!(
        FileHandler::new(site.root().join("missing")).unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(
        FileHandler::new(site.root().join("a.txt")).unwrap_err().kind(),
        std::io::ErrorKind::NotADirectory
    );
}

#[test]
fn dot_files_are_there_unless_hidden() {
    let site = Site::new();
    fetch(&site.files(), "/.env").is(200, "password");
    assert!(fetch(&site.files(), "/").text().contains(".env"));
    let hides = site.files().dot_files(DotFiles::Hidden);
    for target in ["/.env", "/%2eenv", "/sub/../.env", "/.git", "/.git/", "/.git/config"] {
        assert_eq!(fetch(&hides, target).status, 404, "{target}");
    }
    fetch(&hides, "/.well-known/w.txt").is(200, "well known");
    let listing = fetch(&hides, "/");
    assert!(
        !listing.text().contains(".env") && listing.text().contains(".well-known/"),
        "{}",
        listing.text()
    );
}

// ---- what is no file ----

/// Opening it for reading would wait for a writer.
#[test]
fn a_fifo_is_not_there_and_nobody_waits() {
    let site = Site::new();
    let made =
        Command::new("mkfifo").arg(site.root().join("fifo")).arg(site.root().join("sub/index.html")).status();
    assert!(made.unwrap().success());
    assert_eq!(fetch(&site.files(), "/fifo").status, 404);
    assert_eq!(ask(&site.files(), "HEAD", "/fifo", &[]).status, 404);
    let listing = fetch(&site.files(), "/sub/");
    assert_eq!(listing.status, 200, "as an index page it is passed over");
    assert!(listing.text().contains("<a href=\"index.html\">"));
}

#[test]
fn devices_and_sockets_are_not_there() {
    let site = Site::new();
    symlink("/dev/zero", site.root().join("zero")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.root().join("socket")).unwrap();
    for files in [site.files(), site.files().links(Links::FollowAnywhere)] {
        assert_eq!(fetch(&files, "/zero").status, 404);
        assert_eq!(fetch(&files, "/socket").status, 404);
    }
}

#[test]
fn what_we_may_not_read_is_not_there() {
    let site = Site::new();
    let forbid = |path: &str, mode| {
        fs::set_permissions(site.root().join(path), Permissions::from_mode(mode)).unwrap();
    };
    forbid("a.txt", 0);
    forbid("sub", 0o111);
    forbid("site", 0o111);
    if File::open(site.root().join("a.txt")).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    assert_eq!(fetch(&site.files(), "/a.txt").status, 404);
    let listing = fetch(&site.files(), "/sub/");
    assert_eq!(listing.status, 404);
    assert!(listing.text().contains("No permission to list directory"), "{}", listing.text());
    assert_eq!(fetch(&site.files(), "/sub").header("Location"), Some("/sub/"));
    fetch(&site.files(), "/sub/b.txt").is(200, "b");
    fetch(&site.files(), "/site/").is(200, "index");
    forbid("sub", 0o755);
    forbid("site", 0o755);
}

// ---- files that change while they are sent ----

#[test]
fn what_a_file_grows_by_is_not_sent() {
    let site = Site::new();
    let path = site.root().join("large");
    let request = request("GET", "/large", &[]);
    let grow = |_| File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let (stream, reason) = converse(&site.files(), &request, grow);
    let answer = Answer::parse(&stream.written, reason, stream.writes);
    assert!(answer.content == large());
    assert_eq!(answer.reason, CloseReason::Announced);
    assert!(fs::metadata(&path).unwrap().len() > 600_001);
}

#[test]
fn a_file_that_shrinks_cuts_the_connection() {
    let site = Site::new();
    let path = site.root().join("large");
    // On a connection that would go on.
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let shrink = |_| File::options().write(true).open(&path).unwrap().set_len(300_000).unwrap();
    let (stream, reason) = converse(&site.files(), request, shrink);
    let answer = Answer::parse(&stream.written, reason, stream.writes);
    assert_eq!(answer.header("Content-Length"), Some("600001"));
    assert!(answer.content.len() < 600_001, "{}", answer.content.len());
    assert!(large().starts_with(&answer.content), "never padded, and nothing behind it");
    assert_eq!(answer.reason, CloseReason::Broken(SendError::LengthMismatch));
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    let site = Site::new();
    let path = site.root().join("large");
    let request = request("GET", "/large", &[]);
    let replace = |_| {
        write(site.root().join("new"), "new");
        fs::rename(site.root().join("new"), &path).unwrap();
    };
    let (stream, reason) = converse(&site.files(), &request, replace);
    assert!(Answer::parse(&stream.written, reason, stream.writes).content == large());
    fetch(&site.files(), "/large").is(200, "new");
}

// ---- directories ----

#[test]
fn a_directory_without_slash_is_sent_to_the_one_with_it() {
    let site = Site::new();
    for (target, location) in [
        ("/sub", "/sub/"),
        ("/sub?", "/sub/?"),
        ("/sub?a=b/c", "/sub/?a=b/c"),
        ("//sub", "/sub/"),
        ("////sub?//x", "/sub/?//x"),
        ("/sub/../sub", "/sub/../sub/"),
        ("/sub/..", "/sub/../"),
        ("/%73ub", "/%73ub/"),
        ("http://other.example/sub?x", "/sub/?x"),
        ("http://other.example//sub", "/sub/"),
        ("/.//other.example/%2e%2e/%2e%2e/sub", "/.//other.example/%2e%2e/%2e%2e/sub/"),
        ("/%5cother.example/../sub", "/%5cother.example/../sub/"),
        ("/\\other.example/../sub", "/%5Cother.example/../sub/"),
        ("/sub?\\", "/sub/?%5C"),
    ] {
        let answer = fetch(&site.files(), target);
        answer.is(301, "");
        let head = format!(
            "HTTP/1.1 301 Moved Permanently\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(answer.head, head, "{target}");
    }
}

#[test]
fn an_encoded_slash_is_a_slash() {
    assert_eq!(fetch(&Site::new().files(), "/sub%2f").status, 200);
    fetch(&Site::new().files(), "/site%2F").is(200, "index");
}

#[test]
fn index_pages() {
    let site = Site::new();
    let answer = fetch(&site.files(), "/site/?query");
    answer.is(200, "index");
    assert_eq!(answer.header("Content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("Last-Modified"), Some(MODIFIED));
    fetch(&site.files(), "/odd/").is(200, "htm");
    fetch(&site.files().index_pages(["missing", "b.txt"]), "/sub/").is(200, "b");
    let none: [&str; 0] = [];
    assert!(fetch(&site.files().index_pages(none), "/site/").text().contains("Directory listing"));
}

#[test]
fn a_listing_is_this_page() {
    let site = Site::new();
    let answer = fetch(&site.files(), "/links/../links/?a=b#");
    assert_eq!(answer.status, 400, "a fragment is no part of a request-target");
    let answer = fetch(&site.files(), "/links/../links/?a=b");
    let page = "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<style type=\"text/css\">\n\
        :root {\ncolor-scheme: light dark;\n}\n</style>\n<title>Directory listing for /links/../links/</title>\n</head>\n\
        <body>\n<h1>Directory listing for /links/../links/</h1>\n<hr>\n<ul>\n\
        <li><a href=\"absolute\">absolute@</a></li>\n\
        <li><a href=\"broken\">broken@</a></li>\n\
        <li><a href=\"dir/\">dir@</a></li>\n\
        <li><a href=\"in\">in@</a></li>\n\
        <li><a href=\"out\">out@</a></li>\n\
        <li><a href=\"outdir\">outdir@</a></li>\n\
        </ul>\n<hr>\n</body>\n</html>\n";
    answer.is(200, page);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-type: text/html; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    assert_eq!(answer.head, head);
}

#[test]
fn a_listing_of_odd_names() {
    let site = Site::new();
    let odd = site.root().join("sub/dir");
    for name in [&b"b<&>"[..], b"A\xe7", b"a:b", b"B c", "é".as_bytes(), b".z"] {
        write(odd.join(OsStr::from_bytes(name)), "");
    }
    fs::create_dir(odd.join("aa")).unwrap();
    let answer = fetch(&site.files(), "/sub/dir/");
    let start = answer.content.windows(5).position(|window| window == b"<ul>\n").unwrap() + 5;
    let end = answer.content.windows(6).position(|window| window == b"</ul>\n").unwrap();
    let expected = b"<li><a href=\".z\">.z</a></li>\n\
        <li><a href=\"a%3Ab\">a:b</a></li>\n\
        <li><a href=\"aa/\">aa/</a></li>\n\
        <li><a href=\"A%ED%B3%A7\">A\xe7</a></li>\n\
        <li><a href=\"B%20c\">B c</a></li>\n\
        <li><a href=\"b%3C%26%3E\">b&lt;&amp;&gt;</a></li>\n\
        <li><a href=\"%C3%A9\">\xc3\xa9</a></li>\n";
    assert_eq!(answer.content[start..end].escape_ascii().to_string(), expected.escape_ascii().to_string());
    // Every link leads to what it is of.
    for line in answer.content[start..end].split(|&octet| octet == b'\n').filter(|line| !line.is_empty()) {
        let href = line.split(|&octet| octet == b'"').nth(1).unwrap();
        let target = format!("/sub/dir/{}", std::str::from_utf8(href).unwrap());
        assert_eq!(fetch(&site.files(), &target).status, 200, "{target}");
    }
}

#[test]
fn a_long_listing_is_streamed() {
    let site = Site::new();
    for number in 0..3000 {
        File::create(site.root().join(format!("sub/dir/file-{number:04}.txt"))).unwrap();
    }
    let answer = fetch(&site.files(), "/sub/dir/");
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(answer.header("Content-Length"), None);
    assert!(answer.content.ends_with(b"\r\n0\r\n\r\n"));
    assert!(answer.writes > 1);
}

#[test]
fn listings_can_be_turned_off() {
    let site = Site::new();
    let files = site.files().listings(Listings::NotFound);
    let answer = fetch(&files, "/sub/");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("No permission to list directory"));
    fetch(&files, "/site/").is(200, "index");
    fetch(&files, "/sub/b.txt").is(200, "b");
}

// ---- conditions and ranges ----

#[test]
fn what_the_client_has_is_not_sent_again() {
    let site = Site::new();
    let files = site.files();
    let etag = fetch(&files, "/a.txt").header("ETag").unwrap().to_owned();
    let not_modified = format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\nConnection: close\r\n\r\n");
    for method in ["GET", "HEAD"] {
        for fields in [[("If-None-Match", etag.as_str())], [("If-Modified-Since", MODIFIED)]] {
            let answer = ask(&files, method, "/a.txt", &fields);
            assert_eq!(answer.head, not_modified);
            answer.is(304, "");
        }
    }
    // A part of nothing is nothing.
    ask(&files, "GET", "/a.txt", &[("If-None-Match", &etag), ("Range", "bytes=0-1")]).is(304, "");
    let index_page = ask(&files, "GET", "/site/", &[("If-Modified-Since", MODIFIED)]);
    assert_eq!(index_page.status, 304);
    assert_eq!(
        ask(&files, "GET", "/sub/", &[("If-Modified-Since", MODIFIED)]).status,
        200,
        "listings have no date"
    );
    write(site.root().join("a.txt"), "other");
    ask(&files, "GET", "/a.txt", &[("If-None-Match", &etag)]).is(200, "other");
}

#[test]
fn a_connection_goes_on_after_a_304() {
    let site = Site::new();
    let twice = format!("GET /a.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {MODIFIED}\r\n\r\n").repeat(2);
    let (stream, _) = converse(&site.files(), twice.as_bytes(), |_| ());
    let text = String::from_utf8(stream.written).unwrap();
    assert_eq!(text.matches("HTTP/1.1 304 Not Modified\r\n").count(), 2, "{text}");
}

#[test]
fn another_version_is_not_what_the_client_wanted() {
    let site = Site::new();
    let files = site.files();
    assert_eq!(ask(&files, "GET", "/a.txt", &[("If-Match", "\"other\"")]).status, 412);
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    assert_eq!(ask(&files, "GET", "/a.txt", &[("If-Unmodified-Since", before)]).status, 412);
    ask(&files, "GET", "/a.txt", &[("If-Unmodified-Since", MODIFIED)]).is(200, "0123456789");
    ask(&files, "GET", "/a.txt", &[("If-Match", "*")]).is(200, "0123456789");
    assert_eq!(ask(&files, "GET", "/missing", &[("If-Match", "*")]).status, 404);
}

#[test]
fn parts_of_files() {
    let site = Site::new();
    let files = site.files();
    let etag = fetch(&files, "/a.txt").header("ETag").unwrap().to_owned();
    let answer = ask(&files, "GET", "/a.txt", &[("Range", "bytes=2-4")]);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-type: text/plain; charset=utf-8\r\nLast-Modified: {MODIFIED}\r\n\
         ETag: {etag}\r\nAccept-Ranges: bytes\r\nContent-Range: bytes 2-4/10\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
    );
    assert_eq!(answer.head, head);
    answer.is(206, "234");
    ask(&files, "GET", "/a.txt", &[("Range", "bytes=-2")]).is(206, "89");
    ask(&files, "GET", "/a.txt", &[("Range", "bytes=0-1,3-4")]).is(200, "0123456789");
    let head = ask(&files, "HEAD", "/a.txt", &[("Range", "bytes=2-4")]);
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("10")));
    let answer = ask(&files, "GET", "/a.txt", &[("Range", "bytes=10-")]);
    assert_eq!((answer.status, answer.header("Content-Range")), (416, Some("bytes */10")));
    let large = large();
    for (range, expected) in [("bytes=1-599999", &large[1..600_000]), ("bytes=500000-", &large[500_000..])] {
        let answer = ask(&files, "GET", "/large", &[("Range", range)]);
        assert_eq!(answer.status, 206);
        assert!(answer.content == expected, "{range}");
    }
}

#[test]
fn a_download_is_resumed_only_of_the_same_version() {
    let site = Site::new();
    let files = site.files();
    let etag = fetch(&files, "/a.txt").header("ETag").unwrap().to_owned();
    for validator in [etag.as_str(), MODIFIED] {
        ask(&files, "GET", "/a.txt", &[("Range", "bytes=8-"), ("If-Range", validator)]).is(206, "89");
    }
    for validator in ["\"other\"", "W/\"other\"", "Sun, 06 Nov 1994 08:49:38 GMT"] {
        ask(&files, "GET", "/a.txt", &[("Range", "bytes=8-"), ("If-Range", validator)]).is(200, "0123456789");
    }
    // A file that was changed just now may be changed again without its date telling.
    fs::write(site.root().join("a.txt"), "abcdefghij").unwrap();
    let etag = fetch(&files, "/a.txt").header("ETag").unwrap().to_owned();
    assert!(etag.starts_with("W/"), "{etag}");
    ask(&files, "GET", "/a.txt", &[("Range", "bytes=8-"), ("If-Range", &etag)]).is(200, "abcdefghij");
    assert_eq!(ask(&files, "GET", "/a.txt", &[("If-None-Match", &etag)]).status, 304);
}

#[test]
fn dates_beyond_the_calendar_do_no_harm() {
    let site = Site::new();
    let file = File::options().write(true).open(site.root().join("a.txt")).unwrap();
    for modified in [
        UNIX_EPOCH - Duration::from_secs(1_000_000),
        UNIX_EPOCH,
        SystemTime::now() + Duration::from_secs(1_000_000),
        // As far as the file system goes.
        UNIX_EPOCH + Duration::from_secs(15_032_385_535),
    ] {
        if file.set_modified(modified).is_ok() {
            fetch(&site.files(), "/a.txt").is(200, "0123456789");
            ask(&site.files(), "GET", "/a.txt", &[("If-Modified-Since", "Sat, 06 Nov 2094 08:49:37 GMT")]);
        }
    }
}

// ---- settings ----

#[test]
fn extra_fields_are_added_where_there_is_content() {
    let site = Site::new();
    let files =
        site.files().header("Cache-Control: no-store".parse().unwrap()).header("X-A: 1".parse().unwrap());
    let added = |answer: &Answer| (answer.header("Cache-Control").is_some(), answer.header("X-A").is_some());
    assert!(fetch(&files, "/a.txt").head.contains("\r\nCache-Control: no-store\r\nX-A: 1\r\n"));
    assert_eq!(added(&fetch(&files, "/sub/")), (true, true));
    assert_eq!(added(&ask(&files, "GET", "/a.txt", &[("Range", "bytes=0-0")])), (true, true));
    assert_eq!(added(&ask(&files, "GET", "/a.txt", &[("If-None-Match", "*")])), (true, false));
    assert_eq!(added(&fetch(&files, "/sub")), (false, false));
    assert_eq!(added(&fetch(&files, "/missing")), (false, false));
}

#[test]
fn types_and_codings() {
    let site = Site::new();
    let files = site.files().default_content_type("text/plain").unwrap();
    for name in ["picture.svgz", "page.html.br", "unknown.xyz"] {
        write(site.root().join(name), "");
    }
    let types = |target| {
        let answer = fetch(&files, target);
        (
            answer.header("Content-type").map(str::to_owned),
            answer.header("Content-Encoding").map(str::to_owned),
        )
    };
    let expect =
        |media_type: &str, coding: Option<&str>| (Some(media_type.to_owned()), coding.map(str::to_owned));
    assert_eq!(types("/picture.svgz"), expect("image/svg+xml", Some("gzip")));
    assert_eq!(types("/page.html.br"), expect("text/html; charset=utf-8", Some("br")));
    assert_eq!(types("/unknown.xyz"), expect("text/plain", None));
    assert!(site.files().default_content_type("a/b\r\nX: y").is_err());
    assert!(site.files().default_content_type(" ").is_err());
}

// ---- Python ----

/// Python's server, and the end of it.
struct Python {
    child: Child,
    port: u16,
}

impl Python {
    /// `None`, with a reason printed, where there is no Python.
    fn serve(directory: &Path) -> Option<Self> {
        let arguments = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"];
        let mut command = Command::new("python3");
        command.args(arguments).arg(directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: python3: {error}");
                return None;
            }
        };
        // "Serving HTTP on 127.0.0.1 port 40000 (http://127.0.0.1:40000/) ..."
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        let read = BufReader::new(stdout).read_line(&mut line);
        let port =
            line.split(' ').skip_while(|word| *word != "port").nth(1).and_then(|word| word.parse().ok());
        let mut python = Self { child, port: 0 };
        let (Ok(_), Some(port)) = (read, port) else {
            println!("skipped: python3 -m http.server said {line:?}");
            return None;
        };
        python.port = port;
        Some(python)
    }

    fn fetch(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&request(method, target, fields)).unwrap();
        let mut written = Vec::new();
        stream.read_to_end(&mut written).unwrap();
        Answer::parse(&written, CloseReason::Finished, 0)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is the same everywhere: our `charset` (137 H) and the `style` of 3.14 are taken away.
fn comparable(answer: &Answer) -> (u16, Option<String>, Option<String>, Option<String>, String) {
    let own = |name| answer.header(name).map(str::to_owned);
    let media_type =
        answer.header("Content-type").map(|value| match value.strip_prefix("text/html;charset") {
            Some(rest) => format!("text/html; charset{rest}"),
            None if answer.status == 200 && !answer.content.starts_with(b"<!DOCTYPE HTML>") => {
                value.replace("; charset=utf-8", "")
            }
            None => value.to_owned(),
        });
    let mut content = answer.content.clone();
    let find = |content: &[u8], word: &[u8]| content.windows(word.len()).position(|window| window == word);
    if let (Some(start), Some(end)) = (find(&content, b"<style"), find(&content, b"</style>\n")) {
        let start = content[..start].iter().rposition(|&octet| octet == b'\n').unwrap() + 1;
        content.drain(start..end + 9);
    }
    (answer.status, media_type, own("Location"), own("Last-Modified"), content.escape_ascii().to_string())
}

/// What both are asked for.
#[rustfmt::skip]
const PYTHONS_TARGETS: &[&str] = &[
    "/", "/a.txt", "/a.txt?query", "/a.txt/", "/page.html", "/empty", "/large", "/missing", "/missing/",
    "/.env", "/sub", "/sub/", "/sub?a=b", "//sub", "///sub/..", "/sub/../sub", "/sub/b.txt",
    "/sub/%2e%2e/a.txt", "/sub/..%2fa.txt", "/../../a.txt", "/%2e%2e/%2e%2e/a.txt", "/../secret.txt",
    "/site", "/site/", "/site/?a", "/odd/", "/odd/index.html", "/links/", "/links/in", "/links/dir",
    "/links/dir/", "/links/dir/b.txt", "/links/broken", "/links/absolute", "/sub/dir/", "/sub/dir/a:b",
    "/sub/dir/a%3Ab", "/sub/dir/caf%ED%B3%A9.txt", "/sub/dir/%C3%A9.html", "/sub/dir/a%20b+c.JPG",
    "/sub/dir/a%20b%20c.JPG", "/sub/dir/%3C%26%3E", "/sub/dir/x.tar.gz", "/sub/dir/x.Z", "/sub/dir/100%25",
    "/sub/dir/100%", "/sub/dir/link", "/sub/dir/up", "/sub/dir/up/dir/", "/a.txt/b", "/%61.txt",
    "/%2561.txt", "/a.txt%20", "/%zz", "/./a.txt", "/.well-known/w.txt",
];

#[test]
fn python_answers_the_same() {
    let site = Site::new();
    let root = site.root();
    for name in [
        &b"a:b"[..],
        b"caf\xe9.txt",
        "é.html".as_bytes(),
        b"a b+c.JPG",
        b"<&>",
        b"x.tar.gz",
        b"x.Z",
        b"B",
        b"b",
        b"100%",
    ] {
        // One of two names that differ in case alone has to be first; Python leaves that to the file system.
        if name != b"b" {
            write(root.join("sub/dir").join(OsStr::from_bytes(name)), name);
        }
    }
    for (to, name) in [("B", "link"), ("..", "up"), ("nowhere", "broken")] {
        symlink(to, root.join("sub/dir").join(name)).unwrap();
    }
    let Some(python) = Python::serve(&root) else { return };
    let files = site.files();
    let long = format!("/{}", "x".repeat(300));
    for &target in PYTHONS_TARGETS.iter().chain([&long.as_str()]) {
        for method in ["GET", "HEAD"] {
            let (own, theirs) = (ask(&files, method, target, &[]), python.fetch(method, target, &[]));
            // Links that lead out of the directory are shown without looking where (114 H).
            let mut own = comparable(&own);
            if target == "/links/" {
                own.4 = own.4.replace("outdir\\\"", "outdir/\\\"");
            }
            assert_eq!(own, comparable(&theirs), "{method} {target}");
        }
    }
    for since in [MODIFIED, "Sun, 06 Nov 1994 08:49:36 GMT", "Sunday, 06-Nov-94 08:49:38 GMT", "x", ""] {
        let fields = [("If-Modified-Since", since)];
        for target in ["/a.txt", "/site/", "/sub/", "/missing"] {
            let (own, theirs) = (ask(&files, "GET", target, &fields), python.fetch("GET", target, &fields));
            assert_eq!(comparable(&own), comparable(&theirs), "{since} {target}");
        }
    }
}
