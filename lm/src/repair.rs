//! One copy, and proof: datagrams that are all there but did not land in one piece.
//!
//! Three ways, in the order in which they are tried when a frame with intact headers closes nothing:
//!
//! 1. *assemble*: a first fragment shows up, and among the frames that wait there are enough to make its
//!    datagram, with strangers in between. Strangers that are not full frames are skipped; full ones are
//!    searched for as one block of up to eight. A choice is believed only if the end tag agrees, its digest
//!    proves the order, and the UDP checksum is good: together 72 bits, however many choices were tried.
//! 2. *forward*: a last fragment shows up behind full frames, as a kernel sends them. All headers but one must
//!    be intact, for the UDP checksum does not prove an order.
//! 3. *by headers*: every frame of the datagram that has intact headers moves to the reassembler.
//!
//! And where slots are laid anew in the midst of a datagram ([`Matcher::rejoin`]): one part of it is in separate slots, and
//! so in the reassembler, the other lies in overlapping ones, side by side, with one header left. That one says where they all
//! belong, which is a guess until checksum and digest agree.

use crate::checksum::{self, Digest, Piece};
use crate::counters::Reason;
use crate::ground::{Frame, Ground, Slot, Whole, WholeBy};
use crate::intact::{key, same_datagram};
use crate::layout::{Layout, TAG};
use crate::matcher::Matcher;
use crate::reassembler::{Fragment, Outcome};
use crate::tag::{Identity, Tag};
use crate::wire::{self, Flow, Ipv4, Udp};

/// Where frames of the log belong in a datagram: the first of them, how many, and the position of the newest of them.
struct Part {
    from: usize,
    count: usize,
    position: usize,
}

/// Strangers in one block that are looked for inside a datagram.
const BLOCK: usize = 8;

/// Frames as long as its last fragment that are tried.
const LASTS: usize = 4;

/// A datagram that may be among the frames of the log.
struct Wanted {
    ip: Ipv4,
    udp: Udp,
    identity: Identity,
    layout: Layout,
    /// Where its first fragment is.
    z: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Matcher<B> {
    /// The newest frame is an intact first fragment that closed nothing: finds the rest of its datagram among
    /// the frames that wait. True: it is done with.
    pub(crate) fn assemble<G: Ground<Buf = B>>(&mut self, ip: &Ipv4, ground: &mut G) -> bool {
        let Some(wanted) = self.wanted(ip, ground) else { return false };
        let Some(choice) = self.choose(&wanted, ground) else { return false };
        let n = wanted.layout.fragments();
        let len = wanted.layout.udp_len() - wire::UDP;
        let whole = Whole { flow: wanted.identity.flow, len, fragments: n as u16, by: WholeBy::Checksum };
        self.copy_out(&whole, &wanted.layout, |log, i| log[choice[i]].at, ground);
        self.take_out(|_, i, frame, _| {
            let ours = choice.contains(&i);
            if ours {
                ground.release(frame);
            }
            ours
        });
        true
    }

    fn wanted<G: Ground<Buf = B>>(&self, ip: &Ipv4, ground: &G) -> Option<Wanted> {
        let z = self.log.len() - 1;
        let newest = &self.log[z];
        let full = self.config.geometry.full_frame();
        if !self.config.require.checksum
            || usize::from(newest.len) != full
            || newest.slot != Slot::Overlapping
        {
            return None;
        }
        let udp = Udp::parse(ground.bytes(newest.at, wire::UDP))?;
        let len = usize::from(udp.len);
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len) || udp.checksum == 0 {
            return None;
        }
        let layout = Layout::of_udp(self.config.geometry, len);
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if layout.fragments() < 2 || z + 1 < layout.fragments() || !self.config.accept.takes(&flow) {
            return None;
        }
        let identity = Identity { flow, ip_id: ip.id, udp_len: udp.len, udp_checksum: udp.checksum };
        Some(Wanted { ip: *ip, udp, identity, layout, z })
    }

    /// What the log knows of a frame's header.
    fn header_of(&self, index: usize) -> Option<&Ipv4> {
        let at = self.seen.binary_search_by_key(&(index as u32), |&(i, _)| i).ok()?;
        Some(&self.seen[at].1)
    }

    /// Whether frame `index` may be fragment `position` of `wanted`.
    fn may_be(&self, index: usize, position: usize, wanted: &Wanted) -> bool {
        let frame = &self.log[index];
        let last = position + 1 == wanted.layout.fragments();
        let len = usize::from(frame.len);
        let fits = if last { wanted.layout.ends_with(len) } else { len == self.config.geometry.full_frame() };
        fits && frame.slot == Slot::Overlapping
            && self.header_of(index).is_none_or(|h| {
                let offset = position * self.config.geometry.stride();
                same_datagram(h, &wanted.ip) && h.offset as usize == offset && h.more != last
            })
    }

    /// The log's indices of the fragments, first fragment first, if a choice can be proven.
    fn choose<G: Ground<Buf = B>>(&self, wanted: &Wanted, ground: &G) -> Option<Vec<usize>> {
        let n = wanted.layout.fragments();
        let full = self.config.geometry.full_frame();
        let fulls: Vec<usize> = (0..wanted.z)
            .rev()
            .filter(|&i| {
                usize::from(self.log[i].len) == full
                    && self.header_of(i).is_none_or(|h| same_datagram(h, &wanted.ip))
            })
            .collect();
        let mut pieces = vec![None; wanted.z + 1];
        let blocks = if wanted.layout.tag().is_some() { BLOCK } else { 0 };
        for block in 0..=blocks {
            for skip in 0..n - 1 {
                if block == 0 && skip > 0 || fulls.len() < n - 2 + block {
                    break;
                }
                let mut choice = Vec::with_capacity(n);
                choice.push(wanted.z);
                choice.extend_from_slice(&fulls[..skip]);
                choice.extend_from_slice(&fulls[skip + block..n - 2 + block]);
                if (1..n - 1).any(|p| !self.may_be(choice[p], p, wanted)) {
                    continue;
                }
                // Strangers may look like the last fragment, too.
                let lasts = (0..choice[n - 2]).rev().filter(|&i| self.may_be(i, n - 1, wanted));
                for last in lasts.take(LASTS) {
                    choice.push(last);
                    if self.proven(&choice, wanted, &mut pieces, ground) {
                        return Some(choice);
                    }
                    choice.pop();
                }
            }
        }
        None
    }

    fn proven<G: Ground<Buf = B>>(
        &self,
        choice: &[usize],
        wanted: &Wanted,
        pieces: &mut [Option<Piece>],
        ground: &G,
    ) -> bool {
        let stride = self.config.geometry.stride();
        let order = match wanted.layout.tag() {
            None => None,
            Some(at) => {
                let start = self.log[choice[at / stride]].at + at % stride;
                let tag = ground.bytes(start, TAG).first_chunk::<TAG>().copied().unwrap_or_default();
                match wanted.identity.check(tag) {
                    Some(Tag::Ordered(order)) => Some(order),
                    _ => return false,
                }
            }
        };
        let mut digest = Digest::new();
        for (i, &index) in choice.iter().enumerate() {
            let range = wanted.layout.piece(i);
            let full = range == (0..stride);
            let piece = match pieces[index] {
                Some(piece) if full => piece,
                _ => checksum::piece(ground.bytes(self.log[index].at + range.start, range.len())),
            };
            if full {
                pieces[index] = Some(piece);
            }
            digest.push(piece);
        }
        let ordered = match order {
            Some(order) => order == digest.finish(),
            None => wanted.identity.ip_id == digest.finish16(),
        };
        ordered && checksum::udp_ok(&wanted.identity.flow, &wanted.udp, digest.sum())
    }

    /// `frame`, which is in the log no more, is the intact first fragment of a datagram: if slots were laid anew while it arrived,
    /// one part of it is in the reassembler and the other in the log. True: it was put together, or given up and counted.
    #[cold]
    #[inline(never)]
    pub(crate) fn rejoin<G: Ground<Buf = B>>(&mut self, frame: &Frame, ip: &Ipv4, ground: &mut G) -> bool {
        let start = wire::ETHERNET + usize::from(ip.header_len);
        let geometry = self.config.geometry;
        if self.log.is_empty() || !self.config.require.checksum || !self.reassembler.contains(&key(ip)) {
            return false;
        }
        let Some(udp) = ground.frame(frame).get(start..).and_then(Udp::parse) else { return false };
        let len = usize::from(udp.len);
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len)
            || udp.checksum == 0
            || !self.config.accept.takes(&flow)
        {
            return false;
        }
        let layout = Layout::of_udp(geometry, len);
        let identity = Identity { flow, ip_id: ip.id, udp_len: udp.len, udp_checksum: udp.checksum };
        let wanted = Wanted { ip: *ip, udp, identity, layout, z: self.log.len() };
        if layout.fragments() < 2 {
            return false;
        }
        let Some(part) = self.part(frame, &wanted) else { return false };
        self.shelf.fill(ground);
        let n = layout.fragments();
        // The part first, then the frame, as long as that leaves something to be desired.
        let mut outcome = Outcome::Pending;
        for i in 0..=part.count {
            let (data, position) = if i < part.count {
                let position = part.position + part.count - 1 - i;
                (ground.bytes(self.log[part.from + i].at, layout.ip_fragment_len(position)), position)
            } else {
                (&ground.frame(frame)[start..start + usize::from(ip.payload_len)], 0)
            };
            let (offset, more) = ((position * geometry.stride()) as u32, position + 1 < n);
            let fragment = Fragment { offset, more, ecn: 0, data };
            outcome = self.reassembler.insert(self.now, key(ip), fragment, &mut self.shelf);
            if !matches!(outcome, Outcome::Pending | Outcome::Duplicate) {
                break;
            }
        }
        match outcome {
            Outcome::Whole(a) if is_proven(&wanted, &a.buf.as_ref()[..a.len]) => {
                let (len, fragments) = (len - wire::UDP, a.fragments);
                self.count_copied(len);
                ground.copied(Whole { flow, len, fragments, by: WholeBy::Checksum }, a.buf, wire::UDP);
            }
            other => {
                if let Outcome::Whole(a) = other {
                    ground.give(a.buf);
                }
                self.reassembler.discard(&key(ip), &mut self.shelf);
                self.counters.drop_one(Reason::LostFrame);
            }
        }
        self.shelf.empty(ground);
        self.take_out(|_, i, frame, _| {
            let ours = (part.from..part.from + part.count).contains(&i);
            if ours {
                ground.release(frame);
            }
            ours
        });
        true
    }

    /// Frames at the end of the log that lie side by side and can be the part of `wanted` that is missing elsewhere.
    fn part(&self, frame: &Frame, wanted: &Wanted) -> Option<Part> {
        let (stride, n) = (self.config.geometry.stride(), wanted.layout.fragments());
        let beside =
            |from: usize, to: usize| (from..to).all(|i| self.log[i].at == self.log[i + 1].at + stride);
        let part = if frame.slot == Slot::Overlapping {
            // It came to overlapping slots: those above it are full.
            let count = (self.run..self.log.len())
                .rev()
                .zip(1..n)
                .take_while(|&(i, p)| self.log[i].at == frame.at + p * stride && self.may_be(i, p, wanted));
            let count = count.count();
            Part { from: self.log.len() - count, count, position: 1 }
        } else {
            // It came to a separate one: the last that came to an overlapping one still has its header.
            let &(at, header) = self.seen.iter().rfind(|(_, h)| same_datagram(h, &wanted.ip))?;
            let (at, position) = (at as usize, header.offset as usize / stride);
            let count = n.checked_sub(position)?;
            Part { from: (at + 1).checked_sub(count)?, count, position }
        };
        let newest = (part.from + part.count).checked_sub(1)?;
        let fits = (0..part.count).all(|i| self.may_be(newest - i, part.position + i, wanted));
        (part.count > 0 && fits && beside(part.from, newest)).then_some(part)
    }

    /// The newest frame is an intact last fragment: are the frames before it the rest, in forward order?
    pub(crate) fn forward<G: Ground<Buf = B>>(&mut self, ip: &Ipv4, ground: &mut G) {
        let geometry = self.config.geometry;
        let (stride, end) = (geometry.stride(), ip.offset as usize + usize::from(ip.payload_len));
        let (n, z) = (ip.offset as usize / stride + 1, self.log.len() - 1);
        if !(ip.offset as usize).is_multiple_of(stride) || z + 1 < n || !self.config.require.checksum {
            return;
        }
        let first = z + 1 - n;
        let mut unseen = 0;
        for i in first..z {
            let frame = &self.log[i];
            match self.header_of(i) {
                None => unseen += 1,
                Some(h) if same_datagram(h, ip) && h.offset as usize == (i - first) * stride && h.more => {}
                Some(_) => return,
            }
            if usize::from(frame.len) != geometry.full_frame() || frame.slot != Slot::Overlapping {
                return;
            }
        }
        let Some(udp) = Udp::parse(ground.bytes(self.log[first].at, wire::UDP)) else { return };
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if usize::from(udp.len) != end || udp.checksum == 0 || !self.config.accept.takes(&flow) {
            return;
        }
        let layout = Layout::plain(geometry, end);
        let mut digest = Digest::new();
        for i in 0..n {
            let range = layout.piece(i);
            digest.push(checksum::piece(ground.bytes(self.log[first + i].at + range.start, range.len())));
        }
        if !checksum::udp_ok(&flow, &udp, digest.sum()) {
            return;
        }
        if unseen > 1 {
            self.counters.drop_one(Reason::OrderUnproven);
        } else {
            let len = end - wire::UDP;
            let whole = Whole { flow, len, fragments: n as u16, by: WholeBy::Checksum };
            self.copy_out(&whole, &layout, |log, i| log[first + i].at, ground);
        }
        for f in &self.log[first..] {
            ground.release(f);
        }
        self.truncate(first);
    }

    /// Moves the newest frame, an intact first fragment, and all others of its datagram whose headers are
    /// intact to the reassembler.
    pub(crate) fn reassemble_seen<G: Ground<Buf = B>>(&mut self, ip: &Ipv4, ground: &mut G) {
        self.note(self.log.len() - 1, *ip);
        self.take_out(|matcher, _, frame, header| match header {
            Some(h) if same_datagram(h, ip) => {
                matcher.reassemble(frame, h, ground);
                ground.release(frame);
                true
            }
            _ => false,
        });
    }

    /// Takes the frames out of the log that `take` wants, oldest first; the others wait.
    fn take_out(&mut self, mut take: impl FnMut(&mut Self, usize, &Frame, Option<&Ipv4>) -> bool) {
        let log = std::mem::take(&mut self.log);
        let seen = std::mem::take(&mut self.seen);
        let mut headers = seen.into_iter().peekable();
        let mut kept = Vec::with_capacity(log.capacity());
        for (i, frame) in log.iter().enumerate() {
            let header = headers.next_if(|&(at, _)| at as usize == i).map(|(_, h)| h);
            if !take(self, i, frame, header.as_ref()) {
                if let Some(h) = header {
                    self.seen.push((kept.len() as u32, h));
                }
                kept.push(*frame);
            }
        }
        self.log = kept;
        self.leave();
    }
}

/// Whether this IP payload, put together by guess, is the datagram: its UDP checksum is good, and its tag, or its
/// identification where a tag has no room, proves the order.
fn is_proven(wanted: &Wanted, payload: &[u8]) -> bool {
    let Wanted { identity, layout, udp, .. } = wanted;
    if payload.len() < layout.ip_len().min(layout.udp_len()) {
        return false;
    }
    let mut digest = Digest::new();
    let mut at = 0;
    for i in 0..layout.fragments() {
        let piece = layout.piece(i);
        match payload.get(at + piece.start..at + piece.end) {
            Some(bytes) => digest.push(checksum::piece(bytes)),
            None => return false,
        }
        at += layout.ip_fragment_len(i);
    }
    let ordered = match layout.tag() {
        None => identity.ip_id == digest.finish16(),
        Some(at) => {
            let tag = payload.get(at..).and_then(|rest| rest.first_chunk::<TAG>());
            match tag.and_then(|tag| identity.check(*tag)) {
                Some(Tag::Ordered(order)) => order == digest.finish(),
                Some(Tag::Ends) | None => false,
            }
        }
    };
    ordered && checksum::udp_ok(&identity.flow, udp, digest.sum())
}
