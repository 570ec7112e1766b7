//! Checks the layouts that Rust code relies on, field by field, against what the C compiler says. A release
//! of DPDK that moves a field fails here, and not at run time.

use std::mem::{offset_of, size_of};

use dpdk_sys::{rte_eth_conf, rte_eth_fp_ops, rte_mbuf, rte_mempool, rte_mempool_ops};

#[test]
fn mbuf_fields_are_where_c_puts_them() {
    let mut c = [0_usize; 18];
    // SAFETY: the function fills exactly the 18 elements that its C prototype asks for.
    unsafe { dpdk_sys::dpdk_sys_mbuf_offsets(c.as_mut_ptr().cast()) };
    let rust = [
        offset_of!(rte_mbuf, buf_addr),
        offset_of!(rte_mbuf, buf_iova),
        offset_of!(rte_mbuf, data_off),
        offset_of!(rte_mbuf, refcnt),
        offset_of!(rte_mbuf, nb_segs),
        offset_of!(rte_mbuf, port),
        offset_of!(rte_mbuf, ol_flags),
        offset_of!(rte_mbuf, packet_type),
        offset_of!(rte_mbuf, pkt_len),
        offset_of!(rte_mbuf, data_len),
        offset_of!(rte_mbuf, vlan_tci),
        offset_of!(rte_mbuf, buf_len),
        offset_of!(rte_mbuf, pool),
        offset_of!(rte_mbuf, next),
        offset_of!(rte_mbuf, shinfo),
        offset_of!(rte_mbuf, priv_size),
        offset_of!(rte_mbuf, dynfield1),
        size_of::<rte_mbuf>(),
    ];
    assert_eq!(rust, c);
}

#[test]
fn pool_port_and_configuration_fields_are_where_c_puts_them() {
    let mut c = [0_usize; 11];
    // SAFETY: the function fills exactly the 11 elements that its C prototype asks for.
    unsafe { dpdk_sys::dpdk_sys_other_offsets(c.as_mut_ptr().cast()) };
    let rust = [
        offset_of!(rte_mempool, pool_config),
        offset_of!(rte_mempool, ops_index),
        offset_of!(rte_mempool, populated_size),
        size_of::<rte_mempool>(),
        offset_of!(rte_mempool_ops, get_count),
        size_of::<rte_mempool_ops>(),
        offset_of!(rte_eth_fp_ops, rxq),
        offset_of!(rte_eth_fp_ops, tx_pkt_burst),
        offset_of!(rte_eth_fp_ops, txq),
        size_of::<rte_eth_fp_ops>(),
        size_of::<rte_eth_conf>(),
    ];
    assert_eq!(rust, c);
}

#[test]
fn inline_functions_and_constants_are_there() {
    // SAFETY: both only read: a thread-local variable and the time stamp counter.
    let (errno, tsc) = unsafe { (dpdk_sys::dpdk_sys_errno(), dpdk_sys::rte_rdtsc()) };
    assert_eq!(errno, 0);
    assert_ne!(tsc, 0);
    assert_eq!(dpdk_sys::RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 1_u64);
    assert_eq!(dpdk_sys::RTE_MBUF_F_EXTERNAL, 1_u64 << 61);
    assert_eq!(dpdk_sys::RTE_PKTMBUF_HEADROOM, 128);
}
