//! Memory-mapped registers: the one place where an address becomes something to read and write.

#![expect(unsafe_code, reason = "a register is an address that the data sheet promises")]

use core::ptr;

/// The registers of one peripheral: 4 KiB from its base address, 32 bits each.
#[derive(Debug, Clone, Copy)]
pub struct Registers {
    base: usize,
}

impl Registers {
    /// The peripheral at `base`.
    ///
    /// # Safety
    ///
    /// The 4 KiB from `base` on are registers of a device and not memory: whatever is written there, nothing that Rust
    /// knows of changes. `base` is a multiple of 4096.
    pub const unsafe fn at(base: usize) -> Self {
        Self { base }
    }

    /// Reads the register at `offset`. Reading may have effects, such as taking a word out of a queue.
    #[inline]
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: the mask keeps the address aligned and within the 4 KiB that `at` was promised.
        unsafe { ptr::read_volatile((self.base + (offset & 0xffc)) as *const u32) }
    }

    /// Writes the register at `offset`.
    #[inline]
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::write_volatile((self.base + (offset & 0xffc)) as *mut u32, value) }
    }
}
