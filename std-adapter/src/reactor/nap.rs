//! The sleep of a thread that is needed only while others are awake.

use super::sync::{AtomicBool, Thread};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// Where the thread sleeps.
#[derive(Debug, Default)]
pub(super) struct Nap {
    thread: OnceLock<Thread>,
    sleeps: AtomicBool,
    ended: AtomicBool,
}

impl Nap {
    /// Whose it is.
    pub(super) fn belongs_to(&self, thread: Thread) {
        _ = self.thread.set(thread);
    }

    /// Somebody is awake, and has said so: so is this thread.
    pub(super) fn wake(&self) {
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::AcqRel) {
            self.unpark();
        }
    }

    /// Ends it for good.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.unpark();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sleeps, by `park`, until it is woken, it is ended, or there is work. Somebody who wakes up says so and then looks at
    /// `sleeps`, and this says that it sleeps and then looks who is awake: one of the two sees the other, because the look is a
    /// write (see `Inbox::is_asleep`).
    pub(super) fn rest(&self, has_work: impl Fn() -> bool, mut park: impl FnMut()) {
        self.sleeps.store(true, Ordering::Release);
        while self.sleeps.load(Ordering::Acquire) && !self.has_ended() && !has_work() {
            park();
        }
        self.sleeps.store(false, Ordering::Release);
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
