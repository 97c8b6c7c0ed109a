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
        if bytes == 0 {
            Self::default()
        } else if peer.unsent.is_empty() && !peer.connection.is_sending() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_has_a_bound_and_comes_back() {
        let lent = Lent::new(100);
        // What a connection held and holds, what is lent then, and the most that another one may hold.
        for (held, holds, bytes, most) in [
            (0, 60, 60, 40),
            (0, 40, 100, 0),
            (60, 20, 60, 40),
            (20, 20, 60, 40),
            // Nobody was asked.
            (40, 150, 170, 0),
            (150, 0, 20, 80),
            (20, 0, 0, 100),
        ] {
            lent.change(held, holds);
            assert_eq!((lent.bytes(), lent.is_exceeded()), (bytes, bytes > 100));
            assert!(lent.allows(0, most) && !lent.allows(0, most + 1), "{bytes}");
            // What it holds already is not counted twice.
            assert!(lent.allows(7, most + 7) && !lent.allows(7, most + 8), "{bytes}");
            assert!(lent.allows(200, 200) && lent.allows(200, 10), "to hold less is always allowed");
        }
        lent.change(0, 100);
        assert!(!lent.is_exceeded(), "the bound itself is within it");
    }
}
