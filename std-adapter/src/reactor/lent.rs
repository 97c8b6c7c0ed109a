//! How much memory do clients hold that have begun a request and not ended it, or not taken their response?
//!
//! A thread's buffers serve all of its connections, as long as heads come whole and responses leave. What has come of a head that did
//! not, and what is left of a response that a client does not take, is kept for its connection: a whole buffer at most, but of
//! as many connections as there may be. So there is a bound for all of them together, of each of the two.

use super::peer::Peer;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a connection holds between two calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Of requests that have not come whole.
    pub(super) pending: usize,
    /// Of responses that were not taken, and of requests that wait behind them.
    pub(super) unsent: usize,
}

impl Held {
    pub(super) fn by<H>(peer: &Peer<H>) -> Self {
        let bytes = peer.pending.capacity() + peer.unsent.capacity();
        if peer.unsent.is_empty() && !peer.connection.is_sending() {
            Self { pending: bytes, unsent: 0 }
        } else {
            Self { pending: 0, unsent: bytes }
        }
    }
}

/// The memory that is lent to connections, for one of the two.
#[derive(Debug)]
pub(super) struct Lent {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Lent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// May a connection that holds so much hold so much instead? Each loop asks before it lends, so that together they may
    /// exceed the bound by a buffer each.
    pub(super) fn allows(&self, held: usize, wanted: usize) -> bool {
        let more = wanted.saturating_sub(held);
        more == 0 || self.bytes().saturating_add(more) <= self.bytes_max
    }

    /// Is more lent than may be?
    pub(super) fn is_exceeded(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// A connection holds so much no longer, but so much.
    pub(super) fn change(&self, held: usize, holds: usize) {
        if holds > held {
            self.bytes.fetch_add(holds - held, Ordering::Relaxed);
        } else if holds < held {
            self.bytes.fetch_sub(held - holds, Ordering::Relaxed);
        }
    }
}
