//! The numbers as Prometheus reads them: its text format, version 0.0.4.

use super::{Metrics, Snapshot};
use httpling_core::{Request, RequestHandler, Response, SendError, Sent, status};
use std::fmt;

/// Serves a server's numbers at `/metrics`, to Prometheus, which asks for them now and then.
///
/// They are meant for who runs the server, and for nobody else: so they are served by a server of their own, on an address that
/// clients cannot reach.
///
/// ```no_run
/// use httpling::HttpServer;
/// use httpling::metrics::Prometheus;
///
/// # struct MyHandler;
/// # impl httpling::RequestHandler for MyHandler {}
/// # fn main() -> std::io::Result<()> {
/// let server = HttpServer::bind("[::]:8000")?;
/// let page = Prometheus::new(server.metrics());
/// let watched = HttpServer::builder().threads(1).log(false).bind("127.0.0.1:9000")?;
/// std::thread::spawn(move || watched.serve_forever(move |_peer| page.clone()));
/// server.serve_forever(|_peer| MyHandler)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Prometheus {
    metrics: Metrics,
}

impl Prometheus {
    /// Serves these numbers.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl RequestHandler for Prometheus {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if request.path() != b"/metrics" {
            return response.send_error(status::NOT_FOUND);
        }
        response
            .send_response(status::OK)
            .send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            .end_with(self.metrics.snapshot().to_string().as_bytes())
    }
}

/// A family of numbers: its name, what it is, and what it says.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
}

impl Family<'_> {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, help } = self;
        writeln!(f, "# HELP httpling_{name} {help}\n# TYPE httpling_{name} {kind}")
    }

    /// One number.
    fn one(&self, f: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
        self.head(f)?;
        writeln!(f, "httpling_{} {value}", self.name)
    }

    /// One number for each value of a label.
    fn each(&self, f: &mut fmt::Formatter<'_>, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        self.head(f)?;
        let name = self.name;
        values.iter().try_for_each(|(of, value)| writeln!(f, "httpling_{name}{{{label}=\"{of}\"}} {value}"))
    }
}

fn counter<'a>(name: &'a str, help: &'a str) -> Family<'a> {
    Family { name, kind: "counter", help }
}

fn gauge<'a>(name: &'a str, help: &'a str) -> Family<'a> {
    Family { name, kind: "gauge", help }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [
            ("connections_accepted_total", "Connections that were accepted.", self.connections_accepted),
            ("connections_closed_total", "Connections that have ended.", self.connections_closed),
            (
                "connections_evicted_total",
                "Connections that had to make place for others.",
                self.connections_evicted,
            ),
            (
                "connections_refused_total",
                "Connections that ended because of what their client sent.",
                self.connections_refused,
            ),
            ("accept_errors_total", "Connections that could not be accepted.", self.accept_errors),
            (
                "requests_unavailable_total",
                "Requests that were answered with 503.",
                self.requests_unavailable,
            ),
            ("handler_panics_total", "Panics in handlers.", self.handler_panics),
            ("handlers_slow_total", "Handlers that ran for longer than is usual.", self.handlers_slow),
            ("received_bytes_total", "Octets of requests.", self.bytes_received),
            ("sent_bytes_total", "Octets of responses.", self.bytes_sent),
            ("log_lines_lost_total", "Lines of the log that were lost.", self.log_lines_lost),
        ];
        let gauges = [
            ("connections_active", "Connections that are open.", self.connections_active),
            ("lent_bytes", "Memory that is lent to requests that have not come whole.", self.bytes_lent),
            ("requests_active", "Handlers that run.", self.requests_active),
            ("requests_queued", "Requests that wait for a thread.", self.requests_queued),
            ("unsent_bytes", "Memory that is lent to responses that are not taken.", self.bytes_unsent),
        ];
        let requests = &self.requests;
        let by_status = [
            ("1xx", requests.informational),
            ("2xx", requests.successful),
            ("3xx", requests.redirection),
            ("4xx", requests.client_error),
            ("5xx", requests.server_error),
            ("none", requests.unanswered),
        ];
        let timeouts = &self.timeouts;
        let by_deadline = [
            ("first_byte", timeouts.first_byte),
            ("head", timeouts.head),
            ("idle", timeouts.idle),
            ("content", timeouts.content),
            ("write", timeouts.write),
            ("queue", timeouts.queue),
        ];
        counter("requests_total", "Requests by the status of their responses.")
            .each(f, "status", &by_status)?;
        counter("timeouts_total", "Deadlines that ran out.").each(f, "deadline", &by_deadline)?;
        counters.iter().try_for_each(|(name, help, value)| counter(name, help).one(f, *value))?;
        gauges.iter().try_for_each(|(name, help, value)| gauge(name, help).one(f, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_a_head_and_its_numbers() {
        let mut snapshot = Snapshot { bytes_sent: 17, ..Snapshot::default() };
        snapshot.requests.successful = 3;
        let text = snapshot.to_string();
        let expected = "# HELP httpling_requests_total Requests by the status of their responses.\n\
            # TYPE httpling_requests_total counter\n\
            httpling_requests_total{status=\"1xx\"} 0\nhttpling_requests_total{status=\"2xx\"} 3\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\nhttpling_sent_bytes_total 17\n"), "{text}");
        assert!(text.ends_with("\nhttpling_unsent_bytes 0\n"), "{text}");
        // Each name stands in one family, and a counter's ends in `_total`.
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.iter().all(|name| name.contains("_total ") == name.ends_with(" counter")), "{names:?}");
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
