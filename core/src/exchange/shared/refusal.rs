//! Error pages, and what else is sent when a handler did not answer.

use super::{Count, Phase, Rest, Shared};
use crate::syntax::error::{Problem, RequestError};
use crate::syntax::error_page::{ErrorPage, ErrorWords};

impl Shared<'_> {
    /// Takes back what was put of this response, if nothing of it has left.
    pub(crate) fn take_back(&mut self) -> bool {
        if self.has_left || self.broken().is_some() {
            return false;
        }
        self.output.truncate(self.response_at);
        self.phase = Phase::Nothing;
        self.error = None;
        self.declared = None;
        self.streamed = false;
        self.content_bytes = Count(0);
        self.rest = Rest::Nothing;
        true
    }

    /// Sends the error page, or, if the buffer does not hold its head, the shortest answer there is.
    pub(crate) fn answer_with(&mut self, words: &ErrorWords<'_>) {
        self.send_error(words, &|shared| {
            if words.problem == Problem::Request(RequestError::Overloaded) {
                // "to suggest an appropriate amount of time for the client to wait" (RFC 9110 §15.6.4): not long.
                shared.put_field(b"Retry-After", b"1");
            }
        });
        if self.error.is_some() && self.take_back() {
            self.bare_error(words);
        }
    }

    /// An error response, with fields of the handler's. "Every `send_error` closes the connection" (spec 66).
    pub(crate) fn send_error(&mut self, words: &ErrorWords<'_>, put_fields: &dyn Fn(&mut Self)) {
        self.close = true;
        self.rest = Rest::Problem(words.problem);
        self.begin(words.status, None, true);
        put_fields(self);
        match &self.config.error_page {
            Some(page) if !words.status.forbids_content() => self.send_page(words, page),
            _ => drop(self.end_head_before(0)),
        }
        self.end_counted();
    }

    /// By itself: what it needs is not on the stack of a board without pages.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn send_page(&mut self, words: &ErrorWords<'_>, page: &ErrorPage) {
        self.put_field(b"Content-Type", page.media_type.as_bytes());
        self.put_field(b"X-Content-Type-Options", b"nosniff");
        // Measured beforehand, so that a page that the buffer does not hold needs no chunks: who
        // is refused may well speak HTTP/1.0.
        let mut length = 0;
        (page.write)(words, &mut |piece| length += piece.len() as u64);
        if self.end_head_before(length) {
            (page.write)(words, &mut |piece| self.write_counted(piece));
        }
    }

    /// The shortest answer there is. The buffer may be too small for any: what it does not hold leaves before the rest.
    fn bare_error(&mut self, words: &ErrorWords<'_>) {
        self.rest = Rest::Problem(words.problem);
        self.flush_earlier();
        self.leaves_in_pieces = true;
        self.begin(words.status, None, false);
        self.end_with(b"");
    }
}
