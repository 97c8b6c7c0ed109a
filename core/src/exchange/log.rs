//! What the log hooks are told (spec 93–99).

use crate::syntax::status::Status;
use core::fmt;
use core::net::SocketAddr;

/// One request and its answer.
///
/// The core formats no time and writes nowhere: see the hooks of `RequestHandler`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogEntry<'a> {
    /// The other end, if the transport knows it.
    #[doc(alias = "client_address")]
    pub peer: Option<&'a SocketAddr>,
    /// The request line without its line end, as it was sent: print it with [`Escaped`]. Empty when it was too
    /// long (spec 96).
    pub request_line: &'a [u8],
    /// The status of the answer; `None` when the connection failed before there was one.
    pub status: Option<Status>,
    /// Octets of content in the answer, without chunk framing.
    pub content_bytes: u64,
    /// From the end of the request's head to the end of the answer, where the clock has microseconds.
    pub duration_us: Option<u64>,
}

/// Octets of a client's, fit for a log: control octets, octets from 0x7f on, `"` and `\` are shown as `\xHH`.
///
/// ```
/// use httpling_core::Escaped;
///
/// assert_eq!(Escaped(b"GET /\x1b[2J\"").to_string(), r"GET /\x1b[2J\x22");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |octet: u8| matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\';
        for run in self.0.split_inclusive(|&octet| !plain(octet)) {
            let (last, before) = match run {
                [before @ .., last] if !plain(*last) => (Some(*last), before),
                whole => (None, whole),
            };
            // Plain octets are ASCII.
            f.write_str(core::str::from_utf8(before).unwrap_or_default())?;
            if let Some(last) = last {
                write!(f, "\\x{last:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_octet_is_plain_or_escaped() {
        for octet in 0..=u8::MAX {
            let text = Escaped(&[b'a', octet, b'b']).to_string();
            if (b' '..=b'~').contains(&octet) && octet != b'"' && octet != b'\\' {
                assert_eq!(text, std::format!("a{}b", octet as char));
            } else {
                assert_eq!(text, std::format!("a\\x{octet:02x}b"));
            }
        }
    }
}
