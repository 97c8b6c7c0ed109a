//! The transport, erased: one object-safe trait over every stream, so that handlers have no type parameters and flash
//! holds one copy of the code.

use crate::syntax::error::SendError;
use core::any::Any;
use embedded_io::{Error, ErrorKind, Read, Write};

/// A connection's stream, as the engine uses it.
///
/// Every `embedded_io::Read + Write` is one. Implement it directly for a stream that can tell how much it takes
/// without waiting, or that holds nothing back.
pub trait Wire {
    /// Reads at least one byte into `buffer`, waiting if need be; `Ok(0)` is the end of the stream. Never called
    /// with an empty buffer.
    ///
    /// # Errors
    /// The kind of the transport's failure; [`ErrorKind::TimedOut`] when the client was silent for too long.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind>;

    /// Writes at least one byte of `bytes`, waiting if need be.
    ///
    /// # Errors
    /// The kind of the transport's failure.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind>;

    /// Sends what the stream itself holds back: called before the client is waited for, and not after each write. A
    /// stream without a buffer of its own has nothing to do.
    ///
    /// # Errors
    /// The kind of the transport's failure.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }

    /// How many bytes `write` takes now without waiting. A stream that may wait has no bound.
    fn room(&mut self) -> usize {
        usize::MAX
    }

    /// Takes content which the stream can send itself, such as a file, out of `content`, in place of what it had before. False
    /// when it knows no such content: then nothing is taken, and the handler writes it.
    fn take_content(&mut self, content: &mut dyn Any) -> bool {
        let _ = content;
        false
    }

    /// Sends some octets from `position` on of the content that was taken, and not more than `left`. All that was written before
    /// has gone ahead of them. `Ok(0)` says that there was no room after all; a stream that waits for room never says so.
    ///
    /// # Errors
    /// Whatever keeps it from being sent whole: the connection is cut.
    fn send_content(&mut self, position: u64, left: u64) -> Result<usize, SendError> {
        let _ = (position, left);
        Err(SendError::Failed)
    }
}

impl<S: Read + Write> Wire for S {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Read::read(self, buffer).map_err(|error| error.kind())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Write::write(self, bytes).map_err(|error| error.kind())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Write::flush(self).map_err(|error| error.kind())
    }
}

/// Reads, and again after an interruption. More than the buffer's length is an error of the stream's.
pub(crate) fn read(wire: &mut dyn Wire, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
    loop {
        match wire.read(buffer) {
            Err(ErrorKind::Interrupted) => {}
            Ok(count) if count > buffer.len() => return Err(ErrorKind::Other),
            result => return result,
        }
    }
}

/// Writes some of `bytes`, and again after an interruption. Nothing, or more than there is, is an error of the stream's.
pub(crate) fn write(wire: &mut dyn Wire, bytes: &[u8]) -> Result<usize, ErrorKind> {
    loop {
        match wire.write(bytes) {
            Err(ErrorKind::Interrupted) => {}
            Ok(0) => return Err(ErrorKind::WriteZero),
            Ok(count) if count > bytes.len() => return Err(ErrorKind::Other),
            result => return result,
        }
    }
}

/// Writes all of `bytes`. (`embedded_io`'s own `write_all` panics when `write` returns `Ok(0)`.)
pub(crate) fn write_all(wire: &mut dyn Wire, mut bytes: &[u8]) -> Result<(), ErrorKind> {
    while !bytes.is_empty() {
        bytes = bytes.get(write(wire, bytes)?..).unwrap_or_default();
    }
    Ok(())
}
