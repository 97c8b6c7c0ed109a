//! `method SP request-target SP HTTP-version` (RFC 9112 §3)

use crate::receive::target::Target;
use crate::syntax::error::RequestError;
use crate::syntax::method::Method;
use crate::syntax::octets;
use crate::syntax::version::Version;

/// The parts of a request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: Method<'a>,
    pub(crate) target_octets: &'a [u8],
    pub(crate) target: Target<'a>,
}

impl<'a> RequestLine<'a> {
    /// Takes apart a line, with or without its line end, that the scanner has accepted as one of `version`.
    ///
    /// # Errors
    /// [`RequestError::Target`] for a target in none of the four forms, or not in the one its method needs.
    pub(crate) fn parse(line: &'a [u8], version: Version) -> Result<Self, RequestError> {
        // The scanner let nothing pass without these spaces, and no space into the target.
        let (method, rest) = octets::split_once(line, b' ').ok_or(RequestError::RequestLine)?;
        let target = match version {
            Version::Http09 => rest.trim_ascii_end(),
            _ => octets::split_once(rest, b' ').ok_or(RequestError::RequestLine)?.0,
        };
        let method = Method::new(method);
        Ok(Self { method, target_octets: target, target: Target::parse(method, target)? })
    }
}
