//! What the machine has, and what the system says about a process.

use std::fs;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cases::{Case, IDLE_CONNECTIONS};

/// The cores that the servers have, and those of the load.
#[derive(Debug, Clone)]
pub(crate) struct Cores {
    count: usize,
    pub(crate) server: Vec<usize>,
    pub(crate) load: Vec<usize>,
}

impl Cores {
    pub(crate) fn choose() -> Result<Self> {
        let count = available_parallelism()?.get();
        let (server, load) = match count {
            4.. => (vec![0, 1], vec![2, 3]),
            2 | 3 => (vec![0], vec![1]),
            _ => (vec![0], vec![0]),
        };
        if count < 4 {
            eprintln!("{count} cores, where four are wanted: the figures say less");
        }
        Ok(Self { count, server, load })
    }

    /// As they are shared in this case. Who connects has more work than who accepts: with as many cores for both, it would be the
    /// load that is measured.
    pub(crate) fn in_case(&self, case: Case) -> Self {
        let mut cores = self.clone();
        if case == Case::Reconnecting && cores.server.len() > 1 {
            cores.load.splice(..0, cores.server.drain(1..));
        }
        cores
    }

    /// The case that shares them otherwise, in words.
    fn exception(&self) -> String {
        let case = Case::Reconnecting;
        let Self { server, load, .. } = self.in_case(case);
        if server == self.server {
            return String::new();
        }
        format!(
            " ({case}: {} and {}, because connecting is more work than accepting, and the server is to be the limit)",
            Self::list(&server),
            Self::list(&load)
        )
    }

    /// In the form that `taskset` takes.
    pub(crate) fn list(cores: &[usize]) -> String {
        cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    }

    /// The machine, in a sentence.
    pub(crate) fn description(&self) -> Result<String> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("unknown", |(_, model)| model);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(format!(
            "{} cores ({model}), Linux {}; servers on cores {}, load on {}{}",
            self.count,
            // Only the release: what builders append says nothing.
            kernel.trim().split('-').next().unwrap_or_default(),
            Self::list(&self.server),
            Self::list(&self.load),
            self.exception()
        ))
    }
}

/// Lets us, and what we start, have as many descriptors as we may.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    if let Some(maximum) = limit.maximum {
        ensure!(
            maximum > IDLE_CONNECTIONS + 100,
            "at most {maximum} descriptors: {IDLE_CONNECTIONS} are needed"
        );
    }
    Ok(())
}

/// A process and its descendants.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let mut family = vec![process];
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    for child in children.unwrap_or_default().split_whitespace().filter_map(|child| child.parse().ok()) {
        family.extend(self::family(child));
    }
    family
}

/// How the kernel counts time for programs, whatever it does itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// The numbers in a line, from the `skipped` one on.
fn ticks(line: &str, skipped: usize) -> impl Iterator<Item = f64> {
    line.split_whitespace().skip(skipped).map_while(|ticks| ticks.parse().ok())
}

/// Looks whether others work on this machine while it measures.
#[derive(Debug)]
pub(crate) struct Others {
    started: Instant,
    busy: f64,
    own: f64,
}

impl Others {
    pub(crate) fn watch() -> Result<Self> {
        Ok(Self { started: Instant::now(), busy: Self::busy()?, own: Self::own()? })
    }

    /// The part of all cores' time since then that neither we nor what we started took, in percent.
    pub(crate) fn percent(&self, cores: &Cores) -> Result<f64> {
        let others = Self::busy()? - self.busy - (Self::own()? - self.own);
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let whole = self.started.elapsed().as_secs_f64() * cores.count as f64;
        Ok((100.0 * others / whole).max(0.0))
    }

    /// Seconds that all cores worked, or another machine on them.
    fn busy() -> Result<f64> {
        let stat = fs::read_to_string("/proc/stat")?;
        let all = stat.lines().next().context("an empty file")?;
        // user nice system, not idle iowait, irq softirq steal; those after it are parts of the first.
        let ticks: Vec<f64> = ticks(all, 1).collect();
        let idle = ticks.get(3..5).context("too few fields")?.iter().sum::<f64>();
        Ok((ticks.iter().take(8).sum::<f64>() - idle) / TICKS_PER_SECOND)
    }

    /// Seconds that we took, and all that we started and that have ended.
    fn own() -> Result<f64> {
        Ok(ticks(&fields_of("self")?, 14 - 3).take(4).sum::<f64>() / TICKS_PER_SECOND)
    }
}

/// What the system says about a process, from field 3 on.
fn fields_of(process: &str) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Field 2 is the name, in parentheses. It may contain anything.
    Ok(stat.rsplit_once(") ").context("a line without a name")?.1.to_owned())
}

/// Processor time, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessorTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl ProcessorTime {
    /// What these processes took until now.
    pub(crate) fn of(processes: &[u32]) -> Result<Self> {
        let mut sum = Self::default();
        for process in processes {
            let fields = fields_of(&process.to_string())?;
            let mut ticks = ticks(&fields, 14 - 3);
            sum.user += ticks.next().context("no user time")? / TICKS_PER_SECOND;
            sum.system += ticks.next().context("no system time")? / TICKS_PER_SECOND;
        }
        Ok(sum)
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// The memory of these processes, in KiB; what they share is counted once.
pub(crate) fn memory_kib(processes: &[u32]) -> Result<f64> {
    let mut sum = 0.0;
    for process in processes {
        let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let pss = memory.lines().find_map(|line| line.strip_prefix("Pss:")?.strip_suffix("kB"));
        sum += pss.context("no Pss")?.trim().parse::<f64>()?;
    }
    Ok(sum)
}
