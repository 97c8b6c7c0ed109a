//! Around a user's handler: panics are caught, waits are noted, and the log is written.

use super::desk::Desk;
use super::kinds::Kind;
use super::{Handler, Reactor};
use crate::log::Log;
use crate::metrics::Event;
use httpling_core::{
    LogEntry, Methods, Problem, ReadError, Request, RequestError, RequestHandler, RequestHead, Response,
    SendError, Sent, Status, status,
};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Does something of the user's that is no request: makes a handler, or drops one. A panic costs one connection, and no thread.
pub(super) fn contained<H, T>(
    reactor: &Reactor<H>,
    peer: Option<SocketAddr>,
    act: impl FnOnce() -> T,
) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(act));
    if result.is_err() {
        reactor.counters.count(Event::Panicked);
        if let Some(log) = &reactor.log {
            log.message(peer, "Handler panicked");
        }
    }
    result.ok()
}

/// A handler, guarded.
pub(super) struct Guard<'a, H> {
    handler: &'a mut H,
    desk: &'a Desk<'a, H>,
    /// There is no thread for this connection's request.
    refuses: bool,
    panicked: bool,
}

impl<'a, H: Handler> Guard<'a, H> {
    pub(super) fn new(handler: &'a mut H, desk: &'a Desk<'a, H>, refuses: bool) -> Self {
        Self { handler, desk, refuses, panicked: false }
    }

    /// Is the next request refused?
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Apart from what is done where there is no log.
    #[inline(never)]
    fn write_log(&self, log: &Log, entry: &LogEntry<'_>) {
        log.request(entry);
        if self.desk.tally.was_slow()
            && let Some(duration) = entry.duration_us
        {
            log.message(
                entry.peer.copied(),
                &format!("Handler took {:.1?}", Duration::from_micros(duration)),
            );
        }
    }

    /// After a panic the handler's own state may be half changed. It is the handler's, and only its next request can see it.
    fn guard<T>(&mut self, act: impl FnOnce(&mut H) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| act(self.handler)));
        if result.is_err() {
            self.panicked = true;
            self.desk.reactor.counters.count(Event::Panicked);
        }
        result.ok()
    }
}

impl<H: Handler> RequestHandler for Guard<'_, H> {
    fn dispatch(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if std::mem::take(&mut self.refuses) {
            return response.send_error_with_fields(
                status::SERVICE_UNAVAILABLE,
                "All handlers are busy",
                "The server has more to do than it can",
                &[("Retry-After", "1")],
            );
        }
        self.desk.enter(Kind::of(request.raw_request_line()));
        let result =
            self.guard(|handler| handler.dispatch(request, response)).unwrap_or(Err(SendError::Failed));
        self.desk.leave();
        if result.is_err() && self.desk.is_overloaded() {
            return Err(SendError::Content(ReadError::Refused(RequestError::Overloaded)));
        }
        result
    }

    fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
        self.guard(|handler| handler.allowed_methods(request)).flatten()
    }

    fn content_bytes_max(&mut self, request: &RequestHead<'_>, default: u64) -> u64 {
        self.guard(|handler| handler.content_bytes_max(request, default)).unwrap_or(default)
    }

    fn produce(&mut self, key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        self.guard(|handler| handler.produce(key, position, out)).unwrap_or(Err(SendError::Failed))
    }

    fn log_request(&mut self, entry: &LogEntry<'_>) {
        self.desk.tally.request(entry.status.map_or(0, Status::code));
        self.guard(|handler| handler.log_request(entry));
        if let Some(log) = &self.desk.reactor.log {
            self.write_log(log, entry);
        }
    }

    fn log_error(&mut self, entry: &LogEntry<'_>, problem: Problem) {
        let panicked = std::mem::take(&mut self.panicked);
        let problem = if panicked { Problem::Text("Handler panicked") } else { problem };
        self.guard(|handler| handler.log_error(entry, problem));
        if let Some(log) = &self.desk.reactor.log {
            log.error(entry, problem.message());
        }
    }

    fn log_message(&mut self, entry: &LogEntry<'_>, message: &str) {
        self.guard(|handler| handler.log_message(entry, message));
        if let Some(log) = &self.desk.reactor.log {
            log.message(entry.peer.copied(), message);
        }
    }

    fn finish(&mut self) {
        self.guard(H::finish);
    }
}
