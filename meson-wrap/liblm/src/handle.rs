//! [`lm_t`]: an open node. It belongs to one thread at a time, and refuses calls from all others.
//!
//! Functions that need the node itself go through [`lm_t::owned`], which checks the thread. A panic within it
//! marks the node as broken, and every later [`lm_t::owned`] fails; the handle can still be closed.
//! [`lm_t::give_back`] is the exception: any thread may return the place of a message.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lm::{AdoptedPort, Config, Landing, Outbound, Port, SendBuffer, Tally};

use crate::border::{Failure, failure, null};
use crate::numbers::number;
use crate::slots::{Free, Slots};

/// An open node. It belongs to the thread that opened it, until lm_detach().
pub struct lm_t {
    /// The thread that owns the handle, as `pthread_self` names it. Zero: none; the next thread that calls
    /// becomes the owner.
    owner: AtomicUsize,
    pub(crate) slots: Slots,
    inner: UnsafeCell<Inner>,
}

/// The part of a handle that only its owner touches.
pub(crate) struct Inner {
    pub(crate) way: Way,
    pub(crate) free: Free,
    /// The places of messages for which the array of an `lm_poll` had no room.
    pub(crate) ready: VecDeque<(u32, u32)>,
    /// Messages that were dropped because too many were held.
    pub(crate) unheld: u64,
    pub(crate) buffers: Buffers,
    /// Bytes of an `lm_message`, as the program was compiled.
    pub(crate) message_size: usize,
    /// How many free places a poll needs, so that each of its messages has one.
    pub(crate) most: usize,
    /// An epoll instance over the interrupts, once it was asked for.
    pub(crate) epoll: Option<std::os::fd::OwnedFd>,
    /// Whether a call is under way, or was left by a panic.
    broken: bool,
}

/// Where messages come from.
pub(crate) enum Way {
    /// A port of LM's own.
    Own(Box<Port>),
    /// Memory for a queue of the application's, which is adopted by the first poll.
    Ready(Box<(Landing, u16, Config)>),
    /// Two queues of the application's.
    Adopted(Box<AdoptedPort>),
    /// Nothing: adopting failed half-way, or a panic took it.
    Gone,
}

impl Way {
    /// What messages are sent through, once the queue is adopted.
    #[inline]
    pub(crate) fn outbound(&mut self) -> Result<Outbound<'_>, Failure> {
        match self {
            Self::Own(port) => port.outbound().ok_or_else(gone),
            Self::Adopted(port) => Ok(port.outbound()),
            Self::Ready(_) | Self::Gone => Err(gone()),
        }
    }
}

impl Inner {
    /// How many messages the program holds, without those that no poll has given to it yet.
    pub(crate) fn told(&mut self, slots: &Slots) -> usize {
        slots.held(&mut self.free) - self.ready.len()
    }

    pub(crate) fn new(way: Way, message_size: usize, most: usize) -> Self {
        Self {
            way,
            free: Free::default(),
            ready: VecDeque::with_capacity(64),
            unheld: 0,
            buffers: Buffers::default(),
            message_size,
            most,
            epoll: None,
            broken: false,
        }
    }

    /// What messages are sent through.
    #[inline]
    pub(crate) fn outbound(&mut self) -> Result<Outbound<'_>, Failure> {
        self.adopt()?;
        self.way.outbound()
    }

    /// The same, for messages of the last poll.
    #[inline]
    pub(crate) fn outbound_of_poll(&mut self) -> Result<Outbound<'_>, Failure> {
        self.adopt()?;
        match &mut self.way {
            Way::Own(port) => port.outbound_of_poll().ok_or_else(gone),
            Way::Adopted(port) => Ok(port.outbound_of_poll()),
            Way::Ready(_) | Way::Gone => Err(gone()),
        }
    }

    /// Adopts the application's queue, if that is still to be done.
    #[inline]
    pub(crate) fn adopt(&mut self) -> Result<(), Failure> {
        if matches!(self.way, Way::Ready(_)) { self.adopt_now() } else { Ok(()) }
    }

    #[cold]
    fn adopt_now(&mut self) -> Result<(), Failure> {
        let Way::Ready(ready) = &self.way else { return Ok(()) };
        let (landing, queue, config) = &**ready;
        // What can be mended leaves the handle as it is.
        landing.check(*queue, *queue, config).map_err(|e| failure(libc::ENOTCONN, e))?;
        let Way::Ready(ready) = std::mem::replace(&mut self.way, Way::Gone) else { return Ok(()) };
        let (landing, queue, config) = *ready;
        // SAFETY: the port is started and the queue set up, as was just checked; lm.h asks the program to
        // give the queue this pool, where a driver does not tell, to poll it by nothing else, and to close
        // the handle before it stops the port.
        let adopted = unsafe { landing.adopt_port(queue, queue, config) };
        let adopted = adopted.map_err(|e| failure(number(&e, libc::ENOMEM), e))?;
        self.way = Way::Adopted(Box::new(adopted));
        Ok(())
    }

    pub(crate) fn counters(&self) -> (Tally, u64, u64) {
        match &self.way {
            Way::Own(port) => (port.counters(), port.ignored(), port.unsent().0),
            Way::Adopted(port) => (port.counters(), port.ignored(), port.unsent().0),
            Way::Ready(_) | Way::Gone => (Tally::default(), 0, 0),
        }
    }

    /// How long the thread may sleep unless frames arrive; `None`: not at all.
    pub(crate) fn may_rest(&mut self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return None;
        }
        if let Way::Own(port) = &mut self.way { port.may_rest() } else { None }
    }
}

pub(crate) fn gone() -> Failure {
    failure(libc::EIO, "the queue could not be adopted, or a defect ended this node: close it")
}

/// Send buffers that C fills.
#[derive(Default)]
pub(crate) struct Buffers {
    places: Vec<(u32, Option<SendBuffer>)>,
}

impl Buffers {
    /// Puts a buffer in a place: number and generation.
    pub(crate) fn put(&mut self, buffer: SendBuffer) -> (u32, u32) {
        let index = self.places.iter().position(|(_, place)| place.is_none()).unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        let (generation, place) = &mut self.places[index];
        *generation = generation.wrapping_add(1);
        *place = Some(buffer);
        (index as u32, *generation)
    }

    fn place(&mut self, index: u32, generation: u32) -> Option<&mut Option<SendBuffer>> {
        let (now, place) = self.places.get_mut(index as usize)?;
        (*now == generation).then_some(place)
    }

    pub(crate) fn get(&mut self, index: u32, generation: u32) -> Option<&mut SendBuffer> {
        self.place(index, generation)?.as_mut()
    }

    pub(crate) fn take(&mut self, index: u32, generation: u32) -> Option<SendBuffer> {
        self.place(index, generation)?.take()
    }

    /// Puts a buffer back where it was taken from.
    pub(crate) fn refill(&mut self, index: u32, generation: u32, buffer: SendBuffer) {
        if let Some(place) = self.place(index, generation) {
            *place = Some(buffer);
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.places.iter().filter(|(_, place)| place.is_some()).count()
    }
}

/// The calling thread.
#[inline]
fn this_thread() -> usize {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::pthread_self() as usize }
}

impl lm_t {
    pub(crate) fn open(inner: Inner) -> *mut Self {
        let owner = AtomicUsize::new(this_thread());
        Box::into_raw(Box::new(Self { owner, slots: Slots::new(), inner: UnsafeCell::new(inner) }))
    }

    /// The handle behind a pointer of C's.
    ///
    /// # Safety
    /// The pointer is NULL, or one that [`lm_t::open`] returned and that was not closed; nobody closes it as
    /// long as the result is used.
    #[inline]
    pub(crate) unsafe fn of<'a>(lm: *mut Self) -> Result<&'a Self, Failure> {
        // SAFETY: the caller's promise.
        unsafe { lm.as_ref() }.ok_or_else(|| null("lm"))
    }

    /// Whether this thread owns the handle. It becomes the owner of a handle that has none.
    #[inline]
    fn is_mine(&self) -> bool {
        let me = this_thread();
        let owner = self.owner.load(Ordering::Relaxed);
        owner == me
            || (owner == 0
                && self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok())
    }

    /// Calls `body` with the slots and the owner's part, if this thread is the owner.
    #[inline]
    pub(crate) fn owned<R>(
        &self,
        body: impl FnOnce(&Slots, &mut Inner) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        if !self.is_mine() {
            return Err(stranger());
        }
        // SAFETY: this is the owning thread. Nothing that `body` calls comes back here: the library calls
        // none of C's functions.
        let inner = unsafe { &mut *self.inner.get() };
        if std::mem::replace(&mut inner.broken, true) {
            return Err(gone());
        }
        let result = body(&self.slots, inner);
        inner.broken = false;
        result
    }

    /// Checks that this thread may close the handle: it owns it, and the program holds nothing of it.
    /// Messages that no poll has given to the program are dropped.
    pub(crate) fn close_check(&self) -> Result<(), Failure> {
        if !self.is_mine() {
            return Err(stranger());
        }
        // SAFETY: this is the owning thread, outside of `owned`.
        let inner = unsafe { &mut *self.inner.get() };
        let (messages, buffers) = (inner.told(&self.slots), inner.buffers.held());
        if messages + buffers > 0 {
            return Err(failure(
                libc::EBUSY,
                format_args!("{messages} messages and {buffers} send buffers are held: give them back first"),
            ));
        }
        while let Some((slot, generation)) = inner.ready.pop_front() {
            // SAFETY: the program has not been told of this message, so no other thread has it.
            if let Ok(message) = unsafe { self.slots.take(slot, generation) } {
                drop(message);
                self.slots.give_back(slot, Some(&mut inner.free));
            }
        }
        Ok(())
    }

    /// Gives an emptied place back.
    #[inline]
    pub(crate) fn give_back(&self, slot: u32) {
        let mine = self.owner.load(Ordering::Relaxed) == this_thread();
        // SAFETY: the owning thread, outside of `owned`, or within the `owned` of another handle.
        let free = mine.then(|| unsafe { &mut (*self.inner.get()).free });
        self.slots.give_back(slot, free);
    }

    /// The next thread that calls is the owner.
    pub(crate) fn detach(&self) -> Result<(), Failure> {
        self.owned(|_, _| Ok(()))?;
        self.owner.store(0, Ordering::Release);
        Ok(())
    }

    pub(crate) fn into_inner(self) -> Inner {
        self.inner.into_inner()
    }
}

#[cold]
fn stranger() -> Failure {
    failure(
        libc::EPERM,
        "this lm_t belongs to another thread: call from there, or have that thread call lm_detach first",
    )
}

#[cold]
pub(crate) fn stale() -> Failure {
    failure(libc::ESTALE, "the message was released or sent before")
}
