//! One's-complement arithmetic (RFC 1071), and the checksum of a short header.

/// The checksum of a short header (RFC 1071), complemented: what goes into its checksum field when that is
/// zero, and 0 for a header that is good. Meant for the 20 bytes of IPv4; any length is right.
///
/// ```
/// use lm_proto::checksum::header;
/// let mut ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
/// let sum = header(&ip);
/// ip[10..12].copy_from_slice(&sum.to_be_bytes());
/// assert_eq!(header(&ip), 0);
/// ```
#[inline]
pub fn header(b: &[u8]) -> u16 {
    // The same for both, but the compiler unrolls what is known to be 20 bytes.
    match <&[u8; 20]>::try_from(b) {
        Ok(b) => !fold(words(b).map(halves).sum()),
        Err(_) => !fold(words(b).map(halves).sum()),
    }
}

/// Whether a sum of at most 2^35 that is not folded is that of a good header: all ones.
#[inline]
pub(crate) fn is_all_ones(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// A sum in 16 bits, host order in and out: 0 only for 0.
#[inline]
pub(crate) fn fold_host(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff); // < 2^18
    let sum = (sum >> 16) + (sum & 0xffff); // < 2^16 + 3
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// A sum without a part of it, one's complement.
#[inline(always)]
pub(crate) fn without(sum: u64, part: u64) -> u64 {
    sum + u64::from(!fold_host(part))
}

/// A sum from little-endian order in 16 bits of host order.
#[inline]
pub(crate) fn fold(sum: u64) -> u16 {
    fold_host(sum).swap_bytes()
}

#[inline]
pub(crate) fn halves(x: u64) -> u64 {
    (x & 0xffff_ffff) + (x >> 32)
}

/// Little-endian words of 64 bits, the last one padded with zeros.
#[inline]
pub(crate) fn words(b: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = b.as_chunks::<8>();
    words.iter().map(|w| u64::from_le_bytes(*w)).chain((!rest.is_empty()).then(|| last_word(rest)))
}

/// The little-endian word of fewer than 8 bytes, padded with zeros.
#[inline]
pub(crate) fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |x, &byte| x << 8 | u64::from(byte))
}
