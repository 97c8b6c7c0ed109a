//! Who is the client behind the proxy? (The PROXY protocol, versions 1 and 2.)
//!
//! A proxy that is told to says so in front of the connection's first request. Only where the server is told to listen for it:
//! anybody else could say that he is anybody. And there it is required, because a connection without it has not come through the
//! proxy.

use super::peer::{Peer, Speaker};
use super::poller::{Readiness, read_ready};
use crate::metrics::Tally;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use std::net::SocketAddr;

/// Octets of a header, at most: what fits into the smallest segment that everybody must take. Version 1 has 107, version 2 with
/// two IPv6 addresses 52; the rest is for what proxies add.
const HEADER_BYTES_MAX: usize = 536;

/// What came of listening to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A header; the connection has the client's address now, and what came behind it.
    Header,
    /// The beginning of one, or nothing yet. Read more.
    Part,
    /// The proxy sends nothing more.
    End,
    /// Something else.
    Malformed,
}

/// Reads once, and takes the header from what has come.
pub(super) fn hear<H>(peer: &mut Peer<H>, buffer: &mut [u8], tally: &Tally) -> Heard {
    if peer.readiness.has(Readiness::READ) {
        match read_ready(&peer.socket, buffer, &mut peer.readiness) {
            Ok(Some(0)) | Err(_) => return Heard::End,
            Ok(Some(count)) => {
                tally.received(count);
                peer.pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            Ok(None) => {}
        }
    }
    match parse(&peer.pending) {
        Ok(Some(Header { client, length })) => {
            // Its own connections, such as health checks, are the proxy's.
            peer.address = client.or(peer.address);
            peer.pending.drain(..length);
            peer.pending.shrink_to_fit();
            peer.speaker = Speaker::Client;
            Heard::Header
        }
        Ok(None) => Heard::Part,
        Err(Malformed) => Heard::Malformed,
    }
}

/// A header that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// `None` when the proxy speaks for itself, or does not know, or for a client of a Unix socket.
    client: Option<SocketAddr>,
    length: usize,
}

/// What no header begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// The header at the beginning of these octets; `None` when it is not complete.
fn parse(octets: &[u8]) -> Result<Option<Header>, Malformed> {
    /// What a proxy adds, such as certificates, is for nobody here.
    const CONFIG: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let most = octets.get(..HEADER_BYTES_MAX).unwrap_or(octets);
    match ProxyHeader::parse(most, CONFIG) {
        Ok((header, length)) => {
            Ok(Some(Header { client: header.proxied_address().map(|address| address.source), length }))
        }
        Err(Error::BufferTooShort) if octets.len() < HEADER_BYTES_MAX => Ok(None),
        Err(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    /// A header of version 2: command and version, family and transport, and what they say.
    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).expect("a short one").to_be_bytes();
        [SIGNATURE, &[command, family], &length, block].concat()
    }

    fn ipv4() -> Vec<u8> {
        [&[192, 0, 2, 1, 198, 51, 100, 7][..], &1234_u16.to_be_bytes(), &80_u16.to_be_bytes()].concat()
    }

    fn ipv6() -> Vec<u8> {
        let [client, server] = [1, 2].map(|last| {
            let mut octets = [0; 16];
            (octets[0], octets[15]) = (0xfd, last);
            octets
        });
        [&client[..], &server, &1234_u16.to_be_bytes(), &80_u16.to_be_bytes()].concat()
    }

    #[test]
    fn headers_are_found_whole_in_pieces_and_with_octets_behind_them() {
        let with_more = [ipv4(), [&[0x04, 1, 0x90][..], &[0; 0x190]].concat()].concat();
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 1234 80\r\n".to_vec(), Some("192.0.2.1:1234")),
            (b"PROXY TCP6 fd00::1 fd00::2 1234 80\r\n".to_vec(), Some("[fd00::1]:1234")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN 192.0.2.1 what ever 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &ipv4()), Some("192.0.2.1:1234")),
            (binary(0x21, 0x11, &with_more), Some("192.0.2.1:1234")),
            (binary(0x21, 0x21, &ipv6()), Some("[fd00::1]:1234")),
            (binary(0x21, 0x31, &[b'/'; 216]), None),
            (binary(0x21, 0x00, b""), None),
            // LOCAL: what it says does not count.
            (binary(0x20, 0x00, b""), None),
            (binary(0x20, 0x11, &ipv4()), None),
        ] {
            let client = client.map(|client| client.parse().expect("an address"));
            let expected = Ok(Some(Header { client, length: header.len() }));
            assert_eq!(parse(&header), expected, "{}", header.escape_ascii());
            assert_eq!(parse(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()), expected);
            for length in 0..header.len() {
                assert_eq!(parse(&header[..length]), Ok(None), "{}", header[..length].escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_seen() {
        let too_long = binary(0x21, 0x11, &[0; HEADER_BYTES_MAX]);
        for octets in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"G",
            b"PUT / HTTP/1.1\r\n",
            b"PROXY TCP5 192.0.2.1 198.51.100.7 1234 80\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 123456 80\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 1234 80\r\r",
            b"PROXY TCP4 192.0.2.256 198.51.100.7 1234 80\r\n",
            b"PROXY TCP4 fd00::1 fd00::2 1234 80\r\n",
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            // Another version, another command, another family.
            &binary(0x31, 0x11, &ipv4()),
            &binary(0x22, 0x11, &ipv4()),
            &binary(0x21, 0x41, &ipv4()),
            // Less than its family has.
            &[binary(0x21, 0x11, &[]), b"GET / HTTP/1.1\r\n".to_vec()].concat(),
            &too_long[..HEADER_BYTES_MAX],
        ] {
            assert_eq!(parse(octets), Err(Malformed), "{}", octets.escape_ascii());
        }
    }

    /// Headers with octets changed, and cut anywhere: whatever they are taken for, they are not longer than what is there.
    #[test]
    fn no_octets_are_read_beyond_their_end() {
        let headers = [
            b"PROXY TCP4 192.0.2.1 198.51.100.7 1234 80\r\n".to_vec(),
            b"PROXY UNKNOWN what ever\r\n".to_vec(),
            binary(0x21, 0x11, &ipv4()),
            binary(0x21, 0x21, &ipv6()),
            binary(0x21, 0x31, &[b'/'; 216]),
        ];
        let mut seed = 1_u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for round in 0..50_000 {
            let mut octets = headers[round % headers.len()].clone();
            for _ in 0..=random(3) {
                let place = random(octets.len());
                octets[place] = u8::try_from(random(256)).expect("below 256");
            }
            octets.truncate(1 + random(octets.len()));
            if let Ok(Some(header)) = parse(&octets) {
                assert!(header.length <= octets.len(), "{}", octets.escape_ascii());
            }
        }
    }
}
