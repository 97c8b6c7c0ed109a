//! A connection's socket as the core's wire.
//!
//! Outside of handlers nothing waits: what the socket does not take is kept, and sent when there is room. So is what a handler
//! writes, up to a buffer of it: a response that fits one takes no thread, whatever was asked before it. For more there is somebody
//! who waits, and the loop, if this thread drives it, goes to another thread first.

use super::Handler;
use super::desk::Desk;
use super::poller::{Follows, Readiness, Socket, read_now, send_file, wait_for, write_now};
use super::rates::{LOOK, UNTOLD};
use super::serve::OUTPUT_BYTES;
use crate::file_part::FilePart;
use crate::metrics::Event;
use embedded_io::ErrorKind;
use httpling_core::{SendError, Wire};
use std::any::Any;
use std::io;
use std::time::{Duration, Instant};

/// Octets that are offered to the socket at once: what is deferred, or what many requests in a row have as their answer. With
/// less room than for another response behind a whole buffer of them, each request would be answered by itself.
const PIECE: usize = 2 * OUTPUT_BYTES;
/// Octets of deferred content that a connection may send before others have their turn.
const TURN: usize = 1024 * 1024;

pub(super) struct Stream<'a, H> {
    socket: &'a Socket,
    unsent: &'a mut Vec<u8>,
    file: &'a mut Option<Box<FilePart>>,
    desk: &'a Desk<'a, H>,
    /// The socket took less than it was offered.
    pub(super) full: bool,
    /// No byte is left in the socket, as far as is known.
    pub(super) drained: bool,
    pub(super) sent: usize,
    received: usize,
    /// When its handler waited for content for the first time.
    empty_since: Option<Instant>,
    /// When its handler waited for room for the first time, and what was sent by then.
    full_since: Option<(Instant, usize)>,
    /// Since when no more than that was sent although its handler waited for room.
    stuck_since: Option<(Instant, usize)>,
}

impl<'a, H: Handler> Stream<'a, H> {
    pub(super) fn new(
        socket: &'a Socket,
        unsent: &'a mut Vec<u8>,
        file: &'a mut Option<Box<FilePart>>,
        desk: &'a Desk<'a, H>,
    ) -> Self {
        Self {
            socket,
            unsent,
            file,
            desk,
            full: false,
            drained: false,
            sent: 0,
            received: 0,
            empty_since: None,
            full_since: None,
            stuck_since: None,
        }
    }

    /// Is something left that was said and not sent?
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Did a handler read?
    pub(super) fn has_read(&self) -> bool {
        self.received > 0
    }

    /// Sends what is left. True when nothing is left any more.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn send_unsent(&mut self) -> io::Result<bool> {
        let mut gone = 0;
        while let Some(rest) = self.unsent.get(gone..).filter(|rest| !rest.is_empty()) {
            match self.write_now(rest)? {
                Some(count) => gone += count,
                None => break,
            }
        }
        self.took(gone);
        self.full = gone < self.unsent.len();
        if self.full {
            self.unsent.drain(..gone);
        } else {
            *self.unsent = Vec::new();
        }
        Ok(!self.full)
    }

    /// The socket took so much.
    fn took(&mut self, count: usize) {
        self.sent += count;
        self.desk.tally.sent(count);
    }

    fn write_now(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        // What is written while there is a file is before it.
        let follows = if self.file.is_some() { Follows::Content } else { Follows::Unknown };
        write_now(self.socket, bytes, follows)
    }

    /// Waits, in a handler, for more content.
    fn wait_for_content(&mut self) -> Result<(), ErrorKind> {
        let elapsed = self.empty_since.get_or_insert_with(Instant::now).elapsed();
        let rates = self.desk.rates();
        let patience = rates.content_patience(self.received, elapsed);
        let Some(patience) = patience.filter(|patience| !patience.is_zero()) else {
            return Err(self.timed_out(Event::ContentTimeOut));
        };
        if rates.makes_place(self.received as u64, elapsed) && self.desk.wants_place() {
            return Err(ErrorKind::OutOfMemory);
        }
        self.wait(Readiness::READ, patience.min(LOOK))
    }

    /// Waits, in a handler, until its client takes more. The system tells of room only when a good part of the socket's buffer is
    /// free: whether the client has taken anything at all is found out by trying, after each wait.
    fn wait_for_room(&mut self) -> Result<(), ErrorKind> {
        let (since, sent) = *self.full_since.get_or_insert_with(|| (Instant::now(), self.sent));
        let (elapsed, taken) = (since.elapsed(), (self.sent - sent) as u64);
        let stuck_since = match self.stuck_since {
            Some((since, sent)) if sent == self.sent => since,
            _ => Instant::now(),
        };
        self.stuck_since = Some((stuck_since, self.sent));
        let rates = self.desk.rates();
        let patience =
            rates.write_patience(taken, elapsed).and_then(|all| all.checked_sub(stuck_since.elapsed()));
        let Some(patience) = patience.filter(|patience| !patience.is_zero()) else {
            return Err(self.timed_out(Event::WriteTimeOut));
        };
        if rates.makes_place(taken.saturating_add(UNTOLD), elapsed) && self.desk.wants_place() {
            return Err(ErrorKind::OutOfMemory);
        }
        self.wait(Readiness::WRITE, patience.min(LOOK))
    }

    /// Waits, in a handler, until the socket is ready, or `patience` is over.
    fn wait(&self, what: Readiness, patience: Duration) -> Result<(), ErrorKind> {
        if !self.desk.may_wait() {
            return Err(ErrorKind::OutOfMemory);
        }
        wait_for(self.socket, what, patience).map_err(|error| error.kind().into())
    }

    fn timed_out(&self, event: Event) -> ErrorKind {
        self.desk.reactor.counters.count(event);
        ErrorKind::TimedOut
    }
}

impl<H: Handler> Wire for Stream<'_, H> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            match read_now(self.socket, buffer) {
                Ok(Some(count)) => {
                    self.drained = count < buffer.len() && count > 0;
                    self.received += count;
                    self.desk.tally.received(count);
                    return Ok(count);
                }
                Ok(None) => self.wait_for_content()?,
                Err(error) => return Err(error.kind().into()),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        loop {
            let result = if self.unsent.is_empty() {
                self.write_now(bytes)
            } else {
                // Order is kept: what was said before leaves before.
                self.send_unsent().and_then(|sent| if sent { self.write_now(bytes) } else { Ok(None) })
            };
            match result {
                Ok(Some(count)) => {
                    self.full = count < bytes.len();
                    self.took(count);
                    return Ok(count);
                }
                Ok(None) if !self.desk.in_handler() || self.unsent.len() + bytes.len() <= OUTPUT_BYTES => {
                    self.full = true;
                    self.unsent.extend_from_slice(bytes);
                    return Ok(bytes.len());
                }
                Ok(None) => self.wait_for_room()?,
                Err(error) => return Err(error.kind().into()),
            }
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        // Outside of handlers it leaves as room comes.
        while self.has_unsent() && self.desk.in_handler() {
            if !self.send_unsent().map_err(|error| error.kind())? {
                self.wait_for_room()?;
            }
        }
        Ok(())
    }

    fn room(&mut self) -> usize {
        if self.full || self.has_unsent() || self.sent >= TURN {
            0
        } else if self.desk.looks_at_each() {
            // No room for a further answer behind another one, so that requests come one by one.
            OUTPUT_BYTES
        } else {
            PIECE
        }
    }

    fn take_content(&mut self, content: &mut dyn Any) -> bool {
        let Some(part) = content.downcast_mut::<Option<FilePart>>() else { return false };
        *self.file = part.take().map(Box::new);
        true
    }

    fn send_content(&mut self, position: u64, left: u64) -> Result<usize, SendError> {
        let Some(part) = self.file else { return Err(SendError::Failed) };
        let sent = send_file(self.socket, part, position, left);
        match sent {
            Err(SendError::LengthMismatch) => {
                self.desk.reactor.complain("A file became shorter while it was sent");
            }
            Err(SendError::Failed) => {
                self.desk.reactor.complain("A file could not be read while it was sent");
            }
            _ => {}
        }
        let Some(count) = sent? else {
            self.full = true;
            return Ok(0);
        };
        self.took(count);
        if count as u64 == left {
            *self.file = None;
        }
        Ok(count)
    }
}
