//! A TCP connection as the engine's wire, with the server's time-outs.

use embedded_io::ErrorKind;
use httpling_core::Wire;
use socket2::SockRef;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// A new connection that sends nothing.
    pub(crate) first_byte: Duration,
    /// A request's head, from its first byte to its last.
    pub(crate) head: Duration,
    /// A connection between two requests.
    pub(crate) idle: Duration,
    /// A read of content.
    pub(crate) read: Duration,
    /// A write without progress.
    pub(crate) write: Duration,
}

/// A connection, shared between the thread that serves it and the one that may have to end it.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) address: SocketAddr,
    accepted: Instant,
    /// Milliseconds after `accepted` since when it is idle, and 1; 0 while it is not.
    idle_since: AtomicU64,
}

impl Peer {
    /// Takes a connection over.
    ///
    /// # Errors
    /// When the client is gone already.
    pub(crate) fn new(stream: TcpStream, address: SocketAddr, timeouts: &Timeouts) -> io::Result<Self> {
        // Head and content leave in one write, so there is nothing to gain by waiting for more (spec 29).
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(timeouts.write))?;
        Ok(Self { stream, address, accepted: Instant::now(), idle_since: AtomicU64::new(1) })
    }

    fn set_idle(&self, idle: bool) {
        let since = self.accepted.elapsed().as_millis();
        let since = if idle { u64::try_from(since).unwrap_or(u64::MAX - 1) + 1 } else { 0 };
        self.idle_since.store(since, Ordering::Relaxed);
    }

    /// Since when there has been no request on it; `None` while there is one.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let since = self.idle_since.load(Ordering::Relaxed);
        since.checked_sub(1).map(|since| self.accepted + Duration::from_millis(since))
    }

    /// Ends it gently: no further request is read. What is running goes on.
    pub(crate) fn stop_reading(&self) {
        // It fails when the client was faster.
        _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Ends it at once, whatever its thread is waiting for, and so that the client sees that what it has is not whole: with a
    /// reset. An orderly end would be the end of the content to clients of HTTP/1.0.
    pub(crate) fn cut(&self) {
        #[cfg(target_os = "linux")]
        if rustix::net::connect_unspec(&self.stream).is_ok() {
            return;
        }
        // Elsewhere only the owner of a socket can reset it. It does, once it is woken, but the end goes ahead of the reset.
        _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The engine's view of a connection.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    peer: &'a Peer,
    timeouts: &'a Timeouts,
    doing: Cell<Doing>,
    served: Cell<bool>,
    /// The time-out that the socket has.
    set: Cell<Option<Duration>>,
}

/// What the next read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Waiting for a request.
    Waiting,
    /// In a head that must be whole by then.
    Head(Instant),
    /// In a handler.
    Content,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(peer: &'a Peer, timeouts: &'a Timeouts) -> Self {
        Self {
            peer,
            timeouts,
            doing: Cell::new(Doing::Waiting),
            served: Cell::new(false),
            set: Cell::new(None),
        }
    }

    /// A handler begins.
    pub(crate) fn begin_exchange(&self) {
        self.doing.set(Doing::Content);
        self.peer.set_idle(false);
    }

    /// A response is written.
    pub(crate) fn end_exchange(&self) {
        self.doing.set(Doing::Waiting);
        self.served.set(true);
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let patience = match self.doing.get() {
            Doing::Waiting => {
                self.peer.set_idle(true);
                if self.served.get() { self.timeouts.idle } else { self.timeouts.first_byte }
            }
            Doing::Head(end) => end.saturating_duration_since(Instant::now()),
            Doing::Content => self.timeouts.read,
        };
        if patience.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.set.get() != Some(patience) {
            self.peer.stream.set_read_timeout(Some(patience))?;
            self.set.set(Some(patience));
        }
        let count = (&self.peer.stream).read(buffer)?;
        if self.doing.get() == Doing::Waiting && count > 0 {
            self.peer.set_idle(false);
            self.doing.set(Doing::Head(Instant::now() + self.timeouts.head));
        }
        Ok(count)
    }

    /// Closes after a whole response. The client may still be sending, and input that nobody reads makes the kernel reset the
    /// connection, which can destroy that response on its way (spec 33): so what comes is dropped for a moment.
    pub(crate) fn close_gently(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        const OCTETS_MAX: usize = 256 * 1024;
        if self.peer.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let end = Instant::now() + PATIENCE;
        let (mut dropped, mut octets) = (0, [0; 8192]);
        while dropped < OCTETS_MAX {
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() || self.peer.stream.set_read_timeout(Some(patience)).is_err() {
                return;
            }
            match (&self.peer.stream).read(&mut octets) {
                Ok(0) => return,
                Ok(count) => dropped += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Closes so that the client sees that what it has is not whole: with a reset.
    pub(crate) fn close_broken(&self) {
        _ = SockRef::from(&self.peer.stream).set_linger(Some(Duration::ZERO));
    }
}

impl Wire for &Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.try_read(buffer).map_err(|error| kind(&error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        (&self.peer.stream).write(bytes).map_err(|error| kind(&error))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A socket whose time-out is over says that it would block.
fn kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::WouldBlock => ErrorKind::TimedOut,
        kind => kind.into(),
    }
}
