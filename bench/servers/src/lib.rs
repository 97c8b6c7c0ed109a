//! What the programs have in common: their arguments, and how hyper answers.

mod hyper;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

pub use self::hyper::serve as serve_by_hyper;

/// `PORT THREADS`: where to listen, and with how many threads to serve.
///
/// # Errors
/// They are not given, or not numbers.
pub fn arguments() -> io::Result<(SocketAddr, usize)> {
    let usage = || io::Error::other("arguments: PORT THREADS");
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).ok_or_else(usage)?;
    let threads = arguments.next().and_then(|threads| threads.parse().ok()).ok_or_else(usage)?;
    Ok(((Ipv4Addr::LOCALHOST, port).into(), threads))
}
