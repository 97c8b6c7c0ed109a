//! Around a user's handler: panics are caught, and the log is written.

use crate::log::Log;
use crate::stream::Stream;
use httpling_core::{LogEntry, Methods, Request, RequestHandler, RequestHead, Response, SendError, Sent};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A handler, guarded.
pub(crate) struct Guard<'a, H> {
    handler: H,
    stream: &'a Stream<'a>,
    log: Option<&'a Log>,
    panicked: bool,
}

impl<'a, H: RequestHandler> Guard<'a, H> {
    pub(crate) fn new(handler: H, stream: &'a Stream<'a>, log: Option<&'a Log>) -> Self {
        Self { handler, stream, log, panicked: false }
    }

    /// After a panic the handler's own state may be half changed. It is the handler's, and only its next request can see it.
    fn guard<T>(&mut self, act: impl FnOnce(&mut H) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut self.handler)));
        self.panicked |= result.is_err();
        result.ok()
    }
}

impl<H: RequestHandler> RequestHandler for Guard<'_, H> {
    fn dispatch(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.stream.begin_exchange();
        self.guard(|handler| handler.dispatch(request, response)).unwrap_or(Err(SendError::Failed))
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
        self.stream.end_exchange();
        self.guard(|handler| handler.log_request(entry));
        if let Some(log) = self.log {
            log.request(entry);
        }
    }

    fn log_error(&mut self, entry: &LogEntry<'_>, message: &str) {
        let message = if std::mem::take(&mut self.panicked) { "Handler panicked" } else { message };
        self.guard(|handler| handler.log_error(entry, message));
        if let Some(log) = self.log {
            log.error(entry, message);
        }
    }

    fn log_message(&mut self, entry: &LogEntry<'_>, message: &str) {
        self.guard(|handler| handler.log_message(entry, message));
        if let Some(log) = self.log {
            log.message(entry.peer, message);
        }
    }

    fn finish(&mut self) {
        self.guard(H::finish);
    }
}
