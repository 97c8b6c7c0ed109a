//! Error pages, and what else is sent when a handler did not answer.

use super::{Deferred, Phase, Shared};
use crate::exchange::wire;
use crate::send::framing::{self, ConnectionOption, Framing};
use crate::send::head;
use crate::send::output::Output;
use crate::syntax::error::SendError;
use crate::syntax::error_page::ErrorWords;
use crate::syntax::status::Status;
use embedded_io::ErrorKind;

/// Octets of the shortest answer with the longest reason phrase.
const BARE_BYTES: usize =
    b"HTTP/1.1 511 Network Authentication Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".len();

impl Shared<'_> {
    /// Takes back what was put of this response, if nothing of it has left.
    pub(crate) fn take_back(&mut self) -> bool {
        if self.has_left {
            return false;
        }
        self.output.truncate(self.response_at);
        self.phase = Phase::Nothing;
        self.error = None;
        self.declared = None;
        self.streamed = false;
        self.problem = None;
        self.content_bytes = 0;
        self.deferred = Deferred::Nothing;
        true
    }

    /// The whole error response: status line, fields, content. "Every `send_error` closes the connection" (spec 66).
    pub(crate) fn error_page(
        &mut self,
        words: ErrorWords<'_>,
        extra: &mut dyn FnMut(&mut Self),
    ) -> Result<(), SendError> {
        self.close = true;
        self.problem = Some(words.problem);
        let status = words.status;
        self.begin(status, status.reason(), true);
        extra(self);
        let page = self.config.error_page.filter(|_| !status.forbids_content());
        // Measured beforehand, so that a page that the buffer does not hold needs no chunks: who
        // is refused may well speak HTTP/1.0.
        let mut length = 0;
        if let Some(page) = page {
            self.put_field(b"Content-Type", page.media_type.as_bytes());
            self.put_field(b"X-Content-Type-Options", b"nosniff");
            (page.write)(&words, &mut |piece| length += piece.len() as u64);
        }
        self.end_with_pieces(length, &mut |write| {
            if let Some(page) = page {
                (page.write)(&words, write);
            }
        })
    }

    /// The shortest answer there is, past the buffer, which may be too small for any.
    pub(crate) fn bare_error(&mut self, status: Status) -> Result<(), ErrorKind> {
        self.close = true;
        self.status = Some(status);
        self.flush_earlier()?;
        let mut head = [0; BARE_BYTES];
        let mut head = Output::new(&mut head, 0);
        // It has room for the longest of our reason phrases.
        let _ = head::put_status_line(&mut head, self.config.protocol, status, status.reason());
        let _ = framing::put(&mut head, Framing::Length(0), ConnectionOption::Close);
        self.has_left = true;
        wire::write_all(self.wire, head.as_bytes())
    }
}
