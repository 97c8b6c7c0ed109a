//! Digits in and out, checked.
//!
//! `str::parse` is too kind for a protocol: `"+5".parse::<u64>()` is `Ok(5)`, and two readers who
//! differ about a length see two different requests.

/// `1*DIGIT`, and nothing else, that fits 64 bits.
pub(crate) fn parse(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The first number in `octets`, which [`parse`] has accepted without what is around it.
pub(crate) fn first(octets: &[u8]) -> u64 {
    let digits = octets.iter().map(|octet| octet.wrapping_sub(b'0'));
    let number = digits.skip_while(|&digit| digit > 9).take_while(|&digit| digit <= 9);
    number.fold(0, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit)))
}

/// What a hexadecimal digit, which it must be, stands for.
pub(crate) const fn hex_digit(octet: u8) -> u8 {
    // Letters have the bit 0x40, and the lowest bits of `a` are 1.
    (octet & 15) + 9 * (octet >> 6)
}

/// The most digits of a number: those of `u64::MAX`.
pub(crate) const DIGITS_MAX: usize = 20;

/// A number in decimal digits, without `core::fmt`, which costs kilobytes of flash.
///
/// The digits stay where they are made: octets that have just been written one by one, and are moved together, are waited for.
#[allow(clippy::cast_possible_truncation)] // A remainder that is below ten.
pub(crate) fn digits(number: u64, room: &mut [u8]) -> &[u8] {
    if cfg!(target_pointer_width = "64") {
        let mut rest = number;
        return fill(room, || {
            let digit = (rest % 10) as u8;
            rest /= 10;
            (b'0' | digit, rest == 0)
        });
    }
    digits_by_parts(number, room)
}

/// For small processors, where a division of 64 bits is a call and a kilobyte: as on paper, with 16 bits in the place of a
/// digit. Each part goes out at the top, its quotient comes in at the bottom, and what is left of it goes before the next one.
#[allow(clippy::cast_possible_truncation)] // The top 16 bits, and a remainder that is below ten.
fn digits_by_parts(mut number: u64, room: &mut [u8]) -> &[u8] {
    fill(room, || {
        let mut left = 0;
        for _ in 0..4 {
            let from = left << 16 | (number >> 48) as u32;
            number = number << 16 | u64::from(from / 10);
            left = from % 10;
        }
        (b'0' | left as u8, number == 0)
    })
}

/// A number in hexadecimal digits.
pub(crate) fn hex_digits(number: usize, room: &mut [u8]) -> &[u8] {
    let mut rest = number;
    fill(room, || {
        let digit = b"0123456789abcdef".get(rest & 15).copied().unwrap_or_default();
        rest >>= 4;
        (digit, rest == 0)
    })
}

/// `next` gives digits from the last to the first, and whether this was the first.
#[inline]
fn fill(room: &mut [u8], mut next: impl FnMut() -> (u8, bool)) -> &[u8] {
    let mut start = room.len();
    for place in room.iter_mut().rev() {
        let (digit, first) = next();
        *place = digit;
        start -= 1;
        if first {
            break;
        }
    }
    room.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn only_plain_digits_are_a_number() {
        for wrong in ["", "+5", "-5", " 5", "5 ", "0x5", "5,5", "5\0", "٥", "18446744073709551616"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(parse(b"007"), Some(7));
        assert_eq!(first(b" \t007 \r\n8"), 7);
        assert_eq!(first(b"18446744073709551615"), u64::MAX);
        assert_eq!(parse(b"18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn hexadecimal_digits() {
        for octet in (0..=u8::MAX).filter(u8::is_ascii_hexdigit) {
            assert_eq!(Some(u32::from(hex_digit(octet))), char::from(octet).to_digit(16));
        }
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift, 10u64.saturating_pow(shift)] {
                let expected = number.to_string();
                assert_eq!(digits(number, &mut [0; DIGITS_MAX]), expected.as_bytes());
                assert_eq!(digits_by_parts(number, &mut [0; DIGITS_MAX]), expected.as_bytes());
                if let Ok(size) = usize::try_from(number) {
                    assert_eq!(hex_digits(size, &mut [0; DIGITS_MAX]), std::format!("{number:x}").as_bytes());
                }
                assert_eq!(parse(expected.as_bytes()), Some(number));
            }
        }
    }
}
