//! A loop: its sockets, its connections, its deadlines.
//!
//! All of it belongs to the thread that has its [helm](super::helm): it waits, and serves one connection after the other.

mod accept;
mod door;
mod eviction;

use self::accept::Listening;
use self::door::PORTER;
use self::eviction::Victims;
use super::desk::Desk;
use super::guard::contained;
use super::helm::Helm;
use super::message::{Errand, Inbox, Message};
use super::monitor::{self, Worker};
use super::peer::{Call, Peer};
use super::poller::{Occurrence, Poller, Readiness, Socket, listener_of};
use super::serve::{Before, Outcome, Service, Tools};
use super::slab::{Key, Slab, Slot, Stage};
use super::spare::{Given, Work};
use super::timer::Wheel;
use super::{Handler, Reactor};
use crate::clock::{TICK_MS, time_passed};
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old a connection without a request is when it is closed because the server ends: its first request may be on its way.
const LAST_MS: u64 = 1000;

/// A loop, as other threads see it.
/// (The alignment keeps loops out of each other's cache lines.)
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Loop<H> {
    helm: Helm<State<H>>,
    pub(super) inbox: Inbox<H>,
    /// What kind of request it is serving; 0 when that is of no interest.
    pub(super) kind: AtomicU64,
    /// The thread that drives it.
    worker: Mutex<Option<Arc<Worker>>>,
    /// Connections that it has, or is going to have.
    connections: AtomicUsize,
    /// Those of them that have asked for something, and stay.
    settled: AtomicUsize,
    /// It accepts connections, or is called to do so.
    at_door: AtomicBool,
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
    /// How many of them are done before it looks for what has happened: what they put off again comes after that. `None` until
    /// the first one is.
    tasks_now: Option<usize>,
    slab: Slab<H>,
    wheel: Wheel,
    /// Milliseconds since the server began, when the poller last returned.
    now: u64,
    expired: Vec<u32>,
    victims: Victims,
    /// When connections are cut, once the server is stopping.
    end: Option<u64>,
}

/// A connection to be served.
struct Task<H> {
    key: Key,
    peer: Box<Peer<H>>,
    call: Call,
    before: Before,
}

/// A pause after a fault that there ought not to be.
const PAUSE: Duration = Duration::from_millis(50);

impl<H: Handler> Loop<H> {
    pub(super) fn new(index: usize, listeners: &[crate::listener::Listener]) -> io::Result<Self> {
        let (poller, waker) = Poller::new()?;
        let at_door = index == PORTER;
        let listening = Listening::to(listeners, at_door.then_some(&poller))?;
        let state = State {
            calls: 0,
            poller,
            listening,
            occurrences: Vec::new(),
            next_occurrence: 0,
            tasks: VecDeque::new(),
            tasks_now: None,
            slab: Slab::new(),
            wheel: Wheel::default(),
            now: 0,
            expired: Vec::new(),
            victims: Victims::default(),
            end: None,
        };
        Ok(Self {
            helm: Helm::new(state),
            inbox: Inbox::new(waker),
            kind: AtomicU64::new(0),
            worker: Mutex::default(),
            connections: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            at_door: AtomicBool::new(at_door),
        })
    }

    /// The call in which its driver is; 0 outside of calls.
    pub(super) fn turn(&self) -> u64 {
        self.helm.turn()
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
    let Some((mut state, driver)) = this.helm.take_over(turn) else { return };
    time_passed();
    // It may have been stuck for long.
    state.now = reactor.now();
    *this.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(worker));
    let tally = Arc::clone(&tools.counts.tally);
    loop {
        let Some(mut task) = state.next(reactor, this, index) else { break };
        state.calls += 1;
        let turn = state.calls;
        this.helm.begin(state, turn);

        let desk = Desk::new(reactor, (this, index), Some(turn), &tally);
        let Task { key, ref mut peer, call, before } = task;
        let outcome = Service { peer, call, before, tools, desk: &desk }.serve();
        let peer = unless_gone(reactor, task.peer, outcome);

        let Some(again) = this.helm.go_on(driver) else {
            this.inbox.send(Message::Back { key, peer, outcome });
            return;
        };
        state = again;
        state.settle(reactor, this, index, key, peer, outcome);
    }
    drop(state);
    reactor.loop_ended();
}

/// Serves a request of a kind that waits, on a thread of its own, and brings the connection back to its loop.
pub(super) fn serve_beside<H: Handler>(reactor: &Arc<Reactor<H>>, errand: Errand<H>, tools: &mut Tools<'_>) {
    let Errand { index, key, mut peer, stage, .. } = errand;
    let Some(this) = reactor.loops.get(index) else { return };
    let tally = Arc::clone(&tools.counts.tally);
    let desk = Desk::new(reactor, (this, index), None, &tally);
    time_passed();
    let began = Instant::now();
    let before = Before { stage, now: reactor.now() };
    let service = Service { peer: &mut peer, call: Call::Ready, before, tools, desk: &desk };
    let outcome = service.serve_apart();
    if let Some(kind) = desk.timed_kind() {
        if began.elapsed() < monitor::TICK {
            reactor.kinds.saw_no_wait(kind);
            if !reactor.kinds.waits(kind) {
                reactor.kinds.saw_quick(kind);
            }
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
            while let Some(Occurrence { token, .. }) = self.occurrences.get(self.next_occurrence).copied() {
                self.next_occurrence += 1;
                if let Some(queue) = listener_of(token) {
                    self.accept(reactor, this, index, queue);
                } else if let Some(slot) = self.slab.of_event(token)
                    && let Some(task) = slot.task(Call::Ready, self.now)
                {
                    return Some(task);
                }
            }
            while let Some((key, call)) = self.next_task() {
                if call == Call::TimedOut && self.wheel.deadline(key.slot) > self.now {
                    // What was waited for came in the same turn.
                    continue;
                }
                if let Some(task) = self.task(key, call) {
                    return Some(task);
                }
            }
            for message in this.inbox.take() {
                self.on_message(reactor, this, index, message);
            }
            if reactor.is_stopping() && self.stop(reactor, this, index) {
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

    /// Those for whom there is always something to do have one turn, and then the others are looked for.
    fn next_task(&mut self) -> Option<(Key, Call)> {
        let left = self.tasks_now.get_or_insert(self.tasks.len());
        *left = left.checked_sub(1)?;
        let (key, call) = self.tasks.pop_front()?;
        if let (Call::Ready, Some(slot)) = (call, self.slab.find(key)) {
            slot.awaits_turn = false;
        }
        Some((key, call))
    }

    /// Waits for something to happen, or for a deadline.
    fn wait(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>) {
        self.occurrences.clear();
        self.next_occurrence = 0;
        self.tasks_now = None;
        let mut patience = if self.tasks.is_empty() { self.patience() } else { Some(Duration::ZERO) };
        let sleeps = patience != Some(Duration::ZERO);
        if sleeps && !this.inbox.sleep() {
            patience = Some(Duration::ZERO);
        }
        let began = self.listening.watch.begins_to_wait();
        if let Err(error) = self.poller.wait(&mut self.occurrences, patience) {
            // It cannot fail; if it did, this would be no reason to do nothing but fail.
            reactor.message(&format!("Cannot wait for sockets: {error}"));
            std::thread::sleep(PAUSE);
        }
        if sleeps {
            this.inbox.wake_up();
            reactor.monitor.wake();
        }
        if let Some(began) = began {
            self.mind_door(reactor, began);
        }
        self.tell();
        let before = std::mem::replace(&mut self.now, reactor.now());
        if self.now != before {
            time_passed();
        }
        self.wheel.expire(self.now, &mut self.expired);
        for slot in self.expired.drain(..) {
            if let Some(slot) = self.slab.at(slot) {
                self.tasks.push_back((slot.key, Call::TimedOut));
            }
        }
        if self.listening.resumes.is_some_and(|resumes| resumes <= self.now) {
            self.listen_again(reactor, this);
        }
    }

    fn patience(&mut self) -> Option<Duration> {
        let never = u64::MAX;
        let next = self.wheel.next().unwrap_or(never);
        let next = next.min(self.listening.resumes.unwrap_or(never)).min(self.end.unwrap_or(never));
        // A moment is over only after it, and when the system's tick has told so.
        (next != never).then(|| Duration::from_millis(next.saturating_sub(self.now) + TICK_MS + 1))
    }

    /// Tells each connection what has happened to its socket, before the first one is served: so the memory of all of them is
    /// asked for at once. What nobody waits for is done with then.
    fn tell(&mut self) {
        let slab = &mut self.slab;
        self.occurrences.retain(|&Occurrence { token, readiness }| {
            let is_listeners = listener_of(token).is_some();
            is_listeners || slab.of_event(token).is_some_and(|slot| slot.has_happened(readiness))
        });
    }

    fn task(&mut self, key: Key, call: Call) -> Option<Task<H>> {
        let now = self.now;
        self.slab.find(key)?.task(call, now)
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
        let (Some(mut peer), Some(slot)) = (peer, self.slab.find(key)) else {
            return self.forget(reactor, this, key);
        };
        match outcome {
            Outcome::Gone => self.forget(reactor, this, key),
            Outcome::Rest { stage, moved } => {
                if !slot.settled && matches!(stage, Stage::Idle | Stage::Content | Stage::Writing) {
                    if let Some(other) = reactor.place_elsewhere(index) {
                        return self.pass_on(this, other, key, *peer, stage);
                    }
                    slot.settled = true;
                }
                slot.stage = stage;
                let happened = std::mem::take(&mut slot.readiness);
                peer.readiness.add(happened);
                peer.readiness.remove(Readiness::WRITE);
                if happened.has(wanted(stage)) {
                    self.tasks.push_back((key, Call::Ready));
                }
                // Also when it does not move: its slot may not be on the wheel.
                let deadline = if moved {
                    deadline(reactor, stage, &peer, self.now, self.end)
                } else {
                    self.wheel.deadline(key.slot)
                };
                self.wheel.set(key.slot, deadline);
                slot.peer = Some(peer);
                if !slot.is_watched && !self.watch(reactor, key) {
                    return;
                }
                if stage == Stage::Writing || self.end.is_some() {
                    self.has_come_to_rest(reactor, key, stage);
                }
            }
            Outcome::Again => {
                // Who asks faster than he is answered never rests.
                if !slot.settled && peer.is_between_requests() {
                    if let Some(other) = reactor.place_elsewhere(index) {
                        return self.pass_on(this, other, key, *peer, Stage::Idle);
                    }
                    slot.settled = true;
                }
                slot.peer = Some(peer);
                if !std::mem::replace(&mut slot.awaits_turn, true) {
                    self.tasks.push_back((key, Call::Ready));
                }
            }
            Outcome::Thread(why) => {
                // Content may still be on its way. Whatever else it waited for has come.
                let goes_on = matches!(slot.stage, Stage::Content | Stage::Draining);
                let stage = if goes_on { slot.stage } else { Stage::Idle };
                let errand = Errand { index, key, peer, stage, why, since: Instant::now() };
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
        if let Some(slot) = self.slab.find(key) {
            if slot.settled {
                this.settled.fetch_sub(1, Ordering::Relaxed);
            }
            self.wheel.clear(key.slot);
            self.slab.remove(key);
            this.connections.fetch_sub(1, Ordering::Relaxed);
            reactor.connection_ended();
        }
    }

    fn on_message(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize, message: Message<H>) {
        match message {
            Message::Settles { peer, socket, stage } => self.take_in(reactor, peer, socket, stage),
            Message::Back { key, peer, outcome } => self.settle(reactor, this, index, key, peer, outcome),
            Message::Refuse { key, mut peer } => {
                peer.refused = true;
                self.settle(reactor, this, index, key, Some(peer), Outcome::Again);
            }
            Message::Listen => self.listen_again(reactor, this),
            Message::MakePlace => {
                self.evict(reactor);
            }
            // Whoever asked may not wait any more.
            Message::Answer(answer) => _ = answer.send(()),
        }
    }

    /// A connection waits.
    fn has_come_to_rest(&mut self, reactor: &Arc<Reactor<H>>, key: Key, stage: Stage) {
        if stage == Stage::Writing && reactor.unsent.is_exceeded() {
            self.shed(reactor);
        }
        if self.end.is_some() && stage == Stage::Idle {
            // Its response had begun before the end, and promised that the connection goes on.
            self.tasks.push_back((key, Call::Close));
        }
    }

    // ---- the end ----

    /// The server is stopping. True when nothing is left.
    fn stop(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) -> bool {
        let end = if let Some(end) = self.end {
            end
        } else {
            let end = *self.end.insert(reactor.now_or_later() + millis(reactor.settings.drain));
            self.listen_no_more(reactor, this, index);
            self.close_idle(reactor);
            end
        };
        if self.now >= end {
            for slot in self.slab.iter() {
                cut(&slot.socket);
            }
            return true;
        }
        self.slab.len() == 0 && this.connections.load(Ordering::SeqCst) == 0
    }

    /// Closes connections on which nothing has begun. Who has just connected has a request on its way, and had no answer that
    /// could tell it where this ends.
    fn close_idle(&mut self, reactor: &Arc<Reactor<H>>) {
        let patience = reactor.settings.patience_ms(Stage::New);
        for slot in self.slab.iter() {
            if slot.stage == Stage::Idle {
                self.tasks.push_back((slot.key, Call::Close));
            } else if slot.stage == Stage::New {
                let deadline = self.wheel.deadline(slot.key.slot);
                let last = deadline.saturating_sub(patience) + LAST_MS;
                self.wheel.set(slot.key.slot, deadline.min(last));
            }
        }
    }
}

/// What a connection waits for: who has nothing to send does not care for room, nor who has something to send for more to do.
fn wanted(stage: Stage) -> Readiness {
    if stage == Stage::Writing { Readiness::WRITE } else { Readiness::READ }
}

impl<H> Slot<H> {
    /// Keeps in mind what has happened to the socket. Does the connection wait for it?
    fn has_happened(&mut self, readiness: Readiness) -> bool {
        let Some(peer) = &mut self.peer else {
            self.readiness.add(readiness);
            return false;
        };
        peer.readiness.add(readiness);
        peer.readiness.remove(Readiness::WRITE);
        readiness.has(wanted(self.stage)) && !self.awaits_turn
    }

    /// Takes the connection out, to be served.
    fn task(&mut self, call: Call, now: u64) -> Option<Task<H>> {
        let before = Before { stage: self.stage, now };
        Some(Task { key: self.key, peer: self.peer.take()?, call, before })
    }
}

/// When a connection that begins a stage now has been in it for too long: not earlier, however late this thread is with what it
/// does. Only the time between requests counts from the beginning of the turn, so that no request costs a look at the clock. One
/// that waits for content began before, and what has come earns it time.
#[inline]
fn deadline<H>(reactor: &Reactor<H>, stage: Stage, peer: &Peer<H>, now: u64, end: Option<u64>) -> u64 {
    let patience = reactor.settings.patience_ms(stage);
    match stage {
        Stage::Content => peer.since + reactor.settings.rates.content_ms(peer.pending.len()),
        Stage::Writing => {
            let now = reactor.now_or_later();
            now + reactor.settings.rates.write_ms(now.saturating_sub(peer.since))
        }
        Stage::Idle => now + TICK_MS + patience,
        Stage::New if end.is_some() => reactor.now_or_later() + patience.min(LAST_MS),
        _ => reactor.now_or_later() + patience,
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
    fn serve_beside(self: &Arc<Self>, errand: Errand<H>) -> Option<Work<Errand<H>>> {
        match self.spares.serve(errand) {
            Given::Taken => None,
            Given::Spawn(work) => self.spawn(work),
            Given::Refused(work) => Some(work),
        }
    }
}
