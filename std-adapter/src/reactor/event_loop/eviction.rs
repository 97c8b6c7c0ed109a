//! Which connections of a loop make place when there is not enough of something: those that have waited for longest.

use super::{State, cut};
use crate::metrics::Event;
use crate::reactor::lent::Held;
use crate::reactor::peer::{Call, Speaker};
use crate::reactor::slab::{Key, Slot, Stage};
use crate::reactor::{Handler, Reactor};
use crate::settings::Settings;
use std::sync::Arc;

/// How long a connection must have been idle to be closed for another one: its request may be on its way.
pub(super) const IDLE_MIN_MS: u64 = 250;
/// Connections that are looked for at once.
const VICTIMS: usize = 16;

/// Who makes place?
#[derive(Clone, Copy, Debug)]
enum Role {
    /// For new connections and descriptors: who is idle.
    Idle,
    /// For memory: who holds some, and takes nothing of its response.
    Holder,
}

impl Role {
    fn is_of<H>(self, slot: &Slot<H>) -> bool {
        let Some(peer) = &slot.peer else { return false };
        match self {
            Self::Idle => matches!(slot.stage, Stage::Idle | Stage::New),
            Self::Holder => slot.stage == Stage::Writing && Held::by(peer).unsent > 0,
        }
    }

    /// Since when it must have waited at the latest.
    fn latest(self, now: u64) -> u64 {
        match self {
            Self::Idle => now.saturating_sub(IDLE_MIN_MS),
            Self::Holder => u64::MAX,
        }
    }
}

/// Connections that make place next, and since when they wait: who waits for longest is last.
#[derive(Debug, Default)]
pub(super) struct Victims {
    idle: Vec<(Key, u64)>,
    holders: Vec<(Key, u64)>,
}

impl Victims {
    fn of(&mut self, role: Role) -> &mut Vec<(Key, u64)> {
        match role {
            Role::Idle => &mut self.idle,
            Role::Holder => &mut self.holders,
        }
    }
}

impl<H: Handler> State<H> {
    /// Is a connection idle that could be closed for another one?
    pub(super) fn has_idle(&mut self, reactor: &Arc<Reactor<H>>) -> bool {
        self.longest(reactor, Role::Idle).is_some()
    }

    /// Closes the connection that is idle for longest, if one is.
    pub(super) fn evict(&mut self, reactor: &Arc<Reactor<H>>) {
        let Some(victim) = self.longest(reactor, Role::Idle) else { return };
        let Some(slot) = self.slab.find(victim) else { return };
        // It makes place once: until it is closed it counts as one that has become idle just now.
        self.wheel.set(victim.slot, self.now + reactor.settings.patience_ms(slot.stage));
        self.tasks.push_back((victim, Call::Close));
        reactor.counters.count(Event::Evicted);
    }

    /// While responses that are not taken have more memory than they may have, cuts off the client that has taken nothing for
    /// longest. Each loop looks after its own: what it has just added is over the bound until then.
    pub(super) fn shed(&mut self, reactor: &Arc<Reactor<H>>) {
        while reactor.unsent.is_exceeded() {
            let Some(victim) = self.longest(reactor, Role::Holder) else { return };
            let Some(slot) = self.slab.find(victim) else { return };
            let Some(peer) = &mut slot.peer else { return };
            cut(&slot.socket);
            reactor.lend(Held::by(peer), Held::default());
            (peer.pending, peer.unsent, peer.speaker) = (Vec::new(), Vec::new(), Speaker::Nobody);
            self.tasks.push_back((victim, Call::Ready));
            reactor.counters.count(Event::Evicted);
            reactor.complain(
                "Responses that are not taken fill the memory for them: who took nothing for longest is cut off",
            );
        }
    }

    /// The connection that has waited for longest.
    fn longest(&mut self, reactor: &Reactor<H>, role: Role) -> Option<Key> {
        let settings = &reactor.settings;
        let latest = role.latest(self.now);
        loop {
            if self.victims.of(role).is_empty() {
                let wheel = &self.wheel;
                let mut found: Vec<(Key, u64)> = self
                    .slab
                    .iter()
                    .filter(|slot| role.is_of(slot))
                    .map(|slot| (slot.key, waits_since(slot, wheel.deadline(slot.key.slot), settings)))
                    .filter(|(_, since)| *since <= latest)
                    .collect();
                if found.len() > VICTIMS {
                    found.select_nth_unstable_by_key(VICTIMS, |(_, since)| *since);
                    found.truncate(VICTIMS);
                }
                // Among those of one moment, the one in the first slot.
                found.sort_unstable_by_key(|(key, since)| std::cmp::Reverse((*since, key.slot)));
                *self.victims.of(role) = found;
            }
            let (key, since) = *self.victims.of(role).last()?;
            let deadline = self.wheel.deadline(key.slot);
            let is_still =
                |slot: &mut Slot<H>| role.is_of(slot) && waits_since(slot, deadline, settings) == since;
            if self.slab.find(key).is_some_and(is_still) {
                return Some(key);
            }
            self.victims.of(role).pop();
        }
    }
}

/// Since when a connection waits that has this deadline.
fn waits_since<H>(slot: &Slot<H>, deadline: u64, settings: &Settings) -> u64 {
    let since = deadline.saturating_sub(settings.patience_ms(slot.stage));
    match &slot.peer {
        // Who waits for room is looked at sooner for the first time.
        Some(peer) if slot.stage == Stage::Writing => since.max(peer.since),
        _ => since,
    }
}
