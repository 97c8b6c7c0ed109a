//! Words of the protocol: pure functions on bytes, and the types that they make. Nothing here has state.

pub(crate) mod octets;
pub(crate) mod decimal;
pub mod status;
pub(crate) mod error;
pub(crate) mod limits;
pub(crate) mod version;
pub(crate) mod method;
pub(crate) mod fields;
pub(crate) mod date;
pub(crate) mod error_page;
pub(crate) mod config;
