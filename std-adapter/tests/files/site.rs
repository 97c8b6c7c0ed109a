//! A directory to serve, and what a client is answered.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use httpling::files::FileHandler;
use httpling::{CloseReason, Config, Leniency, Session};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// Gives its input, keeps what is written, and does something before each write.
pub(super) struct Stream<'a> {
    pub(super) input: &'a [u8],
    pub(super) written: Vec<u8>,
    pub(super) writes: usize,
    pub(super) before_write: Box<dyn FnMut(usize) + 'a>,
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
pub(super) struct Answer {
    pub(super) status: u16,
    /// With its line ends.
    pub(super) head: String,
    pub(super) content: Vec<u8>,
    pub(super) reason: CloseReason,
    pub(super) writes: usize,
}

impl Answer {
    /// One response, and nothing behind it.
    pub(super) fn parse(written: &[u8], reason: CloseReason, writes: usize) -> Self {
        let end = written.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(written[..end].to_vec()).expect("ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head, content: written[end..].to_vec(), reason, writes }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("UTF-8")
    }

    /// Status and content, for comparisons.
    pub(super) fn is(&self, status: u16, content: &str) {
        assert_eq!((self.status, self.text()), (status, content), "{}", self.head);
    }
}

pub(super) fn converse<'a>(
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

pub(super) fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n").into_bytes();
    for (name, value) in fields {
        request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

pub(super) fn ask(files: &FileHandler, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    let request = request(method, target, fields);
    let (stream, reason) = converse(files, &request, |_| ());
    Answer::parse(&stream.written, reason, stream.writes)
}

pub(super) fn fetch(files: &FileHandler, target: &str) -> Answer {
    ask(files, "GET", target, &[])
}

/// Long ago, so that its files are settled: Sun, 06 Nov 1994 08:49:37 GMT, and a bit.
pub(super) const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

pub(super) fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
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
pub(super) struct Site {
    pub(super) directory: TempDir,
}

impl Site {
    pub(super) fn new() -> Self {
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

    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(super) fn files(&self) -> FileHandler {
        FileHandler::new(self.root()).unwrap()
    }
}

/// More than one piece, and no multiple of one.
pub(super) fn large() -> Vec<u8> {
    (0..600_001u32).flat_map(u32::to_le_bytes).take(600_001).collect()
}
