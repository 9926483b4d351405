/*
 * How often accounts tried something lately: unlock codes are long enough; this keeps the logs and
 * the guessing short. Pure; one thread at a time.
 */
#ifndef ENVWARDEN_AGENT_TRIES_H
#define ENVWARDEN_AGENT_TRIES_H

#include <stdbool.h>
#include <stdint.h>

#define TRIES_MAX 5 /* of an account in TRIES_MS */
#define TRIES_MS 60000
#define TRIES_ACCOUNTS 32 /* the one whose tries began the longest ago makes room */

struct tries {
	struct {
		uint32_t uid;
		int64_t since_ms;
		unsigned n;
	} accounts[TRIES_ACCOUNTS];
};

/* Counts one more, at this (monotonic) time; whether it may be made. */
bool tries_may(struct tries *tries, uint32_t uid, int64_t now_ms);

#endif
