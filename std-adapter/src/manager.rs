//! What a service manager is told (`NOTIFY_SOCKET`, as systemd has it): a datagram with a word.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the service manager, if there is one. It may have gone: that is no reason not to serve.
pub(crate) fn tell(word: &str) {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET") {
        _ = send(&name, word);
    }
}

fn send(name: &OsStr, word: &str) -> io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        // A name without a file.
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not keep us.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(word.as_bytes(), &address)?;
    Ok(())
}
