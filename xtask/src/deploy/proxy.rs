//! Instances behind HAProxy, restarted one by one.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::{Ending, Load, Outcome, Target};
use super::{Site, edited, file, free_port};
use crate::server::{PATIENCE, Server};
use crate::tools::{run, wait_until};

/// The instances of `haproxy.cfg`, by their places there.
const INSTANCES: [&str; 2] = ["127.0.0.1:8001", "127.0.0.1:8002"];

/// What the clients come from, and the instances log.
const CLIENT: [u8; 4] = [127, 0, 0, 2];

/// What HAProxy finds out about the instances before it asks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    Pass,
    /// Whatever the instances do: as on a machine that is too busy to answer in time.
    Fail,
}

/// Restarts each instance in turn under load. No request may fail, and the log has the clients' address.
pub(super) fn restart_one_by_one(site: &Site, checks: Checks) -> Result<Outcome> {
    let ports = [free_port()?, free_port()?];
    let mut instances = Vec::new();
    for port in ports {
        instances.push(Instance::start(site, port)?);
    }
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let haproxy = Haproxy::start(site, address, ports, checks)?;
    if checks == Checks::Fail {
        wait_until("HAProxy takes both instances out", || {
            haproxy.log().matches(" is DOWN").count() == INSTANCES.len()
        })?;
    }
    let rounds = match checks {
        Checks::Pass => site.restarts.div_ceil(INSTANCES.len()),
        // Whoever is refused asks the next instance a second later. (HAProxy spares itself that only among those that pass.)
        Checks::Fail => 1,
    };
    let target = Target { from: (CLIENT, 0).into(), ending: Ending::Announced, ..Target::at(address, site) };
    let outcome = restart_each(rounds, &mut instances, ports, (site, &target));
    let outcome = outcome.with_context(|| haproxy.errors())?;
    drop(haproxy);
    instances.iter_mut().try_for_each(|instance| instance.server.end())?;
    Ok(outcome)
}

fn restart_each(
    rounds: usize,
    instances: &mut [Instance],
    ports: [u16; 2],
    (site, target): (&Site, &Target),
) -> Result<Outcome> {
    let load = Load::start(target);
    load.wait_for(50)?;
    for _ in 0..rounds {
        for (instance, port) in instances.iter_mut().zip(ports) {
            instance.server.end()?;
            load.wait_for(50)?;
            *instance = Instance::start(site, port)?;
            // HAProxy sends it requests again: then it is the other one's turn.
            instance.wait_for_requests(&load)?;
        }
    }
    load.stop()
}

/// An instance, and its log.
struct Instance {
    server: Server,
    log: PathBuf,
}

impl Instance {
    fn start(site: &Site, port: u16) -> Result<Self> {
        let log = site.folder.join(format!("{port}.log"));
        let mut command = Command::new(&site.program);
        command.args(["--bind", "127.0.0.1", "--protocol", "HTTP/1.1", "--proxy-protocol", "--directory"]);
        command.arg(site.www()).arg(port.to_string()).env("NO_COLOR", "1");
        let server = Server::start(&mut command, Stdio::null(), File::create(&log)?.into())?;
        Ok(Self { server, log })
    }

    fn wait_for_requests(&self, load: &Load) -> Result<()> {
        let client = CLIENT.map(|octet| octet.to_string()).join(".");
        let began = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log)?;
            if log.lines().any(|line| line.starts_with(&client) && line.contains("\"GET /file ")) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "no request of {client} in {log:.2000}");
            load.wait_for(10)?;
        }
    }
}

/// HAProxy with the configuration of `deploy/`, on other ports.
struct Haproxy {
    process: Child,
    log: PathBuf,
}

impl Haproxy {
    fn start(site: &Site, address: SocketAddr, ports: [u16; 2], checks: Checks) -> Result<Self> {
        // As it is, without a warning.
        run(Command::new("haproxy").args(["-c", "-q", "-dW", "-f"]).arg(file("haproxy.cfg")))?;
        let bind = format!("bind {address}\n");
        let places = ports.map(|port| format!("127.0.0.1:{port}"));
        let status = if checks == Checks::Pass { 200 } else { 599 };
        let text = edited(
            "haproxy.cfg",
            &[
                ("bind :80\n", &bind),
                ("expect status 200\n", &format!("expect status {status}\n")),
                // Who tries it may be anybody, with few descriptors.
                ("    maxconn 20000\n", "    maxconn 500\n"),
                ("    user haproxy\n", ""),
                ("    group haproxy\n", ""),
                ("log /dev/log local0\n", "log stdout format raw local0\n"),
            ],
        )?;
        let (path, log) = (site.folder.join("haproxy.cfg"), site.folder.join("haproxy.log"));
        // Each stands there twice: as it is checked, and as it is not.
        let text = INSTANCES.iter().zip(&places).fold(text, |text, (from, to)| text.replace(from, to));
        fs::write(&path, text)?;
        let file = File::create(&log)?;
        let process = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let haproxy = Self { process, log };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                began.elapsed() < PATIENCE,
                "HAProxy does not listen: {}",
                fs::read_to_string(&haproxy.log)?
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(haproxy)
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What its log has of requests that it could not pass on, and of its servers.
    fn errors(&self) -> String {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("Server ") || line.contains(" 503 "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
