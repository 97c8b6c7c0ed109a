//! Readiness by whatever the system has, through mio.

use super::{Follows, LISTENERS, Occurrence, Readiness, WAKER};
use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A Unix socket, too, where there are any: what is done with it here is the same.
pub(in crate::reactor) type Socket = mio::net::TcpStream;

/// Events that are asked for at once.
const EVENTS: usize = 256;

/// The listener is told edge-triggered.
pub(in crate::reactor) const ACCEPT_UNTIL_EMPTY: bool = true;

/// One loop's view of its sockets.
#[derive(Debug)]
pub(in crate::reactor) struct Poller {
    poll: Poll,
    events: Events,
}

/// Ends the wait of a [`Poller`] from another thread.
#[derive(Debug)]
pub(in crate::reactor) struct Waker(mio::Waker);

/// Tokens are as wide as an address: where those are short, the slot's generation is cut, and a stale event is at worst a read
/// of nothing.
#[allow(clippy::cast_possible_truncation)] // That is it.
fn token(token: u64) -> Token {
    Token(token as usize)
}

impl Poller {
    pub(in crate::reactor) fn new() -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), token(WAKER))?;
        Ok((Self { poll, events: Events::with_capacity(EVENTS) }, Waker(waker)))
    }

    pub(in crate::reactor) fn add_listener(&self, listener: &mut Listener, number: u64) -> io::Result<()> {
        self.poll.registry().register(listener.source(), token(number), Interest::READABLE)
    }

    pub(in crate::reactor) fn remove_listener(&self, listener: &mut Listener) -> io::Result<()> {
        self.poll.registry().deregister(listener.source())
    }

    /// A socket is watched from the beginning, when nobody else has it yet.
    pub(in crate::reactor) fn add_new(&self, socket: &mut Socket, slot: u64) -> io::Result<bool> {
        self.poll.registry().register(socket, token(slot), Interest::READABLE | Interest::WRITABLE)?;
        Ok(true)
    }

    /// It is watched already.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // Linux needs both.
    pub(in crate::reactor) fn add(&self, _: &Socket, _: u64) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::reactor) fn remove(&self, socket: &mut Socket) -> io::Result<()> {
        self.poll.registry().deregister(socket)
    }

    /// Waits; `None` is for ever. An interruption is no event.
    pub(in crate::reactor) fn wait(
        &mut self,
        occurrences: &mut Vec<Occurrence>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, patience) {
            // Whatever happened meanwhile is told: who was stopped for long must not take its clients for silent.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            }
            result => result?,
        }
        occurrences.extend(self.events.iter().map(|event| {
            let mut readiness = Readiness::NOTHING;
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                readiness.add(Readiness::READ);
            }
            if event.is_writable() || event.is_write_closed() || event.is_error() {
                readiness.add(Readiness::WRITE);
            }
            // A socket may have to be read until it has nothing, and so must one whose end was told.
            readiness.add(Readiness::END);
            let known = |number: &u64| token(*number) == event.token();
            let token = LISTENERS.chain([WAKER]).find(known).unwrap_or(event.token().0 as u64);
            Occurrence { token, readiness }
        }));
        Ok(())
    }
}

impl Waker {
    pub(in crate::reactor) fn wake(&self) {
        // It fails only when its owner has been woken.
        _ = self.0.wake();
    }
}

/// Reads what is there.
///
/// # Errors
/// The system's: `WouldBlock` when nothing is there.
pub(in crate::reactor) fn recv(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    socket.read(buffer)
}

/// Writes what there is room for.
///
/// # Errors
/// The system's: `WouldBlock` when there is no room.
pub(in crate::reactor) fn send(mut socket: &Socket, bytes: &[u8], _follows: Follows) -> io::Result<usize> {
    socket.write(bytes)
}

/// Sending from a descriptor is different on each system.
pub(in crate::reactor) use super::copy_file as send_file;

/// Where connections come from.
#[derive(Debug)]
pub(in crate::reactor) enum Listener {
    Tcp(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener),
}

impl Listener {
    /// The same socket once more, for another loop.
    pub(in crate::reactor) fn clone_of(listener: &crate::listener::Listener) -> io::Result<Self> {
        let socket = listener.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        Ok(match listener.address {
            #[cfg(unix)]
            crate::LocalAddress::Unix(_) => Self::Unix(mio::net::UnixListener::from_std(socket.into())),
            _ => Self::Tcp(mio::net::TcpListener::from_std(socket.into())),
        })
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            #[cfg(unix)]
            Self::Unix(listener) => listener,
        }
    }

    pub(in crate::reactor) fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, address) = listener.accept()?;
                // Head and content leave in one write, so there is nothing to gain by waiting for more (spec 29).
                socket.set_nodelay(true)?;
                Ok((socket, Some(address)))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (socket, _) = listener.accept()?;
                Ok((std::os::fd::OwnedFd::from(socket).into(), None))
            }
        }
    }
}
