//! What is kept of a connection while nothing happens on it.

use super::poller::{Readiness, Socket};
use crate::file_part::FilePart;
use httpling_core::Connection;
use std::net::SocketAddr;
use std::sync::Arc;

/// A connection: its socket, its protocol state, its handler. Buffers are lent to it only while bytes are in them. (In this order
/// what each request needs is in as few cache lines as it can be.)
#[derive(Debug)]
#[repr(C)]
pub(super) struct Peer<H, S = Arc<Socket>> {
    pub(super) socket: S,
    pub(super) connection: Connection,
    /// What the socket is known to have.
    pub(super) readiness: Readiness,
    /// Whose octets come next?
    pub(super) speaker: Speaker,
    /// The client sends nothing more.
    pub(super) ended: bool,
    /// Its handler was told that it is over.
    pub(super) finished: bool,
    /// Its next request is answered with 503.
    pub(super) refused: bool,
    /// Octets that were dropped since all was said.
    pub(super) dropped: u32,
    /// What arrived and is not taken: a head that is not complete.
    pub(super) pending: Vec<u8>,
    /// What was said and is not sent.
    pub(super) unsent: Vec<u8>,
    /// A file that is being sent.
    pub(super) file: Option<Box<FilePart>>,
    /// Made when the first request comes.
    pub(super) handler: Option<H>,
    /// Octets that were sent since something waits for room: as many as the client has taken meanwhile, but for what the system
    /// collects before it tells of it.
    pub(super) written: u64,
    /// Since when it is in its stage, in the loop's milliseconds.
    pub(super) since: u64,
    /// The client's. One that came over a Unix socket has none.
    pub(super) address: Option<SocketAddr>,
}

/// Who speaks on a connection?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A proxy, which has yet to say who its client is.
    Proxy,
    Client,
    /// Nobody: it was cut off, and what was kept of it is gone.
    Nobody,
}

/// Why a connection is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Its socket is ready for something.
    Ready,
    /// Its deadline is over.
    TimedOut,
    /// It is idle, and its place is needed, or the server ends.
    Close,
}

impl<H, S> Peer<H, S> {
    /// The same, with its socket in another place; and its socket.
    pub(super) fn with_socket<T>(self, socket: T) -> (Peer<H, T>, S) {
        let Self { connection, readiness, speaker, ended, finished, refused, dropped, pending, .. } = self;
        let Self { unsent, file, handler, written, since, address, .. } = self;
        let peer = Peer {
            socket,
            connection,
            readiness,
            speaker,
            ended,
            finished,
            refused,
            dropped,
            pending,
            unsent,
            file,
            handler,
            written,
            since,
            address,
        };
        (peer, self.socket)
    }
}

impl<H> Peer<H, ()> {
    pub(super) fn new(address: Option<SocketAddr>) -> Self {
        Self {
            socket: (),
            address,
            connection: Connection::new(),
            handler: None,
            pending: Vec::new(),
            unsent: Vec::new(),
            file: None,
            readiness: Readiness::NOTHING,
            speaker: Speaker::Client,
            ended: false,
            finished: false,
            refused: false,
            dropped: 0,
            written: 0,
            since: 0,
        }
    }
}

impl<H> Peer<H> {
    /// Is one request answered, with nothing left to send, and nothing of the next one read?
    pub(super) fn is_between_requests(&self) -> bool {
        self.connection.requests() > 0 && self.connection.is_idle() && self.unsent.is_empty()
    }
}

/// What a connection at rest costs of ours, with a handler that keeps nothing and the allocator's rounding: promised are 300
/// octets.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Peer<()>>() + size_of::<super::slab::Slot<()>>() + 3 * 24 <= 300);
};
