//! A socket as a stream: what an application reads from and writes to.
//!
//! Bytes are *peeked*: they stay in the socket until it is known that they belong to this request. What follows them, the
//! next request of the same client, may not be kept anywhere else, because one buffer serves all connections.
//!
//! [`Read`] and [`Write`] wait when they must, until the deadline. The network goes on meanwhile, and others have their turns.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use smoltcp::socket::tcp::State;

use crate::board::{self, Moment};
use crate::server::{Network, Phase, Turns};

/// One connection, for as long as an application has its turn.
pub struct Stream<'a> {
    network: &'a mut Network,
    turns: &'a dyn Turns,
    index: usize,
    began: Moment,
    /// How long the turn may take from then on. Nothing for who is late.
    patience_ms: u32,
    /// Bytes that were read, and still are in the socket.
    taken: usize,
    moved: Moved,
    /// What the network said when it began: what has come to it since, turns above have spent well.
    well_spent_ms: u32,
}

/// How many bytes a turn has moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    pub(crate) received: usize,
    pub(crate) sent: usize,
}

impl Moved {
    pub(crate) fn is_nothing(self) -> bool {
        self.bytes() == 0
    }

    fn bytes(self) -> usize {
        self.received + self.sent
    }
}

impl<'a> Stream<'a> {
    /// How long an application may wait for its client in one turn, when nothing moves.
    const PATIENCE_MS: u32 = 10_000;
    /// What a byte, either way, adds to that: whoever keeps up 500 bytes a second may go on.
    const PATIENCE_PER_BYTE_MS: u32 = 2;
    /// So many bytes add a millisecond to what a turn may take when somebody waits for its end: drops of content do not buy time
    /// from those who wait.
    const BYTES_PER_MS_WHEN_PRESSED: usize = 32;

    /// The time that so many bytes earn.
    pub(crate) fn earned_ms(bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(Self::PATIENCE_PER_BYTE_MS)
    }

    /// A turn that begins now. Who is late has no time left.
    pub(crate) fn new(network: &'a mut Network, turns: &'a dyn Turns, index: usize, is_late: bool) -> Self {
        Self {
            well_spent_ms: network.well_spent_ms,
            network,
            turns,
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
        let taken_ms = self.began.elapsed_ms();
        if taken_ms <= self.earned_when_pressed_ms() {
            self.network.well_spent_ms = self.well_spent_ms.wrapping_add(taken_ms);
        }
        self.moved
    }

    /// Lets the network go on, and the others have their turns, until something happens, or the time is up.
    fn wait(&mut self, phase: Phase) -> Result<(), ErrorKind> {
        if self.is_late() || self.has_to_yield() {
            return Err(ErrorKind::TimedOut);
        }
        self.network.suspend(self.index, phase);
        let changed = self.network.poll();
        let below = Moment::now();
        let gave = self.turns.give(self.network);
        // Who is below others is not late for what they took.
        self.extend_patience(below.elapsed_ms());
        if !changed && !gave {
            board::sleep();
        }
        Ok(())
    }

    /// Has it had its turn for long enough, as somebody waits for the end of it?
    fn has_to_yield(&self) -> bool {
        let taken_ms = self.began.elapsed_ms();
        let Some(patience) = self.network.patience(self.index) else { return false };
        let earned_ms = self.earned_when_pressed_ms();
        taken_ms >= patience.least_ms.saturating_add(earned_ms).min(patience.most_ms)
    }

    /// The time that it may take besides, when somebody waits for its end: for what it has moved, and for turns above that moved
    /// something.
    fn earned_when_pressed_ms(&self) -> u32 {
        let moved = self.moved.bytes() / Self::BYTES_PER_MS_WHEN_PRESSED;
        let above_ms = self.network.well_spent_ms.wrapping_sub(self.well_spent_ms);
        u32::try_from(moved).unwrap_or(u32::MAX).saturating_add(above_ms)
    }

    /// What has moved earns time; to be late is not made good any more.
    fn extend_patience(&mut self, milliseconds: u32) {
        if self.patience_ms > 0 {
            self.patience_ms = self.patience_ms.saturating_add(milliseconds);
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
                self.extend_patience(Self::earned_ms(length));
                return Ok(length);
            }
            if self.has_ended() {
                return Ok(0);
            }
            self.wait(Phase::Reading)?;
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
                self.extend_patience(Self::earned_ms(length));
                return Ok(length);
            }
            self.wait(Phase::Writing)?;
        }
    }

    /// Nothing is kept back: what was written leaves when the turn ends, or when the next write waits.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
