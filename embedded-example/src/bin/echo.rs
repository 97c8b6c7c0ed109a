//! Sends back what comes: the network alone, to be measured against, and tested without a protocol above it.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::singleton;
use embedded_io::{Read, Write};
use httpling_board::server::{Application, Progress, serve};
use httpling_board::stream::Stream;
use httpling_board::{board, stack};

struct Echo {
    buffer: &'static mut [u8],
}

impl Application for Echo {
    type Connection = ();

    fn advance(&mut self, (): &mut (), stream: &mut Stream<'_>) -> Progress {
        let length = match stream.read(self.buffer) {
            Ok(0) => return Progress::Close,
            Ok(length) => length,
            Err(_) => return Progress::Abort,
        };
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let Ok(written @ 1..) = stream.write(rest) else { return Progress::Abort };
            rest = rest.get(written..).unwrap_or_default();
        }
        Progress::Idle
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    let buffer = singleton!(: [u8; 512] = [0; 512]);
    let (Some(card), Some(buffer)) = (board::start(), buffer) else { board::restart_after("started twice") };
    serve(card, &mut Echo { buffer })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
