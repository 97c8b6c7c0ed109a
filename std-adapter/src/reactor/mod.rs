//! The engine: event loops that serve many connections each, with handlers that are plain functions.
//!
//! ```text
//!              ┌──────── loop (epoll, slots, deadlines) ────────┐
//!   sockets ──►│ wait ─► serve: recv, head, handler, send ──► … │──► wait ─► …
//!              └────────────────────│───────────────────────────┘
//!                                   │ the handler is about to wait, or was seen to
//!                                   ▼
//!                 a spare thread drives the loop from here on; this one
//!                 finishes the handler, brings the connection back, and is spare
//! ```
//!
//! A loop belongs to whichever thread drives it. Its handlers run on that thread, one after the other, with no queue and no
//! second thread between a request and its answer. That is the fastest thing there is as long as a handler does not wait; so
//! before one waits for its client ([`stream`]), or when one was found waiting for something else ([`monitor`]), another thread
//! takes the loop. Requests of a [kind](kinds) that was found waiting go to another thread up front.
//!
//! One loop lets clients in, and others help it when it does not keep up; who stays settles in the loop that has fewest.
//! What a connection at rest keeps is in [`peer`]: no buffers, no thread.

mod descriptors;
mod desk;
mod event_loop;
mod exchange;
mod guard;
mod helm;
mod inbox;
mod kinds;
mod lent;
mod message;
mod monitor;
mod nap;
mod peer;
mod poller;
mod proxy;
mod rates;
mod serve;
mod slab;
mod slow;
mod spare;
mod stream;
mod sync;
mod timer;

pub(crate) use rates::Rates;

use crate::clock::{SystemClock, next_ms, tick_ms};
use crate::listener::Listener;
use crate::log::Log;
use crate::metrics::{Counters, Event, Snapshot};
use crate::settings::Settings;
use descriptors::Descriptors;
use event_loop::Loop;
use httpling_core::{Config, RequestHandler, ServerName};
use kinds::Kinds;
use lent::{Held, Lent};
use message::{Errand, Message};
use monitor::Worker;
use nap::Nap;
use serve::Tools;
use slab::Stage;
use spare::{Bounds, Done, Given, Need, Seat, Spares, Work};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A handler that can go from thread to thread.
pub(crate) trait Handler: RequestHandler + Send + 'static {}

impl<H: RequestHandler + Send + 'static> Handler for H {}

/// Makes handlers; `None` when it makes no more.
pub(crate) type Factory<H> = Box<dyn Fn(Option<SocketAddr>) -> Option<H> + Send + Sync>;

/// Content so short is waited for by the loop, and longer content by its handler, on a thread of its own: what is longer might be
/// refused before it is sent, and costs a connection as much memory as it has octets.
const AWAITED_BYTES_MAX: u32 = 16 * 1024;

/// How long after the end of the drain a loop may need to notice it.
const GRACE: Duration = Duration::from_millis(500);

/// What a server has whether it is being driven or not.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) settings: Settings,
    pub(crate) clock: SystemClock,
    pub(crate) log: Option<Log>,
    pub(crate) counters: Counters,
    stopping: AtomicBool,
    /// What is to be told when it ends.
    driven: Mutex<Vec<Arc<dyn Driven>>>,
}

/// Something that looks at [`Base::stopping`] when it is woken.
trait Driven: fmt::Debug + Send + Sync {
    fn wake(&self);

    /// Asks each loop for an answer, and says how many there are.
    fn ask(&self, answer: &Sender<()>) -> usize;

    /// Requests that wait for a thread.
    fn queued(&self) -> usize;

    /// Octets of memory that are lent to unfinished requests.
    fn lent(&self) -> usize;

    /// Octets of memory that are lent to responses that were not taken.
    fn unsent(&self) -> usize;
}

impl Base {
    pub(crate) fn new(settings: Settings, clock: SystemClock, log: Option<Log>) -> Self {
        Self {
            settings,
            clock,
            log,
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            driven: Mutex::default(),
        }
    }

    /// What has happened so far, in numbers.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let driven = self.driven();
        let sum = |of: fn(&dyn Driven) -> usize| driven.iter().map(|driven| of(&**driven) as u64).sum();
        Snapshot {
            requests_queued: sum(|driven| driven.queued()),
            bytes_lent: sum(|driven| driven.lent()),
            bytes_unsent: sum(|driven| driven.unsent()),
            log_lines_lost: self.log.as_ref().map_or(0, Log::lost),
            ..self.counters.snapshot()
        }
    }

    /// Does each loop answer in time? One that ends need not.
    pub(crate) fn answers(&self, patience: Duration) -> bool {
        let (answer, answers) = channel();
        let asked: usize = self.driven().iter().map(|driven| driven.ask(&answer)).sum();
        let end = Instant::now() + patience;
        let in_time = |_| answers.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok();
        (0..asked).all(in_time) || self.is_stopping()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends all that drives it.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for driven in &*self.driven() {
            driven.wake();
        }
    }

    fn driven(&self) -> MutexGuard<'_, Vec<Arc<dyn Driven>>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Config<'_> {
        let settings = &self.settings;
        Config {
            limits: settings.limits,
            leniency: settings.leniency,
            protocol: settings.protocol,
            awaited_content_bytes_max: AWAITED_BYTES_MAX,
            server: settings.server.as_deref().and_then(ServerName::new),
            error_page: settings.error_page,
            clock: Some(&self.clock),
            stopping: Some(&self.stopping),
            ..Config::DEFAULT
        }
    }
}

/// A server that is being driven.
struct Reactor<H> {
    base: Arc<Base>,
    factory: Factory<H>,
    listeners: Arc<[Listener]>,
    /// Loops that listen.
    listening: AtomicUsize,
    loops: Vec<Loop<H>>,
    spares: Spares<Errand<H>>,
    kinds: Kinds,
    lent: Lent,
    unsent: Lent,
    monitor: Nap,
    /// In the system's milliseconds.
    began: u64,
    /// Connections there are, and may be.
    connections: AtomicUsize,
    connections_max: usize,
    descriptors: Descriptors,
    /// Connections that may still be accepted.
    accepts_left: AtomicU64,
    /// A loop waits for a connection to end.
    needs_place: AtomicBool,
    last_complaint: AtomicU64,
    running: Mutex<usize>,
    ended: Condvar,
}

impl<H> fmt::Debug for Reactor<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<H> std::ops::Deref for Reactor<H> {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

/// How much of a server is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) loops: usize,
    /// Connections that are accepted.
    pub(crate) accepts: u64,
}

/// Serves the connections of these listeners until the server is stopped, or as many as are wanted.
///
/// # Errors
/// When there are no descriptors or threads to begin with.
pub(crate) fn run<H: Handler>(
    base: &Arc<Base>,
    listeners: &Arc<[Listener]>,
    extent: Extent,
    factory: Factory<H>,
) -> io::Result<()> {
    let settings = &base.settings;
    let descriptors = Descriptors::raise(settings.descriptors_reserved, extent.loops);
    let connections_max = settings.connections_max.min(descriptors.connections_max());
    let loops =
        (0..extent.loops).map(|index| Loop::new(index, listeners)).collect::<io::Result<Vec<Loop<H>>>>()?;
    let bounds = Bounds { loops: extent.loops, spares: settings.spares, queue: settings.queue_max };
    let reactor = Arc::new(Reactor {
        base: Arc::clone(base),
        factory,
        listeners: Arc::clone(listeners),
        listening: AtomicUsize::new(extent.loops),
        loops,
        spares: Spares::new(bounds),
        kinds: Kinds::default(),
        lent: Lent::new(settings.lent_bytes_max),
        unsent: Lent::new(settings.unsent_bytes_max),
        monitor: Nap::default(),
        began: tick_ms(),
        connections: AtomicUsize::new(0),
        connections_max,
        descriptors,
        accepts_left: AtomicU64::new(extent.accepts),
        needs_place: AtomicBool::new(false),
        last_complaint: AtomicU64::new(0),
        running: Mutex::new(extent.loops),
        ended: Condvar::new(),
    });
    let driven: Arc<dyn Driven> = Arc::<Reactor<H>>::clone(&reactor);
    base.driven().push(Arc::clone(&driven));
    let watched = Arc::clone(&reactor);
    std::thread::Builder::new().name("httpling-watch".to_owned()).spawn(move || monitor::watch(&watched))?;
    let mut result = Ok(());
    for index in 0..extent.loops {
        if !reactor.employ(Work::Drive { index, turn: 0 }, Need::Handler) {
            result = Err(io::Error::other("cannot start the threads of the server"));
            base.stop();
            reactor.loop_ended();
        }
    }
    reactor.wait();
    reactor.monitor.end();
    reactor.spares.end();
    base.driven().retain(|other| !Arc::ptr_eq(other, &driven));
    if let Some(log) = &base.log {
        log.drain(Duration::from_millis(200));
    }
    result
}

impl<H: Handler> Driven for Reactor<H> {
    fn ask(&self, answer: &Sender<()>) -> usize {
        for this in &self.loops {
            this.inbox.send(Message::Answer(answer.clone()));
        }
        self.loops.len()
    }

    fn wake(&self) {
        for this in &self.loops {
            this.inbox.call();
        }
        // Whoever is about to wait has the lock, and has not looked yet or waits already.
        drop(self.running.lock());
        self.ended.notify_all();
    }

    fn queued(&self) -> usize {
        self.spares.queued()
    }

    fn lent(&self) -> usize {
        self.lent.bytes()
    }

    fn unsent(&self) -> usize {
        self.unsent.bytes()
    }
}

impl<H: Handler> Reactor<H> {
    /// Waits until all loops have ended; when the server is stopping, not longer than its connections may take.
    fn wait(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while *running > 0 && !self.is_stopping() {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + self.settings.drain + GRACE;
        while *running > 0 {
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return;
            }
            running = self.ended.wait_timeout(running, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn loop_ended(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.ended.notify_all();
    }

    /// Finds a thread for a piece of work. False when there is none.
    fn employ(self: &Arc<Self>, work: Work<Errand<H>>, need: Need) -> bool {
        match self.spares.give(work, need) {
            Given::Taken => true,
            Given::Spawn(work) => self.spawn(work).is_none(),
            Given::Refused(_) => false,
        }
    }

    /// Makes a thread, which begins with this work. Gives the work back when that cannot be.
    fn spawn(self: &Arc<Self>, work: Work<Errand<H>>) -> Option<Work<Errand<H>>> {
        // What is moved into a thread that is not made is lost, and a connection is worth more than that.
        let seat = Seat::new(work);
        let (reactor, seat_too) = (Arc::clone(self), Arc::clone(&seat));
        let spawned =
            std::thread::Builder::new().name("httpling".to_owned()).spawn(move || reactor.live(&seat_too));
        if spawned.is_ok() {
            return None;
        }
        let work = seat.take()?;
        self.spares.not_spawned(&work);
        Some(work)
    }

    /// A thread's life.
    fn live(self: &Arc<Self>, seat: &Arc<Seat<Errand<H>>>) {
        let mut tools = Tools::new(&self.base);
        let worker = Worker::this(&tools.counts.tally);
        let mut next = seat.take();
        while let Some(work) = next {
            let done = match work {
                Work::Drive { index, turn } => {
                    event_loop::drive(self, index, turn, &worker, &mut tools);
                    Done::Drove
                }
                Work::Serve(errand) => {
                    event_loop::serve_beside(self, errand, &mut tools);
                    Done::Served
                }
            };
            next = self.spares.next(seat, done);
        }
    }
}

impl<H> Reactor<H> {
    /// Milliseconds since it began, as of the system's last tick.
    fn now(&self) -> u64 {
        tick_ms().saturating_sub(self.began)
    }

    /// Milliseconds since it began that are not over yet: a deadline that counts from here is never early.
    fn now_or_later(&self) -> u64 {
        next_ms().saturating_sub(self.began)
    }

    /// A connection held so much, and holds so much now.
    fn lend(&self, held: Held, holds: Held) {
        self.lent.change(held.pending, holds.pending);
        self.unsent.change(held.unsent, holds.unsent);
    }

    fn message(&self, text: &str) {
        if let Some(log) = &self.log {
            log.message(None, text);
        }
    }

    /// As [`message`](Self::message), at most once a second.
    fn complain(&self, text: &str) {
        let second = self.now() / 1000 + 1;
        if self.last_complaint.swap(second, Ordering::Relaxed) != second {
            self.message(text);
        }
    }

    // ---- how many connections ----

    fn accepts_no_more(&self) -> bool {
        self.accepts_left.load(Ordering::Relaxed) == 0
    }

    /// A loop listens no more. With the last one, nobody does.
    fn listens_no_more(&self) {
        if self.listening.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.listeners.iter().for_each(Listener::close);
        }
    }

    fn has_place(&self) -> bool {
        self.connections.load(Ordering::SeqCst) < self.connections_max
    }

    /// Takes a place for the connection that is accepted next: two loops that only looked would both find the last one. False
    /// when there is none.
    fn take_place(&self) -> bool {
        let next = |count| (count < self.connections_max).then_some(count + 1);
        self.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// Takes the place of a connection that is going to end.
    fn take_place_of_another(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    /// A connection has its place.
    fn connection_began(&self) {
        self.counters.count(Event::Accepted);
        // Without a bound it is never used up.
        self.accepts_left.fetch_sub(1, Ordering::Relaxed);
    }

    fn wait_for_place(&self) {
        self.needs_place.store(true, Ordering::SeqCst);
    }

    fn connection_ended(&self) {
        self.counters.count(Event::Closed);
        self.return_place();
    }

    fn return_place(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
        if self.needs_place.load(Ordering::SeqCst) && self.needs_place.swap(false, Ordering::SeqCst) {
            for this in &self.loops {
                this.inbox.send(Message::Listen);
            }
        }
    }
}

impl Settings {
    /// How long a connection may be in a stage.
    fn patience_ms(&self, stage: Stage) -> u64 {
        let rates = &self.rates;
        let patience = match stage {
            Stage::New => rates.first_byte,
            Stage::Idle => rates.idle,
            Stage::Head => rates.head,
            Stage::Content => rates.content,
            Stage::Writing => rates.write,
            Stage::Draining | Stage::Lingering => self.discard,
        };
        u64::try_from(patience.as_millis()).unwrap_or(u64::MAX / 2)
    }
}

/// Faults of the client's or of the network on the way: the next connection may be there already.
#[cfg(target_os = "linux")]
fn is_clients_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // Linux tells whoever accepts of what has already happened to the connection.
    let known = [
        Errno::CONNRESET,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::NONET,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::PROTO,
        Errno::TIMEDOUT,
    ];
    // We say it, too, of a client whose address is gone.
    error.kind() == io::ErrorKind::ConnectionAborted
        || Errno::from_io_error(error).is_some_and(|error| known.contains(&error))
}

/// Faults of the client's or of the network on the way: the next connection may be there already.
#[cfg(not(target_os = "linux"))]
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        TimedOut,
    };
    let known = [
        ConnectionAborted,
        ConnectionReset,
        HostUnreachable,
        Interrupted,
        NetworkDown,
        NetworkUnreachable,
        TimedOut,
    ];
    known.contains(&error.kind())
}
