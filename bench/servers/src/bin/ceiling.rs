//! `ceiling PORT THREADS`: no HTTP server, but what is left when everything is left out that can be.
//!
//! One epoll loop per thread. It counts blank lines, and for each sends the same octets, as many as
//! `httpling` sends. A client that says so closes its connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use httpling_bench_servers::arguments;
use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: no-parse\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/html\r\nContent-Length: 11\r\n\r\nHello there";
const LAST_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: no-parse\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/html\r\nConnection: close\r\nContent-Length: 11\r\n\r\nHello there";
const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// A blank line may come in two pieces: of each piece so many octets are kept.
const KEPT: usize = BLANK_LINE.len() - 1;
/// As many answers as requests can be in one piece.
const ANSWERS: usize = 1024;
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    kept: [u8; KEPT],
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    // Each new connection wakes one loop.
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::EXCLUSIVE)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; KEPT + 16 * 1024];
    let answers = ANSWER.repeat(ANSWERS);
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            // As strace does when it comes.
            Err(Errno::INTR) => continue,
            result => result?,
        };
        for event in &events {
            let index = event.data.u64();
            if index == LISTENER {
                let Ok(socket) = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) else {
                    continue;
                };
                let mut connection = Connection { stream: socket.into(), kept: [0; KEPT] };
                // The request is mostly there already; and if it was the last one, epoll need not know.
                if connection.go_on(&mut buffer, &answers) {
                    let index = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    let data = EventData::new_u64(index as u64);
                    epoll::add(&epoll, connection.stream.as_fd(), data, EventFlags::IN)?;
                    connections[index] = Some(connection);
                }
                continue;
            }
            let index = usize::try_from(index).map_err(io::Error::other)?;
            if let Some(connection) = &mut connections[index]
                && !connection.go_on(&mut buffer, &answers)
            {
                connections[index] = None;
                free.push(index);
            }
        }
    }
}

impl Connection {
    /// Answers what came. Does the connection stay open?
    fn go_on(&mut self, buffer: &mut [u8], answers: &[u8]) -> bool {
        buffer[..KEPT].copy_from_slice(&self.kept);
        let count = match self.stream.read(&mut buffer[KEPT..]) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        };
        let piece = &buffer[..KEPT + count];
        self.kept.copy_from_slice(&piece[count..]);
        let requests = memmem::find_iter(piece, BLANK_LINE).count();
        if piece.ends_with(b"Connection: close\r\n\r\n") {
            _ = self.stream.write_all(LAST_ANSWER);
            return false;
        }
        // Never more than the socket takes: clients wait for their answers before they ask again.
        self.stream.write_all(&answers[..requests * ANSWER.len()]).is_ok()
    }
}

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| serve(&listener))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}
