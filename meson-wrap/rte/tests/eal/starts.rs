//! Starts of EAL that must fail, each in a copy of this process.

use std::ffi::{CStr, c_void};
use std::process::Command;

use dpdk_sys::rte_mempool;
use rte::mempool::{Handler, register};
use rte::{Eal, EalError};

/// Set in a copy of this process, to what that copy does.
const COPY: &str = "RTE_TEST_COPY";
/// What a copy ends with if it was told what is wrong.
const TOLD: u8 = 77;

/// Runs a copy of this process that ends in EAL.
pub(crate) fn is_told(what: &str) {
    let this = std::env::current_exe().unwrap();
    let copy = Command::new(this).args(["--exact", "all_that_needs_eal"]).env(COPY, what).output().unwrap();
    assert_eq!(copy.status.code(), Some(TOLD.into()), "{what}: {copy:?}");
}

/// Gives EAL a wrong option.
fn wrong_option() -> u8 {
    let told = |e: EalError| if matches!(e, EalError::Arguments { .. }) { TOLD } else { 1 };
    told(Eal::init_or(["test", "--no-such-option"], told).unwrap_err())
}

/// Leaves no place in DPDK's table of mempool handlers for what EAL loads.
fn full_table() -> u8 {
    struct Filler<const N: usize>;
    // SAFETY: no pool is made with it.
    unsafe impl<const N: usize> Handler for Filler<N> {
        const NAME: &'static CStr = c"filler";
        type Config = ();
        fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> {
            Err(libc::EINVAL)
        }
        unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 {
            -libc::ENOBUFS
        }
        unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 {
            -libc::ENOENT
        }
        unsafe fn count(_: *const Self) -> u32 {
            0
        }
    }
    macro_rules! fill {
        ($($n:literal)*) => { $(register::<Filler<$n>>().unwrap();)* };
    }
    fill!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    match Eal::init(["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry"]) {
        Err(EalError::Handlers { registered }) if registered.len() == 16 => TOLD,
        _ => 1,
    }
}

/// In a copy of this process, does what the copy is for and ends the process. In any other, does nothing.
pub(crate) fn be_a_copy() {
    match std::env::var(COPY).as_deref() {
        Ok("option") => std::process::exit(wrong_option().into()),
        Ok("table") => std::process::exit(full_table().into()),
        _ => (),
    }
}
