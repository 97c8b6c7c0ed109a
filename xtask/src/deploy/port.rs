//! Instances that share a port (`--reuse-port`), for a moment: the next one begins before the last one ends.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::load::{Load, Outcome, Target};
use super::{Site, free_port};
use crate::server::Server;

/// Replaces instances under load. Nobody is refused, and no request fails that was not sent on a connection that had ended.
pub(super) fn restart(site: &Site) -> Result<Outcome> {
    let port = free_port()?;
    let mut server = start(site, port)?;
    let load = Load::start(&Target::at(server.address, site));
    for _ in 0..site.restarts {
        load.wait_for(100)?;
        let mut last = std::mem::replace(&mut server, start(site, port)?);
        load.wait_for(100)?;
        last.end()?;
    }
    load.wait_for(100)?;
    let outcome = load.stop()?;
    server.end()?;
    Ok(outcome)
}

fn start(site: &Site, port: u16) -> Result<Server> {
    let mut command = Command::new(&site.program);
    command.args(["--bind", "127.0.0.1", "--reuse-port", "--protocol", "HTTP/1.1", "--directory"]);
    command.arg(site.www()).arg(port.to_string());
    Server::start(&mut command, Stdio::null(), Stdio::null())
}
