//! This server on the scale: `GET /` answers, other targets are 404, connections stay open.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::singleton;
use embedded_io::{ErrorKind, Read, Write};
use httpling_board::board;
use httpling_board::hello::Hello;
use httpling_core::{Config, Connection, Session, Wire};
use httpling_peers::{self as peers, weigh_blocking};

/// Like the others, it has no words for people who read errors.
static CONFIG: Config<'static> = Config { error_page: None, ..Config::DEFAULT };

/// As the board's: what is written is on its way, so there is nothing to flush.
struct Stream<'a>(&'a mut peers::Connection);

impl Wire for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Read::read(self.0, buffer).map_err(|error| match error {})
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Write::write(self.0, bytes).map_err(|error| match error {})
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let input = singleton!(: [u8; 1024] = [0; 1024]);
    let output = singleton!(: [u8; 512] = [0; 512]);
    let (Some(input), Some(output)) = (input, output) else { board::restart_after("started twice") };
    // As in the board's loop: a connection is put together when bytes have come, and taken apart again.
    weigh_blocking(Connection::new, |connection, stream| {
        let mut stream = Stream(stream);
        while let Ok(arrived @ 1..) = stream.read(input) {
            let mut session = Session::resume(*connection, (input, arrived), output, &CONFIG);
            session.advance(&mut stream, &mut Hello);
            *connection = session.connection();
        }
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
