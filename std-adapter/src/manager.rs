//! What a service manager gives, and is told, as systemd has it: sockets (`LISTEN_FDS`), and a datagram with a word
//! (`NOTIFY_SOCKET`), again and again where it keeps a watch (`WATCHDOG_USEC`). Elsewhere than on Unix there is none.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::{Inherited, tell, watch};
#[cfg(not(unix))]
pub(crate) use without::{Inherited, tell, watch};

#[cfg(not(unix))]
mod without {
    use httpling::Builder;
    use std::time::Duration;

    /// There are none.
    pub(crate) enum Inherited {}

    impl Inherited {
        pub(crate) fn from_environment() -> Option<Self> {
            None
        }

        pub(crate) fn add_to(self, _: Builder) -> Result<Builder, String> {
            match self {}
        }
    }

    /// Tells nobody.
    pub(crate) fn tell(_: &str) {}

    /// Nobody keeps one.
    pub(crate) fn watch() -> Option<Duration> {
        None
    }
}
