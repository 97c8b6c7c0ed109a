//! embassy on this board: an executor that sleeps, a clock, the network card, and a network with room for four
//! connections. The programs in `bin/` put a server on it, as its documentation shows.

#![no_std]
#![expect(unsafe_code, reason = "embassy's executor and its pender are unsafe to drive")]

use core::cell::RefCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use cortex_m::singleton;
use critical_section::Mutex;
use embassy_executor::Spawner;
use embassy_executor::raw::Executor;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::GenericAtomicWaker;
use embassy_time_queue_utils::Queue;
use httpling_board::board::{self, Card, FRAME_BYTES};

/// Connections at the same time.
pub const CONNECTIONS: usize = 4;
/// The content of every answer.
pub const HELLO: &str = "Hello there";

/// Somebody has something to do.
static IS_WOKEN: AtomicBool = AtomicBool::new(false);
/// Who waits for a frame.
static CARD: GenericAtomicWaker<CriticalSectionRawMutex> =
    GenericAtomicWaker::new(CriticalSectionRawMutex::new());

// SAFETY: embassy's executor looks for this name, and calls it with the context that it was made with.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    IS_WOKEN.store(true, Ordering::Relaxed);
}

/// Starts the network, lets `spawn` start the server's tasks, and runs them for ever.
pub fn run(spawn: impl FnOnce(Spawner, Stack<'static>)) -> ! {
    let start = || {
        let frames = Frames {
            card: board::start()?,
            received: singleton!(: [u8; FRAME_BYTES] = [0; FRAME_BYTES])?,
            sent: singleton!(: [u8; FRAME_BYTES] = [0; FRAME_BYTES])?,
        };
        let resources = singleton!(: StackResources<CONNECTIONS> = StackResources::new())?;
        let executor = singleton!(: Executor = Executor::new(ptr::null_mut()))?;
        Some((frames, resources, &*executor))
    };
    let Some((frames, resources, executor)) = start() else { board::restart_after("started twice") };
    let address = StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24),
        gateway: Some(Ipv4Address::new(10, 0, 2, 2)),
        #[expect(
            clippy::default_trait_access,
            reason = "its type is from a version of heapless that we do not have"
        )]
        dns_servers: Default::default(),
    };
    let (stack, runner) = embassy_net::new(frames, Config::ipv4_static(address), resources, 1);
    let spawner = executor.spawner();
    let Ok(network) = network(runner) else { board::restart_after("network started twice") };
    spawner.spawn(network);
    spawn(spawner, stack);
    board::log("listening\n");
    loop {
        IS_WOKEN.store(false, Ordering::Relaxed);
        // SAFETY: nothing else polls this executor.
        unsafe { executor.poll() };
        CLOCK.wake_late();
        if !IS_WOKEN.load(Ordering::Relaxed) {
            board::sleep();
            CARD.wake();
        }
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Frames>) -> ! {
    runner.run().await
}

/// embassy's clock, in milliseconds.
struct Clock {
    queue: Mutex<RefCell<Queue>>,
}

impl Clock {
    /// Wakes those whose time has come.
    fn wake_late(&self) {
        critical_section::with(|token| self.queue.borrow_ref_mut(token).next_expiration(board::uptime_ms()));
    }
}

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        board::uptime_ms()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| self.queue.borrow_ref_mut(token).schedule_wake(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(
    static CLOCK: Clock = Clock { queue: Mutex::new(RefCell::new(Queue::new())) }
);

/// The board's card, for embassy.
struct Frames {
    card: Card,
    received: &'static mut [u8; FRAME_BYTES],
    sent: &'static mut [u8; FRAME_BYTES],
}

impl Driver for Frames {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmission<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Transmission<'_>)> {
        let Some(length) = self.card.receive(self.received) else {
            CARD.register(context.waker());
            return None;
        };
        let frame = self.received.get_mut(..length)?;
        Some((Received { frame }, Transmission { card: &mut self.card, frame: self.sent }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Transmission<'_>> {
        Some(Transmission { card: &mut self.card, frame: self.sent })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.card.address())
    }
}

struct Received<'a> {
    frame: &'a mut [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.frame)
    }
}

struct Transmission<'a> {
    card: &'a mut Card,
    frame: &'a mut [u8; FRAME_BYTES],
}

impl TxToken for Transmission<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let frame = self.frame.get_mut(..length).unwrap_or_default();
        let result = fill(frame);
        self.card.transmit(frame);
        result
    }
}
