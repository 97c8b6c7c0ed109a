//! The response's content: measured, counted or in chunks.

use super::head::Reader;
use super::{Deferred, Phase, Shared};
use crate::connection::Maker;
use crate::send::content::{CHUNK_END, CHUNK_HEAD, LAST_CHUNK, put_chunk_head};
use crate::send::framing::Framing;
use crate::syntax::error::SendError;
use crate::syntax::error_page::Sink;
use core::any::Any;

impl Shared<'_> {
    /// The content has no known length: chunks for HTTP/1.1, else the connection's end.
    pub(super) fn stream(&mut self) -> Result<(), SendError> {
        // Where chunks end must not depend on what is before them in the buffer.
        self.flush_earlier().map_err(SendError::Transport)?;
        if self.asked.is_head {
            // The gap for the framing of measured content holds what was in the buffer before.
            self.output.truncate(self.head_end);
            self.phase = Phase::Bodiless;
            return self.put_framing(Framing::streamed(self.asked.version), Reader::MayRead);
        }
        let framing = Framing::streamed(self.asked.version);
        if let Phase::Measuring { content_at } = self.phase {
            let measured = self.output.filled() - content_at;
            self.put_framing_before(content_at, framing)?;
            if framing == Framing::Chunked && measured > 0 {
                // The gap was longer than what is in its place now, so there is room.
                self.output.push(CHUNK_END)?;
                self.flush()?;
            }
        } else {
            self.put_framing(framing, Reader::MayRead)?;
        }
        self.phase = if framing == Framing::Chunked { self.next_chunk()? } else { Phase::UntilClose };
        Ok(())
    }

    /// Keeps the place for the head of a chunk.
    fn next_chunk(&mut self) -> Result<Phase, SendError> {
        let least = CHUNK_HEAD + 1 + CHUNK_END.len();
        if self.output.room() < least {
            self.flush()?;
        }
        if self.output.room() < least {
            return self.refuse(SendError::HeadTooLarge);
        }
        self.output.leave_gap(CHUNK_HEAD)?;
        Ok(Phase::Chunked { content_at: self.output.filled() })
    }

    /// Puts the head before the chunk that has collected, and the line end after it.
    fn end_chunk(&mut self, content_at: usize) -> Result<(), SendError> {
        let size = self.output.filled().saturating_sub(content_at);
        let place = content_at.saturating_sub(CHUNK_HEAD);
        if size == 0 {
            self.output.truncate(place);
            return Ok(());
        }
        let end = self.output.open_gap(place);
        put_chunk_head(&mut self.output, size)?;
        self.output.close_gap(content_at, end);
        Ok(self.output.push(CHUNK_END)?)
    }

    /// Content, in whatever pieces the handler has it.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let count = bytes.len() as u64;
        if self.phase == Phase::Counted {
            return self.write_counted(bytes);
        }
        self.content_bytes += count;
        loop {
            match self.phase {
                Phase::Measuring { .. } => {
                    let mut fits = bytes.len() <= self.output.room();
                    if !fits {
                        self.flush_earlier().map_err(SendError::Transport)?;
                        fits = bytes.len() <= self.output.room();
                    }
                    if self.asked.is_head {
                        // Nothing is put, so all content has the same room: the heads of HEAD and GET are the same.
                        if self.content_bytes > self.output.room() as u64 {
                            self.flush_earlier().map_err(SendError::Transport)?;
                        }
                        if self.content_bytes > self.output.room() as u64 {
                            self.stream()?;
                        }
                        return Ok(());
                    }
                    let put = self.output.push_some(bytes);
                    bytes = bytes.get(put..).unwrap_or_default();
                    if fits {
                        return Ok(());
                    }
                    self.stream()?;
                }
                Phase::Chunked { content_at } => {
                    let room = self.output.room().saturating_sub(CHUNK_END.len());
                    let now = bytes.get(..room).unwrap_or(bytes);
                    let put = self.output.push_some(now);
                    bytes = bytes.get(put..).unwrap_or_default();
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    self.end_chunk(content_at)?;
                    self.flush()?;
                    if bytes.len() >= self.output.capacity() {
                        put_chunk_head(&mut self.output, bytes.len())?;
                        self.flush()?;
                        self.write_out(bytes)?;
                        bytes = &[];
                        self.output.push(CHUNK_END)?;
                    }
                    self.phase = self.next_chunk()?;
                }
                Phase::UntilClose | Phase::Raw => return self.write_plain(bytes),
                Phase::Bodiless if self.asked.is_head || count == 0 => return Ok(()),
                Phase::Bodiless => return self.refuse(SendError::ContentForbidden),
                Phase::Counted | Phase::Nothing | Phase::Head | Phase::Done => {
                    return Err(SendError::Failed);
                }
            }
        }
    }

    /// Content of a known length.
    fn write_counted(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let count = self.content_bytes + bytes.len() as u64;
        if self.declared.is_some_and(|declared| count > declared) {
            return self.refuse(SendError::LengthMismatch);
        }
        self.content_bytes = count;
        if self.asked.is_head { Ok(()) } else { self.write_plain(bytes) }
    }

    /// Ends the head, and the response with all of its content, which is there: what a program needs to stream
    /// content is not needed for it.
    pub(crate) fn end_with(&mut self, content: &[u8]) -> Result<(), SendError> {
        self.end_head_before(content.len() as u64)?;
        if self.phase == Phase::Counted {
            self.write_counted(content)?;
        }
        self.end_counted()
    }

    /// As [`end_with`](Self::end_with), of content in pieces.
    pub(crate) fn end_with_pieces(
        &mut self,
        length: u64,
        content: &mut dyn FnMut(&mut Sink<'_>),
    ) -> Result<(), SendError> {
        self.end_head_before(length)?;
        let mut result = Ok(());
        content(&mut |piece| {
            if result.is_ok() && self.phase == Phase::Counted {
                result = self.write_counted(piece);
            }
        });
        result?;
        self.end_counted()
    }

    /// Ends a response of a known length.
    fn end_counted(&mut self) -> Result<(), SendError> {
        if self.asked.is_head || self.phase != Phase::Counted {
            self.content_bytes = 0;
        } else if self.declared != Some(self.content_bytes) {
            return self.refuse(SendError::LengthMismatch);
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// Through the buffer, so that small pieces leave together; past it, when there is more than it holds.
    fn write_plain(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        if bytes.len() > self.output.room() {
            // What can be taken back when the handler fails must not depend on what is before it in the buffer.
            self.flush_earlier().map_err(SendError::Transport)?;
        }
        if self.output.filled() == 0 && bytes.len() >= self.output.capacity() {
            return self.write_out(bytes);
        }
        let put = self.output.push_some(bytes);
        let rest = bytes.get(put..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        self.flush()?;
        if rest.len() >= self.output.capacity() {
            return self.write_out(rest);
        }
        self.output.push_some(rest);
        Ok(())
    }

    /// Sends what has collected, so that the client has it now.
    pub(crate) fn flush_content(&mut self) -> Result<(), SendError> {
        if let Phase::Measuring { .. } = self.phase {
            self.stream()?;
        }
        if let Phase::Chunked { content_at } = self.phase {
            self.end_chunk(content_at)?;
            self.flush()?;
            self.phase = self.next_chunk()?;
        } else {
            self.flush()?;
        }
        self.wire.flush().map_err(SendError::Transport)
    }

    /// Ends the response. It leaves with others, when the engine waits.
    pub(crate) fn finish(&mut self) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.phase {
            Phase::Measuring { content_at } => {
                self.put_framing_before(content_at, Framing::Length(self.content_bytes))?;
            }
            Phase::Counted => return self.end_counted(),
            Phase::Chunked { content_at } => {
                self.end_chunk(content_at)?;
                if self.output.push(LAST_CHUNK).is_err() {
                    self.flush()?;
                    self.output.push(LAST_CHUNK)?;
                }
            }
            Phase::UntilClose | Phase::Bodiless | Phase::Raw => {}
            Phase::Nothing | Phase::Head | Phase::Done => return Err(SendError::Failed),
        }
        if self.asked.is_head {
            self.content_bytes = 0;
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// Ends the response with content that is sent after the handler has returned.
    pub(crate) fn defer(&mut self, deferred: Deferred, length: u64) -> Result<(), SendError> {
        let wants_content = self.end_head_alone(length)?;
        if matches!(deferred, Deferred::Made(_)) && length > 0 && self.output.capacity() == 0 {
            return self.refuse(SendError::HeadTooLarge);
        }
        if wants_content {
            self.leave_behind(deferred, length);
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// Ends the head of a response whose content the stream may know how to send. False when it does not: then the content is to
    /// be written.
    pub(crate) fn offer(&mut self, content: &mut dyn Any, length: u64) -> Result<bool, SendError> {
        if self.end_head_alone(length)? && length > 0 {
            if !self.wire.take_content(content) {
                return Ok(false);
            }
            self.leave_behind(Deferred::Made(Maker::Wire), length);
        }
        self.phase = Phase::Done;
        Ok(true)
    }

    /// Ends the head before content that may outlive the handler. Does the response have that content?
    fn end_head_alone(&mut self, length: u64) -> Result<bool, SendError> {
        // A connection has no room for two contents: that of the response, and one that is still to be drained.
        self.close |= !self.content.is_done();
        self.end_head_before(length)?;
        Ok(!self.asked.is_head && self.phase != Phase::Bodiless)
    }

    fn leave_behind(&mut self, deferred: Deferred, length: u64) {
        self.content_bytes = length;
        self.deferred = deferred;
    }

    /// Is the response ended?
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }
}
