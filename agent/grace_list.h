/*
 * What members were granted on the spot: graces taken (one for an environment and a case), and
 * unlock codes used, in the order they came. Bounded; the oldest make room. Pure: no clock, no I/O;
 * one thread at a time.
 *
 * Each has a number of its own, so that one number says which codes the server has heard of.
 */
#ifndef ENVWARDEN_AGENT_GRACE_LIST_H
#define ENVWARDEN_AGENT_GRACE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/uuid.h"
#include "lib/policy/decision.h"

#define GRACES_MAX 4096 /* encoded, they fit a setting of the store */
#define GRACE_NOBODY UINT32_MAX

struct grace {
	struct uuid environment;
	int64_t until_ms;	       /* trusted time, as all here */
	char case_code[CASE_CODE_MAX]; /* of a deferral; "" = unlocked by a code: */
	uint32_t serial;
	bool lifts_status;

	uint32_t uid; /* who took or used it; GRACE_NOBODY: kept by a version that did not ask */
	int64_t given_ms; /* when; 0 likewise */
	uint32_t number;  /* set by grace_list_add */
};

struct grace_list {
	struct grace *items; /* the oldest first, numbers ascending */
	size_t n;
	size_t cap;
};
void grace_list_deinit(struct grace_list *list); /* also of a zeroed struct, and twice */

/* *out is not freed before. ERR_NOMEM. */
int grace_list_copy(const struct grace_list *from, struct grace_list *out);
/* The newest one. ERR_NOMEM: nothing has changed. */
int grace_list_add(struct grace_list *list, const struct grace *grace);
/* The newest code used for an environment, or the newest deferral for a case; NULL none. */
const struct grace *grace_list_find(const struct grace_list *list, const struct uuid *environment,
				    const char *case_code);
/* The codes used after the one of this number, the oldest first, up to max; how many. Borrowed. */
size_t grace_list_codes(const struct grace_list *list, uint32_t after, const struct grace **out,
			size_t max);
/* Up to which number the server has heard of the codes, if it was `told` when this was kept: 0, so
 * that all are told once more, if the list was lost since and numbers began anew. */
uint32_t grace_list_told(const struct grace_list *list, uint32_t told);

/* As a setting of the store. Decoding replaces what is there, also what an earlier version wrote;
 * of what was cut off, what is whole. ERR_CORRUPT: not as any version keeps them; ERR_NOMEM. */
void grace_list_encode(const struct grace_list *list, struct buf *out);
int grace_list_decode(struct grace_list *list, const void *data, size_t n);

#endif
