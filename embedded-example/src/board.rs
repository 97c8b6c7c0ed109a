//! The board: its clock, its sleep, and, from the file of the board that was chosen, its network card, LED and log.
//!
//! Everything that depends on a chip is in the files below this one. They have the same public names, so that
//! a feature can exchange them.

#![expect(unsafe_code, reason = "the vector table, and switching an interrupt on")]

use core::cell::Cell;
use core::fmt;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, Peripherals};
use critical_section::Mutex;

#[cfg(not(feature = "mps2-an385"))]
#[path = "board/lm3s6965evb.rs"]
mod chip;
#[cfg(feature = "mps2-an385")]
#[path = "board/mps2_an385.rs"]
mod chip;

pub use chip::{Card, FRAME_BYTES, NAME, RECEIVE_BYTES, SEND_BYTES, led, log_byte, set_led};

/// The card's place in the vector table.
#[derive(Clone, Copy)]
struct CardInterrupt;

// SAFETY: the number is the card's on this board, and always the same.
unsafe impl InterruptNumber for CardInterrupt {
    fn number(self) -> u16 {
        chip::CARD_INTERRUPT
    }
}

/// What the processor jumps to, in the order of the data sheet. Nothing but the card is switched on, so that one handler
/// serves the whole table, which ends with the card.
// SAFETY: `cortex-m-rt` places the section behind the exceptions, and expects functions of this type there.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [extern "C" fn(); chip::CARD_INTERRUPT as usize + 1] =
    [on_card; chip::CARD_INTERRUPT as usize + 1];

/// The card keeps its line up until its frames are read. That happens in the main loop, so the line is ignored until then.
extern "C" fn on_card() {
    NVIC::mask(CardInterrupt);
}

/// Milliseconds since the start. 64 bits: 32 would start again after seven weeks, in the middle of somebody's time-out.
static UPTIME_MS: Mutex<Cell<u64>> = Mutex::new(Cell::new(START_MS));
/// For a test of what counts with 32 bits all the same, [`Moment`].
const START_MS: u64 = if cfg!(feature = "late") { (1 << 32) - 12_000 } else { 0 };

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|token| {
        let uptime = UPTIME_MS.borrow(token);
        uptime.set(uptime.get() + 1);
    });
}

/// Milliseconds since [`start`].
pub fn uptime_ms() -> u64 {
    critical_section::with(|token| UPTIME_MS.borrow(token).get())
}

/// A moment of the last seven weeks, to count from. 32 bits are enough for every patience, and half the code.
#[derive(Debug, Clone, Copy)]
pub struct Moment(u32);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let [a, b, c, d, ..] = uptime_ms().to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// Milliseconds since then.
    pub fn elapsed_ms(self) -> u32 {
        Self::now().0.wrapping_sub(self.0)
    }

    /// So much later, but not later than now.
    #[must_use]
    pub fn later_by(self, milliseconds: u32) -> Self {
        Self(self.0.wrapping_add(milliseconds.min(self.elapsed_ms())))
    }
}

/// Starts the clock and the card. `None` when called a second time.
pub fn start() -> Option<Card> {
    let mut clock = Peripherals::take()?.SYST;
    clock.set_clock_source(SystClkSource::Core);
    clock.set_reload(chip::CLOCK_HZ / 1000 - 1);
    clock.clear_current();
    clock.enable_counter();
    clock.enable_interrupt();
    chip::start();
    Some(Card::start())
}

/// Stops the processor until a frame waits in the card, or for a millisecond at the longest.
pub fn sleep() {
    critical_section::with(|_| {
        // SAFETY: the critical section does not depend on this interrupt being off; its handler touches no data.
        unsafe { NVIC::unmask(CardInterrupt) };
        // A waiting interrupt ends the sleep although none is taken before the end of the section: a frame that came
        // after the caller last looked, but before this line, is not slept through.
        cortex_m::asm::wfi();
    });
}

/// The serial line as a place for `write!`.
#[derive(Debug)]
pub struct Log;

impl fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        log(text);
        Ok(())
    }
}

/// Writes text to the serial line.
pub fn log(text: &str) {
    text.bytes().for_each(log_byte);
}

/// Writes a number to the serial line, without the kilobytes that `core::fmt` brings.
pub fn log_number(mut number: usize) {
    let mut digits = [0; 10];
    let mut length = 0;
    for digit in &mut digits {
        let [ones, ..] = (number % 10).to_le_bytes();
        *digit = b'0' + ones;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    digits.iter().take(length).rev().copied().for_each(log_byte);
}

/// A line that a test can wait for, and then the same again from the start: a server on a shelf has nobody to press a button.
pub fn restart_after(text: &str) -> ! {
    log(text);
    log("\n");
    cortex_m::peripheral::SCB::sys_reset()
}
