//! httpling core
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod connection;
mod exchange;
mod receive;
mod send;
mod session;
mod syntax;
pub mod testing;

pub use connection::{CloseReason, Connection, Persistence};
pub use exchange::handler::RequestHandler;
pub use exchange::log::{Escaped, LogEntry};
pub use exchange::request::Request;
pub use exchange::response;
pub use exchange::response::{Body, Head, RawStream, Response, Sent};
pub use exchange::wire::Wire;
pub use receive::framing::Framing;
pub use receive::head::{HeadParser, RequestHead};
pub use receive::target::Target;
pub use session::{Progress, Session};
pub use syntax::config::{Clock, Config};
pub use syntax::date::HttpDate;
pub use syntax::error::{ReadError, RequestError, SendError};
pub use syntax::fields::{FieldLine, FieldLines, Fields};
pub use syntax::limits::{Leniency, Limits};
pub use syntax::method::{Method, Methods};
pub use syntax::status::{self, InterimStatus, NoContentStatus, Status};
pub use syntax::version::Version;
