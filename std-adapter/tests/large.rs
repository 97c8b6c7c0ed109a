//! Large content, on real sockets: files that the loops send, readers that take their time, and files that change or fail
//! meanwhile.

// A test that panics has failed: that is what it is for, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::demo::quiet;
use common::running::Running;
use common::{Client, Ending, PATIENCE, becomes_true};
use httpling::{EndWithFile as _, Request, RequestHandler, Response, SendError, Sent, status};
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// More than a socket holds, and no multiple of anything.
const LARGE: usize = (24 << 20) + 12_345;

/// What is left of it when it shrinks.
const LEFT: usize = 1 << 20;

/// Octets that tell their place.
fn content(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4))
        .flat_map(|place| u32::try_from(place).unwrap().to_be_bytes())
        .take(length)
        .collect()
}

/// Sends a part of a file.
#[derive(Clone)]
struct Sends {
    path: std::path::PathBuf,
    range: Range<u64>,
}

impl RequestHandler for Sends {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK);
        match request.path() {
            b"/fast" => head.end_with(b"Hello there"),
            _ => head.end_with_file(File::open(&self.path).unwrap(), self.range.clone()),
        }
    }
}

/// A directory with a file of [`LARGE`] octets.
fn large() -> (TempDir, Sends) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    fs::write(&path, content(LARGE)).unwrap();
    (directory, Sends { path, range: 0..LARGE as u64 })
}

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Has the head of a response, and takes none of its content.
fn with_head(server: &Running) -> Client {
    let mut client = server.client();
    client.send(request("GET", "/"));
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
    for range in [0..0, 5..6, 0..65_536, 7..65_544, 0..LARGE, 1_000_003..LARGE - 3, LARGE - 1..LARGE] {
        let sends = Sends { range: range.start as u64..range.end as u64, ..sends.clone() };
        let server = Running::with(quiet().threads(1), &sends);
        let mut client = server.client();
        // What is asked for behind a file comes behind it.
        let pipeline = [("GET", "/fast"), ("GET", "/"), ("HEAD", "/"), ("GET", "/"), ("GET", "/fast")];
        client.send(pipeline.map(|(method, target)| request(method, target)).concat());
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
    assert!(rest[..is_left] == content(LEFT)[..is_left]);
    // As long as nothing was said, there is something better to say.
    let server = Running::with(quiet(), &Sends { range: 1_000_000..1_060_000, ..sends });
    assert_eq!(server.client().get("/").status(), 500);
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
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    let slow = |count| -> Vec<Client> {
        let mut clients: Vec<Client> = (0..count).map(|_| process.client()).collect();
        for client in &mut clients {
            client.send(request("GET", "/sparse"));
            assert!(client.head().contains("\r\nContent-Length: 1073741824\r\n"));
            let mut some = [1; 4096];
            let count = client.try_read(&mut some).unwrap();
            assert!(some[..count].iter().all(|octet| *octet == 0));
        }
        clients
    };
    // So that all that is made once is made, on each loop.
    let warm = slow(READERS);
    for client in &warm {
        client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    }
    drop(warm);
    let mut fast = process.client();
    assert_eq!(fast.get("/small").text(), "small");
    assert!(becomes_true(|| descriptors() < READERS));

    let (threads_before, memory_before, descriptors_before) = (threads(), memory_kib(), descriptors());
    let mut clients = slow(READERS);
    assert!(becomes_true(|| descriptors() == descriptors_before + 2 * READERS));
    for _ in 0..100 {
        assert_eq!(fast.get("/small").text(), "small");
    }
    // One or two may come where a loop was stuck for a moment, because the machine was.
    assert!(threads() <= threads_before + 4, "{threads_before} threads have become {}", threads());
    let grown = memory_kib().saturating_sub(memory_before);
    println!("{READERS} readers: {} octets each", grown * 1024 / READERS);
    assert!(grown < READERS * 16, "{grown} KiB");
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

/// Slow, and never silent for as long as the deadline is. The poller says nothing of it for longer than that.
#[test]
fn a_reader_that_is_slow_but_reads_is_served() {
    let (_directory, sends) = large();
    let server = Running::with(quiet().write_timeout(Duration::from_secs(2)), &sends);
    let mut client = with_head(&server);
    let mut taken = vec![0; LARGE];
    let mut count = 0;
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        let most = LARGE.min(count + 10_000);
        count += client.try_read(&mut taken[count..most]).expect("it is not cut off");
        std::thread::sleep(Duration::from_millis(50));
    }
    while count < LARGE {
        count += client.try_read(&mut taken[count..]).expect("it is not cut off");
    }
    assert!(taken == content(LARGE));
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
    let path = Path::new("/proc/self/mem").to_owned();
    let sends = Sends { path: path.clone(), range: end - 4096..end + MIB as u64 };
    let server = Running::with(quiet(), &sends);
    let mut client = with_head(&server);
    assert_eq!(until_reset(&mut client).len(), 4096, "what could be read, and nothing in place of the rest");
    assert_eq!(server.client().get("/fast").text(), "Hello there");

    let octets: &'static [u8] = content(MIB).leak();
    let start = octets.as_ptr().addr() as u64;
    let server = Running::with(quiet(), &Sends { path, range: start..start + MIB as u64 });
    assert!(server.client().get("/").content == octets);
}
