//! [`Sender`]: datagrams onto a transmit queue, last fragment first.

use std::collections::VecDeque;
use std::fmt;

use lm_landing::send::show;
use lm_landing::{Payload, SendPool};
use rte::mempool::Mempool;
use rte::port::TxQueue;
use rte::{Burst, Mbuf};

use crate::buffer::SendBuffer;
use crate::message::Message;
use lm_proto::alf::{self, ChecksumMode, Ends, Seal};
use lm_proto::checksum::{self, Digest};
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{HEADERS, MAX_PAYLOAD, UDP};

/// How a sender is set up.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// Whether UDP checksums are computed. Without one a kernel can't tell a wrong reassembly (RFC 4963).
    pub checksum: ChecksumMode,
    /// mbufs in flight at most, for devices that must not be filled to the brim; counted in `headers`.
    pub in_flight: Option<u32>,
}

/// What a sender counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Datagrams given to the queue.
    pub datagrams: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// Frames that the queue took.
    pub frames: u64,
    /// Datagrams so small that they were copied behind their headers.
    pub inlined: u64,
    /// Times that it was full.
    pub would_block: u64,
    /// Datagrams that were given up because a frame would not have had the length that its headers say: a defect, logged.
    pub malformed: u64,
}

/// There can be no sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderError {
    /// A buffer of the pool is too short for a datagram.
    Buffers {
        /// Bytes of one.
        len: usize,
        /// Bytes that it must have: [`Geometry::buffer_len`].
        needed: usize,
    },
    /// An mbuf for headers has too little room.
    Headers {
        /// Bytes of room, headroom included.
        room: usize,
        /// Bytes that it must have.
        needed: usize,
    },
}

impl fmt::Display for SenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers { len, needed } => {
                write!(
                    f,
                    "send buffers of {len} bytes are too short: make them {needed} or more for this MTU"
                )
            }
            Self::Headers { room, needed } => {
                write!(
                    f,
                    "mbufs with {room} bytes of room are too short for headers: make it {needed} or more"
                )
            }
        }
    }
}

impl std::error::Error for SenderError {}

/// The queue is full, or mbufs are short: what was to be sent comes back. Call [`Sender::flush`] and try again.
pub struct WouldBlock<T>(pub T);

impl<T> fmt::Debug for WouldBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WouldBlock")
    }
}

impl<T> fmt::Display for WouldBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transmit queue is full: flush the sender and send again")
    }
}

impl<T> std::error::Error for WouldBlock<T> {}

/// Packets of one datagram at most: 119 fragments at MTU 576, and then some.
const STAGE: usize = 128;

/// Urgent frames that wait for room at most.
const URGENT: usize = 32;

/// Bytes of a frame that is copied as a whole into the mbuf that has its headers: showing the payload's memory would cost
/// more.
const INLINE: usize = 192;

/// Room that an mbuf for headers has at least: DPDK's headroom, and as many bytes for headers, padding and tag.
const HEADERS_ROOM: usize = 256;

/// Sends on one queue. `Send`, not `Sync`: it belongs to one lcore at a time.
pub struct Sender {
    tx: TxQueue,
    config: SenderConfig,
    pool: SendPool,
    headers: Mempool,
    id: u16,
    /// What the queue did not take yet of the last datagram, in order; what does not fit waits in `made`.
    staged: Box<Burst<STAGE>>,
    /// What goes behind that, and before anything else.
    urgent: VecDeque<Mbuf>,
    made: Vec<Mbuf>,
    /// With a bound: mbufs that may be taken until they are counted again, which is expensive.
    room: u32,
    stats: SenderStats,
}

impl Sender {
    /// A sender. `pool` has buffers of [`Geometry::buffer_len`] bytes; `headers` is a pool of its own whose mbufs
    /// have room for 128 bytes of headers, behind as many of headroom.
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
        // Not the same identification after each start: fragments of before may still wait in a kernel.
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            tx,
            config,
            pool,
            headers,
            id: seed.subsec_micros() as u16,
            staged: Box::new(Burst::new()),
            urgent: VecDeque::with_capacity(URGENT),
            made: Vec::with_capacity(STAGE),
            room: 0,
            stats: SenderStats::default(),
        })
    }

    /// An empty buffer; `None`: all are in flight.
    pub fn buffer(&mut self) -> Option<SendBuffer> {
        let mut slot = self.pool.take();
        if slot.is_none() {
            self.flush();
            // Some drivers free what they have sent only when its descriptor's turn comes again, a ring later.
            // Those that cannot be asked either need more buffers than descriptors.
            self.reclaim();
            slot = self.pool.take();
        }
        let slot = slot?;
        Some(SendBuffer::new(slot, self.config.geometry, self.config.checksum))
    }

    /// Sends a filled buffer: one descriptor a fragment, no copy but of frames of up to 192 bytes. The buffer comes back to its pool when the device
    /// is done with it.
    ///
    /// # Errors
    /// [`WouldBlock`] with the buffer, if the queue hasn't taken all of the datagram before, or mbufs are short.
    pub fn send(&mut self, mut buffer: SendBuffer, ends: &Ends) -> Result<(), WouldBlock<SendBuffer>> {
        if !self.is_clear() {
            return Err(WouldBlock(buffer));
        }
        let id = self.next_id();
        let layout = buffer.blocks.seal(buffer.slot.bytes_mut(), ends, id, buffer.mode);
        let geometry = buffer.blocks.geometry();
        let SendBuffer { slot, blocks, mode } = buffer;
        let n = layout.fragments();
        if let Some(frame) = slot.bytes().get(alf::frame(geometry, &layout, 0))
            && let Some(mut mbuf) = self.inline(&layout)
        {
            if let Some(to) = mbuf.data_mut().filter(|to| to.len() == frame.len()) {
                to.copy_from_slice(frame);
                self.made.push(mbuf);
                self.stage(blocks.len());
            } else {
                self.give_up();
            }
            return Ok(());
        }
        let frames = (0..n).map(|i| alf::frame(geometry, &layout, n - 1 - i));
        if let Err(slot) = slot.into_packets(frames, &self.headers, &mut self.made) {
            self.stats.would_block += 1;
            return Err(WouldBlock(SendBuffer { slot, blocks, mode }));
        }
        self.stage(blocks.len());
        Ok(())
    }

    /// Sends a message's payload from where it lies: a segment of headers in front of each piece, no copy but of frames of
    /// up to 192 bytes. Its
    /// memory goes back when the device is done with it.
    ///
    /// # Errors
    /// [`WouldBlock`] with the message, as for [`Sender::send`], or if a piece of it is not contiguous for devices.
    pub fn send_message(&mut self, message: Message, ends: &Ends) -> Result<(), WouldBlock<Message>> {
        let (whole, payload) = message.into_parts();
        self.send_payload(payload, ends).map_err(|WouldBlock(p)| WouldBlock(Message::new(whole, p)))
    }

    /// The same for any payload in DPDK's memory.
    ///
    /// # Errors
    /// As for [`Sender::send_message`]; always if it is longer than any datagram's.
    pub fn send_payload(&mut self, payload: Payload, ends: &Ends) -> Result<(), WouldBlock<Payload>> {
        if payload.bytes().len() > MAX_PAYLOAD || !self.is_clear() {
            return Err(WouldBlock(payload));
        }
        let (geometry, len) = (self.config.geometry, payload.bytes().len());
        if let Some(frame) = self.small(payload.bytes(), ends) {
            self.made.push(frame);
            self.stage(len);
            return Ok(());
        }
        let layout = Layout::of_udp(geometry, len + UDP);
        // Where piece `i` lies in the payload.
        let place = |i: usize| {
            let (piece, start) = (layout.piece(i), i * geometry.stride());
            // A fragment of padding and tag has none, beyond the payload's end.
            let from = (start + piece.start - UDP).min(len);
            from..(from + piece.len()).min(len)
        };
        let seal = self.seal(layout, ends, (0..layout.fragments()).map(|i| &payload.bytes()[place(i)]));
        let filled = (0..layout.fragments()).rev().filter(|&i| !layout.piece(i).is_empty());
        let parts: Vec<_> = filled.clone().map(place).collect();
        let Some(mut heads) = self.heads(&seal) else {
            self.stats.would_block += 1;
            return Err(WouldBlock(payload));
        };
        // An empty payload is all headers.
        if !parts.is_empty()
            && let Err(payload) = show(payload, parts, &self.headers, &mut self.made)
        {
            self.stats.would_block += 1;
            return Err(WouldBlock(payload));
        }
        let n = layout.fragments();
        let mut whole = true;
        for (i, part) in filled.zip(self.made.drain(..)) {
            let (head, tail) = &mut heads[n - 1 - i];
            // Chains of three are far below the limits of a chain.
            let chained = head.chain(part).and_then(|()| tail.take().map_or(Ok(()), |t| head.chain(t)));
            whole &= chained.is_ok();
        }
        self.made.extend(heads.into_iter().map(|(head, _)| head));
        let said = (0..n).rev().map(|i| HEADERS + layout.fragment_len(i));
        if whole && self.made.iter().map(|mbuf| mbuf.pkt_len() as usize).eq(said) {
            self.stage(len);
        } else {
            self.give_up();
        }
        Ok(())
    }

    /// Sends a payload of one small frame, copied, before any datagram that is given to the sender later: what must not be lost
    /// to a queue that others keep full, such as control messages. Up to 32 wait for room; call [`Sender::flush`] until none
    /// does.
    ///
    /// # Errors
    /// [`WouldBlock`] if as many wait or mbufs are short; always if the frame is longer than 192 bytes, or than the mbufs of `headers`.
    pub fn send_urgent(&mut self, payload: &[u8], ends: &Ends) -> Result<(), WouldBlock<()>> {
        let frame = self.small(payload, ends).ok_or(WouldBlock(()))?;
        self.send_frame_urgent(frame).map_err(|_| WouldBlock(()))?;
        self.stats.datagrams += 1;
        self.stats.bytes += payload.len() as u64;
        Ok(())
    }

    /// Sends one frame as it is, before any datagram that is given to the sender later, as [`Sender::send_urgent`] does.
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

    /// Frames that go before datagrams, and still wait for room.
    pub fn urgent(&self) -> usize {
        self.urgent.len()
    }

    /// The headers of a datagram whose pieces these are.
    fn seal<'a>(&mut self, layout: Layout, ends: &Ends, pieces: impl Iterator<Item = &'a [u8]>) -> Seal {
        let digest = (self.config.checksum == ChecksumMode::Full).then(|| {
            let mut digest = Digest::new();
            pieces.for_each(|piece| digest.push(checksum::piece(piece)));
            digest
        });
        let id = self.next_id();
        Seal::new(self.config.geometry, layout, ends, id, digest.as_ref())
    }

    /// A datagram of one small frame as one mbuf, its payload copied behind the headers; `None`: it is larger, or there is no
    /// mbuf for it.
    fn small(&mut self, payload: &[u8], ends: &Ends) -> Option<Mbuf> {
        // Of any length, that of an urgent one: beyond a datagram's there is no layout.
        if payload.len() > INLINE {
            return None;
        }
        let layout = Layout::of_udp(self.config.geometry, payload.len() + UDP);
        let mut frame = self.inline(&layout)?;
        let seal = self.seal(layout, ends, std::iter::once(payload));
        let (to, at) = (frame.data_mut()?, HEADERS + UDP);
        let behind = at + payload.len();
        let (headers, n) = seal.headers(0);
        to[..n].copy_from_slice(&headers[..n]);
        to[at..behind].copy_from_slice(payload);
        seal.tail(0, &mut to[behind..]);
        Some(frame)
    }

    /// A segment of headers for each fragment, last first, and one for what comes behind its payload.
    fn heads(&self, seal: &Seal) -> Option<Vec<(Mbuf, Option<Mbuf>)>> {
        let layout = seal.layout();
        let mut heads = Vec::new();
        if !self.headers.alloc_many(layout.fragments() as u16, &mut heads) {
            return None;
        }
        (0..layout.fragments())
            .rev()
            .zip(heads)
            .map(|(i, mut head)| {
                let (bytes, len) = seal.headers(i);
                head.append(len as u16)?.copy_from_slice(&bytes[..len]);
                let behind =
                    (layout.fragment_len(i) - layout.piece(i).end.min(layout.fragment_len(i))) as u16;
                if behind == 0 {
                    return Some((head, None));
                }
                if layout.piece(i).is_empty() {
                    seal.tail(i, head.append(behind)?);
                    return Some((head, None));
                }
                let mut tail = self.headers.alloc()?;
                seal.tail(i, tail.append(behind)?);
                Some((head, Some(tail)))
            })
            .collect()
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

    fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// Asks the driver for what it has sent. Those that cannot be asked free it whenever they are to send something, if
    /// only nothing.
    fn reclaim(&mut self) {
        if self.tx.done_cleanup(0).is_err() {
            self.tx.send(&mut Burst::<1>::new());
        }
    }

    /// An mbuf for the bytes of a datagram's only frame, if they are few and there is one with room for them.
    fn inline(&mut self, layout: &Layout) -> Option<Mbuf> {
        if layout.fragments() > 1 {
            return None;
        }
        let len = HEADERS + layout.fragment_len(0);
        if len > INLINE {
            return None;
        }
        let mut mbuf = self.headers.alloc()?;
        mbuf.append(len as u16)?;
        self.stats.inlined += 1;
        Some(mbuf)
    }

    /// Whether so few mbufs are in flight that there may be more. They are counted, which means a look at the cache of every
    /// lcore that DPDK could have, only when those that were free the last time may all be in flight.
    fn has_room(&mut self) -> bool {
        let Some(max) = self.config.in_flight else { return true };
        if self.room == 0 {
            self.room = max.saturating_sub(self.headers.in_use());
        }
        self.room > 0
    }

    /// Whether another datagram can be staged.
    fn is_clear(&mut self) -> bool {
        let mut clear = self.flush() == 0;
        if clear && !self.has_room() {
            self.reclaim();
            clear = self.has_room();
        }
        self.stats.would_block += u64::from(!clear);
        clear
    }

    fn stage(&mut self, bytes: usize) {
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        if self.config.in_flight.is_some() {
            let segments = self.made.iter().map(|mbuf| u32::from(mbuf.nb_segs())).sum();
            self.room = self.room.saturating_sub(segments);
        }
        self.flush();
    }

    /// Nothing of the datagram that was just made is sent.
    #[cold]
    fn give_up(&mut self) {
        self.made.clear();
        self.stats.malformed += 1;
        log::error!("a datagram was given up: its frames have not the lengths that their headers say");
    }

    /// Gives the queue what it did not take before; frames that still wait.
    pub fn flush(&mut self) -> usize {
        self.push();
        // Room is looked for last: to count mbufs is expensive.
        while !self.urgent.is_empty()
            && self.staged.is_empty()
            && self.made.is_empty()
            && self.has_room()
            && let Some(frame) = self.urgent.pop_front()
        {
            self.room = self.room.saturating_sub(1);
            // The stage is empty.
            drop(self.staged.push(frame));
            self.push();
        }
        self.staged.len() + self.made.len() + self.urgent.len()
    }

    /// Gives the queue what is staged, and what did not fit there before.
    fn push(&mut self) {
        self.staged.take_from(&mut self.made);
        while !self.staged.is_empty() {
            let taken = self.tx.send(&mut self.staged);
            self.stats.frames += taken as u64;
            if taken == 0 || self.made.is_empty() {
                return;
            }
            self.staged.take_from(&mut self.made);
        }
    }

    /// What it counted.
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

    /// Buffers that nobody has, of how many.
    pub fn buffers(&self) -> (usize, usize) {
        (self.pool.available(), self.pool.size())
    }
}
