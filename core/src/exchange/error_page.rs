//! The page that `send_error` sends (spec 85–90).

use crate::syntax::decimal::Digits;
use crate::syntax::error::SendError;
use crate::syntax::octets;
use crate::syntax::status::Status;

/// Its media type.
pub(crate) const MEDIA_TYPE: &str = "text/html;charset=utf-8";

/// Words of the page that come from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// Text of ours, or of the handler's. Static, because it goes to the log too, when the handler has returned.
    Text(&'static str),
    /// Text of ours, then octets of the client's in quotes, as in `Unsupported method ('FOO')`.
    Quoting(&'static str, &'a [u8]),
}

/// Octets of the client's that are quoted; the rest is cut off.
const QUOTED_MAX: usize = 64;

/// Writes the page in pieces.
pub(crate) fn write(
    status: Status,
    message: Message<'_>,
    explanation: &str,
    write: &mut dyn FnMut(&[u8]) -> Result<(), SendError>,
) -> Result<(), SendError> {
    let code = Digits::decimal(u64::from(status.code()));
    write(
        b"<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        \
        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        \
        <p>Error code: ",
    )?;
    write(code.as_bytes())?;
    write(b"</p>\n        <p>Message: ")?;
    match message {
        Message::Text(text) => escape(text.as_bytes(), write)?,
        Message::Quoting(text, octets) => {
            escape(text.as_bytes(), write)?;
            write(b" (")?;
            quote(octets, write)?;
            write(b")")?;
        }
    }
    write(b".</p>\n        <p>Error code explanation: ")?;
    write(code.as_bytes())?;
    write(b" - ")?;
    escape(explanation.as_bytes(), write)?;
    write(b".</p>\n    </body>\n</html>\n")
}

fn escape(text: &[u8], write: &mut dyn FnMut(&[u8]) -> Result<(), SendError>) -> Result<(), SendError> {
    // The runs between the three octets that need it.
    for run in text.split_inclusive(|octet| matches!(octet, b'&' | b'<' | b'>')) {
        match run {
            [before @ .., b'&'] => write(before).and_then(|()| write(b"&amp;"))?,
            [before @ .., b'<'] => write(before).and_then(|()| write(b"&lt;"))?,
            [before @ .., b'>'] => write(before).and_then(|()| write(b"&gt;"))?,
            whole => write(whole)?,
        }
    }
    Ok(())
}

/// As Python's `repr` (spec 90): in single quotes, or in double quotes if that saves an escape; octets that are not
/// printable ASCII as `\xNN`. The quotes' octets need no HTML escape where they stand.
fn quote(octets: &[u8], write: &mut dyn FnMut(&[u8]) -> Result<(), SendError>) -> Result<(), SendError> {
    let octets = octets.get(..QUOTED_MAX).unwrap_or(octets);
    let has = |mark| octets::position(octets, mark).is_some();
    let double = has(b'\'') && !has(b'"');
    let mark: &[u8] = if double { b"\"" } else { b"'" };
    write(mark)?;
    for &octet in octets {
        match octet {
            b'\'' if !double => write(b"\\'")?,
            b'\\' => write(b"\\\\")?,
            b' '..=b'~' => escape(&[octet], write)?,
            _ => {
                let digits = Digits::hex(usize::from(octet));
                write(if octet < 16 { b"\\x0" } else { b"\\x" })?;
                write(digits.as_bytes())?;
            }
        }
    }
    write(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::status;
    use std::{string::String, vec::Vec};

    fn page(status: Status, message: Message<'_>) -> String {
        let mut page = Vec::new();
        let mut append = |piece: &[u8]| {
            page.extend_from_slice(piece);
            Ok(())
        };
        write(status, message, status.explanation(), &mut append).expect("a vector takes everything");
        String::from_utf8(page).expect("UTF-8")
    }

    /// Spec 89: 335 octets before 3.14 for the 404 of a missing file.
    #[test]
    fn the_page_is_pythons() {
        let page = page(status::NOT_FOUND, Message::Text("File not found"));
        assert_eq!(page.len(), 335);
        assert!(page.contains("\n        <p>Message: File not found.</p>\n"), "{page}");
        let last =
            "<p>Error code explanation: 404 - Nothing matches the given URI.</p>\n    </body>\n</html>\n";
        assert!(page.ends_with(last), "{page}");
    }

    #[test]
    fn nothing_of_the_clients_is_markup() {
        let page = |name: &[u8]| page(status::NOT_IMPLEMENTED, Message::Quoting("Unsupported method", name));
        assert!(page(b"FOO").contains("Unsupported method ('FOO')."));
        assert!(page(b"<&>").contains("('&lt;&amp;&gt;')"));
        assert!(page(b"a'b").contains("(\"a'b\")"));
        assert!(page(b"'\"\\").contains("('\\'\"\\\\')"));
        assert!(page(b"\x00\x1b\xff").contains("('\\x00\\x1b\\xff')"));
        assert!(page(&[b'x'; 70]).contains(&std::format!("('{}')", "x".repeat(64))));
    }
}
