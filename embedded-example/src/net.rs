//! Frames: between the board's card and smoltcp.
//!
//! smoltcp refuses a connection when no socket listens, at once and for good: it has no queue of those who wait. So a
//! frame that asks for a connection is kept here while nobody listens, until [`server`](crate::server) has made room
//! for it. If that takes too long it is dropped, and the client asks again a second later.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use crate::board::{Card, FRAME_BYTES};

/// One frame.
pub type Frame = [u8; FRAME_BYTES];

/// The longest frame that asks for a connection: the heads of Ethernet, IP and TCP, with all options that fit in them.
const ASKING_BYTES: usize = 14 + 60 + 60;

/// How long one who asks for a connection is kept waiting. A client that confirms late what it received does so within
/// 200 ms, and could not be sent away before.
const ASKING_MS: u64 = 500;

/// The card, and a frame each way.
pub struct Frames {
    card: Card,
    received: &'static mut Frame,
    sent: &'static mut Frame,
    /// One who asks for a connection, and came when no socket listened.
    asking: [u8; ASKING_BYTES],
    /// How long that frame is, and when it came.
    asked: Option<(usize, Instant)>,
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
            asking: [0; ASKING_BYTES],
            asked: None,
            listening: 0,
            #[cfg(feature = "lossy")]
            losses: Losses::default(),
        }
    }

    /// The card's hardware address.
    pub fn address(&self) -> [u8; 6] {
        self.card.address()
    }

    /// Does somebody wait for a socket that listens?
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Tells how many sockets listen.
    pub fn set_listening(&mut self, sockets: usize) {
        self.listening = sockets;
    }

    /// The next frame that smoltcp should see, by its length.
    fn next_frame(&mut self, now: Instant) -> Option<usize> {
        if let Some((length, since)) = self.asked {
            if self.listening > 0 {
                self.asked = None;
                self.listening -= 1;
                self.received.get_mut(..length)?.copy_from_slice(self.asking.get(..length)?);
                return Some(length);
            }
            if now - since > Duration::from_millis(ASKING_MS) {
                self.asked = None;
            }
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
            // One can wait. The others ask again.
            if self.asked.is_none()
                && let Some(asking) = self.asking.get_mut(..length)
            {
                asking.copy_from_slice(frame);
                self.asked = Some((length, now));
            }
        }
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

    fn receive(&mut self, now: Instant) -> Option<(Received<'_>, Transmission<'_>)> {
        let length = self.next_frame(now)?;
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
