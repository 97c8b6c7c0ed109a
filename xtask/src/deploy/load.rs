//! Clients that ask without a pause, and count what goes wrong.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, ensure};
use socket2::{Domain, Socket, Type};

use super::Site;
use crate::server::{Answer, PATIENCE, is_cut, read_answer};

/// Clients of each manner.
const CLIENTS: usize = 4;
/// Requests that a connection is used for by those who keep it.
const KEPT: usize = 50;

const SECOND: Duration = Duration::from_secs(1);

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// The clients' own address, for the log.
    pub(super) from: SocketAddr,
    pub(super) content: Arc<[u8]>,
    pub(super) ending: Ending,
}

impl Target {
    /// A server that serves this, asked by nobody in particular.
    pub(super) fn at(address: SocketAddr, site: &Site) -> Self {
        let content = site.content.as_slice().into();
        Self { address, from: ([127, 0, 0, 1], 0).into(), content, ending: Ending::AnyTime }
    }
}

/// What may a server do between two responses?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Say with a response that it is the last one, and nothing else.
    Announced,
    /// Close, too. A request that crosses that is sent again on another connection (RFC 9112 §9.3.1). The first one does not cross
    /// it if it comes within a second.
    AnyTime,
}

/// What they saw, when nothing went wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Requests that were answered.
    pub(super) answers: usize,
    /// How many of them were sent twice.
    pub(super) repeated: usize,
}

/// Clients that ask until they are told to stop.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stops: AtomicBool,
    answers: AtomicUsize,
    repeated: AtomicUsize,
    /// The first request that failed.
    failure: Mutex<Option<Error>>,
}

impl Shared {
    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Half of the clients ask once on each connection, the others keep theirs.
    pub(super) fn start(target: &Target) -> Self {
        let shared = Arc::<Shared>::default();
        let clients = (0..2 * CLIENTS).map(|index| {
            let client = Client { target: target.clone(), shared: Arc::clone(&shared) };
            thread::spawn(move || {
                if let Err(error) = client.run(if index % 2 == 0 { 1 } else { KEPT }) {
                    client.shared.failure().get_or_insert(error);
                }
            })
        });
        Self { clients: clients.collect(), shared }
    }

    /// Waits until so many more requests were answered: what happened before happened under load.
    ///
    /// # Errors
    /// The first request that failed.
    pub(super) fn wait_for(&self, answers: usize) -> Result<()> {
        let (began, before) = (Instant::now(), self.shared.answers.load(Ordering::Relaxed));
        while self.shared.answers.load(Ordering::Relaxed) < before + answers {
            self.shared.failure().take().map_or(Ok(()), Err)?;
            ensure!(began.elapsed() < PATIENCE, "the load stands still");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops them.
    ///
    /// # Errors
    /// The first request that failed.
    pub(super) fn stop(self) -> Result<Outcome> {
        self.shared.stops.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().map_err(|_| anyhow!("a client panicked"))?;
        }
        self.shared.failure().take().map_or(Ok(()), Err)?;
        let Shared { answers, repeated, .. } = &*self.shared;
        Ok(Outcome { answers: answers.load(Ordering::Relaxed), repeated: repeated.load(Ordering::Relaxed) })
    }
}

struct Client {
    target: Target,
    shared: Arc<Shared>,
}

impl Client {
    fn run(&self, requests: usize) -> Result<()> {
        while !self.shared.stops.load(Ordering::Relaxed) {
            let mut reader = BufReader::new(self.connect().context("a connection was refused")?);
            let began = Instant::now();
            for request in 1..=requests {
                let is_late = began.elapsed() > SECOND / 2;
                let answer = ask(&mut reader, request == requests)
                    .with_context(|| format!("request {request} of a connection failed"))?;
                let Some(answer) = answer else {
                    let may_end = self.target.ending == Ending::AnyTime && (request > 1 || is_late);
                    ensure!(may_end, "request {request} of a connection was not answered");
                    self.shared.repeated.fetch_add(1, Ordering::Relaxed);
                    break;
                };
                self.check(&answer)?;
                if answer.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
                    break;
                }
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.target.address), Type::STREAM, None)?;
        socket.bind(&self.target.from.into())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // One that is interrupted would be a failure.
        socket.connect_timeout(&self.target.address.into(), PATIENCE)?;
        Ok(socket.into())
    }

    fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(answer.status == 200, "answered with {}", answer.head);
        ensure!(*answer.content == *self.target.content, "the content is not the file's");
        self.shared.answers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends a request, and waits for its answer; `None` when the connection ends before the first byte of it.
fn ask(reader: &mut BufReader<TcpStream>, is_last: bool) -> io::Result<Option<Answer>> {
    let last = if is_last { "Connection: close\r\n" } else { "" };
    let request = format!("GET /file HTTP/1.1\r\nHost: a\r\n{last}\r\n");
    let sent = reader.get_mut().write_all(request.as_bytes());
    match sent.and_then(|()| is_at_end(reader)) {
        Ok(false) => {}
        Ok(true) => return Ok(None),
        Err(error) if is_cut(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    read_answer(reader)?.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn is_at_end(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?.is_empty()),
        }
    }
}
