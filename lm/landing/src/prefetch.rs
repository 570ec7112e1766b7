//! [`prefetch`]: a hint to the processor.

/// Tells the processor that the memory at this address is needed soon. Any address will do.
#[inline]
pub(crate) fn prefetch(at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint faults at no address.
    unsafe {
        core::arch::x86_64::_mm_prefetch(at as *const i8, core::arch::x86_64::_MM_HINT_T0);
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
