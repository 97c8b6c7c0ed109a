//! What state is a connection in? Everything that changes protocol state between requests is here.
//!
//! ```text
//!            ┌─────────────────── persistent ───────────────────┐
//!            ▼                                                  │
//!   ──► Head ──whole head──► (exchange) ──unread content──► Draining ──► Closed
//!            │                   │  └─────deferred content──► Sending ──┘ ▲
//!            └──refused──────────┴───────not persistent──────────────────┘
//! ```
//!
//! A [`Connection`] holds no bytes, no clock and no stream. It is what a connection at rest costs: at most 28 bytes
//! on a 32-bit processor.

use crate::receive::content::Content;
use crate::receive::head::HeadReader;
use crate::syntax::error::{RequestError, SendError};
use embedded_io::ErrorKind;

/// The protocol state of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    pub(crate) phase: Phase,
}

/// Each phase carries `requests`, the number of heads that were complete: beside them it would not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Between requests, or in the middle of one that has not been handed to its handler.
    Head { reader: HeadReader, requests: u16 },
    /// The handler left content unread. It is dropped, within a limit.
    Draining { content: Content, requests: u16 },
    /// The handler has returned, and its content is sent as room comes: from memory …
    SendingStatic { rest: &'static [u8], then: After, requests: u16 },
    /// … or from who makes it, piece by piece.
    SendingProduced { producing: Producing, then: After, requests: u16 },
    /// Nothing more is read or written.
    Closed { reason: CloseReason, requests: u16 },
}

/// Content that a handler promised. Aligned as four octets are, so that it fits a connection's slot on a board.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
pub(crate) struct Producing {
    pub(crate) position: u64,
    pub(crate) left: u64,
    pub(crate) maker: Maker,
}

/// Who has the content?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// The handler makes it, under this key.
    Handler { key: u32 },
    /// The stream has taken it, and sends it itself.
    Wire,
}

impl Producing {
    pub(crate) fn advance(&mut self, count: usize) {
        self.position += count as u64;
        self.left = { self.left }.saturating_sub(count as u64);
    }
}

/// What follows the content that is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    NextRequest,
    Close,
}

/// Does the connection go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "close_connection")]
pub enum Persistence {
    /// Another request may follow.
    KeepAlive,
    /// The connection is to be closed.
    Close(CloseReason),
}

/// Why a connection is to be closed, which tells how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client ended the stream between two requests. Close.
    EndOfStream,
    /// The client was silent for too long between two requests. Close without a word.
    Idle,
    /// The last response was sent whole, and one side wanted it to be the last. Close for writing, and wait a moment
    /// for the client to do the same: it may still be sending, and would lose the response to a reset.
    Finished,
    /// The same, and the client had said that it would send nothing behind this request: it has no content, and is of a
    /// client that sends one request or has sent `Connection: close` (RFC 9112 §9.6). Close: there is nothing to wait for,
    /// unless something has come nevertheless.
    Announced,
    /// The request was refused, and the refusal was sent. Close as for [`Finished`](Self::Finished).
    Refused(RequestError),
    /// The response broke off. Cut the connection, so that the client can see that what it has is not whole.
    Broken(SendError),
    /// The transport failed. There is nothing to save.
    Transport(ErrorKind),
    /// The owner ended it: see [`Session::close`](crate::Session::close).
    Asked,
}

impl Connection {
    /// A new connection, before its first request.
    pub const fn new() -> Self {
        Self { phase: Phase::Head { reader: HeadReader::new(), requests: 0 } }
    }

    /// Is it between two requests, with nothing of the next one there? Such a connection may be closed at any time.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head { reader, .. } if !reader.has_begun())
    }

    /// Has a request begun that was not handed to its handler? Its head is not complete, or content that fits the buffer is
    /// still to come. It is under the head's deadline.
    pub fn is_in_head(&self) -> bool {
        matches!(self.phase, Phase::Head { reader, .. } if reader.has_begun())
    }

    /// Is content being read that the handler has left? It has a deadline of its own.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// Is the head complete, and its content on the way? Its handler is called when all of it is there.
    pub fn awaits_content(&self) -> bool {
        matches!(self.phase, Phase::Head { reader, .. } if reader.is_whole())
    }

    /// Is content being sent that a handler has left behind?
    pub fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::SendingStatic { .. } | Phase::SendingProduced { .. })
    }

    /// How many requests had a complete head?
    pub fn requests(&self) -> u16 {
        match self.phase {
            Phase::Head { requests, .. }
            | Phase::Draining { requests, .. }
            | Phase::SendingStatic { requests, .. }
            | Phase::SendingProduced { requests, .. }
            | Phase::Closed { requests, .. } => requests,
        }
    }

    /// Why the connection is to be closed, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.phase {
            Phase::Closed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    pub(crate) fn next_request(&mut self) {
        self.phase = Phase::Head { reader: HeadReader::new(), requests: self.requests() };
    }

    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.phase = Phase::Closed { reason, requests: self.requests() };
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Connection>() <= 28);
