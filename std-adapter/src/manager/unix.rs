//! Sockets that were made for this process, and the word that it is ready, or ends.

use crate::reason;
use httpling::Builder;
use listenfd::ListenFd;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Sockets of a service manager that has made them for this process.
pub(crate) struct Inherited(ListenFd);

impl Inherited {
    /// Takes them from the environment, where no program that this one might start finds them again: so this comes before the
    /// first thread. `None` when there are none.
    pub(crate) fn from_environment() -> Option<Self> {
        // Without a process that they are meant for they are no more than a guess.
        let is_addressed = std::env::var_os("LISTEN_PID").is_some_and(|id| !id.is_empty());
        is_addressed.then(ListenFd::from_env).filter(|sockets| sockets.len() > 0).map(Self)
    }

    /// Serves their clients.
    ///
    /// # Errors
    /// Which of them is of no use, and why.
    pub(crate) fn add_to(mut self, mut builder: Builder) -> Result<Builder, String> {
        for index in 0..self.0.len() {
            // It says what a socket is by refusing it for anything else.
            let added = match self.0.take_tcp_listener(index) {
                Ok(Some(listener)) => builder.listener(listener),
                _ => match self.0.take_unix_listener(index) {
                    Ok(Some(listener)) => builder.listener(listener),
                    Ok(None) => continue,
                    Err(error) => Err(error),
                },
            };
            builder = added
                .map_err(|error| format!("cannot use inherited socket {}: {}", index + 1, reason(&error)))?;
        }
        Ok(builder)
    }
}

/// Tells the service manager, if there is one. It may have gone: that is no reason not to serve.
pub(crate) fn tell(word: &str) {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET") {
        _ = send(&name, word);
    }
}

/// How long the service manager waits for a word before it takes this process for dead. `None` when it keeps no watch.
pub(crate) fn watch() -> Option<Duration> {
    // Without a process that is meant it is the one that was started.
    let is_meant = std::env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
    let microseconds = std::env::var("WATCHDOG_USEC").ok().filter(|_| is_meant)?.parse().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds))
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
