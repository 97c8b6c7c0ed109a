//! The request's content, as the handler reads it.

use super::Shared;
use crate::exchange::wire;
use crate::syntax::error::{ReadError, RequestError};
use crate::syntax::octets;
use embedded_io::ErrorKind;

impl Shared<'_> {
    /// Reads content into `out`, waiting for it if need be; `Ok(0)` is its end.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        if let Some(error) = self.read_error {
            return Err(error);
        }
        let result = self.try_read(out);
        self.read_error = result.err();
        result
    }

    fn try_read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let arrived = self.input.arrived();
            let decoded =
                self.content.decode(arrived, out, &self.config.limits).map_err(ReadError::Refused)?;
            self.input.take(decoded.taken);
            self.content_has_begun |= decoded.taken > 0;
            if decoded.put > 0 || self.content.is_done() {
                return Ok(decoded.put);
            }
            // Everything that arrived is taken.
            self.input.make_room();
            self.before_waiting()?;
            let plain = self.content.plain();
            if plain > 0 && out.len() >= self.input.capacity().min(plain) {
                // Past the buffer, into place. Not one octet further than the content.
                let most = plain.min(out.len());
                let place = out.get_mut(..most).unwrap_or_default();
                let count = received(wire::read(self.wire, place))?;
                self.content.skip(count);
                return Ok(count);
            }
            self.receive()?;
        }
    }

    /// Waits for more bytes.
    fn receive(&mut self) -> Result<(), ReadError> {
        if self.input.capacity() == 0 {
            // The head filled the whole buffer. An octet at a time needs none.
            let mut octet = [0];
            received(wire::read(self.wire, &mut octet))?;
            let decoded = self.content.decode(&octet, &mut [], &self.config.limits);
            return decoded.map(|_| ()).map_err(ReadError::Refused);
        }
        let count = received(wire::read(self.wire, self.input.free()))?;
        self.input.fill(count);
        Ok(())
    }

    /// Nobody may be left waiting for us while we wait for them: earlier responses leave, and `100 Continue`.
    fn before_waiting(&mut self) -> Result<(), ReadError> {
        self.flush_earlier();
        // A response that has begun is no reason to let the client wait, until it begins to leave.
        let waits = self.asked.expects_continue() && !self.content_has_begun && !self.has_left;
        if waits && self.broken().is_none() {
            let written = wire::write_all(self.wire, b"HTTP/1.1 100 Continue\r\n\r\n");
            self.note(written);
        }
        self.content_has_begun = true;
        self.flush_wire();
        self.broken().map_or(Ok(()), |kind| Err(ReadError::Transport(kind)))
    }

    /// Reads the stream as it is: first what has arrived with the head.
    pub(crate) fn read_raw(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let arrived = self.input.arrived();
        if arrived.is_empty() && !out.is_empty() {
            self.flush_content();
            return self.broken().map_or_else(|| wire::read(self.wire, out), Err);
        }
        let count = octets::copy(arrived, out);
        self.input.take(count);
        Ok(count)
    }
}

/// What a read of content means: its end is never the stream's.
fn received(result: Result<usize, ErrorKind>) -> Result<usize, ReadError> {
    match result {
        Ok(0) => Err(ReadError::Refused(RequestError::Incomplete)),
        Ok(count) => Ok(count),
        Err(ErrorKind::TimedOut) => Err(ReadError::Refused(RequestError::TimedOut)),
        Err(kind) => Err(ReadError::Transport(kind)),
    }
}
