//! Which file does a path name? (spec 105–113)
//!
//! A pure function from the path of a request-target to names below the served directory. Percent-encoding is undone
//! first and dots are resolved after, so that `%2e%2e%2f` does no more than `../` does: neither climbs above the root.
//!
//! Where Python goes by way of text, we go by octets: they are the file's name (spec 107 H). The form in which Python's
//! listing links names that are not UTF-8 is understood too: see [`escape`].

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// The name of a file below the served directory, and whether the client spelled it like a directory's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath {
    /// Names with `/` between them, none of them empty, `.` or `..`; nothing for the served directory itself.
    octets: Vec<u8>,
    /// The path ends in `/`, or in `%2f` (spec 112).
    pub(super) ends_in_slash: bool,
}

impl FilePath {
    /// Takes apart a path, percent-encoded and without query. `None` when no file can have such a name.
    pub(super) fn parse(path: &[u8]) -> Option<Self> {
        let decoded = decode(path);
        let decoded = unescape(&decoded);
        let mut octets = Vec::with_capacity(decoded.len());
        for name in decoded.split(|&octet| octet == b'/') {
            match name {
                b"" | b"." => {}
                // Above the root is the root (spec 110).
                b".." => octets.truncate(octets.iter().rposition(|&octet| octet == b'/').unwrap_or(0)),
                _ if !is_name(name) => return None,
                _ => push(&mut octets, name),
            }
        }
        Some(Self { octets, ends_in_slash: decoded.ends_with(b"/") })
    }

    /// The names, with `/` between them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// The last name.
    pub(super) fn file_name(&self) -> &[u8] {
        self.octets.rsplit(|&octet| octet == b'/').next().unwrap_or_default()
    }

    /// The path of what is called `name` in the directory that this path names.
    pub(super) fn join(&self, name: &[u8]) -> Self {
        let mut octets = Vec::with_capacity(self.octets.len() + 1 + name.len());
        octets.extend_from_slice(&self.octets);
        push(&mut octets, name);
        Self { octets, ends_in_slash: false }
    }

    /// Does it lead through a name that [`is_hidden`]?
    pub(super) fn is_hidden(&self) -> bool {
        self.octets.split(|&octet| octet == b'/').any(is_hidden)
    }
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Does the name begin with a dot? `.well-known` is no secret: it is there to be found (RFC 8615).
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b".well-known"
}

/// Can a file be called so?
fn is_name(name: &[u8]) -> bool {
    // Elsewhere than on Unix `a:b` is another drive or stream, `\` separates names, and dots and spaces at the end do
    // not count: two spellings of one name would be two chances to get past a rule.
    let elsewhere = || {
        !name.iter().any(|octet| matches!(octet, b'\\' | b':'))
            && !name.ends_with(b".")
            && !name.ends_with(b" ")
            && std::str::from_utf8(name).is_ok()
    };
    !name.contains(&0) && (cfg!(unix) || elsewhere())
}

/// Undoes percent-encoding. `%` without two digits stays, and `+` is no space (spec 109).
pub(super) fn decode(path: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(path).into()
}

/// Octets of a name that are no UTF-8, as text: octet `0xNN` is the code point `U+DCNN`, which no text has, encoded as
/// if it were one. Python calls this `surrogateescape`; its listing's links say `%ED%B3%BF` for the octet 0xFF
/// (spec 106), and so do ours. In this form names sort by code points.
pub(super) fn escape(name: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let mut text = Vec::with_capacity(name.len() * 3);
    for chunk in name.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for &octet in chunk.invalid() {
            text.extend_from_slice(&[0xed, 0xb0 | octet >> 6, 0x80 | octet & 0x3f]);
        }
    }
    Cow::Owned(text)
}

/// Undoes [`escape`].
pub(super) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&0xed) {
        return Cow::Borrowed(text);
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            // Octets below 0x80 are UTF-8 and have no such form: no `/` and no dot can come of this.
            [0xed, high @ (0xb2 | 0xb3), low @ 0x80..=0xbf, rest @ ..] => {
                octets.push((high & 3) << 6 | low & 0x3f);
                rest
            }
            [octet, rest @ ..] => {
                octets.push(*octet);
                rest
            }
            [] => return Cow::Owned(octets),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! case {
        ($name:ident, $path:expr, $expected:expr) => {
            #[test]
            fn $name() {
                let path = FilePath::parse($path.as_ref());
                let expected: Option<(&[u8], bool)> = $expected;
                assert_eq!(path.as_ref().map(|path| (path.as_bytes(), path.ends_in_slash)), expected);
            }
        };
    }

    case! { the_root, "/", Some((b"", true)) }
    case! { nothing_is_the_root, "", Some((b"", false)) }
    case! { a_file, "/a/b.txt", Some((b"a/b.txt", false)) }
    case! { a_directory, "/a/b/", Some((b"a/b", true)) }
    case! { empty_names_are_dropped, "//a///b//", Some((b"a/b", true)) }
    case! { dots_are_resolved, "/a/./b/../c/.", Some((b"a/c", false)) }
    case! { dots_stop_at_the_root, "/../../a", Some((b"a", false)) }
    case! { dots_back_to_the_root, "/a/..", Some((b"", false)) }
    case! { encoded_dots_act_like_plain_ones, "/a/%2e%2e/%2E%2e/b", Some((b"b", false)) }
    case! { encoded_slashes_act_like_plain_ones, "/a%2f..%2F..%2f..%2fb", Some((b"b", false)) }
    case! { an_encoded_slash_at_the_end_counts, "/a%2f", Some((b"a", true)) }
    case! { it_is_decoded_once, "/%252e%252e/a", Some((b"%2e%2e/a", false)) }
    #[cfg(unix)]
    case! { more_than_two_dots_are_a_name, "/.../a", Some((b".../a", false)) }
    case! { plus_is_no_space, "/a+b%20c", Some((b"a+b c", false)) }
    case! { percent_without_digits_stays, "/%/%2/%zz/a%", Some((b"%/%2/%zz/a%", false)) }
    case! { nul_is_no_name, "/a%00b", None }
    case! { nul_behind_dots_is_no_name, "/%00/../a", None }
    case! { utf_8_is_octets, "/%C3%A9", Some(("é".as_bytes(), false)) }
    #[cfg(unix)]
    case! { other_octets_are_octets, "/%E7", Some((b"\xe7", false)) }
    #[cfg(unix)]
    case! { python_form_of_other_octets, "/%ED%B3%A7x%ED%B2%80", Some((b"\xe7x\x80", false)) }
    #[cfg(unix)]
    case! { surrogates_that_stand_for_no_octet_stay, "/%ED%B0%AF", Some((b"\xed\xb0\xaf", false)) }
    #[cfg(unix)]
    case! { half_an_escape_stays, "/%ED%B3", Some((b"\xed\xb3", false)) }
    #[cfg(unix)]
    case! { backslash_is_a_name_like_any, "/..%5C..%5Ca", Some((b"..\\..\\a", false)) }
    #[cfg(not(unix))]
    case! { a_dot_at_the_end_is_no_name, "/.../a", None }
    #[cfg(not(unix))]
    case! { what_is_no_text_is_no_name, "/%E7", None }
    #[cfg(not(unix))]
    case! { backslash_is_no_name, "/..%5C..%5Ca", None }

    #[test]
    fn every_octet_comes_back_from_its_escape() {
        for octet in 0x80..=0xff {
            let name = [b'a', octet, b'b'];
            let escaped = escape(&name);
            assert_eq!(escaped.len(), 5);
            assert_eq!(*unescape(&escaped), name);
        }
        for text in ["", "a", "é", "\u{d7ff}\u{e000}"] {
            assert_eq!(*escape(text.as_bytes()), *text.as_bytes());
            assert_eq!(*unescape(text.as_bytes()), *text.as_bytes());
        }
        // The escape of an escape's octets is another one.
        let name = [0xed, 0xb3, 0xa7];
        assert_eq!(*unescape(&escape(&name)), name);
    }

    #[test]
    fn hidden_names() {
        for (path, hidden) in [
            ("/", false),
            ("/a.b/c", false),
            ("/.git/config", true),
            ("/a/.b", true),
            ("/a/%2eb", true),
            ("/.well-known/security.txt", false),
            ("/.well-known/.a", true),
            ("/.git/../a", false),
        ] {
            assert_eq!(FilePath::parse(path.as_bytes()).map(|path| path.is_hidden()), Some(hidden), "{path}");
        }
    }

    #[test]
    fn names_within() {
        let path = FilePath::parse(b"/a/b/").expect("a path");
        assert_eq!(path.file_name(), b"b");
        assert_eq!(path.join(b"index.html").as_bytes(), b"a/b/index.html");
        let root = FilePath::parse(b"/").expect("a path");
        assert_eq!(root.join(b"index.html").as_bytes(), b"index.html");
        assert_eq!(root.file_name(), b"");
    }

    /// Whatever the spelling, no name that climbs is left.
    #[test]
    fn no_spelling_climbs() {
        let words = [".", "..", "%2e", "%2E%2e", ".%2e", "/", "%2f", "//", "a", "%5c", "%ED%B2%AE", "%252e"];
        let mut spellings = vec![String::new()];
        for _ in 0..4 {
            spellings =
                spellings.iter().flat_map(|left| words.map(|right| format!("{left}{right}"))).collect();
            for spelling in &spellings {
                if let Some(path) = FilePath::parse(format!("/{spelling}").as_bytes()) {
                    let mut names = path.as_bytes().split(|&octet| octet == b'/');
                    let wrong = |name: &[u8]| name == b"." || name == b"..";
                    assert!(!names.any(wrong), "{spelling}");
                    assert!(!path.as_bytes().starts_with(b"/"), "{spelling}");
                }
            }
        }
    }
}
