//! The scale's zero for servers that are futures: what was read is written.

#![no_std]
#![no_main]
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "one connection after the other: nobody else asks for it"
)]

use core::panic::PanicInfo;

use cortex_m::singleton;
use embedded_io_async::{Read, Write};
use httpling_board::board;
use httpling_peers::weigh_async;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(buffer) = singleton!(: core::cell::RefCell<[u8; 1024]> = core::cell::RefCell::new([0; 1024]))
    else {
        board::restart_after("started twice")
    };
    let buffer = &*buffer;
    weigh_async(|mut connection| async move {
        let Ok(mut buffer) = buffer.try_borrow_mut() else { return };
        while let Ok(length @ 1..) = connection.read(&mut *buffer).await {
            let _ = connection.write(buffer.get(..length).unwrap_or_default()).await;
        }
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
