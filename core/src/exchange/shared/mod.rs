//! One exchange: what a request and its response share.
//!
//! A handler holds both at once and may read and write in turns, so what is behind them is one thing in a
//! `RefCell`. Nothing here waits for the client but [`Shared::read`] and the flushes.
//!
//! ```text
//!   Nothing ──send_response──► Head ──end_headers──► Measuring ───finish───► Done     fits the buffer: its exact length
//!                               │                        │ too long for the buffer
//!                               │ streamed()             ▼
//!                               ├────────────────► Chunked / UntilClose ───► Done
//!                               ├─content_length─► Counted ────────────────► Done
//!                               └─HEAD, 204, 304─► Bodiless ───────────────► Done
//! ```

mod reading;
mod head;
mod body;
mod refusal;

use crate::connection::Maker;
use crate::exchange::wire::{self, Wire};
use crate::receive::content::Content;
use crate::receive::head::{HeadEnd, Notes};
use crate::send::output::Output;
use crate::syntax::config::Config;
use crate::syntax::error::{Problem, ReadError, SendError};
use crate::syntax::method::Method;
use crate::syntax::status::Status;
use crate::syntax::version::Version;
use embedded_io::ErrorKind;

/// What a response needs to know about its request.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    /// GET's head without GET's content.
    pub(crate) is_head: bool,
    pub(crate) is_connect: bool,
    /// The client waits for `100 Continue`.
    pub(crate) expects_continue: bool,
    /// The client asked for another protocol, and may be given it.
    pub(crate) upgrade: bool,
    /// The connection may go on after this request.
    pub(crate) persistent: bool,
}

impl Asked {
    /// What a head asks for. `last` is true for the last request that the connection may serve.
    pub(crate) fn new(method: Method<'_>, end: &HeadEnd, last: bool, config: &Config<'_>) -> Self {
        let version = end.version.min(config.protocol);
        let http_11 = version >= Version::Http11;
        let notes = end.notes;
        // RFC 9112 §9.3. Over a protocol of HTTP/1.0 nothing persists (spec 62).
        let persistent = !last
            && !notes.has(Notes::CLOSE)
            && config.protocol >= Version::Http11
            && (http_11 || (end.version == Version::Http10 && notes.has(Notes::KEEP_ALIVE)));
        Self {
            version,
            is_head: method == Method::Head,
            is_connect: method == Method::Connect,
            expects_continue: http_11 && end.expects_continue(),
            upgrade: http_11 && notes.has(Notes::UPGRADE) && notes.has(Notes::CONNECTION_UPGRADE),
            persistent,
        }
    }

    /// For answers to what could not be understood.
    pub(crate) fn refused(is_head: bool, config: &Config<'_>) -> Self {
        Self {
            version: config.protocol,
            is_head,
            is_connect: false,
            expects_continue: false,
            upgrade: false,
            persistent: false,
        }
    }
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Nothing,
    Head,
    /// Content collects in the buffer behind a gap for its framing.
    Measuring {
        content_at: usize,
    },
    /// As much content as was declared.
    Counted,
    /// The current chunk's octets begin here in the buffer, `CHUNK_HEAD` octets behind its place.
    Chunked {
        content_at: usize,
    },
    UntilClose,
    /// Content is counted and dropped.
    Bodiless,
    Done,
    /// The stream is the handler's.
    Raw,
}

/// Content that is still to be sent when the handler has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deferred {
    Nothing,
    Static(&'static [u8]),
    /// As much as the response's content has.
    Made(Maker),
}

/// What [`Request`](crate::Request) and [`Response`](crate::Response) share. See the module's documentation.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(crate) struct Shared<'a> {
    wire: &'a mut dyn Wire,
    pub(crate) config: &'a Config<'a>,
    pub(crate) asked: Asked,

    /// The input buffer behind the head; what arrived and is not yet taken is from `start` to `filled`.
    input: &'a mut [u8],
    pub(crate) start: usize,
    pub(crate) filled: usize,
    pub(crate) content: Content,
    read_error: Option<ReadError>,
    content_has_begun: bool,

    pub(crate) output: Output<'a>,
    phase: Phase,
    /// Where in the buffer this response begins; finished ones are before it.
    response_at: usize,
    /// Something of this response has left.
    pub(crate) has_left: bool,
    head_end: usize,
    pub(crate) status: Option<Status>,
    pub(crate) content_bytes: u64,
    /// The first thing that went wrong: said when the head ends, so that heads can be written in a chain.
    error: Option<SendError>,
    declared: Option<u64>,
    streamed: bool,
    /// What the error page says, if the response is one: for the log.
    pub(crate) problem: Option<Problem>,
    pub(crate) deferred: Deferred,
    /// The connection ends after this exchange.
    pub(crate) close: bool,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(
        wire: &'a mut dyn Wire,
        config: &'a Config<'a>,
        asked: Asked,
        content: Content,
        (input, filled): (&'a mut [u8], usize),
        output: Output<'a>,
    ) -> Self {
        Self {
            wire,
            config,
            asked,
            input,
            start: 0,
            filled,
            content,
            read_error: None,
            content_has_begun: false,
            phase: Phase::Nothing,
            response_at: output.filled(),
            output,
            has_left: false,
            head_end: 0,
            status: None,
            content_bytes: 0,
            error: None,
            declared: None,
            streamed: false,
            problem: None,
            deferred: Deferred::Nothing,
            close: !asked.persistent,
        }
    }

    /// Does the connection end with this exchange? When the content broke off, nobody knows where the next request begins.
    pub(crate) fn ends(&self) -> bool {
        self.close || self.read_error.is_some()
    }

    /// Writes what the finished responses before this one take of the buffer.
    pub(crate) fn flush_earlier(&mut self) -> Result<(), ErrorKind> {
        let earlier = self.output.as_bytes().get(..self.response_at).unwrap_or_default();
        if earlier.is_empty() {
            return Ok(());
        }
        wire::write_all(self.wire, earlier).map_err(|kind| self.broke(kind))?;
        let gone = self.response_at;
        self.output.drop_front(gone);
        self.response_at = 0;
        self.head_end = self.head_end.saturating_sub(gone);
        if let Phase::Measuring { content_at } | Phase::Chunked { content_at } = &mut self.phase {
            *content_at = content_at.saturating_sub(gone);
        }
        Ok(())
    }

    /// The transport failed: nobody knows what has left, so nothing more does.
    fn broke(&mut self, kind: ErrorKind) -> ErrorKind {
        self.has_left = true;
        self.error = Some(SendError::Transport(kind));
        kind
    }

    /// Writes all that has collected.
    fn flush(&mut self) -> Result<(), SendError> {
        let result = wire::write_all(self.wire, self.output.as_bytes());
        self.has_left |= self.output.filled() > self.response_at;
        self.output.truncate(0);
        self.response_at = 0;
        result.or_else(|kind| self.refuse(SendError::Transport(kind)))
    }

    /// Writes past the buffer.
    fn write_out(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.has_left = true;
        wire::write_all(self.wire, bytes).or_else(|kind| self.refuse(SendError::Transport(kind)))
    }
}
