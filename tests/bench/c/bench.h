/* What the simulated driver, the peers and the Rust side of the benchmark share. */
#ifndef LM_BENCH_H
#define LM_BENCH_H

#include <stdint.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define BURST 32
#define HEADERS 34u /* Ethernet and IPv4 */
#define UDP 8u

/* An advanced receive descriptor: address in; status, length and hash out. */
struct descriptor {
	volatile uint64_t a; /* IOVA; hash on write-back */
	volatile uint64_t b; /* bit 0: done; from 32: length; from 48: VLAN tag */
};

/* A receive queue, as igb's: a ring of descriptors and the mbufs posted in them. */
struct queue {
	struct descriptor *ring;
	struct rte_mbuf **posted;
	struct rte_mempool *pool;
	uint64_t nombuf;
	uint32_t n;
	uint32_t tail; /* the driver's next */
	uint32_t head; /* the device's next */
	uint32_t packet_type;
	uint16_t port;
	uint16_t crc_len;
	uint32_t legacy; /* em's descriptors: the address stays, and the card writes all else behind it */
};

/* The application. */
enum mode { TOUCH, READ, VERIFY };
struct sink {
	uint64_t datagrams;
	uint64_t bytes;
	uint64_t frames;
	uint64_t sum;
	uint64_t bad;
	const uint8_t *expected; /* payloads one after the other, in order of delivery */
	uint32_t len;            /* bytes of each payload */
	uint32_t mode;
};

struct queue *queue_create(struct rte_mempool *pool, uint32_t n, uint32_t legacy);
void queue_destroy(struct queue *q);
void queue_dma(struct queue *q, const uint8_t *frame, uint32_t len, const uint8_t *headers, const uint8_t *tail,
	       uint32_t tail_len, int flush);
uint64_t gauge(void);
uint16_t queue_rx(struct queue *q, struct rte_mbuf **out, uint16_t nb);
uint16_t queue_rx_legacy(struct queue *q, struct rte_mbuf **out, uint16_t nb);
volatile void *queue_ring(struct queue *q);

/* Reads every byte. */
extern uint64_t (*read_all)(const uint8_t *p, uint64_t n);
/* Copies and sums in one pass: one's complement, little-endian, not folded. */
extern uint64_t (*copy_sum)(uint8_t *to, const uint8_t *from, uint64_t n);

/* LM's own sum of a piece of an even number of bytes, or of the last one: one's complement, little-endian, not
 * folded. */
extern uint64_t lm_sum(const uint8_t *p, uint64_t n);

/* A delivered datagram, contiguous. */
static inline void sink_take(struct sink *s, const uint8_t *p, uint32_t len)
{
	if (s->mode == TOUCH)
		s->sum += p[0];
	else if (s->mode == READ)
		s->sum += read_all(p, len);
	else
		s->bad += len != s->len || memcmp(p, s->expected + s->datagrams * s->len, len) != 0;
	s->datagrams++;
	s->bytes += len;
}

#endif
