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

/// The request-target of a line.
pub(crate) fn target(line: &[u8]) -> &[u8] {
    let behind_method = split(line).1;
    match octets::split_once(behind_method, b' ') {
        Some((target, _)) => target,
        // HTTP/0.9
        None => behind_method.trim_ascii_end(),
    }
}

/// What is before and behind the first space.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    octets::split_once(line, b' ').unwrap_or_default()
}
