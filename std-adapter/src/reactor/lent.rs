//! How much memory do clients hold that have begun a request and not ended it?
//!
//! A thread's buffers serve all of its connections, as long as heads come whole. What has come of one that did not is kept for its
//! connection: a whole head at most, but of as many connections as there may be. So there is a bound for all of them together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory that is lent to connections.
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
        more == 0 || self.bytes.load(Ordering::Relaxed).saturating_add(more) <= self.bytes_max
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
