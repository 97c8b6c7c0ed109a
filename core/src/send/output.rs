//! Bytes on their way out: a buffer of fixed size that several responses may share.

use crate::syntax::octets;

/// The output buffer, and how much of it is filled.
#[derive(Debug)]
pub(crate) struct Output<'b> {
    buffer: &'b mut [u8],
    filled: usize,
}

impl<'b> Output<'b> {
    pub(crate) fn new(buffer: &'b mut [u8], filled: usize) -> Self {
        Self { filled: filled.min(buffer.len()), buffer }
    }

    /// The same buffer, lent for an exchange.
    pub(crate) fn lend(&mut self) -> Output<'_> {
        Output { buffer: self.buffer, filled: self.filled }
    }

    /// Takes the buffer back, filled so far.
    pub(crate) fn take_back(&mut self, filled: usize) {
        self.filled = filled.min(self.buffer.len());
    }

    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.filled
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// The part that is not filled.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts `count` octets of [`free`](Self::free) as filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled = self.buffer.len().min(self.filled + count);
    }

    /// Puts as much of `octets` as there is room for.
    pub(crate) fn push_some(&mut self, octets: &[u8]) -> usize {
        let count = octets::copy(octets, self.free());
        self.filled += count;
        count
    }

    /// Puts all of `octets`, or nothing. Was there room?
    #[inline]
    #[must_use]
    pub(crate) fn push(&mut self, octets: &[u8]) -> bool {
        // The place is as long as what goes there, so that short texts are moved without a call.
        let end = self.filled + octets.len();
        let Some(place) = self.buffer.get_mut(self.filled..end) else { return false };
        octets::copy(octets, place);
        self.filled = end;
        true
    }

    /// Leaves a gap of `count` octets, to be filled later: see [`open_gap`](Self::open_gap). Was there room?
    #[must_use]
    pub(crate) fn leave_gap(&mut self, count: usize) -> bool {
        let fits = count <= self.room();
        if fits {
            self.filled += count;
        }
        fits
    }

    /// Goes back to the gap that begins at `at`: what is put now goes there. Says where what is behind it ends.
    pub(crate) fn open_gap(&mut self, at: usize) -> usize {
        core::mem::replace(&mut self.filled, at)
    }

    /// Moves what is behind the gap, from `from` to `end`, up to what was put into it.
    pub(crate) fn close_gap(&mut self, from: usize, end: usize) {
        if let Some(used) = self.buffer.get_mut(..end) {
            octets::move_down(used, from, self.filled);
        }
        self.filled += end.saturating_sub(from);
    }

    /// Takes back everything from `filled` on.
    pub(crate) fn truncate(&mut self, filled: usize) {
        self.filled = self.filled.min(filled);
    }

    /// Drops the first `count` octets, which have left.
    pub(crate) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.filled);
        if let Some(used) = self.buffer.get_mut(..self.filled) {
            octets::move_down(used, count, 0);
        }
        self.filled -= count;
    }
}
