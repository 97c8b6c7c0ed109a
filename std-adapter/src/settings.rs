//! Settings of a server, each with a default: what it promises.

use crate::listener::{Listener, Options};
use crate::reactor::Rates;
use crate::server::HttpServer;
use httpling_core::{ErrorPage, Leniency, Limits, Version};
use std::io;
use std::net::ToSocketAddrs;
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

/// What [`Builder`] collects.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) leniency: Leniency,
    pub(crate) protocol: Version,
    pub(crate) server: Option<String>,
    pub(crate) error_page: Option<ErrorPage>,
    pub(crate) loops: Option<usize>,
    pub(crate) spares: usize,
    pub(crate) queue_max: usize,
    pub(crate) queue_patience: Duration,
    pub(crate) lent_bytes_max: usize,
    pub(crate) unsent_bytes_max: usize,
    pub(crate) connections_max: usize,
    pub(crate) descriptors_reserved: usize,
    pub(crate) socket: Options,
    pub(crate) proxy_protocol: bool,
    pub(crate) rates: Rates,
    pub(crate) drain: Duration,
    pub(crate) handler_time_logged: Duration,
    pub(crate) discard: Duration,
    pub(crate) accept_pause: Duration,
    pub(crate) accept_pause_max: Duration,
    pub(crate) log: bool,
    pub(crate) log_line_bytes_max: usize,
}

impl Settings {
    pub(crate) fn loops(&self) -> usize {
        self.loops.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }
}

/// Settings of a server, each with a default, and the sockets that it listens on: see [`HttpServer::builder`].
///
/// Most servers listen on one socket: [`bind`](Self::bind). One that listens on several adds them one by one:
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let server = httpling::HttpServer::builder()
///     .listen("127.0.0.1:8000")?
///     .listen("[::1]:8000")?
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    listeners: Vec<Listener>,
}

/// Longer than anybody waits, and short enough to be reckoned with: a hundred years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// More threads than any system has.
const SPARES_MAX: usize = 1 << 24;

/// Sockets of a server. More, and a loop could take their numbers for those of connections.
const LISTENERS_MAX: usize = 64;

impl Default for Builder {
    fn default() -> Self {
        let settings = Settings {
            limits: Limits::DEFAULT,
            leniency: Leniency::default(),
            protocol: Version::Http11,
            server: Some("httpling".to_owned()),
            error_page: Some(ErrorPage::HTML),
            loops: None,
            spares: 256,
            queue_max: 1024,
            queue_patience: Duration::from_secs(5),
            lent_bytes_max: 64 << 20,
            unsent_bytes_max: 64 << 20,
            connections_max: 16384,
            descriptors_reserved: 8,
            socket: Options { backlog: 4096, reuse_port: false },
            proxy_protocol: false,
            rates: Rates::default(),
            drain: Duration::from_secs(10),
            handler_time_logged: Duration::from_secs(10),
            discard: Duration::from_secs(1),
            accept_pause: Duration::from_millis(50),
            accept_pause_max: Duration::from_secs(1),
            log: true,
            log_line_bytes_max: 4096,
        };
        Self { settings, listeners: Vec::new() }
    }
}

impl Builder {
    /// The bounds of each connection. Default: [`Limits::DEFAULT`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// What to accept beyond the rules. Default: nothing.
    #[must_use]
    pub fn leniency(mut self, leniency: Leniency) -> Self {
        self.settings.leniency = leniency;
        self
    }

    /// The version of all responses. Default: HTTP/1.1; with HTTP/1.0, one request per connection.
    #[doc(alias = "protocol_version")]
    #[must_use]
    pub fn protocol(mut self, version: Version) -> Self {
        self.settings.protocol = version;
        self
    }

    /// The `Server` field; `None`, or what is no field value, leaves it out. Default: `httpling`, without a version, which is
    /// nobody's business.
    #[doc(alias = "server_version")]
    #[must_use]
    pub fn server_name(mut self, name: Option<&str>) -> Self {
        self.settings.server = name.map(str::to_owned);
        self
    }

    /// The content of error responses; `None` leaves it out. Default: Python's page.
    #[doc(alias = "error_message_format")]
    #[must_use]
    pub fn error_page(mut self, page: Option<ErrorPage>) -> Self {
        self.settings.error_page = page;
        self
    }

    /// Threads that serve; at least 1. Default: one for each processor, which is as many as can be busy.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.loops = Some(threads.max(1));
        self
    }

    /// Threads besides, for handlers that wait; at least 1. Default: 256. They are made when they are needed, and end when they
    /// are not. As many more as [`threads`](Self::threads) are a reserve for the case that all of these wait, and one more handler
    /// does of which nobody knew. When seven of eight wait, those make place, with 503 or, in the middle of a response, by being cut
    /// off, whose client sends or takes content slower than 16 times [`bytes_per_second_min`](Self::bytes_per_second_min), after a
    /// second or longer.
    #[must_use]
    pub fn spare_threads_max(mut self, threads: usize) -> Self {
        self.settings.spares = threads.clamp(1, SPARES_MAX);
        self
    }

    /// Requests that wait for a spare thread, when all have something to do. Default: 1024; the next one is answered with 503
    /// and `Retry-After`.
    #[must_use]
    pub fn queue_max(mut self, requests: usize) -> Self {
        self.settings.queue_max = requests;
        self
    }

    /// How long they wait. Default: 5 s, then 503 with `Retry-After`: whoever asked has given up.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.settings.queue_patience = timeout.min(FOREVER);
        self
    }

    /// Memory for requests that have begun and not come whole, of all clients together, in bytes. Default: 64 MiB; whose
    /// request needs more is answered with 503. Without it, clients that send their heads slowly, and long ones, hold as much as
    /// they may have connections.
    #[must_use]
    pub fn lent_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.lent_bytes_max = bytes;
        self
    }

    /// Memory for responses that their clients do not take, and for the requests that wait behind them, of all clients together, in
    /// bytes. Default: 64 MiB; beyond, the client that has taken nothing for longest is cut off, and the log says so. Without
    /// it, clients that ask and do not read hold 68 KiB for each connection that they may have, or more. What is sent from a
    /// file is not in memory, and what a handler writes that waits for its client is the handler's.
    #[must_use]
    pub fn unsent_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.unsent_bytes_max = bytes;
        self
    }

    /// Connections at a time. Default: 16384, or 64 less than the process may have descriptors, if that is less; that limit is
    /// raised as far as it may be when the server starts. When there are as many, the one that has been idle for longest makes
    /// place for a new one: of those that the thread has that lets it in, over whose like all are spread evenly; only when none of
    /// them is idle, of those of the others. When none is idle at all, the kernel's queue holds who comes.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.settings.connections_max = connections.max(1);
        self
    }

    /// Descriptors that connections leave to the files that they are about: when there are no more, connections wait in the
    /// kernel's queue, and those that are there are served. Default: 8.
    #[must_use]
    pub fn descriptors_reserved(mut self, descriptors: usize) -> Self {
        self.settings.descriptors_reserved = descriptors;
        self
    }

    /// How long accepting pauses when descriptors or memory have run out; each time in a row it pauses twice as long, up to
    /// [`accept_pause_max`](Self::accept_pause_max), and the longest idle connection is closed. Default: 50 ms.
    #[must_use]
    pub fn accept_pause(mut self, pause: Duration) -> Self {
        self.settings.accept_pause = pause.min(FOREVER);
        self
    }

    /// The longest such pause. Default: 1 s.
    #[must_use]
    pub fn accept_pause_max(mut self, pause: Duration) -> Self {
        self.settings.accept_pause_max = pause.min(FOREVER);
        self
    }

    /// Connections that the kernel lets wait until they are accepted. Default: 4096; Python's 5 is too few for the six
    /// connections of a browser (spec 26).
    #[doc(alias = "request_queue_size")]
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.settings.socket.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    /// How long a new connection may be silent. Default: 10 s; it is closed without a word.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rates.first_byte = timeout.min(FOREVER);
        self
    }

    /// How long a request's head may take, from its first byte to its last. Default: 10 s, then 408.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rates.head = timeout.min(FOREVER);
        self
    }

    /// How long a connection may be silent between two requests. Default: 15 s; it is closed without a word.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rates.idle = timeout.min(FOREVER);
        self
    }

    /// How long a handler waits for content, besides the time that content earns: see
    /// [`bytes_per_second_min`](Self::bytes_per_second_min). Default: 20 s, then 408.
    #[doc(alias = "timeout")]
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rates.content = timeout.min(FOREVER);
        self
    }

    /// How long a client may take nothing of what is sent to it. Default: 30 s, then the connection is cut. What its system takes
    /// without it counts, and is looked for after an eighth of that time, at most 1 s: a client that never reads has so much more.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rates.write = timeout.min(FOREVER);
        self
    }

    /// How slow a client may be. Default: 500. Each so many bytes of content earn a second besides
    /// [`read_timeout`](Self::read_timeout); a response that takes longer than twice [`write_timeout`](Self::write_timeout)
    /// must have been as fast on average, since the system had room for no more of it. (What it takes is not what the client
    /// takes: it keeps up to some MiB for each connection, on Linux as `net.ipv4.tcp_wmem` says. And it tells of what the client
    /// has taken in pieces of up to 64 KiB, so that so much is granted.)
    #[must_use]
    pub fn bytes_per_second_min(mut self, bytes: u32) -> Self {
        self.settings.rates.bytes_per_second_min = bytes.max(1);
        self
    }

    /// How long what nobody wants is read and dropped: content that a handler has left, so that the connection can go on, and what
    /// a client still sends after its last response, so that it gets that. Default: 1 s; at most [`Limits::drain_bytes_max`].
    #[must_use]
    pub fn discard_timeout(mut self, timeout: Duration) -> Self {
        self.settings.discard = timeout.min(FOREVER);
        self
    }

    /// A handler that runs for longer is told of in the log, while it runs and when it has ended. Default: 10 s. It may run for as
    /// long as it likes, and holds up nobody else, but somebody should know.
    #[must_use]
    pub fn handler_time_logged(mut self, time: Duration) -> Self {
        self.settings.handler_time_logged = time.min(FOREVER);
        self
    }

    /// How long running requests may go on after [`ShutdownHandle::shutdown`](crate::ShutdownHandle::shutdown). Default: 10 s.
    #[doc(alias = "block_on_close")]
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain = timeout.min(FOREVER);
        self
    }

    /// Write a line to stderr for each request, as Python does? Default: yes.
    #[doc(alias = "log_message")]
    #[must_use]
    pub fn log(mut self, log: bool) -> Self {
        self.settings.log = log;
        self
    }

    /// Lets other sockets listen on the same address, which say so too, such as those of the next instance of this program: the
    /// kernel spreads new connections over them. Default: no. For sockets that are made after it; for Unix, and not for Unix
    /// sockets.
    #[doc(alias = "allow_reuse_port")]
    #[cfg(unix)]
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.settings.socket.reuse_port = reuse;
        self
    }

    /// Expects a PROXY header (version 1 or 2) in front of each connection's first request, from a proxy that says there who its
    /// client is: that is the peer then, for the factory, the handler and the log. Default: no, because anybody who can reach
    /// the server can say anything there; so it is for servers that only the proxy can reach.
    ///
    /// A connection without such a header, or with more than 536 octets of it, is closed, and the log says so. It has the time of
    /// [`head_timeout`](Self::head_timeout), together with the head. What a proxy sends on its own behalf (LOCAL, such as a health check), or
    /// for a client that it does not know, has the proxy's own address.
    #[must_use]
    pub fn proxy_protocol(mut self, expected: bool) -> Self {
        self.settings.proxy_protocol = expected;
        self
    }

    /// Octets of a line of the log, with its end; what is longer is cut off. Default: 4096, so that a client cannot fill a disk with
    /// one request.
    #[must_use]
    pub fn log_line_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.log_line_bytes_max = bytes;
        self
    }

    /// Listens on the first of these addresses on which that can be done. Port 0 takes a free one. `[::]` takes IPv4
    /// clients too, where the system can (spec 5).
    ///
    /// # Errors
    /// Why the last address could not be listened on.
    #[doc(alias = "server_bind")]
    #[doc(alias = "server_activate")]
    pub fn listen(mut self, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on"));
        for address in addresses.to_socket_addrs()? {
            result = Listener::tcp(address, self.settings.socket);
            if result.is_ok() {
                break;
            }
        }
        self.listeners.push(result?);
        Ok(self)
    }

    /// Listens on a Unix socket, which has this name until the server ends. Who may connect is what the umask leaves. A socket
    /// that a dead server has left there is replaced.
    ///
    /// Its clients have no address: the factory and the log see `None` and `-`.
    ///
    /// # Errors
    /// Why it could not be listened on: [`AddrInUse`](io::ErrorKind::AddrInUse) when somebody answers there, or when it is the
    /// name of something else.
    #[cfg(unix)]
    pub fn listen_unix(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.listeners.push(Listener::unix(path.as_ref(), self.settings.socket)?);
        Ok(self)
    }

    /// Serves the clients of a socket that listens already: a [`TcpListener`](std::net::TcpListener), or a
    /// [`UnixListener`](std::os::unix::net::UnixListener), or whatever else is one of these.
    ///
    /// It may be somebody else's too. At the end of this server it is not shut down: clients that were not accepted wait for who
    /// has it then, and are refused when nobody has.
    ///
    /// # Errors
    /// When it does not listen, or is neither a TCP nor a Unix socket.
    #[cfg(unix)]
    pub fn listener(mut self, listener: impl Into<std::os::fd::OwnedFd>) -> io::Result<Self> {
        self.listeners.push(Listener::given(listener.into().into())?);
        Ok(self)
    }

    /// Serves the clients of a socket that listens already: a [`TcpListener`](std::net::TcpListener).
    ///
    /// # Errors
    /// When it is something else.
    #[cfg(windows)]
    pub fn listener(mut self, listener: impl Into<std::os::windows::io::OwnedSocket>) -> io::Result<Self> {
        self.listeners.push(Listener::given(listener.into().into())?);
        Ok(self)
    }

    /// The server, which listens on all that was said.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when that is nothing, or more than 64 sockets.
    pub fn build(self) -> io::Result<HttpServer> {
        if self.listeners.is_empty() || self.listeners.len() > LISTENERS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a server listens on 1 to 64 sockets"));
        }
        HttpServer::new(self.listeners, self.settings)
    }

    /// [Listens](Self::listen) on one of these addresses, besides what was said before, and is ready.
    ///
    /// # Errors
    /// Why the last address could not be listened on.
    pub fn bind(self, addresses: impl ToSocketAddrs) -> io::Result<HttpServer> {
        self.listen(addresses)?.build()
    }

    /// [Listens](Self::listen_unix) on a Unix socket, besides what was said before, and is ready.
    ///
    /// # Errors
    /// Why it could not be listened on.
    #[cfg(unix)]
    pub fn bind_unix(self, path: impl AsRef<Path>) -> io::Result<HttpServer> {
        self.listen_unix(path)?.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_kept_beside_the_others() {
        let number = |number: u64| Duration::from_millis(number);
        let builder = Builder::default()
            .limits(Limits { fields_max: 1, ..Limits::DEFAULT })
            .leniency(Leniency { target_octets: true, ..Leniency::default() })
            .protocol(Version::Http10)
            .server_name(None)
            .error_page(None)
            .threads(2)
            .spare_threads_max(3)
            .queue_max(4)
            .queue_timeout(number(5))
            .lent_bytes_max(6)
            .unsent_bytes_max(7)
            .connections_max(8)
            .descriptors_reserved(9)
            .accept_pause(number(10))
            .accept_pause_max(number(11))
            .backlog(12)
            .first_byte_timeout(number(13))
            .head_timeout(number(14))
            .idle_timeout(number(15))
            .read_timeout(number(16))
            .write_timeout(number(17))
            .bytes_per_second_min(18)
            .discard_timeout(number(19))
            .handler_time_logged(number(20))
            .drain_timeout(number(21))
            .log(false)
            .proxy_protocol(true)
            .log_line_bytes_max(22);
        #[cfg(unix)]
        let builder = builder.reuse_port(true);
        let settings = builder.settings;
        let Settings { limits, leniency, rates, socket, .. } = &settings;
        assert_eq!((limits.fields_max, leniency.target_octets), (1, true));
        assert!(
            settings.protocol == Version::Http10
                && settings.server.is_none()
                && settings.error_page.is_none()
        );
        let counts = [settings.loops(), settings.spares, settings.queue_max];
        assert_eq!(counts, [2, 3, 4]);
        let bounds = [
            settings.lent_bytes_max,
            settings.unsent_bytes_max,
            settings.connections_max,
            settings.descriptors_reserved,
            settings.log_line_bytes_max,
        ];
        assert_eq!(bounds, [6, 7, 8, 9, 22]);
        let pauses = [settings.queue_patience, settings.accept_pause, settings.accept_pause_max];
        assert_eq!(pauses, [5, 10, 11].map(number));
        let deadlines = [rates.first_byte, rates.head, rates.idle, rates.content, rates.write];
        assert_eq!(deadlines, [13, 14, 15, 16, 17].map(number));
        let others = [settings.discard, settings.handler_time_logged, settings.drain];
        assert_eq!(others, [19, 20, 21].map(number));
        assert_eq!((rates.bytes_per_second_min, socket.backlog, socket.reuse_port), (18, 12, cfg!(unix)));
        assert_eq!((settings.log, settings.proxy_protocol), (false, true));
    }

    /// What the program has options for, its help is asked about; what it has none for, this is.
    #[test]
    fn the_defaults_are_what_is_promised() {
        let settings = Builder::default().settings;
        let Settings { limits, rates, spares, queue_max, .. } = settings;
        let second = Duration::from_secs;
        let deadlines = [rates.first_byte, rates.head, rates.idle, rates.content, rates.write];
        assert_eq!(deadlines, [10, 10, 15, 20, 30].map(second));
        let others =
            [settings.queue_patience, settings.drain, settings.handler_time_logged, settings.discard];
        assert_eq!(others, [5, 10, 10, 1].map(second));
        let pauses = [settings.accept_pause, settings.accept_pause_max];
        assert_eq!(pauses, [Duration::from_millis(50), second(1)]);
        assert_eq!((rates.bytes_per_second_min, spares, queue_max), (500, 256, 1024));
        assert_eq!((limits.drain_bytes_max, limits.content_bytes_max), (256 * 1024, 1024 * 1024));
        assert_eq!((limits.empty_lines_max, limits.requests_max), (1, 1000));
        assert_eq!((limits.request_line_bytes_max, limits.field_section_bytes_max), (65536, 32 * 1024));
        assert_eq!((limits.fields_max, limits.chunk_line_bytes_max), (100, 256));
        assert_eq!(limits.chunk_extensions_bytes_max, 16 * 1024);
        assert_eq!((settings.lent_bytes_max, settings.unsent_bytes_max), (64 << 20, 64 << 20));
        assert_eq!((settings.connections_max, settings.descriptors_reserved), (16384, 8));
        assert_eq!((settings.socket.backlog, settings.log_line_bytes_max), (4096, 4096));
        assert_eq!((settings.protocol, settings.log), (Version::Http11, true));
    }

    /// Without any, nobody would be served.
    #[test]
    fn there_is_one_at_least() {
        let builder =
            Builder::default().threads(0).spare_threads_max(0).connections_max(0).bytes_per_second_min(0);
        let settings = builder.settings;
        assert_eq!((settings.loops(), settings.spares, settings.connections_max), (1, 1, 1));
        assert_eq!(settings.rates.bytes_per_second_min, 1);
    }

    #[test]
    fn a_server_listens_on_something_and_not_on_too_much() {
        for (sockets, is_well) in [(0, false), (1, true), (LISTENERS_MAX, true), (LISTENERS_MAX + 1, false)] {
            let listen = |builder: Builder, _| builder.listen("127.0.0.1:0").expect("a free port");
            let server = (0..sockets).fold(Builder::default().log(false), listen).build();
            assert_eq!(server.is_ok(), is_well, "{sockets}");
        }
    }
}
