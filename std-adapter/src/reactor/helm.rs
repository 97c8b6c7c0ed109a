//! Who drives a loop?
//!
//! Its books are behind one lock, which the thread that drives the loop holds while it waits and while it keeps them, and gives
//! back for as long as a call lasts in which a connection is served. So a spare thread that finds the lock free, and the call
//! still the one that it was sent for, has the loop and a driver's number of its own; and the thread that comes out of a long
//! call and finds another number than its own has lost it. Nobody ever sleeps for that lock.

use super::sync::{AtomicU64, TryMutex, TryMutexGuard, hint};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};

/// A loop's books, and whose they are.
#[derive(Debug)]
pub(super) struct Helm<S> {
    books: TryMutex<S>,
    /// The number of the call in which its driver is; 0 outside of calls.
    turn: AtomicU64,
    /// How many threads have driven it: the number of the one that does. Changed under the lock, and read without it.
    driver: AtomicU64,
}

impl<S> Helm<S> {
    pub(super) fn new(books: S) -> Self {
        Self { books: TryMutex::new(books), turn: AtomicU64::new(0), driver: AtomicU64::new(0) }
    }

    /// The call in which its driver is; 0 outside of calls.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// Makes the calling thread the driver, if the last one is still in the call of that number, and tells it the books and its
    /// own number.
    pub(super) fn take_over(&self, turn: u64) -> Option<(TryMutexGuard<'_, S>, u64)> {
        while self.turn() == turn {
            // Whoever has the lock takes the loop over, or came too late for another call and is about to go, or is the driver on
            // its way back: that is a few instructions. To give up here would leave a loop alone that waits for this thread.
            let Some(books) = self.try_lock() else {
                hint::spin_loop();
                continue;
            };
            if self.turn() != turn {
                return None;
            }
            let driver = self.driver.load(Ordering::Relaxed) + 1;
            self.driver.store(driver, Ordering::Release);
            self.turn.store(0, Ordering::Relaxed);
            return Some((books, driver));
        }
        None
    }

    /// The driver begins a call, and gives the books back while it lasts.
    pub(super) fn begin(&self, books: TryMutexGuard<'_, S>, turn: u64) {
        self.turn.store(turn, Ordering::Relaxed);
        drop(books);
    }

    /// The call has ended: gives the books to the thread that was the driver of that number, if it still is.
    pub(super) fn go_on(&self, driver: u64) -> Option<TryMutexGuard<'_, S>> {
        while self.driver.load(Ordering::Acquire) == driver {
            match self.try_lock() {
                Some(books) if self.driver.load(Ordering::Acquire) == driver => {
                    self.turn.store(0, Ordering::Relaxed);
                    return Some(books);
                }
                Some(_) => return None,
                // Somebody takes it over, or has come too late for that and is about to go.
                None => hint::spin_loop(),
            }
        }
        None
    }

    /// The books, if nobody has them open. (No code panics while it has; if it did, they would still be whole.)
    fn try_lock(&self) -> Option<TryMutexGuard<'_, S>> {
        match self.books.try_lock() {
            Ok(books) => Some(books),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
