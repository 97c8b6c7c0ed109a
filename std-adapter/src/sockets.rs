//! What the program listens on: the sockets that it was given, or else those that its arguments name.

use crate::cli::Arguments;
use crate::manager::Inherited;
use crate::reason;
use httpling::{Builder, HttpServer, Leniency};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// A server that listens.
///
/// # Errors
/// Why it cannot, in words.
pub(crate) fn listen(arguments: &Arguments, inherited: Option<Inherited>) -> Result<HttpServer, String> {
    let builder = arguments
        .promises
        .settle(HttpServer::builder())
        // Browsers send `?a={1|2}` as it stands in a link, and Python serves it (spec 49).
        .leniency(Leniency { target_octets: true, ..Leniency::default() })
        .protocol(arguments.protocol)
        .proxy_protocol(arguments.proxy_protocol);
    let mut builder = share_port(builder, arguments);
    if let Some(inherited) = inherited {
        builder = inherited.add_to(builder)?;
    } else if arguments.bind.is_empty() {
        builder = listen_at(builder, "", arguments.port_number)?;
    } else {
        for place in &arguments.bind {
            builder = match place.strip_prefix("unix:") {
                Some(path) => listen_unix(builder, path)
                    .map_err(|error| format!("cannot listen on {place}: {}", reason(&error)))?,
                None => listen_at(builder, place, arguments.port_number)?,
            };
        }
    }
    builder.build().map_err(|error| reason(&error))
}

/// Lets other instances listen on the sockets that are made after this, where they can.
pub(crate) fn share_port(builder: Builder, arguments: &Arguments) -> Builder {
    #[cfg(unix)]
    return builder.reuse_port(arguments.reuse_port);
    #[cfg(not(unix))]
    {
        _ = arguments;
        builder
    }
}

fn listen_unix(builder: Builder, path: &str) -> io::Result<Builder> {
    #[cfg(unix)]
    return builder.listen_unix(path);
    #[cfg(not(unix))]
    {
        _ = (builder, path);
        Err(io::ErrorKind::Unsupported.into())
    }
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
