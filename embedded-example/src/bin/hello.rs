//! Hello, on the board: the least that a server there is made of.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::singleton;
use httpling_board::hello::Hello;
use httpling_board::http::{Http, INPUT_BYTES, OUTPUT_BYTES};
use httpling_board::{board, server};

#[cortex_m_rt::entry]
#[allow(
    clippy::large_stack_arrays,
    reason = "they are static: `singleton` only looks as if it built them here"
)]
fn main() -> ! {
    let input = singleton!(: [u8; INPUT_BYTES] = [0; INPUT_BYTES]);
    let output = singleton!(: [u8; OUTPUT_BYTES] = [0; OUTPUT_BYTES]);
    let (Some(card), Some(input), Some(output)) = (board::start(), input, output) else {
        board::restart_after("started twice")
    };
    server::serve(card, Http::new(|| Hello, input, output))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
