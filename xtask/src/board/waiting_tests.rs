//! Who waits for whom on the board: slow readers, slow senders, and clients that keep a connection for themselves.

#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::client::{Client, request};
use super::subject::Subject;

pub(super) fn slow_reader(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(&request("GET", "/big", "", b""))?;
    thread::sleep(Duration::from_millis(100));
    for _ in 0..20 {
        board.answers_meanwhile()?;
    }
    let answer = slow.answer("GET")?;
    ensure!(answer.content.len() == 1 << 20, "{} bytes", answer.content.len());
    let is_right = |(position, byte): (usize, &u8)| usize::from(*byte) == 32 + position % 64;
    ensure!(answer.content.iter().enumerate().all(is_right), "bytes are missing or twice there");
    Ok(())
}

pub(super) fn deaf(board: &Subject) -> Result<()> {
    // More answers than there is room for on their way, which is some megabytes where nobody reads.
    const REQUESTS: usize = 20_000;
    let bytes = request("POST", "/echo", "", &[b'a'; 300]);
    let mut deaf = board.connect()?;
    let mut sender = deaf.try_clone()?;
    let sending = thread::spawn(move || (0..REQUESTS).try_for_each(|_| sender.send(&bytes)));
    let mut before = 0;
    // Until no more of them are answered.
    loop {
        board.answers_meanwhile()?;
        let answered = board.figure("requests_total")?;
        if answered == before + 2 {
            break;
        }
        before = answered;
        thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..20 {
        board.answers_meanwhile()?;
    }
    // What it was to hear has waited for it, as long as nobody else needed its socket.
    for _ in 0..REQUESTS {
        ensure!(deaf.answer("POST")?.status() == 200);
    }
    sending.join().unwrap_or_else(|_| bail!("the sender panicked"))
}

pub(super) fn dripping(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(b"PUT /led HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\no")?;
    thread::sleep(Duration::from_millis(50));
    for _ in 0..10 {
        let started = Instant::now();
        board.answers_meanwhile()?;
        thread::sleep(Duration::from_millis(50).saturating_sub(started.elapsed()));
    }
    slow.send(b"n")?;
    ensure!(slow.answer("PUT")?.status() == 204);
    Ok(())
}

pub(super) fn stalled(board: &Subject) -> Result<()> {
    let mut slow = board.connect()?;
    slow.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHe")?;
    thread::sleep(Duration::from_millis(50));
    board.answers_meanwhile()?;
    board.answers_meanwhile()
}

pub(super) fn dropping(board: &Subject) -> Result<()> {
    beside_drops(board, 1)
}

pub(super) fn all_dropping(board: &Subject) -> Result<()> {
    beside_drops(board, 4)
}

/// More than there are sockets.
pub(super) fn more_dropping(board: &Subject) -> Result<()> {
    beside_drops(board, 8)
}

/// Asks while clients send content to `/echo`, a chunk of one octet every few milliseconds, and begin again when they are cut off.
fn beside_drops(board: &Subject, clients: usize) -> Result<()> {
    beside(board, clients, &|client, is_over| {
        client.send(&echo_in_chunks())?;
        let mut reader = client.try_clone()?;
        // It ends with the connection.
        thread::spawn(move || reader.until_end());
        while !is_over.load(Ordering::Relaxed) {
            client.send(b"1\r\nx\r\n")?;
            thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    })
}

pub(super) fn endless(board: &Subject) -> Result<()> {
    let chunk = [&b"400\r\n"[..], &[b'x'; 0x400], b"\r\n"].concat();
    // Two, whose answers nobody reads.
    beside(board, 2, &|client, is_over| {
        client.send(&echo_in_chunks())?;
        while !is_over.load(Ordering::Relaxed) {
            client.send(&chunk)?;
        }
        Ok(())
    })
}

fn echo_in_chunks() -> Vec<u8> {
    request("POST", "/echo", "Transfer-Encoding: chunked\r\n", b"")
}

/// Asks twenty times while clients behave like this, again and again.
fn beside(
    board: &Subject,
    clients: usize,
    behave: &(dyn Fn(&mut Client, &AtomicBool) -> Result<()> + Sync),
) -> Result<()> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // To be cut off is what it is there for.
                    let _ = board.connect().and_then(|mut client| behave(&mut client, &is_over));
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let answers = || -> Result<()> {
            let started = Instant::now();
            (0..20).try_for_each(|_| board.answers())?;
            // It takes a third of that where four drip, and less everywhere else.
            ensure!(started.elapsed() < Duration::from_secs(30), "{} s", started.elapsed().as_secs());
            Ok(())
        };
        // The machine may be busy otherwise.
        let result = answers().or_else(|_| answers()).or_else(|_| answers());
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

pub(super) fn flood(board: &Subject) -> Result<()> {
    beside(board, 8, &|_, is_over| {
        let mut silent = VecDeque::new();
        while !is_over.load(Ordering::Relaxed) {
            silent.extend(board.connect());
            // As many as QEMU and this process may have at the same time.
            if silent.len() > 40 {
                silent.pop_front();
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    })
}

pub(super) fn upload(board: &Subject) -> Result<()> {
    let mut client = board.connect()?;
    client.send(&echo_in_chunks())?;
    let content = [b'x'; 500];
    let chunk = [&b"1f4\r\n"[..], &content, b"\r\n"].concat();
    for _ in 0..30 {
        client.send(&chunk)?;
        board.answers_meanwhile()?;
        // Longer than others would have to wait for it.
        thread::sleep(Duration::from_millis(50));
    }
    client.send(b"0\r\n\r\n")?;
    ensure!(client.answer("POST")?.content == content.repeat(30), "it did not come back");
    Ok(())
}

/// So many clients in the middle of a head.
fn half_heads(board: &Subject, count: usize) -> Result<Vec<Client>> {
    let half = |_| {
        let mut client = board.connect()?;
        client.send(b"GET / HTTP/1.1\r\nHo")?;
        Ok(client)
    };
    (0..count).map(half).collect()
}

pub(super) fn half_sent(board: &Subject) -> Result<()> {
    let mut result = Ok(());
    // As long as connections of the test before are about to end, who asks may be one too many to wait in the driver, and is sent
    // away to ask again, six seconds later. Where the board is wrong, each time.
    for _ in 0..3 {
        let half = half_heads(board, 6)?;
        // Each has a second; then the one that has had it longest goes.
        result = if board.lossy { board.answers() } else { board.answers_meanwhile() };
        if result.is_ok() {
            break;
        }
        drop(half);
        thread::sleep(Duration::from_secs(3));
    }
    result
}

/// The first test after the start.
pub(super) fn clock_begins_again(board: &Subject) -> Result<()> {
    // Seconds, when 32 bits of milliseconds are over.
    const END: u64 = (1 << 32) / 1000;
    let left = END.saturating_sub(board.figure("uptime_seconds")?);
    thread::sleep(Duration::from_secs(left.saturating_sub(2)));
    // On a busy machine the board's clock is slower than ours.
    for _ in 0..60 {
        let _half = half_heads(board, 4)?;
        thread::sleep(Duration::from_secs(1));
        // Each socket is taken, by somebody who came before.
        board.answers_meanwhile()?;
        if board.figure("uptime_seconds")? > END {
            return Ok(());
        }
    }
    bail!("its clock does not get there")
}

pub(super) fn idle(board: &Subject) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = board.connect()?;
        client.ask("GET", "/led")?;
        clients.push(client);
    }
    board.answers()?;
    if board.lossy {
        return Ok(());
    }
    // The youngest of them are still there.
    let youngest = clients.last_mut().context("there are ten")?;
    ensure!(youngest.ask("GET", "/led")?.status() == 200);
    Ok(())
}

pub(super) fn browser_beside_idle(board: &Subject) -> Result<()> {
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut client = board.connect()?;
        client.ask("GET", "/led")?;
        idle.push(client);
    }
    thread::scope(|scope| {
        let asking = |_| {
            scope.spawn(|| -> Result<Client> {
                let mut client = board.connect()?;
                ensure!(client.ask("GET", "/")?.status() == 200);
                Ok(client)
            })
        };
        let six: Vec<_> = (0..6).map(asking).collect();
        six.into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")).map(drop))
    })
}
