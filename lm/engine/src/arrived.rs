//! [`Arrived`]: a message in the place where the engine made it.
//!
//! A [`Message`] describes a payload in some hundred bytes, and a function that takes it by value copies
//! them. Between a poll and the program there are several functions that only look at it. They pass an
//! [`Arrived`] on. The last one takes the message out, or reads it and drops it where it is.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;

use crate::message::Message;

/// A message that has arrived, to be looked at where it is, and to be [taken](Arrived::take). Dropping it
/// drops the message.
pub struct Arrived<'a> {
    /// There is a message until this value is dropped or taken. Nobody else looks at the place afterwards.
    place: &'a mut ManuallyDrop<Message>,
}

impl Arrived<'_> {
    /// Calls `each` with this message.
    #[inline]
    pub(crate) fn give(message: Message, each: &mut impl FnMut(Arrived<'_>)) {
        each(Arrived { place: &mut ManuallyDrop::new(message) });
    }

    /// The message itself.
    #[inline]
    #[allow(unsafe_code)]
    pub fn take(self) -> Message {
        let this = ManuallyDrop::new(self);
        // SAFETY: `give` made this value with a message, which is taken or dropped at most once: this value
        // is used up here, and does not run its own `drop`. `give` does not look at the place again.
        unsafe { ptr::read(&raw const **this.place) }
    }
}

impl Deref for Arrived<'_> {
    type Target = Message;
    #[inline]
    fn deref(&self) -> &Message {
        self.place
    }
}

impl DerefMut for Arrived<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Message {
        self.place
    }
}

impl Drop for Arrived<'_> {
    #[inline]
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: as in `take`: this value has not been taken, and nobody looks at the place again.
        unsafe { ManuallyDrop::drop(self.place) }
    }
}
