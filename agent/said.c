#include "agent/said.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "proto/limits.h"

#define SERIAL_SIZE 4

static int cmp_status(const void *a, const void *b)
{
	return uuid_cmp(&((const struct status_entry *)a)->environment,
			&((const struct status_entry *)b)->environment);
}

static int copy_specs(const Envwarden__Bundle__EnvironmentStatus *wire, struct arena *arena,
		      struct status_entry *out)
{
	const char **specs = arena_calloc(arena, wire->n_fixed_specs + 1, sizeof *specs);

	for (size_t i = 0; specs != NULL && i < wire->n_fixed_specs; i++) {
		specs[i] = arena_strdup(arena, wire->fixed_specs[i]);
		if (specs[i] == NULL)
			return ERR_NOMEM;
	}
	out->fixed_specs = specs;
	out->n_fixed_specs = wire->n_fixed_specs;
	return specs != NULL ? 0 : ERR_NOMEM;
}

static int copy_statuses(const Envwarden__Bundle__Status *status, struct said *said)
{
	struct status_entry *all = arena_calloc(&said->arena, status->n_statuses + 1, sizeof *all);

	for (size_t i = 0; all != NULL && i < status->n_statuses; i++) {
		const Envwarden__Bundle__EnvironmentStatus *wire = status->statuses[i];
		int rc = action_from_wire(wire->action, &all[i].action, NULL);

		uuid_from_wire(&wire->environment, &all[i].environment);
		all[i].message = arena_strdup(&said->arena, wire->message);
		all[i].until_ms = wire->until_ms;
		all[i].until_fixed = wire->until_fixed;
		if (rc == 0)
			rc = copy_specs(wire, &said->arena, &all[i]);
		if (rc < 0 || all[i].message == NULL)
			return rc < 0 ? rc : ERR_NOMEM;
	}
	if (all == NULL)
		return ERR_NOMEM;
	if (status->n_statuses > 1)
		qsort(all, status->n_statuses, sizeof *all, cmp_status);
	said->statuses = all;
	said->n_statuses = status->n_statuses;
	return 0;
}

static bool own(struct arena *arena, const char **text)
{
	*text = arena_strdup(arena, *text);
	return *text != NULL;
}

/* Their texts are the message's, which goes. */
static int copy_exceptions(const Envwarden__Bundle__Status *status, struct said *said,
			   struct err *err)
{
	struct arena *arena = &said->arena;
	struct exception *all;
	int rc = exceptions_from_wire(status->exceptions, status->n_exceptions, arena,
				      &said->exceptions, err);

	if (rc < 0 || status->n_exceptions == 0)
		return rc;
	all = arena_dup(arena, said->exceptions, status->n_exceptions * sizeof *all);
	for (size_t i = 0; all != NULL && i < status->n_exceptions; i++) {
		struct exception *x = &all[i];

		if (!own(arena, &x->id) || !own(arena, &x->rule) || !own(arena, &x->env_path) ||
		    !own(arena, &x->env_name) || !own(arena, &x->user) ||
		    !own(arena, &x->package) || !own(arena, &x->owner) || !own(arena, &x->ticket) ||
		    !own(arena, &x->reason))
			return ERR_NOMEM;
	}
	said->exceptions = all;
	said->n_exceptions = status->n_exceptions;
	return all != NULL ? 0 : ERR_NOMEM;
}

static int copy_labels(const Envwarden__Bundle__Status *status, struct said *said)
{
	const char **all = arena_calloc(&said->arena, status->n_labels + 1, sizeof *all);

	for (size_t i = 0; all != NULL && i < status->n_labels; i++) {
		all[i] = status->labels[i];
		if (!own(&said->arena, &all[i]))
			return ERR_NOMEM;
	}
	said->labels = (struct texts_list){.items = all, .n = status->n_labels};
	return all != NULL ? 0 : ERR_NOMEM;
}

static int cmp_request(const void *a, const void *b)
{
	return uuid_cmp(&((const struct said_request *)a)->id,
			&((const struct said_request *)b)->id);
}

static int copy_requests(const Envwarden__Bundle__Status *status, struct said *said)
{
	struct said_request *all = arena_calloc(&said->arena, status->n_requests + 1, sizeof *all);

	for (size_t i = 0; all != NULL && i < status->n_requests; i++) {
		uuid_from_wire(&status->requests[i]->id, &all[i].id);
		all[i].state = status->requests[i]->state;
		all[i].until_ms = status->requests[i]->until_ms;
		all[i].message = status->requests[i]->message;
		all[i].exception = status->requests[i]->exception;
		if (!own(&said->arena, &all[i].message) || !own(&said->arena, &all[i].exception))
			return ERR_NOMEM;
	}
	if (all == NULL)
		return ERR_NOMEM;
	if (status->n_requests > 1)
		qsort(all, status->n_requests, sizeof *all, cmp_request);
	said->requests = all;
	said->n_requests = status->n_requests;
	return 0;
}

static int copy_unlocking(const Envwarden__Bundle__Status *status, struct said *said)
{
	said->has_unlock_key = status->unlock_key.len == UNLOCK_KEY_SIZE;
	if (said->has_unlock_key)
		memcpy(said->unlock_key, status->unlock_key.data, UNLOCK_KEY_SIZE);
	said->n_revoked = status->revoked_unlocks.len / SERIAL_SIZE;
	if (said->n_revoked == 0)
		return 0;
	said->revoked = arena_dup(&said->arena, status->revoked_unlocks.data,
				  said->n_revoked * SERIAL_SIZE);
	return said->revoked != NULL ? 0 : ERR_NOMEM;
}

int said_read(const Envwarden__Bundle__Status *status, struct said **out, struct err *err)
{
	struct said *said = mem_calloc(1, sizeof *said);
	int rc;

	if (said == NULL)
		return err_nomem(err);
	said->refs = 1;
	said->logging = status->logging;
	arena_init(&said->arena, LIMIT_BUNDLE_MEMORY);
	rc = copy_statuses(status, said);
	if (rc == 0)
		rc = copy_exceptions(status, said, err);
	if (rc == 0)
		rc = copy_labels(status, said);
	if (rc == 0)
		rc = copy_requests(status, said);
	if (rc == 0)
		rc = copy_unlocking(status, said);
	said->contact = arena_strdup(&said->arena, status->contact);
	if (rc == 0 && said->contact == NULL)
		rc = ERR_NOMEM;
	if (agent_down_parse(status->when_agent_down, &said->when_agent_down) < 0)
		said->when_agent_down = AGENT_DOWN_LAST_DECISION;
	if (rc < 0) {
		said_drop(said);
		return err_set(err, rc, "status bundle: %s", err_text(rc));
	}
	*out = said;
	return 0;
}

struct said *said_hold(struct said *said)
{
	if (said != NULL)
		said->refs++;
	return said;
}

void said_drop(struct said *said)
{
	if (said == NULL || --said->refs > 0)
		return;
	crypto_wipe(said->unlock_key, sizeof said->unlock_key);
	arena_deinit(&said->arena);
	mem_free(said);
}

const struct status_entry *said_status(const struct said *said, const struct uuid *environment)
{
	struct status_entry key = {.environment = *environment};

	if (said == NULL || said->n_statuses == 0)
		return NULL;
	return bsearch(&key, said->statuses, said->n_statuses, sizeof key, cmp_status);
}

const struct said_request *said_request(const struct said *said, const struct uuid *id)
{
	struct said_request key = {.id = *id};

	if (said == NULL || said->n_requests == 0)
		return NULL;
	return bsearch(&key, said->requests, said->n_requests, sizeof key, cmp_request);
}

bool said_revoked(const struct said *said, uint32_t serial)
{
	struct rd rd;

	rd_init(&rd, said->revoked, said->n_revoked * SERIAL_SIZE);
	for (size_t i = 0; i < said->n_revoked; i++)
		if (rd_u32(&rd) == serial)
			return true;
	return false;
}
