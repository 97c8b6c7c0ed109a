//! A socket as a stream: what an application reads from and writes to.
//!
//! Bytes are *peeked*: they stay in the socket until it is known that they belong to this request. What follows them, the
//! next request of the same client, may not be kept anywhere else, because one buffer serves all connections.
//!
//! [`Read`] and [`Write`] wait when they must, until the deadline. The network goes on meanwhile.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use smoltcp::socket::tcp::State;

use crate::board::{self, Moment};
use crate::server::Network;

/// One connection, for as long as an application has its turn.
pub struct Stream<'a> {
    network: &'a mut Network,
    index: usize,
    began: Moment,
    /// How long the turn may take from then on. Nothing for who is late.
    patience_ms: u32,
    /// Bytes that were read, and still are in the socket.
    taken: usize,
    moved: Moved,
}

/// How many bytes a turn has moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    pub(crate) received: usize,
    pub(crate) sent: usize,
}

impl Moved {
    pub(crate) fn is_nothing(self) -> bool {
        self.received == 0 && self.sent == 0
    }
}

impl<'a> Stream<'a> {
    /// How long an application may wait for its client in one turn, when nothing moves.
    const PATIENCE_MS: u32 = 10_000;
    /// What a byte, either way, adds to that: whoever keeps up 500 bytes a second may go on.
    const PATIENCE_PER_BYTE_MS: u32 = 2;
    /// How long it may wait when others wait too, for their turn.
    const PATIENCE_WHEN_PRESSED_MS: u32 = 500;
    /// So many bytes add a millisecond to that: drops of content do not buy time from those who wait.
    const BYTES_PER_MS_WHEN_PRESSED: usize = 64;
    /// However fast it is.
    const PATIENCE_WHEN_PRESSED_MAX_MS: u32 = 2_000;

    /// The time that so many bytes earn.
    pub(crate) fn earned_ms(bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(Self::PATIENCE_PER_BYTE_MS)
    }

    /// A turn that begins now. Who is late has no time left.
    pub(crate) fn new(network: &'a mut Network, index: usize, is_late: bool) -> Self {
        Self {
            network,
            index,
            began: Moment::now(),
            patience_ms: if is_late { 0 } else { Self::PATIENCE_MS },
            taken: 0,
            moved: Moved::default(),
        }
    }

    /// Reads the bytes that are there, without waiting for any.
    pub fn read_now(&mut self, buffer: &mut [u8]) -> usize {
        // Whoever reads on has found a use for everything before.
        self.consume(self.taken);
        let peeked = self.network.socket(self.index).and_then(|socket| socket.peek_slice(buffer).ok());
        self.taken = peeked.unwrap_or(0);
        self.taken
    }

    /// Takes the oldest bytes out of the socket.
    fn consume(&mut self, mut length: usize) {
        let Some(socket) = self.network.socket(self.index) else { return };
        while length > 0 {
            // The socket keeps bytes in a ring, and hands them out up to its end: at most two times.
            let taken = socket.recv(|bytes| {
                let taken = bytes.len().min(length);
                (taken, taken)
            });
            let Ok(taken @ 1..) = taken else { return };
            length -= taken;
            self.moved.received += taken;
        }
    }

    /// Gives back the last bytes that were read: they are the beginning of what comes next.
    pub fn put_back(&mut self, length: usize) {
        self.taken = self.taken.saturating_sub(length);
    }

    /// Has the client sent its last byte? It may still be in the socket.
    pub fn has_ended(&mut self) -> bool {
        let state = self.network.socket(self.index).map_or(State::Closed, |socket| socket.state());
        !matches!(state, State::SynReceived | State::Established)
    }

    /// Has this connection used up its time?
    pub fn is_late(&self) -> bool {
        self.began.elapsed_ms() >= self.patience_ms
    }

    /// How many bytes can be written without waiting.
    pub fn room(&mut self) -> usize {
        self.network.socket(self.index).map_or(0, |socket| socket.send_capacity() - socket.send_queue())
    }

    /// Ends the turn.
    pub(crate) fn close(mut self) -> Moved {
        self.consume(self.taken);
        self.moved
    }

    /// Lets the network go on until something happens, or the time is up.
    fn wait(&mut self) -> Result<(), ErrorKind> {
        let is_overdue = self.began.elapsed_ms() >= self.patience_when_pressed_ms();
        if self.is_late() || is_overdue && self.network.is_pressed(self.index) {
            return Err(ErrorKind::TimedOut);
        }
        if !self.network.poll() {
            board::sleep();
        }
        if self.network.is_serving(self.index) { Ok(()) } else { Err(ErrorKind::ConnectionReset) }
    }

    fn patience_when_pressed_ms(&self) -> u32 {
        let moved = (self.moved.received + self.moved.sent) / Self::BYTES_PER_MS_WHEN_PRESSED;
        let earned_ms = u32::try_from(moved).unwrap_or(u32::MAX);
        Self::PATIENCE_WHEN_PRESSED_MS.saturating_add(earned_ms).min(Self::PATIENCE_WHEN_PRESSED_MAX_MS)
    }

    /// What has moved earns time; to be late is not made good any more.
    fn extend_deadline(&mut self, bytes: usize) {
        if self.patience_ms > 0 {
            self.patience_ms = self.patience_ms.saturating_add(Self::earned_ms(bytes));
        }
    }
}

impl ErrorType for Stream<'_> {
    type Error = ErrorKind;
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let length = self.read_now(buffer);
            if length > 0 {
                self.extend_deadline(length);
                return Ok(length);
            }
            if self.has_ended() {
                return Ok(0);
            }
            self.wait()?;
        }
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            let socket = self.network.socket(self.index).ok_or(ErrorKind::NotConnected)?;
            let length = socket.send_slice(bytes).map_err(|_| ErrorKind::BrokenPipe)?;
            if length > 0 {
                self.moved.sent += length;
                self.extend_deadline(length);
                return Ok(length);
            }
            self.wait()?;
        }
    }

    /// Nothing is kept back: what was written leaves when the turn ends, or when the next write waits.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
