//! What a card's descriptor says of a frame, as the datasheets have it ([`Words`]).
//!
//! A test gives one of these functions to the mock, which asks it about each frame that arrives.

use crate::card::Words;
use crate::checksum;
use crate::wire::{ETHERNET, be16};

/// igb's word: the identification of an IPv4 frame, and the sum of the bytes behind its IP header, as a
/// little-endian processor adds them. 0 for any other frame.
pub fn packet(frame: &[u8]) -> u32 {
    let tagged = frame.len() > 18 && be16(frame, 12) == 0x8100;
    let ip = if tagged { ETHERNET + 4 } else { ETHERNET };
    if frame.len() < ip + 20 || be16(frame, ip - 2) != 0x0800 {
        return 0;
    }
    let header = usize::from(frame[ip] & 15) * 4;
    let rest = frame.get(ip + header..).unwrap_or_default();
    word(be16(frame, ip + 4), checksum::fold_sum(checksum::sum(rest)))
}

/// em's: the sum of the whole frame.
pub fn whole(frame: &[u8]) -> u32 {
    word(Words::TOLD as u16, checksum::fold_sum(checksum::sum(frame)))
}

/// igb's identification with a sum that means nothing, as an emulated card has it.
pub fn id_alone(frame: &[u8]) -> u32 {
    packet(frame) & 0xffff
}

/// A word of this identification and this sum.
pub fn word(id: u16, sum: u16) -> u32 {
    u32::from(id) | u32::from(sum) << 16
}
