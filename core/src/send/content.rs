//! Chunks (RFC 9112 §7.1).

use crate::syntax::decimal;

/// Octets kept free before the octets of a chunk for its size: enough for a buffer of 4 GiB.
pub(crate) const CHUNK_HEAD: usize = 10;
/// After the size of a chunk, and after its octets.
pub(crate) const CHUNK_END: &[u8] = b"\r\n";
/// After the last chunk. There are no trailers.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Puts the line before a chunk of `size` octets: at most `CHUNK_HEAD` octets.
pub(crate) fn put_chunk_head(size: usize, put: &mut impl FnMut(&[u8])) {
    put(decimal::hex_digits(size, &mut [0; decimal::DIGITS_MAX]));
    put(CHUNK_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn heads_of_chunks() {
        for (size, expected) in [(0usize, &b"0\r\n"[..]), (10, b"a\r\n"), (0xffff_ffff, b"ffffffff\r\n")] {
            let mut head = Vec::new();
            put_chunk_head(size, &mut |text: &[u8]| head.extend_from_slice(text));
            assert_eq!(head, expected);
            assert!(head.len() <= CHUNK_HEAD);
        }
    }
}
