//! How long is this request's content? (RFC 9112 §6.3)
//!
//! Asked once, after the head and before the first byte of content.
//! Stricter than the RFC where two readers of one message could differ, because that is how requests are
//! smuggled: `Transfer-Encoding` together with `Content-Length` is refused, and so is any
//! `Content-Length` but one plain number, even when the same number is repeated.

use crate::syntax::error::RequestError;
use crate::syntax::octets;
use crate::syntax::version::Version;

/// Where a request's content ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many octets: at least one.
    Length(u64),
    /// After the last chunk and the trailers.
    Chunked,
}

/// The transfer codings of a request, all `Transfer-Encoding` lines together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Coding {
    /// No `Transfer-Encoding` line.
    Absent,
    /// The only coding that is implemented, once.
    Chunked,
    /// Codings, and the last of them is not chunked.
    NotChunked,
    /// Others, then chunked: well framed, and not to be decoded.
    Unknown,
}

impl Coding {
    /// With one more field line behind those before.
    pub(crate) fn and(self, value: &[u8]) -> Self {
        let mut coding = match self {
            // A line without any coding in it is no framing that anybody could agree on.
            Self::Absent => Self::NotChunked,
            other => other,
        };
        let mut first = self == Self::Absent;
        for member in octets::list(value) {
            coding = match (octets::is_word(member, b"chunked"), coding) {
                (true, _) if first => Self::Chunked,
                (true, Self::NotChunked) => Self::Unknown,
                // "A sender MUST NOT apply the chunked transfer coding more than once" (RFC 9112 §6.1).
                (true | false, _) => Self::NotChunked,
            };
            first = false;
        }
        coding
    }
}

/// May a head say this? `has_length` with one `Content-Length` line.
///
/// # Errors
/// Every combination on which two readers could differ.
pub(crate) fn check(version: Version, has_length: bool, coding: Coding) -> Result<(), RequestError> {
    match coding {
        Coding::Absent => Ok(()),
        _ if has_length => Err(RequestError::TwoFramings),
        // "MUST treat the message as if the framing is faulty" (RFC 9112 §6.1).
        _ if version < Version::Http11 => Err(RequestError::TransferEncodingInHttp10),
        Coding::Chunked => Ok(()),
        Coding::Unknown => Err(RequestError::TransferCodingUnknown),
        Coding::NotChunked => Err(RequestError::NotChunked),
    }
}

impl Framing {
    /// What a head says that was [checked](check). `length` is the number in its `Content-Length` line, or 0 without one.
    pub(crate) fn of(length: u64, coding: Coding) -> Self {
        match (coding, length) {
            (Coding::Absent, 0) => Self::None,
            (Coding::Absent, length) => Self::Length(length),
            _ => Self::Chunked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(lines: &[&str]) -> Coding {
        lines.iter().fold(Coding::Absent, |coding, line| coding.and(line.as_bytes()))
    }

    #[test]
    fn codings() {
        assert_eq!(coding(&[]), Coding::Absent);
        for chunked in [&["chunked"][..], &["CHUNKED"], &[" , chunked,"]] {
            assert_eq!(coding(chunked), Coding::Chunked, "{chunked:?}");
        }
        for unknown in [&["gzip, chunked"][..], &["gzip", "chunked"], &["x", "y,chunked"]] {
            assert_eq!(coding(unknown), Coding::Unknown, "{unknown:?}");
        }
        let not_chunked = [
            &["gzip"][..],
            &[""],
            &["identity"],
            &["chunked, gzip"],
            &["chunked", "gzip"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["gzip, chunked, chunked"],
            &["chunked;a=b"],
            &["xchunked"],
            &["chun ked"],
            &["\"chunked\""],
        ];
        for lines in not_chunked {
            assert_eq!(coding(lines), Coding::NotChunked, "{lines:?}");
        }
    }

    #[test]
    fn every_combination() {
        use Version::{Http10, Http11};
        for version in [Http10, Http11] {
            for has_length in [false, true] {
                assert_eq!(check(version, has_length, Coding::Absent), Ok(()));
            }
            for coding in [Coding::Chunked, Coding::Unknown, Coding::NotChunked] {
                assert_eq!(check(version, true, coding), Err(RequestError::TwoFramings));
                assert_eq!(check(Http10, false, coding), Err(RequestError::TransferEncodingInHttp10));
            }
        }
        assert_eq!(check(Http11, false, Coding::Chunked), Ok(()));
        assert_eq!(check(Http11, false, Coding::Unknown), Err(RequestError::TransferCodingUnknown));
        assert_eq!(check(Http11, false, Coding::NotChunked), Err(RequestError::NotChunked));
        assert_eq!(Framing::of(0, Coding::Absent), Framing::None);
        assert_eq!(Framing::of(7, Coding::Absent), Framing::Length(7));
        assert_eq!(Framing::of(0, Coding::Chunked), Framing::Chunked);
    }
}
