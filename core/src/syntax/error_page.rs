//! The page that `send_error` sends (spec 85–90).

use crate::syntax::decimal;
use crate::syntax::error::Problem;
use crate::syntax::octets;
use crate::syntax::status::Status;
use core::fmt;

/// Takes content in pieces.
pub type Sink<'s> = dyn FnMut(&[u8]) + 's;

/// How the content of error responses is made. A configuration without one sends them without content, and a program
/// that has no such configuration has no words for people in it either: kilobytes on a small chip.
///
/// ```
/// use httpling_core::{Config, ErrorPage};
///
/// const TEXT: ErrorPage =
///     ErrorPage { media_type: "text/plain", write: |words, write| write(words.problem.message().as_bytes()) };
/// static CONFIG: Config<'static> = Config { error_page: Some(TEXT), ..Config::DEFAULT };
/// ```
#[derive(Clone, Copy)]
#[doc(alias = "error_message_format")]
pub struct ErrorPage {
    /// The `Content-Type` field.
    #[doc(alias = "error_content_type")]
    pub media_type: &'static str,
    /// Writes the content in pieces. It is called twice for each response, first to be measured, and must say the
    /// same both times.
    pub write: fn(&ErrorWords<'_>, &mut Sink<'_>),
}

impl ErrorPage {
    /// Python's page.
    pub const HTML: Self = Self { media_type: "text/html;charset=utf-8", write: write_html };
}

impl fmt::Debug for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorPage").field("media_type", &self.media_type).finish_non_exhaustive()
    }
}

/// What an error page says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorWords<'a> {
    /// The status of the response.
    pub status: Status,
    /// In one short line.
    pub problem: Problem,
    /// Octets of the client's that belong behind it, in parentheses: `FOO` in `Unsupported method ('FOO')`. They may be
    /// anything.
    pub quoted: Option<&'a [u8]>,
    /// In one sentence, if it is not [`Status::explanation`].
    pub explanation: Option<&'a str>,
}

impl ErrorWords<'_> {
    /// What the status says by itself.
    pub(crate) const fn of(status: Status) -> Self {
        Self { status, problem: Problem::Status(status), quoted: None, explanation: None }
    }
}

/// Octets of the client's that are quoted; the rest is cut off.
const QUOTED_MAX: usize = 64;

fn write_html(words: &ErrorWords<'_>, write: &mut Sink<'_>) {
    let code = words.status.digits();
    write(
        b"<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        \
        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        \
        <p>Error code: ",
    );
    write(&code);
    write(b"</p>\n        <p>Message: ");
    escape(words.problem.message().as_bytes(), write);
    if let Some(octets) = words.quoted {
        write(b" (");
        quote(octets, write);
        write(b")");
    }
    write(b".</p>\n        <p>Error code explanation: ");
    write(&code);
    write(b" - ");
    escape(words.explanation.unwrap_or(words.status.explanation()).as_bytes(), write);
    write(b".</p>\n    </body>\n</html>\n");
}

fn escape(text: &[u8], write: &mut Sink<'_>) {
    // The runs between the three octets that need it.
    for run in text.split_inclusive(|octet| matches!(octet, b'&' | b'<' | b'>')) {
        let (before, entity): (&[u8], &[u8]) = match run {
            [before @ .., b'&'] => (before, b"&amp;"),
            [before @ .., b'<'] => (before, b"&lt;"),
            [before @ .., b'>'] => (before, b"&gt;"),
            whole => (whole, b""),
        };
        write(before);
        write(entity);
    }
}

/// As Python's `repr` (spec 90): in single quotes, or in double quotes if that saves an escape; octets that are not
/// printable ASCII as `\xNN`. The quotes' octets need no HTML escape where they stand.
fn quote(octets: &[u8], write: &mut Sink<'_>) {
    let octets = octets.get(..QUOTED_MAX).unwrap_or(octets);
    let has = |mark| octets::position(octets, mark).is_some();
    let double = has(b'\'') && !has(b'"');
    let mark: &[u8] = if double { b"\"" } else { b"'" };
    write(mark);
    for &octet in octets {
        match octet {
            b'\'' if !double => write(b"\\'"),
            b'\\' => write(b"\\\\"),
            b' '..=b'~' => escape(&[octet], write),
            _ => {
                write(if octet < 16 { b"\\x0" } else { b"\\x" });
                write(decimal::hex_digits(octet.into(), &mut [0; decimal::DIGITS_MAX]));
            }
        }
    }
    write(mark);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::status;
    use std::{string::String, vec::Vec};

    fn page(words: ErrorWords<'_>) -> String {
        let mut page = Vec::new();
        (ErrorPage::HTML.write)(&words, &mut |piece| page.extend_from_slice(piece));
        String::from_utf8(page).expect("UTF-8")
    }

    /// Spec 89: 335 octets before 3.14 for the 404 of a missing file.
    #[test]
    fn the_page_is_pythons() {
        let page = page(ErrorWords {
            problem: Problem::Text("File not found"),
            ..ErrorWords::of(status::NOT_FOUND)
        });
        assert_eq!(page.len(), 335);
        assert!(page.contains("\n        <p>Message: File not found.</p>\n"), "{page}");
        let last =
            "<p>Error code explanation: 404 - Nothing matches the given URI.</p>\n    </body>\n</html>\n";
        assert!(page.ends_with(last), "{page}");
    }

    #[test]
    fn nothing_of_the_clients_is_markup() {
        let page = |name: &[u8]| {
            let problem = Problem::Text("Unsupported method");
            page(ErrorWords { problem, quoted: Some(name), ..ErrorWords::of(status::NOT_IMPLEMENTED) })
        };
        assert!(page(b"FOO").contains("Unsupported method ('FOO')."));
        assert!(page(b"<&>").contains("('&lt;&amp;&gt;')"));
        assert!(page(b"a'b").contains("(\"a'b\")"));
        assert!(page(b"'\"\\").contains("('\\'\"\\\\')"));
        assert!(page(b"\x00\x1b\xff").contains("('\\x00\\x1b\\xff')"));
        assert!(page(&[b'x'; 70]).contains(&std::format!("('{}')", "x".repeat(64))));
    }
}
