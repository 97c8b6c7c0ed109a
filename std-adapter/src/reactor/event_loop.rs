//! A loop: its sockets, its connections, its deadlines.
//!
//! All of it is behind one lock, which the thread that drives the loop holds while it waits and while it keeps its books, and
//! gives back while it serves a connection. So a spare thread that finds the lock free, and the call still the one that it was
//! sent for, has the loop and a driver's number of its own; and the thread that comes out of a long handler and finds another
//! number than its own has lost it. Nobody ever waits for that lock.

use super::desk::Desk;
use super::guard::contained;
use super::inbox::{Inbox, Message};
use super::monitor::{self, Worker};
use super::peer::{Call, Peer};
use super::poller::{ACCEPT_UNTIL_EMPTY, LISTENER, Listener, Occurrence, Poller, Readiness, Socket, WAKER};
use super::serve::{Before, Outcome, Service, Tools};
use super::slab::{Key, Slab, Stage};
use super::spare::{Errand, Given, Work};
use super::timer::Wheel;
use super::{Handler, Reactor};
use crate::metrics::Event;
use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Connections that are accepted before others have their turn.
const ACCEPTED_MAX: usize = 64;
/// Idle connections that are looked for at once when places are needed.
const VICTIMS: usize = 16;
/// How long a connection must have been idle to be closed for another one: its request may be on its way.
const IDLE_MIN_MS: u64 = 250;

/// A loop, as other threads see it.
#[derive(Debug)]
pub(super) struct Loop<H> {
    state: Mutex<State<H>>,
    pub(super) inbox: Inbox<H>,
    /// The number of the call in which its thread is; 0 outside of calls.
    pub(super) busy: AtomicU64,
    /// What kind of request it is serving; 0 when that is of no interest.
    pub(super) kind: AtomicU64,
    /// How many threads have driven it: the number of the one that does. Changed under the lock, and read without it.
    driver: AtomicU64,
    /// Who that is.
    worker: Mutex<Option<Arc<Worker>>>,
    /// Connections that it has, or is going to have.
    connections: AtomicUsize,
}

/// What belongs to the thread that drives the loop.
#[derive(Debug)]
struct State<H> {
    /// How many calls there were.
    calls: u64,
    poller: Poller,
    listening: Listening,
    occurrences: Vec<Occurrence>,
    next_occurrence: usize,
    /// What is to be done besides: turns that were put off, deadlines that are over.
    tasks: VecDeque<(Key, Call)>,
    slab: Slab<H>,
    wheel: Wheel,
    /// Milliseconds since the server began, when the poller last returned.
    now: u64,
    expired: Vec<u32>,
    victims: Vec<(Key, u64)>,
    /// When connections are cut, once the server is stopping.
    end: Option<u64>,
}

#[derive(Debug)]
struct Listening {
    listener: Option<Listener>,
    is_on: bool,
    /// How many are expected in the queue.
    guess: usize,
    /// Accepting goes on at this moment, after a fault.
    resumes: Option<u64>,
    pause: Duration,
}

/// A connection to be served.
struct Task<H> {
    key: Key,
    peer: Box<Peer<H>>,
    call: Call,
    before: Before,
}

/// The shortest and the longest pause after a fault that stays for a while.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl<H: Handler> Loop<H> {
    pub(super) fn new(mut listener: Listener) -> io::Result<Self> {
        let (poller, waker) = Poller::new()?;
        poller.add_listener(&mut listener)?;
        let listening =
            Listening { listener: Some(listener), is_on: true, guess: 1, resumes: None, pause: PAUSE };
        let state = State {
            calls: 0,
            poller,
            listening,
            occurrences: Vec::new(),
            next_occurrence: 0,
            tasks: VecDeque::new(),
            slab: Slab::new(),
            wheel: Wheel::default(),
            now: 0,
            expired: Vec::new(),
            victims: Vec::new(),
            end: None,
        };
        Ok(Self {
            state: Mutex::new(state),
            inbox: Inbox::new(waker),
            busy: AtomicU64::new(0),
            kind: AtomicU64::new(0),
            driver: AtomicU64::new(0),
            worker: Mutex::default(),
            connections: AtomicUsize::new(0),
        })
    }

    /// The loop's books, if nobody has them open. (No code panics while it has; if it did, they would still be whole.)
    fn try_lock(&self) -> Option<MutexGuard<'_, State<H>>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Makes the calling thread its driver, if its last one is still in the call of that number.
    fn take_over(&self, turn: u64, worker: &Arc<Worker>) -> Option<MutexGuard<'_, State<H>>> {
        let state = self.try_lock()?;
        if self.busy.load(Ordering::Relaxed) != turn {
            return None;
        }
        self.driver.fetch_add(1, Ordering::Release);
        self.busy.store(0, Ordering::Relaxed);
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(worker));
        Some(state)
    }

    /// Gives the loop back to the thread that was its driver of that number, if it still is.
    fn go_on(&self, driver: u64) -> Option<MutexGuard<'_, State<H>>> {
        while self.driver.load(Ordering::Acquire) == driver {
            match self.try_lock() {
                Some(state) if self.driver.load(Ordering::Acquire) == driver => return Some(state),
                Some(_) => return None,
                // Somebody takes it over, or has come too late for that and is about to go: that is a few instructions.
                None => std::hint::spin_loop(),
            }
        }
        None
    }

    /// The thread that drives it.
    pub(super) fn worker(&self) -> Option<Arc<Worker>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Drives a loop until it ends or is handed over.
pub(super) fn drive<H: Handler>(
    reactor: &Arc<Reactor<H>>,
    index: usize,
    turn: u64,
    worker: &Arc<Worker>,
    tools: &mut Tools<'_>,
) {
    let Some(this) = reactor.loops.get(index) else { return };
    let Some(mut state) = this.take_over(turn, worker) else { return };
    let driver = this.driver.load(Ordering::Relaxed);
    let tally = Arc::clone(&tools.counts.tally);
    loop {
        let Some(mut task) = state.next(reactor, this, index) else { break };
        state.calls += 1;
        let turn = state.calls;
        worker.call.store(turn, Ordering::Relaxed);
        this.busy.store(turn, Ordering::Relaxed);
        drop(state);

        let desk = Desk::new(reactor, index, Some(turn), &tally);
        let Task { key, ref mut peer, call, before } = task;
        let outcome = Service { peer, call, before, tools, desk: &desk }.serve();
        let peer = unless_gone(reactor, task.peer, outcome);
        worker.call.store(0, Ordering::Relaxed);

        let Some(again) = this.go_on(driver) else {
            this.inbox.send(Message::Back { key, peer, outcome });
            return;
        };
        state = again;
        this.busy.store(0, Ordering::Relaxed);
        state.settle(reactor, this, index, key, peer, outcome);
    }
    drop(state);
    reactor.loop_ended();
}

/// Serves a request of a kind that waits, on a thread of its own, and brings the connection back to its loop.
pub(super) fn serve_beside<H: Handler>(reactor: &Arc<Reactor<H>>, errand: Errand<H>, tools: &mut Tools<'_>) {
    let Errand { index, key, mut peer, since: _ } = errand;
    let Some(this) = reactor.loops.get(index) else { return };
    let tally = Arc::clone(&tools.counts.tally);
    let desk = Desk::new(reactor, index, None, &tally);
    let began = Instant::now();
    let before = Before { stage: Stage::Idle, now: reactor.now() };
    let service = Service { peer: &mut peer, call: Call::Ready, before, tools, desk: &desk };
    let outcome = service.serve();
    if let Some(kind) = desk.timed_kind() {
        if began.elapsed() < monitor::TICK {
            reactor.kinds.saw_no_wait(kind);
        } else {
            reactor.kinds.saw_wait(kind);
        }
    }
    let peer = unless_gone(reactor, peer, outcome);
    this.inbox.send(Message::Back { key, peer, outcome });
}

/// A handler may have a `drop`, which may take its time, or panic: so it is dropped here, and the socket closed afterwards.
fn unless_gone<H: Handler>(
    reactor: &Reactor<H>,
    peer: Box<Peer<H>>,
    outcome: Outcome,
) -> Option<Box<Peer<H>>> {
    if outcome != Outcome::Gone {
        return Some(peer);
    }
    contained(reactor, peer.address, || drop(peer));
    None
}

impl<H: Handler> State<H> {
    /// The next connection to be served: waits for it. `None` when the loop has ended.
    fn next(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) -> Option<Task<H>> {
        loop {
            while let Some(Occurrence { token, readiness }) =
                self.occurrences.get(self.next_occurrence).copied()
            {
                self.next_occurrence += 1;
                match token {
                    LISTENER => self.accept(reactor, this, index),
                    WAKER => {}
                    _ => {
                        if let Some(task) = self.on_socket(token, readiness) {
                            return Some(task);
                        }
                    }
                }
            }
            while let Some((key, call)) = self.tasks.pop_front() {
                if let Some(task) = self.task(key, call) {
                    return Some(task);
                }
            }
            for message in this.inbox.take() {
                self.on_message(reactor, this, index, message);
            }
            if reactor.is_stopping() && self.stop(reactor, this) {
                return None;
            }
            if reactor.accepts_no_more() {
                self.listen(false);
                if self.slab.len() == 0 && this.connections.load(Ordering::Relaxed) == 0 {
                    return None;
                }
            }
            self.wait(reactor, this);
        }
    }

    /// Waits for something to happen, or for a deadline.
    fn wait(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>) {
        self.occurrences.clear();
        self.next_occurrence = 0;
        let mut patience = if self.tasks.is_empty() { self.patience() } else { Some(Duration::ZERO) };
        let sleeps = patience != Some(Duration::ZERO);
        if sleeps && !this.inbox.sleep() {
            patience = Some(Duration::ZERO);
        }
        if let Err(error) = self.poller.wait(&mut self.occurrences, patience) {
            // It cannot fail; if it did, this would be no reason to do nothing but fail.
            reactor.message(&format!("Cannot wait for sockets: {error}"));
            std::thread::sleep(PAUSE);
        }
        if sleeps {
            this.inbox.wake_up();
            reactor.monitor.wake();
        }
        self.now = reactor.now();
        self.wheel.expire(self.now, &mut self.expired);
        for slot in self.expired.drain(..) {
            if let Some(slot) = self.slab.at(slot) {
                self.tasks.push_back((slot.key, Call::TimedOut));
            }
        }
        if self.listening.resumes.is_some_and(|resumes| resumes <= self.now) {
            self.listening.resumes = None;
            self.listen(true);
        }
    }

    fn patience(&self) -> Option<Duration> {
        let moments = [
            self.wheel.patience(self.now),
            self.listening.resumes.map(|resumes| resumes.saturating_sub(self.now)),
            self.end.map(|end| end.saturating_sub(self.now)),
        ];
        // One more, because a moment is over only after it.
        moments.into_iter().flatten().min().map(|patience| Duration::from_millis(patience + 1))
    }

    fn on_socket(&mut self, token: u64, readiness: Readiness) -> Option<Task<H>> {
        let slot = self.slab.find(token)?;
        let is_writing = slot.stage == Stage::Writing;
        let Some(peer) = &mut slot.peer else {
            slot.readiness.add(readiness);
            return None;
        };
        peer.readiness.add(readiness);
        peer.readiness.remove(Readiness::WRITE);
        // Who has nothing to send does not care for room, nor who has something to send for more to do.
        let wanted = if is_writing { Readiness::WRITE } else { Readiness::READ };
        if !readiness.has(wanted) {
            return None;
        }
        let key = slot.key;
        self.task(key, Call::Ready)
    }

    fn task(&mut self, key: Key, call: Call) -> Option<Task<H>> {
        let now = self.now;
        let slot = self.slab.find(key.token())?;
        let before = Before { stage: slot.stage, now };
        Some(Task { key, peer: slot.peer.take()?, call, before })
    }

    /// What a call has left behind.
    fn settle(
        &mut self,
        reactor: &Arc<Reactor<H>>,
        this: &Loop<H>,
        index: usize,
        key: Key,
        peer: Option<Box<Peer<H>>>,
        outcome: Outcome,
    ) {
        let (Some(mut peer), Some(slot)) = (peer, self.slab.find(key.token())) else {
            return self.forget(reactor, this, key);
        };
        match outcome {
            Outcome::Gone => self.forget(reactor, this, key),
            Outcome::Rest { stage, moved } => {
                slot.stage = stage;
                let happened = std::mem::take(&mut slot.readiness);
                peer.readiness.add(happened);
                peer.readiness.remove(Readiness::WRITE);
                let wanted = if stage == Stage::Writing { Readiness::WRITE } else { Readiness::READ };
                if happened.has(wanted) {
                    self.tasks.push_back((key, Call::Ready));
                }
                let deadline = if !moved {
                    self.wheel.deadline(key.slot)
                } else if stage == Stage::Content {
                    peer.since + reactor.settings.rates.content_ms(peer.pending.len())
                } else {
                    self.now + reactor.settings.patience_ms(stage)
                };
                slot.peer = Some(peer);
                self.wheel.set(key.slot, deadline);
                if self.end.is_some() && matches!(stage, Stage::Idle | Stage::New) {
                    // Its response had begun before the end, and promised that the connection goes on.
                    self.tasks.push_back((key, Call::Close));
                }
            }
            Outcome::Again => {
                slot.peer = Some(peer);
                self.tasks.push_back((key, Call::Ready));
            }
            Outcome::Thread => {
                let errand = Errand { index, key, peer, since: Instant::now() };
                if let Some(Work::Serve(mut errand)) = reactor.serve_beside(errand) {
                    errand.peer.refused = true;
                    slot.peer = Some(errand.peer);
                    self.tasks.push_back((key, Call::Ready));
                }
            }
        }
    }

    /// Ends a connection.
    fn forget(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, key: Key) {
        if self.slab.find(key.token()).is_some() {
            self.wheel.clear(key.slot);
            self.slab.remove(key);
            this.connections.fetch_sub(1, Ordering::Relaxed);
            reactor.connection_ended();
        }
    }

    fn on_message(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize, message: Message<H>) {
        match message {
            Message::New { socket, address } => self.add(reactor, this, socket, address),
            Message::Back { key, peer, outcome } => self.settle(reactor, this, index, key, peer, outcome),
            Message::Refuse { key, mut peer } => {
                peer.refused = true;
                self.settle(reactor, this, index, key, Some(peer), Outcome::Again);
            }
            Message::Listen => {
                self.listening.resumes = None;
                self.listen(true);
            }
            Message::MakePlace => {
                self.evict(reactor);
            }
        }
    }

    // ---- accepting ----

    fn listen(&mut self, on: bool) {
        let listening = &mut self.listening;
        let Some(listener) = &mut listening.listener else { return };
        if listening.is_on == on {
            return;
        }
        let result =
            if on { self.poller.add_listener(listener) } else { self.poller.remove_listener(listener) };
        if result.is_ok() {
            listening.is_on = on;
        }
    }

    fn accept(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) {
        let mut accepted = 0;
        let most = if ACCEPT_UNTIL_EMPTY { usize::MAX } else { self.listening.guess };
        while accepted < most && self.listening.is_on {
            if reactor.is_stopping() || reactor.accepts_no_more() {
                return;
            }
            if !reactor.has_place() && !self.make_place(reactor, this, index) {
                return;
            }
            let Some(listener) = &self.listening.listener else { return };
            match listener.accept() {
                Ok((socket, address)) => {
                    accepted += 1;
                    self.listening.pause = PAUSE;
                    reactor.connection_began();
                    self.distribute(reactor, this, index, socket, address);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.listening.guess = accepted.max(1);
                    return;
                }
                Err(error) => {
                    reactor.counters.count(Event::AcceptError);
                    if !super::is_clients_fault(&error) {
                        return self.pause(reactor, &error);
                    }
                    accepted += 1;
                }
            }
        }
        // There may be more.
        self.listening.guess = (self.listening.guess * 2).min(ACCEPTED_MAX);
    }

    /// A connection stays here, unless another loop has clearly fewer.
    fn distribute(
        &mut self,
        reactor: &Arc<Reactor<H>>,
        this: &Loop<H>,
        index: usize,
        socket: Socket,
        address: SocketAddr,
    ) {
        let count = |other: &Loop<H>| other.connections.load(Ordering::Relaxed);
        let mine = count(this);
        let least = reactor.loops.iter().enumerate().min_by_key(|(_, other)| count(other));
        match least {
            Some((other_index, other)) if other_index != index && mine > count(other) + count(other) / 16 => {
                other.connections.fetch_add(1, Ordering::Relaxed);
                other.inbox.send(Message::New { socket, address });
            }
            _ => {
                this.connections.fetch_add(1, Ordering::Relaxed);
                self.add(reactor, this, socket, address);
            }
        }
    }

    fn add(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, mut socket: Socket, address: SocketAddr) {
        if let Err(error) = self.poller.add(&mut socket, self.slab.next_key().token()) {
            this.connections.fetch_sub(1, Ordering::Relaxed);
            reactor.connection_ended();
            reactor.message(&format!("Cannot watch a connection: {error}"));
            return;
        }
        let key = self.slab.insert(Box::new(Peer::new(Arc::new(socket), address)));
        self.wheel.set(key.slot, self.now + reactor.settings.patience_ms(Stage::New));
    }

    /// Descriptors or memory have run out: closes what is idle for longest, and waits a moment.
    fn pause(&mut self, reactor: &Arc<Reactor<H>>, error: &io::Error) {
        reactor.complain(&format!("Cannot accept: {error}"));
        self.evict(reactor);
        self.listen(false);
        self.listening.resumes = Some(self.now + millis(self.listening.pause));
        self.listening.pause = PAUSE_MAX.min(self.listening.pause * 2);
    }

    /// There are as many connections as there may be. True when one of them makes place at once; else accepting waits until one
    /// has ended.
    fn make_place(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) -> bool {
        if self.evict(reactor) {
            return true;
        }
        reactor.complain("Cannot accept: as many connections as there may be, and none is idle");
        self.listen(false);
        reactor.wait_for_place();
        self.listening.resumes = Some(self.now + IDLE_MIN_MS);
        for (_, other) in reactor.loops.iter().enumerate().filter(|(other, _)| *other != index) {
            other.inbox.send(Message::MakePlace);
        }
        // One may have ended just before.
        if reactor.has_place() {
            this.inbox.send(Message::Listen);
        }
        false
    }

    /// Closes the connection that is idle for longest. False when none is idle.
    fn evict(&mut self, reactor: &Arc<Reactor<H>>) -> bool {
        let Some(victim) = self.longest_idle(reactor) else { return false };
        self.tasks.push_back((victim, Call::Close));
        reactor.counters.count(Event::Evicted);
        true
    }

    fn longest_idle(&mut self, reactor: &Arc<Reactor<H>>) -> Option<Key> {
        loop {
            if self.victims.is_empty() {
                let settings = &reactor.settings;
                let wheel = &self.wheel;
                let since =
                    |key: Key, stage| wheel.deadline(key.slot).saturating_sub(settings.patience_ms(stage));
                let mut idle: Vec<(Key, u64)> = self
                    .slab
                    .iter()
                    .filter(|slot| slot.peer.is_some() && matches!(slot.stage, Stage::Idle | Stage::New))
                    .map(|slot| (slot.key, since(slot.key, slot.stage)))
                    .filter(|(_, since)| since + IDLE_MIN_MS <= self.now)
                    .collect();
                if idle.len() > VICTIMS {
                    idle.select_nth_unstable_by_key(VICTIMS, |(_, since)| *since);
                    idle.truncate(VICTIMS);
                }
                // The longest idle one is last.
                idle.sort_unstable_by_key(|(_, since)| std::cmp::Reverse(*since));
                self.victims = idle;
            }
            let (key, since) = self.victims.pop()?;
            let deadline = self.wheel.deadline(key.slot);
            let Some(slot) = self.slab.find(key.token()) else { continue };
            let is_idle = slot.peer.is_some() && matches!(slot.stage, Stage::Idle | Stage::New);
            if is_idle && deadline.saturating_sub(reactor.settings.patience_ms(slot.stage)) == since {
                return Some(key);
            }
        }
    }

    // ---- the end ----

    /// The server is stopping. True when nothing is left.
    fn stop(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>) -> bool {
        let end = if let Some(end) = self.end {
            end
        } else {
            self.listen(false);
            self.listening.listener = None;
            self.listening.resumes = None;
            let idle = self.slab.iter().filter(|slot| matches!(slot.stage, Stage::Idle | Stage::New));
            self.tasks.extend(idle.map(|slot| (slot.key, Call::Close)));
            *self.end.insert(reactor.now() + millis(reactor.settings.drain))
        };
        if self.now >= end {
            for slot in self.slab.iter() {
                cut(&slot.socket);
            }
            return true;
        }
        self.slab.len() == 0 && this.connections.load(Ordering::Relaxed) == 0
    }
}

/// Ends a connection at once, also for a handler that waits for it, and so that the client sees that what it has is not whole:
/// with a reset. An orderly end would be the end of the content to clients of HTTP/1.0.
fn cut(socket: &Socket) {
    #[cfg(target_os = "linux")]
    if rustix::net::connect_unspec(socket).is_ok() {
        return;
    }
    // Elsewhere only the owner of a socket can reset it. It does, once it is woken, but the end goes ahead of the reset.
    _ = socket.shutdown(Shutdown::Both);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives a request to another thread; gives it back when there is none.
impl<H: Handler> Reactor<H> {
    fn serve_beside(self: &Arc<Self>, errand: Errand<H>) -> Option<Work<H>> {
        match self.spares.serve(errand) {
            Given::Taken => None,
            Given::Spawn(work) => self.spawn(work),
            Given::Refused(work) => Some(work),
        }
    }
}
