#include "lib/policy/rule_index.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"

/* A name and a rule that needs a package of it. */
struct need {
	const char *name;
	uint32_t rule;
};

/* The rules of one name: needs[first .. first + n). */
struct bucket {
	const char *name; /* NULL: free */
	uint32_t first;
	uint32_t n;
};

struct rule_index {
	const struct policy *policy;
	struct bucket *buckets;
	size_t mask;
	uint32_t *rules; /* by name, then number */
	uint32_t *general;
	size_t n_general;
	const struct exception **exceptions; /* by rule, then as written */
};

/* --- the names a condition can't do without --- */

struct names {
	const char **items;
	size_t n;
	size_t cap;
};

static bool add_name(struct names *names, const char *name)
{
	if (names->n == names->cap)
		return false; /* more than pays: the rule is a general one */
	names->items[names->n++] = name;
	return true;
}

static bool specs_need_names(const struct condition *c, struct names *names)
{
	for (size_t i = 0; i < c->n_specs; i++) {
		const char *name = c->specs[i].name;

		if (!name || !add_name(names, name))
			return false;
	}
	return c->n_specs > 0;
}

/*
 * True when only packages of some few names can satisfy the condition: they are added to `names`.
 * False: any package might; nothing is added.
 */
static bool needs_names(const struct condition *c, struct names *names)
{
	size_t before = names->n;

	switch (c->kind) {
	case CONDITION_PACKAGE:
		if (specs_need_names(c, names))
			return true;
		break;
	case CONDITION_ALL: /* what one of them needs, all of them together need */
		for (size_t i = 0; i < c->n_children; i++) {
			if (needs_names(&c->children[i], names))
				return true;
			names->n = before;
		}
		break;
	case CONDITION_ANY:
		for (size_t i = 0; i < c->n_children; i++) {
			if (!needs_names(&c->children[i], names)) {
				names->n = before;
				return false;
			}
		}
		return c->n_children > 0;
	default:
		break;
	}
	names->n = before;
	return false;
}

/* --- building --- */

#define NAMES_OF_RULE_MAX 64

static int cmp_need(const void *a, const void *b)
{
	const struct need *p = a;
	const struct need *q = b;
	int c = strcmp(p->name, q->name);

	return c != 0 ? c : p->rule < q->rule ? -1 : p->rule > q->rule;
}

static int collect(struct rule_index *index, struct arena *arena, struct need **out, size_t *n_out)
{
	const struct policy *policy = index->policy;
	const char *room[NAMES_OF_RULE_MAX];
	struct need *needs = NULL;
	size_t n = 0;

	/* Twice over: to count, then to fill. */
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1) {
			needs = arena_calloc(arena, n + 1, sizeof(*needs));
			index->general =
				arena_calloc(arena, index->n_general + 1, sizeof(*index->general));
			if (!needs || !index->general)
				return ERR_NOMEM;
		}
		n = 0;
		index->n_general = 0;
		for (size_t i = 0; i < policy->n_rules; i++) {
			struct names names = {room, 0, NAMES_OF_RULE_MAX};

			if (!needs_names(&policy->rules[i].when, &names)) {
				if (pass == 1)
					index->general[index->n_general] = (uint32_t)i;
				index->n_general++;
				continue;
			}
			for (size_t k = 0; k < names.n; k++, n++)
				if (pass == 1)
					needs[n] = (struct need){names.items[k], (uint32_t)i};
		}
	}
	*out = needs;
	*n_out = n;
	return 0;
}

/* FNV-1a; the names are the administrator's own, and the table is never more than half full. */
static size_t hash_name(const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
	return (size_t)(h ^ h >> 32);
}

static struct bucket *find_bucket(const struct rule_index *index, const char *name)
{
	size_t i = hash_name(name) & index->mask;

	while (index->buckets[i].name && strcmp(index->buckets[i].name, name) != 0)
		i = (i + 1) & index->mask;
	return &index->buckets[i];
}

static int fill(struct rule_index *index, struct arena *arena, const struct need *needs, size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	index->mask = size - 1;
	index->buckets = arena_calloc(arena, size, sizeof(*index->buckets));
	index->rules = arena_calloc(arena, n + 1, sizeof(*index->rules));
	if (!index->buckets || !index->rules)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		struct bucket *b = find_bucket(index, needs[i].name);

		index->rules[i] = needs[i].rule;
		if (!b->name)
			*b = (struct bucket){needs[i].name, (uint32_t)i, 0};
		b->n++;
	}
	return 0;
}

static int cmp_exception(const void *a, const void *b)
{
	const struct exception *p = *(const struct exception *const *)a;
	const struct exception *q = *(const struct exception *const *)b;
	int c = strcmp(p->rule, q->rule);

	return c != 0 ? c : p < q ? -1 : p > q;
}

static int sort_exceptions(struct rule_index *index, struct arena *arena)
{
	const struct policy *policy = index->policy;

	index->exceptions =
		arena_calloc(arena, policy->n_exceptions + 1, sizeof(*index->exceptions));
	if (!index->exceptions)
		return ERR_NOMEM;
	for (size_t i = 0; i < policy->n_exceptions; i++)
		index->exceptions[i] = &policy->exceptions[i];
	if (policy->n_exceptions > 1)
		qsort(index->exceptions, policy->n_exceptions, sizeof(*index->exceptions),
		      cmp_exception);
	return 0;
}

int rule_index_new(const struct policy *policy, struct arena *arena, struct rule_index **out)
{
	struct rule_index *index = arena_calloc(arena, 1, sizeof(*index));
	struct need *needs = NULL;
	size_t n = 0;
	int rc;

	if (!index)
		return ERR_NOMEM;
	index->policy = policy;
	rc = collect(index, arena, &needs, &n);
	if (rc == 0 && n > 1)
		qsort(needs, n, sizeof(*needs), cmp_need);
	if (rc == 0)
		rc = fill(index, arena, needs, n);
	if (rc == 0)
		rc = sort_exceptions(index, arena);
	if (rc == 0)
		*out = index;
	return rc;
}

/* --- asking --- */

const struct policy *rule_index_policy(const struct rule_index *index)
{
	return index->policy;
}

const uint32_t *rule_index_by_name(const struct rule_index *index, const char *name, size_t *n)
{
	const struct bucket *b = find_bucket(index, name);

	*n = b->name ? b->n : 0;
	return b->name ? index->rules + b->first : NULL;
}

const uint32_t *rule_index_general(const struct rule_index *index, size_t *n)
{
	*n = index->n_general;
	return index->general;
}

const struct exception *const *rule_index_exceptions(const struct rule_index *index,
						     const char *rule, size_t *n)
{
	size_t low = 0;
	size_t high = index->policy->n_exceptions;
	size_t end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->exceptions[middle]->rule, rule) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low;
	     end < index->policy->n_exceptions && strcmp(index->exceptions[end]->rule, rule) == 0;)
		end++;
	*n = end - low;
	return index->exceptions + low;
}
