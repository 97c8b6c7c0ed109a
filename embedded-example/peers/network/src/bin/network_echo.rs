//! embassy's network with an echo: what is weighed besides is the server's.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embedded_io_async::Write;
use httpling_board::board;
use httpling_peers_network::{CONNECTIONS, run};

#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn serve(stack: Stack<'static>) -> ! {
    let (mut receive, mut send, mut buffer) = ([0; 1024], [0; 1024], [0; 1024]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
        if socket.accept(80).await.is_err() {
            continue;
        }
        while let Ok(length @ 1..) = socket.read(&mut buffer).await {
            if socket.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
                break;
            }
        }
        socket.close();
        let _ = socket.flush().await;
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    run(|spawner, stack| {
        for _ in 0..CONNECTIONS {
            if let Ok(task) = serve(stack) {
                spawner.spawn(task);
            }
        }
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
