//! Frames whose headers are known to be intact: no guessing.
//!
//! They come from separate slots, or out of the matcher's log when their run closed nothing. A datagram in one frame is
//! delivered where it lies; a fragment joins its datagram in the [`Reassembler`](crate::reassembler); the rest is a
//! stranger's, or broken.

use crate::checksum;
use crate::counters::Reason;
use crate::ground::{Frame, Ground, Whole, WholeBy};
use crate::layout::{Layout, TAG};
use crate::matcher::Matcher;
use crate::reassembler::{Fragment, Key, Outcome, Store};
use crate::tag::Identity;
use crate::wire::{self, ETHERNET, Flow, HEADERS, Ipv4, Udp};

/// What an intact frame turned out to be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Stranger,
    Bad,
    Single(Ipv4),
    Fragment(Ipv4),
}

/// A buffer for the reassembler to take while it reads the ground, and what it gives back meanwhile.
pub(crate) struct Shelf<B> {
    spare: Option<B>,
    back: Vec<B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Shelf<B> {
    pub(crate) fn new() -> Self {
        Self { spare: None, back: Vec::with_capacity(4) }
    }

    /// Has a spare buffer, if there is one to be had.
    pub(crate) fn fill(&mut self, store: &mut impl Store<Buf = B>) {
        if self.spare.is_none() {
            self.spare = store.take();
        }
    }

    /// Gives back what came back.
    pub(crate) fn empty(&mut self, store: &mut impl Store<Buf = B>) {
        for buf in self.back.drain(..) {
            store.give(buf);
        }
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self, store: &mut impl Store<Buf = B>) {
        self.back.extend(self.spare.take());
        self.empty(store);
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Store for Shelf<B> {
    type Buf = B;
    fn take(&mut self) -> Option<B> {
        self.spare.take()
    }
    fn give(&mut self, buf: B) {
        self.back.push(buf);
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Matcher<B> {
    /// The newest frame of the log is intact and closes nothing: what is it?
    pub(crate) fn examine<G: Ground<Buf = B>>(&mut self, ground: &mut G) {
        let kind = classify(ground.frame(&self.log[self.log.len() - 1]));
        self.examine_as(kind, ground);
    }

    /// The same where that is known. Its headers are not looked at again: the next frame may be overwriting them by now.
    pub(crate) fn examine_as<G: Ground<Buf = B>>(&mut self, kind: Kind, ground: &mut G) {
        let z = self.log.len() - 1;
        let frame = self.log[z];
        match kind {
            Kind::Fragment(ip) if !self.reassembler.contains(&key(&ip)) => {
                if ip.offset == 0 {
                    if !self.assemble(&ip, ground) {
                        self.reassemble_seen(&ip, ground);
                    }
                } else {
                    self.note(z, ip);
                    if !ip.more {
                        self.forward(&ip, ground);
                    }
                }
            }
            kind => {
                self.log.pop();
                self.open_gap();
                self.intact(frame, kind, ground);
                if self.log.len() <= self.run {
                    self.run = self.log.len();
                    if self.log.is_empty() {
                        self.waiting = None;
                    }
                }
            }
        }
    }

    /// A frame out of the log, what it is by its intact headers: deliver it, reassemble it, or hand it out.
    pub(crate) fn intact<G: Ground<Buf = B>>(&mut self, frame: Frame, kind: Kind, ground: &mut G) {
        match kind {
            Kind::Single(ip) => {
                if !self.single(&frame, &ip, ground) {
                    return;
                }
            }
            Kind::Fragment(ip) => {
                if ip.offset != 0 || !self.rejoin(&frame, &ip, ground) {
                    self.reassemble(&frame, &ip, ground);
                }
            }
            Kind::Stranger => self.hand_out(&frame, ground),
            Kind::Bad => self.counters.drop_one(Reason::BadHeader),
        }
        ground.release(&frame);
    }

    pub(crate) fn hand_out<G: Ground<Buf = B>>(&mut self, frame: &Frame, ground: &mut G) {
        if ground.stranger(frame) {
            self.counters.foreign += 1;
        } else {
            self.counters.drop_one(Reason::StrangerLost);
        }
    }

    /// A datagram in one frame. False: its slot was handed over.
    fn single<G: Ground<Buf = B>>(&mut self, frame: &Frame, ip: &Ipv4, ground: &mut G) -> bool {
        let start = ETHERNET + usize::from(ip.header_len);
        let payload = &ground.frame(frame)[start..start + usize::from(ip.payload_len)];
        match self.check_udp(&key(ip), payload) {
            Ok(None) => self.hand_out(frame, ground),
            Ok(Some((flow, len, by))) => {
                let whole = Whole { flow, len, fragments: 1, by };
                self.counters.datagrams += 1;
                self.counters.bytes += len as u64;
                ground.landed(whole, frame.at + (start - HEADERS) + wire::UDP, frame.at);
                return false;
            }
            Err(reason) => self.counters.drop_one(reason),
        }
        true
    }

    /// The flow and payload length of a datagram all of whose headers were seen, and what the policy takes as proof of
    /// it; `None`: not one that is taken here. `payload` is the IP payload, tag and all.
    fn check_udp(&self, key: &Key, payload: &[u8]) -> Result<Option<(Flow, usize, WholeBy)>, Reason> {
        let udp = Udp::parse(payload).ok_or(Reason::BadUdpLength)?;
        let len = usize::from(udp.len);
        if len < wire::UDP || len > payload.len() {
            return Err(Reason::BadUdpLength);
        }
        let flow = Flow { src: key.src, dst: key.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !self.config.accept.takes(&flow) {
            return Ok(None);
        }
        if udp.checksum != 0 && !checksum::udp_ok(&flow, &udp, checksum::sum(&payload[wire::UDP..len])) {
            return Err(Reason::BadChecksum);
        }
        let require = self.config.require;
        let tagged = || {
            let at = Layout::of_udp(self.config.geometry, len).tag()?;
            let tag = payload.get(at..)?.first_chunk::<TAG>()?;
            Identity { flow, ip_id: key.id, udp_len: udp.len, udp_checksum: udp.checksum }.check(*tag)
        };
        let by = if require.headers {
            WholeBy::Headers
        } else if require.checksum && udp.checksum != 0 {
            WholeBy::Checksum
        } else if require.tags && tagged().is_some() {
            WholeBy::Tags
        } else {
            return Err(Reason::Unproven);
        };
        Ok(Some((flow, len - wire::UDP, by)))
    }

    /// A fragment with an intact header joins its datagram in the reassembler.
    pub(crate) fn reassemble<G: Ground<Buf = B>>(&mut self, frame: &Frame, ip: &Ipv4, ground: &mut G) {
        let start = ETHERNET + usize::from(ip.header_len);
        self.shelf.fill(ground);
        let data = &ground.frame(frame)[start..start + usize::from(ip.payload_len)];
        let fragment = Fragment { offset: ip.offset, more: ip.more, ecn: 0, data };
        let outcome = self.reassembler.insert(self.now, key(ip), fragment, &mut self.shelf);
        self.shelf.empty(ground);
        self.obey(outcome, ground);
    }

    /// What the reassembler made of a fragment whose header was seen, as all others of its datagram.
    fn obey<G: Ground<Buf = B>>(&mut self, outcome: Outcome<B>, ground: &mut G) {
        match outcome {
            Outcome::Pending => {}
            Outcome::Duplicate => self.counters.duplicates += 1,
            Outcome::Dropped(reason) => self.counters.drop_one(reason),
            Outcome::Whole(a) => {
                let checked = match a.buf.as_ref().get(..a.len) {
                    Some(payload) => self.check_udp(&a.key, payload),
                    None => Err(Reason::TooLong),
                };
                match checked {
                    Ok(Some((flow, len, by))) => {
                        let whole = Whole { flow, len, fragments: a.fragments, by };
                        self.count_copied(len);
                        ground.copied(whole, a.buf, wire::UDP);
                    }
                    Ok(None) => {
                        self.counters.drop_one(Reason::NotOurs);
                        ground.give(a.buf);
                    }
                    Err(reason) => {
                        self.counters.drop_one(reason);
                        ground.give(a.buf);
                    }
                }
            }
        }
    }
}

/// What a frame with intact headers is.
pub(crate) fn classify(frame: &[u8]) -> Kind {
    if wire::ether_type(frame) != Some(wire::TYPE_IPV4) {
        return Kind::Stranger;
    }
    match Ipv4::parse(&frame[ETHERNET..], frame.len() - ETHERNET) {
        Err(_) => Kind::Bad,
        Ok(ip) if ip.protocol != wire::PROTO_UDP => Kind::Stranger,
        Ok(ip) if ip.is_whole() => Kind::Single(ip),
        Ok(ip) => Kind::Fragment(ip),
    }
}

pub(crate) fn key(ip: &Ipv4) -> Key {
    Key { src: ip.src, dst: ip.dst, id: ip.id, protocol: ip.protocol }
}

pub(crate) fn same_datagram(a: &Ipv4, b: &Ipv4) -> bool {
    key(a) == key(b)
}
