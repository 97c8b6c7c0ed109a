//! Which octets may stand where, and finding the first one that may not.
//!
//! Every rule of the grammar that speaks of single octets is in this file: as a table, and as arithmetic on
//! several octets at once, which skips what needs no table.

// What is inlined always is measured in `benches/head.rs`.
#![allow(clippy::inline_always)]

/// May stand in a `token` (RFC 9110 §5.6.2): methods, field names, transfer codings.
pub(crate) const TOKEN: u8 = 1;
/// May stand in a field value (RFC 9110 §5.5): visible octets, SP, HTAB and `obs-text`.
pub(crate) const VALUE: u8 = 1 << 1;
/// May stand in a request-target: what RFC 3986 §2 allows in a URI reference without fragment.
pub(crate) const TARGET: u8 = 1 << 2;
/// Is no URI octet, and yet browsers send it as it is in a query: `"<>\^{|}` and the grave accent.
pub(crate) const TARGET_BY_BROWSERS: u8 = 1 << 3;
/// May stand in a `reg-name` as it is (RFC 3986 §3.2.2): `unreserved` and `sub-delims`.
pub(crate) const REG_NAME: u8 = 1 << 4;
/// A hexadecimal digit.
pub(crate) const HEX: u8 = 1 << 5;
/// A decimal digit.
pub(crate) const DIGIT: u8 = 1 << 6;
/// May stand in a URI scheme behind its first letter (RFC 3986 §3.1).
pub(crate) const SCHEME: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0u8;
    loop {
        let mut class = 0;
        if matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
        {
            class |= TOKEN;
        }
        if !is_control(octet) {
            class |= VALUE;
        }
        if matches!(octet, b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~') {
            class |= TARGET;
        }
        if matches!(octet, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') {
            class |= TARGET_BY_BROWSERS;
        }
        if matches!(octet, b'!' | b'$' | b'&'..=b'.' | b'0'..=b'9' | b';' | b'=' | b'A'..=b'Z' | b'_' | b'a'..=b'z' | b'~')
        {
            class |= REG_NAME;
        }
        if octet.is_ascii_hexdigit() {
            class |= HEX;
        }
        if octet.is_ascii_digit() {
            class |= DIGIT;
        }
        if matches!(octet, b'+' | b'-' | b'.') || octet.is_ascii_alphanumeric() {
            class |= SCHEME;
        }
        // The table has one row for each octet, so the index is in range; evaluated while compiling.
        #[allow(clippy::indexing_slicing)]
        {
            table[octet as usize] = class;
        }
        if octet == u8::MAX {
            return table;
        }
        octet += 1;
    }
}

/// The control octets that no field value may hold: CTL without HTAB.
pub(crate) const fn is_control(octet: u8) -> bool {
    (octet < b' ' && octet != b'\t') || octet == 0x7f
}

/// Is `octet` in one of `classes`?
#[inline(always)]
pub(crate) fn is(octet: u8, classes: u8) -> bool {
    // An octet always has its row: `get` on 256 entries with a `u8` compiles to a plain load.
    CLASSES.get(usize::from(octet)).is_some_and(|class| class & classes != 0)
}

/// Are all of `octets` in one of `classes`?
pub(crate) fn are(octets: &[u8], classes: u8) -> bool {
    octets.iter().all(|&octet| is(octet, classes))
}

/// Is this a `token` (RFC 9110 §5.6.2)?
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && (are_letters(octets) || are(octets, TOKEN))
}

/// May this be a field value (RFC 9110 §5.5)?
pub(crate) fn is_value(octets: &[u8]) -> bool {
    are_visible(octets) || are(octets, VALUE)
}

/// Where the octets of `classes` that begin at `at` end.
#[inline]
pub(crate) fn end_of(classes: u8, octets: &[u8], mut at: usize) -> usize {
    while octets.get(at).is_some_and(|&octet| is(octet, classes)) {
        at += 1;
    }
    at
}

use runs::{are_letters, are_visible};
pub(crate) use runs::{end_of_name, end_of_reg_name, end_of_run, end_of_target, end_of_value, position};

/// Where runs of octets end, with 64-bit registers: eight octets at once.
///
/// The functions that judge a word set the high bit of each octet that may be what is looked for. They need not be
/// exact, as the table has the last word: a mark too many costs time, and no mark is missing up to the first octet that
/// is rightly marked. So additions may carry into the octet above one that is marked.
///
/// (Blocks of 16 octets, which the compiler makes vector instructions of, are a tenth faster when it does, and
/// three times as slow when it does not, as without link-time optimisation.)
#[cfg(target_pointer_width = "64")]
mod runs {
    use super::{REG_NAME, TARGET, TOKEN, VALUE, is};

    const WORD: usize = size_of::<u64>();
    const HIGH_BITS: u64 = all(0x80);

    const fn all(octet: u8) -> u64 {
        u64::from_ne_bytes([octet; WORD])
    }

    /// Where the field name that goes on at `at` ends.
    #[inline]
    pub(crate) fn end_of_name(octets: &[u8], at: usize) -> usize {
        end_of(TOKEN, octets, at, is_no_letter)
    }

    /// Where the field value that goes on at `at` ends.
    #[inline]
    pub(crate) fn end_of_value(octets: &[u8], at: usize) -> usize {
        end_of(VALUE, octets, at, is_invisible)
    }

    /// Where the request-target that goes on at `at` ends.
    #[inline]
    pub(crate) fn end_of_target(octets: &[u8], at: usize) -> usize {
        // From `$` to `;` are the digits and most of the punctuation.
        end_of(TARGET, octets, at, |word| !(is_letter(word) | is_within(word, b'$', b';')) | word)
    }

    /// Where the host that begins `octets` ends, if it is a name. Most consist of letters and digits between their dots.
    #[inline]
    pub(crate) fn end_of_reg_name(octets: &[u8]) -> usize {
        end_of(REG_NAME, octets, 0, |word| !(is_letter(word) | is_within(word, b'0', b'9')) | word)
    }

    /// Where the octets of `classes` that go on at `at` end.
    #[inline]
    pub(crate) fn end_of_run(classes: u8, octets: &[u8], at: usize) -> usize {
        match classes {
            TOKEN => end_of_name(octets, at),
            TARGET => end_of_target(octets, at),
            VALUE => end_of_value(octets, at),
            _ => super::end_of(classes, octets, at),
        }
    }

    /// Where the first `octet` is.
    #[inline]
    pub(crate) fn position(octets: &[u8], octet: u8) -> Option<usize> {
        let mut at = 0;
        while let Some(word) = octets.get(at..at + WORD).and_then(<[u8]>::first_chunk) {
            let is_not = u64::from_le_bytes(*word) ^ all(octet);
            let marks = is_not.wrapping_sub(all(1)) & !is_not & HIGH_BITS;
            if marks != 0 {
                return Some(at + (marks.trailing_zeros() / u8::BITS) as usize);
            }
            at += WORD;
        }
        let behind = octets.get(at..)?.iter().position(|&other| other == octet)?;
        Some(at + behind)
    }

    /// Are these letters and hyphens, as far as eight octets at once can tell?
    #[inline]
    pub(super) fn are_letters(octets: &[u8]) -> bool {
        are_not(octets, is_no_letter)
    }

    /// Are these visible octets and SP, as far as eight octets at once can tell?
    #[inline]
    pub(super) fn are_visible(octets: &[u8]) -> bool {
        are_not(octets, is_invisible)
    }

    /// Nearly all names consist of letters and hyphens.
    #[inline(always)]
    fn is_no_letter(word: u64) -> u64 {
        let is_no_hyphen = (word ^ all(b'-')).wrapping_add(all(0x7f));
        !is_letter(word) & is_no_hyphen | word
    }

    /// HTAB and `obs-text` are rare enough to be left to the table. What is below SP wraps around.
    #[inline(always)]
    fn is_invisible(word: u64) -> u64 {
        word.wrapping_sub(all(b' ')) | word.wrapping_add(all(1))
    }

    /// Is none of `octets` marked? The last eight are looked at together, whether or not the words before end there.
    #[inline(always)]
    fn are_not(octets: &[u8], mark: impl Fn(u64) -> u64) -> bool {
        let Some(last) = octets.last_chunk() else { return false };
        let mut marks = mark(u64::from_le_bytes(*last));
        let mut rest = octets;
        while let Some((word, behind)) = rest.split_first_chunk() {
            marks |= mark(u64::from_le_bytes(*word));
            rest = behind;
        }
        marks & HIGH_BITS == 0
    }

    #[inline(always)]
    fn is_letter(word: u64) -> u64 {
        is_within(word | all(0x20), b'a', b'z')
    }

    #[inline(always)]
    fn is_within(word: u64, first: u8, last: u8) -> u64 {
        word.wrapping_add(all(0x80 - first)) & !word.wrapping_add(all(0x7f - last))
    }

    /// Where the octets of `classes` that go on at `at` end. All others are marked.
    #[inline(always)]
    fn end_of(classes: u8, octets: &[u8], mut at: usize, mark: impl Fn(u64) -> u64) -> usize {
        while let Some(word) = octets.get(at..at + WORD).and_then(<[u8]>::first_chunk) {
            let marks = mark(u64::from_le_bytes(*word)) & HIGH_BITS;
            if marks == 0 {
                at += WORD;
                continue;
            }
            at += (marks.trailing_zeros() / u8::BITS) as usize;
            match octets.get(at) {
                Some(&octet) if is(octet, classes) => at += 1,
                _ => return at,
            }
        }
        super::end_of(classes, octets, at)
    }
}

/// Where runs of octets end, on small processors: there the table is as fast as anything, and smaller.
#[cfg(not(target_pointer_width = "64"))]
mod runs {
    pub(crate) use super::end_of as end_of_run;
    use super::{REG_NAME, TARGET, TOKEN, VALUE, end_of};

    /// Where the field name that goes on at `at` ends.
    pub(crate) fn end_of_name(octets: &[u8], at: usize) -> usize {
        end_of(TOKEN, octets, at)
    }

    /// Where the field value that goes on at `at` ends.
    pub(crate) fn end_of_value(octets: &[u8], at: usize) -> usize {
        end_of(VALUE, octets, at)
    }

    /// Where the request-target that goes on at `at` ends.
    pub(crate) fn end_of_target(octets: &[u8], at: usize) -> usize {
        end_of(TARGET, octets, at)
    }

    /// Where the host that begins `octets` ends, if it is a name.
    pub(crate) fn end_of_reg_name(octets: &[u8]) -> usize {
        end_of(REG_NAME, octets, 0)
    }

    /// The table knows better.
    #[inline(always)]
    pub(super) fn are_letters(_: &[u8]) -> bool {
        false
    }

    /// As for letters.
    #[inline(always)]
    pub(super) fn are_visible(_: &[u8]) -> bool {
        false
    }

    /// Where the first `octet` is.
    pub(crate) fn position(octets: &[u8], octet: u8) -> Option<usize> {
        octets.iter().position(|&other| other == octet)
    }
}

/// Is this word of a head `lower_case`, which consists of small letters, digits and hyphens, in whatever case?
#[inline]
pub(crate) fn is_word(word: &[u8], lower_case: &[u8]) -> bool {
    // With this bit, a capital letter becomes a small one. So would a control octet become a digit or a hyphen, but
    // the scanner lets none pass.
    word.len() == lower_case.len() && word.iter().zip(lower_case).all(|(octet, small)| octet | 0x20 == *small)
}

/// Without optional white space (SP and HTAB) at both ends (RFC 9110 §5.6.3).
pub(crate) fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = octets {
        octets = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

/// The members of a comma-separated list, trimmed, without the empty ones, which a recipient
/// "MUST parse and ignore" (RFC 9110 §5.6.1.2). Not for lists with quoted strings.
pub(crate) fn list(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let (member, behind) = split_once(rest, b',').unwrap_or((rest, b""));
            rest = behind;
            let member = trim(member);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

/// `octets` before and after the first `separator`.
pub(crate) fn split_once(octets: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = position(octets, separator)?;
    let (before, from) = octets.split_at_checked(at)?;
    Some((before, from.get(1..)?))
}

/// Copies as much of `from` as `to` holds and says how much that was.
/// (`copy_from_slice` panics when the lengths differ.)
#[inline]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    count
}

/// Moves everything from `from` on down to `to`; what is above the moved octets stays as it was.
pub(crate) fn move_down(octets: &mut [u8], from: usize, to: usize) {
    let Some(gap) = from.checked_sub(to).filter(|&gap| gap > 0) else { return };
    // In pieces as long as the gap: no piece overlaps the place it goes to.
    let mut at = to;
    while let Some((gone, kept)) = octets.get_mut(at..).and_then(|rest| rest.split_at_mut_checked(gap)) {
        if kept.is_empty() {
            return;
        }
        copy(kept, gone);
        at += gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The grammar of RFC 9110 and RFC 3986, spelled out octet by octet.
    #[test]
    fn classes_are_the_grammars() {
        for octet in 0..=u8::MAX {
            let alphanumeric = octet.is_ascii_alphanumeric();
            let sub_delims = b"!$&'()*+,;=".contains(&octet);
            let unreserved = alphanumeric || b"-._~".contains(&octet);
            assert_eq!(is(octet, TOKEN), alphanumeric || b"!#$%&'*+-.^_`|~".contains(&octet), "{octet}");
            assert_eq!(is(octet, VALUE), octet == b'\t' || (octet >= b' ' && octet != 0x7f), "{octet}");
            assert_eq!(is(octet, TARGET), unreserved || sub_delims || b"%:@/?[]".contains(&octet), "{octet}");
            assert_eq!(is(octet, TARGET_BY_BROWSERS), b"\"<>\\^`{|}".contains(&octet), "{octet}");
            assert_eq!(is(octet, REG_NAME), unreserved || sub_delims, "{octet}");
            assert_eq!(is(octet, HEX), octet.is_ascii_hexdigit(), "{octet}");
            assert_eq!(is(octet, DIGIT), octet.is_ascii_digit(), "{octet}");
            assert_eq!(is(octet, SCHEME), alphanumeric || b"+-.".contains(&octet), "{octet}");
        }
    }

    /// Every octet, at every place of a text of every small size.
    #[test]
    fn words_find_what_the_table_finds() {
        for length in 0..40 {
            for place in 0..length {
                for octet in 0..=u8::MAX {
                    let mut octets = std::vec![b'a'; length];
                    octets[place] = octet;
                    for at in [0, place / 2, place] {
                        assert_eq!(end_of_name(&octets, at), end_of(TOKEN, &octets, at));
                        assert_eq!(end_of_value(&octets, at), end_of(VALUE, &octets, at));
                        assert_eq!(is_value(&octets), are(&octets, VALUE));
                        assert_eq!(is_token(&octets), are(&octets, TOKEN));
                        assert_eq!(end_of_target(&octets, at), end_of(TARGET, &octets, at));
                        assert_eq!(end_of_reg_name(&octets[at..]), end_of(REG_NAME, &octets[at..], 0));
                    }
                }
            }
        }
    }

    #[test]
    fn move_down_is_copy_within() {
        for length in 0..24usize {
            for from in 0..=length {
                for to in 0..=from {
                    let mut moved: Vec<u8> = (0..=u8::MAX).take(length).collect();
                    let mut expected = moved.clone();
                    expected.copy_within(from.., to);
                    move_down(&mut moved, from, to);
                    let end = to + length - from;
                    assert_eq!(moved[..end], expected[..end], "{length} {from} {to}");
                }
            }
        }
    }

    #[test]
    fn lists_lose_empty_members_and_white_space() {
        let members: Vec<&[u8]> = list(b",a ,\t, b c,").collect();
        assert_eq!(members, [&b"a"[..], b"b c"]);
        assert_eq!(list(b" , ").count(), 0);
    }

    #[test]
    fn words_are_compared_without_case() {
        for octet in (0..=u8::MAX).filter(|&octet| is(octet, VALUE) && octet != b'\t') {
            for known in b"a-z0-9" {
                assert_eq!(is_word(&[octet], &[*known]), octet.eq_ignore_ascii_case(known), "{octet}");
            }
        }
        assert!(is_word(b"X-1", b"x-1"));
        assert!(!is_word(b"x-", b"x-1"));
    }

    #[test]
    fn split_once_takes_the_first() {
        assert_eq!(split_once(b"a:b:c", b':'), Some((&b"a"[..], &b"b:c"[..])));
        assert_eq!(split_once(b":", b':'), Some((&b""[..], &b""[..])));
        assert_eq!(split_once(b"a", b':'), None);
    }
}
