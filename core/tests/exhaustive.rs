//! Small worlds, looked at as a whole: each octet in each place, each short word, each split.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod common;

use common::catalogue::{GOOD, LAST};
use common::{Setting, laws};
use httpling_core::{Config, RequestError, RequestHead};

const HEADS: &[&str] = &[
    "GET /a?b HTTP/1.1\r\nHost: a:1\r\nB: c d\r\n\r\n",
    "\r\nPOST http://a/ HTTP/1.0\r\nContent-Length: 10\r\nC:\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: [::1]\r\n\r\n",
];

/// Octets on the borders of the classes that the grammar speaks of.
const BORDERS: &[u8] = b"\0\t\n\r \x1f!\"#%,-./09:;<>?@AFZ[\\]^_`az{|}~\x7f\x80\xff+*(";

#[test]
fn every_octet_in_the_place_of_every_octet() {
    for head in HEADS {
        for at in 0..head.len() {
            let mut bytes = head.as_bytes().to_vec();
            for octet in 0..=u8::MAX {
                bytes[at] = octet;
                laws::heads_are_the_judges(&bytes, &Config::DEFAULT);
            }
        }
    }
}

#[test]
fn every_octet_put_in_or_taken_out_anywhere() {
    for head in HEADS {
        for at in 0..=head.len() {
            let (before, after) = head.as_bytes().split_at(at);
            laws::heads_are_the_judges(before, &Config::DEFAULT);
            laws::heads_are_the_judges(
                &[before, after.get(1..).unwrap_or_default()].concat(),
                &Config::DEFAULT,
            );
            for octet in BORDERS {
                laws::heads_are_the_judges(&[before, &[*octet], after].concat(), &Config::DEFAULT);
                // Two of them.
                laws::heads_are_the_judges(&[before, &[*octet, *octet], after].concat(), &Config::DEFAULT);
            }
        }
    }
}

/// Calls `act` with every word of up to `length` of these letters.
fn words(letters: &[&str], length: usize, act: &mut dyn FnMut(&str)) {
    fn grow(letters: &[&str], length: usize, word: &mut String, act: &mut dyn FnMut(&str)) {
        act(word);
        if length > 0 {
            for letter in letters {
                let before = word.len();
                word.push_str(letter);
                grow(letters, length - 1, word, act);
                word.truncate(before);
            }
        }
    }
    grow(letters, length, &mut String::new(), act);
}

fn head_with(lines: &str) {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    laws::heads_are_the_judges(head.as_bytes(), &Config::DEFAULT);
}

#[test]
fn every_short_content_length() {
    words(&["0", "1", "9", "+", "-", ",", " ", "\t", "x", "."], 4, &mut |word| {
        head_with(&format!("Content-Length:{word}\r\n"));
    });
}

#[test]
fn every_short_list_of_codings_on_two_lines() {
    let codings = ["chunked", "gzip", ",", " ", "x", "\t"];
    words(&codings, 4, &mut |word| head_with(&format!("Transfer-Encoding:{word}\r\n")));
    words(&codings, 2, &mut |one| {
        words(&codings, 2, &mut |other| {
            head_with(&format!("Transfer-Encoding:{one}\r\ntransfer-encoding:{other}\r\n"));
        });
    });
}

/// Which framing two lines make together, whatever their order.
#[test]
fn every_pair_of_framing_lines() {
    let lines = [
        "",
        "Content-Length: 0\r\n",
        "Content-Length: 1\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: x\r\n",
        "Transfer-Encoding:\r\n",
        "Host: a\r\n",
        "Host: b\r\n",
        "Content-Length : 1\r\n",
    ];
    for version in ["1.0", "1.1", "1.2"] {
        for one in lines {
            for other in lines {
                for third in lines {
                    let head = format!("POST / HTTP/{version}\r\n{one}{other}{third}\r\n");
                    laws::heads_are_the_judges(head.as_bytes(), &Config::DEFAULT);
                }
            }
        }
    }
}

#[test]
fn every_short_host_and_target() {
    words(&["a", ":", "1", "[", "]", "::", "%41", "%", "@", ".", "/"], 4, &mut |word| {
        let head = format!("GET / HTTP/1.1\r\nHost: {word}\r\n\r\n");
        laws::heads_are_the_judges(head.as_bytes(), &Config::DEFAULT);
    });
    for method in ["GET", "CONNECT", "OPTIONS"] {
        words(&["a", ":", "1", "/", "?", "*", "[::1]", "@", "http://"], 4, &mut |word| {
            let head = format!("{method} {word} HTTP/1.1\r\nHost: a\r\n\r\n");
            laws::heads_are_the_judges(head.as_bytes(), &Config::DEFAULT);
        });
    }
}

#[test]
fn every_short_chunked_content() {
    words(&["0", "1", "A", "\r\n", "\r", "\n", ";", " "], 5, &mut |word| {
        laws::chunks_are_the_judges(word.as_bytes());
    });
    words(&["a", "=", "\"", "\\", ";", " ", "\t"], 4, &mut |word| {
        laws::chunks_are_the_judges(format!("1;{word}\r\nx\r\n0\r\n\r\n").as_bytes());
    });
    words(&["a", ":", "\r\n", " ", "\n", "\x01"], 4, &mut |word| {
        laws::chunks_are_the_judges(format!("0\r\n{word}\r\n\r\n").as_bytes());
    });
}

#[test]
fn every_octet_in_the_place_of_every_octet_of_chunks() {
    let chunks = b"2;a=\"b\"\r\nxy\r\n1\r\n\r\r\n0;c\r\nD: e\r\n\r\n";
    for at in 0..chunks.len() {
        let (before, after) = chunks.split_at(at);
        laws::chunks_are_the_judges(before);
        laws::chunks_are_the_judges(&[before, &after[1..]].concat());
        for octet in 0..=u8::MAX {
            laws::chunks_are_the_judges(&[before, &[octet], &after[1..]].concat());
            laws::chunks_are_the_judges(&[before, &[octet], after].concat());
        }
    }
}

/// Each request split in two at each place; and through each size of input buffer.
#[test]
fn every_split_in_two() {
    for request in GOOD.iter().chain(LAST) {
        for at in 1..request.len() {
            laws::any_split_is_the_whole(request.as_bytes(), &[at, usize::MAX], &Setting::default());
        }
        for input in (request.len() / 2)..request.len() + 2 {
            let setting = Setting { input, output: 200, ..Setting::default() };
            laws::any_split_is_the_whole(request.as_bytes(), &[1], &setting);
        }
    }
}

/// The limit of the request line is exact, wherever in it the octets are that make it long, and in whatever pieces.
#[test]
fn request_lines_of_65536_and_65537_octets() {
    let line = |method: usize, target: usize| {
        format!("{} /{} HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(method), "a".repeat(target))
    };
    // Two spaces, a slash, and the version.
    for method in [3, 10, 4096, 65_000] {
        let just = line(method, 65_536 - 11 - method);
        assert_eq!(just.find("\r\n"), Some(65_536));
        let head = RequestHead::parse(just.as_bytes(), &Config::DEFAULT).expect("accepted").expect("whole");
        assert_eq!(head.raw_request_line().len(), 65_538, "with its line end");
        let long = line(method, 65_537 - 11 - method);
        let error = RequestHead::parse(long.as_bytes(), &Config::DEFAULT).err();
        assert_eq!(error, Some(RequestError::RequestLineTooLong));
        assert_eq!(error.map(|error| error.status().code()), Some(414));
        for pieces in [&[1000][..], &[65_535, 1], &[65_536, 1], &[65_537, 1]] {
            laws::any_split_is_the_whole(just.as_bytes(), pieces, &Setting::default());
            laws::any_split_is_the_whole(long.as_bytes(), pieces, &Setting::default());
        }
    }
}

/// Limits of every small size on every small head: the judge counts whole lines.
#[test]
fn every_small_limit() {
    for head in HEADS {
        for octets in 0..60 {
            let mut config = Config::DEFAULT;
            config.limits.request_line_bytes_max = octets;
            laws::heads_are_the_judges(head.as_bytes(), &config);
            config = Config::DEFAULT;
            config.limits.field_section_bytes_max = octets;
            laws::heads_are_the_judges(head.as_bytes(), &config);
        }
        for lines in 0..4 {
            let mut config = Config::DEFAULT;
            config.limits.fields_max = lines;
            config.limits.empty_lines_max = lines;
            laws::heads_are_the_judges(head.as_bytes(), &config);
        }
    }
}
