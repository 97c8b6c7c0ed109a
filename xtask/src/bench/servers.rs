//! Who answers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, thread};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};

use super::cases::Case;
use super::machine::{self, Cores};
use crate::tools::{self, cargo, root, target_folder};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Server {
    Ceiling,
    Httpling,
    HyperPerCore,
    HyperTokio,
    ActixWeb,
    MayMinihttp,
    Nginx,
    TinyHttp,
}

impl Server {
    /// Can this server take part?
    pub(crate) fn answers(self, case: Case) -> bool {
        match self {
            Self::Httpling => true,
            // Plain handlers that sleep would stop the others.
            _ if case == Case::RateBesideBlocking => false,
            Self::Ceiling | Self::Nginx => !case.posts(),
            _ => true,
        }
    }

    /// The package in the peers' lock file.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::HyperPerCore | Self::HyperTokio => Some("hyper"),
            Self::ActixWeb => Some("actix-web"),
            Self::MayMinihttp => Some("may_minihttp"),
            Self::TinyHttp => Some("tiny_http"),
            Self::Ceiling | Self::Httpling | Self::Nginx => None,
        }
    }

    pub(crate) fn version(self) -> Result<String> {
        if self == Self::Nginx {
            let output = Command::new("nginx").arg("-v").output()?;
            let line = String::from_utf8_lossy(&output.stderr).into_owned();
            return Ok(line.trim().rsplit('/').next().unwrap_or_default().to_owned());
        }
        let Some(package) = self.package() else { return Ok(String::new()) };
        let lock = fs::read_to_string(root().join("bench/Cargo.lock"))?;
        let (_, entry) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).context(package)?;
        Ok(entry.split('"').next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ceiling => "ceiling",
            Self::Httpling => "httpling",
            Self::HyperPerCore => "hyper, runtime per core",
            Self::HyperTokio => "hyper, one runtime",
            Self::ActixWeb => "actix-web",
            Self::MayMinihttp => "may_minihttp",
            Self::Nginx => "nginx",
            Self::TinyHttp => "tiny_http",
        })
    }
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    examples: PathBuf,
    bench: PathBuf,
}

/// Builds our examples, the peers, and the load generator.
pub(crate) fn build() -> Result<Programs> {
    tools::run(
        cargo()
            .args(["build", "--release", "--package", "httpling", "--example", "hello"])
            .args(["--example", "echo"]),
    )?;
    let bench = target_folder("bench");
    let folder = root().join("bench");
    tools::run(cargo().args(["build", "--release", "--target-dir"]).arg(&bench).current_dir(folder))?;
    Ok(Programs { examples: target_folder("release").join("examples"), bench: bench.join("release") })
}

impl Programs {
    pub(crate) fn load(&self) -> PathBuf {
        self.bench.join("load")
    }

    /// The program, with its arguments.
    fn command(&self, server: Server, case: Case, port: u16, threads: usize) -> Result<Vec<String>> {
        let program = match server {
            Server::Nginx => return nginx(port, threads),
            Server::Httpling if case.is_throughput() && !case.posts() || case == Case::Idle => {
                self.examples.join("hello")
            }
            Server::Httpling => self.examples.join("echo"),
            Server::Ceiling => self.bench.join("ceiling"),
            Server::HyperPerCore => self.bench.join("hyper_per_core"),
            Server::HyperTokio => self.bench.join("hyper_tokio"),
            Server::ActixWeb => self.bench.join("actix_web"),
            Server::MayMinihttp => self.bench.join("may_minihttp"),
            Server::TinyHttp => self.bench.join("tiny_http"),
        };
        Ok(vec![program.display().to_string(), port.to_string(), threads.to_string()])
    }

    /// Starts a server on its cores, and waits until it listens.
    pub(crate) fn start(&self, server: Server, case: Case, cores: &Cores) -> Result<Running> {
        let cores = cores.in_case(case);
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let child = pinned(&cores.server)
            .args(self.command(server, case, address.port(), cores.server.len())?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let running = Running { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < Duration::from_secs(10), "{server} does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }
}

/// A command that keeps to these cores; its arguments are the program and its arguments.
pub(crate) fn pinned(cores: &[usize]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &Cores::list(cores)]);
    command
}

/// nginx, with a configuration of its own.
fn nginx(port: u16, threads: usize) -> Result<Vec<String>> {
    let folder = target_folder("bench").join("nginx");
    fs::create_dir_all(&folder)?;
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let configuration = format!(
        "worker_processes {threads};\nworker_rlimit_nofile 20000;\npid nginx.pid;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000000;\n{paths}\
         server {{\nlisten 127.0.0.1:{port};\n\
         location / {{ default_type text/html; return 200 \"Hello there\"; }}\n}}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), configuration)?;
    let folder = absolute(&folder)?;
    Ok(["nginx", "-p", &folder, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
        .map(str::to_owned)
        .to_vec())
}

fn absolute(folder: &Path) -> Result<String> {
    Ok(env::current_dir()?.join(folder).display().to_string())
}

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    pub(crate) fn processes(&self) -> Vec<u32> {
        machine::family(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Kindly first: nginx must end its workers.
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            _ = kill_process(process, Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > Duration::from_secs(2) {
                _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
