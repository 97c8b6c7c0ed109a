//! The page that lists a directory (spec 138–149).
//!
//! Names are all that is kept of a directory: the page itself is written entry by entry. A page that fits the server's
//! output buffer gets a `Content-Length`, a longer one leaves in chunks (147 H).

use crate::files::translate::{decode, escape, unescape};
use crate::files::tree::{Entry, Kind};
use httpling_core::{Head, SendError, Sent};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::borrow::Cow;

/// The value of `Content-type` (spec 138).
pub(super) const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// What a link's name is encoded of: all but `A–Z a–z 0–9 _ . - ~` (spec 142). A colon, too, so that `a:b` is no scheme
/// (146).
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// Ends `head` with the page. `path` is that of the request's target, as it was sent.
#[doc(alias = "list_directory")]
pub(super) fn send(entries: Vec<Entry>, path: &[u8], head: Head<'_>) -> Result<Sent, SendError> {
    let entries = sorted(entries);
    let mut title = b"Directory listing for ".to_vec();
    push_escaped(&mut title, &decoded_title(path));
    let mut body = head.end_headers()?;
    for piece in [
        b"<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<style type=\"text/css\">\n\
          :root {\ncolor-scheme: light dark;\n}\n</style>\n<title>",
        title.as_slice(),
        b"</title>\n</head>\n<body>\n<h1>",
        title.as_slice(),
        b"</h1>\n<hr>\n<ul>\n",
    ] {
        body.write_all(piece)?;
    }
    let mut item = title;
    for (_, entry) in &entries {
        item.clear();
        push_item(&mut item, entry);
        body.write_all(&item)?;
    }
    body.write_all(b"</ul>\n<hr>\n</body>\n</html>\n")?;
    body.finish()
}

/// By the lower-cased name, code point by code point (spec 139); names that differ in case alone, by the name.
fn sorted(entries: Vec<Entry>) -> Vec<(Vec<u8>, Entry)> {
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (lower_case(&entry.name), entry)).collect();
    entries.sort_unstable_by(|(left_key, left), (right_key, right)| {
        left_key.cmp(right_key).then_with(|| left.name.cmp(&right.name))
    });
    entries
}

/// As Python's `str.lower`, with octets that are no UTF-8 where Python has them among the code points.
fn lower_case(name: &[u8]) -> Vec<u8> {
    if let Ok(text) = std::str::from_utf8(name) {
        return text.to_lowercase().into_bytes();
    }
    let mut lower = Vec::with_capacity(name.len() * 3);
    for chunk in name.utf8_chunks() {
        lower.extend_from_slice(chunk.valid().to_lowercase().as_bytes());
        lower.extend_from_slice(&escape(chunk.invalid()));
    }
    lower
}

/// `<li><a href="QUOTED">SHOWN</a></li>` (spec 140, 141)
fn push_item(item: &mut Vec<u8>, entry: &Entry) {
    let (after_link, after_name): (&[u8], &[u8]) = match entry.kind {
        Kind::File => (b"", b""),
        Kind::Directory => (b"/", b"/"),
        Kind::Link => (b"", b"@"),
        Kind::LinkToDirectory => (b"/", b"@"),
    };
    item.extend_from_slice(b"<li><a href=\"");
    for piece in percent_encode(&escape(&entry.name), QUOTED) {
        item.extend_from_slice(piece.as_bytes());
    }
    item.extend_from_slice(after_link);
    item.extend_from_slice(b"\">");
    push_escaped(item, &entry.name);
    item.extend_from_slice(after_name);
    item.extend_from_slice(b"</a></li>\n");
}

/// `&`, `<` and `>` escaped; octets that are no UTF-8 as they are (spec 143).
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for &octet in text {
        match octet {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(octet),
        }
    }
}

/// The path as people read it. Octets in the form of [`escape`] are themselves; if others are no UTF-8, each of
/// those is U+FFFD (spec 145).
fn decoded_title(path: &[u8]) -> Cow<'_, [u8]> {
    let decoded = decode(path);
    if std::str::from_utf8(&decoded).is_ok() {
        return decoded;
    }
    let octets = unescape(&decoded).into_owned();
    if *escape(&octets) == *decoded {
        Cow::Owned(octets)
    } else {
        Cow::Owned(String::from_utf8_lossy(&decoded).into_owned().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &[u8], kind: Kind) -> Vec<u8> {
        let mut item = Vec::new();
        push_item(&mut item, &Entry { name: name.into(), kind });
        item
    }

    macro_rules! case {
        ($name:ident, $file:expr, $kind:expr, $expected:expr) => {
            #[test]
            fn $name() {
                let item = item($file.as_ref(), $kind);
                assert_eq!(item.escape_ascii().to_string(), $expected.as_bytes().escape_ascii().to_string());
            }
        };
    }

    case! { a_file, "a_b.c-d~1", Kind::File, "<li><a href=\"a_b.c-d~1\">a_b.c-d~1</a></li>\n" }
    case! { a_directory, "a", Kind::Directory, "<li><a href=\"a/\">a/</a></li>\n" }
    case! { a_link, "a", Kind::Link, "<li><a href=\"a\">a@</a></li>\n" }
    case! { a_link_to_a_directory, "a", Kind::LinkToDirectory, "<li><a href=\"a/\">a@</a></li>\n" }
    case! { a_colon_is_no_scheme, "a:b", Kind::File, "<li><a href=\"a%3Ab\">a:b</a></li>\n" }
    case! { a_query_is_no_query, "a?b#c", Kind::File, "<li><a href=\"a%3Fb%23c\">a?b#c</a></li>\n" }
    case! { a_percent_sign, "100%", Kind::File, "<li><a href=\"100%25\">100%</a></li>\n" }
    case! { utf_8, "é", Kind::File, "<li><a href=\"%C3%A9\">é</a></li>\n" }
    case! {
        markup_is_text,
        "<b>&\"'",
        Kind::File,
        "<li><a href=\"%3Cb%3E%26%22%27\">&lt;b&gt;&amp;\"'</a></li>\n"
    }

    #[test]
    fn other_octets_are_linked_as_python_does_and_shown_as_they_are() {
        assert_eq!(item(b"\xe7", Kind::File), b"<li><a href=\"%ED%B3%A7\">\xe7</a></li>\n");
    }

    #[test]
    fn names_are_sorted_by_lower_case_and_code_point() {
        let names: [&[u8]; 9] = [
            b".z",
            b"A",
            b"a",
            b"aB",
            b"Ac",
            "É".as_bytes(),
            "日".as_bytes(),
            b"\xe7",
            "\u{e000}".as_bytes(),
        ];
        let entries: Vec<Entry> =
            names.iter().rev().map(|name| Entry { name: name.to_vec(), kind: Kind::File }).collect();
        let entries = sorted(entries);
        assert!(entries.iter().map(|(_, entry)| entry.name.as_slice()).eq(names));
    }

    #[test]
    fn titles() {
        for (path, title) in [
            ("/", &b"/"[..]),
            ("/a%20b/../", b"/a b/../"),
            ("/%C3%A9/", "/é/".as_bytes()),
            ("/%ED%B3%A7/", b"/\xe7/"),
            ("/%E7/", "/\u{fffd}/".as_bytes()),
            ("/%E7%ED%B3%A7/", "/\u{fffd}\u{fffd}\u{fffd}\u{fffd}/".as_bytes()),
        ] {
            let decoded = decoded_title(path.as_bytes());
            assert_eq!(*decoded, *title, "{path}");
        }
    }
}
