/*
 * What the core knows of a prefix, asked from a reader thread in the middle of a look (see
 * agent/prefix/marks.h). The thread waits; the loop asks the core and brings the answer.
 *
 * Waiting is bounded: a core that is busy for longer than RECALL_PATIENCE_MS, or has gone, knows
 * nothing, and the look reads everything. Checks do not come this way.
 */
#ifndef ENVWARDEN_AGENT_READER_RECALL_H
#define ENVWARDEN_AGENT_READER_RECALL_H

#include <stdint.h>

#include "agent/prefix/marks.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "proto/reader.pb-c.h"

#define RECALL_PATIENCE_MS 2000

struct uv_loop_s;
struct recall;

/* Loop: ask the core, which answers with the same id, later or never. */
typedef void (*recall_ask_cb)(void *ctx, uint64_t id, const char *prefix);

int recall_new(struct uv_loop_s *loop, recall_ask_cb ask, void *ctx, struct recall **out,
	       struct err *err);

/* Loop: the core's answer. One that nobody waits for any more is passed over. */
void recall_answer(struct recall *all, const Envwarden__Reader__Known *known);

/* Loop: nobody answers any more; whoever waits, or asks from now on, gets nothing at once. */
void recall_close(struct recall *all);
/* When no thread can ask any more and the loop has ended. NULL is fine. */
void recall_free(struct recall *all);

/* What is known of one prefix; zeroes = nothing. */
struct recalled {
	struct marks marks; /* its pairs belong to this struct */
	struct uuid basis;
};

/* Any thread but the loop's; waits. */
void recall_ask(struct recall *all, const char *prefix, struct recalled *out);
void recalled_deinit(struct recalled *recalled);

#endif
