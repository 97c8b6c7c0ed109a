//! The head of a response: status line and field lines (RFC 9112 §4, §5).
//!
//! Nothing that a handler passes can end a line: a name is a token, a value and a reason phrase have no
//! control octets. What breaks that is refused, not repaired.

use crate::syntax::config::ServerName;
use crate::syntax::octets;
use crate::syntax::status::Status;

/// Puts what stands behind the version in a status line: ` 200 OK` and the line end. A reason phrase other than the registered
/// one is [fit](is_reason) for it.
pub(crate) fn put_status(status: Status, reason: Option<&str>, put: &mut impl FnMut(&[u8])) {
    if let (None, Some(line)) = (reason, status.line()) {
        return put(line.as_bytes());
    }
    put(b" ");
    put(&status.digits());
    put(b" ");
    put(reason.unwrap_or_default().as_bytes());
    put(b"\r\n");
}

/// May this be a reason phrase?
pub(crate) fn is_reason(reason: &str) -> bool {
    octets::is_value(reason.as_bytes())
}

/// Puts the `Server` field.
pub(crate) fn put_server(name: ServerName<'_>, put: &mut impl FnMut(&[u8])) {
    put(b"Server: ");
    put(name.as_str().as_bytes());
    put(b"\r\n");
}

/// Puts `name: value` and the line end. The name is a token, and the value a [`field_value`].
#[inline]
pub(crate) fn put_field(name: &[u8], value: &[u8], put: &mut impl FnMut(&[u8])) {
    put(name);
    put(b": ");
    put(value);
    put(b"\r\n");
}

/// A field value without the white space around it, if it is one.
#[inline]
pub(crate) fn field_value(value: &[u8]) -> Option<&[u8]> {
    match value {
        _ if !octets::is_value(value) => None,
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => Some(octets::trim(value)),
        _ => Some(value),
    }
}

/// What a field of the handler's is about, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The engine need not know.
    Other,
    Connection,
    ContentLength,
    TransferEncoding,
    /// Nothing: the name is no token.
    Invalid,
}

impl Subject {
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        if !octets::is_token(name) {
            return Self::Invalid;
        }
        match name.len() {
            10 if octets::is_word(name, b"connection") => Self::Connection,
            14 if octets::is_word(name, b"content-length") => Self::ContentLength,
            17 if octets::is_word(name, b"transfer-encoding") => Self::TransferEncoding,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::octets::VALUE;

    #[test]
    fn every_octet_in_every_place() {
        for octet in 0..=u8::MAX {
            let allowed = Subject::of(&[b'a', octet]) != Subject::Invalid;
            assert_eq!(allowed, octets::is_token(&[octet]), "{octet}");
            let allowed = field_value(&[b'b', octet, b'c']).is_some();
            assert_eq!(allowed, octets::is(octet, VALUE), "{octet}");
            if let Ok(reason) = core::str::from_utf8(&[octet]) {
                assert_eq!(is_reason(reason), octets::is(octet, VALUE), "{octet}");
            }
        }
    }

    #[test]
    fn white_space_around_a_value_is_not_sent() {
        for (value, sent) in [
            (&b""[..], Some(&b""[..])),
            (b"a", Some(b"a")),
            (b" a", Some(b"a")),
            (b"a\t", Some(b"a")),
            (b"\t a \t b\t ", Some(b"a \t b")),
            (b" \t", Some(b"")),
            // A line end is none, and nothing that a line could end with.
            (b" a\r\n", None),
            (b"\n a", None),
        ] {
            assert_eq!(field_value(value), sent, "{}", value.escape_ascii());
        }
    }
}
