//! The response's head: what the handler says, and what the engine decides.

use super::{Phase, Shared};
use crate::send::content::put_chunk_head;
use crate::send::framing::{self, ConnectionOption, Framing, TEXT_MAX};
use crate::send::head::{self, Subject};
use crate::send::output::Output;
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
    pub(crate) fn begin(&mut self, status: Status, reason: &str, with_origin: bool) {
        self.phase = Phase::Head;
        self.status = Some(status);
        if self.asked.version == Version::Http09 {
            return;
        }
        let config = self.config;
        self.reserve(head::BEGINNING_BYTES + reason.len() + config.server.map_or(0, str::len));
        let put = head::put_status_line(&mut self.output, config.protocol, status, reason);
        self.note(put);
        if with_origin {
            if let Some(server) = config.server {
                self.put_field(b"Server", server.as_bytes());
            }
            if let Some(date) = config.clock.and_then(Clock::date) {
                let put = head::put_date(&mut self.output, &date);
                self.note(put);
            }
        }
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
                if self.declared.is_none_or(|declared| declared == length) =>
            {
                self.declared = Some(length);
            }
            (Subject::Invalid, _) => self.fail(SendError::InvalidField),
            _ => self.fail(SendError::FramingField),
        }
    }

    /// Adds a field whose name is a token, and says nothing about the framing.
    pub(crate) fn put_field(&mut self, name: &[u8], value: &[u8]) {
        if self.asked.version > Version::Http09 {
            self.reserve(head::FIELD_BYTES + name.len() + value.len());
            let put = head::put_field(&mut self.output, name, value);
            self.note(put);
        }
    }

    /// Declares the content's length.
    pub(crate) fn declare(&mut self, length: u64) {
        self.declared = Some(length);
    }

    /// Declares that content of unknown length leaves as it comes.
    pub(crate) fn stream_on_end(&mut self) {
        self.streamed = true;
    }

    pub(crate) fn fail(&mut self, error: SendError) {
        self.error.get_or_insert(error);
    }

    /// Notes what went wrong, if nothing did before.
    fn note(&mut self, result: Result<(), impl Into<SendError>>) {
        if let Err(error) = result {
            self.fail(error.into());
        }
    }

    /// Makes room for a part of the head: what earlier responses take is no reason for it not to fit.
    fn reserve(&mut self, count: usize) {
        if count > self.output.room() && self.error.is_none() {
            // Its failure is noted.
            let _ = self.flush_earlier();
        }
    }

    /// Ends the head. The content's length is what the handler declared; else the buffer measures it.
    pub(crate) fn end_head(&mut self) -> Result<(), SendError> {
        self.end_fields(Reader::MayRead)?;
        if self.phase != Phase::Head {
            return Ok(());
        }
        self.reserve(TEXT_MAX);
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.streamed || self.output.leave_gap(TEXT_MAX).is_err() {
            return self.stream();
        }
        self.phase = Phase::Measuring { content_at: self.output.filled() };
        Ok(())
    }

    /// Ends the head before content of this length, which is there and follows at once.
    pub(crate) fn end_head_before(&mut self, length: u64) -> Result<(), SendError> {
        if self.declared.is_some_and(|declared| declared != length) {
            self.fail(SendError::LengthMismatch);
        }
        self.declared = Some(length);
        self.end_fields(Reader::Done)
    }

    /// Ends the head, but for the framing of content whose length is not known: then the phase is still that of the head.
    fn end_fields(&mut self, reader: Reader) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.head_end = self.output.filled();
        let status = self.status.unwrap_or(status::OK);
        // "A server MUST NOT send any Transfer-Encoding or Content-Length header fields in a 2xx (Successful)
        // response to CONNECT" (RFC 9110 §9.3.6). We open no tunnels, so the connection ends.
        let is_tunnel = self.asked.is_connect && matches!(status.code(), 200..=299);
        self.close |= is_tunnel;
        if status.forbids_content() || is_tunnel {
            if self.declared.is_some_and(|length| length > 0) && status != status::NOT_MODIFIED.into() {
                return self.refuse(SendError::ContentForbidden);
            }
            let silent = status.forbids_content_length() || is_tunnel;
            self.phase = Phase::Bodiless;
            return self.put_framing(if silent { Framing::Silent } else { Framing::Length(0) }, Reader::Done);
        }
        let Some(length) = self.declared else { return Ok(()) };
        self.phase = Phase::Counted;
        self.put_framing(Framing::Length(length), reader)
    }

    pub(super) fn refuse<T>(&mut self, error: SendError) -> Result<T, SendError> {
        self.error = Some(error);
        Err(error)
    }

    /// What the head says about the connection; decides it.
    fn connection_option(&mut self, framing: Framing, reader: Reader) -> ConnectionOption {
        // What the client sends next must be found: content that waits for our `100 Continue`
        // may come or not, and too much of it is not worth reading.
        let uncertain = self.asked.expects_continue && !self.content_has_begun && !self.content.is_done();
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

    /// Puts the framing at the head's end, where nothing follows yet.
    pub(super) fn put_framing(&mut self, framing: Framing, reader: Reader) -> Result<(), SendError> {
        let option = self.connection_option(framing, reader);
        if self.asked.version == Version::Http09 {
            return Ok(());
        }
        self.reserve(TEXT_MAX);
        let put = framing::put(&mut self.output, framing, option);
        self.note(put);
        self.error.map_or(Ok(()), Err)
    }

    /// Puts the framing into the gap before content that was measured. Other than its length, the first chunk's size
    /// follows.
    pub(super) fn put_framing_before(
        &mut self,
        content_at: usize,
        framing: Framing,
    ) -> Result<(), SendError> {
        // Content that was measured is whole.
        let reader = if matches!(framing, Framing::Length(_)) { Reader::Done } else { Reader::MayRead };
        let option = self.connection_option(framing, reader);
        let end = self.output.open_gap(self.head_end);
        if self.asked.version > Version::Http09 {
            framing::put(&mut self.output, framing, option)?;
        }
        if framing == Framing::Chunked && end > content_at {
            put_chunk_head(&mut self.output, end - content_at)?;
        }
        self.output.close_gap(content_at, end);
        Ok(())
    }

    /// Ends HTTP on this connection: the head leaves, and the stream is the handler's.
    pub(crate) fn end_head_for_raw(&mut self) -> Result<(), SendError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.close = true;
        self.reserve(TEXT_MAX);
        let put = self.output.push(b"Connection: upgrade\r\n\r\n");
        self.note(put);
        if let Some(error) = self.error {
            return Err(error);
        }
        self.phase = Phase::Raw;
        self.flush_content()
    }

    /// Sends an interim response at once (RFC 9110 §15.2). HTTP/1.0 has none.
    pub(crate) fn interim(&mut self, status: Status, fields: &[(&str, &str)]) -> Result<(), SendError> {
        if self.asked.version < Version::Http11 {
            return Ok(());
        }
        self.flush_earlier().map_err(SendError::Transport)?;
        let version = self.config.protocol;
        let put = |out: &mut Output<'_>| {
            head::put_status_line(out, version, status, status.reason())?;
            for (name, value) in fields {
                if Subject::of(name.as_bytes()) != Subject::Other {
                    return Err(SendError::InvalidField);
                }
                head::put_field(out, name.as_bytes(), value.as_bytes())?;
            }
            Ok(out.push(b"\r\n")?)
        };
        if let Err(error) = put(&mut self.output) {
            self.output.truncate(0);
            return Err(error);
        }
        self.flush()?;
        // What follows is another response, and nothing of that has left.
        self.has_left = false;
        self.wire.flush().map_err(SendError::Transport)
    }
}
