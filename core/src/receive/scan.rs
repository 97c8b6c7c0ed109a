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
    /// Behind the head. It may be asked for again.
    Done,
}

impl State {
    /// The octets that leave the scanner in this state.
    #[inline]
    fn lengthened_by(self) -> u8 {
        /// One for each state: a load is less than a chain of comparisons.
        // Evaluated while compiling.
        #[allow(clippy::indexing_slicing)]
        const CLASSES: [u8; State::Done as usize + 1] = {
            let mut classes = [0; State::Done as usize + 1];
            classes[State::Method as usize] = TOKEN;
            classes[State::Target as usize] = TARGET;
            classes[State::Name as usize] = TOKEN;
            classes[State::Value as usize] = VALUE;
            classes
        };
        CLASSES.get(self as usize).copied().unwrap_or_default()
    }
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

    /// Has the head ended?
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
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

    /// Takes `octet`, if it is the next one and only lengthens a target, a name or a value: the common case of a head
    /// that drips in octet by octet. Else it takes nothing: [`request_line`](Self::request_line) or
    /// [`field_line`](Self::field_line) has to judge it.
    #[inline]
    pub(crate) fn lengthen(&mut self, octet: u8) -> bool {
        let class = self.state.lengthened_by();
        if self.at >= self.limit || !octets::is(octet, class) {
            return false;
        }
        self.at += 1;
        true
    }

    /// Goes on until the request line, or an empty line before it, is whole. `arrived` is all that has arrived,
    /// from the message's first byte on.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    pub(crate) fn request_line(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        let bare_lf = config.leniency.bare_lf;
        // A line that has arrived whole falls through all its states, and nothing is kept of them.
        let mut state = self.state;
        let mut at = self.position();
        if state == State::EmptyLineFeed {
            return self.empty_line_feed(arrived, at);
        }
        if state == State::Start {
            self.limit = config.limits.request_line_bytes_max.min(LIMIT_MAX);
            match arrived.first() {
                None => return Ok(Step::NeedMore),
                Some(b'\r' | b'\n') if self.empty_lines >= config.limits.empty_lines_max => {
                    return Err(RequestError::EmptyLines);
                }
                Some(b'\r') => return self.empty_line_feed(arrived, 1),
                Some(b'\n') if bare_lf => return Ok(self.end_empty_line(0)),
                Some(b'\n') => return Err(RequestError::LineEnd),
                Some(_) => state = State::Method,
            }
        }

        let limit = self.limit as usize;
        let within = self.within_limit(arrived);
        // The limit does not count the line end.
        let octet = |at| {
            let octet = arrived.get(at).copied();
            octet.filter(|octet| at < limit || matches!(octet, b'\r' | b'\n'))
        };
        if state == State::Method {
            at = octets::end_of_method(within, at);
            match octet(at) {
                None => return self.pause(State::Method, arrived, at),
                Some(b' ') if at > 0 => at += 1,
                Some(_) => return Err(RequestError::RequestLine),
            }
            self.mark = at as u32;
            state = State::Target;
        }
        if state == State::Target {
            at = octets::end_of_target(within, at);
            if config.leniency.target_octets {
                at = octets::end_of(TARGET | TARGET_BY_BROWSERS, within, at);
            }
            let is_09 = config.http_09 && arrived.starts_with(b"GET ");
            match octet(at) {
                None => return self.pause(State::Target, arrived, at),
                Some(_) if at == self.mark as usize => return Err(RequestError::RequestLine),
                Some(b' ') => (self.mark, state) = (at as u32 + 1, State::Version),
                Some(b'\r') if is_09 => (self.mark, state) = (0, State::LineFeed),
                Some(b'\n') if is_09 && bare_lf => {
                    self.mark = 0;
                    return self.end_request_line(arrived, at, config);
                }
                Some(b'\n') if is_09 => return Err(RequestError::LineEnd),
                Some(b'\r' | b'\n' | b'\t') => return Err(RequestError::RequestLine),
                Some(_) => return Err(RequestError::Target),
            }
            at += 1;
        }
        if state == State::Version {
            let version = self.mark as usize;
            // What nearly all requests say; anything else, and everything on small processors, is looked at octet by
            // octet.
            if cfg!(target_pointer_width = "64")
                && at == version
                && within.get(at..).is_some_and(|rest| rest.starts_with(b"HTTP/1.1"))
            {
                at += 8;
            }
            loop {
                let Some(octet) = octet(at) else { return self.pause(State::Version, arrived, at) };
                match (at - version, octet) {
                    (0, b'H') | (1 | 2, b'T') | (3, b'P') | (4, b'/') | (6, b'.') | (5 | 7, b'0'..=b'9') => {}
                    (8, b'\r') => break,
                    (8, b'\n') if bare_lf => return self.end_request_line(arrived, at, config),
                    (8, b'\n') => return Err(RequestError::LineEnd),
                    _ => return Err(RequestError::RequestLine),
                }
                at += 1;
            }
            at += 1;
        }
        match arrived.get(at) {
            None => self.pause(State::LineFeed, arrived, at),
            Some(b'\n') => self.end_request_line(arrived, at, config),
            // "a bare CR" (RFC 9112 §2.2)
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    /// Goes on until a field line, or the empty line after the last one, is whole: see
    /// [`request_line`](Self::request_line).
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    #[inline]
    pub(crate) fn field_line(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        let state = self.state;
        let mut at = self.position();
        match state {
            State::EndLineFeed => return self.end_line_feed(arrived, at),
            State::Done => return Ok(Step::End),
            _ => {}
        }
        let within = self.within_limit(arrived);
        if matches!(state, State::FieldStart | State::Name) {
            let name_end = octets::end_of_name(within, at);
            if state == State::FieldStart {
                if name_end == at {
                    return self.no_name(arrived, at, config);
                }
                if self.fields >= config.limits.fields_max {
                    return Err(RequestError::TooManyFields);
                }
                self.fields += 1;
                self.mark = at as u32;
            }
            match within.get(name_end) {
                None => return self.pause(State::Name, arrived, name_end),
                Some(b':') => at = name_end + 1,
                // "No whitespace is allowed between the field name and colon" (RFC 9112 §5.1): a proxy that
                // strips it and a server that does not see two different requests.
                Some(_) => return Err(RequestError::FieldName),
            }
            let name_length = u16::try_from(name_end - self.mark as usize);
            self.name_length = name_length.map_err(|_| RequestError::FieldsTooLarge)?;
        }
        if state != State::FieldLineFeed {
            at = octets::end_of_value(within, at);
            match within.get(at) {
                None => return self.pause(State::Value, arrived, at),
                Some(b'\r') => at += 1,
                Some(b'\n') if config.leniency.bare_lf => return Ok(self.end_field_line(at, at)),
                Some(b'\n') => return Err(RequestError::LineEnd),
                Some(_) => return Err(RequestError::FieldValue),
            }
        }
        match within.get(at) {
            None => self.pause(State::FieldLineFeed, arrived, at),
            Some(b'\n') => Ok(self.end_field_line(at - 1, at)),
            // "a bare CR" (RFC 9112 §2.2)
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    /// Where a field line should begin, and none does.
    fn no_name(&mut self, arrived: &[u8], at: usize, config: &Config<'_>) -> Result<Step, RequestError> {
        match arrived.get(at) {
            None => Ok(Step::NeedMore),
            // The limit does not count the empty line.
            Some(b'\r') => self.end_line_feed(arrived, at + 1),
            Some(b'\n') if config.leniency.bare_lf => Ok(self.end(at)),
            Some(b'\n') => Err(RequestError::LineEnd),
            Some(_) if at >= self.limit as usize => Err(RequestError::FieldsTooLarge),
            Some(b' ' | b'\t') if self.fields > 0 => Err(RequestError::FoldedLine),
            Some(_) if self.fields >= config.limits.fields_max => Err(RequestError::TooManyFields),
            Some(_) => Err(RequestError::FieldName),
        }
    }

    /// The octets that the limit of the current section allows.
    fn within_limit<'a>(&self, arrived: &'a [u8]) -> &'a [u8] {
        arrived.get(..self.limit as usize).unwrap_or(arrived)
    }

    /// The octet at `at`, which `state` would judge, has not arrived, or is beyond the limit.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn pause(&mut self, state: State, arrived: &[u8], at: usize) -> Result<Step, RequestError> {
        self.state = state;
        self.at = at as u32;
        if at < arrived.len() { Err(self.overflow()) } else { Ok(Step::NeedMore) }
    }

    /// After the CR of an empty line. (A CR without LF is "a bare CR", RFC 9112 §2.2.)
    fn empty_line_feed(&mut self, arrived: &[u8], at: usize) -> Result<Step, RequestError> {
        match arrived.get(at) {
            None => self.pause(State::EmptyLineFeed, arrived, at),
            Some(b'\n') => Ok(self.end_empty_line(at)),
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    /// After the CR of the last line.
    fn end_line_feed(&mut self, arrived: &[u8], at: usize) -> Result<Step, RequestError> {
        match arrived.get(at) {
            None => self.pause(State::EndLineFeed, arrived, at),
            Some(b'\n') => Ok(self.end(at)),
            Some(_) => Err(RequestError::LineEnd),
        }
    }

    // Each of these ends a line, whose LF is at `at`.

    fn end_empty_line(&mut self, at: usize) -> Step {
        *self = Self { empty_lines: self.empty_lines + 1, ..Self::new() };
        Step::EmptyLine(at + 1)
    }

    fn end_request_line(
        &mut self,
        arrived: &[u8],
        at: usize,
        config: &Config<'_>,
    ) -> Result<Step, RequestError> {
        self.at = at as u32 + 1;
        self.limit = self.at + config.limits.field_section_bytes_max.min(LIMIT_MAX);
        self.state = State::FieldStart;
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

    fn end_field_line(&mut self, value_end: usize, at: usize) -> Step {
        self.at = at as u32 + 1;
        self.state = State::FieldStart;
        let start = self.mark as usize;
        Step::Field { start, colon: start + usize::from(self.name_length), end: value_end }
    }

    fn end(&mut self, at: usize) -> Step {
        self.at = at as u32 + 1;
        self.state = State::Done;
        Step::End
    }
}
