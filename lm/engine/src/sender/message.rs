//! Frames of payloads that already lie in memory: each is copied behind its headers, or sent from where it
//! lies.
//!
//! `lm-node` calls it for messages that are sent on. All frames of a datagram are made before the first is
//! sent. So a datagram is sent whole, or comes back unchanged in an [`Unsent`].

use std::ops::Range;

use lm_landing::Payload;
use lm_landing::send::{Record, show};
use lm_proto::alf::{ChecksumMode, Ends, Seal};
use lm_proto::carried::{Carried, Claims};
use lm_proto::checksum::{self, Digest};
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{Flow, HEADERS, MAX_PAYLOAD, UDP};
use rte::Mbuf;

use super::{Sender, Unsent};
use crate::message::Message;

/// The longest frame in bytes that is copied behind its headers: one of MTU 1500. A longer frame is *shown*:
/// an mbuf points to the payload where it lies.
///
/// To show a frame takes two mbufs more (its piece, and the record of who holds the memory), a callback and
/// a second descriptor. Measured with lm-netpipe over net_memif, with a zero-copy client, on an AMD EPYC, in
/// µs of a round trip, quickest blocks, one build with several thresholds in turn: 512 B 1.27 copied, 1.44
/// shown; 1024 B 1.42 and 1.52. In a datagram of many frames the copies lose: 16,384 B 5.97 with all but the
/// last frame shown, 7.28 with none. So full frames of several are shown, and a shorter last one is copied:
/// 7168 B 4.37 and, with that one shown, 5.04.
///
/// One constant for all devices: a card takes a second descriptor for a second segment as net_memif does.
/// That it costs less there would have to be measured.
pub const COPIED: usize = 1514;

/// The plan of how a payload is sent. All of it follows from the payload's length.
struct Plan {
    geometry: Geometry,
    layout: Layout,
    /// Bytes of payload.
    len: usize,
    /// Bytes of the longest frame that is copied.
    most: usize,
}

impl Plan {
    /// The plan for so many bytes, where frames of up to `copied` bytes can be copied. Of a datagram whose
    /// payload lies in several frames only a shorter last one is.
    fn new(geometry: Geometry, len: usize, copied: usize) -> Self {
        let several = len + UDP > geometry.stride();
        let most = if several { copied.min(geometry.full_frame() - 1) } else { copied };
        Self { geometry, layout: Layout::of_udp(geometry, len + UDP), len, most }
    }

    /// The bytes of piece `i` in the payload. A fragment that carries only padding and the tag has none: its
    /// range is empty, and at the payload's end.
    fn place(&self, i: usize) -> Range<usize> {
        let (piece, start) = (self.layout.piece(i), i * self.geometry.stride());
        let from = (start + piece.start - UDP).min(self.len);
        from..(from + piece.len()).min(self.len)
    }

    /// Bytes of frame `i`.
    fn frame_len(&self, i: usize) -> usize {
        HEADERS + self.layout.fragment_len(i)
    }

    /// Where padding or the tag begins in frame `i`, behind the bytes of the payload.
    fn behind(&self, i: usize) -> usize {
        (HEADERS + self.layout.piece(i).end).min(self.frame_len(i))
    }

    /// Whether frame `i` is shown. Nothing is shown where there is no payload.
    fn is_shown(&self, i: usize) -> bool {
        self.frame_len(i) > self.most && !self.layout.piece(i).is_empty()
    }

    /// The digest of the payload's pieces.
    fn digest(&self, payload: &[u8]) -> Digest {
        let mut digest = Digest::new();
        (0..self.layout.fragments()).for_each(|i| digest.push(checksum::piece(&payload[self.place(i)])));
        digest
    }

    /// The frames that are shown, last first, as they are sent.
    fn shown(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.layout.fragments()).rev().filter(|&i| self.is_shown(i))
    }

    /// The shown frame behind whose piece padding or a tag comes: the last one of them, if any.
    fn tail(&self) -> Option<usize> {
        self.shown().next().filter(|&i| self.behind(i) < self.frame_len(i))
    }
}

impl Sender {
    /// Sends a message's payload from where it lies: a segment of headers in front of each piece. What lies
    /// in one frame of up to [`COPIED`] bytes, and a last frame that is not full, is copied behind its
    /// headers, which costs less. The memory goes back when the device is done with it.
    ///
    /// The payload is not summed: checksum and order digest are those that it came with, unless it had none,
    /// was handed out to be changed, or came in pieces of another size.
    ///
    /// # Errors
    /// [`Unsent`] with the message.
    pub fn send_message(&mut self, message: Message, ends: &Ends) -> Result<(), Unsent<Message>> {
        if !self.is_clear() {
            return Err(Unsent::NotNow(message));
        }
        // This is the usual case, and then the message need not be taken apart.
        let (carried, flow) = (message.carried(), message.flow());
        let carried = carried.map(|carried| (carried, &flow));
        if let Some(bytes) = message.as_slice()
            && self.send_copied(bytes, carried, ends)
        {
            return Ok(());
        }
        let (behind, service) = (message.strangers_before(), message.service());
        let (whole, payload) = message.into_parts();
        let carried = whole.carried.map(|carried| (carried, whole.flow));
        let unsent = self.send_carried(payload, carried.as_ref(), ends);
        unsent.map_err(|unsent| unsent.map(|p| Message::new(whole, p).came(behind, service)))
    }

    /// The same for any payload in DPDK's memory.
    ///
    /// # Errors
    /// As for [`Sender::send_message`]. [`Unsent::NotFromHere`] also for a payload that is longer than any
    /// datagram's, or that lies in several pieces.
    pub fn send_payload(&mut self, payload: Payload, ends: &Ends) -> Result<(), Unsent<Payload>> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Unsent::NotFromHere(payload));
        }
        if !self.is_clear() {
            return Err(Unsent::NotNow(payload));
        }
        if let Some(bytes) = payload.as_slice()
            && self.send_copied(bytes, None, ends)
        {
            return Ok(());
        }
        self.send_carried(payload, None, ends)
    }

    /// Sends a payload that makes one frame of up to [`COPIED`] bytes as a copy, behind its headers. Returns
    /// whether it was sent.
    #[inline]
    pub(super) fn send_copied(
        &mut self,
        payload: &[u8],
        carried: Option<(&Carried, &Flow)>,
        ends: &Ends,
    ) -> bool {
        let frame = self.small(payload, carried, ends, self.copied);
        frame.map(|frame| self.stage_one(frame, payload.len())).is_some()
    }

    /// Sends a payload that makes several frames, or has to be shown. The caller has checked that the queue
    /// has room.
    fn send_carried(
        &mut self,
        payload: Payload,
        carried: Option<&(Carried, Flow)>,
        ends: &Ends,
    ) -> Result<(), Unsent<Payload>> {
        let (geometry, len) = (self.config.geometry, payload.len());
        if payload.as_slice().is_none() {
            return Err(Unsent::NotFromHere(payload));
        }
        let plan = Plan::new(geometry, len, self.copied);
        if !plan.shown().all(|i| payload.is_readable(plan.place(i))) {
            return Err(Unsent::NotFromHere(payload));
        }
        let n = plan.layout.fragments();
        if !self.headers.alloc_many(n as u16, &mut self.made) {
            self.stats.would_block += 1;
            return Err(Unsent::NotNow(payload));
        }
        let mut tail = None;
        if plan.tail().is_some() {
            tail = self.headers.alloc();
            if tail.is_none() {
                self.made.clear();
                self.stats.would_block += 1;
                return Err(Unsent::NotNow(payload));
            }
        }
        let bytes = payload.as_slice().unwrap_or_default();
        let mut whole = self.write(&plan, bytes, carried, tail.as_mut(), ends);
        if plan.shown().next().is_none() {
            self.stats.inlined += 1;
        } else {
            match self.chain(&plan, payload, tail) {
                Ok(done) => whole &= done,
                Err(payload) => {
                    self.made.clear();
                    self.stats.would_block += 1;
                    return Err(Unsent::NotNow(payload));
                }
            }
        }
        let said = (0..n).rev().map(|i| plan.frame_len(i));
        if whole && self.made.iter().map(|mbuf| mbuf.pkt_len() as usize).eq(said) {
            self.stage(len);
        } else {
            self.give_up();
        }
        Ok(())
    }

    /// Writes the frames that are copied, and the headers of the others, into the mbufs in `made`, which are
    /// the datagram's, last fragment first; and into `tail` what comes behind a piece that is shown. Returns
    /// whether all of it fitted.
    fn write(
        &mut self,
        plan: &Plan,
        payload: &[u8],
        carried: Option<&(Carried, Flow)>,
        mut tail: Option<&mut Mbuf>,
        ends: &Ends,
    ) -> bool {
        let carried = carried.filter(|_| self.config.checksum == ChecksumMode::Full);
        let summed = self.config.checksum == ChecksumMode::Full && carried.is_none();
        let mut digest = summed.then(Digest::new);
        let mut whole = true;
        for (i, frame) in self.made.iter_mut().rev().enumerate() {
            let from = &payload[plan.place(i)];
            if plan.is_shown(i) {
                if let Some(digest) = &mut digest {
                    digest.push(checksum::piece(from));
                }
                continue;
            }
            let Some(to) = frame.append(plan.frame_len(i) as u16) else {
                whole = false;
                continue;
            };
            let to = &mut to[HEADERS + plan.layout.piece(i).start..][..from.len()];
            match &mut digest {
                Some(digest) => digest.push(checksum::copy_piece(to, from)),
                None => to.copy_from_slice(from),
            }
        }
        let id = self.next_id();
        let claims = match (&digest, carried) {
            (Some(digest), _) => Claims::of_digest(&ends.flow, &plan.layout, digest),
            (None, Some((carried, from))) => {
                let pieces = || plan.digest(payload);
                Claims::carried(carried, [from, &ends.flow], plan.geometry, &plan.layout, pieces)
            }
            (None, None) => Claims::NONE,
        };
        let seal = Seal::new(plan.geometry, plan.layout, ends, id, claims);
        for (i, frame) in self.made.iter_mut().rev().enumerate() {
            let (headers, len) = seal.headers(i);
            let shown = plan.is_shown(i);
            let to = if shown { frame.append(len as u16) } else { frame.data_mut() };
            let Some(to) = to.filter(|to| to.len() >= len) else {
                whole = false;
                continue;
            };
            to[..len].copy_from_slice(&headers[..len]);
            if !shown {
                seal.tail(i, &mut to[plan.behind(i)..]);
            } else if let Some(tail) = tail.as_deref_mut().filter(|_| plan.tail() == Some(i)) {
                let to = tail.append((plan.frame_len(i) - plan.behind(i)) as u16);
                whole &= to.map(|to| seal.tail(i, to)).is_some();
            }
        }
        whole
    }

    /// Puts the pieces that are shown behind their headers in `made`, and `tail` behind its piece. Returns
    /// whether that could be done.
    ///
    /// # Errors
    /// The payload: mbufs are short.
    fn chain(&mut self, plan: &Plan, payload: Payload, mut tail: Option<Mbuf>) -> Result<bool, Payload> {
        let n = plan.layout.fragments();
        let pieces = plan.shown().map(|i| plan.place(i));
        show(payload, pieces, &mut self.cut, Record::InPool, &self.headers, &mut self.shown)?;
        // The mbuf that the payload's record lies in.
        self.room = self.room.saturating_sub(1);
        let mut whole = true;
        for (i, part) in plan.shown().zip(self.shown.drain(..)) {
            // Chains of three are far below the limits of a chain.
            let head = &mut self.made[n - 1 - i];
            whole &= head.chain(part).is_ok();
            if let Some(tail) = tail.take_if(|_| plan.tail() == Some(i)) {
                whole &= head.chain(tail).is_ok();
            }
        }
        Ok(whole)
    }
}
