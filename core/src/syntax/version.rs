//! HTTP versions (RFC 9110 §2.5).

/// The version of a request, or of the server.
///
/// A minor version above 1 is read as HTTP/1.1: "the highest version to which the server is conformant that
/// has a major version less than or equal to the one received" (RFC 9110 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Version {
    /// A request line of a method and a target alone. Refused unless `Config::http_09` is set.
    Http09,
    /// HTTP/1.0: one request a connection, unless the client asks for more.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// As it stands in a status line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http09 => "HTTP/0.9",
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}
