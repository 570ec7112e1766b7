/* What bindgen reads. Everything `rte` and its users need, and the few `static inline` functions that have to
 * become real symbols (bindgen writes those, see build.rs). */
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
#include <rte_devargs.h>
#include <rte_bus.h>
#include <rte_memory.h>
#include <rte_memzone.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_ether.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_net.h>
#include <rte_ip_frag.h>
#include <rte_gso.h>
#include <rte_gro.h>
#include <rte_kvargs.h>
#include <rte_telemetry.h>
#include <rte_vfio.h>

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

/* Unsigned numbers of telemetry have other names from 23.03 on. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
enum { DPDK_SYS_TEL_NUMBERS = RTE_TEL_UINT_VAL };
#define DPDK_SYS_TEL_DICT rte_tel_data_add_dict_uint
#define DPDK_SYS_TEL_ARRAY rte_tel_data_add_array_uint
#else
enum { DPDK_SYS_TEL_NUMBERS = RTE_TEL_U64_VAL };
#define DPDK_SYS_TEL_DICT rte_tel_data_add_dict_u64
#define DPDK_SYS_TEL_ARRAY rte_tel_data_add_array_u64
#endif
static inline int dpdk_sys_tel_dict_number(struct rte_tel_data *d, const char *name, uint64_t n)
{
	return DPDK_SYS_TEL_DICT(d, name, n);
}
static inline int dpdk_sys_tel_array_number(struct rte_tel_data *d, uint64_t n)
{
	return DPDK_SYS_TEL_ARRAY(d, n);
}

/* What differs from release to release ends here: Rust sees one struct rte_mbuf, flat, and functions for
 * members of anonymous unions, whose names bindgen makes up by counting. */

/* struct rte_mbuf without its markers (until 24.03) or anonymous unions and structures (from 24.07 on):
 * build.rs gives Rust this one in its stead. The compiler compares below. */
struct dpdk_sys_mbuf {
	void *buf_addr;
	rte_iova_t buf_iova;
	/* 8 bytes that drivers write together: "rearm_data". */
	uint16_t data_off;
	uint16_t refcnt;
	uint16_t nb_segs;
	uint16_t port;
	uint64_t ol_flags;
	uint32_t packet_type;
	uint32_t pkt_len;
	uint16_t data_len;
	uint16_t vlan_tci;
	uint32_t hash[2];
	uint16_t vlan_tci_outer;
	uint16_t buf_len;
	struct rte_mempool *pool;
	struct rte_mbuf *next;
	uint64_t tx_offload;
	struct rte_mbuf_ext_shared_info *shinfo;
	uint16_t priv_size;
	uint16_t timesync;
	uint32_t dynfield1[9];
} __attribute__((__aligned__(RTE_CACHE_LINE_SIZE)));

#define DPDK_SYS_SAME(field) \
	_Static_assert(offsetof(struct dpdk_sys_mbuf, field) == offsetof(struct rte_mbuf, field) && \
		sizeof(((struct dpdk_sys_mbuf *)0)->field) == sizeof(((struct rte_mbuf *)0)->field), \
		"rte_mbuf." #field " is not where dpdk-sys has it")
DPDK_SYS_SAME(buf_addr);
DPDK_SYS_SAME(buf_iova);
DPDK_SYS_SAME(data_off);
DPDK_SYS_SAME(refcnt);
DPDK_SYS_SAME(nb_segs);
DPDK_SYS_SAME(port);
DPDK_SYS_SAME(ol_flags);
DPDK_SYS_SAME(packet_type);
DPDK_SYS_SAME(pkt_len);
DPDK_SYS_SAME(data_len);
DPDK_SYS_SAME(vlan_tci);
DPDK_SYS_SAME(hash);
DPDK_SYS_SAME(vlan_tci_outer);
DPDK_SYS_SAME(buf_len);
DPDK_SYS_SAME(pool);
DPDK_SYS_SAME(next);
DPDK_SYS_SAME(tx_offload);
DPDK_SYS_SAME(shinfo);
DPDK_SYS_SAME(priv_size);
DPDK_SYS_SAME(timesync);
DPDK_SYS_SAME(dynfield1);
_Static_assert(sizeof(struct dpdk_sys_mbuf) == sizeof(struct rte_mbuf),
	"rte_mbuf is of another size than dpdk-sys has it");
_Static_assert(offsetof(struct rte_mbuf, data_off) % 8 == 0, "rearm_data cannot be read as one word");

/* struct rte_eth_link: bit fields, from 24.07 on within an anonymous union. */
struct dpdk_sys_link {
	uint32_t speed;
	uint8_t up, full_duplex, autoneg;
};
static inline int dpdk_sys_link_get_nowait(uint16_t port, struct dpdk_sys_link *out)
{
	struct rte_eth_link link = { 0 };
	int ret = rte_eth_link_get_nowait(port, &link);
	out->speed = link.link_speed;
	out->up = link.link_status == RTE_ETH_LINK_UP;
	out->full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	out->autoneg = link.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return ret;
}

/* Members of anonymous unions. */
/* (pool_data is read in the fast path: its place, and no call.) */
enum { DPDK_SYS_MEMPOOL_DATA = offsetof(struct rte_mempool, pool_data) };
static inline void *dpdk_sys_memzone_addr(const struct rte_memzone *mz) { return mz->addr; }
static inline const char *dpdk_sys_devargs_args(const struct rte_devargs *devargs) { return devargs->args; }

/* Where a packet's headers end: bit fields within anonymous unions. */
static inline void dpdk_sys_mbuf_set_header_lens(struct rte_mbuf *m, uint16_t l2, uint16_t l3, uint16_t l4)
{
	m->l2_len = l2;
	m->l3_len = l3;
	m->l4_len = l4;
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

static inline void dpdk_sys_other_offsets(size_t out[11])
{
	const size_t o[11] = {
		offsetof(struct rte_mempool, pool_config),
		offsetof(struct rte_mempool, ops_index), offsetof(struct rte_mempool, populated_size),
		sizeof(struct rte_mempool), offsetof(struct rte_mempool_ops, get_count),
		sizeof(struct rte_mempool_ops), offsetof(struct rte_eth_fp_ops, rxq),
		offsetof(struct rte_eth_fp_ops, tx_pkt_burst), offsetof(struct rte_eth_fp_ops, txq),
		sizeof(struct rte_eth_fp_ops), sizeof(struct rte_eth_conf),
	};
	for (int i = 0; i < 11; i++)
		out[i] = o[i];
}
