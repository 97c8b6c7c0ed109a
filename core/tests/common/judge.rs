//! Slow, obvious readers: the judges of the fast ones. Nothing here is shared with the crate.
//!
//! They see whole messages, split them where the RFC's sentences say that they are to be split, and look at each part
//! again for each rule.

use httpling_core::Config;
use std::net::Ipv6Addr;

/// What a head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub length: usize,
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub http_11: bool,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What is to be done with some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no empty line at the end of fields; or there may be, and something is wrong before it.
    Incomplete,
    Refused(&'static str),
    Accepted(Head),
}

fn is_token(octets: &[u8]) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    !octets.is_empty() && octets.iter().all(|octet| octet.is_ascii_alphanumeric() || marks.contains(octet))
}

fn trim(octets: &[u8]) -> &[u8] {
    let white = |octet: &u8| *octet == b' ' || *octet == b'\t';
    let start = octets.iter().position(|octet| !white(octet)).unwrap_or(octets.len());
    let end = octets.iter().rposition(|octet| !white(octet)).map_or(start, |last| last + 1);
    &octets[start..end]
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// Splits at each `separator`.
fn split(mut octets: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some(at) = find(octets, separator) {
        parts.push(octets[..at].to_vec());
        octets = &octets[at + separator.len()..];
    }
    parts.push(octets.to_vec());
    parts
}

/// `uri-host [ ":" port ]`
fn is_host(octets: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(octets) else { return false };
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], &text[colon + 1..]),
        _ => (text, ""),
    };
    if !port.bytes().all(|octet| octet.is_ascii_digit()) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[') {
        let Some(address) = address.strip_suffix(']') else { return false };
        if let Some(future) = address.strip_prefix(['v', 'V']) {
            let Some((version, rest)) = future.split_once('.') else { return false };
            return !version.is_empty()
                && version.bytes().all(|octet| octet.is_ascii_hexdigit())
                && !rest.is_empty()
                && rest.bytes().all(|octet| octet == b':' || is_host_octet(octet));
        }
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let mut rest = host;
    while let Some(octet) = rest.bytes().next() {
        if octet == b'%' {
            let Some(digits) = rest.as_bytes().get(1..3) else { return false };
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return false;
            }
            rest = &rest[3..];
        } else if is_host_octet(octet) {
            rest = &rest[1..];
        } else {
            return false;
        }
    }
    true
}

/// unreserved / sub-delims
fn is_host_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&octet)
}

fn is_target(method: &[u8], target: &[u8]) -> bool {
    if !target.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(octet))
    {
        return false;
    }
    let text = std::str::from_utf8(target).expect("ASCII");
    if method == b"CONNECT" {
        let Some(colon) = text.rfind(':') else { return false };
        return colon > 0 && colon + 1 < text.len() && !text.ends_with(']') && is_host(target);
    }
    if text.starts_with('/') || (text == "*" && method == b"OPTIONS") {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
        && !authority.is_empty()
        && !authority.starts_with(':')
        && is_host(authority.as_bytes())
}

/// Reads the head at the beginning of `bytes` by the strict rules. Of the configuration only the limits are looked at.
pub fn head(bytes: &[u8], config: &Config<'_>) -> Verdict {
    let limits = &config.limits;
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
        if start / 2 > usize::from(limits.empty_lines_max) {
            return Verdict::Refused("empty lines");
        }
    }
    let bytes = &bytes[start..];
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Verdict::Incomplete };
    let lines = split(&bytes[..end], b"\r\n");
    let refused = Verdict::Refused;
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return refused("bare CR or LF");
    }

    let (request_line, field_lines) = lines.split_first().expect("there is one part at least");
    if request_line.len() > limits.request_line_bytes_max as usize {
        return refused("long request line");
    }
    let parts = split(request_line, b" ");
    let [method, target, version] = &parts[..] else { return refused("not three parts") };
    if !is_token(method) {
        return refused("method");
    }
    if !is_target(method, target) {
        return refused("target");
    }
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version[..] else { return refused("version") };
    if major != b'1' || !minor.is_ascii_digit() {
        return refused("version");
    }
    let http_11 = minor > b'0';

    if field_lines.len() > usize::from(limits.fields_max) {
        return refused("many fields");
    }
    let section: usize = field_lines.iter().map(|line| line.len() + 2).sum();
    if section > limits.field_section_bytes_max as usize {
        return refused("large fields");
    }
    let mut fields = Vec::new();
    for line in field_lines {
        let Some(colon) = line.iter().position(|&octet| octet == b':') else { return refused("no colon") };
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) {
            return refused("name");
        }
        if value.iter().any(|&octet| (octet < b' ' && octet != b'\t') || octet == 0x7f) {
            return refused("value");
        }
        fields.push((name.to_vec(), value.to_vec()));
    }

    let named = |wanted: &str| -> Vec<&[u8]> {
        let is = |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
        fields.iter().filter(|(name, _)| is(name)).map(|(_, value)| &value[..]).collect()
    };
    match named("Host")[..] {
        [] if http_11 => return refused("no Host"),
        [] => {}
        [host] if is_host(host) => {}
        _ => return refused("Host"),
    }
    let codings = named("Transfer-Encoding");
    let framing = match (&named("Content-Length")[..], &codings[..]) {
        ([], []) => Framing::None,
        ([digits], []) => {
            let digits = std::str::from_utf8(digits).unwrap_or("x");
            if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
                return refused("length");
            }
            match digits.parse() {
                Ok(0) => Framing::None,
                Ok(length) => Framing::Length(length),
                Err(_) => return refused("length"),
            }
        }
        ([], lines) if http_11 => {
            let list = lines.join(&b","[..]).to_ascii_lowercase();
            let members: Vec<_> = split(&list, b",").iter().map(|member| trim(member).to_vec()).collect();
            let members: Vec<_> = members.iter().filter(|member| !member.is_empty()).collect();
            // A line that names no coding at all is none that anybody could agree on.
            let empty = lines.iter().any(|line| line.iter().all(|octet| b" \t,".contains(octet)));
            if members[..] != [b"chunked"] || (empty && lines.len() == 1) {
                return refused("coding");
            }
            // Lines without any coding before the one that has it are refused, and after it are not.
            if lines[0].iter().all(|octet| b" \t,".contains(octet)) {
                return refused("coding");
            }
            Framing::Chunked
        }
        _ => return refused("framing"),
    };
    Verdict::Accepted(Head {
        length: end + 4,
        method: method.clone(),
        target: target.clone(),
        http_11,
        fields,
        framing,
    })
}

/// Decodes chunked content by the grammar of RFC 9112 §7.1: the content, and what follows the message. `None` when it
/// breaks a rule or is not whole. Limits are not looked at.
pub fn chunks(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        let line_end = find(bytes, b"\r\n")?;
        let line = &bytes[..line_end];
        bytes = &bytes[line_end + 2..];
        let digits = line.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
        if digits > 16 || !is_extension(&line[digits..]) {
            return None;
        }
        let size = std::str::from_utf8(&line[..digits]).expect("ASCII");
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            break;
        }
        content.extend_from_slice(bytes.get(..size)?);
        bytes = bytes[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let line_end = find(bytes, b"\r\n")?;
        let line = &bytes[..line_end];
        bytes = &bytes[line_end + 2..];
        if line.is_empty() {
            return Some((content, bytes));
        }
        let colon = line.iter().position(|&octet| octet == b':')?;
        let value = &line[colon + 1..];
        if !is_token(&line[..colon])
            || value.iter().any(|&octet| (octet < b' ' && octet != b'\t') || octet == 0x7f)
        {
            return None;
        }
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
fn is_extension(mut rest: &[u8]) -> bool {
    fn white(octets: &[u8]) -> &[u8] {
        let count = octets.iter().take_while(|&&octet| octet == b' ' || octet == b'\t').count();
        &octets[count..]
    }
    fn token(octets: &[u8]) -> Option<&[u8]> {
        let count = octets.iter().take_while(|&&octet| is_token(&[octet])).count();
        if count == 0 { None } else { Some(&octets[count..]) }
    }
    fn quoted(octets: &[u8]) -> Option<&[u8]> {
        let mut at = 1;
        loop {
            match *octets.get(at)? {
                b'"' => return Some(&octets[at + 1..]),
                b'\\' => {
                    let octet = *octets.get(at + 1)?;
                    if (octet < b' ' && octet != b'\t') || octet == 0x7f {
                        return None;
                    }
                    at += 2;
                }
                octet if (octet < b' ' && octet != b'\t') || octet == 0x7f => return None,
                _ => at += 1,
            }
        }
    }
    while !rest.is_empty() {
        let Some(after) = white(rest).strip_prefix(b";") else { return false };
        let Some(after) = token(white(after)) else { return false };
        rest = after;
        if let Some(value) = white(after).strip_prefix(b"=") {
            let value = white(value);
            let after = if value.starts_with(b"\"") { quoted(value) } else { token(value) };
            let Some(after) = after else { return false };
            rest = after;
        }
    }
    true
}

/// A response as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub reason: String,
    pub http_11: bool,
    pub fields: Vec<(String, Vec<u8>)>,
    pub content: Vec<u8>,
    /// Is all of the content there? Without a length it is, when the connection ends.
    pub whole: bool,
}

impl Reply {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let is = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is).map(|(_, value)| &value[..]).collect()
    }

    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    pub fn closes(&self) -> bool {
        self.values("Connection").contains(&&b"close"[..])
    }
}

/// Reads the response at the beginning of `bytes` with `httparse`, and what follows it. `None` when its head is not
/// whole.
///
/// # Panics
/// When it breaks a rule.
pub fn reply<'a>(bytes: &'a [u8], method: &str) -> Option<(Reply, &'a [u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()))
    {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return None,
    };
    let fields = parsed.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
    let mut reply = Reply {
        status: parsed.code.expect("it is whole"),
        reason: parsed.reason.expect("it is whole").to_owned(),
        http_11: parsed.version == Some(1),
        fields,
        content: Vec::new(),
        whole: true,
    };
    let rest = &bytes[length..];
    let declared: Vec<u64> = reply
        .values("Content-Length")
        .iter()
        .map(|digits| std::str::from_utf8(digits).expect("digits").parse().expect("digits"))
        .collect();
    let codings = reply.values("Transfer-Encoding").len();
    assert!(declared.len() + codings <= 1, "one framing at most: {reply:?}");
    let is_tunnel = method == "CONNECT" && (200..300).contains(&reply.status);
    if is_tunnel || reply.status < 200 || reply.status == 204 {
        assert_eq!(declared.len() + codings, 0, "no framing for {reply:?}");
    }
    if method == "HEAD" || is_tunnel || matches!(reply.status, 100..=199 | 204 | 304) {
        return Some((reply, rest));
    }
    if codings > 0 {
        assert_eq!(reply.values("Transfer-Encoding"), [b"chunked"]);
        return Some(if let Some((content, after)) = chunks(rest) {
            reply.content = content;
            (reply, after)
        } else {
            reply.whole = false;
            (reply, b"")
        });
    }
    if let [length] = declared[..] {
        let length = usize::try_from(length).expect("short");
        reply.whole = rest.len() >= length;
        let (content, after) = rest.split_at(length.min(rest.len()));
        reply.content = content.to_vec();
        return Some((reply, after));
    }
    assert!(reply.closes(), "content until the end needs a Connection: close: {reply:?}");
    reply.content = rest.to_vec();
    Some((reply, b""))
}

/// Reads all responses. `methods` are those of the requests, in order; a missing one is GET. What follows the
/// last whole head is returned too.
pub fn replies<'a>(mut bytes: &'a [u8], methods: &[&str]) -> (Vec<Reply>, &'a [u8]) {
    let mut replies = Vec::new();
    let mut finals = 0;
    while !bytes.is_empty() {
        let Some((reply, rest)) = reply(bytes, methods.get(finals).unwrap_or(&"GET")) else { break };
        finals += usize::from(!reply.is_interim());
        bytes = rest;
        replies.push(reply);
    }
    (replies, bytes)
}
