//! One server in one case: starts it, lets the load generator ask, and stops it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::cases::{Case, IDLE_CONNECTIONS};
use super::machine::{Cores, ProcessorTime, memory_kib};
use super::servers::{Programs, Running, Server, pinned};

/// What one measurement brought.
#[derive(Debug)]
pub(crate) enum Sample {
    Answers {
        /// Requests answered in a second.
        rate: f64,
        /// Microseconds within which 50, 99 and 99.9 % were.
        latency: [f64; 3],
        /// All requests, and the processor time that the server took for them.
        answered: f64,
        time: ProcessorTime,
    },
    Idle {
        kib_per_connection: f64,
    },
    /// There were errors. Then the figures mean nothing.
    Failed(String),
}

impl Sample {
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Answers { rate, latency: [p50, p99, p999], .. } => {
                format!("{rate:.0}/s, within {p50:.0}, {p99:.0}, {p999:.0} µs")
            }
            Self::Idle { kib_per_connection } => format!("{kib_per_connection:.2} KiB each"),
            Self::Failed(reason) => format!("failed: {reason}"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) cores: Cores,
    pub(crate) seconds: f64,
}

impl Bench {
    pub(crate) fn measure(&self, server: Server, case: Case) -> Sample {
        let sample = self.programs.start(server, case, &self.cores).and_then(|running| {
            if case == Case::Idle {
                self.measure_idle(&running)
            } else {
                self.measure_answers(&running, case)
            }
        });
        sample.unwrap_or_else(|error| Sample::Failed(format!("{error:#}")))
    }

    fn load(&self, running: &Running, case: Case) -> Command {
        let (kind, rest) = case.arguments();
        let mut command = pinned(&self.cores.in_case(case).load);
        command.arg(self.programs.load()).args([kind, &running.address.to_string()]).args(rest);
        // Its errors are one line each.
        command.env_remove("RUST_BACKTRACE");
        command
    }

    fn load_for(&self, running: &Running, case: Case, seconds: f64) -> Command {
        let mut command = self.load(running, case);
        command
            .args(["--seconds", &seconds.to_string()])
            .args(["--threads", &self.cores.in_case(case).load.len().to_string()]);
        command
    }

    fn measure_answers(&self, running: &Running, case: Case) -> Result<Sample> {
        let processes = running.processes();
        let before = ProcessorTime::of(&processes)?;
        let values = Values::of(&mut self.load_for(running, case, self.seconds))?;
        let time = ProcessorTime::of(&processes)?.since(before);
        let latency = [values.get("p50")?, values.get("p99")?, values.get("p99.9")?];
        Ok(Sample::Answers { rate: values.get("rate")?, latency, answered: values.get("answered")?, time })
    }

    fn measure_idle(&self, running: &Running) -> Result<Sample> {
        // What the first connection costs once is not the others'.
        hold(&mut self.load(running, Case::Idle), 1, || Ok(()))?;
        let before = memory_kib(&running.processes())?;
        let mut after = 0.0;
        hold(&mut self.load(running, Case::Idle), IDLE_CONNECTIONS, || {
            thread::sleep(Duration::from_millis(500));
            after = memory_kib(&running.processes())?;
            Ok(())
        })?;
        #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
        let connections = IDLE_CONNECTIONS as f64;
        Ok(Sample::Idle { kib_per_connection: (after - before) / connections })
    }

    /// System calls per request.
    pub(crate) fn count_calls(&self, server: Server, case: Case) -> Result<f64> {
        let running = self.programs.start(server, case, &self.cores)?;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-q"]);
        for process in running.processes() {
            strace.args(["-p", &process.to_string()]);
        }
        let strace = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // Until it holds all threads.
        thread::sleep(Duration::from_millis(300));
        let values = Values::of(&mut self.load_for(&running, case, 0.5));
        let process = Pid::from_raw(i32::try_from(strace.id())?).context("a process")?;
        kill_process(process, Signal::INT)?;
        let output = strace.wait_with_output()?;
        let summary = String::from_utf8_lossy(&output.stderr).into_owned();
        let total =
            summary.lines().find(|line| line.ends_with(" total")).context("strace counted nothing")?;
        let calls: f64 = total.split_whitespace().nth(3).context("no count")?.parse()?;
        Ok(calls / values?.get("answered")?)
    }
}

/// What the load generator printed.
struct Values(HashMap<String, String>);

impl Values {
    /// Runs it.
    ///
    /// # Errors
    /// It failed, or there was an error among the answers.
    fn of(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let reason =
                String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
            bail!("{}", reason.trim_start_matches("Error: "));
        }
        let text = String::from_utf8(output.stdout)?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let values = Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        values.expect_answers("")?;
        if values.0.contains_key("beside.answered") {
            values.expect_answers("beside.")?;
        }
        Ok(values)
    }

    /// Some, and no errors among them.
    fn expect_answers(&self, prefix: &str) -> Result<()> {
        let errors = self.get(&format!("{prefix}errors"))?;
        let reason = self.0.get(&format!("{prefix}error")).map_or("", |reason| reason);
        ensure!(errors == 0.0, "{errors} errors, the first: {reason}");
        ensure!(self.get(&format!("{prefix}answered"))? > 0.0, "nothing was answered in time");
        Ok(())
    }

    fn get(&self, name: &str) -> Result<f64> {
        let value = self.0.get(name).with_context(|| format!("the load generator did not print {name}"))?;
        Ok(value.parse()?)
    }
}

/// Holds so many connections open, `meanwhile` something is done.
fn hold(load: &mut Command, connections: u64, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut child = load
        .args(["--connections", &connections.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("stdin")?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let opened = lines.next().transpose()?;
    let done = if opened.is_some() { meanwhile() } else { Ok(()) };
    // It ends when it reads a line, or sees that nobody writes one.
    _ = input.write_all(b"\n");
    drop(input);
    let errors = lines.next().transpose()?;
    child.wait()?;
    done?;
    ensure!(opened.is_some(), "it did not take {connections} connections");
    ensure!(errors.as_deref() == Some("errors=0"), "it closed idle connections");
    Ok(())
}
