//! What a handler sees: a request, a response, and the hooks of its trait.

pub(crate) mod wire;
pub(crate) mod log;
pub(crate) mod shared;
pub(crate) mod request;
pub mod response;
pub(crate) mod handler;
