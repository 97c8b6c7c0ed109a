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

use crate::exchange::error_page::{self, Message};
use crate::exchange::wire::{self, Wire};
use crate::receive::content::Content;
use crate::receive::head::{HeadEnd, Notes};
use crate::send::content::{CHUNK_END, CHUNK_HEAD, LAST_CHUNK, chunk_head};
use crate::send::framing::{self, ConnectionOption, Framing, TEXT_MAX};
use crate::send::head;
use crate::send::output::Output;
use crate::syntax::config::Config;
use crate::syntax::error::{ReadError, RequestError, SendError};
use crate::syntax::method::Method;
use crate::syntax::status::{self, Status};
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
            && !config.is_stopping()
            && !notes.has(Notes::CLOSE)
            && config.protocol >= Version::Http11
            && (http_11 || (end.version == Version::Http10 && notes.has(Notes::KEEP_ALIVE)));
        Self {
            version,
            is_head: method == Method::Head,
            is_connect: method == Method::Connect,
            expects_continue: http_11 && notes.has(Notes::EXPECT_CONTINUE),
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
    Counted {
        left: u64,
    },
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

/// When the head leaves, is the handler done with the request's content?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Done,
    MayRead,
}

/// Content that is still to be sent when the handler has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deferred {
    Nothing,
    Static(&'static [u8]),
    Producer { key: u32, length: u64 },
}

/// What [`Request`](crate::Request) and [`Response`](crate::Response) share. See the module's documentation.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(crate) struct Shared<'a> {
    wire: &'a mut dyn Wire,
    config: &'a Config<'a>,
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
    pub(crate) message: Option<&'static str>,
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
            message: None,
            deferred: Deferred::Nothing,
            close: !asked.persistent,
        }
    }

    // ---- the request's content ----

    /// Reads content into `out`, waiting for it if need be; `Ok(0)` is its end.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        if let Some(error) = self.read_error {
            return Err(error);
        }
        let result = self.try_read(out);
        self.read_error = result.err();
        result
    }

    fn try_read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let arrived = self.input.get(self.start..self.filled).unwrap_or_default();
            let decoded =
                self.content.decode(arrived, out, &self.config.limits).map_err(ReadError::Refused)?;
            self.start += decoded.taken;
            self.content_has_begun |= decoded.taken > 0;
            if decoded.put > 0 || self.content.is_done() {
                return Ok(decoded.put);
            }
            // Everything that arrived is taken.
            (self.start, self.filled) = (0, 0);
            self.before_waiting()?;
            let plain = self.content.plain();
            if plain > 0 && out.len() >= self.input.len().min(plain) {
                // Past the buffer, into place. Not one octet further than the content.
                let most = plain.min(out.len());
                let place = out.get_mut(..most).unwrap_or_default();
                let count = received(wire::read(self.wire, place))?;
                self.content.skip(count);
                return Ok(count);
            }
            self.receive()?;
        }
    }

    /// Waits for more bytes.
    fn receive(&mut self) -> Result<(), ReadError> {
        if self.input.is_empty() {
            // The head filled the whole buffer. An octet at a time needs none.
            let mut octet = [0];
            received(wire::read(self.wire, &mut octet))?;
            let decoded = self.content.decode(&octet, &mut [], &self.config.limits);
            return decoded.map(|_| ()).map_err(ReadError::Refused);
        }
        self.filled = received(wire::read(self.wire, self.input))?;
        Ok(())
    }

    /// Nobody may be left waiting for us while we wait for them: earlier responses leave, and `100 Continue`.
    fn before_waiting(&mut self) -> Result<(), ReadError> {
        let waiting = self.asked.expects_continue && !self.content_has_begun && self.phase == Phase::Nothing;
        self.asked.expects_continue = false;
        self.flush_earlier().map_err(ReadError::Transport)?;
        if waiting {
            let result =
                wire::write_all(self.wire, b"HTTP/1.1 100 Continue\r\n\r\n").and_then(|()| self.wire.flush());
            result.map_err(ReadError::Transport)?;
        }
        Ok(())
    }

    /// Did the content break off? Then nobody knows where the next request begins.
    pub(crate) fn read_failed(&self) -> bool {
        self.read_error.is_some()
    }

    // ---- the response's head ----

    /// Begins the response. `with_origin` adds `Server` and `Date`.
    pub(crate) fn begin(&mut self, status: Status, reason: &str, with_origin: bool) {
        self.phase = Phase::Head;
        self.status = Some(status);
        if self.asked.version == Version::Http09 {
            return;
        }
        let version = self.config.protocol;
        self.put_head(|out| head::put_status_line(out, version, status, reason));
        if with_origin {
            if let Some(server) = self.config.server {
                self.field(b"Server", server.as_bytes());
            }
            if let Some(date) = self.config.clock.and_then(super::super::syntax::config::Clock::date) {
                self.field(b"Date", date.as_bytes());
            }
        }
    }

    /// Adds a field, or notes why that cannot be.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // These say how the message is framed, which is decided in one place only. What a handler says is
        // taken as its wish.
        if is("connection") {
            if value.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !value.eq_ignore_ascii_case(b"keep-alive") {
                self.fail(SendError::FramingField);
            }
        } else if is("content-length") {
            match crate::syntax::decimal::parse(value) {
                Some(length) if self.declared.is_none_or(|declared| declared == length) => {
                    self.declared = Some(length);
                }
                _ => self.fail(SendError::FramingField),
            }
        } else if is("transfer-encoding") {
            self.fail(SendError::FramingField);
        } else if self.asked.version > Version::Http09 {
            self.put_head(|out| head::put_field(out, name, value));
        }
    }

    /// Declares the content's length.
    pub(crate) fn declare(&mut self, length: u64) {
        self.declared = Some(length);
    }

    /// Declares that content of unknown length leaves as it comes.
    pub(crate) fn stream_on_end(&mut self) {
        self.streamed = true;
    }

    pub(crate) fn fail(&mut self, error: SendError) {
        self.error.get_or_insert(error);
    }

    /// Puts something into the head. What earlier responses take is no reason for it not to fit.
    fn put_head(&mut self, mut put: impl FnMut(&mut Output<'_>) -> Result<(), SendError>) {
        if self.error.is_some() {
            return;
        }
        let before = self.output.filled();
        let mut result = put(&mut self.output);
        if result == Err(SendError::HeadTooLarge) && self.response_at > 0 {
            self.output.truncate(before);
            result = match self.flush_earlier() {
                Ok(()) => put(&mut self.output),
                Err(kind) => Err(SendError::Transport(kind)),
            };
        }
        self.error = result.err();
    }

    /// Ends the head. With a `length` the content is of that length; else what the handler declared; else the buffer
    /// measures it.
    pub(crate) fn end_head(&mut self, length: Option<u64>) -> Result<(), SendError> {
        if let (Some(declared), Some(length)) = (self.declared, length)
            && declared != length
        {
            self.fail(SendError::LengthMismatch);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        // Who knows the length has the content, and sends it now.
        let at_once = length.is_some();
        self.head_end = self.output.filled();
        let status = self.status.unwrap_or(status::OK);
        // "A server MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx (Successful)
        // response to CONNECT" (RFC 9110 §9.3.6). We open no tunnels, so the connection ends.
        let is_tunnel = self.asked.is_connect && matches!(status.code(), 200..=299);
        self.close |= is_tunnel;
        if status.forbids_content() || is_tunnel {
            if length.or(self.declared).is_some_and(|length| length > 0)
                && status != status::NOT_MODIFIED.into()
            {
                return self.refuse(SendError::ContentForbidden);
            }
            let silent = status.forbids_content_length() || is_tunnel;
            self.phase = Phase::Bodiless;
            return self.put_framing(if silent { Framing::Silent } else { Framing::Length(0) }, Reader::Done);
        }
        if let Some(length) = length.or(self.declared) {
            self.phase = Phase::Counted { left: length };
            let reader = if at_once { Reader::Done } else { Reader::MayRead };
            return self.put_framing(Framing::Length(length), reader);
        }
        if !self.streamed && self.output.room() < TEXT_MAX {
            self.flush_earlier().map_err(SendError::Transport)?;
        }
        if self.streamed || self.output.leave_gap(TEXT_MAX).is_err() {
            return self.stream();
        }
        self.phase = Phase::Measuring { content_at: self.output.filled() };
        Ok(())
    }

    fn refuse<T>(&mut self, error: SendError) -> Result<T, SendError> {
        self.error = Some(error);
        Err(error)
    }

    /// What the head says about the connection; decides it.
    fn connection_option(&mut self, framing: Framing, reader: Reader) -> ConnectionOption {
        // What the client sends next must be found: content that waits for our `100 Continue`
        // may come or not, and too much of it is not worth reading.
        let uncertain = self.asked.expects_continue && !self.content_has_begun && !self.content.is_done();
        let too_much = !self.content.is_at_most(self.config.limits.drain_bytes_max);
        self.close |= uncertain
            || (too_much && reader == Reader::Done)
            || framing == Framing::UntilClose
            || self.read_error.is_some();
        match (self.close, self.asked.version) {
            (true, _) => ConnectionOption::Close,
            (false, Version::Http11) => ConnectionOption::Silent,
            (false, _) => ConnectionOption::KeepAlive,
        }
    }

    /// Puts the framing at the head's end, where nothing follows yet.
    fn put_framing(&mut self, framing: Framing, reader: Reader) -> Result<(), SendError> {
        let option = self.connection_option(framing, reader);
        if self.asked.version == Version::Http09 {
            return Ok(());
        }
        self.put_head(|out| Ok(framing::put(out, framing, option)?));
        self.error.map_or(Ok(()), Err)
    }

    /// Puts the framing into the gap before the measured content.
    fn put_framing_before(
        &mut self,
        content_at: usize,
        framing: Framing,
        extra: &[u8],
    ) -> Result<(), SendError> {
        // Content that was measured is whole.
        let reader = if matches!(framing, Framing::Length(_)) { Reader::Done } else { Reader::MayRead };
        let option = self.connection_option(framing, reader);
        let mut text = [0; TEXT_MAX];
        let mut out = Output::new(&mut text, 0);
        if self.asked.version > Version::Http09 {
            framing::put(&mut out, framing, option)?;
            out.push(extra)?;
        }
        self.output.close_gap(self.head_end, content_at, out.as_bytes());
        Ok(())
    }

    // ---- the response's content ----

    /// The content has no known length: chunks for HTTP/1.1, else the connection's end.
    fn stream(&mut self) -> Result<(), SendError> {
        if self.asked.is_head {
            self.phase = Phase::Bodiless;
            return self.put_framing(Framing::streamed(self.asked.version), Reader::MayRead);
        }
        let framing = Framing::streamed(self.asked.version);
        if let Phase::Measuring { content_at } = self.phase {
            let measured = self.output.filled() - content_at;
            if framing == Framing::Chunked && measured > 0 {
                let (line, length) = chunk_head(measured);
                self.put_framing_before(
                    content_at,
                    framing,
                    line.get(CHUNK_HEAD - length..).unwrap_or_default(),
                )?;
                // The gap was longer than what is in its place now, so there is room.
                self.output.push(CHUNK_END)?;
                self.flush()?;
            } else {
                self.put_framing_before(content_at, framing, b"")?;
            }
        } else {
            self.put_framing(framing, Reader::MayRead)?;
        }
        self.phase = if framing == Framing::Chunked { self.next_chunk()? } else { Phase::UntilClose };
        Ok(())
    }

    /// Keeps the place for the head of a chunk.
    fn next_chunk(&mut self) -> Result<Phase, SendError> {
        let least = CHUNK_HEAD + 1 + CHUNK_END.len();
        if self.output.room() < least {
            self.flush()?;
        }
        if self.output.room() < least {
            return self.refuse(SendError::HeadTooLarge);
        }
        self.output.leave_gap(CHUNK_HEAD)?;
        Ok(Phase::Chunked { content_at: self.output.filled() })
    }

    /// Puts the head before the chunk that has collected, and the line end after it.
    fn end_chunk(&mut self, content_at: usize) -> Result<(), SendError> {
        let size = self.output.filled().saturating_sub(content_at);
        let place = content_at.saturating_sub(CHUNK_HEAD);
        if size == 0 {
            self.output.truncate(place);
            return Ok(());
        }
        let (line, length) = chunk_head(size);
        self.output.close_gap(place, content_at, line.get(CHUNK_HEAD - length..).unwrap_or_default());
        Ok(self.output.push(CHUNK_END)?)
    }

    /// Content, in whatever pieces the handler has it.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let count = bytes.len() as u64;
        if let Phase::Counted { left } = self.phase {
            let Some(left) = left.checked_sub(count) else { return self.refuse(SendError::LengthMismatch) };
            self.phase = Phase::Counted { left };
            if self.asked.is_head {
                return Ok(());
            }
        }
        self.content_bytes += count;
        loop {
            match self.phase {
                Phase::Measuring { .. } => {
                    let mut fits = bytes.len() <= self.output.room();
                    if !fits {
                        self.flush_earlier().map_err(SendError::Transport)?;
                        fits = bytes.len() <= self.output.room();
                    }
                    if self.asked.is_head {
                        // Nothing is put, so all content has the same room: the heads of HEAD and GET are the same.
                        if self.content_bytes > self.output.room() as u64 {
                            self.output.truncate(self.head_end);
                            self.stream()?;
                        }
                        return Ok(());
                    }
                    let put = self.output.push_some(bytes);
                    bytes = bytes.get(put..).unwrap_or_default();
                    if fits {
                        return Ok(());
                    }
                    self.stream()?;
                }
                Phase::Chunked { content_at } => {
                    let room = self.output.room().saturating_sub(CHUNK_END.len());
                    let now = bytes.get(..room).unwrap_or(bytes);
                    let put = self.output.push_some(now);
                    bytes = bytes.get(put..).unwrap_or_default();
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    self.end_chunk(content_at)?;
                    self.flush()?;
                    if bytes.len() >= self.output.capacity() {
                        let (line, length) = chunk_head(bytes.len());
                        self.output.push(line.get(CHUNK_HEAD - length..).unwrap_or_default())?;
                        self.flush()?;
                        self.write_out(bytes)?;
                        bytes = &[];
                        self.output.push(CHUNK_END)?;
                    }
                    self.phase = self.next_chunk()?;
                }
                Phase::Counted { .. } | Phase::UntilClose => return self.write_plain(bytes),
                Phase::Bodiless if self.asked.is_head || count == 0 => return Ok(()),
                Phase::Bodiless => return self.refuse(SendError::ContentForbidden),
                Phase::Raw => return self.write_plain(bytes),
                Phase::Nothing | Phase::Head | Phase::Done => return Err(SendError::Failed),
            }
        }
    }

    /// Through the buffer, so that small pieces leave together; past it, when there is more than it holds.
    fn write_plain(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        if self.output.filled() == 0 && bytes.len() >= self.output.capacity() {
            return self.write_out(bytes);
        }
        let put = self.output.push_some(bytes);
        let rest = bytes.get(put..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        self.flush()?;
        if rest.len() >= self.output.capacity() {
            return self.write_out(rest);
        }
        self.output.push_some(rest);
        Ok(())
    }

    /// Sends what has collected, so that the client has it now.
    pub(crate) fn flush_content(&mut self) -> Result<(), SendError> {
        if let Phase::Measuring { .. } = self.phase {
            self.stream()?;
        }
        if let Phase::Chunked { content_at } = self.phase {
            self.end_chunk(content_at)?;
            self.flush()?;
            self.phase = self.next_chunk()?;
        } else {
            self.flush()?;
        }
        self.wire.flush().map_err(SendError::Transport)
    }

    /// Ends the response. It leaves with others, when the engine waits.
    pub(crate) fn finish(&mut self) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.phase {
            Phase::Measuring { content_at } => {
                self.put_framing_before(content_at, Framing::Length(self.content_bytes), b"")?;
            }
            Phase::Counted { left } if left > 0 && !self.asked.is_head => {
                return self.refuse(SendError::LengthMismatch);
            }
            Phase::Chunked { content_at } => {
                self.end_chunk(content_at)?;
                if self.output.push(LAST_CHUNK).is_err() {
                    self.flush()?;
                    self.output.push(LAST_CHUNK)?;
                }
            }
            Phase::Counted { .. } | Phase::UntilClose | Phase::Bodiless | Phase::Raw => {}
            Phase::Nothing | Phase::Head | Phase::Done => return Err(SendError::Failed),
        }
        if self.asked.is_head {
            self.content_bytes = 0;
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// Ends the response with content that is sent after the handler has returned.
    pub(crate) fn defer(&mut self, deferred: Deferred, length: u64) -> Result<(), SendError> {
        // A connection has no room for two contents: that of the response, and one that is still to be drained.
        self.close |= !self.content.is_done();
        self.end_head(Some(length))?;
        if !self.asked.is_head {
            self.content_bytes = length;
            self.deferred = deferred;
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// Is the response ended?
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    // ---- leaving ----

    /// Writes what the finished responses before this one take of the buffer.
    pub(crate) fn flush_earlier(&mut self) -> Result<(), ErrorKind> {
        let earlier = self.output.as_bytes().get(..self.response_at).unwrap_or_default();
        if earlier.is_empty() {
            return Ok(());
        }
        wire::write_all(self.wire, earlier)?;
        self.wire.flush()?;
        let gone = self.response_at;
        self.output.drop_front(gone);
        self.response_at = 0;
        self.head_end = self.head_end.saturating_sub(gone);
        if let Phase::Measuring { content_at } | Phase::Chunked { content_at } = &mut self.phase {
            *content_at = content_at.saturating_sub(gone);
        }
        Ok(())
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

    // ---- refusals ----

    /// Sends an interim response at once (RFC 9110 §15.2). HTTP/1.0 has none.
    pub(crate) fn interim(&mut self, status: Status, fields: &[(&str, &str)]) -> Result<(), SendError> {
        if self.asked.version < Version::Http11 {
            return Ok(());
        }
        self.flush_earlier().map_err(SendError::Transport)?;
        head::put_status_line(&mut self.output, self.asked.version, status, status.reason())?;
        for (name, value) in fields {
            head::put_field(&mut self.output, name.as_bytes(), value.as_bytes())?;
        }
        self.output.push(b"\r\n")?;
        self.flush()?;
        // What follows is another response, and nothing of that has left.
        self.has_left = false;
        self.wire.flush().map_err(SendError::Transport)
    }

    /// Takes back what was put of this response, if nothing of it has left.
    pub(crate) fn take_back(&mut self) -> bool {
        if self.has_left {
            return false;
        }
        self.output.truncate(self.response_at);
        self.phase = Phase::Nothing;
        self.error = None;
        self.declared = None;
        self.streamed = false;
        self.message = None;
        self.content_bytes = 0;
        self.deferred = Deferred::Nothing;
        true
    }

    /// The whole error page: status line, fields, content. "Every `send_error` closes the connection" (spec 66).
    pub(crate) fn error_page(
        &mut self,
        status: Status,
        message: Option<Message<'_>>,
        explanation: Option<&str>,
        extra: &mut dyn FnMut(&mut Self),
    ) -> Result<(), SendError> {
        self.close = true;
        let message = message.unwrap_or(Message::Text(match status.reason() {
            "" => "???",
            reason => reason,
        }));
        let (Message::Text(text) | Message::Quoting(text, _)) = message;
        self.message = Some(text);
        let explanation = explanation.unwrap_or(status.explanation());
        self.begin(status, status.reason(), true);
        extra(self);
        if status.forbids_content() {
            self.end_head(None)?;
            return self.finish();
        }
        self.field(b"Content-Type", error_page::MEDIA_TYPE.as_bytes());
        self.field(b"X-Content-Type-Options", b"nosniff");
        self.end_head(None)?;
        error_page::write(status, message, explanation, &mut |piece| self.write(piece))?;
        self.finish()
    }

    /// The shortest answer there is, past the buffer, which may be too small for any.
    pub(crate) fn bare_error(&mut self, status: Status) -> Result<(), ErrorKind> {
        self.close = true;
        self.status = Some(status);
        self.flush_earlier()?;
        let code = crate::syntax::decimal::Digits::decimal(u64::from(status.code()));
        let pieces: [&[u8]; 5] = [
            self.config.protocol.as_str().as_bytes(),
            b" ",
            code.as_bytes(),
            b" ",
            status.reason().as_bytes(),
        ];
        self.has_left = true;
        for piece in pieces {
            wire::write_all(self.wire, piece)?;
        }
        wire::write_all(self.wire, b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    }

    // ---- another protocol ----

    /// Ends HTTP on this connection: the head leaves, and the stream is the handler's.
    pub(crate) fn end_head_for_raw(&mut self) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.close = true;
        self.put_head(|out| Ok(out.push(b"Connection: upgrade\r\n\r\n")?));
        if let Some(error) = self.error {
            return Err(error);
        }
        self.phase = Phase::Raw;
        self.flush_content()
    }

    /// Reads the stream as it is: first what has arrived with the head.
    pub(crate) fn read_raw(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let arrived = self.input.get(self.start..self.filled).unwrap_or_default();
        if arrived.is_empty() && !out.is_empty() {
            self.flush_content().map_err(|error| embedded_io::Error::kind(&error))?;
            return wire::read(self.wire, out);
        }
        let count = crate::syntax::octets::copy(arrived, out);
        self.start += count;
        Ok(count)
    }
}

/// What a read of content means: its end is never the stream's.
fn received(result: Result<usize, ErrorKind>) -> Result<usize, ReadError> {
    match result {
        Ok(0) => Err(ReadError::Refused(RequestError::Incomplete)),
        Ok(count) => Ok(count),
        Err(ErrorKind::TimedOut) => Err(ReadError::Refused(RequestError::TimedOut)),
        Err(kind) => Err(ReadError::Transport(kind)),
    }
}
