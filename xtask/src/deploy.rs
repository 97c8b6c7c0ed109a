//! What is in `deploy/`, tried: instances are restarted under load, and no client notices.

mod load;
mod port;
mod proxy;
mod socket;
mod systemd;
mod units;

#[cfg(test)]
mod kubernetes;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use load::Outcome;

use crate::server;
use crate::tools::{need, target_folder, where_possible};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Chore {
    /// Restart instances behind HAProxy, on an inherited socket, and under systemd, with load: no request may fail.
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
    told("behind HAProxy", proxy::restart_one_by_one(&site)?);
    told("inherited socket", socket::restart(&site)?);
    told("shared port", port::restart(&site)?);
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

/// A port that nobody has.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
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

/// A file of `deploy/`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}
