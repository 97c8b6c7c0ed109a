//! The server: a listening socket, and what serves its connections.

use crate::clock::SystemClock;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::reactor::{self, Base, Extent};
use crate::settings::{Builder, Settings};
use httpling_core::RequestHandler;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

/// A listening socket, for the address of a bind.
///
/// # Errors
/// Why it cannot be listened on.
pub(crate) fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // Where IPv4 cannot be had on the same socket, IPv6 alone is what there is.
        _ = socket.set_only_v6(false);
    }
    // On Windows the option means another thing: that two programs may share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
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
    address: SocketAddr,
    base: Arc<Base>,
}

impl HttpServer {
    pub(crate) fn new(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let log = if settings.log { Some(Log::to_stderr()?) } else { None };
        let clock = SystemClock::new(settings.log);
        Ok(Self { listener, address, base: Arc::new(Base::new(settings, clock, log)) })
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

    /// Where it listens: with the port that was taken for port 0.
    #[doc(alias = "server_address")]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Python's first line: `Serving HTTP on HOST port PORT (http://HOST:PORT/) ...` (spec 16).
    pub fn banner(&self) -> String {
        let address = self.local_addr();
        // An IPv6 address stands in brackets in a URL, as it does where a port follows it.
        format!("Serving HTTP on {} port {} (http://{address}/) ...", address.ip(), address.port())
    }

    /// Ends [`serve_forever`](Self::serve_forever) from elsewhere.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle { base: Arc::clone(&self.base) }
    }

    /// Tells what it has done so far, in numbers, from elsewhere too.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(Arc::clone(&self.base))
    }

    /// Serves until [`ShutdownHandle::shutdown`]. `factory` makes a handler for each connection, when its first request comes:
    /// Python's handler class.
    ///
    /// # What a handler may do
    ///
    /// Whatever it likes, in plain synchronous Rust. It runs on the thread that read its request, which serves many
    /// connections; when it waits, another thread takes those over:
    ///
    /// - before it waits for its own client (for content that has not arrived, or for a client that does not take what is
    ///   written), at once;
    /// - when it sleeps, reads a file, waits for a lock or another server, or computes, after one to two milliseconds. Requests of
    ///   the same kind (method, and first segment of the path) as one that was found sleeping are served beside the loops from
    ///   then on, for as long as the kind goes on sleeping.
    ///
    /// There are [`spare_threads_max`](Builder::spare_threads_max) threads for that. Handlers that compute for long share the
    /// processors with all others: more threads do not make more of those.
    ///
    /// A handler that panics costs its client the connection, or a 500 if nothing was sent, and nobody else anything.
    ///
    /// # Errors
    /// When there are no threads or descriptors to begin with. Nothing that a client does ends it.
    pub fn serve_forever<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler + Send + 'static,
        F: Fn(SocketAddr) -> H + Send + Sync + 'static,
    {
        let extent = Extent { loops: self.base.settings.loops(), accepts: u64::MAX };
        reactor::run(&self.base, &self.listener, extent, Box::new(move |peer| Some(factory(peer))))
    }

    /// Serves one connection.
    ///
    /// # Errors
    /// When there are no threads or descriptors to begin with.
    pub fn handle_request<H, F>(&self, factory: F) -> io::Result<()>
    where
        H: RequestHandler + Send + 'static,
        F: FnOnce(SocketAddr) -> H + Send + 'static,
    {
        let factory = Mutex::new(Some(factory));
        let once = move |peer| {
            let factory = factory.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some(factory(peer))
        };
        reactor::run(&self.base, &self.listener, Extent { loops: 1, accepts: 1 }, Box::new(once))
    }
}

/// Ends a server from another thread or from a signal: see [`HttpServer::shutdown_handle`].
#[derive(Clone, Debug)]
pub struct ShutdownHandle {
    base: Arc<Base>,
}

impl ShutdownHandle {
    /// Stops accepting. Connections without a request are closed; running requests go on until they are answered, or until
    /// [`Builder::drain_timeout`]. Returns at once; [`HttpServer::serve_forever`] returns when all is over.
    pub fn shutdown(&self) {
        self.base.stop();
    }
}
