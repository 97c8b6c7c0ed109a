//! edge-http on the scale: `GET /` answers, other targets are 404, connections stay open, 16 fields at most.

#![no_std]
#![no_main]
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "one connection after the other: nobody else asks for it"
)]

use core::cell::RefCell;
use core::panic::PanicInfo;

use cortex_m::singleton;
use edge_http::io::server::handle_connection;
use httpling_board::board;
use httpling_peers::weigh_async;

use self::edge_hello::Hello;

#[path = "../../edge_hello.rs"]
mod edge_hello;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(buffer) = singleton!(: RefCell<[u8; 1024]> = RefCell::new([0; 1024])) else {
        board::restart_after("started twice")
    };
    let buffer = &*buffer;
    weigh_async(|connection| async move {
        let Ok(mut buffer) = buffer.try_borrow_mut() else { return };
        handle_connection::<_, _, 16>(connection, &mut *buffer, None, 0, Hello).await;
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
