//! Which part of the file? (RFC 9110 §14)
//!
//! One range of bytes is answered as such: that resumes a download and moves about in a film. Several ranges in one
//! request, other units, and what breaks the grammar are answered with the whole file, as §14.2 allows.

use httpling_core::Fields;
use std::ops::Range;

/// What a request without or with `Range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Send everything: 200.
    Whole,
    /// Send these octets, at least one: 206.
    Part(Range<u64>),
    /// There is none of the octets that were asked for: 416.
    Unsatisfiable,
}

impl Selection {
    /// Reads the `Range` field of a GET for a file of `length` octets.
    pub(super) fn parse(fields: Fields<'_>, length: u64) -> Self {
        let mut values = fields.values("range");
        match (values.next(), values.next()) {
            (Some(value), None) => Self::of_value(value, length).unwrap_or(Self::Whole),
            _ => Self::Whole,
        }
    }

    /// `None` for what is to be ignored.
    fn of_value(value: &[u8], length: u64) -> Option<Self> {
        let (unit, set) = value.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let mut specs =
            set.split(|&octet| octet == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
        let (spec, None) = (specs.next()?, specs.next()) else { return None };
        let dash = spec.iter().position(|&octet| octet == b'-')?;
        let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
        if first.is_empty() {
            // "-500": the last octets, all of them if there are fewer. Of an empty file there is no part to speak of.
            return Some(match decimal(last)? {
                0 => Self::Unsatisfiable,
                _ if length == 0 => Self::Whole,
                count => Self::Part(length.saturating_sub(count)..length),
            });
        }
        let first = decimal(first)?;
        let last = if last.is_empty() { u64::MAX } else { decimal(last)? };
        if last < first {
            // "An int-range is invalid if the last-pos value is present and less than the first-pos" (§14.1.1)
            return None;
        }
        let end = last.saturating_add(1).min(length);
        Some(if first < length { Self::Part(first..end) } else { Self::Unsatisfiable })
    }
}

/// `1*DIGIT`; what does not fit is beyond the end of every file.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use httpling_core::{Config, RequestHead};

    fn select(fields: &str, length: u64) -> Selection {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Config::DEFAULT).expect("valid").expect("whole");
        Selection::parse(head.headers(), length)
    }

    macro_rules! case {
        ($name:ident, $value:expr, $length:expr, $expected:expr) => {
            #[test]
            fn $name() {
                assert_eq!(select(concat!("Range: ", $value, "\r\n"), $length), $expected);
            }
        };
    }

    use Selection::{Part, Unsatisfiable, Whole};
    case! { from_to, "bytes=2-4", 10, Part(2..5) }
    case! { one_octet, "bytes=0-0", 10, Part(0..1) }
    case! { from_on, "bytes=2-", 10, Part(2..10) }
    case! { the_last, "bytes=-3", 10, Part(7..10) }
    case! { everything_is_a_part, "bytes=0-", 10, Part(0..10) }
    case! { past_the_end_is_cut, "bytes=5-99", 10, Part(5..10) }
    case! { more_than_all_is_all, "bytes=-99", 10, Part(0..10) }
    case! { behind_the_end, "bytes=10-", 10, Unsatisfiable }
    case! { behind_the_end_to, "bytes=10-20", 10, Unsatisfiable }
    case! { the_last_none, "bytes=-0", 10, Unsatisfiable }
    case! { an_empty_file_has_no_first_octet, "bytes=0-", 0, Unsatisfiable }
    case! { an_empty_file_has_no_last_octets, "bytes=-5", 0, Whole }
    case! { backwards_is_ignored, "bytes=4-2", 10, Whole }
    case! { backwards_behind_the_end_is_ignored, "bytes=40-20", 10, Whole }
    case! { numbers_beyond_64_bits_are_large, "bytes=5-99999999999999999999999", 10, Part(5..10) }
    case! { starts_beyond_64_bits_are_large, "bytes=99999999999999999999999-", 10, Unsatisfiable }
    case! { the_largest_number, "bytes=0-18446744073709551615", 10, Part(0..10) }
    case! { largest_start, "bytes=18446744073709551615-18446744073709551615", 10, Unsatisfiable }
    case! { units_have_no_case, "Bytes=2-4", 10, Part(2..5) }
    case! { other_units_are_ignored, "seconds=2-4", 10, Whole }
    case! { empty_list_members_do_not_count, "bytes=, 2-4 ,", 10, Part(2..5) }
    case! { several_ranges_are_ignored, "bytes=0-1,4-5", 10, Whole }
    case! { no_range_is_ignored, "bytes=", 10, Whole }
    case! { a_dash_is_ignored, "bytes=-", 10, Whole }
    case! { no_dash_is_ignored, "bytes=5", 10, Whole }
    case! { signs_are_ignored, "bytes=+2-4", 10, Whole }
    case! { two_dashes_are_ignored, "bytes=--4", 10, Whole }
    case! { spaces_inside_are_ignored, "bytes=2 -4", 10, Whole }
    case! { letters_are_ignored, "bytes=a-b", 10, Whole }
    case! { too_short_is_ignored, "byte", 10, Whole }

    #[test]
    fn two_fields_are_ignored() {
        assert_eq!(select("Range: bytes=0-1\r\nRange: bytes=0-1\r\n", 10), Whole);
        assert_eq!(select("", 10), Whole);
    }

    /// A slow judge: which octets, one by one?
    #[test]
    fn every_small_range_is_as_the_definition_says() {
        for length in 0..5u64 {
            for first in 0..6 {
                for last in 0..6 {
                    let octets: Vec<u64> = (0..length).filter(|at| (first..=last).contains(at)).collect();
                    let expected = match (octets.first(), octets.last()) {
                        _ if last < first => Whole,
                        (Some(&first), Some(&last)) => Part(first..last + 1),
                        _ => Unsatisfiable,
                    };
                    assert_eq!(select(&format!("Range: bytes={first}-{last}\r\n"), length), expected);
                }
            }
        }
    }
}
