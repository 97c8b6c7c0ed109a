//! What the board serves, on this machine: the same handler, with a lamp that is a variable.
//!
//! `demo [PORT]`, on 127.0.0.1; 8080 unless said otherwise.

use httpling::HttpServer;
use httpling_demo::{Board, Demo};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// The device: one for all connections.
struct Device {
    started: Instant,
    led: AtomicBool,
    requests: AtomicU32,
}

impl Board for &Device {
    fn uptime_seconds(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Nobody counts it here.
    fn free_stack_bytes(&self) -> u32 {
        0
    }

    fn led(&self) -> bool {
        self.led.load(Relaxed)
    }

    fn set_led(&mut self, on: bool) {
        self.led.store(on, Relaxed);
    }

    fn add_request(&mut self) {
        self.requests.fetch_add(1, Relaxed);
    }

    fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse()).map_err(io::Error::other)?;
    // As on the board, whose flash has no room for words about errors.
    let server = HttpServer::builder().error_page(None).bind(("127.0.0.1", port))?;
    println!("{}", server.banner());
    let device: &Device = Box::leak(Box::new(Device {
        started: Instant::now(),
        led: AtomicBool::new(false),
        requests: AtomicU32::new(0),
    }));
    server.serve_forever(move |_peer| Demo::new(device))
}
