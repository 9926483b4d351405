/*
 * The lookout: what runs is looked at again and again for as long as something is blocked, on a
 * thread that everything else goes before. While nothing is blocked nothing wakes it.
 *
 * Only what command lines say is compared, with the names the environments have; none is opened,
 * nor followed. Names that a sweep saw to lead to one (links on the way) are learnt from it.
 *
 * A look costs what there are processes, and the next comes later where it took long. Each program
 * is told once in LOOKOUT_AGAIN_MS, so that one that goes on running keeps nobody awake.
 *
 * Loop thread, but for what `source` does. A process that can't be looked at hangs the thread and
 * nothing else.
 */
#ifndef ENVWARDEN_AGENT_READER_LOOKOUT_H
#define ENVWARDEN_AGENT_READER_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/reader/discover.h"
#include "lib/base/err.h"
#include "platform/running.h"

#define LOOKOUT_MAX 1024		  /* environments; others are seen at sweeps */
#define LOOKOUT_NAMES 256		  /* other names of environments; the newest are known */
#define LOOKOUT_FOUND 1024		  /* programs told at a time; others at the next look */
#define LOOKOUT_TOLD 512		  /* ... that it remembers to have told */
#define LOOKOUT_AGAIN_MS (55 * 60 * 1000) /* RAN_AGAIN_MS: what comes sooner counts once anyway */
#define LOOKOUT_SHARE 200		  /* a look takes this part of the time, or less */

struct clock;
struct lookout;
struct uv_loop_s;

/* Whom to ask, on its thread. */
struct lookout_source {
	int (*each)(running_cb cb, void *ctx, struct err *err);
	int (*since)(int64_t pid, int64_t *started_ms, struct err *err);
};

struct lookout_config {
	struct uv_loop_s *loop;
	const struct clock *clock;
	const struct lookout_source *source; /* NULL: platform/running.h */
	int64_t every_ms;
	bool all_accounts; /* of the whole machine, not of the current account alone */
	/* What runs, as sweeps tell it; then, when all of that was told. */
	void (*runs)(void *ctx, const struct discover_program *program);
	void (*looked)(void *ctx);
	void *ctx;
};

int lookout_new(const struct lookout_config *config, struct lookout **out, struct err *err);
/* Nothing is called back any more. stopped(owner) follows, once; a look that hangs is left behind.
 */
void lookout_stop(struct lookout *l, void (*stopped)(void *owner), void *owner);

/*
 * One more environment that is blocked: programs that began before since_ms (monotonic) are none of
 * its concern. What was added holds from lookout_take on, in place of all that was taken before.
 * ERR_LIMIT, ERR_NOMEM.
 */
int lookout_add(struct lookout *l, const char *prefix, int64_t since_ms);
void lookout_take(struct lookout *l);
/* A program was seen to name a prefix so. */
void lookout_named(struct lookout *l, const char *prefix, const char *named);

#endif
