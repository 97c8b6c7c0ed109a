//! Conditions and ranges.

use super::site::{MODIFIED, Site, ask, converse, fetch, large, write};
use std::fs::{self, File};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Deployed by a tool that sets all dates to the same, with a part of it that is as long as before.
#[test]
fn a_file_that_takes_the_place_of_another_is_another_version() {
    let site = Site::new();
    let tag = || fetch(&site.files(), "/a.txt").header("ETag").unwrap().to_owned();
    let (before, again) = (tag(), tag());
    assert_eq!(before, again);
    write(site.root().join("next"), "9876543210");
    fs::rename(site.root().join("next"), site.root().join("a.txt")).unwrap();
    assert_ne!(tag(), before);
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
