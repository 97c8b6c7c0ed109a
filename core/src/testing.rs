//! For tests of handlers, this crate's and yours: a stream whose reads and faults are written down beforehand.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use heapless::Vec;

/// A stream that gives what its script says, and keeps what is written, up to `N` bytes; then writing fails with
/// [`ErrorKind::OutOfMemory`].
///
/// ```
/// use embedded_io::{ErrorKind, Read, Write};
/// use httpling_core::testing::ScriptedStream;
///
/// let mut stream = ScriptedStream::<64>::new(&[b"GET", b" /"]).ending_with(ErrorKind::TimedOut);
/// let mut buffer = [0; 8];
/// assert_eq!(stream.read(&mut buffer), Ok(3));
/// assert_eq!(stream.read(&mut buffer[..1]), Ok(1));
/// assert_eq!(stream.read(&mut buffer), Ok(1));
/// assert_eq!(stream.read(&mut buffer), Err(ErrorKind::TimedOut));
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedStream<'a, const N: usize> {
    pieces: &'a [&'a [u8]],
    /// Octets of the first piece that were read.
    taken: usize,
    end: Option<ErrorKind>,
    written: Vec<u8, N>,
    writes_at_most: usize,
    write_fault: Option<(usize, ErrorKind)>,
    reads: usize,
    writes: usize,
    flushes: usize,
}

impl<'a, const N: usize> ScriptedStream<'a, N> {
    /// A stream that gives each of these pieces to one read, or to more when the reader's buffer is small, and then ends.
    pub fn new(pieces: &'a [&'a [u8]]) -> Self {
        Self {
            pieces,
            taken: 0,
            end: None,
            written: Vec::new(),
            writes_at_most: usize::MAX,
            write_fault: None,
            reads: 0,
            writes: 0,
            flushes: 0,
        }
    }

    /// Fails after the last piece, instead of ending.
    #[must_use]
    pub fn ending_with(self, fault: ErrorKind) -> Self {
        Self { end: Some(fault), ..self }
    }

    /// Takes at most so many bytes with each write.
    #[must_use]
    pub fn writing_at_most(self, bytes: usize) -> Self {
        Self { writes_at_most: bytes, ..self }
    }

    /// Fails when so many bytes have been written.
    #[must_use]
    pub fn failing_after(self, bytes: usize, fault: ErrorKind) -> Self {
        Self { write_fault: Some((bytes, fault)), ..self }
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// What was not read, all pieces together.
    pub fn unread(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum::<usize>().saturating_sub(self.taken)
    }

    /// Calls of `read`, `write` and `flush`.
    pub fn calls(&self) -> (usize, usize, usize) {
        (self.reads, self.writes, self.flushes)
    }
}

impl<const N: usize> ErrorType for ScriptedStream<'_, N> {
    type Error = ErrorKind;
}

impl<const N: usize> Read for ScriptedStream<'_, N> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.reads += 1;
        loop {
            let Some((first, rest)) = self.pieces.split_first() else { return self.end.map_or(Ok(0), Err) };
            let left = first.get(self.taken..).unwrap_or_default();
            if left.is_empty() {
                (self.pieces, self.taken) = (rest, 0);
                continue;
            }
            let count = crate::syntax::octets::copy(left, buffer);
            self.taken += count;
            return Ok(count);
        }
    }
}

impl<const N: usize> Write for ScriptedStream<'_, N> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.writes += 1;
        let mut most = self.writes_at_most.min(N - self.written.len());
        if let Some((after, fault)) = self.write_fault {
            most = most.min(after.saturating_sub(self.written.len()));
            if most == 0 {
                return Err(fault);
            }
        }
        if most == 0 && N == self.written.len() {
            return Err(ErrorKind::OutOfMemory);
        }
        let now = bytes.get(..most).unwrap_or(bytes);
        self.written.extend_from_slice(now).map_err(|_| ErrorKind::OutOfMemory)?;
        Ok(now.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.flushes += 1;
        Ok(())
    }
}
