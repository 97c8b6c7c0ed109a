//! Bytes in. Nothing here writes.

pub(crate) mod content;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod request_line;
pub(crate) mod scan;
pub(crate) mod target;
