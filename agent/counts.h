/*
 * What is counted of decisions, as a setting of the store: one row for each environment of which
 * anything was counted, told or decided against. Pure; one thread at a time.
 */
#ifndef ENVWARDEN_AGENT_COUNTS_H
#define ENVWARDEN_AGENT_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/envs.h"
#include "lib/base/buf.h"

#define COUNTS_ROW (UUID_SIZE + 6 * 8 + 8)
#define COUNTS_BYTES_MAX 262144 /* what a setting has room for */
#define COUNTS_MAX ((COUNTS_BYTES_MAX - 1) / COUNTS_ROW)

/*
 * The first COUNTS_MAX of the living, in the order of their paths, and their `counted` is taken
 * away, as they are on their way to the store now. out: empty, with room for COUNTS_BYTES_MAX.
 */
void counts_encode(const struct envs *all, struct buf *out);

/*
 * Into the rulings of those that are known. When blocks came is told by the clock of one run of the
 * system: if it lies ahead of now_ms (monotonic), the system was started anew, and everything that
 * runs began later. What is malformed ends it; what came before that counts.
 */
void counts_decode(const struct envs *all, const void *data, size_t n, int64_t now_ms);

#endif
