//! How many descriptors are left? Connections leave some to the files that they are about.

use super::poller::Socket;
use std::sync::atomic::{AtomicBool, Ordering};

/// The descriptors of this process.
#[derive(Debug)]
pub(super) struct Descriptors {
    /// There is none of this number.
    end: u64,
    /// So many are left free by those who accept connections.
    reserve: u64,
    /// It was seen that few are left.
    are_few: AtomicBool,
}

/// For listeners, logs, and what handlers open.
const OTHERS: u64 = 64;

impl Descriptors {
    /// Lets this process have as many as it may, of which `reserve` are not for connections, and as many more as connections can
    /// be accepted at once.
    pub(super) fn raise(reserve: usize, loops: usize) -> Self {
        let end = raise_limit();
        // Where there are so few, those that are there are shared out evenly.
        let free = next().map_or(0, |next| end.saturating_sub(next));
        let reserve = (reserve.saturating_add(loops) as u64).min(free / 2);
        Self { end, reserve, are_few: AtomicBool::new(false) }
    }

    /// Connections that there are descriptors for.
    pub(super) fn connections_max(&self) -> usize {
        usize::try_from(self.end.saturating_sub(OTHERS).max(1)).unwrap_or(usize::MAX)
    }

    /// A connection was accepted. The system gives it the lowest number that is free: so all below are taken, and how many are
    /// left is known without a call. (What was closed below since then is found out by asking, and what is taken above when there
    /// is none.)
    pub(super) fn took(&self, socket: &Socket) {
        if number(socket).is_some_and(|number| !self.leaves_reserve(number)) {
            self.are_few.store(true, Ordering::Relaxed);
        }
    }

    /// May another connection have one?
    pub(super) fn has_reserve(&self) -> bool {
        if !self.are_few.load(Ordering::Relaxed) {
            return true;
        }
        let has = next().is_some_and(|next| self.leaves_reserve(next));
        self.are_few.store(!has, Ordering::Relaxed);
        has
    }

    fn leaves_reserve(&self, number: u64) -> bool {
        number + self.reserve < self.end
    }
}

#[cfg(unix)]
fn number(socket: &impl std::os::fd::AsRawFd) -> Option<u64> {
    u64::try_from(socket.as_raw_fd()).ok()
}

#[cfg(not(unix))]
fn number(_: &Socket) -> Option<u64> {
    None
}

/// The lowest number that is free: found out by taking it.
#[cfg(unix)]
fn next() -> Option<u64> {
    number(&std::os::unix::net::UnixDatagram::unbound().ok()?)
}

#[cfg(not(unix))]
fn next() -> Option<u64> {
    None
}

/// Lets this process have as many descriptors as it may, and says how many that is.
fn raise_limit() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // It is refused where the hard limit is no limit; then what there was is what there is.
        _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    u64::MAX
}
