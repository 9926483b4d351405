/*
 * The processes that run now, as far as anybody may see: who runs them and what they were started
 * as. What a process says of itself is its own claim. Links to programs are not followed, since
 * seeing those of others needs rights that nothing else here does. Blocking; any thread.
 */
#ifndef ENVWARDEN_PLATFORM_RUNNING_H
#define ENVWARDEN_PLATFORM_RUNNING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define RUNNING_WORDS_MAX 4   /* of a command line: the first ones */
#define RUNNING_LINE_MAX 4096 /* bytes of it that are read */
#define RUNNING_PROCESSES_MAX 65536

struct running {
	int64_t pid;
	uint32_t uid;
	const char *words[RUNNING_WORDS_MAX]; /* hostile bytes; one that was cut is left out */
	size_t n_words;
};

/*
 * Calls back for every process with a command line. A callback that returns non-zero ends the
 * walk, and that is the result. ERR_LIMIT: there were more; ERR_UNSUPPORTED.
 */
typedef int (*running_cb)(void *ctx, const struct running *process);
int running_each(running_cb cb, void *ctx, struct err *err);

/* When a process began, on the clock of clock_system's mono_ms. ERR_NOTFOUND: it has ended, or may
 * not be seen; ERR_UNSUPPORTED. */
int running_since(int64_t pid, int64_t *started_ms, struct err *err);

#endif
