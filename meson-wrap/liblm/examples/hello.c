/* hello.c: answers every datagram from where it landed, also those of a plain socket.
 *
 *   cc hello.c -o hello $(pkg-config --cflags --libs lm)
 *   ./hello --no-pci --vdev=net_tap0,iface=lm0 -- net_tap0 10.1.0.2 7000
 *   ip addr add 10.1.0.1/24 dev lm0; ip link set lm0 up; echo hello | nc -u -w1 10.1.0.2 7000
 *
 * A fourth argument is how many datagrams it answers before it ends. */
#include <stdio.h>
#include <stdlib.h>

#include <lm.h>

int main(int argc, char **argv)
{
	int taken = lm_init(argc, argv);
	if (taken < 0) {
		fprintf(stderr, "%s\n", lm_strerror(taken));
		return 1;
	}
	argc -= taken;
	argv += taken;
	if (argc < 4) {
		fprintf(stderr, "usage: hello EAL-ARGUMENTS -- DEVICE ADDRESS PORT [COUNT]\n");
		return 2;
	}
	lm_config config = lm_config_default();
	config.address = argv[2];
	config.port = (uint16_t)atoi(argv[3]);
	lm_t *lm = lm_open(argv[1], &config);
	if (lm == NULL) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	long left = argc > 4 ? atol(argv[4]) : -1;
	lm_message m;
	int n = 0;
	while (left != 0 && (n = lm_poll(lm, &m, 1)) >= 0) {
		if (n == 0)
			continue;
		printf("%zu bytes from %u.%u.%u.%u:%u\n", m.len, m.from.ip >> 24, m.from.ip >> 16 & 255,
		       m.from.ip >> 8 & 255, m.from.ip & 255, m.from.port);
		if (lm_forward(lm, &m.from, &m) < 0)
			lm_release(&m);
		left -= left > 0;
	}
	if (n < 0)
		fprintf(stderr, "%s\n", lm_strerror(n));
	if (lm_close(lm) < 0 || lm_cleanup() < 0)
		fprintf(stderr, "%s\n", lm_strerror(0));
	return n < 0;
}
