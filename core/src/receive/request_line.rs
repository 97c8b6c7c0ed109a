//! `method SP request-target SP HTTP-version` (RFC 9112 §3)
//!
//! Nothing is kept of the parts of a line that the scanner has accepted: they are found when somebody asks.

use crate::syntax::method::Method;
use crate::syntax::octets;

/// The method of a line, which the scanner has found at this place among the registered ones.
#[inline]
pub(crate) fn method(line: &[u8], index: u8) -> Method<'_> {
    Method::registered(index).unwrap_or_else(|| Method::Extension(split(line).0))
}

/// The request-target of a line. A version is always as long, so the space before it is found without a search.
pub(crate) fn target(line: &[u8]) -> &[u8] {
    let ([rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] | rest) = split(line).1;
    match rest {
        [target @ .., b' ', _, _, _, _, _, _, _, _] => target,
        // HTTP/0.9
        target => target,
    }
}

/// What is before and behind the first space.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    octets::split_once(line, b' ').unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    /// Whatever the length of a target is: also where a target of HTTP/0.9 is as long as a version.
    #[test]
    fn a_target_ends_where_its_line_says() {
        for length in 1..32 {
            let asked = "/".repeat(length);
            for end in ["", "\r\n", "\n", " HTTP/1.0\n", " HTTP/1.1\r\n", " HTTP/1.9\r\n"] {
                let line = format!("GET {asked}{end}");
                assert_eq!(target(line.as_bytes()), asked.as_bytes(), "{line:?}");
            }
        }
    }
}
