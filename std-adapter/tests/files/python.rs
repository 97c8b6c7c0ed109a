//! Python answers the same.

use super::site::{Answer, MODIFIED, Site, ask, request, write};
use httpling::CloseReason;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
