/*
 * The packages of one environment that a condition holds for: a set, so that "all", "any" and "not"
 * are operations on words. A condition about the environment as a whole holds for all or none.
 */
#ifndef ENVWARDEN_LIB_POLICY_PACKAGE_SET_H
#define ENVWARDEN_LIB_POLICY_PACKAGE_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/policy/facts.h"

struct universe; /* an environment's facts, made quick to ask */

/*
 * Borrows facts. now_ms: trusted time. ERR_NOMEM.
 */
int universe_new(const struct policy_facts *facts, int64_t now_ms, struct arena *arena,
		 struct universe **out);

/* When *canceled is set, conditions that are being evaluated end: ERR_CANCELED. NULL: never. */
void universe_heed(struct universe *universe, const atomic_bool *canceled);

/* The members are numbers of facts->packages; with no packages there is one member, standing for
 * the environment alone. */
size_t universe_size(const struct universe *universe);

typedef uint64_t set_word;
#define SET_WORDS(n) (((n) + 63) / 64)

/*
 * Fills `set` (SET_WORDS(universe_size()) words) with those the condition holds for. ERR_NOMEM,
 * ERR_CANCELED.
 * When time alone can change the answer, *until_ms is lowered to the moment it next may.
 */
int condition_eval(struct universe *universe, const struct condition *condition, set_word *set,
		   int64_t *until_ms);

static inline bool set_has(const set_word *set, size_t i)
{
	return (set[i / 64] >> (i % 64) & 1) != 0;
}

/* The first member at or after `from`, n when there is none. n: the size. */
static inline size_t set_next(const set_word *set, size_t from, size_t n)
{
	while (from < n && set[from / 64] >> (from % 64) == 0)
		from = (from / 64 + 1) * 64; /* an empty word at a time */
	while (from < n && !set_has(set, from))
		from++;
	return from < n ? from : n;
}

/* Whether the rule's scope takes in this environment on this machine. */
bool scope_holds(const struct scope *scope, const struct policy_facts *facts);

/* The distinct names of the packages, in order. */
size_t universe_names(const struct universe *universe);
const char *universe_name(const struct universe *universe, size_t i);

#endif
