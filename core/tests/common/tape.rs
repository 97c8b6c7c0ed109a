//! A client whose bytes and faults are written down beforehand.

use embedded_io::ErrorKind;
use httpling_core::{SendError, Wire};
use std::any::Any;

/// What comes behind the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end of the stream, but only for a session that asks.
    Never,
    Stream,
    Silence,
}

/// Something that happens instead of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Ok(0)`: the end of the stream, or a stream that takes nothing.
    Zero,
    /// An error, and again each time.
    Error(ErrorKind),
    /// An error, and then it goes on as if nothing had been.
    Once(ErrorKind),
}

/// A client: what it sends in turns, and what it was sent.
#[derive(Clone, Debug)]
pub struct Tape {
    turns: Vec<Vec<u8>>,
    turn: usize,
    at: usize,
    /// Sizes of the pieces in which the bytes come, over and over; none for whole turns.
    pieces: Vec<usize>,
    piece: usize,
    piece_left: usize,
    pub end: End,
    pub written: Vec<u8>,
    pub marks: Vec<usize>,
    pub read_fault: Option<(usize, Fault)>,
    pub write_fault: Option<(usize, Fault)>,
    pub write_most: usize,
    /// How much `room` says there is after each [`make_room`](Tape::make_room).
    pub room_step: Option<usize>,
    room: usize,
    /// Content of a handler's that it sends itself.
    content: Vec<u8>,
    pub octets_read: usize,
    pub reads: usize,
    /// Calls after the end or a fault was told.
    pub reads_after_end: usize,
    pub writes_after_fault: usize,
    read_ended: bool,
    write_failed: bool,
    /// Something was written that a stream with a buffer of its own would still hold.
    held_back: bool,
}

impl Tape {
    pub fn new(turns: Vec<Vec<u8>>, pieces: Vec<usize>) -> Self {
        assert!(!pieces.contains(&0));
        Self {
            turns,
            turn: 0,
            at: 0,
            pieces,
            piece: 0,
            piece_left: 0,
            end: End::Stream,
            written: Vec::new(),
            marks: Vec::new(),
            read_fault: None,
            write_fault: None,
            write_most: usize::MAX,
            room_step: None,
            room: 0,
            content: Vec::new(),
            octets_read: 0,
            reads: 0,
            reads_after_end: 0,
            writes_after_fault: 0,
            read_ended: false,
            write_failed: false,
            held_back: false,
        }
    }

    /// All bytes in one turn and one piece.
    pub fn whole(bytes: &[u8]) -> Self {
        Self::new(vec![bytes.to_vec()], Vec::new())
    }

    pub fn is_at_end(&self) -> bool {
        self.turn >= self.turns.len()
            || (self.turn + 1 == self.turns.len() && self.at == self.turns[self.turn].len())
    }

    /// What nobody has read.
    pub fn unread(&self) -> Vec<u8> {
        let rest = self.turns[self.turn.min(self.turns.len())..].concat();
        rest[self.at.min(rest.len())..].to_vec()
    }

    /// Who waits for the client, or stops, has flushed what was written: a stream may have a buffer.
    pub fn assert_flushed(&self) {
        assert!(!self.held_back || self.write_failed, "the client waits for what the stream holds back");
    }

    pub fn make_room(&mut self) {
        self.room = self.room_step.expect("only a stream with a room can be full");
    }

    fn ended(&mut self) {
        self.reads_after_end += usize::from(self.read_ended);
        self.read_ended = true;
    }
}

impl Wire for Tape {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(!buffer.is_empty(), "a read into nothing looks like the end");
        self.assert_flushed();
        self.reads += 1;
        let mut most = buffer.len();
        if let Some((at, fault)) = self.read_fault {
            if at == self.octets_read {
                match fault {
                    Fault::Once(kind) => {
                        self.read_fault = None;
                        return Err(kind);
                    }
                    Fault::Zero => {
                        self.ended();
                        return Ok(0);
                    }
                    Fault::Error(kind) => {
                        self.ended();
                        return Err(kind);
                    }
                }
            }
            most = most.min(at - self.octets_read);
        }
        while self.turn < self.turns.len() && self.at == self.turns[self.turn].len() {
            self.turn += 1;
            self.at = 0;
            self.piece_left = 0;
            if self.turn < self.turns.len() {
                self.marks.push(self.written.len());
            }
        }
        let Some(turn) = self.turns.get(self.turn) else {
            self.ended();
            return if self.end == End::Silence { Err(ErrorKind::TimedOut) } else { Ok(0) };
        };
        if self.piece_left == 0 {
            self.piece_left = self.pieces.get(self.piece).copied().unwrap_or(usize::MAX);
            self.piece = (self.piece + 1) % self.pieces.len().max(1);
        }
        let count = most.min(self.piece_left).min(turn.len() - self.at);
        buffer[..count].copy_from_slice(&turn[self.at..self.at + count]);
        self.at += count;
        self.piece_left -= count;
        self.octets_read += count;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        assert!(!bytes.is_empty(), "a write of nothing cannot make progress");
        self.writes_after_fault += usize::from(self.write_failed);
        let mut most = bytes.len().min(self.write_most);
        if let Some((at, fault)) = self.write_fault {
            if at <= self.written.len() {
                if let Fault::Once(ErrorKind::Interrupted) = fault {
                    self.write_fault = None;
                    return Err(ErrorKind::Interrupted);
                }
                self.write_failed = true;
                return match fault {
                    Fault::Zero => Ok(0),
                    Fault::Error(kind) => Err(kind),
                    Fault::Once(kind) => {
                        self.write_fault = None;
                        Err(kind)
                    }
                };
            }
            most = most.min(at - self.written.len());
        }
        if self.room_step.is_some() {
            self.room = self.room.saturating_sub(most);
        }
        self.written.extend_from_slice(&bytes[..most]);
        self.held_back = true;
        Ok(most)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.held_back = false;
        Ok(())
    }

    fn room(&mut self) -> usize {
        if self.room_step.is_some() { self.room } else { usize::MAX }
    }

    fn take_content(&mut self, content: &mut dyn Any) -> bool {
        let Some(content) = content.downcast_mut::<Vec<u8>>() else { return false };
        self.content = std::mem::take(content);
        true
    }

    fn send_content(&mut self, position: u64, left: u64) -> Result<usize, SendError> {
        let position = usize::try_from(position).expect("it is in memory");
        let most = usize::try_from(left).expect("so is the rest").min(self.room());
        // A file may have become shorter.
        let rest = self.content.get(position..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or(SendError::LengthMismatch)?.to_vec();
        loop {
            match self.write(&rest[..most.min(rest.len())]) {
                Err(ErrorKind::Interrupted) => {}
                Ok(0) => return Err(SendError::Transport(ErrorKind::WriteZero)),
                result => return result.map_err(SendError::Transport),
            }
        }
    }
}
