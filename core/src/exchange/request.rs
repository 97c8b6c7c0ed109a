//! A request, as a handler sees it.

use crate::exchange::shared::Shared;
use crate::receive::framing::Framing;
use crate::receive::head::RequestHead;
use crate::receive::target::Target;
use crate::syntax::error::{ReadError, RequestError};
use crate::syntax::fields::Fields;
use crate::syntax::method::Method;
use crate::syntax::version::Version;
use core::cell::RefCell;
use core::fmt;
use core::net::SocketAddr;
use embedded_io::ErrorKind;

/// A request whose head has arrived and whose content may still be on its way.
///
/// Everything but [`read`](Self::read) looks at the head and costs no waiting.
pub struct Request<'a> {
    head: &'a RequestHead<'a>,
    peer: Option<&'a SocketAddr>,
    shared: &'a RefCell<Shared<'a>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        head: &'a RequestHead<'a>,
        peer: Option<&'a SocketAddr>,
        shared: &'a RefCell<Shared<'a>>,
    ) -> Self {
        Self { head, peer, shared }
    }

    /// The head by itself.
    pub fn head(&self) -> &RequestHead<'a> {
        self.head
    }

    /// The request line as it was sent, with its line end.
    #[doc(alias = "raw_requestline")]
    #[doc(alias = "requestline")]
    pub fn raw_request_line(&self) -> &'a [u8] {
        self.head.raw_request_line()
    }

    /// The method.
    #[doc(alias = "command")]
    pub fn method(&self) -> Method<'a> {
        self.head.method()
    }

    /// The request-target, taken apart.
    pub fn target(&self) -> Target<'a> {
        self.head.target()
    }

    /// The target's path, still percent-encoded and without query.
    pub fn path(&self) -> &'a [u8] {
        self.head.path()
    }

    /// The target's query, still percent-encoded.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.head.query()
    }

    /// The version.
    #[doc(alias = "request_version")]
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// The fields.
    pub fn headers(&self) -> Fields<'a> {
        self.head.headers()
    }

    /// The other end of the connection, if the transport knows it.
    #[doc(alias = "client_address")]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.copied()
    }

    /// The content's length in octets: 0 without content, `None` for chunked content, which ends where it ends.
    pub fn content_length(&self) -> Option<u64> {
        match self.head.framing() {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        }
    }

    /// Reads content, decoded, into `buffer`, and says how much; `Ok(0)` is its end. Waits for content that has not
    /// arrived. The first call tells a client that asked (`Expect: 100-continue`) to send it; a handler that does not
    /// want it answers without reading.
    ///
    /// A handler that converses with its client, reading and writing in turns, calls [`flush`](crate::Body::flush)
    /// before it reads.
    ///
    /// # Errors
    /// [`ReadError::Refused`] for content that breaks a rule or a limit, or does not come; return it from the
    /// handler, and the client gets the right status.
    #[doc(alias = "rfile")]
    #[doc(alias = "handle_expect_100")]
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        match self.shared.try_borrow_mut() {
            Ok(mut shared) => shared.read(buffer),
            Err(_) => Err(ReadError::Transport(ErrorKind::Other)),
        }
    }

    /// Reads all of the content into `buffer`.
    ///
    /// # Errors
    /// As [`read`](Self::read); content that the buffer does not hold is [`RequestError::ContentTooLarge`].
    pub fn read_to_end<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], ReadError> {
        let mut filled = 0;
        loop {
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let count = if free.is_empty() { self.read(&mut [0])? } else { self.read(free)? };
            match (count, free.is_empty()) {
                (0, _) => return Ok(buffer.get(..filled).unwrap_or_default()),
                (_, true) => return Err(ReadError::Refused(RequestError::ContentTooLarge)),
                _ => filled += count,
            }
        }
    }
}

impl embedded_io::ErrorType for Request<'_> {
    type Error = ReadError;
}

impl embedded_io::Read for Request<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        Request::read(self, buffer)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("head", &self.head).field("peer", &self.peer).finish_non_exhaustive()
    }
}
