//! Where do the lines of a head end, and may each octet stand where it stands? (RFC 9112 §2, §3, §5)
//!
//! The scanner is shown the bytes of a message from its first one on, again with more of them each time, and
//! keeps where it stopped: **each octet is looked at once**, however the head arrives. It keeps offsets,
//! never slices, so that the bytes may move between two calls.
//!
//! ```text
//!          ┌───────────────┐ CRLF
//!          ▼               │
//!        Start ──► Method ─┴► Target ──► Version ──► LineEnd ──► LineFeed ──► FieldStart ──► Name ──► Value ──┐
//!                          SP         SP                     CR                ▲   │ CR           ':'         │ CR
//!                                                                              │   ▼                          ▼
//!                                                                           LF │  EndLineFeed ─► Done   FieldLineFeed
//!                                                                              └──────────────────────────────┘
//! ```
//!
//! [`State::rule`] is the grammar: what may stand in each state. [`Scan::by_rule`] goes from one state to the next by it, and
//! is all there is on small processors. With 64-bit registers the lines that nearly all clients send are taken at once, and
//! the rules go on from wherever a line is not whole, or another one.
//!
//! Every octet is judged by its position and the octets before it alone, so a head is accepted or refused for the same
//! reason in whatever pieces it comes. That is also why a limit is checked before the octet that exceeds it.

// Positions fit 32 bits.
#![allow(clippy::cast_possible_truncation)]
// What is inlined always is measured in `benches/head.rs`.
#![allow(clippy::inline_always)]

use crate::receive::target;
use crate::syntax::config::Config;
use crate::syntax::error::RequestError;
use crate::syntax::method::Method;
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
    LineEnd,
    LineFeed,
    FieldStart,
    Name,
    Value,
    FieldLineFeed,
    EndLineFeed,
    /// Behind the head. It may be asked for again.
    Done,
}

/// What may stand in a state: octets that lengthen its part, then one that ends it.
#[derive(Clone, Copy)]
struct Rule {
    lengthened_by: u8,
    ended_by: u8,
    then: State,
    otherwise: RequestError,
}

impl State {
    /// The grammar of a head.
    #[rustfmt::skip]
    #[inline(always)]
    const fn rule(self) -> Rule {
        use State::{
            Done, EmptyLineFeed, EndLineFeed, FieldLineFeed, FieldStart, LineEnd, LineFeed, Method, Name, Start, Target,
            Value, Version,
        };
        const fn rule(lengthened_by: u8, ended_by: u8, then: State, otherwise: RequestError) -> Rule {
            Rule { lengthened_by, ended_by, then, otherwise }
        }
        match self {
            // Where something else stands, a method begins.
            Start         => rule(0,      b'\r', EmptyLineFeed, RequestError::RequestLine),
            EmptyLineFeed => rule(0,      b'\n', Start,         RequestError::LineEnd),
            Method        => rule(TOKEN,  b' ',  Target,        RequestError::RequestLine),
            Target        => rule(TARGET, b' ',  Version,       RequestError::Target),
            // Ended by its last octet: see `VERSION`.
            Version       => rule(0,      b'0',  LineEnd,       RequestError::RequestLine),
            LineEnd       => rule(0,      b'\r', LineFeed,      RequestError::RequestLine),
            // "a bare CR" (RFC 9112 §2.2)
            LineFeed      => rule(0,      b'\n', FieldStart,    RequestError::LineEnd),
            // Where something else stands, a name begins.
            FieldStart    => rule(0,      b'\r', EndLineFeed,   RequestError::FieldName),
            // "No whitespace is allowed between the field name and colon" (RFC 9112 §5.1): a proxy that strips it and
            // a server that does not see two different requests.
            Name          => rule(TOKEN,  b':',  Value,         RequestError::FieldName),
            Value         => rule(VALUE,  b'\r', FieldLineFeed, RequestError::FieldValue),
            FieldLineFeed => rule(0,      b'\n', FieldStart,    RequestError::LineEnd),
            EndLineFeed   => rule(0,      b'\n', Done,          RequestError::LineEnd),
            Done          => rule(0,      0,     Done,          RequestError::LineEnd),
        }
    }
}

/// `HTTP-version`; `0` stands for any digit (RFC 9112 §2.3).
const VERSION: &[u8; 8] = b"HTTP/0.0";

/// What the scanner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All bytes are looked at, and the head goes on. Call again with more.
    NeedMore,
    /// An empty line of so many bytes before the request line. Drop them, and call again.
    EmptyLine(u8),
    /// The request line is whole. Call again for the fields, if the version has any.
    RequestLine(Version),
    /// A field line is whole: see [`Scan::field_line`].
    FieldLine,
    /// The empty line after the fields has ended.
    End,
}

/// Where the parts of a field line are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldLine {
    pub(crate) start: usize,
    pub(crate) colon: usize,
    /// Where the value ends.
    pub(crate) end: usize,
}

/// How far the head of one message is scanned. Positions count from its first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// The next octet to look at.
    at: u32,
    /// Where the version begins, later where the current field line begins.
    mark: u32,
    /// Where the target begins. It is the reader's when the request line is whole, as `notes` are.
    pub(super) kept: u32,
    /// Octets of the current section (request line, then fields) stand before here.
    limit: u32,
    /// The digits of the version; later the octets of the current field line before its colon.
    count: u16,
    /// Bits that belong to the reader of the head. They are kept here because here is room for them: a connection
    /// at rest is as large as this struct.
    pub(super) notes: u16,
    /// The method's place among the registered ones.
    method: u8,
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
            kept: 0,
            limit: 0,
            count: 0,
            notes: 0,
            method: 0,
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

    /// The method's place among the registered ones.
    pub(crate) fn method(&self) -> u8 {
        self.method
    }

    /// The first octet after the part that was looked at: after [`Step::End`], the head's length.
    pub(crate) fn position(&self) -> usize {
        self.at as usize
    }

    /// The first octet of the field section, once the request line is whole.
    pub(crate) fn fields_start(&self, config: &Config<'_>) -> u32 {
        self.limit.saturating_sub(config.limits.field_section_bytes_max.min(LIMIT_MAX))
    }

    /// The line that has just become whole.
    pub(crate) fn field_line(&self, arrived: &[u8]) -> FieldLine {
        let start = self.mark as usize;
        let line_feed = self.position() - 1;
        let has_cr = arrived.get(line_feed - 1) == Some(&b'\r');
        FieldLine { start, colon: start + usize::from(self.count), end: line_feed - usize::from(has_cr) }
    }

    /// What is too long, when no byte more can be taken.
    pub(crate) fn overflow(&self) -> RequestError {
        if (self.state as u8) < State::FieldStart as u8 {
            RequestError::RequestLineTooLong
        } else {
            RequestError::FieldsTooLarge
        }
    }

    /// Takes `octet`, if it is the next one and only lengthens a target, a name or a value: the common case of a head
    /// that drips in octet by octet. Else it takes nothing: [`go_on`](Self::go_on) has to judge it.
    #[inline]
    pub(crate) fn lengthen(&mut self, octet: u8) -> bool {
        if self.at >= self.limit || !octets::is(octet, self.state.rule().lengthened_by) {
            return false;
        }
        self.at += 1;
        true
    }

    /// Goes on until a line is whole. `arrived` is all that has arrived, from the message's first byte on.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit. After it, the scanner is of no further use.
    #[inline]
    pub(crate) fn go_on(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Step, RequestError> {
        if cfg!(target_pointer_width = "64") {
            if self.state == State::Done {
                return Ok(Step::End);
            }
            if self.position() == arrived.len() {
                return Ok(Step::NeedMore);
            }
            if self.state == State::Start
                && let Some(step) = self.request_line_at_once(arrived, config)
            {
                return step;
            }
        }
        loop {
            if let Some(step) = self.by_rule(arrived, config)? {
                return Ok(step);
            }
        }
    }

    /// Goes on by one rule of the grammar.
    #[inline(never)]
    fn by_rule(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Option<Step>, RequestError> {
        let state = self.state;
        match state {
            State::Start => self.limit = config.limits.request_line_bytes_max.min(LIMIT_MAX),
            State::Done => return Ok(Some(Step::End)),
            _ => {}
        }
        let rule = state.rule();
        let classes = match rule.lengthened_by {
            TARGET if config.leniency.target_octets => TARGET | TARGET_BY_BROWSERS,
            classes => classes,
        };
        let mut at = self.position();
        if classes != 0 {
            at = octets::end_of_run(classes, self.within_limit(arrived), at);
        }
        self.at = at as u32;
        let Some(&octet) = arrived.get(at) else { return Ok(Some(Step::NeedMore)) };
        if self.at >= self.limit && self.is_counted(octet) {
            return Err(self.overflow());
        }
        let ended_by = match state {
            State::Version => VERSION.get(at - self.mark as usize).copied().unwrap_or_default(),
            _ => rule.ended_by,
        };
        let is_cr_left_out = octet == b'\n' && ended_by == b'\r';
        if is_cr_left_out && !config.leniency.bare_lf {
            return Err(RequestError::LineEnd);
        }
        if is_cr_left_out || octet == ended_by || (ended_by == b'0' && octet.is_ascii_digit()) {
            self.at += u32::from(!is_cr_left_out);
            return self.end_part(state, (at, octet), arrived, config);
        }
        self.begin_part(state, octet, config)
    }

    /// No limit counts the line end of a request line, nor an empty line.
    fn is_counted(&self, octet: u8) -> bool {
        !matches!(octet, b'\r' | b'\n')
            || matches!(self.state, State::Name | State::Value | State::FieldLineFeed)
    }

    /// The octet at `at` ends the part of `state`.
    #[inline(always)]
    fn end_part(
        &mut self,
        state: State,
        (at, octet): (usize, u8),
        arrived: &[u8],
        config: &Config<'_>,
    ) -> Result<Option<Step>, RequestError> {
        self.state = state.rule().then;
        match state {
            State::Start if self.empty_lines >= config.limits.empty_lines_max => {
                return Err(RequestError::EmptyLines);
            }
            State::EmptyLineFeed => {
                *self = Self { empty_lines: self.empty_lines + 1, ..Self::new() };
                return Ok(Some(Step::EmptyLine(at as u8 + 1)));
            }
            State::Method if at == 0 => return Err(RequestError::RequestLine),
            State::Method => {
                self.method = Method::index_of(arrived.get(..at).unwrap_or_default());
                self.kept = self.at;
            }
            State::Target if at == self.kept as usize => return Err(RequestError::RequestLine),
            State::Target => self.mark = self.at,
            State::Version => {
                if octet.is_ascii_digit() {
                    self.count = self.count << 8 | u16::from(octet);
                }
                if at - (self.mark as usize) < VERSION.len() - 1 {
                    self.state = State::Version;
                }
            }
            State::LineFeed => {
                let version = self.version()?;
                return self.end_request_line(arrived, version, config).map(Some);
            }
            State::Name if at == self.mark as usize => return Err(RequestError::FieldName),
            State::Name => {
                let length = u16::try_from(at - self.mark as usize);
                self.count = length.map_err(|_| RequestError::FieldsTooLarge)?;
            }
            State::FieldLineFeed => return Ok(Some(Step::FieldLine)),
            State::EndLineFeed => return Ok(Some(Step::End)),
            _ => {}
        }
        Ok(None)
    }

    /// `octet` does not end the part of `state`. It may begin the next one.
    #[inline(always)]
    fn begin_part(
        &mut self,
        state: State,
        octet: u8,
        config: &Config<'_>,
    ) -> Result<Option<Step>, RequestError> {
        match state {
            State::Start => self.state = State::Method,
            State::Target if self.at == self.kept => return Err(RequestError::RequestLine),
            State::Target if matches!(octet, b'\r' | b'\n' | b'\t') => {
                if !config.http_09 || octet == b'\t' || self.method != Method::Get.index() {
                    return Err(RequestError::RequestLine);
                }
                self.mark = self.at + 1;
                self.state = State::LineEnd;
            }
            State::FieldStart if self.fields > 0 && matches!(octet, b' ' | b'\t') => {
                return Err(RequestError::FoldedLine);
            }
            State::FieldStart if self.fields >= config.limits.fields_max => {
                return Err(RequestError::TooManyFields);
            }
            State::FieldStart => {
                self.fields += 1;
                self.mark = self.at;
                self.state = State::Name;
            }
            _ => return Err(state.rule().otherwise),
        }
        Ok(None)
    }

    /// The octets that the limit of the current section allows.
    fn within_limit<'a>(&self, arrived: &'a [u8]) -> &'a [u8] {
        arrived.get(..self.limit as usize).unwrap_or(arrived)
    }

    /// What the digits behind the target say. In HTTP/0.9 there are none.
    fn version(&self) -> Result<Version, RequestError> {
        match self.count.to_be_bytes() {
            [0, _] => Ok(Version::Http09),
            [b'1', b'0'] => Ok(Version::Http10),
            [b'1', _] => Ok(Version::Http11),
            _ => Err(RequestError::VersionNotSupported),
        }
    }

    fn end_request_line(
        &mut self,
        arrived: &[u8],
        version: Version,
        config: &Config<'_>,
    ) -> Result<Step, RequestError> {
        let target = arrived.get(self.kept as usize..self.mark as usize - 1).unwrap_or_default();
        target::check(self.method, target)?;
        self.limit = self.at + config.limits.field_section_bytes_max.min(LIMIT_MAX);
        self.state = State::FieldStart;
        Ok(Step::RequestLine(version))
    }

    /// Takes the request line that nearly all clients send. If it is not whole, or another one, the rules go on from where this
    /// has stopped.
    #[inline(always)]
    fn request_line_at_once(
        &mut self,
        arrived: &[u8],
        config: &Config<'_>,
    ) -> Option<Result<Step, RequestError>> {
        self.limit = config.limits.request_line_bytes_max.min(LIMIT_MAX);
        let within = self.within_limit(arrived);
        let start = if within.starts_with(b"GET ") { 4 } else { self.other_method(within)? };
        self.kept = start as u32;
        let at = octets::end_of_target(within, start);
        if at > start && within.get(at..).is_some_and(|rest| rest.starts_with(b" HTTP/1.1\r\n")) {
            (self.mark, self.at) = (at as u32 + 1, at as u32 + 11);
            return Some(self.end_request_line(arrived, Version::Http11, config));
        }
        self.stop(State::Target, at);
        None
    }

    /// Where the target begins, behind a method that is whole and not GET, which is the one that stands first.
    #[cold]
    fn other_method(&mut self, within: &[u8]) -> Option<usize> {
        let (method, _) = octets::split_once(within, b' ').filter(|(method, _)| octets::is_token(method))?;
        self.method = Method::index_of(method);
        Some(method.len() + 1)
    }

    /// Takes field lines, as long as they are whole, and tells `note` of each: for 64-bit registers. The rules go on from where
    /// this has stopped.
    ///
    /// # Errors
    /// Those of `note`.
    #[inline(always)]
    pub(crate) fn field_lines_at_once(
        &mut self,
        arrived: &[u8],
        config: &Config<'_>,
        note: impl Fn(&mut Self, FieldLine) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let within = self.within_limit(arrived);
        let is_line_end = |at| within.get(at) == Some(&b'\r') && within.get(at + 1) == Some(&b'\n');
        let mut at = self.position();
        let mut state = self.state;
        if !matches!(state, State::FieldStart | State::Name | State::Value) {
            return Ok(());
        }
        loop {
            if state == State::FieldStart && within.get(at) == Some(&b'\r') {
                break;
            }
            let start = if state == State::FieldStart { at } else { self.mark as usize };
            let mut colon = start + usize::from(self.count);
            if state != State::Value {
                colon = octets::end_of_name(within, at);
                if state == State::FieldStart {
                    if colon == start || self.fields >= config.limits.fields_max {
                        break;
                    }
                    self.fields += 1;
                    self.mark = start as u32;
                }
                if within.get(colon) != Some(&b':') || !(1..=usize::from(u16::MAX)).contains(&(colon - start))
                {
                    self.stop(State::Name, colon);
                    return Ok(());
                }
                at = colon + 1;
            }
            at = octets::end_of_value(within, at);
            if !is_line_end(at) {
                self.count = (colon - start) as u16;
                self.stop(State::Value, at);
                return Ok(());
            }
            note(self, FieldLine { start, colon, end: at })?;
            at += 2;
            state = State::FieldStart;
        }
        if is_line_end(at) {
            self.stop(State::Done, at + 2);
        } else {
            self.stop(State::FieldStart, at);
        }
        Ok(())
    }

    /// The next octet stands in `state`.
    fn stop(&mut self, state: State, at: usize) {
        (self.state, self.at) = (state, at as u32);
    }
}
