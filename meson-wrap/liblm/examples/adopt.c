/* adopt.c: DPDK's basic forwarding structure (examples/skeleton), whose queue gives LM's messages: what is
 * LM's ends with "LM". Each message goes back to its sender.
 *
 *   cc adopt.c -o adopt $(pkg-config --cflags --libs lm libdpdk)
 *   ./adopt --no-pci --vdev=net_memif0,role=server,id=0 -- 10.1.0.2 1000 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include <lm.h>

#define RX_RING_SIZE 512
#define TX_RING_SIZE 512

static int port_init(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf;
	memset(&conf, 0, sizeof(conf));
	int socket = rte_eth_dev_socket_id(port);
	int ret = rte_eth_dev_configure(port, 1, 1, &conf);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, RX_RING_SIZE, (unsigned int)socket, NULL, pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, TX_RING_SIZE, (unsigned int)socket, NULL);
	return ret == 0 ? rte_eth_dev_start(port) : ret;
}

int main(int argc, char **argv)
{
	int taken = rte_eal_init(argc, argv);
	if (taken < 0 || argc - taken < 3)
		rte_exit(EXIT_FAILURE, "usage: adopt EAL-ARGUMENTS -- ADDRESS COUNT\n");
	lm_config config = lm_config_default(); /* LM */
	config.address = argv[taken + 1]; /* LM */
	config.port = 7000; /* LM */
	config.rx_descriptors = RX_RING_SIZE; /* LM */
	lm_t *lm = lm_adopt(0, 0, &config); /* LM */
	if (lm == NULL)
		rte_exit(EXIT_FAILURE, "%s\n", lm_strerror(0));
	if (port_init(0, lm_mempool(lm)) != 0)
		rte_exit(EXIT_FAILURE, "port 0 does not start\n");
	long left = atol(argv[taken + 2]);
	lm_message m[32]; /* LM */
	while (left > 0) {
		int n = lm_poll(lm, m, 32); /* LM */
		if (n < 0)
			rte_exit(EXIT_FAILURE, "%s\n", lm_strerror(n));
		for (int i = 0; i < n; i++)
			if (lm_forward(lm, &m[i].from, &m[i]) < 0) /* LM */
				lm_release(&m[i]); /* LM */
		left -= n;
	}
	printf("%s messages went back\n", argv[taken + 2]);
	if (lm_close(lm) < 0) /* LM */
		fprintf(stderr, "%s\n", lm_strerror(0));
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	return rte_eal_cleanup();
}
