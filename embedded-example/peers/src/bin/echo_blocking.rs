//! The scale's zero for servers that are plain functions: what was read is written.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::singleton;
use embedded_io::{Read, Write};
use httpling_board::board;
use httpling_peers::weigh_blocking;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(buffer) = singleton!(: [u8; 1024] = [0; 1024]) else { board::restart_after("started twice") };
    weigh_blocking(
        || (),
        |(), connection| {
            while let Ok(length @ 1..) = connection.read(buffer) {
                let _ = connection.write(buffer.get(..length).unwrap_or_default());
            }
        },
    )
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
