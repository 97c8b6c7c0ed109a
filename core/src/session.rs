//! Moves the bytes: the only file that knows where they are.
//!
//! A [`Session`] is a connection with its buffers. It can be driven in two ways:
//!
//! - **blocking**: [`handle`](Session::handle) reads and writes until the connection is to be closed;
//! - **ready**: the owner puts bytes that have arrived into [`free_input`](Session::free_input) and calls
//!   [`advance`](Session::advance), which never waits for a head. Between two calls a connection may be taken apart into its
//!   [`Connection`] and the bytes that are [`pending`](Session::pending), and its buffers lent to another one.

use crate::connection::{After, CloseReason, Connection, Persistence, Phase, Producing, Sending, Source};
use crate::exchange::error_page::Message;
use crate::exchange::handler::RequestHandler;
use crate::exchange::log::LogEntry;
use crate::exchange::request::Request;
use crate::exchange::response::Response;
use crate::exchange::shared::{Asked, Deferred, Shared};
use crate::exchange::wire::{self, Wire};
use crate::receive::content::Content;
use crate::receive::framing::Framing;
use crate::receive::head::{HeadEnd, Reading, RequestHead};
use crate::send::output::Output;
use crate::syntax::config::Config;
use crate::syntax::error::{ReadError, RequestError, SendError};
use crate::syntax::octets;
use crate::syntax::status::{self, Status};
use core::cell::RefCell;
use core::net::SocketAddr;
use embedded_io::ErrorKind;

/// A connection with its buffers: see the [module's documentation](self).
///
/// ```
/// # use httpling_core::{Config, Request, RequestHandler, Response, SendError, Sent, Session, status};
/// # use httpling_core::testing::ScriptedStream;
/// struct Hello;
///
/// impl RequestHandler for Hello {
///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
///         response.send_response(status::OK).end_with(b"Hello there")
///     }
/// }
///
/// let mut stream = ScriptedStream::<1024>::new(&[b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]);
/// let (mut input, mut output) = ([0; 1024], [0; 512]);
/// Session::new(&mut input, &mut output, &Config::DEFAULT).handle(&mut stream, &mut Hello);
/// let expected = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\nHello there";
/// assert_eq!(stream.written(), expected);
/// ```
#[derive(Debug)]
pub struct Session<'b> {
    connection: Connection,
    input: &'b mut [u8],
    /// What arrived and is not taken yet is from here …
    start: usize,
    /// … to here.
    filled: usize,
    output: Output<'b>,
    config: &'b Config<'b>,
    peer: Option<SocketAddr>,
}

/// What [`Session::advance`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes. Put them into [`free_input`](Session::free_input) and call again.
    NeedBytes,
    /// Room in the stream: content that a handler has left behind is being sent. Call again when
    /// [`Wire::room`] is more than 0.
    NeedRoom,
    /// Nothing: the connection is to be closed.
    Close(CloseReason),
}

/// What one step did, or what it needs.
enum Step {
    Again,
    Answered,
    NeedBytes,
    NeedRoom,
    Close(CloseReason),
}

impl<'b> Session<'b> {
    /// A new connection. The head of a request, or as much of it as its limits allow, must fit `input`; a response
    /// that fits `output` leaves in one piece.
    pub fn new(input: &'b mut [u8], output: &'b mut [u8], config: &'b Config<'b>) -> Self {
        Self::resume(Connection::new(), (input, 0), output, config)
    }

    /// A connection that goes on, with the buffers of this moment. The first octets of the input buffer, as many as the
    /// number beside it, are those that were [`pending`](Self::pending), or those and more.
    pub fn resume(
        connection: Connection,
        input: (&'b mut [u8], usize),
        output: &'b mut [u8],
        config: &'b Config<'b>,
    ) -> Self {
        let (input, filled) = input;
        let filled = filled.min(input.len());
        Self { connection, input, start: 0, filled, output: Output::new(output, 0), config, peer: None }
    }

    /// With the address of the other end, for the handler and the log.
    #[must_use]
    pub fn with_peer(self, peer: Option<SocketAddr>) -> Self {
        Self { peer, ..self }
    }

    /// The protocol state: all that is to be kept of a connection at rest, but for what is pending.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// What arrived and belongs to the next request, or to a head that is not complete.
    pub fn pending(&self) -> &[u8] {
        self.input.get(self.start..self.filled).unwrap_or_default()
    }

    /// Where the next bytes belong. Empty only when nothing more can be taken before the next
    /// [`advance`](Self::advance).
    pub fn free_input(&mut self) -> &mut [u8] {
        self.make_room();
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts bytes that were put into [`free_input`](Self::free_input).
    pub fn received(&mut self, count: usize) {
        self.filled = self.input.len().min(self.filled + count);
    }

    // ---- blocking ----

    /// Serves requests until the connection is to be closed: Python's `handle()`. The reason tells how to close it.
    pub fn handle(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> CloseReason {
        loop {
            if let Persistence::Close(reason) = self.handle_requests(wire, handler, u16::MAX) {
                handler.finish();
                return reason;
            }
        }
    }

    /// Serves one request.
    pub fn handle_one_request(
        &mut self,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
    ) -> Persistence {
        self.handle_requests(wire, handler, 1)
    }

    fn handle_requests(
        &mut self,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
        most: u16,
    ) -> Persistence {
        let mut answered = 0;
        loop {
            match self.step(wire, handler) {
                Step::Answered => answered += 1,
                Step::NeedBytes => {
                    self.flush(wire);
                    if self.config.is_stopping() {
                        self.close();
                    }
                    if self.connection.close_reason().is_none() {
                        self.read(wire, handler);
                    }
                }
                // A stream without room takes bytes all the same, and waits.
                Step::NeedRoom => self.send_one_octet(wire, handler),
                Step::Again => {}
                Step::Close(reason) => {
                    self.flush(wire);
                    return Persistence::Close(self.connection.close_reason().unwrap_or(reason));
                }
            }
            if answered >= most && !self.connection.is_sending() {
                self.flush(wire);
                return self.connection.close_reason().map_or(Persistence::KeepAlive, Persistence::Close);
            }
        }
    }

    /// Waits for bytes.
    fn read(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        match wire::read(wire, self.free_input()) {
            Ok(0) => self.end_of_stream(wire, handler),
            Ok(count) => self.received(count),
            Err(ErrorKind::TimedOut) => self.timed_out(wire, handler),
            Err(kind) => self.connection.close(CloseReason::Transport(kind)),
        }
    }

    // ---- ready ----

    /// Does all that can be done with the bytes that have arrived: handles every request whose head is complete, and
    /// writes what they answer in one piece. Waits only where a handler does: for content that has not arrived, and for
    /// a client that does not take what the buffers do not hold.
    pub fn advance(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> Progress {
        let progress = loop {
            match self.step(wire, handler) {
                Step::Again | Step::Answered => {}
                Step::NeedBytes => break Progress::NeedBytes,
                Step::NeedRoom => break Progress::NeedRoom,
                Step::Close(reason) => break Progress::Close(reason),
            }
        };
        self.flush(wire);
        self.connection.close_reason().map_or(progress, Progress::Close)
    }

    /// The client will send nothing more. What it has begun is refused; [`advance`](Self::advance) then tells to close.
    pub fn end_of_stream(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        if self.connection.is_in_head() {
            self.refuse(RequestError::Incomplete, wire, handler);
        } else {
            self.connection.close(CloseReason::EndOfStream);
        }
    }

    /// The client took too long: 408 if it has begun a request, else nothing (RFC 9110 §15.5.9).
    #[doc(alias = "timeout")]
    pub fn timed_out(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        if self.connection.is_in_head() {
            self.refuse(RequestError::TimedOut, wire, handler);
        } else {
            self.connection.close(CloseReason::Idle);
        }
    }

    /// The owner wants to end the connection: it is closed unless something has begun.
    pub fn close(&mut self) {
        if self.connection.is_idle() {
            self.connection.close(CloseReason::Asked);
        }
    }

    // ---- the steps ----

    fn step(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> Step {
        match self.connection.phase {
            Phase::Closed(reason) => Step::Close(reason),
            Phase::Sending(sending) => self.send(sending, wire, handler),
            Phase::Draining(mut content) => {
                let arrived = self.input.get(self.start..self.filled).unwrap_or_default();
                let Ok(taken) = content.discard(arrived, &self.config.limits) else {
                    // Its response has been sent. All that is left to say is the end.
                    self.connection.close(CloseReason::Finished);
                    return Step::Again;
                };
                self.start += taken;
                if content.is_done() {
                    self.connection.next_request();
                    return Step::Again;
                }
                self.connection.phase = Phase::Draining(content);
                self.make_room();
                Step::NeedBytes
            }
            Phase::Head(mut reader) => {
                let arrived = self.input.get(self.start..self.filled).unwrap_or_default();
                let reading = reader.read(arrived, self.config);
                self.connection.phase = Phase::Head(reader);
                match reading {
                    Ok(Reading::NeedMore) => {
                        self.make_room();
                        if self.filled < self.input.len() {
                            return Step::NeedBytes;
                        }
                        // Reading into an empty slice would look like the end of the stream.
                        self.refuse(reader.overflow(), wire, handler);
                        Step::Again
                    }
                    Ok(Reading::EmptyLine(length)) => {
                        self.start += length;
                        Step::Again
                    }
                    Ok(Reading::Whole(end)) => {
                        self.exchange(end, wire, handler);
                        Step::Answered
                    }
                    Err(error) => {
                        self.refuse(error, wire, handler);
                        Step::Again
                    }
                }
            }
        }
    }

    /// Makes room behind what is pending.
    fn make_room(&mut self) {
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
        } else if self.filled == self.input.len() && self.start > 0 {
            octets::move_down(self.input, self.start, 0);
            (self.start, self.filled) = (0, self.filled - self.start);
        }
    }

    /// One request, whose head is complete, and its response.
    fn exchange(&mut self, end: HeadEnd, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        let limits = &self.config.limits;
        let began = microseconds(self.config);
        self.connection.requests = self.connection.requests.saturating_add(1);
        // Whatever happens to the handler, its request is not read again.
        self.connection.close(CloseReason::Broken(SendError::Failed));
        let last = self.connection.requests >= limits.requests_max;

        let arrived = self.filled.saturating_sub(self.start + end.length);
        let from_head = self.input.get_mut(self.start..).unwrap_or_default();
        let (head, rest) = from_head.split_at_mut_checked(end.length).unwrap_or_default();
        let parsed = RequestHead::view(head, end).and_then(|head| {
            let allowed = match end.framing {
                Framing::None => 0,
                _ => handler.content_bytes_max(&head, limits.content_bytes_max),
            };
            Ok((head, Content::new(end.framing, allowed, limits)?))
        });
        let (head, content) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.refuse(error, wire, handler),
        };
        let line = head.raw_request_line();

        let asked = Asked::new(head.method(), &end, last, self.config);
        let shared =
            RefCell::new(Shared::new(wire, self.config, asked, content, (rest, arrived), self.output.lend()));
        let result = handler.dispatch(Request::new(head, self.peer, &shared), Response::new(&shared));
        let Ok(mut shared) = shared.try_borrow_mut() else { return };
        let failure = result.err().or(if shared.is_done() { None } else { Some(SendError::Failed) });
        let reason = failure.map(|error| answer_failure(&mut shared, error));

        // What the exchange leaves behind.
        let content = shared.content;
        let deferred = shared.deferred;
        let ends = shared.close || shared.read_failed();
        let (status, content_bytes, message) = (shared.status, shared.content_bytes, shared.message);
        let (taken, arrived, output_filled) = (shared.start, shared.filled, shared.output.filled());
        drop(shared);
        self.output.truncate(0);
        self.output.fill(output_filled);

        let entry = LogEntry {
            peer: self.peer,
            request_line: line.trim_ascii_end(),
            status,
            content_bytes,
            duration_us: began.zip(microseconds(self.config)).map(|(began, now)| now.saturating_sub(began)),
        };
        if let Some(message) = failure.map(SendError::message).or(message) {
            handler.log_error(&entry, message);
        }
        handler.log_request(&entry);

        let rest_at = self.start + end.length;
        (self.start, self.filled) = (rest_at + taken, rest_at + arrived);
        self.connection.phase = match (reason, deferred) {
            (Some(reason), _) => Phase::Closed(reason),
            (None, Deferred::Static(rest)) => {
                Phase::Sending(Sending { source: Source::Static(rest), then: After::new(ends) })
            }
            (None, Deferred::Producer { key, length }) => {
                let source = Source::Producer(Producing { position: 0, left: length, key });
                Phase::Sending(Sending { source, then: After::new(ends) })
            }
            (None, Deferred::Nothing) if ends || !content.is_at_most(limits.drain_bytes_max) => {
                Phase::Closed(CloseReason::Finished)
            }
            (None, Deferred::Nothing) => {
                let mut content = content;
                content.allow_at_most(u64::from(limits.drain_bytes_max));
                Phase::Draining(content)
            }
        };
    }

    /// Answers what is no request, and ends the connection.
    fn refuse(&mut self, error: RequestError, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        let arrived = self.input.get(self.start..self.filled).unwrap_or_default();
        let line = match error {
            RequestError::RequestLineTooLong => b"",
            _ => arrived.split(|&octet| octet == b'\n').next().unwrap_or_default(),
        };
        let asked = Asked::refused(arrived.starts_with(b"HEAD "), self.config);
        let Ok(content) = Content::new(Framing::None, 0, &self.config.limits) else { return };
        let mut shared = Shared::new(wire, self.config, asked, content, (&mut [], 0), self.output.lend());
        let reason = answer_refusal(&mut shared, error);
        let (status, content_bytes, output_filled) =
            (shared.status, shared.content_bytes, shared.output.filled());
        self.output.truncate(0);
        self.output.fill(output_filled);

        let request_line = line.trim_ascii_end();
        let entry = LogEntry { peer: self.peer, request_line, status, content_bytes, duration_us: None };
        handler.log_error(&entry, error.message());
        handler.log_request(&entry);
        self.connection.close(reason);
    }

    /// Sends as much of a handler's content as there is room for.
    fn send(&mut self, sending: Sending, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> Step {
        let mut source = sending.source;
        // The head, or what is before it, leaves together with the first octets of the content.
        let mut room = if self.output.filled() > 0 { self.output.room() } else { wire.room() };
        while !source.is_empty() {
            if room == 0 && self.output.filled() == 0 {
                self.connection.phase = Phase::Sending(Sending { source, ..sending });
                return Step::NeedRoom;
            }
            if let Err(error) = self.put_from(&mut source, room, wire, handler) {
                self.connection.close(CloseReason::Broken(error));
                return Step::Again;
            }
            room = wire.room();
        }
        match sending.then {
            After::NextRequest => self.connection.next_request(),
            After::Close => self.connection.close(CloseReason::Finished),
        }
        Step::Again
    }

    /// Sends at most `room` octets of `source`, behind what is in the buffer.
    fn put_from(
        &mut self,
        source: &mut Source,
        room: usize,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
    ) -> Result<(), SendError> {
        match source {
            Source::Static(rest) if self.output.filled() == 0 => {
                // One piece of it: how much room is left then, the stream knows.
                let now = rest.get(..room).unwrap_or(*rest);
                let count = wire::write(wire, now).map_err(SendError::Transport)?;
                *rest = rest.get(count..).unwrap_or_default();
                return Ok(());
            }
            Source::Static(rest) => {
                let put = self.output.push_some(rest);
                *rest = rest.get(put..).unwrap_or_default();
            }
            Source::Producer(producing) => {
                let left = producing.left;
                let free = self.output.free();
                let count = free.len().min(room).min(usize::try_from(left).unwrap_or(usize::MAX));
                let out = free.get_mut(..count).unwrap_or_default();
                if count > 0 {
                    handler.produce(producing.key, producing.position, out)?;
                }
                self.output.fill(count);
                producing.left = left - count as u64;
                producing.position += count as u64;
            }
        }
        let result = wire::write_all(wire, self.output.as_bytes());
        self.output.truncate(0);
        result.map_err(SendError::Transport)
    }

    /// For a stream that says it has no room although its owner waits: offers it the smallest piece.
    fn send_one_octet(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        let Phase::Sending(mut sending) = self.connection.phase else { return };
        match self.put_from(&mut sending.source, 1, wire, handler) {
            Ok(()) => self.connection.phase = Phase::Sending(sending),
            Err(error) => self.connection.close(CloseReason::Broken(error)),
        }
    }

    /// Writes what has collected.
    fn flush(&mut self, wire: &mut dyn Wire) {
        if self.output.filled() == 0 {
            return;
        }
        let result = wire::write_all(wire, self.output.as_bytes()).and_then(|()| wire.flush());
        self.output.truncate(0);
        if let Err(kind) = result {
            self.connection.close(CloseReason::Transport(kind));
        }
    }
}

impl Source {
    fn is_empty(&self) -> bool {
        match self {
            Self::Static(rest) => rest.is_empty(),
            Self::Producer(producing) => producing.left == 0,
        }
    }
}

impl After {
    fn new(ends: bool) -> Self {
        if ends { Self::Close } else { Self::NextRequest }
    }
}

fn microseconds(config: &Config<'_>) -> Option<u64> {
    config.clock.and_then(super::syntax::config::Clock::microseconds)
}

/// The handler sent no whole response: says so to the client, if it still can be told.
fn answer_failure(shared: &mut Shared<'_>, error: SendError) -> CloseReason {
    match error {
        SendError::Transport(kind) | SendError::Content(ReadError::Transport(kind)) => {
            shared.output.truncate(0);
            CloseReason::Transport(kind)
        }
        _ if !shared.take_back() => {
            shared.output.truncate(0);
            CloseReason::Broken(error)
        }
        SendError::Content(ReadError::Refused(error)) => answer_refusal(shared, error),
        _ => answer_with(shared, status::INTERNAL_SERVER_ERROR, None, CloseReason::Finished),
    }
}

/// The request cannot be served: says why.
fn answer_refusal(shared: &mut Shared<'_>, error: RequestError) -> CloseReason {
    let message = Message::Text(error.message());
    answer_with(shared, error.status(), Some(message), CloseReason::Refused(error))
}

/// Sends the error page, or, if the buffer does not hold its head, the shortest answer there is.
fn answer_with(
    shared: &mut Shared<'_>,
    status: Status,
    message: Option<Message<'static>>,
    reason: CloseReason,
) -> CloseReason {
    if shared.error_page(status, message, None, &mut |_| ()).is_ok() {
        return reason;
    }
    if !shared.take_back() {
        return CloseReason::Finished;
    }
    match shared.bare_error(status) {
        Ok(()) => reason,
        Err(kind) => CloseReason::Transport(kind),
    }
}
