//! [`Cutter`]: cuts long TCP packets of the kernel into segments for the wire, by DPDK's `rte_gso`.
//!
//! [`super::wireward`] calls it. The payload is copied once, from where the frame was read to, into an mbuf
//! for each segment, and it is summed on the way. DPDK's library puts headers in front of each segment. These
//! headers are completed here, in three ways:
//!
//! - The library computes no checksum. The checksums are written here.
//! - The library copies the flag that says that the window was reduced (CWR) to each header, because
//!   `update_tcp_header` in its `gso_common.h` clears only FIN and PSH. Only the first segment keeps it.
//! - Releases of DPDK read the types of VLAN tags differently. So the library gets a frame with an outer type
//!   that each release reads as lmd does ([`readable`]). Afterwards, the frame's own type is written back.

use std::ops::Range;

use lm_crossing::segment::Plan;
use lm_crossing::view::Ipv4View;
use lm_proto::checksum::copy_sum;
use lm_proto::wire::{ETHERNET, VLAN};
use rte::mempool::{Mempool, PoolError};
use rte::tcp::Segmenter;
use rte::{Eal, Mbuf};

/// Segments that are made at once. A packet of more is cut in parts.
const MOST: usize = 128;
/// Where the type of a frame is, which is that of its outer tag if there are tags.
const TYPE: Range<usize> = 12..14;
/// The longest headers: Ethernet with two tags, and IPv4 and TCP with 60 bytes each, options included.
pub(crate) const MOST_HEADERS: u16 = (ETHERNET + 2 * VLAN + 60 + 60) as u16;

/// What became of a long packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It was cut. If there is a rest, the rest is a packet of the same kind, which is still to be cut.
    Done(Option<Vec<u8>>),
    /// There are too few mbufs; nothing was cut.
    Short,
    /// It is no packet that can be cut.
    Never,
}

/// Cuts long TCP packets.
pub(crate) struct Cutter {
    segmenter: Segmenter,
    /// The segmenter's pools.
    pools: [Mempool; 2],
    /// mbufs for one packet's payload, and its segments; empty between two packets.
    made: Vec<Mbuf>,
    segments: Vec<Mbuf>,
    /// The sum of each segment's payload.
    sums: Vec<(u64, usize)>,
}

impl Cutter {
    /// Makes a cutter with two pools of its own, of so many mbufs each, on this NUMA node: one for headers,
    /// and one for mbufs that refer to payloads.
    pub(crate) fn new(eal: &Eal, mbufs: u32, socket: Option<u32>) -> Result<Self, PoolError> {
        let heads = Mempool::pktmbuf(eal, "lmd_tcp_heads", mbufs, 128, 0, 128 + MOST_HEADERS, socket)?;
        let shown = Mempool::pktmbuf(eal, "lmd_tcp_shown", mbufs, 128, 0, 0, socket)?;
        Ok(Self {
            pools: [heads.clone(), shown.clone()],
            segmenter: Segmenter::new(heads, shown),
            made: Vec::with_capacity(MOST),
            segments: Vec::with_capacity(MOST),
            sums: Vec::with_capacity(MOST),
        })
    }

    /// How many mbufs of its pools are out.
    pub(crate) fn out(&self) -> u32 {
        self.pools.iter().map(Mempool::in_use).sum()
    }

    /// Cuts a frame, whose IPv4 header is `ip`, into segments of so many bytes of payload, or of less if the
    /// wire's MTU says so, and gives each to `each`, first one first. `frames` has mbufs that have room for a
    /// frame of that MTU.
    pub(crate) fn cut(
        &mut self,
        (frame, ip): (&[u8], &Ipv4View),
        (segment, mtu): (u16, u16),
        frames: &Mempool,
        each: impl FnMut(Mbuf),
    ) -> Cut {
        let Some(mut plan) = Plan::of(frame, ip, segment, mtu) else { return Cut::Never };
        let n = plan.segments().min(MOST);
        if !frames.alloc_many(n as u16, &mut self.made) {
            return Cut::Short;
        }
        let cut = self.fill((frame, ip), &mut plan, n);
        let done =
            cut.and_then(|(rest, packet)| self.segment(packet, frame, &plan).map(|()| Cut::Done(rest)));
        self.made.clear();
        self.sums.clear();
        let done = done.unwrap_or_else(|failed| failed);
        if done == Cut::Short || done == Cut::Never {
            self.segments.clear();
        }
        self.segments.drain(..).for_each(each);
        done
    }

    /// Makes one packet of mbufs with a segment's payload each, the headers in the first one.
    fn fill(
        &mut self,
        (frame, ip): (&[u8], &Ipv4View),
        plan: &mut Plan,
        n: usize,
    ) -> Result<(Option<Vec<u8>>, Mbuf), Cut> {
        let headers = frame.get(..plan.headers).ok_or(Cut::Never)?;
        let parts = frame[plan.headers..plan.end].chunks(plan.payload).take(n);
        for (i, (mbuf, part)) in self.made.iter_mut().zip(parts).enumerate() {
            let front = if i == 0 { headers } else { &[] };
            let to = mbuf.append((front.len() + part.len()) as u16).ok_or(Cut::Never)?;
            let (head, payload) = to.split_at_mut(front.len());
            head.copy_from_slice(front);
            self.sums.push((copy_sum(payload, part), part.len()));
        }
        let first = self.made.first_mut().and_then(Mbuf::data_mut).ok_or(Cut::Never)?;
        let rest = plan.split(frame, first, n);
        first[TYPE].copy_from_slice(&readable(frame, ip));
        let mut packet = self.made.pop().ok_or(Cut::Never)?;
        while let Some(mut front) = self.made.pop() {
            front.chain(packet).map_err(|_| Cut::Never)?;
            packet = front;
        }
        Ok((rest, packet))
    }

    /// Cuts the packet, and completes the segments' headers.
    fn segment(&mut self, mut packet: Mbuf, frame: &[u8], plan: &Plan) -> Result<(), Cut> {
        let cut = self.segmenter.cut(&mut packet, plan.payload as u16, &mut self.segments);
        match cut.map_err(rte::Errno::number) {
            Ok(0) => self.segments.push(packet),
            Ok(_) => {}
            Err(NO_MEMORY) => return Err(Cut::Short),
            Err(_) => return Err(Cut::Never),
        }
        for (i, (segment, &(sum, len))) in self.segments.iter_mut().zip(&self.sums).enumerate() {
            let headers =
                segment.data_mut().and_then(|data| data.get_mut(..plan.headers)).ok_or(Cut::Never)?;
            headers[TYPE].copy_from_slice(&frame[TYPE]);
            plan.complete(headers, sum, len, i == 0);
        }
        Ok(())
    }
}

/// The type of a frame's outer tag, or of its packet if it has no tag, for which DPDK finds the packet where
/// it is. `rte_net_get_ptype` of 22.11 looks for two tags behind 0x88a8, and for one behind 0x8100. It does
/// not look at the type of a second tag.
fn readable(frame: &[u8], ip: &Ipv4View) -> [u8; 2] {
    match (ip.at - ETHERNET) / VLAN {
        0 => [frame[12], frame[13]],
        1 => [0x81, 0],
        _ => [0x88, 0xa8],
    }
}

/// Why there are too few mbufs.
const NO_MEMORY: i32 = rustix::io::Errno::NOMEM.raw_os_error();
