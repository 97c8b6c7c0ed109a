//! All samples, and what they come to.

use std::collections::BTreeMap;

use super::cases::Case;
use super::measure::Sample;
use super::servers::Server;

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) machine: String,
    /// How much of the machine's time others had meanwhile.
    pub(crate) others_percent: f64,
    samples: BTreeMap<(Server, Case), Vec<Sample>>,
    calls: BTreeMap<(Server, Case), f64>,
}

/// What a figure is, where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure<T> {
    /// This server does not take part in this case.
    None,
    /// There were errors.
    Failed,
    Is(T),
}

impl<T> Figure<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Figure<U> {
        match self {
            Self::None => Figure::None,
            Self::Failed => Figure::Failed,
            Self::Is(value) => Figure::Is(change(value)),
        }
    }
}

impl Results {
    pub(crate) fn new(rounds: usize, seconds: f64, machine: String) -> Self {
        Self {
            rounds,
            seconds,
            machine,
            others_percent: 0.0,
            samples: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, server: Server, case: Case, sample: Sample) {
        self.samples.entry((server, case)).or_default().push(sample);
    }

    pub(crate) fn add_calls(&mut self, server: Server, case: Case, calls: f64) {
        self.calls.insert((server, case), calls);
    }

    /// Why a server failed in a case, if it did.
    pub(crate) fn failure(&self, server: Server, case: Case) -> Option<&str> {
        self.samples.get(&(server, case))?.iter().find_map(|sample| match sample {
            Sample::Failed(reason) => Some(&**reason),
            _ => None,
        })
    }

    /// One value of each sample, in the order of the rounds. Of a case with errors there is none.
    fn values(&self, server: Server, case: Case, value: impl Fn(&Sample) -> Option<f64>) -> Figure<Vec<f64>> {
        match self.samples.get(&(server, case)) {
            None => Figure::None,
            Some(_) if self.failure(server, case).is_some() => Figure::Failed,
            Some(samples) => Figure::Is(samples.iter().filter_map(value).collect()),
        }
    }

    fn rates(&self, server: Server, case: Case) -> Figure<Vec<f64>> {
        self.values(server, case, |sample| match sample {
            Sample::Answers { rate, .. } => Some(*rate),
            _ => None,
        })
    }

    /// Requests a second: the median.
    pub(crate) fn rate(&self, server: Server, case: Case) -> Figure<f64> {
        self.rates(server, case).map(median)
    }

    /// The median of what a server reached, divided by what the ceiling reached in the same round.
    pub(crate) fn ratio(&self, server: Server, case: Case) -> Figure<f64> {
        match (self.rates(server, case), self.rates(Server::Ceiling, case)) {
            (Figure::Is(rates), Figure::Is(ceilings)) => Figure::Is(median(
                rates.iter().zip(&ceilings).map(|(rate, ceiling)| rate / ceiling).collect(),
            )),
            (Figure::Failed, _) => Figure::Failed,
            _ => Figure::None,
        }
    }

    /// Microseconds within which 50, 99 and 99.9 % were answered: the medians.
    pub(crate) fn latency(&self, server: Server, case: Case) -> Figure<[f64; 3]> {
        let at = |pick: fn(&[f64; 3]) -> f64| {
            self.values(server, case, move |sample| match sample {
                Sample::Answers { latency, .. } => Some(pick(latency)),
                _ => None,
            })
            .map(median)
        };
        match (at(|[p50, ..]| *p50), at(|[_, p99, _]| *p99), at(|[.., p999]| *p999)) {
            (Figure::Is(p50), Figure::Is(p99), Figure::Is(p999)) => Figure::Is([p50, p99, p999]),
            (other, ..) => other.map(|_| [0.0; 3]),
        }
    }

    /// Microseconds of processor time for each request, in user space and in the kernel. Of all rounds together: the kernel counts in
    /// hundredths of a second, too coarse for the little that one round takes.
    pub(crate) fn processor_time(&self, server: Server, case: Case) -> Figure<(f64, f64)> {
        let sum = |value: fn(&Sample) -> Option<f64>| {
            self.values(server, case, value).map(|values| values.iter().sum::<f64>())
        };
        let answered = sum(|sample| match sample {
            Sample::Answers { answered, .. } => Some(*answered),
            _ => None,
        });
        let user = sum(|sample| match sample {
            Sample::Answers { time, .. } => Some(time.user),
            _ => None,
        });
        let system = sum(|sample| match sample {
            Sample::Answers { time, .. } => Some(time.system),
            _ => None,
        });
        match (answered, user, system) {
            (Figure::Is(answered), Figure::Is(user), Figure::Is(system)) => {
                Figure::Is((user * 1e6 / answered, system * 1e6 / answered))
            }
            (other, ..) => other.map(|_| (0.0, 0.0)),
        }
    }

    /// KiB of the server's memory for each idle connection.
    pub(crate) fn idle_kib(&self, server: Server) -> Figure<f64> {
        self.values(server, Case::Idle, |sample| match sample {
            Sample::Idle { kib_per_connection } => Some(*kib_per_connection),
            _ => None,
        })
        .map(median)
    }

    /// System calls for each request.
    pub(crate) fn calls(&self, server: Server, case: Case) -> Figure<f64> {
        self.calls.get(&(server, case)).map_or(Figure::None, |&calls| Figure::Is(calls))
    }
}

/// The one in the middle, or of two the mean.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}
