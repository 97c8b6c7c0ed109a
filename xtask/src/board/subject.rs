//! What is tested: a board in the emulator, and beside it the same handler on this machine.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};

use super::Machine;
use super::client::{Answer, Client};
use super::emulator::Emulator;
use crate::tools::{self, cargo};

pub(super) struct Subject {
    pub(super) emulator: Emulator,
    pub(super) machine: Machine,
    pub(super) lossy: bool,
    /// Where the handler on this machine answers.
    pub(super) host: SocketAddr,
}

impl Subject {
    pub(super) fn connect(&self) -> Result<Client> {
        Client::connect(self.emulator.address())
    }

    pub(super) fn ask(&self, method: &str, target: &str) -> Result<Answer> {
        self.connect()?.ask(method, target)
    }

    /// A figure from `/metrics`.
    pub(super) fn figure(&self, name: &str) -> Result<u64> {
        let text = self.ask("GET", "/metrics")?.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {name} in {text}"))?.parse()?)
    }

    /// `/` answers.
    pub(super) fn answers(&self) -> Result<()> {
        let answer = self.ask("GET", "/")?;
        ensure!(answer.status() == 200, "{}", answer.head());
        Ok(())
    }

    /// `/` answers, and not only when another connection has used up its patience.
    pub(super) fn answers_meanwhile(&self) -> Result<()> {
        let started = Instant::now();
        self.answers()?;
        ensure!(started.elapsed() < HALF_A_TURN, "the answer took {} ms", started.elapsed().as_millis());
        Ok(())
    }
}

/// A connection that waits in its turn may do so for twice as long. It takes milliseconds where nobody waits: the rest is for
/// machines that are busy otherwise.
const HALF_A_TURN: Duration = Duration::from_secs(5);

/// The same handler on this machine.
pub(super) struct Host {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Host {
    pub(super) fn start() -> Result<Self> {
        tools::run(cargo().args(["build", "--quiet", "--package", "httpling", "--example", "demo"]))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| tools::root().join("target"), Into::into);
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(target.join("debug/examples/demo"))
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the demo on this machine")?;
        let host = Self { child, address };
        for _ in 0..200 {
            if Client::connect(address).is_ok() {
                return Ok(host);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the demo on this machine does not answer")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
