//! [`Carried`]: the checksum and digest that a datagram arrived with, to be sent on with its unchanged
//! payload. [`Claims`]: what headers and tag say of a payload.
//!
//! A payload that is sent on from where it landed need not be read again, because its sums are known. The UDP
//! checksum then protects the bytes end to end. If the bytes differ from those that the first sender summed
//! (because a tag was the proof and nobody has read them, or because memory has changed), the next receiver
//! detects it. A newly computed sum would be correct for the changed bytes, and hide the change.

use crate::checksum::{self, Digest};
use crate::layout::{Geometry, Layout};
use crate::wire::{Flow, Udp};

/// The UDP checksum of a payload as its sender computed it, and the order digest of its pieces if that is
/// known.
///
/// This does not say that they were verified. What was verified is a part of the proof
/// ([`WholeBy`](crate::policy::WholeBy)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The checksum of the UDP header. It is never 0.
    checksum: u16,
    /// The order digest of LM's layout at this geometry: 32 bits from its tag, or 16 bits where there is no
    /// room for a tag.
    order: Option<u32>,
    geometry: Geometry,
}

impl Carried {
    /// What a UDP header says; `None`: its sender computed no checksum. `order` is what stood in the tag, or
    /// as identification where there is no room for one, of a datagram that was cut at `geometry`.
    #[inline]
    pub fn new(geometry: Geometry, udp: &Udp, order: Option<u32>) -> Option<Self> {
        Self::of_checksum(geometry, udp.checksum, order)
    }

    #[inline]
    pub(crate) fn of_checksum(geometry: Geometry, checksum: u16, order: Option<u32>) -> Option<Self> {
        (checksum != 0).then_some(Self { checksum, order, geometry })
    }

    /// The same of a payload that was summed, cut as `layout` says, be it LM's or another stack's. The order
    /// is known where LM would have cut it alike.
    pub fn summed(geometry: Geometry, layout: &Layout, udp: &Udp, digest: &Digest) -> Option<Self> {
        let ours = Layout::of_udp(geometry, layout.udp_len());
        let alike = ours.fragments() == layout.fragments();
        Self::new(geometry, udp, alike.then(|| order_of(&ours, digest)))
    }

    /// The checksum of the same payload between other addresses.
    pub fn checksum(&self, from: &Flow, to: &Flow) -> u16 {
        checksum::udp_moved(self.checksum, from, to)
    }

    /// The order digest of the same payload, cut by LM at `geometry`; `None`: it is not known.
    pub fn order(&self, geometry: Geometry) -> Option<u32> {
        self.order.filter(|_| geometry == self.geometry)
    }
}

/// The order digest of a payload's pieces, as LM's headers and tag have it.
fn order_of(layout: &Layout, digest: &Digest) -> u32 {
    if layout.tag().is_some() { digest.finish() } else { digest.finish16().into() }
}

/// What the headers and the tag of a datagram say of its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The UDP checksum; 0: none.
    pub checksum: u16,
    /// The order digest of 32 bits, or, where there is no room for a tag, of 16.
    pub order: Option<u32>,
}

impl Claims {
    /// Nothing.
    pub const NONE: Self = Self { checksum: 0, order: None };

    /// The checksum of a payload in one frame. One frame has no order digest.
    #[inline]
    pub fn of_sum(flow: &Flow, layout: &Layout, sum: u64) -> Self {
        Self { checksum: checksum::udp(flow, layout.udp_len() as u16, sum), order: None }
    }

    /// The checksum and the digest of a payload's pieces.
    #[inline]
    pub fn of_digest(flow: &Flow, layout: &Layout, digest: &Digest) -> Self {
        let order = (layout.fragments() > 1).then(|| order_of(layout, digest));
        Self { order, ..Self::of_sum(flow, layout, digest.sum()) }
    }

    /// What was said of a payload `from` others, about the same `to` others. `pieces` is asked for the digest
    /// of its pieces if their order counts and is not known.
    pub fn carried(
        carried: &Carried,
        [from, to]: [&Flow; 2],
        geometry: Geometry,
        layout: &Layout,
        pieces: impl FnOnce() -> Digest,
    ) -> Self {
        let order = (layout.fragments() > 1)
            .then(|| carried.order(geometry).unwrap_or_else(|| order_of(layout, &pieces())));
        Self { checksum: carried.checksum(from, to), order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::UDP;

    fn digest(layout: &Layout, payload: &[u8]) -> Digest {
        let (mut digest, mut rest) = (Digest::new(), payload);
        for i in 0..layout.fragments() {
            let (piece, behind) = rest.split_at(layout.piece(i).len());
            digest.push(checksum::piece(piece));
            rest = behind;
        }
        digest
    }

    fn udp(flow: &Flow, len: usize, checksum: u16) -> Udp {
        Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: len as u16, checksum }
    }

    /// At every boundary: what is carried is what a fresh sum would have said.
    #[test]
    fn what_is_carried_is_what_a_sum_says() {
        let g = Geometry::ETHERNET;
        let from = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 };
        let others = [from, from.reversed(), Flow { dst: 0xffff_ffff, dst_port: 0xffff, ..from }];
        let lengths = [0, 1, 2, 7, 63, 64, 1430, 1431, 1438, 1439, 1464, 1472, 1473, 2910, 2911, 2952, 2953];
        for len in lengths.into_iter().chain([7168, 16_384, 65_499, 65_500, 65_507]) {
            let payload: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            let layout = Layout::of_udp(g, len + UDP);
            let digest = digest(&layout, &payload);
            let said = Claims::of_digest(&from, &layout, &digest);
            let header = udp(&from, len + UDP, said.checksum);
            let summed = Carried::summed(g, &layout, &header, &digest).expect("a checksum");
            let told = Carried::new(g, &header, said.order).expect("a checksum");
            for to in &others {
                let fresh = Claims::of_digest(to, &layout, &digest);
                for carried in [summed, told] {
                    let again =
                        Claims::carried(&carried, [&from, to], g, &layout, || panic!("{len}: it is known"));
                    assert_eq!(again, fresh, "{len} bytes");
                }
            }
        }
    }

    /// A sum of all ones stays one of all ones: 0 would say that there is none.
    #[test]
    fn no_checksum_becomes_none() {
        for flow in [Flow { src: 0, dst: 0, src_port: 0, dst_port: 0 }; 1] {
            let ones = Flow { src: u32::MAX, dst: u32::MAX, src_port: 0xffff, dst_port: 0xffff };
            for (from, to) in [(flow, ones), (ones, flow), (ones, ones), (flow, flow)] {
                for checksum in 1..=u16::MAX {
                    let moved = checksum::udp_moved(checksum, &from, &to);
                    assert_ne!(moved, 0, "{checksum:#06x}");
                    assert_eq!(moved, checksum, "all ones are zero: {checksum:#06x}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_checksum_stays_as_wrong() {
        let g = Geometry::ETHERNET;
        let from = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 };
        let to = Flow { src: 0x0a00_0002, dst: 0xc0a8_1234, src_port: 9000, dst_port: 53 };
        let payload = [0x5a; 100];
        let layout = Layout::of_udp(g, payload.len() + UDP);
        let right = checksum::udp(&from, 108, checksum::sum(&payload));
        for wrong in (1..=u16::MAX).filter(|&wrong| wrong != right) {
            let header = udp(&from, 108, wrong);
            assert!(!checksum::udp_ok(&from, &header, checksum::sum(&payload)));
            let carried = Carried::new(g, &header, None).expect("a checksum");
            let again = Claims::carried(&carried, [&from, &to], g, &layout, Digest::new);
            assert!(
                !checksum::udp_ok(&to, &udp(&to, 108, again.checksum), checksum::sum(&payload)),
                "{wrong:#06x}"
            );
        }
    }

    #[test]
    fn another_mtu_needs_another_digest_and_has_the_same_sum() {
        let (a, b) = (Geometry::ETHERNET, Geometry::new(1400).expect("valid"));
        let flow = Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 };
        let payload: Vec<u8> = (0..7168_usize).map(|i| (i * 7) as u8).collect();
        let [la, lb] = [a, b].map(|g| Layout::of_udp(g, 7176));
        let digest_a = digest(&la, &payload);
        let said = Claims::of_digest(&flow, &la, &digest_a);
        let carried = Carried::new(a, &udp(&flow, 7176, said.checksum), said.order).expect("a checksum");
        let mut asked = false;
        let again = Claims::carried(&carried, [&flow, &flow], b, &lb, || {
            asked = true;
            digest(&lb, &payload)
        });
        assert!(asked && again.order != said.order && again.checksum == said.checksum);
        assert_eq!(again, Claims::of_digest(&flow, &lb, &digest(&lb, &payload)));
    }

    #[test]
    fn who_computed_none_has_none() {
        let flow = Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 };
        assert_eq!(Carried::new(Geometry::ETHERNET, &udp(&flow, 100, 0), Some(1)), None);
    }

    /// Another stack cuts 2911 bytes into two pieces, LM into three, the last of them empty.
    #[test]
    fn the_order_of_others_is_known_where_lm_cuts_alike() {
        let g = Geometry::ETHERNET;
        let flow = Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 };
        for (len, alike) in [(2910, true), (2911, false), (2952, false), (2953, true), (7168, true)] {
            let payload = vec![3; len];
            let plain = Layout::plain(g, len + UDP);
            let digest = digest(&plain, &payload);
            let header = udp(&flow, len + UDP, checksum::udp(&flow, (len + UDP) as u16, digest.sum()));
            let carried = Carried::summed(g, &plain, &header, &digest).expect("a checksum");
            assert_eq!(carried.order(g).is_some(), alike, "{len} bytes");
        }
    }
}
