//! What a server has done so far, in numbers.
//!
//! [`HttpServer::metrics`](crate::HttpServer::metrics) gives a handle, whose [`snapshot`](Metrics::snapshot) adds up what each
//! thread has counted for itself: counting costs a request a few instructions, and no thread waits for another one's memory.
//!
//! ```
//! use httpling::HttpServer;
//!
//! # fn main() -> std::io::Result<()> {
//! let server = HttpServer::bind("localhost:0")?;
//! let metrics = server.metrics();
//! assert_eq!(metrics.snapshot().requests.total(), 0);
//! # Ok(())
//! # }
//! ```

mod counters;
mod prometheus;

pub(crate) use counters::{Counters, Enlisted, Event, Tally};
pub use prometheus::Prometheus;

use crate::reactor::Base;
use std::sync::Arc;

/// Tells what a server has done so far: see [`HttpServer::metrics`](crate::HttpServer::metrics).
#[derive(Clone, Debug)]
pub struct Metrics {
    base: Arc<Base>,
}

impl Metrics {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        Self { base }
    }

    /// The numbers now. What happens meanwhile may be in one of them and not yet in another.
    pub fn snapshot(&self) -> Snapshot {
        self.base.snapshot()
    }
}

/// What a server has done since it was made. All numbers but those of `_active`, `_queued`, `_lent` and `_unsent` never become smaller.
///
/// Its [`Display`](std::fmt::Display) is Prometheus' text format, which [`Prometheus`] serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Connections that were accepted.
    pub connections_accepted: u64,
    /// Connections that are open.
    pub connections_active: u64,
    /// Connections that have ended, whoever ended them.
    pub connections_closed: u64,
    /// Connections that had to make place: idle ones for new ones, or for descriptors, and those that took nothing of their
    /// responses, when these had all the memory that they may have.
    pub connections_evicted: u64,
    /// Connections that ended because of what their client sent: no HTTP, or more than the limits allow.
    pub connections_refused: u64,
    /// Connections that could not be accepted: the client had gone, or descriptors or memory had run out.
    pub accept_errors: u64,
    /// Requests that were answered, or would have been.
    pub requests: ByStatus,
    /// Requests that were answered with 503: all handlers were busy, or a handler had no descriptor for a file.
    pub requests_unavailable: u64,
    /// Handlers that run.
    pub requests_active: u64,
    /// Requests that wait for a thread.
    pub requests_queued: u64,
    /// Octets of memory that are lent to requests that have not come whole:
    /// [`Builder::lent_bytes_max`](crate::Builder::lent_bytes_max) bounds them.
    pub bytes_lent: u64,
    /// Octets of memory that are lent to responses that clients do not take:
    /// [`Builder::unsent_bytes_max`](crate::Builder::unsent_bytes_max) bounds them.
    pub bytes_unsent: u64,
    /// Deadlines that ran out.
    pub timeouts: ByDeadline,
    /// Panics in handlers, and in what makes and drops them.
    pub handler_panics: u64,
    /// Handlers that ran for longer than [`Builder::handler_time_logged`](crate::Builder::handler_time_logged).
    pub handlers_slow: u64,
    /// Octets of requests: heads, content and its framing.
    pub bytes_received: u64,
    /// Octets of responses: heads, content and its framing.
    pub bytes_sent: u64,
    /// Lines of the log that were lost, because whoever reads it did not keep up.
    pub log_lines_lost: u64,
}

/// Requests by the status of their responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByStatus {
    /// 1xx.
    pub informational: u64,
    /// 2xx.
    pub successful: u64,
    /// 3xx.
    pub redirection: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
    /// The connection failed before there was a response.
    pub unanswered: u64,
}

impl ByStatus {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.informational
            + self.successful
            + self.redirection
            + self.client_error
            + self.server_error
            + self.unanswered
    }
}

/// Deadlines that ran out, by what they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByDeadline {
    /// A new connection was silent: [`first_byte_timeout`](crate::Builder::first_byte_timeout).
    pub first_byte: u64,
    /// A head did not end: [`head_timeout`](crate::Builder::head_timeout).
    pub head: u64,
    /// A connection was silent after a response: [`idle_timeout`](crate::Builder::idle_timeout).
    pub idle: u64,
    /// Content did not come, or too slowly: [`read_timeout`](crate::Builder::read_timeout).
    pub content: u64,
    /// A response was not taken, or too slowly: [`write_timeout`](crate::Builder::write_timeout).
    pub write: u64,
    /// A request found no thread in time: [`queue_timeout`](crate::Builder::queue_timeout).
    pub queue: u64,
}
