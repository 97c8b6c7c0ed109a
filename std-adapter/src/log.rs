//! The log on stderr, in Python's form (spec 93–104), which never stops service.
//!
//! Lines collect in a bounded buffer, and a thread writes them. Whoever has a line wakes it only when it sleeps, and it does not
//! sleep before a pause in which further lines collect: so a busy server wakes nobody. When whoever reads stderr does not keep
//! up, or has gone, lines are lost and service is not: the loss is counted, and said when lines are written again.

use crate::colour::{Colour, Palette};
use httpling_core::{Escaped, LogEntry, Status};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Octets of lines that wait for the writer.
const WAITING_MAX: usize = 1024 * 1024;
/// After it has written, the writer waits for so long.
const PAUSE: Duration = Duration::from_millis(2);

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Log {
    queue: Arc<Queue>,
    palette: Palette,
    /// Octets of a line, at most.
    line_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Lines that the writer has not taken yet.
    text: String,
    /// It has taken some, and not written them.
    is_writing: bool,
    /// It waits to be woken.
    sleeps: bool,
    /// Lines that found no place, since the beginning.
    lost: u64,
    /// No more lines will come.
    ended: bool,
}

impl Queue {
    /// Nobody panics while he holds the lock; if he did, the text would still be text.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the writer if it sleeps.
    fn change(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        act(&mut state);
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.changed.notify_one();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.change(|state| state.ended = true);
    }
}

impl Log {
    /// A log on stderr.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn to_stderr(line_max: usize) -> io::Result<Self> {
        Self::to(io::stderr(), Palette::for_stream(&io::stderr()), line_max)
    }

    fn to(out: impl io::Write + Send + 'static, palette: Palette, line_max: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let queue_too = Arc::clone(&queue);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&queue_too, out))?;
        Ok(Self { queue, palette, line_max })
    }

    /// `ADDR - - [TIME] "REQUEST LINE" CODE -`
    pub(crate) fn request(&self, entry: &LogEntry<'_>) {
        let code = entry.status.map_or(0, Status::code);
        let colour = Colour::of_status(code);
        self.line(entry.peer.copied(), |line| {
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
        self.line(entry.peer.copied(), |line| {
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
        line.truncate(self.line_max.saturating_sub(1));
        line.push('\n');
        self.queue.change(|state| {
            if state.text.len() + line.len() <= WAITING_MAX {
                state.text.push_str(&line);
            } else {
                state.lost += 1;
            }
        });
    }

    /// Lines that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lock().lost
    }

    /// Waits until the writer has written what it was given, or `patience` is over.
    pub(crate) fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let waits = || {
            let state = self.queue.lock();
            state.is_writing || !state.text.is_empty()
        };
        while waits() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write_lines(queue: &Queue, mut out: impl io::Write) {
    let mut batch = String::new();
    // Lines that were lost, and were said to be.
    let mut said = 0;
    loop {
        let mut state = queue.lock();
        state.is_writing = false;
        while state.text.is_empty() {
            if state.ended {
                return;
            }
            state.sleeps = true;
            state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Not each line of a busy server is worth waking anybody.
        state.sleeps = false;
        state.is_writing = true;
        batch.clear();
        std::mem::swap(&mut batch, &mut state.text);
        let lost = state.lost;
        drop(state);
        let missing = lost - std::mem::replace(&mut said, lost);
        if missing > 0 {
            _ = writeln!(batch, "({missing} lines lost: the log was not read fast enough)");
        }
        // A log that cannot be written is no reason to stop.
        _ = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
        std::thread::sleep(PAUSE);
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

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("ASCII")
        }
    }

    /// Takes nothing as long as the lock is held, as a pipe that nobody reads.
    struct Slow(Arc<Mutex<()>>, Paper);

    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.lock());
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Cannot be written the first time, as a disk that is full for a while.
    struct Failing(bool, Paper);

    impl io::Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_log_that_has_failed_goes_on() {
        let paper = Paper::default();
        let log = Log::to(Failing(true, paper.clone()), Palette::plain(), 300).expect("a thread");
        for message in ["lost", "written"] {
            log.message(None, message);
            log.drain(PATIENCE);
        }
        let text = paper.text();
        assert!(text.ends_with("] written\n") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn lines_are_escaped_and_cut() {
        let paper = Paper::default();
        let log = Log::to(paper.clone(), Palette::plain(), 300).expect("a thread");
        let peer = Some("[::ffff:1.2.3.4]:5".parse().expect("an address"));
        log.message(peer, "a\x1b[2J\u{85}\"\n");
        log.message(None, &"x".repeat(9000));
        log.drain(PATIENCE);
        let text = paper.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("::ffff:1.2.3.4 - - ["), "{text}");
        assert!(lines[0].ends_with(r"] a\x1b[2J\xc2\x85\x22\x0a"), "{text}");
        assert_eq!(lines[1].len(), 299);
    }

    #[test]
    fn a_log_that_is_not_read_stops_nobody() {
        let (pipe, paper) = (Arc::default(), Paper::default());
        let log = Log::to(Slow(Arc::clone(&pipe), paper.clone()), Palette::plain(), 4096).expect("a thread");
        let is_taken = || log.queue.lock().text.is_empty();
        let wait_until_taken = || {
            let end = Instant::now() + PATIENCE;
            while !is_taken() && Instant::now() < end {
                std::thread::yield_now();
            }
            assert!(is_taken());
        };
        let line = "lost".repeat(500);
        let mut lost = 0;
        for round in 1..=2 {
            let is_shut = pipe.lock().expect("no writer panics");
            // The writer has something that it cannot write, and so does not take more.
            log.message(None, "first");
            wait_until_taken();
            let mut kept = 0;
            while log.lost() < lost + round {
                log.message(None, &line);
                kept += 1;
                assert!(kept < 10_000, "nothing is lost");
            }
            // As many as have room.
            let waiting = log.queue.lock().text.len();
            assert!((WAITING_MAX - 3000..=WAITING_MAX).contains(&waiting) && kept > round, "{waiting}");
            log.drain(Duration::from_millis(5));
            lost += round;
            drop(is_shut);
            log.drain(PATIENCE);
        }
        // Each time those that were lost since the last time are told of, once.
        let text = paper.text();
        let told =
            text.lines().filter(|line| line.ends_with(" lines lost: the log was not read fast enough)"));
        assert_eq!(told.map(|line| line.split(' ').next()).collect::<Vec<_>>(), [Some("(1"), Some("(2")]);
        assert_eq!(log.lost(), 3);
    }

    /// Its writer is a thread, which has nothing to do any more.
    #[test]
    fn the_writer_ends_with_the_log() {
        let paper = Paper::default();
        let log = Log::to(paper.clone(), Palette::plain(), 300).expect("a thread");
        log.message(None, "the last line");
        drop(log);
        let end = Instant::now() + PATIENCE;
        while Arc::strong_count(&paper.0) > 1 {
            assert!(Instant::now() < end, "it waits for more");
            std::thread::yield_now();
        }
        assert!(paper.text().ends_with("the last line\n"));
    }
}
