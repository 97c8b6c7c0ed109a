//! Which loops let clients in?
//!
//! One, as long as it keeps up. While it is awake it finds the next client by itself; if others watched for clients, too, one of
//! those that sleep would be woken, and to wake a core is among the dearest things of a connection that is used once: for the
//! core that does it, which is the client's where that is on the same machine. When it has hardly a moment left, or is held up by
//! a handler, it calls others to the door, as many as are there; when one of them has little to do, the last leaves.
//!
//! So a connection begins where it was let in, whatever the others have to do. If it is not over when its first response is out,
//! or waits for room, it settles: in the loop that has clearly fewest, or where it is.

use super::{Loop, State};
use crate::reactor::message::Message;
use crate::reactor::peer::Peer;
use crate::reactor::slab::{Key, Stage};
use crate::reactor::{Handler, Reactor};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The loop that is always there.
pub(super) const PORTER: usize = 0;
/// For how long a loop looks what time its clients leave it.
const WINDOW: Duration = Duration::from_millis(10);
/// It keeps up if at least so great a part of that is left, …
const LEFT_MIN: u32 = 32;
/// … and there is one too many if it is as much as this.
const LEFT_MUCH: u32 = 2;

/// How much of its time is left to a loop that lets clients in.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Since when it looks; `None` as long as no client has come.
    since: Option<Instant>,
    /// How long it has waited since.
    waited: Duration,
}

impl Watch {
    /// A client has come.
    pub(super) fn begins(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The loop is about to wait. `None` when nobody wants to know for how long.
    pub(super) fn begins_to_wait(&self) -> Option<Instant> {
        self.since.map(|_| Instant::now())
    }

    /// It has waited since that moment. When it has looked for long enough: of how much time how much was left?
    fn has_waited(&mut self, began: Instant) -> Option<(Duration, Duration)> {
        let now = Instant::now();
        self.waited += now - began;
        let time = now - self.since.filter(|since| now - *since >= WINDOW)?;
        let waited = self.waited;
        *self = Self::default();
        Some((time, waited))
    }
}

impl<H: Handler> Loop<H> {
    /// Does it accept connections, or was it called to?
    pub(in crate::reactor) fn is_at_door(&self) -> bool {
        self.at_door.load(Ordering::Relaxed)
    }
}

impl<H: Handler> Reactor<H> {
    /// Calls so many loops to the door that are not there.
    pub(in crate::reactor) fn call_to_door(&self, count: usize) {
        let absent = self.loops.iter().filter(|this| !this.at_door.swap(true, Ordering::Relaxed));
        for this in absent.take(count) {
            this.inbox.send(Message::Listen);
        }
    }

    /// Sends one loop away from the door. (One after the other: what it leaves to the others may be as much as they can do.)
    fn send_from_door(&self) {
        let last = self.loops.iter().skip(PORTER + 1).rfind(|this| this.is_at_door());
        if let Some(last) = last {
            last.at_door.store(false, Ordering::Relaxed);
            last.inbox.send(Message::Listen);
        }
    }

    /// Where does a connection settle that is in this loop? In another one, where it takes a place, if that has clearly fewer; else
    /// here. (Who has not asked for anything counts nowhere: he is with the porter, and may never ask.)
    pub(super) fn place_elsewhere(&self, index: usize) -> Option<&Loop<H>> {
        let count = |this: &Loop<H>| this.settled.load(Ordering::Relaxed);
        let here = self.loops.get(index)?;
        let emptiest = self.loops.iter().min_by_key(|other| count(other))?;
        let least = count(emptiest);
        if count(here) <= least + least / 16 {
            here.settled.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        emptiest.connections.fetch_add(1, Ordering::SeqCst);
        // A loop ends when the server is stopping and it has no connections: either it sees this one, or we see that.
        if self.is_stopping() {
            emptiest.connections.fetch_sub(1, Ordering::Relaxed);
            here.settled.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        emptiest.settled.fetch_add(1, Ordering::Relaxed);
        Some(emptiest)
    }
}

impl<H: Handler> State<H> {
    /// It has waited for something to happen.
    pub(super) fn mind_door(&mut self, reactor: &Reactor<H>, began: Instant) {
        let Some((time, waited)) = self.listening.watch.has_waited(began) else { return };
        if waited < time / LEFT_MIN {
            let there = reactor.loops.iter().filter(|this| this.is_at_door()).count();
            reactor.call_to_door(there);
        } else if waited > time / LEFT_MUCH {
            reactor.send_from_door();
        }
    }

    /// Begins anew to accept connections, if that is for this loop to do: it is told of clients who wait, whoever else was told.
    pub(super) fn listen_again(&mut self, reactor: &Reactor<H>, this: &Loop<H>) {
        let was_there = self.listening.resumes.take().is_some() || self.listening.is_on();
        self.listen(false);
        if this.is_at_door() {
            self.listen(true);
        } else if let (true, Some(porter)) = (was_there, reactor.loops.get(PORTER)) {
            // It may be that of a client who waits only this loop was told.
            porter.inbox.send(Message::Listen);
        }
    }

    /// Gives a connection to another loop, where it has a place.
    pub(super) fn pass_on(&mut self, this: &Loop<H>, other: &Loop<H>, key: Key, peer: Peer<H>, stage: Stage) {
        let was_watched = self.slab.find(key).is_some_and(|slot| slot.is_watched);
        self.wheel.clear(key.slot);
        self.slab.remove(key);
        let (peer, socket) = peer.with_socket(());
        // From here on nobody else has it.
        let Some(mut socket) = Arc::into_inner(socket) else { return debug_assert!(false, "somebody has") };
        if was_watched {
            // If it fails, what happens to the socket is told here, too, where nobody knows it any more.
            _ = self.poller.remove(&mut socket);
        }
        other.inbox.send(Message::Settles { peer, socket, stage });
        this.connections.fetch_sub(1, Ordering::SeqCst);
    }
}
