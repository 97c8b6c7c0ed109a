//! Sees when a handler waits for something that is not its socket, or just takes long: then its loop goes to another thread.
//!
//! A thread that looks at the loops once in a tick, while any of them is awake. A call that is the same one as a tick ago is
//! stuck. Only if its thread sleeps (and does not compute, or wait for its turn on a processor) is its kind of request noted as
//! one that waits: more threads help those who sleep, and nobody else.

use super::kinds::Kind;
use super::spare::Work;
use super::{Handler, Reactor};
use super::inbox::Message;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// How long a call may hold up a loop.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Ticks without anything to see before it sleeps.
const QUIET: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Monitor {
    thread: OnceLock<Thread>,
    sleeps: AtomicBool,
    ended: AtomicBool,
}

impl Monitor {
    /// A loop is awake: so is the monitor.
    pub(super) fn wake(&self) {
        if self.sleeps.load(Ordering::SeqCst)
            && self.sleeps.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The monitor's life.
pub(super) fn watch<H: Handler>(reactor: &Arc<Reactor<H>>) {
    let monitor = &reactor.monitor;
    _ = monitor.thread.set(std::thread::current());
    let mut seen = vec![0; reactor.loops.len()];
    let mut quiet = 0;
    while !monitor.ended.load(Ordering::SeqCst) {
        for (index, (this, seen)) in reactor.loops.iter().zip(&mut seen).enumerate() {
            let busy = this.busy.load(Ordering::Relaxed);
            if busy != 0 && busy == *seen {
                if sleeps(this.thread.load(Ordering::Relaxed)) {
                    reactor.kinds.saw_wait(Kind::from_number(this.kind.load(Ordering::Relaxed)));
                }
                reactor.employ(Work::Drive { index, turn: busy });
            }
            *seen = busy;
        }
        for errand in reactor.spares.take_overdue(reactor.settings.queue_patience) {
            if let Some(this) = reactor.loops.get(errand.index) {
                this.inbox.send(Message::Refuse { key: errand.key, peer: errand.peer });
            }
        }
        quiet = if has_work(reactor) { 0 } else { quiet + 1 };
        if quiet < QUIET {
            std::thread::sleep(TICK);
            continue;
        }
        // A loop that wakes up looks at this after it has said that it is awake, and this looks at the loops after it.
        monitor.sleeps.store(true, Ordering::SeqCst);
        while monitor.sleeps.load(Ordering::SeqCst)
            && !monitor.ended.load(Ordering::SeqCst)
            && !has_work(reactor)
        {
            std::thread::park();
        }
        monitor.sleeps.store(false, Ordering::SeqCst);
        quiet = 0;
    }
}

fn has_work<H: Handler>(reactor: &Reactor<H>) -> bool {
    reactor.loops.iter().any(|this| !this.inbox.sleeps()) || reactor.spares.has_queue()
}

/// The system's number of the calling thread.
pub(super) fn this_thread() -> u64 {
    #[cfg(target_os = "linux")]
    return u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    0
}

/// Does a thread of this process sleep? Where that cannot be seen, it does.
fn sleeps(thread: u64) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    // NUMBER (NAME) STATE …: the name may hold everything, but no bracket comes after it.
    let stat = std::fs::read(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    let state = stat.rsplit(|&octet| octet == b')').next().and_then(|rest| rest.get(1));
    state != Some(&b'R')
}
