//! picoserve with embassy's network.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use embassy_net::Stack;
use httpling_board::board;
use httpling_peers_network::{CONNECTIONS, HELLO, run};
use picoserve::routing::get;
use picoserve::{Config, Router, Server};

static CONFIG: Config = Config::const_default().keep_connection_alive();

#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn serve(number: usize, stack: Stack<'static>) -> ! {
    let (mut receive, mut send, mut buffer) = ([0; 1024], [0; 1024], [0; 1024]);
    let router = Router::new().route("/", get(|| async { HELLO }));
    let server = Server::new(&router, &CONFIG, &mut buffer);
    server.listen_and_serve(number, stack, 80, &mut receive, &mut send).await.into_never()
}

#[cortex_m_rt::entry]
fn main() -> ! {
    run(|spawner, stack| {
        for number in 0..CONNECTIONS {
            if let Ok(task) = serve(number, stack) {
                spawner.spawn(task);
            }
        }
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
