//! What other threads have to say to a loop.

use super::peer::Peer;
use super::poller::{Socket, Waker};
use super::serve::Outcome;
use super::slab::Key;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) enum Message<H> {
    /// A connection that another loop has accepted.
    New { socket: Socket, address: Option<SocketAddr> },
    /// A connection of its own that was served elsewhere; without `peer` it is over.
    Back { key: Key, peer: Option<Box<Peer<H>>>, outcome: Outcome },
    /// A request that has waited for a thread for too long.
    Refuse { key: Key, peer: Box<Peer<H>> },
    /// There is place for connections again.
    Listen,
    /// A place is needed: close what is idle for longest.
    MakePlace,
}

/// Messages, and a call for a loop that sleeps.
///
/// Whoever writes says so and then looks whether the loop sleeps; the loop says that it sleeps and then looks whether somebody
/// wrote. Both in one order that all threads agree on, so that one of the two sees the other.
#[derive(Debug)]
pub(super) struct Inbox<H> {
    messages: Mutex<Vec<Message<H>>>,
    has_messages: AtomicBool,
    sleeps: AtomicBool,
    waker: Waker,
}

impl<H> Inbox<H> {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            messages: Mutex::new(Vec::new()),
            has_messages: AtomicBool::new(false),
            sleeps: AtomicBool::new(false),
            waker,
        }
    }

    /// Wakes the loop, without a message.
    pub(super) fn call(&self) {
        self.waker.wake();
    }

    pub(super) fn send(&self, message: Message<H>) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.has_messages.store(true, Ordering::SeqCst);
        if self.sleeps.load(Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    pub(super) fn take(&self) -> Vec<Message<H>> {
        if !self.has_messages.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_messages.store(false, Ordering::Relaxed);
        std::mem::take(&mut *messages)
    }

    /// The loop is going to sleep. False when it must not.
    pub(super) fn sleep(&self) -> bool {
        self.sleeps.store(true, Ordering::SeqCst);
        !self.has_messages.load(Ordering::SeqCst)
    }

    pub(super) fn wake_up(&self) {
        self.sleeps.store(false, Ordering::SeqCst);
    }

    pub(super) fn sleeps(&self) -> bool {
        self.sleeps.load(Ordering::SeqCst)
    }
}
