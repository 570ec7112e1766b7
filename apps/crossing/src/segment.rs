//! [`complete`] computes the checksum of a TCP segment that was cut from a longer one. [`verify`] checks the
//! checksum of a segment from the wire.

use lm_proto::checksum;
use lm_proto::wire::MAX_IP_PAYLOAD;

use crate::view::{Ipv4View, put16};

/// Where TCP's checksum is in its header.
const FIELD: usize = 16;
/// Bytes of a TCP header without options.
const TCP: usize = 20;

/// The one's-complement sum of TCP's pseudo header over IPv4 (RFC 9293, section 3.1), not complemented.
pub fn pseudo(ip: &Ipv4View) -> u16 {
    let mut b = [0; 12];
    b[..4].copy_from_slice(&ip.src.to_be_bytes());
    b[4..8].copy_from_slice(&ip.dst.to_be_bytes());
    b[9] = ip.protocol;
    let len = (ip.end - ip.payload).min(MAX_IP_PAYLOAD) as u16;
    b[10..].copy_from_slice(&len.to_be_bytes());
    !checksum::header(&b)
}

/// Writes the checksum of the TCP segment in a frame. Returns whether there is one.
pub fn complete(frame: &mut [u8]) -> bool {
    let Some(ip) = Ipv4View::of(frame).filter(|ip| ip.protocol == 6 && ip.end - ip.payload >= TCP) else {
        return false;
    };
    let pseudo = pseudo(&ip);
    let tcp = &mut frame[ip.payload..ip.end];
    put16(tcp, FIELD, pseudo);
    let sum = checksum::header(tcp);
    put16(tcp, FIELD, sum);
    true
}

/// Whether a frame is a TCP segment over IPv4 that is no fragment and whose checksums agree.
pub fn verify(frame: &[u8]) -> Option<Ipv4View> {
    let ip = Ipv4View::of(frame)?;
    let tcp = &frame[ip.payload..ip.end];
    if ip.protocol != 6 || ip.is_fragment() || tcp.len() < TCP {
        return None;
    }
    let header = checksum::header(&frame[ip.at..ip.payload]) == 0;
    let sum = u32::from(!checksum::header(tcp)) + u32::from(pseudo(&ip));
    (header && (sum & 0xffff) + (sum >> 16) == 0xffff).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern};
    use lm_proto::wire::Ipv4;

    #[test]
    fn what_is_completed_is_verified_and_no_flipped_bit_is() {
        for len in [20, 21, 100, 1480] {
            let mut frame = ipv4(Ipv4 { protocol: 6, ..PLAIN }, &pattern(len));
            assert!(complete(&mut frame));
            assert!(verify(&frame).is_some(), "{len}");
            for at in 14..frame.len() {
                let mut bad = frame.clone();
                bad[at] ^= 1;
                assert_eq!(verify(&bad), None, "{len}: {at}");
            }
        }
        let mut short = ipv4(Ipv4 { protocol: 6, ..PLAIN }, &pattern(19));
        assert!(!complete(&mut short) && verify(&short).is_none());
    }
}
