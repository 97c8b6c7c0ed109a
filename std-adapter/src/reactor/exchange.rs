//! Reads from one connection, and has answered what has arrived whole.
//!
//! ```text
//!   recv ─► Session::advance ─► (handler) ─► one send ─► what does it wait for?
//! ```

#![allow(clippy::inline_always)] // Woven into the loop, as [`serve`](super::serve) is, and for the same reason.

use super::Handler;
use super::desk::Desk;
use super::guard::Guard;
use super::kinds::Kind;
use super::message::Why;
use super::peer::Call;
use super::poller::{Readiness, Socket, read_ready};
use super::stream::Stream;
use embedded_io::ErrorKind;
use httpling_core::{CloseReason, Progress, Session};

/// Reads of one connection before others have their turn.
const ROUNDS: u32 = 8;

/// A connection's session, while this thread's buffers are lent to it.
pub(super) struct Exchange<'a, 'b, H> {
    pub(super) session: Session<'b>,
    pub(super) stream: Stream<'a, H>,
    pub(super) guard: Guard<'a, H>,
    pub(super) socket: &'a Socket,
    pub(super) readiness: &'a mut Readiness,
    pub(super) ended: &'a mut bool,
    /// Octets that arrived, and that no handler has read.
    pub(super) arrived: usize,
    /// Octets that are lent to it between two calls.
    pub(super) held: usize,
    /// Octets that fill its buffer, if that can grow.
    pub(super) full: usize,
}

/// What ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Progress(Progress),
    /// Its buffer grows before anybody takes it for too small.
    Grow,
    /// Its next request belongs on a thread of its own.
    Thread(Why),
}

impl<H: Handler> Exchange<'_, '_, H> {
    #[inline(always)]
    pub(super) fn run(&mut self, call: Call, desk: &Desk<'_, H>) -> End {
        match call {
            Call::Ready => {}
            Call::TimedOut => self.session.timed_out(&mut self.stream, &mut self.guard),
            // What has just arrived is served.
            Call::Close => self.readiness.add(Readiness::READ),
        }
        let (mut rounds, mut is_over) = (0, false);
        loop {
            if !is_over && self.takes_more() {
                if self.readiness.has(Readiness::READ) {
                    if let Err(kind) = self.read(desk) {
                        return End::Progress(Progress::Close(CloseReason::Transport(kind)));
                    }
                    if self.session.pending().len() == self.full {
                        is_over = self.is_refused(2 * self.full, desk);
                        if !is_over {
                            return End::Grow;
                        }
                    }
                }
                if let Some(why) = self.belongs_beside(desk) {
                    return End::Thread(why);
                }
            }
            let progress = self.advance();
            if is_over || progress != Progress::NeedBytes || self.stream.has_unsent() {
                return End::Progress(progress);
            }
            rounds += 1;
            let has_more = self.readiness.has(Readiness::READ);
            if *self.ended {
                self.session.end_of_stream(&mut self.stream, &mut self.guard);
            } else if has_more && rounds < ROUNDS {
                continue;
            } else if call == Call::Close && !has_more {
                self.session.close();
            } else if !self.is_refused(self.session.pending().len(), desk) {
                return End::Progress(Progress::NeedBytes);
            }
            // What it says now is the last.
            is_over = true;
        }
    }

    /// Is there no memory for so much that has not come whole? That is the end of it.
    fn is_refused(&mut self, wanted: usize, desk: &Desk<'_, H>) -> bool {
        let is_refused =
            !desk.reactor.lent.allows(self.held, wanted) && self.session.connection().is_in_head();
        if is_refused {
            self.session.overloaded(&mut self.stream, &mut self.guard);
        }
        is_refused
    }

    #[inline(always)]
    fn advance(&mut self) -> Progress {
        let progress = self.session.advance(&mut self.stream, &mut self.guard);
        if self.stream.has_read() {
            self.arrived = 0;
            if !self.stream.drained {
                // A handler that has read does not know what is left.
                self.readiness.add(Readiness::READ);
            }
        }
        progress
    }

    /// Who has something to send, or has said all, does not care for more to do.
    fn takes_more(&self) -> bool {
        let connection = self.session.connection();
        !connection.is_sending() && connection.close_reason().is_none()
    }

    /// Reads what is there, or as much of it as there is room for.
    #[inline(always)]
    fn read(&mut self, desk: &Desk<'_, H>) -> Result<(), ErrorKind> {
        let free = self.session.free_input();
        if free.is_empty() {
            // Requests that waited for room to be answered fill it. (Reading into an empty slice would look like the end.)
            return Ok(());
        }
        match read_ready(self.socket, free, self.readiness) {
            Ok(Some(0)) => *self.ended = true,
            Ok(count) => {
                let count = count.unwrap_or(0);
                self.session.received(count);
                self.arrived += count;
                desk.tally.received(count);
            }
            Err(error) => return Err(error.kind().into()),
        }
        Ok(())
    }

    /// Is there a request whose handler is going to wait, or might, when nobody could take over its loop?
    fn belongs_beside(&self, desk: &Desk<'_, H>) -> Option<Why> {
        let (kinds, scarce) = (&desk.reactor.kinds, desk.reactor.spares.are_scarce());
        if (kinds.is_empty() && !scarce) || !desk.drives() || self.guard.refuses() {
            return None;
        }
        let (connection, pending) = (self.session.connection(), self.session.pending());
        if connection.is_draining() {
            // What is dropped may look like a request, and what comes behind it is not known.
            return scarce.then_some(Why::Unknown);
        }
        // One that came in pieces is looked at when it is whole.
        if connection.is_in_head() && !connection.awaits_content() && !pending.ends_with(b"\r\n\r\n") {
            return None;
        }
        match Kind::of(pending)? {
            kind if kinds.waits(kind) => Some(Why::Waits),
            kind if scarce && !kinds.is_quick(kind) => Some(Why::Unknown),
            _ => None,
        }
    }
}
