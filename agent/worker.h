/*
 * One thread with a queue, whose results come back on a loop. The reader reads members' files on
 * such threads (a hung mount then stops only its own), the core keeps the store on one.
 *
 * A piece of work is embedded by its owner. run() is called on the worker's thread, done() later on
 * the loop's thread, exactly once each and in the order of submission. Between submit and done the
 * work belongs to the worker. The queue has no limit of its own: whoever submits bounds what it has
 * under way.
 */
#ifndef ENVWARDEN_AGENT_WORKER_H
#define ENVWARDEN_AGENT_WORKER_H

#include <stddef.h>

#include "lib/base/err.h"

struct uv_loop_s;
struct worker;

struct work {
	void (*run)(struct work *work);
	void (*done)(struct work *work);
	struct work *next; /* private */
};

/* name: what error texts call it. ERR_NOMEM, ERR_IO. */
int worker_new(struct uv_loop_s *loop, const char *name, struct worker **out, struct err *err);

/* Loop thread only; not after worker_stop. */
void worker_submit(struct worker *worker, struct work *work);

size_t worker_pending(const struct worker *worker); /* submitted and not done; loop thread */

/*
 * Lets what was submitted finish (run and done), ends the thread, then calls stopped(owner) on the
 * loop's thread and frees the worker. Idempotent until then.
 */
typedef void (*worker_stopped_cb)(void *owner);
void worker_stop(struct worker *worker, worker_stopped_cb stopped, void *owner);

#endif
