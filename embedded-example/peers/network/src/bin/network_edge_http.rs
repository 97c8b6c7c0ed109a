//! edge-http with embassy's network.

#![no_std]
#![no_main]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::panic::PanicInfo;

use cortex_m::singleton;
use edge_http::io::server::Server;
use edge_nal::TcpBind;
use edge_nal_embassy::{Tcp, TcpBuffers};
use embassy_net::Stack;
use httpling_board::board;
use httpling_peers_network::{CONNECTIONS, run};

use self::edge_hello::Hello;

#[path = "../../../edge_hello.rs"]
mod edge_hello;

type Buffers = TcpBuffers<CONNECTIONS>;
type Servers = Server<CONNECTIONS, 1024, 16>;

#[embassy_executor::task]
async fn serve(stack: Stack<'static>, buffers: &'static Buffers, server: &'static mut Servers) {
    let tcp = Tcp::new(stack, buffers);
    let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80);
    if let Ok(acceptor) = tcp.bind(here).await {
        let _ = server.run(None, acceptor, Hello).await;
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    run(|spawner, stack| {
        let buffers = singleton!(: Buffers = TcpBuffers::new());
        let server = singleton!(: Servers = Server::new());
        if let (Some(buffers), Some(server)) = (buffers, server)
            && let Ok(task) = serve(stack, buffers, server)
        {
            spawner.spawn(task);
        }
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::restart_after("panic")
}
