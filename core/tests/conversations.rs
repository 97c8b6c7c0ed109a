//! Plays the conversations in `conversations/*.md`: see the README there.

// A test that panics has failed: that is what it is for.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod common;

use common::judge;
use common::tape::{End, Tape};
use common::{Between, Outcome, Setting};
use httpling_core::{Clock, CloseReason, HttpDate, ServerName, Version};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// One conversation.
#[derive(Debug, Default)]
struct Conversation {
    file: String,
    title: String,
    /// The first section that it cites.
    section: Option<String>,
    setting: Setting,
    turns: Vec<Turn>,
    end: Option<End>,
    fate: Option<Fate>,
}

#[derive(Debug, Default)]
struct Turn {
    bytes_in: Vec<u8>,
    bytes_out: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Closed,
    Cut,
}

/// A clock that stands still.
struct Stopped;

impl Clock for Stopped {
    fn date(&self) -> Option<HttpDate> {
        Some(HttpDate::from_unix_seconds(784_111_777))
    }
}

// ---- reading ----

fn read_all() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    let mut conversations = Vec::new();
    for path in paths {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        if file != "README.md" && path.extension().is_some_and(|extension| extension == "md") {
            let text = std::fs::read_to_string(&path).expect("readable");
            read(&file, &text, &mut conversations);
        }
    }
    conversations
}

fn read(file: &str, text: &str, conversations: &mut Vec<Conversation>) {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("# ") {
            let (file, title) = (file.to_owned(), title.to_owned());
            conversations.push(Conversation { file, title, ..Conversation::default() });
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let conversation = conversations.last_mut().unwrap_or_else(|| panic!("{file} begins with a heading"));
        let at = format!("{file}, {}", conversation.title);
        let block = |lines: &mut std::str::Lines<'_>| -> Vec<u8> {
            lines.take_while(|line| *line != "```").flat_map(|line| unescape(line, &at)).collect()
        };
        match line {
            "```in" => {
                let bytes_in = block(&mut lines);
                conversation.turns.push(Turn { bytes_in, bytes_out: Vec::new() });
            }
            "```out" => {
                let bytes_out = block(&mut lines);
                let turn = conversation.turns.last_mut().unwrap_or_else(|| panic!("{at}: in before out"));
                turn.bytes_out.extend(bytes_out);
            }
            "Stays open." => conversation.fate = Some(Fate::Open),
            "Closes." => conversation.fate = Some(Fate::Closed),
            "Is cut." => conversation.fate = Some(Fate::Cut),
            "The client ends." => conversation.end = Some(End::Stream),
            "The client is silent." => conversation.end = Some(End::Silence),
            _ if line.starts_with("```") => panic!("{at}: what is {line}?"),
            _ => {
                if let Some(words) = line.strip_prefix("Server: ") {
                    words.split(", ").for_each(|word| set(&mut conversation.setting, word, &at));
                }
                if conversation.section.is_none() {
                    conversation.section = section(line);
                }
            }
        }
    }
}

/// The first `RFC 9112 §5.1` in a line.
fn section(line: &str) -> Option<String> {
    let rest = &line[line.find("RFC ")?..];
    let (rfc, rest) = rest[4..].split_once(" §")?;
    let end = rest.find(|end: char| !end.is_ascii_digit() && end != '.').unwrap_or(rest.len());
    Some(format!("RFC {rfc} §{}", rest[..end].trim_end_matches('.')))
}

fn set(setting: &mut Setting, word: &str, at: &str) {
    static CLOCK: Stopped = Stopped;
    let (name, value) = word.split_once(' ').unwrap_or((word, ""));
    let number = || value.parse::<u32>().unwrap_or_else(|_| panic!("{at}: what is {word}?"));
    let small = || u8::try_from(number()).expect("small");
    let config = &mut setting.config;
    let limits = &mut config.limits;
    match name {
        "protocol" if value == "HTTP/1.0" => config.protocol = Version::Http10,
        "http_09" => config.http_09 = true,
        "bare_lf" => config.leniency.bare_lf = true,
        "missing_host" => config.leniency.missing_host = true,
        "target_octets" => config.leniency.target_octets = true,
        "named" => {
            config.server = ServerName::new("demo");
            config.clock = Some(&CLOCK);
        }
        "input" => setting.input = number() as usize,
        "output" => setting.output = number() as usize,
        "request_line_bytes_max" => limits.request_line_bytes_max = number(),
        "empty_lines_max" => limits.empty_lines_max = small(),
        "field_section_bytes_max" => limits.field_section_bytes_max = number(),
        "fields_max" => limits.fields_max = small(),
        "chunk_line_bytes_max" => limits.chunk_line_bytes_max = u16::from(small()),
        "chunk_extensions_bytes_max" => limits.chunk_extensions_bytes_max = number(),
        "content_bytes_max" => limits.content_bytes_max = u64::from(number()),
        "drain_bytes_max" => limits.drain_bytes_max = number(),
        "requests_max" => limits.requests_max = u16::from(small()),
        _ => panic!("{at}: what is {word}?"),
    }
}

/// One line of a block as bytes.
fn unescape(line: &str, at: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        if first == '\\' {
            let Some(escape) = rest.chars().next() else { return bytes };
            rest = &rest[escape.len_utf8()..];
            match escape {
                'r' => bytes.push(b'\r'),
                'n' => bytes.push(b'\n'),
                't' => bytes.push(b'\t'),
                '\\' => bytes.push(b'\\'),
                'x' => {
                    bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap_or_else(|_| panic!("{at}: {line}")));
                    rest = &rest[2..];
                }
                _ => panic!("{at}: what is \\{escape}?"),
            }
            continue;
        }
        if first == '<'
            && let Some((inside, after)) = rest.split_once('>')
        {
            if let Some((count, text)) = inside.split_once(" * ")
                && let Ok(count) = count.parse()
            {
                bytes.extend(unescape(&format!("{text}\\"), at).repeat(count));
                rest = after;
                continue;
            }
            if let Some(error) = inside.strip_prefix("error ") {
                assert_eq!(after, "", "{at}: an error page is a line of its own");
                return error_page(error, at);
            }
        }
        bytes.extend(first.to_string().bytes());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// `[head|page] [HTTP/1.0] CODE: MESSAGE [; FIELD]`
fn error_page(words: &str, at: &str) -> Vec<u8> {
    let (words, is_head) = words.strip_prefix("head ").map_or((words, false), |words| (words, true));
    let (words, is_page) = words.strip_prefix("page ").map_or((words, false), |words| (words, true));
    let (words, version) =
        words.strip_prefix("HTTP/1.0 ").map_or((words, "HTTP/1.1"), |words| (words, "HTTP/1.0"));
    let (code, words) = words.split_once(": ").unwrap_or_else(|| panic!("{at}: <error CODE: MESSAGE>"));
    let (message, field) = words.split_once("; ").unwrap_or((words, ""));
    let field = if field.is_empty() { String::new() } else { format!("{field}\r\n") };
    let (reason, explanation) = match code {
        "400" => ("Bad Request", "Bad request syntax or unsupported method"),
        "403" => ("Forbidden", "Request forbidden -- authorization will not help"),
        "404" => ("Not Found", "Nothing matches the given URI"),
        "405" => ("Method Not Allowed", "Specified method is invalid for this resource"),
        "408" => ("Request Timeout", "Request timed out; try again later"),
        "413" => ("Content Too Large", "Content is too large"),
        "414" => ("URI Too Long", "URI is too long"),
        "431" => (
            "Request Header Fields Too Large",
            "The server is unwilling to process the request because its header fields are too large",
        ),
        "500" => ("Internal Server Error", "Server got itself in trouble"),
        "501" => ("Not Implemented", "Server does not support this operation"),
        "505" => ("HTTP Version Not Supported", "Cannot fulfill request"),
        _ => panic!("{at}: {code} has no page here"),
    };
    let page = format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        \
         <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        \
         <p>Error code: {code}</p>\n        <p>Message: {message}.</p>\n        \
         <p>Error code explanation: {code} - {explanation}.</p>\n    </body>\n</html>\n"
    );
    let head = format!(
        "{version} {code} {reason}\r\n{field}Content-Type: text/html;charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    match (is_head, is_page) {
        (true, _) => head.into_bytes(),
        (_, true) => page.into_bytes(),
        _ => (head + &page).into_bytes(),
    }
}

// ---- playing ----

impl Conversation {
    fn tape(&self, pieces: &[usize], end: End) -> Tape {
        let turns = self.turns.iter().map(|turn| turn.bytes_in.clone()).collect();
        let mut tape = Tape::new(turns, pieces.to_vec());
        tape.end = end;
        tape
    }

    fn expected(&self) -> Vec<u8> {
        self.turns.iter().flat_map(|turn| turn.bytes_out.clone()).collect()
    }

    /// What is wrong with how it went, if anything.
    fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let expected = self.expected();
        if outcome.written != expected {
            return Err(format!("out is not\n{}but\n{}", escape(&expected), escape(&outcome.written)));
        }
        let mut before = 0;
        for (turn, &mark) in self.turns.iter().zip(&outcome.marks) {
            before += turn.bytes_out.len();
            if mark != before {
                return Err(format!("{mark} bytes were out where the client waits for {before}"));
            }
        }
        let fate = match outcome.reason {
            None | Some(CloseReason::EndOfStream | CloseReason::Idle) if self.end.is_none() => Fate::Open,
            Some(CloseReason::Broken(_) | CloseReason::Transport(_)) => Fate::Cut,
            None => Fate::Open,
            Some(_) => Fate::Closed,
        };
        if Some(fate) != self.fate {
            return Err(format!("the end is not {:?} but {:?}", self.fate, outcome.reason));
        }
        Ok(())
    }

    /// Plays it in every way; what went wrong is said once.
    fn play(&self) -> Result<Outcome, String> {
        if self.turns.is_empty() || self.fate.is_none() || self.section.is_none() {
            return Err("a conversation has bytes in, an end, and a section of an RFC".into());
        }
        let total: usize = self.turns.iter().map(|turn| turn.bytes_in.len()).sum();
        let mut ways: Vec<&[usize]> = vec![&[], &[7], &[1, 2, 3, 5, 8, 13]];
        // A large one byte by byte says nothing new, and takes its time.
        if total < 20_000 {
            ways.push(&[1]);
        }
        let mut first: Option<Outcome> = None;
        for pieces in ways {
            let closing = self.end.unwrap_or(End::Stream);
            let ready = self.end.unwrap_or(End::Never);
            let mut small_writes = self.tape(pieces, closing);
            small_writes.write_most = 1;
            let mut narrow = self.tape(pieces, ready);
            narrow.room_step = Some(3);
            let mut outcomes = vec![
                ("handle", common::handle(&mut self.tape(pieces, closing), &self.setting)),
                (
                    "handle_one_request",
                    common::handle_one_by_one(&mut self.tape(pieces, closing), &self.setting),
                ),
                ("writes of one byte", common::handle(&mut small_writes, &self.setting)),
                ("advance", common::advance(&mut self.tape(pieces, ready), &self.setting, Between::Kept)),
                ("room of three bytes", common::advance(&mut narrow, &self.setting, Between::Kept)),
            ];
            // Once taken apart, what is pending is copied with each piece: quadratic, in the tests alone.
            if total < 20_000 || pieces.is_empty() {
                let tape = &mut self.tape(pieces, ready);
                outcomes.push(("advance, lent", common::advance(tape, &self.setting, Between::Lent)));
            }
            for (way, outcome) in outcomes {
                self.check(&outcome).map_err(|wrong| format!("{way}, pieces of {pieces:?}: {wrong}"))?;
                if first.is_none() {
                    first = Some(outcome.clone());
                }
                let log = &first.as_ref().expect("it was just put").log;
                if !common::is_same_log(log, &outcome.log) {
                    return Err(format!("{way}, pieces of {pieces:?}: log {:?} but {log:?}", outcome.log));
                }
            }
        }
        Ok(first.expect("there are ways"))
    }
}

/// As it stands in a block.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.split_inclusive(|&octet| octet == b'\n') {
        if let Some(line) = line.strip_suffix(b"\r\n") {
            let _ = writeln!(text, "{}", line.escape_ascii());
        } else {
            let _ = writeln!(text, "{}\\", line.escape_ascii());
        }
    }
    text.replace("\\\"", "\"").replace("\\'", "'")
}

#[test]
fn conversations_go_as_they_are_written() {
    let conversations = read_all();
    let mut failures = String::new();
    let mut refused = Vec::new();
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for conversation in &conversations {
        let Conversation { file, title, section, .. } = conversation;
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| conversation.play()));
        match played.unwrap_or_else(|_| Err("it panics".into())) {
            Err(wrong) => {
                let _ = writeln!(failures, "---- {file}: {title}\n{wrong}");
            }
            Ok(outcome) => {
                let is_refused = matches!(outcome.reason, Some(CloseReason::Refused(_)));
                let count = counts.entry(section.as_deref().unwrap_or_default()).or_default();
                count[usize::from(is_refused)] += 1;
                if let Some(CloseReason::Refused(error)) = outcome.reason {
                    refused.push(error.message());
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");

    println!("| section | accepted | refused |\n| --- | --- | --- |");
    let mut total = [0; 2];
    for (section, [accepted, refused]) in &counts {
        println!("| {section} | {accepted} | {refused} |");
        total = [total[0] + accepted, total[1] + refused];
    }
    println!("| all {} | {} | {} |", conversations.len(), total[0], total[1]);
    assert!(total[0] > 0 && total[1] > 0);

    // Each error that there is must occur. The source is asked, so that a new one cannot be forgotten.
    let source = include_str!("../src/syntax/error.rs");
    let messages = source.split_once("impl RequestError").expect("it has messages").1;
    let messages = messages.split_once("impl fmt::Display").expect("it has messages").0;
    let missing: Vec<_> = messages
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|message| !refused.contains(message))
        .collect();
    // What the server's owner says, no client can bring about.
    assert_eq!(missing, ["Server overloaded"], "no conversation is refused with these");
}

/// What the server says to clients is read back by another parser.
#[test]
fn conversations_are_http_to_others() {
    for conversation in read_all() {
        let bytes_in: Vec<u8> =
            conversation.turns.iter().flat_map(|turn| turn.bytes_in.clone()).take(20_000).collect();
        let out = conversation.expected();
        if conversation.setting.config.http_09 || out.starts_with(b"HTTP/1.1 101 ") {
            continue;
        }
        let is_head = bytes_in.starts_with(b"HEAD ");
        let is_connect = bytes_in.starts_with(b"CONNECT ");
        let method = if is_head {
            "HEAD"
        } else if is_connect {
            "CONNECT"
        } else {
            "GET"
        };
        let (replies, rest) = judge::replies(&out, &[method]);
        assert_eq!(rest.escape_ascii().to_string(), "", "{}", conversation.title);
        for reply in replies {
            assert!(reply.whole || conversation.fate == Some(Fate::Cut), "{}", conversation.title);
        }
    }
}
