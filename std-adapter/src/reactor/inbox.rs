//! What other threads have to say to a loop.

use super::sync::{AtomicU8, Mutex};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Ends a loop's wait.
pub(super) trait Wake {
    fn wake(&self);
}

/// Messages, and a call for a loop that sleeps.
///
/// Whether it sleeps and whether it is called is one word: of a writer who calls and a loop that goes to sleep, one is first, and
/// the other one sees it.
#[derive(Debug)]
pub(super) struct Inbox<M, W> {
    messages: Mutex<Vec<M>>,
    state: AtomicU8,
    waker: W,
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
/// There are messages, and if it slept it was woken.
const CALLED: u8 = 2;

impl<M, W: Wake> Inbox<M, W> {
    pub(super) fn new(waker: W) -> Self {
        Self { messages: Mutex::new(Vec::new()), state: AtomicU8::new(AWAKE), waker }
    }

    /// Wakes the loop, without a message.
    pub(super) fn call(&self) {
        self.waker.wake();
    }

    pub(super) fn send(&self, message: M) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if self.state.swap(CALLED, Ordering::AcqRel) == ASLEEP {
            self.waker.wake();
        }
    }

    pub(super) fn take(&self) -> Vec<M> {
        if self.state.load(Ordering::Relaxed) != CALLED {
            return Vec::new();
        }
        // Who writes from here on calls anew.
        self.state.swap(AWAKE, Ordering::AcqRel);
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The loop is going to sleep. False when it must not.
    pub(super) fn sleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The loop is awake, or did not sleep. Whatever a thread did before it [found it sleeping](Self::is_asleep) is seen from
    /// here on.
    pub(super) fn wake_up(&self) {
        // When it fails there is a message.
        _ = self.state.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Does the loop sleep? It is asked by a write, so that a loop that wakes up later sees what was done before.
    pub(super) fn is_asleep(&self) -> bool {
        self.state.fetch_or(0, Ordering::AcqRel) == ASLEEP
    }
}
