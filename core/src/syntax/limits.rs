//! How much of everything there may be. Nothing that a client sends is unbounded.

/// The bounds of one connection. Each field names its unit.
///
/// ```
/// use httpling_core::Limits;
///
/// let limits = Limits { fields_max: 40, ..Limits::DEFAULT };
/// assert_eq!(limits.request_line_bytes_max, 65536);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the request line before its line end; 414 beyond. Python's `http.server` has the same number.
    /// A smaller input buffer is a smaller limit.
    pub request_line_bytes_max: u32,
    /// Empty lines that are skipped before a request line; 400 beyond. Old clients send one after
    /// the content of a POST (RFC 9112 §2.2).
    pub empty_lines_max: u8,
    /// Octets of the field section with its line ends; 431 beyond. A smaller input buffer is a smaller limit.
    pub field_section_bytes_max: u32,
    /// Field lines of a request, and trailer lines of a chunked content; 431 beyond. Apache's number.
    pub fields_max: u8,
    /// Octets of a chunk-size line with its extensions; 400 beyond. Nobody is known to send more.
    pub chunk_line_bytes_max: u16,
    /// Octets of all chunk extensions of one content; 400 beyond. Small chunks with large extensions are an attack.
    pub chunk_extensions_bytes_max: u32,
    /// Octets of a request's content; 413 beyond, before it is read. A handler may change it for each
    /// request: `RequestHandler::content_bytes_max`. nginx's number.
    pub content_bytes_max: u64,
    /// Octets of content that are read and dropped when the handler did not want them, so that the connection can
    /// go on; closed beyond. Go's number.
    pub drain_bytes_max: u32,
    /// Requests of one connection; the last one is answered with `Connection: close`. nginx's number.
    pub requests_max: u16,
}

impl Limits {
    /// What [`Default`] gives.
    pub const DEFAULT: Self = Self {
        request_line_bytes_max: 65536,
        empty_lines_max: 1,
        field_section_bytes_max: 32 * 1024,
        fields_max: 100,
        chunk_line_bytes_max: 256,
        chunk_extensions_bytes_max: 16 * 1024,
        content_bytes_max: 1024 * 1024,
        drain_bytes_max: 256 * 1024,
        requests_max: 1000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What to accept although the RFCs let a server refuse it, for old devices. All off by default: each of these is a
/// way in which two readers of one message can differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// LF without CR ends a line of the head (RFC 9112 §2.2 allows it).
    pub bare_lf: bool,
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2 demands 400).
    pub missing_host: bool,
    /// Octets in the request-target that are no URI octets and that browsers send all the same: `"<>\^{|}` and the
    /// grave accent.
    pub target_octets: bool,
}
