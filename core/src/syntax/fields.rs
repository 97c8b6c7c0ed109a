//! The field section, looked at as often as somebody asks (RFC 9110 §5, §6.3).
//!
//! There is no table of fields: a lookup walks the octets, which the scanner has validated. A
//! request has a dozen fields, and a handler asks for one or two.

use crate::syntax::octets;
use core::fmt;

/// One field line: `name: value`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldLine<'a> {
    /// The name, as it was sent: a token, to be compared without regard to case.
    pub name: &'a [u8],
    /// The value without the white space around it: visible octets, SP, HTAB, and octets from 0x80 on.
    pub value: &'a [u8],
}

/// The field lines of a request, in the order in which they came.
///
/// ```
/// use httpling_core::{Config, RequestHead};
///
/// let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nACCEPT: */*\r\n\r\n";
/// let head = RequestHead::parse(bytes, &Config::DEFAULT)?.expect("it is whole");
/// assert_eq!(head.headers().value("accept"), Some(&b"text/html"[..]));
/// assert_eq!(head.headers().values("accept").count(), 2);
/// # Ok::<(), httpling_core::RequestError>(())
/// ```
#[derive(Clone, Copy)]
#[doc(alias = "headers")]
pub struct Fields<'a> {
    /// Validated field lines, each with its line end, with or without the empty line that ends the section.
    section: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(section: &'a [u8]) -> Self {
        Self { section }
    }

    /// The value of the first field with this name; the name's case does not matter.
    #[doc(alias = "get")]
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The values of all fields with this name.
    #[doc(alias = "get_all")]
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |line| line.name.eq_ignore_ascii_case(name.as_bytes())).map(|line| line.value)
    }

    /// The members of the comma-separated list that all fields with this name make together (RFC 9110 §5.6.1),
    /// for lists without quoted strings.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(octets::list)
    }

    /// All field lines.
    pub fn iter(&self) -> FieldLines<'a> {
        FieldLines { rest: self.section }
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = FieldLine<'a>;
    type IntoIter = FieldLines<'a>;

    fn into_iter(self) -> FieldLines<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Fields<'a> {
    type Item = FieldLine<'a>;
    type IntoIter = FieldLines<'a>;

    fn into_iter(self) -> FieldLines<'a> {
        self.iter()
    }
}

/// Iterates over the lines of [`Fields`].
#[derive(Clone, Debug)]
pub struct FieldLines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for FieldLines<'a> {
    type Item = FieldLine<'a>;

    fn next(&mut self) -> Option<FieldLine<'a>> {
        let (line, rest) = octets::split_once(self.rest, b'\n')?;
        self.rest = rest;
        // The empty line that ends the section has no colon.
        let (name, value) = octets::split_once(line, b':')?;
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        Some(FieldLine { name, value: octets::trim(value) })
    }
}

impl fmt::Debug for FieldLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lines_are_split_and_trimmed() {
        let fields = Fields::new(b"A:1\r\nbb: \t2 \t\r\nA:\r\nc: x:y\r\n\r\n");
        let lines: Vec<_> = fields.iter().map(|line| (line.name, line.value)).collect();
        let expected: [(&[u8], &[u8]); 4] = [(b"A", b"1"), (b"bb", b"2"), (b"A", b""), (b"c", b"x:y")];
        assert_eq!(lines, expected);
        assert_eq!(fields.value("a"), Some(&b"1"[..]));
        assert_eq!(fields.value("d"), None);
    }

    #[test]
    fn lists_join_lines() {
        let fields = Fields::new(b"Te: a, b\r\nX: n\r\nTE:,c ,\r\n\r\n");
        assert_eq!(fields.list("te").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
