//! Chunks (RFC 9112 §7.1).

use crate::send::output::{Full, Output};
use crate::syntax::decimal::Digits;

/// Octets kept free before the octets of a chunk for its size: enough for a buffer of 4 GiB.
pub(crate) const CHUNK_HEAD: usize = 10;
/// After the octets of a chunk.
pub(crate) const CHUNK_END: &[u8] = b"\r\n";
/// After the last chunk. There are no trailers.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Puts the line before a chunk of `size` octets: at most `CHUNK_HEAD` octets.
pub(crate) fn put_chunk_head(out: &mut Output<'_>, size: usize) -> Result<(), Full> {
    out.push_all(&[Digits::hex(size).as_bytes(), b"\r\n"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_chunks() {
        for (size, expected) in [(0usize, &b"0\r\n"[..]), (10, b"a\r\n"), (0xffff_ffff, b"ffffffff\r\n")] {
            let mut buffer = [0; CHUNK_HEAD];
            let mut out = Output::new(&mut buffer, 0);
            assert_eq!(put_chunk_head(&mut out, size), Ok(()));
            assert_eq!(out.as_bytes(), expected);
        }
    }
}
