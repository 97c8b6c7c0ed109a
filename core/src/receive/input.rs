//! Bytes on their way in: a buffer of fixed size, and the part of it that has arrived and is not taken.

use crate::syntax::octets;

/// The input buffer.
#[derive(Debug)]
pub(crate) struct Input<'b> {
    buffer: &'b mut [u8],
    /// What arrived and is not taken yet is from here …
    start: usize,
    /// … to here.
    filled: usize,
}

impl<'b> Input<'b> {
    /// A buffer of which the first `filled` octets have arrived.
    pub(crate) fn new(buffer: &'b mut [u8], filled: usize) -> Self {
        Self { start: 0, filled: filled.min(buffer.len()), buffer }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// What arrived and is not taken.
    pub(crate) fn arrived(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Takes the first `count` octets.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Where the next octets belong.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts `count` octets of [`free`](Self::free) as arrived.
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled = self.buffer.len().min(self.filled + count);
    }

    /// Is there no room for a further octet?
    pub(crate) fn is_full(&self) -> bool {
        self.filled >= self.buffer.len()
    }

    /// Makes room behind what is not taken.
    pub(crate) fn make_room(&mut self) {
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
        } else if self.is_full() && self.start > 0 {
            octets::move_down(self.buffer, self.start, 0);
            (self.start, self.filled) = (0, self.filled - self.start);
        }
    }

    /// What arrived, up to `at`, and the buffer behind it. How that is left belongs to [`rejoin`](Self::rejoin).
    pub(crate) fn split(&mut self, at: usize) -> (&[u8], Input<'_>) {
        let from_start = self.buffer.get_mut(self.start..).unwrap_or_default();
        let (before, behind) = from_start.split_at_mut_checked(at).unwrap_or_default();
        (before, Input::new(behind, self.filled.saturating_sub(self.start + at)))
    }

    /// How much of this buffer is taken, and how much filled.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.start, self.filled)
    }

    /// Takes what was [split](Self::split) off at `at`, and what was taken of the buffer behind it.
    pub(crate) fn rejoin(&mut self, at: usize, (start, filled): (usize, usize)) {
        let behind = self.start + at;
        (self.start, self.filled) = (behind + start, behind + filled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_split_off_is_taken_when_it_is_rejoined() {
        let mut buffer = *b"..headcontentnext...";
        let mut input = Input::new(&mut buffer, 17);
        input.take(2);
        let (head, mut behind) = input.split(4);
        assert_eq!((head, behind.arrived()), (&b"head"[..], &b"contentnext"[..]));
        behind.take(7);
        let used = behind.used();
        input.rejoin(4, used);
        assert_eq!(input.arrived(), b"next");
        assert!(!input.is_full());
        input.free().fill(b'!');
        input.fill(3);
        assert!(input.is_full());
        input.make_room();
        assert_eq!(input.arrived(), b"next!!!");
        assert_eq!(input.free().len(), input.capacity() - 7);
        input.take(7);
        input.make_room();
        assert_eq!(input.free().len(), input.capacity());
    }
}
