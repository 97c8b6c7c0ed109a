//! The units under systemd itself: in a container of which it is the first process. There it starts the service, restarts it, and
//! sees it fail, and hang.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::load::{Load, Outcome, Target};
use super::{INSTALLED, Site, edited, free_port, get};
use crate::tools::{need, output, wait_until};

/// The program's place in the container, where all that is the machine's own is `/usr`.
const PROGRAM: &str = "/httpling";
/// And that of what lets the service have a network.
const DROP_IN: &str = "/httpling-metrics.conf";

/// Can there be such a container?
///
/// # Errors
/// Why not.
pub(super) fn can_run() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can start a container");
    need("systemd-nspawn", "systemd-container")?;
    let probe = container().arg("/usr/bin/true").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&probe.stderr);
    ensure!(probe.status.success(), "no container can be started: {}", said.trim());
    Ok(())
}

/// Lets systemd restart the service under load. Nobody is refused, and no request fails that was not sent on a connection that had
/// ended. Then the service is killed, and comes back; and stopped by a signal, and comes back. At last it has a network, and
/// metrics.
pub(super) fn restart(site: &Site) -> Result<Outcome> {
    let ports = Ports { http: free_port()?, metrics: free_port()? };
    let machine = Machine::boot(site, &ports)?;
    restart_in(&machine, site, &ports).with_context(|| fs::read_to_string(&machine.log).unwrap_or_default())
}

fn restart_in(machine: &Machine, site: &Site, ports: &Ports) -> Result<Outcome> {
    wait_until("the socket listens", || machine.has("httpling.socket", "ActiveState=active"))?;
    ensure!(machine.has("httpling.service", "ActiveState=inactive"), "it was started before anybody came");
    let load = Load::start(&Target::at(([127, 0, 0, 1], ports.http).into(), site));
    for _ in 0..site.restarts {
        load.wait_for(100)?;
        machine.systemctl(&["restart", "httpling.service"])?;
    }
    load.wait_for(100)?;
    let outcome = load.stop()?;
    // Each one told that it was ready and ended by itself, or systemd would have started it again.
    ensure!(machine.has("httpling.service", "NRestarts=0\nActiveState=active"), "it failed");
    let journal = machine.run(&["journalctl", "--unit=httpling.service", "--output=cat"])?;
    let banner = format!("Serving HTTP on :: port {0} (http://[::]:{0}/), inherited ...", ports.http);
    for line in [&banner, "::ffff:127.0.0.1 - - [", "\"GET /file HTTP/1.1\" 200 -"] {
        ensure!(journal.contains(line), "{line} is not in its log: {journal:.2000}");
    }

    machine.systemctl(&["kill", "--signal=KILL", "httpling.service"])?;
    wait_until("it comes back", || machine.has("httpling.service", "NRestarts=1\nActiveState=active"))?;
    ensure!(get(ports.http, "/file")?.content == site.content, "it does not serve what it served before");

    // What hangs does not end, and comes back, too. (Nobody waits here for as long as the unit lets it hang.)
    machine.add_drop_in(r"printf '[Service]\nWatchdogSec=4\n' > watchdog.conf")?;
    ensure!(get(ports.http, "/file")?.status == 200, "it does not serve under watch");
    machine.systemctl(&["kill", "--kill-whom=main", "--signal=STOP", "httpling.service"])?;
    wait_until("its watch ends", || machine.has("httpling.service", "NRestarts=1\nActiveState=active"))?;
    ensure!(get(ports.http, "/file")?.content == site.content, "it does not serve what it served before");
    let journal = machine.run(&["journalctl", "--unit=httpling.service", "--output=cat"])?;
    ensure!(journal.contains("Watchdog timeout (limit 4s)!"), "not by its watch: {journal:.2000}");

    machine.add_drop_in(&format!("rm watchdog.conf; cp {DROP_IN} ."))?;
    ensure!(get(ports.http, "/file")?.status == 200, "it does not serve with metrics");
    let metrics = String::from_utf8(get(ports.metrics, "/metrics")?.content)?;
    ensure!(metrics.contains("httpling_requests_total{status=\"2xx\"} 1\n"), "{metrics}");
    machine.systemctl(&["stop", "httpling.service"])?;
    ensure!(machine.has("httpling.service", "Result=success\nActiveState=inactive"), "it did not end well");
    Ok(outcome)
}

struct Ports {
    http: u16,
    metrics: u16,
}

/// A container with nothing of this machine's but `/usr`, and its network.
fn container() -> Command {
    let mut command = Command::new("systemd-nspawn");
    // Others may try the same at the same time.
    let name = format!("--machine=httpling-{}", std::process::id());
    command.args(["--quiet", "--register=no", "--keep-unit", "--directory=/", "--volatile=yes", &name]);
    command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdin(Stdio::null());
    command
}

/// A container in which systemd runs, until this is dropped.
struct Machine {
    container: Child,
    /// What it says as it starts.
    log: PathBuf,
}

impl Machine {
    /// Starts it, with the units.
    fn boot(site: &Site, ports: &Ports) -> Result<Self> {
        let folder = site.folder.join("machine");
        fs::create_dir_all(&folder)?;
        let mut command = container();
        command.arg("--boot");
        let units = "/etc/systemd/system";
        let metrics = format!("127.0.0.1:{}", ports.metrics);
        for (name, place, edits) in [
            ("httpling.service", format!("{units}/httpling.service"), &[(INSTALLED, PROGRAM)][..]),
            (
                "httpling.socket",
                format!("{units}/httpling.socket"),
                &[("=80\n", &*format!("={}\n", ports.http))],
            ),
            (
                "httpling-metrics.conf",
                DROP_IN.to_owned(),
                &[(INSTALLED, PROGRAM), ("127.0.0.1:9100", &metrics)],
            ),
        ] {
            let path = folder.join(name);
            fs::write(&path, edited(name, edits)?)?;
            command.arg(format!("--bind-ro={}:{place}", path.display()));
        }
        command
            .arg(format!("--bind-ro={}:{PROGRAM}", site.program.display()))
            .arg(format!("--bind-ro={}:/srv/www", site.www().display()))
            // Nobody is asked for a time zone, and nothing is started but the socket and what it needs.
            .args(["systemd.firstboot=no", "systemd.unit=httpling.socket"]);
        let log = folder.join("boot.log");
        let file = File::create(&log)?;
        let container = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { container, log })
    }

    /// The first process of the container, as it is called here.
    fn leader(&self) -> Result<String> {
        let parent = self.container.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        Ok(children.split_whitespace().next().context("no process in the container")?.to_owned())
    }

    /// A command, in there.
    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader()?, "--all", "--"]).args(words);
        Ok(command)
    }

    /// What a command says in there.
    fn run(&self, words: &[&str]) -> Result<String> {
        output(&mut self.command(words)?)
    }

    /// Changes what is added to the service by a script, and starts it anew.
    fn add_drop_in(&self, script: &str) -> Result<()> {
        let folder = "/run/systemd/system/httpling.service.d";
        self.run(&["sh", "-c", &format!("mkdir -p {folder}; cd {folder}; {script}")])?;
        self.systemctl(&["daemon-reload"])?;
        self.systemctl(&["restart", "httpling.service"])
    }

    fn systemctl(&self, words: &[&str]) -> Result<()> {
        self.run(&[&["systemctl", "--quiet"], words].concat()).map(drop)
    }

    /// Are these lines what systemd says of a unit, in its own order?
    fn has(&self, unit: &str, lines: &str) -> bool {
        let names: Vec<_> = lines.lines().filter_map(|line| line.split('=').next()).collect();
        let properties = format!("--property={}", names.join(","));
        // It may not have begun to listen.
        let said =
            self.command(&["systemctl", "show", &properties, unit]).map(|mut command| command.output());
        matches!(said, Ok(Ok(said)) if String::from_utf8_lossy(&said.stdout).trim() == lines)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All in there ends with its first process. Whoever looks after the container would leave that behind.
        let leader =
            self.leader().ok().and_then(|leader| rustix::process::Pid::from_raw(leader.parse().ok()?));
        _ = leader.map(|leader| rustix::process::kill_process(leader, rustix::process::Signal::KILL));
        _ = self.container.kill();
        _ = self.container.wait();
    }
}
