//! The checksum of UDP (RFC 768): pseudo header, ports and length, and the sum of the payload.
//!
//! Senders make checksums with [`udp`] and [`udp_moved`], and the matcher verifies them. A checksum that is
//! made here is never 0, which would mean that there is none. A checksum of 0 never verifies anything.

use super::ones::{fold, fold_host};
use crate::wire::{Flow, PROTO_UDP, Udp};

/// The checksum to write into the header of a datagram of `udp_len` bytes (header and payload) whose payload
/// has the sum `payload`: never 0, which would mean that there is none (RFC 768).
#[inline]
pub fn udp(flow: &Flow, udp_len: u16, payload: u64) -> u16 {
    let header = u64::from(flow.src_port) + u64::from(flow.dst_port) + u64::from(udp_len);
    match !fold_host(pseudo(flow, udp_len) + header + u64::from(fold(payload))) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// Whether the checksum of a UDP header agrees with its pseudo header (addresses from `flow`, ports and
/// length from `udp`) and a payload whose sum is `payload`. A checksum of 0 says that the sender computed
/// none, which verifies nothing: false.
#[inline]
pub fn udp_ok(flow: &Flow, udp: &Udp, payload: u64) -> bool {
    let header =
        u64::from(udp.src_port) + u64::from(udp.dst_port) + u64::from(udp.len) + u64::from(udp.checksum);
    udp.checksum != 0 && fold_host(pseudo(flow, udp.len) + header + u64::from(fold(payload))) == 0xffff
}

/// The checksum of a datagram whose addresses and ports were `from` and become `to`, while nothing else
/// changes (RFC 1624, equation 3). A right checksum stays right, and a wrong one stays wrong. Never 0.
#[inline]
pub fn udp_moved(checksum: u16, from: &Flow, to: &Flow) -> u16 {
    let gone = [u64::from(!from.src), u64::from(!from.dst)];
    let gone = gone[0] + gone[1] + u64::from(!from.src_port) + u64::from(!from.dst_port);
    let come = u64::from(to.src) + u64::from(to.dst) + u64::from(to.src_port) + u64::from(to.dst_port);
    match !fold_host(u64::from(!checksum) + gone + come) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// Whether a datagram of `udp_len` bytes whose UDP header and payload have the sum `all` has a good checksum.
/// The caller makes sure that it has a checksum.
#[inline]
pub(crate) fn udp_all_ok(flow: &Flow, udp_len: u16, all: u64) -> bool {
    fold_host(pseudo(flow, udp_len) + u64::from(fold(all))) == 0xffff
}

/// Addresses, protocol and length of the pseudo header (RFC 768), in host order.
#[inline]
fn pseudo(flow: &Flow, udp_len: u16) -> u64 {
    u64::from(flow.src) + u64::from(flow.dst) + u64::from(PROTO_UDP) + u64::from(udp_len)
}
