/* record: readings on request, a few at a time, each awaited until it is in the store. */
#include <string.h>

#include "agent/requests.h"
#include "lib/base/mem.h"

#define READS_AT_ONCE 8

struct recording {
	struct engine *e;
	struct local_call *call;
	char **prefixes;
	size_t n;
	size_t cap;
	size_t at; /* asked for so far */
	size_t done;
	size_t under_way;
	int rc; /* the first failure */
	uint32_t uid;
	bool starting;
};

static void recording_end(struct recording *r)
{
	struct local_call *call = r->call;
	int rc = r->rc;

	for (size_t i = 0; i < r->n; i++)
		mem_free(r->prefixes[i]);
	mem_free(r->prefixes);
	mem_free(r);
	if (rc == ERR_NOTFOUND)
		local_call_fail(call, rc, "there is no environment there");
	else if (rc == ERR_UNREACHABLE)
		local_call_fail(call, rc, "the agent's reader is not running; try again");
	else if (rc < 0)
		local_call_fail(call, rc, err_text(rc));
	else
		local_call_end(call, NULL);
}

static void recording_progress(struct recording *r)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__RecordProgress progress = ENVWARDEN__LOCAL__RECORD_PROGRESS__INIT;

	progress.done = r->done;
	progress.total = r->n;
	progress.prefix = wire_text(r->done < r->n ? r->prefixes[r->done] : "");
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD_PROGRESS;
	answer.record_progress = &progress;
	(void)local_call_send(r->call, &answer); /* one that does not fit is not missed */
}

static void recording_go_on(struct recording *r);

static void recorded(void *ctx, int rc)
{
	struct recording *r = ctx;

	r->under_way--;
	r->done++;
	/* One of many that has vanished meanwhile is recorded as deleted. */
	if (rc < 0 && r->rc == 0 && (rc != ERR_NOTFOUND || r->n == 1))
		r->rc = rc;
	recording_progress(r);
	if (!r->starting)
		recording_go_on(r);
}

static void recording_go_on(struct recording *r)
{
	r->starting = true;
	while (r->at < r->n && r->under_way < READS_AT_ONCE && r->rc == 0) {
		r->under_way++;
		if (facts_read(r->e, r->prefixes[r->at++], recorded, r) == 0)
			recorded(r, ERR_UNREACHABLE);
	}
	r->starting = false;
	if (r->under_way == 0)
		recording_end(r);
}

static void recording_add(struct recording *r, const char *prefix)
{
	if (r->n < r->cap && (r->prefixes[r->n] = mem_strdup(prefix)) != NULL)
		r->n++;
}

static void record_each(void *ctx, struct env *env)
{
	struct recording *r = ctx;

	if (env->lives && engine_may_see(r->e, r->uid, env))
		recording_add(r, env->prefix);
}

static struct recording *recording_new(struct engine *e, struct local_call *call, size_t cap)
{
	struct recording *r = mem_calloc(1, sizeof *r);

	if (r == NULL || (r->prefixes = mem_calloc(cap + 1, sizeof *r->prefixes)) == NULL) {
		mem_free(r);
		return NULL;
	}
	r->e = e;
	r->call = call;
	r->cap = cap;
	r->uid = local_call_uid(call);
	return r;
}

static void record_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct engine *e = local_call_data(call);
	struct recording *r;

	if (result->rc < 0 ||
	    (result->env != NULL && !engine_may_see(e, local_call_uid(call), result->env))) {
		request_no_environment(call, result);
		return;
	}
	r = recording_new(e, call, 1);
	if (r == NULL) {
		request_nomem(call);
		return;
	}
	recording_add(r, result->prefix);
	recording_go_on(r);
}

void request_record(void *ctx, struct local_call *call, const Envwarden__Local__RecordRequest *m)
{
	struct engine *e = ctx;
	struct recording *r;

	if (!engine_logging(e)) {
		local_call_fail(call, ERR_CONFLICT,
				"your organisation has not switched logging on");
		return;
	}
	if (!m->all) {
		local_call_set_data(call, e);
		checks_lookup(e, local_call_uid(call), m->target, record_found, call);
		return;
	}
	r = recording_new(e, call, e->envs.living);
	if (r == NULL) {
		request_nomem(call);
		return;
	}
	envs_each(&e->envs, record_each, r);
	recording_go_on(r);
}
