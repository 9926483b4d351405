/*
 * Who used what although it was blocked: one *series* for the uses an account makes of an
 * environment under one decision, however many. Bounded for each environment, each account and in
 * all. Pure: no clock, no I/O; one thread at a time.
 *
 * A series is known to the server by environment, account, case and the time of its first use, and
 * is told with all it has counted so far. So telling it twice is harmless, and a series that was
 * told may be dropped to make room: what is seen after that begins another one. One that was not
 * told is never dropped; if there is no room besides, a use is not noted.
 */
#ifndef ENVWARDEN_AGENT_RAN_LIST_H
#define ENVWARDEN_AGENT_RAN_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ruling.h"
#include "lib/base/buf.h"
#include "lib/base/uuid.h"
#include "lib/policy/decision.h"

#define RAN_MAX 512	    /* series in all; encoded, they fit a setting of the store */
#define RAN_ACCOUNT_MAX 128 /* ... of one account */
#define RAN_EACH_MAX 8	    /* ... of one account in one environment */
#define RAN_REASONS_MAX 384 /* bytes of what blocked it; of more, the first */
/* The same use counts once in this time: a little less than the hour between two looks at what
 * runs. */
#define RAN_AGAIN_MS (55 * 60 * 1000)

/* How a use came to be known, each counted by itself. */
enum ran_how {
	RAN_PROGRAM, /* a program was seen running */
	RAN_SHELL,   /* the gate found it active, past itself */
	RAN_REPAIR,  /* a program, as it was being changed, or by a tool that changes it */
	RAN_HOWS
};

struct ran {
	struct uuid environment;
	uint32_t uid;
	char case_code[CASE_CODE_MAX];
	char reasons[RAN_REASONS_MAX]; /* that blocked it, a line each: "rule old-openssl" */
	int64_t first_ms;	       /* when it was used, as all here (ran.c) */
	int64_t last_ms;
	uint64_t times[RAN_HOWS];
	int64_t counted_ms[RAN_HOWS]; /* when it was counted last, 0 never */
	bool untold;		      /* the server has not heard how it is now */
	bool telling; /* a report with it is under way; cleared by what changes it */
};

struct ran_list {
	struct ran *items; /* in no order */
	size_t n;
	size_t cap;
};
void ran_list_deinit(struct ran_list *list); /* also of a zeroed struct, and twice */

struct ran_use {
	struct uuid environment;
	uint32_t uid;
	enum ran_how how;
	const struct kept_decision *decision; /* that blocks it */
	int64_t now_ms;
};
/*
 * Notes a use. True: it counted, so there is something new to keep and to tell; false: it was
 * counted a short while ago (only last_ms moved), there is no room, or no memory.
 */
bool ran_list_note(struct ran_list *list, const struct ran_use *use);

/* The series of an environment, the newest use first, up to max; how many. Borrowed. */
size_t ran_list_of(const struct ran_list *list, const struct uuid *environment,
		   const struct ran **out, size_t max);

/* As a setting of the store. Decoding replaces what is there; what is malformed ends it, and what
 * came before that is kept. ERR_INVALID, ERR_NOMEM. */
void ran_list_encode(const struct ran_list *list, struct buf *out);
int ran_list_decode(struct ran_list *list, const void *data, size_t n);

#endif
