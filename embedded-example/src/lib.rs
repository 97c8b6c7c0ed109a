//! A web server on a microcontroller: no heap, no operating system, no async runtime.
//!
//! ```text
//!  card ─► net ─► smoltcp ─► server ─► stream ─► application
//! (board)  frames  segments   whose turn  bytes     http, or an echo
//! ```
//!
//! To carry it to a board of yours, write another file in `board/` with the same functions: clock, network card,
//! log and LED. Nothing else knows a register.

#![no_std]

mod builtins;

pub mod registers;

pub mod board;
pub mod stack;

pub mod net;

pub mod server;
pub mod stream;

pub mod http;

pub mod hello;
