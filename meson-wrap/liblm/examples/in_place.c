/* in_place.c: serialises a table of text straight into the memory that it is sent from.
 *
 *   ./in_place --no-pci --no-huge -m 256 --vdev=net_memif0,role=server,id=0 --vdev=net_memif1,role=client,id=0 */
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include <lm.h>

#define LINES 2000

static int fail(void)
{
	fprintf(stderr, "%s\n", lm_strerror(0));
	return 1;
}

/* Writes bytes into a buffer, across the holes that it has for headers. */
static int put(lm_sendbuf *b, const char *bytes, size_t len)
{
	while (len > 0 && b->data != NULL) {
		size_t n = len < b->room ? len : b->room;
		memcpy(b->data, bytes, n);
		if (lm_advance(b, n) < 0)
			return -1;
		bytes += n;
		len -= n;
	}
	return len > 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	lm_config config = lm_config_default();
	lm_address to;
	lm_sendbuf buffer;
	lm_message m;
	char line[32];
	if (lm_init(argc, argv) < 0 || lm_parse("10.1.0.2:7000", &to) < 0)
		return fail();
	config.address = "10.1.0.2";
	config.port = 7000;
	lm_t *server = lm_open("net_memif0", &config);
	config.address = "10.1.0.1";
	lm_t *client = lm_open("net_memif1", &config);
	if (server == NULL || client == NULL || lm_buffer(client, &buffer) < 0)
		return fail();
	for (int n = 0; n < LINES; n++)
		if (put(&buffer, line, (size_t)snprintf(line, sizeof(line), "%6d %12d\n", n, n * n)) < 0)
			return fail();
	printf("%zu bytes were written in place\n", buffer.len);
	if (lm_commit(client, &to, &buffer) < 0)
		return fail();
	int lines = 0;
	for (time_t until = time(NULL) + 3; lines == 0 && time(NULL) < until;) {
		lm_poll(client, &m, 1);
		if (lm_poll(server, &m, 1) != 1)
			continue;
		struct iovec pieces[64];
		int n = lm_pieces(&m, pieces, 64);
		for (int i = 0; i < n && i < 64; i++)
			for (size_t at = 0; at < pieces[i].iov_len; at++)
				lines += ((char *)pieces[i].iov_base)[at] == '\n';
		lm_release(&m);
	}
	printf("%d lines arrived\n", lines);
	return lm_close(server) < 0 || lm_close(client) < 0 || lm_cleanup() < 0 ? fail() : lines != LINES;
}
