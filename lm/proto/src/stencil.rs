//! [`Stencil`]: headers and tag of datagrams that make one frame each, between the same two ends. What all of
//! them have in common is written and summed once.
//!
//! [`Seal`](crate::alf::Seal) does the same for a datagram of any number of frames.
//!
//! The sender of `lm-engine` keeps one for the ends that it sent to last. The frames are byte for byte those
//! that [`Seal`](crate::alf::Seal) would make.

use crate::alf::Ends;
use crate::layout::{Geometry, TAG};
use crate::tag::{self, Identity};
use crate::wire::{ETHERNET, Fragments, HEADERS, UDP, Udp};

/// The length in bytes of the frame that a payload of this length makes with its tag. `None`: it makes
/// several.
#[inline]
pub fn single_frame(geometry: Geometry, payload: usize) -> Option<usize> {
    // Clear of the guard: `layout` has the rules.
    let len = payload.checked_add(UDP + TAG)?;
    (len <= geometry.stride() - HEADERS).then(|| HEADERS + len)
}

/// The parts of headers and tag that all datagrams between two ends share.
#[derive(Clone, Debug)]
pub struct Stencil {
    ends: Ends,
    ethernet: [u8; ETHERNET],
    /// With an identification of 0.
    ip: Fragments,
    /// [`Identity::base`], with a length of 0.
    base: u64,
}

impl Stencil {
    /// Makes the parts for datagrams between these ends.
    pub fn new(ends: &Ends) -> Self {
        let (ethernet, ip) = ends.headers(0);
        let base = Identity { flow: ends.flow, ip_id: 0, udp_len: 0, udp_checksum: 0 }.base();
        Self { ends: *ends, ethernet, ip, base }
    }

    /// Whether it is for these.
    #[inline]
    pub fn is_for(&self, ends: &Ends) -> bool {
        self.ends == *ends
    }

    /// The headers in front of a payload of `len` bytes that makes [one frame](single_frame), and the tag
    /// behind it. `checksum` is that of UDP.
    #[inline]
    pub fn seal(&self, len: usize, id: u16, checksum: u16) -> ([u8; HEADERS + UDP], [u8; TAG]) {
        let flow = &self.ends.flow;
        let udp_len = (UDP + len) as u16;
        let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: udp_len, checksum };
        let mut headers = [0; HEADERS + UDP];
        headers[..ETHERNET].copy_from_slice(&self.ethernet);
        headers[ETHERNET..HEADERS].copy_from_slice(&self.ip.of_datagram(id, udp_len + TAG as u16));
        headers[HEADERS..].copy_from_slice(&udp.bytes());
        (headers, tag::plain(self.base ^ u64::from(udp_len), id, checksum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alf::Seal;
    use crate::carried::Claims;
    use crate::layout::Layout;
    use crate::wire::Flow;

    /// Every length at several MTUs: what is one frame is that of the layout, and the frame is what a seal
    /// makes of it.
    #[test]
    fn a_stencil_writes_what_a_seal_writes() {
        let flow = Flow { src: 0x0a00_0001, dst: 0xffff_fffe, src_port: 7000, dst_port: 9000 };
        let ends = Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], flow };
        let others = Ends { dst_mac: [2, 0, 0, 0, 0, 3], flow: flow.reversed(), ..ends };
        for ends in [ends, others] {
            let stencil = Stencil::new(&ends);
            assert!(stencil.is_for(&ends));
            for mtu in [576, 577, 1500, 9000, 9216] {
                let g = Geometry::new(mtu).expect("valid");
                for len in 0..=usize::from(mtu) {
                    let layout = Layout::new(g, len).expect("fits");
                    let frame = HEADERS + layout.fragment_len(0);
                    assert_eq!(single_frame(g, len), (layout.fragments() == 1).then_some(frame), "{len}");
                    if layout.fragments() > 1 {
                        continue;
                    }
                    let (id, checksum) = ((len * 71) as u16, (len * 517) as u16);
                    let (headers, tag) = stencil.seal(len, id, checksum);
                    let seal = Seal::new(g, layout, &ends, id, Claims { checksum, order: None });
                    let mut front = [1; HEADERS + UDP];
                    assert!(seal.front(0) == front.len() && seal.put_front(0, &mut front));
                    assert_eq!(headers, front, "{len} bytes, MTU {mtu}");
                    let mut behind = [1; TAG];
                    assert_eq!(frame, headers.len() + len + behind.len());
                    seal.tail(0, &mut behind);
                    assert_eq!(tag, behind, "{len} bytes, MTU {mtu}");
                }
            }
        }
        assert!(!Stencil::new(&ends).is_for(&others));
    }

    #[test]
    fn no_length_is_too_long_to_be_asked_about() {
        for len in [65_507, usize::MAX - 41, usize::MAX] {
            assert_eq!(single_frame(Geometry::ETHERNET, len), None);
        }
    }
}
