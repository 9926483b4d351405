/*
 * How often an address may try to enrol: a bucket of tokens for each, refilled over time. The table
 * has a fixed size; addresses are spread over it by a secret salt, and those that meet share a
 * bucket. An IPv6 address counts as its /64. Loop thread.
 */
#ifndef ENVWARDEN_SERVER_SESSION_RATE_H
#define ENVWARDEN_SERVER_SESSION_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_BUCKETS 4096

struct rate_bucket {
	int64_t spent_ms; /* waiting time run up, melting away with time */
	int64_t at_ms;	  /* when that was so */
};

struct rate {
	unsigned char salt[16];
	int64_t burst;	 /* tries at once */
	int64_t each_ms; /* time that gives one try back */
	struct rate_bucket buckets[RATE_BUCKETS];
};

void rate_init(struct rate *rate, int64_t burst, int64_t each_ms);

/* One try of "192.0.2.1:443" or "[2001:db8::1]:443"; false: too many, wait *wait_ms. */
bool rate_take(struct rate *rate, const char *peer, int64_t mono_ms, int64_t *wait_ms);

/* Gives back the try of one who succeeded: many honest machines share an address. */
void rate_return(struct rate *rate, const char *peer);

#endif
