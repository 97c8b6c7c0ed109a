//! Moves the bytes: the only file that knows where they are.

use crate::connection::{After, CloseReason, Connection, Maker, Persistence, Phase, Producing};
use crate::exchange::handler::RequestHandler;
use crate::exchange::log::LogEntry;
use crate::exchange::request::Request;
use crate::exchange::response::Response;
use crate::exchange::shared::{Asked, Count, Rest, Shared};
use crate::exchange::wire::{self, Wire};
use crate::receive::framing::Framing;
use crate::receive::head::{HeadEnd, HeadReader, Reading, RequestHead};
use crate::receive::input::Input;
use crate::send::output::Output;
use crate::syntax::config::Config;
use crate::syntax::error::{Problem, ReadError, RequestError, SendError};
use crate::syntax::error_page::ErrorWords;
use crate::syntax::status;
use crate::syntax::version::Version;
use core::cell::RefCell;
use core::net::SocketAddr;
use embedded_io::ErrorKind;

/// A connection with its buffers. It can be driven in two ways:
///
/// - **blocking**: [`handle`](Self::handle) reads and writes until the connection is to be closed;
/// - **ready**: the owner puts bytes that have arrived into [`free_input`](Self::free_input) and calls
///   [`advance`](Self::advance), which never waits for a head, nor for content that the buffer will hold. Between two calls a
///   connection may be taken apart into its [`Connection`] and the bytes that are [`pending`](Self::pending), and its
///   buffers lent to another one.
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
    input: Input<'b>,
    output: Output<'b>,
    config: &'b Config<'b>,
    peer: Option<&'b SocketAddr>,
}

/// What [`Session::advance`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes. Put them into [`free_input`](Session::free_input) and call again.
    NeedBytes,
    /// Room in the stream: content that a handler has left behind is being sent, or the answer to the next request would
    /// have to wait behind those before it. Call again when [`Wire::room`] is more than 0.
    NeedRoom,
    /// Nothing: the connection is to be closed.
    Close(CloseReason),
}

/// Who waits for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drive {
    /// The session itself.
    Blocking,
    /// Its owner: a request is handed to its handler only when nothing more can be done without.
    Ready,
}

/// What one step did, or what it needs.
enum Step {
    Again,
    /// The head of a request is complete.
    Whole,
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
        let (input, output) = (Input::new(input, filled), Output::new(output, 0));
        Self { connection, input, output, config, peer: None }
    }

    /// With the address of the other end, for the handler and the log.
    #[must_use]
    pub fn with_peer(self, peer: Option<&'b SocketAddr>) -> Self {
        Self { peer, ..self }
    }

    /// The protocol state: all that is to be kept of a connection at rest, but for what is pending.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// What arrived and belongs to the next request, or to a head that is not complete.
    pub fn pending(&self) -> &[u8] {
        self.input.arrived()
    }

    /// Where the next bytes belong. Empty only when nothing more can be taken before the next
    /// [`advance`](Self::advance).
    pub fn free_input(&mut self) -> &mut [u8] {
        self.input.make_room();
        self.input.free()
    }

    /// Counts bytes that were put into [`free_input`](Self::free_input).
    pub fn received(&mut self, count: usize) {
        self.input.fill(count);
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
            match self.step(Drive::Blocking, wire, handler) {
                Step::Answered => answered += 1,
                Step::NeedBytes => {
                    self.hand_over(wire);
                    if self.config.is_stopping() {
                        self.close();
                    }
                    if !self.connection.is_closed() {
                        self.read(wire, handler);
                    }
                }
                Step::NeedRoom | Step::Again | Step::Whole => {}
                Step::Close(reason) => {
                    self.hand_over(wire);
                    return Persistence::Close(self.connection.close_reason().unwrap_or(reason));
                }
            }
            if answered >= most && !self.connection.is_sending() {
                self.hand_over(wire);
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
    /// [`crate`] has an example.
    // Woven into a server's loop: after a system call each return costs more than what it returns from.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[allow(clippy::inline_always)]
    pub fn advance(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> Progress {
        let progress = loop {
            match self.step(Drive::Ready, wire, handler) {
                Step::Again | Step::Whole | Step::Answered => {}
                Step::NeedBytes => break Progress::NeedBytes,
                Step::NeedRoom => break Progress::NeedRoom,
                Step::Close(reason) => break Progress::Close(reason),
            }
        };
        self.hand_over(wire);
        self.connection.close_reason().map_or(progress, Progress::Close)
    }

    /// The client will send nothing more. What it has begun is refused; [`advance`](Self::advance) then tells to close.
    pub fn end_of_stream(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        if matches!(self.connection.phase, Phase::Head { reader, .. } if reader.is_whole()) {
            // It waited for content, and has the same answer as if it had not.
            self.step(Drive::Blocking, wire, handler);
        }
        match &mut self.connection.phase {
            Phase::Closed { .. } => {}
            Phase::Head { reader, .. } if reader.has_begun() => {
                self.refuse(RequestError::Incomplete, wire, handler);
            }
            // Its side of the stream ends; ours goes on, to the end of what it has asked for.
            Phase::SendingStatic { then, .. } | Phase::SendingProduced { then, .. } => *then = After::Close,
            _ => self.connection.close(CloseReason::EndOfStream),
        }
    }

    /// The client took too long: 408 if it has begun a request (RFC 9110 §15.5.9), a broken response if it does not take
    /// what is being sent, else nothing.
    #[doc(alias = "timeout")]
    pub fn timed_out(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        if self.connection.is_in_head() {
            self.refuse(RequestError::TimedOut, wire, handler);
        } else if self.connection.is_sending() {
            self.connection.close(CloseReason::Broken(SendError::Transport(ErrorKind::TimedOut)));
        } else {
            self.connection.close(CloseReason::Idle);
        }
    }

    /// There is no memory for the request that the client has begun: 503.
    pub fn overloaded(&mut self, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        if self.connection.is_in_head() {
            self.refuse(RequestError::Overloaded, wire, handler);
        }
    }

    /// The owner wants to end the connection: it is closed unless something has begun.
    pub fn close(&mut self) {
        if self.connection.is_idle() {
            self.connection.close(CloseReason::Asked);
        }
    }

    // ---- the steps ----

    fn step(&mut self, drive: Drive, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) -> Step {
        let step = match self.go_on(drive, wire, handler) {
            Ok(Step::Whole) => self.exchange(drive, wire, handler),
            step => step,
        };
        step.unwrap_or_else(|error| {
            self.refuse(error, wire, handler);
            Step::Answered
        })
    }

    /// All but the exchange itself: what comes before a whole head, and what a handler has left behind.
    ///
    /// # Errors
    /// What the client has sent is no request: it is to be refused.
    // On a board the frames of reading, exchange and refusal follow one another: woven together, each would have the stack of
    // all three. Elsewhere the calls between them cost more than the stack.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn go_on(
        &mut self,
        drive: Drive,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
    ) -> Result<Step, RequestError> {
        Ok(match &mut self.connection.phase {
            &mut Phase::Closed { reason, .. } => Step::Close(reason),
            &mut Phase::SendingStatic { rest, then, .. } => self.send_static(rest, then, drive, wire),
            &mut Phase::SendingProduced { producing, then, .. } => {
                if producing.maker == Maker::Wire {
                    self.send_taken(producing, then, drive, wire)
                } else {
                    self.send_produced(producing, then, drive, wire, handler)
                }
            }
            Phase::Draining { content, .. } => {
                let Ok(taken) = content.discard(self.input.arrived(), &self.config.limits) else {
                    // Its response has been sent. All that is left to say is the end.
                    self.connection.close(CloseReason::Finished);
                    return Ok(Step::Again);
                };
                self.input.take(taken);
                if content.is_done() {
                    self.connection.next_request();
                    return Ok(Step::Again);
                }
                self.input.make_room();
                Step::NeedBytes
            }
            Phase::Head { reader, .. } => match reader.read(self.input.arrived(), self.config)? {
                Reading::NeedMore => {
                    self.input.make_room();
                    if self.input.is_full() {
                        // Reading into an empty slice would look like the end of the stream.
                        return Err(reader.overflow());
                    }
                    Step::NeedBytes
                }
                Reading::EmptyLine(length) => {
                    self.input.take(length.into());
                    Step::Again
                }
                Reading::Whole => Step::Whole,
            },
        })
    }

    /// Is content still to come that the buffer will hold? Until it is there, its handler could only wait.
    fn awaits_content(&mut self, end: &HeadEnd) -> bool {
        let Framing::Length(length) = end.framing() else { return false };
        // A client that waits for `100 Continue` waits for the handler's first read.
        let most = self.config.limits.content_bytes_max.min(self.config.awaited_content_bytes_max.into());
        if length > most || end.expects_continue() {
            return false;
        }
        let whole = usize::try_from(length).ok().and_then(|length| length.checked_add(end.length));
        self.input.make_room();
        whole.is_some_and(|whole| whole <= self.input.capacity() && self.input.arrived().len() < whole)
            && !self.input.is_full()
    }

    /// Would a response that fits the buffer, behind those that are in it, wait for a client that takes none? Who asks again
    /// and again, and does not read, would keep its owner.
    fn awaits_room(&self, wire: &mut dyn Wire) -> bool {
        let filled = self.output.filled();
        // Without responses before it, its owner has seen to it that there is room, or wants to wait.
        filled > 0 && wire.room() < filled + self.output.capacity()
    }

    /// One request, whose head is complete, and its response; or what is to be waited for before.
    ///
    /// # Errors
    /// What keeps it from being a request: it is to be refused.
    #[cfg_attr(target_pointer_width = "32", inline(never))] // As `go_on`.
    fn exchange(
        &mut self,
        drive: Drive,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
    ) -> Result<Step, RequestError> {
        let Phase::Head { reader, requests } = &self.connection.phase else { return Ok(Step::Again) };
        let requests = requests.saturating_add(1);
        let mut head = RequestHead::new(reader.finish(self.input.arrived(), self.config)?);
        if drive == Drive::Ready && self.awaits_content(&head.end) {
            return Ok(Step::NeedBytes);
        }
        if drive == Drive::Ready && self.awaits_room(wire) {
            return Ok(Step::NeedRoom);
        }
        // Whatever happens to the handler, its request is not read again.
        self.connection.phase = Phase::Closed { reason: CloseReason::Broken(SendError::Failed), requests };

        let limits = &self.config.limits;
        let mut shared = RefCell::new(Shared::new(wire, self.config, &mut self.output));
        let known = shared.get_mut();
        let (octets, rest) = self.input.split(head.len());
        head.put_over(octets);
        known.input = rest;
        known.began = self.config.microseconds().map(Count);
        known.asked = Asked::new(&head.end, self.config);
        // RFC 9112 §9.3. Over a protocol of HTTP/1.0 nothing persists (spec 62).
        known.close = requests >= limits.requests_max
            || known.asked.announces_close
            || self.config.protocol < Version::Http11;
        if head.framing() != Framing::None {
            let allowed = handler.content_bytes_max(&head, limits.content_bytes_max);
            known.content.begin(head.framing(), allowed, limits)?;
        }
        known.asked.by(head.method());
        let result = handler.dispatch(Request::new(&head, self.peer, &shared), Response::new(&shared));
        let Ok(mut shared) = shared.try_borrow_mut() else { return Ok(Step::Answered) };
        let reason = match result {
            Ok(_) if shared.is_done() => None,
            Ok(_) => Some(answer_failure(&mut shared, SendError::Failed)),
            Err(error) => Some(answer_failure(&mut shared, error)),
        };
        log(handler, &shared, self.peer, head.raw_request_line());

        // What the exchange leaves behind.
        let ends = shared.ends();
        let then = if ends { After::Close } else { After::NextRequest };
        self.connection.phase = match (reason, shared.rest) {
            (Some(reason), _) => Phase::Closed { reason, requests },
            (None, Rest::Static(rest)) => Phase::SendingStatic { rest, then, requests },
            (None, Rest::Made(maker)) => {
                let producing = Producing { position: 0, left: shared.content_bytes.0, maker };
                Phase::SendingProduced { producing, then, requests }
            }
            _ if ends || !shared.content.is_at_most(limits.drain_bytes_max) => {
                let is_last = shared.asked.announces_close && head.framing() == Framing::None;
                let reason = if is_last { CloseReason::Announced } else { CloseReason::Finished };
                Phase::Closed { reason, requests }
            }
            _ if shared.content.is_done() => Phase::Head { reader: HeadReader::new(), requests },
            _ => {
                let mut content = shared.content;
                content.allow_at_most(u64::from(limits.drain_bytes_max));
                Phase::Draining { content, requests }
            }
        };
        let (length, used, filled) = (head.len(), shared.input.used(), shared.output.filled());
        drop(shared);
        self.input.rejoin(length, used);
        self.output.take_back(filled);
        Ok(Step::Answered)
    }

    /// Answers what is no request, and ends the connection.
    #[cold]
    #[cfg_attr(target_pointer_width = "32", inline(never))] // As `go_on`.
    fn refuse(&mut self, error: RequestError, wire: &mut dyn Wire, handler: &mut dyn RequestHandler) {
        let arrived = self.input.arrived();
        let line = match error {
            RequestError::RequestLineTooLong => b"",
            _ => arrived.split(|&octet| octet == b'\n').next().unwrap_or_default(),
        };
        let mut shared = Shared::new(wire, self.config, &mut self.output);
        shared.asked.is_head = arrived.starts_with(b"HEAD ");
        let reason = answer_failure(&mut shared, SendError::Content(ReadError::Refused(error)));
        log(handler, &shared, self.peer, line);
        let filled = shared.output.filled();
        self.output.take_back(filled);
        self.connection.close(reason);
    }

    /// Sends as much of a handler's content as there is room for. The head, or what is before it, leaves together with
    /// the first octets.
    fn send_static(
        &mut self,
        mut rest: &'static [u8],
        then: After,
        drive: Drive,
        wire: &mut dyn Wire,
    ) -> Step {
        let put = self.output.push_some(if self.output.filled() > 0 { rest } else { b"" });
        rest = rest.get(put..).unwrap_or_default();
        self.write_collected(wire);
        while !rest.is_empty() && !self.connection.is_closed() {
            let room = room(drive, wire);
            if room == 0 {
                let requests = self.connection.requests();
                self.connection.phase = Phase::SendingStatic { rest, then, requests };
                return Step::NeedRoom;
            }
            // One piece of it: how much room is left then, the stream knows.
            match wire::write(wire, rest.get(..room).unwrap_or(rest)) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(kind) => self.connection.close(CloseReason::Broken(SendError::Transport(kind))),
            }
        }
        self.after_sending(then)
    }

    /// As [`send_static`](Self::send_static), of content that the handler makes.
    fn send_produced(
        &mut self,
        mut producing: Producing,
        then: After,
        drive: Drive,
        wire: &mut dyn Wire,
        handler: &mut dyn RequestHandler,
    ) -> Step {
        while producing.left > 0 && !self.connection.is_closed() {
            let beside_head = self.output.filled() > 0;
            let room = if beside_head { usize::MAX } else { room(drive, wire) };
            if room == 0 {
                let requests = self.connection.requests();
                self.connection.phase = Phase::SendingProduced { producing, then, requests };
                return Step::NeedRoom;
            }
            let left = producing.left;
            let free = self.output.free();
            let count = free.len().min(room).min(usize::try_from(left).unwrap_or(usize::MAX));
            let out = free.get_mut(..count).unwrap_or_default();
            if count > 0
                && let Maker::Handler { key } = producing.maker
                && let Err(error) = handler.produce(key, producing.position, out)
            {
                self.output.truncate(0);
                self.connection.close(CloseReason::Broken(error));
                return Step::Again;
            }
            self.output.fill(count);
            producing.advance(count);
            self.write_collected(wire);
        }
        self.after_sending(then)
    }

    /// As [`send_static`](Self::send_static), of content that the stream has taken.
    fn send_taken(
        &mut self,
        mut producing: Producing,
        then: After,
        drive: Drive,
        wire: &mut dyn Wire,
    ) -> Step {
        self.write_collected(wire);
        while producing.left > 0 && !self.connection.is_closed() {
            let sent = match room(drive, wire) {
                0 => Ok(0),
                _ => wire.send_content(producing.position, producing.left),
            };
            match sent {
                Ok(0) if drive == Drive::Ready => {
                    let requests = self.connection.requests();
                    self.connection.phase = Phase::SendingProduced { producing, then, requests };
                    return Step::NeedRoom;
                }
                Ok(0) => {
                    let error = SendError::Transport(ErrorKind::WriteZero);
                    self.connection.close(CloseReason::Broken(error));
                }
                Ok(count) => producing.advance(count),
                Err(error) => self.connection.close(CloseReason::Broken(error)),
            }
        }
        self.after_sending(then)
    }

    fn after_sending(&mut self, then: After) -> Step {
        match then {
            _ if self.connection.is_closed() => {}
            After::NextRequest => self.connection.next_request(),
            After::Close => self.connection.close(CloseReason::Finished),
        }
        Step::Again
    }

    /// Writes what has collected.
    #[cfg_attr(target_pointer_width = "64", inline(always))] // As `advance`.
    #[allow(clippy::inline_always)]
    fn write_collected(&mut self, wire: &mut dyn Wire) {
        let result = wire::write_all(wire, self.output.as_bytes());
        self.output.truncate(0);
        if let Err(kind) = result {
            self.connection.close(CloseReason::Transport(kind));
        }
    }

    /// Before the client is waited for, here or by the owner: it gets all that was said, also what the stream holds back.
    #[cfg_attr(target_pointer_width = "64", inline(always))] // As `advance`.
    #[allow(clippy::inline_always)]
    fn hand_over(&mut self, wire: &mut dyn Wire) {
        self.write_collected(wire);
        if !matches!(self.connection.close_reason(), Some(CloseReason::Transport(_)))
            && let Err(kind) = wire.flush()
        {
            self.connection.close(CloseReason::Transport(kind));
        }
    }
}

/// How much may be written now. A session that waits for its client finds room for one octet by waiting.
fn room(drive: Drive, wire: &mut dyn Wire) -> usize {
    wire.room().max(usize::from(drive == Drive::Blocking))
}

/// Tells the handler's log of an exchange.
#[inline(never)] // What it has on the stack is not there while the handler runs.
fn log(
    handler: &mut dyn RequestHandler,
    shared: &Shared<'_>,
    peer: Option<&SocketAddr>,
    request_line: &[u8],
) {
    let entry = LogEntry {
        peer,
        request_line: request_line.trim_ascii_end(),
        status: shared.status,
        content_bytes: shared.content_bytes.0,
        duration_us: shared
            .began
            .and_then(|began| Some(shared.config.microseconds()?.saturating_sub(began.0))),
    };
    if let Rest::Problem(problem) = shared.rest {
        handler.log_error(&entry, problem);
    }
    handler.log_request(&entry);
}

/// There is no whole response: says so to the client, if it still can be told.
#[cold]
fn answer_failure(shared: &mut Shared<'_>, error: SendError) -> CloseReason {
    let reason = match error {
        SendError::Transport(kind) | SendError::Content(ReadError::Transport(kind)) => {
            CloseReason::Transport(kind)
        }
        _ if !shared.take_back() => CloseReason::Broken(error),
        _ => {
            let (mut words, mut reason) =
                (ErrorWords::of(status::INTERNAL_SERVER_ERROR), CloseReason::Finished);
            if let SendError::Content(ReadError::Refused(error)) = error {
                words = ErrorWords { problem: Problem::Request(error), ..ErrorWords::of(error.status()) };
                reason = CloseReason::Refused(error);
            }
            shared.answer_with(&words);
            match shared.error {
                None => reason,
                Some(SendError::Transport(kind)) => CloseReason::Transport(kind),
                Some(error) => CloseReason::Broken(error),
            }
        }
    };
    if matches!(reason, CloseReason::Refused(_)) {
        return reason;
    }
    if reason != CloseReason::Finished {
        shared.output.truncate(0);
    }
    shared.rest = Rest::Problem(Problem::Response(error));
    reason
}
