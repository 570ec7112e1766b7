/* What LM is compared with: each takes everything that the queue has. */
#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "bench.h"

#define PLACES 8 /* buffers that copies go to in turn: 0.5 MB, so they stay in the cache */
#define PLACE 65536

struct peers {
	struct rte_ip_frag_tbl *table;
	struct rte_ip_frag_death_row dead;
	uint8_t *places;
	uint32_t turn;
	/* The copier's one flow. */
	uint32_t id, got, total;
	uint64_t sums;
	uint8_t *place;
};

struct peers *peers_create(uint32_t flows, uint32_t entries)
{
	struct peers *p = rte_zmalloc("bench_peers", sizeof(*p), 64);

	if (p == NULL)
		return NULL;
	p->places = rte_zmalloc("bench_places", PLACES * PLACE, 4096);
	p->table = rte_ip_frag_table_create(flows, entries, flows, rte_get_tsc_hz() * 60, SOCKET_ID_ANY);
	p->id = ~0u;
	if (p->places == NULL || p->table == NULL) {
		rte_free(p->places);
		rte_free(p);
		return NULL;
	}
	return p;
}

void peers_destroy(struct peers *p)
{
	rte_ip_frag_table_destroy(p->table);
	rte_free(p->places);
	rte_free(p);
}

static inline uint8_t *next_place(struct peers *p)
{
	return p->places + (size_t)(p->turn++ % PLACES) * PLACE;
}

static inline int checksum_ok(const struct rte_ipv4_hdr *ip, const uint8_t *udp, uint32_t len, uint64_t sum)
{
	uint16_t field;

	memcpy(&field, udp + 6, 2);
	sum += (uint64_t)ip->src_addr + ip->dst_addr + rte_cpu_to_be_16(IPPROTO_UDP) + rte_cpu_to_be_16((uint16_t)len);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16 & 0xffff) + (sum & 0xffff) + (sum >> 32);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return field != 0 && sum == 0xffff;
}

/* Receive and free, nothing else. */
void run_bare(struct peers *p, struct queue *q, struct sink *s)
{
	struct rte_mbuf *m[BURST];
	uint16_t n;

	(void)p;
	while ((n = queue_rx(q, m, BURST)) != 0) {
		s->frames += n;
		if (s->mode != TOUCH)
			for (uint16_t i = 0; i < n; i++)
				s->sum += read_all(rte_pktmbuf_mtod_offset(m[i], uint8_t *, HEADERS), m[i]->data_len - HEADERS);
		rte_mempool_put_bulk(q->pool, (void **)m, n);
	}
}

/* DPDK's reassembler: a chain of segments. */
static inline __attribute__((always_inline)) void chain_burst(struct peers *p, struct sink *s, struct rte_mbuf **m,
							      uint16_t n, int copy)
{
	uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *o;

		m[i]->l2_len = sizeof(struct rte_ether_hdr);
		m[i]->l3_len = sizeof(struct rte_ipv4_hdr);
		o = rte_ipv4_frag_reassemble_packet(p->table, &p->dead, m[i], now,
						    rte_pktmbuf_mtod_offset(m[i], struct rte_ipv4_hdr *, 14));
		if (o == NULL)
			continue;
		uint32_t skip = HEADERS + UDP, len = o->pkt_len - skip;

		if (copy || s->mode == VERIFY) {
			uint8_t *to = next_place(p);
			uint32_t at = 0;

			for (struct rte_mbuf *x = o; x; x = x->next, skip = 0) {
				memcpy(to + at, rte_pktmbuf_mtod_offset(x, uint8_t *, skip), x->data_len - skip);
				at += x->data_len - skip;
			}
			sink_take(s, to, len);
		} else {
			if (s->mode == READ)
				for (struct rte_mbuf *x = o; x; x = x->next, skip = 0)
					s->sum += read_all(rte_pktmbuf_mtod_offset(x, uint8_t *, skip), x->data_len - skip);
			else
				s->sum += *rte_pktmbuf_mtod_offset(o, uint8_t *, skip);
			s->datagrams++;
			s->bytes += len;
		}
		rte_pktmbuf_free(o);
	}
	rte_ip_frag_free_death_row(&p->dead, 3);
	s->frames += n;
}

void run_chain(struct peers *p, struct queue *q, struct sink *s)
{
	struct rte_mbuf *m[BURST];
	uint16_t n;

	while ((n = queue_rx(q, m, BURST)) != 0)
		chain_burst(p, s, m, n, 0);
}

void run_chain_copy(struct peers *p, struct queue *q, struct sink *s)
{
	struct rte_mbuf *m[BURST];
	uint16_t n;

	while ((n = queue_rx(q, m, BURST)) != 0)
		chain_burst(p, s, m, n, 1);
}

/* The same for streams of many senders: a payload is summed when its frame comes, as long as it is in the cache, and
 * the sums of a chain are added when it is whole. Without `sum` no byte of it is read. */
static inline __attribute__((always_inline)) void stream_burst(struct peers *p, struct sink *s, struct rte_mbuf **m,
							       uint16_t n, int copy, int sum)
{
	uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n; i++) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m[i], struct rte_ipv4_hdr *, 14);
		struct rte_mbuf *o;

		if (sum) {
			uint64_t own = lm_sum((const uint8_t *)(ip + 1), rte_be_to_cpu_16(ip->total_length) - 20u);

			memcpy(m[i]->dynfield1, &own, sizeof(own));
		}
		m[i]->l2_len = sizeof(struct rte_ether_hdr);
		m[i]->l3_len = sizeof(struct rte_ipv4_hdr);
		o = rte_ipv4_frag_reassemble_packet(p->table, &p->dead, m[i], now, (struct rte_ipv4_hdr *)(uintptr_t)ip);
		if (o == NULL)
			continue;
		uint32_t skip = HEADERS + UDP, len = o->pkt_len - skip;
		const uint8_t *udp = rte_pktmbuf_mtod_offset(o, uint8_t *, HEADERS);

		ip = rte_pktmbuf_mtod_offset(o, struct rte_ipv4_hdr *, 14);
		if (sum) {
			uint64_t sums = 0;

			for (struct rte_mbuf *x = o; x; x = x->next) {
				uint64_t own;

				memcpy(&own, x->dynfield1, sizeof(own));
				sums += own;
			}
			s->bad += !checksum_ok(ip, udp, len + UDP, sums);
		}
		if (copy) {
			uint8_t *to = next_place(p);
			uint32_t at = 0;

			for (struct rte_mbuf *x = o; x; x = x->next, skip = 0) {
				memcpy(to + at, rte_pktmbuf_mtod_offset(x, uint8_t *, skip), x->data_len - skip);
				at += x->data_len - skip;
			}
			s->sum += *to;
		} else {
			s->sum += *rte_pktmbuf_mtod_offset(o, uint8_t *, skip);
		}
		s->datagrams++;
		s->bytes += len;
		rte_pktmbuf_free(o);
	}
	rte_ip_frag_free_death_row(&p->dead, 3);
	s->frames += n;
}

#define STREAM(name, copy, sum)                                                                                        \
	void name(struct peers *p, struct queue *q, struct sink *s)                                                    \
	{                                                                                                              \
		struct rte_mbuf *m[BURST];                                                                             \
		uint16_t n;                                                                                            \
                                                                                                                       \
		while ((n = queue_rx(q, m, BURST)) != 0)                                                               \
			stream_burst(p, s, m, n, copy, sum);                                                           \
	}

STREAM(run_stream_chain, 0, 0)
STREAM(run_stream_chain_sum, 0, 1)
STREAM(run_stream_copy, 1, 0)
STREAM(run_stream_copy_sum, 1, 1)

/* The strongest copier: one flow, no table, each fragment straight to its place, mbufs freed in bulk. */
static inline __attribute__((always_inline)) void copy_burst(struct peers *p, struct sink *s, struct queue *q,
							     struct rte_mbuf **m, uint16_t n, int sum)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m[i], struct rte_ipv4_hdr *, 14);
		uint32_t word = rte_be_to_cpu_16(ip->fragment_offset), offset = (word & 0x1fff) * 8;
		uint32_t len = rte_be_to_cpu_16(ip->total_length) - 20u;

		if (unlikely(ip->version_ihl != 0x45 || offset + len > 65535 || len + HEADERS > m[i]->data_len))
			continue;
		if (ip->packet_id != p->id) {
			p->id = ip->packet_id;
			p->got = 0;
			p->total = 0;
			p->sums = 0;
			p->place = next_place(p);
		}
		if (sum)
			p->sums += copy_sum(p->place + offset, (const uint8_t *)(ip + 1), len);
		else
			memcpy(p->place + offset, ip + 1, len);
		p->got += len;
		if (!(word & 0x2000))
			p->total = offset + len;
		if (p->got == p->total) {
			if (!sum || checksum_ok(ip, p->place, p->total, p->sums))
				sink_take(s, p->place + UDP, p->total - UDP);
			p->id = ~0u;
		}
	}
	rte_mempool_put_bulk(q->pool, (void **)m, n);
	s->frames += n;
}

void run_copy(struct peers *p, struct queue *q, struct sink *s)
{
	struct rte_mbuf *m[BURST];
	uint16_t n;

	while ((n = queue_rx(q, m, BURST)) != 0)
		copy_burst(p, s, q, m, n, 0);
}

void run_copy_checksum(struct peers *p, struct queue *q, struct sink *s)
{
	struct rte_mbuf *m[BURST];
	uint16_t n;

	while ((n = queue_rx(q, m, BURST)) != 0)
		copy_burst(p, s, q, m, n, 1);
}
