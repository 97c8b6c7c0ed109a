//! Where a request is being served: on a loop's own thread, or beside it.

use super::event_loop::Loop;
use super::kinds::Kind;
use super::rates::Rates;
use super::spare::{Need, Work};
use super::{Handler, Reactor};
use crate::clock::time_passed;
use crate::metrics::Tally;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a thread that serves a connection knows about itself.
pub(super) struct Desk<'a, H> {
    pub(super) reactor: &'a Arc<Reactor<H>>,
    /// The connection's loop, and its place among the others.
    this: &'a Loop<H>,
    index: usize,
    /// The number of this call, when the thread drives the loop.
    turn: Option<u64>,
    given: Cell<bool>,
    /// What this thread counts.
    pub(super) tally: &'a Tally,
    overloaded: Cell<bool>,
    kind: Cell<Option<Kind>>,
    waited_for_client: Cell<bool>,
}

impl<H> fmt::Debug for Desk<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("index", &self.index).field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl<'a, H> Desk<'a, H> {
    /// `turn` is the number of the call when the thread drives the loop.
    pub(super) fn new(
        reactor: &'a Arc<Reactor<H>>,
        (this, index): (&'a Loop<H>, usize),
        turn: Option<u64>,
        tally: &'a Tally,
    ) -> Self {
        Self {
            reactor,
            this,
            index,
            turn,
            given: Cell::new(false),
            tally,
            overloaded: Cell::new(false),
            kind: Cell::new(None),
            waited_for_client: Cell::new(false),
        }
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.reactor.settings.rates
    }

    /// Does this thread drive the loop, as far as it knows?
    pub(super) fn drives(&self) -> bool {
        self.turn.is_some() && !self.given.get()
    }

    /// Is each request looked at before its handler is called? It is when nobody could take over a loop that is held up.
    pub(super) fn looks_at_each(&self) -> bool {
        self.reactor.spares.are_scarce() && self.drives()
    }

    pub(super) fn in_handler(&self) -> bool {
        self.tally.handler().is_some()
    }

    /// No thread was found for the loop when a handler had to wait, or its own was needed for others.
    pub(super) fn is_overloaded(&self) -> bool {
        self.overloaded.get()
    }

    /// The kind of the last request that was served here, unless its time says nothing about it: it was its client's.
    pub(super) fn timed_kind(&self) -> Option<Kind> {
        self.kind.get().filter(|_| !self.waited_for_client.get())
    }
}

impl<H: Handler> Desk<'_, H> {
    /// A handler is about to wait for its client: gives the loop away, if it is here. False when that cannot be: whoever waits
    /// then holds up all others.
    pub(super) fn may_wait(&self) -> bool {
        self.waited_for_client.set(true);
        if self.drives() {
            if self.turn == Some(self.this.turn()) {
                // This wait says nothing about others of its kind.
                self.this.kind.store(0, Ordering::Relaxed);
                self.give_away(Need::Client);
                self.overloaded.set(self.drives());
            } else {
                // The handler has waited for something else before, and somebody was sent for the loop.
                self.given.set(true);
            }
        }
        !self.drives()
    }

    /// Is this thread, on which a handler waits for a slow client, needed for somebody else?
    pub(super) fn wants_place(&self) -> bool {
        let wants = self.reactor.spares.want_place();
        if wants {
            self.overloaded.set(true);
        }
        wants
    }

    fn give_away(&self, need: Need) {
        if let Some(turn) = self.turn {
            self.given.set(self.reactor.employ(Work::Drive { index: self.index, turn }, need));
        }
    }

    /// A handler begins.
    pub(super) fn enter(&self, kind: Option<Kind>) {
        self.tally.enter();
        self.kind.set(kind);
        if self.turn != Some(self.this.turn()) {
            // An earlier request of this call has waited.
            time_passed();
        } else if self.drives() {
            self.this.kind.store(kind.map_or(0, Kind::number), Ordering::Relaxed);
            let kinds = &self.reactor.kinds;
            if !kinds.is_empty() && kind.is_some_and(|kind| kinds.waits(kind)) {
                self.give_away(Need::Handler);
            }
        }
    }

    /// A handler has ended.
    pub(super) fn leave(&self) {
        self.tally.leave();
        if self.drives()
            && self.turn == Some(self.this.turn())
            && let Some(kind) = self.kind.get()
        {
            self.reactor.kinds.saw_quick(kind);
        }
    }
}
