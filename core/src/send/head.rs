//! The head of a response: status line and field lines (RFC 9112 §4, §5).
//!
//! Nothing that a handler passes can end a line: a name is a token, a value and a reason phrase have no
//! control octets. What breaks that is refused, not repaired.

use crate::send::output::{Full, Output};
use crate::syntax::date::HttpDate;
use crate::syntax::error::SendError;
use crate::syntax::octets;
use crate::syntax::status::Status;
use crate::syntax::version::Version;

impl From<Full> for SendError {
    fn from(_: Full) -> Self {
        Self::HeadTooLarge
    }
}

/// Octets of a status line besides its reason phrase, and of the `Server` and `Date` fields besides the server's name.
pub(crate) const BEGINNING_BYTES: usize = b"HTTP/1.1 200 \r\nServer: \r\nDate: \r\n".len() + HttpDate::LENGTH;

/// Octets of a field line besides its name and value.
pub(crate) const FIELD_BYTES: usize = b": \r\n".len();

/// Puts `HTTP/1.1 200 OK` and the line end. The reason phrase is [fit](is_reason) for it.
pub(crate) fn put_status_line(
    out: &mut Output<'_>,
    version: Version,
    status: Status,
    reason: &str,
) -> Result<(), Full> {
    let [hundreds, tens, ones] = status.digits();
    let code = [b' ', hundreds, tens, ones, b' '];
    out.push_all(&[version.as_str().as_bytes(), &code, reason.as_bytes(), b"\r\n"])
}

/// May this be a reason phrase?
pub(crate) fn is_reason(reason: &str) -> bool {
    octets::is_value(reason.as_bytes())
}

/// Puts the `Date` field. A date needs no check.
pub(crate) fn put_date(out: &mut Output<'_>, date: &HttpDate) -> Result<(), Full> {
    out.push_all(&[b"Date: ", date.as_bytes(), b"\r\n"])
}

/// Puts `name: value` and the line end. The name is a token.
pub(crate) fn put_field(out: &mut Output<'_>, name: &[u8], value: &[u8]) -> Result<(), SendError> {
    if !octets::is_value(value) {
        return Err(SendError::InvalidField);
    }
    let value = match value {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => octets::trim(value),
        _ => value,
    };
    Ok(out.push_all(&[name, b": ", value, b"\r\n"])?)
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
            let mut buffer = [0; 64];
            let mut out = Output::new(&mut buffer, 0);
            let allowed = Subject::of(&[b'a', octet]) != Subject::Invalid;
            assert_eq!(allowed, octets::is_token(&[octet]), "{octet}");
            let allowed = put_field(&mut out, b"a", &[b'b', octet, b'c']).is_ok();
            assert_eq!(allowed, octets::is(octet, VALUE), "{octet}");
            if let Ok(reason) = core::str::from_utf8(&[octet]) {
                assert_eq!(is_reason(reason), octets::is(octet, VALUE), "{octet}");
            }
        }
    }
}
