//! One instance on a socket that outlives it, as a service manager's does.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::Site;
use super::load::{Load, Outcome, Target};
use crate::server::Server;

/// Restarts it under load. Nobody is refused, and no request fails that was not sent on a connection that had ended.
pub(super) fn restart(site: &Site) -> Result<Outcome> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut server = start(site, &listener)?;
    let load = Load::start(&Target::at(listener.local_addr()?, site));
    for _ in 0..site.restarts {
        load.wait_for(100)?;
        server.end()?;
        server = start(site, &listener)?;
    }
    load.wait_for(100)?;
    let outcome = load.stop()?;
    server.end()?;
    Ok(outcome)
}

/// The program, with the socket as its descriptor 3. (A shell can give it that number; nobody else here is called before the
/// program is.)
fn start(site: &Site, listener: &TcpListener) -> Result<Server> {
    let script = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(&site.program).args(["--protocol", "HTTP/1.1", "--directory"]);
    command.arg(site.www());
    let socket = OwnedFd::from(listener.try_clone()?);
    Server::start(&mut command, socket.into(), Stdio::null())
}
