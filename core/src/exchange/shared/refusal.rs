//! Error pages, and what else is sent when a handler did not answer.

use super::{Phase, Rest, Shared};
use crate::syntax::error_page::ErrorWords;

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
        self.content_bytes = 0;
        self.rest = Rest::Nothing;
        true
    }

    /// Begins an error response, up to its page. "Every `send_error` closes the connection" (spec 66).
    pub(crate) fn begin_error(&mut self, words: &ErrorWords<'_>) {
        self.close = true;
        self.rest = Rest::Problem(words.problem);
        self.begin(words.status, None, true);
    }

    /// The rest of an error response: what the page needs of the head, and the page.
    pub(crate) fn end_error(&mut self, words: &ErrorWords<'_>) {
        let page = self.config.error_page.filter(|_| !words.status.forbids_content());
        // Measured beforehand, so that a page that the buffer does not hold needs no chunks: who
        // is refused may well speak HTTP/1.0.
        let mut length = 0;
        if let Some(page) = page {
            self.put_field(b"Content-Type", page.media_type.as_bytes());
            self.put_field(b"X-Content-Type-Options", b"nosniff");
            (page.write)(words, &mut |piece| length += piece.len() as u64);
        }
        if self.end_head_before(length)
            && let Some(page) = page
        {
            (page.write)(words, &mut |piece| self.write_counted(piece));
        }
        self.end_counted();
    }

    /// The shortest answer there is. The buffer may be too small for any: what it does not hold leaves before the rest.
    pub(crate) fn bare_error(&mut self, words: &ErrorWords<'_>) {
        self.rest = Rest::Problem(words.problem);
        self.flush_earlier();
        self.leaves_in_pieces = true;
        self.begin(words.status, None, false);
        self.end_with(b"");
    }
}
