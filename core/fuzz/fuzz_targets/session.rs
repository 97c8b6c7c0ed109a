//! A whole session: it ends, whatever its buffers, and it does not matter how its bytes are split.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::Setting;
use common::tape::End;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The first octets choose the buffers and the pieces.
    let Some((&[input, output, piece, cut], rest)) = bytes.split_first_chunk() else { return };
    let setting =
        Setting { input: usize::from(input) * 2, output: usize::from(output) * 2, ..Setting::default() };
    let pieces = [usize::from(piece % 32) + 1, usize::from(piece / 32) + 1];
    common::laws::it_ends(rest, &setting, End::Stream);
    common::laws::any_split_is_the_whole(rest, &pieces, &setting);
    let (before, suffix) = rest.split_at(usize::from(cut).min(rest.len()));
    common::laws::refused_stays_refused(before, suffix, &setting);
});
