//! The response's head: what the handler says, and what the engine decides.

use super::{Count, Phase, Shared};
use crate::send::content::put_chunk_head;
use crate::send::framing::{self, ConnectionOption, Framing, TEXT_MAX};
use crate::send::head::{self, Subject};
use crate::syntax::config::Clock;
use crate::syntax::decimal;
use crate::syntax::error::SendError;
use crate::syntax::status::{self, Status};
use crate::syntax::version::Version;

/// When the head leaves, is the handler done with the request's content?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Done,
    MayRead,
}

impl Shared<'_> {
    /// Begins the response. `with_origin` adds `Server` and `Date`.
    pub(crate) fn begin(&mut self, status: Status, reason: Option<&str>, with_origin: bool) {
        self.phase = Phase::Head;
        self.status = Some(status);
        if self.asked.version == Version::Http09 {
            return;
        }
        self.put_status_line(status, reason);
        if with_origin {
            if let Some(server) = self.config.server {
                head::put_server(server, &mut |text| self.put(text));
            }
            if let Some(clock) = self.config.clock {
                self.put_date(clock);
            }
        }
    }

    /// By reference: the date is not moved again on its way from the clock to the buffer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn put_date(&mut self, clock: &dyn Clock) {
        if let Some(date) = &clock.date() {
            self.put(date.as_field_line());
        }
    }

    fn put_status_line(&mut self, status: Status, reason: Option<&str>) {
        self.put(self.config.protocol.as_str().as_bytes());
        head::put_status(status, reason, &mut |text| self.put(text));
    }

    /// Adds a field of the handler's, or notes why that cannot be.
    #[inline]
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        // What a name that stands in the program is about is known before it runs.
        match Subject::of(name) {
            Subject::Other => self.put_field(name, value),
            subject => self.framing_field(subject, value),
        }
    }

    /// These say how the message is framed, which is decided in one place only. What a handler says is taken as its wish.
    #[cold]
    fn framing_field(&mut self, subject: Subject, value: &[u8]) {
        match (subject, decimal::parse(value)) {
            (Subject::Connection, _) if value.eq_ignore_ascii_case(b"close") => self.close = true,
            (Subject::Connection, _) if value.eq_ignore_ascii_case(b"keep-alive") => {}
            (Subject::ContentLength, Some(length))
                if self.declared.is_none_or(|declared| declared.0 == length) =>
            {
                self.declared = Some(Count(length));
            }
            (Subject::Invalid, _) => self.fail(SendError::InvalidField),
            _ => self.fail(SendError::FramingField),
        }
    }

    /// Adds a field whose name is a token, and says nothing about the framing.
    #[inline]
    pub(crate) fn put_field(&mut self, name: &[u8], value: &[u8]) {
        match head::field_value(value) {
            // HTTP/0.9 has no heads.
            Some(_) if self.asked.version == Version::Http09 => {}
            Some(value) => head::put_field(name, value, &mut |text| self.put(text)),
            None => self.fail(SendError::InvalidField),
        }
    }

    /// Declares the content's length.
    pub(crate) fn declare(&mut self, length: u64) {
        self.declared = Some(Count(length));
    }

    /// Declares that content of unknown length leaves as it comes.
    pub(crate) fn stream_on_end(&mut self) {
        self.streamed = true;
    }

    /// Ends the head. The content's length is what the handler declared; else the buffer measures it.
    pub(crate) fn end_head(&mut self) {
        self.end_fields(Reader::MayRead);
        if self.error.is_some() || self.phase != Phase::Head {
            return;
        }
        self.reserve(TEXT_MAX);
        if self.streamed || !self.output.leave_gap(TEXT_MAX) {
            return self.stream();
        }
        self.content_at = self.output.filled();
        self.phase = Phase::Measuring;
    }

    /// Ends the head before content of this length, which is there and follows at once. Does the response have it?
    pub(crate) fn end_head_before(&mut self, length: u64) -> bool {
        if self.declared.is_some_and(|declared| declared.0 != length) {
            self.fail(SendError::LengthMismatch);
        }
        self.declared = Some(Count(length));
        self.end_fields(Reader::Done);
        self.error.is_none() && self.phase == Phase::Counted && !self.asked.is_head
    }

    /// Ends the head, but for the framing of content whose length is not known: then the phase is still that of the head.
    fn end_fields(&mut self, reader: Reader) {
        if self.error.is_some() {
            return;
        }
        let status = self.status.unwrap_or(status::OK);
        // "A server MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx (Successful)
        // response to CONNECT" (RFC 9110 §9.3.6). We open no tunnels, so the connection ends.
        let is_tunnel = self.asked.is_connect && matches!(status.code(), 200..=299);
        self.close |= is_tunnel;
        if status.forbids_content() || is_tunnel {
            if self.declared.is_some_and(|length| length.0 > 0) && status != status::NOT_MODIFIED.into() {
                return self.fail(SendError::ContentForbidden);
            }
            let silent = status.forbids_content_length() || is_tunnel;
            self.phase = Phase::Bodiless;
            return self.put_framing(if silent { Framing::Silent } else { Framing::Length }, Reader::Done);
        }
        if self.declared.is_some() {
            self.phase = Phase::Counted;
            self.put_framing(Framing::Length, reader);
        }
    }

    /// What the head says about the connection; decides it.
    fn connection_option(&mut self, framing: Framing, reader: Reader) -> ConnectionOption {
        // What the client sends next must be found: content that waits for our `100 Continue`
        // may come or not, and too much of it is not worth reading.
        let uncertain = self.asked.expects_continue() && !self.content_has_begun && !self.content.is_done();
        let too_much = !self.content.is_at_most(self.config.limits.drain_bytes_max);
        // Asked here, and not when the request came: a handler may take long.
        self.close |= self.config.is_stopping()
            || uncertain
            || (too_much && reader == Reader::Done)
            || framing == Framing::UntilClose
            || self.read_error.is_some();
        match (self.close, self.asked.version) {
            (true, _) => ConnectionOption::Close,
            (false, Version::Http11) => ConnectionOption::Silent,
            (false, _) => ConnectionOption::KeepAlive,
        }
    }

    /// Puts the framing at the head's end, where nothing follows yet. The length is the one that was declared.
    pub(super) fn put_framing(&mut self, framing: Framing, reader: Reader) {
        let option = self.connection_option(framing, reader);
        if self.asked.version == Version::Http09 {
            return;
        }
        framing::put_lines(framing, option, &mut |text| self.put(text));
        if framing == Framing::Length {
            self.put_length();
        }
    }

    /// By itself: on a board, what was decided is off the stack by then.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn put_length(&mut self) {
        let length = self.declared.map_or(0, |length| length.0);
        self.put(decimal::digits(length, &mut [0; decimal::DIGITS_MAX]));
        self.put(framing::HEAD_END);
    }

    /// Puts the framing into the gap before content that was measured. Other than its length, the first chunk's size
    /// follows.
    pub(super) fn put_framing_before_content(&mut self, framing: Framing) {
        // Content that was measured is whole.
        let reader = if framing == Framing::Length { Reader::Done } else { Reader::MayRead };
        let content_at = self.content_at;
        let end = self.output.open_gap(content_at.saturating_sub(TEXT_MAX));
        self.put_framing(framing, reader);
        if framing == Framing::Chunked && end > content_at {
            put_chunk_head(end - content_at, &mut |text| self.put(text));
        }
        self.output.close_gap(content_at, end);
    }

    /// Ends HTTP on this connection: the head leaves, and the stream is the handler's.
    pub(crate) fn end_head_for_raw(&mut self) {
        self.close = true;
        self.put(b"Connection: upgrade\r\n\r\n");
        if self.error.is_none() {
            self.phase = Phase::Raw;
            self.flush_content();
        }
    }

    /// Sends an interim response at once (RFC 9110 §15.2). HTTP/1.0 has none.
    pub(crate) fn interim(&mut self, status: Status, fields: &[(&str, &str)]) {
        if self.asked.version < Version::Http11 {
            return;
        }
        self.flush_earlier();
        self.put_status_line(status, None);
        for (name, value) in fields {
            match Subject::of(name.as_bytes()) {
                Subject::Other => self.put_field(name.as_bytes(), value.as_bytes()),
                _ => self.fail(SendError::InvalidField),
            }
        }
        self.put(b"\r\n");
        if self.error.is_some() {
            return self.output.truncate(0);
        }
        self.flush();
        // What follows is another response, and nothing of that has left.
        self.has_left = false;
        self.flush_wire();
    }
}
