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
use crate::receive::input::Input;
use crate::send::output::Output;
use crate::syntax::config::Config;
use crate::syntax::error::{Problem, ReadError, SendError};
use crate::syntax::method::Method;
use crate::syntax::status::Status;
use crate::syntax::version::Version;
use embedded_io::ErrorKind;

/// What a response needs to know about its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The version of the answer.
    pub(crate) version: Version,
    notes: Notes,
    /// The client sends no further request.
    pub(crate) announces_close: bool,
    /// GET's head without GET's content.
    pub(crate) is_head: bool,
    pub(crate) is_connect: bool,
}

impl Asked {
    /// What a head asks for, but for its method.
    pub(crate) fn new(end: &HeadEnd, config: &Config<'_>) -> Self {
        Self {
            version: end.notes.version().min(config.protocol),
            notes: end.notes,
            announces_close: end.announces_close(),
            ..Self::refused(config)
        }
    }

    /// For answers to what could not be understood.
    fn refused(config: &Config<'_>) -> Self {
        let (version, notes) = (config.protocol, Notes::default());
        Self { version, notes, announces_close: false, is_head: false, is_connect: false }
    }

    /// What its method asks for.
    pub(crate) fn by(&mut self, method: Method<'_>) {
        self.is_head = matches!(method, Method::Head);
        self.is_connect = matches!(method, Method::Connect);
    }

    /// Does the client wait for `100 Continue`?
    fn expects_continue(self) -> bool {
        self.version >= Version::Http11 && self.notes.has(Notes::EXPECT_CONTINUE)
    }

    /// Did the client ask for another protocol, and may it be given that?
    pub(crate) fn upgrade(self) -> bool {
        self.version >= Version::Http11
            && self.notes.has(Notes::UPGRADE)
            && self.notes.has(Notes::CONNECTION_UPGRADE)
    }
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Nothing,
    Head,
    /// Content collects in the buffer behind a gap for its framing.
    Measuring,
    /// As much content as was declared.
    Counted,
    /// The current chunk's octets collect in the buffer, `CHUNK_HEAD` octets behind its place.
    Chunked,
    UntilClose,
    /// Content is counted and dropped.
    Bodiless,
    Done,
    /// The stream is the handler's.
    Raw,
}

/// What is still to be done or said when the handler has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    Nothing,
    /// This content is to be sent …
    Static(&'static [u8]),
    /// … or is to be made: as much as the response's content has.
    Made(Maker),
    /// For the log: what the error page says, if the response is one.
    Problem(Problem),
}

/// A count, of octets or of microseconds. Aligned as four octets are, so that on a board nothing is left free beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Count(pub(crate) u64);

/// What [`Request`](crate::Request) and [`Response`](crate::Response) share. See the module's documentation.
///
/// The first thing that goes wrong is kept in `error`, and each call says what it was. What follows goes on, and fills a buffer
/// that is never sent.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(crate) struct Shared<'a> {
    wire: &'a mut dyn Wire,
    pub(crate) config: &'a Config<'a>,
    /// The clock's microseconds when the head was complete.
    pub(crate) began: Option<Count>,
    pub(crate) asked: Asked,

    /// The input buffer behind the head.
    pub(crate) input: Input<'a>,
    pub(crate) content: Content,
    read_error: Option<ReadError>,
    /// Content has come, or was asked for with `100 Continue`.
    content_has_begun: bool,

    pub(crate) output: Output<'a>,
    phase: Phase,
    /// Where in the buffer this response begins; finished ones are before it.
    response_at: usize,
    /// Something of this response has left.
    has_left: bool,
    /// The head may leave in pieces: the buffer is too small for any.
    leaves_in_pieces: bool,
    /// Where the content, or the chunk, that is being collected begins: behind a gap.
    content_at: usize,
    pub(crate) status: Option<Status>,
    pub(crate) content_bytes: Count,
    /// The first thing that went wrong.
    pub(crate) error: Option<SendError>,
    declared: Option<Count>,
    streamed: bool,
    pub(crate) rest: Rest,
    /// The connection ends after this exchange.
    pub(crate) close: bool,
}

impl<'a> Shared<'a> {
    /// An exchange before anything is known of its request: it can only be refused.
    #[cfg_attr(target_pointer_width = "32", inline(never))] // On a board, once in flash.
    pub(crate) fn new(wire: &'a mut dyn Wire, config: &'a Config<'a>, output: &'a mut Output<'_>) -> Self {
        Self {
            wire,
            config,
            began: None,
            asked: Asked::refused(config),
            input: Input::new(&mut [], 0),
            content: Content::none(),
            read_error: None,
            content_has_begun: false,
            phase: Phase::Nothing,
            response_at: output.filled(),
            output: output.lend(),
            has_left: false,
            leaves_in_pieces: false,
            content_at: 0,
            status: None,
            content_bytes: Count(0),
            error: None,
            declared: None,
            streamed: false,
            rest: Rest::Nothing,
            close: true,
        }
    }

    /// Does the connection end with this exchange? When the content broke off, nobody knows where the next request begins.
    pub(crate) fn ends(&self) -> bool {
        self.close || self.read_error.is_some()
    }

    /// Notes what went wrong, if nothing did before.
    #[cold]
    pub(crate) fn fail(&mut self, error: SendError) {
        self.error.get_or_insert(error);
    }

    /// Why nothing can be written any more, if that is so.
    fn broken(&self) -> Option<ErrorKind> {
        match self.error {
            Some(SendError::Transport(kind)) => Some(kind),
            _ => None,
        }
    }

    /// Puts text of the head into the buffer.
    #[inline]
    fn put(&mut self, text: &[u8]) {
        if !self.output.push(text) {
            self.put_behind_nothing(text);
        }
    }

    /// What earlier responses take of the buffer is no reason for a head not to fit.
    #[cold]
    fn put_behind_nothing(&mut self, text: &[u8]) {
        self.flush_earlier();
        if self.leaves_in_pieces {
            self.write_past_buffer(text);
        } else if !self.output.push(text) {
            self.fail(SendError::HeadTooLarge);
        }
    }

    /// Makes room for so much, if earlier responses have it.
    fn reserve(&mut self, count: usize) {
        if count > self.output.room() {
            self.flush_earlier();
        }
    }

    /// Writes what the finished responses before this one take of the buffer.
    #[cold]
    fn flush_earlier(&mut self) {
        if self.response_at > 0 && self.broken().is_none() {
            self.write_collected(self.response_at);
        }
    }

    /// Writes all that has collected, unless something is wrong with it.
    fn flush(&mut self) {
        if self.error.is_none() {
            self.has_left |= self.output.filled() > self.response_at;
            self.write_collected(self.output.filled());
        }
    }

    /// Writes the first `count` octets of the buffer.
    fn write_collected(&mut self, count: usize) {
        let written = wire::write_all(self.wire, self.output.as_bytes().get(..count).unwrap_or_default());
        self.note(written);
        self.output.drop_front(count);
        self.response_at = 0;
        self.content_at = self.content_at.saturating_sub(count);
    }

    /// Writes past the buffer.
    fn write_out(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.has_left = true;
            let written = wire::write_all(self.wire, bytes);
            self.note(written);
        }
    }

    /// Sends what the stream itself holds back.
    fn flush_wire(&mut self) {
        if self.broken().is_none() {
            let flushed = self.wire.flush();
            self.note(flushed);
        }
    }

    /// Notes when the transport fails: nobody knows what has left then, so nothing more does.
    fn note(&mut self, result: Result<(), ErrorKind>) {
        if let Err(kind) = result {
            self.error = Some(SendError::Transport(kind));
        }
    }
}
