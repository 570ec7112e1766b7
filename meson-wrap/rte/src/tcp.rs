//! Long TCP over IPv4, by DPDK's own libraries: a [`Segmenter`] cuts a packet into segments (`rte_gso`), and
//! [`join`] makes one packet of segments (`rte_gro`).
//!
//! Neither computes a checksum: IPv4's and TCP's are the caller's to complete.

use std::ptr::NonNull;

use dpdk_sys::{rte_gro_param, rte_gso_ctx, rte_mbuf, rte_net_hdr_lens};

use crate::mbuf::Showing;
use crate::mempool::Mempool;
use crate::{Errno, Mbuf};

/// Frames that [`join`] looks at.
pub const MOST: usize = dpdk_sys::RTE_GRO_MAX_BURST_ITEM_NUM as usize;

const ETHERNET: usize = 14;
const TCP: usize = 20;
const HEADROOM: usize = dpdk_sys::RTE_PKTMBUF_HEADROOM as usize;
/// The headers that `rte_gso` asks for at least, and a byte of payload.
const LEAST: usize = ETHERNET + 20 + TCP + 1;

/// What asks `rte_gso` to cut a packet.
const FLAGS: u64 = dpdk_sys::RTE_MBUF_F_TX_TCP_SEG | dpdk_sys::RTE_MBUF_F_TX_IPV4;

/// The lengths of a packet's headers: Ethernet with its tags, IPv4, TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lens {
    link: u16,
    ip: u16,
    tcp: u16,
}

impl Lens {
    fn sum(self) -> usize {
        usize::from(self.link) + usize::from(self.ip) + usize::from(self.tcp)
    }
}

/// Finds the headers of a TCP segment over IPv4, all of which lie in its first mbuf, and writes the packet's
/// type and the lengths into that mbuf. `None`: it is no such packet, or a fragment.
fn classify(packet: &mut Mbuf) -> Option<Lens> {
    // SAFETY: numbers: zeroes are lengths of nothing.
    let mut lens: rte_net_hdr_lens = unsafe { std::mem::zeroed() };
    // SAFETY: a valid packet of ours, whose lengths DPDK checks as it reads.
    let kind = unsafe { dpdk_sys::rte_net_get_ptype(packet.as_ptr(), &raw mut lens, u32::MAX) };
    let layers = dpdk_sys::RTE_PTYPE_L4_MASK | dpdk_sys::RTE_PTYPE_TUNNEL_MASK;
    let ipv4 = [
        dpdk_sys::RTE_PTYPE_L3_IPV4,
        dpdk_sys::RTE_PTYPE_L3_IPV4_EXT,
        dpdk_sys::RTE_PTYPE_L3_IPV4_EXT_UNKNOWN,
    ];
    if kind & layers != dpdk_sys::RTE_PTYPE_L4_TCP || !ipv4.contains(&(kind & dpdk_sys::RTE_PTYPE_L3_MASK)) {
        return None;
    }
    let lens = Lens { link: lens.l2_len.into(), ip: lens.l3_len, tcp: lens.l4_len.into() };
    let tcp = usize::from(lens.tcp);
    // DPDK believes what TCP's header says of its length.
    if !(TCP..=60).contains(&tcp) || lens.sum() > packet.data().len() {
        return None;
    }
    let raw = packet.as_ptr();
    // SAFETY: a valid mbuf of ours, and numbers in it that nobody else looks at.
    unsafe {
        (*raw).packet_type = kind;
        dpdk_sys::dpdk_sys_mbuf_set_header_lens(raw, lens.link, lens.ip, lens.tcp);
    }
    Some(lens)
}

/// Cuts long TCP packets into segments.
#[derive(Clone, Debug)]
pub struct Segmenter {
    direct: Mempool,
    indirect: Mempool,
}

impl Segmenter {
    /// One whose segments have their headers in mbufs from `direct`, and show the packet's own payload
    /// through mbufs from `indirect`.
    pub fn new(direct: Mempool, indirect: Mempool) -> Self {
        Self { direct, indirect }
    }

    /// Cuts a packet into segments with this many bytes of payload, and pushes them to `out`, first one
    /// first. Each is two mbufs or more. Identifications count up. FIN and PSH are the last one's; all other
    /// flags are everybody's. Returns how many they are: 0 if the packet has no more payload than that, and
    /// nothing is pushed.
    ///
    /// The packet may be dropped while segments live. Its data cannot be changed until they are gone.
    ///
    /// # Errors
    /// EINVAL: it is no TCP over IPv4 whose headers lie in its first mbuf, or mbufs of `direct` have no room
    /// for these, or a segment would be longer than 65,535 bytes; ENOMEM: mbufs are short; EMLINK: too many
    /// mbufs show the packet's data.
    pub fn cut(&self, packet: &mut Mbuf, payload: u16, out: &mut Vec<Mbuf>) -> Result<usize, Errno> {
        let wrong = Errno::of_return(-libc::EINVAL);
        let lens = classify(packet).ok_or(wrong)?;
        let room = usize::from(self.direct.data_room()).saturating_sub(HEADROOM);
        let size = lens.sum() + usize::from(payload);
        let len = packet.pkt_len() as usize;
        let gso_size = u16::try_from(size).ok().filter(|_| payload > 0 && size >= LEAST).ok_or(wrong)?;
        if lens.sum() > room {
            return Err(wrong);
        }
        let most = (len - lens.sum()).div_ceil(usize::from(payload));
        let most = u16::try_from(most).map_err(|_| wrong)?;
        if most < 2 {
            return Ok(0);
        }
        let _showing = Showing::begin(packet, most)?;
        out.reserve(most.into());
        let context = rte_gso_ctx {
            direct_pool: self.direct.as_ptr(),
            indirect_pool: self.indirect.as_ptr(),
            flag: 0,
            gso_types: dpdk_sys::RTE_ETH_TX_OFFLOAD_TCP_TSO as u32,
            gso_size,
        };
        let first = out.len();
        let raw = packet.as_ptr();
        let free = out.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: a valid packet of ours whose type and header lengths were just found out; its headers lie
        // in its first mbuf, and mbufs of `direct` have room for them. `out` has room for `most` pointers,
        // which is what `Mbuf`s are. The pools live. The payload is shared by reference count, which does not
        // overflow.
        let n = unsafe {
            (*raw).ol_flags |= FLAGS;
            let n = dpdk_sys::rte_gso_segment(raw, &raw const context, free, most);
            (*raw).ol_flags &= !FLAGS;
            n
        };
        Errno::check(n.min(0))?;
        // SAFETY: DPDK has made so many packets, which nobody else has.
        unsafe { out.set_len(first + (n as usize).min(most.into())) };
        for segment in &mut out[first..] {
            let raw = segment.as_ptr();
            // SAFETY: a valid mbuf of ours. What a driver would take for a request to it is not one.
            unsafe {
                (*raw).ol_flags &= !FLAGS;
                (*raw).tx_offload = 0;
            }
        }
        Ok(out.len() - first)
    }
}

/// Joins frames that are segments of TCP over IPv4: what follows one another in a connection becomes one
/// packet, whose headers are the first one's, but for IPv4's length. Returns `false`, and changes nothing
/// that anybody could see, unless each frame is such a segment, in one mbuf that is the only one that shows
/// it, without anything behind the packet, and there are one to [`MOST`] of them.
///
/// DPDK's library compares addresses, ports, acknowledgements, TCP's options, DF and, without DF,
/// identifications. It does not compare types of service, times to live, IPv4's options and windows
/// (`check_seq_option` in `gro_tcp4.h` of 22.11, in `gro_tcp.h` later), and it verifies no checksum. A
/// segment with another flag than ACK, or without payload, is not joined and comes out in front of all others
/// (`rte_gro_reassemble_burst`). So the caller chooses which frames are joined.
pub fn join(frames: &mut Vec<Mbuf>) -> bool {
    // For none, `rte_gro_reassemble_burst` has an array without elements, which C does not define.
    if frames.is_empty() || frames.len() > MOST || !frames.iter_mut().all(is_joinable) {
        return false;
    }
    let (n, param) = (frames.len() as u16, param(frames.len() as u16));
    let raw: *mut *mut rte_mbuf = frames.as_mut_ptr().cast();
    // SAFETY: so many pointers to valid packets of ours, no two of them the same, whose types and header
    // lengths were just found out; each is one mbuf, has its headers in it, and may be written to. DPDK
    // leaves those that are left in front; the others have become their segments.
    unsafe {
        let left = dpdk_sys::rte_gro_reassemble_burst(raw, n, &raw const param);
        frames.set_len(left.min(n).into());
    }
    true
}

/// One connection, or as many as there are frames.
fn param(n: u16) -> rte_gro_param {
    rte_gro_param {
        gro_types: 1 << dpdk_sys::RTE_GRO_TCP_IPV4_INDEX,
        max_flow_num: n,
        max_item_per_flow: 1,
        socket_id: 0,
    }
}

fn is_joinable(frame: &mut Mbuf) -> bool {
    let Some(lens) = classify(frame).filter(|_| frame.nb_segs() == 1) else { return false };
    let at = usize::from(lens.link);
    let Some(data) = frame.data_mut() else { return false };
    let len = usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
    // What is behind the packet would be taken off.
    at + len == data.len()
}

/// For the compiler: `Mbuf`s are pointers.
const _: () = assert!(size_of::<Mbuf>() == size_of::<NonNull<rte_mbuf>>());
