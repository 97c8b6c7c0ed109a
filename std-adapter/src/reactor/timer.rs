//! When is which slot to be looked at?
//!
//! A wheel of coarse ticks. A deadline that moves away, as that of an idle connection does with each request, is one store: the
//! slot stays where it is on the wheel, is looked at too early, and is put further on only then. A deadline that comes nearer
//! moves the slot at once. So a slot is on the wheel once, and a tick without slots costs nothing, not even a wake-up.

/// Milliseconds of a tick: deadlines are late by that much at most.
const TICK_MS: u64 = 32;
/// Ticks of the wheel. What is further away than 16 s is looked at on the way.
const PLACES: usize = 512;

const NOBODY: u32 = u32::MAX;

/// Deadlines of slots, in milliseconds since some moment.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first slot of each place.
    first: Vec<u32>,
    /// A bit for each place that has one.
    occupied: [u64; PLACES / 64],
    links: Vec<Link>,
    /// All ticks before this one are over.
    tick: u64,
    /// No slot is looked at before this tick: where to begin to look for the next one.
    soonest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    deadline: u64,
    /// The tick at which the slot is looked at; 0 when it is not on the wheel.
    tick: u64,
    previous: u32,
    next: u32,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            first: vec![NOBODY; PLACES],
            occupied: [0; PLACES / 64],
            links: Vec::new(),
            tick: 1,
            soonest: u64::MAX,
        }
    }
}

impl Wheel {
    /// Sets the deadline of a slot.
    #[inline]
    pub(super) fn set(&mut self, slot: u32, deadline: u64) {
        match self.links.get_mut(slot as usize) {
            // It is looked at before.
            Some(link) if link.tick != 0 && link.deadline <= deadline => link.deadline = deadline,
            _ => self.put(slot, deadline),
        }
    }

    fn put(&mut self, slot: u32, deadline: u64) {
        let index = slot as usize;
        if index >= self.links.len() {
            let unused = Link { deadline: 0, tick: 0, previous: NOBODY, next: NOBODY };
            self.links.resize(index + 1, unused);
        }
        let tick = self.tick_of(deadline);
        let Some(link) = self.links.get_mut(index) else { return };
        link.deadline = deadline;
        if link.tick == 0 {
            self.link(slot, tick);
        } else if tick < link.tick {
            self.unlink(slot);
            self.link(slot, tick);
        }
    }

    /// Takes a slot off the wheel.
    pub(super) fn clear(&mut self, slot: u32) {
        self.unlink(slot);
    }

    /// The deadline that was set last.
    pub(super) fn deadline(&self, slot: u32) -> u64 {
        self.links.get(slot as usize).map_or(u64::MAX, |link| link.deadline)
    }

    /// Takes the slots off the wheel whose deadlines are over.
    pub(super) fn expire(&mut self, now: u64, expired: &mut Vec<u32>) {
        let end = now / TICK_MS;
        while self.tick <= end {
            // Places without slots are passed in one step.
            let Some(tick) = self.next_tick().filter(|tick| *tick <= end) else { break };
            self.tick = tick;
            while let Some(slot) = self.first.get(place(tick)).copied().filter(|slot| *slot != NOBODY) {
                self.unlink(slot);
                let deadline = self.deadline(slot);
                if deadline <= now {
                    expired.push(slot);
                } else {
                    let later = self.tick_of(deadline).max(tick + 1);
                    self.link(slot, later);
                }
            }
        }
        self.tick = self.tick.max(end);
    }

    /// The moment at which a slot is to be looked at; `None` when there is none.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.next_tick().map(|tick| tick * TICK_MS)
    }

    /// A tick at which the deadline is over, as far as the wheel reaches.
    fn tick_of(&self, deadline: u64) -> u64 {
        deadline.div_ceil(TICK_MS).clamp(self.tick, self.tick + PLACES as u64 - 1)
    }

    /// The first tick from now on whose place has a slot.
    fn next_tick(&mut self) -> Option<u64> {
        if self.soonest == u64::MAX {
            return None;
        }
        let from = self.soonest.max(self.tick);
        let start = place(from);
        let words = self.occupied.len();
        // The word in which it begins is looked at twice: first from that place on, last before it.
        let next = (0..=words).find_map(|step| {
            let index = (start / 64 + step) % words;
            let word = self.occupied.get(index)?;
            let mask = match step {
                0 => u64::MAX << (start % 64),
                step if step == words => !(u64::MAX << (start % 64)),
                _ => u64::MAX,
            };
            let found = word & mask;
            let found = (found != 0).then(|| index * 64 + found.trailing_zeros() as usize)?;
            Some(from + ((found + PLACES - start) % PLACES) as u64)
        });
        self.soonest = next.unwrap_or(u64::MAX);
        next
    }

    fn link(&mut self, slot: u32, tick: u64) {
        let place = place(tick);
        let Some(first) = self.first.get_mut(place) else { return };
        let next = std::mem::replace(first, slot);
        if let Some(word) = self.occupied.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
        self.soonest = self.soonest.min(tick);
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = slot;
        }
        if let Some(link) = self.links.get_mut(slot as usize) {
            (link.tick, link.previous, link.next) = (tick, NOBODY, next);
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize).filter(|link| link.tick != 0) else { return };
        let Link { tick, previous, next, .. } = *link;
        link.tick = 0;
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = previous;
        }
        if let Some(link) = self.links.get_mut(previous as usize) {
            link.next = next;
        } else if let Some(first) = self.first.get_mut(place(tick)) {
            *first = next;
            if next == NOBODY
                && let Some(word) = self.occupied.get_mut(place(tick) / 64)
            {
                *word &= !(1 << (place(tick) % 64));
            }
        }
    }
}

fn place(tick: u64) -> usize {
    usize::try_from(tick % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the obvious way: a list that is looked through.
    #[test]
    fn expires_what_is_over_and_nothing_else() {
        let mut wheel = Wheel::default();
        let mut judge: Vec<Option<u64>> = vec![None; 50];
        let (mut now, mut seed) = (0_u64, 1_u64);
        for round in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (slot, far) = ((seed >> 33) as u32 % 50, (seed >> 40) % 40_000);
            match round % 3 {
                0 | 1 => {
                    wheel.set(slot, now + far);
                    judge[slot as usize] = Some(now + far);
                }
                _ if far % 5 == 0 => {
                    wheel.clear(slot);
                    judge[slot as usize] = None;
                }
                _ => {
                    now += far % 700;
                    let mut expired = Vec::new();
                    wheel.expire(now, &mut expired);
                    for slot in expired {
                        assert!(judge[slot as usize].take().expect("it had a deadline") <= now);
                    }
                    // Late by one tick at most.
                    assert!(judge.iter().flatten().all(|deadline| deadline + TICK_MS > now), "{round}");
                    let nearest = judge.iter().flatten().min();
                    assert_eq!(nearest.is_some(), wheel.next().is_some());
                    if let (Some(nearest), Some(next)) = (nearest, wheel.next()) {
                        assert!(next.max(now) <= nearest + TICK_MS, "it wakes in time");
                    }
                }
            }
        }
    }

    /// Alone on the wheel, all around it: nobody else wakes the loop in time.
    #[test]
    fn one_deadline_is_found_wherever_it_is() {
        for began in (0..2 * PLACES as u64).step_by(7) {
            for distance in 1..PLACES as u64 + 10 {
                let mut wheel = Wheel::default();
                let mut expired = Vec::new();
                wheel.expire(began * TICK_MS, &mut expired);
                let deadline = (began + distance) * TICK_MS;
                wheel.set(3, deadline);
                // Where the look for it begins.
                wheel.set(4, (began + 1) * TICK_MS);
                wheel.clear(4);
                // What is further away than the wheel reaches is looked at on the way.
                for _ in 0..2 {
                    let next = wheel.next().expect("it has a deadline");
                    assert!(next <= deadline && expired.is_empty(), "{began} {distance}");
                    wheel.expire(next, &mut expired);
                    if next == deadline {
                        break;
                    }
                }
                assert_eq!((expired, wheel.next()), (vec![3], None), "{began} {distance}");
            }
        }
    }

    #[test]
    fn without_deadlines_nobody_is_woken() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.next(), None);
        wheel.set(3, 100);
        assert!(wheel.next().is_some_and(|next| (100..=100 + TICK_MS).contains(&next)));
        wheel.clear(3);
        assert_eq!(wheel.next(), None);
    }
}
