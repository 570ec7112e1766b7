//! Raw bindings to DPDK. They are generated from the headers of the installed libdpdk when the crate is
//! built. `supported.txt` lists the accepted releases; the build refuses others.
//!
//! Everything here is as unsafe as in C. The crate `rte` has safe owners for it. Four points differ from C:
//!
//! * `static inline` functions have no symbol. Those on the build script's list are compiled into small C
//!   wrappers and look like any other function. The burst functions are not among them: call through
//!   `rte_eth_fp_ops`, as the inline functions in C do, and save a call.
//! * `rte_errno` is a thread-local variable that Rust cannot import: [`dpdk_sys_errno`] reads it.
//! * [`rte_mbuf`] is flat, and `dpdk_sys_*` functions read members of anonymous unions. So the bindings are
//!   the same with every accepted release of DPDK.
//! * Enumerators are plain constants, without the enum's name in front.
//!
//! libdpdk is linked dynamically. Drivers are not linked at all: EAL loads buses, PMDs and mempool drivers
//! from the PMD directory of the installed DPDK.
#![no_std]

#[allow(
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    improper_ctypes,
    unknown_lints,
    unnecessary_transmutes,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn,
    reason = "generated code"
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// "No address": `RTE_BAD_IOVA`, a cast that bindgen cannot evaluate.
pub const RTE_BAD_IOVA: rte_iova_t = rte_iova_t::MAX;
