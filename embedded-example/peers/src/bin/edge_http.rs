//! edge-http on the scale: `GET /` answers, other targets are 404, connections stay open, 16 fields at most.

#![no_std]
#![no_main]
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "one connection after the other: nobody else asks for it"
)]

use core::cell::RefCell;
use core::fmt::{Debug, Display};
use core::panic::PanicInfo;

use cortex_m::singleton;
use edge_http::io::Error;
use edge_http::io::server::{Connection, Handler, handle_connection};
use edge_nal::TcpSplit;
use embedded_io_async::{Read, Write};
use httpling_board::board;
use httpling_peers::{HELLO, weigh_async};

struct Hello;

impl Handler for Hello {
    type Error<E: Debug> = Error<E>;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        connection: &mut Connection<'_, T, N>,
    ) -> Result<(), Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        if connection.headers()?.path == "/" {
            connection.initiate_response(200, Some("OK"), &[("Content-Length", "11")]).await?;
            connection.write_all(HELLO.as_bytes()).await
        } else {
            connection.initiate_response(404, Some("Not Found"), &[("Content-Length", "0")]).await
        }
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
        handle_connection::<_, _, 16>(connection, &mut *buffer, None, 0, Hello).await;
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
