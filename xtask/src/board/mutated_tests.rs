//! Requests that nobody would send on purpose, ten thousand of them.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::client::request;
use super::subject::Subject;
use crate::mutation::{Random, mutate};

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
    let mut random = Random::new();
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
