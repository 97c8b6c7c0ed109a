//! How slow may a client be?

use std::time::Duration;

/// Deadlines of a connection, and the least rates at which content must move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// A new connection that sends nothing.
    pub(crate) first_byte: Duration,
    /// A request's head, from its first byte to its last.
    pub(crate) head: Duration,
    /// A connection between two requests.
    pub(crate) idle: Duration,
    /// Content of a request that does not come at all.
    pub(crate) content: Duration,
    /// A response that the client does not take at all.
    pub(crate) write: Duration,
    /// Bytes a second, on average: of content after `content`, of a response after twice `write`.
    pub(crate) bytes_per_second_min: u32,
}

/// Octets that a client may have taken without our knowing: the system frees the memory of what was sent in pieces, the largest
/// when it leaves the cutting into packets to the network's card.
pub(super) const UNTOLD: u64 = 64 * 1024;

/// How long a handler waits at a time before it asks whether it may go on waiting.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// So many times the least rate is fast enough to keep a thread when there are few left.
const KEEPS_THREAD: u64 = 16;

impl Default for Rates {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            content: Duration::from_secs(20),
            write: Duration::from_secs(30),
            bytes_per_second_min: 500,
        }
    }
}

impl Rates {
    /// How long to wait for the next bytes of content, when so much has come in so long a time; `None` when it is enough.
    pub(crate) fn content_patience(&self, received: usize, elapsed: Duration) -> Option<Duration> {
        Duration::from_millis(self.content_ms(received)).checked_sub(elapsed)
    }

    /// How long, in milliseconds, content may be on the way of which so much has come.
    pub(crate) fn content_ms(&self, received: usize) -> u64 {
        let earned = received as u64 * 1000 / u64::from(self.bytes_per_second_min.max(1));
        u64::try_from(self.content.as_millis()).unwrap_or(u64::MAX / 2).saturating_add(earned)
    }

    /// Does a client send or take so few octets in so long a time that its handler makes place when threads are few? Not before it is
    /// known how fast it is.
    pub(crate) fn makes_place(&self, octets: u64, elapsed: Duration) -> bool {
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let least = KEEPS_THREAD * u64::from(self.bytes_per_second_min);
        elapsed >= LOOK && octets.saturating_mul(1000) < least.saturating_mul(milliseconds)
    }

    /// How long to wait until the client takes more, when it has taken so much in so long a time as there was no room for more;
    /// `None` when it is enough.
    pub(crate) fn write_patience(&self, sent: u64, elapsed: Duration) -> Option<Duration> {
        let is_slow = elapsed > self.write * 2
            && sent.saturating_add(UNTOLD)
                < u64::from(self.bytes_per_second_min).saturating_mul(elapsed.as_secs());
        (!is_slow).then_some(self.write)
    }

    /// How long, in milliseconds, until it is looked whether a client has taken more that had no room for so long. The first time is
    /// soon: what its system takes without it, it takes at once.
    pub(crate) fn write_ms(&self, elapsed: u64) -> u64 {
        let all = u64::try_from(self.write.as_millis()).unwrap_or(u64::MAX / 2);
        let first = (all / 8).min(LOOK.as_secs() * 1000);
        first.checked_sub(elapsed).filter(|left| *left > 0).unwrap_or(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn content_earns_time() {
        let rates = Rates::default();
        assert_eq!(rates.content_patience(0, SECOND * 5), Some(SECOND * 15));
        assert_eq!(rates.content_patience(0, SECOND * 21), None);
        assert_eq!(rates.content_patience(500, SECOND * 21), Some(Duration::ZERO));
        assert_eq!(rates.content_patience(5000, SECOND * 21), Some(SECOND * 9));
        // No least rate is the least that there is.
        let patient = Rates { bytes_per_second_min: 0, ..rates };
        assert_eq!(patient.content_patience(5, SECOND * 21), Some(SECOND * 4));
    }

    #[test]
    fn who_has_no_room_is_looked_at_soon_and_then_given_all_its_time() {
        let rates = Rates::default();
        for (elapsed, expected) in [(0, 1000), (999, 1), (1000, 30_000), (1001, 30_000), (40_000, 30_000)] {
            assert_eq!(rates.write_ms(elapsed), expected, "after {elapsed} ms");
        }
        let short = Rates { write: SECOND / 5, ..rates };
        assert_eq!((short.write_ms(24), short.write_ms(25)), (1, 200));
        let none = Rates { write: Duration::ZERO, ..rates };
        assert_eq!(none.write_ms(0), 0);
    }

    #[test]
    fn slow_clients_make_place() {
        let rates = Rates::default();
        for (octets, elapsed, expected) in [
            (0, SECOND / 2, false),
            (0, SECOND, true),
            (7999, SECOND, true),
            (8000, SECOND, false),
            (159_999, SECOND * 20, true),
            (160_000, SECOND * 20, false),
        ] {
            assert_eq!(rates.makes_place(octets, elapsed), expected, "{octets} in {elapsed:?}");
        }
        let patient = Rates { bytes_per_second_min: 0, ..rates };
        assert!(!patient.makes_place(0, SECOND * 100));
    }

    #[test]
    fn a_response_may_stall_and_may_not_crawl() {
        let rates = Rates::default();
        assert_eq!(rates.write_patience(0, SECOND * 59), Some(SECOND * 30));
        assert_eq!(rates.write_patience(0, SECOND * 61), Some(SECOND * 30));
        assert_eq!(rates.write_patience(0, SECOND * 132), None);
        assert_eq!(rates.write_patience(599 * 500 - UNTOLD, SECOND * 600), None);
        assert_eq!(rates.write_patience(600 * 500 - UNTOLD, SECOND * 600), Some(SECOND * 30));
        // Whatever the rate, it may stall for so long first.
        let strict = Rates { bytes_per_second_min: u32::MAX, ..rates };
        assert_eq!(strict.write_patience(0, SECOND * 60), Some(SECOND * 30));
        assert_eq!(strict.write_patience(0, SECOND * 61), None);
    }
}
