//! Starts of EAL that must fail, each in a copy of this process.

use std::ffi::{CStr, c_void};
use std::process::Command;

use dpdk_sys::rte_mempool;
use rte::mempool::{Handler, Mempool, register};
use rte::port::{ConfigureError, OpenError, Port, PortConfig, PortId, find};
use rte::{Eal, EalError, Release};

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

/// Asks for pools that are for one thread.
fn one_thread() -> u8 {
    let options = ["--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--mbuf-pool-ops-name=ring_sp_sc"];
    let (eal, _) = Eal::init(["test"].into_iter().chain(options)).unwrap();
    let pool = Mempool::pktmbuf(&eal, "pool", 63, 0, 0, 2176, None).unwrap();
    // SAFETY: the pool lives, and its handler is in the table, whose names end within their arrays.
    let name = unsafe {
        let ops = &raw const dpdk_sys::rte_mempool_ops_table.ops[(*pool.as_ptr()).ops_index as usize];
        CStr::from_ptr((&raw const (*ops).name).cast())
    };
    if name == c"ring_mp_mc" { TOLD } else { 1 }
}

/// A port belongs to its owner or to a bonding device, which takes its members when it is configured.
fn member() -> u8 {
    let word = if Eal::release() < Release(23, 11, 0) { "slave" } else { "member" };
    let bond = |i: u8| format!("--vdev=net_bonding{i},mode=0,{word}=net_null{i}");
    let (bond0, bond1) = (bond(0), bond(1));
    let options =
        ["--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--vdev=net_null0", "--vdev=net_null1"];
    let (eal, _) = Eal::init(["test"].into_iter().chain(options).chain([&bond0[..], &bond1])).unwrap();
    let open = |device: &str| Port::open(&eal, find(&eal, device).unwrap());
    let config = PortConfig::default();
    let (_mine, mut bond) = (open("net_null1").unwrap(), open("net_bonding1").unwrap());
    let Err(ConfigureError::Refused { errno, .. }) = bond.configure(&config) else { return 1 };
    if errno.number() != libc::EBUSY || bond.start().is_ok() {
        return 2;
    }
    let mut bond = open("net_bonding0").unwrap();
    bond.configure(&config).unwrap();
    if open("net_null0").err() == Some(OpenError::Owned(PortId(0))) { TOLD } else { 3 }
}

/// In a copy of this process, does what the copy is for and ends the process. In any other, does nothing.
pub(crate) fn be_a_copy() {
    match std::env::var(COPY).as_deref() {
        Ok("option") => std::process::exit(wrong_option().into()),
        Ok("one thread") => std::process::exit(one_thread().into()),
        Ok("member") => std::process::exit(member().into()),
        Ok("table") => std::process::exit(full_table().into()),
        _ => (),
    }
}
