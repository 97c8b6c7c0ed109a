//! `FileHandler`, through a whole session over a stream in memory, on real directories.

#![cfg(unix)]
// A test that panics has failed: that is what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod conditions;
mod content;
mod directories;
mod inside;
mod site;
