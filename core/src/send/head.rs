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

/// Puts `HTTP/1.1 200 OK` and the line end.
pub(crate) fn put_status_line(
    out: &mut Output<'_>,
    version: Version,
    status: Status,
    reason: &str,
) -> Result<(), SendError> {
    if !octets::is_value(reason.as_bytes()) {
        return Err(SendError::InvalidField);
    }
    out.push(version.as_str().as_bytes())?;
    let [hundreds, tens, ones] = status.digits();
    out.push(&[b' ', hundreds, tens, ones, b' '])?;
    out.push(reason.as_bytes())?;
    Ok(out.push(b"\r\n")?)
}

/// Puts the `Date` field. A date needs no check.
pub(crate) fn put_date(out: &mut Output<'_>, date: &HttpDate) -> Result<(), SendError> {
    out.push(b"Date: ")?;
    out.push(date.as_bytes())?;
    Ok(out.push(b"\r\n")?)
}

/// Puts `name: value` and the line end.
pub(crate) fn put_field(out: &mut Output<'_>, name: &[u8], value: &[u8]) -> Result<(), SendError> {
    if !octets::is_token(name) || !octets::is_value(value) {
        return Err(SendError::InvalidField);
    }
    out.push(name)?;
    out.push(b": ")?;
    out.push(octets::trim(value))?;
    Ok(out.push(b"\r\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::octets::VALUE;
    use crate::syntax::status;

    #[test]
    fn every_octet_in_every_place() {
        for octet in 0..=u8::MAX {
            let mut buffer = [0; 64];
            let mut out = Output::new(&mut buffer, 0);
            let allowed = put_field(&mut out, &[b'a', octet], b"b").is_ok();
            assert_eq!(allowed, octets::is_token(&[octet]), "{octet}");
            let mut out = Output::new(&mut buffer, 0);
            let allowed = put_field(&mut out, b"a", &[b'b', octet, b'c']).is_ok();
            assert_eq!(allowed, octets::is(octet, VALUE), "{octet}");
            if let Ok(reason) = core::str::from_utf8(&[octet]) {
                let mut out = Output::new(&mut buffer, 0);
                let allowed = put_status_line(&mut out, Version::Http11, status::OK, reason).is_ok();
                assert_eq!(allowed, octets::is(octet, VALUE), "{octet}");
            }
        }
    }
}
