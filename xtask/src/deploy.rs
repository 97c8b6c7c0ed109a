//! What is in `deploy/`, tried: instances are restarted under load, and no client notices.

mod image;
mod load;
mod port;
mod proxy;
mod socket;
mod systemd;
mod units;

#[cfg(test)]
mod kubernetes;

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use load::Outcome;
use proxy::Checks;

use crate::server::{self, Answer, PATIENCE, read_answer};
use crate::tools::{need, target_folder, where_possible};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Chore {
    /// Restart instances under load, each way there is: no request may fail. Build the image, and run it.
    Test {
        /// How often, each way
        #[arg(long, default_value_t = RESTARTS)]
        restarts: usize,
    },
}

/// How often instances are restarted, each way.
const RESTARTS: usize = 10;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.chore {
        Chore::Test { restarts } => test_with(*restarts),
    }
}

/// Tries it.
pub(crate) fn test() -> Result<()> {
    test_with(RESTARTS)
}

fn test_with(restarts: usize) -> Result<()> {
    need("haproxy", "haproxy")?;
    let site = Site::make(restarts)?;
    units::check(&site.program)?;
    let told = |way: &str, Outcome { answers, repeated }| {
        println!(
            "{way}: {answers} requests in {restarts} restarts, nobody was refused, {repeated} were sent again"
        );
    };
    told("behind HAProxy", proxy::restart_one_by_one(&site, Checks::Pass)?);
    let Outcome { answers, .. } = proxy::restart_one_by_one(&site, Checks::Fail)?;
    println!("behind HAProxy whose checks fail: {answers} requests, nobody was refused");
    told("inherited socket", socket::restart(&site)?);
    told("shared port", port::restart(&site)?);
    where_possible("the image", image::can_run, || image::try_out(&site))?;
    where_possible("restarts by systemd", systemd::can_run, || {
        systemd::restart(&site).map(|outcome| told("systemd", outcome))
    })
}

/// What is served, and by what; and how often that is restarted.
struct Site {
    program: PathBuf,
    folder: PathBuf,
    content: Vec<u8>,
    restarts: usize,
}

impl Site {
    fn make(restarts: usize) -> Result<Self> {
        let (program, folder) = (server::build()?, target_folder("deploy"));
        // More than one write, so that a response can be cut.
        let content: Vec<u8> = (b'a'..=b'w').cycle().take(300_000).collect();
        fs::create_dir_all(folder.join("www"))?;
        fs::write(folder.join("www/file"), &content)?;
        Ok(Self { program, folder, content, restarts })
    }

    fn www(&self) -> PathBuf {
        self.folder.join("www")
    }
}

/// A port that nobody has, and that the kernel gives to nobody who connects: it is needed a while later, and again and again.
fn free_port() -> Result<u16> {
    /// Whoever else tries the same begins elsewhere.
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32768);
    let ports = 10_000..end.max(10_100);
    for _ in ports.clone() {
        let next = std::process::id().wrapping_mul(101).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(ports.start + next % (ports.end - ports.start))?;
        let everywhere = [(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()];
        if TcpListener::bind::<&[SocketAddr]>(&everywhere).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// What the program is called in the units.
const INSTALLED: &str = "/usr/local/bin/httpling";

/// The text of a file of `deploy/`, with other words in some places, each of which must be there, and once.
fn edited(name: &str, edits: &[(&str, &str)]) -> Result<String> {
    let mut text = fs::read_to_string(file(name))?;
    for (from, to) in edits {
        ensure!(text.matches(from).count() == 1, "{from} is not in {name}, or more than once");
        text = text.replace(from, to);
    }
    Ok(text)
}

/// What a server on this machine answers.
fn get(port: u16, target: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    read_answer(&mut BufReader::new(stream))?.context("no answer")
}

/// A file of `deploy/`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}
