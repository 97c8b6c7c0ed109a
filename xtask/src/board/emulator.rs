//! QEMU with a firmware in it, reachable on 127.0.0.1 and nowhere else.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use anyhow::{Context, Result, bail};

use super::Machine;
use super::firmware::Firmware;
use crate::tools;

/// A running board. It is switched off when this is dropped, also when a test fails.
#[derive(Debug)]
pub(crate) struct Emulator {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Machine {
    fn name(self) -> &'static str {
        match self {
            Self::Lm3s6965evb => "lm3s6965evb",
            Self::Mps2An385 => "mps2-an385",
        }
    }

    fn card(self) -> &'static str {
        match self {
            Self::Lm3s6965evb => "stellaris",
            Self::Mps2An385 => "lan9118",
        }
    }
}

fn qemu(firmware: &Firmware) -> Result<Command> {
    tools::need("qemu-system-arm", "qemu-system-arm")?;
    let mut command = Command::new("qemu-system-arm");
    command.args(["-machine", firmware.machine.name(), "-display", "none", "-monitor", "none"]);
    command.arg("-kernel").arg(&firmware.elf);
    Ok(command)
}

fn network(machine: Machine, port: u16) -> String {
    format!("user,hostfwd=tcp:127.0.0.1:{port}-:80,model={}", machine.card())
}

impl Emulator {
    /// Becomes the board, with its serial line on the terminal.
    pub(crate) fn serve(firmware: &Firmware, port: u16) -> Result<()> {
        let mut command = qemu(firmware)?;
        command.args(["-serial", "stdio", "-nic", &network(firmware.machine, port)]);
        println!("http://127.0.0.1:{port}/ (Ctrl-C ends it)");
        Err(command.exec()).context("cannot start QEMU")
    }

    /// Starts a board with a network, and waits until it listens.
    pub(crate) fn start(firmware: &Firmware) -> Result<Self> {
        // The system gives a free port; QEMU takes it a moment later.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut emulator =
            Self::spawn(qemu(firmware)?.args(["-nic", &network(firmware.machine, port)]), port)?;
        emulator.wait_for("listening", Duration::from_secs(20))?;
        Ok(emulator)
    }

    /// Starts a board without a network and with a clock that counts instructions, 32 ns each.
    pub(crate) fn start_counting(firmware: &Firmware) -> Result<Self> {
        Self::spawn(qemu(firmware)?.args(["-icount", "shift=5,align=off,sleep=off", "-nic", "none"]), 0)
    }

    fn spawn(command: &mut Command, port: u16) -> Result<Self> {
        let log = env::temp_dir().join(format!("httpling-board-{}-{port}.log", process::id()));
        command.arg("-serial").arg(format!("file:{}", log.display()));
        // QEMU remarks that the clock stands still before the firmware sets it.
        let child =
            command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start QEMU")?;
        Ok(Self { child, port, log })
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A connection to it, with time-outs, so that a silent board is a failed test.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// What it has written to its serial line.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until `text` is in the log.
    pub(crate) fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let started = Instant::now();
        while !self.log().contains(text) {
            if let Some(status) = self.child.try_wait()? {
                bail!("QEMU ended with {status} before `{text}`; its log: {}", self.log());
            }
            if started.elapsed() > limit {
                bail!("no `{text}` within {} s; the board's log: {}", limit.as_secs(), self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}
