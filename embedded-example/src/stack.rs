//! How much stack has ever been used? Painted once, and the paint that is left counted.

#![expect(unsafe_code, reason = "the stack below us is memory that no variable owns")]

use core::ptr;

/// A value that code is unlikely to leave behind.
const PAINT: u32 = 0xc0de_ba5e;
/// Kept below the stack pointer when painting: it may have been read before this function reserved its own frame.
const MARGIN: usize = 64;

/// The lowest word that the stack may reach.
fn end() -> *mut u32 {
    cortex_m_rt::heap_start()
}

/// Paints the stack below its present depth, and says how many bytes there are.
pub fn paint() -> usize {
    let top = cortex_m::register::msp::read() as usize - MARGIN;
    let mut word = end();
    while (word as usize) < top {
        // SAFETY: between the end of the variables and the stack pointer, less its margin, nothing is alive; interrupts
        // that come meanwhile have left again what they put there.
        unsafe {
            ptr::write_volatile(word, PAINT);
            word = word.add(1);
        }
    }
    word as usize - end() as usize
}

/// The bytes that have never been used since [`paint`].
pub fn free_bytes() -> usize {
    let top = cortex_m::register::msp::read() as usize;
    let mut word = end();
    // SAFETY: reads words between the end of the variables and the stack pointer: RAM that nothing else changes.
    while (word as usize) < top && unsafe { ptr::read_volatile(word) } == PAINT {
        // SAFETY: at most one past the last of these words.
        word = unsafe { word.add(1) };
    }
    word as usize - end() as usize
}
