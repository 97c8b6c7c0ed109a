//! The program's options for what the server promises: a group for each kind, each option with its default and the reason.

use clap::{Args, value_parser};
use httpling::{Builder, Limits};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

/// What a client may send, and how often.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
#[allow(clippy::struct_field_names)] // Options are called so.
struct Sizes {
    /// Octets of a request line; 414 beyond. Python's number, and more than any browser sends
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT.request_line_bytes_max)]
    request_line_max: u32,

    /// Octets of a request's fields; 431 beyond. Twice what Node takes, so that large cookies pass
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT.field_section_bytes_max)]
    field_section_max: u32,

    /// Fields of a request; 431 beyond. Apache's number
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.fields_max)]
    fields_max: u8,

    /// Requests of a connection, whose last response says `Connection: close`, so that a load balancer can move its clients
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.requests_max, value_parser = value_parser!(u16).range(1..))]
    requests_max: u16,
}

/// How long a client may take.
#[derive(Args, Debug)]
#[command(next_help_heading = "Time-outs, in seconds")]
struct Times {
    /// For the first byte of a new connection; it is closed without a word
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    first_byte_timeout: Seconds,

    /// For a request's head, from its first byte to its last; 408 beyond. In all, so that nobody lasts by sending slowly
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    head_timeout: Seconds,

    /// Between two requests of a connection; it is closed without a word. Long enough for the links of a page
    #[arg(long, value_name = "SECONDS", default_value = "15")]
    idle_timeout: Seconds,

    /// For a client that takes nothing of a response; it is cut off. It may have a gap in its radio
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    write_timeout: Seconds,

    /// Octets a second that a client must take, on average, of a response that lasts longer than twice the
    /// write time-out. The slowest modem takes more
    #[arg(long, value_name = "BYTES", default_value = "500", value_parser = value_parser!(u32).range(1..))]
    bytes_per_second_min: u32,

    /// For running requests after SIGINT or SIGTERM. A second signal does not wait
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    drain_timeout: Seconds,
}

/// How much is done at a time.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connections and threads")]
struct Numbers {
    /// Connections at a time, or 64 less than there may be descriptors. Beyond, the longest idle one makes place
    #[arg(long, value_name = "NUMBER", default_value = "16384")]
    connections_max: NonZeroUsize,

    /// Descriptors that connections leave to files: those who are connected are served, and others wait
    #[arg(long, value_name = "NUMBER", default_value = "8")]
    descriptors_reserved: usize,

    /// Connections that wait in the kernel to be accepted: as many as Linux allows
    #[arg(long, value_name = "NUMBER", default_value = "4096")]
    backlog: u32,

    /// Threads that serve [default: one for each processor, which is as many as can be busy]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<NonZeroUsize>,

    /// Threads besides, for what waits for a disk or for a client. They end when they are not needed
    #[arg(long, value_name = "NUMBER", default_value = "256")]
    spare_threads_max: NonZeroUsize,

    /// Requests that wait when all of these are busy; 503 beyond
    #[arg(long, value_name = "NUMBER", default_value = "1024")]
    queue_max: usize,

    /// How long they wait; 503 beyond: whoever asked has given up
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    queue_timeout: Seconds,

    /// Memory for requests that have not come whole, in bytes, of all clients together; 503 beyond
    #[arg(long, value_name = "BYTES", default_value = "67108864")]
    lent_bytes_max: usize,

    /// Memory for responses that are not taken, in bytes, of all clients together; beyond, who has taken nothing for longest is
    /// cut off
    #[arg(long, value_name = "BYTES", default_value = "67108864")]
    unsent_bytes_max: usize,

    /// After how long a request that is still being served is told of in the log
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    handler_time_logged: Seconds,
}

/// What a server promises, as far as users of the program choose it.
#[derive(Args, Debug)]
pub(crate) struct Promises {
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    numbers: Numbers,
}

impl Promises {
    /// Tells the server.
    pub(crate) fn settle(&self, builder: Builder) -> Builder {
        let Self { sizes, times, numbers } = self;
        let limits = Limits {
            request_line_bytes_max: sizes.request_line_max,
            field_section_bytes_max: sizes.field_section_max,
            fields_max: sizes.fields_max,
            requests_max: sizes.requests_max,
            ..Limits::DEFAULT
        };
        let builder = builder
            .limits(limits)
            .first_byte_timeout(times.first_byte_timeout.0)
            .head_timeout(times.head_timeout.0)
            .idle_timeout(times.idle_timeout.0)
            .write_timeout(times.write_timeout.0)
            .bytes_per_second_min(times.bytes_per_second_min)
            .drain_timeout(times.drain_timeout.0)
            .connections_max(numbers.connections_max.get())
            .descriptors_reserved(numbers.descriptors_reserved)
            .backlog(numbers.backlog)
            .spare_threads_max(numbers.spare_threads_max.get())
            .queue_max(numbers.queue_max)
            .queue_timeout(numbers.queue_timeout.0)
            .lent_bytes_max(numbers.lent_bytes_max)
            .unsent_bytes_max(numbers.unsent_bytes_max)
            .handler_time_logged(numbers.handler_time_logged.0);
        match numbers.threads {
            Some(threads) => builder.threads(threads.get()),
            None => builder,
        }
    }
}

/// A time, as it is written: `10`, or `0.5`.
#[derive(Clone, Copy, Debug)]
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use httpling::HttpServer;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        promises: Promises,
    }

    /// What a server is told, as text: settings are not for others to read.
    fn told(line: &str) -> String {
        let words = std::iter::once("httpling").chain(line.split_whitespace());
        let Line { promises } = Line::try_parse_from(words).expect("a command line");
        format!("{:?}", promises.settle(HttpServer::builder()))
    }

    #[test]
    fn without_options_the_program_promises_what_the_library_does() {
        assert_eq!(told(""), format!("{:?}", HttpServer::builder()));
    }

    #[test]
    fn each_option_is_one_setting() {
        let builder = HttpServer::builder;
        let limits = |change: fn(&mut Limits)| {
            let mut limits = Limits::DEFAULT;
            change(&mut limits);
            builder().limits(limits)
        };
        let time = Duration::from_millis(1500);
        for (line, expected) in [
            ("--request-line-max 7", limits(|limits| limits.request_line_bytes_max = 7)),
            ("--field-section-max 7", limits(|limits| limits.field_section_bytes_max = 7)),
            ("--fields-max 7", limits(|limits| limits.fields_max = 7)),
            ("--requests-max 7", limits(|limits| limits.requests_max = 7)),
            ("--first-byte-timeout 1.5", builder().first_byte_timeout(time)),
            ("--head-timeout 1.5", builder().head_timeout(time)),
            ("--idle-timeout 1.5", builder().idle_timeout(time)),
            ("--write-timeout 1.5", builder().write_timeout(time)),
            ("--bytes-per-second-min 7", builder().bytes_per_second_min(7)),
            ("--drain-timeout 1.5", builder().drain_timeout(time)),
            ("--connections-max 7", builder().connections_max(7)),
            ("--descriptors-reserved 7", builder().descriptors_reserved(7)),
            ("--backlog 7", builder().backlog(7)),
            ("--threads 7", builder().threads(7)),
            ("--spare-threads-max 7", builder().spare_threads_max(7)),
            ("--queue-max 7", builder().queue_max(7)),
            ("--queue-timeout 1.5", builder().queue_timeout(time)),
            ("--lent-bytes-max 7", builder().lent_bytes_max(7)),
            ("--unsent-bytes-max 7", builder().unsent_bytes_max(7)),
            ("--handler-time-logged 1.5", builder().handler_time_logged(time)),
        ] {
            let said = told(line);
            assert_eq!(said, format!("{expected:?}"), "{line}");
            assert_ne!(said, told(""), "{line}");
        }
    }
}
