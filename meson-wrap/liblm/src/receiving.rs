//! Functions that receive messages: from a poll to the message's release.
//!
//! C programs call them. `lm_poll` belongs to the thread of the handle; the others may be called by any
//! thread that has the message. A message that was released, sent or turned into an mbuf before is the error
//! ESTALE.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use lm::rte::Eal;
use lm::rte::mempool::Mempool;
use lm::rte::sys;
use lm::{Arrived, Message, WholeBy};

use crate::border::{Failure, call, call_ptr, failure, invalid, null};
use crate::handle::{Inner, Way, gone, lm_t, stale};
use crate::slots::Slots;
use crate::types::{lm_address, lm_message, lm_proof};
use crate::versions;

/// Polls once, and returns at most `n` messages. It also sends messages that wait, and answers ARP. It does
/// not wait: 0 means that no message is whole yet. Messages that do not fit in `messages` come with the next
/// call.
///
/// A call that returns messages leaves a part of its work to the next call (ARP requests, admission control,
/// telemetry), so that the program can answer the messages first. So before it sleeps, a program calls
/// lm_poll() until it returns 0.
///
/// Each message keeps its memory until lm_release(), lm_forward() or lm_mbuf() takes it. A message that is
/// kept long makes the landing region grow.
///
/// Threads: the handle's. Returns how many messages it filled in. -ENOTCONN: the adopted port is not
/// started, or not set up with lm_mempool(): call again when it is. -ENOBUFS: the program holds some 65536
/// messages: release some. -ENOMEM (there is too little memory to adopt the queue), -ENOTSUP (its frames
/// begin with a time stamp), -EIO (the node is broken): close the handle.
///
/// # Safety
/// `lm` is NULL or open; `messages` is NULL or has room for `n`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_poll(lm: *mut lm_t, messages: *mut lm_message, n: c_int) -> c_int {
    call(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { lm_t::of(lm) }?;
        if messages.is_null() {
            return Err(null("messages"));
        }
        if n < 1 {
            return Err(invalid(format_args!("n is {n}: give room for 1 message or more")));
        }
        handle.owned(|slots, inner| {
            let mut out = Out { to: messages.cast(), room: n as usize, size: inner.message_size, lm, n: 0 };
            if inner.ready.is_empty() {
                poll(slots, inner, &mut out)?;
            } else {
                give_ready(slots, inner, &mut out);
            }
            Ok(out.n as c_int)
        })
    })
}

/// The program's array of messages.
struct Out {
    to: *mut u8,
    room: usize,
    size: usize,
    lm: *mut lm_t,
    n: usize,
}

impl Out {
    #[inline]
    fn has_room(&self) -> bool {
        self.n < self.room
    }

    /// Writes a message's description into the next place of the array, which has room.
    #[inline]
    fn write(&mut self, message: &Message, place: (u32, u32)) {
        // SAFETY: the array has room for so many messages, each of as many bytes as its program said. They
        // need not be aligned as ours are.
        unsafe {
            let to = self.to.add(self.n * self.size);
            versions::write(to, self.size, || describe(message, self.lm, place));
        }
        self.n += 1;
    }
}

/// A message of this handle's in this place, as C sees it.
#[inline]
fn describe(message: &Message, owner: *mut lm_t, (slot, generation): (u32, u32)) -> lm_message {
    let proof = match message.proof() {
        WholeBy::Headers => lm_proof::Headers,
        WholeBy::Tags => lm_proof::Tags,
        _ => lm_proof::Checksum,
    };
    let data = message.as_slice().map_or(ptr::null(), |bytes| bytes.as_ptr().cast::<c_void>());
    lm_message {
        data,
        len: message.len(),
        from: lm_address::of(message.from()),
        to: lm_address::of(message.to()),
        copied: message.copied() as u32,
        proof: proof as u16,
        fragments: message.fragments() as u16,
        owner,
        slot,
        generation,
    }
}

#[inline]
fn poll(slots: &Slots, inner: &mut Inner, out: &mut Out) -> Result<(), Failure> {
    inner.adopt()?;
    let Inner { way, free, ready, unheld, most, .. } = inner;
    if !slots.room(free, *most) {
        return Err(failure(libc::ENOBUFS, "65536 messages are held: release some first"));
    }
    let each = |message: Arrived<'_>| {
        let told = slots.put(free, message, |message, place| {
            if out.has_room() {
                out.write(message, place);
            } else {
                ready.push_back(place);
            }
        });
        *unheld += u64::from(told.is_none());
    };
    match way {
        Way::Own(port) => {
            port.poll_ahead(each).map_err(|e| failure(libc::EIO, e))?;
        }
        Way::Adopted(port) => {
            port.poll_ahead(each);
        }
        Way::Ready(_) | Way::Gone => return Err(gone()),
    }
    Ok(())
}

#[cold]
fn give_ready(slots: &Slots, inner: &mut Inner, out: &mut Out) {
    while out.has_room() {
        let Some((slot, generation)) = inner.ready.pop_front() else { return };
        // SAFETY: the program has not been told of this message, so nobody else looks at it.
        if let Ok(message) = unsafe { slots.get(slot, generation) } {
            // SAFETY: as above.
            out.write(unsafe { &*message }, (slot, generation));
        }
    }
}

/// What the library wrote in the description of a message, to find the message by.
pub(crate) struct Place {
    pub(crate) owner: *mut lm_t,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Reads where a message is that C passed. NULL and messages that were given back are refused.
///
/// # Safety
/// `message` is NULL or valid.
#[inline]
pub(crate) unsafe fn read(message: *const lm_message) -> Result<Place, Failure> {
    if message.is_null() {
        return Err(null("message"));
    }
    // Each field is read as wide as it was written a moment ago. A processor has to wait for a wider load.
    // SAFETY: the caller's promise: all versions of the structure have these fields.
    let place = unsafe {
        Place {
            owner: (&raw const (*message).owner).read_unaligned(),
            slot: (&raw const (*message).slot).read_unaligned(),
            generation: (&raw const (*message).generation).read_unaligned(),
        }
    };
    if place.owner.is_null() { Err(stale()) } else { Ok(place) }
}

/// Marks C's description as given back.
///
/// # Safety
/// `message` is valid.
pub(crate) unsafe fn forget(message: *mut lm_message) {
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*message).owner).write_unaligned(ptr::null_mut());
        (&raw mut (*message).data).write_unaligned(ptr::null());
    }
}

/// Releases a message: its memory can be used again.
///
/// Threads: any; in other threads than the handle's it costs a little more. Returns 0. -ESTALE: the message
/// was released or sent before.
///
/// # Safety
/// `message` is NULL or was given by lm_poll(), and the handle is open. No other thread uses the message, or
/// a copy of it, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_release(message: *mut lm_message) -> c_int {
    call(|| {
        // SAFETY: the caller's promises; no other thread has this message.
        unsafe {
            let m = read(message)?;
            let owner = lm_t::of(m.owner)?;
            drop(owner.slots.take(m.slot, m.generation).map_err(|_| stale())?);
            owner.give_back(m.slot);
            forget(message);
        }
        Ok(0)
    })
}

/// Tells where a message's payload lies: its pieces, in order. At most `n` of `pieces` are filled in. Their
/// memory belongs to the message.
///
/// Threads: any that has the message. Returns how many pieces there are, which may be more than `n`; an empty
/// message has none. -ESTALE as for lm_release().
///
/// # Safety
/// `message` as for lm_release(); `pieces` is NULL or has room for `n`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_pieces(message: *const lm_message, pieces: *mut libc::iovec, n: c_int) -> c_int {
    call(|| {
        if pieces.is_null() && n != 0 {
            return Err(null("pieces"));
        }
        if n < 0 {
            return Err(invalid(format_args!("n is {n}: give 0 or more")));
        }
        // SAFETY: the caller's promises; no other thread has this message.
        unsafe {
            let m = read(message)?;
            let held = lm_t::of(m.owner)?.slots.get(m.slot, m.generation).map_err(|_| stale())?;
            let all = (*held).pieces();
            let count = all.len();
            for (i, piece) in all.take(n as usize).enumerate() {
                let base = piece.as_ptr().cast_mut().cast();
                pieces.add(i).write(libc::iovec { iov_base: base, iov_len: piece.len() });
            }
            Ok(count as c_int)
        }
    })
}

/// Copies a payload that lies in pieces into one piece, and sets message->data and message->copied. The
/// pieces that lm_pieces() told of go back, and must not be read any more. A payload that lies in one piece
/// already stays where it is.
///
/// Threads: any that has the message. Returns 0, or -ESTALE as for lm_release().
///
/// # Safety
/// As for lm_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_contiguous(message: *mut lm_message) -> c_int {
    call(|| {
        // SAFETY: the caller's promises; no other thread has this message.
        unsafe {
            let m = read(message)?;
            let held = lm_t::of(m.owner)?.slots.get(m.slot, m.generation).map_err(|_| stale())?;
            let data = (*held).contiguous().as_ptr().cast::<c_void>();
            (&raw mut (*message).data).write_unaligned(data);
            (&raw mut (*message).copied).write_unaligned((*held).copied() as u32);
        }
        Ok(0)
    })
}

/// Turns a message into an mbuf of one segment from `pool`, without a copy. The message is taken. Its memory
/// is released when the mbuf is freed, which may be after lm_close().
///
/// Threads: any that has the message. Returns NULL on failure, and the message is still the caller's.
/// ENOBUFS: the pool is empty, or the payload lies where devices cannot read it in one piece. EINVAL: the
/// pool's objects are no mbufs, or have external memory pinned to them. ESTALE as for lm_release().
///
/// # Safety
/// `message` as for lm_release(). `pool` is NULL or a mempool, which lives as long as the mbuf.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_mbuf(
    message: *mut lm_message,
    pool: *mut sys::rte_mempool,
) -> *mut sys::rte_mbuf {
    call_ptr(|| {
        let pool = NonNull::new(pool).ok_or_else(|| null("pool"))?;
        // SAFETY: the caller's promises; no other thread has this message. There is a handle, so EAL is
        // initialised.
        unsafe {
            let m = read(message)?;
            let owner = lm_t::of(m.owner)?;
            let pool = Mempool::adopt(&Eal::adopt(), pool);
            owner.slots.get(m.slot, m.generation).map_err(|_| stale())?;
            if let Some(reason) = pool.refuses_external() {
                return Err(invalid(format_args!("the pool {reason}")));
            }
            let taken = owner.slots.take(m.slot, m.generation).map_err(|_| stale())?;
            match taken.into_message().into_mbuf(&pool) {
                Ok(mbuf) => {
                    owner.give_back(m.slot);
                    forget(message);
                    Ok(mbuf.into_raw().as_ptr())
                }
                Err(back) => {
                    owner.slots.refill(m.slot, m.generation, back);
                    Err(failure(
                        libc::ENOBUFS,
                        "the pool has no mbuf, or the payload lies where devices cannot read it in one \
                         piece: the message stays as it is",
                    ))
                }
            }
        }
    })
}
