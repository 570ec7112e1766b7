//! One's-complement arithmetic (RFC 1071), and the checksum of a short header.
//!
//! The other modules of [`crate::checksum`] stand on it. Sums of up to 64 bits are folded without losing a
//! carry. Every length of input is right, an odd one too.

/// The checksum of a short header (RFC 1071), complemented. For a header whose checksum field is zero it is
/// the value of the field, and for a good header it is 0. It is fastest for the 20 bytes of IPv4, and right
/// for any length.
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
    // Both arms compute the same. The compiler unrolls the loop of the first, whose length it knows.
    match <&[u8; 20]>::try_from(b) {
        Ok(b) => !fold(words(b).map(halves).sum()),
        Err(_) => !fold(words(b).map(halves).sum()),
    }
}

/// Whether an unfolded sum of at most 2^35 is that of a good header, that is, all ones.
#[inline]
pub(crate) fn is_all_ones(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// Folds a sum into 16 bits. Input and result are in host order. The result is 0 only if the sum is 0.
#[inline]
pub(crate) fn fold_host(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff); // < 2^18
    let sum = (sum >> 16) + (sum & 0xffff); // < 2^16 + 3
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// A sum without a part of it, by adding the part's one's complement.
#[inline]
pub(crate) fn without(sum: u64, part: u64) -> u64 {
    sum + u64::from(!fold_host(part))
}

/// Folds a sum of little-endian words into 16 bits of host order.
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
