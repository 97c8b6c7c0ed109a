//! The demo, on the board.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::panic::PanicInfo;

use cortex_m::singleton;
use httpling_board::http::{Http, INPUT_BYTES, OUTPUT_BYTES};
use httpling_board::{board, server, stack};
use httpling_demo::{Board, Demo};

struct Device {
    requests: &'static Cell<u32>,
}

impl Board for Device {
    fn uptime_seconds(&self) -> u32 {
        u32::try_from(board::uptime_ms() / 1000).unwrap_or(u32::MAX)
    }

    fn free_stack_bytes(&self) -> u32 {
        // The memory of these boards is numbered with 32 bits.
        u32::try_from(stack::free_bytes()).unwrap_or(u32::MAX)
    }

    fn led(&self) -> bool {
        board::led()
    }

    fn set_led(&mut self, on: bool) {
        board::set_led(on);
    }

    fn add_request(&mut self) {
        self.requests.set(self.requests.get().wrapping_add(1));
    }

    fn requests(&self) -> u32 {
        self.requests.get()
    }
}

#[cortex_m_rt::entry]
#[allow(
    clippy::large_stack_arrays,
    reason = "they are static: `singleton` only looks as if it built them here"
)]
fn main() -> ! {
    stack::paint();
    let input = singleton!(: [u8; INPUT_BYTES] = [0; INPUT_BYTES]);
    let output = singleton!(: [u8; OUTPUT_BYTES] = [0; OUTPUT_BYTES]);
    let requests = singleton!(: Cell<u32> = Cell::new(0));
    let (Some(card), Some(input), Some(output), Some(requests)) = (board::start(), input, output, requests)
    else {
        board::restart_after("started twice")
    };
    server::serve(card, Http::new(|| Demo::new(Device { requests }), input, output))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
