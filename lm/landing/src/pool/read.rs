//! Reading what landed.
//!
//! A device may be writing the bytes around a frame at any time. So what may change is copied out word by
//! word, and only what nobody writes is borrowed, on the caller's promise. An address outside the region and
//! the bounce slots gives `None`.

use std::ptr;

use lm_proto::raw_headers::RAW_HEADERS;
use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;

use super::{HEAD, LandingPool, SNAPSHOT};
use crate::shared::copy_words;

impl LandingPool {
    /// `len` bytes of region at `at`; `None` if they are not in it.
    ///
    /// # Safety
    /// No device writes these bytes while they are borrowed: they are payload of frames that
    /// [`LandingPool::landed`] told of, in place, whose slots were not given back, and that no frame which a
    /// device may still be writing reaches. Up to 8 bytes of a payload in an overlapping slot may be reached
    /// by the frame below: that is known to be received.
    #[inline(always)]
    pub unsafe fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        if !self.landing().covers(at, len) {
            return None;
        }
        // SAFETY: within a segment's memory, which lives as long as the pool and is initialised (DPDK and the
        // kernel give zeroes). The caller promises that nobody writes it.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, len) })
    }

    /// The 24 bytes in front of a frame's payload, with its IPv4 header, as they are now: a frame below may
    /// have overwritten them, or be doing so. Little-endian words. `None` if they are neither in the region
    /// nor in a bounce slot.
    #[inline(always)]
    pub fn raw_headers(&self, at: usize, bounce: u16) -> Option<[u64; 3]> {
        let start = at.wrapping_sub(RAW_HEADERS);
        if bounce == 0 && at.is_multiple_of(8) && self.landing().first_covers(start, RAW_HEADERS) {
            let words = start as *const u64;
            // SAFETY: in the region and aligned. A device may be writing these bytes: each word is read once,
            // and what they say is believed only as the matcher's rules allow.
            Some(std::array::from_fn(|i| u64::from_le(unsafe { ptr::read_volatile(words.add(i)) })))
        } else {
            self.raw_headers_bytewise(at, bounce)
        }
    }

    /// The 24 bytes in front of a payload in place, and its first 8, as [`Self::raw_headers`] gives them.
    /// `None` if they are not in the region, or not aligned.
    #[inline(always)]
    pub fn front(&self, at: usize) -> Option<[u64; 4]> {
        let start = at.wrapping_sub(RAW_HEADERS);
        if !at.is_multiple_of(8) || !self.landing().first_covers(start, RAW_HEADERS + 8) {
            return None;
        }
        let words = start as *const u64;
        // SAFETY: in the region and aligned. As in `raw_headers`.
        Some(std::array::from_fn(|i| u64::from_le(unsafe { ptr::read_volatile(words.add(i)) })))
    }

    /// The same from any address.
    #[cold]
    #[inline(never)]
    fn raw_headers_bytewise(&self, at: usize, bounce: u16) -> Option<[u64; 3]> {
        let mut front = [0; HEADERS];
        if self.copy_frame(at, HEADERS as u16, bounce, &mut front)? != HEADERS {
            return None;
        }
        let words = front.last_chunk::<RAW_HEADERS>()?.as_chunks::<8>().0;
        Some(std::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    /// The 34 bytes in front of a frame's payload and its first 8, as they are now, each word read once; else
    /// as [`LandingPool::copy_frame`].
    #[inline(always)]
    pub fn head(&self, at: usize, bounce: u16) -> Option<[u8; HEAD]> {
        const BEFORE: usize = HEADERS.next_multiple_of(8);
        const ROOM: usize = BEFORE + 8;
        let start = at.wrapping_sub(BEFORE);
        if bounce == 0 && at.is_multiple_of(8) && self.landing().first_covers(start, ROOM) {
            let words = start as *const u64;
            // SAFETY: in the region and aligned. As in `raw_headers`.
            let words: [u64; ROOM / 8] = std::array::from_fn(|i| unsafe { ptr::read_volatile(words.add(i)) });
            let mut bytes = [0; ROOM];
            for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                *to = word.to_ne_bytes();
            }
            return bytes.last_chunk().copied();
        }
        self.head_elsewhere(at, bounce)
    }

    #[cold]
    #[inline(never)]
    fn head_elsewhere(&self, at: usize, bounce: u16) -> Option<[u8; HEAD]> {
        let mut head = [0; HEAD];
        self.copy_frame(at, HEAD as u16, bounce, &mut head).map(|_| head)
    }

    /// What is known of the slot below that of one of the newest frames. What was read *before* of that
    /// frame's headers, and of the first bytes of its payload, was intact if this says that nothing has come
    /// there.
    #[inline]
    pub fn below(&self, at: usize, bounce: u16) -> Below {
        // In a bounce slot nothing reaches it.
        if bounce != 0 { Below::Untouched } else { self.landing().below(at, u64::from(self.size())) }
    }

    /// Copies the first bytes of a frame of `len` bytes, as they are now, as many as `into` has room for: how
    /// many. `None` if the frame is neither in the region nor in a bounce slot.
    ///
    /// A device may be writing them: then the copy is of bytes that never were there at one time.
    pub fn copy_frame(&self, at: usize, len: u16, bounce: u16, into: &mut [u8]) -> Option<usize> {
        let start = self.landing().frame_start(at, len.into(), bounce)?;
        let n = into.len().min(len.into());
        // SAFETY: `frame_start` gives the address of as many bytes, in memory that lives as long as the pool.
        unsafe { copy_words(start as *const u8, &mut into[..n]) };
        Some(n)
    }

    /// Copies what is at `start` now, as much as `into` has room for; false, and nothing is copied, if that
    /// is not all in the region or in bounce slots. As [`LandingPool::copy_frame`] otherwise.
    pub fn copy_part(&self, start: usize, into: &mut [u8]) -> bool {
        let landing = self.landing();
        let fits = landing.covers(start, into.len()) || landing.bounces.covers(start, into.len());
        if fits {
            // SAFETY: as many bytes of memory that lives as long as the pool.
            unsafe { copy_words(start as *const u8, into) };
        }
        fits
    }

    /// The first bytes of a frame, up to [`SNAPSHOT`], as they are now: its headers, with options, and what
    /// tells what it is. Else as [`LandingPool::copy_frame`].
    #[inline]
    pub fn snapshot<'a>(
        &self,
        at: usize,
        len: u16,
        bounce: u16,
        into: &'a mut [u8; SNAPSHOT],
    ) -> Option<&'a [u8]> {
        let n = self.copy_frame(at, len, bounce, into)?;
        Some(&into[..n])
    }

    /// A whole frame; `None` if it is neither in the region nor in a bounce slot.
    ///
    /// # Safety
    /// No device writes it while it is borrowed: [`LandingPool::landed`] told of it, its slot was not given
    /// back, and no frame that a device may still be writing reaches it or, for a bounced one, has been given
    /// its bounce slot.
    pub unsafe fn frame(&self, at: usize, len: u16, bounce: u16) -> Option<&[u8]> {
        let start = self.landing().frame_start(at, len.into(), bounce)?;
        // SAFETY: in memory that lives as long as the pool; the caller promises that nobody writes it.
        Some(unsafe { std::slice::from_raw_parts(start as *const u8, len.into()) })
    }
}
