//! What the program listens on: the sockets that it was given, or else those that its arguments name.

use crate::cli::Arguments;
use crate::reason;
use httpling::{Builder, HttpServer};
use listenfd::ListenFd;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Sockets of a service manager that has made them for this process (`LISTEN_FDS`, as systemd has it).
pub(crate) struct Inherited(ListenFd);

impl Inherited {
    /// Takes them from the environment, where no program that this one might start finds them again: so this comes before the
    /// first thread.
    pub(crate) fn from_environment() -> Self {
        // Without a process that they are meant for they are no more than a guess.
        let is_addressed = std::env::var_os("LISTEN_PID").is_some_and(|id| !id.is_empty());
        Self(if is_addressed { ListenFd::from_env() } else { ListenFd::empty() })
    }

    fn add_to(mut self, mut builder: Builder) -> Result<Builder, String> {
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

/// A server that listens.
///
/// # Errors
/// Why it cannot, in words.
pub(crate) fn listen(arguments: &Arguments, inherited: Inherited) -> Result<HttpServer, String> {
    let mut builder = arguments
        .promises
        .settle(HttpServer::builder())
        .protocol(arguments.protocol)
        .proxy_protocol(arguments.proxy_protocol)
        .reuse_port(arguments.reuse_port);
    if inherited.0.len() > 0 {
        builder = inherited.add_to(builder)?;
    } else if arguments.bind.is_empty() {
        builder = listen_at(builder, "", arguments.port_number)?;
    } else {
        for place in &arguments.bind {
            builder = match place.strip_prefix("unix:") {
                Some(path) => builder
                    .listen_unix(path)
                    .map_err(|error| format!("cannot listen on {place}: {}", reason(&error)))?,
                None => listen_at(builder, place, arguments.port_number)?,
            };
        }
    }
    builder.build().map_err(|error| reason(&error))
}

/// On the first address that the name stands for; without a name, on all interfaces, IPv4 and IPv6 where it can be (spec 5).
fn listen_at(builder: Builder, name: &str, port: u16) -> Result<Builder, String> {
    let addresses: Vec<SocketAddr> = match name {
        "" => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
        _ => (name, port)
            .to_socket_addrs()
            .map_err(|error| format!("cannot resolve address '{name}': {}", reason(&error)))?
            .take(1)
            .collect(),
    };
    builder.listen(&*addresses).map_err(|error| {
        let place = if name.is_empty() { "all interfaces" } else { name };
        format!("cannot listen on {place}, port {port}: {}", reason(&error))
    })
}
