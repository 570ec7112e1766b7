/* mirror.c: a node that sends each message back from where it landed, to be compared with src/mirror.rs.
 * Its arguments behind "--" are a device and how many messages it answers. */
#include <stdio.h>
#include <stdlib.h>

#include <lm.h>

int main(int argc, char **argv)
{
	int taken = lm_init(argc, argv);
	if (taken < 0 || argc - taken != 3)
		return 2;
	long left = atol(argv[taken + 2]);
	lm_config config = lm_config_default();
	config.address = "10.1.0.2";
	config.port = 7000;
	lm_t *lm = lm_open(argv[taken + 1], &config);
	lm_message m;
	int n = lm == NULL ? -1 : 0;
	while (left > 0 && n >= 0)
		if ((n = lm_poll(lm, &m, 1)) > 0) {
			if (lm_forward(lm, &m.from, &m) < 0)
				lm_release(&m);
			left--;
		}
	if (n < 0)
		fprintf(stderr, "%s\n", lm_strerror(0));
	return n < 0 || lm_close(lm) < 0 || lm_cleanup() < 0;
}
