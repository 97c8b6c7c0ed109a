//! httpling core
#![allow(dead_code)]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub(crate) mod syntax;
pub(crate) mod receive;

pub use receive::{framing::Framing, head::RequestHead, target::Target};
pub use syntax::{config::{Config, Clock}, date::HttpDate, error::{ReadError, RequestError, SendError}, fields::{FieldLine, FieldLines, Fields}, limits::{Leniency, Limits}, method::{Method, Methods}, status, status::{InterimStatus, NoContentStatus, Status}, version::Version};
