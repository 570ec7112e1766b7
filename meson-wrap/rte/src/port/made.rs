//! The length of the frames that net_null makes.
//!
//! The driver has it from its argument `size`, 64 if there is none, and compares it with no buffer
//! (`eth_null_rx` and `eth_null_copy_rx` in `rte_eth_null.c`): it writes as many bytes into each mbuf, or
//! says that they are there. So a queue is not set up with shorter buffers.

use std::ffi::CStr;
use std::ptr;

use dpdk_sys::rte_eth_dev_info;

/// The most bytes of a frame that the device makes without a look at the buffer. 0: it looks.
pub(super) fn blind_length(info: &rte_eth_dev_info) -> u64 {
    const USUAL: u64 = 64;
    // SAFETY: the names of a driver, and the arguments of a device, are null or strings that live as long.
    unsafe {
        if info.driver_name.is_null()
            || CStr::from_ptr(info.driver_name) != c"net_null"
            || info.device.is_null()
        {
            return 0;
        }
        let devargs = dpdk_sys::rte_dev_devargs(info.device);
        let args = if devargs.is_null() { ptr::null() } else { dpdk_sys::dpdk_sys_devargs_args(devargs) };
        if args.is_null() { USUAL } else { longest(CStr::from_ptr(args)).max(USUAL) }
    }
}

/// The largest number behind a key `size`.
fn longest(args: &CStr) -> u64 {
    const KEY: &[u8] = b"size=";
    let args = args.to_bytes_with_nul();
    let places = args.windows(KEY.len()).enumerate().filter(|(_, word)| *word == KEY);
    // SAFETY: a string that ends where the arguments do. The driver reads the number by the same function.
    let number = |at: usize| unsafe { libc::strtoul(args[at..].as_ptr().cast(), ptr::null_mut(), 0) };
    places.map(|(at, _)| number(at + KEY.len())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::longest;

    #[test]
    fn numbers_are_what_the_driver_reads() {
        for (args, n) in [
            (c"", 0),
            (c"copy=1", 0),
            (c"size=100,copy=1", 100),
            (c"copy=1,size=0x2000", 8192),
            (c"size=9000,size=64", 9000),
            (c"size=-1", u64::MAX),
            (c"size=", 0),
        ] {
            assert_eq!(longest(args), n, "{args:?}");
        }
    }
}
