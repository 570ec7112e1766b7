//! TCP over IPv4 in segments: [`Plan`] says how a long packet is cut, and completes the headers of what it
//! was cut into. [`verify`] checks the checksums of a segment from the wire.
//!
//! lmd calls the first for long packets of TCP from the kernel, and the second for segments before it joins
//! them. A packet that is not plain TCP over IPv4, or whose lengths do not fit, has no plan and is not
//! verified. Headers are completed with right lengths and checksums.

use lm_proto::checksum::{header, sum};

use crate::view::{Ipv4View, be16, put16};

/// Protocol number of TCP.
pub(crate) const PROTO_TCP: u8 = 6;
/// Bytes of a TCP header without options.
pub(crate) const TCP: usize = 20;
/// Where TCP's checksum is in its header.
pub(crate) const FIELD: usize = 16;
/// Where TCP's flags are in its header.
pub(crate) const FLAGS: usize = 13;
/// The window was reduced, as an answer to congestion: said once (RFC 3168, section 6.1.2).
const CWR: u8 = 0x80;
/// FIN and PSH, which are the last segment's.
const LAST: u8 = 0x09;

/// Where the headers of a TCP segment end in a frame. `None`: it is none, is a fragment, or ends before them.
pub(crate) fn headers(frame: &[u8], ip: &Ipv4View) -> Option<usize> {
    let tcp = frame.get(ip.payload..ip.end).filter(|tcp| tcp.len() >= TCP)?;
    let len = usize::from(tcp[12] >> 4) * 4;
    let good = ip.protocol == PROTO_TCP && !ip.is_fragment() && (TCP..=tcp.len()).contains(&len);
    good.then_some(ip.payload + len)
}

/// The sum of TCP's pseudo header (RFC 9293, section 3.1) for a segment of `len` bytes whose IPv4 header is
/// this.
pub(crate) fn pseudo(ip: &[u8], len: usize) -> u64 {
    let mut b = [0; 12];
    b[..8].copy_from_slice(&ip[12..20]);
    b[9] = PROTO_TCP;
    b[10..].copy_from_slice(&(len as u16).to_be_bytes());
    sum(&b)
}

/// A sum as what goes into the field of a checksum.
pub(crate) fn complemented(sum: u64) -> u16 {
    header(&sum.to_le_bytes())
}

/// How a long TCP packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where IPv4's header begins.
    ip: usize,
    /// Where TCP's header begins.
    tcp: usize,
    /// Where the payload begins.
    pub headers: usize,
    /// Where the payload ends.
    pub end: usize,
    /// Bytes of payload of each segment but the last.
    pub payload: usize,
}

impl Plan {
    /// For a frame from the kernel, which asks for segments of this many bytes of payload, and a wire of this
    /// MTU. `None`: it is no TCP, has no payload, or its headers fill the MTU.
    pub fn of(frame: &[u8], ip: &Ipv4View, segment: u16, mtu: u16) -> Option<Self> {
        let headers = headers(frame, ip)?;
        let room = usize::from(mtu).saturating_sub(headers - ip.at);
        let payload = room.min(segment.into());
        let (tcp, end) = (ip.payload, ip.end);
        (payload > 0 && headers < end).then_some(Self { ip: ip.at, tcp, headers, end, payload })
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        (self.end - self.headers).div_ceil(self.payload)
    }

    /// Leaves the first `n` segments to this plan, and returns what is behind them as a packet of its own.
    /// `first` is a copy of the frame's headers, which become those of the first part. `None`: there is
    /// nothing behind.
    pub fn split(&mut self, frame: &[u8], first: &mut [u8], n: usize) -> Option<Vec<u8>> {
        let at = n * self.payload;
        if n == 0 || self.headers + at >= self.end || first.len() < self.headers {
            return None;
        }
        let mut rest = frame[..self.headers].to_vec();
        rest.extend_from_slice(&frame[self.headers + at..self.end]);
        let (ip, tcp) = (self.ip, self.tcp);
        let len = (rest.len() - ip) as u16;
        put16(&mut rest, ip + 2, len);
        let id = be16(&rest, ip + 4).wrapping_add(n as u16);
        put16(&mut rest, ip + 4, id);
        let old = u32::from_be_bytes([rest[tcp + 4], rest[tcp + 5], rest[tcp + 6], rest[tcp + 7]]);
        rest[tcp + 4..tcp + 8].copy_from_slice(&old.wrapping_add(at as u32).to_be_bytes());
        rest[tcp + FLAGS] &= !CWR;
        self.end = self.headers + at;
        put16(first, ip + 2, (self.end - ip) as u16);
        first[tcp + FLAGS] &= !LAST;
        Some(rest)
    }

    /// Completes the headers of a segment, all but whose checksums and congestion flag are right: `sum` is
    /// that of its payload, `len` its bytes. Only the first one says that the window was reduced.
    pub fn complete(&self, headers: &mut [u8], sum: u64, len: usize, is_first: bool) {
        let Some((front, tcp)) = headers.split_at_mut_checked(self.tcp) else { return };
        if !is_first {
            tcp[FLAGS] &= !CWR;
        }
        let ip = &mut front[self.ip..];
        put16(ip, 10, 0);
        let checksum = header(ip);
        put16(ip, 10, checksum);
        put16(tcp, FIELD, 0);
        let all = pseudo(ip, tcp.len() + len) + lm_proto::checksum::sum(tcp) + sum;
        put16(tcp, FIELD, complemented(all));
    }
}

/// Whether a frame is a TCP segment over IPv4 that is no fragment and whose checksums agree.
pub fn verify(frame: &[u8]) -> bool {
    let Some(ip) = Ipv4View::of(frame).filter(|ip| headers(frame, ip).is_some()) else { return false };
    let (front, tcp) = (&frame[ip.at..ip.payload], &frame[ip.payload..ip.end]);
    header(front) == 0 && complemented(pseudo(front, tcp.len()) + sum(tcp)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern, with_word};
    use crate::view::DONT;
    use lm_proto::wire::Ipv4;

    /// A long packet: flags, a header of 32 bytes, a payload.
    fn long(flags: u8, len: usize) -> Vec<u8> {
        let mut tcp = vec![0, 80, 1, 2, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0];
        tcp.extend([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        tcp.extend(pattern(len));
        let ip = Ipv4 { protocol: PROTO_TCP, id: 0xfffe, ..PLAIN };
        with_word(ipv4(ip, &tcp), DONT)
    }

    /// The obvious way to cut: each segment made by itself, with all that its header must say.
    fn model(frame: &[u8], payload: usize) -> Vec<Vec<u8>> {
        let parts: Vec<_> = frame[66..].chunks(payload).collect();
        let n = parts.len();
        let make = |(i, part): (usize, &&[u8])| {
            let mut one = [&frame[..66], part].concat();
            put16(&mut one, 16, (52 + part.len()) as u16);
            put16(&mut one, 18, 0xfffe_u16.wrapping_add(i as u16));
            let seq = 0xffff_ff00_u32.wrapping_add((i * payload) as u32);
            one[38..42].copy_from_slice(&seq.to_be_bytes());
            one[47] &= if i > 0 { !CWR } else { 0xff };
            one[47] &= if i + 1 < n { !LAST } else { 0xff };
            one
        };
        parts.iter().enumerate().map(make).collect()
    }

    #[test]
    fn segments_are_completed_and_verified() {
        for (flags, len, mss) in [(0x99, 65_000, 1448), (0x10, 1449, 1448), (0x18, 1, 1), (0x11, 3000, 7)] {
            let frame = long(flags, len);
            let ip = Ipv4View::of(&frame).expect("IPv4");
            let plan = Plan::of(&frame, &ip, mss, 1500).expect("TCP");
            let all = model(&frame, mss.into());
            assert_eq!((plan.segments(), plan.headers, plan.end), (all.len(), 66, frame.len()));
            for (i, mut one) in all.into_iter().enumerate() {
                one[24] ^= 5;
                one[47] |= flags & CWR;
                let (headers, payload) = one.split_at_mut(66);
                plan.complete(headers, sum(payload), payload.len(), i == 0);
                assert_eq!(headers[47] & CWR, if i == 0 { flags & CWR } else { 0 });
                assert!(verify(&one), "{len} {i}");
            }
        }
    }

    #[test]
    fn a_packet_of_very_many_segments_is_cut_in_parts() {
        let whole = long(0x99, 5000);
        let of = |frame: &[u8]| Plan::of(frame, &Ipv4View::of(frame).expect("IPv4"), 100, 1500).expect("TCP");
        let (mut rest, mut all) = (Some(whole.clone()), Vec::new());
        while let Some(mut frame) = rest {
            let mut plan = of(&frame);
            let whole = frame.clone();
            rest = plan.split(&whole, &mut frame[..66], 7);
            assert_eq!(plan.segments(), if rest.is_some() { 7 } else { 1 });
            frame.truncate(plan.end);
            let id = u16::from_be_bytes([frame[18], frame[19]]);
            let seq = u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
            for (i, mut one) in model(&frame, 100).into_iter().enumerate() {
                put16(&mut one, 18, id.wrapping_add(i as u16));
                one[38..42].copy_from_slice(&seq.wrapping_add(100 * i as u32).to_be_bytes());
                all.push(one);
            }
        }
        assert_eq!(all, model(&whole, 100));
        let mut first = whole[..66].to_vec();
        assert_eq!(of(&whole).split(&whole, &mut first, 50), None);
        assert_eq!(of(&whole).split(&whole, &mut first, 0), None);
        assert_eq!(first, whole[..66]);
    }

    #[test]
    fn no_bit_is_flipped_unseen() {
        for len in [1, 21, 100, 1448] {
            let mut frame = long(0x10, len);
            let ip = Ipv4View::of(&frame).expect("IPv4");
            let plan = Plan::of(&frame, &ip, 1448, 1500).expect("TCP");
            let (headers, payload) = frame.split_at_mut(66);
            plan.complete(headers, sum(payload), payload.len(), true);
            assert!(verify(&frame), "{len}");
            for at in 14..frame.len() {
                let mut bad = frame.clone();
                bad[at] ^= 1;
                assert!(!verify(&bad), "{len}: {at}");
            }
        }
    }

    #[test]
    fn what_is_no_long_tcp_has_no_plan() {
        let plan = |frame: &[u8], segment, mtu| {
            Ipv4View::of(frame).and_then(|ip| Plan::of(frame, &ip, segment, mtu)).map(|plan| plan.payload)
        };
        let frame = long(0x10, 4000);
        assert_eq!(plan(&frame, 1448, 1500), Some(1448));
        assert_eq!(plan(&frame, 65_000, 1500), Some(1448), "the wire counts more than the kernel");
        assert_eq!(plan(&frame, 0, 1500), None);
        assert_eq!(plan(&frame, 1448, 52), None);
        assert_eq!(plan(&long(0x10, 0), 1448, 1500), None);
        for at in [46, 23, 20] {
            let mut bad = frame.clone();
            bad[at] = [0x40, 17, 0x20][[46, 23, 20].iter().position(|&a| a == at).unwrap_or(0)];
            assert_eq!(plan(&bad, 1448, 1500), None, "{at}");
        }
        for len in 0..66 {
            let mut short = frame[..len].to_vec();
            if len >= 34 {
                put16(&mut short, 16, (len - 14) as u16);
            }
            assert_eq!(plan(&short, 1448, 1500), None, "{len}");
            assert!(!verify(&short));
        }
    }
}
