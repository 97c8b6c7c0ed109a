//! The protocol core of httpling: an HTTP/1.x request handler without std, heap, `unsafe` or panics.
//!
//! It is Python's `BaseHTTPRequestHandler`, thought through again. A handler is a plain synchronous function
//! for each method; the engine around it reads requests from anything that is `embedded_io::Read + Write`, with buffers of
//! fixed size, and refuses whatever two readers of one message could understand differently.
//!
//! ```
//! use httpling_core::testing::ScriptedStream;
//! use httpling_core::{CloseReason, Config, Request, RequestHandler, Response, SendError, Sent, Session, status};
//!
//! struct Lamp {
//!     lit: bool,
//! }
//!
//! impl RequestHandler for Lamp {
//!     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
//!         response.send_response(status::OK).end_with(if self.lit { b"on" } else { b"off" })
//!     }
//!
//!     fn do_put(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
//!         self.lit = request.read_to_end(&mut [0; 8])? == b"on";
//!         response.send_response(status::NO_CONTENT).end()
//!     }
//! }
//!
//! // Two requests, as they might arrive: in pieces, the second one before the first is answered.
//! let pieces: [&[u8]; 3] = [
//!     b"PUT /lamp HTTP/1.1\r\nHost: a\r\nContent-Le",
//!     b"ngth: 2\r\n\r\nonGET /lamp HTTP/1.1\r\nHost: a\r\n",
//!     b"\r\n",
//! ];
//! let mut stream = ScriptedStream::<256>::new(&pieces);
//! let (mut input, mut output) = ([0; 256], [0; 256]);
//! let mut session = Session::new(&mut input, &mut output, &Config::DEFAULT);
//!
//! assert_eq!(session.handle(&mut stream, &mut Lamp { lit: false }), CloseReason::EndOfStream);
//! let expected = b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\non";
//! assert_eq!(stream.written(), expected);
//! ```
//!
//! # Many connections in one loop
//!
//! [`Session::handle`] waits for its client. [`Session::advance`] does only what can be done with what has arrived, so that a loop
//! can serve many connections with one pair of buffers: between two turns a connection is its [`Connection`], and the bytes that
//! are not taken yet.
//!
//! ```
//! # use httpling_core::testing::ScriptedStream;
//! # use httpling_core::{Config, Connection, Progress, Request, RequestHandler, Response, SendError, Sent, Session, Wire};
//! # use httpling_core::status;
//! # struct Hello;
//! # impl RequestHandler for Hello {
//! #     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
//! #         response.send_response(status::OK).end_with(b"Hello there")
//! #     }
//! # }
//! /// What is kept of a connection while others have the buffers.
//! struct Slot {
//!     connection: Connection,
//!     pending: Vec<u8>,
//! }
//!
//! /// Something has arrived.
//! fn turn(slot: &mut Slot, buffers: (&mut [u8], &mut [u8]), wire: &mut dyn Wire) -> Progress {
//!     let (input, output) = buffers;
//!     let arrived = slot.pending.len();
//!     input[..arrived].copy_from_slice(&slot.pending);
//!     let mut session = Session::resume(slot.connection, (input, arrived), output, &Config::DEFAULT);
//!     match wire.read(session.free_input()) {
//!         Ok(0) | Err(_) => session.end_of_stream(wire, &mut Hello),
//!         Ok(count) => session.received(count),
//!     }
//!     let progress = session.advance(wire, &mut Hello);
//!     (slot.connection, slot.pending) = (session.connection(), session.pending().to_vec());
//!     progress
//! }
//!
//! let (mut input, mut output) = ([0; 1024], [0; 512]);
//! let mut slot = Slot { connection: Connection::new(), pending: Vec::new() };
//! let mut stream = ScriptedStream::<256>::new(&[b"GET / HTTP/1.1\r\nHo", b"st: a\r\n\r\n"]);
//! assert_eq!(turn(&mut slot, (&mut input, &mut output), &mut stream), Progress::NeedBytes);
//! assert_eq!(stream.written(), b"");
//! assert_eq!(turn(&mut slot, (&mut input, &mut output), &mut stream), Progress::NeedBytes);
//! assert!(stream.written().ends_with(b"Hello there"));
//! assert!(matches!(turn(&mut slot, (&mut input, &mut output), &mut stream), Progress::Close(_)));
//! ```
//!
//! # The way of a request
//!
//! ```text
//! bytes in ─► head scanner ─► request head ─► framing ─► dispatch ─► handler ─► response head ─► content ─► bytes out
//!            (resumable)      (validated)     (RFC 9112 §6.3)  do_get…          (typestate)      (length/chunked)
//! ```
//!
//! The modules stand in that order, and each uses only what is listed before it: `syntax` has the words of the protocol,
//! `receive` reads, `send` writes, `connection` holds the state between requests, `exchange` is what a handler
//! sees, and `session` moves the bytes.
//!
//! # Where it departs from the RFCs
//!
//! Stricter, where RFC 9112 lets a server choose: bare CR and bare LF, obs-fold, white space around field names, a
//! `Content-Length` that is repeated or comes with `Transfer-Encoding`, more than one empty line before a request, and every
//! transfer coding but chunked are refused. [`Leniency`] names what can be allowed again.
//!
//! More lenient in one thing: `[` and `]` are accepted in a path and a query, where RFC 3986 wants them
//! percent-encoded, because browsers send them.
//!
//! Trailers are checked and dropped. Interim responses other than 100 are the handler's to send. CONNECT opens no tunnel.
//!
//! `(spec 61)` is point 61 of what Python does, which `docs/http.server.md` of the repository has.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

// In reading order: a module uses only those above it. `tests/tidy.rs` sees to that.
mod syntax;

mod receive;

mod send;

mod connection;

mod exchange;

mod session;

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
pub use syntax::config::{Clock, Config, ServerName};
pub use syntax::date::HttpDate;
pub use syntax::error::{Problem, ReadError, RequestError, SendError};
pub use syntax::error_page::{ErrorPage, ErrorWords, Sink};
pub use syntax::fields::{FieldLine, FieldLines, Fields};
pub use syntax::limits::{Leniency, Limits};
pub use syntax::method::{Method, Methods};
pub use syntax::status::{self, InterimStatus, NoContentStatus, Status};
pub use syntax::version::Version;
