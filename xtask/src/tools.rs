//! Finds the programs that a chore needs, and installs those that are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

/// How long a download may take before another way is tried.
const DOWNLOAD_SECONDS: u64 = 60;

/// Which checks were left out, and why.
static LEFT_OUT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs a check if what it needs can be had. If not, it is left out, and that is said: now, and at the end of all.
pub(crate) fn where_possible(
    name: &str,
    need: impl FnOnce() -> Result<()>,
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    match need() {
        Ok(()) => check(),
        Err(error) => {
            let said = format!("{name}: {error:#}");
            println!("LEFT OUT: {said}");
            left_out().push(said);
            Ok(())
        }
    }
}

/// What was left out so far.
pub(crate) fn left_out() -> MutexGuard<'static, Vec<String>> {
    LEFT_OUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The repository's folder.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Where builds go that are not the workspace's own.
pub(crate) fn target_folder(name: &str) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join(name)
}

/// The cargo that started us, in the repository's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command and expects success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    ensure!(status.success(), "{} ended with {status}", line(command));
    Ok(())
}

/// Runs a command, expects success, and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    ensure!(output.status.success(), "{} ended with {}", line(command), output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn name(command: &Command) -> String {
    command.get_program().display().to_string()
}

fn line(command: &Command) -> String {
    let words = command.get_args().map(|argument| argument.display().to_string());
    std::iter::once(name(command)).chain(words).collect::<Vec<_>>().join(" ")
}

/// Is there a program of this name?
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Sees to it that `program` is there, from the Debian package `package`.
pub(crate) fn need(program: &str, package: &str) -> Result<()> {
    if !is_installed(program) {
        install(&[package]).with_context(|| format!("{program} is missing"))?;
        ensure!(is_installed(program), "the package {package} brought no {program}");
    }
    Ok(())
}

/// Sees to it that `python` knows `module`, from the Debian package `package`.
pub(crate) fn need_module(python: &str, module: &str, package: &str) -> Result<()> {
    let import = || {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status()
    };
    if !import()?.success() {
        install(&[package]).with_context(|| format!("Python's {module} is missing"))?;
        ensure!(import()?.success(), "the package {package} brought no {module}");
    }
    Ok(())
}

/// Installs Debian packages. Needs root, like every installation.
fn install(packages: &[&str]) -> Result<()> {
    ensure!(
        is_installed("apt-get"),
        "no apt-get here; please install by hand what Debian calls {}",
        packages.join(", ")
    );
    eprintln!("installing {}", packages.join(", "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").stdout(Stdio::null());
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Sees to it that the compiler that runs us has the libraries of a target.
pub(crate) fn add_target(target: &str) -> Result<()> {
    let libraries = || output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    if !Path::new(&libraries()?).is_dir() {
        ensure!(is_installed("rustup"), "no libraries for {target}, and no rustup to add them");
        run_within(
            Duration::from_secs(DOWNLOAD_SECONDS),
            Command::new("rustup").args(["target", "add", target]),
        )?;
        ensure!(Path::new(&libraries()?).is_dir(), "rustup brought no libraries for {target}");
    }
    Ok(())
}

/// Sees to it that rustup has a compiler of this version.
pub(crate) fn add_compiler(version: &str) -> Result<()> {
    ensure!(is_installed("rustup"), "no rustup to install it");
    // A name that is there is not looked up again.
    if Command::new("rustup").args(["run", version, "rustc", "--version"]).output()?.status.success() {
        return Ok(());
    }
    run_within(
        Duration::from_secs(2 * DOWNLOAD_SECONDS),
        Command::new("rustup").args(["toolchain", "install", version, "--profile", "minimal"]),
    )
}

/// Waits for something that may take its time, on a busy machine too.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        ensure!(began.elapsed() < Duration::from_secs(60), "it is not so that {what}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Which compiler builds for processors that are not this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// The one that runs us, with the target's libraries from rustup.
    Rustup,
    /// Debian's, which builds the target's libraries from their source.
    Debian,
}

/// A compiler that can build for a target.
#[derive(Debug)]
pub(crate) struct CrossCompiler {
    target: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Cargo as it is.
    Ready,
    /// This cargo and compiler, building `core` themselves and linking with `linker`.
    FromSource { cargo: PathBuf, rustc: PathBuf, linker: PathBuf },
}

impl CrossCompiler {
    /// Finds or installs one: the wished one, or rustup's where that is possible and Debian's otherwise.
    pub(crate) fn find(target: &'static str, wish: Option<Origin>) -> Result<Self> {
        let kind = match wish {
            Some(Origin::Rustup) => Self::from_rustup(target)?,
            Some(Origin::Debian) => Self::from_debian()?,
            None => Self::from_rustup(target).or_else(|error| {
                eprintln!("{error:#}; trying Debian's compiler instead");
                Self::from_debian()
            })?,
        };
        Ok(Self { target, kind })
    }

    fn from_rustup(target: &str) -> Result<Kind> {
        add_target(target).map(|()| Kind::Ready)
    }

    fn from_debian() -> Result<Kind> {
        let file_of = |package: &str, end: &str| -> Result<PathBuf> {
            let files = output(Command::new("dpkg").args(["--listfiles", package]).stderr(Stdio::null()))?;
            let file = files.lines().find(|file| file.ends_with(end));
            Ok(file.with_context(|| format!("no {end} in the package {package}"))?.into())
        };
        let find = || -> Result<(PathBuf, PathBuf)> {
            file_of("rust-web-src", "library/core/Cargo.toml")?;
            Ok((file_of("cargo-web", "/bin/cargo")?, file_of("rustc-web", "/bin/rustc")?))
        };
        let (cargo, rustc) = find().or_else(|_| {
            install(&["rustc-web", "cargo-web", "rust-web-src"])?;
            find()
        })?;
        let linker = if let Some(linker) = rust_lld() {
            linker
        } else {
            need("ld.lld", "lld")?;
            "ld.lld".into()
        };
        Ok(Kind::FromSource { cargo, rustc, linker })
    }

    /// A cargo command, such as `build`, for the target, in `folder`.
    pub(crate) fn cargo(&self, command: &str, folder: &Path) -> Command {
        let mut cargo = match &self.kind {
            Kind::Ready => {
                let mut cargo = cargo();
                cargo.arg(command);
                cargo
            }
            Kind::FromSource { cargo, rustc, linker } => {
                let mut cargo = Command::new(cargo);
                let triple = self.target.to_uppercase().replace('-', "_");
                cargo
                    .arg(command)
                    .args(["-Z", "build-std=core"])
                    .env("RUSTC", rustc)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
                cargo
            }
        };
        // The firmware is another workspace, with a configuration of its own.
        cargo.current_dir(folder).args(["--target", self.target]).env_remove("RUSTFLAGS");
        cargo
    }

    /// Where [`cargo`](Self::cargo) should build: the two kinds of compiler would throw away each other's work.
    pub(crate) fn target_folder(&self) -> PathBuf {
        target_folder(match self.kind {
            Kind::Ready => "board",
            Kind::FromSource { .. } => "board-from-source",
        })
    }

    /// Does it come with clippy?
    pub(crate) fn has_clippy(&self) -> bool {
        matches!(self.kind, Kind::Ready)
    }

    /// In a few words, for tables of figures.
    pub(crate) fn description(&self) -> &'static str {
        match self.kind {
            Kind::Ready => "the target's libraries as rustup brings them",
            Kind::FromSource { .. } => "the target's libraries built from source",
        }
    }
}

/// The linker that rustup brings, if it does.
fn rust_lld() -> Option<PathBuf> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"])).ok()?;
    let hosts = fs::read_dir(Path::new(&sysroot).join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.is_file())
}

/// Runs a command that may hang, and ends it when it does.
fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {}", name(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{} ended with {status}", line(command));
            return Ok(());
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{} did not end within {} s", line(command), limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}
