/* misuse.c: each misuse that lm(3) lists gives its error and changes nothing. Two net_memif nodes in one
 * process, as in echo.c. With an argument behind "--", that many random calls follow: the fuzz. */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/uio.h>

#include "expect.h"

static lm_t *server, *client;
static lm_address to;

/* One message of `len` bytes, at the server. */
static lm_message arrive(size_t len)
{
	static char data[65507];
	int sent = lm_send(client, &to, data, len);
	if (sent < 0)
		fprintf(stderr, "%s\n", lm_strerror(sent));
	return arrived(server, client, len);
}

/* EAL itself says only "failed" if there is no primary process. */
static void secondary(void)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "--file-prefix=lmnone%ld", (long)getpid());
	char *argv[] = { "x", "--proc-type=secondary", "--no-huge", "-m", "64", prefix, NULL };
	EXPECT(lm_init(6, argv), -ENOTSUP, "secondary process");
}

/* In a child, as EAL may keep a part of what it began. */
static void misspelt(void)
{
	int status = 1;
	pid_t child = fork();
	if (child != 0) {
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
		return;
	}
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "--file-prefix=lmdev%ld", (long)getpid());
	char *argv[] = { "x", "--no-pci", "--no-huge", "-m", "64", prefix, "--vdev=net_tab0", NULL };
	EXPECT(lm_init(7, argv), -ENODEV, "such as net_tap0");
	_exit(failed != 0);
}

static void before_eal(void)
{
	lm_config config = config_of("10.1.0.2", 7000);
	REFUSED(lm_open("net_memif0", &config), "EAL is not initialised");
	REFUSED(lm_adopt(0, 0, &config), "EAL is not initialised");
	EXPECT(lm_telemetry(), -ENODEV, "EAL is not initialised");
	EXPECT(lm_cleanup(), -ENODEV, "EAL is not initialised");
	EXPECT(lm_init(0, NULL), -EINVAL, "argv is NULL");
	char *none[] = { NULL };
	EXPECT(lm_init(0, none), -EINVAL, "argc is 0");
	EXPECT(lm_init(1, none), -EINVAL, "NULL");
	in_a_child(secondary);
}

static void configs(void)
{
	lm_config good = config_of("10.1.0.9", 7000), c;
	EXPECT(lm_config_init(NULL, sizeof(c), sizeof(lm_message)), -EINVAL, "config is NULL");
	EXPECT(lm_config_init(&c, 8, sizeof(lm_message)), -EINVAL, "8 bytes");
	EXPECT(lm_config_init(&c, sizeof(c), 8), -EINVAL, "8 bytes");
	EXPECT(lm_config_init(&c, sizeof(c) - 8, sizeof(lm_message)), -EINVAL, "48 bytes");
	EXPECT(lm_config_init(&c, sizeof(c) + 1, sizeof(lm_message)), -EINVAL, "57 bytes");
	EXPECT(lm_config_init(&c, 4104, sizeof(lm_message)), -EINVAL, "4104 bytes");
	EXPECT(lm_config_init(&c, (size_t)1 << 40, sizeof(lm_message)), -EINVAL, "1099511627776 bytes");
	EXPECT(lm_config_init(&c, sizeof(c), SIZE_MAX), -EINVAL, "18446744073709551615 bytes");
	REFUSED(lm_open(NULL, &good), "device is NULL");
	REFUSED(lm_open("net_memif7", NULL), "config is NULL");
	REFUSED(lm_open("net_memif7", &good), "EAL has no device net_memif7");
	REFUSED(lm_adopt(0, 0, NULL), "config is NULL");
	REFUSED(lm_adopt(77, 0, &good), "no port 77");
	REFUSED(lm_adopt(0, 65535, &good), "queue is 65535");
#define WRONG(field, value, says)                       \
	do {                                            \
		c = good;                               \
		c.field = (value);                      \
		REFUSED(lm_open("net_memif0", &c), says); \
		REFUSED(lm_adopt(0, 0, &c), says);      \
	} while (0)
	WRONG(size, 0, "0 bytes");
	WRONG(size, 57, "57 bytes");
	WRONG(size, UINT32_MAX, "4294967295 bytes");
	WRONG(message_size, 1, "1 bytes");
	WRONG(message_size, 100000, "100000 bytes");
	WRONG(address, NULL, "config.address is NULL");
	WRONG(address, "10.1.0", "10.1.0");
	WRONG(address, "ten", "ten");
	WRONG(address, "1234567890123456789012345678901234567890123456789012345678901234567890", "64 characters");
	WRONG(address, "\xff\xfe", "UTF-8");
	WRONG(mtu, 575, "config.mtu is 575");
	WRONG(mtu, 9217, "config.mtu is 9217");
	WRONG(rx_descriptors, 0, "config.rx_descriptors is 0");
	WRONG(rx_descriptors, 32769, "config.rx_descriptors is 32769");
	WRONG(tx_descriptors, 32769, "config.tx_descriptors is 32769");
	WRONG(burst, 0, "config.burst is 0");
	WRONG(burst, 513, "config.burst is 513");
	WRONG(reassembly, 0, "config.reassembly is 0");
	WRONG(reassembly, 257, "config.reassembly is 257");
	WRONG(require, 0, "config.require is 0");
	WRONG(require, 8, "config.require is 8");
	WRONG(checksum, 2, "config.checksum is 2");
	WRONG(interrupts, 2, "config.interrupts is 2");
	WRONG(region, 0, "config.region is 0");
	WRONG(region, UINT64_MAX, "config.region is");
	WRONG(admission, 3, "config.admission is 3");
	WRONG(key, (const uint8_t *)"0123456789abcdef0123456789abcdef", "config.key is set");
	c = good;
	c.admission = 1;
	REFUSED(lm_adopt(0, 0, &c), "config.admission");
	struct {
		lm_config config;
		uint64_t later;
	} newer = { good, 1 };
	newer.config.size = sizeof(newer);
	REFUSED(lm_open("net_memif0", &newer.config), "too old");
	newer.later = 0;
	REFUSED(lm_open("net_memif7", &newer.config), "EAL has no device net_memif7");
	EXPECT(lm_config_init(&newer.config, sizeof(newer), sizeof(lm_message)), 0, "");
	CHECK(newer.config.size == sizeof(newer) && newer.config.mtu == 1500 && newer.later == 0);
}

/* Ports that lm_open has. */
static void owned(void)
{
	lm_config config = config_of("10.1.0.9", 7000);
	REFUSED_AS(lm_open("net_memif0", &config), -EBUSY, "port 0 is open already");
	for (uint16_t queue = 0; queue < 2; queue++) {
		REFUSED_AS(lm_adopt(0, queue, &config), -EBUSY, "port 0 was opened by lm_open");
		REFUSED_AS(lm_adopt(1, queue, &config), -EBUSY, "port 1 was opened by lm_open");
	}
}

static void nulls(void)
{
	lm_message m = arrive(10);
	lm_sendbuf b;
	lm_counter all[1];
	struct iovec pieces[1];
	EXPECT(lm_poll(NULL, &m, 1), -EINVAL, "lm is NULL");
	EXPECT(lm_poll(server, NULL, 1), -EINVAL, "messages is NULL");
	EXPECT(lm_poll(server, &m, 0), -EINVAL, "n is 0");
	EXPECT(lm_poll(server, &m, -1), -EINVAL, "n is -1");
	EXPECT(lm_send(NULL, &to, "x", 1), -EINVAL, "lm is NULL");
	EXPECT(lm_send(client, NULL, "x", 1), -EINVAL, "to is NULL");
	EXPECT(lm_send(client, &to, NULL, 1), -EINVAL, "data is NULL");
	EXPECT(lm_send(client, &to, "x", 65508), -EMSGSIZE, "65507");
	EXPECT(lm_send(client, &to, "x", SIZE_MAX), -EMSGSIZE, "65507");
	EXPECT(lm_forward(NULL, &m.from, &m), -EINVAL, "lm is NULL");
	EXPECT(lm_forward(server, NULL, &m), -EINVAL, "to is NULL");
	EXPECT(lm_forward(server, &m.from, NULL), -EINVAL, "message is NULL");
	EXPECT(lm_buffer(NULL, &b), -EINVAL, "lm is NULL");
	EXPECT(lm_buffer(client, NULL), -EINVAL, "buffer is NULL");
	EXPECT(lm_advance(NULL, 1), -EINVAL, "buffer is NULL");
	EXPECT(lm_buffer(client, &b), 0, "");
	EXPECT(lm_commit(NULL, &to, &b), -EINVAL, "lm is NULL");
	EXPECT(lm_commit(client, NULL, &b), -EINVAL, "to is NULL");
	EXPECT(lm_commit(client, &to, NULL), -EINVAL, "buffer is NULL");
	for (int i = 0; i < 2; i++) {
		lm_address wrong = to;
		if (i == 0)
			wrong.ip = 0;
		else
			wrong.reserved = 1;
		const char *says = i == 0 ? "to.ip is 0" : "to.reserved is 1";
		EXPECT(lm_send(client, &wrong, "x", 1), -EINVAL, says);
		EXPECT(lm_forward(server, &wrong, &m), -EINVAL, says);
		EXPECT(lm_commit(client, &wrong, &b), -EINVAL, says);
	}
	EXPECT(lm_discard(&b), 0, "");
	EXPECT(lm_discard(NULL), -EINVAL, "buffer is NULL");
	EXPECT(lm_release(NULL), -EINVAL, "message is NULL");
	EXPECT(lm_pieces(NULL, pieces, 1), -EINVAL, "message is NULL");
	EXPECT(lm_pieces(&m, NULL, 1), -EINVAL, "pieces is NULL");
	EXPECT(lm_pieces(&m, pieces, -1), -EINVAL, "n is -1");
	EXPECT(lm_contiguous(NULL), -EINVAL, "message is NULL");
	REFUSED(lm_mbuf(&m, NULL), "pool is NULL");
	REFUSED(lm_mbuf(NULL, (void *)all), "message is NULL");
	REFUSED(lm_mempool(NULL), "lm is NULL");
	REFUSED(lm_mempool(server), "lm_adopt");
	EXPECT(lm_counters(NULL, NULL, 0), -EINVAL, "lm is NULL");
	EXPECT(lm_counters(server, NULL, 1), -EINVAL, "counters is NULL");
	EXPECT(lm_counters(server, NULL, -1), -EINVAL, "counters is NULL");
	EXPECT(lm_counters(server, all, -1), -EINVAL, "n is -1");
	EXPECT(lm_get_fd(NULL), -EINVAL, "lm is NULL");
	EXPECT(lm_get_fd(server), -ENOTSUP, "config.interrupts");
	EXPECT(lm_arm(NULL, 1), -EINVAL, "lm is NULL");
	EXPECT(lm_arm(server, 1), -ENOTSUP, "config.interrupts");
	EXPECT(lm_arm(server, 2), -EINVAL, "on is 2");
	EXPECT(lm_detach(NULL), -EINVAL, "lm is NULL");
	EXPECT(lm_close(NULL), -EINVAL, "lm is NULL");
	EXPECT(lm_parse(NULL, &to), -EINVAL, "from is NULL");
	EXPECT(lm_parse("10.1.0.2", NULL), -EINVAL, "address is NULL");
	const char *bad[] = { "", "10.1.0.2:", "10.1.0.2:70000", "10.1.0.2:+7", "10.1.0.2:7:7", "a:7", ":7" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT(lm_parse(bad[i], &to), -EINVAL, "no address");
	EXPECT(lm_release(&m), 0, "");
}

/* Messages that no poll has given to the program, as it asks for one at a time: a close that is refused drops none
 * of them. */
static void untold(void)
{
	unsigned char each[8];
	lm_message m;
	int n = 0;
	for (unsigned i = 0; i < sizeof(each); i++) {
		memset(each, (int)i, sizeof(each));
		EXPECT(lm_send(client, &to, each, sizeof(each)), 0, "");
	}
	while (lm_poll(client, &m, 1) == 1)
		lm_release(&m);
	for (time_t until = time(NULL) + 10; n < (int)sizeof(each) && time(NULL) < until;) {
		if (lm_poll(server, &m, 1) != 1)
			continue;
		CHECK(m.len == sizeof(each) && ((const unsigned char *)m.data)[0] == n);
		EXPECT(lm_close(server), -EBUSY, "1 messages and 0 send buffers");
		EXPECT(lm_release(&m), 0, "");
		n++;
	}
	CHECK(n == (int)sizeof(each));
}

static void twice(void)
{
	lm_message m = arrive(5000), copy = m, copy2 = m;
	struct iovec pieces[1];
	lm_sendbuf b, other;
	EXPECT(lm_close(server), -EBUSY, "1 messages and 0 send buffers");
	EXPECT(lm_cleanup(), -EBUSY, "2 handles");
	EXPECT(lm_release(&m), 0, "");
	EXPECT(lm_release(&m), -ESTALE, "before");
	EXPECT(lm_release(&copy), -ESTALE, "before");
	lm_message next = arrive(5000);
	EXPECT(lm_release(&copy2), -ESTALE, "before");
	EXPECT(lm_pieces(&copy, pieces, 1), -ESTALE, "before");
	EXPECT(lm_contiguous(&copy), -ESTALE, "before");
	/* The pool is not looked at. */
	REFUSED_AS(lm_mbuf(&copy, (void *)pieces), -ESTALE, "before");
	EXPECT(lm_forward(server, &copy.from, &copy), -ESTALE, "before");
	copy = next;
	copy.slot = UINT32_MAX;
	EXPECT(lm_release(&copy), -ESTALE, "before");
	copy = next;
	copy.generation++;
	EXPECT(lm_release(&copy), -ESTALE, "before");
	copy = next;
	/* Its four fragments came to separate slots. */
	EXPECT(lm_pieces(&next, NULL, 0), 4, "");
	EXPECT(lm_forward(server, &next.from, &next), 0, "");
	EXPECT(lm_forward(server, &copy.from, &copy), -ESTALE, "before");
	memset(&m, 0, sizeof(m));
	EXPECT(lm_release(&m), -ESTALE, "before");

	EXPECT(lm_buffer(client, &b), 0, "");
	other = b;
	EXPECT(lm_close(client), -EBUSY, "1 send buffers");
	EXPECT(lm_advance(&b, b.room + 1), -EINVAL, "there is room for");
	EXPECT(lm_advance(&b, SIZE_MAX), -EINVAL, "there is room for");
	EXPECT(lm_commit(server, &to, &b), -EINVAL, "another handle's");
	EXPECT(lm_discard(&b), 0, "");
	EXPECT(lm_discard(&b), -ESTALE, "before");
	EXPECT(lm_discard(&other), -ESTALE, "before");
	EXPECT(lm_advance(&other, 0), -ESTALE, "before");
	EXPECT(lm_commit(client, &to, &other), -ESTALE, "before");
}

static lm_sendbuf mine;

static void *elsewhere(void *message)
{
	lm_message m;
	lm_sendbuf b;
	struct iovec piece;
	memset(&m, 0, sizeof(m));
	EXPECT(lm_poll(server, &m, 1), -EPERM, "another thread");
	EXPECT(lm_send(server, &to, "x", 1), -EPERM, "another thread");
	EXPECT(lm_forward(server, &to, message), -EPERM, "another thread");
	EXPECT(lm_buffer(server, &b), -EPERM, "another thread");
	EXPECT(lm_advance(&mine, 1), -EPERM, "another thread");
	EXPECT(lm_commit(server, &to, &mine), -EPERM, "another thread");
	EXPECT(lm_discard(&mine), -EPERM, "another thread");
	REFUSED_AS(lm_mempool(server), -EPERM, "another thread");
	EXPECT(lm_counters(server, NULL, 0), -EPERM, "another thread");
	EXPECT(lm_get_fd(server), -EPERM, "another thread");
	EXPECT(lm_arm(server, 1), -EPERM, "another thread");
	EXPECT(lm_detach(server), -EPERM, "another thread");
	EXPECT(lm_close(server), -EPERM, "another thread");
	EXPECT(lm_pieces(message, &piece, 1), 3, "");
	EXPECT(lm_release(message), 0, "");
	EXPECT(lm_release(message), -ESTALE, "before");
	return NULL;
}

static void *taker(void *arg)
{
	(void)arg;
	lm_counters(server, NULL, 0);
	EXPECT(lm_detach(server), 0, "");
	return NULL;
}

static void threads(void)
{
	pthread_t thread;
	lm_message m = arrive(3000), copy = m;
	EXPECT(lm_buffer(server, &mine), 0, "");
	pthread_create(&thread, NULL, elsewhere, &m);
	pthread_join(thread, NULL);
	EXPECT((int)mine.len, 0, "");
	EXPECT(lm_discard(&mine), 0, "");
	EXPECT(lm_release(&copy), -ESTALE, "before");
	EXPECT((int)counter(server, "held"), 0, "");
	EXPECT(lm_detach(server), 0, "");
	pthread_create(&thread, NULL, taker, NULL);
	pthread_join(thread, NULL);
	EXPECT(lm_counters(server, NULL, 0) > 50, 1, "");
}

/* 256 messages wait at most, here for a peer that there is not. What is refused then stays the caller's. */
static void full(void)
{
	static lm_message held[300];
	lm_address nobody;
	lm_sendbuf b;
	int waiting = 0, refused = 0, n = 0;
	EXPECT(lm_parse("10.1.0.77:7000", &nobody), 0, "");
	for (int i = 0; i < 300; i++)
		held[i] = arrive(10);
	EXPECT(lm_buffer(server, &b), 0, "");
	memcpy(b.data, "last", 4);
	EXPECT(lm_advance(&b, 4), 0, "");
	for (int i = 0; i < 300; i++) {
		int sent = lm_send(server, &nobody, "x", 1);
		waiting += sent == 1;
		refused += sent == -EAGAIN;
	}
	CHECK(waiting > 0 && refused > 0 && waiting + refused == 300);
	while (n < 299 && lm_forward(server, &nobody, &held[n]) == 1)
		n++;
	EXPECT(waiting + n, 256, "");
	EXPECT(lm_forward(server, &nobody, &held[n]), -EAGAIN, "256 messages wait");
	/* A copy is the same message, also behind a failure. */
	lm_message copy = held[n];
	EXPECT(lm_forward(server, &nobody, &copy), -EAGAIN, "256 messages wait");
	EXPECT(lm_commit(server, &nobody, &b), -EAGAIN, "256 messages wait");
	EXPECT((int)counter(server, "held"), 300 - n, "");
	EXPECT(lm_pieces(&held[n], NULL, 0), 1, "");
	EXPECT((int)b.len, 4, "");
	/* They can still go to others. */
	EXPECT(lm_commit(server, &held[n].from, &b), 0, "");
	EXPECT(lm_forward(server, &held[n].from, &held[n]), 0, "");
	for (n++; n < 300; n++)
		EXPECT(lm_release(&held[n]), 0, "");
	/* Without an answer they go to the broadcast address, and are another's there. */
	for (time_t until = time(NULL) + 10; counter(client, "ignored") < 256 && time(NULL) < until;) {
		lm_message m;
		if (lm_poll(client, &m, 1) == 1)
			lm_release(&m);
		if (lm_poll(server, &m, 1) == 1)
			lm_release(&m);
	}
	EXPECT((int)counter(client, "ignored"), 256, "");
}

static void texts(void)
{
	static const int codes[] = { INT_MIN, -5000, -1, 0, 1, INT_MAX };
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		CHECK(lm_strerror(codes[i]) != NULL && lm_strerror(codes[i])[0] != '\0');
	CHECK(strcmp(lm_strerror(1), "no error") == 0);
	CHECK(strstr(lm_strerror(-5000), "5000") != NULL);
	EXPECT(lm_release(NULL), -EINVAL, "message is NULL");
	CHECK(strcmp(lm_strerror(0), "message is NULL") == 0 && strcmp(lm_strerror(-EINVAL), "message is NULL") == 0);
	CHECK(strstr(lm_strerror(-EBUSY), "NULL") == NULL);
}

static uint64_t state = 1;
static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

/* Random calls with what the calls before have left, valid, stale or wrong. */
static void fuzz(long calls)
{
	static char data[65507];
	static lm_message held[32];
	static lm_sendbuf buffers[8];
	struct iovec pieces[4];
	lm_counter counters[8];
	unsigned long sum = 0;
	for (long i = 0; i < calls; i++) {
		lm_t *lm = any(2) ? server : client;
		lm_message *m = &held[any(32)];
		lm_sendbuf *b = &buffers[any(8)];
		size_t len = any(8) == 0 ? any(70000) : any(4000);
		switch (any(14)) {
		case 0: case 1: case 2:
			/* What is held there would be lost. */
			if (m->owner == NULL)
				lm_poll(lm, m, 1);
			break;
		case 3: lm_send(lm, &to, data, len > sizeof(data) ? sizeof(data) + 1 : len); break;
		case 4: lm_forward(lm, any(4) ? &m->from : &to, m); break;
		case 5: case 6: lm_release(m); break;
		case 7:
			if (b->owner == NULL)
				lm_buffer(lm, b);
			break;
		case 8:
			if (b->owner != NULL && b->data != NULL) {
				size_t n = any(2) ? b->room : any((uint32_t)b->room + 1);
				memset(b->data, 7, n);
				lm_advance(b, any(16) ? n : n + b->room + 1);
			}
			break;
		case 9: lm_commit(lm, &to, b); break;
		case 10: lm_discard(b); break;
		case 11:
			if (lm_pieces(m, pieces, 4) > 0)
				sum += ((unsigned char *)pieces[0].iov_base)[pieces[0].iov_len - 1];
			break;
		case 12:
			if (lm_contiguous(m) == 0)
				for (size_t at = 0; at < m->len; at += 511)
					sum += ((const unsigned char *)m->data)[at];
			break;
		case 13: {
			lm_message copy = *m;
			copy.generation ^= any(4);
			copy.slot ^= any(1000) == 0 ? any(UINT32_MAX) : 0;
			if (copy.slot != m->slot || copy.generation != m->generation)
				lm_pieces(&copy, pieces, 4);
			lm_counters(lm, counters, (int)any(9));
			break;
		}
		}
	}
	for (int i = 0; i < 32; i++)
		lm_release(&held[i]);
	for (int i = 0; i < 8; i++)
		lm_discard(&buffers[i]);
	printf("%ld random calls (%lu)\n", calls, sum);
}

int main(int argc, char **argv)
{
	texts();
	misspelt();
	before_eal();
	int taken = lm_init(argc, argv);
	if (taken < 0) {
		fprintf(stderr, "%s\n", lm_strerror(taken));
		return 1;
	}
	long calls = argc - taken > 1 ? atol(argv[taken + 1]) : 0;
	EXPECT(lm_init(1, argv), -EALREADY, "EAL");
	configs();
	EXPECT(lm_telemetry(), 0, "");
	EXPECT(lm_telemetry(), 0, "");
	EXPECT(lm_parse("10.1.0.2:7000", &to), 0, "");
	server = node("net_memif0", "10.1.0.2", 7000, 0);
	client = node("net_memif1", "10.1.0.1", 0, 0);
	owned();
	nulls();
	EXPECT(lm_parse("10.1.0.2:7000", &to), 0, "");
	untold();
	twice();
	threads();
	full();
	fuzz(calls);
	for (time_t until = time(NULL) + 1; time(NULL) < until;) {
		lm_message m;
		if (lm_poll(client, &m, 1) == 1)
			lm_release(&m);
		if (lm_poll(server, &m, 1) == 1)
			lm_release(&m);
	}
	EXPECT((int)counter(server, "held") + (int)counter(client, "held"), 0, "");
	EXPECT(lm_close(server), 0, "");
	EXPECT(lm_close(client), 0, "");
	EXPECT(lm_cleanup(), 0, "");
	printf("%d of %d checks failed\n", failed, checks);
	return failed != 0;
}
