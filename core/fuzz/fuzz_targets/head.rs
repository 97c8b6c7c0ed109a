//! Heads are accepted and refused as the slow judge does it.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    common::laws::heads_are_the_judges(bytes, &httpling_core::Config::DEFAULT);
});
