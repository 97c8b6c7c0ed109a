//! The system's clock: the date as text, made once a second, and microseconds for the log.

use httpling_core::{Clock, HttpDate};
use std::cell::Cell;
#[cfg(not(target_os = "linux"))]
use std::time::SystemTime;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// The system's clock.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started: Instant,
    /// Without a log nobody asks how long a request took.
    measures: bool,
}

impl SystemClock {
    pub(crate) fn new(measures: bool) -> Self {
        Self { started: Instant::now(), measures }
    }
}

/// How far [`unix_seconds`] and [`tick_ms`] may be behind: the system's slowest tick.
pub(crate) const TICK_MS: u64 = 10;

/// Seconds since 1970, as of the system's last tick: whoever asks for each request need not read the hardware's clock. A clock
/// before 1970 stands at its first second.
pub(crate) fn unix_seconds() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        u64::try_from(now.tv_sec).unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Milliseconds since some moment, as of the system's last tick: what begins now begins later than this says. (On a busy machine
/// ticks come late, too.)
pub(crate) fn tick_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let now = nanoseconds(rustix::time::ClockId::MonotonicCoarse);
    #[cfg(not(target_os = "linux"))]
    let now = nanoseconds();
    now / NANOSECONDS_PER_MILLISECOND
}

/// As [`tick_ms`], by the hardware's clock, and rounded up: this moment is not over yet.
pub(crate) fn next_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let now = nanoseconds(rustix::time::ClockId::Monotonic);
    #[cfg(not(target_os = "linux"))]
    let now = nanoseconds();
    now / NANOSECONDS_PER_MILLISECOND + 1
}

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Both of these clocks count from the same moment, and the coarse one shows what the other one showed at the last tick.
#[cfg(target_os = "linux")]
fn nanoseconds(clock: rustix::time::ClockId) -> u64 {
    let now = rustix::time::clock_gettime(clock);
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn nanoseconds() -> u64 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = FIRST.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The date as text, of the calling thread.
#[derive(Clone, Copy)]
struct Last {
    second: u64,
    date: HttpDate,
}

thread_local! {
    static LAST: Cell<Option<Last>> = const { Cell::new(None) };
    static IS_NOW: Cell<bool> = const { Cell::new(false) };
}

/// Time has passed on this thread: the next date is asked for anew. What is answered in one go has one date.
pub(crate) fn time_passed() {
    IS_NOW.set(false);
}

impl Clock for SystemClock {
    fn date(&self) -> Option<HttpDate> {
        match LAST.get() {
            Some(last) if IS_NOW.get() => Some(last.date),
            last => date_now(last),
        }
    }

    fn microseconds(&self) -> Option<u64> {
        self.measures.then(|| u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// The date, made anew when it is not that of the same second any more.
#[cold]
fn date_now(last: Option<Last>) -> Option<HttpDate> {
    IS_NOW.set(true);
    let second = unix_seconds();
    if let Some(last) = last.filter(|last| last.second == second) {
        return Some(last.date);
    }
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
    let date = HttpDate::from_text(text.as_bytes().try_into().ok()?)?;
    LAST.set(Some(Last { second, date }));
    Some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The core's dates and those of `httpdate` are the same: for each day and second of the day that a
    /// walk with an odd step meets in 8000 years.
    #[test]
    fn the_cores_dates_are_httpdates() {
        let mut seconds = 0;
        while seconds < 253_402_300_800 {
            let expected = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(HttpDate::from_unix_seconds(seconds).as_str(), expected);
            seconds += 9_999_991;
        }
    }

    /// A deadline is set by the one and looked at by the other, so that it is never early: whatever the machine does in between.
    #[test]
    fn what_begins_at_the_next_millisecond_began_before() {
        // At many places between two ticks.
        for _ in 0..20 {
            let began = Instant::now();
            let deadline = next_ms() + 3;
            while tick_ms() < deadline {
                std::thread::yield_now();
            }
            assert!(began.elapsed() >= Duration::from_millis(3));
        }
    }

    #[test]
    fn the_date_is_now() {
        let clock = SystemClock::new(true);
        let before = unix_seconds();
        let date = clock.date().expect("httpdate writes 29 octets");
        let parsed = httpdate::parse_http_date(date.as_str()).expect("httpdate reads what it writes");
        let parsed = parsed.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        assert!((before..=unix_seconds()).contains(&parsed));
        assert!(clock.microseconds() <= clock.microseconds());
        assert_eq!(SystemClock::new(false).microseconds(), None);
    }
}
