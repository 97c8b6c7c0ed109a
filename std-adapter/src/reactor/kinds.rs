//! Which kinds of request were seen to wait?
//!
//! A kind is a method and the first segment of a path: `GET /reports`. When a handler was seen to wait in it, or to compute for
//! long, which is the same to those behind it, the next requests of the kind are given to spare threads up front, and the loop need
//! not be handed over for each of them. A kind that has not waited for a while is served by the loop again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Kinds that can be known at a time. Two that share a place push each other out, which costs time and nothing else.
const PLACES: usize = 256;
/// Octets of a request line that tell kinds apart.
const OCTETS_MAX: usize = 48;
/// So many requests in a row that did not wait, and the kind is forgotten.
const PATIENCE: u64 = 255;
/// So many when it was quick before: it may have waited this once, or been kept waiting by a busy machine, and a thread for each
/// of its requests costs more than it does.
const DOUBT: u64 = 64;

/// A kind of request, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u64);

impl Kind {
    /// The kind of a request whose head begins so; `None` where that is no request, or not enough of one.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        // FNV-1a.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |octet: u8| hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        let mut octets = head.iter().take(OCTETS_MAX);
        loop {
            let &octet = octets.next()?;
            add(octet);
            if octet == b' ' {
                break;
            }
        }
        let &first = octets.next()?;
        add(first);
        for &octet in octets {
            // A target that is no path is its own kind.
            if octet <= b' ' || octet == b'?' || (octet == b'/' && first == b'/') {
                break;
            }
            add(octet);
        }
        Some(Self(hash))
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }

    fn place(self) -> usize {
        usize::try_from((self.0 >> 8) % PLACES as u64).unwrap_or(0)
    }
}

/// The kinds that are known to wait. Each place has the upper octets of a kind, and in the lowest how often it may still not
/// wait.
#[derive(Debug)]
pub(super) struct Kinds {
    places: Vec<AtomicU64>,
    /// Kinds of which one was answered within a tick.
    quick: Vec<AtomicU64>,
    /// Places that are taken: as long as there are none, nobody looks further.
    known: AtomicUsize,
}

impl Default for Kinds {
    fn default() -> Self {
        let places = || (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { places: places(), quick: places(), known: AtomicUsize::new(0) }
    }
}

impl Kinds {
    pub(super) fn is_empty(&self) -> bool {
        self.known.load(Ordering::Relaxed) == 0
    }

    pub(super) fn waits(&self, kind: Kind) -> bool {
        let known = self.places.get(kind.place()).map_or(0, |place| place.load(Ordering::Relaxed));
        known != 0 && known >> 8 == kind.0 >> 8
    }

    /// Was one of this kind answered at once, and was none found waiting since?
    pub(super) fn is_quick(&self, kind: Kind) -> bool {
        self.quick.get(kind.place()).is_some_and(|place| place.load(Ordering::Relaxed) == kind.0)
    }

    /// A request of this kind was answered at once.
    pub(super) fn saw_quick(&self, kind: Kind) {
        let Some(place) = self.quick.get(kind.place()) else { return };
        if place.load(Ordering::Relaxed) != kind.0 {
            place.store(kind.0, Ordering::Relaxed);
        }
    }

    /// A handler waits in this kind.
    pub(super) fn saw_wait(&self, kind: Kind) {
        let mut patience = PATIENCE;
        if let (true, Some(place)) = (self.is_quick(kind), self.quick.get(kind.place())) {
            place.store(0, Ordering::Relaxed);
            patience = DOUBT;
        }
        let Some(place) = self.places.get(kind.place()) else { return };
        if place.swap(kind.0 & !0xff | patience, Ordering::Relaxed) == 0 {
            self.known.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request of this kind was answered without waiting.
    pub(super) fn saw_no_wait(&self, kind: Kind) {
        let Some(place) = self.places.get(kind.place()) else { return };
        let known = place.load(Ordering::Relaxed);
        if known == 0 || known >> 8 != kind.0 >> 8 {
            return;
        }
        let next = if known & 0xff <= 1 { 0 } else { known - 1 };
        let swapped = place.compare_exchange(known, next, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() && next == 0 {
            self.known.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(head: &str) -> Kind {
        Kind::of(head.as_bytes()).expect("a method and the beginning of a target")
    }

    #[test]
    fn a_kind_is_a_method_and_a_first_segment() {
        let reports = kind_of("GET /reports HTTP/1.1\r\nHost: a");
        for head in [
            "GET /reports/1 HTTP/1.1\r\n",
            "GET /reports/2/x HTTP/1.1\r\n",
            "GET /reports?ms=1 HTTP/1.1\r\n",
            "GET /reports\r",
            "GET /reports\n",
            "GET /reports",
        ] {
            assert_eq!(kind_of(head), reports, "{head}");
        }
        for head in
            ["POST /reports HTTP/1.1", "GET /report HTTP/1.1", "GET /report/s HTTP/1.1", "GET / HTTP/1.1"]
        {
            assert_ne!(kind_of(head), reports, "{head}");
        }
        assert_ne!(kind_of("GET http://a/reports HTTP/1.1"), kind_of("GET http://a/fast HTTP/1.1"));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(100));
        assert_eq!(kind_of(&long), kind_of(&long[..OCTETS_MAX]));
        assert_ne!(kind_of(&long), kind_of(&long[..OCTETS_MAX - 1]));
        for none in ["", "GET", "GET "] {
            assert_eq!(Kind::of(none.as_bytes()), None, "{none}");
        }
    }

    /// Also where addresses are shorter than the numbers of kinds.
    #[test]
    fn kinds_are_spread_over_the_places() {
        let places = (0..PLACES).map(|number| kind_of(&format!("GET /{number} ")).place());
        let taken = places.collect::<std::collections::HashSet<_>>().len();
        assert!(taken > PLACES / 2, "{taken}");
    }

    #[test]
    fn a_kind_is_quick_until_it_waits() {
        let (kinds, kind) = (Kinds::default(), kind_of("GET /fast "));
        assert!(!kinds.is_quick(kind));
        kinds.saw_quick(kind);
        assert!(kinds.is_quick(kind) && !kinds.is_quick(kind_of("GET /slow ")));
        kinds.saw_wait(kind);
        assert!(!kinds.is_quick(kind));
        // It is forgotten the sooner, unless it waits again.
        for _ in 0..DOUBT {
            assert!(kinds.waits(kind));
            kinds.saw_no_wait(kind);
        }
        assert!(!kinds.waits(kind));
        kinds.saw_wait(kind);
        for _ in 0..=DOUBT {
            kinds.saw_no_wait(kind);
        }
        assert!(kinds.waits(kind));
    }

    #[test]
    fn a_kind_is_forgotten_when_it_no_longer_waits() {
        let kinds = Kinds::default();
        let kind = kind_of("GET /slow ");
        assert!(kinds.is_empty() && !kinds.waits(kind));
        kinds.saw_wait(kind);
        kinds.saw_wait(kind);
        assert!(!kinds.is_empty() && kinds.waits(kind));
        assert!(!kinds.waits(kind_of("GET /fast ")));
        for _ in 0..PATIENCE {
            assert!(kinds.waits(kind));
            kinds.saw_no_wait(kind);
        }
        assert!(kinds.is_empty() && !kinds.waits(kind));
    }
}
