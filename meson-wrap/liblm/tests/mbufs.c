/* mbufs.c: messages as mbufs. Two net_memif nodes in one process, as in echo.c. Each size is turned into an mbuf,
 * compared, and freed; a pool that is empty leaves the message as it is; an mbuf outlives the handle. */
#include <errno.h>

#include <rte_mbuf.h>

#include "check.h"

static lm_t *server, *client;
static unsigned char data[65507];
/* Memory of mbufs that have it pinned. */
static unsigned char extra[8 * 2048];

/* A message of `len` bytes that depend on `seed`, at the server. */
static lm_message arrive(size_t len, int seed)
{
	lm_address to;
	CHECK(lm_parse("10.1.0.2:7000", &to) == 0);
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 7 + (i >> 8) + (size_t)seed);
	CHECK(lm_send(client, &to, data, len) >= 0);
	return arrived(server, client, len);
}

static int is_whole(const struct rte_mbuf *mbuf, size_t len)
{
	return mbuf->nb_segs == 1 && rte_pktmbuf_pkt_len(mbuf) == len && rte_pktmbuf_data_len(mbuf) == (uint16_t)len &&
	       memcmp(rte_pktmbuf_mtod(mbuf, void *), data, len) == 0;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1, 64, 1472, 1473, 7168, 16384, 65507 };
	if (lm_init(argc, argv) < 0) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	server = node("net_memif0", "10.1.0.2", 7000, 0);
	client = node("net_memif1", "10.1.0.1", 0, 0);
	struct rte_mempool *pool = rte_pktmbuf_pool_create("mbufs", 7, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	CHECK(pool != NULL);
	unsigned turned = 0, refused = 0;
	for (int round = 0; round < 300; round++) {
		size_t len = sizes[(size_t)round % (sizeof(sizes) / sizeof(sizes[0]))];
		lm_message m = arrive(len, round), copy = m;
		struct rte_mbuf *mbuf = lm_mbuf(&m, pool);
		if (mbuf == NULL) {
			/* It lay where devices cannot read it in one piece, and is still the program's. */
			refused++;
			CHECK(lm_contiguous(&m) == 0 && m.len == len && memcmp(m.data, data, len) == 0);
			CHECK(lm_release(&m) == 0);
			continue;
		}
		turned++;
		CHECK(is_whole(mbuf, len));
		CHECK(lm_release(&copy) == -ESTALE);
		CHECK(rte_mempool_in_use_count(pool) == 1);
		rte_pktmbuf_free(mbuf);
		CHECK(rte_mempool_in_use_count(pool) == 0);
	}
	/* Only what was copied, as it lay across the end of the region, or came in pieces may be refused. */
	CHECK(turned > 200 && refused <= counter(server, "copied_datagrams") + counter(server, "pieces"));

	/* Seven are held; the eighth finds none, and stays. */
	struct rte_mbuf *held[7];
	for (int i = 0; i < 7; i++) {
		do {
			lm_message m = arrive(7168, i);
			held[i] = lm_mbuf(&m, pool);
			if (held[i] == NULL)
				CHECK(lm_release(&m) == 0);
		} while (held[i] == NULL);
	}
	lm_message eighth = arrive(7168, 7), copy = eighth;
	CHECK(lm_mbuf(&copy, pool) == NULL && strstr(lm_strerror(-ENOBUFS), "no mbuf") != NULL);
	CHECK(lm_mbuf(&eighth, pool) == NULL && strstr(lm_strerror(-ENOBUFS), "no mbuf") != NULL);
	CHECK(lm_contiguous(&eighth) == 0 && memcmp(eighth.data, data, 7168) == 0);
	rte_pktmbuf_free(held[0]);
	struct rte_mbuf *last = lm_mbuf(&eighth, pool);
	if (last == NULL)
		CHECK(lm_release(&eighth) == 0);
	CHECK(counter(server, "held") == 0);

	/* Pools whose objects cannot take a message: the message stays. */
	struct rte_pktmbuf_extmem memory = { .buf_ptr = extra, .buf_iova = RTE_BAD_IOVA, .buf_len = sizeof(extra), .elt_size = 2048 };
	struct rte_mempool *wrong[] = {
		rte_mempool_create("things", 7, 64, 0, 0, NULL, NULL, NULL, NULL, 0, 0),
		rte_mempool_create("long", 7, 4096, 0, 0, NULL, NULL, NULL, NULL, 0, 0),
		rte_mempool_create("private", 7, 64, 0, 64, rte_pktmbuf_pool_init, NULL, NULL, NULL, 0, 0),
		rte_pktmbuf_pool_create_extbuf("pinned", 7, 0, 0, 2048, 0, &memory, 1),
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		lm_message m = arrive(100, (int)i);
		CHECK(wrong[i] != NULL);
		CHECK(lm_mbuf(&m, wrong[i]) == NULL && strstr(lm_strerror(-EINVAL), "rte_pktmbuf_pool_create") != NULL);
		CHECK(lm_contiguous(&m) == 0 && memcmp(m.data, data, 100) == 0 && lm_release(&m) == 0);
		CHECK(rte_mempool_in_use_count(wrong[i]) == 0);
		rte_mempool_free(wrong[i]);
	}

	/* mbufs are the program's, also when the handle is closed. */
	CHECK(lm_close(server) == 0);
	for (size_t i = 0; i < 7168; i++)
		data[i] = (unsigned char)(i * 7 + (i >> 8) + 6);
	CHECK(is_whole(held[6], 7168));
	for (int i = 1; i < 7; i++)
		rte_pktmbuf_free(held[i]);
	rte_pktmbuf_free(last);
	CHECK(rte_mempool_in_use_count(pool) == 0);
	rte_mempool_free(pool);
	CHECK(lm_close(client) == 0);
	CHECK(lm_cleanup() == 0);
	printf("%u as mbufs, %u refused; %d of %d checks failed\n", turned, refused, failed, checks);
	return failed != 0;
}
