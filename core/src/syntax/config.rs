//! What the owner of a server decides, once, for all its connections.

use crate::syntax::date::HttpDate;
use crate::syntax::error_page::ErrorPage;
use crate::syntax::limits::{Leniency, Limits};
use crate::syntax::octets;
use crate::syntax::version::Version;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

/// The settings of a server. Shared by all connections; the engine only reads them.
///
/// ```
/// use httpling_core::{Config, Limits, ServerName};
///
/// static CONFIG: Config<'static> = Config {
///     server: ServerName::new("thermometer"),
///     limits: Limits { content_bytes_max: 512, ..Limits::DEFAULT },
///     ..Config::DEFAULT
/// };
/// ```
#[derive(Clone, Copy)]
pub struct Config<'a> {
    /// The bounds of a connection.
    pub limits: Limits,
    /// What to accept beyond the rules.
    pub leniency: Leniency,
    /// The version of all responses: HTTP/1.1, or HTTP/1.0, with which each connection serves one
    /// request (spec 7, 62). In HTTP/0.9 responses would be their content alone.
    #[doc(alias = "protocol_version")]
    pub protocol: Version,
    /// Answer a request line of GET and a target alone, without head or version, as HTTP/0.9 (spec 46, 47).
    #[doc(alias = "default_request_version")]
    pub http_09: bool,
    /// Octets of content that are waited for, where the buffer has room for them, before a request's handler is called: it need
    /// not wait then, and cannot answer before they have come.
    pub awaited_content_bytes_max: u32,
    /// The `Server` field's value (RFC 9110 §10.2.4); `None` leaves the field out.
    #[doc(alias = "version_string")]
    #[doc(alias = "server_version")]
    pub server: Option<ServerName<'a>>,
    /// The content of error responses; `None` sends them without any.
    pub error_page: Option<ErrorPage>,
    /// Where the time comes from; `None` leaves `Date` out, as a server without a clock must (RFC 9110 §6.6.1).
    pub clock: Option<&'a (dyn Clock + Sync)>,
    /// While this is true, every response is the last of its connection, and a connection between two requests is
    /// closed: set it to end a server without breaking off what has begun.
    pub stopping: Option<&'a AtomicBool>,
}

impl Config<'_> {
    /// The defaults: HTTP/1.1, strict, no name, Python's error page, no clock.
    pub const DEFAULT: Self = Self {
        limits: Limits::DEFAULT,
        leniency: Leniency { bare_lf: false, missing_host: false, target_octets: false },
        protocol: Version::Http11,
        http_09: false,
        awaited_content_bytes_max: u32::MAX,
        server: None,
        error_page: Some(ErrorPage::HTML),
        clock: None,
        stopping: None,
    };

    pub(crate) fn microseconds(&self) -> Option<u64> {
        self.clock.and_then(Clock::microseconds)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some_and(|stopping| stopping.load(Ordering::Relaxed))
    }
}

impl Default for Config<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("limits", &self.limits)
            .field("leniency", &self.leniency)
            .field("protocol", &self.protocol)
            .field("http_09", &self.http_09)
            .field("awaited_content_bytes_max", &self.awaited_content_bytes_max)
            .field("server", &self.server)
            .field("error_page", &self.error_page)
            .field("clock", &self.clock.is_some())
            .field("stopping", &self.stopping)
            .finish()
    }
}

/// What the `Server` field says. It is put into each response, and looked at once.
///
/// ```
/// use httpling_core::ServerName;
///
/// assert_eq!(ServerName::new("thermometer/2").map(ServerName::as_str), Some("thermometer/2"));
/// assert_eq!(ServerName::new("thermo\r\nmeter"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerName<'a>(&'a str);

impl<'a> ServerName<'a> {
    /// A name; `None` when it is no field value (RFC 9110 §5.5): with a control octet, with white space at one of its ends, or
    /// empty.
    pub const fn new(name: &'a str) -> Option<Self> {
        if let [] | [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = name.as_bytes() {
            return None;
        }
        let mut rest = name.as_bytes();
        while let [octet, behind @ ..] = rest {
            if octets::is_control(*octet) {
                return None;
            }
            rest = behind;
        }
        Some(Self(name))
    }

    /// The name.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The time, for the `Date` field and for the log.
pub trait Clock {
    /// The date now; `None` while it is not known (a device before its first NTP answer).
    fn date(&self) -> Option<HttpDate>;

    /// Microseconds since any fixed moment, never going back; `None` without such a counter.
    fn microseconds(&self) -> Option<u64> {
        None
    }
}
