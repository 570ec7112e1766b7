/* client.c: see client.h. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#define US RTE_IPV4(10, 1, 0, 1)
#define NODE RTE_IPV4(10, 1, 0, 2)
#define LONGEST 1472u
#define SECONDS 5
#define IDLE 200u /* polls of one measurement, for each datagram of a hundred */

struct frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[LONGEST];
};
_Static_assert(sizeof(struct frame) == 14 + 20 + 8 + LONGEST, "there is no gap between headers");

static struct frame frame;
static uint32_t frame_len;
static uint16_t port;
static struct rte_mempool *pool;
static struct rte_ether_addr mac;
static uint64_t answered_at;

/* The counter, when all loads and all stores before are done. */
static uint64_t now(void)
{
	return rte_rdtsc_precise();
}

static int fail(const char *what)
{
	fprintf(stderr, "client: %s\n", what);
	return -1;
}

static int start(const char *device)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_link link = { 0 };
	if (rte_eth_dev_get_port_by_name(device, &port) != 0)
		return fail("there is no such device");
	pool = rte_pktmbuf_pool_create("client", 4095, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, rte_eth_dev_socket_id(port));
	if (pool == NULL || rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup(port, 0, 512, rte_eth_dev_socket_id(port), NULL, pool) != 0 ||
	    rte_eth_tx_queue_setup(port, 0, 512, rte_eth_dev_socket_id(port), NULL) != 0 || rte_eth_dev_start(port) != 0)
		return fail("the port does not start");
	uint64_t until = rte_get_tsc_cycles() + SECONDS * rte_get_tsc_hz();
	while (rte_eth_link_get_nowait(port, &link) == 0 && !link.link_status)
		if (rte_get_tsc_cycles() > until)
			return fail("the link stays down");
	return rte_eth_macaddr_get(port, &mac) == 0 ? 0 : fail("the port has no MAC address");
}

int client_open(const char *device, unsigned len)
{
	if (len > LONGEST)
		return fail("a datagram is one frame: give 1472 bytes at most");
	if (start(device) != 0)
		return -1;
	memset(&frame.ether.dst_addr, 0xff, sizeof(frame.ether.dst_addr));
	frame.ether.src_addr = mac;
	frame.ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	frame.ip.version_ihl = RTE_IPV4_VHL_DEF;
	frame.ip.total_length = rte_cpu_to_be_16(sizeof(frame.ip) + sizeof(frame.udp) + len);
	frame.ip.time_to_live = 64;
	frame.ip.next_proto_id = IPPROTO_UDP;
	frame.ip.src_addr = rte_cpu_to_be_32(US);
	frame.ip.dst_addr = rte_cpu_to_be_32(NODE);
	frame.ip.hdr_checksum = rte_ipv4_cksum(&frame.ip);
	frame.udp.src_port = rte_cpu_to_be_16(9000);
	frame.udp.dst_port = rte_cpu_to_be_16(7000);
	frame.udp.dgram_len = rte_cpu_to_be_16(sizeof(frame.udp) + len);
	for (unsigned i = 0; i < len; i++)
		frame.payload[i] = (uint8_t)i;
	frame.udp.dgram_cksum = rte_ipv4_udptcp_cksum(&frame.ip, &frame.udp);
	frame_len = sizeof(frame) - LONGEST + len;
	return 0;
}

static int transmit(const void *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	if (m == NULL)
		return fail("there is no mbuf");
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	return rte_eth_tx_burst(port, 0, &m, 1) == 1 ? 0 : fail("the queue is full");
}

/* Answers the node's question for our hardware address. */
static int answer_arp(const struct rte_mbuf *m)
{
	struct { struct rte_ether_hdr ether; struct rte_arp_hdr arp; } reply;
	if (m->data_len < sizeof(reply))
		return 0;
	memcpy(&reply, rte_pktmbuf_mtod(m, const void *), sizeof(reply));
	if (reply.ether.ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP) ||
	    reply.arp.arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		return 0;
	struct rte_arp_ipv4 *data = &reply.arp.arp_data;
	reply.ether.dst_addr = reply.ether.src_addr;
	reply.ether.src_addr = mac;
	reply.arp.arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	data->arp_tha = data->arp_sha;
	data->arp_tip = data->arp_sip;
	data->arp_sha = mac;
	data->arp_sip = rte_cpu_to_be_32(US);
	return transmit(&reply, sizeof(reply));
}

/* How many answers came; -1: a failure, which was told. */
static int take(void)
{
	struct rte_mbuf *got[8];
	int n = rte_eth_rx_burst(port, 0, got, 8), answers = 0, failed = 0;
	for (int i = 0; i < n; i++) {
		const struct frame *f = rte_pktmbuf_mtod(got[i], const struct frame *);
		if (f->ether.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
			answers++;
		else
			failed |= answer_arp(got[i]);
		rte_pktmbuf_free(got[i]);
	}
	return failed ? -1 : answers;
}

void client_answered(void)
{
	answered_at = now();
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The mean of those that are within a sixth of the median: the counter moves in steps of 26 cycles and more. */
static double typical(uint64_t *all, unsigned n)
{
	uint64_t sum = 0, many = 0;
	qsort(all, n, sizeof(*all), by_value);
	uint64_t median = all[n / 2];
	for (unsigned i = 0; i < n; i++)
		if (all[i] <= median + median / 6 && all[i] + median / 6 >= median) {
			sum += all[i];
			many++;
		}
	return (double)sum / (double)many;
}

/* Sends a datagram and has it answered. Returns the cycles from its arrival to its answer; 0: a failure, which was
 * told. */
static uint64_t once(void (*poll)(void *node), void *node)
{
	uint64_t until = rte_get_tsc_cycles() + SECONDS * rte_get_tsc_hz();
	if (transmit(&frame, frame_len) != 0)
		return 0;
	uint64_t begun = now();
	poll(node);
	uint64_t cycles = answered_at - begun;
	for (int came = 0; came == 0; came = take()) {
		if (came < 0)
			return 0;
		if (rte_get_tsc_cycles() > until) {
			fail("the node does not answer");
			return 0;
		}
		poll(node);
	}
	return cycles;
}

int client_measure(void (*poll)(void *node), void *node, unsigned n, struct cycles *cycles)
{
	uint64_t *all = calloc(2 * (size_t)n, sizeof(*all));
	unsigned rounds = 0;
	if (all == NULL || n == 0)
		return fail("there is no memory");
	/* The first ones wait for ARP, and for memory that was never touched. */
	for (unsigned i = 0; i < 5000; i++)
		if (once(poll, node) == 0)
			return -1;
	for (unsigned i = 0; i < n; i++) {
		all[i] = once(poll, node);
		if (all[i] == 0)
			return -1;
		if (i % 100 == 0) {
			uint64_t begun = now();
			for (unsigned k = 0; k < IDLE; k++)
				poll(node);
			all[n + rounds++] = now() - begun;
		}
	}
	cycles->answer = typical(all, n);
	cycles->idle = typical(all + n, rounds) / IDLE;
	free(all);
	return 0;
}

int client_close(void)
{
	return rte_eth_dev_stop(port) == 0 && rte_eth_dev_close(port) == 0 ? 0 : fail("the port does not stop");
}
