//! The scale on which servers are weighed: one connection in memory, requests of two kinds, and a clock that counts
//! instructions.
//!
//! A program in `bin/` puts one server on the scale. What it reports to the serial line, `key=value` in each line, is
//! read by `cargo xtask board size`, which takes the echo's share away from it.
//!
//! The clock counts instructions when QEMU runs with `-icount shift=5`: an instruction is 32 ns long.

#![no_std]
#![expect(unsafe_code, reason = "the system timer is switched over, behind the back of the board's clock")]

mod connection;
mod time;

use core::hint::black_box;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cortex_m::peripheral::{Peripherals, SYST};
use httpling_board::{board, stack};

pub use self::connection::{Connection, counts};

/// What curl sends.
const CURL: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";

/// What a browser sends: 13 fields.
const BROWSER: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// A space where none may be: 400.
const BAD: &[u8] = b"GET / HTTP/1.1\r\nHost : 127.0.0.1:8080\r\n\r\n";

/// Content that nobody asked for, in chunks.
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    Transfer-Encoding: chunked\r\n\r\n\
    5;a=b\r\nHello\r\n6\r\n there\r\n0\r\nA: b\r\n\r\n";

/// The content of every answer.
pub const HELLO: &str = "Hello there";

/// Requests after the first. The first one pays for the connection, and is taken away.
const REQUESTS: u32 = 20;

/// Weighs a server that is a future over a connection.
pub fn weigh_async<F: Future>(serve: impl Fn(Connection) -> F) -> ! {
    start();
    let mut state = 0;
    let run = |requests, request| {
        let future = pin!(serve(Connection::new(request, requests)));
        state = size_of_val(&*future);
        finish(future)
    };
    report(run);
    line("state", state);
    end()
}

/// Weighs a server that returns when the connection ends. What it keeps of one between two requests is made anew for each, and is
/// no stack: as with the others, whose futures have it.
pub fn weigh_blocking<S>(new: impl Fn() -> S, mut serve: impl FnMut(&mut S, &mut Connection)) -> ! {
    start();
    report(|requests, request| {
        let (mut state, mut stream) = (new(), Connection::new(request, requests));
        weigh(|| serve(&mut state, &mut stream))
    });
    line("state", size_of::<S>());
    end()
}

/// The time and the stack that something took.
#[derive(Debug, Clone, Copy)]
struct Weight {
    ticks: u32,
    stack: usize,
}

fn report(mut run: impl FnMut(u32, &'static [u8]) -> Weight) {
    for (name, request) in [("curl", CURL), ("browser", BROWSER)] {
        let first = run(1, request);
        counts::reset();
        let all = run(REQUESTS + 1, request);
        // The timer runs at 25 MHz: 40 ns.
        let instructions = (all.ticks - first.ticks) as usize / REQUESTS as usize * 40 / 32;
        board::log(name);
        line(".instructions", instructions);
        report_stack(name, all);
        board::log(name);
        line(".reads", counts::reads() / (REQUESTS as usize + 1));
        board::log(name);
        line(".writes", counts::writes() / (REQUESTS as usize + 1));
        board::log(name);
        line(".flushes", counts::flushes() / (REQUESTS as usize + 1));
    }
    // A connection may end with these.
    for (name, request) in [("bad", BAD), ("chunked", CHUNKED)] {
        report_stack(name, run(1, request));
    }
}

fn report_stack(name: &str, weight: Weight) {
    board::log(name);
    line(".stack", weight.stack);
}

fn line(key: &str, value: usize) {
    board::log(key);
    board::log("=");
    board::log_number(value);
    board::log("\n");
}

fn start() {
    if board::start().is_none() {
        board::restart_after("started twice");
    }
    // SAFETY: the board's clock is not needed here, and nothing else has the system timer.
    let mut timer = unsafe { Peripherals::steal() }.SYST;
    timer.disable_interrupt();
    timer.set_reload(0x00ff_ffff);
    timer.clear_current();
}

fn end() -> ! {
    board::log("end\n");
    loop {
        board::sleep();
    }
}

#[inline(never)]
fn weigh(run: impl FnOnce()) -> Weight {
    let before = stack::paint();
    let start = SYST::get_current();
    apart(run);
    let ticks = start.wrapping_sub(SYST::get_current()) & 0x00ff_ffff;
    Weight { ticks, stack: before.saturating_sub(stack::free_bytes()) }
}

/// What is inlined into a function has its variables there, above the paint.
#[inline(never)]
fn apart(run: impl FnOnce()) {
    run();
}

/// Polls a server until its client is gone. A poll ends where the server waits for a request, so each serves one.
#[inline(never)]
fn finish<F: Future>(mut future: Pin<&mut F>) -> Weight {
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = || {
        let mut is_ready = false;
        let weight = weigh(|| {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                black_box(&output);
                is_ready = true;
            }
        });
        (is_ready, weight)
    };
    // The first poll moves the server's state into place, once in a connection's life, and on more stack than any
    // later one: it is not what a request costs.
    let (mut is_ready, Weight { mut ticks, .. }) = poll();
    let mut stack = 0;
    while !is_ready {
        let (now_ready, weight) = poll();
        is_ready = now_ready;
        ticks += weight.ticks;
        stack = stack.max(weight.stack);
    }
    Weight { ticks, stack }
}
