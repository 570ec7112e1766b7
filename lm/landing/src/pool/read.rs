//! Reads what landed.
//!
//! A device may write the bytes around a frame at any time. So bytes that may change are copied out word by
//! word, from the region or from a bounce slot. Only payload, which nothing writes, is borrowed, through the
//! token of its slots.

use std::ptr;

use lm_proto::frame::{FRONT, HEAD};
use lm_proto::raw_headers::RAW_HEADERS;
use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;

use super::{LandingPool, SNAPSHOT};
use crate::shared::copy_words;
use crate::slots::LandedSlots;

impl LandingPool {
    /// `len` bytes of payload at `at`. `None`: they are not inside these slots, or a device may be writing
    /// them. An overlapping slot ends 8 bytes inside the one above, because a frame may be that much longer
    /// than a full one. So the first 8 bytes of the slot that was received last cannot be had while the frame
    /// below may be under way; `front` and `head` copy them.
    #[inline]
    pub fn bytes<'a>(&'a self, slots: &'a LandedSlots, at: usize, len: usize) -> Option<&'a [u8]> {
        let (lowest, overlapping) = (slots.lowest(), slots.is_overlapping());
        let room = if overlapping { slots.span() + FRONT } else { self.separate_room };
        let from = at.wrapping_sub(lowest);
        if !slots.is_of(self.number) || from > room || len > room - from {
            return None;
        }
        if overlapping && from < FRONT && lowest == self.newest {
            return None;
        }
        debug_assert!(self.landing().covers(at, len), "a slot lies in the region");
        // SAFETY: the bytes are inside slots of this pool, which issues only slots that lie in its region,
        // with as much room. The region lives as long as the pool, and is initialised (DPDK and the kernel
        // give zeroes). A device has filled these slots, and they are not given out again while the token has
        // them. Devices fill slots in the order in which they are issued. So the slots above these are
        // filled, too, or are not given out again before these are. Of the slots below, only the next one's
        // frame reaches these, by `FRONT` bytes at most. That frame was received, or the bytes that it
        // reaches are not asked for. Code that copies a bounced payload into place has the pool for itself.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, len) })
    }

    /// The 24 bytes in front of a frame's payload, with its IPv4 header, as they are now: a frame below may
    /// have overwritten them, or be doing so. Little-endian words. `None` if they are neither in the region
    /// nor in a bounce slot.
    #[inline]
    pub fn raw_headers(&self, at: usize, bounce: u16) -> Option<[u64; 3]> {
        let start = at.wrapping_sub(RAW_HEADERS);
        if bounce == 0 && at.is_multiple_of(8) && self.landing().covers(start, RAW_HEADERS) {
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
    #[inline]
    pub fn front(&self, at: usize) -> Option<[u64; 4]> {
        let start = at.wrapping_sub(RAW_HEADERS);
        if !at.is_multiple_of(8) || !self.landing().first_covers(start, RAW_HEADERS + 8) {
            return None;
        }
        let words = start as *const u64;
        // SAFETY: in the region and aligned. As in `raw_headers`.
        Some(std::array::from_fn(|i| u64::from_le(unsafe { ptr::read_volatile(words.add(i)) })))
    }

    /// [`Self::raw_headers`] byte by byte, for a payload at any address or in a bounce slot.
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

    /// The 8 bytes at `at`, as they are now; `None` if they are not in the region.
    #[inline]
    pub fn eight(&self, at: usize) -> Option<[u8; 8]> {
        if at.is_multiple_of(8) && self.landing().first_covers(at, 8) {
            // SAFETY: in the region and aligned. As in `raw_headers`.
            return Some(unsafe { ptr::read_volatile(at as *const u64) }.to_ne_bytes());
        }
        let mut bytes = [0; 8];
        self.copy_part(at, &mut bytes).then_some(bytes)
    }

    /// The 34 bytes in front of a frame's payload and its first 8, as they are now, each word read once; else
    /// as [`LandingPool::copy_frame`].
    #[inline]
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

    /// What is known of the slot below that of one of the newest frames. If no frame has come to that slot,
    /// then what was read *before* this call of the frame's headers, and of the first bytes of its payload,
    /// was intact.
    #[inline]
    pub fn below(&self, at: usize, bounce: u16) -> Below {
        // In a bounce slot nothing reaches it.
        if bounce != 0 { Below::Untouched } else { self.landing().below(at, u64::from(self.size())) }
    }

    /// Copies the first bytes of a frame of `len` bytes, as they are now, as many as `into` has room for.
    /// Returns how many these are. `None`: the frame is neither in the region nor in a bounce slot.
    ///
    /// A device may be writing them: then the copy is of bytes that never were there at one time.
    pub fn copy_frame(&self, at: usize, len: u16, bounce: u16, into: &mut [u8]) -> Option<usize> {
        let start = self.landing().frame_start(at, len.into(), bounce)?;
        let n = into.len().min(len.into());
        // SAFETY: `frame_start` gives the address of as many bytes, in memory that lives as long as the pool.
        unsafe { copy_words(start as *const u8, &mut into[..n]) };
        Some(n)
    }

    /// Copies the bytes at `start`, as they are now, until `into` is full. Returns `false`, and copies
    /// nothing, if some of them are neither in the region nor in bounce slots. A device may be writing them,
    /// as for [`LandingPool::copy_frame`].
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
}
