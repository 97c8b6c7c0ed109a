//! Dates in the one form that is sent: IMF-fixdate (RFC 9110 §5.6.7).

use crate::syntax::octets;

/// A date as it stands in the `Date` field: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// ```
/// use httpling_core::HttpDate;
///
/// assert_eq!(HttpDate::from_unix_seconds(784_111_777).as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate {
    /// The whole field line: it is put into each response as it is.
    field_line: [u8; Self::NAME.len() + Self::LENGTH + "\r\n".len()],
}

impl HttpDate {
    /// Octets of an IMF-fixdate.
    pub const LENGTH: usize = 29;
    const NAME: &'static str = "Date: ";

    /// The date so many seconds after 1970-01-01 00:00:00 UTC, without leap seconds; years beyond 9999 stay there.
    #[doc(alias = "date_time_string")]
    pub fn from_unix_seconds(seconds: u64) -> Self {
        /// 9999-12-31 23:59:59
        const LAST_SECOND: u64 = 253_402_300_799;
        let seconds = seconds.min(LAST_SECOND);
        // Fits: there are fewer than 3 million days until the year 9999.
        let days = (seconds / 86400) as u32;
        let second = (seconds % 86400) as u32;
        let (year, month, day) = civil(days);

        let mut date = Self::from_octets(*b"Thu, 00 Jan 0000 00:00:00 GMT");
        let mut put = |at: usize, word: &[u8]| {
            if let Some(place) = date.field_line.get_mut(Self::NAME.len() + at..) {
                octets::copy(word, place);
            }
        };
        put(0, word(b"ThuFriSatSunMonTueWed", days % 7));
        put(5, &two_digits(day));
        put(8, word(b"JanFebMarAprMayJunJulAugSepOctNovDec", month));
        put(12, &two_digits(year / 100));
        put(14, &two_digits(year % 100));
        put(17, &two_digits(second / 3600));
        put(20, &two_digits(second / 60 % 60));
        put(23, &two_digits(second % 60));
        date
    }

    /// For clocks that keep the text: 29 octets that an IMF-fixdate has. `None` when control octets are among them.
    pub fn from_text(text: [u8; Self::LENGTH]) -> Option<Self> {
        text.iter().all(|octet| matches!(octet, b' '..=b'~')).then(|| Self::from_octets(text))
    }

    fn from_octets(text: [u8; Self::LENGTH]) -> Self {
        let mut field_line = *b"Date: .............................\r\n";
        if let Some(place) = field_line.get_mut(Self::NAME.len()..) {
            octets::copy(&text, place);
        }
        Self { field_line }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let from_name = self.field_line.get(Self::NAME.len()..).unwrap_or_default();
        core::str::from_utf8(from_name).unwrap_or_default().trim_ascii_end()
    }

    /// The `Date` field with its line end.
    pub(crate) const fn as_field_line(&self) -> &[u8] {
        &self.field_line
    }
}

/// The three letters at place `index`.
fn word(words: &[u8], index: u32) -> &[u8] {
    let at = index as usize * 3;
    words.get(at..at + 3).unwrap_or_default()
}

fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

/// Year, month from 0 on, day of the month, for days since 1970-01-01.
///
/// Counts in years that begin on 1 March, so that the leap day is the last day of its year: then the month
/// follows from the day by one division, because March to January have 153 days in each five months.
const fn civil(days: u32) -> (u32, u32, u32) {
    /// 0000-03-01 to 1970-01-01
    const SHIFT: u32 = 719_468;
    const DAYS_OF_400_YEARS: u32 = 146_097;
    let days = days + SHIFT;
    let era = days / DAYS_OF_400_YEARS;
    let day_of_era = days % DAYS_OF_400_YEARS;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + if month < 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every day from 1970 to 9999 with the calendar's own rules.
    #[test]
    fn every_day_is_the_calendars() {
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..2_932_897 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let length = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize];
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month == 12 {
                (month, year) = (0, year + 1);
            }
        }
        assert_eq!(year, 10_000);
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(HttpDate::from_unix_seconds(0).as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
        let last = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(HttpDate::from_unix_seconds(253_402_300_799).as_str(), last);
        assert_eq!(HttpDate::from_unix_seconds(u64::MAX).as_str(), last);
    }
}
