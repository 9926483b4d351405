/* record: readings on request, a few at a time, each awaited until it is in the store. */
#include <string.h>

#include "agent/report.h"
#include "agent/requests.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define READS_AT_ONCE 8

struct recording;

struct record_item {
	struct recording *recording;
	char *prefix;
};

struct recording {
	struct engine *e;
	struct local_call *call;
	struct record_item *items;
	size_t n;
	size_t cap;
	size_t at; /* asked for so far */
	size_t done;
	size_t under_way;
	int rc;	      /* the first failure... */
	char *failed; /* ...and what that was; NULL: no memory, or all is fine */
	uint32_t uid;
	bool can_report; /* the asker reads for itself what the agent may not */
	bool starting;
	bool lost; /* the reader went before anything was told: the asker's command begins again */
};

/* The asker's command tries again for a while: nothing was told yet. */
static const char still_looking[] =
	"the agent has only just started to look for environments; try again";

static const char *why_not(int rc)
{
	switch (rc) {
	case ERR_BUSY:
		return "it is being changed, or a run that was killed left held copies (then it "
		       "counts as it is after ten minutes)";
	case ERR_NOTFOUND:
		return "there is no environment there";
	case ERR_PERM:
		return "not permitted: the agent may not read it";
	case ERR_CANCELED:
		return "the agent's reader is not running; try again";
	default:
		return err_text(rc);
	}
}

static void recording_end(struct recording *r)
{
	struct local_call *call = r->call;
	struct buf text;

	buf_init(&text, LIMIT_TEXT);
	if (r->n > 1 && r->failed != NULL)
		buf_addf(&text, "not all recorded; %s: ", r->failed);
	if (buf_rc(&text) < 0)
		buf_clear(&text); /* a long path: only why, then */
	buf_adds(&text, why_not(r->rc));
	if (r->rc < 0)
		local_call_fail(call, r->rc, buf_rc(&text) < 0 ? why_not(r->rc) : buf_cstr(&text));
	else
		local_call_end(call, NULL);
	buf_deinit(&text);
	for (size_t i = 0; i < r->n; i++)
		mem_free(r->items[i].prefix);
	mem_free(r->failed);
	mem_free(r->items);
	mem_free(r);
}

/* ended: what has just been dealt with, NULL none. */
static void recording_progress(struct recording *r, const char *ended, int rc)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__RecordProgress progress = ENVWARDEN__LOCAL__RECORD_PROGRESS__INIT;

	progress.done = r->done;
	progress.total = r->n;
	progress.prefix = wire_text(r->done < r->n ? r->items[r->done].prefix : "");
	progress.ended = wire_text(ended != NULL ? ended : "");
	progress.failed = wire_text(rc < 0 ? why_not(rc) : "");
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD_PROGRESS;
	answer.record_progress = &progress;
	(void)local_call_send(r->call, &answer); /* one that does not fit is not missed */
}

/* True: the asker is to read it, and knows. */
static bool ask_for_report(struct recording *r, const char *prefix)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ReportWanted wanted = ENVWARDEN__LOCAL__REPORT_WANTED__INIT;
	const struct env *env = envs_by_path(&r->e->envs, prefix);
	const unsigned char *stamp = NULL;
	size_t n = 0;

	if (!r->can_report || !report_welcome(r->e, r->uid, env, prefix))
		return false;
	if (env != NULL)
		stamp = report_stamp(env->stamp, env->stamp_n, &n);
	wanted.prefix = wire_text(prefix);
	wanted.stamp = wire_bytes(stamp, n);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_ASKED;
	answer.report_asked = &wanted;
	return local_call_send(r->call, &answer) == 0;
}

static void recording_go_on(struct recording *r);

static void recorded(void *ctx, int rc)
{
	const struct record_item *item = ctx;
	struct recording *r = item->recording;

	bool theirs;

	r->lost = r->lost || (rc == ERR_CANCELED && r->done == 0);
	if (r->lost) {
		r->rc = ERR_CANCELED;
		r->at = r->n;
		r->under_way--;
		if (!r->starting)
			recording_go_on(r);
		return;
	}
	theirs = rc == ERR_PERM && ask_for_report(r, item->prefix);
	if (theirs)
		rc = 0;
	r->under_way--;
	r->done++;
	/* One of many that has vanished meanwhile is recorded as deleted. */
	if (rc == ERR_NOTFOUND && r->n > 1)
		rc = 0;
	if (rc < 0 && r->rc == 0) {
		r->rc = rc;
		r->failed = mem_strdup(item->prefix);
	}
	recording_progress(r, theirs ? NULL : item->prefix, rc);
	if (!r->starting)
		recording_go_on(r);
}

static void recording_go_on(struct recording *r)
{
	r->starting = true;
	while (r->at < r->n && r->under_way < READS_AT_ONCE) {
		struct record_item *item = &r->items[r->at++];

		r->under_way++;
		if (facts_read(r->e, item->prefix, recorded, item) == 0)
			recorded(item, ERR_CANCELED);
	}
	r->starting = false;
	if (r->under_way == 0)
		recording_end(r);
}

static void recording_add(struct recording *r, const char *prefix)
{
	struct record_item *item = &r->items[r->n];

	if (r->n == r->cap || (item->prefix = mem_strdup(prefix)) == NULL)
		return;
	item->recording = r;
	r->n++;
}

static void record_each(void *ctx, struct env *env)
{
	struct recording *r = ctx;

	if (env->lives && engine_may_see(r->e, r->uid, env) &&
	    !report_excluded(r->e, env->prefix)) /* since it became known */
		recording_add(r, env->prefix);
}

static struct recording *recording_new(struct engine *e, struct local_call *call, size_t cap,
				       bool can_report)
{
	struct recording *r = mem_calloc(1, sizeof *r);

	if (r == NULL || (r->items = mem_calloc(cap + 1, sizeof *r->items)) == NULL) {
		mem_free(r);
		return NULL;
	}
	r->e = e;
	r->call = call;
	r->cap = cap;
	r->can_report = can_report;
	r->uid = local_call_uid(call);
	return r;
}

static void record_one(struct engine *e, struct local_call *call,
		       const struct lookup_result *result, bool can_report)
{
	struct recording *r;

	if (result->rc == ERR_NOTFOUND && !e->scan_stored) {
		local_call_fail(call, ERR_CANCELED, still_looking);
		return;
	}
	if (result->rc < 0 || result->several != NULL) {
		request_no_environment(call, result);
		return;
	}
	if (result->env != NULL && !engine_may_see(e, local_call_uid(call), result->env)) {
		request_not_permitted(call);
		return;
	}
	if (report_excluded(e, result->prefix)) {
		local_call_fail(call, ERR_PERM, REPORT_EXCLUDED);
		return;
	}
	r = recording_new(e, call, 1, can_report);
	if (r == NULL) {
		request_nomem(call);
		return;
	}
	recording_add(r, result->prefix);
	recording_go_on(r);
}

static void record_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;

	record_one(local_call_data(call), call, result, false);
}

static void record_found_by_reporter(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;

	record_one(local_call_data(call), call, result, true);
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
	if (e->link == NULL && e->store_trouble[0] != '\0') {
		local_call_fail(call, ERR_FULL, e->store_trouble);
		return;
	}
	if (e->link == NULL || (m->all && !e->scan_stored)) {
		local_call_fail(call, ERR_CANCELED, still_looking);
		return;
	}
	if (!m->all) {
		local_call_set_data(call, e);
		lookups_begin(e, local_call_uid(call), m->target,
			      m->can_report ? record_found_by_reporter : record_found, call);
		return;
	}
	r = recording_new(e, call, e->envs.living, m->can_report);
	if (r == NULL) {
		request_nomem(call);
		return;
	}
	envs_each(&e->envs, record_each, r);
	recording_go_on(r);
}
