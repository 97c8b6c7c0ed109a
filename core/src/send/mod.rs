//! Bytes out: mirrors `receive/`. Nothing here reads.

pub(crate) mod output;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod content;
