//! The image of a container with nothing but the program in it, run as the Kubernetes manifest says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Site, file, free_port, get};
use crate::tools::{add_target, cargo, need, output, run, target_folder, wait_until};

/// As the manifest calls it.
const IMAGE: &str = "registry.example/httpling:0.1.0";

/// The target that needs no library.
fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Can there be such a container?
///
/// # Errors
/// Why not.
pub(super) fn can_run() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can start a container");
    add_target(&target())?;
    need("podman", "podman")?;
    // Podman's own choice does not know all kinds of control groups.
    need("runc", "runc")
}

/// Builds the image, and lets the program serve, log and end in it as the first process, with no rights and nothing to write to.
pub(super) fn try_out(site: &Site) -> Result<()> {
    let folder = site.folder.join("image");
    fs::create_dir_all(folder.join("context"))?;
    let mut build = cargo();
    build.args(["build", "--package", "httpling", "--bin", "httpling", "--target", &target()]);
    // It is copied several times.
    run(build.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "true"))?;
    let program = target_folder(&target()).join("debug/httpling");
    fs::copy(program, folder.join("context/httpling"))?;
    let podman = Podman { folder, name: format!("httpling-{}", std::process::id()) };
    let context = podman.folder.join("context");
    output(
        podman
            .command(&["build", "--quiet", "--isolation=chroot", "--tag", IMAGE])
            .arg("--file")
            .args([file("Containerfile"), context]),
    )?;

    let (port, metrics) = (free_port()?, free_port()?);
    let rights = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"];
    // More descriptors than it may be given here are asked for by default.
    let machine = ["--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];
    let mut start = podman.command(&["run", "--detach", "--name", &podman.name]);
    start.args(rights).args(machine).arg(format!("--volume={}:/srv/www:ro", site.www().display()));
    output(start.arg(IMAGE).args(arguments(port, metrics)?))?;
    wait_until("the container serves", || {
        get(port, "/file").is_ok_and(|answer| answer.content == site.content)
    })?;
    let page = String::from_utf8(get(metrics, "/metrics")?.content)?;
    ensure!(page.contains("httpling_requests_total{status=\"2xx\"} 1\n"), "{page}");
    let said = podman.command(&["logs", &podman.name]).output()?;
    let log = String::from_utf8_lossy(&said.stderr);
    ensure!(log.contains("\"GET /file HTTP/1.1\" 200 -"), "no request in its log: {log}");
    output(&mut podman.command(&["stop", &podman.name]))?;
    let status = output(&mut podman.command(&["inspect", "--format={{.State.ExitCode}}", &podman.name]))?;
    ensure!(status == "0", "it ended with {status}");
    println!("image: served, logged and ended as the first process of a container with nothing else in it");
    Ok(())
}

/// Those of the manifest, with other ports.
fn arguments(port: u16, metrics: u16) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(file("kubernetes.yaml"))?;
    let line = manifest.lines().find_map(|line| line.trim_start().strip_prefix("args: "));
    let mut arguments: Vec<String> = serde_json::from_str(line.context("no arguments in the manifest")?)?;
    for (from, to) in [("8000", port.to_string()), ("0.0.0.0:9100", format!("127.0.0.1:{metrics}"))] {
        let place = arguments.iter_mut().find(|argument| *argument == from);
        *place.with_context(|| format!("no {from} in the manifest"))? = to;
    }
    Ok(arguments)
}

/// Podman with a store of its own.
struct Podman {
    folder: PathBuf,
    name: String,
}

impl Podman {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.folder.join("store")).arg("--runroot").arg(self.folder.join("run"));
        command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"]).args(words);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        _ = self.command(&["rm", "--force", "--time=0", &self.name]).output();
        _ = self.command(&["rmi", "--force", IMAGE]).output();
    }
}
