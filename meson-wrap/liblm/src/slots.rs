//! [`Slots`]: the messages that the C program holds.
//!
//! The C program gets the index of a place and its generation. The generation is odd while a message is in
//! the place. Taking the message out makes it even, so that whoever takes it again fails. Only the thread
//! that owns the handle fills places. Any thread may take messages out, and `lm(3)` asks that one thread at a
//! time uses a message. So the generation is read and then written: a compare-and-swap would wait for all
//! that the poll wrote, also to memory that a peer's processor has. The thread then puts the place on a list,
//! from which the owner collects it. After that the thread does not touch the memory.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lm::{Arrived, Message};

/// Places that are made at a time.
const CHUNK: usize = 256;
/// The most messages that can be held.
pub(crate) const MOST: usize = 65_536;

struct Slot {
    generation: AtomicU32,
    /// The next returned place, counted from one. Zero: none.
    next: AtomicU32,
    message: UnsafeCell<MaybeUninit<Message>>,
}

/// The messages that C holds.
pub(crate) struct Slots {
    chunks: Box<[OnceLock<Box<[Slot; CHUNK]>>]>,
    /// The place that another thread returned last, counted from one. Zero: none.
    returned: AtomicU32,
}

// SAFETY: a place's message is reached only by the one thread that has the message, which the caller of
// `take` and `get` promises, or by the owner while the generation is even; messages may go to any thread.
unsafe impl Sync for Slots {}
// SAFETY: as above.
unsafe impl Send for Slots {}

/// The owner's list of free places.
#[derive(Default)]
pub(crate) struct Free {
    list: Vec<u32>,
    made: usize,
}

/// A message that was taken, and still lies in its place. Dropping this drops the message.
pub(crate) struct Taken<'a> {
    /// Its generation is even, so nobody else looks at the place, and there is a message.
    slot: &'a Slot,
}

impl Taken<'_> {
    /// The message, in its place.
    #[inline]
    pub(crate) fn message(&self) -> &Message {
        // SAFETY: the place has a message, which is this value's alone.
        unsafe { (*self.slot.message.get()).assume_init_ref() }
    }

    /// The message, out of its place.
    #[inline]
    pub(crate) fn into_message(self) -> Message {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: as above; the place is empty from now on.
        unsafe { (*this.slot.message.get()).assume_init_read() }
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as above; the place is empty from now on.
        unsafe { (*self.slot.message.get()).assume_init_drop() }
    }
}

/// The place is empty, or has another message now.
#[derive(Debug)]
pub(crate) struct Stale;

impl Slots {
    pub(crate) fn new() -> Self {
        Self { chunks: (0..MOST / CHUNK).map(|_| OnceLock::new()).collect(), returned: AtomicU32::new(0) }
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        Some(&self.chunks.get(index / CHUNK)?.get()?[index % CHUNK])
    }

    /// Moves what was returned to the owner's list.
    #[cold]
    fn collect(&self, free: &mut Free) {
        let mut next = self.returned.swap(0, Ordering::Acquire);
        while let Some(slot) = next.checked_sub(1).and_then(|index| self.slot(index)) {
            free.list.push(next - 1);
            next = slot.next.load(Ordering::Relaxed);
        }
    }

    /// Whether so many places are free or can be made, for the owner.
    #[inline]
    pub(crate) fn room(&self, free: &mut Free, enough: usize) -> bool {
        free.list.len() >= enough || self.find_room(free, enough)
    }

    #[cold]
    fn find_room(&self, free: &mut Free, enough: usize) -> bool {
        let room = |free: &Free| free.list.len() + (MOST - free.made);
        if room(free) < enough {
            self.collect(free);
        }
        room(free) >= enough
    }

    /// How many messages are held, for the owner. A place counts until its return is complete.
    pub(crate) fn held(&self, free: &mut Free) -> usize {
        self.collect(free);
        free.made - free.list.len()
    }

    /// Puts a message in a place, for the owner, and shows it to `tell` there, with the place's number and
    /// generation. `None`: [`MOST`] are held, and the message was dropped.
    #[inline]
    pub(crate) fn put<R>(
        &self,
        free: &mut Free,
        message: Arrived<'_>,
        tell: impl FnOnce(&Message, (u32, u32)) -> R,
    ) -> Option<R> {
        if free.list.is_empty() {
            self.collect(free);
        }
        if free.list.is_empty() && !self.make(free) {
            return None;
        }
        let index = free.list.pop()?;
        let slot = self.slot(index)?;
        // SAFETY: the place is free, so nobody else looks at it until its generation is odd.
        let message = unsafe { (*slot.message.get()).write(message.take()) };
        let generation = slot.generation.load(Ordering::Relaxed).wrapping_add(1);
        let told = tell(message, (index, generation));
        slot.generation.store(generation, Ordering::Release);
        Some(told)
    }

    #[cold]
    fn make(&self, free: &mut Free) -> bool {
        let Some(chunk) = self.chunks.get(free.made / CHUNK) else { return false };
        chunk.get_or_init(|| {
            Box::new(std::array::from_fn(|_| Slot {
                generation: AtomicU32::new(0),
                next: AtomicU32::new(0),
                message: UnsafeCell::new(MaybeUninit::uninit()),
            }))
        });
        let first = free.made as u32;
        free.list.extend((first..first + CHUNK as u32).rev());
        free.made += CHUNK;
        true
    }

    /// Takes a message, which stays in its place until the result is dropped or made into the message. Then
    /// the place is to be [given back](Self::give_back), or [filled again](Self::refill).
    ///
    /// # Errors
    /// [`Stale`]: it was taken before.
    ///
    /// # Safety
    /// No other thread takes this message or looks at it at the same time.
    #[inline]
    pub(crate) unsafe fn take(&self, index: u32, generation: u32) -> Result<Taken<'_>, Stale> {
        let slot = self.slot(index).filter(|_| generation % 2 == 1).ok_or(Stale)?;
        let even = generation.wrapping_add(1);
        if slot.generation.load(Ordering::Acquire) != generation {
            return Err(Stale);
        }
        slot.generation.store(even, Ordering::Relaxed);
        Ok(Taken { slot })
    }

    /// Puts a message back into the place that it was just taken out of. It has the generation again that it
    /// had, so that every copy of its description names it as before.
    pub(crate) fn refill(&self, index: u32, generation: u32, message: Message) {
        let Some(slot) = self.slot(index) else { return };
        // SAFETY: the place was emptied by this thread and not given back, so nobody else looks at it.
        unsafe { (*slot.message.get()).write(message) };
        slot.generation.store(generation, Ordering::Release);
    }

    /// Gives an emptied place back: to the owner's list if this is the owner.
    #[inline]
    pub(crate) fn give_back(&self, index: u32, free: Option<&mut Free>) {
        if let Some(free) = free {
            free.list.push(index);
            return;
        }
        let Some(slot) = self.slot(index) else { return };
        let mut first = self.returned.load(Ordering::Relaxed);
        loop {
            slot.next.store(first, Ordering::Relaxed);
            let swapped =
                self.returned.compare_exchange_weak(first, index + 1, Ordering::Release, Ordering::Relaxed);
            match swapped {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// The message in a place, to look at or to change.
    ///
    /// # Safety
    /// No other thread takes this message or looks at it as long as the result is used.
    pub(crate) unsafe fn get(&self, index: u32, generation: u32) -> Result<*mut Message, Stale> {
        let slot = self.slot(index).filter(|_| generation % 2 == 1).ok_or(Stale)?;
        if slot.generation.load(Ordering::Acquire) != generation {
            return Err(Stale);
        }
        Ok(slot.message.get().cast())
    }
}
