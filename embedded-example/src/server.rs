//! Whose turn is it? One loop over all sockets, asleep when there is nothing to do.
//!
//! ```text
//!            SYN, ACK             first byte              complete
//!   Vacant ───────────► Silent ──────────────► Receiving ──────────► (application) ──► Sending
//!     ▲                    │                     │    ▲                   │              │
//!     │                    │       first byte of │    │                   ▼              │
//!     │   too slow,        │         the next one│    └────────────── Idle ◄─────────────┘
//!     └── somebody else ◄──┴─────────────────────┘                      │
//!         waits, or done: Leaving ◄─────────────────────────────────────┘
//! ```
//!
//! An application is called when there are bytes, room or news for it, and otherwise costs nothing. It runs to completion.
//! When it waits, in [`Stream`], the network goes on, and the other connections have their turns above its own, on the same
//! stack: so one below goes on when all above are over, and does not wait for them for long.
//!
//! Nobody is locked out: when all sockets are taken and another client asks, the one who has been idle longest has to go.

use core::cell::Cell;

use cortex_m::singleton;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

use crate::board::{self, Card, FRAME_BYTES, Moment, RECEIVE_BYTES, SEND_BYTES};
use crate::net::Frames;
use crate::stream::Stream;

/// Connections at the same time.
pub const CONNECTIONS: usize = 4;
/// The port that we listen on.
pub const PORT: u16 = 80;
/// QEMU's user network gives these without asking.
const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// What is served.
pub trait Application {
    /// What is kept for a connection between two of its turns. A new connection begins with the default.
    type Connection: Default;

    /// Goes on with a connection: bytes have come, or there is room for more, or its time is up. While it waits, it is called
    /// for others.
    fn advance(&self, connection: &mut Self::Connection, stream: &mut Stream<'_>) -> Progress;
}

/// How an application leaves a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Between two requests. It may be closed to make room.
    Idle,
    /// Something has begun, and the client has to send the rest.
    Receiving,
    /// What the client still has to send will be dropped.
    Draining,
    /// There is more to send. Call again when there is room for [`ROOM_BYTES`].
    Sending,
    /// All is said. Close it when all is sent.
    Close,
    /// What was said is not whole, and the client has to see that. Reset the connection.
    Abort,
}

/// When there are fewer places than this left for those who ask for a connection, it is a rush. Two browsers that open their six
/// connections each leave more.
const RUSH_PLACES: u32 = 8;

/// An application that has more to send is called again when there is so much room: for less, a segment of its own
/// would be wasted.
pub const ROOM_BYTES: usize = SEND_BYTES / 2;

/// Serves for ever.
pub fn serve<A: Application>(card: Card, application: A) -> ! {
    let Some(network) = Network::start(card) else { board::restart_after("network started twice") };
    let mut network = network;
    let server = Server { application, connections: Default::default() };
    board::log("listening on port 80 of ");
    board::log(board::NAME);
    board::log("\n");
    loop {
        // Afterwards the card is empty and all is sent that may be, so that only a turn can make new work. A frame that
        // came meanwhile ends the sleep at once.
        network.poll();
        if !server.give(&mut network) {
            board::sleep();
        }
    }
}

/// An application, and what it keeps for each connection.
struct Server<A: Application> {
    application: A,
    connections: [Cell<A::Connection>; CONNECTIONS],
}

/// Who gives turns.
pub(crate) trait Turns {
    /// A turn for each connection that has none and that there is something for. Says whether there was one.
    fn give(&self, network: &mut Network) -> bool;
}

impl<A: Application> Turns for Server<A> {
    fn give(&self, network: &mut Network) -> bool {
        let mut busy = false;
        for (index, place) in self.connections.iter().enumerate() {
            busy |= network.attend(index, self, |fresh, stream| {
                let mut connection = if fresh { A::Connection::default() } else { place.take() };
                let progress = self.application.advance(&mut connection, stream);
                place.set(connection);
                progress
            });
        }
        busy
    }
}

/// What a socket is doing, as far as the one who waits for it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It listens.
    Vacant,
    /// Somebody came, and has not confirmed it.
    Opening,
    /// Has, but has not said a word.
    Silent,
    Idle,
    Receiving,
    Draining,
    Sending,
    /// The application has the stream in its hands, and may wait for bytes.
    Reading,
    /// The same, and waits for room.
    Writing,
    /// All is said, and not all of it confirmed.
    Closing,
    /// We have said good-bye, and wait for theirs.
    Leaving,
}

impl Phase {
    /// How long a client may stay in a phase, counted from its beginning, in milliseconds.
    const fn limit_ms(self) -> u32 {
        match self {
            // Nobody waits; or `Stream` watches the time.
            Self::Vacant | Self::Reading | Self::Writing => u32::MAX,
            Self::Opening | Self::Silent | Self::Receiving | Self::Draining => 10_000,
            Self::Idle => 15_000,
            Self::Sending | Self::Closing => 30_000,
            Self::Leaving => 1_000,
        }
    }

    /// The same when somebody waits for the socket.
    const fn limit_when_pressed_ms(self) -> u32 {
        match self {
            Self::Vacant | Self::Reading | Self::Writing => u32::MAX,
            Self::Idle | Self::Leaving => 0,
            Self::Silent => 250,
            Self::Opening => 500,
            Self::Receiving | Self::Draining => 1_000,
            Self::Sending | Self::Closing => 2_000,
        }
    }

    /// Has a turn begun, and is not over?
    const fn is_in_turn(self) -> bool {
        matches!(self, Self::Reading | Self::Writing)
    }

    /// What a client loses with its connection.
    const fn loss(self) -> Loss {
        match self {
            Self::Leaving => Loss::Nothing,
            Self::Idle => Loss::Habit,
            Self::Opening | Self::Silent => Loss::Place,
            _ => Loss::Exchange,
        }
    }
}

/// From what hurts most to what may go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// It breaks off.
    Exchange,
    /// It has not begun with anything.
    Place,
    /// It has been told everything that it has asked for, and may ask again.
    Habit,
    /// We have said good-bye.
    Nothing,
}

/// How long a turn may take when somebody waits for its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// When nothing moves.
    pub(crate) least_ms: u32,
    /// However fast it is.
    pub(crate) most_ms: u32,
}

/// A socket, and who sits there.
struct Seat {
    handle: SocketHandle,
    phase: Phase,
    /// When it entered its phase.
    since: Moment,
    /// Nobody has told the application about this client yet.
    is_fresh: bool,
    /// How many bytes waited when the application last looked.
    seen: usize,
}

impl Seat {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Moment::now();
    }

    /// Is there anything that the application has not seen?
    fn has_news(&self, socket: &Socket<'_>) -> bool {
        match self.phase {
            Phase::Silent | Phase::Idle | Phase::Receiving | Phase::Draining => {
                socket.recv_queue() != self.seen || socket.state() == State::CloseWait
            }
            Phase::Sending => {
                socket.send_capacity() - socket.send_queue() >= ROOM_BYTES || !socket.may_send()
            }
            Phase::Reading => socket.recv_queue() > 0 || socket.state() != State::Established,
            Phase::Writing => socket.send_queue() < socket.send_capacity() || !socket.may_send(),
            Phase::Vacant | Phase::Opening | Phase::Closing | Phase::Leaving => false,
        }
    }
}

/// The network: everything that goes on while an application waits.
pub(crate) struct Network {
    interface: Interface,
    frames: Frames,
    sockets: SocketSet<'static>,
    seats: [Seat; CONNECTIONS],
    /// Milliseconds of turns that moved so much that nobody has to be slow for what they took.
    pub(crate) well_spent_ms: u32,
}

impl Network {
    /// `None` when called twice.
    #[allow(
        clippy::large_stack_arrays,
        reason = "they are static: `singleton` only looks as if it built them here"
    )]
    fn start(card: Card) -> Option<Self> {
        let received = singleton!(: [u8; FRAME_BYTES] = [0; FRAME_BYTES])?;
        let sent = singleton!(: [u8; FRAME_BYTES] = [0; FRAME_BYTES])?;
        let receive_buffers =
            singleton!(: [[u8; RECEIVE_BYTES]; CONNECTIONS] = [[0; RECEIVE_BYTES]; CONNECTIONS])?;
        let send_buffers = singleton!(: [[u8; SEND_BYTES]; CONNECTIONS] = [[0; SEND_BYTES]; CONNECTIONS])?;
        let storage =
            singleton!(: [SocketStorage<'static>; CONNECTIONS] = [SocketStorage::EMPTY; CONNECTIONS])?;

        let mut frames = Frames::new(card, received, sent);
        let mut config = Config::new(EthernetAddress(frames.address()).into());
        // Sequence numbers start from it. On a board with a source of randomness, ask that: who can guess the numbers
        // can speak for another.
        config.random_seed = 0x6874_7470_6c69_6e67;
        let mut interface = Interface::new(config, &mut frames, now());
        interface.update_ip_addrs(|addresses| {
            // There is room for one, and it is the first.
            let _ = addresses.push(IpCidr::new(ADDRESS.into(), 24));
        });
        let _ = interface.routes_mut().add_default_ipv4_route(GATEWAY);

        let mut sockets = SocketSet::new(storage.as_mut_slice());
        let mut buffers = receive_buffers.iter_mut().zip(send_buffers.iter_mut());
        let seats = core::array::from_fn(|_| {
            let (incoming, outgoing): (&mut [u8], &mut [u8]) = match buffers.next() {
                Some((incoming, outgoing)) => (incoming, outgoing),
                // There are as many as seats.
                None => Default::default(),
            };
            let mut socket = Socket::new(SocketBuffer::new(incoming), SocketBuffer::new(outgoing));
            // Responses are written whole, so there is nothing to wait for before sending.
            socket.set_nagle_enabled(false);
            Seat {
                handle: sockets.add(socket),
                phase: Phase::Vacant,
                since: Moment::now(),
                is_fresh: false,
                seen: 0,
            }
        });
        Some(Self { interface, frames, sockets, seats, well_spent_ms: 0 })
    }

    /// Moves all frames that wait, and keeps the seats. Says whether anything happened.
    pub(crate) fn poll(&mut self) -> bool {
        let changed = self.move_frames();
        if self.frames.queue().clients > 0 && (self.listening() > 0 || self.make_room()) {
            self.move_frames();
            return true;
        }
        changed
    }

    fn move_frames(&mut self) -> bool {
        self.frames.set_listening(self.listening());
        let result = self.interface.poll(now(), &mut self.frames, &mut self.sockets);
        for index in 0..CONNECTIONS {
            self.keep_seat(index);
        }
        result != PollResult::None
    }

    fn listening(&self) -> usize {
        self.seats.iter().filter(|seat| self.sockets.get::<Socket<'_>>(seat.handle).is_listening()).count()
    }

    /// Follows what the network did to a socket.
    fn keep_seat(&mut self, index: usize) {
        let Some(seat) = self.seats.get_mut(index) else { return };
        // Whoever sits there keeps the seat until the turn is over: another one would be taken for him.
        if seat.phase.is_in_turn() {
            return;
        }
        let socket = self.sockets.get_mut::<Socket<'_>>(seat.handle);
        match socket.state() {
            // In TIME-WAIT smoltcp would keep the socket for ten seconds, so that late segments find somebody. A
            // board with four of them cannot wait; a new connection has other sequence numbers.
            State::Closed | State::TimeWait => {
                // Refused only for port 0, or for a socket in use.
                let _ = socket.listen(PORT);
                seat.enter(Phase::Vacant);
            }
            State::Listen | State::SynSent => seat.phase = Phase::Vacant,
            State::SynReceived if seat.phase == Phase::Vacant => seat.enter(Phase::Opening),
            State::SynReceived => {}
            State::Established | State::CloseWait => {
                if matches!(seat.phase, Phase::Vacant | Phase::Opening) {
                    seat.enter(Phase::Silent);
                    seat.is_fresh = true;
                    seat.seen = 0;
                }
            }
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
                // What still comes is of no interest, but left in the buffer it would keep the end from coming.
                while socket.recv(|bytes| (bytes.len(), bytes.len())).is_ok_and(|length| length > 0) {}
                // A client that still sends would lose what it has not read to a reset.
                let phase = if socket.send_queue() > 0 { Phase::Closing } else { Phase::Leaving };
                if seat.phase != phase {
                    seat.enter(phase);
                }
            }
        }
        // The phases between are ended by the application, so that it can say why.
        if matches!(seat.phase, Phase::Closing | Phase::Leaving)
            && seat.since.elapsed_ms() > seat.phase.limit_ms()
        {
            socket.abort();
        }
    }

    /// Takes a socket from the client that deserves it least. Says whether there was one.
    fn make_room(&mut self) -> bool {
        let queue = self.frames.queue();
        let mut victim = None;
        let mut most = None;
        for seat in &mut self.seats {
            let socket = self.sockets.get::<Socket<'_>>(seat.handle);
            let phase = seat.phase;
            // In a rush, nobody is to be turned away for somebody silent: who has something to say says it with the
            // confirmation, or right behind it.
            let limit_ms = match queue.places() {
                places @ ..RUSH_PLACES if phase == Phase::Silent => places,
                _ => queue.share(phase.limit_when_pressed_ms()),
            };
            let overdue_ms = seat.since.elapsed_ms().checked_sub(limit_ms);
            let loss = phase.loss();
            // A reset overtakes what is still on its way, and the client would never read it. Who has said the first word while
            // another was served waits for us, and not we for them.
            let is_spared = phase.is_in_turn()
                || loss == Loss::Habit && socket.send_queue() > 0
                || loss != Loss::Exchange && seat.has_news(socket);
            let claim = overdue_ms.filter(|_| !is_spared).map(|overdue_ms| (loss, overdue_ms));
            if claim > most {
                most = claim;
                victim = Some(seat);
            }
        }
        let Some(seat) = victim else { return false };
        self.sockets.get_mut::<Socket<'_>>(seat.handle).abort();
        // The reset has to go out before the socket forgets whom it is for.
        self.interface.poll_egress(now(), &mut self.frames, &mut self.sockets);
        let _ = self.sockets.get_mut::<Socket<'_>>(seat.handle).listen(PORT);
        seat.enter(Phase::Vacant);
        true
    }

    /// Lets the application have a turn with a connection, if there is anything for it. Says whether there was.
    fn attend(
        &mut self,
        index: usize,
        turns: &dyn Turns,
        advance: impl FnOnce(bool, &mut Stream<'_>) -> Progress,
    ) -> bool {
        let Some(seat) = self.seats.get_mut(index) else { return false };
        let socket = self.sockets.get_mut::<Socket<'_>>(seat.handle);
        if seat.phase.is_in_turn() || matches!(seat.phase, Phase::Vacant | Phase::Closing | Phase::Leaving) {
            return false;
        }
        let has_news = seat.has_news(socket);
        let was_silent = matches!(seat.phase, Phase::Opening | Phase::Silent | Phase::Idle);
        // Who has spoken while another was served is in time, whenever we get round to listening.
        let is_late = seat.since.elapsed_ms() > seat.phase.limit_ms() && !(was_silent && has_news);
        if is_late && was_silent {
            socket.close();
            return true;
        }
        if !is_late && !has_news {
            return false;
        }

        let before = seat.phase;
        let fresh = core::mem::take(&mut seat.is_fresh);
        seat.phase = Phase::Reading;
        let mut stream = Stream::new(self, turns, index, is_late);
        let progress = advance(fresh, &mut stream);
        let moved = stream.close();

        let Some(seat) = self.seats.get_mut(index) else { return false };
        let socket = self.sockets.get_mut::<Socket<'_>>(seat.handle);
        // If it took something there may be more behind it: another request, for example.
        seat.seen = if moved.received > 0 { 0 } else { socket.recv_queue() };
        match progress {
            Progress::Idle if before == Phase::Idle && moved.is_nothing() => seat.phase = Phase::Idle,
            Progress::Idle => seat.enter(Phase::Idle),
            // From its first byte on, however it drips.
            Progress::Receiving if before == Phase::Receiving && moved.is_nothing() => seat.phase = before,
            Progress::Receiving => seat.enter(Phase::Receiving),
            Progress::Draining if before == Phase::Draining => seat.phase = before,
            Progress::Draining => seat.enter(Phase::Draining),
            Progress::Sending if before == Phase::Sending => {
                seat.phase = before;
                // Who takes little at a time has little time.
                seat.since = seat.since.later_by(Stream::earned_ms(moved.sent));
            }
            Progress::Sending => seat.enter(Phase::Sending),
            // `keep_seat` sees what has become of the socket.
            Progress::Close => {
                socket.close();
                seat.enter(Phase::Closing);
            }
            Progress::Abort => {
                socket.abort();
                seat.enter(Phase::Closing);
            }
        }
        true
    }

    /// The socket at a seat.
    pub(crate) fn socket(&mut self, index: usize) -> Option<&mut Socket<'static>> {
        let seat = self.seats.get(index)?;
        Some(self.sockets.get_mut::<Socket<'_>>(seat.handle))
    }

    /// The one at this seat waits in his turn, for bytes or for room.
    pub(crate) fn suspend(&mut self, index: usize, phase: Phase) {
        if let Some(seat) = self.seats.get_mut(index) {
            seat.phase = phase;
        }
    }

    /// How long the turn at this seat may take, if somebody waits for its end: another below it, or one who has asked for a
    /// connection for a while, and whom nobody else has made room for.
    pub(crate) fn patience(&self, index: usize) -> Option<Patience> {
        let is_below = |(other, seat): (usize, &Seat)| {
            other != index
                && seat.phase.is_in_turn()
                && seat.has_news(self.sockets.get::<Socket<'_>>(seat.handle))
        };
        let queue = self.frames.queue();
        let least_ms = queue.share(500);
        let is_asked = queue.clients > 0 && queue.longest_ms >= least_ms;
        if is_asked {
            Some(Patience { least_ms, most_ms: queue.share(2_000) })
        } else if self.seats.iter().enumerate().any(is_below) {
            Some(Patience { least_ms: 500, most_ms: 30_000 })
        } else {
            None
        }
    }
}

fn now() -> Instant {
    // The sign bit is reached after 292 million years.
    Instant::from_millis(board::uptime_ms().cast_signed())
}
