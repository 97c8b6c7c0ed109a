//! Octets that are nearly a request: a few of them changed, lost, doubled or moved. The same ones in each run.

#![allow(clippy::indexing_slicing, reason = "positions are below lengths")]

/// What a parser may take for something else than another one does.
const TELLING: &[u8] = b"\r\n\t :;,=\"0123456789abcfABCF\x00\x7f\x80\xff/%?[]*+-";

/// Changes `bytes` in one place.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let telling = TELLING[random.below(TELLING.len())];
    match random.below(6) {
        0 => bytes[at] = telling,
        1 => bytes.insert(at, telling),
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 1 << random.below(8),
        4 => {
            let end = bytes.len().min(at + random.below(20));
            let doubled = bytes[at..end].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => bytes.truncate(at),
    }
}

/// Marsaglia's xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap_or_default() % limit.max(1)
    }
}
