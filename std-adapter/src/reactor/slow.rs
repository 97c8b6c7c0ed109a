//! Sees when a handler takes very long, and says so in the log: nothing ends it, but somebody should know.

use super::Reactor;
use crate::metrics::{Event, Tally};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a thread is looked at that may not have begun.
const SOON: Duration = Duration::from_millis(100);

/// The handlers that run, as far as they were seen.
#[derive(Debug, Default)]
pub(super) struct SlowHandlers {
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    tally: Arc<Tally>,
    handler: u64,
    since: Instant,
    is_told: bool,
}

impl SlowHandlers {
    /// Looks at all threads, and tells of handlers that take long. When to look again; `None` when there is no reason to.
    pub(super) fn look<H>(&mut self, reactor: &Reactor<H>) -> Option<Duration> {
        let most = reactor.settings.handler_time_logged;
        let now = Instant::now();
        self.running.retain(|known| known.tally.handler() == Some(known.handler));
        for tally in reactor.counters.tallies() {
            let Some(handler) = tally.handler() else { continue };
            if !self.running.iter().any(|known| Arc::ptr_eq(&known.tally, &tally)) {
                self.running.push(Running { tally, handler, since: now, is_told: false });
            }
        }
        let mut next = None;
        for known in self.running.iter_mut().filter(|known| !known.is_told) {
            let left = most.saturating_sub(now.duration_since(known.since));
            if left.is_zero() {
                known.is_told = true;
                known.tally.is_found_slow();
                reactor.counters.count(Event::SlowHandler);
                reactor.message(&format!("A handler has been running for {most:?}"));
            } else {
                next = Some(next.map_or(left, |next: Duration| next.min(left)));
            }
        }
        // What was given to a thread of its own may not have begun yet.
        next.or_else(|| reactor.spares.is_serving().then_some(most.max(SOON)))
    }
}
