/* sleep.c: a node that sleeps until a frame comes, in its own epoll instance. It opens net_tap0 in a network name
 * space of its own, gives the kernel's end an address, and sends to itself by a socket of the kernel's. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static lm_t *lm;
static int mine;

/* Whether the file descriptor wakes within `ms`. */
static int wakes(int ms)
{
	struct epoll_event event;
	return epoll_wait(mine, &event, 1, ms) == 1;
}

/* Polls until nothing is left. Returns how many messages came, whose bytes are all `byte`. */
static int drain(unsigned char byte)
{
	lm_message m;
	int n, came = 0;
	while ((n = lm_poll(lm, &m, 1)) > 0) {
		CHECK(lm_contiguous(&m) == 0 && m.len == 3000);
		for (size_t i = 0; i < m.len; i++)
			if (((const unsigned char *)m.data)[i] != byte) {
				CHECK(!"a byte is wrong");
				break;
			}
		lm_release(&m);
		came++;
	}
	CHECK(n == 0);
	return came;
}

/* Arms, and polls until the node may rest and no frame has come for a while: the kernel has things to say of its own. */
static int armed_and_quiet(void)
{
	for (time_t until = time(NULL) + 20; time(NULL) < until;) {
		int ms = lm_arm(lm, 1);
		CHECK(ms >= 0);
		drain(0);
		if (ms > 0 && !wakes(300))
			return ms;
		CHECK(lm_arm(lm, 0) == 0);
	}
	fprintf(stderr, "the interface is never quiet\n");
	exit(1);
}

int main(int argc, char **argv)
{
	static unsigned char data[3000];
	if (lm_init(argc, argv) < 0) {
		fprintf(stderr, "%s\n", lm_strerror(0));
		return 1;
	}
	lm = node("net_tap0", "10.9.0.2", 7000, 1);
	if (system("ip addr add 10.9.0.1/24 dev lmsleep && ip link set lmsleep up") != 0)
		return 1;
	int fd = lm_get_fd(lm);
	CHECK(fd >= 0 && lm_get_fd(lm) == fd);
	mine = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event wanted = { .events = EPOLLIN };
	CHECK(epoll_ctl(mine, EPOLL_CTL_ADD, fd, &wanted) == 0);
	int sender = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7000) };
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	for (int round = 1; round <= 5; round++) {
		memset(data, round, sizeof(data));
		int ms = armed_and_quiet();
		CHECK(ms >= 1 && ms <= 60000);
		CHECK(sendto(sender, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(data));
		/* The first frame wakes, which may be the kernel's question for our hardware address. */
		int came = 0;
		for (time_t until = time(NULL) + 10; came == 0 && time(NULL) < until;) {
			CHECK(wakes(5000));
			CHECK(lm_arm(lm, 0) == 0);
			came = drain((unsigned char)round);
			CHECK(lm_arm(lm, 1) >= 0);
			came += drain((unsigned char)round);
		}
		CHECK(came == 1);
		CHECK(lm_arm(lm, 0) == 0);
	}
	CHECK(counter(lm, "held") == 0);
	close(sender);
	close(mine);
	CHECK(lm_close(lm) == 0);
	CHECK(lm_cleanup() == 0);
	printf("slept and was woken: %d of %d checks failed\n", failed, checks);
	return failed != 0;
}
