//! The log on stderr, in Python's form (spec 93–104), which never stops service.
//!
//! Lines go through a bounded queue to a thread that writes them. When whoever reads stderr does not keep up, or has gone,
//! lines are lost and service is not: the loss is counted, and said when lines are written again.

use crate::colour::{Colour, Palette};
use httpling_core::{Escaped, LogEntry, Status};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines that wait for the writer.
const QUEUE: usize = 4096;
/// Octets of a line, at most.
const LINE_MAX: usize = 4096;
/// Octets that the writer hands over in one piece.
const BATCH: usize = 64 * 1024;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Log {
    lines: SyncSender<String>,
    counts: Arc<Counts>,
    palette: Palette,
    #[allow(dead_code)] // The writer ends when its queue does.
    writer: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Lines that are not written yet.
    waiting: AtomicUsize,
    /// Lines that found no place in the queue, since the beginning.
    lost: AtomicU64,
}

impl Log {
    /// A log on stderr.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn to_stderr() -> io::Result<Self> {
        Self::to(io::stderr(), Palette::for_stream(&io::stderr()))
    }

    fn to(out: impl io::Write + Send + 'static, palette: Palette) -> io::Result<Self> {
        let (lines, queue) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let counts_too = Arc::clone(&counts);
        let writer = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&queue, out, &counts_too))?;
        Ok(Self { lines, counts, palette, writer })
    }

    /// `ADDR - - [TIME] "REQUEST LINE" CODE -`
    pub(crate) fn request(&self, entry: &LogEntry<'_>) {
        let code = entry.status.map_or(0, Status::code);
        let colour = Colour::of_status(code);
        self.line(entry.peer, |line| {
            let paint = self.palette.paint(colour);
            write!(line, "{}\"{}\" ", paint.start, Escaped(entry.request_line))?;
            match code {
                0 => line.push('-'),
                code => write!(line, "{code}")?,
            }
            write!(line, " -{}", paint.end)
        });
    }

    /// `ADDR - - [TIME] code N, message M`
    pub(crate) fn error(&self, entry: &LogEntry<'_>, message: &str) {
        self.line(entry.peer, |line| {
            let paint = self.palette.paint(Colour::Yellow);
            line.push_str(paint.start);
            if let Some(status) = entry.status {
                write!(line, "code {}, message ", status.code())?;
            }
            write!(line, "{}{}", Escaped(message.as_bytes()), paint.end)
        });
    }

    /// `ADDR - - [TIME] MESSAGE`
    pub(crate) fn message(&self, peer: Option<SocketAddr>, message: &str) {
        self.line(peer, |line| write!(line, "{}", Escaped(message.as_bytes())));
    }

    fn line(&self, peer: Option<SocketAddr>, text: impl FnOnce(&mut String) -> std::fmt::Result) {
        let mut line = String::with_capacity(128);
        match peer {
            Some(peer) => _ = write!(line, "{}", peer.ip()),
            None => line.push('-'),
        }
        let paint = self.palette.paint(Colour::Grey);
        _ = write!(line, " - - {}[{}]{} ", paint.start, local_time(), paint.end);
        _ = text(&mut line);
        // All of it is ASCII: the escapes see to that.
        line.truncate(LINE_MAX - 1);
        line.push('\n');
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        if self.lines.try_send(line).is_err() {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Waits until the writer has written what it was given, or `patience` is over.
    pub(crate) fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.counts.waiting.load(Ordering::Acquire) > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write_lines(queue: &Receiver<String>, mut out: impl io::Write, counts: &Counts) {
    let mut batch = String::new();
    // Lines that were lost, and were said to be.
    let mut said = 0;
    while let Ok(line) = queue.recv() {
        batch.clear();
        batch.push_str(&line);
        let mut lines = 1;
        while batch.len() < BATCH {
            let Ok(line) = queue.try_recv() else { break };
            batch.push_str(&line);
            lines += 1;
        }
        let lost = counts.lost.load(Ordering::Relaxed);
        let missing = lost - std::mem::replace(&mut said, lost);
        if missing > 0 {
            _ = writeln!(batch, "({missing} lines lost: the log was not read fast enough)");
        }
        // A log that cannot be written is no reason to stop.
        _ = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
        counts.waiting.fetch_sub(lines, Ordering::Release);
    }
}

/// `DD/Mon/YYYY HH:MM:SS`, local, with English months (spec 93, 102).
fn local_time() -> String {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = crate::clock::unix_seconds();
    LAST.with_borrow_mut(|(second, text)| {
        if *second != now {
            *second = now;
            *text = jiff::Zoned::now().strftime("%d/%b/%Y %H:%M:%S").to_string();
        }
        text.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Never takes anything, as a pipe that nobody reads.
    struct Stuck;

    impl io::Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_escaped_and_cut() {
        let paper = Paper::default();
        let log = Log::to(paper.clone(), Palette::plain()).expect("a thread");
        let peer = Some("[::ffff:1.2.3.4]:5".parse().expect("an address"));
        log.message(peer, "a\x1b[2J\u{85}\"\n");
        log.message(None, &"x".repeat(9000));
        log.drain(Duration::from_secs(5));
        let text = String::from_utf8(paper.0.lock().expect("no writer panics").clone()).expect("ASCII");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("::ffff:1.2.3.4 - - ["), "{text}");
        assert!(lines[0].ends_with(r"] a\x1b[2J\xc2\x85\x22\x0a"), "{text}");
        assert_eq!(lines[1].len(), LINE_MAX - 1);
    }

    #[test]
    fn a_log_that_is_not_read_stops_nobody() {
        let log = Log::to(Stuck, Palette::plain()).expect("a thread");
        for _ in 0..4 * QUEUE {
            log.message(None, "lost");
        }
        assert!(log.counts.lost.load(Ordering::Relaxed) >= QUEUE as u64);
        log.drain(Duration::from_millis(5));
    }
}
