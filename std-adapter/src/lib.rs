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
//! The feature `program`, which is on by default, brings the program `httpling` and what that alone depends on. The library is the same
//! without it: `default-features = false`.
//!
//! # Python's names
//!
//! The search of these pages finds most of them, too.
//!
//! | `HTTPServer`, `ThreadingHTTPServer` | here |
//! | --- | --- |
//! | `HTTPServer(addr, MyHandler).serve_forever()` | `HttpServer::bind(addr)?.serve_forever(\|_peer\| MyHandler)` |
//! | `server_bind`, `server_activate`, `request_queue_size` | [`HttpServer::bind`], [`Builder::listen`], [`Builder::backlog`] |
//! | `server_address`, `server_port` | [`HttpServer::local_addr`] |
//! | `handle_request`, `shutdown` | [`HttpServer::handle_request`], [`ShutdownHandle::shutdown`] |
//! | `server_close` | when the [`HttpServer`] is dropped |
//! | `allow_reuse_address`, `allow_reuse_port` | always, as for Python's; [`Builder::reuse_port`] |
//! | `daemon_threads`, `block_on_close` | [`Builder::drain_timeout`] |
//! | `HTTPSServer`, `ThreadingHTTPSServer` | none: leave TLS to a proxy, as `deploy/` of the repository does |
//! | `verify_request`, `process_request`, `finish_request` | the factory that [`HttpServer::serve_forever`] is given |
//! | `handle_error` | a panic of a handler: a line in the log, and 500 |
//!
//! | `StreamRequestHandler`, `BaseHTTPRequestHandler` | here |
//! | --- | --- |
//! | the class itself | [`RequestHandler`] |
//! | `setup`, `handle`, `finish` | the factory, [`Session::handle`], [`RequestHandler::finish`] |
//! | `timeout` | [`Builder::idle_timeout`], [`Builder::head_timeout`], [`Builder::read_timeout`], [`Builder::write_timeout`] |
//! | `disable_nagle_algorithm`, `rbufsize`, `wbufsize` | Nagle's algorithm is off, and what is written is collected |
//! | `handle_one_request`, `close_connection` | [`Session::handle_one_request`], [`Persistence`] |
//! | `do_GET`, `do_HEAD`, … `do_SPAM` | [`RequestHandler::do_get`], [`do_head`](RequestHandler::do_head), … [`do_extension`](RequestHandler::do_extension) |
//! | `getattr(self, "do_" + self.command)` | [`RequestHandler::dispatch`] |
//! | `parse_request`, `default_request_version` | [`RequestHead::parse`], [`Config::http_09`] |
//! | `handle_expect_100` | `100 Continue` is sent at the first [`Request::read`]; who does not want the content answers before |
//! | `client_address`, `address_string` | [`Request::peer`], [`LogEntry::peer`] |
//! | `raw_requestline`, `requestline` | [`Request::raw_request_line`] |
//! | `command`, `request_version` | [`Request::method`], [`Request::version`] |
//! | `path` | [`Request::path`] and [`Request::query`]; both as one text: [`RequestHead::raw_target`] |
//! | `headers`, `MessageClass` | [`Request::headers`] |
//! | `rfile`, `wfile` | [`Request::read`], [`Body::write_all`] |
//! | `send_response`, `send_response_only` | [`Response::send_response`], [`Response::send_response_only`] |
//! | `send_header`, `end_headers`, `flush_headers` | [`Head::send_header`], `end_headers`, or [`Head::end_with`] and others that end the response, too |
//! | `send_error`, `error_message_format`, `error_content_type` | [`Response::send_error`], [`Builder::error_page`], [`ErrorPage::media_type`] |
//! | `responses` | [`Status::reason`], [`Status::explanation`] |
//! | `protocol_version` | [`Builder::protocol`] |
//! | `server_version`, `sys_version`, `version_string` | [`Builder::server_name`] |
//! | `date_time_string` | [`HttpDate::from_unix_seconds`] |
//! | `log_request`, `log_error`, `log_message` | the same names in [`RequestHandler`]; [`Builder::log`] for the lines on stderr, whose times are `log_date_time_string`'s |
//!
//! | `SimpleHTTPRequestHandler` | here |
//! | --- | --- |
//! | the class itself, `directory` | [`files::FileHandler`], [`FileHandler::new`](files::FileHandler::new) |
//! | `index_pages` | [`FileHandler::index_pages`](files::FileHandler::index_pages) |
//! | `extensions_map`, `guess_type` | one table; [`FileHandler::default_content_type`](files::FileHandler::default_content_type) for what is not in it |
//! | `send_head`, `copyfile` | [`EndWithFile`] |
//! | `list_directory`, `translate_path` | not to be changed; [`FileHandler::listings`](files::FileHandler::listings), [`links`](files::FileHandler::links), [`dot_files`](files::FileHandler::dot_files) |
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
