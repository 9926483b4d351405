/*
 * Members' requests for exceptions. Each is a setting of the store of its own, durable before the
 * member hears that it is asked. It is sent until the status bundle tells of it, which is how the
 * server confirms it and how its answer comes; a server that was restored and tells of it no more
 * gets it again. Its id is the member's machine's own, so that sending it twice is harmless.
 */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/convert.h"

#define DAY_CHARS 10 /* of a time's text: its day */
#define KEY_MAX (sizeof ENGINE_KEY_ASKED + UUID_TEXT_MAX)

static void key_of(const struct uuid *id, char out[KEY_MAX])
{
	char text[UUID_TEXT_MAX];

	uuid_format(id, text);
	(void)snprintf(out, KEY_MAX, ENGINE_KEY_ASKED "%s", text);
}

static size_t index_of(const struct engine *e, const struct uuid *id)
{
	size_t at = 0;

	while (at < e->asked.n && uuid_cmp(&e->asked.items[at]->id, id) != 0)
		at++;
	return at;
}

/* --- kept --------------------------------------------------------------------------------- */

struct asking_job {
	struct job job;
	struct asked *asked; /* a copy */
	struct buf bytes;
	bool replaces; /* this one goes for it */
	struct uuid replaced;
	asking_cb done; /* NULL: an answer is kept, nobody waits */
	void *ctx;
};

static void job_free(struct asking_job *a)
{
	if (a == NULL)
		return;
	asked_free(a->asked);
	buf_deinit(&a->bytes);
	mem_free(a);
}

static void asking_run(struct job *job)
{
	struct asking_job *a = container_of(job, struct asking_job, job);
	char key[KEY_MAX];

	key_of(&a->asked->id, key);
	job->rc = store_kv_put(job->e->store, key, a->bytes.data, a->bytes.len, &job->err);
	if (job->rc < 0 || !a->replaces)
		return;
	/* If this fails there is one more than there should be, for the next start to see. */
	key_of(&a->replaced, key);
	(void)store_kv_delete(job->e->store, key, NULL);
}

static struct asking_job *job_new(const struct asked *asked)
{
	struct asking_job *a = mem_calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	buf_init(&a->bytes, ASKED_BYTES_MAX);
	if (asked_new(asked, &a->asked) == 0)
		asked_encode(a->asked, &a->bytes);
	if (a->asked == NULL || buf_rc(&a->bytes) < 0) {
		job_free(a);
		return NULL;
	}
	a->job.run = asking_run;
	return a;
}

/* --- sent --------------------------------------------------------------------------------- */

static bool send_one(struct engine *e, const struct asked *asked)
{
	Envwarden__Sync__ExceptionRequest message = ENVWARDEN__SYNC__EXCEPTION_REQUEST__INIT;

	message.id = wire_uuid(&asked->id);
	message.environment = wire_uuid(&asked->environment);
	message.user = asked->user;
	message.reason = asked->reason;
	message.case_code = (char *)(uintptr_t)asked->case_code;
	message.made_ms = asked->made_ms;
	return sync_exception_request(syncing_client(e), &message);
}

/* The server is to know of the environment first; nothing leaves while logging is off. */
void asking_go(struct engine *e)
{
	if (e->asked.n == 0 || syncing_client(e) == NULL || !syncing_connected(e) ||
	    !state_logging(e) || e->journal.acked != e->journal.head)
		return;
	for (size_t i = 0; i < e->asked.n; i++) {
		struct asked *a = e->asked.items[i];

		if (a->state != ASKED_OPEN || a->heard || a->sent)
			continue;
		a->sent = send_one(e, a);
		if (!a->sent)
			return; /* no room: what is confirmed makes some */
	}
}

void asking_lost(struct engine *e)
{
	for (size_t i = 0; i < e->asked.n; i++)
		e->asked.items[i]->sent = false;
}

/* --- answered ----------------------------------------------------------------------------- */

static void answer_kept(struct job *job)
{
	struct asking_job *a = container_of(job, struct asking_job, job);
	size_t at = index_of(job->e, &a->asked->id);

	/* What could not be written is said by the next bundles too, and at the next start. */
	if (job->rc < 0)
		log_warn("request", "answer not kept", LOG_ERR(&job->err));
	if (job->rc < 0 && at < job->e->asked.n)
		job->e->asked.items[at]->unkept = true;
	job_free(a);
}

static void keep_answer(struct engine *e, struct asked *asked)
{
	struct asking_job *a = job_new(asked);

	if (a == NULL)
		return;
	asked->unkept = false;
	a->job.done = answer_kept;
	engine_submit(e, &a->job);
}

static void hear(struct engine *e, bool keep)
{
	const struct said *said = state_said(e);

	for (size_t i = 0; said != NULL && i < e->asked.n; i++) {
		struct asked *a = e->asked.items[i];

		if (asked_hear(a, said_request(said, &a->id)))
			log_info("request", "told of", LOG_INT("state", (int64_t)a->state),
				 LOG_STR("case", a->case_code));
		a->sent = a->sent && a->heard;
		if (a->unkept && keep)
			keep_answer(e, a);
	}
}

void asking_hear(struct engine *e)
{
	hear(e, true);
	asking_go(e);
}

/* --- asked -------------------------------------------------------------------------------- */

static void asking_done(struct job *job)
{
	struct asking_job *a = container_of(job, struct asking_job, job);
	struct engine *e = job->e;

	e->asking = false;
	if (job->rc == 0) {
		size_t at = a->replaces ? index_of(e, &a->replaced) : e->asked.n;

		if (at < e->asked.n)
			asked_list_remove(&e->asked, at);
		job->rc = asked_list_add(&e->asked, a->asked);
	} else {
		log_error("request", "not kept", LOG_ERR(&job->err));
	}
	if (job->rc == 0) {
		a->asked = NULL;
		if (!e->stopping)
			asking_go(e);
	}
	a->done(a->ctx, job->rc);
	job_free(a);
}

int asking_ask(struct engine *e, const struct asked *asked, asking_cb done, void *ctx)
{
	struct asking_job *a;
	size_t at;

	if (e->asking)
		return ERR_BUSY;
	if (asked_list_room(&e->asked, asked->uid, &at) < 0)
		return ERR_LIMIT;
	/* What is in the store must find its place in the list, too. */
	if (asked_list_reserve(&e->asked) < 0)
		return ERR_NOMEM;
	a = job_new(asked);
	if (a == NULL)
		return ERR_NOMEM;
	a->replaces = at < e->asked.n;
	if (a->replaces)
		a->replaced = e->asked.items[at]->id;
	a->done = done;
	a->ctx = ctx;
	a->job.done = asking_done;
	e->asking = true;
	engine_submit(e, &a->job);
	return 0;
}

/* --- said with decisions ------------------------------------------------------------------ */

/* One that holds says nothing: then something else must hold the environment back. */
static const char *notice_on(const struct asked *asked, int64_t now_ms, struct arena *arena)
{
	bool granted = asked->state == ASKED_APPROVED;
	char day[CLOCK_TEXT_MAX], text[LIMIT_TEXT];
	const char *notice;

	if (granted && asked_holds(asked, now_ms))
		return "";
	clock_format(granted ? asked->until_ms : asked->made_ms, day);
	day[DAY_CHARS] = '\0';
	(void)snprintf(text, sizeof text, "%s on %s%s",
		       granted			      ? "The exception that was granted ended"
		       : asked->state == ASKED_DENIED ? "The exception asked for"
						      : "An exception was asked for",
		       day,
		       granted			      ? "."
		       : asked->state == ASKED_DENIED ? " was denied."
						      : "; there is no answer yet.");
	notice = arena_strdup(arena, text);
	return notice != NULL ? notice : "";
}

const char *asking_notice(const struct engine *e, const struct env *env, uint32_t uid,
			  struct arena *arena)
{
	const struct kept_decision *kept = env->ruling.kept;

	if (kept == NULL || kept->action == ACTION_ALLOW)
		return "";
	for (size_t i = e->asked.n; i-- > 0;) {
		const struct asked *a = e->asked.items[i];

		if (a->uid == uid && uuid_cmp(&a->environment, &env->id) == 0 &&
		    strcmp(a->case_code, kept->case_code) == 0)
			return notice_on(a, engine_trusted(e), arena);
	}
	return "";
}

/* --- life --------------------------------------------------------------------------------- */

static int load_one(void *ctx, const char *key, size_t key_n, const void *data, size_t n)
{
	struct engine *e = ctx;
	struct asked *asked;
	int rc = asked_decode(data, n, &asked);

	(void)key;
	(void)key_n;
	if (rc == 0 && e->asked.n < ASKED_MAX)
		rc = asked_list_add(&e->asked, asked);
	else if (rc == 0)
		rc = ERR_LIMIT;
	else
		return rc == ERR_NOMEM ? rc : 0; /* of a newer version: left alone */
	if (rc < 0)
		asked_free(asked);
	return rc == ERR_LIMIT ? 0 : rc;
}

void asking_start(struct engine *e)
{
	struct err err = ERR_INIT;

	if (store_kv_each(e->store, ENGINE_KEY_ASKED, load_one, e, &err) < 0)
		log_warn("request", "not all were read", LOG_ERR(&err));
	hear(e, false);
}

void asking_free(struct engine *e)
{
	asked_list_deinit(&e->asked);
}
