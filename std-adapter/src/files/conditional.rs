//! Does the client have this file already? (RFC 9110 §8.8, §13; spec 126–131)
//!
//! Python knows `If-Modified-Since` alone. Here all five preconditions hold, in the order of §13.2.2 (131 H), so that a
//! download that is resumed cannot be glued together from two versions.

use httpling_core::{Fields, HttpDate};
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For so long after a change a file may change again and keep its date: FAT counts in steps of two seconds, kernels in
/// steps of some milliseconds.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one version of a file from another, taken from its descriptor when it was opened.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    /// `"0123456789abcdef"`, with `W/` in front while the file is not settled: then a tag is no proof that every octet is
    /// the same (§8.8.1).
    etag: String,
    settled: bool,
    /// Seconds since 1970; `None` for what has no date, or one that no `Last-Modified` can say.
    modified: Option<u64>,
    /// As the client is told.
    last_modified: Option<HttpDate>,
}

/// What the preconditions of a request lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They hold: send the file, or the part that was asked for.
    Proceed,
    /// The client has it: 304.
    NotModified,
    /// The client wanted another version: 412.
    Failed,
}

impl Validators {
    pub(super) fn new(metadata: &Metadata, now: SystemTime) -> Self {
        Self::of(metadata.modified().ok(), metadata.len(), inode(metadata), now)
    }

    fn of(modified: Option<SystemTime>, length: u64, inode: u64, now: SystemTime) -> Self {
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        let settled = age.is_some_and(|age| age >= SETTLED);
        let since_epoch = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        // Date, length and inode make the tag, but do not stand in it: an inode number is nobody's business. All
        // processes make the same of the same file.
        let mut hasher = DefaultHasher::new();
        (modified.map(sortable), length, inode).hash(&mut hasher);
        let etag = format!("{}\"{:016x}\"", if settled { "" } else { "W/" }, hasher.finish());
        let modified = since_epoch.map(|since| since.as_secs());
        // "An origin server with a clock … MUST NOT generate a Last-Modified date that is later than the server's time of
        // message origination" (§8.8.2.1)
        let now = now.duration_since(UNIX_EPOCH).map_or(u64::MAX, |now| now.as_secs());
        let last_modified = modified.map(|seconds| HttpDate::from_unix_seconds(seconds.min(now)));
        Self { etag, settled, modified, last_modified }
    }

    /// The value of `ETag`.
    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// The value of `Last-Modified`.
    pub(super) fn last_modified(&self) -> Option<&str> {
        self.last_modified.as_ref().map(HttpDate::as_str)
    }

    /// Evaluates the preconditions of a GET or HEAD, in the order of §13.2.2.
    pub(super) fn evaluate(&self, fields: Fields<'_>) -> Outcome {
        if has(fields, "if-match") {
            // "MUST use the strong comparison function" (§13.1.1)
            if !self.is_listed(fields, "if-match", Comparison::Strong) {
                return Outcome::Failed;
            }
        } else if let (Some(modified), Some(date)) = (self.modified, date(fields, "if-unmodified-since"))
            && modified > date
        {
            return Outcome::Failed;
        }
        let has_it = if has(fields, "if-none-match") {
            self.is_listed(fields, "if-none-match", Comparison::Weak)
        } else {
            let date = date(fields, "if-modified-since");
            self.modified.zip(date).is_some_and(|(modified, date)| modified <= date)
        };
        if has_it { Outcome::NotModified } else { Outcome::Proceed }
    }

    /// May a part be sent? With `If-Range` only if it is a part of the version that the client has (§13.1.5).
    pub(super) fn allow_range(&self, fields: Fields<'_>) -> bool {
        let mut values = fields.values("if-range");
        let value = match (values.next(), values.next()) {
            (None, _) => return true,
            (Some(value), None) => value,
            _ => return false,
        };
        // Tag or date, both have to be strong, and a date has to be exactly the one that was sent.
        self.settled
            && if value.contains(&b'"') {
                value == self.etag.as_bytes()
            } else {
                parse_date(value).is_some_and(|date| self.modified == Some(date))
            }
    }

    fn is_listed(&self, fields: Fields<'_>, name: &str, comparison: Comparison) -> bool {
        // "*" stands for any version, and there is one.
        fields
            .values(name)
            .any(|value| value == b"*" || EntityTags(value).any(|tag| self.is(tag, comparison)))
    }

    fn is(&self, tag: EntityTag<'_>, comparison: Comparison) -> bool {
        let own = self.etag.strip_prefix("W/").unwrap_or(&self.etag);
        let may = comparison == Comparison::Weak || (self.settled && !tag.weak);
        may && tag.opaque == own.as_bytes()
    }
}

/// Seconds and nanoseconds, on whichever side of 1970.
fn sortable(time: SystemTime) -> (bool, Duration) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (true, after),
        Err(before) => (false, before.duration()),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

/// How tags are compared (§8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// Equal, and neither is weak.
    Strong,
    /// Equal but for weakness.
    Weak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntityTag<'a> {
    weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// The members of `#entity-tag`. It ends where the grammar does: what is behind that equals nothing.
struct EntityTags<'a>(&'a [u8]);

impl<'a> Iterator for EntityTags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        let start = self.0.iter().position(|octet| !matches!(octet, b' ' | b'\t' | b','))?;
        let member = self.0.get(start..)?;
        // `weak = %s"W/"`: with its case (§8.8.3).
        let (weak, quoted) = match member.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, member),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        // A tag may hold commas, and backslashes that escape nothing.
        let end = inner.iter().position(|&octet| octet == b'"')? + 2;
        let (opaque, rest) = quoted.split_at_checked(end)?;
        self.0 = rest;
        Some(EntityTag { weak, opaque })
    }
}

fn has(fields: Fields<'_>, name: &str) -> bool {
    fields.value(name).is_some()
}

/// The date in a field. A recipient "MUST ignore" the field when its value is no valid HTTP-date, or a list of them (§13.1.3,
/// §13.1.4).
fn date(fields: Fields<'_>, name: &str) -> Option<u64> {
    let mut values = fields.values(name);
    match (values.next(), values.next()) {
        (Some(value), None) => parse_date(value),
        _ => None,
    }
}

/// The three forms of an HTTP-date (§5.6.7), in seconds since 1970. Of those that Python takes besides (spec 127), nobody
/// is known to send any.
fn parse_date(value: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use httpling_core::{Config, RequestHead};

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const MODIFIED: u64 = 784_111_777;

    fn validators(age: Duration) -> Validators {
        let modified = UNIX_EPOCH + Duration::new(MODIFIED, 5);
        Validators::of(Some(modified), 10, 7, modified + age)
    }

    fn with_fields<T>(fields: &str, act: impl FnOnce(Fields<'_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        act(RequestHead::parse(head.as_bytes(), &Config::DEFAULT).expect("valid").expect("whole").headers())
    }

    /// `TAG` in the fields is the file's own tag without `W/`.
    fn evaluate(age: Duration, fields: &str) -> (Outcome, bool) {
        let validators = validators(age);
        let fields = fields.replace("TAG", validators.etag.trim_start_matches("W/")).replace('|', "\r\n");
        with_fields(&fields, |fields| (validators.evaluate(fields), validators.allow_range(fields)))
    }

    macro_rules! case {
        ($name:ident, $fields:expr, $expected:expr) => {
            #[test]
            fn $name() {
                assert_eq!(evaluate(Duration::from_secs(3600), concat!($fields, "|")).0, $expected);
            }
        };
    }

    use Outcome::{Failed, NotModified, Proceed};
    case! { nothing_asked, "A: b", Proceed }

    case! { since_the_same_date, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", NotModified }
    case! { since_a_later_date, "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", NotModified }
    case! { since_an_earlier_date, "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", Proceed }
    case! { since_a_date_in_the_future, "If-Modified-Since: Sat, 06 Nov 2094 08:49:37 GMT", NotModified }
    case! { since_a_date_of_rfc_850, "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", NotModified }
    case! { since_a_date_of_asctime, "If-Modified-Since: Sun Nov  6 08:49:37 1994", NotModified }
    case! { since_another_zone_is_ignored, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 +0100", Proceed }
    case! { since_no_date_is_ignored, "If-Modified-Since: yesterday", Proceed }
    case! { since_a_wrong_day_of_the_week_is_ignored, "If-Modified-Since: Mon, 06 Nov 1994 08:49:37 GMT", Proceed }
    case! { since_a_day_that_is_none_is_ignored, "If-Modified-Since: Wed, 31 Feb 2094 08:49:37 GMT", Proceed }
    case! { since_octets_beyond_ascii_is_ignored, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMÉ", Proceed }
    case! {
        since_two_dates_is_ignored,
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT|If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        Proceed
    }

    case! { none_match_the_tag, "If-None-Match: TAG", NotModified }
    case! { none_match_the_weak_tag, "If-None-Match: W/TAG", NotModified }
    case! { none_match_in_a_list, "If-None-Match: \"a,b\", ,\"\" , TAG", NotModified }
    case! { none_match_without_commas, "If-None-Match: \"a\" TAG", NotModified }
    case! { none_match_in_a_second_field, "If-None-Match: \"a\"|If-None-Match: TAG", NotModified }
    case! { none_match_inside_a_tag, "If-None-Match: \"a, TAG", Proceed }
    case! { none_match_another, "If-None-Match: \"a\"", Proceed }
    case! { none_match_any, "If-None-Match: *", NotModified }
    case! { none_match_an_open_quote, "If-None-Match: \"a", Proceed }
    case! { none_match_no_quotes, "If-None-Match: a", Proceed }
    case! { none_match_a_small_w, "If-None-Match: w/TAG", Proceed }
    case! {
        none_match_goes_before_since,
        "If-None-Match: \"a\"|If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        Proceed
    }
    case! {
        a_malformed_tag_goes_before_since,
        "If-None-Match: a|If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        Proceed
    }

    case! { match_the_tag, "If-Match: TAG", Proceed }
    case! { match_any, "If-Match: *", Proceed }
    case! { match_another, "If-Match: \"a\"", Failed }
    case! { match_the_weak_tag, "If-Match: W/TAG", Failed }
    case! { match_then_none_match, "If-Match: TAG|If-None-Match: TAG", NotModified }
    case! { match_goes_first, "If-None-Match: TAG|If-Match: \"a\"", Failed }
    case! { unmodified_since_the_same_date, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", Proceed }
    case! { unmodified_since_an_earlier_date, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", Failed }
    case! { unmodified_since_no_date, "If-Unmodified-Since: yesterday", Proceed }
    case! {
        match_goes_before_unmodified_since,
        "If-Match: TAG|If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
        Proceed
    }

    #[test]
    fn a_file_that_is_not_settled_has_a_weak_tag() {
        let now = Duration::from_millis(1999);
        assert!(validators(now).etag().starts_with("W/\""));
        assert_eq!(evaluate(now, "If-None-Match: TAG|").0, NotModified);
        assert_eq!(evaluate(now, "If-Match: TAG|").0, Failed);
        assert!(validators(SETTLED).etag().starts_with('"'));
        assert_eq!(validators(now).etag().trim_start_matches("W/"), validators(SETTLED).etag());
    }

    #[test]
    fn a_part_is_of_the_version_that_the_client_has() {
        for (fields, allowed) in [
            ("", true),
            ("If-Range: TAG|", true),
            ("If-Range: W/TAG|", false),
            ("If-Range: \"a\"|", false),
            ("If-Range: TAG|If-Range: TAG|", false),
            ("If-Range: Sun, 06 Nov 1994 08:49:37 GMT|", true),
            ("If-Range: Sun, 06 Nov 1994 08:49:38 GMT|", false),
            ("If-Range: Sun, 06 Nov 1994 08:49:36 GMT|", false),
            ("If-Range: a|", false),
        ] {
            assert_eq!(evaluate(Duration::from_secs(3600), fields).1, allowed, "{fields}");
        }
        let now = Duration::from_secs(1);
        assert!(!evaluate(now, "If-Range: TAG|").1);
        assert!(!evaluate(now, "If-Range: W/TAG|").1);
        assert!(!evaluate(now, "If-Range: Sun, 06 Nov 1994 08:49:37 GMT|").1);
    }

    #[test]
    fn each_difference_makes_another_tag() {
        // No system has coarser clocks.
        let tick = Duration::from_nanos(100);
        let at = |ticks| Some(UNIX_EPOCH + ticks * tick);
        let now = UNIX_EPOCH + Duration::from_secs(3600);
        let tag = |modified, length, inode| Validators::of(modified, length, inode, now).etag;
        let own = tag(at(1), 2, 3);
        assert_eq!(own.len(), 18);
        assert_eq!(own, tag(at(1), 2, 3));
        for other in [tag(at(2), 2, 3), tag(at(1), 3, 3), tag(at(1), 2, 4), tag(None, 2, 3)] {
            assert_ne!(own, other);
        }
        assert_ne!(tag(at(1), 2, 3), tag(UNIX_EPOCH.checked_sub(tick), 2, 3));
    }

    #[test]
    fn dates_at_the_edges() {
        let last_modified = |validators: &Validators| validators.last_modified().map(str::to_owned);
        assert_eq!(
            last_modified(&validators(Duration::ZERO)).as_deref(),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        let now = UNIX_EPOCH + Duration::from_secs(MODIFIED);
        let future = Validators::of(Some(now + Duration::from_secs(60)), 0, 0, now);
        assert_eq!(last_modified(&future).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(future.etag.starts_with("W/"));
        let past = Validators::of(UNIX_EPOCH.checked_sub(Duration::from_secs(1)), 0, 0, now);
        assert_eq!(last_modified(&past), None);
        let outcome = with_fields("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", |fields| {
            past.evaluate(fields)
        });
        assert_eq!(outcome, Proceed);
    }
}
