/* check.h: what the tests of liblm share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lm.h>

static int failed, checks;

#define CHECK(holds)                                                                        \
	do {                                                                                \
		checks++;                                                                   \
		if (!(holds)) {                                                             \
			failed++;                                                           \
			fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #holds, lm_strerror(0)); \
		}                                                                           \
	} while (0)

static inline lm_t *node(const char *device, const char *address, uint16_t port, uint8_t interrupts)
{
	lm_config config = lm_config_default();
	config.address = address;
	config.port = port;
	config.interrupts = interrupts;
	lm_t *lm = lm_open(device, &config);
	if (lm == NULL) {
		fprintf(stderr, "%s: %s\n", device, lm_strerror(0));
		exit(1);
	}
	return lm;
}

static inline uint64_t counter(lm_t *lm, const char *name)
{
	lm_counter all[128];
	int n = lm_counters(lm, all, 128);
	for (int i = 0; i < n && i < 128; i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].value;
	fprintf(stderr, "there is no counter %s\n", name);
	exit(1);
}

/* The message of `len` bytes that `client` has sent to `server`: both are polled until it is there. */
static inline lm_message arrived(lm_t *server, lm_t *client, size_t len)
{
	lm_message m;
	for (time_t until = time(NULL) + 10; time(NULL) < until;) {
		if (lm_poll(client, &m, 1) == 1)
			lm_release(&m);
		if (lm_poll(server, &m, 1) == 1)
			return m;
	}
	fprintf(stderr, "no message of %zu bytes arrives\n", len);
	exit(1);
}
