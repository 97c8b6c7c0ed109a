//! edge-http cannot be linked without a clock for embassy, even when no time-out is set.

use core::task::Waker;

use embassy_time_driver::Driver;
use httpling_board::board;

struct Clock;

impl Driver for Clock {
    fn now(&self) -> u64 {
        board::uptime_ms()
    }

    /// Nothing waits here.
    fn schedule_wake(&self, _: u64, _: &Waker) {}
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);
