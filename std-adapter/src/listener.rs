//! Sockets that listen: how they come to be, where they are, and how they end.
//!
//! One that was made here is nobody else's: at the end of the server its clients are refused, and the name of a Unix socket is
//! removed. One that was given may be somebody else's too, such as a service manager's that hands it to the next server: its
//! clients wait in the kernel's queue.

use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::path::PathBuf;

/// What a socket is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Connections that the kernel lets wait.
    pub(crate) backlog: i32,
    /// Others may listen on the same address.
    #[cfg_attr(not(unix), allow(dead_code))] // Nobody can ask for it there.
    pub(crate) reuse_port: bool,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: LocalAddress,
    owner: Owner,
}

/// Whose socket is it?
#[derive(Debug)]
enum Owner {
    Us,
    #[cfg(unix)]
    UsWithName(std::sync::Mutex<Option<unix::Name>>),
    Somebody,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket, by its path if it has one.
    Unix(Option<PathBuf>),
}

impl LocalAddress {
    fn of(socket: &Socket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        if let Some(address) = address.as_socket() {
            return Ok(Self::Tcp(address));
        }
        #[cfg(unix)]
        if address.is_unix() {
            return Ok(Self::Unix(address.as_pathname().map(PathBuf::from)));
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a TCP socket nor a Unix socket"))
    }
}

/// As Python's first line has it (spec 16): `HOST port PORT (http://HOST:PORT/)`; `unix:PATH`.
impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv6 address stands in brackets in a URL, as it does where a port follows it.
            Self::Tcp(address) => {
                write!(f, "{} port {} (http://{address}/)", address.ip(), address.port())
            }
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(crate) fn tcp(address: SocketAddr, options: Options) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            // Where IPv4 cannot be had on the same socket, IPv6 alone is what there is.
            _ = socket.set_only_v6(false);
        }
        // On Windows the option means another thing: that two programs may share the port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        Ok(Self { address: LocalAddress::of(&socket)?, socket, owner: Owner::Us })
    }

    /// A socket that listens already.
    ///
    /// # Errors
    /// When it is something else, or of a family that is not served.
    pub(crate) fn given(socket: Socket) -> io::Result<Self> {
        let address = LocalAddress::of(&socket)?;
        #[cfg(target_os = "linux")]
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen for connections"));
        }
        Ok(Self { address, socket, owner: Owner::Somebody })
    }

    pub(crate) fn is_given(&self) -> bool {
        matches!(self.owner, Owner::Somebody)
    }

    /// Who begins to connect from now on is not heard, and asks again a second later, when another server on the same port
    /// ([`Options::reuse_port`]) hears him. Who has begun goes on. False where that cannot be, or nobody else may be there.
    #[cfg(target_os = "linux")]
    pub(crate) fn turns_away(&self) -> bool {
        use socket2::SockFilter;
        const LOAD_OCTET: u16 = 0x30;
        const AND: u16 = 0x54;
        const SKIP_UNLESS_EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        const ACK: u32 = 0x10;
        // The octets are those of TCP's header (RFC 9293 §3.1). A first SYN is dropped, all else is taken whole. (Connections inherit
        // it: none of theirs is a first SYN.)
        let first_syn_is_dropped = [
            SockFilter::new(LOAD_OCTET, 0, 0, FLAGS),
            SockFilter::new(AND, 0, 0, SYN | ACK),
            SockFilter::new(SKIP_UNLESS_EQUAL, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ];
        matches!((&self.owner, &self.address), (Owner::Us, LocalAddress::Tcp(_)))
            && self.socket.reuse_port().unwrap_or(false)
            && self.socket.attach_filter(&first_syn_is_dropped).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self)] // It is asked in the same way everywhere.
    pub(crate) fn turns_away(&self) -> bool {
        false
    }

    /// From now on, clients are refused, and go elsewhere; those of somebody else's socket wait. (Where the system does not
    /// know this of a socket that listens, they wait until the server is dropped.)
    pub(crate) fn close(&self) {
        match &self.owner {
            Owner::Somebody => return,
            Owner::Us => {}
            #[cfg(unix)]
            Owner::UsWithName(name) => {
                drop(name.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
            }
        }
        _ = self.socket.shutdown(Shutdown::Both);
    }
}

#[cfg(unix)]
mod unix {
    use super::{Listener, LocalAddress, Options, Owner};
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::fs::{self, Metadata};
    use std::io;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    impl Listener {
        /// Listens on a Unix socket. Who may connect is what the umask leaves. A socket of that name on which nobody listens
        /// any more is replaced; anything else of that name is in the way.
        ///
        /// # Errors
        /// Why that cannot be.
        pub(crate) fn unix(path: &Path, options: Options) -> io::Result<Self> {
            if path.as_os_str().is_empty() {
                // Linux would choose a name then, which no client knows.
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a Unix socket needs a path"));
            }
            let address = SockAddr::unix(path)?;
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&address).or_else(|error| {
                if error.kind() != io::ErrorKind::AddrInUse || !is_abandoned(path, &address) {
                    return Err(error);
                }
                // Of two that do this at the same time, one may lose its name to the other: nothing can be removed on the condition
                // that it is still the same.
                fs::remove_file(path)?;
                socket.bind(&address)
            })?;
            socket.listen(options.backlog)?;
            let owner = Owner::UsWithName(Mutex::new(Some(Name::of(path)?)));
            Ok(Self { address: LocalAddress::of(&socket)?, socket, owner })
        }
    }

    /// A socket that refuses: its server has ended without removing it.
    fn is_abandoned(path: &Path, address: &SockAddr) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
        let refuses = || {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // One with a full queue is alive, and would keep us waiting.
            client.set_nonblocking(true)?;
            client.connect(address)
        };
        is_socket && refuses().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// The name of a Unix socket. It is removed with its owner, unless another socket has it meanwhile.
    #[derive(Debug)]
    pub(super) struct Name {
        path: PathBuf,
        inode: (u64, u64),
    }

    impl Name {
        fn of(path: &Path) -> io::Result<Self> {
            Ok(Self { path: std::path::absolute(path)?, inode: inode(&fs::symlink_metadata(path)?) })
        }
    }

    impl Drop for Name {
        fn drop(&mut self) {
            if fs::symlink_metadata(&self.path).is_ok_and(|data| inode(&data) == self.inode) {
                // If it cannot be removed, the next server finds that nobody answers.
                _ = fs::remove_file(&self.path);
            }
        }
    }

    fn inode(data: &Metadata) -> (u64, u64) {
        (data.dev(), data.ino())
    }
}
