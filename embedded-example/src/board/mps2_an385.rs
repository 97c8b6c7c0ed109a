//! QEMU's `mps2-an385`: Arm's MPS2 board with a Cortex-M3 image, and an SMSC LAN9118 network card beside it.

#![expect(unsafe_code, reason = "the addresses of the application note")]

use crate::registers::Registers;

/// The board's name, as QEMU knows it.
pub const NAME: &str = "mps2-an385";
/// The processor's clock.
pub(super) const CLOCK_HZ: u32 = 25_000_000;
pub(super) const CARD_INTERRUPT: u16 = 13;

/// What a connection may have received and not yet read. A head must fit: it stays in the socket until it is complete.
/// Here is room for the longest request line, and 32 KiB of fields after it.
pub const RECEIVE_BYTES: usize = 96 * 1024;
/// What a connection may have written and not yet had acknowledged.
pub const SEND_BYTES: usize = 16 * 1024;
/// The longest frame that Ethernet has, without its checksum.
pub const FRAME_BYTES: usize = 1514;

// SAFETY: memory map of application note AN385, table 3-1, as for the others below: the base of a peripheral's 4 KiB.
const UART0: Registers = unsafe { Registers::at(0x4000_4000) };
// SAFETY: as above.
const FPGA_IO: Registers = unsafe { Registers::at(0x4002_8000) };
// SAFETY: as above.
const ETHERNET: Registers = unsafe { Registers::at(0x4020_0000) };

mod uart {
    pub(super) const DATA: usize = 0x00;
    pub(super) const STATE: usize = 0x04;
    pub(super) const STATE_TRANSMIT_FULL: u32 = 1;
    pub(super) const CONTROL: usize = 0x08;
    pub(super) const CONTROL_TRANSMIT: u32 = 1;
    pub(super) const DIVIDER: usize = 0x10;
}

mod fpga_io {
    pub(super) const LEDS: usize = 0x00;
    pub(super) const LED_0: u32 = 1;
}

mod lan9118 {
    pub(super) const RECEIVE_DATA: usize = 0x00;
    pub(super) const TRANSMIT_DATA: usize = 0x20;
    pub(super) const RECEIVE_STATUS: usize = 0x40;
    pub(super) const RECEIVE_STATUS_ERROR: u32 = 1 << 15;
    pub(super) const TRANSMIT_STATUS: usize = 0x48;
    pub(super) const INTERRUPT_CONFIG: usize = 0x54;
    /// Enabled, active high, push-pull.
    pub(super) const INTERRUPT_CONFIG_ON: u32 = 1 << 8 | 1 << 4 | 1;
    pub(super) const INTERRUPT_STATUS: usize = 0x58;
    pub(super) const INTERRUPT_ENABLE: usize = 0x5c;
    /// More frames wait than the level says, which is none.
    pub(super) const INTERRUPT_RECEIVED: u32 = 1 << 3;
    pub(super) const QUEUE_LEVELS: usize = 0x68;
    pub(super) const RECEIVE_CONFIG: usize = 0x6c;
    pub(super) const TRANSMIT_CONFIG: usize = 0x70;
    pub(super) const TRANSMIT_CONFIG_ON: u32 = 1 << 1;
    pub(super) const HARDWARE_CONFIG: usize = 0x74;
    pub(super) const HARDWARE_CONFIG_RESET: u32 = 1;
    /// Bit 20 must be one; 5 KiB for frames on their way out.
    pub(super) const HARDWARE_CONFIG_ON: u32 = 1 << 20 | 5 << 16;
    pub(super) const RECEIVE_QUEUE: usize = 0x7c;
    pub(super) const TRANSMIT_QUEUE: usize = 0x80;
    pub(super) const MAC_COMMAND: usize = 0xa4;
    pub(super) const MAC_COMMAND_BUSY: u32 = 1 << 31;
    pub(super) const MAC_COMMAND_READ: u32 = 1 << 30;
    pub(super) const MAC_DATA: usize = 0xa8;
    pub(super) const FLOW_CONTROL: usize = 0xac;
    pub(super) const FLOW_CONTROL_DEFAULT: u32 = 0x006e_3740;

    /// Registers of the MAC, behind the two above.
    pub(super) const MAC_CONTROL: u32 = 1;
    pub(super) const MAC_CONTROL_ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;
    pub(super) const MAC_ADDRESS_HIGH: u32 = 2;
    pub(super) const MAC_ADDRESS_LOW: u32 = 3;
}

pub(super) fn start() {
    UART0.write(uart::DIVIDER, 16);
    UART0.write(uart::CONTROL, uart::CONTROL_TRANSMIT);
}

/// Is the LED on?
pub fn led() -> bool {
    FPGA_IO.read(fpga_io::LEDS) & fpga_io::LED_0 != 0
}

/// Switches the LED.
pub fn set_led(on: bool) {
    FPGA_IO.write(fpga_io::LEDS, if on { fpga_io::LED_0 } else { 0 });
}

/// Writes one byte to the serial line.
pub fn log_byte(byte: u8) {
    while UART0.read(uart::STATE) & uart::STATE_TRANSMIT_FULL != 0 {}
    UART0.write(uart::DATA, byte.into());
}

/// The network card: queues of words and queues of what became of them.
#[derive(Debug)]
pub struct Card(());

impl Card {
    pub(super) fn start() -> Self {
        ETHERNET.write(lan9118::HARDWARE_CONFIG, lan9118::HARDWARE_CONFIG_RESET);
        while ETHERNET.read(lan9118::HARDWARE_CONFIG) & lan9118::HARDWARE_CONFIG_RESET != 0 {}
        ETHERNET.write(lan9118::HARDWARE_CONFIG, lan9118::HARDWARE_CONFIG_ON);
        ETHERNET.write(lan9118::FLOW_CONTROL, lan9118::FLOW_CONTROL_DEFAULT);
        ETHERNET.write(lan9118::INTERRUPT_CONFIG, lan9118::INTERRUPT_CONFIG_ON);
        // An interrupt as soon as one frame waits; the other levels stay as far away as they can.
        ETHERNET.write(lan9118::QUEUE_LEVELS, 0xff00_0000);
        ETHERNET.write(lan9118::RECEIVE_CONFIG, 0);
        ETHERNET.write(lan9118::TRANSMIT_CONFIG, lan9118::TRANSMIT_CONFIG_ON);
        let control = read_mac(lan9118::MAC_CONTROL);
        write_mac(lan9118::MAC_CONTROL, control | lan9118::MAC_CONTROL_ON);
        ETHERNET.write(lan9118::INTERRUPT_STATUS, u32::MAX);
        ETHERNET.write(lan9118::INTERRUPT_ENABLE, lan9118::INTERRUPT_RECEIVED);
        Self(())
    }

    /// The hardware address that the card was given.
    pub fn address(&self) -> [u8; 6] {
        let low = read_mac(lan9118::MAC_ADDRESS_LOW).to_le_bytes();
        let high = read_mac(lan9118::MAC_ADDRESS_HIGH).to_le_bytes();
        let [one, two, three, four] = low;
        let [five, six, ..] = high;
        [one, two, three, four, five, six]
    }

    /// Moves the oldest waiting frame into `frame` and says how long it is. One that does not fit is dropped, and
    /// counts as a frame of no bytes. `None` when no frame waits.
    pub fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        ETHERNET.write(lan9118::INTERRUPT_STATUS, lan9118::INTERRUPT_RECEIVED);
        let waiting = ETHERNET.read(lan9118::RECEIVE_QUEUE) >> 16 & 0xff;
        if waiting == 0 {
            return None;
        }
        let status = ETHERNET.read(lan9118::RECEIVE_STATUS);
        // The length counts the checksum, which stays in the queue behind the frame.
        let queued = (status >> 16 & 0x3fff) as usize;
        let length = queued.saturating_sub(4);
        let whole = status & lan9118::RECEIVE_STATUS_ERROR == 0 && length <= frame.len();

        let target = if whole { frame.get_mut(..length) } else { None };
        let mut taken = 0;
        for word in target.unwrap_or_default().chunks_mut(4) {
            let bytes = ETHERNET.read(lan9118::RECEIVE_DATA).to_le_bytes();
            word.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            taken += 4;
        }
        while taken < queued {
            ETHERNET.read(lan9118::RECEIVE_DATA);
            taken += 4;
        }
        Some(if whole { length } else { 0 })
    }

    /// Sends a frame.
    pub fn transmit(&mut self, frame: &[u8]) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a frame is at most 1514 bytes long: eleven bits"
        )]
        let length = (frame.len() & 0x7ff) as u32;
        let free = |queue: u32| queue & 0xffff;
        let reported = |queue: u32| queue >> 16 & 0xff;
        loop {
            let queue = ETHERNET.read(lan9118::TRANSMIT_QUEUE);
            // What became of earlier frames must be read, or the card stops.
            if reported(queue) > 0 {
                ETHERNET.read(lan9118::TRANSMIT_STATUS);
            } else if free(queue) >= length + 16 {
                break;
            }
        }
        let first_and_last_segment = 1 << 13 | 1 << 12;
        ETHERNET.write(lan9118::TRANSMIT_DATA, first_and_last_segment | length);
        ETHERNET.write(lan9118::TRANSMIT_DATA, length << 16 | length);
        for word in frame.chunks(4) {
            let mut bytes = [0; 4];
            bytes.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            ETHERNET.write(lan9118::TRANSMIT_DATA, u32::from_le_bytes(bytes));
        }
    }
}

fn wait_for_mac() {
    while ETHERNET.read(lan9118::MAC_COMMAND) & lan9118::MAC_COMMAND_BUSY != 0 {}
}

fn read_mac(register: u32) -> u32 {
    wait_for_mac();
    ETHERNET.write(lan9118::MAC_COMMAND, lan9118::MAC_COMMAND_BUSY | lan9118::MAC_COMMAND_READ | register);
    wait_for_mac();
    ETHERNET.read(lan9118::MAC_DATA)
}

fn write_mac(register: u32, value: u32) {
    wait_for_mac();
    ETHERNET.write(lan9118::MAC_DATA, value);
    ETHERNET.write(lan9118::MAC_COMMAND, lan9118::MAC_COMMAND_BUSY | register);
}
