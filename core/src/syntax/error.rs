//! What can be wrong, whose fault it is, and what to answer.

use crate::syntax::status::{self, Status};
use core::fmt;
use embedded_io::ErrorKind;

/// The client's fault: what its request breaks.
///
/// Each of them is answered with [`status`](Self::status) and ends the connection, because where one
/// request is not understood the next one cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// More empty lines before the request line than `Limits` allow (RFC 9112 §2.2).
    EmptyLines,
    /// Not `method SP request-target SP HTTP-version` (RFC 9112 §3).
    RequestLine,
    /// The request line is longer than its limit, or than the buffer (RFC 9112 §3: "MUST" be 414).
    RequestLineTooLong,
    /// The request-target is in none of the four forms, or not in the one its method needs (RFC 9112 §3.2).
    Target,
    /// The major version is not 1 (RFC 9110 §15.6.6).
    VersionNotSupported,
    /// A line ends in LF without CR (RFC 9112 §2.2; `Leniency::bare_lf` accepts it), or CR stands alone.
    LineEnd,
    /// A field name is empty, no token, or has white space around it (RFC 9112 §5.1).
    FieldName,
    /// A field value holds a control octet (RFC 9110 §5.5).
    FieldValue,
    /// A field line goes on in the next one: obs-fold (RFC 9112 §5.2).
    FoldedLine,
    /// The field section is larger than its limit, or than the buffer (RFC 6585 §5).
    FieldsTooLarge,
    /// There are more field lines than the limit (RFC 6585 §5).
    TooManyFields,
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2; `Leniency::missing_host` accepts it).
    HostMissing,
    /// More than one `Host` (RFC 9112 §3.2).
    HostRepeated,
    /// A `Host` that is no `uri-host [ ":" port ]` (RFC 9110 §7.2).
    HostInvalid,
    /// A `Content-Length` that is not `1*DIGIT`, or does not fit 64 bits (RFC 9112 §6.3).
    ContentLengthInvalid,
    /// More than one `Content-Length`, equal ones too (RFC 9112 §6.3 allows the refusal).
    ContentLengthRepeated,
    /// `Content-Length` together with `Transfer-Encoding` (RFC 9112 §6.3: "ought to be handled as an error").
    TwoFramings,
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1: "the framing is faulty").
    TransferEncodingInHttp10,
    /// The final transfer coding is not chunked, so nobody knows where the content ends (RFC 9112 §6.3).
    NotChunked,
    /// A transfer coding besides chunked (RFC 9112 §6.1).
    TransferCodingUnknown,
    /// A chunk-size that is not `1*HEXDIG` of at most 16 digits (RFC 9112 §7.1).
    ChunkSize,
    /// A chunk extension that breaks its grammar or its limits (RFC 9112 §7.1.1).
    ChunkExtension,
    /// Octets where the CRLF after a chunk must be (RFC 9112 §7.1).
    ChunkEnd,
    /// The content is larger than the handler takes (RFC 9110 §15.5.14).
    ContentTooLarge,
    /// The client stopped sending in the middle of the request.
    Incomplete,
    /// The client took too long to send the request (RFC 9110 §15.5.9).
    TimedOut,
    /// Nothing is wrong with the request, but the server has more to do than it can (RFC 9110 §15.6.4).
    Overloaded,
}

impl RequestError {
    /// The status of the answer.
    pub const fn status(self) -> Status {
        match self {
            Self::RequestLineTooLong => status::URI_TOO_LONG,
            Self::VersionNotSupported => status::HTTP_VERSION_NOT_SUPPORTED,
            Self::FieldsTooLarge | Self::TooManyFields => status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TransferCodingUnknown => status::NOT_IMPLEMENTED,
            Self::ContentTooLarge => status::CONTENT_TOO_LARGE,
            Self::TimedOut => status::REQUEST_TIMEOUT,
            Self::Overloaded => status::SERVICE_UNAVAILABLE,
            _ => status::BAD_REQUEST,
        }
    }

    /// What is wrong, in one short line, for the client and for the log.
    pub const fn message(self) -> &'static str {
        match self {
            Self::EmptyLines => "Empty lines before the request line",
            Self::RequestLine => "Bad request line",
            Self::RequestLineTooLong => "Request line too long",
            Self::Target => "Bad request target",
            Self::VersionNotSupported => "Unsupported HTTP version",
            Self::LineEnd => "Bad line end",
            Self::FieldName => "Bad field name",
            Self::FieldValue => "Bad field value",
            Self::FoldedLine => "Folded field line",
            Self::FieldsTooLarge => "Fields too large",
            Self::TooManyFields => "Too many fields",
            Self::HostMissing => "Host missing",
            Self::HostRepeated => "Host repeated",
            Self::HostInvalid => "Bad Host",
            Self::ContentLengthInvalid => "Bad Content-Length",
            Self::ContentLengthRepeated => "Content-Length repeated",
            Self::TwoFramings => "Content-Length with Transfer-Encoding",
            Self::TransferEncodingInHttp10 => "Transfer-Encoding in HTTP/1.0",
            Self::NotChunked => "Final transfer coding is not chunked",
            Self::TransferCodingUnknown => "Unknown transfer coding",
            Self::ChunkSize => "Bad chunk size",
            Self::ChunkExtension => "Bad chunk extension",
            Self::ChunkEnd => "Bad chunk end",
            Self::ContentTooLarge => "Content too large",
            Self::Incomplete => "Request ended early",
            Self::TimedOut => "Request timed out",
            Self::Overloaded => "Server overloaded",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for RequestError {}

/// What went wrong with a request, for the log and for the client. Its words are looked up when somebody asks for them: a
/// program in which nobody does is without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The client's fault.
    Request(RequestError),
    /// The handler sent no whole response.
    Response(SendError),
    /// An error page of the handler's says this.
    Text(&'static str),
    /// An error page of the handler's says no more than its status.
    Status(Status),
}

impl Problem {
    /// In one short line; `???` where there is nothing to say, as in Python.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Request(error) => error.message(),
            Self::Response(error) => error.message(),
            Self::Text(text) => or_nothing(text),
            Self::Status(status) => or_nothing(status.reason()),
        }
    }
}

const fn or_nothing(text: &'static str) -> &'static str {
    if text.is_empty() { "???" } else { text }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Why content could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The client broke a rule, was too slow, or stopped: answered for the handler when it returns the error.
    Refused(RequestError),
    /// The transport failed. There is nobody to answer.
    Transport(ErrorKind),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Transport(_) => f.write_str("Connection failed while reading"),
        }
    }
}

impl core::error::Error for ReadError {}

impl embedded_io::Error for ReadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(RequestError::TimedOut) => ErrorKind::TimedOut,
            Self::Refused(_) => ErrorKind::InvalidData,
            Self::Transport(kind) => *kind,
        }
    }
}

/// Why a handler sent no whole response.
///
/// When a handler returns one of these and nothing of its response has left, the client gets an error page:
/// the request's own status for [`Content`](Self::Content), else 500. When something has left, the
/// connection is cut, so that the client can see that the content is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The request's content could not be read.
    Content(ReadError),
    /// The transport failed. There is nobody to answer.
    Transport(ErrorKind),
    /// The response head is larger than the output buffer.
    HeadTooLarge,
    /// A field name is no token, or a field value or reason phrase holds a control octet.
    InvalidField,
    /// A field that belongs to the engine (`Transfer-Encoding`, or a `Content-Length` or `Connection` that makes no sense).
    FramingField,
    /// Content for a response that has none by its status.
    ContentForbidden,
    /// More or less content than the declared length.
    LengthMismatch,
    /// `switch_protocols` without a request for it.
    NoUpgrade,
    /// The handler failed for reasons of its own.
    Failed,
}

impl SendError {
    /// What is wrong, in one short line, for the log.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Content(ReadError::Refused(error)) => error.message(),
            Self::Content(ReadError::Transport(_)) => "Connection failed while reading",
            Self::Transport(ErrorKind::TimedOut) => "Response timed out",
            Self::Transport(_) => "Connection failed while writing",
            Self::HeadTooLarge => "Response head exceeds the output buffer",
            Self::InvalidField => "Response field or reason phrase is invalid",
            Self::FramingField => "Response field belongs to the server",
            Self::ContentForbidden => "Response content forbidden by its status",
            Self::LengthMismatch => "Response content differs from its declared length",
            Self::NoUpgrade => "Response switches protocols unasked",
            Self::Failed => "Handler failed",
        }
    }
}

impl From<ReadError> for SendError {
    fn from(error: ReadError) -> Self {
        Self::Content(error)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for SendError {}

impl embedded_io::Error for SendError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Content(error) => error.kind(),
            Self::Transport(kind) => *kind,
            _ => ErrorKind::InvalidInput,
        }
    }
}
