//! Any bytes, any buffers, any end: no panic, and it ends.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod cases;
mod common;

use cases::cases;
use common::catalogue::{GOOD, LAST, WORDS};
use common::tape::End;
use common::{Setting, laws};
use httpling_core::Version;
use proptest::prelude::*;
use proptest::sample::select;

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let word = prop_oneof![
        4 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        2 => select(GOOD).prop_map(|request| request.as_bytes().to_vec()),
        1 => select(LAST).prop_map(|request| request.as_bytes().to_vec()),
        1 => bytes(),
    ];
    prop_oneof![
        bytes(),
        prop::collection::vec(any::<u8>(), 0..2000),
        prop::collection::vec(word, 0..16).prop_map(|words| words.concat()),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let size = || prop_oneof![0usize..40, 0usize..400];
    let bits = any::<[bool; 7]>();
    (size(), size(), bits, any::<u8>(), any::<u32>()).prop_map(|(input, output, bits, small, large)| {
        let mut setting = Setting { input, output, ..Setting::default() };
        let config = &mut setting.config;
        config.leniency.bare_lf = bits[0];
        config.leniency.missing_host = bits[1];
        config.leniency.target_octets = bits[2];
        config.http_09 = bits[3];
        if bits[4] {
            config.protocol = Version::Http10;
        }
        let limits = &mut config.limits;
        if bits[5] {
            limits.request_line_bytes_max = u32::from(small);
            limits.field_section_bytes_max = u32::from(small);
            (limits.empty_lines_max, limits.fields_max) = (small, small);
            limits.chunk_line_bytes_max = u16::from(small);
            limits.chunk_extensions_bytes_max = u32::from(small);
            limits.content_bytes_max = u64::from(small);
            limits.drain_bytes_max = u32::from(small);
            limits.requests_max = u16::from(small);
        }
        // No limit at all, or any other number, must do no harm either.
        if bits[6] {
            limits.request_line_bytes_max = large;
            limits.field_section_bytes_max = !large;
            limits.chunk_extensions_bytes_max = large;
            limits.content_bytes_max = u64::MAX - u64::from(large);
            limits.drain_bytes_max = !large;
            limits.chunk_line_bytes_max = u16::MAX;
        }
        setting
    })
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_bytes_and_any_buffers(
        input in soup(), setting in setting(), end in select(vec![End::Stream, End::Silence])
    ) {
        laws::it_ends(&input, &setting, end);
    }
}

/// Every pair of small buffers, from nothing up.
#[test]
fn every_small_buffer() {
    let requests = [GOOD.concat(), LAST[..4].concat()].concat();
    for input in (0..130).step_by(3) {
        for output in (0..130).step_by(3) {
            let setting = Setting { input, output, ..Setting::default() };
            laws::it_ends(requests.as_bytes(), &setting, End::Stream);
        }
    }
    for size in 0..200 {
        let setting = Setting { input: size, output: size, ..Setting::default() };
        laws::it_ends(requests.as_bytes(), &setting, End::Stream);
    }
}
