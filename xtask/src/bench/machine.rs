//! What the machine has, and what the system says about a process.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cases::IDLE_CONNECTIONS;

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
            "{} cores ({model}), Linux {}; servers on cores {}, load on {}",
            self.count,
            // Only the release: what builders append says nothing.
            kernel.trim().split('-').next().unwrap_or_default(),
            Self::list(&self.server),
            Self::list(&self.load)
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

/// Processor time, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessorTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl ProcessorTime {
    /// What these processes took until now.
    pub(crate) fn of(processes: &[u32]) -> Result<Self> {
        /// How the kernel counts for programs, whatever it does itself.
        const TICKS_PER_SECOND: f64 = 100.0;
        let mut sum = Self::default();
        for process in processes {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // The name in parentheses may contain anything; behind it stand field 3 and those after it.
            let (_, fields) = stat.rsplit_once(") ").context("a line without a name")?;
            let mut fields = fields.split(' ').skip(14 - 3);
            let mut ticks =
                || fields.next().context("too few fields")?.parse::<f64>().context("not a number");
            sum.user += ticks()? / TICKS_PER_SECOND;
            sum.system += ticks()? / TICKS_PER_SECOND;
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
