//! Bytes on their way out: a buffer of fixed size that several responses may share.

use crate::syntax::octets;

/// The output buffer, and how much of it is filled.
#[derive(Debug)]
pub(crate) struct Output<'b> {
    buffer: &'b mut [u8],
    filled: usize,
}

/// There is no room for all of it. Nothing was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<'b> Output<'b> {
    pub(crate) fn new(buffer: &'b mut [u8], filled: usize) -> Self {
        Self { filled: filled.min(buffer.len()), buffer }
    }

    /// The same buffer, lent for an exchange.
    pub(crate) fn lend(&mut self) -> Output<'_> {
        Output { buffer: self.buffer, filled: self.filled }
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

    /// Puts all of `octets`, or nothing.
    #[inline]
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), Full> {
        // The place is as long as what goes there, so that short texts are moved without a call.
        let end = self.filled + octets.len();
        let place = self.buffer.get_mut(self.filled..end).ok_or(Full)?;
        octets::copy(octets, place);
        self.filled = end;
        Ok(())
    }

    /// Leaves a gap of `count` octets, to be filled by [`close_gap`](Self::close_gap).
    pub(crate) fn leave_gap(&mut self, count: usize) -> Result<(), Full> {
        if count > self.room() {
            return Err(Full);
        }
        self.filled += count;
        Ok(())
    }

    /// Puts `octets` into the gap from `at` up to `end`, and moves what is behind it up to them.
    pub(crate) fn close_gap(&mut self, at: usize, end: usize, octets: &[u8]) {
        let put = self.buffer.get_mut(at..end).map_or(0, |gap| octets::copy(octets, gap));
        if let Some(used) = self.buffer.get_mut(..self.filled) {
            octets::move_down(used, end, at + put);
        }
        self.filled -= end - (at + put);
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
