//! What was counted, and how it is printed.

use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// All requests that were answered, also before the measurement.
    pub(crate) answered: u64,
    /// Those that were answered during it.
    pub(crate) measured: u64,
    /// How long batches of requests took, those that count as measured.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: u64,
    /// What the first error was.
    pub(crate) error: Option<String>,
}

impl Report {
    pub(crate) fn failed(error: &str) -> Self {
        let mut report = Self::default();
        report.fail(error);
        report
    }

    pub(crate) fn fail(&mut self, error: &str) {
        self.errors += 1;
        self.error.get_or_insert_with(|| error.to_string());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.measured += other.measured;
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
    }

    pub(crate) fn print(mut self, measured: Duration, prefix: &str) {
        self.latencies.sort_unstable();
        println!("{prefix}answered={}", self.answered);
        println!("{prefix}rate={:.1}", float(self.measured) / measured.as_secs_f64());
        for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
            let at = (self.latencies.len() * per_mille / 1000).min(self.latencies.len().saturating_sub(1));
            let latency = self.latencies.get(at).copied().unwrap_or_default();
            println!("{prefix}{name}={:.1}", latency.as_secs_f64() * 1e6);
        }
        println!("{prefix}errors={}", self.errors);
        if let Some(error) = self.error {
            println!("{prefix}error={}", error.replace('\n', " "));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
