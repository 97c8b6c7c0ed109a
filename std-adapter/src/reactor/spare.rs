//! Threads: those that drive loops, those that serve a request beside them, and those that wait for either.
//!
//! All are alike. A thread whose loop was handed over finishes its handler and joins the ones that wait; one of those drives the
//! loop meanwhile. Their number is bounded, and so is that of the requests that wait for one.
//!
//! The last ones, as many as there are loops, are a reserve: they never serve a request that is known to wait beside its loop,
//! nor wait for clients. They are for loops that a handler holds up. When some of them are needed for that, requests of
//! kinds that nobody knows go to the queue (see [`Spares::are_scarce`]): so a loop is stuck for long only when a handler waits whose
//! kind never did.
//!
//! Clients that send or take content slowly could keep all the others busy. So those make place when few are left: see
//! [`Spares::want_place`].

use super::sync::{AtomicUsize, Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A thread that had nothing to do for so long ends, if there are more than one for each loop.
const IDLE: Duration = Duration::from_secs(10);

/// What a thread can do.
#[derive(Debug)]
pub(super) enum Work<E> {
    /// Drive a loop, if it is still in the call of that number.
    Drive { index: usize, turn: u64 },
    /// Serve a request of a kind that waits.
    Serve(E),
}

/// How many threads, and how many requests that wait for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) loops: usize,
    /// Threads beside those that drive loops and those that are their reserve; at least 1.
    pub(super) spares: usize,
    pub(super) queue: usize,
}

impl Bounds {
    fn threads_max(&self) -> usize {
        self.loops + self.spares + self.loops
    }

    /// An eighth of them is for clients that do not keep them waiting for long.
    fn few(&self) -> usize {
        self.loops + self.spares / 8
    }
}

/// The threads of a server.
#[derive(Debug)]
pub(super) struct Spares<E> {
    bounds: Bounds,
    state: Mutex<State<E>>,
    /// Threads with nothing to do, and those that can still be made. Changed under the lock, and read without it.
    free: AtomicUsize,
}

#[derive(Debug)]
struct State<E> {
    /// Threads with nothing to do; the one that worked last is last, and works next.
    idle: Vec<Arc<Seat<E>>>,
    threads: usize,
    /// Threads that serve requests beside the loops.
    serving: usize,
    queue: VecDeque<E>,
    /// Somebody did not get a thread, or not at once, since the last one was told to make place.
    lacking: bool,
    /// Threads that are coming back because they were told so.
    leaving: usize,
    ended: bool,
}

/// Where a thread waits: always for a change of the pool's state.
#[derive(Debug)]
pub(super) struct Seat<E> {
    work: Mutex<Option<Work<E>>>,
    changed: Condvar,
}

/// Why does a loop need a thread?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Its own is about to wait for a client. Clients can make as many threads wait as they like, so they do not get the reserve.
    Client,
    /// It has none, or its own is stuck in a handler, or will be.
    Handler,
}

/// What became of work that was given away.
#[derive(Debug)]
pub(super) enum Given<E> {
    /// A thread has it, or will.
    Taken,
    /// A thread must be made for it.
    Spawn(Work<E>),
    /// There are no more threads.
    Refused(Work<E>),
}

impl<E> Spares<E> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            idle: Vec::new(),
            threads: 0,
            serving: 0,
            queue: VecDeque::new(),
            lacking: false,
            leaving: 0,
            ended: false,
        };
        let free = AtomicUsize::new(bounds.threads_max());
        Self { bounds, state: Mutex::new(state), free }
    }

    /// No code panics while it holds the lock; if it did, the state would still be whole.
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a thread for a loop.
    pub(super) fn give(&self, work: Work<E>, need: Need) -> Given<E> {
        let mut state = self.lock();
        if need == Need::Client && self.is_down_to_reserve(&state) {
            state.lacking = true;
            return Given::Refused(work);
        }
        self.employ(&mut state, work)
    }

    /// Finds a thread for a request, or a place in the queue.
    pub(super) fn serve(&self, errand: E) -> Given<E> {
        let mut state = self.lock();
        if !self.is_down_to_reserve(&state) {
            state.serving += 1;
            return self.employ(&mut state, Work::Serve(errand));
        }
        state.lacking = true;
        if state.queue.len() < self.bounds.queue {
            state.queue.push_back(errand);
            return Given::Taken;
        }
        Given::Refused(Work::Serve(errand))
    }

    /// Is there, as far as is known, a loop that nobody could take over?
    pub(super) fn are_scarce(&self) -> bool {
        self.free.load(Ordering::Relaxed) < self.bounds.loops
    }

    /// Is the thread wanted on which a handler waits for a slow client? As long as there are few others; where there are never
    /// many, once for each time that somebody did not get one.
    pub(super) fn want_place(&self) -> bool {
        let mut state = self.lock();
        let free = self.free(&state) + state.leaving;
        let wants = free < self.bounds.few() || (free <= self.bounds.loops && state.lacking);
        if wants {
            state.lacking = false;
            state.leaving += 1;
        }
        wants
    }

    fn free(&self, state: &State<E>) -> usize {
        state.idle.len() + self.bounds.threads_max().saturating_sub(state.threads)
    }

    fn is_down_to_reserve(&self, state: &State<E>) -> bool {
        self.free(state) <= self.bounds.loops
    }

    /// Something has changed.
    fn note(&self, state: &State<E>) {
        self.free.store(self.free(state), Ordering::Relaxed);
    }

    fn employ(&self, state: &mut State<E>, work: Work<E>) -> Given<E> {
        let given = if let Some(seat) = state.idle.pop() {
            seat.put(work);
            seat.changed.notify_one();
            Given::Taken
        } else if state.threads < self.bounds.threads_max() {
            state.threads += 1;
            Given::Spawn(work)
        } else {
            Given::Refused(work)
        };
        self.note(state);
        given
    }

    /// A thread that was to be made was not.
    pub(super) fn not_spawned(&self, work: &Work<E>) {
        let mut state = self.lock();
        state.threads -= 1;
        if let Work::Serve(_) = work {
            state.serving -= 1;
        }
        self.note(&state);
    }

    /// The next work of a thread that has `done` its last; `None` when it is to end.
    pub(super) fn next(&self, seat: &Arc<Seat<E>>, done: Done) -> Option<Work<E>> {
        let mut state = self.lock();
        if done == Done::Served {
            state.serving -= 1;
        }
        // Whoever comes back is as good as the one that was told to.
        state.leaving = state.leaving.saturating_sub(1);
        if state.ended {
            return self.leave(&mut state);
        }
        state.idle.push(Arc::clone(seat));
        if !self.is_down_to_reserve(&state)
            && let Some(errand) = state.queue.pop_front()
        {
            state.idle.pop();
            state.serving += 1;
            return Some(Work::Serve(errand));
        }
        self.note(&state);
        // As many as there are loops are kept, and sleep until they are needed.
        let kept = state.idle.len() <= self.bounds.loops;
        loop {
            if let Some(work) = seat.take() {
                return Some(work);
            }
            if state.ended {
                return self.leave(&mut state);
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
                    return self.leave(&mut state);
                }
            }
        }
    }

    /// A thread ends.
    fn leave(&self, state: &mut State<E>) -> Option<Work<E>> {
        state.threads -= 1;
        self.note(state);
        None
    }

    /// Takes requests back that wait for a thread.
    pub(super) fn take_back(&self, is_wanted: impl Fn(&E) -> bool) -> VecDeque<E> {
        let mut state = self.lock();
        let (wanted, left) = std::mem::take(&mut state.queue).into_iter().partition(is_wanted);
        state.queue = left;
        wanted
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

impl<E> Seat<E> {
    /// For a new thread, with its first work.
    pub(super) fn new(work: Work<E>) -> Arc<Self> {
        Arc::new(Self { work: Mutex::new(Some(work)), changed: Condvar::new() })
    }

    fn put(&self, work: Work<E>) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    pub(super) fn take(&self) -> Option<Work<E>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
