//! How is a response's content delimited, and does its connection go on? (RFC 9112 §6, §9)
//!
//! The only place that writes `Content-Length`, `Transfer-Encoding` and `Connection`.

use crate::syntax::decimal;
use crate::syntax::version::Version;

/// What the head says about where the content ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing: there is no content by the status or the method.
    Silent,
    /// After so many octets as it says.
    Length,
    /// After the last chunk. Only for HTTP/1.1.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

impl Framing {
    /// The one for content of unknown length.
    pub(crate) fn streamed(version: Version) -> Self {
        if version >= Version::Http11 { Self::Chunked } else { Self::UntilClose }
    }
}

/// What the head says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionOption {
    /// It ends after this response.
    Close,
    /// It goes on, as it does in HTTP/1.1.
    Silent,
    /// It goes on, although the client speaks HTTP/1.0: it asked for that, and must be told (RFC 9112 §9.3).
    KeepAlive,
}

/// What ends a head behind the number of its last line.
pub(crate) const HEAD_END: &[u8] = b"\r\n\r\n";

/// The longest end of a head: `keep-alive` and a length of 20 digits; a streamed head is shorter, even with the first chunk's
/// size.
pub(crate) const TEXT_MAX: usize = 24 + 16 + decimal::DIGITS_MAX + HEAD_END.len();

/// Puts the last lines of a head, and the empty line. A length, and what ends the head behind it, is still to follow.
pub(crate) fn put_lines(framing: Framing, option: ConnectionOption, put: &mut impl FnMut(&[u8])) {
    match option {
        ConnectionOption::Close => put(b"Connection: close\r\n"),
        ConnectionOption::Silent => {}
        ConnectionOption::KeepAlive => put(b"Connection: keep-alive\r\n"),
    }
    match framing {
        Framing::Silent | Framing::UntilClose => put(b"\r\n"),
        Framing::Chunked => put(b"Transfer-Encoding: chunked\r\n\r\n"),
        Framing::Length => put(b"Content-Length: "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_longer_than_the_gap() {
        let framings = [Framing::Silent, Framing::Length, Framing::Chunked, Framing::UntilClose];
        let options = [ConnectionOption::Close, ConnectionOption::Silent, ConnectionOption::KeepAlive];
        let mut longest = 0;
        for framing in framings {
            for option in options {
                let is_followed = framing == Framing::Length;
                let mut length = if is_followed { decimal::DIGITS_MAX + HEAD_END.len() } else { 0 };
                put_lines(framing, option, &mut |text| length += text.len());
                longest = longest.max(length);
            }
        }
        assert_eq!(longest, TEXT_MAX);
    }
}
