//! Frames: between the board's card and smoltcp.
//!
//! smoltcp refuses a connection when no socket listens, at once and for good: it has no queue of those who wait. So
//! frames that ask for a connection are kept here while nobody listens, until [`server`](crate::server) has made room
//! for them. One that waits for too long is dropped, and its client asks again some seconds later.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use crate::board::{Card, FRAME_BYTES, Moment};

/// One frame.
pub type Frame = [u8; FRAME_BYTES];

/// How many can wait for a connection.
const ASKING: u32 = 16;

/// How long one who asks for a connection is kept waiting: until the slowest of those who have one could be sent away.
const ASKING_MS: u32 = 2_500;

/// One who asks for a connection, and came when no socket listened.
#[derive(Clone, Copy)]
struct Asking {
    /// The heads of Ethernet, IP without options, which nobody sends, and TCP with all that fit in it.
    frame: [u8; 14 + 20 + 60],
    /// Nothing where nobody asks.
    length: usize,
    since: Moment,
}

impl Asking {
    /// Who asks whom, and the number that the answer has to confirm: two frames of one client have the same.
    fn who(frame: &[u8]) -> Option<&[u8]> {
        frame.get(26..42)
    }
}

/// Those who ask for a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Queue {
    /// How many they are.
    pub clients: u32,
    /// How long the one who came first has been waiting.
    pub longest_ms: u32,
}

impl Queue {
    /// For how many more there is place.
    pub fn places(self) -> u32 {
        ASKING.saturating_sub(self.clients)
    }

    /// What somebody may take of a time, when so many wait for the end of it.
    pub fn share(self, milliseconds: u32) -> u32 {
        milliseconds / self.clients.max(1)
    }
}

/// The card, and a frame each way.
pub struct Frames {
    card: Card,
    received: &'static mut Frame,
    sent: &'static mut Frame,
    asking: [Asking; ASKING as usize],
    /// Sockets that listen, less those that a frame has gone to since we were told.
    listening: usize,
    #[cfg(feature = "lossy")]
    losses: Losses,
}

impl Frames {
    /// The card with its two buffers.
    pub fn new(card: Card, received: &'static mut Frame, sent: &'static mut Frame) -> Self {
        Self {
            card,
            received,
            sent,
            asking: [Asking { frame: [0; _], length: 0, since: Moment::now() }; _],
            listening: 0,
            #[cfg(feature = "lossy")]
            losses: Losses::default(),
        }
    }

    /// The card's hardware address.
    pub fn address(&self) -> [u8; 6] {
        self.card.address()
    }

    /// Who waits for a socket that listens.
    pub fn queue(&self) -> Queue {
        let waits_ms =
            self.asking.iter().filter(|asking| asking.length > 0).map(|asking| asking.since.elapsed_ms());
        waits_ms.fold(Queue::default(), |queue, waits_ms| Queue {
            clients: queue.clients + 1,
            longest_ms: queue.longest_ms.max(waits_ms),
        })
    }

    /// Tells how many sockets listen.
    pub fn set_listening(&mut self, sockets: usize) {
        self.listening = sockets;
    }

    /// The next frame that smoltcp should see, by its length.
    fn next_frame(&mut self) -> Option<usize> {
        if self.listening > 0
            && let Some(asking) = self
                .asking
                .iter_mut()
                .filter(|asking| asking.length > 0)
                .max_by_key(|asking| asking.since.elapsed_ms())
        {
            let length = core::mem::take(&mut asking.length);
            self.listening -= 1;
            self.received.get_mut(..length)?.copy_from_slice(asking.frame.get(..length)?);
            return Some(length);
        }
        loop {
            let length = self.frame_from_card()?;
            let frame = self.received.get(..length)?;
            if !asks_for_connection(frame) {
                return Some(length);
            }
            if self.listening > 0 {
                self.listening -= 1;
                return Some(length);
            }
            if self.keep(length) {
                // Before the next frame, there may be room for this one.
                return None;
            }
        }
    }

    /// Keeps a frame that asks for a connection, if there is room for one more. Says whether it did.
    fn keep(&mut self, length: usize) -> bool {
        let Some(frame) = self.received.get(..length) else { return false };
        let mut vacant = None;
        for asking in &mut self.asking {
            if asking.since.elapsed_ms() > ASKING_MS {
                asking.length = 0;
            }
            if asking.length == 0 {
                vacant = Some(asking);
            } else if Asking::who(&asking.frame) == Asking::who(frame) {
                return false;
            }
        }
        let Some(asking) = vacant else { return false };
        let Some(place) = asking.frame.get_mut(..length) else { return false };
        place.copy_from_slice(frame);
        asking.length = length;
        asking.since = Moment::now();
        true
    }

    fn frame_from_card(&mut self) -> Option<usize> {
        loop {
            let length = self.card.receive(self.received)?;
            #[cfg(feature = "lossy")]
            if self.losses.is_next_lost() {
                continue;
            }
            // A frame that is too long for our buffer has no bytes here.
            if length > 0 {
                return Some(length);
            }
        }
    }
}

/// Is this the first segment of a new connection: SYN, and no ACK?
fn asks_for_connection(frame: &[u8]) -> bool {
    let segment = || {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        Some(segment.syn() && !segment.ack())
    };
    segment().unwrap_or(false)
}

impl Device for Frames {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmission<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Transmission<'_>)> {
        let length = self.next_frame()?;
        let frame = self.received.get(..length)?;
        let transmission = Transmission {
            card: &mut self.card,
            frame: self.sent,
            #[cfg(feature = "lossy")]
            losses: &mut self.losses,
        };
        Some((Received { frame }, transmission))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmission<'_>> {
        Some(Transmission {
            card: &mut self.card,
            frame: self.sent,
            #[cfg(feature = "lossy")]
            losses: &mut self.losses,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        // We send a frame before we build the next one.
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// A frame that has come.
pub struct Received<'a> {
    frame: &'a [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.frame)
    }
}

/// The right to send one frame.
pub struct Transmission<'a> {
    card: &'a mut Card,
    frame: &'a mut Frame,
    #[cfg(feature = "lossy")]
    losses: &'a mut Losses,
}

impl TxToken for Transmission<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        // smoltcp keeps to the transmission unit that it was told, which is the length of our buffer.
        let frame = self.frame.get_mut(..length).unwrap_or_default();
        let result = fill(frame);
        #[cfg(feature = "lossy")]
        if self.losses.is_next_lost() {
            return result;
        }
        self.card.transmit(frame);
        result
    }
}

/// Which frames get lost on their way, in tests.
#[cfg(feature = "lossy")]
#[derive(Default)]
struct Losses {
    passed: u8,
}

#[cfg(feature = "lossy")]
impl Losses {
    /// Every tenth, whichever way it goes.
    fn is_next_lost(&mut self) -> bool {
        self.passed = (self.passed + 1) % 10;
        self.passed == 0
    }
}
