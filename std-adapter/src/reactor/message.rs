//! What goes from thread to thread.

use super::inbox;
use super::peer::Peer;
use super::poller::{Socket, Waker};
use super::serve::Outcome;
use super::slab::{Key, Stage};
use std::sync::mpsc::Sender;
use std::time::Instant;

/// To a loop.
#[derive(Debug)]
pub(super) enum Message<H> {
    /// A connection that another loop has accepted, and that is the receiver's from now on. (Out of its boxes: those lie among
    /// others of that loop, and what two threads write in one cache line makes both wait.)
    Settles { peer: Peer<H, ()>, socket: Socket, stage: Stage },
    /// A connection of its own that was served elsewhere; without `peer` it is over.
    Back { key: Key, peer: Option<Box<Peer<H>>>, outcome: Outcome },
    /// A request that has waited for a thread for too long.
    Refuse { key: Key, peer: Box<Peer<H>> },
    /// There is place for connections again, or it is to accept some, too.
    Listen,
    /// A place is needed: close what is idle for longest.
    MakePlace,
    /// Somebody wants to know whether it does anything.
    Answer(Sender<()>),
}

/// To a spare thread: a connection whose handler may wait, and where it belongs.
#[derive(Debug)]
pub(super) struct Errand<H> {
    pub(super) index: usize,
    pub(super) key: Key,
    pub(super) peer: Box<Peer<H>>,
    /// What it goes on with.
    pub(super) stage: Stage,
    pub(super) why: Why,
    pub(super) since: Instant,
}

/// Why is a request served beside its loop?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its kind was seen to wait.
    Waits,
    /// Nothing is known of its kind, and nobody could take its loop over.
    Unknown,
}

/// A loop's.
pub(super) type Inbox<H> = inbox::Inbox<Message<H>, Waker>;

impl inbox::Wake for Waker {
    fn wake(&self) {
        Self::wake(self);
    }
}
