//! httpling: Python's `http.server`, thought through again in Rust.
//!
//! [`HttpServer`] listens and serves; what it serves is a [`RequestHandler`], the same trait that runs on a
//! microcontroller, in a property test, and here. The protocol is in the crate `httpling-core`, which is
//! re-exported whole.
//!
//! Begin with [`HttpServer`], which has an example; [`HttpServer::serve_forever`] tells what a handler may do, and
//! [`HttpServer::builder`] leads to everything that can be set. `(spec 16)` is point 16 of what Python does, as `docs/http.server.md`
//! of the repository has it.
//!
//! | Python | here |
//! | --- | --- |
//! | `HTTPServer(addr, MyHandler).serve_forever()` | `HttpServer::bind(addr)?.serve_forever(\|_peer\| MyHandler)` |
//! | `BaseHTTPRequestHandler` | [`RequestHandler`] |
//! | `SimpleHTTPRequestHandler` | [`files::FileHandler`] |
#![forbid(unsafe_code)]

mod clock;
mod colour;
mod file_part;
pub mod files;
mod listener;
mod log;
pub mod metrics;
mod reactor;
mod server;
mod settings;

pub use file_part::EndWithFile;
pub use httpling_core::*;
pub use listener::LocalAddress;
pub use server::{HttpServer, Pulse, ShutdownHandle};
pub use settings::Builder;

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
