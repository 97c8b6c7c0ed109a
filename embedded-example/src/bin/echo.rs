//! Sends back what comes: the network alone, to be measured against, and tested without a protocol above it.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use embedded_io::{Read, Write};
use httpling_board::server::{Application, Progress, serve};
use httpling_board::stream::Stream;
use httpling_board::{board, stack};

struct Echo;

impl Application for Echo {
    type Connection = ();

    fn advance(&self, (): &mut (), stream: &mut Stream<'_>) -> Progress {
        let mut buffer = [0; 512];
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Progress::Close,
            Ok(length) => length,
            Err(_) => return Progress::Abort,
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
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
    let Some(card) = board::start() else { board::restart_after("started twice") };
    serve(card, Echo)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
