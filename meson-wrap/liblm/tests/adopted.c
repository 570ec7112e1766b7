/* adopted.c: two nodes on queues that the program sets up itself, as in examples/adopt.c. A queue has one owner,
 * and what refuses a second one leaves the first as it was. */
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "expect.h"

static lm_address to;

static void start(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf;
	memset(&conf, 0, sizeof(conf));
	CHECK(rte_eth_dev_configure(port, 1, 1, &conf) == 0);
	CHECK(rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) == 0);
	CHECK(rte_eth_tx_queue_setup(port, 0, 512, 0, NULL) == 0);
	CHECK(rte_eth_dev_start(port) == 0);
}

/* Nobody else gets queue 0 of port 0, which a handle has. */
static void one_owner(void)
{
	lm_config config = config_of("10.1.0.9", 7000);
	REFUSED_AS(lm_adopt(0, 0, &config), -EBUSY, "queue 0 of port 0 is adopted already");
	REFUSED_AS(lm_open("net_memif0", &config), -EBUSY, "queue 0 of port 0 is adopted already");
	lm_t *other = lm_adopt(0, 1, &config);
	CHECK(other != NULL && lm_close(other) == 0);
}

/* A message of each size goes from one to the other, and back from where it landed. */
static void talk(lm_t *a, lm_t *b)
{
	static unsigned char data[65507];
	static const size_t sizes[] = { 0, 1, 1472, 7168, 65507 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(data, (int)i + 1, sizes[i]);
		CHECK(lm_send(b, &to, data, sizes[i]) >= 0);
		lm_message there = arrived(a, b, sizes[i]);
		CHECK(lm_forward(a, &there.from, &there) >= 0);
		lm_message back = arrived(b, a, sizes[i]);
		CHECK(back.len == sizes[i] && lm_contiguous(&back) == 0 && memcmp(back.data, data, back.len) == 0);
		CHECK(lm_release(&back) == 0);
	}
}

static int no_alloc(struct rte_mempool *mp)
{
	(void)mp;
	return -ENOSYS;
}
static int no_enqueue(struct rte_mempool *mp, void *const *objects, unsigned int n)
{
	(void)mp, (void)objects, (void)n;
	return -ENOBUFS;
}
static int no_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	(void)mp, (void)objects, (void)n;
	return -ENOENT;
}
static unsigned int no_count(const struct rte_mempool *mp)
{
	(void)mp;
	return 0;
}

/* Takes all places that are left in DPDK's table of mempool handlers. */
static void fill(void)
{
	struct rte_mempool_ops filler = { .alloc = no_alloc, .enqueue = no_enqueue,
					  .dequeue = no_dequeue, .get_count = no_count };
	int last = 0;
	for (int i = 0; i < 100 && last >= 0; i++) {
		snprintf(filler.name, sizeof(filler.name), "filler%d", i);
		last = rte_mempool_register_ops(&filler);
	}
	CHECK(last == -ENOSPC);
}

static char prefix[64];
static char *alone[] = { "x", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "-l", "0", prefix,
			 "--vdev=net_null0", NULL };

static void no_stock_handler(void)
{
	fill();
	EXPECT(lm_init(10, alone), -ENOSPC, "ring_mp_mc");
}

static void no_stock_handler_in_its_own_eal(void)
{
	lm_config config = config_of("10.1.0.9", 7000);
	fill();
	CHECK(rte_eal_init(10, alone) > 0);
	REFUSED_AS(lm_open("net_null0", &config), -ENOSPC, "ring_mp_mc");
	REFUSED_AS(lm_adopt(0, 0, &config), -ENOSPC, "ring_mp_mc");
}

static void no_place_for_lm(void)
{
	lm_config config = config_of("10.1.0.9", 7000);
	CHECK(rte_eal_init(10, alone) > 0);
	fill();
	REFUSED_AS(lm_adopt(0, 0, &config), -ENOSPC, "table of mempool handlers is full");
	REFUSED_AS(lm_open("net_null0", &config), -ENOSPC, "table of mempool handlers is full");
}

int main(int argc, char **argv)
{
	snprintf(prefix, sizeof(prefix), "--file-prefix=lmfull%ld", (long)getpid());
	in_a_child(no_stock_handler);
	in_a_child(no_stock_handler_in_its_own_eal);
	in_a_child(no_place_for_lm);
	if (lm_init(argc, argv) < 0) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	CHECK(lm_parse("10.1.0.2:7000", &to) == 0);
	lm_config first = config_of("10.1.0.2", 7000), second = config_of("10.1.0.1", 0);
	/* A handle that was never polled gives its queue back. */
	for (int i = 0; i < 3; i++) {
		lm_t *unused = lm_adopt(0, 0, &first);
		CHECK(unused != NULL && lm_close(unused) == 0);
	}
	lm_t *a = lm_adopt(0, 0, &first), *b = lm_adopt(1, 0, &second);
	if (a == NULL || b == NULL) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	lm_message m;
	lm_sendbuf buffer;
	one_owner();
	EXPECT(lm_poll(a, &m, 1), -ENOTCONN, "port 0 is not started");
	EXPECT(lm_send(a, &to, "x", 1), -ENOTCONN, "port 0 is not started");
	EXPECT(lm_buffer(a, &buffer), -ENOTCONN, "port 0 is not started");
	start(0, lm_mempool(a));
	start(1, lm_mempool(b));
	one_owner();
	EXPECT(lm_poll(a, &m, 1), 0, "");
	REFUSED_AS(lm_mempool(a), -EINVAL, "was not polled yet");
	one_owner();
	talk(a, b);
	one_owner();
	talk(a, b);
	CHECK(counter(a, "held") == 0 && counter(b, "held") == 0);
	CHECK(lm_close(a) == 0);
	lm_t *again = lm_adopt(0, 0, &first);
	CHECK(again != NULL && lm_close(again) == 0);
	CHECK(lm_close(b) == 0);
	for (uint16_t port = 0; port < 2; port++)
		CHECK(rte_eth_dev_stop(port) == 0 && rte_eth_dev_close(port) == 0);
	CHECK(lm_cleanup() == 0);
	printf("%d of %d checks failed\n", failed, checks);
	return failed != 0;
}
