//! Sample frames for the tests of this crate: an IPv4 header around a payload, with flags and offset as a
//! test wants them. They are valid unless the test changes them.

use lm_proto::checksum::header;
use lm_proto::wire::Ipv4;

/// A datagram of 10.0.0.1's to 10.0.0.2, without options.
pub(crate) const PLAIN: Ipv4 = Ipv4 {
    src: 0x0a00_0001,
    dst: 0x0a00_0002,
    id: 0x1234,
    protocol: 17,
    ttl: 9,
    more: false,
    offset: 0,
    header_len: 20,
    payload_len: 0,
};

/// A frame with this IPv4 header around a payload.
pub(crate) fn ipv4(ip: Ipv4, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let mut header = [0; 20];
    Ipv4 { payload_len: payload.len() as u16, ..ip }.emit(&mut header);
    frame.extend(header);
    frame.extend(payload);
    frame
}

/// Sets or clears bits of the word of flags and offset.
pub(crate) fn with_word(mut frame: Vec<u8>, word: u16) -> Vec<u8> {
    frame[20..22].copy_from_slice(&word.to_be_bytes());
    frame[24..26].fill(0);
    let len = usize::from(frame[14] & 15) * 4;
    let sum = header(&frame[14..14 + len]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Bytes of which each tells its place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}
