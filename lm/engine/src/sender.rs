//! [`Sender`]: datagrams onto a transmit queue, last fragment first.
//!
//! An application fills a [`SendBuffer`] and gives it to [`Sender::send`], or gives the sender a payload that
//! is sent from where it lies. Frames for which the queue has no space wait in the sender. `frames` makes the
//! frames of a send buffer, `message` makes those of a payload that lies elsewhere, and `stage` puts them
//! into the queue.

mod config;
mod error;
mod frames;
mod message;
mod refusal;
mod stage;

pub use self::config::{SenderConfig, SenderStats};
pub use self::error::{SenderError, Unsent, WouldBlock};
pub use self::message::COPIED;

use std::collections::VecDeque;

use lm_landing::SendPool;
use lm_landing::send::Grid;
use rte::mempool::Mempool;
use rte::port::TxQueue;
use rte::{Burst, Mbuf};

use self::refusal::Refusal;
use crate::buffer::SendBuffer;
use crate::message::Message;
use lm_proto::alf::{self, ChecksumMode, Ends};
use lm_proto::layout::{Geometry, HOLE, Layout};
use lm_proto::order::Order;
use lm_proto::stencil::Stencil;
use lm_proto::wire::{BROADCAST, Flow, HEADERS};

/// The most packets of one datagram. There are 119 fragments at MTU 576, and some more packets.
const STAGE: usize = 128;

/// The most mbufs of one datagram: two for each frame, and three more.
const MADE: usize = 2 * STAGE;

/// The most urgent frames that wait for room.
const URGENT: usize = 32;

/// The longest frame in bytes that is copied from a filled buffer into an mbuf. To point an mbuf to the
/// buffer would cost more. From 512 bytes on copying was no quicker (net_memif, AMD EPYC).
const INLINE: usize = 192;

/// Bytes in front of an mbuf's data: DPDK's headroom.
const HEADROOM: usize = 128;
/// The least room of an mbuf for headers: the headroom, and as many bytes for headers, padding and tag.
const HEADERS_ROOM: usize = 2 * HEADROOM;

/// Sends on one queue. `Send`, not `Sync`: it belongs to one lcore at a time.
pub struct Sender {
    tx: TxQueue,
    config: SenderConfig,
    pool: SendPool,
    headers: Mempool,
    id: u16,
    /// What the queue has not taken yet of the last datagram, in order. What does not fit here waits in
    /// `made`.
    staged: Box<Burst<STAGE>>,
    /// Frames that go after that and before anything else.
    urgent: VecDeque<Mbuf>,
    made: Vec<Mbuf>,
    /// Bytes of the longest frame of a message that is copied: an mbuf has room for it.
    copied: usize,
    /// The headers of the last datagram in one frame: the next one most often has the same ends.
    stencil: Stencil,
    /// With a bound: mbufs that may be taken until they are counted again, which is expensive.
    room: u32,
    stats: SenderStats,
    order: Order,
    refusal: Refusal,
}

impl Sender {
    /// A sender. `pool` has buffers of [`Geometry::buffer_len`](lm_proto::layout::Geometry::buffer_len)
    /// bytes; `headers` is a pool of its own whose mbufs have room for 128 bytes of headers, behind as many
    /// of headroom.
    ///
    /// # Errors
    /// [`SenderError`]: buffers or mbufs are too short.
    pub fn new(
        tx: TxQueue,
        config: SenderConfig,
        pool: SendPool,
        headers: Mempool,
    ) -> Result<Self, SenderError> {
        let (len, needed) = (pool.buffer_len(), config.geometry.buffer_len());
        if len < needed {
            return Err(SenderError::Buffers { len, needed });
        }
        let room = usize::from(headers.data_room());
        if room < HEADERS_ROOM {
            return Err(SenderError::Headers { room, needed: HEADERS_ROOM });
        }
        if config.checksum == ChecksumMode::Zero {
            log::warn!("UDP checksums are off: a kernel peer can't tell a wrong reassembly (RFC 4963)");
        }
        // Each start begins with another identification, because old fragments may still wait in a kernel.
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            tx,
            config,
            pool,
            headers,
            id: seed.subsec_micros() as u16,
            staged: Box::new(Burst::new()),
            urgent: VecDeque::with_capacity(URGENT),
            made: Vec::with_capacity(MADE),
            copied: COPIED.min(room - HEADROOM),
            stencil: Stencil::new(&Ends { src_mac: BROADCAST, dst_mac: BROADCAST, flow: Flow::default() }),
            room: 0,
            stats: SenderStats::default(),
            order: Order::default(),
            refusal: Refusal::default(),
        })
    }

    /// An empty buffer. `None`: all buffers are in flight.
    pub fn buffer(&mut self) -> Option<SendBuffer> {
        let mut slot = self.pool.take();
        if slot.is_none() {
            self.flush();
            // Some drivers free what they have sent only when its descriptor's turn comes again, a ring
            // later. Those that cannot be asked either need more buffers than descriptors.
            self.reclaim();
            slot = self.pool.take();
        }
        let slot = slot?;
        Some(SendBuffer::new(slot, self.config.geometry, self.config.checksum))
    }

    /// A buffer with a copy of a message's payload. It is sent with the checksum and digest of the message,
    /// as long as nothing else is written to the buffer. `None`: all buffers are in flight.
    pub fn buffer_of(&mut self, message: &Message) -> Option<SendBuffer> {
        let mut buffer = self.buffer()?;
        buffer.copy_message(message);
        Some(buffer)
    }

    /// Sends a filled buffer with one descriptor per fragment. Only a datagram in one frame of up to 192
    /// bytes is copied. The buffer returns to its pool when the device has sent it.
    ///
    /// # Errors
    /// [`WouldBlock`] with the buffer, if the queue hasn't taken all of the datagram before, or mbufs are
    /// short.
    pub fn send(&mut self, mut buffer: SendBuffer, ends: &Ends) -> Result<(), WouldBlock<SendBuffer>> {
        if !self.is_clear() {
            return Err(WouldBlock(buffer));
        }
        let id = self.next_id();
        let layout = buffer.seal(ends, id);
        let (geometry, len) = (buffer.blocks.geometry(), buffer.blocks.len());
        if let Some(frame) = buffer.slot.bytes().get(alf::frame(geometry, &layout, 0))
            && let Some(mut mbuf) = self.inline(&layout, INLINE)
        {
            if let Some(to) = mbuf.data_mut().filter(|to| to.len() == frame.len()) {
                to.copy_from_slice(frame);
                self.made.push(mbuf);
                self.stage(len);
            } else {
                self.give_up();
            }
            return Ok(());
        }
        let SendBuffer { slot, blocks, mode, service, carried } = buffer;
        let sent = match frames(geometry, &layout) {
            Some(frames) => slot.into_packets(&frames, &self.headers, &mut self.made),
            None => Err(slot),
        };
        if let Err(slot) = sent {
            self.stats.would_block += 1;
            return Err(WouldBlock(SendBuffer { slot, blocks, mode, service, carried }));
        }
        self.stage(len);
        Ok(())
    }

    /// Sends a copy of a payload that makes one frame of up to [`COPIED`] bytes: it is copied once, behind
    /// its headers, and summed on the way. Returns whether it was sent: it may be longer, or the queue may be
    /// full, or mbufs short.
    pub fn send_small(&mut self, payload: &[u8], ends: &Ends) -> bool {
        // A payload that is too long needs no look at the queue.
        if payload.len() >= self.config.geometry.stride() || !self.is_clear() {
            return false;
        }
        self.send_copied(payload, None, ends)
    }

    /// Sends a copy of a payload of one small frame before any datagram that is given to the sender later. It
    /// is for messages that must be sent even if datagrams keep the queue full, such as control messages. Up
    /// to 32 frames wait for space in the queue; call [`Sender::flush`] until none waits.
    ///
    /// # Errors
    /// [`WouldBlock`] if as many wait or mbufs are short; always if the frame is longer than 192 bytes, or
    /// than the mbufs of `headers`.
    pub fn send_urgent(&mut self, payload: &[u8], ends: &Ends) -> Result<(), WouldBlock<()>> {
        let frame = self.small(payload, None, ends, INLINE).ok_or(WouldBlock(()))?;
        self.send_frame_urgent(frame).map_err(|_| WouldBlock(()))?;
        self.stats.datagrams += 1;
        self.stats.bytes += payload.len() as u64;
        Ok(())
    }

    /// Sends one frame as it is, before any datagram that is given to the sender later, as
    /// [`Sender::send_urgent`] does.
    ///
    /// # Errors
    /// The frame, if 32 wait.
    pub fn send_frame_urgent(&mut self, frame: Mbuf) -> Result<(), Mbuf> {
        if self.urgent.len() >= URGENT {
            self.flush();
        }
        if self.urgent.len() >= URGENT {
            return Err(frame);
        }
        self.urgent.push_back(frame);
        self.flush();
        Ok(())
    }

    /// The number of urgent frames that still wait for space in the queue.
    pub fn urgent(&self) -> usize {
        self.urgent.len()
    }

    /// Sends one frame as it is.
    ///
    /// # Errors
    /// The frame, if the queue is full.
    pub fn send_frame(&mut self, frame: Mbuf) -> Result<(), Mbuf> {
        if self.is_clear() { self.send_frame_urgent(frame) } else { Err(frame) }
    }

    /// A frame of these bytes from the pool of headers; `None`: it is empty, or they don't fit.
    pub fn frame(&self, bytes: &[u8]) -> Option<Mbuf> {
        let mut mbuf = self.headers.alloc()?;
        mbuf.append(u16::try_from(bytes.len()).ok()?)?.copy_from_slice(bytes);
        Some(mbuf)
    }

    /// Sets the order in which fragments are sent from now on. The default is reverse order.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// The counters.
    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    /// The setup.
    pub fn config(&self) -> &SenderConfig {
        &self.config
    }

    /// The transmit queue.
    pub fn queue(&mut self) -> &mut TxQueue {
        &mut self.tx
    }

    /// The number of free buffers, and the number of all buffers.
    pub fn buffers(&self) -> (usize, usize) {
        (self.pool.available(), self.pool.size())
    }
}

/// Where the frames of a sealed datagram lie in its buffer.
fn frames(geometry: Geometry, layout: &Layout) -> Option<Grid> {
    let n = layout.fragments();
    let end = alf::frame(geometry, layout, n - 1).end;
    Grid::new(n, geometry.full_frame(), geometry.stride() + HOLE, [0, HOLE - HEADERS], end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_proto::wire::MAX_PAYLOAD;

    /// Of every length: the grid's parts are the frames.
    #[test]
    fn frames_lie_where_they_were_sealed() {
        for mtu in [576, 1500, 9216] {
            let geometry = Geometry::new(mtu).expect("valid");
            for len in 0..=MAX_PAYLOAD {
                let layout = Layout::new(geometry, len).expect("fits");
                let grid = frames(geometry, &layout).expect("valid");
                let of_grid = grid.ranges();
                let sealed = (0..layout.fragments()).map(|i| alf::frame(geometry, &layout, i));
                assert!(of_grid.eq(sealed), "{len} bytes, MTU {mtu}: {grid:?}");
            }
        }
    }
}
