//! The connections of a loop, each in a slot that is found by its number.

use super::peer::Peer;
use super::poller::{Readiness, Socket};
use std::sync::Arc;

/// What stands for a connection in events and messages: the slot, and how often it was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) slot: u32,
    generation: u32,
}

impl Key {
    pub(super) fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }
}

/// What is a connection doing, as far as its deadline is concerned?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come.
    New,
    /// Between two requests.
    Idle,
    /// In the middle of a head.
    Head,
    /// Behind a head, before content that its handler would have to wait for.
    Content,
    /// Content that the handler left is dropped.
    Draining,
    /// A response waits for room.
    Writing,
    /// All is said; the client may finish.
    Lingering,
}

/// A slot in use.
#[derive(Debug)]
pub(super) struct Slot<H> {
    pub(super) key: Key,
    /// The connection; `None` while a handler has it.
    pub(super) peer: Option<Box<Peer<H>>>,
    /// What happened to the socket meanwhile.
    pub(super) readiness: Readiness,
    pub(super) stage: Stage,
    /// It is in the loop where it stays.
    pub(super) settled: bool,
    /// It was put off: its next turn comes by itself.
    pub(super) awaits_turn: bool,
    /// The poller tells what happens to the socket.
    pub(super) is_watched: bool,
    /// To cut it while a handler has it.
    pub(super) socket: Arc<Socket>,
}

#[derive(Debug)]
enum Place<H> {
    Free { generation: u32, next: Option<u32> },
    Used(Slot<H>),
}

/// Slots. Those that are free form a list.
#[derive(Debug)]
pub(super) struct Slab<H> {
    places: Vec<Place<H>>,
    free: Option<u32>,
    used: usize,
}

impl<H> Slab<H> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: None, used: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The key that [`insert`](Self::insert) uses next.
    pub(super) fn next_key(&self) -> Key {
        let slot = self.free.unwrap_or(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        let generation = match self.places.get(slot as usize) {
            Some(Place::Free { generation, .. }) => *generation,
            _ => 0,
        };
        Key { slot, generation }
    }

    pub(super) fn insert(&mut self, peer: Box<Peer<H>>, stage: Stage) -> Key {
        let key = self.next_key();
        let slot = Slot {
            key,
            socket: Arc::clone(&peer.socket),
            peer: Some(peer),
            readiness: Readiness::NOTHING,
            stage,
            settled: stage != Stage::New,
            awaits_turn: false,
            is_watched: false,
        };
        self.used += 1;
        match self.places.get_mut(key.slot as usize) {
            Some(place) => {
                if let Place::Free { next, .. } = *place {
                    self.free = next;
                }
                *place = Place::Used(slot);
            }
            None => self.places.push(Place::Used(slot)),
        }
        key
    }

    /// The slot of a connection, unless that is gone.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut Slot<H>> {
        self.at(key.slot).filter(|slot| slot.key == key)
    }

    /// The slot of an event, unless it is about a connection that is gone.
    pub(super) fn of_event(&mut self, token: u64) -> Option<&mut Slot<H>> {
        let (slot, generation) = (u32::try_from(token & u64::from(u32::MAX)), u32::try_from(token >> 32));
        let key = Key { slot: slot.ok()?, generation: generation.ok()? };
        // The portable poller has no room for the generation where addresses are short.
        if cfg!(all(not(target_os = "linux"), not(target_pointer_width = "64"))) {
            self.at(key.slot)
        } else {
            self.find(key)
        }
    }

    pub(super) fn at(&mut self, slot: u32) -> Option<&mut Slot<H>> {
        match self.places.get_mut(slot as usize) {
            Some(Place::Used(used)) => Some(used),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        if self.find(key).is_some()
            && let Some(place) = self.places.get_mut(key.slot as usize)
        {
            *place = Place::Free { generation: key.generation.wrapping_add(1), next: self.free };
            self.free = Some(key.slot);
            self.used -= 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<H>> {
        self.places.iter().filter_map(|place| match place {
            Place::Used(slot) => Some(slot),
            Place::Free { .. } => None,
        })
    }
}
