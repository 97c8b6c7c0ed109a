//! Where do the lines of a head end, and may each octet stand where it stands? (RFC 9112 §2, §3, §5)
//!
//! The scanner is shown the bytes of a message from its first one on, again with more of them each time, and
//! keeps where it stopped: **each octet is looked at once**, however the head arrives. It keeps offsets,
//! never slices, so that the bytes may move between two calls.
//!
//! ```text
//!            ┌──────────────┐ CRLF
//!            ▼              │
//!         Start ──► Method ─┴► Target ──► Version ──► LineFeed ──► FieldStart ──► Name ──► Value ─┐
//!                         SP          SP           CR                ▲   │ CR           ':'       │ CR
//!                                                                    │   ▼                        ▼
//!                                                                 LF │  EndLineFeed ─► done   FieldLineFeed
//!                                                                    └────────────────────────────┘
//! ```
//!
//! Every octet is judged by its position and the octets before it alone, so a head is accepted or refused for the same
//! reason in whatever pieces it comes. That is also why a limit is checked before the octet that exceeds it.

// Positions are below LIMIT_MAX; the table of states is one function, as the grammar is one text.
#![allow(clippy::cast_possible_truncation, clippy::too_many_lines)]

use crate::syntax::config::Config;
use crate::syntax::error::RequestError;
use crate::syntax::octets::{self, TARGET, TARGET_BY_BROWSERS, TOKEN, VALUE};
use crate::syntax::version::Version;

/// Where in a head the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Start,
    EmptyLineFeed,
    Method,
    Target,
    Version,
    LineFeed,
    FieldStart,
    Name,
    Value,
    FieldLineFeed,
    EndLineFeed,
}

/// What the scanner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All bytes are looked at, and the head goes on. Call again with more.
    NeedMore,
    /// An empty line before the request line. Drop so many bytes, and call again.
    EmptyLine(usize),
    /// The request line is whole. Call again for the fields, if the version has any.
    RequestLine(Version),
    /// A field line is whole: its name ends before `colon`, its value before `end`.
    Field { start: usize, colon: usize, end: usize },
    /// The empty line after the fields has ended.
    End,
}

/// How far the head of one message is scanned. Positions count from its first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// The next octet to look at.
    at: u32,
    /// Where the current field line or the version began.
    mark: u32,
    /// Octets of the current section (request line, then fields) stand before here.
    limit: u32,
    /// Octets of the current field line before its colon.
    name_length: u16,
    /// Bits that belong to the reader of the head. They are kept here because here is room for them: a connection
    /// at rest is as large as this struct.
    pub(super) notes: u16,
    state: State,
    fields: u8,
    empty_lines: u8,
}

/// Positions are kept in 32 bits, and limits added to them: no limit is above this.
const LIMIT_MAX: u32 = 1 << 30;

impl Scan {
    pub(crate) const fn new() -> Self {
        Self {
            at: 0,
            mark: 0,
            limit: 0,
            name_length: 0,
            notes: 0,
            state: State::Start,
            fields: 0,
            empty_lines: 0,
        }
    }

    /// Has anything of a request arrived? (Empty lines are nothing.)
    pub(crate) fn has_begun(&self) -> bool {
        self.at > 0
    }

    /// The first octet after the part that was looked at: after [`Step::End`], the head's length.
    pub(crate) fn position(&self) -> usize {
        self.at as usize
    }

    /// The first octet of the field section, once the request line is whole.
    pub(crate) fn fields_start(&self, config: &Config<'_>) -> usize {
        self.limit.saturating_sub(config.limits.field_section_bytes_max.min(LIMIT_MAX)) as usize
    }

    /// What is too long, when no byte more can be taken.
    pub(crate) fn overflow(&self) -> RequestError {
        if self.in_request_line() { RequestError::RequestLineTooLong } else { RequestError::FieldsTooLarge }
    }

    fn in_request_line(&self) -> bool {
        (self.state as u8) <= State::LineFeed as u8
    }

    /// A few octets that only lengthen what is being scanned: the common case of a head that drips in.
    /// `None` when there is more to do.
    #[inline]
    pub(crate) fn lengthen(&mut self, buffer: &[u8], filled: usize) -> Option<()> {
        /// With more, the blocks of `next` are faster.
        const FEW: usize = 8;
        let class = match self.state {
            State::Value => VALUE,
            State::Name => TOKEN,
            State::Target => TARGET,
            _ => return None,
        };
        let new = buffer.get(self.position()..filled)?;
        if new.len() > FEW || filled > self.limit as usize || !octets::are(new, class) {
            return None;
        }
        self.at = filled as u32;
        Some(())
    }

    /// Goes on until something is found. `filled` bytes of `buffer`, which begins with the message, have arrived.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    #[inline]
    pub(crate) fn next(
        &mut self,
        buffer: &[u8],
        filled: usize,
        config: &Config<'_>,
    ) -> Result<Step, RequestError> {
        let filled = filled.min(buffer.len()).min(LIMIT_MAX as usize);
        let mut at = self.position();
        loop {
            // Octets that only lengthen what is being scanned.
            match self.state {
                State::Name | State::Method => at = octets::end_of(TOKEN, buffer, at, filled),
                State::Value => at = octets::end_of_value(buffer, at, filled),
                State::Target => {
                    at = octets::end_of_target(buffer, at, filled);
                    if config.leniency.target_octets {
                        at = octets::end_of(TARGET | TARGET_BY_BROWSERS, buffer, at, filled);
                    }
                }
                State::Start => self.limit = config.limits.request_line_bytes_max.min(LIMIT_MAX),
                _ => {}
            }
            self.at = at as u32;

            // The octet that does more.
            let octet = match buffer.get(at) {
                Some(&octet) if at < filled => octet,
                _ if self.at > self.limit && !self.waits_for_line_feed() => return Err(self.overflow()),
                _ => return Ok(Step::NeedMore),
            };
            if self.at >= self.limit && !self.may_exceed_limit(octet) {
                return Err(self.overflow());
            }
            at += 1;
            let bare_lf = octet == b'\n' && config.leniency.bare_lf;
            match self.state {
                State::Name => {
                    // "No whitespace is allowed between the field name and colon" (RFC 9112 §5.1): a proxy that
                    // strips it and a server that does not see two different requests.
                    if octet != b':' || self.at == self.mark {
                        return Err(RequestError::FieldName);
                    }
                    let Ok(name_length) = u16::try_from(self.at - self.mark) else {
                        return Err(RequestError::FieldsTooLarge);
                    };
                    self.name_length = name_length;
                    self.state = State::Value;
                }
                State::Value => match octet {
                    b'\r' => self.state = State::FieldLineFeed,
                    b'\n' if bare_lf => return Ok(self.field(at)),
                    b'\n' => return Err(RequestError::LineEnd),
                    _ => return Err(RequestError::FieldValue),
                },
                State::FieldLineFeed if octet == b'\n' => return Ok(self.field(at)),
                State::FieldStart => match octet {
                    b'\r' => self.state = State::EndLineFeed,
                    b'\n' if bare_lf => return Ok(self.end(at)),
                    b'\n' => return Err(RequestError::LineEnd),
                    b' ' | b'\t' if self.fields > 0 => return Err(RequestError::FoldedLine),
                    _ if self.fields >= config.limits.fields_max => return Err(RequestError::TooManyFields),
                    _ => {
                        self.fields += 1;
                        self.mark = self.at;
                        self.state = State::Name;
                        at = self.position();
                    }
                },
                State::EndLineFeed if octet == b'\n' => return Ok(self.end(at)),
                State::Start => match octet {
                    b'\r' | b'\n' if self.empty_lines >= config.limits.empty_lines_max => {
                        return Err(RequestError::EmptyLines);
                    }
                    b'\r' => self.state = State::EmptyLineFeed,
                    b'\n' if bare_lf => return Ok(self.empty_line(at)),
                    b'\n' => return Err(RequestError::LineEnd),
                    _ => {
                        self.state = State::Method;
                        at = self.position();
                    }
                },
                State::EmptyLineFeed if octet == b'\n' => return Ok(self.empty_line(at)),
                State::Method => {
                    if octet != b' ' || self.at == 0 {
                        return Err(RequestError::RequestLine);
                    }
                    self.mark = at as u32;
                    self.state = State::Target;
                }
                State::Target => match octet {
                    _ if self.at == self.mark => return Err(RequestError::RequestLine),
                    b' ' => {
                        self.mark = at as u32;
                        self.state = State::Version;
                        if buffer.get(at..filled).is_some_and(|rest| rest.starts_with(b"HTTP/1.1"))
                            && self.at + 8 < self.limit
                        {
                            at += 8;
                        }
                    }
                    b'\r' | b'\n' if config.http_09 && buffer.starts_with(b"GET ") => {
                        self.mark = 0;
                        match octet {
                            b'\r' => self.state = State::LineFeed,
                            _ if bare_lf => return self.request_line(buffer, at, config),
                            _ => return Err(RequestError::LineEnd),
                        }
                    }
                    b'\r' | b'\n' | b'\t' => return Err(RequestError::RequestLine),
                    _ => return Err(RequestError::Target),
                },
                State::Version => match (self.at - self.mark, octet) {
                    (0, b'H') | (1 | 2, b'T') | (3, b'P') | (4, b'/') | (6, b'.') | (5 | 7, b'0'..=b'9') => {}
                    (8, b'\r') => self.state = State::LineFeed,
                    (8, b'\n') if bare_lf => return self.request_line(buffer, at, config),
                    (8, b'\n') => return Err(RequestError::LineEnd),
                    _ => return Err(RequestError::RequestLine),
                },
                State::LineFeed if octet == b'\n' => return self.request_line(buffer, at, config),
                // CR and no LF after it: "a bare CR" (RFC 9112 §2.2).
                State::EmptyLineFeed | State::LineFeed | State::FieldLineFeed | State::EndLineFeed => {
                    return Err(RequestError::LineEnd);
                }
            }
        }
    }

    /// Has a line ended but for its LF? That octet is the line's own, whatever the limit.
    fn waits_for_line_feed(&self) -> bool {
        matches!(self.state, State::EmptyLineFeed | State::LineFeed | State::EndLineFeed)
    }

    /// May `octet` stand at the limit? The limit of the request line does not count its line end; that of the
    /// fields counts theirs, and not the empty line after them.
    fn may_exceed_limit(&self, octet: u8) -> bool {
        let ends_section =
            matches!(octet, b'\r' | b'\n') && (self.in_request_line() || self.state == State::FieldStart);
        ends_section || self.waits_for_line_feed()
    }

    fn empty_line(&mut self, at: usize) -> Step {
        *self = Self { empty_lines: self.empty_lines + 1, ..Self::new() };
        Step::EmptyLine(at)
    }

    fn request_line(&mut self, buffer: &[u8], at: usize, config: &Config<'_>) -> Result<Step, RequestError> {
        self.at = at as u32;
        self.limit = self.at + config.limits.field_section_bytes_max.min(LIMIT_MAX);
        self.state = State::FieldStart;
        if self.mark == 0 {
            return Ok(Step::RequestLine(Version::Http09));
        }
        let version = buffer.get(self.mark as usize..).and_then(|version| version.get(5..8));
        match version {
            Some(b"1.0") => Ok(Step::RequestLine(Version::Http10)),
            Some([b'1', ..]) => Ok(Step::RequestLine(Version::Http11)),
            _ => Err(RequestError::VersionNotSupported),
        }
    }

    fn field(&mut self, at: usize) -> Step {
        let line_end_starts = self.at - u32::from(self.state == State::FieldLineFeed);
        let (start, end) = (self.mark as usize, line_end_starts as usize);
        self.at = at as u32;
        self.state = State::FieldStart;
        Step::Field { start, colon: start + usize::from(self.name_length), end }
    }

    fn end(&mut self, at: usize) -> Step {
        self.at = at as u32;
        Step::End
    }
}
