//! Threads: those that drive loops, those that serve a request beside them, and those that wait for either.
//!
//! All are alike. A thread whose loop was handed over finishes its handler and joins the ones that wait; one of those drives the
//! loop meanwhile. Their number is bounded, and so is that of the requests that wait for one.

use super::peer::Peer;
use super::slab::Key;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thread that had nothing to do for so long ends, if there are more than one for each loop.
const IDLE: Duration = Duration::from_secs(10);

/// What a thread can do.
#[derive(Debug)]
pub(super) enum Work<H> {
    /// Drive a loop, if it is still in the call of that number.
    Drive { index: usize, turn: u64 },
    /// Serve a request of a kind that waits.
    Serve(Errand<H>),
}

/// A connection whose handler may wait, and where it belongs.
#[derive(Debug)]
pub(super) struct Errand<H> {
    pub(super) index: usize,
    pub(super) key: Key,
    pub(super) peer: Box<Peer<H>>,
    pub(super) since: Instant,
}

/// How many threads, and how many requests that wait for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) loops: usize,
    /// Threads beside those that drive loops.
    pub(super) spares: usize,
    pub(super) queue: usize,
}

/// The threads of a server.
#[derive(Debug)]
pub(super) struct Spares<H> {
    bounds: Bounds,
    state: Mutex<State<H>>,
}

#[derive(Debug)]
struct State<H> {
    /// Threads with nothing to do; the one that worked last is last, and works next.
    idle: Vec<Arc<Seat<H>>>,
    threads: usize,
    /// Threads that serve requests beside the loops.
    serving: usize,
    queue: VecDeque<Errand<H>>,
    ended: bool,
}

/// Where a thread waits: always for a change of the pool's state.
#[derive(Debug)]
pub(super) struct Seat<H> {
    work: Mutex<Option<Work<H>>>,
    changed: Condvar,
}

/// Why does a loop need a thread?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Its own is about to wait for a client. Clients can make as many threads wait as they like, so they do not get them all.
    Client,
    /// It has none, or its own is stuck in a handler.
    Handler,
}

/// What became of work that was given away.
#[derive(Debug)]
pub(super) enum Given<H> {
    /// A thread has it, or will.
    Taken,
    /// A thread must be made for it.
    Spawn(Work<H>),
    /// There are no more threads.
    Refused(Work<H>),
}

impl<H> Spares<H> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State { idle: Vec::new(), threads: 0, serving: 0, queue: VecDeque::new(), ended: false };
        Self { bounds, state: Mutex::new(state) }
    }

    /// No code panics while it holds the lock; if it did, the state would still be whole.
    fn lock(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a thread for a loop.
    pub(super) fn give(&self, work: Work<H>, need: Need) -> Given<H> {
        let mut state = self.lock();
        if need == Need::Client && self.free(&state) <= self.kept_free() {
            return Given::Refused(work);
        }
        self.give_locked(&mut state, work)
    }

    /// Threads that have nothing to do, or could be made.
    fn free(&self, state: &State<H>) -> usize {
        (state.idle.len() + self.bounds.loops + self.bounds.spares).saturating_sub(state.threads)
    }

    /// Threads that clients cannot take by being slow: one for each loop, but all of them only if there is one more.
    fn kept_free(&self) -> usize {
        self.bounds.loops.min(self.bounds.spares.saturating_sub(1))
    }

    /// Finds a thread for a request, or a place in the queue. Threads enough for all loops are left free.
    pub(super) fn serve(&self, errand: Errand<H>) -> Given<H> {
        let mut state = self.lock();
        let mut work = Work::Serve(errand);
        if state.serving < self.serving_max() {
            match self.give_locked(&mut state, work) {
                // All threads have something to do, if only to notice that they have nothing. The next one takes it from the queue.
                Given::Refused(refused) => work = refused,
                given => {
                    state.serving += 1;
                    return given;
                }
            }
        }
        match work {
            Work::Serve(errand) if state.queue.len() < self.bounds.queue => {
                state.queue.push_back(errand);
                Given::Taken
            }
            work => Given::Refused(work),
        }
    }

    fn serving_max(&self) -> usize {
        self.bounds.spares.saturating_sub(self.kept_free())
    }

    fn give_locked(&self, state: &mut State<H>, work: Work<H>) -> Given<H> {
        if let Some(seat) = state.idle.pop() {
            seat.put(work);
            seat.changed.notify_one();
            return Given::Taken;
        }
        if state.threads >= self.bounds.loops + self.bounds.spares {
            return Given::Refused(work);
        }
        state.threads += 1;
        Given::Spawn(work)
    }

    /// A thread that was to be made was not.
    pub(super) fn not_spawned(&self, work: &Work<H>) {
        let mut state = self.lock();
        state.threads -= 1;
        if let Work::Serve(_) = work {
            state.serving -= 1;
        }
    }

    /// The next work of a thread that has `done` its last; `None` when it is to end.
    pub(super) fn next(&self, seat: &Arc<Seat<H>>, done: Done) -> Option<Work<H>> {
        let mut state = self.lock();
        if done == Done::Served {
            state.serving -= 1;
        }
        if state.ended {
            state.threads -= 1;
            return None;
        }
        if state.serving < self.serving_max()
            && let Some(errand) = state.queue.pop_front()
        {
            state.serving += 1;
            return Some(Work::Serve(errand));
        }
        state.idle.push(Arc::clone(seat));
        // As many as there are loops are kept, and sleep until they are needed.
        let kept = state.idle.len() <= self.bounds.loops;
        loop {
            if let Some(work) = seat.take() {
                return Some(work);
            }
            if state.ended {
                state.threads -= 1;
                return None;
            }
            if kept {
                state = seat.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (changed, result) =
                seat.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = changed;
            if result.timed_out() {
                let before = state.idle.len();
                state.idle.retain(|idle| !Arc::ptr_eq(idle, seat));
                // Unless it was just given work.
                if state.idle.len() < before {
                    state.threads -= 1;
                    return None;
                }
            }
        }
    }

    /// Requests that have waited for `patience`.
    pub(super) fn take_overdue(&self, patience: Duration) -> Vec<Errand<H>> {
        let mut overdue = Vec::new();
        let mut state = self.lock();
        while state.queue.front().is_some_and(|errand| errand.since.elapsed() >= patience) {
            overdue.extend(state.queue.pop_front());
        }
        overdue
    }

    pub(super) fn has_queue(&self) -> bool {
        self.queued() > 0
    }

    /// Requests that wait for a thread.
    pub(super) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Are there threads that serve requests beside the loops?
    pub(super) fn is_serving(&self) -> bool {
        self.lock().serving > 0
    }

    /// Lets all threads end that have nothing to do, now or later.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        for seat in &state.idle {
            seat.changed.notify_one();
        }
    }
}

/// What a thread has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Drove,
    Served,
}

impl<H> Seat<H> {
    /// For a new thread, with its first work.
    pub(super) fn new(work: Work<H>) -> Arc<Self> {
        Arc::new(Self { work: Mutex::new(Some(work)), changed: Condvar::new() })
    }

    fn put(&self, work: Work<H>) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    pub(super) fn take(&self) -> Option<Work<H>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
