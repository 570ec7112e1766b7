/* echo.c: two nodes in one process. One echoes each message from where it landed, and the other one compares
 * what comes back.
 *
 *   ./echo --no-pci --no-huge -m 256 --vdev=net_memif0,role=server,id=0 --vdev=net_memif1,role=client,id=0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <lm.h>

#define ROUNDS 1000

static lm_t *open_node(const char *device, const char *address, uint16_t port)
{
	lm_config config = lm_config_default();
	config.address = address;
	config.port = port;
	lm_t *lm = lm_open(device, &config);
	if (lm == NULL)
		fprintf(stderr, "%s: %s\n", device, lm_strerror(0));
	return lm;
}

int main(int argc, char **argv)
{
	static unsigned char data[65 * ROUNDS];
	lm_message m;
	lm_address to;
	int came = 0, wrong = 0;
	if (lm_init(argc, argv) < 0 || lm_parse("10.1.0.2:7000", &to) < 0) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	lm_t *server = open_node("net_memif0", "10.1.0.2", 7000);
	lm_t *client = open_node("net_memif1", "10.1.0.1", 0);
	if (server == NULL || client == NULL)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = 65 * (size_t)round;
		for (size_t i = 0; i < len; i++)
			data[i] = (unsigned char)(i ^ (size_t)round);
		if (lm_send(client, &to, data, len) < 0)
			fprintf(stderr, "%s\n", lm_strerror(0));
		time_t until = time(NULL) + 3;
		for (int before = came; came == before && time(NULL) < until;) {
			if (lm_poll(server, &m, 1) == 1 && lm_forward(server, &m.from, &m) < 0)
				lm_release(&m);
			if (lm_poll(client, &m, 1) == 1) {
				came++;
				wrong += lm_contiguous(&m) < 0 || m.len != len || memcmp(m.data, data, len) != 0;
				lm_release(&m);
			}
		}
	}
	printf("%d of %d messages came back, %d of them wrong\n", came, ROUNDS, wrong);
	if (lm_close(server) < 0 || lm_close(client) < 0 || lm_cleanup() < 0) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	return came != ROUNDS || wrong != 0;
}
