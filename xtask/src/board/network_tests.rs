//! The network without a protocol above it: an echo, on each board, and on a card that loses frames.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::Machine;
use super::client::persist;
use super::emulator::Emulator;
use super::firmware::{Build, Firmware};
use crate::tools::CrossCompiler;

type Test = (&'static str, fn(&Subject) -> Result<()>);

/// A board under test.
struct Subject {
    emulator: Emulator,
    lossy: bool,
}

impl Subject {
    fn connect(&self) -> Result<TcpStream> {
        self.emulator.connect()
    }

    /// `count`, or a tenth of it on a card that loses frames: a loss costs a second or more.
    fn scaled(&self, count: usize) -> usize {
        if self.lossy { count / 10 } else { count }
    }
}

const TESTS: [Test; 6] = [
    ("what is sent comes back", comes_back),
    ("a client that only sends to the end is answered", half_closed),
    ("four clients at once", four_clients),
    ("a hundred clients, one after the other", hundred_clients),
    ("idle clients make room", idle_clients_make_room),
    ("a client that resets leaves its socket", resets),
];

pub(crate) fn run(compiler: &CrossCompiler) -> Result<()> {
    for machine in [Machine::Lm3s6965evb, Machine::Mps2An385] {
        let build = Build::new("echo", machine);
        for build in [build, build.lossy()] {
            let firmware = Firmware::build(compiler, build)?;
            let board = Subject { emulator: Emulator::start(&firmware)?, lossy: build.lossy };
            for (name, test) in TESTS {
                let started = Instant::now();
                let result = persist(board.lossy, || test(&board));
                let lossy = if build.lossy { " with losses" } else { "" };
                println!("{machine:?}{lossy}: {name}: {:.2} s", started.elapsed().as_secs_f32());
                if let Err(error) = result {
                    bail!("`{name}` failed: {error:#}; the board's log: {}", board.emulator.log());
                }
            }
            ensure!(!board.emulator.log().contains("panic"), "the board panicked: {}", board.emulator.log());
        }
    }
    Ok(())
}

/// Sends, and expects the same back.
fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes)?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back)?;
    ensure!(back == bytes, "something else came back");
    Ok(())
}

/// Bytes that differ from place to place, so that a mix-up shows.
fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251).to_le_bytes()[0]).collect()
}

fn comes_back(board: &Subject) -> Result<()> {
    let mut stream = board.connect()?;
    let bytes = sample(board.scaled(100_000));
    let mut reader = stream.try_clone()?;
    let expected = bytes.clone();
    // Both ways at once: the board has no room for all of it.
    let reading = thread::spawn(move || -> Result<()> {
        let mut back = vec![0; expected.len()];
        reader.read_exact(&mut back)?;
        ensure!(back == expected, "something else came back");
        Ok(())
    });
    stream.write_all(&bytes)?;
    joined(reading)
}

fn half_closed(board: &Subject) -> Result<()> {
    let mut stream = board.connect()?;
    let bytes = sample(300);
    stream.write_all(&bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    ensure!(back == bytes, "{} bytes came back", back.len());
    Ok(())
}

fn four_clients(board: &Subject) -> Result<()> {
    let rounds = board.scaled(50);
    let clients: Vec<_> = (0..4)
        .map(|_| -> Result<_> {
            let mut stream = board.connect()?;
            // QEMU's host side has a queue of one for those who connect; who does not fit in it loses a second.
            exchange(&mut stream, b"hello")?;
            Ok(thread::spawn(move || {
                (1..rounds).try_for_each(|round| exchange(&mut stream, &sample(round * 20)))
            }))
        })
        .collect::<Result<_>>()?;
    clients.into_iter().try_for_each(joined)
}

fn hundred_clients(board: &Subject) -> Result<()> {
    (0..board.scaled(100)).try_for_each(|_| exchange(&mut board.connect()?, b"GET / HTTP/1.1\r\n\r\n"))
}

fn idle_clients_make_room(board: &Subject) -> Result<()> {
    let mut idle = (0..4 + board.scaled(10))
        .map(|_| -> Result<_> {
            let mut stream = board.connect()?;
            exchange(&mut stream, b"hello")?;
            Ok(stream)
        })
        .collect::<Result<Vec<_>>>()?;
    exchange(&mut board.connect()?, b"and one more")?;
    // The youngest of them is still there: only the one who was idle longest had to go.
    match idle.last_mut() {
        Some(stream) => exchange(stream, b"still here"),
        None => Ok(()),
    }
}

fn resets(board: &Subject) -> Result<()> {
    for _ in 0..20 {
        let mut stream = board.connect()?;
        stream.write_all(&sample(4000))?;
        // Bytes that have come back and were not read: closing resets the connection.
        thread::sleep(Duration::from_millis(5));
    }
    exchange(&mut board.connect()?, b"and now")
}

fn joined(client: thread::JoinHandle<Result<()>>) -> Result<()> {
    client.join().unwrap_or_else(|_| bail!("a client panicked"))
}
