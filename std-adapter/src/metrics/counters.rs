//! Where the numbers are counted.
//!
//! What happens with each request is counted by the thread that serves it, in a [`Tally`] of its own, without a locked
//! instruction. What happens once for a connection, or less often, is an [`Event`], which all threads count together.

use super::{ByDeadline, ByStatus, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all threads count together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Accepted,
    Closed,
    Evicted,
    Refused,
    AcceptError,
    Panicked,
    SlowHandler,
    FirstByteTimeOut,
    HeadTimeOut,
    IdleTimeOut,
    ContentTimeOut,
    WriteTimeOut,
    QueueTimeOut,
}

const EVENTS: usize = Event::QueueTimeOut as usize + 1;

/// What each thread counts for itself.
#[derive(Clone, Copy, Debug)]
enum Item {
    Informational,
    Successful,
    Redirection,
    ClientError,
    ServerError,
    Unanswered,
    Unavailable,
    Received,
    Sent,
}

const ITEMS: usize = Item::Sent as usize + 1;

/// What one thread has counted. It alone writes here; who asks for a sum reads. (The alignment keeps threads out of each other's
/// cache lines.)
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    items: [AtomicU64; ITEMS],
    /// Handlers that have begun and ended on this thread: odd while one runs.
    handlers: AtomicU64,
    /// The handler that runs was found to take long.
    is_slow: AtomicBool,
}

impl Tally {
    fn add(&self, item: Item, count: u64) {
        if let Some(place) = self.items.get(item as usize) {
            // Nobody else writes: no locked instruction is needed.
            place.store(place.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }

    /// A request was answered with this status; 0 when it was not.
    pub(crate) fn request(&self, code: u16) {
        match code {
            200..=299 => self.add(Item::Successful, 1),
            _ => self.other_request(code),
        }
    }

    /// Apart from the usual one, which is a few instructions.
    #[cold]
    fn other_request(&self, code: u16) {
        let item = match code {
            100..=199 => Item::Informational,
            300..=399 => Item::Redirection,
            400..=499 => Item::ClientError,
            500.. => Item::ServerError,
            _ => Item::Unanswered,
        };
        self.add(item, 1);
        if code == 503 {
            self.add(Item::Unavailable, 1);
        }
    }

    pub(crate) fn received(&self, octets: usize) {
        self.add(Item::Received, octets as u64);
    }

    pub(crate) fn sent(&self, octets: usize) {
        self.add(Item::Sent, octets as u64);
    }

    /// A handler begins. Each that begins ends, be it by a panic.
    pub(crate) fn enter(&self) {
        self.handlers.store(self.handlers.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// A handler has ended.
    pub(crate) fn leave(&self) {
        self.handlers.store(self.handlers.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Which handler runs: a number that no other one of this thread has.
    pub(crate) fn handler(&self) -> Option<u64> {
        let handlers = self.handlers.load(Ordering::Relaxed);
        (handlers % 2 == 1).then_some(handlers)
    }

    /// The handler that runs takes long.
    pub(crate) fn is_found_slow(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    /// Was the handler that ran last found to take long? True once.
    pub(crate) fn was_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed) && self.is_slow.swap(false, Ordering::Relaxed)
    }

    /// Adds what this thread has counted.
    fn add_to(&self, sums: &mut [u64; ITEMS]) {
        for (sum, item) in sums.iter_mut().zip(&self.items) {
            *sum = sum.wrapping_add(item.load(Ordering::Relaxed));
        }
    }
}

/// All that a server counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    events: [AtomicU64; EVENTS],
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    tallies: Vec<Arc<Tally>>,
    /// What threads have counted that are no more.
    ended: [u64; ITEMS],
}

impl Counters {
    pub(crate) fn count(&self, event: Event) {
        if let Some(place) = self.events.get(event as usize) {
            place.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn events(&self, event: Event) -> u64 {
        self.events.get(event as usize).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// A thread begins to count.
    pub(crate) fn enlist(&self) -> Enlisted<'_> {
        let tally = Arc::<Tally>::default();
        self.threads().tallies.push(Arc::clone(&tally));
        Enlisted { counters: self, tally }
    }

    /// What the threads count now.
    pub(crate) fn tallies(&self) -> Vec<Arc<Tally>> {
        self.threads().tallies.clone()
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sums; what is counted elsewhere is zero.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (mut sums, mut requests_active) = ([0; ITEMS], 0);
        {
            let threads = self.threads();
            sums.clone_from(&threads.ended);
            for tally in &threads.tallies {
                tally.add_to(&mut sums);
                requests_active += u64::from(tally.handler().is_some());
            }
        }
        let item = |item: Item| sums.get(item as usize).copied().unwrap_or(0);
        // In this order: what is closed was accepted before.
        let connections_closed = self.events(Event::Closed);
        let connections_accepted = self.events(Event::Accepted);
        Snapshot {
            connections_accepted,
            connections_active: connections_accepted.saturating_sub(connections_closed),
            connections_closed,
            connections_evicted: self.events(Event::Evicted),
            connections_refused: self.events(Event::Refused),
            accept_errors: self.events(Event::AcceptError),
            requests: ByStatus {
                informational: item(Item::Informational),
                successful: item(Item::Successful),
                redirection: item(Item::Redirection),
                client_error: item(Item::ClientError),
                server_error: item(Item::ServerError),
                unanswered: item(Item::Unanswered),
            },
            requests_unavailable: item(Item::Unavailable),
            requests_active,
            requests_queued: 0,
            bytes_lent: 0,
            bytes_unsent: 0,
            timeouts: ByDeadline {
                first_byte: self.events(Event::FirstByteTimeOut),
                head: self.events(Event::HeadTimeOut),
                idle: self.events(Event::IdleTimeOut),
                content: self.events(Event::ContentTimeOut),
                write: self.events(Event::WriteTimeOut),
                queue: self.events(Event::QueueTimeOut),
            },
            handler_panics: self.events(Event::Panicked),
            handlers_slow: self.events(Event::SlowHandler),
            bytes_received: item(Item::Received),
            bytes_sent: item(Item::Sent),
            log_lines_lost: 0,
        }
    }
}

/// A thread's tally, for as long as the thread serves.
#[derive(Debug)]
pub(crate) struct Enlisted<'a> {
    counters: &'a Counters,
    pub(crate) tally: Arc<Tally>,
}

impl Drop for Enlisted<'_> {
    fn drop(&mut self) {
        let mut threads = self.counters.threads();
        threads.tallies.retain(|tally| !Arc::ptr_eq(tally, &self.tally));
        self.tally.add_to(&mut threads.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_added_up_and_outlives_them() {
        let counters = Counters::default();
        let first = counters.enlist();
        first.tally.request(200);
        first.tally.sent(10);
        {
            let second = counters.enlist();
            for code in [101, 200, 206, 304, 404, 500, 503, 0] {
                second.tally.request(code);
            }
            second.tally.sent(5);
            second.tally.received(7);
            second.tally.enter();
            assert_eq!(counters.snapshot().requests_active, 1);
        }
        let snapshot = counters.snapshot();
        let expected = ByStatus {
            informational: 1,
            successful: 3,
            redirection: 1,
            client_error: 1,
            server_error: 2,
            unanswered: 1,
        };
        assert_eq!((snapshot.requests, snapshot.requests.total()), (expected, 9));
        assert_eq!((snapshot.bytes_sent, snapshot.bytes_received), (15, 7));
        assert_eq!((snapshot.requests_unavailable, snapshot.requests_active), (1, 0));
    }

    #[test]
    fn each_handler_of_a_thread_has_its_number() {
        let tally = Tally::default();
        assert_eq!(tally.handler(), None);
        tally.enter();
        let first = tally.handler();
        assert!(first.is_some());
        tally.leave();
        assert_eq!(tally.handler(), None);
        tally.enter();
        assert!(tally.handler().is_some() && tally.handler() != first);
        assert!(!tally.was_slow());
        tally.is_found_slow();
        assert!(tally.was_slow() && !tally.was_slow());
    }
}
