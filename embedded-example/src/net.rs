//! Frames: between the board's card and smoltcp.
//!
//! smoltcp refuses a connection when no socket listens, at once and for good: it has no queue of those who wait. So a
//! frame that asks for a connection is held back here while nobody listens, until [`server`](crate::server)
//! has made room for it. If it cannot, the frame is dropped, and the client asks again a second later.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use crate::board::{Card, FRAME_BYTES};

/// One frame.
pub type Frame = [u8; FRAME_BYTES];

/// The card, and a frame each way.
pub struct Frames {
    card: Card,
    received: &'static mut Frame,
    sent: &'static mut Frame,
    /// The length of a request for a connection that waits in `received`.
    held: Option<usize>,
    listening: bool,
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
            held: None,
            listening: false,
            #[cfg(feature = "lossy")]
            losses: Losses::default(),
        }
    }

    /// The card's hardware address.
    pub fn address(&self) -> [u8; 6] {
        self.card.address()
    }

    /// Does somebody wait for a socket that listens?
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Sends the one who waits away. They will ask again.
    pub fn drop_held(&mut self) {
        self.held = None;
    }

    /// Tells whether a socket listens.
    pub fn set_listening(&mut self, listening: bool) {
        self.listening = listening;
    }

    /// The next frame that smoltcp should see, by its length.
    fn next_frame(&mut self) -> Option<usize> {
        if self.held.is_some() && !self.listening {
            return None;
        }
        let length = match self.held.take() {
            Some(length) => length,
            None => self.frame_from_card()?,
        };
        if self.received.get(..length).is_some_and(asks_for_connection) {
            if !self.listening {
                self.held = Some(length);
                return None;
            }
            // It takes the socket that listens. There may be another, but the next one who asks waits until we know.
            self.listening = false;
        }
        Some(length)
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
