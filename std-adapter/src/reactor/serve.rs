//! Does with one connection all that can be done now.
//!
//! No lock is held here: what happens takes as long as the handler does.
//!
//! What each request needs of this is woven into the loop. Where the kernel guards its own returns, a system call takes from the
//! processor what it knows of ours, so that to return from a function that was entered before the call costs as much as many
//! instructions.

#![allow(clippy::inline_always)] // That is why.

use super::desk::Desk;
use super::exchange::{End, Exchange};
use super::guard::{Guard, contained};
use super::lent::Held;
use super::message::Why;
use super::peer::{Call, Peer, Speaker};
use super::poller::{Readiness, read_ready};
use super::proxy::{self, Heard};
use super::slab::Stage;
use super::stream::Stream;
use super::{Base, Handler};
use crate::metrics::{Enlisted, Event};
use httpling_core::{CloseReason, Config, Connection, Progress, RequestHandler as _, Session};
use socket2::SockRef;
use std::net::Shutdown;
use std::time::Duration;

/// Octets of a response that leaves in one piece: 64 KiB of content and a head.
pub(super) const OUTPUT_BYTES: usize = 64 * 1024 + 4096;
/// Room behind the longest head, so that content that came with it needs no further read.
const INPUT_SLACK_BYTES: usize = 4096;
/// A head that has more than this is not copied each time that bytes come, but keeps a buffer of its own.
const COPIED_MAX: usize = 2048;

/// What a thread lends to the connections that it serves, one after the other. What is never used of its buffers is never
/// touched, and costs no memory.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    input: Vec<u8>,
    output: Vec<u8>,
    config: Config<'a>,
    pub(super) counts: Enlisted<'a>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(base: &'a Base) -> Self {
        let limits = base.settings.limits;
        // Positions in a head are below 2^30.
        let head = limits.request_line_bytes_max.saturating_add(limits.field_section_bytes_max).min(1 << 30);
        let (input, output) = (vec![0; head as usize + INPUT_SLACK_BYTES], vec![0; OUTPUT_BYTES]);
        Self { input, output, config: base.config(), counts: base.counters.enlist() }
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
    Thread(Why),
    /// Nothing: it is over.
    Gone,
}

/// What it was, to tell whether its deadline begins anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) stage: Stage,
    pub(super) now: u64,
}

/// A connection that is being served: what for, and with what.
#[derive(Debug)]
pub(super) struct Service<'a, 'b, H> {
    pub(super) peer: &'a mut Peer<H>,
    pub(super) call: Call,
    pub(super) before: Before,
    pub(super) tools: &'a mut Tools<'b>,
    pub(super) desk: &'a Desk<'a, H>,
}

impl<H: Handler> Service<'_, '_, H> {
    /// Does all that can be done now.
    #[inline(always)]
    pub(super) fn serve(mut self) -> Outcome {
        let held = Held::by(self.peer);
        let call = self.call;
        let mut outcome = match self.comes_first() {
            Some(outcome) => outcome,
            None => self.exchange(),
        };
        // The poller tells of room only when a good part of the socket's buffer is free, for which a slow client may need
        // longer than it is given. Whether it has taken anything at all is found out by trying.
        let took_nothing = matches!(outcome, Outcome::Rest { stage: Stage::Writing, moved: false });
        if call == Call::TimedOut && took_nothing {
            outcome = self.wait_on_or_cut();
        }
        let holds = if outcome == Outcome::Gone { Held::default() } else { Held::by(self.peer) };
        self.desk.reactor.lend(held, holds);
        outcome
    }

    /// As [`serve`](Self::serve), for who waits on a thread of his own.
    #[inline(never)] // Once is enough of what is woven in.
    pub(super) fn serve_apart(self) -> Outcome {
        self.serve()
    }

    /// What is to be done before its client is listened to. `None` when nothing is, any more.
    #[inline(always)]
    fn comes_first(&mut self) -> Option<Outcome> {
        if self.peer.speaker == Speaker::Nobody {
            return Some(self.end());
        }
        if self.call == Call::TimedOut {
            if self.is_in_turn() {
                self.call = Call::Ready;
            } else {
                self.count_time_out();
            }
        }
        match self.before.stage {
            Stage::Lingering if self.call == Call::Ready => return Some(self.linger()),
            Stage::Lingering => return Some(Outcome::Gone),
            Stage::Writing => return self.write(),
            // It has sent so much that it was the others' turn.
            _ if self.peer.connection.is_sending() => return self.write(),
            _ => {}
        }
        if self.peer.speaker == Speaker::Proxy
            && let Some(outcome) = self.hear_proxy()
        {
            return Some(outcome);
        }
        if self.peer.handler.is_none() {
            let (reactor, address) = (self.desk.reactor, self.peer.address);
            self.peer.handler = contained(reactor, address, || (reactor.factory)(address)).flatten();
        }
        None
    }

    /// Is it in the middle of what it does, and waits for its turn alone? The deadline was that of what it did before.
    fn is_in_turn(&self) -> bool {
        let has_more = self.peer.connection.is_sending() || self.peer.readiness.has(Readiness::READ);
        has_more && self.before.stage != Stage::Writing
    }

    /// Learns who the client is. `None` when that is known, and it has said something too.
    fn hear_proxy(&mut self) -> Option<Outcome> {
        if self.call == Call::Close {
            // What has just arrived counts.
            self.peer.readiness.add(Readiness::READ);
        }
        let heard = match self.call {
            Call::TimedOut => Heard::End,
            _ => proxy::hear(self.peer, &mut self.tools.input, self.desk.tally),
        };
        let begun = !self.peer.pending.is_empty();
        let complaint = match heard {
            Heard::Header if begun || self.peer.readiness.has(Readiness::READ) => return None,
            Heard::Header if self.call == Call::Ready => {
                return Some(Outcome::Rest { stage: Stage::New, moved: true });
            }
            Heard::Part if self.peer.readiness.has(Readiness::READ) => return Some(Outcome::Again),
            Heard::Part if begun => {
                // What may take so long is the head with what stands before it.
                return Some(Outcome::Rest { stage: Stage::Head, moved: self.before.stage != Stage::Head });
            }
            Heard::Part if self.call == Call::Ready => {
                return Some(Outcome::Rest { stage: Stage::New, moved: false });
            }
            Heard::Malformed => {
                self.desk.reactor.counters.count(Event::Refused);
                "PROXY header expected, and something else received"
            }
            Heard::End if begun => "PROXY header incomplete",
            _ => return Some(Outcome::Gone),
        };
        if let Some(log) = &self.desk.reactor.log {
            log.message(self.peer.address, complaint);
        }
        Some(Outcome::Gone)
    }

    /// Reads, and answers what has arrived whole.
    #[inline(always)]
    fn exchange(&mut self) -> Outcome {
        let (peer, tools) = (&mut *self.peer, &mut *self.tools);
        let Some(handler) = &mut peer.handler else { return Outcome::Gone };
        let requests = peer.connection.requests();
        let mut pending = std::mem::take(&mut peer.pending);
        let (arrived, held) = (pending.len(), pending.capacity());
        let most = tools.input.len();
        let is_copied = arrived <= COPIED_MAX;
        let input = if is_copied {
            if arrived > 0 {
                octets_into(&mut tools.input, &pending);
            }
            &mut *tools.input
        } else {
            let room = arrived.max(super::AWAITED_BYTES_MAX as usize);
            pending.resize((arrived + room).min(most).max(arrived), 0);
            &mut *pending
        };
        let mut exchange = Exchange {
            full: if input.len() < most { input.len() } else { usize::MAX },
            session: Session::resume(peer.connection, (input, arrived), &mut tools.output, &tools.config)
                .with_peer(peer.address.as_ref()),
            stream: Stream::new(&peer.socket, &mut peer.unsent, &mut peer.file, self.desk),
            guard: Guard::new(handler, self.desk, peer.refused),
            socket: &peer.socket,
            readiness: &mut peer.readiness,
            ended: &mut peer.ended,
            arrived,
            held,
        };
        let end = exchange.run(self.call, self.desk);

        let Exchange { ref session, ref stream, arrived, .. } = exchange;
        peer.connection = session.connection();
        let connection = &peer.connection;
        let sending = Sending { sent: stream.sent, is_full: stream.full, is_left: stream.has_unsent() };
        let left = session.pending();
        if !is_copied && arrived > 0 && left.len() == arrived {
            // Not copied: where it began, it still is.
            pending.truncate(arrived);
            peer.pending = pending;
        } else if !left.is_empty() {
            peer.pending = keep(left, if matches!(end, End::Thread(_)) { INPUT_SLACK_BYTES } else { 0 });
        }
        if !connection.is_sending() {
            peer.file = None;
        }
        let progress = match end {
            End::Grow => return Outcome::Again,
            End::Thread(why) => return Outcome::Thread(why),
            End::Progress(progress) => progress,
        };
        peer.refused = false;
        // What a handler left that gave its client up is not sent.
        let is_given_up = matches!(progress, Progress::Close(CloseReason::Transport(_)));
        if (sending.is_left && !is_given_up) || progress == Progress::NeedRoom {
            return self.wait_for_room(sending);
        }
        peer.written = 0;
        if let Progress::Close(reason) = progress {
            return self.close(reason);
        }
        if peer.readiness.has(Readiness::READ) {
            return Outcome::Again;
        }
        let stage = stage(connection);
        let begins = connection.requests() != requests || stage != self.before.stage;
        if begins && stage == Stage::Content {
            peer.since = self.desk.reactor.now_or_later();
        }
        Outcome::Rest { stage, moved: begins || stage == Stage::Content }
    }

    /// There is something to send, and no room for it, or not its turn.
    fn wait_for_room(&mut self, sending: Sending) -> Outcome {
        self.peer.written += sending.sent as u64;
        if !sending.is_full {
            return Outcome::Again;
        }
        let begins = self.before.stage != Stage::Writing;
        if begins {
            // What the system has taken so far, its client may never take.
            self.peer.written = 0;
            self.peer.since = self.desk.reactor.now_or_later();
        }
        Outcome::Rest { stage: Stage::Writing, moved: sending.sent > 0 || begins }
    }

    /// Goes on with a response that waited for room. `None` when what was said is sent.
    fn write(&mut self) -> Option<Outcome> {
        if self.desk.rates().write_patience(self.peer.written, self.without_room()).is_none() {
            return Some(self.cut());
        }
        self.call = Call::Ready;
        self.send_unsent()
    }

    /// Its client has taken nothing since it was looked at last: that may have been a moment ago.
    fn wait_on_or_cut(&mut self) -> Outcome {
        if self.without_room() < self.desk.rates().write {
            return Outcome::Rest { stage: Stage::Writing, moved: true };
        }
        self.cut()
    }

    /// For how long it has waited for room.
    fn without_room(&self) -> Duration {
        Duration::from_millis(self.before.now.saturating_sub(self.peer.since))
    }

    /// Ends a connection whose client takes its response too slowly.
    fn cut(&mut self) -> Outcome {
        self.desk.reactor.counters.count(Event::WriteTimeOut);
        self.reset();
        self.end()
    }

    /// Sends what is left of what was said. `None` when nothing is left.
    fn send_unsent(&mut self) -> Option<Outcome> {
        let peer = &mut *self.peer;
        if peer.unsent.is_empty() {
            return None;
        }
        let mut stream = Stream::new(&peer.socket, &mut peer.unsent, &mut peer.file, self.desk);
        let result = stream.send_unsent();
        let sent = stream.sent;
        peer.written += sent as u64;
        match result {
            Ok(true) => None,
            Ok(false) => Some(Outcome::Rest { stage: Stage::Writing, moved: sent > 0 }),
            Err(_) => Some(self.end()),
        }
    }

    fn count_time_out(&self) {
        let event = match self.before.stage {
            Stage::New => Event::FirstByteTimeOut,
            Stage::Idle => Event::IdleTimeOut,
            Stage::Head => Event::HeadTimeOut,
            Stage::Content => Event::ContentTimeOut,
            // Whether it has taken nothing is found out by trying; or its client was told already.
            Stage::Writing | Stage::Draining | Stage::Lingering => return,
        };
        self.desk.reactor.counters.count(event);
    }

    /// All is said: ends the connection as its reason asks for.
    fn close(&mut self, reason: CloseReason) -> Outcome {
        if let CloseReason::Refused(_) = reason {
            self.desk.reactor.counters.count(Event::Refused);
        }
        let outcome = self.end();
        let has_pending = !std::mem::take(&mut self.peer.pending).is_empty();
        let has_more = has_pending || self.peer.readiness.has(Readiness::READ);
        match reason {
            // Nothing comes, and nothing has come all the same: the kernel sends what is on its way, and then the end.
            CloseReason::Announced if !has_more => outcome,
            // The client may still be sending, and input that nobody reads makes the kernel reset the connection, which can
            // destroy the response on its way (spec 33): so what comes is dropped for a moment.
            CloseReason::Finished | CloseReason::Announced | CloseReason::Refused(_) if !self.peer.ended => {
                if self.peer.socket.shutdown(Shutdown::Write).is_err() {
                    return outcome;
                }
                match self.linger() {
                    Outcome::Rest { .. } => Outcome::Rest { stage: Stage::Lingering, moved: true },
                    outcome => outcome,
                }
            }
            // The transport fails by a time-out, too: to the client its end would look like any other.
            CloseReason::Broken(_) | CloseReason::Transport(_) => {
                self.reset();
                outcome
            }
            _ => outcome,
        }
    }

    /// The client sees that what it has is not whole.
    fn reset(&self) {
        _ = SockRef::from(&*self.peer.socket).set_linger(Some(Duration::ZERO));
    }

    /// Tells the handler, once.
    fn end(&mut self) -> Outcome {
        let is_told = std::mem::replace(&mut self.peer.finished, true);
        if let (false, Some(handler)) = (is_told, &mut self.peer.handler) {
            Guard::new(handler, self.desk, false).finish();
        }
        Outcome::Gone
    }

    /// Drops what the client still sends.
    fn linger(&mut self) -> Outcome {
        let (peer, dropped) = (&mut *self.peer, &mut self.tools.input);
        let most = self.desk.reactor.settings.limits.drain_bytes_max;
        while peer.readiness.has(Readiness::READ) {
            match read_ready(&peer.socket, dropped, &mut peer.readiness) {
                Ok(Some(0)) | Err(_) => return Outcome::Gone,
                Ok(Some(count)) => {
                    peer.dropped = peer.dropped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                    // More, and the client does not listen.
                    if peer.dropped > most {
                        return Outcome::Gone;
                    }
                }
                Ok(None) => {}
            }
        }
        Outcome::Rest { stage: Stage::Lingering, moved: false }
    }
}

/// What came of sending.
#[derive(Clone, Copy, Debug)]
struct Sending {
    sent: usize,
    is_full: bool,
    is_left: bool,
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

/// Exactly as much memory as is needed.
fn keep(pending: &[u8], slack: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    kept.reserve_exact(pending.len() + slack);
    kept.extend_from_slice(pending);
    kept
}
