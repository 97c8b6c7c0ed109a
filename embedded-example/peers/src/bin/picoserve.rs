//! picoserve on the scale: `GET /` answers, other targets are 404, connections stay open.

#![no_std]
#![no_main]
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "one connection after the other: nobody else asks for it"
)]

use core::cell::RefCell;
use core::future::pending;
use core::panic::PanicInfo;

use cortex_m::singleton;
use httpling_board::board;
use httpling_peers::{HELLO, weigh_async};
use picoserve::routing::get;
use picoserve::time::Duration;
use picoserve::{Config, Router, Server};

static CONFIG: Config = Config::const_default().keep_connection_alive();

/// Time-outs that never come: the cost of a clock is not picoserve's.
struct Never;

impl<Runtime> picoserve::Timer<Runtime> for Never {
    async fn delay(&self, _: Duration) {
        pending::<()>().await;
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(buffer) = singleton!(: RefCell<[u8; 1024]> = RefCell::new([0; 1024])) else {
        board::restart_after("started twice")
    };
    let buffer = &*buffer;
    weigh_async(|connection| async move {
        let Ok(mut buffer) = buffer.try_borrow_mut() else { return };
        let router = Router::new().route("/", get(|| async { HELLO }));
        let server = Server::custom(&router, Never, &CONFIG, &mut *buffer);
        let _ = server.serve(connection).await;
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
