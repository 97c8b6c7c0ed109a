//! Sees when a handler waits for something that is not its socket, or just takes long: then its loop goes to another thread.
//!
//! A thread that looks at the loops once in a tick, while any of them is awake. A call that is the same one as a tick ago is
//! stuck. If its thread sleeps, its loop is handed over and its kind of request noted as one that holds its thread up. If its thread
//! computes, or waits for its turn on a processor, the loop is handed over a few ticks later, and its kind is noted only when the
//! thread is found sleeping after all, or has had a processor for long: on a busy machine any handler may seem stuck.
//!
//! A crowd whose handlers compute would otherwise pass through the loop one by one, each for as long as it takes to tell that it
//! computes, and each thread that has lost the loop makes that longer for the next.

use super::kinds::Kind;
use super::message::{Errand, Message, Why};
use super::nap::Nap;
use super::serve::Outcome;
use super::slow::SlowHandlers;
use super::spare::{Need, Work};
use super::{Handler, Reactor};
use crate::metrics::{Event, Tally};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a call may hold up a loop.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Ticks that a call may compute.
const COMPUTING: u32 = 4;
/// Of which its thread had a processor for so long, if it does compute.
const COMPUTES: Duration = Duration::from_millis(2);
/// Ticks for which a handler is watched that computed when it lost its loop.
const WATCHED: u32 = 64;
/// Ticks from one look at how long handlers take to the next.
const HANDLERS: u32 = 64;
/// Ticks without anything to see before it sleeps.
const QUIET: u32 = 16;

/// A thread, as the monitor sees it.
#[derive(Debug)]
pub(super) struct Worker {
    /// The system's number of it.
    thread: u64,
    /// What it counts, which tells the handler in which it is.
    tally: Arc<Tally>,
}

impl Worker {
    /// The calling thread.
    pub(super) fn this(tally: &Arc<Tally>) -> Arc<Self> {
        Arc::new(Self { thread: this_thread(), tally: Arc::clone(tally) })
    }

    fn sleeps(&self) -> bool {
        sleeps(self.thread)
    }

    fn processor_time(&self) -> Option<Duration> {
        processor_time(self.thread)
    }
}

/// A loop, as it was found in the last tick.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    call: u64,
    ticks: u32,
    /// Its handler, and its thread's processor time, when it was found stuck.
    handler: Option<u64>,
    processor_time: Option<Duration>,
    /// A thread was sent for it, which has it or will.
    is_helped: bool,
}

/// A handler that neither slept nor had computed for long when it lost its loop.
#[derive(Debug)]
struct Watched {
    worker: Arc<Worker>,
    handler: u64,
    /// Its thread's processor time then.
    processor_time: Option<Duration>,
    kind: Kind,
    ticks: u32,
}

impl Watched {
    /// Does it hold its thread up?
    fn waits_or_computes(&self) -> bool {
        self.worker.sleeps() || has_computed(self.processor_time, self.worker.processor_time())
    }
}

/// Was so much processor time used in between? Where that cannot be seen, it was not.
fn has_computed(before: Option<Duration>, after: Option<Duration>) -> bool {
    before.zip(after).is_some_and(|(before, after)| after.saturating_sub(before) >= COMPUTES)
}

/// The monitor's life.
pub(super) fn watch<H: Handler>(reactor: &Arc<Reactor<H>>) {
    let nap: &Nap = &reactor.monitor;
    nap.belongs_to(std::thread::current());
    let mut seen = vec![Seen::default(); reactor.loops.len()];
    let mut watched: Vec<Watched> = Vec::new();
    let mut slow = SlowHandlers::default();
    let (mut quiet, mut ticks) = (0, 0);
    while !nap.has_ended() {
        for (index, seen) in seen.iter_mut().enumerate() {
            watched.extend(look(reactor, index, seen));
        }
        watched.retain_mut(|watched| {
            watched.ticks += 1;
            if watched.worker.tally.handler() != Some(watched.handler) || watched.ticks > WATCHED {
                return false;
            }
            let is_known = watched.waits_or_computes();
            if is_known {
                reactor.kinds.saw_wait(watched.kind);
            }
            !is_known
        });
        bring_back(reactor);
        quiet = if has_work(reactor) || !watched.is_empty() { 0 } else { quiet + 1 };
        if quiet < QUIET {
            ticks = (ticks + 1) % HANDLERS;
            if ticks == 0 {
                slow.look(reactor);
            }
            std::thread::sleep(TICK);
            continue;
        }
        let park = || match slow.look(reactor) {
            Some(patience) => std::thread::park_timeout(patience),
            None => std::thread::park(),
        };
        nap.rest(|| has_work(reactor), park);
        quiet = 0;
    }
}

/// Looks at one loop, and hands it over if it is stuck. Tells of a call that is to be watched.
fn look<H: Handler>(reactor: &Arc<Reactor<H>>, index: usize, seen: &mut Seen) -> Option<Watched> {
    let this = reactor.loops.get(index)?;
    let call = this.turn();
    if call == 0 || call != seen.call {
        *seen = Seen { call, ..Seen::default() };
        return None;
    }
    seen.ticks += 1;
    if seen.ticks == 1 && this.is_at_door() {
        // Who connects need not wait until it is handed over.
        reactor.call_to_door(1);
    }
    if seen.is_helped {
        return None;
    }
    let worker = this.worker()?;
    // What is done around handlers may wait, too, and says nothing about them: for the log, or for a disk with a file that is
    // being sent.
    let handler = worker.tally.handler();
    let kind = Some(this.kind.load(Ordering::Relaxed)).filter(|kind| *kind != 0).map(Kind::from_number);
    let sleeps = worker.sleeps();
    let kind = kind.filter(|_| handler.is_some() && worker.tally.handler() == handler);
    let mut is_known = sleeps;
    if !sleeps {
        let processor_time = worker.processor_time();
        if seen.handler != handler {
            (seen.handler, seen.processor_time) = (handler, processor_time);
        }
        if seen.ticks < COMPUTING {
            return None;
        }
        is_known = has_computed(seen.processor_time, processor_time);
    }
    if let (true, Some(kind)) = (is_known, kind) {
        reactor.kinds.saw_wait(kind);
    }
    seen.is_helped = reactor.employ(Work::Drive { index, turn: call }, Need::Handler);
    let (handler, kind) = handler.zip(kind).filter(|_| !is_known)?;
    Some(Watched { worker, handler, processor_time: seen.processor_time, kind, ticks: 0 })
}

/// Brings requests back to their loops that wait for a thread in vain, or need not wait any more.
fn bring_back<H: Handler>(reactor: &Arc<Reactor<H>>) {
    let patience = reactor.settings.queue_patience;
    let are_scarce = reactor.spares.are_scarce();
    let is_over = |errand: &Errand<H>| errand.since.elapsed() >= patience;
    let may_return = |errand: &Errand<H>| errand.why == Why::Unknown && !are_scarce;
    for errand in reactor.spares.take_back(|errand| is_over(errand) || may_return(errand)) {
        let Some(this) = reactor.loops.get(errand.index) else { continue };
        let (returns, key, peer) = (may_return(&errand), errand.key, errand.peer);
        this.inbox.send(if returns {
            Message::Back { key, peer: Some(peer), outcome: Outcome::Again }
        } else {
            reactor.counters.count(Event::QueueTimeOut);
            Message::Refuse { key, peer }
        });
    }
}

fn has_work<H: Handler>(reactor: &Reactor<H>) -> bool {
    reactor.loops.iter().any(|this| !this.inbox.is_asleep()) || reactor.spares.has_queue()
}

/// The system's number of the calling thread.
fn this_thread() -> u64 {
    #[cfg(target_os = "linux")]
    return u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    0
}

/// For how long a thread of this process has had a processor. `None` where that cannot be seen.
fn processor_time(thread: u64) -> Option<Duration> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // NANOSECONDS WAITED TURNS
    let times = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Does a thread of this process sleep? Where that cannot be seen, it does.
fn sleeps(thread: u64) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    // NUMBER (NAME) STATE …: the name may hold everything, but no bracket comes after it.
    let stat = std::fs::read(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    let state = stat.rsplit(|&octet| octet == b')').next().and_then(|rest| rest.get(1));
    // Who is held by a tracer or by SIGSTOP does not wait for anything of its own.
    !matches!(state, Some(b'R' | b't' | b'T'))
}
