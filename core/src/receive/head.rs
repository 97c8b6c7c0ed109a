//! The head of a request: request line and fields, and what they mean for the connection.
//!
//! [`HeadReader`] is the sans-I/O half: it drives the scanner and notes, as each field line becomes whole, the few facts
//! that the engine itself needs. [`RequestHead`] is what it leaves: a view on the bytes.

use crate::receive::framing::{self, Coding, Framing};
use crate::receive::request_line;
use crate::receive::scan::{FieldLine, Scan, Step};
use crate::receive::target::{self, Port, Target};
use crate::syntax::config::Config;
use crate::syntax::decimal;
use crate::syntax::error::RequestError;
use crate::syntax::fields::Fields;
use crate::syntax::method::Method;
use crate::syntax::octets;
use crate::syntax::version::Version;

/// Facts about a head, as bits: the scanner has room for 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes(u16);

impl Notes {
    const HOST: u16 = 1;
    const LENGTH: u16 = 1 << 1;
    /// `Connection: close` (RFC 9112 §9.6)
    pub(crate) const CLOSE: u16 = 1 << 2;
    /// `Connection: keep-alive` (RFC 9112 §9.3)
    pub(crate) const KEEP_ALIVE: u16 = 1 << 3;
    /// `Connection: upgrade` (RFC 9110 §7.8)
    pub(crate) const CONNECTION_UPGRADE: u16 = 1 << 4;
    pub(crate) const UPGRADE: u16 = 1 << 5;
    /// `Expect: 100-continue` (RFC 9110 §10.1.1)
    pub(crate) const EXPECT_CONTINUE: u16 = 1 << 6;
    const VERSION_SHIFT: u32 = 8;
    const CODING_SHIFT: u32 = 10;

    pub(crate) const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    fn set(&mut self, bit: u16) {
        self.0 |= bit;
    }

    pub(crate) fn version(self) -> Version {
        match self.0 >> Self::VERSION_SHIFT & 3 {
            0 => Version::Http09,
            1 => Version::Http10,
            _ => Version::Http11,
        }
    }

    fn coding(self) -> Coding {
        match self.0 >> Self::CODING_SHIFT & 3 {
            0 => Coding::Absent,
            1 => Coding::Chunked,
            2 => Coding::NotChunked,
            _ => Coding::Unknown,
        }
    }

    fn set_coding(&mut self, coding: Coding) {
        self.0 = self.0 & !(3 << Self::CODING_SHIFT) | (coding as u16) << Self::CODING_SHIFT;
    }
}

/// Reads one head, whatever pieces it comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadReader {
    scan: Scan,
}

/// What [`HeadReader::read`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    /// The head is not complete. Read more bytes after these and call again.
    NeedMore,
    /// So many bytes before the request are an empty line. Drop them and call again.
    EmptyLine(u8),
    /// The head is complete: see [`HeadReader::finish`]. A further call says so again.
    Whole,
}

/// Where the parts of a complete head are, and what they say. Positions count from its first byte.
///
/// Aligned as four octets are: on a board it has less of the stack so.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
pub(crate) struct HeadEnd {
    /// The number in `Content-Length`, or 0.
    content_length: u64,
    pub(crate) length: usize,
    fields_start: u32,
    /// The method's place among the registered ones.
    method: u8,
    pub(crate) notes: Notes,
}

impl HeadEnd {
    /// How the content is delimited.
    pub(crate) fn framing(&self) -> Framing {
        Framing::of(self.content_length, self.notes.coding())
    }

    /// Does the client say that this is its last request? In HTTP/1.0 it is, unless it says otherwise (RFC 9112 §9.3).
    pub(crate) fn announces_close(&self) -> bool {
        self.notes.has(Notes::CLOSE)
            || (self.notes.version() <= Version::Http10 && !self.notes.has(Notes::KEEP_ALIVE))
    }

    /// Does the client wait for `100 Continue` before it sends content (RFC 9110 §10.1.1)?
    pub(crate) fn expects_continue(&self) -> bool {
        self.notes.version() >= Version::Http11 && self.notes.has(Notes::EXPECT_CONTINUE)
    }
}

impl HeadReader {
    pub(crate) const fn new() -> Self {
        Self { scan: Scan::new() }
    }

    /// Has anything of a request arrived?
    pub(crate) fn has_begun(&self) -> bool {
        self.scan.has_begun()
    }

    /// Is the head complete? Then only content is awaited.
    pub(crate) fn is_whole(&self) -> bool {
        self.scan.is_done()
    }

    /// What is too long, when no byte more can be taken.
    pub(crate) fn overflow(&self) -> RequestError {
        self.scan.overflow()
    }

    /// Goes on reading. `arrived` is all that has arrived, from the request's first byte on.
    ///
    /// # Errors
    /// The first rule that is broken. After it, the reader is of no further use.
    #[inline]
    pub(crate) fn read(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Reading, RequestError> {
        match arrived.get(self.scan.position()..) {
            Some(&[octet]) if self.scan.lengthen(octet) => Ok(Reading::NeedMore),
            _ => self.read_more(arrived, config),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn read_more(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Reading, RequestError> {
        self.read_lines(arrived, config)
    }

    #[inline]
    fn read_lines(&mut self, arrived: &[u8], config: &Config<'_>) -> Result<Reading, RequestError> {
        let note = |scan: &mut Scan, line| note(scan, arrived, line);
        loop {
            if cfg!(target_pointer_width = "64") {
                self.scan.field_lines_at_once(arrived, config, note)?;
            }
            match self.scan.go_on(arrived, config)? {
                Step::NeedMore => return Ok(Reading::NeedMore),
                Step::EmptyLine(length) => return Ok(Reading::EmptyLine(length)),
                Step::RequestLine(version) => {
                    self.scan.notes = (version as u16) << Notes::VERSION_SHIFT;
                    if version == Version::Http09 {
                        return Ok(Reading::Whole);
                    }
                }
                Step::FieldLine => {
                    let line = self.scan.field_line(arrived);
                    note(&mut self.scan, line)?;
                }
                Step::End => return Ok(Reading::Whole),
            }
        }
    }

    /// The head is whole: do its parts fit together?
    ///
    /// # Errors
    /// They do not.
    pub(crate) fn finish(&self, arrived: &[u8], config: &Config<'_>) -> Result<HeadEnd, RequestError> {
        let notes = Notes(self.scan.notes);
        // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks
        // a Host header field" (RFC 9112 §3.2).
        if notes.version() == Version::Http11 && !notes.has(Notes::HOST) && !config.leniency.missing_host {
            return Err(RequestError::HostMissing);
        }
        framing::check(notes.version(), notes.has(Notes::LENGTH), notes.coding())?;
        let length = arrived.get(self.scan.kept as usize..).filter(|_| notes.has(Notes::LENGTH));
        Ok(HeadEnd {
            content_length: length.map_or(0, decimal::first),
            length: self.scan.position(),
            fields_start: self.scan.fields_start(config),
            method: self.scan.method(),
            notes,
        })
    }
}

/// Looks at one field line. Nearly none of them matters here.
#[inline]
fn note(scan: &mut Scan, arrived: &[u8], line: FieldLine) -> Result<(), RequestError> {
    let FieldLine { start, colon, end } = line;
    // The length of its name and the first octet tell, where flash does not count.
    if cfg!(target_pointer_width = "64") {
        let first = match colon - start {
            4 | 6 | 7 | 10 | 14 | 17 => arrived.get(start).map_or(0, |first| first | 0x20),
            _ => return Ok(()),
        };
        if !matches!(first, b'c' | b'e' | b'h' | b't' | b'u') {
            return Ok(());
        }
    }
    let name = arrived.get(start..colon).unwrap_or_default();
    let behind = arrived.get(colon + 1..end).unwrap_or_default();
    if octets::is_word(name, b"host") {
        return note_host(scan, behind);
    }
    note_field(scan, name, behind, colon + 1)
}

#[cfg_attr(target_pointer_width = "64", inline(never))] // The loop over the lines wants the registers.
fn note_host(scan: &mut Scan, behind: &[u8]) -> Result<(), RequestError> {
    if scan.notes & Notes::HOST != 0 {
        return Err(RequestError::HostRepeated);
    }
    if !target::is_authority(octets::trim(behind), Port::Optional) {
        return Err(RequestError::HostInvalid);
    }
    scan.notes |= Notes::HOST;
    Ok(())
}

#[cfg_attr(target_pointer_width = "64", inline(never))] // As above.
fn note_field(scan: &mut Scan, name: &[u8], behind: &[u8], value_at: usize) -> Result<(), RequestError> {
    /// In the order of their bits.
    const OPTIONS: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];
    /// In the order of what is done about them.
    const KNOWN: [&[u8]; 5] = [b"expect", b"upgrade", b"connection", b"content-length", b"transfer-encoding"];
    let value = || octets::trim(behind);
    let mut notes = Notes(scan.notes);
    match KNOWN.iter().position(|known| octets::is_word(name, known)) {
        // Other expectations "MAY" be refused (RFC 9110 §10.1.1). Like Python, we do not (spec 71).
        Some(0) => {
            if octets::is_word(value(), b"100-continue") {
                notes.set(Notes::EXPECT_CONTINUE);
            }
        }
        Some(1) => notes.set(Notes::UPGRADE),
        Some(2) => {
            for option in octets::list(value()) {
                let known = OPTIONS.iter().position(|known| octets::is_word(option, known));
                notes.set(known.map_or(0, |at| Notes::CLOSE << at));
            }
        }
        Some(3) => {
            if notes.has(Notes::LENGTH) {
                return Err(RequestError::ContentLengthRepeated);
            }
            if decimal::parse(value()).is_none() {
                return Err(RequestError::ContentLengthInvalid);
            }
            notes.set(Notes::LENGTH);
            // The scanner's positions fit 32 bits.
            scan.kept = u32::try_from(value_at).unwrap_or_default();
        }
        Some(4) => {
            notes.set_coding(notes.coding().and(value()));
        }
        _ => return Ok(()),
    }
    scan.notes = notes.0;
    Ok(())
}

/// The head of a request: its request line and fields. Everything in it is a view on the bytes that arrived.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    bytes: &'a [u8],
    pub(crate) end: HeadEnd,
}

impl<'a> RequestHead<'a> {
    /// Reads a head from the beginning of `bytes`: a pure function, for tests and for programs with an engine of
    /// their own. `Ok(None)` means that the head is not complete. Empty lines before it are skipped within their limit.
    ///
    /// ```
    /// use httpling_core::{Config, Method, RequestHead};
    ///
    /// let head = RequestHead::parse(b"GET /a?b HTTP/1.0\r\n\r\n", &Config::DEFAULT)?.expect("it is whole");
    /// assert_eq!((head.method(), head.path(), head.query()), (Method::Get, &b"/a"[..], Some(&b"b"[..])));
    /// # Ok::<(), httpling_core::RequestError>(())
    /// ```
    ///
    /// # Errors
    /// The first rule that the head breaks.
    #[doc(alias = "parse_request")]
    pub fn parse(bytes: &'a [u8], config: &Config<'_>) -> Result<Option<Self>, RequestError> {
        HeadParser::new().parse(bytes, config)
    }

    /// What a complete head says, before its octets are there: a board has no stack for it to be moved.
    pub(crate) fn new(end: HeadEnd) -> Self {
        Self { bytes: &[], end }
    }

    /// Puts it over the octets at whose beginning it stands.
    pub(crate) fn put_over(&mut self, bytes: &'a [u8]) {
        self.bytes = bytes.get(..self.end.length).unwrap_or_default();
    }

    /// The request line as it was sent, with its line end.
    #[doc(alias = "raw_requestline")]
    #[doc(alias = "requestline")]
    pub fn raw_request_line(&self) -> &'a [u8] {
        self.bytes.get(..self.end.fields_start as usize).unwrap_or_default()
    }

    /// The method.
    #[doc(alias = "command")]
    pub fn method(&self) -> Method<'a> {
        request_line::method(self.bytes, self.end.method)
    }

    /// The request-target, taken apart.
    pub fn target(&self) -> Target<'a> {
        Target::new(self.raw_target())
    }

    /// The request-target as it was sent: what Python calls `path`.
    pub fn raw_target(&self) -> &'a [u8] {
        request_line::target(self.raw_request_line())
    }

    /// The target's path, still percent-encoded and without query.
    pub fn path(&self) -> &'a [u8] {
        target::resource(self.raw_target()).0
    }

    /// The target's query, still percent-encoded.
    pub fn query(&self) -> Option<&'a [u8]> {
        target::resource(self.raw_target()).1
    }

    /// The version.
    #[doc(alias = "request_version")]
    pub fn version(&self) -> Version {
        self.end.notes.version()
    }

    /// The fields.
    pub fn headers(&self) -> Fields<'a> {
        Fields::new(self.bytes.get(self.end.fields_start as usize..).unwrap_or_default())
    }

    /// How the content is delimited.
    pub fn framing(&self) -> Framing {
        self.end.framing()
    }

    /// Octets of the head from the request line to the empty line; content follows. Empty lines before it are not counted.
    #[allow(clippy::len_without_is_empty)] // A head is never empty.
    pub fn len(&self) -> usize {
        self.end.length
    }
}

/// Reads a head that arrives in pieces, each octet once: [`RequestHead::parse`] for programs with an engine of
/// their own.
///
/// ```
/// use httpling_core::{Config, HeadParser};
///
/// let bytes = b"GET /a HTTP/1.0\r\n\r\n";
/// let mut parser = HeadParser::new();
/// assert!(parser.parse(&bytes[..9], &Config::DEFAULT)?.is_none());
/// let head = parser.parse(bytes, &Config::DEFAULT)?.expect("it is whole");
/// assert_eq!(head.path(), b"/a");
/// # Ok::<(), httpling_core::RequestError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HeadParser {
    reader: HeadReader,
    /// Octets of empty lines before the head.
    skipped: usize,
}

impl HeadParser {
    /// A parser that has seen nothing.
    pub const fn new() -> Self {
        Self { reader: HeadReader::new(), skipped: 0 }
    }

    /// Goes on. `bytes` is all that has arrived: the bytes of the calls before, at whatever address, and more behind
    /// them. `Ok(None)` means that the head is not complete. After a head or an error the parser is used up.
    ///
    /// # Errors
    /// The first rule that the head breaks, the same in whatever pieces it comes.
    #[inline]
    pub fn parse<'a>(
        &mut self,
        bytes: &'a [u8],
        config: &Config<'_>,
    ) -> Result<Option<RequestHead<'a>>, RequestError> {
        let seen = self.skipped + self.reader.scan.position();
        match bytes.split_last() {
            Some((&octet, before)) if before.len() == seen && self.reader.scan.lengthen(octet) => Ok(None),
            _ => self.parse_lines(bytes, config),
        }
    }

    #[inline(never)]
    fn parse_lines<'a>(
        &mut self,
        bytes: &'a [u8],
        config: &Config<'_>,
    ) -> Result<Option<RequestHead<'a>>, RequestError> {
        loop {
            let arrived = bytes.get(self.skipped..).unwrap_or_default();
            match self.reader.read_lines(arrived, config)? {
                Reading::NeedMore => return Ok(None),
                Reading::EmptyLine(length) => self.skipped += usize::from(length),
                Reading::Whole => {
                    let end = self.reader.finish(arrived, config)?;
                    let mut head = RequestHead::new(end);
                    head.put_over(arrived);
                    return Ok(Some(head));
                }
            }
        }
    }
}

impl Default for HeadParser {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection's slot on a board has at most 32 bytes, and this is the largest thing in it.
const _: () = assert!(size_of::<HeadReader>() <= 24);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> Result<Framing, RequestError> {
        RequestHead::parse(head, &Config::DEFAULT).map(|head| head.expect("whole").framing())
    }

    macro_rules! case {
        ($name:ident, $head:literal, $result:expr) => {
            #[test]
            fn $name() {
                assert_eq!(read($head), $result);
            }
        };
    }

    case! { space_before_colon_is_refused, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(RequestError::FieldName) }
    case! { space_before_first_field_is_refused, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(RequestError::FieldName) }
    case! { fold_is_refused, b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Err(RequestError::FoldedLine) }
    case! { no_colon_is_refused, b"GET / HTTP/1.1\r\nHost\r\n\r\n", Err(RequestError::FieldName) }
    case! { empty_name_is_refused, b"GET / HTTP/1.1\r\n: a\r\n\r\n", Err(RequestError::FieldName) }
    case! { bare_cr_is_refused, b"GET / HTTP/1.1\r\nA: \rb\r\n\r\n", Err(RequestError::LineEnd) }
    case! { bare_lf_is_refused, b"GET / HTTP/1.1\nHost: a\n\n", Err(RequestError::LineEnd) }
    case! { nul_is_refused, b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", Err(RequestError::FieldValue) }
    case! { host_missing, b"GET / HTTP/1.1\r\n\r\n", Err(RequestError::HostMissing) }
    case! { host_optional_in_http10, b"GET / HTTP/1.0\r\n\r\n", Ok(Framing::None) }
    case! { host_invalid_in_http10, b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", Err(RequestError::HostInvalid) }
    case! { host_repeated, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(RequestError::HostRepeated) }
    case! { length_is_found_at_the_end, b"GET / HTTP/1.1\r\nHost:a\r\nContent-Length: \t12 \r\nX:y\r\n\r\n", Ok(Framing::Length(12)) }
    case! { minor_versions_are_1_1, b"GET / HTTP/1.9\r\nHost:a\r\n\r\n", Ok(Framing::None) }
    case! { version_2_is_refused, b"GET / HTTP/2.0\r\n\r\n", Err(RequestError::VersionNotSupported) }
    case! { version_is_case_sensitive, b"GET / http/1.1\r\n\r\n", Err(RequestError::RequestLine) }
    case! { long_version_is_refused, b"GET / HTTP/1.10\r\n\r\n", Err(RequestError::RequestLine) }
    case! { two_words_are_refused, b"GET /\r\n\r\n", Err(RequestError::RequestLine) }
    case! { two_spaces_are_refused, b"GET  / HTTP/1.1\r\n\r\n", Err(RequestError::RequestLine) }
    case! { no_method_is_refused, b" / HTTP/1.1\r\n\r\n", Err(RequestError::RequestLine) }
    case! { fragment_is_refused, b"GET /#a HTTP/1.1\r\n\r\n", Err(RequestError::Target) }
    case! { raw_utf8_is_refused, b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", Err(RequestError::Target) }
    case! { two_empty_lines_are_refused, b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", Err(RequestError::EmptyLines) }
    case! { one_empty_line_is_skipped, b"\r\nGET / HTTP/1.0\r\n\r\n", Ok(Framing::None) }

    #[test]
    fn leniency_takes_what_it_names() {
        let mut config = Config::DEFAULT;
        let head = b"GET /a|b HTTP/1.1\nA: b\n\n";
        config.leniency.bare_lf = true;
        assert_eq!(RequestHead::parse(head, &config).err(), Some(RequestError::Target));
        config.leniency.target_octets = true;
        assert_eq!(RequestHead::parse(head, &config).err(), Some(RequestError::HostMissing));
        config.leniency.missing_host = true;
        let head = RequestHead::parse(head, &config).expect("accepted").expect("whole");
        assert_eq!(head.path(), b"/a|b");
        assert_eq!(head.headers().value("a"), Some(&b"b"[..]));
        config.http_09 = true;
        let head = RequestHead::parse(b"GET /x\r\nrest", &config).expect("accepted").expect("whole");
        assert_eq!((head.version(), head.path(), head.len()), (Version::Http09, &b"/x"[..], 8));
    }
}
