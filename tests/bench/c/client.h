/* A plain DPDK port that sends a datagram and takes the answer, in the process and the thread of the node that
 * answers. So the time from the arrival to the answer can be taken, without the time that two processes take to
 * see each other's frames. */
#ifndef LM_BENCH_CLIENT_H
#define LM_BENCH_CLIENT_H

#include <stdint.h>

/* TSC cycles. */
struct cycles {
	double answer; /* from a datagram in the node's queue to its answer in the client's */
	double idle;   /* a poll that finds nothing */
};

/* Opens the device, whose other end is the node's, for datagrams of `len` bytes. Returns 0, or -1 and says why. */
int client_open(const char *device, unsigned len);

/* The node calls this when an answer is in its transmit queue. */
void client_answered(void);

/* Sends a datagram `n` times, calls `poll` until it is answered, and says what that took. `poll` polls the node
 * once, and answers what came. Returns 0, or -1 and says why. */
int client_measure(void (*poll)(void *node), void *node, unsigned n, struct cycles *cycles);

/* Stops and closes the port. Returns 0, or -1 and says why. */
int client_close(void);

#endif
