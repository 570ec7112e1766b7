/* expect.h: calls that must fail, with the number and the words that they must fail with. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void expect_at(int line, int got, int want, const char *says)
{
	const char *text = got < 0 ? lm_strerror(got) : "";
	checks++;
	if (got == want && strstr(text, says) != NULL)
		return;
	failed++;
	fprintf(stderr, "line %d: %d (%s), not %d with \"%s\"\n", line, got, text, want, says);
}
#define EXPECT(call, want, says) expect_at(__LINE__, (call), (want), (says))

static void refused_at(int line, const void *got, const char *says)
{
	checks++;
	if (got == NULL && strstr(lm_strerror(0), says) != NULL)
		return;
	failed++;
	fprintf(stderr, "line %d: %p (%s), not NULL with \"%s\"\n", line, got, lm_strerror(0), says);
}
#define REFUSED(call, says) refused_at(__LINE__, (call), (says))

/* The same, and its number is `code`: only the number of the last failure has the failure's own line. */
#define REFUSED_AS(call, code, says)                            \
	do {                                                    \
		REFUSED(call, says);                            \
		CHECK(strstr(lm_strerror(code), says) != NULL); \
	} while (0)

static inline lm_config config_of(const char *address, uint16_t port)
{
	lm_config config = lm_config_default();
	config.address = address;
	config.port = port;
	return config;
}

/* Does what needs an EAL of its own, or none, in a copy of this process. */
static inline void in_a_child(void (*what)(void))
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		failed = 0;
		what();
		_exit(failed != 0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}
