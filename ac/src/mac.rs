//! [`Key`]: the key of a cluster, with which control messages are signed.
//!
//! [`crate::wire`] signs and verifies messages with it, and [`Node`](crate::Node) makes the nonces of its
//! challenges with a key of its own. A key's bytes are never printed, and are overwritten when it is dropped.
//! A MAC is compared in a time that does not depend on its bytes.

use core::fmt;
use core::hash::BuildHasher;
use std::hash::RandomState;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a MAC: HMAC-SHA-256 cut to its first 128 bits, as RFC 4868 does.
pub(crate) const MAC: usize = 16;

/// The key that all nodes of a cluster share, 32 bytes.
///
/// With a key, every message is signed, and a message without a valid signature is dropped before its fields
/// are read. Without a key the protocol is open: any host that can send a frame to a node can get a grant,
/// end the grant of another node, or put an address on the list of the nodes that land.
///
/// The bytes are overwritten when the key is dropped. So are the copies that a signature was made with.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// A random key. Its randomness is that of the standard library's hash tables, whose seeds come from the
    /// operating system.
    pub(crate) fn unique() -> Self {
        let mut bytes = [0; 32];
        for (n, part) in bytes.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(n).to_be_bytes());
        }
        Self(bytes)
    }

    /// A number made of `words` that nobody without the key can compute. Never 0.
    pub(crate) fn nonce(&self, words: [u64; 3]) -> u64 {
        let mut message = [0; 24];
        for (part, word) in message.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_be_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = self.sign(&message);
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
    }

    /// The key with these bytes. They must be random, not a password: they are used as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        // HMAC pads a key to a block of its hash with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block[..self.0.len()].copy_from_slice(&self.0);
        let block: &[u8; 64] = &block;
        let mut mac = Hmac::<Sha256>::new(block.into());
        mac.update(message);
        mac
    }

    /// The MAC of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; MAC] {
        let full = self.mac(message).finalize().into_bytes();
        let mut mac = [0; MAC];
        mac.copy_from_slice(&full[..MAC]);
        mac
    }

    /// Whether `mac` is the MAC of `message`, in a time that does not depend on where they differ.
    pub(crate) fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        mac.len() == MAC && self.mac(message).verify_truncated_left(mac).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn is_wiped<T: ZeroizeOnDrop>() {}
    /// Whoever holds a key's bytes wipes them: the key, and the hash that was begun with it (of two of which
    /// HMAC is made).
    const _: () = {
        is_wiped::<Key>();
        is_wiped::<Sha256>();
    };

    #[test]
    fn a_key_can_be_wiped() {
        let mut key = Key::new([7; 32]);
        let mac = key.sign(b"message");
        assert!(key.verify(b"message", &mac));
        key.zeroize();
        assert!(key == Key::new([0; 32]) && !key.verify(b"message", &mac));
    }
}
