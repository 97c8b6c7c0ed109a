//! Which sockets are ready? The system's answer, and all that differs between systems.
//!
//! Sockets are watched edge-triggered, for everything, once and for all: a connection costs one registration in its life (on Linux
//! none, if it never has to wait), and bytes that arrive while its handler is running somewhere else are told once and not again
//! and again. The price is to keep in mind what has been told until a read or a write comes back short.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(super) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::*;

use crate::file_part::FilePart;
use httpling_core::SendError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::time::Duration;

/// What an event is about: a call from another thread, a listener, or a slot of the slab with its generation.
pub(super) const WAKER: u64 = u64::MAX;
const LISTENERS: std::ops::Range<u64> = WAKER - 64..WAKER;

/// The token of a listener.
pub(super) fn listener_token(index: usize) -> u64 {
    LISTENERS.start + index as u64
}

/// The listener of a token.
pub(super) fn listener_of(token: u64) -> Option<usize> {
    usize::try_from(token.checked_sub(LISTENERS.start)?).ok().filter(|_| token != WAKER)
}

/// Something to do with a socket, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness(u8);

impl Readiness {
    pub(super) const NOTHING: Self = Self(0);
    /// There are bytes, or their end.
    pub(super) const READ: Self = Self(1);
    /// There is room, after there was none.
    pub(super) const WRITE: Self = Self(2);
    /// No byte follows those that are there.
    pub(super) const END: Self = Self(4);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// What happened to what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occurrence {
    pub(super) token: u64,
    pub(super) readiness: Readiness,
}

/// Waits, on the calling thread, until the socket can be read from or written to, or `patience` is over.
///
/// # Errors
/// The system's.
pub(super) fn wait_for(socket: &Socket, what: Readiness, patience: Duration) -> io::Result<()> {
    let flags = if what.has(Readiness::READ) { PollFlags::IN } else { PollFlags::OUT };
    let mut places = [PollFd::new(socket, flags)];
    match poll(&mut places, Some(&timespec(patience))) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there; `None` when nothing is.
///
/// # Errors
/// The system's.
#[inline]
pub(super) fn read_now(socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    now(|| recv(socket, buffer))
}

/// As [`read_now`], and keeps in mind whether there may be more to read.
///
/// # Errors
/// The system's.
#[inline]
pub(super) fn read_ready(
    socket: &Socket,
    buffer: &mut [u8],
    readiness: &mut Readiness,
) -> io::Result<Option<usize>> {
    let result = read_now(socket, buffer);
    // A read that comes back short has taken all there was; behind it can only be the end.
    let is_last = readiness.has(Readiness::END);
    if !matches!(result, Ok(Some(count)) if count == buffer.len() || (count > 0 && is_last)) {
        readiness.remove(Readiness::READ);
    }
    result
}

/// Writes what there is room for; `None` when there is none.
///
/// # Errors
/// The system's.
#[inline]
pub(super) fn write_now(socket: &Socket, bytes: &[u8], follows: Follows) -> io::Result<Option<usize>> {
    now(|| send(socket, bytes, follows))
}

/// What is written next?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Perhaps nothing: send it now.
    Unknown,
    /// Content, at once: the system may send both together.
    Content,
}

/// Copies a piece of a file through a buffer.
///
/// # Errors
/// As those of [`send_file`].
pub(super) fn copy_file(
    socket: &Socket,
    part: &FilePart,
    position: u64,
    left: u64,
) -> Result<Option<usize>, SendError> {
    let mut is_full = false;
    let count = part.copy(position, left, |piece| match write_now(socket, piece, Follows::Unknown) {
        Ok(count) => {
            is_full = count.is_none();
            Ok(count.unwrap_or(0))
        }
        Err(error) => Err(SendError::Transport(error.kind().into())),
    })?;
    Ok((!is_full).then_some(count))
}

#[inline]
fn now(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match act() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if is_interruption(&error) => {}
            Err(error) => return none_yet(error),
        }
    }
}

#[cold]
fn is_interruption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

fn none_yet(error: io::Error) -> io::Result<Option<usize>> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
}

fn timespec(duration: Duration) -> Timespec {
    // Centuries, not overflow.
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 1 << 30, tv_nsec: 0 })
}
