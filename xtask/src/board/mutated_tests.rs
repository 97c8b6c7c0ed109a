//! Requests that nobody would send on purpose, ten thousand of them.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::client::request;
use super::subject::Subject;

/// Requests with a few bytes changed, lost, doubled or moved: always the same ones, and twice.
pub(super) fn mutated(board: &Subject) -> Result<()> {
    let models = [
        request("GET", "/", "Accept: */*\r\nConnection: keep-alive\r\n", b""),
        request("HEAD", "/hello_from_browser?a=b", "", b""),
        request("PUT", "/led", "", b"on"),
        request("POST", "/echo", "Expect: 100-continue\r\n", b"content"),
        b"POST /echo HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: x\r\n\r\n"
            .to_vec(),
        b"GET http://a/metrics HTTP/1.0\r\n\r\n".to_vec(),
    ];
    send_mutated(board, &models)?;
    let free = board.figure("free_stack_bytes")?;
    // What leaks, or goes deeper each time, needs more for the same again.
    send_mutated(board, &models)?;
    let left = board.figure("free_stack_bytes")?;
    ensure!(left + INTERRUPT_BYTES >= free, "{free} B of stack were free, and now {left}");
    Ok(())
}

/// An interrupt may have come at the deepest place in the second round alone: what the processor and the handler push.
const INTERRUPT_BYTES: u64 = 64;

fn send_mutated(board: &Subject, models: &[Vec<u8>]) -> Result<()> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let started = Instant::now();
    for round in 0..10_000 {
        let mut bytes = models[random.below(models.len())].clone();
        if random.below(4) == 0 {
            bytes.extend_from_slice(&models[random.below(models.len())]);
        }
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        let mut client = board.connect()?;
        client.send(&bytes)?;
        client.end()?;
        let answer = client.until_end()?;
        ensure!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 "),
            "round {round}: to {:?} the answer is {:?}",
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&answer)
        );
        ensure!(started.elapsed() < Duration::from_secs(300), "only {round} requests in five minutes");
    }
    Ok(())
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: &[u8] = b"\r\n\t :;,=\"0123456789abcfABCF\x00\x7f\x80\xff/%?[]*+-";
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let telling = TELLING[random.below(TELLING.len())];
    match random.below(6) {
        0 => bytes[at] = telling,
        1 => bytes.insert(at, telling),
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 1 << random.below(8),
        4 => {
            let end = bytes.len().min(at + random.below(20));
            let doubled = bytes[at..end].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => bytes.truncate(at),
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap_or_default() % limit.max(1)
    }
}
