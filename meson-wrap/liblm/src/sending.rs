//! Functions that send messages: copied, from where they landed, or from a buffer that was filled in place.
//!
//! C programs call them, in the thread of the handle. None of them waits. After an error the message or the
//! buffer still belongs to the caller; once it is sent, it is the library's.

use std::ffi::{c_int, c_void};
use std::ptr;

use lm::{SendError, Sent};

use crate::border::{Failure, call, failure, invalid, null};
use crate::handle::{Inner, lm_t, stale};
use crate::receiving::{forget, read};
use crate::types::{lm_address, lm_message, lm_sendbuf};

/// The longest payload.
const LONGEST: usize = 65_507;

/// Reads the address to send to. Port 0 is an address: a node that receives on all ports sends from it.
///
/// # Safety
/// `to` is NULL or valid.
unsafe fn address(to: *const lm_address) -> Result<std::net::SocketAddrV4, Failure> {
    if to.is_null() {
        return Err(null("to"));
    }
    // As wide as they were written, if they are a part of a message (`read`).
    // SAFETY: the caller's promise. It may be a part of an unaligned message.
    let to = unsafe {
        lm_address {
            ip: (&raw const (*to).ip).read_unaligned(),
            port: (&raw const (*to).port).read_unaligned(),
            reserved: (&raw const (*to).reserved).read_unaligned(),
        }
    };
    if to.ip == 0 || to.reserved != 0 { Err(wrong(to)) } else { Ok(to.socket()) }
}

#[cold]
fn wrong(to: lm_address) -> Failure {
    if to.ip == 0 {
        return invalid("to.ip is 0: give the address of a node or a group");
    }
    invalid(format_args!("to.reserved is {}: set it to 0, as lm_parse() does", to.reserved))
}

#[cold]
fn full() -> Failure {
    failure(
        libc::EAGAIN,
        "all send buffers are in flight, or 256 messages wait: poll, and send again; nothing was taken",
    )
}

fn number(sent: Sent) -> c_int {
    c_int::from(sent != Sent::Now)
}

/// Sends a copy of `len` bytes, 65507 at most, from this node's address and UDP port. It does not wait.
///
/// Threads: the handle's. Returns 0: the message is in the transmit queue. 1: it waits for room in the queue,
/// for the peer's hardware address, or for admission; later polls send it, and after 2 s it is dropped and
/// counted. In both cases the caller may use its memory again. -EAGAIN: all buffers are in flight, or 256
/// messages wait; nothing was taken. -EMSGSIZE: the message is too long. -EINVAL: to->ip is 0, or
/// to->reserved is not. -ENOTCONN, -ENOMEM, -ENOTSUP, -EIO as for lm_poll().
///
/// # Safety
/// `lm` is NULL or open; `to` is NULL or valid; `data` has `len` bytes, or `len` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_send(
    lm: *mut lm_t,
    to: *const lm_address,
    data: *const c_void,
    len: usize,
) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (handle, to) = unsafe { (lm_t::of(lm)?, address(to)?) };
        if len > LONGEST {
            return Err(failure(libc::EMSGSIZE, SendError::TooLong { len }));
        }
        if data.is_null() && len > 0 {
            return Err(null("data"));
        }
        let data: &[u8] = if len == 0 {
            &[]
        } else {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(data.cast(), len) }
        };
        handle.owned(|_, inner| {
            let mut out = inner.outbound()?;
            let mut buffer = out.buffer().ok_or_else(full)?;
            buffer.fill(data);
            out.try_send_buffer(buffer, to).map(number).map_err(|_| full())
        })
    })
}

/// Sends a received message on from where it lies. Full frames are not copied. The message may come from
/// another handle.
///
/// Threads: that of `lm`, if it has the message. Returns 0 or 1 as lm_send() does. Then the message is taken,
/// and its memory is released when it was sent. -EAGAIN: 256 messages wait. -ESTALE: the message was released
/// or sent before. -ENOTCONN, -ENOMEM, -ENOTSUP, -EIO as for lm_poll(). After an error the message is still
/// the caller's.
///
/// # Safety
/// `lm` is NULL or open; `to` is NULL or valid, and may be a part of the message; `message` as for
/// lm_release().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_forward(lm: *mut lm_t, to: *const lm_address, message: *mut lm_message) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (handle, to, m) = unsafe { (lm_t::of(lm)?, address(to)?, read(message)?) };
        // SAFETY: the caller's promise.
        let owner = unsafe { lm_t::of(m.owner) }?;
        // The thread is looked at first, so that a stranger's call takes nothing.
        handle.owned(|slots, inner| {
            let mut out = inner.outbound_of_poll()?;
            // SAFETY: the caller's promise: no other thread has this message.
            let taken = unsafe { owner.slots.take(m.slot, m.generation) }.map_err(|_| stale())?;
            let sent = if out.forward_copy(taken.message(), to) {
                drop(taken);
                Ok(Sent::Now)
            } else {
                out.try_forward(taken.into_message(), to)
            };
            match sent {
                Ok(sent) => {
                    if ptr::eq(owner, handle) {
                        slots.give_back(m.slot, Some(&mut inner.free));
                    } else {
                        owner.give_back(m.slot);
                    }
                    // SAFETY: the caller's promise.
                    unsafe { forget(message) };
                    Ok(number(sent))
                }
                Err(back) => {
                    owner.slots.refill(m.slot, m.generation, back);
                    Err(full())
                }
            }
        })
    })
}

/// Gives an empty send buffer, so that a payload can be written where it is sent from. The program writes at
/// buffer->data, lm_advance() goes on to the next block, and lm_commit() sends the message.
///
/// Threads: the handle's. Returns 0. -EAGAIN: all buffers are in flight: poll, and ask again. -ENOTCONN,
/// -ENOMEM, -ENOTSUP, -EIO as for lm_poll().
///
/// # Safety
/// `lm` is NULL or open; `buffer` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_buffer(lm: *mut lm_t, buffer: *mut lm_sendbuf) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let handle = unsafe { lm_t::of(lm) }?;
        if buffer.is_null() {
            return Err(null("buffer"));
        }
        handle.owned(|_, inner| {
            let empty = inner.outbound()?.buffer().ok_or_else(full)?;
            let (slot, generation) = inner.buffers.put(empty);
            let mut told = lm_sendbuf { data: ptr::null_mut(), room: 0, len: 0, owner: lm, slot, generation };
            look(inner, &mut told)?;
            // SAFETY: the caller's promise.
            unsafe { buffer.write(told) };
            Ok(0)
        })
    })
}

/// Fills in where the next bytes go.
fn look(inner: &mut Inner, told: &mut lm_sendbuf) -> Result<(), Failure> {
    let held = inner.buffers.get(told.slot, told.generation).ok_or_else(used)?;
    told.len = held.len();
    let room = held.room();
    told.room = room.len();
    told.data = if room.is_empty() { ptr::null_mut() } else { room.as_mut_ptr().cast() };
    Ok(())
}

#[cold]
fn used() -> Failure {
    failure(libc::ESTALE, "the buffer was sent or discarded before")
}

/// A buffer as C knows it.
///
/// # Safety
/// `buffer` is NULL or valid.
unsafe fn known<'a>(buffer: *mut lm_sendbuf) -> Result<&'a mut lm_sendbuf, Failure> {
    // SAFETY: the caller's promise.
    let told = unsafe { buffer.as_mut() }.ok_or_else(|| null("buffer"))?;
    if told.owner.is_null() { Err(used()) } else { Ok(told) }
}

/// A buffer as C knows it, and the handle that it is of.
///
/// # Safety
/// `buffer` is NULL or valid, and the handle that it was given by is open.
unsafe fn known_and_owner<'a>(buffer: *mut lm_sendbuf) -> Result<(&'a mut lm_sendbuf, &'a lm_t), Failure> {
    // SAFETY: the caller's promises.
    unsafe {
        let told = known(buffer)?;
        let handle = lm_t::of(told.owner)?;
        Ok((told, handle))
    }
}

/// Marks C's description of a buffer as given back.
fn empty(told: &mut lm_sendbuf) {
    told.owner = ptr::null_mut();
    told.data = ptr::null_mut();
    told.room = 0;
}

/// Says that `n` bytes were written at buffer->data, which may be buffer->room at most. Then sets
/// buffer->data and buffer->room to the place and the size of the room that is left.
///
/// Threads: the handle's. Returns 0. -EINVAL: `n` is larger than buffer->room. -ESTALE: the buffer was sent
/// or discarded before.
///
/// # Safety
/// `buffer` is NULL or was given by lm_buffer(), and the handle is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_advance(buffer: *mut lm_sendbuf, n: usize) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (told, handle) = unsafe { known_and_owner(buffer)? };
        handle.owned(|_, inner| {
            let held = inner.buffers.get(told.slot, told.generation).ok_or_else(used)?;
            let room = held.room().len();
            if n > room {
                return Err(invalid(format_args!("n is {n}: there is room for {room} bytes")));
            }
            held.advance(n);
            look(inner, told)?;
            Ok(0)
        })
    })
}

/// Sends what was written to a buffer, without a copy.
///
/// Threads: the handle's. Returns 0 or 1 as lm_send() does. Then the buffer is taken. -EAGAIN: 256 messages
/// wait. -ESTALE: the buffer was sent or discarded before. -EIO as for lm_poll(). After an error the buffer
/// is still the caller's.
///
/// # Safety
/// `lm` is NULL or open; `to` is NULL or valid; `buffer` as for lm_advance().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_commit(lm: *mut lm_t, to: *const lm_address, buffer: *mut lm_sendbuf) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (handle, to, told) = unsafe { (lm_t::of(lm)?, address(to)?, known(buffer)?) };
        if !ptr::eq(told.owner, lm) {
            return Err(invalid("this buffer is another handle's: commit it with that one"));
        }
        handle.owned(|_, inner| {
            inner.adopt()?;
            let Inner { way, buffers, .. } = inner;
            // The way out is looked at first: without one the buffer stays the caller's.
            let mut out = way.outbound()?;
            let taken = buffers.take(told.slot, told.generation).ok_or_else(used)?;
            match out.try_send_buffer(taken, to) {
                Ok(sent) => {
                    empty(told);
                    Ok(number(sent))
                }
                Err(back) => {
                    buffers.refill(told.slot, told.generation, back);
                    Err(full())
                }
            }
        })
    })
}

/// Gives a buffer back unsent.
///
/// Threads: the handle's. Returns 0. -ESTALE: the buffer was sent or discarded before.
///
/// # Safety
/// As for lm_advance().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_discard(buffer: *mut lm_sendbuf) -> c_int {
    call(|| {
        // SAFETY: the caller's promises.
        let (told, handle) = unsafe { known_and_owner(buffer)? };
        handle.owned(|_, inner| {
            drop(inner.buffers.take(told.slot, told.generation).ok_or_else(used)?);
            empty(told);
            Ok(0)
        })
    })
}
