//! A connection in memory, which gives one request at a read, and counts what is asked of it.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::hint::black_box;
use core::task::Poll;

use critical_section::Mutex;
use edge_nal::{Close, Readable, TcpShutdown, TcpSplit};
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};

/// What picoserve formats into, as a socket would lend it: as many bytes as one has room for.
static ROOM: Mutex<RefCell<[u8; 1024]>> = Mutex::new(RefCell::new([0; 1024]));

/// How often the connection was read from, written to and flushed.
pub mod counts {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static READS: AtomicUsize = AtomicUsize::new(0);
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    static FLUSHES: AtomicUsize = AtomicUsize::new(0);

    macro_rules! counter {
        ($counter:ident, $count:ident, $add:ident) => {
            pub(super) fn $add() {
                $counter.store($counter.load(Relaxed) + 1, Relaxed);
            }

            /// Since the last reset.
            pub fn $count() -> usize {
                $counter.load(Relaxed)
            }
        };
    }

    counter!(READS, reads, add_read);
    counter!(WRITES, writes, add_write);
    counter!(FLUSHES, flushes, add_flush);

    /// Begins anew.
    pub fn reset() {
        READS.store(0, Relaxed);
        WRITES.store(0, Relaxed);
        FLUSHES.store(0, Relaxed);
    }
}

/// A client that sends a request a number of times, each when the one before has been read.
#[derive(Debug)]
pub struct Connection {
    incoming: Incoming,
    outgoing: Outgoing,
}

/// The half to read from.
#[derive(Debug)]
pub struct Incoming {
    request: &'static [u8],
    rest: &'static [u8],
    requests: u32,
    /// Somebody waited for the next request.
    is_awaited: bool,
}

/// The half to write to: what is written is gone. To copy it would be a socket's work, and not count.
#[derive(Debug)]
pub struct Outgoing;

impl Connection {
    pub(crate) fn new(request: &'static [u8], requests: u32) -> Self {
        Self { incoming: Incoming { request, rest: &[], requests, is_awaited: false }, outgoing: Outgoing }
    }
}

impl Incoming {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        counts::add_read();
        if self.rest.is_empty() && self.requests > 0 {
            self.requests -= 1;
            self.rest = self.request;
            self.is_awaited = false;
        }
        let length = buffer.len().min(self.rest.len());
        let (now, later) = self.rest.split_at_checked(length).unwrap_or_default();
        if let Some(buffer) = buffer.get_mut(..length) {
            buffer.copy_from_slice(now);
        }
        self.rest = later;
        length
    }
}

impl Incoming {
    /// Waits once before each request, as one waits for a client.
    async fn readable(&mut self) {
        poll_fn(|_| {
            if self.rest.is_empty() && !self.is_awaited {
                self.is_awaited = true;
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Outgoing {
    fn put(bytes: &[u8]) -> usize {
        counts::add_write();
        black_box(bytes).len()
    }
}

impl embedded_io::ErrorType for Connection {
    type Error = Infallible;
}

impl embedded_io::ErrorType for Incoming {
    type Error = Infallible;
}

impl embedded_io::ErrorType for Outgoing {
    type Error = Infallible;
}

impl embedded_io::Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.incoming.take(buffer))
    }
}

impl embedded_io::Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(Outgoing::put(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        counts::add_flush();
        Ok(())
    }
}

impl embedded_io_async::Read for Incoming {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        self.readable().await;
        Ok(self.take(buffer))
    }
}

impl embedded_io_async::Write for Outgoing {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(Self::put(bytes))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        counts::add_flush();
        Ok(())
    }
}

impl embedded_io_async::Read for Connection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embedded_io_async::Read::read(&mut self.incoming, buffer).await
    }
}

impl embedded_io_async::Write for Connection {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(Outgoing::put(bytes))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        counts::add_flush();
        Ok(())
    }
}

impl picoserve::io::Write for Outgoing {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(&mut self, fill: F) -> Result<R, Infallible> {
        counts::add_write();
        critical_section::with(|token| {
            let mut room = ROOM.borrow_ref_mut(token);
            let mut buffer = BorrowedBuffer::new(&mut *room);
            let result = fill(buffer.unfilled());
            black_box(buffer.filled());
            Ok(result)
        })
    }
}

/// Names the run-time that picoserve wants to tell apart.
#[derive(Debug)]
pub struct InMemory;

impl picoserve::io::Socket<InMemory> for Connection {
    type Error = Infallible;
    type ReadHalf<'a> = &'a mut Incoming;
    type WriteHalf<'a> = &'a mut Outgoing;

    fn split(&mut self) -> (&mut Incoming, &mut Outgoing) {
        (&mut self.incoming, &mut self.outgoing)
    }

    async fn abort<T: picoserve::Timer<InMemory>>(
        self,
        _: &picoserve::Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<Infallible>> {
        Ok(())
    }

    async fn shutdown<T: picoserve::Timer<InMemory>>(
        self,
        _: &picoserve::Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<Infallible>> {
        Ok(())
    }
}

impl Readable for Connection {
    async fn readable(&mut self) -> Result<(), Infallible> {
        self.incoming.readable().await;
        Ok(())
    }
}

impl Readable for Incoming {
    async fn readable(&mut self) -> Result<(), Infallible> {
        self.readable().await;
        Ok(())
    }
}

impl TcpSplit for Connection {
    type Read<'a> = &'a mut Incoming;
    type Write<'a> = &'a mut Outgoing;

    fn split(&mut self) -> (&mut Incoming, &mut Outgoing) {
        (&mut self.incoming, &mut self.outgoing)
    }
}

impl TcpShutdown for Connection {
    async fn close(&mut self, _: Close) -> Result<(), Infallible> {
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
