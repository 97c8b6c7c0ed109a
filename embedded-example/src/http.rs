//! HTTP above the sockets: one buffer each way, and 28 bytes for each connection.
//!
//! The core is driven when there is something for it, and never waits for a head: what has arrived of one stays in the
//! socket, and is shown to the core again with the bytes that come after it. So all connections share one
//! buffer for heads. A response that fits the other buffer leaves at once, because the core is
//! only called while the socket has room for it. A handler that reads content, or that writes more than fits, may wait: then
//! others are served by handlers and buffers of their own, which are on the stack, above the one that waits.

use core::cell::Cell;

use embedded_io::{ErrorKind, Read, Write};
use httpling_core::{CloseReason, Config, Connection, Limits, RequestHandler, Session, Wire};

use crate::board::RECEIVE_BYTES;
use crate::server::{Application, Progress, ROOM_BYTES};
use crate::stream::Stream;

/// The longest head, and content that is awaited before its handler is called: what a socket holds.
pub const INPUT_BYTES: usize = RECEIVE_BYTES;
/// A response of so many bytes leaves in one piece.
pub const OUTPUT_BYTES: usize = 512;

/// Without a clock there is no `Date`, and without a name no `Server`. A connection may have as many requests as it likes:
/// who waits for its socket gets it when it is idle. Error responses have no content: a page for people costs kilobytes.
static CONFIG: Config<'static> = Config {
    limits: Limits { requests_max: u16::MAX, ..Limits::DEFAULT },
    error_page: None,
    ..Config::DEFAULT
};

const _: () =
    assert!(OUTPUT_BYTES <= ROOM_BYTES, "a socket that is called again must have room for a response");
const _: () = assert!(size_of::<Connection>() <= 32, "an idle connection costs little");

/// The heads and the responses of a turn.
type Buffers<'a> = (&'a mut [u8; INPUT_BYTES], &'a mut [u8; OUTPUT_BYTES]);

/// Who makes handlers, with the buffers that all connections share.
pub struct Http<F> {
    make_handler: F,
    /// Nothing while a turn has them.
    buffers: Cell<Option<Buffers<'static>>>,
}

impl<H: RequestHandler, F: Fn() -> H> Http<F> {
    /// Serves with handlers that `make_handler` makes, one for each turn: what is to last is somewhere else.
    pub fn new(
        make_handler: F,
        input: &'static mut [u8; INPUT_BYTES],
        output: &'static mut [u8; OUTPUT_BYTES],
    ) -> Self {
        Self { make_handler, buffers: Cell::new(Some((input, output))) }
    }

    /// A turn while another one waits.
    #[inline(never)] // Its buffers are on the stack only when they are used.
    #[allow(clippy::large_stack_arrays, reason = "a board with large buffers has a large stack")]
    fn advance_above(&self, connection: &mut Connection, stream: &mut Stream<'_>) -> Progress {
        self.advance_with((&mut [0; _], &mut [0; _]), connection, stream)
    }

    #[inline(never)] // There are two callers, and room for one copy.
    fn advance_with(
        &self,
        (input, output): Buffers<'_>,
        connection: &mut Connection,
        stream: &mut Stream<'_>,
    ) -> Progress {
        let is_late = stream.is_late();
        if is_late && connection.is_sending() {
            return Progress::Abort;
        }
        if stream.room() < OUTPUT_BYTES && !is_late {
            return Progress::Sending;
        }
        let filled = stream.read_now(input);
        let has_ended = stream.has_ended();
        let mut session = Session::resume(*connection, (input, filled), output, &CONFIG);
        let wire = &mut Turn(stream);
        let handler = &mut (self.make_handler)();
        let mut progress = session.advance(wire, handler);
        if progress == httpling_core::Progress::NeedBytes && (has_ended || is_late) {
            if has_ended {
                session.end_of_stream(wire, handler);
            } else {
                session.timed_out(wire, handler);
            }
            progress = session.advance(wire, handler);
        }
        *connection = session.connection();
        // The beginning of the next request stays where it is until the rest of it is there.
        let pending = session.pending().len();
        stream.put_back(pending);
        match progress {
            httpling_core::Progress::NeedBytes if connection.is_idle() => Progress::Idle,
            httpling_core::Progress::NeedBytes if connection.is_draining() => Progress::Draining,
            httpling_core::Progress::NeedBytes => Progress::Receiving,
            httpling_core::Progress::NeedRoom if is_late => Progress::Abort,
            httpling_core::Progress::NeedRoom => Progress::Sending,
            httpling_core::Progress::Close(CloseReason::Broken(_) | CloseReason::Transport(_)) => {
                Progress::Abort
            }
            httpling_core::Progress::Close(_) => Progress::Close,
        }
    }
}

impl<H: RequestHandler, F: Fn() -> H> Application for Http<F> {
    type Connection = Connection;

    fn advance(&self, connection: &mut Connection, stream: &mut Stream<'_>) -> Progress {
        let Some((input, output)) = self.buffers.take() else {
            return self.advance_above(connection, stream);
        };
        let progress = self.advance_with((&mut *input, &mut *output), connection, stream);
        self.buffers.set(Some((input, output)));
        progress
    }
}

/// A turn's stream, which knows how much it takes without waiting.
struct Turn<'a, 'b>(&'a mut Stream<'b>);

impl Wire for Turn<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Read::read(self.0, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Write::write(self.0, bytes)
    }

    fn room(&mut self) -> usize {
        self.0.room()
    }
}
