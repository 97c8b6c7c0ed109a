//! Bytes in. Nothing here writes.

pub(crate) mod input;
pub(crate) mod target;
pub(crate) mod scan;
pub(crate) mod request_line;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod content;
