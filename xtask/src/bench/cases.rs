//! What is asked.

use std::fmt;

use clap::ValueEnum;

/// The connections that idle.
pub(crate) const IDLE_CONNECTIONS: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Case {
    /// GET on 64 connections that are kept.
    #[value(name = "64")]
    KeepAlive64,
    /// The same on 256.
    #[value(name = "256")]
    KeepAlive256,
    /// The same on 1024.
    #[value(name = "1024")]
    KeepAlive1024,
    /// Sixteen requests at a time on 256 connections.
    Pipelined,
    /// A connection for each request, 64 at a time.
    Reconnecting,
    /// 1 KiB to and fro, 64 connections.
    Post1Kib,
    /// 1 MiB to and fro, 16 connections.
    Post1Mib,
    /// 20,000 requests a second, whether or not they are answered.
    Rate,
    /// The same, beside 50 handlers that sleep 20 ms each time.
    RateBesideBlocking,
    /// Memory for connections that are open and silent.
    Idle,
}

impl Case {
    /// What the load generator is told, before the address and after it.
    pub(crate) fn arguments(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::KeepAlive64 => ("closed", &["--connections", "64"]),
            Self::KeepAlive256 => ("closed", &["--connections", "256"]),
            Self::KeepAlive1024 => ("closed", &["--connections", "1024"]),
            Self::Pipelined => ("closed", &["--connections", "256", "--pipeline", "16"]),
            Self::Reconnecting => ("closed", &["--connections", "64", "--reconnect"]),
            Self::Post1Kib => ("closed", &["--connections", "64", "--post", "1024"]),
            Self::Post1Mib => ("closed", &["--connections", "16", "--post", "1048576"]),
            Self::Rate => ("open", &["--connections", "256", "--rate", "20000"]),
            Self::RateBesideBlocking => (
                "open",
                &[
                    "--connections",
                    "256",
                    "--rate",
                    "20000",
                    "--beside",
                    "/slow?ms=20",
                    "--beside-connections",
                    "50",
                ],
            ),
            Self::Idle => ("idle", &[]),
        }
    }

    /// Is the figure how many requests were answered?
    pub(crate) fn is_throughput(self) -> bool {
        !matches!(self, Self::Rate | Self::RateBesideBlocking | Self::Idle)
    }

    pub(crate) fn posts(self) -> bool {
        matches!(self, Self::Post1Kib | Self::Post1Mib)
    }

    /// Are the system calls counted? They say nothing new in the other cases.
    pub(crate) fn counts_calls(self) -> bool {
        matches!(self, Self::KeepAlive64 | Self::Pipelined | Self::Reconnecting)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::KeepAlive64 => "64 connections",
            Self::KeepAlive256 => "256 connections",
            Self::KeepAlive1024 => "1024 connections",
            Self::Pipelined => "16 pipelined",
            Self::Reconnecting => "connection per request",
            Self::Post1Kib => "POST 1 KiB",
            Self::Post1Mib => "POST 1 MiB",
            Self::Rate => "20,000 a second",
            Self::RateBesideBlocking => "20,000 a second beside handlers that block",
            Self::Idle => "idle connections",
        })
    }
}
