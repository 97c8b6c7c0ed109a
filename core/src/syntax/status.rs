//! Status codes (RFC 9110 §15 and the IANA registry).
//!
//! The constants are of three types, because three things may follow a status line: content, no content,
//! or another status line. The type decides, so a 204 with content does not compile.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A final status whose response may have content.
///
/// It points to its words, so that a program holds those of the statuses that it uses, and no others.
#[derive(Clone, Copy)]
#[doc(alias = "HTTPStatus")]
pub struct Status {
    code: u16,
    /// What stands behind the version in a status line, ` 200 OK` and the line end; empty when it is not registered.
    line: &'static &'static str,
}

/// A final status whose response has no content: 204, 205 and 304.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoContentStatus(Status);

/// The status of an interim response: another response follows. 101 is none of them, as it ends HTTP on
/// its connection: see [`switch_protocols`](crate::Response::switch_protocols).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterimStatus(Status);

impl Status {
    /// The final status with this code, registered or not: 200 to 999, as in Python (spec 77).
    pub const fn new(code: u16) -> Option<Self> {
        if matches!(code, 200..=999) { Some(Self::registered(code)) } else { None }
    }

    const fn registered(code: u16) -> Self {
        Self { code, line: line(code) }
    }

    /// The three digits of the status line.
    pub const fn code(self) -> u16 {
        self.code
    }

    /// As text.
    #[allow(clippy::cast_possible_truncation)] // Each is below ten.
    pub(crate) const fn digits(self) -> [u8; 3] {
        let code = self.code;
        [b'0' + (code / 100) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8]
    }

    /// The status line behind the version, if the status is registered.
    pub(crate) const fn line(self) -> Option<&'static str> {
        if self.line.is_empty() { None } else { Some(self.line) }
    }

    /// The registered reason phrase; empty where there is none, as in Python's `send_response`.
    #[doc(alias = "responses")]
    pub const fn reason(self) -> &'static str {
        let Some((_, reason)) = self.line.split_at_checked(" 200 ".len()) else { return "" };
        let Some((reason, _)) = reason.split_at_checked(reason.len() - "\r\n".len()) else { return "" };
        reason
    }

    /// One sentence for people, as on Python's error page; `???` where there is none.
    #[doc(alias = "responses")]
    pub const fn explanation(self) -> &'static str {
        explanation(self.code)
    }

    /// Has a response with this status no content, whatever the method (RFC 9110 §6.4.1, §15.3.6)?
    pub(crate) const fn forbids_content(self) -> bool {
        matches!(self.code, 100..=199 | 204 | 205 | 304)
    }

    /// Has a response with this status no `Content-Length` (RFC 9110 §8.6)? A 304 could have the length of
    /// the 200 that it stands for, which nobody here knows. A 205 says that it is empty.
    pub(crate) const fn forbids_content_length(self) -> bool {
        matches!(self.code, 100..=199 | 204 | 304)
    }
}

/// Two functions from one table. Each line is a constant of its own.
macro_rules! words {
    ($($code:literal $reason:literal $($explanation:literal)?;)*) => {
        const fn line(code: u16) -> &'static &'static str {
            match code {
                $($code => &concat!(" ", $code, " ", $reason, "\r\n"),)*
                _ => &"",
            }
        }

        const fn explanation(code: u16) -> &'static str {
            match code {
                $($($code => $explanation,)?)*
                _ => "???",
            }
        }
    };
}

words! {
    101 "Switching Protocols";
    102 "Processing";
    103 "Early Hints";
    200 "OK";
    201 "Created";
    202 "Accepted";
    203 "Non-Authoritative Information";
    204 "No Content";
    205 "Reset Content";
    206 "Partial Content";
    207 "Multi-Status";
    208 "Already Reported";
    226 "IM Used";
    300 "Multiple Choices";
    301 "Moved Permanently";
    302 "Found";
    303 "See Other";
    304 "Not Modified";
    305 "Use Proxy";
    307 "Temporary Redirect";
    308 "Permanent Redirect";
    400 "Bad Request" "Bad request syntax or unsupported method";
    401 "Unauthorized";
    402 "Payment Required";
    403 "Forbidden" "Request forbidden -- authorization will not help";
    404 "Not Found" "Nothing matches the given URI";
    405 "Method Not Allowed" "Specified method is invalid for this resource";
    406 "Not Acceptable";
    407 "Proxy Authentication Required";
    408 "Request Timeout" "Request timed out; try again later";
    409 "Conflict";
    410 "Gone";
    411 "Length Required" "Client must specify Content-Length";
    412 "Precondition Failed" "Precondition in headers is false";
    413 "Content Too Large" "Content is too large";
    414 "URI Too Long" "URI is too long";
    415 "Unsupported Media Type";
    416 "Range Not Satisfiable" "Cannot satisfy request range";
    417 "Expectation Failed" "Expect condition could not be satisfied";
    418 "I'm a Teapot";
    421 "Misdirected Request";
    422 "Unprocessable Content";
    423 "Locked";
    424 "Failed Dependency";
    425 "Too Early";
    426 "Upgrade Required";
    428 "Precondition Required";
    429 "Too Many Requests" "The user has sent too many requests in a given amount of time (\"rate limiting\")";
    431 "Request Header Fields Too Large" "The server is unwilling to process the request because its header fields are too large";
    451 "Unavailable For Legal Reasons";
    500 "Internal Server Error" "Server got itself in trouble";
    501 "Not Implemented" "Server does not support this operation";
    502 "Bad Gateway";
    503 "Service Unavailable" "The server cannot process the request due to a high load";
    504 "Gateway Timeout";
    505 "HTTP Version Not Supported" "Cannot fulfill request";
    506 "Variant Also Negotiates";
    507 "Insufficient Storage";
    508 "Loop Detected";
    510 "Not Extended";
    511 "Network Authentication Required";
}

impl NoContentStatus {
    const fn registered(code: u16) -> Self {
        Self(Status::registered(code))
    }

    /// The three digits of the status line.
    pub const fn code(self) -> u16 {
        self.0.code
    }
}

impl InterimStatus {
    const fn registered(code: u16) -> Self {
        Self(Status::registered(code))
    }

    /// The three digits of the status line.
    pub const fn code(self) -> u16 {
        self.0.code
    }
}

impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Status {}

impl PartialOrd for Status {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Status {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code.cmp(&other.code)
    }
}

impl Hash for Status {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.hash(state);
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Status").field(&self.code).finish()
    }
}

/// Crate-internal: the status of any response, whatever the type of its constant.
impl From<NoContentStatus> for Status {
    fn from(status: NoContentStatus) -> Self {
        status.0
    }
}

impl From<InterimStatus> for Status {
    fn from(status: InterimStatus) -> Self {
        status.0
    }
}

macro_rules! constants {
    ($($type:ident { $($name:ident = $code:literal),* $(,)? })*) => { $($(
        #[doc = concat!(stringify!($code), " ", stringify!($name))]
        pub const $name: $type = $type::registered($code);
    )*)* };
}

constants! {
    InterimStatus { PROCESSING = 102, EARLY_HINTS = 103 }
    NoContentStatus { NO_CONTENT = 204, RESET_CONTENT = 205, NOT_MODIFIED = 304 }
    Status {
        OK = 200, CREATED = 201, ACCEPTED = 202, NON_AUTHORITATIVE_INFORMATION = 203, PARTIAL_CONTENT = 206,
        MULTI_STATUS = 207, ALREADY_REPORTED = 208, IM_USED = 226,
        MULTIPLE_CHOICES = 300, MOVED_PERMANENTLY = 301, FOUND = 302, SEE_OTHER = 303, USE_PROXY = 305,
        TEMPORARY_REDIRECT = 307, PERMANENT_REDIRECT = 308,
        BAD_REQUEST = 400, UNAUTHORIZED = 401, PAYMENT_REQUIRED = 402, FORBIDDEN = 403, NOT_FOUND = 404,
        METHOD_NOT_ALLOWED = 405, NOT_ACCEPTABLE = 406, PROXY_AUTHENTICATION_REQUIRED = 407,
        REQUEST_TIMEOUT = 408, CONFLICT = 409, GONE = 410, LENGTH_REQUIRED = 411, PRECONDITION_FAILED = 412,
        CONTENT_TOO_LARGE = 413, URI_TOO_LONG = 414, UNSUPPORTED_MEDIA_TYPE = 415,
        RANGE_NOT_SATISFIABLE = 416, EXPECTATION_FAILED = 417, IM_A_TEAPOT = 418, MISDIRECTED_REQUEST = 421,
        UNPROCESSABLE_CONTENT = 422, LOCKED = 423, FAILED_DEPENDENCY = 424, TOO_EARLY = 425,
        UPGRADE_REQUIRED = 426, PRECONDITION_REQUIRED = 428, TOO_MANY_REQUESTS = 429,
        REQUEST_HEADER_FIELDS_TOO_LARGE = 431, UNAVAILABLE_FOR_LEGAL_REASONS = 451,
        INTERNAL_SERVER_ERROR = 500, NOT_IMPLEMENTED = 501, BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503,
        GATEWAY_TIMEOUT = 504, HTTP_VERSION_NOT_SUPPORTED = 505, VARIANT_ALSO_NEGOTIATES = 506,
        INSUFFICIENT_STORAGE = 507, LOOP_DETECTED = 508, NOT_EXTENDED = 510,
        NETWORK_AUTHENTICATION_REQUIRED = 511,
    }
}

/// The answer of [`switch_protocols`](crate::Response::switch_protocols).
pub(crate) const SWITCHING_PROTOCOLS: Status = Status::registered(101);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_codes_make_a_status() {
        for code in 0..=u16::MAX {
            assert_eq!(Status::new(code).is_some(), (200..=999).contains(&code));
        }
    }

    #[test]
    fn reasons_are_fit_for_a_status_line() {
        for code in 100..=999 {
            let status = Status::registered(code);
            let reason = status.reason();
            assert!(reason.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            match status.line() {
                Some(line) => assert_eq!(line, std::format!(" {code} {reason}\r\n")),
                None => assert_eq!(reason, ""),
            }
        }
        assert_eq!(NOT_FOUND.reason(), "Not Found");
        assert_eq!(Status::registered(999).reason(), "");
        assert_eq!(Status::registered(999).explanation(), "???");
    }
}
