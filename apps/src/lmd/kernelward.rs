//! [`Kernelward`]: gives the kernel what came from the wire.
//!
//! [`super::daemon`] calls it for each frame and datagram that a poll has received. A datagram is one write,
//! by the parts that it lies in. Everything else is written as the frame that it came in, except fragments of
//! other protocols than UDP, which are put together here, and segments of TCP, which are joined. No write
//! waits: what the kernel has no room for is dropped and counted.

use std::io::IoSlice;

use lm_crossing::inward;
use lm_crossing::mss;
use lm_crossing::view::{Ipv4View, vlans};
use lm_crossing::virtio::{self, Header};
use lm_engine::Message;
use lm_node::Arrival;
use lm_proto::checksum;
use lm_proto::reassembler::{Fragment, Key, Limits, Outcome, Reassembler, Store};
use lm_proto::wire::Mac;
use lm_tap::Tap;
use rte::Mbuf;

use super::joiner::{Joiner, SEGMENTS};
use super::tally::Tally;

/// Packets of other protocols that are put together at once, in each VLAN.
const OTHERS: usize = 16;
/// VLANs in which packets are put together at once, besides frames without a tag.
const VLANS: usize = 4;
/// Bounds of what puts the packets of one VLAN together. Nothing of them waits where it landed.
const LIMITS: Limits =
    Limits { datagrams: OTHERS, timeout_ns: Limits::MAX_TIMEOUT_NS, waiting: 0, window: 0 };
/// Parts of a datagram that are written where they lie. One that lies in more is copied together first.
const PARTS: usize = 128;
/// A joined packet has a part for each segment, and one for the header in front.
const _: () = assert!(SEGMENTS < PARTS);

/// Who puts packets together, for each VLAN.
type Others = Vec<([[u16; 2]; 2], Reassembler<Vec<u8>>)>;

/// Buffers for packets of other protocols.
#[derive(Default)]
struct Buffers(Vec<Vec<u8>>);

impl Store for Buffers {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        Some(self.0.pop().unwrap_or_else(|| vec![0; 1 << 16]))
    }
    fn give(&mut self, buf: Vec<u8>) {
        if self.0.len() < OTHERS {
            self.0.push(buf);
        }
    }
}

/// Moves frames and datagrams from the wire to the kernel's interface.
pub(crate) struct Kernelward {
    mac: Mac,
    mtu: u16,
    /// Puts packets together, each VLAN's by themselves: their addresses and identifications may be the
    /// same. The first one is for frames without a tag.
    others: Others,
    buffers: Buffers,
    /// Where a packet of another protocol gets its headers.
    frame: Vec<u8>,
    id: u16,
    /// `None`: segments of TCP are not joined.
    joiner: Option<Joiner>,
}

impl Kernelward {
    /// For an interface with this MAC address, from a wire with this MTU. `joins`: segments of TCP are
    /// joined.
    pub(crate) fn new(mac: Mac, mtu: u16, joins: bool) -> Self {
        Self {
            mac,
            mtu,
            others: vec![(Default::default(), Reassembler::new(LIMITS))],
            buffers: Buffers::default(),
            frame: Vec::new(),
            id: 0,
            joiner: joins.then(Joiner::default),
        }
    }

    /// The most memory that it takes.
    pub(crate) fn memory() -> usize {
        let each = (OTHERS << 16) + LIMITS.tables();
        (OTHERS << 16) + (1 + VLANS) * each
    }

    /// Gives the kernel what came, at a time in ns. Segments of TCP may wait for [`Kernelward::flush`], and
    /// nothing else overtakes them.
    pub(crate) fn take(&mut self, arrival: Arrival, tap: &Tap, now: u64, tally: &mut Tally) {
        match arrival {
            Arrival::Message(message) => {
                self.flush(tap, tally);
                self.message(message, tap, tally);
            }
            Arrival::Frame(frame) => self.frame(frame, tap, now, tally),
        }
    }

    /// Gives the kernel the segments that wait, as packets. This ends a poll.
    pub(crate) fn flush(&mut self, tap: &Tap, tally: &mut Tally) {
        if let Some(joiner) = &mut self.joiner {
            joiner.flush(|packet, header| packet_of_tcp(&packet, &header, tap, tally));
        }
    }

    fn message(&mut self, mut message: Message, tap: &Tap, tally: &mut Tally) {
        // The identification of a whole datagram has no meaning (RFC 6864), but programs may show it.
        self.id = self.id.wrapping_add(1);
        let headers = inward::headers(
            &message.flow(),
            message.service().unwrap_or_default(),
            self.mac,
            self.id,
            message.len(),
        );
        if message.pieces().len() >= PARTS {
            message.contiguous();
        }
        if write_pieces(&headers, message.pieces(), tap, tally).is_some() {
            tally.whole += 1;
        }
    }

    fn frame(&mut self, mut frame: Mbuf, tap: &Tap, now: u64, tally: &mut Tally) {
        // Frames for other stations are shown to programs that capture all frames; the kernel drops them.
        let is_ours = frame.data().first_chunk().is_some_and(|to: &Mac| to[0] & 1 == 1 || *to == self.mac);
        if let Some(data) = frame.data_mut() {
            tally.clamped += u64::from(mss::clamp(data, self.mtu, false));
        }
        let mut frame = Some(frame);
        if is_ours && let Some(joiner) = &mut self.joiner {
            let taken = frame.take().map(|frame| {
                joiner.take(frame, |packet, header| packet_of_tcp(&packet, &header, tap, tally))
            });
            frame = taken.and_then(Result::err);
        }
        let Some(frame) = frame else { return };
        self.flush(tap, tally);
        if is_ours && let Some(ip) = Ipv4View::of(frame.data()).filter(Ipv4View::is_fragment) {
            return self.fragment(frame.data(), &ip, tap, now, tally);
        }
        let none = Header::default().bytes();
        if write(tap, &[IoSlice::new(&none), IoSlice::new(frame.data())], tally) {
            tally.frames += 1;
        }
    }

    fn fragment(&mut self, frame: &[u8], ip: &Ipv4View, tap: &Tap, now: u64, tally: &mut Tally) {
        let Ipv4View { src, dst, id, protocol, .. } = *ip;
        if checksum::header(&frame[ip.at..ip.payload]) != 0 {
            tally.fragments_lost += 1;
            return;
        }
        let data = &frame[ip.payload..ip.end];
        let fragment = Fragment { offset: ip.offset as u32, more: ip.more, service: ip.service(), data };
        let key = Key { src, dst, id, protocol };
        let Some(others) = of_vlan(&mut self.others, vlans(frame)) else {
            tally.fragments_lost += 1;
            return;
        };
        match others.insert(now, key, fragment, &mut self.buffers) {
            Outcome::Pending | Outcome::Duplicate => {}
            Outcome::Dropped(_) => tally.fragments_lost += 1,
            Outcome::Whole(whole) => {
                // The header of the fragment that came last. What differs in a whole packet is set below.
                self.frame.clear();
                self.frame.extend_from_slice(&Header::default().bytes());
                self.frame.extend_from_slice(&frame[..ip.at + 20]);
                let at = virtio::LEN + ip.at;
                let header = &mut self.frame[at..];
                header[0] = 0x45;
                header[1] = whole.service.tos;
                header[8] = whole.service.ttl;
                header[2..4].copy_from_slice(&((20 + whole.len) as u16).to_be_bytes());
                header[6..8].fill(0);
                header[10..12].fill(0);
                let sum = checksum::header(header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                let parts = [IoSlice::new(&self.frame), IoSlice::new(&whole.buf[..whole.len])];
                if write(tap, &parts, tally) {
                    tally.other_whole += 1;
                }
                self.buffers.give(whole.buf);
            }
        }
    }

    /// Drops packets whose fragments have waited for too long.
    pub(crate) fn expire(&mut self, now: u64, tally: &mut Tally) {
        for (_, others) in &mut self.others {
            others.expire(now, &mut self.buffers, |_, _| tally.fragments_lost += 1);
        }
    }
}

/// Who puts the packets of these VLANs together. `None`: there are packets of too many others.
fn of_vlan(all: &mut Others, vlans: [[u16; 2]; 2]) -> Option<&mut Reassembler<Vec<u8>>> {
    let known = all.iter().position(|(of, _)| *of == vlans);
    // One that has nothing to do serves another VLAN. Only the first one stays what it is.
    let free = || all.iter().skip(1).position(|(_, others)| others.is_empty()).map(|i| i + 1);
    let i = match known.or_else(free) {
        Some(i) => i,
        None if all.len() <= VLANS => {
            all.push((vlans, Reassembler::new(LIMITS)));
            all.len() - 1
        }
        None => return None,
    };
    all[i].0 = vlans;
    Some(&mut all[i].1)
}

/// Writes a frame that is a header and the pieces behind it. Returns how many parts those were, or `None` if
/// the frame is dropped. There are fewer pieces than [`PARTS`].
fn write_pieces<'a>(
    header: &'a [u8],
    pieces: impl Iterator<Item = &'a [u8]>,
    tap: &Tap,
    tally: &mut Tally,
) -> Option<usize> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    parts[0] = IoSlice::new(header);
    let mut n = 1;
    for (part, piece) in parts[1..].iter_mut().zip(pieces) {
        *part = IoSlice::new(piece);
        n += 1;
    }
    write(tap, &parts[..n], tally).then_some(n)
}

/// Writes a frame of TCP, or a packet that segments were joined to.
fn packet_of_tcp(packet: &Mbuf, header: &Header, tap: &Tap, tally: &mut Tally) {
    let header = header.bytes();
    if let Some(n) = write_pieces(&header, packet.segments(), tap, tally) {
        tally.frames += u64::from(n <= 2);
        tally.joined += u64::from(n > 2);
    }
}

/// Writes a frame. It never waits: a frame for which the kernel has no room is dropped and counted.
fn write(tap: &Tap, parts: &[IoSlice<'_>], tally: &mut Tally) -> bool {
    match tap.write(parts) {
        Ok(()) => true,
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            tally.down += 1;
            false
        }
        Err(_) => {
            tally.refused += 1;
            false
        }
    }
}
