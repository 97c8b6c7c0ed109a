//! Clients that ask again as soon as they were answered, for a bounded time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::emulator::Emulator;

/// What curl sends. An echo sends back as much; the servers answer `Hello there`.
fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}

const SECONDS: u64 = 3;

/// Keep-alive requests answered in a second, to `clients` at the same time.
pub(crate) fn requests_per_second(board: &Emulator, path: &str, clients: usize) -> Result<f64> {
    let request = request(path);
    let streams = (0..clients)
        .map(|_| {
            let mut stream = board.connect()?;
            // The first answer has a length by which the others are known to be whole.
            let length = first_answer(&mut stream, &request)?;
            Ok((stream, length))
        })
        .collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|(mut stream, length)| {
            let request = request.clone();
            thread::spawn(move || -> Result<u32> {
                let mut answer = vec![0; length];
                let mut count = 0;
                while started.elapsed() < Duration::from_secs(SECONDS) {
                    stream.write_all(&request)?;
                    stream.read_exact(&mut answer)?;
                    count += 1;
                }
                Ok(count)
            })
        })
        .collect();
    let mut count = 0;
    for client in clients {
        count += client.join().unwrap_or_else(|_| bail!("a client panicked"))?;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Asks once, and says how many bytes came until the board had nothing more to say.
fn first_answer(stream: &mut TcpStream, request: &[u8]) -> Result<usize> {
    stream.write_all(request)?;
    let mut length = 0;
    let mut bytes = [0; 4096];
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    while let Ok(more @ 1..) = stream.read(&mut bytes) {
        length += more;
    }
    ensure!(length > 0, "no answer");
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(length)
}
