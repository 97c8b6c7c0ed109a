//! What is in a file, while it stays and while it changes, and the fields beside it.

use super::site::{Answer, MODIFIED, Site, ask, converse, fetch, large, request, write};
use httpling::{CloseReason, SendError};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

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
    for (length, writes) in [(16_384, 1), (131_072, 2)] {
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
