/* What bindgen reads. Everything `rte` and its users need, and the few `static inline` functions that have to become
 * real symbols (bindgen writes those, see build.rs). */
#include <stddef.h>
#include <stdio.h>

#include <rte_version.h>
#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_log.h>
#include <rte_lcore.h>
#include <rte_launch.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_bus.h>
#include <rte_memory.h>
#include <rte_memzone.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_mbuf.h>
#include <rte_ether.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_ip_frag.h>
#include <rte_kvargs.h>

/* rte_errno and the lcore id are thread-local variables, which Rust cannot import: read them in C. */
static inline int dpdk_sys_errno(void) { return rte_errno; }
static inline void dpdk_sys_set_errno(int value) { rte_errno = value; }

/* stdio's cookie streams, which the `libc` crate lacks; DPDK's log writes to a FILE. */
typedef ssize_t (*dpdk_sys_write_fn)(void *cookie, const char *buf, size_t len);
static inline FILE *dpdk_sys_cookie_stream(void *cookie, dpdk_sys_write_fn write)
{
	cookie_io_functions_t io = { NULL, write, NULL, NULL };
	return fopencookie(cookie, "w", io);
}

/* Where an IPv4 packet's headers end: bit fields within anonymous unions. */
static inline void dpdk_sys_mbuf_set_header_lens(struct rte_mbuf *m, uint16_t l2, uint16_t l3)
{
	m->l2_len = l2;
	m->l3_len = l3;
}

/* The offsets that Rust relies on, as the C compiler sees them; tests/layout.rs compares. */
static inline void dpdk_sys_mbuf_offsets(size_t out[18])
{
	const size_t o[18] = {
		offsetof(struct rte_mbuf, buf_addr), offsetof(struct rte_mbuf, buf_iova),
		offsetof(struct rte_mbuf, data_off), offsetof(struct rte_mbuf, refcnt),
		offsetof(struct rte_mbuf, nb_segs), offsetof(struct rte_mbuf, port),
		offsetof(struct rte_mbuf, ol_flags), offsetof(struct rte_mbuf, packet_type),
		offsetof(struct rte_mbuf, pkt_len), offsetof(struct rte_mbuf, data_len),
		offsetof(struct rte_mbuf, vlan_tci), offsetof(struct rte_mbuf, buf_len),
		offsetof(struct rte_mbuf, pool), offsetof(struct rte_mbuf, next),
		offsetof(struct rte_mbuf, shinfo), offsetof(struct rte_mbuf, priv_size),
		offsetof(struct rte_mbuf, dynfield1), sizeof(struct rte_mbuf),
	};
	for (int i = 0; i < 18; i++)
		out[i] = o[i];
}

static inline void dpdk_sys_other_offsets(size_t out[12])
{
	const size_t o[12] = {
		offsetof(struct rte_mempool, pool_data), offsetof(struct rte_mempool, pool_config),
		offsetof(struct rte_mempool, ops_index), offsetof(struct rte_mempool, populated_size),
		sizeof(struct rte_mempool), offsetof(struct rte_mempool_ops, get_count),
		sizeof(struct rte_mempool_ops), offsetof(struct rte_eth_fp_ops, rxq),
		offsetof(struct rte_eth_fp_ops, tx_pkt_burst), offsetof(struct rte_eth_fp_ops, txq),
		sizeof(struct rte_eth_fp_ops), sizeof(struct rte_eth_conf),
	};
	for (int i = 0; i < 12; i++)
		out[i] = o[i];
}
