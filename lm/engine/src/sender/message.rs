//! Frames of payloads that already lie in memory: each is copied behind its headers, or sent from where it
//! lies.
//!
//! `lm-node` calls it for messages that are sent on. All frames of a datagram are made before the first is
//! sent. So a datagram is sent whole, or comes back unchanged in an [`Unsent`].

use std::ops::Range;

use lm_landing::Payload;
use lm_landing::send::{Frame, Grid, NotShown, show_behind};
use lm_proto::alf::{ChecksumMode, Ends, Seal};
use lm_proto::carried::{Carried, Claims};
use lm_proto::checksum::{self, Digest};
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{Flow, HEADERS, UDP};
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
#[derive(Clone, Copy)]
struct Plan {
    geometry: Geometry,
    layout: Layout,
    /// The pieces that are shown, those of the first frames. `None`: all frames are copied.
    shown: Option<Grid>,
    /// Bytes of padding and tag behind the last of them, in its frame.
    behind: usize,
}

impl Plan {
    /// The plan for so many bytes, where frames of up to `copied` bytes can be copied. Of a datagram whose
    /// payload lies in several frames only a shorter last one is.
    fn new(geometry: Geometry, len: usize, copied: usize) -> Self {
        let (layout, stride) = (Layout::of_udp(geometry, len + UDP), geometry.stride());
        let most = if len + UDP > stride { copied.min(geometry.full_frame() - 1) } else { copied };
        // Nothing is shown where there is no payload. All frames in front of the last one are full.
        let is_copied = |i| HEADERS + layout.fragment_len(i) <= most || layout.piece(i).is_empty();
        let n = layout.fragments();
        let shown = if is_copied(0) { 0 } else { n - usize::from(is_copied(n - 1)) };
        let behind = match shown.checked_sub(1) {
            Some(tail) => layout.fragment_len(tail).saturating_sub(layout.piece(tail).end),
            None => 0,
        };
        Self { geometry, layout, shown: Grid::new(shown, stride, stride, [UDP, 0], len), behind }
    }

    /// The bytes of piece `i` in the payload. A fragment that carries only padding and the tag has none: its
    /// range is empty, and at the payload's end.
    fn place(&self, i: usize) -> Range<usize> {
        let (piece, start) = (self.layout.piece(i), i * self.geometry.stride());
        let len = self.layout.udp_len() - UDP;
        let from = (start + piece.start - UDP).min(len);
        from..(from + piece.len()).min(len)
    }

    /// The digest of the payload's pieces.
    fn digest(&self, payload: &[u8]) -> Digest {
        let mut digest = Digest::new();
        (0..self.layout.fragments()).for_each(|i| digest.push(checksum::piece(&payload[self.place(i)])));
        digest
    }

    /// What headers and tag say of the payload.
    fn claims(&self, payload: &[u8], carried: Option<&(Carried, Flow)>, to: &Flow) -> Claims {
        match carried {
            Some((carried, from)) => {
                Claims::carried(carried, [from, to], self.geometry, &self.layout, || self.digest(payload))
            }
            None => Claims::of_digest(to, &self.layout, &self.digest(payload)),
        }
    }

    /// Writes what an mbuf has of the datagram. Returns whether it had room for it.
    fn write(&self, seal: &Seal, frame: Frame<'_>, mbuf: &mut Mbuf) -> bool {
        match frame {
            Frame::Front(i) => mbuf.append(seal.front(i) as u16).is_some_and(|to| seal.put_front(i, to)),
            Frame::Behind => {
                let tail = self.shown.map_or(0, |shown| usize::from(shown.parts()) - 1);
                mbuf.append(self.behind as u16).map(|to| seal.tail(tail, to)).is_some()
            }
            Frame::Whole(i, payload) => {
                let piece = self.layout.piece(i);
                let Some(to) = mbuf.append((HEADERS + self.layout.fragment_len(i)) as u16) else {
                    return false;
                };
                to[HEADERS + piece.start..HEADERS + piece.end].copy_from_slice(&payload[self.place(i)]);
                seal.tail(i, &mut to[HEADERS + piece.end..]);
                seal.put_front(i, to)
            }
        }
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
        if self.copy_message(&message, ends) {
            return Ok(());
        }
        let (behind, service) = (message.strangers_before(), message.service());
        let (whole, payload) = message.into_parts();
        let carried = whole.carried.map(|carried| (carried, whole.flow));
        let unsent = self.send_carried(payload, carried.as_ref(), ends);
        unsent.map_err(|unsent| unsent.map(|p| Message::new(whole, p).came(behind, service)))
    }

    /// Sends a copy of a message that makes one frame of up to [`COPIED`] bytes, as [`Sender::send_message`]
    /// does, and leaves the message. Returns whether it was sent. If it was not, nothing is counted: the
    /// caller has the message, and can send that.
    #[inline]
    pub fn send_message_copied(&mut self, message: &Message, ends: &Ends) -> bool {
        message.len() < self.config.geometry.stride() && self.may_stage() && self.copy_message(message, ends)
    }

    /// The caller has checked that the queue has room.
    #[inline]
    fn copy_message(&mut self, message: &Message, ends: &Ends) -> bool {
        let (carried, flow) = (message.carried(), message.flow());
        let carried = carried.map(|carried| (carried, &flow));
        message.as_slice().is_some_and(|bytes| self.send_copied(bytes, carried, ends))
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
        let Some(bytes) = payload.as_slice() else { return Err(Unsent::NotFromHere(payload)) };
        let plan = Plan::new(geometry, len, self.copied);
        let (summed, id) = (self.config.checksum == ChecksumMode::Full, self.id.wrapping_add(1));
        let seal = |payload: &[u8]| {
            let claims = if summed { plan.claims(payload, carried, &ends.flow) } else { Claims::NONE };
            Seal::new(geometry, plan.layout, ends, id, claims)
        };
        let n = plan.layout.fragments();
        let (pool, made) = (&self.headers, &mut self.made);
        let done = match &plan.shown {
            Some(shown) => {
                let frames = (n, plan.behind > 0);
                show_behind(payload, shown, frames, pool, made, seal, |seal, frame, mbuf| {
                    plan.write(seal, frame, mbuf)
                })
            }
            None if pool.alloc_many(n as u16, made) => {
                let seal = seal(bytes);
                let mut frames = made.iter_mut().rev().enumerate();
                self.stats.inlined += 1;
                Ok(frames.all(|(i, mbuf)| plan.write(&seal, Frame::Whole(i, bytes), mbuf)))
            }
            None => Err(NotShown::NoMbufs(payload)),
        };
        let whole = match done {
            Ok(whole) => whole,
            Err(NotShown::Unreadable(payload)) => return Err(Unsent::NotFromHere(payload)),
            Err(NotShown::NoMbufs(payload)) => {
                self.stats.would_block += 1;
                return Err(Unsent::NotNow(payload));
            }
        };
        self.id = id;
        let said = (0..n).rev().map(|i| HEADERS + plan.layout.fragment_len(i));
        if whole && self.made.iter().map(|mbuf| mbuf.pkt_len() as usize).eq(said) {
            if plan.shown.is_some() {
                // The mbuf that the payload's record lies in.
                self.room = self.room.saturating_sub(1);
            }
            self.stage(len);
        } else {
            self.give_up();
        }
        Ok(())
    }
}
