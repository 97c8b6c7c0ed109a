//! Readiness by epoll.

use super::{Follows, Occurrence, Readiness, WAKER, copy_file, timespec};
use crate::file_part::FilePart;
use crate::listener::LocalAddress;
use httpling_core::SendError;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, acceptfrom_with};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

pub(in crate::reactor) type Socket = socket2::Socket;

/// Events that are asked for at once.
const EVENTS: usize = 256;

/// The listener is told level-triggered: whoever leaves a connection in the queue is told again.
pub(in crate::reactor) const ACCEPT_UNTIL_EMPTY: bool = false;

/// One loop's view of its sockets.
#[derive(Debug)]
pub(in crate::reactor) struct Poller {
    epoll: OwnedFd,
}

/// Ends the wait of a [`Poller`] from another thread.
#[derive(Debug)]
pub(in crate::reactor) struct Waker(OwnedFd);

impl Poller {
    pub(in crate::reactor) fn new() -> io::Result<(Self, Waker)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: the count is never read, each addition to it is an event.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &waker, epoll::EventData::new_u64(WAKER), flags)?;
        Ok((Self { epoll }, Waker(waker)))
    }

    /// One of the loops that wait is woken for a connection, not all of them.
    pub(in crate::reactor) fn add_listener(&self, listener: &mut Listener, token: u64) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
        Ok(epoll::add(&self.epoll, &listener.socket, epoll::EventData::new_u64(token), flags)?)
    }

    pub(in crate::reactor) fn remove_listener(&self, listener: &mut Listener) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, &listener.socket)?)
    }

    /// A new socket is watched only from its first rest on: its request is mostly there already, and if it is the only one,
    /// there is nothing more to be told.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // Other systems need both.
    pub(in crate::reactor) fn add_new(&self, _: &mut Socket, _: u64) -> io::Result<bool> {
        Ok(false)
    }

    pub(in crate::reactor) fn add(&self, socket: &Socket, token: u64) -> io::Result<()> {
        let flags =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token), flags)?)
    }

    pub(in crate::reactor) fn remove(&self, socket: &mut Socket) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, &*socket)?)
    }

    /// Waits; `None` is for ever. An interruption is no event.
    pub(in crate::reactor) fn wait(
        &mut self,
        occurrences: &mut Vec<Occurrence>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        let patience = patience.map(timespec);
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let result = match epoll::wait(&self.epoll, &mut events, patience.as_ref()) {
            // Whatever happened meanwhile is told: who was stopped for long must not take its clients for silent.
            Err(Errno::INTR) => epoll::wait(&self.epoll, &mut events, Some(&timespec(Duration::ZERO))),
            result => result,
        };
        let (events, _) = result?;
        occurrences.extend(events.iter().map(|event| {
            let (token, flags) = (event.data.u64(), event.flags);
            let mut readiness = Readiness::NOTHING;
            if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP) {
                readiness.add(Readiness::READ);
            }
            if flags.contains(epoll::EventFlags::OUT) {
                readiness.add(Readiness::WRITE);
            }
            if flags.contains(epoll::EventFlags::RDHUP) {
                readiness.add(Readiness::END);
            }
            // The next read or write says what happened.
            if flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                readiness.add(Readiness::READ);
                readiness.add(Readiness::WRITE);
            }
            Occurrence { token, readiness }
        }));
        Ok(())
    }
}

impl Waker {
    pub(in crate::reactor) fn wake(&self) {
        // It fails only when the count is full, and then its owner has been woken.
        _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// Reads what is there. (The C library's call is twice as long: it could be cancelled.)
///
/// # Errors
/// The system's: `WouldBlock` when nothing is there.
#[inline]
pub(in crate::reactor) fn recv(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// Writes what there is room for.
///
/// # Errors
/// The system's: `WouldBlock` when there is no room.
#[inline]
pub(in crate::reactor) fn send(socket: &Socket, bytes: &[u8], follows: Follows) -> io::Result<usize> {
    let mut flags = SendFlags::NOSIGNAL;
    if follows == Follows::Content {
        // For this write alone. TCP_CORK would hold back the end of the content, too, on a connection that goes on.
        flags |= SendFlags::MORE;
    }
    Ok(rustix::net::send(socket, bytes, flags)?)
}

/// Sends octets of a file from its descriptor, as many as there is room for, and not more than a piece. `None` when there is no
/// room.
///
/// # Errors
/// [`SendError::LengthMismatch`] when the file has ended, [`SendError::Failed`] when it cannot be read, or the socket's.
pub(in crate::reactor) fn send_file(
    socket: &Socket,
    part: &FilePart,
    position: u64,
    left: u64,
) -> Result<Option<usize>, SendError> {
    /// More at once was measured to be no faster.
    const PIECE: u64 = 256 * 1024;
    let mut at = part.start.checked_add(position).ok_or(SendError::Failed)?;
    let most = usize::try_from(left.min(PIECE)).unwrap_or(usize::MAX);
    loop {
        return match rustix::fs::sendfile(socket, &part.file, Some(&mut at), most) {
            Ok(0) => Err(SendError::LengthMismatch),
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => continue,
            // Not every file system can do it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::OVERFLOW) => {
                copy_file(socket, part, position, left)
            }
            Err(Errno::IO) => Err(SendError::Failed),
            Err(error) => Err(SendError::Transport(io::Error::from(error).kind().into())),
        };
    }
}

/// Where connections come from.
#[derive(Debug)]
pub(in crate::reactor) struct Listener {
    socket: Socket,
    /// Its clients have addresses.
    is_tcp: bool,
}

impl Listener {
    /// The same socket once more, for another loop. What its connections inherit is set here.
    pub(in crate::reactor) fn clone_of(listener: &crate::listener::Listener) -> io::Result<Self> {
        let socket = listener.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        let is_tcp = matches!(listener.address, LocalAddress::Tcp(_));
        if is_tcp {
            // Head and content leave in one write, so there is nothing to gain by waiting for more (spec 29).
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self { socket, is_tcp })
    }

    pub(in crate::reactor) fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        let (socket, address) = acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let address = address.and_then(|address| SocketAddr::try_from(address).ok());
        if self.is_tcp && address.is_none() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok((socket.into(), address))
    }
}
