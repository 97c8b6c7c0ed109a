//! Chunks (RFC 9112 §7.1).

use crate::syntax::decimal::Digits;
use crate::syntax::octets;

/// Octets kept free before the octets of a chunk for its size: enough for a buffer of 4 GiB.
pub(crate) const CHUNK_HEAD: usize = 10;
/// After the octets of a chunk.
pub(crate) const CHUNK_END: &[u8] = b"\r\n";
/// After the last chunk. There are no trailers.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The line before a chunk of `size` octets, at the end of the array, and its length.
pub(crate) fn chunk_head(size: usize) -> ([u8; CHUNK_HEAD], usize) {
    let mut line = [0; CHUNK_HEAD];
    let digits = Digits::hex(size);
    let digits = digits.as_bytes();
    let length = CHUNK_HEAD.min(digits.len() + CHUNK_END.len());
    if let Some(place) = line.get_mut(CHUNK_HEAD - length..) {
        let count = octets::copy(digits, place);
        if let Some(place) = place.get_mut(count..) {
            octets::copy(CHUNK_END, place);
        }
    }
    (line, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_chunks() {
        for (size, expected) in [(0usize, &b"0\r\n"[..]), (10, b"a\r\n"), (0xffff_ffff, b"ffffffff\r\n")] {
            let (line, length) = chunk_head(size);
            assert_eq!(&line[CHUNK_HEAD - length..], expected);
        }
    }
}
