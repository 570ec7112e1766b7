//! DPDK's own IPv4 fragmentation: [`fragment`] cuts a packet, a [`Reassembler`] chains fragments together
//! again.
//!
//! Neither copies payload, and neither makes it contiguous: what comes out is a chain of segments, of at most
//! [`MAX_FRAGMENTS`].

use std::ptr::NonNull;
use std::{error, fmt};

use dpdk_sys::{rte_ip_frag_death_row, rte_ip_frag_tbl, rte_ipv4_hdr};

use crate::mbuf::Showing;
use crate::mempool::Mempool;
use crate::{Eal, Errno, Mbuf};

/// Fragments that a packet may have. The [`Reassembler`] drops packets of more fragments.
pub const MAX_FRAGMENTS: usize = dpdk_sys::RTE_LIBRTE_IP_FRAG_MAX_FRAG as usize;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const HEADROOM: usize = dpdk_sys::RTE_PKTMBUF_HEADROOM as usize;

/// Cuts an IPv4 packet (without an Ethernet header, with an IPv4 header of 20 bytes) for an MTU, and pushes
/// the fragments to `out`, first one first. Their headers are mbufs from `direct`, with headroom for an
/// Ethernet header; their payload is the packet's own, shown through mbufs from `indirect`.
///
/// # Errors
/// EINVAL if a packet of this length and MTU cannot be cut into [`MAX_FRAGMENTS`], if its last segment is one
/// of several and empty, or if an mbuf of `direct` has no room for both headers; ENOMEM if mbufs are short;
/// EMLINK if too many mbufs show the packet's data.
pub fn fragment(
    packet: &Mbuf,
    mtu: u16,
    direct: &Mempool,
    indirect: &Mempool,
    out: &mut Vec<Mbuf>,
) -> Result<(), Errno> {
    let mut made = [std::ptr::null_mut(); MAX_FRAGMENTS];
    let is_ipv4 = packet.data().first() == Some(&0x45) && packet.data().len() >= IPV4;
    // DPDK counts the bytes in 16 bits when it checks for too many fragments, and it writes a header without
    // checking the room. It goes on as long as there are segments, and so makes one more fragment of empty
    // ones behind a full last fragment.
    let has_room = usize::from(direct.data_room()) >= HEADROOM + IPV4;
    let ends_empty = packet.segments().last().is_none_or(<[u8]>::is_empty);
    if !is_ipv4 || !has_room || ends_empty || packet.pkt_len() > u32::from(u16::MAX) {
        return Err(Errno::of_return(-libc::EINVAL));
    }
    let _showing = Showing::begin(packet, MAX_FRAGMENTS as u16)?;
    // SAFETY: a valid packet that begins with an IPv4 header of 20 bytes, has no more bytes than DPDK can
    // count, and ends with some, so that it stops at the places that `made` has; the pools live, and mbufs of
    // `direct` have room for a header. No count of who shows a segment overflows. The packet's segments are
    // shared by reference count, so it may be dropped while fragments live.
    let n = unsafe {
        dpdk_sys::rte_ipv4_fragment_packet(
            packet.as_ptr(),
            made.as_mut_ptr(),
            MAX_FRAGMENTS as u16,
            mtu,
            direct.as_ptr(),
            indirect.as_ptr(),
        )
    };
    Errno::check(n.min(0))?;
    for &mbuf in &made[..(n as usize).min(MAX_FRAGMENTS)] {
        // SAFETY: DPDK has made these, and nobody else has them.
        out.extend(NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) }));
    }
    Ok(())
}

/// Puts the fragments of packets together. It belongs to one thread at a time.
pub struct Reassembler {
    table: NonNull<rte_ip_frag_tbl>,
    dead: Box<rte_ip_frag_death_row>,
    _eal: Eal,
}

// SAFETY: the table is used through `&mut` only, and cares for no thread; the mbufs in it are as `Mbuf`s are.
unsafe impl Send for Reassembler {}

impl Reassembler {
    /// A table of `packets` incomplete packets, each of which may take `seconds`.
    ///
    /// # Errors
    /// [`NoTable`].
    pub fn new(eal: &Eal, packets: u32, seconds: u32) -> Result<Self, NoTable> {
        const ENTRIES: u32 = 16;
        // SAFETY: EAL is initialised; DPDK checks the numbers.
        let table = unsafe {
            let cycles = dpdk_sys::rte_get_tsc_hz() * u64::from(seconds);
            dpdk_sys::rte_ip_frag_table_create(packets, ENTRIES, packets, cycles, dpdk_sys::SOCKET_ID_ANY)
        };
        // SAFETY: a count and an array of pointers: zeroes are an empty row.
        let dead = Box::new(unsafe { std::mem::zeroed() });
        let table = NonNull::new(table).ok_or(NoTable { packets })?;
        Ok(Self { table, dead, _eal: eal.clone() })
    }

    /// Takes a frame (Ethernet without a VLAN tag, IPv4 without options, in one segment). Returns the packet
    /// that this frame completed, which is the frame itself if it is no fragment. Other frames, and frames
    /// with wrong lengths, are dropped.
    pub fn take(&mut self, mut frame: Mbuf) -> Option<Mbuf> {
        let bytes = frame.data();
        let (ethernet, ip) = bytes.split_at_checked(ETHERNET)?;
        let header = ip.get(..IPV4)?;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if ethernet[12..] != [8, 0] || header[0] != 0x45 || !(IPV4 + 1..=ip.len()).contains(&total) {
            return None;
        }
        // The bytes behind the packet are Ethernet's padding.
        let whole = (ETHERNET + total) as u16;
        let offset = u16::from_be_bytes([header[6], header[7]]);
        // DPDK writes into the headers of what it has put together.
        let at = frame.data_mut()?.get_mut(ETHERNET..)?.as_mut_ptr().cast::<rte_ipv4_hdr>();
        // SAFETY: a packet of one segment (`burst` of a queue without scattered receive; checked below) of
        // ours.
        unsafe {
            let raw = &mut *frame.as_ptr();
            if raw.nb_segs != 1 {
                return None;
            }
            raw.data_len = whole;
            raw.pkt_len = u32::from(whole);
            dpdk_sys::dpdk_sys_mbuf_set_header_lens(raw, ETHERNET as u16, IPV4 as u16, 0);
        }
        if offset & 0x3fff == 0 {
            return Some(frame);
        }
        let now = crate::ticks();
        // SAFETY: the table and the row are ours; the frame is given away; `at` is its IPv4 header, in the
        // first segment, and all its lengths were checked above.
        let out = unsafe {
            let raw = frame.into_raw().as_ptr();
            let out = dpdk_sys::rte_ipv4_frag_reassemble_packet(
                self.table.as_ptr(),
                &raw mut *self.dead,
                raw,
                now,
                at,
            );
            if self.dead.cnt > 0 {
                dpdk_sys::rte_ip_frag_free_death_row(&raw mut *self.dead, 3);
            }
            out
        };
        // SAFETY: DPDK gives the packet away.
        NonNull::new(out).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }
}

impl Drop for Reassembler {
    fn drop(&mut self) {
        // SAFETY: ours, for the last time; fragments that still wait are freed with it.
        unsafe { dpdk_sys::rte_ip_frag_table_destroy(self.table.as_ptr()) };
    }
}

/// No memory for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTable {
    /// How many packets it was to hold.
    pub packets: u32,
}

impl fmt::Display for NoTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no table for {} packets in fragments: give EAL more memory (-m)", self.packets)
    }
}

impl error::Error for NoTable {}
