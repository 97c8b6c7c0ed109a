//! How connections come to a loop: accepted, at their bound, and for the last time.

use super::door::Watch;
use super::eviction::IDLE_MIN_MS;
use super::{Loop, PAUSE, State, cut, deadline, millis};
use crate::metrics::Event;
use crate::reactor::message::Message;
use crate::reactor::peer::{Call, Peer, Speaker};
use crate::reactor::poller::{ACCEPT_UNTIL_EMPTY, Listener, Poller, Readiness, Socket, listener_token};
use crate::reactor::slab::{Key, Stage};
use crate::reactor::{Handler, Reactor, is_clients_fault};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Connections that are accepted before others have their turn.
const ACCEPTED_MAX: usize = 64;
/// So many guesses in a row that were not too many, and the next one is higher. To look for more each time would cost a call for
/// nothing as often as there are none.
const GUESSED_MIN: u32 = 4;
/// Twice as many each time that there were no more, up to this: clients that come one by one go on to.
const GUESSED_MAX: u32 = 64;
/// How often the queue is looked at for the last time: as often as a full one takes, and more.
const QUEUE_ROUNDS: usize = 256;

/// The sockets that a loop accepts connections from.
#[derive(Debug)]
pub(super) struct Listening {
    queues: Vec<Queue>,
    /// Accepting goes on at this moment, after a fault.
    pub(super) resumes: Option<u64>,
    /// What time its clients leave it.
    pub(super) watch: Watch,
    /// The last pause, while there is nothing between them.
    pause: Option<Duration>,
}

/// Where the kernel lets connections wait until they are accepted.
#[derive(Debug)]
struct Queue {
    listener: Listener,
    is_on: bool,
    /// How many are expected.
    guess: usize,
    /// How often in a row there were as many, …
    guessed: u32,
    /// … and how often there must be, for a higher guess.
    enough: u32,
}

impl Queue {
    /// There were as many as were expected, and may be more.
    fn had_as_many(&mut self) {
        if self.guess > 1 {
            self.enough = GUESSED_MIN;
        }
        self.guessed += 1;
        if self.guessed >= self.enough {
            (self.guess, self.guessed) = ((self.guess * 2).min(ACCEPTED_MAX), 0);
        }
    }

    /// There were so many, and then none.
    fn had_no_more_than(&mut self, accepted: usize) {
        self.enough = (self.enough * 2).min(GUESSED_MAX);
        (self.guess, self.guessed) = (accepted.max(1), 0);
    }
}

impl Listening {
    /// Without a poller, nobody accepts from them yet.
    pub(super) fn to(listeners: &[crate::listener::Listener], poller: Option<&Poller>) -> io::Result<Self> {
        let mut queues = Vec::new();
        for (index, listener) in listeners.iter().enumerate() {
            let mut listener = Listener::clone_of(listener)?;
            if let Some(poller) = poller {
                poller.add_listener(&mut listener, listener_token(index))?;
            }
            queues.push(Queue {
                listener,
                is_on: poller.is_some(),
                guess: 1,
                guessed: 0,
                enough: GUESSED_MIN,
            });
        }
        Ok(Self { queues, resumes: None, watch: Watch::default(), pause: None })
    }

    /// Is there a socket that it accepts connections from?
    pub(super) fn is_on(&self) -> bool {
        self.queues.iter().any(|queue| queue.is_on)
    }
}

impl<H: Handler> Reactor<H> {
    /// This loop has nobody who is idle: others may have.
    fn make_place_beside(&self, index: usize) {
        for (_, other) in self.loops.iter().enumerate().filter(|(other, _)| *other != index) {
            other.inbox.send(Message::MakePlace);
        }
    }
}

impl<H: Handler> State<H> {
    pub(super) fn listen(&mut self, on: bool) {
        for (index, queue) in
            self.listening.queues.iter_mut().enumerate().filter(|(_, queue)| queue.is_on != on)
        {
            let listener = &mut queue.listener;
            let result = if on {
                self.poller.add_listener(listener, listener_token(index))
            } else {
                self.poller.remove_listener(listener)
            };
            if result.is_ok() {
                queue.is_on = on;
            } else if on {
                // There is no memory for it. Nobody else may be there for those who come.
                self.listening.resumes = Some(self.now + millis(PAUSE));
            }
        }
    }

    /// Accepts connections. False when none is left that may be accepted now.
    pub(super) fn accept(
        &mut self,
        reactor: &Arc<Reactor<H>>,
        this: &Loop<H>,
        index: usize,
        queue: usize,
    ) -> bool {
        let mut accepted = 0;
        self.listening.watch.begins();
        while self.may_accept(reactor, queue) {
            let Some(waiting) = self.listening.queues.get_mut(queue) else { break };
            if accepted >= waiting.guess && !ACCEPT_UNTIL_EMPTY {
                waiting.had_as_many();
                return true;
            }
            if !reactor.descriptors.has_reserve() {
                reactor.wait_for_place();
                self.pause(reactor, index, &"the last descriptors are for files");
                return false;
            }
            let is_full = !reactor.take_place();
            if is_full {
                if !self.has_idle(reactor) {
                    self.wait_for_place(reactor, this, index);
                    return false;
                }
                reactor.take_place_of_another();
            }
            let Some(waiting) = self.listening.queues.get_mut(queue) else { break };
            let result = waiting.listener.accept();
            if result.is_err() {
                reactor.return_place();
            }
            match result {
                Ok((socket, address)) => {
                    accepted += 1;
                    if is_full {
                        // Not before there is somebody to make place for.
                        self.evict(reactor);
                    }
                    reactor.descriptors.took(&socket);
                    self.listening.pause = None;
                    reactor.connection_began();
                    self.welcome(reactor, this, socket, address);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    waiting.had_no_more_than(accepted);
                    return false;
                }
                Err(error) => {
                    reactor.counters.count(Event::AcceptError);
                    if !is_clients_fault(&error) {
                        self.pause(reactor, index, &error);
                        return false;
                    }
                    accepted += 1;
                }
            }
        }
        false
    }

    /// Connections of a socket that somebody else has, too, are somebody else's once the server is stopping.
    fn may_accept(&self, reactor: &Arc<Reactor<H>>, queue: usize) -> bool {
        let is_given = || reactor.listeners.get(queue).is_some_and(crate::listener::Listener::is_given);
        self.listening.queues.get(queue).is_some_and(|queue| queue.is_on)
            && !reactor.accepts_no_more()
            && !(reactor.is_stopping() && is_given())
    }

    /// A client has connected.
    fn welcome(
        &mut self,
        reactor: &Arc<Reactor<H>>,
        this: &Loop<H>,
        socket: Socket,
        address: Option<SocketAddr>,
    ) {
        this.connections.fetch_add(1, Ordering::Relaxed);
        let mut peer = Peer::new(address);
        if reactor.settings.proxy_protocol {
            peer.speaker = Speaker::Proxy;
        }
        self.take_in(reactor, peer, socket, Stage::New);
    }

    /// A connection is here from now on, and was counted as one of this loop's before.
    pub(super) fn take_in(
        &mut self,
        reactor: &Arc<Reactor<H>>,
        peer: Peer<H, ()>,
        mut socket: Socket,
        stage: Stage,
    ) {
        let token = self.slab.next_key().token();
        let added = self.poller.add_new(&mut socket, token);
        let (mut peer, ()) = peer.with_socket(Arc::new(socket));
        if stage == Stage::New {
            // Its request may be there already.
            peer.readiness.add(Readiness::READ);
        }
        let deadline = deadline(reactor, stage, &peer, self.now, self.end);
        // It may have been passed on when it was its turn again.
        let awaits_turn = peer.readiness.has(Readiness::READ);
        let key = self.slab.insert(Box::new(peer), stage);
        let Some(slot) = self.slab.find(key) else { return };
        slot.awaits_turn = awaits_turn;
        slot.is_watched = added.as_ref().is_ok_and(|is_watched| *is_watched);
        self.wheel.set(key.slot, deadline);
        if awaits_turn {
            self.tasks.push_back((key, Call::Ready));
        }
        if let Err(error) = added {
            self.cannot_watch(reactor, key, &error);
        } else if stage == Stage::New || self.watch(reactor, key) {
            self.has_come_to_rest(reactor, key, stage);
        }
    }

    /// Has the socket of a connection that has come to rest watched from now on. False when that cannot be.
    pub(super) fn watch(&mut self, reactor: &Reactor<H>, key: Key) -> bool {
        let Some(slot) = self.slab.find(key) else { return false };
        let added = if slot.is_watched { Ok(()) } else { self.poller.add(&slot.socket, key.token()) };
        slot.is_watched = added.is_ok();
        if let Err(error) = added {
            self.cannot_watch(reactor, key, &error);
            return false;
        }
        true
    }

    /// Nobody would tell of a connection any more: it is over.
    fn cannot_watch(&mut self, reactor: &Reactor<H>, key: Key, error: &io::Error) {
        reactor.message(&format!("Cannot watch a connection: {error}"));
        let Some(slot) = self.slab.find(key) else { return };
        let Some(peer) = &mut slot.peer else { return };
        peer.speaker = Speaker::Nobody;
        if slot.stage == Stage::Writing {
            cut(&slot.socket);
        }
        self.tasks.push_back((key, Call::Ready));
    }

    /// Descriptors or memory have run out, or nearly so: closes what is idle for longest, and waits a moment.
    fn pause(&mut self, reactor: &Arc<Reactor<H>>, index: usize, why: &dyn Display) {
        reactor.complain(&format!("Cannot accept: {why}"));
        if self.has_idle(reactor) {
            self.evict(reactor);
        } else {
            reactor.make_place_beside(index);
        }
        self.listen(false);
        let settings = &reactor.settings;
        let pause = self.listening.pause.map_or(settings.accept_pause, |last| last.saturating_mul(2));
        let pause = pause.min(settings.accept_pause_max);
        self.listening.pause = Some(pause);
        self.listening.resumes = Some(self.now + millis(pause));
    }

    /// There are as many connections as there may be, and none is idle here: accepting waits until one has ended.
    fn wait_for_place(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) {
        reactor.complain("Cannot accept: as many connections as there may be, and none is idle");
        self.listen(false);
        reactor.wait_for_place();
        self.listening.resumes = Some(self.now + IDLE_MIN_MS);
        reactor.make_place_beside(index);
        // One may have ended just before.
        if reactor.has_place() {
            this.inbox.send(Message::Listen);
        }
    }

    /// Who has been let in by the kernel does not know that nobody accepts, and would see a reset: so the queues are emptied
    /// first.
    pub(super) fn listen_no_more(&mut self, reactor: &Arc<Reactor<H>>, this: &Loop<H>, index: usize) {
        self.listen(true);
        for queue in 0..self.listening.queues.len() {
            // Only a flood could keep it from getting empty.
            for _ in 0..QUEUE_ROUNDS {
                if !self.accept(reactor, this, index, queue) {
                    break;
                }
            }
        }
        self.listen(false);
        self.listening.queues.clear();
        self.listening.resumes = None;
        reactor.listens_no_more();
    }
}
