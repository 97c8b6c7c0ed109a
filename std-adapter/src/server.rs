//! The server: sockets that listen, and what serves their connections.

use crate::clock::SystemClock;
use crate::listener::{Listener, LocalAddress};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::reactor::{self, Base, Extent};
use crate::settings::{Builder, Settings};
use httpling_core::RequestHandler;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// A server that listens: Python's `HTTPServer`, and `ThreadingHTTPServer`.
///
/// ```
/// use httpling::{HttpServer, Request, RequestHandler, Response, SendError, Sent, status};
///
/// struct MyHandler;
///
/// impl RequestHandler for MyHandler {
///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
///         response.send_response(status::OK).send_header("Content-Type", "text/html").end_with(b"Hello there")
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     let server = HttpServer::bind("localhost:0")?;
///     println!("{}", server.banner());
///     // Whoever has this can end it: here at once, so that the example ends.
///     let handle = server.shutdown_handle();
///     std::thread::spawn(move || handle.shutdown());
///     server.serve_forever(|_peer| MyHandler)
/// }
/// ```
#[derive(Debug)]
#[doc(alias = "HTTPServer")]
#[doc(alias = "ThreadingHTTPServer")]
#[doc(alias = "TCPServer")]
pub struct HttpServer {
    listeners: Arc<[Listener]>,
    base: Arc<Base>,
}

impl HttpServer {
    pub(crate) fn new(listeners: Vec<Listener>, settings: Settings) -> io::Result<Self> {
        let log = if settings.log { Some(Log::to_stderr(settings.log_line_bytes_max)?) } else { None };
        let clock = SystemClock::new(settings.log);
        Ok(Self { listeners: listeners.into(), base: Arc::new(Base::new(settings, clock, log)) })
    }

    /// Listens with the default settings: see [`Builder::bind`].
    ///
    /// # Errors
    /// Why none of the addresses could be listened on.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(addresses)
    }

    /// The settings, to be changed before [`bind`](Builder::bind).
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Listens where somebody else listens already, with the default settings: see [`Builder::listener`].
    ///
    /// # Errors
    /// When that is no socket that listens.
    #[cfg(unix)]
    pub fn from_listener(listener: impl Into<std::os::fd::OwnedFd>) -> io::Result<Self> {
        Self::builder().listener(listener)?.build()
    }

    /// Listens where somebody else listens already, with the default settings: see [`Builder::listener`].
    ///
    /// # Errors
    /// When that is no socket that listens.
    #[cfg(windows)]
    pub fn from_listener(listener: impl Into<std::os::windows::io::OwnedSocket>) -> io::Result<Self> {
        Self::builder().listener(listener)?.build()
    }

    /// Where it listens, in the order in which that was said.
    pub fn local_addresses(&self) -> impl Iterator<Item = &LocalAddress> {
        self.listeners.iter().map(|listener| &listener.address)
    }

    /// The first IP address on which it listens, with the port that was taken for port 0. `None` when it listens on Unix sockets
    /// alone.
    #[doc(alias = "server_address")]
    #[doc(alias = "server_port")]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addresses().find_map(|address| match address {
            LocalAddress::Tcp(address) => Some(*address),
            LocalAddress::Unix(_) => None,
        })
    }

    /// Python's first line: `Serving HTTP on HOST port PORT (http://HOST:PORT/) ...` (spec 16). One for each socket.
    pub fn banner(&self) -> String {
        let lines = self.listeners.iter().map(|listener| {
            let origin = if listener.is_given() { ", inherited" } else { "" };
            format!("Serving HTTP on {}{origin} ...", listener.address)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Ends [`serve_forever`](Self::serve_forever) from elsewhere.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle { base: Arc::clone(&self.base), listeners: Arc::downgrade(&self.listeners) }
    }

    /// Tells what it has done so far, in numbers, from elsewhere too.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.base))
    }

    /// Tells whether it is alive, from elsewhere too: for a watchdog.
    pub fn pulse(&self) -> Pulse {
        Pulse { base: Arc::clone(&self.base) }
    }

    /// Serves until [`ShutdownHandle::shutdown`]. `factory` makes a handler for each connection, when its first request comes:
    /// Python's handler class. It is told the client's address; clients of Unix sockets have none.
    ///
    /// # What a handler may do
    ///
    /// Whatever it likes, in plain synchronous Rust. It runs on the thread that read its request, which serves many
    /// connections; when it waits, another thread takes those over:
    ///
    /// - before it waits for its own client (for content that has not arrived, or for a client that does not take what is
    ///   written), at once;
    /// - when it sleeps, reads a file, or waits for a lock or another server, after one to two milliseconds;
    /// - when it computes, after four to five milliseconds.
    ///
    /// Requests of the same kind (method, and first segment of the path) as one that was found doing either are served beside the
    /// loops from then on, for as long as the kind goes on taking longer than a millisecond.
    ///
    /// Content of at most 16 KiB, of a length that its head tells, has come whole when its handler is called, unless the client
    /// waits to be asked for it: however slowly it comes, it takes no thread. A handler that refuses it by its head alone
    /// does so that much later. Who sends more slowly than [`bytes_per_second_min`](Builder::bytes_per_second_min) is refused all the
    /// same. Longer content is read by its handler as it comes, and takes a thread for as long as that waits: what reads
    /// and writes it in pieces of some 100 KiB needs the fewest calls. When few threads are left, the slowest of these make place for
    /// others (see [`spare_threads_max`](Builder::spare_threads_max)).
    ///
    /// A response of at most 64 KiB, and a file that is sent with [`end_with_file`](crate::EndWithFile::end_with_file), need no
    /// thread: the handler returns, and its client may take its time. What is kept for it meanwhile has a bound:
    /// [`unsent_bytes_max`](Builder::unsent_bytes_max).
    ///
    /// There are [`spare_threads_max`](Builder::spare_threads_max) threads for that, and one more for each loop, so that the others
    /// go on when all of those wait. When these wait, too, only requests of kinds that are known to be answered at once are served,
    /// and all others wait for a thread. Handlers that compute for long share the processors with all others, the loops among them:
    /// more threads do not make more of those. Where hundreds compute at a time, a loop that has used up its turn on a processor waits
    /// for theirs, and its clients with it: a part of a second is usual, and more than one was seen when the threads for a first crowd
    /// were made. A few threads for each processor answer such a crowd as soon, and hold up nobody; but there are as few for handlers
    /// that sleep.
    ///
    /// A handler that panics costs its client the connection, or a 500 if nothing was sent, and nobody else anything.
    ///
    /// # Errors
    /// When there are no threads or descriptors to begin with. Nothing that a client does ends it.
    #[doc(alias = "setup")]
    #[doc(alias = "process_request")]
    pub fn serve_forever<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler + Send + 'static,
        F: Fn(Option<SocketAddr>) -> H + Send + Sync + 'static,
    {
        let extent = Extent { loops: self.base.settings.loops(), accepts: u64::MAX };
        reactor::run(&self.base, &self.listeners, extent, Box::new(move |peer| Some(factory(peer))))
    }

    /// Serves one connection.
    ///
    /// # Errors
    /// When there are no threads or descriptors to begin with.
    pub fn handle_request<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler + Send + 'static,
        F: FnOnce(Option<SocketAddr>) -> H + Send + 'static,
    {
        let factory = Mutex::new(Some(factory));
        let once = move |peer| {
            let factory = factory.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some(factory(peer))
        };
        reactor::run(&self.base, &self.listeners, Extent { loops: 1, accepts: 1 }, Box::new(once))
    }
}

/// Tells whether a server is alive: see [`HttpServer::pulse`].
#[derive(Clone, Debug)]
pub struct Pulse {
    base: Arc<Base>,
}

impl Pulse {
    /// Does each event loop answer a question within this time? One does not when the program is stopped, or when all threads
    /// are stuck in handlers, so that nobody serves its connections. A server that does not serve yet, or is ending, has no loop
    /// that must.
    pub fn beats(&self, within: Duration) -> bool {
        self.base.answers(within)
    }
}

/// Ends a server from another thread or from a signal: see [`HttpServer::shutdown_handle`].
#[derive(Clone, Debug)]
pub struct ShutdownHandle {
    base: Arc<Base>,
    /// Sockets that were given are closed with the server, whoever keeps this.
    listeners: Weak<[Listener]>,
}

/// How long a handshake may take that has begun before its listener turns others away: the time of a long way there and back.
const HANDSHAKE: Duration = Duration::from_millis(250);

impl ShutdownHandle {
    /// Stops listening, once those are accepted whom the kernel has let in. Idle connections are closed, and those that have just
    /// begun have a second for their first request; running requests go on until they are answered, or until
    /// [`Builder::drain_timeout`]. A socket that was [given](Builder::listener) is left to its owner as it is.
    ///
    /// Returns at once; [`HttpServer::serve_forever`] returns when all is over.
    ///
    /// On a port that other servers share ([`Builder::reuse_port`]) nobody is refused, on Linux: it goes on listening for a quarter
    /// of a second to those who are in the middle of connecting, and leaves the others to those servers.
    pub fn shutdown(&self) {
        let listeners = self.listeners.upgrade();
        // All of them, not just the first.
        let turned_away = listeners.iter().flat_map(|all| all.iter()).filter(|one| one.turns_away()).count();
        let base = Arc::clone(&self.base);
        let stop_later = move || {
            thread::sleep(HANDSHAKE);
            base.stop();
        };
        // Without a thread it ends as it would anywhere else.
        if turned_away == 0 || thread::Builder::new().spawn(stop_later).is_err() {
            self.base.stop();
        }
    }
}
