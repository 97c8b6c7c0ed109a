//! Fields that the owner of a server adds to its answers (spec 12).

use std::fmt;
use std::str::FromStr;

/// A field for answers with a file or a listing: `Cache-Control: no-store`.
///
/// Unlike Python's `-H`, it is checked when it is made: what could end a line or change the framing is refused (12 H), and
/// so are the fields that the server sends itself.
///
/// ```
/// use httpling::files::{Header, InvalidHeader};
///
/// let header: Header = "Cache-Control: no-store".parse()?;
/// assert_eq!(header, Header::new("Cache-Control", "no-store")?);
/// assert_eq!("no colon".parse::<Header>(), Err(InvalidHeader::NoColon));
/// # Ok::<(), InvalidHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

/// Why something is no [`Header`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// There is no colon between name and value.
    NoColon,
    /// The name is no token (RFC 9110 §5.6.2).
    Name,
    /// The value has control characters (RFC 9110 §5.5).
    Value,
    /// The server sends this field itself, or decides on it.
    BelongsToServer,
}

/// Two of one of these would contradict each other, or the framing.
const OF_THE_SERVER: [&str; 15] = [
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "server",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Header {
    /// A field with this name and value; white space around both is dropped.
    ///
    /// # Errors
    /// See [`InvalidHeader`].
    pub fn new(name: &str, value: &str) -> Result<Self, InvalidHeader> {
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        let of_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
        if name.is_empty() || !name.bytes().all(of_token) {
            return Err(InvalidHeader::Name);
        }
        if !is_value(value) {
            return Err(InvalidHeader::Value);
        }
        if OF_THE_SERVER.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Err(InvalidHeader::BelongsToServer);
        }
        Ok(Self { name: name.into(), value: value.into() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Must a 304 have it if the 200 would have had it (RFC 9110 §15.4.5)?
    pub(super) fn is_for_not_modified(&self) -> bool {
        ["cache-control", "content-location", "expires", "vary"]
            .iter()
            .any(|known| self.name.eq_ignore_ascii_case(known))
    }
}

/// Text that can stand in a field without ending its line.
pub(super) fn is_value(text: &str) -> bool {
    !text.bytes().any(|octet| octet.is_ascii_control() && octet != b'\t')
}

/// Splits at the first colon.
impl FromStr for Header {
    type Err = InvalidHeader;

    fn from_str(line: &str) -> Result<Self, InvalidHeader> {
        let (name, value) = line.split_once(':').ok_or(InvalidHeader::NoColon)?;
        Self::new(name, value)
    }
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoColon => "no colon between name and value",
            Self::Name => "the name is no token",
            Self::Value => "the value has control characters",
            Self::BelongsToServer => "the server sends this field itself",
        })
    }
}

impl std::error::Error for InvalidHeader {}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! case {
        ($name:ident, $line:expr, $expected:expr) => {
            #[test]
            fn $name() {
                let header = $line.parse::<Header>();
                let expected: Result<(&str, &str), InvalidHeader> = $expected;
                assert_eq!(
                    header.as_ref().map(|header| (header.name(), header.value())),
                    expected.as_ref().map(|pair| *pair)
                );
            }
        };
    }

    case! { a_field, "X-A: b", Ok(("X-A", "b")) }
    case! { white_space_around_is_dropped, " X-A \t:  b c\t", Ok(("X-A", "b c")) }
    case! { the_first_colon_counts, "X-A:b:c", Ok(("X-A", "b:c")) }
    case! { an_empty_value, "X-A:", Ok(("X-A", "")) }
    case! { text_beyond_ascii, "X-A: é", Ok(("X-A", "é")) }
    case! { no_colon, "X-A b", Err(InvalidHeader::NoColon) }
    case! { no_name, ": b", Err(InvalidHeader::Name) }
    case! { a_space_in_the_name, "X A: b", Err(InvalidHeader::Name) }
    case! { a_name_beyond_ascii, "é: b", Err(InvalidHeader::Name) }
    case! { a_line_end_in_the_value, "X-A: b\r\nSet-Cookie: c", Err(InvalidHeader::Value) }
    case! { a_bare_lf_in_the_value, "X-A: b\nc", Err(InvalidHeader::Value) }
    case! { a_nul_in_the_value, "X-A: b\0c", Err(InvalidHeader::Value) }
    case! { a_line_end_in_the_name, "X-A\r\n: b", Ok(("X-A", "b")) }
    case! { a_line_end_within_the_name, "X\r\nA: b", Err(InvalidHeader::Name) }
    case! { framing_is_the_servers, "content-LENGTH: 5", Err(InvalidHeader::BelongsToServer) }
    case! { the_type_is_the_servers, "Content-type: a/b", Err(InvalidHeader::BelongsToServer) }

    #[test]
    fn what_a_304_keeps() {
        let keeps = |line: &str| line.parse::<Header>().map(|header| header.is_for_not_modified());
        assert_eq!(keeps("CACHE-control: no-store"), Ok(true));
        assert_eq!(keeps("X-A: b"), Ok(false));
    }
}
