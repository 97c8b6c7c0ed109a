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

// Positions fit 32 bits; a line's states are one function, as its grammar is one rule.
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
        if self.is_in_request_line() {
            RequestError::RequestLineTooLong
        } else {
            RequestError::FieldsTooLarge
        }
    }

    /// Is the request line, or an empty line before it, still to be ended?
    #[inline]
    pub(crate) fn is_in_request_line(&self) -> bool {
        (self.state as u8) <= State::LineFeed as u8
    }

    /// A few octets that only lengthen what is being scanned: the common case of a head that drips in.
    /// False when there is more to do.
    #[inline]
    pub(crate) fn lengthen(&mut self, arrived: &[u8]) -> bool {
        /// With more, blocks are faster.
        const FEW: usize = 8;
        let class = match self.state {
            State::Value => VALUE,
            State::Name => TOKEN,
            State::Target => TARGET,
            _ => return false,
        };
        let new = arrived.get(self.position()..).unwrap_or_default();
        if new.len() > FEW || arrived.len() > self.limit as usize || !octets::are(new, class) {
            return false;
        }
        self.at = arrived.len() as u32;
        true
    }

    /// Goes on until the request line, or an empty line before it, is whole. `arrived` is all that has arrived,
    /// from the message's first byte on.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    pub(crate) fn request_line(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        let bare_lf = config.leniency.bare_lf;
        if self.state == State::Start {
            self.limit = config.limits.request_line_bytes_max.min(LIMIT_MAX);
            match arrived.first() {
                None => return Ok(Step::NeedMore),
                Some(b'\r' | b'\n') if self.empty_lines >= config.limits.empty_lines_max => {
                    return Err(RequestError::EmptyLines);
                }
                Some(b'\r') => self.go_on(State::EmptyLineFeed),
                Some(b'\n') if bare_lf => return Ok(self.end_empty_line()),
                Some(b'\n') => return Err(RequestError::LineEnd),
                Some(_) => self.state = State::Method,
            }
        }
        if self.state == State::EmptyLineFeed {
            return self.line_feed(arrived)?.map_or(Ok(Step::NeedMore), |()| Ok(self.end_empty_line()));
        }

        let within = self.within_limit(arrived);
        if self.state == State::Method {
            self.at = octets::end_of(TOKEN, within, self.position()) as u32;
            match self.octet_of_line(arrived) {
                None => return self.need_more(arrived),
                Some(b' ') if self.at > 0 => self.go_on(State::Target),
                Some(_) => return Err(RequestError::RequestLine),
            }
            self.mark = self.at;
        }
        if self.state == State::Target {
            self.at = octets::end_of_target(within, self.position()) as u32;
            if config.leniency.target_octets {
                self.at = octets::end_of(TARGET | TARGET_BY_BROWSERS, within, self.position()) as u32;
            }
            let is_09 = || config.http_09 && arrived.starts_with(b"GET ");
            match self.octet_of_line(arrived) {
                None => return self.need_more(arrived),
                Some(_) if self.at == self.mark => return Err(RequestError::RequestLine),
                Some(b' ') => {
                    self.go_on(State::Version);
                    self.mark = self.at;
                }
                Some(b'\r') if is_09() => {
                    self.mark = 0;
                    self.go_on(State::LineFeed);
                }
                Some(b'\n') if is_09() && bare_lf => {
                    self.mark = 0;
                    return self.end_request_line(arrived, config);
                }
                Some(b'\n') if is_09() => return Err(RequestError::LineEnd),
                Some(b'\r' | b'\n' | b'\t') => return Err(RequestError::RequestLine),
                Some(_) => return Err(RequestError::Target),
            }
        }
        if self.state == State::Version {
            // What nearly all requests say; anything else is looked at octet by octet.
            const USUAL: &[u8] = b"HTTP/1.1";
            if self.at == self.mark
                && within.get(self.position()..).is_some_and(|rest| rest.starts_with(USUAL))
            {
                self.at += USUAL.len() as u32;
            }
        }
        while self.state == State::Version {
            let Some(octet) = self.octet_of_line(arrived) else { return self.need_more(arrived) };
            match (self.at - self.mark, octet) {
                (0, b'H') | (1 | 2, b'T') | (3, b'P') | (4, b'/') | (6, b'.') | (5 | 7, b'0'..=b'9') => {
                    self.go_on(State::Version);
                }
                (8, b'\r') => self.go_on(State::LineFeed),
                (8, b'\n') if bare_lf => return self.end_request_line(arrived, config),
                (8, b'\n') => return Err(RequestError::LineEnd),
                _ => return Err(RequestError::RequestLine),
            }
        }
        match self.line_feed(arrived)? {
            Some(()) => self.end_request_line(arrived, config),
            None => Ok(Step::NeedMore),
        }
    }

    /// Goes on until a field line, or the empty line after the last one, is whole: see
    /// [`request_line`](Self::request_line).
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    #[inline]
    pub(crate) fn field_line(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        let bare_lf = config.leniency.bare_lf;
        if self.state == State::FieldStart {
            match arrived.get(self.position()) {
                None => return Ok(Step::NeedMore),
                // The empty line is not counted.
                Some(b'\r') => self.go_on(State::EndLineFeed),
                Some(b'\n') if bare_lf => return Ok(self.end()),
                Some(b'\n') => return Err(RequestError::LineEnd),
                Some(_) if self.at >= self.limit => return Err(RequestError::FieldsTooLarge),
                Some(b' ' | b'\t') if self.fields > 0 => return Err(RequestError::FoldedLine),
                Some(_) if self.fields >= config.limits.fields_max => {
                    return Err(RequestError::TooManyFields);
                }
                Some(_) => {
                    self.fields += 1;
                    self.mark = self.at;
                    self.state = State::Name;
                }
            }
        }
        if self.state == State::EndLineFeed {
            return self.line_feed(arrived)?.map_or(Ok(Step::NeedMore), |()| Ok(self.end()));
        }

        let within = self.within_limit(arrived);
        if self.state == State::Name {
            self.at = octets::end_of_name(within, self.position()) as u32;
            match within.get(self.position()) {
                None => return self.need_more(arrived),
                Some(b':') if self.at > self.mark => {}
                // "No whitespace is allowed between the field name and colon" (RFC 9112 §5.1): a proxy that
                // strips it and a server that does not see two different requests.
                Some(_) => return Err(RequestError::FieldName),
            }
            let length = u16::try_from(self.at - self.mark);
            self.name_length = length.map_err(|_| RequestError::FieldsTooLarge)?;
            self.go_on(State::Value);
        }
        if self.state == State::Value {
            self.at = octets::end_of_value(within, self.position()) as u32;
            match within.get(self.position()) {
                None => return self.need_more(arrived),
                Some(b'\r') => self.go_on(State::FieldLineFeed),
                Some(b'\n') if bare_lf => return Ok(self.end_field_line(self.at)),
                Some(b'\n') => return Err(RequestError::LineEnd),
                Some(_) => return Err(RequestError::FieldValue),
            }
        }
        match within.get(self.position()) {
            None => self.need_more(arrived),
            Some(b'\n') => Ok(self.end_field_line(self.at - 1)),
            // CR and no LF after it: "a bare CR" (RFC 9112 §2.2).
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    /// The octet at this position is looked at, and `state` is that of the next one.
    fn go_on(&mut self, state: State) {
        self.at += 1;
        self.state = state;
    }

    /// The octets that the limit of the current section allows.
    fn within_limit<'a>(&self, arrived: &'a [u8]) -> &'a [u8] {
        arrived.get(..self.limit as usize).unwrap_or(arrived)
    }

    /// The next octet of the request line. The limit does not count the line end.
    fn octet_of_line(&self, arrived: &[u8]) -> Option<u8> {
        arrived
            .get(self.position())
            .copied()
            .filter(|octet| self.at < self.limit || matches!(octet, b'\r' | b'\n'))
    }

    /// The next octet has not arrived, or is beyond the limit.
    fn need_more(&self, arrived: &[u8]) -> Result<Step, RequestError> {
        if self.position() < arrived.len() { Err(self.overflow()) } else { Ok(Step::NeedMore) }
    }

    /// Has the LF after a CR arrived? It belongs to that CR, whatever the limit.
    fn line_feed(&self, arrived: &[u8]) -> Result<Option<()>, RequestError> {
        match arrived.get(self.position()) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(())),
            // "a bare CR" (RFC 9112 §2.2)
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    // Each of these ends a line whose LF is at this position.

    fn end_empty_line(&mut self) -> Step {
        let length = self.position() + 1;
        *self = Self { empty_lines: self.empty_lines + 1, ..Self::new() };
        Step::EmptyLine(length)
    }

    fn end_request_line(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        self.go_on(State::FieldStart);
        self.limit = self.at + config.limits.field_section_bytes_max.min(LIMIT_MAX);
        if self.mark == 0 {
            return Ok(Step::RequestLine(Version::Http09));
        }
        let version = arrived.get(self.mark as usize..).and_then(|version| version.get(5..8));
        match version {
            Some(b"1.0") => Ok(Step::RequestLine(Version::Http10)),
            Some([b'1', ..]) => Ok(Step::RequestLine(Version::Http11)),
            _ => Err(RequestError::VersionNotSupported),
        }
    }

    fn end_field_line(&mut self, value_end: u32) -> Step {
        self.go_on(State::FieldStart);
        let (start, end) = (self.mark as usize, value_end as usize);
        Step::Field { start, colon: start + usize::from(self.name_length), end }
    }

    fn end(&mut self) -> Step {
        self.at += 1;
        Step::End
    }
}
