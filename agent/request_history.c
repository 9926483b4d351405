/* history: the journal, page by page, and what comes after for those who follow. */
#include <string.h>

#include "agent/requests.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define PAGE_CHANGES 64 /* read from the journal at a time for one asker */
#define PAGE_BYTES (1u << 20)

struct kept {
	struct change change;
	size_t added_at; /* how many of its packages were sent already */
	size_t removed_at;
};

struct follower {
	struct follower *next;
	struct history *history;
};

struct history {
	struct stream stream;
	struct job job;
	struct store_history_query query;
	struct uuid id;
	struct uuid after; /* epoch to begin in, whose number is yet to be found; zeroes: found */
	bool one;	   /* of one environment */
	bool follow;
	bool can_prove;
	bool all_told; /* the last page was the last one there is */
	bool waiting;  /* follows, and has nothing to tell */
	bool closed;   /* the asker went away meanwhile */
	uint32_t uid;
	struct arena page_arena;
	struct kept page[PAGE_CHANGES];
	size_t n;
	size_t at;
	size_t bytes;
	struct follower follower;
};

static void history_read(struct history *h);

static void page_clear(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		change_deinit(&h->page[i].change);
	h->n = 0;
	h->at = 0;
	h->bytes = 0;
	arena_reset(&h->page_arena);
}

static int page_take(void *ctx, const struct store_change *stored)
{
	struct history *h = ctx;
	struct kept *kept = &h->page[h->n];
	int rc;

	if (h->n == PAGE_CHANGES || h->bytes > PAGE_BYTES)
		return 1;
	h->n++; /* first: page_clear frees what a failed copy has got */
	rc = change_copy(&h->page_arena, &stored->change, &kept->change);
	kept->added_at = 0;
	kept->removed_at = 0;
	h->bytes = h->page_arena.used;
	h->query.after_epoch_no = stored->epoch_no;
	h->query.after_seq = stored->change.seq;
	return rc;
}

/* The number of the epoch to begin in. One of another store: everything is new to the asker. */
static int find_beginning(struct history *h, struct err *err)
{
	int rc;

	if (uuid_is_zero(&h->after))
		return 0;
	rc = store_epoch_no(h->stream.e->store, &h->after, &h->query.after_epoch_no, err);
	if (rc == ERR_NOTFOUND)
		h->query.after_seq = 0;
	else if (rc < 0)
		return rc;
	h->after = (struct uuid){{0}};
	return 0;
}

static void page_run(struct job *job)
{
	struct history *h = container_of(job, struct history, job);

	h->query.environment = h->one ? &h->id : NULL;
	job->rc = find_beginning(h, &job->err);
	if (job->rc < 0)
		return;
	job->rc = store_history(job->e->store, &h->query, page_take, h, &job->err);
	h->all_told = job->rc == 0;
	if (job->rc > 0)
		job->rc = 0;
}

static void page_done(struct job *job)
{
	struct history *h = container_of(job, struct history, job);

	if (h->closed)
		stream_end(&h->stream, ERR_CLOSED);
	else if (job->rc < 0)
		stream_end(&h->stream, job->rc);
	else
		stream_go_on(h->stream.call);
}

static bool change_visible(struct history *h, const struct change *c)
{
	struct engine *e = h->stream.e;
	struct env *env = envs_by_id(&e->envs, &c->environment);

	return h->one || engine_may_see(e, h->uid, env) || c->owner.uid == (int64_t)h->uid;
}

/* Sends one frame of a change: everything, or as many of its packages as fit. */
static int send_piece(struct history *h, struct kept *kept)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ChangeItem item = ENVWARDEN__LOCAL__CHANGE_ITEM__INIT;
	Envwarden__Change *wire;
	size_t added;
	size_t removed;
	int rc;

	if (change_to_wire(&kept->change, &h->stream.arena, &wire) < 0)
		return ERR_NOMEM;
	wire->added += kept->added_at;
	wire->n_added -= kept->added_at;
	wire->removed += kept->removed_at;
	wire->n_removed -= kept->removed_at;
	added = request_fit(wire->added, wire->n_added, LIMIT_LOCAL_CHUNK / 2);
	removed = request_fit(wire->removed, wire->n_removed, LIMIT_LOCAL_CHUNK / 2);
	item.more = added < wire->n_added || removed < wire->n_removed;
	wire->n_added = added;
	wire->n_removed = removed;
	item.change = wire;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHANGE;
	answer.change = &item;
	rc = local_call_send(h->stream.call, &answer);
	if (rc < 0)
		return rc;
	kept->added_at += added;
	kept->removed_at += removed;
	return item.more ? 1 : 0;
}

static int history_next(struct stream *stream)
{
	struct history *h = container_of(stream, struct history, stream);

	if (h->at < h->n) {
		struct kept *kept = &h->page[h->at];
		int rc = 0;

		arena_reset(&stream->arena);
		if (change_visible(h, &kept->change))
			rc = send_piece(h, kept);
		if (rc == 0)
			h->at++;
		return rc < 0 ? rc : 1;
	}
	page_clear(h);
	if (!h->all_told) {
		history_read(h);
		return ERR_BUSY;
	}
	if (!h->follow || h->closed)
		return 0;
	h->waiting = true;
	return ERR_BUSY;
}

static void history_read(struct history *h)
{
	h->waiting = false;
	h->job.run = page_run;
	h->job.done = page_done;
	engine_submit(h->stream.e, &h->job);
}

static void history_release(struct stream *stream)
{
	struct history *h = container_of(stream, struct history, stream);
	struct follower **p;

	for (p = &stream->e->followers; *p != NULL; p = &(*p)->next)
		if (*p == &h->follower) {
			*p = h->follower.next;
			break;
		}
	page_clear(h);
	arena_deinit(&h->page_arena);
	mem_free(h);
}

static void history_closed(struct local_call *call)
{
	struct history *h = container_of(local_call_data(call), struct history, stream);

	if (h->waiting)
		stream_end(&h->stream, ERR_CLOSED);
	else
		h->closed = true; /* its job, or the failing send, ends it */
}

void requests_journal_grew(struct engine *e)
{
	struct follower *next;

	for (struct follower *f = e->followers; f != NULL; f = next) {
		next = f->next;
		if (f->history->waiting)
			history_read(f->history);
	}
}

static void history_begin(struct engine *e, struct local_call *call, const struct env *env)
{
	struct history *h = local_call_data(call);

	if (env != NULL) {
		h->id = env->id;
		h->one = true; /* it was looked whether the asker may know of it */
	}
	h->stream.next = history_next;
	h->stream.release = history_release;
	stream_init(&h->stream, e, call);
	if (h->follow) {
		h->follower.history = h;
		h->follower.next = e->followers;
		e->followers = &h->follower;
	}
	local_call_on_closed(call, history_closed);
	history_read(h);
}

static void history_refuse(struct history *h)
{
	arena_deinit(&h->page_arena);
	mem_free(h);
}

static void history_permitted(struct local_call *call, struct env *env)
{
	struct history *h = local_call_data(call);

	if (env != NULL) {
		history_begin(h->stream.e, call, env);
		return;
	}
	history_refuse(h);
	request_not_permitted(call);
}

static void history_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct history *h = local_call_data(call);

	/* A deleted environment answers by its last path. */
	if (request_found(result) == NULL) {
		history_refuse(h);
		request_no_environment(call, result);
		return;
	}
	request_access(h->stream.e, call, result->env, h->can_prove, history_permitted);
}

void request_history(void *ctx, struct local_call *call, const Envwarden__Local__HistoryRequest *m)
{
	struct engine *e = ctx;
	struct history *h = mem_calloc(1, sizeof *h);

	if (h == NULL) {
		request_nomem(call);
		return;
	}
	h->stream.e = e;
	h->uid = local_call_uid(call);
	h->follow = m->follow;
	h->can_prove = m->can_prove;
	h->query.since_ms = m->since_ms;
	uuid_from_wire(&m->after_epoch, &h->after);
	h->query.after_seq = uuid_is_zero(&h->after) ? 0 : m->after_seq;
	arena_init(&h->page_arena, STREAM_MEMORY_MAX);
	local_call_set_data(call, h);
	if (m->target == NULL || m->target->typed[0] == '\0')
		history_begin(e, call, NULL);
	else
		lookups_begin(e, h->uid, m->target, history_found, call);
}

void requests_stop(struct engine *e)
{
	struct follower *next;

	for (struct follower *f = e->followers; f != NULL; f = next) {
		next = f->next;
		if (f->history->waiting)
			stream_end(&f->history->stream, 0);
		else
			f->history->follow = false;
	}
}
