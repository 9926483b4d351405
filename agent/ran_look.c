/*
 * Which environments the reader is to look for running programs in, between sweeps: those that are
 * blocked now. Told again whenever that is another list.
 */
#include <string.h>

#include "agent/engine.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

struct listing {
	struct sha256 hash; /* of what is listed */
	Envwarden__Reader__BlockedEnvironment *items;
	size_t n;
	size_t cap;
};

static void list(void *ctx, struct env *env)
{
	struct listing *l = ctx;
	int64_t since_ms = env->ruling.blocked_ms + RAN_STARTED_SLACK_MS;

	if (!env->lives || env->ruling.blocked_ms == 0)
		return;
	sha256_update(&l->hash, env->prefix, strlen(env->prefix) + 1);
	sha256_update(&l->hash, &since_ms, sizeof since_ms);
	if (l->n == l->cap)
		return;
	envwarden__reader__blocked_environment__init(&l->items[l->n]);
	l->items[l->n].prefix = wire_text(env->prefix);
	l->items[l->n].since_ms = since_ms;
	l->n++;
}

static bool told(struct engine *e, const struct listing *l)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Blocked blocked = ENVWARDEN__READER__BLOCKED__INIT;
	Envwarden__Reader__BlockedEnvironment *part[LIMIT_CANDIDATES];
	size_t at = 0;

	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_BLOCKED;
	envelope.blocked = &blocked;
	blocked.environments = part;
	do {
		blocked.n_environments = 0;
		while (at < l->n && blocked.n_environments < LIMIT_CANDIDATES)
			part[blocked.n_environments++] = &l->items[at++];
		blocked.more = at < l->n;
		if (link_send(e->link, &envelope) < 0)
			return false;
	} while (blocked.more);
	return true;
}

void ran_look(struct engine *e)
{
	struct listing l = {.cap = RAN_LOOK_MAX};
	unsigned char digest[SHA256_SIZE];

	if (e->link == NULL || !engine_logging(e) || !e->config.running || !use_kept(e))
		return;
	l.items = mem_calloc(RAN_LOOK_MAX, sizeof *l.items);
	if (l.items == NULL)
		return; /* the next time; sweeps see it meanwhile */
	sha256_init(&l.hash);
	envs_each(&e->envs, list, &l);
	sha256_final(&l.hash, digest);
	if (memcmp(digest, e->ran_looked, sizeof digest) != 0) {
		if (told(e, &l))
			memcpy(e->ran_looked, digest, sizeof digest);
		else
			link_stop(e->link);
	}
	mem_free(l.items);
}

void ran_look_anew(struct engine *e)
{
	struct sha256 nothing;

	sha256_init(&nothing);
	sha256_final(&nothing, e->ran_looked); /* as every reader begins */
	ran_look(e);
}
