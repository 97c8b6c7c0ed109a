//! What does a head cost, whole and in pieces? Beside httparse, which starts again from the first octet
//! whenever there are more of them.

mod harness;

use harness::heads::BROWSER;
use harness::{Case, Goal};
use httpling_core::{Config, HeadParser, RequestHead};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::LazyLock;

/// So many heads, so that what surrounds a head costs nothing.
const ROUNDS: u32 = 10;

/// The browser's, after some weeks of cookies.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let before = BROWSER.strip_suffix(b"\r\n").unwrap_or_default();
    let mut head = [before, b"Cookie: "].concat();
    while head.len() < 8192 {
        head.extend_from_slice(b"session=0123456789abcdef; ");
    }
    head.extend_from_slice(b"last=1\r\n\r\n");
    head
});

fn main() {
    let case = |name, run| Case { name, units: ROUNDS, run };
    let goal = |case, than, most| Goal { case, than, most };
    harness::main(
        &[
            case("browser head, whole", || whole(BROWSER)),
            case("browser head, whole, httparse", || httparse_in_pieces(BROWSER, usize::MAX)),
            case("browser head, 64 octets at a time", || in_pieces(BROWSER, 64)),
            case("browser head, 64 octets at a time, httparse", || httparse_in_pieces(BROWSER, 64)),
            case("browser head, octet by octet", || in_pieces(BROWSER, 1)),
            case("browser head, octet by octet, httparse", || httparse_in_pieces(BROWSER, 1)),
            case("8 KiB head, whole", || whole(&LARGE)),
            case("8 KiB head, octet by octet", || in_pieces(&LARGE, 1)),
            case("8 KiB head, octet by octet, httparse", || httparse_in_pieces(&LARGE, 1)),
        ],
        &[
            goal("browser head, whole", "browser head, whole, httparse", 1.0),
            goal("browser head, 64 octets at a time", "browser head, whole", 1.2),
            goal("browser head, octet by octet", "browser head, octet by octet, httparse", 1.0 / 70.0),
            goal("8 KiB head, octet by octet", "8 KiB head, octet by octet, httparse", 1.0 / 70.0),
        ],
    );
}

fn whole(head: &[u8]) {
    for _ in 0..ROUNDS {
        let parsed = RequestHead::parse(black_box(head), &Config::DEFAULT);
        assert!(black_box(parsed).is_ok_and(|head| head.is_some()));
    }
}

fn in_pieces(head: &[u8], piece: usize) {
    for _ in 0..ROUNDS {
        let mut parser = HeadParser::new();
        let whole = prefixes(head, piece).any(|arrived| {
            let parsed = parser.parse(black_box(arrived), &Config::DEFAULT);
            !matches!(parsed, Ok(None)) && black_box(parsed).is_ok()
        });
        assert!(whole);
    }
}

fn httparse_in_pieces(head: &[u8], piece: usize) {
    for _ in 0..ROUNDS {
        let whole = prefixes(head, piece).any(|arrived| {
            // As hyper does: room for more fields than most heads have, not written before it is used.
            let mut fields = [MaybeUninit::uninit(); 100];
            let mut request = httparse::Request::new(&mut []);
            let parsed = request.parse_with_uninit_headers(black_box(arrived), &mut fields);
            !matches!(parsed, Ok(httparse::Status::Partial)) && black_box((parsed, request)).0.is_ok()
        });
        assert!(whole);
    }
}

/// What has arrived after each piece. (The steps of an iterator would cost half of what an octet does.)
fn prefixes(head: &[u8], piece: usize) -> impl Iterator<Item = &[u8]> {
    let mut end = 0usize;
    std::iter::from_fn(move || {
        let before = end;
        end = end.saturating_add(piece).min(head.len());
        if end > before { head.get(..end) } else { None }
    })
}
