#include "lib/policy/universe.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/conda/channel_name.h"

typedef const char *(*value_of)(const struct package *package);

static const char *name_of(const struct package *p)
{
	return p->name;
}

static const char *channel_of(const struct package *p)
{
	return p->channel;
}

static const char *license_of(const struct package *p)
{
	return p->license;
}

static const char *manager_of(const struct package *p)
{
	return p->manager;
}

struct keyed {
	const char *value;
	uint32_t member;
};

static int cmp_keyed(const void *a, const void *b)
{
	const struct keyed *p = a;
	const struct keyed *q = b;
	int c = strcmp(p->value, q->value);

	return c != 0 ? c : p->member < q->member ? -1 : 1;
}

static int group_by(const struct universe *u, value_of value, struct groups *out)
{
	const struct policy_facts *facts = u->facts;
	size_t n = facts->n_packages;
	struct keyed *keyed = arena_calloc(u->arena, n + 1, sizeof(*keyed));
	uint32_t *members = arena_calloc(u->arena, n + 1, sizeof(*members));
	struct group *items = arena_calloc(u->arena, n + 1, sizeof(*items));

	if (!keyed || !members || !items)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		keyed[i] = (struct keyed){value(facts->packages[i].package), (uint32_t)i};
	if (n > 1)
		qsort(keyed, n, sizeof(*keyed), cmp_keyed);
	out->items = items;
	for (size_t i = 0; i < n; i++) {
		struct group *last = out->n > 0 ? &items[out->n - 1] : NULL;

		members[i] = keyed[i].member;
		if (!last || strcmp(last->value, keyed[i].value) != 0) {
			last = &items[out->n++];
			*last = (struct group){keyed[i].value, &members[i], 0};
		}
		last->n++;
	}
	return 0;
}

static int group_once(const struct universe *u, value_of value, struct groups *groups)
{
	return groups->items ? 0 : group_by(u, value, groups);
}

/* For patterns: there may be so many that each is to be passed over quickly. */
static int gram_once(const struct universe *u, struct groups *groups)
{
	struct grams *grams;

	if (groups->grams)
		return 0;
	grams = arena_calloc(u->arena, 1, sizeof(*grams));
	if (!grams)
		return ERR_NOMEM;
	for (size_t i = 0; i < groups->n; i++)
		grams_add(grams, groups->items[i].value);
	groups->grams = grams;
	return 0;
}

void universe_channel_forms(const struct universe *u, size_t i,
			    const char *forms[UNIVERSE_CHANNEL_FORMS])
{
	const struct channel_name *name = &u->channel_names[i];

	forms[0] = u->channels.items[i].value;
	forms[1] = name->canonical;
	forms[2] = name->name;
	forms[3] = name->base_url;
}

int universe_group_channels(struct universe *u)
{
	struct channel_name *names;
	int rc = group_once(u, channel_of, &u->channels);

	if (rc < 0 || u->channel_names)
		return rc;
	names = arena_calloc(u->arena, u->channels.n + 1, sizeof(*names));
	if (!names)
		return ERR_NOMEM;
	for (size_t i = 0; i < u->channels.n; i++) {
		const char *channel = u->channels.items[i].value;

		/* One that is no channel has the text it has, and no other names. */
		if (channel_name_parse(channel, strlen(channel), u->arena, &names[i], NULL) ==
		    ERR_NOMEM)
			return ERR_NOMEM;
	}
	u->channel_names = names;
	rc = gram_once(u, &u->channels);
	for (size_t i = 0; rc == 0 && i < u->channels.n; i++) {
		const char *forms[UNIVERSE_CHANNEL_FORMS];

		universe_channel_forms(u, i, forms);
		for (size_t k = 1; k < UNIVERSE_CHANNEL_FORMS; k++)
			if (forms[k])
				grams_add(u->channels.grams, forms[k]);
	}
	return rc;
}

int universe_group_licenses(struct universe *u)
{
	int rc = group_once(u, license_of, &u->licenses);

	return rc == 0 ? gram_once(u, &u->licenses) : rc;
}

int universe_group_managers(struct universe *u)
{
	return group_once(u, manager_of, &u->managers);
}

int universe_gram_names(struct universe *u)
{
	return gram_once(u, &u->names);
}

int universe_new(const struct policy_facts *facts, int64_t now_ms, struct arena *arena,
		 struct universe **out)
{
	struct universe *u = arena_calloc(arena, 1, sizeof(*u));
	int rc;

	if (!u)
		return ERR_NOMEM;
	CHECK(facts->n_packages <= POLICY_PACKAGES_MAX);
	u->facts = facts;
	u->now_ms = now_ms;
	u->arena = arena;
	u->size = facts->n_packages > 0 ? facts->n_packages : 1;
	u->subjects = arena_calloc(arena, u->size, sizeof(*u->subjects));
	u->scratch = arena_calloc(arena, UNIVERSE_LEVELS * SET_WORDS(u->size), sizeof(*u->scratch));
	if (!u->subjects || !u->scratch)
		return ERR_NOMEM;
	rc = group_by(u, name_of, &u->names);
	if (rc == 0)
		*out = u;
	return rc;
}

void universe_heed(struct universe *u, const atomic_bool *canceled)
{
	u->canceled = canceled;
}

size_t universe_size(const struct universe *u)
{
	return u->size;
}

size_t universe_names(const struct universe *u)
{
	return u->names.n;
}

const char *universe_name(const struct universe *u, size_t i)
{
	return u->names.items[i].value;
}
