//! Does with one connection all that can be done now.
//!
//! ```text
//!   recv ─► Session::advance ─► (handler) ─► one send ─► what does it wait for?
//! ```
//!
//! No lock is held here: what happens takes as long as the handler does.

use super::Handler;
use super::desk::Desk;
use super::guard::{Guard, contained};
use super::kinds::Kind;
use super::peer::{Call, Peer};
use super::poller::{Readiness, Socket, read_now};
use super::slab::Stage;
use super::stream::Stream;
use crate::clock::time_passed;
use crate::settings::Settings;
use embedded_io::ErrorKind;
use httpling_core::{CloseReason, Config, Connection, Progress, RequestHandler as _, Session};
use socket2::SockRef;
use std::net::Shutdown;
use std::time::Duration;

/// Octets of a response that leaves in one piece: 64 KiB of content and a head.
const OUTPUT_BYTES: usize = 64 * 1024 + 4096;
/// Room behind the longest head, so that content that came with it needs no further read.
const INPUT_SLACK_BYTES: usize = 4096;
/// A head that has more than this is not copied each time that bytes come, but keeps a buffer of its own.
const COPIED_MAX: usize = 2048;
/// Reads of one connection before others have their turn.
const ROUNDS: u32 = 8;
/// Octets that are dropped after a last response. More, and the client does not listen.
const DROPPED_MAX: u32 = 256 * 1024;

/// The buffers of a thread. What is never used of them is never touched, and costs no memory.
#[derive(Debug)]
pub(super) struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Buffers {
    pub(super) fn new(settings: &Settings) -> Self {
        let limits = settings.limits;
        // Positions in a head are below 2^30.
        let head = limits.request_line_bytes_max.saturating_add(limits.field_section_bytes_max).min(1 << 30);
        Self { input: vec![0; head as usize + INPUT_SLACK_BYTES], output: vec![0; OUTPUT_BYTES] }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its socket. `moved` when its deadline begins anew.
    Rest { stage: Stage, moved: bool },
    /// Its next turn.
    Again,
    /// A thread on which its handler may wait.
    Thread,
    /// Nothing: it is over.
    Gone,
}

/// What it was, to tell whether its deadline begins anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) stage: Stage,
    pub(super) now: u64,
}

/// Serves a connection.
pub(super) fn serve<H: Handler>(
    peer: &mut Peer<H>,
    call: Call,
    before: Before,
    buffers: &mut Buffers,
    config: &Config<'_>,
    desk: &Desk<'_, H>,
) -> Outcome {
    time_passed();
    if before.stage == Stage::Lingering {
        return match call {
            Call::Ready => linger(peer, &mut buffers.input),
            _ => Outcome::Gone,
        };
    }
    if before.stage == Stage::Writing
        && let Some(outcome) = write(peer, call, before, desk)
    {
        return outcome;
    }

    if peer.handler.is_none() {
        let make = || (desk.reactor.factory)(peer.address);
        peer.handler = contained(desk.reactor, peer.address, make).flatten();
    }
    exchange(peer, call, before, buffers, config, desk)
}

/// Reads, and answers what has arrived whole.
fn exchange<H: Handler>(
    peer: &mut Peer<H>,
    call: Call,
    before: Before,
    buffers: &mut Buffers,
    config: &Config<'_>,
    desk: &Desk<'_, H>,
) -> Outcome {
    let Some(handler) = &mut peer.handler else { return Outcome::Gone };
    let requests = peer.connection.requests();
    let mut pending = std::mem::take(&mut peer.pending);
    let mut arrived = pending.len();
    let most = buffers.input.len();
    let is_lent = arrived > COPIED_MAX;
    let input = if is_lent {
        let room = arrived.max(super::AWAITED_BYTES_MAX as usize);
        pending.resize((arrived + room).min(most).max(arrived), 0);
        &mut *pending
    } else {
        octets_into(&mut buffers.input, &pending);
        &mut *buffers.input
    };
    let lent = input.len();

    let mut session = Session::resume(peer.connection, (input, arrived), &mut buffers.output, config)
        .with_peer(Some(peer.address));
    let mut stream = Stream::new(&peer.socket, &mut peer.unsent, desk);
    let mut guard = Guard::new(handler, desk, peer.refused);
    match call {
        Call::Ready => {}
        Call::TimedOut => session.timed_out(&mut stream, &mut guard),
        // What has just arrived is served.
        Call::Close => peer.readiness.add(Readiness::READ),
    }
    let mut rounds = 0;
    let progress = loop {
        if peer.readiness.has(Readiness::READ)
            && !session.connection().is_sending()
            && session.connection().close_reason().is_none()
        {
            match read(&mut session, &peer.socket, &mut peer.readiness) {
                Ok(0) => {}
                Ok(count) => arrived += count,
                Err(ReadEnd::Stream) => peer.ended = true,
                Err(ReadEnd::Transport(kind)) => break Progress::Close(CloseReason::Transport(kind)),
            }
            if lent < most && session.pending().len() == lent {
                // Its buffer grows before anybody takes it for too small.
                peer.connection = session.connection();
                peer.pending = keep(session.pending(), 0);
                return Outcome::Again;
            }
            if desk.drives()
                && !session.connection().is_in_head()
                && is_known_to_wait(session.pending(), desk)
            {
                peer.connection = session.connection();
                peer.pending = keep(session.pending(), INPUT_SLACK_BYTES);
                return Outcome::Thread;
            }
        }
        let progress = session.advance(&mut stream, &mut guard);
        if stream.has_read() {
            arrived = 0;
            if !stream.drained {
                // A handler that has read does not know what is left.
                peer.readiness.add(Readiness::READ);
            }
        }
        if progress != Progress::NeedBytes || stream.has_unsent() {
            break progress;
        }
        if peer.ended {
            session.end_of_stream(&mut stream, &mut guard);
            break session.advance(&mut stream, &mut guard);
        }
        if call == Call::Close && !peer.readiness.has(Readiness::READ) {
            session.close();
            break session.advance(&mut stream, &mut guard);
        }
        rounds += 1;
        if !peer.readiness.has(Readiness::READ) || rounds == ROUNDS {
            break progress;
        }
    };
    peer.refused = false;
    let connection = session.connection();
    peer.connection = connection;

    let sending = Sending { sent: stream.sent, is_full: stream.full, is_left: stream.has_unsent() };
    if is_lent && session.pending().len() == arrived {
        // Not copied: where it began, it still is.
        pending.truncate(arrived);
        peer.pending = pending;
    } else {
        peer.pending = keep(session.pending(), 0);
    }
    if sending.is_left || progress == Progress::NeedRoom {
        return wait_for_room(peer, before, sending);
    }
    peer.written = 0;
    if let Progress::Close(reason) = progress {
        peer.pending = Vec::new();
        return close(peer, reason, desk, &mut buffers.input);
    }
    if peer.readiness.has(Readiness::READ) {
        return Outcome::Again;
    }
    let stage = stage(&connection);
    let is_next = connection.requests() != requests;
    if is_next || stage != before.stage {
        peer.since = before.now;
    }
    Outcome::Rest { stage, moved: is_next || stage != before.stage || stage == Stage::Content }
}

/// What came of sending.
#[derive(Clone, Copy, Debug)]
struct Sending {
    sent: usize,
    is_full: bool,
    is_left: bool,
}

/// Why a read brought nothing.
enum ReadEnd {
    Stream,
    Transport(ErrorKind),
}

/// Reads what is there, or as much of it as there is room for.
fn read(session: &mut Session<'_>, socket: &Socket, readiness: &mut Readiness) -> Result<usize, ReadEnd> {
    let free = session.free_input();
    let room = free.len();
    if room == 0 {
        // Requests that waited for room to be answered fill it. (Reading into an empty slice would look like the end.)
        return Ok(0);
    }
    let result = read_now(socket, free);
    // A read that comes back short has taken all there was; behind it can only be the end.
    if !matches!(result, Ok(Some(count)) if count == room || (count > 0 && readiness.has(Readiness::END))) {
        readiness.remove(Readiness::READ);
    }
    match result {
        Ok(Some(0)) => Err(ReadEnd::Stream),
        Ok(count) => {
            let count = count.unwrap_or(0);
            session.received(count);
            Ok(count)
        }
        Err(error) => Err(ReadEnd::Transport(error.kind().into())),
    }
}

/// There is something to send, and no room for it, or not its turn.
fn wait_for_room<H>(peer: &mut Peer<H>, before: Before, sending: Sending) -> Outcome {
    peer.written += sending.sent as u64;
    if !sending.is_full {
        return Outcome::Again;
    }
    if before.stage != Stage::Writing {
        peer.since = before.now;
    }
    Outcome::Rest { stage: Stage::Writing, moved: sending.sent > 0 || before.stage != Stage::Writing }
}

/// What a connection that has nothing to send waits for.
fn stage(connection: &Connection) -> Stage {
    if connection.awaits_content() {
        Stage::Content
    } else if connection.is_in_head() {
        Stage::Head
    } else if !connection.is_idle() {
        Stage::Draining
    } else if connection.requests() == 0 {
        Stage::New
    } else {
        Stage::Idle
    }
}

fn octets_into(place: &mut [u8], octets: &[u8]) {
    if let Some(place) = place.get_mut(..octets.len()) {
        place.copy_from_slice(octets);
    }
}

/// Exactly as much memory as is needed: nothing for nothing.
fn keep(pending: &[u8], slack: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    if !pending.is_empty() {
        kept.reserve_exact(pending.len() + slack);
        kept.extend_from_slice(pending);
    }
    kept
}

/// Is there a request whose handler is going to wait?
fn is_known_to_wait<H: Handler>(pending: &[u8], desk: &Desk<'_, H>) -> bool {
    let kinds = &desk.reactor.kinds;
    !kinds.is_empty() && Kind::of_head(pending).is_some_and(|kind| kinds.waits(kind))
}

/// Sends what is left of a response. `None` when nothing is left.
fn write<H: Handler>(peer: &mut Peer<H>, call: Call, before: Before, desk: &Desk<'_, H>) -> Option<Outcome> {
    let elapsed = Duration::from_millis(before.now.saturating_sub(peer.since));
    let is_slow = desk.rates().write_patience(peer.written, elapsed).is_none();
    if call != Call::Ready || is_slow {
        reset(peer);
        return Some(end(peer, desk));
    }
    if peer.unsent.is_empty() {
        return None;
    }
    let mut stream = Stream::new(&peer.socket, &mut peer.unsent, desk);
    let result = stream.send_unsent();
    let sent = stream.sent;
    peer.written += sent as u64;
    match result {
        Ok(true) => None,
        Ok(false) => Some(Outcome::Rest { stage: Stage::Writing, moved: sent > 0 }),
        Err(_) => Some(end(peer, desk)),
    }
}

/// All is said: ends the connection as its reason asks for.
fn close<H: Handler>(
    peer: &mut Peer<H>,
    reason: CloseReason,
    desk: &Desk<'_, H>,
    dropped: &mut [u8],
) -> Outcome {
    let outcome = end(peer, desk);
    match reason {
        // The client may still be sending, and input that nobody reads makes the kernel reset the connection, which can destroy
        // the response on its way (spec 33): so what comes is dropped for a moment.
        CloseReason::Finished | CloseReason::Refused(_) if !peer.ended => {
            if peer.socket.shutdown(Shutdown::Write).is_err() {
                return outcome;
            }
            match linger(peer, dropped) {
                Outcome::Rest { .. } => Outcome::Rest { stage: Stage::Lingering, moved: true },
                outcome => outcome,
            }
        }
        // The transport fails by a time-out, too: to the client its end would look like any other.
        CloseReason::Broken(_) | CloseReason::Transport(_) => {
            reset(peer);
            outcome
        }
        _ => outcome,
    }
}

/// The client sees that what it has is not whole.
fn reset<H>(peer: &Peer<H>) {
    _ = SockRef::from(&*peer.socket).set_linger(Some(Duration::ZERO));
}

/// Tells the handler, once.
fn end<H: Handler>(peer: &mut Peer<H>, desk: &Desk<'_, H>) -> Outcome {
    if let (false, Some(handler)) = (std::mem::replace(&mut peer.finished, true), &mut peer.handler) {
        Guard::new(handler, desk, false).finish();
    }
    Outcome::Gone
}

/// Drops what the client still sends.
fn linger<H>(peer: &mut Peer<H>, dropped: &mut [u8]) -> Outcome {
    while peer.readiness.has(Readiness::READ) {
        match read_now(&peer.socket, dropped) {
            Ok(Some(0)) | Err(_) => return Outcome::Gone,
            Ok(Some(count)) => {
                peer.dropped = peer.dropped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                if peer.dropped > DROPPED_MAX {
                    return Outcome::Gone;
                }
                if count < dropped.len() && !peer.readiness.has(Readiness::END) {
                    peer.readiness.remove(Readiness::READ);
                }
            }
            Ok(None) => peer.readiness.remove(Readiness::READ),
        }
    }
    Outcome::Rest { stage: Stage::Lingering, moved: false }
}
