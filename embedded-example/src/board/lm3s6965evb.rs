//! QEMU's `lm3s6965evb`: a Texas Instruments LM3S6965, Cortex-M3, with its Ethernet controller on the chip.
//!
//! A chip fresh from reset also wants its clock tree, pins and PHY set up; QEMU has them ready.

#![expect(unsafe_code, reason = "the addresses of the data sheet")]

use crate::registers::Registers;

/// The board's name, as QEMU knows it.
pub const NAME: &str = "lm3s6965evb";
/// The processor's clock: the internal oscillator, undivided.
pub(super) const CLOCK_HZ: u32 = 12_500_000;
pub(super) const CARD_INTERRUPT: u16 = 42;

/// What a connection may have received and not yet read. A head must fit: it stays in the socket until it is complete.
pub const RECEIVE_BYTES: usize = 1024;
/// What a connection may have written and not yet had acknowledged.
pub const SEND_BYTES: usize = 1024;
/// The longest frame, without its checksum: a segment of 1024 bytes, and 54 bytes of Ethernet, IP and TCP before it.
pub const FRAME_BYTES: usize = 54 + 1024;

// SAFETY: memory map of the LM3S6965, data sheet table 2-4, as for the others below: the base of a peripheral's 4 KiB.
const UART0: Registers = unsafe { Registers::at(0x4000_c000) };
// SAFETY: as above.
const GPIO_F: Registers = unsafe { Registers::at(0x4002_5000) };
// SAFETY: as above.
const ETHERNET: Registers = unsafe { Registers::at(0x4004_8000) };

mod uart {
    pub(super) const DATA: usize = 0x00;
    pub(super) const FLAGS: usize = 0x18;
    pub(super) const FLAGS_TRANSMIT_FULL: u32 = 1 << 5;
}

mod gpio {
    pub(super) const DIRECTION: usize = 0x400;
    pub(super) const DIGITAL: usize = 0x51c;
    /// The address says which pins are meant: bits 9 to 2 of it are a mask. This is pin 0, the LED.
    pub(super) const LED: usize = 1 << 2;
    pub(super) const LED_PIN: u32 = 1;
}

mod ethernet {
    /// Read: what has happened. Write: forget it.
    pub(super) const STATUS: usize = 0x00;
    pub(super) const INTERRUPTS: usize = 0x04;
    pub(super) const INTERRUPT_RECEIVED: u32 = 1;
    pub(super) const RECEIVE: usize = 0x08;
    pub(super) const RECEIVE_RESET: u32 = 1 << 4;
    /// On, refuse frames with a bad checksum.
    pub(super) const RECEIVE_ON: u32 = 1 << 3 | 1;
    pub(super) const TRANSMIT: usize = 0x0c;
    /// On, full duplex, add the checksum, fill up short frames.
    pub(super) const TRANSMIT_ON: u32 = 1 << 4 | 1 << 2 | 1 << 1 | 1;
    pub(super) const DATA: usize = 0x10;
    pub(super) const ADDRESS_LOW: usize = 0x14;
    pub(super) const ADDRESS_HIGH: usize = 0x18;
    pub(super) const FRAMES_WAITING: usize = 0x34;
    pub(super) const TRANSMISSION: usize = 0x38;
    pub(super) const TRANSMISSION_UNDER_WAY: u32 = 1;
}

pub(super) fn start() {
    GPIO_F.write(gpio::DIRECTION, gpio::LED_PIN);
    GPIO_F.write(gpio::DIGITAL, gpio::LED_PIN);
}

/// Is the LED on?
pub fn led() -> bool {
    GPIO_F.read(gpio::LED) & gpio::LED_PIN != 0
}

/// Switches the LED.
pub fn set_led(on: bool) {
    GPIO_F.write(gpio::LED, if on { gpio::LED_PIN } else { 0 });
}

/// Writes one byte to the serial line.
pub fn log_byte(byte: u8) {
    while UART0.read(uart::FLAGS) & uart::FLAGS_TRANSMIT_FULL != 0 {}
    UART0.write(uart::DATA, byte.into());
}

/// The Ethernet controller: a queue of words in, a queue of words out.
#[derive(Debug)]
pub struct Card(());

impl Card {
    pub(super) fn start() -> Self {
        ETHERNET.write(ethernet::RECEIVE, ethernet::RECEIVE_RESET);
        ETHERNET.write(ethernet::STATUS, 0x7f);
        ETHERNET.write(ethernet::RECEIVE, ethernet::RECEIVE_ON);
        ETHERNET.write(ethernet::TRANSMIT, ethernet::TRANSMIT_ON);
        ETHERNET.write(ethernet::INTERRUPTS, ethernet::INTERRUPT_RECEIVED);
        Self(())
    }

    /// The hardware address that the controller was given.
    pub fn address(&self) -> [u8; 6] {
        let low = ETHERNET.read(ethernet::ADDRESS_LOW).to_le_bytes();
        let high = ETHERNET.read(ethernet::ADDRESS_HIGH).to_le_bytes();
        let [one, two, three, four] = low;
        let [five, six, ..] = high;
        [one, two, three, four, five, six]
    }

    /// Moves the oldest waiting frame into `frame` and says how long it is. One that does not fit is dropped, and
    /// counts as a frame of no bytes. `None` when no frame waits.
    pub fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        ETHERNET.write(ethernet::STATUS, ethernet::INTERRUPT_RECEIVED);
        if ETHERNET.read(ethernet::FRAMES_WAITING) == 0 {
            return None;
        }
        // The first word: the length of all that the queue holds of this frame, which is these two bytes, the frame
        // and its checksum; then the frame's first two bytes.
        let [length_low, length_high, first, second] = ETHERNET.read(ethernet::DATA).to_le_bytes();
        let queued = usize::from(u16::from_le_bytes([length_low, length_high]));
        let length = queued.saturating_sub(2 + 4);
        let mut taken = 4;

        let target = frame.get_mut(..length).and_then(<[u8]>::split_first_chunk_mut::<2>);
        let fits = target.is_some();
        if let Some((start, rest)) = target {
            *start = [first, second];
            for word in rest.chunks_mut(4) {
                let bytes = ETHERNET.read(ethernet::DATA).to_le_bytes();
                word.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
                taken += 4;
            }
        }
        // The checksum, or all of a frame that did not fit.
        while taken < queued {
            ETHERNET.read(ethernet::DATA);
            taken += 4;
        }
        Some(if fits { length } else { 0 })
    }

    /// Sends a frame, which has at least its 14 bytes of head.
    pub fn transmit(&mut self, frame: &[u8]) {
        let Some(([first, second], rest)) = frame.split_first_chunk::<2>() else { return };
        while ETHERNET.read(ethernet::TRANSMISSION) & ethernet::TRANSMISSION_UNDER_WAY != 0 {}
        // The first word: the length without the frame's head, then the frame's first two bytes.
        let [length_low, length_high, ..] = frame.len().saturating_sub(14).to_le_bytes();
        ETHERNET.write(ethernet::DATA, u32::from_le_bytes([length_low, length_high, *first, *second]));
        for word in rest.chunks(4) {
            let mut bytes = [0; 4];
            bytes.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            ETHERNET.write(ethernet::DATA, u32::from_le_bytes(bytes));
        }
        ETHERNET.write(ethernet::TRANSMISSION, ethernet::TRANSMISSION_UNDER_WAY);
    }
}
