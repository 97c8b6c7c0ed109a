//! The response's content: measured, counted or in chunks.

use super::head::Reader;
use super::{Count, Phase, Rest, Shared};
use crate::connection::Maker;
use crate::send::content::{CHUNK_END, CHUNK_HEAD, LAST_CHUNK, put_chunk_head};
use crate::send::framing::{Framing, TEXT_MAX};
use crate::syntax::error::SendError;
use core::any::Any;

impl Shared<'_> {
    // ---- content that is there: what a program needs to stream content is not needed for it ----

    /// Ends the head, and the response with all of its content.
    pub(crate) fn end_with(&mut self, content: &[u8]) {
        if self.end_head_before(content.len() as u64) {
            self.content_bytes = Count(content.len() as u64);
            self.write_plain(content);
        }
        self.phase = Phase::Done;
    }

    /// Ends the response with content that is sent after the handler has returned.
    pub(crate) fn defer(&mut self, rest: Rest, length: u64) {
        if matches!(rest, Rest::Made(_)) && length > 0 && self.output.capacity() == 0 {
            self.fail(SendError::HeadTooLarge);
        }
        if self.end_head_alone(length) {
            self.leave_behind(rest, length);
        }
        self.phase = Phase::Done;
    }

    /// Ends the head of a response whose content the stream may know how to send. False when it does not: then the content is to
    /// be written.
    pub(crate) fn offer(&mut self, content: &mut dyn Any, length: u64) -> bool {
        if self.end_head_alone(length) && length > 0 {
            if !self.wire.take_content(content) {
                return false;
            }
            self.leave_behind(Rest::Made(Maker::Wire), length);
        }
        self.phase = Phase::Done;
        true
    }

    /// Ends the head before content that may outlive the handler. Does the response have that content?
    fn end_head_alone(&mut self, length: u64) -> bool {
        // A connection has no room for two contents: that of the response, and one that is still to be drained.
        self.close |= !self.content.is_done();
        self.end_head_before(length)
    }

    fn leave_behind(&mut self, rest: Rest, length: u64) {
        self.content_bytes = Count(length);
        self.rest = rest;
    }

    /// Is the response ended?
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.error.is_none()
    }

    // ---- content of a known length ----

    /// Some of it.
    pub(super) fn write_counted(&mut self, bytes: &[u8]) {
        let count = self.content_bytes.0 + bytes.len() as u64;
        if self.declared.is_some_and(|declared| count > declared.0) {
            return self.fail(SendError::LengthMismatch);
        }
        self.content_bytes = Count(count);
        if !self.asked.is_head {
            self.write_plain(bytes);
        }
    }

    /// Ends it.
    pub(super) fn end_counted(&mut self) {
        if self.asked.is_head || self.phase != Phase::Counted {
            self.content_bytes = Count(0);
        } else if self.declared != Some(self.content_bytes) {
            self.fail(SendError::LengthMismatch);
        }
        self.phase = Phase::Done;
    }

    /// Through the buffer, so that small pieces leave together.
    #[inline]
    fn write_plain(&mut self, bytes: &[u8]) {
        if !self.output.push(bytes) {
            self.write_past_buffer(bytes);
        }
    }

    /// Past the buffer, when there is more than it holds.
    #[cold]
    pub(super) fn write_past_buffer(&mut self, mut bytes: &[u8]) {
        // What can be taken back when the handler fails must not depend on what is before it in the buffer.
        self.reserve(bytes.len());
        while self.error.is_none() && (self.output.filled() > 0 || bytes.len() < self.output.capacity()) {
            let put = self.output.push_some(bytes);
            bytes = bytes.get(put..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            self.flush();
        }
        self.write_out(bytes);
    }

    // ---- content of any length ----

    /// The content has no known length: chunks for HTTP/1.1, else the connection's end.
    pub(super) fn stream(&mut self) {
        // Where chunks end must not depend on what is before them in the buffer.
        self.flush_earlier();
        let framing = Framing::streamed(self.asked.version);
        if self.asked.is_head {
            if self.phase == Phase::Measuring {
                // The gap for the framing holds what was in the buffer before.
                self.output.truncate(self.content_at.saturating_sub(TEXT_MAX));
            }
            self.phase = Phase::Bodiless;
            return self.put_framing(framing, Reader::MayRead);
        }
        if self.phase == Phase::Measuring {
            let measured = self.output.filled() - self.content_at;
            self.put_framing_before_content(framing);
            if framing == Framing::Chunked && measured > 0 {
                // The gap was longer than what is in its place now, so there is room.
                self.put(CHUNK_END);
                self.flush();
            }
        } else {
            self.put_framing(framing, Reader::MayRead);
        }
        if framing == Framing::Chunked {
            self.phase = Phase::Chunked;
            self.begin_chunk();
        } else {
            self.phase = Phase::UntilClose;
        }
    }

    /// Keeps the place for the head of a chunk.
    fn begin_chunk(&mut self) {
        let least = CHUNK_HEAD + 1 + CHUNK_END.len();
        if self.output.room() < least {
            self.flush();
        }
        if self.output.room() < least || !self.output.leave_gap(CHUNK_HEAD) {
            return self.fail(SendError::HeadTooLarge);
        }
        self.content_at = self.output.filled();
    }

    /// Puts the head before the chunk that has collected, and the line end after it.
    fn end_chunk(&mut self) {
        let place = self.content_at.saturating_sub(CHUNK_HEAD);
        let end = self.output.open_gap(place);
        let size = end.saturating_sub(self.content_at);
        if size > 0 {
            put_chunk_head(size, &mut |text| self.put(text));
            self.output.close_gap(self.content_at, end);
            self.put(CHUNK_END);
        }
    }

    /// Content, in whatever pieces the handler has it.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.phase == Phase::Counted {
            return self.write_counted(bytes);
        }
        self.content_bytes.0 += bytes.len() as u64;
        if self.phase == Phase::Measuring {
            self.write_measured(bytes);
        } else {
            self.write_streamed(bytes);
        }
    }

    /// Content that may still fit the buffer, which measures it then.
    fn write_measured(&mut self, bytes: &[u8]) {
        if self.asked.is_head {
            // Nothing is put, so all content has the same room: the heads of HEAD and GET are the same.
            self.reserve(usize::try_from(self.content_bytes.0).unwrap_or(usize::MAX));
            if self.content_bytes.0 > self.output.room() as u64 {
                self.stream();
            }
            return;
        }
        self.reserve(bytes.len());
        let put = self.output.push_some(bytes);
        let rest = bytes.get(put..).unwrap_or_default();
        if !rest.is_empty() {
            self.stream();
            self.write_streamed(rest);
        }
    }

    fn write_streamed(&mut self, bytes: &[u8]) {
        match self.phase {
            _ if self.error.is_some() => {}
            Phase::Chunked => self.write_chunks(bytes),
            Phase::UntilClose | Phase::Raw => self.write_plain(bytes),
            Phase::Bodiless if self.asked.is_head || bytes.is_empty() => {}
            Phase::Bodiless => self.fail(SendError::ContentForbidden),
            _ => self.fail(SendError::Failed),
        }
    }

    fn write_chunks(&mut self, mut bytes: &[u8]) {
        while self.error.is_none() {
            let room = self.output.room().saturating_sub(CHUNK_END.len());
            let put = self.output.push_some(bytes.get(..room).unwrap_or(bytes));
            bytes = bytes.get(put..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            self.end_chunk();
            self.flush();
            if bytes.len() >= self.output.capacity() {
                put_chunk_head(bytes.len(), &mut |text| self.put(text));
                self.flush();
                self.write_out(bytes);
                bytes = &[];
                self.put(CHUNK_END);
            }
            self.begin_chunk();
        }
    }

    /// Sends what has collected, so that the client has it now.
    pub(crate) fn flush_content(&mut self) {
        if self.phase == Phase::Measuring {
            self.stream();
        }
        if self.phase == Phase::Chunked {
            self.end_chunk();
            self.flush();
            self.begin_chunk();
        } else {
            self.flush();
        }
        self.flush_wire();
    }

    /// Ends the response. It leaves with others, when the engine waits.
    pub(crate) fn finish(&mut self) {
        match self.phase {
            Phase::Measuring => {
                self.declared = Some(self.content_bytes);
                self.put_framing_before_content(Framing::Length);
            }
            Phase::Counted => return self.end_counted(),
            Phase::Chunked => {
                self.end_chunk();
                if !self.output.push(LAST_CHUNK) {
                    self.flush();
                    self.put(LAST_CHUNK);
                }
            }
            Phase::UntilClose | Phase::Bodiless | Phase::Raw => {}
            Phase::Nothing | Phase::Head | Phase::Done => self.fail(SendError::Failed),
        }
        if self.asked.is_head {
            self.content_bytes = Count(0);
        }
        self.phase = Phase::Done;
    }
}
