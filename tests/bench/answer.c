/* answer.c: what an answer by liblm takes, to be compared with src/answer.rs.
 * Its arguments behind "--" are the node's device, the client's, and the bytes of a datagram. */
#include <stdio.h>
#include <stdlib.h>

#include <lm.h>

#include "c/client.h"

static void poll_node(void *node)
{
	lm_message m;
	if (lm_poll(node, &m, 1) <= 0)
		return;
	if (lm_forward(node, &m.from, &m) < 0)
		lm_release(&m);
	client_answered();
}

int main(int argc, char **argv)
{
	int taken = lm_init(argc, argv);
	if (taken < 0 || argc - taken != 4) {
		fprintf(stderr, "answer EAL-ARGUMENTS -- NODE CLIENT BYTES\n");
		return 2;
	}
	lm_config config = lm_config_default();
	config.address = "10.1.0.2";
	config.port = 7000;
	lm_t *lm = lm_open(argv[taken + 1], &config);
	if (lm == NULL) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	struct cycles cycles;
	if (client_open(argv[taken + 2], (unsigned)atoi(argv[taken + 3])) != 0 ||
	    client_measure(poll_node, lm, 50000, &cycles) != 0)
		return 1;
	printf("%.1f %.1f\n", cycles.answer, cycles.idle);
	return client_close() != 0 || lm_close(lm) < 0 || lm_cleanup() < 0;
}
