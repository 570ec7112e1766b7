//! Copies bytes out of memory that a device or another process may be writing, by volatile words. Such memory
//! is never borrowed as `&[u8]`.
//!
//! [`LandingPool`](crate::LandingPool) copies headers and frames with it. Each word is read once, so a copy
//! has no word that was never in memory. It may have words of different moments.

use std::ptr;

/// Copies as many bytes as `to` has, each word and each byte at the ends once.
///
/// # Safety
/// The bytes at `from` are mapped and initialised, and no thread of this process writes them meanwhile.
/// Others may.
#[inline]
pub(crate) unsafe fn copy_words(from: *const u8, to: &mut [u8]) {
    const WORD: usize = size_of::<u64>();
    // To the first aligned word.
    let (head, rest) = to.split_at_mut(from.align_offset(WORD).min(to.len()));
    let (words, tail) = rest.as_chunks_mut::<WORD>();
    // SAFETY: in sum these are as many bytes as `to` has; words are read where they are aligned.
    unsafe {
        copy_bytes(from, head);
        let aligned = from.add(head.len()).cast::<u64>();
        for (i, word) in words.iter_mut().enumerate() {
            *word = ptr::read_volatile(aligned.add(i)).to_ne_bytes();
        }
        copy_bytes(aligned.add(words.len()).cast(), tail);
    }
}

/// # Safety
/// As for [`copy_words`].
#[inline]
unsafe fn copy_bytes(from: *const u8, to: &mut [u8]) {
    for (i, byte) in to.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *byte = unsafe { ptr::read_volatile(from.add(i)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_are_from_every_address_and_of_every_length() {
        let memory: Vec<u8> = (0..64).collect();
        for start in 0..16 {
            for len in 0..40 {
                let mut copy = vec![0xff; len];
                // SAFETY: within the vector, which nobody writes.
                unsafe { copy_words(memory[start..].as_ptr(), &mut copy) };
                assert_eq!(copy, memory[start..start + len], "{len} bytes at {start}");
            }
        }
    }
}
