//! Content, decoded: so many octets, or chunks (RFC 9112 §6, §7).
//!
//! [`Content`] is the sans-I/O half of a request's body: it is shown what arrived and says how much of it belongs to the
//! content, how much it means, and where the message ends. It never looks past that end.

use crate::receive::framing::Framing;
use crate::syntax::decimal;
use crate::syntax::error::RequestError;
use crate::syntax::limits::Limits;
use crate::syntax::octets::{self, HEX, TOKEN, VALUE};

/// Where in a content the next octet stands. The states of one line follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
enum State {
    /// Behind its end.
    Done,
    /// In octets that are counted by `Content-Length`.
    Counted,
    /// In the octets of a chunk.
    Chunk,
    /// Before the CR, or the LF, after a chunk.
    ChunkEnd,
    ChunkLineFeed,
    /// Before the LF after a chunk-size.
    SizeLineFeed,
    /// Before the first digit of a chunk-size, or behind it.
    Size,
    SizeDigits,
    /// In a chunk extension: `BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ]`.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    QuotedPair,
    AfterQuoted,
    /// At the beginning of a trailer line, in its name, in its value.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
}

/// How far the content of one request is decoded.
///
/// Aligned as four octets are, so that it fits a connection's slot on a board beside its deadline.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
pub(crate) struct Content {
    /// Octets left of the chunk, or of the whole content when it is counted.
    left: u64,
    /// Octets of content that may still come.
    allowed: u64,
    /// Octets of chunk extensions, later of trailers, that may still come.
    extra: u32,
    /// Octets of the chunk-size line so far.
    line: u16,
    state: State,
    /// Digits of the chunk-size, later trailer lines.
    count: u8,
}

/// What [`Content::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Octets that it took from the input.
    pub(crate) taken: usize,
    /// Octets of content that it put into the output.
    pub(crate) put: usize,
}

/// RFC 9112 §7.1 sets no bound; 16 digits fill 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

impl Content {
    /// No content.
    pub(crate) const fn none() -> Self {
        Self { left: 0, allowed: 0, extra: 0, line: 0, state: State::Done, count: 0 }
    }

    /// Begins the content of a request with this framing, of at most `allowed` octets.
    ///
    /// # Errors
    /// [`RequestError::ContentTooLarge`] when its declared length is more.
    pub(crate) fn begin(
        &mut self,
        framing: Framing,
        allowed: u64,
        limits: &Limits,
    ) -> Result<(), RequestError> {
        match framing {
            Framing::None => return Ok(()),
            Framing::Length(length) if length > allowed => return Err(RequestError::ContentTooLarge),
            Framing::Length(length) => (self.state, self.left) = (State::Counted, length),
            Framing::Chunked => self.state = State::Size,
        }
        self.allowed = allowed;
        self.extra = limits.chunk_extensions_bytes_max;
        Ok(())
    }

    /// Nothing of the message is left.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Octets of content that come next, as they are, without any framing between them: they may be read
    /// into their place directly, and are then to be counted with [`skip`](Self::skip).
    pub(crate) fn plain(&self) -> usize {
        match self.state {
            State::Counted | State::Chunk => usize::try_from(self.left).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// Counts octets of the plain part that were read without `decode`: at most [`plain`](Self::plain).
    pub(crate) fn skip(&mut self, count: usize) {
        let left = self.left.saturating_sub(count as u64);
        self.left = left;
        if left == 0 {
            self.state = if self.state == State::Counted { State::Done } else { State::ChunkEnd };
        }
    }

    /// Will no more than `most` octets of content follow?
    pub(crate) fn is_at_most(&self, most: u32) -> bool {
        match self.state {
            State::Done => true,
            State::Counted => self.left <= u64::from(most),
            // Nobody knows. Its decoder stops at the limit.
            _ => true,
        }
    }

    /// Allows no more than `most` further octets of chunked content.
    pub(crate) fn allow_at_most(&mut self, most: u64) {
        self.allowed = most.min(self.allowed);
    }

    /// Takes from `input` what belongs to the content, and puts what it means into `out`, until one of them ends or
    /// the content is done.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        limits: &Limits,
    ) -> Result<Decoded, RequestError> {
        let mut done = Decoded { taken: 0, put: 0 };
        while !self.is_done() {
            let rest = input.get(done.taken..).unwrap_or_default();
            let plain = self.plain();
            if plain > 0 {
                let room = out.get_mut(done.put..).unwrap_or_default();
                let from = rest.get(..plain).unwrap_or(rest);
                let count = octets::copy(from, room);
                if count == 0 {
                    break;
                }
                self.skip(count);
                done.taken += count;
                done.put += count;
            } else {
                let Some(&octet) = rest.first() else { break };
                let before = *self;
                if let Err(error) = self.step(octet, limits) {
                    if done.put == 0 {
                        return Err(error);
                    }
                    // What comes before the wrong octet is content, whatever pieces it comes in. The
                    // next call finds the octet again.
                    *self = before;
                    break;
                }
                done.taken += 1;
            }
        }
        Ok(done)
    }

    /// Drops what belongs to the content from `input`, and says how much that was.
    ///
    /// # Errors
    /// The first octet that breaks a rule or a limit.
    pub(crate) fn discard(&mut self, input: &[u8], limits: &Limits) -> Result<usize, RequestError> {
        let mut taken = 0;
        while let (false, [octet, ..]) = (self.is_done(), input.get(taken..).unwrap_or_default()) {
            let plain = self.plain().min(input.len() - taken);
            if plain > 0 {
                self.skip(plain);
                taken += plain;
            } else {
                self.step(*octet, limits)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// One octet of the chunked framing.
    fn step(&mut self, octet: u8, limits: &Limits) -> Result<(), RequestError> {
        let state = self.state;
        self.count_octet(octet, limits)?;
        let row = NEXT.get((state as usize).wrapping_sub(FIRST));
        let next = row.and_then(|row| *row.get(Class::of(octet) as usize)?);
        self.state = match (state, next) {
            (State::Trailer, next) if octet != b'\r' => self.begin_trailer(octet, next, limits)?,
            (_, None) => return Err(state.error(octet)),
            (State::ChunkLineFeed, Some(next)) => {
                (self.line, self.count, self.left) = (0, 0, 0);
                next
            }
            (State::SizeLineFeed, Some(next)) => self.end_size(limits)?.unwrap_or(next),
            (_, Some(State::SizeDigits)) => {
                if self.count >= SIZE_DIGITS_MAX {
                    return Err(RequestError::ChunkSize);
                }
                self.left = self.left << 4 | u64::from(decimal::hex_digit(octet));
                self.count += 1;
                State::SizeDigits
            }
            (_, Some(next)) => next,
        };
        Ok(())
    }

    /// At the end of a chunk-size line. After the last chunk there are trailers in the place of octets.
    fn end_size(&mut self, limits: &Limits) -> Result<Option<State>, RequestError> {
        if self.left > self.allowed {
            return Err(RequestError::ContentTooLarge);
        }
        self.allowed -= self.left;
        if self.left > 0 {
            return Ok(None);
        }
        self.extra = limits.field_section_bytes_max;
        self.count = 0;
        Ok(Some(State::Trailer))
    }

    /// At the first octet of a trailer line.
    fn begin_trailer(
        &mut self,
        octet: u8,
        next: Option<State>,
        limits: &Limits,
    ) -> Result<State, RequestError> {
        if self.count > 0 && matches!(octet, b' ' | b'\t') {
            return Err(RequestError::FoldedLine);
        }
        if self.count >= limits.fields_max {
            return Err(RequestError::TooManyFields);
        }
        self.count += 1;
        next.ok_or(RequestError::FieldName)
    }

    /// Counts an octet against the limits of its line. They do not count line ends, but for those of trailer lines.
    #[inline(never)] // Woven into the step it is 90 octets more of flash.
    fn count_octet(&mut self, octet: u8, limits: &Limits) -> Result<(), RequestError> {
        if self.state >= State::Trailer {
            if self.state < State::LastLineFeed && !(self.state == State::Trailer && octet == b'\r') {
                self.extra = self.extra.checked_sub(1).ok_or(RequestError::FieldsTooLarge)?;
            }
        } else if self.state >= State::Size && octet != b'\r' {
            if self.line >= limits.chunk_line_bytes_max {
                return Err(RequestError::ChunkExtension);
            }
            self.line += 1;
            if self.state > State::SizeDigits || octet == b';' {
                self.extra = self.extra.checked_sub(1).ok_or(RequestError::ChunkExtension)?;
            }
        }
        Ok(())
    }
}

/// What octets the grammar of chunks tells apart.
#[derive(Clone, Copy)]
enum Class {
    CarriageReturn,
    LineFeed,
    White,
    Semicolon,
    Colon,
    Equals,
    Quote,
    Backslash,
    Hex,
    /// Another octet of a token.
    Token,
    /// Another octet of a field value.
    Visible,
    Control,
}

impl Class {
    const COUNT: usize = Self::Control as usize + 1;
    const ALL: [Self; Self::COUNT] = [
        Self::CarriageReturn,
        Self::LineFeed,
        Self::White,
        Self::Semicolon,
        Self::Colon,
        Self::Equals,
        Self::Quote,
        Self::Backslash,
        Self::Hex,
        Self::Token,
        Self::Visible,
        Self::Control,
    ];

    fn of(octet: u8) -> Self {
        match octet {
            b'\r' => Self::CarriageReturn,
            b'\n' => Self::LineFeed,
            b' ' | b'\t' => Self::White,
            b';' => Self::Semicolon,
            b':' => Self::Colon,
            b'=' => Self::Equals,
            b'"' => Self::Quote,
            b'\\' => Self::Backslash,
            _ if octets::is(octet, HEX) => Self::Hex,
            _ if octets::is(octet, TOKEN) => Self::Token,
            _ if octets::is(octet, VALUE) => Self::Visible,
            _ => Self::Control,
        }
    }
}

impl State {
    const COUNT: usize = Self::LastLineFeed as usize + 1;
    const ALL: [Self; Self::COUNT] = [
        Self::Done,
        Self::Counted,
        Self::Chunk,
        Self::ChunkEnd,
        Self::ChunkLineFeed,
        Self::SizeLineFeed,
        Self::Size,
        Self::SizeDigits,
        Self::BeforeSemicolon,
        Self::BeforeName,
        Self::Name,
        Self::AfterName,
        Self::BeforeValue,
        Self::Value,
        Self::Quoted,
        Self::QuotedPair,
        Self::AfterQuoted,
        Self::Trailer,
        Self::TrailerName,
        Self::TrailerValue,
        Self::TrailerLineFeed,
        Self::LastLineFeed,
    ];

    /// The grammar (RFC 9112 §7.1): where the octet after one of this class stands, if it may stand here.
    const fn after(self, class: Class) -> Option<Self> {
        use State::{
            AfterName, AfterQuoted, BeforeName, BeforeSemicolon, BeforeValue, Chunk, ChunkEnd, ChunkLineFeed,
            Done, LastLineFeed, Name, Quoted, QuotedPair, Size, SizeDigits, SizeLineFeed, Trailer,
            TrailerLineFeed, TrailerName, TrailerValue, Value,
        };
        Some(match (self, class) {
            (ChunkEnd, Class::CarriageReturn) => ChunkLineFeed,
            (ChunkLineFeed, Class::LineFeed) => Size,

            (Size | SizeDigits, Class::Hex) => SizeDigits,
            (SizeDigits | BeforeSemicolon | Name | AfterName | Value | AfterQuoted, Class::Semicolon) => {
                BeforeName
            }
            (SizeDigits | Name | Value | AfterQuoted, Class::CarriageReturn) => SizeLineFeed,
            // White space must be followed by a semicolon here: "5 \r\n" is read differently by different readers.
            (SizeDigits | BeforeSemicolon | Value | AfterQuoted, Class::White) => BeforeSemicolon,
            (BeforeName, Class::White) => BeforeName,
            (BeforeName | Name, Class::Hex | Class::Token) => Name,
            (Name | AfterName, Class::White) => AfterName,
            (Name | AfterName, Class::Equals) => BeforeValue,
            (BeforeValue, Class::White) => BeforeValue,
            (BeforeValue, Class::Quote) => Quoted,
            (BeforeValue | Value, Class::Hex | Class::Token) => Value,
            (Quoted, Class::Quote) => AfterQuoted,
            (Quoted, Class::Backslash) => QuotedPair,
            (
                Quoted | QuotedPair | TrailerValue,
                Class::CarriageReturn | Class::LineFeed | Class::Control,
            ) if !matches!((self, class), (TrailerValue, Class::CarriageReturn)) => {
                return None;
            }
            (Quoted | QuotedPair, _) => Quoted,
            (SizeLineFeed, Class::LineFeed) => Chunk,

            (Trailer, Class::CarriageReturn) => LastLineFeed,
            (Trailer | TrailerName, Class::Hex | Class::Token) => TrailerName,
            (TrailerName, Class::Colon) => TrailerValue,
            (TrailerValue, Class::CarriageReturn) => TrailerLineFeed,
            (TrailerValue, _) => TrailerValue,
            (TrailerLineFeed, Class::LineFeed) => Trailer,
            (LastLineFeed, Class::LineFeed) => Done,
            _ => return None,
        })
    }

    /// What is wrong with an octet that may not stand here.
    fn error(self, octet: u8) -> RequestError {
        match self {
            Self::ChunkEnd | Self::ChunkLineFeed => RequestError::ChunkEnd,
            Self::Size | Self::SizeDigits => RequestError::ChunkSize,
            Self::SizeLineFeed | Self::TrailerLineFeed | Self::LastLineFeed => RequestError::LineEnd,
            Self::Trailer | Self::TrailerName => RequestError::FieldName,
            Self::TrailerValue if octet == b'\n' => RequestError::LineEnd,
            Self::TrailerValue => RequestError::FieldValue,
            _ => RequestError::ChunkExtension,
        }
    }
}

/// The first state with a row in the table: octets of content have no grammar.
const FIRST: usize = State::ChunkEnd as usize;

/// [`State::after`] as a table: a match on two things at once is a kilobyte of flash.
static NEXT: [[Option<State>; Class::COUNT]; State::COUNT - FIRST] = {
    let mut table = [[None; Class::COUNT]; State::COUNT - FIRST];
    let mut state = FIRST;
    while state < State::COUNT {
        let mut class = 0;
        while class < Class::COUNT {
            // In range, by the loops; evaluated while compiling.
            #[allow(clippy::indexing_slicing)]
            {
                table[state - FIRST][class] = State::ALL[state].after(Class::ALL[class]);
            }
            class += 1;
        }
        state += 1;
    }
    table
};

const _: () = assert!(size_of::<Content>() <= 24);

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, string::String, vec::Vec};

    /// Decodes with an output buffer of `room` and the input in pieces of `piece`.
    fn decode(
        framing: Framing,
        input: &[u8],
        piece: usize,
        room: usize,
    ) -> Result<(Vec<u8>, usize, bool), RequestError> {
        let limits = Limits { content_bytes_max: 100, ..Limits::DEFAULT };
        let mut content = Content::none();
        content.begin(framing, limits.content_bytes_max, &limits)?;
        let (mut at, mut meaning) = (0, Vec::new());
        let mut out = std::vec![0; room];
        while !content.is_done() && at < input.len() {
            let shown = &input[at..input.len().min(at + piece)];
            let step = content.decode(shown, &mut out, &limits)?;
            meaning.extend_from_slice(&out[..step.put]);
            at += step.taken;
        }
        Ok((meaning, at, content.is_done()))
    }

    /// Whatever the pieces and the room, the outcome is that of the whole; it is returned.
    fn chunked(input: &str) -> Result<String, RequestError> {
        let whole = decode(Framing::Chunked, input.as_bytes(), usize::MAX >> 1, 1024);
        for (piece, room) in [(1, 1), (1, 9), (2, 3), (7, 1), (64, 2)] {
            assert_eq!(decode(Framing::Chunked, input.as_bytes(), piece, room), whole, "{input:?}");
        }
        let (meaning, taken, done) = whole?;
        assert!(done, "{input:?} is not whole");
        assert_eq!(taken, input.len(), "what follows was taken");
        // What follows the message stays, and changes nothing.
        let more = format!("{input}5\r\nhello\r\n0\r\n\r\n");
        let (again, taken, _) = decode(Framing::Chunked, more.as_bytes(), usize::MAX >> 1, 1024)?;
        assert_eq!((&again, taken), (&meaning, input.len()));
        Ok(String::from_utf8(meaning).expect("ASCII"))
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(chunked("0\r\n\r\n").as_deref(), Ok(""));
        assert_eq!(chunked("5\r\nhello\r\n1\r\n \r\n5\r\nthere\r\n0\r\n\r\n").as_deref(), Ok("hello there"));
        let size_in_mixed_case = format!("000000000000003C\r\n{0}\r\n3c\r\n", "x".repeat(60));
        assert_eq!(chunked(&size_in_mixed_case), Err(RequestError::ContentTooLarge));
        let framing_inside = "0A\r\n\r\n0\r\n\r\n\r\n\r\r\n000\r\n\r\n";
        assert_eq!(chunked(framing_inside).as_deref(), Ok("\r\n0\r\n\r\n\r\n\r"));
    }

    #[test]
    fn extensions_and_trailers_by_grammar() {
        for extension in [
            ";a",
            ";a=b",
            " ; a = b",
            ";a=\"b;\\\"\\\\c\"",
            ";a=\"\";b",
            "\t;\ta\t=\tb ;c",
            ";a ;b",
            ";a=b ;c",
        ] {
            let input = format!("1{extension}\r\nx\r\n0{extension}\r\n\r\n");
            assert_eq!(chunked(&input).as_deref(), Ok("x"), "{extension}");
        }
        for extension in [
            " ",
            ";",
            "; ",
            ";a ",
            ";a=",
            ";a= ",
            ";a=b ",
            ";=b",
            ";a=\"",
            ";a=\"b\"c",
            ";a=b=c",
            ";a=\"\\",
            ";a b",
            ";a\"",
            "\t",
        ] {
            let input = format!("1{extension}\r\nx\r\n0\r\n\r\n");
            let expected = Err(RequestError::ChunkExtension);
            assert_eq!(chunked(&input), expected, "{extension:?}");
        }
        assert_eq!(chunked("0\r\na: b\r\nContent-Length: 9\r\nc:\r\n\r\n").as_deref(), Ok(""));
        let wrong = [
            ("a b: c\r\n", RequestError::FieldName),
            ("a : c\r\n", RequestError::FieldName),
            (": c\r\n", RequestError::FieldName),
            (" a: c\r\n", RequestError::FieldName),
            ("a: b\r\n c\r\n", RequestError::FoldedLine),
            ("a\r\n", RequestError::FieldName),
            ("a: \x01\r\n", RequestError::FieldValue),
            ("a: b\n", RequestError::LineEnd),
            ("a: b\rc\r\n", RequestError::LineEnd),
        ];
        for (trailer, error) in wrong {
            assert_eq!(chunked(&format!("0\r\n{trailer}\r\n")), Err(error), "{trailer:?}");
        }
    }

    #[test]
    fn sizes_and_ends_are_strict() {
        for size in
            ["", "-1", "+1", "0x1", " 1", "g", "1g", "11111111111111111", "00000000000000001", "1.0", "1,"]
        {
            assert_eq!(chunked(&format!("{size}\r\nx\r\n0\r\n\r\n")), Err(RequestError::ChunkSize), "{size}");
        }
        assert_eq!(chunked("ffffffffffffffff\r\n"), Err(RequestError::ContentTooLarge));
        for end in ["", "\n", "\r", "x\r\n", "\n\r"] {
            assert_eq!(chunked(&format!("1\r\nx{end}0\r\n\r\n")), Err(RequestError::ChunkEnd), "{end:?}");
        }
        assert_eq!(chunked("1\nx\r\n0\r\n\r\n"), Err(RequestError::ChunkSize));
        assert_eq!(chunked("1;a\rx"), Err(RequestError::LineEnd));
    }

    #[test]
    fn limits_are_exact() {
        let limits = Limits::DEFAULT;
        let line = |octets: usize| format!("0;{}\r\n\r\n", "a".repeat(octets - 2));
        let longest = usize::from(limits.chunk_line_bytes_max);
        assert!(chunked(&line(longest)).is_ok());
        assert_eq!(chunked(&line(longest + 1)), Err(RequestError::ChunkExtension));

        let extensions = |octets: usize| {
            let chunk = format!("1;{}\r\nx\r\n", "a".repeat(127));
            let chunks = octets / 128;
            format!("{}0;{}\r\n\r\n", chunk.repeat(chunks), "a".repeat(octets % 128))
        };
        let decoded = |octets: usize| {
            let limits = Limits::DEFAULT;
            let mut content = Content::none();
            content.begin(Framing::Chunked, 1000, &limits).expect("allowed");
            let input = extensions(octets);
            // What is before the error comes first.
            let first = content.decode(input.as_bytes(), &mut [0; 1000], &limits)?;
            let rest = &input.as_bytes()[first.taken..];
            content.decode(rest, &mut [0; 1000], &limits).map(|_| content.is_done())
        };
        let most = limits.chunk_extensions_bytes_max as usize;
        assert_eq!(decoded(most - 1), Ok(true));
        assert_eq!(decoded(most), Err(RequestError::ChunkExtension));

        let trailers = |octets: usize| format!("0\r\na:{}\r\n\r\n", "b".repeat(octets - 4));
        let most = limits.field_section_bytes_max as usize;
        assert!(chunked(&trailers(most)).is_ok());
        assert_eq!(chunked(&trailers(most + 1)), Err(RequestError::FieldsTooLarge));
        let lines = |count: u8| format!("0\r\n{}\r\n", "a:b\r\n".repeat(usize::from(count)));
        assert!(chunked(&lines(limits.fields_max)).is_ok());
        assert_eq!(chunked(&lines(limits.fields_max + 1)), Err(RequestError::TooManyFields));

        let content = |octets: usize| format!("{octets:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(octets));
        assert!(chunked(&content(100)).is_ok());
        assert_eq!(chunked(&content(101)), Err(RequestError::ContentTooLarge));
    }

    #[test]
    fn content_before_an_error_is_content() {
        let limits = Limits::DEFAULT;
        let mut content = Content::none();
        content.begin(Framing::Chunked, 100, &limits).expect("allowed");
        let mut out = [0; 9];
        let input = b"2\r\nab\r\n1;a\r\nc\r\nx";
        assert_eq!(content.decode(input, &mut out, &limits), Ok(Decoded { taken: 15, put: 3 }));
        assert_eq!(&out[..3], b"abc");
        for _ in 0..2 {
            assert_eq!(content.decode(&input[15..], &mut out, &limits), Err(RequestError::ChunkSize));
        }
    }

    #[test]
    fn counted_content_ends_where_it_says() {
        let limits = Limits::DEFAULT;
        let too_large = Content::none().begin(Framing::Length(11), 10, &limits);
        assert_eq!(too_large, Err(RequestError::ContentTooLarge));
        for piece in 1..6 {
            for room in 1..6 {
                let expected = Ok((b"hello".to_vec(), 5, true));
                assert_eq!(decode(Framing::Length(5), b"hello there", piece, room), expected);
            }
        }
        assert_eq!(decode(Framing::None, b"hello", 9, 9), Ok((Vec::new(), 0, true)));
    }
}
