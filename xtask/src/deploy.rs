//! What is in `deploy/`, tried: instances are restarted under load, and no client notices.

mod load;
mod proxy;
mod socket;
mod units;

#[cfg(test)]
mod kubernetes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::server;
use crate::tools::{need, target_folder};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Chore {
    /// Restart instances behind HAProxy, and on an inherited socket, under load: no request may fail.
    Test,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.chore {
        Chore::Test => test(),
    }
}

/// Tries it.
pub(crate) fn test() -> Result<()> {
    need("haproxy", "haproxy")?;
    let site = Site::make()?;
    units::check(&site.program)?;
    proxy::restart_one_by_one(&site)?;
    socket::restart(&site)
}

/// What is served, and by what.
struct Site {
    program: PathBuf,
    folder: PathBuf,
    content: Vec<u8>,
}

impl Site {
    fn make() -> Result<Self> {
        let (program, folder) = (server::build()?, target_folder("deploy"));
        // More than one write, so that a response can be cut.
        let content: Vec<u8> = (b'a'..=b'w').cycle().take(300_000).collect();
        fs::create_dir_all(folder.join("www"))?;
        fs::write(folder.join("www/file"), &content)?;
        Ok(Self { program, folder, content })
    }

    fn www(&self) -> PathBuf {
        self.folder.join("www")
    }
}

/// A file of `deploy/`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}
