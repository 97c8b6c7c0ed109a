//! Words of the protocol: pure functions on bytes, and the types that they make. Nothing here has state.

pub(crate) mod config;
pub(crate) mod date;
pub(crate) mod decimal;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod limits;
pub(crate) mod method;
pub(crate) mod octets;
pub mod status;
pub(crate) mod version;
