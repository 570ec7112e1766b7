//! [`WordSource`]: what finds the words that a device says of each frame where its driver does not hand them
//! over. A crate that knows the driver implements it, and a [`LandingQueue`](crate::LandingQueue) asks it
//! about each burst.

use dpdk_sys::rte_mbuf;

/// Whether somebody looks at the words of the frames that were just received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Yes.
    Now,
    /// No, but perhaps at those of later frames.
    Later,
    /// No, nor at those of any later frame.
    Never,
}

/// Finds what a device said of the frames of one receive queue ([`Traits::words`](crate::device::Traits)).
pub trait WordSource: Send {
    /// Puts the word of each frame into the field of its mbuf's hash. False: it is not known any more which
    /// word is which frame's, and this is not to be called again.
    ///
    /// # Safety
    /// The mbufs are all that a call to the queue's driver has just returned, in order. They are valid and
    /// nobody else's. Every earlier call since its port was started was told or passed, too. The port was not
    /// stopped since.
    unsafe fn tell(&mut self, mbufs: &[*mut rte_mbuf]) -> bool;

    /// Makes the word of each frame 0, which says nothing. It costs less.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    unsafe fn pass(&mut self, mbufs: &[*mut rte_mbuf]);
}

/// The word of a frame: the field of its mbuf's hash. Some drivers put there what the device's descriptor
/// said of the frame, whether it is a hash or not (`pmd-e1000` has the source), and so does a [`WordSource`].
/// With other drivers its value means nothing, and it is not used.
///
/// # Safety
/// A valid mbuf, nobody else's.
#[inline]
pub(crate) unsafe fn word(mbuf: *const rte_mbuf) -> u32 {
    // SAFETY: the caller's promise; a pool's mbufs are initialised.
    unsafe { (*mbuf).hash[0] }
}
