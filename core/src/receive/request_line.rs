//! `method SP request-target SP HTTP-version` (RFC 9112 §3)

use crate::receive::target::Resource;
use crate::syntax::error::RequestError;
use crate::syntax::method::Method;
use crate::syntax::octets;
use crate::syntax::version::Version;

/// The parts of a request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: Method<'a>,
    pub(crate) target: &'a [u8],
    pub(crate) resource: Resource<'a>,
}

impl<'a> RequestLine<'a> {
    /// Takes apart a line, with or without its line end, that the scanner has accepted as one of `version`.
    ///
    /// # Errors
    /// [`RequestError::Target`] for a target in none of the four forms, or not in the one its method needs.
    pub(crate) fn parse(line: &'a [u8], version: Version) -> Result<Self, RequestError> {
        let line = line.trim_ascii_end();
        let (method, rest) = line.split_at_checked(octets::end_of_method(line, 0)).unwrap_or_default();
        // The scanner let nothing pass without a space here, and one with eight octets behind it there.
        let target_end = match version {
            Version::Http09 => rest.len(),
            _ => rest.len().saturating_sub(b" HTTP/1.1".len()),
        };
        let target = rest.get(1..target_end).ok_or(RequestError::RequestLine)?;
        let method = Method::new(method);
        Ok(Self { method, target, resource: Resource::parse(method, target)? })
    }
}
