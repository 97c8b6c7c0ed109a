//! The server: a listening socket, and threads that serve its connections.
//!
//! [`HttpServer::serve_forever`] accepts; each connection is served by one thread of a bounded pool, from its first byte to its
//! last. When all threads are taken and another client waits, the connection that has been idle for longest is closed: a
//! browser keeps connections open that it may never use again, and must not lock others out.

use crate::clock::SystemClock;
use crate::guard::Guard;
use crate::log::Log;
use crate::stream::{Peer, Stream, Timeouts};
use httpling_core::{CloseReason, Config, Leniency, Limits, RequestHandler, Session, Version};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Clients that the kernel lets wait. Python's 5 is too few for the six connections of a browser (spec 26).
const BACKLOG: i32 = 4096;
/// Octets of a response that leaves in one piece: 64 KiB of content and a head.
const OUTPUT_BYTES: usize = 64 * 1024 + 4096;
/// Room behind the longest head, so that content that came with it needs no further read.
const INPUT_SLACK_BYTES: usize = 4096;
/// How long a connection must have been idle to be closed for another one: its request may be on its way.
const IDLE_MIN: Duration = Duration::from_millis(250);

/// Settings of a server, each with a default: see [`HttpServer::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    limits: Limits,
    leniency: Leniency,
    protocol: Version,
    server: Option<String>,
    threads: usize,
    timeouts: Timeouts,
    drain: Duration,
    log: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            leniency: Leniency::default(),
            protocol: Version::Http11,
            server: Some("httpling".to_owned()),
            threads: 256,
            timeouts: Timeouts {
                first_byte: Duration::from_secs(10),
                head: Duration::from_secs(10),
                idle: Duration::from_secs(15),
                read: Duration::from_secs(20),
                write: Duration::from_secs(30),
            },
            drain: Duration::from_secs(10),
            log: true,
        }
    }
}

impl Builder {
    /// The bounds of each connection. Default: [`Limits::DEFAULT`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What to accept beyond the rules. Default: nothing.
    #[must_use]
    pub fn leniency(mut self, leniency: Leniency) -> Self {
        self.leniency = leniency;
        self
    }

    /// The version of all responses. Default: HTTP/1.1; with HTTP/1.0, one request per connection.
    #[doc(alias = "protocol_version")]
    #[must_use]
    pub fn protocol(mut self, version: Version) -> Self {
        self.protocol = version;
        self
    }

    /// The `Server` field; `None` leaves it out. Default: `httpling`, without a version, which is nobody's business.
    #[doc(alias = "server_version")]
    #[must_use]
    pub fn server_name(mut self, name: Option<&str>) -> Self {
        self.server = name.map(str::to_owned);
        self
    }

    /// Threads, and so connections, at most; at least 1. Default: 256.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How long a new connection may be silent. Default: 10 s; it is closed without a word.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.first_byte = timeout;
        self
    }

    /// How long a request's head may take, from its first byte to its last. Default: 10 s, then 408.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.head = timeout;
        self
    }

    /// How long a connection may be silent between two requests. Default: 15 s; it is closed without a word.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// How long a handler waits for content. Default: 20 s, then 408.
    #[doc(alias = "timeout")]
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = timeout;
        self
    }

    /// How long a client may take nothing of what is sent to it. Default: 30 s, then the connection is cut.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.write = timeout;
        self
    }

    /// How long running requests may go on after [`ShutdownHandle::shutdown`]. Default: 10 s.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    /// Write a line to stderr for each request, as Python does? Default: yes.
    #[doc(alias = "log_message")]
    #[must_use]
    pub fn log(mut self, log: bool) -> Self {
        self.log = log;
        self
    }

    /// Listens on the first of these addresses on which that can be done. Port 0 takes a free one. `[::]` takes IPv4
    /// clients too, where the system can (spec 5).
    ///
    /// # Errors
    /// Why the last address could not be listened on.
    pub fn bind(self, addresses: impl ToSocketAddrs) -> io::Result<HttpServer> {
        let mut result = Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on"));
        for address in addresses.to_socket_addrs()? {
            result = listen(address);
            if result.is_ok() {
                break;
            }
        }
        let listener = result?;
        let address = listener.local_addr()?;
        let log = if self.log { Some(Log::to_stderr()?) } else { None };
        let clock = SystemClock::new(self.log);
        let state = Mutex::new(State::default());
        let shared = Shared {
            settings: self,
            address,
            clock,
            log,
            stopping: AtomicBool::new(false),
            state,
            changed: Condvar::new(),
        };
        Ok(HttpServer { listener, shared: Arc::new(shared) })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // Where IPv4 cannot be had on the same socket, IPv6 alone is what there is.
        _ = socket.set_only_v6(false);
    }
    // On Windows the option means another thing: that two programs may share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

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
///     println!("http://{}/", server.local_addr());
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
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What the accepting thread and the serving ones share.
#[derive(Debug)]
struct Shared {
    settings: Builder,
    address: SocketAddr,
    clock: SystemClock,
    log: Option<Log>,
    stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Accepted, and not yet served.
    waiting: VecDeque<Arc<Peer>>,
    /// Being served.
    served: Vec<Arc<Peer>>,
    threads: usize,
    /// No thread waits for work any more.
    ended: bool,
}

impl HttpServer {
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

    /// Where it listens: with the port that was taken for port 0.
    #[doc(alias = "server_address")]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Python's first line: `Serving HTTP on HOST port PORT (http://HOST:PORT/) ...` (spec 16).
    pub fn banner(&self) -> String {
        let address = self.local_addr();
        // An IPv6 address stands in brackets in a URL, as it does where a port follows it.
        format!("Serving HTTP on {} port {} (http://{address}/) ...", address.ip(), address.port())
    }

    /// Ends [`serve_forever`](Self::serve_forever) from elsewhere.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until [`ShutdownHandle::shutdown`]. `factory` makes a handler for each connection: Python's handler class.
    ///
    /// Handlers run on threads of the pool, and may wait for as long as they like. A handler that panics costs its client the
    /// connection, or a 500 if nothing was sent, and nobody else anything.
    ///
    /// # Errors
    /// When no thread can be started at all. Nothing that a client does ends it.
    pub fn serve_forever<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler,
        F: Fn(SocketAddr) -> H + Send + Sync + 'static,
    {
        let factory = Arc::new(factory);
        let mut pause = Pause::default();
        while !self.shared.is_stopping() {
            match self.listener.accept() {
                Ok(_) if self.shared.is_stopping() => break,
                Ok((stream, address)) => {
                    pause = Pause::default();
                    self.submit(stream, address, &factory)?;
                }
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => pause.after(&error, &self.shared),
            }
        }
        // Clients are refused from now on, and go elsewhere. (Where the system does not know this of a socket that listens, they
        // wait until the server is dropped.)
        _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        self.shared.drain();
        Ok(())
    }

    /// Serves one connection, on this thread.
    ///
    /// # Errors
    /// When none can be accepted.
    pub fn handle_request<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler,
        F: FnOnce(SocketAddr) -> H,
    {
        let (stream, address) = self.listener.accept()?;
        if self.shared.is_stopping() {
            return Ok(());
        }
        let peer = Peer::new(stream, address, &self.shared.settings.timeouts)?;
        Buffers::new(&self.shared.settings).serve(&peer, factory(address), &self.shared);
        Ok(())
    }

    /// Finds a thread for a connection: one that waits, or a new one, or, when there are enough, the one whose connection has
    /// been idle for longest.
    fn submit<H, F>(&self, stream: TcpStream, address: SocketAddr, factory: &Arc<F>) -> io::Result<()>
    where
        H: RequestHandler,
        F: Fn(SocketAddr) -> H + Send + Sync + 'static,
    {
        let shared = &self.shared;
        let Ok(peer) = Peer::new(stream, address, &shared.settings.timeouts) else { return Ok(()) };
        let mut state = shared.lock();
        state.waiting.push_back(Arc::new(peer));
        let idle_threads = state.threads - state.served.len();
        if state.waiting.len() <= idle_threads {
            shared.changed.notify_one();
            return Ok(());
        }
        if state.threads < shared.settings.threads {
            state.threads += 1;
            let (shared_too, factory) = (Arc::clone(shared), Arc::clone(factory));
            let spawned = std::thread::Builder::new().spawn(move || shared_too.serve_connections(&*factory));
            match spawned {
                Ok(_) => return Ok(()),
                Err(error) => {
                    state.threads -= 1;
                    if state.threads == 0 {
                        return Err(error);
                    }
                }
            }
        }
        // The kernel's queue holds who comes next, until this one has found its thread.
        while state.waiting.len() > state.threads - state.served.len() && !shared.is_stopping() {
            state.close_longest_idle();
            let (changed, _) = shared
                .changed
                .wait_timeout(state, Duration::from_millis(50))
                .unwrap_or_else(PoisonError::into_inner);
            state = changed;
        }
        Ok(())
    }
}

impl State {
    fn close_longest_idle(&self) {
        let idle = self.served.iter().filter_map(|peer| Some((peer.idle_since()?, peer)));
        if let Some((since, peer)) = idle.min_by_key(|(since, _)| *since)
            && since.elapsed() >= IDLE_MIN
        {
            peer.stop_reading();
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// No code panics while it holds the lock; if it did, the state would still be whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Config<'_> {
        let settings = &self.settings;
        Config {
            limits: settings.limits,
            leniency: settings.leniency,
            protocol: settings.protocol,
            server: settings.server.as_deref(),
            clock: Some(&self.clock),
            stopping: Some(&self.stopping),
            ..Config::DEFAULT
        }
    }

    /// A thread's life.
    fn serve_connections<H: RequestHandler>(&self, factory: &impl Fn(SocketAddr) -> H) {
        let mut buffers = Buffers::new(&self.settings);
        let mut state = self.lock();
        loop {
            if let Some(peer) = state.waiting.pop_front() {
                state.served.push(Arc::clone(&peer));
                drop(state);
                // Making a handler and dropping it is the user's code too. A panic there costs one connection, and no thread.
                let serve = || buffers.serve(&peer, factory(peer.address), self);
                if let (Err(_), Some(log)) = (catch_unwind(AssertUnwindSafe(serve)), &self.log) {
                    log.message(Some(peer.address), "Handler panicked");
                }
                state = self.lock();
                state.served.retain(|served| !Arc::ptr_eq(served, &peer));
                self.changed.notify_all();
            } else if state.ended {
                break;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.threads -= 1;
        self.changed.notify_all();
    }

    /// Ends all connections: at once where nothing has begun, else when it is finished, or its time is over.
    fn drain(&self) {
        let end = Instant::now() + self.settings.drain;
        let mut state = self.lock();
        state.waiting.clear();
        state.ended = true;
        self.changed.notify_all();
        while state.threads > 0 {
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                state.served.iter().for_each(|peer| peer.cut());
                break;
            }
            // Again and again: a thread may be about to wait for another request.
            for peer in state.served.iter().filter(|peer| peer.idle_since().is_some()) {
                peer.stop_reading();
            }
            let patience = patience.min(Duration::from_millis(50));
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(log) = &self.log {
            log.drain(Duration::from_millis(200));
        }
    }
}

/// The buffers of a thread. What is never used of them is never touched, and costs no memory.
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Buffers {
    fn new(settings: &Builder) -> Self {
        let limits = settings.limits;
        // Positions in a head are below 2^30.
        let head = limits.request_line_bytes_max.saturating_add(limits.field_section_bytes_max).min(1 << 30)
            as usize;
        Self { input: vec![0; head + INPUT_SLACK_BYTES], output: vec![0; OUTPUT_BYTES] }
    }

    /// A connection's life.
    fn serve<H: RequestHandler>(&mut self, peer: &Peer, handler: H, shared: &Shared) {
        let config = shared.config();
        let stream = Stream::new(peer, &shared.settings.timeouts);
        let mut handler = Guard::new(handler, &stream, shared.log.as_ref());
        let mut session =
            Session::new(&mut self.input, &mut self.output, &config).with_peer(Some(peer.address));
        match session.handle(&mut &stream, &mut handler) {
            CloseReason::Finished | CloseReason::Refused(_) => stream.close_gently(),
            // The transport fails by a time-out, too: to the client its end would look like any other.
            CloseReason::Broken(_) | CloseReason::Transport(_) => stream.close_broken(),
            _ => {}
        }
    }
}

/// Faults of the client's or of the network on the way: the next connection may be there already.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        TimedOut,
    };
    /// `EPROTO`, which has no name in `std`.
    #[cfg(target_os = "linux")]
    const PROTOCOL_ERROR: i32 = 71;
    let known = [
        ConnectionAborted,
        ConnectionReset,
        HostUnreachable,
        Interrupted,
        NetworkDown,
        NetworkUnreachable,
        TimedOut,
    ];
    #[cfg(target_os = "linux")]
    if error.raw_os_error() == Some(PROTOCOL_ERROR) {
        return true;
    }
    known.contains(&error.kind())
}

/// For faults that stay for a while: no descriptors, no memory.
#[derive(Debug)]
struct Pause {
    length: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { length: Duration::from_millis(50) }
    }
}

impl Pause {
    fn after(&mut self, error: &io::Error, shared: &Shared) {
        const LONGEST: Duration = Duration::from_secs(1);
        if let Some(log) = &shared.log {
            log.message(None, &format!("Cannot accept: {error}"));
        }
        shared.lock().close_longest_idle();
        std::thread::sleep(self.length);
        self.length = LONGEST.min(self.length * 2);
    }
}

/// Ends a server from another thread or from a signal: see [`HttpServer::shutdown_handle`].
#[derive(Clone, Debug)]
pub struct ShutdownHandle {
    shared: Arc<Shared>,
}

impl ShutdownHandle {
    /// Stops listening. Connections without a request are closed; running requests go on until they are answered, or until
    /// [`Builder::drain_timeout`]. Returns at once; [`HttpServer::serve_forever`] returns when all is over.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
        // The accepting thread sleeps in the kernel. A connection wakes it.
        let mut address = self.shared.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}
