/* The simulated card and its driver, the same for every variant. The receive loop does what igb's does:
 * one descriptor, one mbuf from the queue's pool, the same prefetches and mbuf fields. */
#include <immintrin.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "bench.h"

struct queue *queue_create(struct rte_mempool *pool, uint32_t n, uint32_t legacy)
{
	struct queue *q = rte_zmalloc("bench_queue", sizeof(*q), 64);

	if (q == NULL)
		return NULL;
	q->ring = rte_zmalloc("bench_ring", (n + 8) * sizeof(*q->ring), 128);
	q->posted = rte_zmalloc("bench_posted", (n + 8) * sizeof(*q->posted), 64);
	q->pool = pool;
	q->n = n;
	q->legacy = legacy;
	if (q->ring == NULL || q->posted == NULL)
		goto fail;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_mbuf_raw_alloc(pool);

		if (m == NULL) {
			rte_mempool_put_bulk(pool, (void **)q->posted, i);
			goto fail;
		}
		q->posted[i] = m;
		q->ring[i].a = rte_mbuf_data_iova_default(m);
	}
	return q;
fail:
	rte_free(q->ring);
	rte_free(q->posted);
	rte_free(q);
	return NULL;
}

void queue_destroy(struct queue *q)
{
	rte_mempool_put_bulk(q->pool, (void **)q->posted, q->n);
	rte_free(q->ring);
	rte_free(q->posted);
	rte_free(q);
}

/* One's complement, little-endian, folded. */
static uint16_t sum_of(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0;
	uint16_t half;

	for (; len > 1; len -= 2, p += 2) {
		memcpy(&half, p, 2);
		sum += half;
	}
	if (len)
		sum += *p;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The card: writes one frame (IOVA is the virtual address here) and the descriptor back. `headers` replaces
 * the frame's own, `tail` its last bytes. Not measured. */
__attribute__((target("clflushopt"))) void queue_dma(struct queue *q, const uint8_t *frame, uint32_t len, const uint8_t *headers, const uint8_t *tail,
	       uint32_t tail_len, int flush)
{
	struct descriptor *d = &q->ring[q->head];
	uint8_t *to = (uint8_t *)(uintptr_t)d->a;

	memcpy(to, headers, HEADERS);
	memcpy(to + HEADERS, frame + HEADERS, len - HEADERS - tail_len);
	memcpy(to + len - tail_len, tail, tail_len);
	if (flush)
		for (uintptr_t l = (uintptr_t)to & ~63ul; l < (uintptr_t)to + len; l += 64)
			_mm_clflushopt((void *)l);
	if (q->legacy) {
		/* As the 8254x manual has it (3.2.3): length, sum of the whole frame (RXCSUM.PCSS is 0), done. */
		d->b = len | (uint64_t)sum_of(to, len) << 16 | (uint64_t)(1 | 2) << 32;
		if (++q->head == q->n)
			q->head = 0;
		return;
	}
	/* As the I210's datasheet has it with RXCSUM.PCSD = 0 and IPPCSE = 1 (7.1.4.2, 7.1.7.2): the identification,
	 * then the sum of what is behind the IP header. Every variant's driver copies that. */
	uint32_t id = (uint32_t)headers[18] << 8 | headers[19], sum = sum_of(to + HEADERS, len - HEADERS);
	d->a = (uint64_t)sum << 16 | id;
	d->b = 1 | 0x40 | (uint64_t)len << 32;
	if (++q->head == q->n)
		q->head = 0;
}

/* Posts a fresh mbuf in the place of the one that the descriptor has, and goes on to the next descriptor. Both drivers
 * do this alike, as they do what is next. */
static inline struct rte_mbuf *exchange(struct queue *q, uint32_t *id, struct rte_mbuf *fresh)
{
	struct rte_mbuf **posted = q->posted, *m = posted[*id];

	posted[*id] = fresh;
	if (++*id == q->n)
		*id = 0;
	rte_prefetch0(posted[*id]);
	if ((*id & 3) == 0) {
		rte_prefetch0(&q->ring[*id]);
		rte_prefetch0(&posted[*id]);
	}
	return m;
}

/* Fills in what every received mbuf has. */
static inline void fill_in(const struct queue *q, struct rte_mbuf *m, uint16_t len)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	rte_prefetch0((char *)m->buf_addr + m->data_off);
	m->nb_segs = 1;
	m->next = NULL;
	m->pkt_len = len;
	m->data_len = len;
	m->port = q->port;
}

/* The driver, after eth_igb_recv_pkts. */
__attribute__((noinline)) uint16_t queue_rx(struct queue *q, struct rte_mbuf **out, uint16_t nb)
{
	struct descriptor *ring = q->ring;
	uint32_t id = q->tail, n;

	for (n = 0; n < nb; n++) {
		struct descriptor *d = &ring[id];
		uint64_t status = d->b, rss;
		struct rte_mbuf *fresh, *m;
		uint16_t len;

		if (!(status & 1))
			break;
		fresh = rte_mbuf_raw_alloc(q->pool);
		if (unlikely(fresh == NULL)) {
			q->nombuf++;
			break;
		}
		m = exchange(q, &id, fresh);
		rss = d->a;
		d->b = 0;
		d->a = rte_mbuf_data_iova_default(fresh);

		len = (uint16_t)((status >> 32) - q->crc_len);
		fill_in(q, m, len);
		m->hash.rss = (uint32_t)rss;
		m->vlan_tci = (uint16_t)(status >> 48);
		m->ol_flags = (status & 8 ? RTE_MBUF_F_RX_VLAN : 0) | (status & 0x40 ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : 0) |
			      (status & 0x80 ? RTE_MBUF_F_RX_IP_CKSUM_BAD : 0);
		m->packet_type = q->packet_type;
		out[n] = m;
	}
	q->tail = id;
	return (uint16_t)n;
}

/* The same after em's eth_em_recv_pkts, which leaves the sum where it is. */
__attribute__((noinline)) uint16_t queue_rx_legacy(struct queue *q, struct rte_mbuf **out, uint16_t nb)
{
	struct descriptor *ring = q->ring;
	uint32_t id = q->tail, n;

	for (n = 0; n < nb; n++) {
		struct descriptor *d = &ring[id];
		uint64_t said = d->b;
		struct rte_mbuf *fresh, *m;
		uint16_t len;

		if (!(said >> 32 & 1))
			break;
		fresh = rte_mbuf_raw_alloc(q->pool);
		if (unlikely(fresh == NULL)) {
			q->nombuf++;
			break;
		}
		m = exchange(q, &id, fresh);
		d->a = rte_mbuf_data_iova_default(fresh);
		((volatile uint8_t *)&d->b)[4] = 0;

		len = (uint16_t)((uint16_t)said - q->crc_len);
		fill_in(q, m, len);
		m->ol_flags = (said >> 32 & 8 ? RTE_MBUF_F_RX_VLAN : 0) |
			      (said >> 40 & 0x40 ? RTE_MBUF_F_RX_IP_CKSUM_BAD : 0);
		m->vlan_tci = (uint16_t)(said >> 48);
		out[n] = m;
	}
	q->tail = id;
	return (uint16_t)n;
}

volatile void *queue_ring(struct queue *q)
{
	return q->ring;
}

/* Cycles of four thousand additions in six chains: how much of the core is ours just now. A neighbour on the other
 * hardware thread, or a hypervisor that takes time away, shows here. */
uint64_t gauge(void)
{
	uint64_t start = rte_rdtsc_precise(), a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;

	for (int i = 0; i < 333; i++)
		__asm__ volatile("add $1, %0\n\tadd $1, %1\n\tadd $1, %2\n\tadd $1, %3\n\tadd $1, %4\n\tadd $1, %5\n\t"
				 "add $1, %0\n\tadd $1, %1\n\tadd $1, %2\n\tadd $1, %3\n\tadd $1, %4\n\tadd $1, %5"
				 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	return rte_rdtsc_precise() - start;
}
