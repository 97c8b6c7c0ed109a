//! What does the request ask for? (RFC 9112 §3.2, RFC 3986)

use crate::syntax::error::RequestError;
use crate::syntax::method::Method;
use crate::syntax::octets::{self, DIGIT, HEX, REG_NAME, SCHEME};
use core::fmt;

/// A request-target, in one of its four forms. The octets are as they were sent: percent-encoding
/// is not undone, dots are not resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/path?query`: nearly all requests (§3.2.1).
    Origin {
        /// Begins with `/`.
        path: &'a [u8],
        /// What follows the first `?`.
        query: Option<&'a [u8]>,
    },
    /// `http://host/path?query`: requests to a proxy, which "a server MUST accept" too (§3.2.2).
    Absolute {
        /// `http`, `https` or another one, as it was sent.
        scheme: &'a [u8],
        /// Host and port, valid. It takes the place of the `Host` field.
        authority: &'a [u8],
        /// Begins with `/`; `/` when the target has none.
        path: &'a [u8],
        /// What follows the first `?`.
        query: Option<&'a [u8]>,
    },
    /// `host:port`: CONNECT (§3.2.3).
    Authority(&'a [u8]),
    /// `*`: OPTIONS for the server as a whole (§3.2.4).
    Asterisk,
}

impl<'a> Target<'a> {
    /// The view on a target that has been [checked](check).
    pub(crate) fn new(target: &'a [u8]) -> Self {
        let (path, query) = resource(target);
        match (target, split_absolute(target)) {
            (_, Some((scheme, authority, _))) => Self::Absolute { scheme, authority, path, query },
            ([b'/', ..], _) => Self::Origin { path, query },
            (b"*", _) => Self::Asterisk,
            _ => Self::Authority(target),
        }
    }

    /// The path, without query; the whole target where it is an authority or the asterisk.
    pub fn path(&self) -> &'a [u8] {
        match self {
            Self::Origin { path, .. } | Self::Absolute { path, .. } => path,
            Self::Authority(authority) => authority,
            Self::Asterisk => b"*",
        }
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&'a [u8]> {
        match self {
            Self::Origin { query, .. } | Self::Absolute { query, .. } => *query,
            Self::Authority(_) | Self::Asterisk => None,
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().escape_ascii())?;
        if let Some(query) = self.query() {
            write!(f, "?{}", query.escape_ascii())?;
        }
        Ok(())
    }
}

/// What a checked target asks for: its path, and its query.
#[cfg_attr(target_pointer_width = "64", inline)]
pub(crate) fn resource(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let rest = match target {
        [b'/', ..] => target,
        _ => match split_absolute(target) {
            Some((_, _, rest)) => rest,
            None => return (target, None),
        },
    };
    let (path, query) = match octets::split_once(rest, b'?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // An empty path is that of the root.
    (if path.is_empty() { b"/" } else { path }, query)
}

/// May a request of this method, which is the registered one in this place, ask for `target`, whose octets the scanner has
/// accepted?
///
/// # Errors
/// [`RequestError::Target`] for a form that is none of the four, or not one that the method may have.
#[inline]
pub(crate) fn check(method: u8, target: &[u8]) -> Result<(), RequestError> {
    if target.starts_with(b"/") && method != Method::Connect.index() {
        return Ok(());
    }
    check_rare(method, target)
}

#[cold]
fn check_rare(method: u8, target: &[u8]) -> Result<(), RequestError> {
    let is_right = if method == Method::Connect.index() {
        is_authority(target, Port::Required)
    } else if method == Method::Options.index() && target == b"*" {
        true
    } else {
        // Userinfo is no part of a request's authority: "treat its presence as an error" (RFC 9110 §4.2.4).
        split_absolute(target).is_some_and(|(scheme, authority, _)| {
            // `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
            scheme.first().is_some_and(u8::is_ascii_alphabetic)
                && is_authority(authority, Port::Optional)
                && !matches!(authority, [] | [b':', ..])
        })
    };
    if is_right { Ok(()) } else { Err(RequestError::Target) }
}

/// Scheme, authority, and what is behind them in `http://host/path?query`. What begins with `/` has none.
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (scheme, rest) = target.split_at_checked(octets::end_of(SCHEME, target, 0))?;
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|octet| matches!(octet, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    Some((scheme, authority, rest))
}

/// May the port be left out?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Optional,
    Required,
}

/// Is this `uri-host [ ":" port ]`, as in `Host` (RFC 9110 §7.2)? An empty host is one, for a target URI without
/// authority.
#[inline]
pub(crate) fn is_authority(octets: &[u8], port: Port) -> bool {
    let mut host_end = octets::end_of_reg_name(octets);
    if let Some(b'[' | b'%') = octets.get(host_end) {
        host_end = end_of_rare_host(octets, host_end);
    }
    let end = match octets.get(host_end) {
        Some(b':') => octets::end_of(DIGIT, octets, host_end + 1),
        _ => host_end,
    };
    let is_enough = port == Port::Optional || (host_end > 0 && end > host_end + 1);
    end == octets.len() && is_enough
}

/// Where an `IP-literal` ends, or `*( unreserved / pct-encoded / sub-delims )` that goes on at `at`.
#[cold]
fn end_of_rare_host(octets: &[u8], mut at: usize) -> usize {
    if let [b'[', literal @ ..] = octets {
        return match octets::split_once(literal, b']') {
            Some((address, _)) if is_ip_literal(address) => address.len() + 2,
            _ => 0,
        };
    }
    while let Some([b'%', high, low, ..]) = octets.get(at..)
        && octets::are(&[*high, *low], HEX)
    {
        at = octets::end_of(REG_NAME, octets, at + 3);
    }
    at
}

/// What stands between the brackets: `IPv6address`, or `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_ip_literal(octets: &[u8]) -> bool {
    let [b'v' | b'V', future @ ..] = octets else { return is_ipv6(octets) };
    let Some((digits @ [_, ..], address @ [_, ..])) = octets::split_once(future, b'.') else { return false };
    octets::are(digits, HEX) && address.iter().all(|&octet| octet == b':' || octets::is(octet, REG_NAME))
}

/// Eight groups of one to four hexadecimal digits; one run of groups may be left out as `::`; the last two may be an
/// IPv4 address. (The standard library's parser says the same, and costs a kilobyte more of flash.)
fn is_ipv6(octets: &[u8]) -> bool {
    let mut groups = 0usize;
    let mut digits = 0;
    let mut is_shortened = false;
    for (at, &octet) in octets.iter().enumerate() {
        match octet {
            b':' if digits > 0 => (groups, digits) = (groups + 1, 0),
            // There is no group before this colon: it is the first of all, or the second of two.
            b':' if at == 0 && octets.starts_with(b"::") => {}
            b':' if at > 0 && !is_shortened => is_shortened = true,
            // An IPv4 address takes the place of the last two groups.
            b'.' if is_ipv4(octets.get(at - digits..).unwrap_or_default()) => {
                groups += 1;
                break;
            }
            _ if octets::is(octet, HEX) && digits < 4 => digits += 1,
            _ => return false,
        }
    }
    if digits > 0 {
        groups += 1;
    } else if !octets.ends_with(b"::") {
        return false;
    }
    // `::` stands for at least one group.
    if is_shortened { groups < 8 } else { groups == 8 }
}

/// Four numbers up to 255 without leading zeros.
fn is_ipv4(octets: &[u8]) -> bool {
    let mut dots = 0;
    let (mut number, mut digits) = (0u16, 0);
    for &octet in octets {
        if octet == b'.' && digits > 0 {
            dots += 1;
            (number, digits) = (0, 0);
            continue;
        }
        if !octets::is(octet, DIGIT) || (digits > 0 && number == 0) {
            return false;
        }
        number = number * 10 + u16::from(octet & 15);
        digits += 1;
        if number > 255 {
            return false;
        }
    }
    dots == 3 && digits > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString as _};

    fn parse(target: &str) -> Result<Target<'_>, RequestError> {
        parse_for(Method::Get, target.as_bytes())
    }

    fn parse_for<'a>(method: Method<'_>, octets: &'a [u8]) -> Result<Target<'a>, RequestError> {
        check(method.index(), octets)?;
        let target = Target::new(octets);
        assert_eq!(resource(octets), (target.path(), target.query()));
        Ok(target)
    }

    #[test]
    fn origin_form() {
        assert_eq!(parse("/"), Ok(Target::Origin { path: b"/", query: None }));
        assert_eq!(parse("//a?b?c"), Ok(Target::Origin { path: b"//a", query: Some(b"b?c") }));
        assert_eq!(parse("/?"), Ok(Target::Origin { path: b"/", query: Some(b"") }));
    }

    #[test]
    fn absolute_form() {
        let whole = Target::Absolute { scheme: b"http", authority: b"a:80", path: b"/b", query: Some(b"c") };
        assert_eq!(parse("http://a:80/b?c"), Ok(whole));
        let bare = Target::Absolute { scheme: b"HTTPS", authority: b"[::1]", path: b"/", query: None };
        assert_eq!(parse("HTTPS://[::1]"), Ok(bare));
        let query = Target::Absolute { scheme: b"http", authority: b"a", path: b"/", query: Some(b"/x") };
        assert_eq!(parse("http://a?/x"), Ok(query));
        for wrong in [
            "a",
            "a/b",
            "http:/a",
            "http:a",
            "1http://a/",
            "http://",
            "http:///a",
            "http://u@a/",
            "http://a:x/",
            "://a/",
            "?",
            "http://:80/",
        ] {
            assert_eq!(parse(wrong), Err(RequestError::Target), "{wrong}");
        }
    }

    #[test]
    fn authority_form_is_for_connect_alone() {
        let connect = |target: &'static str| parse_for(Method::Connect, target.as_bytes());
        assert_eq!(connect("a:443"), Ok(Target::Authority(b"a:443")));
        assert_eq!(connect("[::1]:443"), Ok(Target::Authority(b"[::1]:443")));
        for wrong in ["a", "a:", ":443", "/", "*", "http://a/", "a:44x", "u@a:1"] {
            assert_eq!(connect(wrong), Err(RequestError::Target), "{wrong}");
        }
        assert_eq!(parse("a:443"), Err(RequestError::Target));
    }

    #[test]
    fn asterisk_form_is_for_options_alone() {
        assert_eq!(parse_for(Method::Options, b"*"), Ok(Target::Asterisk));
        assert_eq!(parse("*"), Err(RequestError::Target));
        assert_eq!(parse_for(Method::Options, b"*/"), Err(RequestError::Target));
    }

    #[test]
    fn hosts() {
        for right in [
            "",
            "a",
            "a:",
            "a:80",
            ":80",
            "a-b.c_d~",
            "1.2.3.4",
            "999.1",
            "%41",
            "a!$&'()*+,;=",
            "[::]:1",
            "[v1.a:b]",
        ] {
            assert!(is_authority(right.as_bytes(), Port::Optional), "{right}");
        }
        for wrong in [
            "a b",
            "a/b",
            "u@a",
            "a:b",
            "a:1:2",
            "%4",
            "%zz",
            "[",
            "[]",
            "[::1",
            "[::1]a",
            "[v.a]",
            "[v1.]",
            "[v1.%41]",
            "ä",
            "a\\b",
            "::1",
            "[::1%25eth0]",
        ] {
            assert!(!is_authority(wrong.as_bytes(), Port::Optional), "{wrong}");
        }
    }

    /// The standard library's parser is the judge here and below. Each number, in each place.
    #[test]
    fn ipv4_is_the_standard_librarys() {
        let numbers = (0..1100).map(|number: u32| number.to_string());
        for number in numbers.chain(["00", "07", "0255"].map(String::from)) {
            for place in 0..5 {
                let mut numbers = ["1", "20", "255", "0"];
                if let Some(other) = numbers.get_mut(place) {
                    *other = &number;
                }
                let word = numbers.join(".");
                let expected = word.parse::<core::net::Ipv4Addr>().is_ok();
                assert_eq!(is_ipv4(word.as_bytes()), expected, "{word:?}");
            }
        }
    }

    /// On every word of up to seven pieces.
    #[test]
    fn ipv6_is_the_standard_librarys() {
        fn check(word: &mut String, depth: usize) {
            let expected = word.parse::<core::net::Ipv6Addr>().is_ok();
            assert_eq!(is_ipv6(word.as_bytes()), expected, "{word:?}");
            if depth > 0 {
                for piece in [":", "::", "1", "abcd:", "1:2:3:", "1.2.3.4", "00256", "0."] {
                    let length = word.len();
                    word.push_str(piece);
                    check(word, depth - 1);
                    word.truncate(length);
                }
            }
        }
        check(&mut String::new(), 6);
    }
}
