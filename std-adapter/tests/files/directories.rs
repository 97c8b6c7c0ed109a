//! Directories: where they send a client, their index pages, and their listings.

use super::site::{MODIFIED, Site, fetch, write};
use httpling::files::Listings;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;

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
