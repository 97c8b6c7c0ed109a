//! Large content, on real sockets: files that the loops send, readers that take their time, and files that change or fail
//! meanwhile.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::{one_of_three, quiet};
use common::running::Running;
use common::{Client, Ending, Gate, PATIENCE, becomes_true};
use httpling::{EndWithFile as _, Request, RequestHandler, Response, SendError, Sent, status};
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// More than a socket holds, and no multiple of anything.
const LARGE: usize = (24 << 20) + 12_345;

/// No more than a handler may leave behind when its client has no room for it.
const PAGE: usize = 60_000;

/// What is left of it when it shrinks.
const LEFT: usize = 1 << 20;

/// Octets that tell their place.
fn content(length: usize) -> &'static [u8] {
    static OCTETS: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..=u32::try_from(LARGE / 4).unwrap()).flat_map(u32::to_be_bytes).collect());
    &OCTETS[..length]
}

/// Sends a part of a file.
#[derive(Clone, Default)]
struct Sends {
    path: std::path::PathBuf,
    range: Range<u64>,
    gate: Gate,
}

impl RequestHandler for Sends {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK);
        match request.path() {
            b"/fast" => head.end_with(b"Hello there"),
            b"/page" => head.end_with(content(PAGE)),
            b"/gate" => {
                self.gate.pass();
                head.end_with(b"at last")
            }
            b"/written" => head.end_with(content(LARGE)),
            _ => head.end_with_file(File::open(&self.path).unwrap(), self.range.clone()),
        }
    }

    /// Counts the content.
    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let (mut piece, mut count) = ([0; 1024], 0);
        loop {
            match request.read(&mut piece)? {
                0 => return response.send_response(status::OK).end_with(count.to_string().as_bytes()),
                more => count += more,
            }
        }
    }
}

/// A directory with a file of [`LARGE`] octets.
fn large() -> (TempDir, Sends) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    fs::write(&path, content(LARGE)).unwrap();
    (directory, Sends { path, range: 0..LARGE as u64, ..Sends::default() })
}

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Has the head of a response, and takes none of its content.
fn with_head(server: &Running) -> Client {
    with_head_of(server, "/")
}

fn with_head_of(server: &Running, target: &str) -> Client {
    let mut client = server.client();
    client.send(request("GET", target));
    assert_eq!(common::status(&client.head()), 200);
    client
}

/// Reads on; all that comes.
fn until_reset(client: &mut Client) -> Vec<u8> {
    let (rest, ending) = client.rest();
    assert_eq!(ending, Ending::Reset, "after {} octets", rest.len());
    rest
}

#[test]
fn a_file_is_sent_whole_and_the_connection_goes_on() {
    let (_directory, sends) = large();
    let whole = content(LARGE);
    // Around the size up to which a file leaves with its head, and all of it.
    for range in
        [0..0, 5..6, 0..16_384, 7..16_392, 0..65_536, 0..LARGE, 1_000_003..LARGE - 3, LARGE - 1..LARGE]
    {
        let sends = Sends { range: range.start as u64..range.end as u64, ..sends.clone() };
        let server = Running::with(quiet().threads(1), &sends);
        let mut client = server.client();
        // What is asked for behind a file comes behind it.
        let pipeline = [("GET", "/fast"), ("GET", "/"), ("HEAD", "/"), ("GET", "/"), ("GET", "/fast")];
        client.send(pipeline.map(|(method, target)| request(method, target)).concat());
        // Who has asked for everything may say so, and gets it all the same.
        client.end_sending();
        for (method, target) in pipeline {
            if method == "HEAD" {
                let length = format!("\r\nContent-Length: {}\r\n", range.len());
                assert!(client.head().contains(&length), "{range:?}");
                continue;
            }
            let reply = client.reply();
            assert_eq!(reply.status(), 200);
            let expected = if target == "/" { &whole[range.clone()] } else { b"Hello there" };
            assert!(reply.content == expected, "{range:?}");
        }
        client.expect_end();
    }
}

#[test]
fn what_a_file_grows_by_while_it_is_sent_is_not_sent() {
    let (_directory, sends) = large();
    let server = Running::with(quiet(), &sends);
    let mut client = server.client();
    client.send(request("GET", "/"));
    assert!(client.has_something_within(PATIENCE));
    File::options()
        .append(true)
        .open(&sends.path)
        .unwrap()
        .write_all("more".repeat(10_000).as_bytes())
        .unwrap();
    assert!(client.reply().content == content(LARGE));
    assert_eq!(client.get("/fast").text(), "Hello there");
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_cuts_the_connection() {
    let (_directory, sends) = large();
    let server = Running::with(quiet(), &sends);
    let mut client = with_head(&server);
    File::options().write(true).open(&sends.path).unwrap().set_len(LEFT as u64).unwrap();
    let rest = until_reset(&mut client);
    assert!(rest.len() < LARGE, "never padded");
    // What is on its way is the file's own memory, where the system clears what is behind the new end.
    let is_left = rest.len().min(LEFT);
    assert!(rest[..is_left] == *content(is_left));
    // As long as nothing was said, there is something better to say.
    let server = Running::with(quiet(), &Sends { range: 1_045_000..1_055_000, ..sends });
    assert_eq!(server.client().get("/").status(), 500);
}

/// Who runs the server is told, too, why a download broke off.
#[cfg(feature = "program")]
#[test]
fn a_file_that_shrinks_while_it_is_sent_is_logged() {
    let (directory, sends) = large();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_httpling"));
    let process = common::Process::start(command.args(["-b", "127.0.0.1", "0", "-d"]).arg(directory.path()));
    let mut client = process.client();
    client.send(request("GET", "/large"));
    assert_eq!(common::status(&client.head()), 200);
    File::options().write(true).open(&sends.path).unwrap().set_len(LEFT as u64).unwrap();
    until_reset(&mut client);
    let line = process.stderr.wait_for(|line| line.contains("A file became shorter while it was sent"));
    assert!(line.is_some(), "{:?}", process.stderr.all());
}

/// In a process of its own: its threads and its memory are counted. A descriptor each is promised, and 1 KiB or so.
#[cfg(all(target_os = "linux", feature = "program"))]
#[test]
fn slow_readers_cost_neither_threads_nor_memory() {
    const READERS: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    File::create(directory.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_httpling"));
    let arguments = ["-b", "127.0.0.1", "-p", "HTTP/1.1", "0", "-d"];
    let process = common::Process::start(command.args(arguments).arg(directory.path()));
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.id())).unwrap();
    let number = |text: &str, name: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let threads = || number(&read("status"), "Threads:");
    let memory_kib = || number(&read("smaps_rollup"), "Pss:");
    let open_files = || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap();
        // One may be closed while we look.
        descriptors
            .flatten()
            .flat_map(|entry| fs::read_link(entry.path()))
            .filter(|to| to.ends_with("sparse"))
            .count()
    };
    let slow = |count| -> Vec<Client> {
        let mut clients = Client::crowd(process.address, count, "");
        for client in &mut clients {
            client.send(request("GET", "/sparse"));
            assert!(client.head().contains("\r\nContent-Length: 1073741824\r\n"));
            let mut some = [1; 4096];
            let count = client.try_read(&mut some).unwrap();
            assert!(some[..count].iter().all(|octet| *octet == 0));
        }
        clients
    };
    let mut fast = process.client();
    assert_eq!(fast.get("/small").text(), "small");
    // So that all that is made once is made, on each loop.
    let warm = slow(READERS);
    for client in &warm {
        client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    }
    drop(warm);
    assert!(becomes_true(|| open_files() == 0));

    let (threads_before, mut memory) = (threads(), memory_kib());
    let (mut clients, mut least) = (Vec::new(), usize::MAX);
    // A thread may come where a loop was stuck for a moment, because the machine was: not each time.
    for round in 1..=3 {
        clients.extend(slow(READERS));
        assert!(becomes_true(|| open_files() == round * READERS));
        for _ in 0..100 {
            assert_eq!(fast.get("/small").text(), "small");
        }
        let before = std::mem::replace(&mut memory, memory_kib());
        least = least.min(memory.saturating_sub(before) * 1024 / READERS);
    }
    assert!(threads() <= threads_before + 6, "{threads_before} threads have become {}", threads());
    println!("{least} octets for each of {READERS} readers");
    assert!(least <= 2048, "{least} octets each");
    // They still get what they asked for.
    let mut some = vec![1; 20 << 20];
    for client in &mut clients[..3] {
        let mut count = 0;
        while count < some.len() {
            count += client.try_read(&mut some[count..]).unwrap();
        }
        assert!(some.iter().all(|octet| *octet == 0));
        some.fill(1);
    }
}

/// Each upload that a handler waits for has a thread, and there are few. Who finds none is told so; requests that do not wait are
/// served as ever, and there is still a thread for a handler that waits for something else.
#[test]
fn slow_uploads_lock_nobody_out() {
    const UPLOADS: usize = 300;
    const LENGTH: usize = 100_000;
    const THREADS: usize = 6;
    let sends = Sends::default();
    let server = Running::with(quiet().threads(1).spare_threads_max(THREADS), &sends);
    let mut fast = server.client();
    let mut uploads: Vec<Client> = (0..UPLOADS)
        .map(|number| {
            let mut client = server.client();
            // Too much for the loop to wait for, or of unknown length.
            let framing = if number % 2 == 0 {
                format!("Content-Length: {LENGTH}\r\n\r\nsome")
            } else {
                "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n".to_owned()
            };
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
            if number % 10 == 0 {
                assert_eq!(fast.get("/fast").text(), "Hello there");
            }
            client
        })
        .collect();
    let is_answered = |client: &mut Client| client.has_something_within(Duration::from_millis(1));
    assert!(becomes_true(|| uploads
        .iter_mut()
        .filter_map(|client| is_answered(client).then_some(()))
        .count()
        >= UPLOADS - THREADS));

    let mut waiting = server.client();
    waiting.send(request("GET", "/gate"));
    sends.gate.wait_for(1);
    for _ in 0..20 {
        assert_eq!(fast.get("/fast").text(), "Hello there");
        assert_eq!(server.client().get("/fast").text(), "Hello there");
    }
    assert!(!is_answered(&mut waiting), "it waits no longer, and held up others");
    sends.gate.open();
    assert_eq!(waiting.reply().text(), "at last");

    let mut whole = 0;
    for (number, client) in uploads.iter_mut().enumerate() {
        if is_answered(client) {
            assert_eq!(client.reply().status(), 503);
            continue;
        }
        let rest = "x".repeat(LENGTH - 4);
        let end = if number % 2 == 0 { rest } else { format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()) };
        client.send(end);
        assert_eq!(client.reply().text(), LENGTH.to_string());
        whole += 1;
    }
    assert!((1..=THREADS).contains(&whole), "{whole} had a thread");
}

/// What is short is waited for by the loop, if it is known how long it is: however slowly it comes, its handler does not wait.
#[test]
fn short_uploads_need_no_thread() {
    let server = Running::with(quiet().threads(1).spare_threads_max(1), &Sends::default());
    let half = "x".repeat(8 * 1024);
    let mut uploads = Client::crowd(server.address, 50, "");
    for client in &mut uploads {
        let length = 2 * half.len();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{half}"));
    }
    assert_eq!(server.client().get("/fast").text(), "Hello there");
    for client in &mut uploads {
        assert!(!client.has_something_within(Duration::from_millis(1)), "it was refused");
        client.send(&half);
        assert_eq!(client.reply().text(), (2 * half.len()).to_string());
    }
}

/// Heads that do not end may have so much memory together, and no more; and they give it back.
#[test]
fn unfinished_heads_share_a_bound() {
    const CLIENTS: usize = 20;
    let begin = format!("GET /fast HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(16 * 1024));
    let (_directory, sends) = large();
    let server = Running::with(quiet().threads(2).lent_bytes_max(200_000), &sends);
    let mut clients = Client::crowd(server.address, CLIENTS, &begin);
    assert!(becomes_true(|| clients
        .iter_mut()
        .any(|client| client.has_something_within(Duration::from_millis(1)))));
    // Heads that come whole need nothing of it.
    assert_eq!(server.client().get("/fast").text(), "Hello there");
    let mut refused = 0;
    for client in &mut clients {
        // Whoever was refused may see that before it has sent all.
        _ = client.try_send("\r\n\r\n");
        let reply = client.reply();
        match reply.status() {
            200 => assert_eq!(reply.text(), "Hello there"),
            503 => {
                assert_eq!(reply.value("Connection"), Some("close"));
                client.expect_end();
                refused += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert!((1..CLIENTS - 3).contains(&refused), "{refused} were refused");
    for mut client in Client::crowd(server.address, CLIENTS, "") {
        client.send(&begin);
        assert!(!client.has_something_within(Duration::from_millis(10)), "what was lent is given back");
        client.send("\r\n\r\n");
        assert_eq!(client.reply().text(), "Hello there");
    }
}

/// It takes something all the time, and not enough.
#[test]
fn a_reader_that_crawls_is_cut_off() {
    let (_directory, sends) = large();
    let timeout = Duration::from_millis(300);
    let server = Running::with(quiet().write_timeout(timeout).bytes_per_second_min(u32::MAX), &sends);
    let mut client = with_head(&server);
    let (mut some, mut count) = ([0; 10_000], 0);
    let end = loop {
        match client.try_read(&mut some) {
            Ok(more) => count += more,
            Err(error) => break error,
        }
        assert!(count < LARGE, "it has all of it");
        std::thread::sleep(Duration::from_millis(10)); // The slowness is what is tested.
    };
    assert!(common::is_reset(&end), "{end}");
}

/// A socket takes some MiB at once, which say nothing about the reader.
#[test]
fn what_the_socket_took_is_not_what_the_reader_took() {
    let (_directory, sends) = large();
    let rate = 400_000;
    let builder = || quiet().write_timeout(Duration::from_secs(1)).bytes_per_second_min(rate);
    // By the loop, and by a handler that waits.
    for target in ["/", "/written"] {
        let server = Running::with(builder(), &sends);
        let mut client = server.client();
        socket2::SockRef::from(client.stream()).set_recv_buffer_size(16 * 1024).unwrap();
        client.send(request("GET", target));
        let began = Instant::now();
        // Half of what it must take, and never nothing for long.
        while client.try_read(&mut [0; 10_000]).is_ok() {
            assert!(began.elapsed() < PATIENCE, "{target}: it lives on what the socket has taken");
            std::thread::sleep(Duration::from_millis(50)); // The slowness is what is tested.
        }
    }
}

/// Its client had no room, and has nothing more to ask: what is left leaves all the same.
#[test]
fn what_a_handler_leaves_behind_is_sent_when_there_is_room() {
    let server = Running::with(quiet().threads(1), &Sends::default());
    let mut client = server.client();
    let mut asked = 0;
    // One by one, until the socket is full.
    while server.metrics.snapshot().bytes_unsent == 0 {
        assert!(asked < 900, "the socket takes everything");
        client.send(request("GET", "/page"));
        asked += 1;
        assert!(becomes_true(|| server.metrics.snapshot().requests.successful == asked));
    }
    for _ in 0..asked {
        assert!(client.reply().content == content(PAGE));
    }
    assert_eq!(client.get("/fast").text(), "Hello there");
}

/// Whichever of them finds the socket full: what fits a buffer is left behind, and no handler waits for its client.
#[test]
fn pages_in_a_row_take_no_thread() {
    const PAGES: usize = 100;
    const CLIENTS: usize = 4;
    // The last one waits until the others have read.
    let builder = quiet().threads(1).spare_threads_max(1).write_timeout(6 * PATIENCE);
    let server = Running::with(builder, &Sends::default());
    let mut clients = Client::crowd(server.address, CLIENTS, "");
    for client in &mut clients {
        socket2::SockRef::from(client.stream()).set_recv_buffer_size(64 * 1024).unwrap();
        client.send(request("GET", "/page").repeat(PAGES));
        assert!(client.has_something_within(PATIENCE));
    }
    assert_eq!(server.client().get("/fast").text(), "Hello there");
    for client in &mut clients {
        for _ in 0..PAGES {
            assert!(client.reply().content == content(PAGE));
        }
    }
}

#[test]
fn a_reader_that_stops_is_cut_off() {
    let (_directory, sends) = large();
    let server = Running::with(quiet().write_timeout(Duration::from_millis(200)), &sends);
    let client = with_head(&server);
    let mut error = None;
    assert!(becomes_true(|| {
        error = client.stream().take_error().unwrap();
        error.is_some()
    }));
    assert!(common::is_reset(&error.unwrap()));
    assert_eq!(server.client().get("/fast").text(), "Hello there");
}

/// What its system took without it gives it no second time: that would be over after twice the deadline at the earliest.
#[test]
fn a_client_that_never_reads_is_cut_off_after_one_time_out() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let (_directory, sends) = large();
    let server = Running::with(quiet().write_timeout(TIMEOUT), &sends);
    one_of_three(|| {
        let mut client = server.client();
        let began = Instant::now();
        client.send(request("GET", "/"));
        assert!(becomes_true(|| client.stream().take_error().unwrap().is_some()));
        let elapsed = began.elapsed();
        assert!(elapsed >= TIMEOUT, "{elapsed:?}");
        if elapsed < 2 * TIMEOUT { Ok(()) } else { Err(format!("{elapsed:?}")) }
    });
}

/// Slow, and never silent for as long as the deadline is. The poller says nothing of it for longer than that.
#[test]
fn a_reader_that_is_slow_but_reads_is_served() {
    let (_directory, sends) = large();
    let server = Running::with(quiet().write_timeout(Duration::from_secs(4)), &sends);
    // From the loop, and from a handler that waits.
    let mut readers = ["/", "/written"].map(|target| (with_head_of(&server, target), 0, vec![0; LARGE]));
    let end = Instant::now() + Duration::from_secs(7);
    while Instant::now() < end {
        for (client, count, taken) in &mut readers {
            let most = LARGE.min(*count + 7_000);
            *count += client.try_read(&mut taken[*count..most]).expect("it is not cut off");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for (mut client, mut count, mut taken) in readers {
        while count < LARGE {
            count += client.try_read(&mut taken[count..]).expect("it is not cut off");
        }
        assert!(taken == content(LARGE));
    }
}

/// Memory of this process, as a file: its octets can be copied, not sent from the descriptor, and where nothing is mapped they
/// cannot be read at all.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_on_cuts_the_connection() {
    const MIB: usize = 1 << 20;
    // Two mappings that do not touch: behind the end of the first one is nothing.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut ranges = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |digits| u64::from_str_radix(digits, 16).unwrap();
        ranges.push((number(start)..number(end), rest.starts_with('r') && !line.contains("[v")));
    }
    let found = ranges.windows(2).find_map(|pair| {
        let (range, readable) = &pair[0];
        (*readable && range.end + MIB as u64 <= pair[1].0.start && range.end - range.start >= 4096)
            .then_some(range.end)
    });
    let end = found.expect("there are holes in the memory");
    let path = std::path::PathBuf::from("/proc/self/mem");
    let sends = Sends { path: path.clone(), range: end - 4096..end + MIB as u64, ..Sends::default() };
    let server = Running::with(quiet(), &sends);
    let mut client = with_head(&server);
    assert_eq!(until_reset(&mut client).len(), 4096, "what could be read, and nothing in place of the rest");
    assert_eq!(server.client().get("/fast").text(), "Hello there");

    let octets = content(MIB);
    let start = octets.as_ptr().addr() as u64;
    let server =
        Running::with(quiet(), &Sends { path, range: start..start + MIB as u64, ..Sends::default() });
    assert!(server.client().get("/").content == octets);
}
