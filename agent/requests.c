/* The requests of the local socket other than checks: what they may see, and the answers. */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/users.h"
#include "proto/limits.h"

#define STREAM_MEMORY_MAX (64u << 20)
#define PAGE_CHANGES 64 /* read from the journal at a time for one asker */
#define PAGE_BYTES (1u << 20)
#define READS_AT_ONCE 8

/* Facts about an environment only to its owner, and to root; one's own agent is for oneself. */
bool engine_may_see(const struct engine *e, uint32_t uid, const struct env *env)
{
	if (uid == 0 || (e->options->user && uid == users_current()))
		return true;
	return env != NULL && env->owner_uid == (int64_t)uid;
}

static void nomem(struct local_call *call)
{
	local_call_fail(call, ERR_NOMEM, "the agent is out of memory");
}

/* What is sent points into *info, so that has to live as long: in the arena. */
static int make_environment(struct engine *e, const struct env *env, struct arena *arena,
			    Envwarden__Environment **out)
{
	struct environment_info *info = arena_alloc(arena, sizeof *info);
	struct decision_reply reply;

	if (info == NULL || engine_decide(e, env, env->prefix, arena, &reply) < 0)
		return ERR_NOMEM;
	environment_info_init(info);
	info->id = env->id;
	info->prefix = env->prefix;
	info->name = env_name(env);
	info->owner.name = env->owner;
	info->owner.uid = env->owner_uid;
	info->platform = env->platform;
	info->tool = env->tool;
	info->package_count = env->package_count;
	info->status = reply.decision.action;
	info->created_ms = env->created_ms;
	info->last_change_ms = env->last_change_ms;
	info->last_used_ms = env->last_check_ms;
	return environment_to_wire(info, arena, out);
}

/* --- a stream of answers that waits for its reader --- */

struct stream {
	struct engine *e;
	struct local_call *call;
	struct arena arena; /* of what is being sent now */
	/* Sends the next answer: 1 = more to come, 0 = that was all, ERR_LIMIT = later, < 0 = over.
	 */
	int (*next)(struct stream *stream);
	void (*release)(struct stream *stream);
};

static void stream_end(struct stream *stream, int rc)
{
	struct local_call *call = stream->call;

	arena_deinit(&stream->arena);
	stream->release(stream);
	if (rc == 0 || rc == ERR_CLOSED)
		local_call_end(call, NULL);
	else
		local_call_fail(call, rc, err_text(rc));
}

static void stream_go_on(struct local_call *call)
{
	struct stream *stream = local_call_data(call);
	int rc = 1;

	while (rc > 0)
		rc = stream->next(stream);
	if (rc == ERR_LIMIT)
		local_call_on_writable(call, stream_go_on);
	else if (rc != ERR_BUSY) /* busy: a job brings more, and goes on then */
		stream_end(stream, rc);
}

static void stream_init(struct stream *stream, struct engine *e, struct local_call *call)
{
	stream->e = e;
	stream->call = call;
	arena_init(&stream->arena, STREAM_MEMORY_MAX);
	local_call_set_data(call, stream);
}

/* --- list --- */

struct list {
	struct stream stream;
	struct uuid *ids;
	size_t n;
	size_t cap;
	size_t at;
	uint32_t uid;
	bool all;
};

static void collect(void *ctx, struct env *env)
{
	struct list *list = ctx;
	struct engine *e = list->stream.e;
	bool wanted = env->lives && engine_may_see(e, list->uid, env) &&
		      (list->all || e->options->user || env->owner_uid == (int64_t)list->uid);

	if (wanted && list->n < list->cap)
		list->ids[list->n++] = env->id;
}

static int list_next(struct stream *stream)
{
	struct list *list = container_of(stream, struct list, stream);
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;
	struct env *env;
	int rc;

	if (list->at == list->n)
		return 0;
	env = envs_by_id(&stream->e->envs, &list->ids[list->at]);
	if (env != NULL && env->lives) {
		arena_reset(&stream->arena);
		if (make_environment(stream->e, env, &stream->arena, &item.environment) < 0)
			return ERR_NOMEM;
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
		answer.environment = &item;
		rc = local_call_send(stream->call, &answer);
		if (rc < 0)
			return rc;
	}
	list->at++;
	return 1;
}

static void list_release(struct stream *stream)
{
	struct list *list = container_of(stream, struct list, stream);

	mem_free(list->ids);
	mem_free(list);
}

static void on_list(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m)
{
	struct engine *e = ctx;
	struct list *list = mem_calloc(1, sizeof *list);

	if (list != NULL) {
		list->cap = e->envs.living;
		list->ids = mem_calloc(list->cap + 1, sizeof *list->ids);
	}
	if (list == NULL || list->ids == NULL) {
		mem_free(list);
		nomem(call);
		return;
	}
	list->uid = local_call_uid(call);
	list->all = m->all;
	list->stream.next = list_next;
	list->stream.release = list_release;
	stream_init(&list->stream, e, call);
	envs_each(&e->envs, collect, list);
	stream_go_on(call);
}

/* --- show --- */

struct show {
	struct stream stream;
	struct job job;
	struct uuid id;
	char *notice;
	struct arena store_arena;
	struct package_list packages;
	size_t at;
	enum {
		SHOW_HEAD,
		SHOW_PACKAGES,
		SHOW_DECISION,
		SHOW_END
	} part;
};

static int show_head(struct show *show, struct env *env)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;
	struct stream *stream = &show->stream;

	if (make_environment(stream->e, env, &stream->arena, &item.environment) < 0)
		return ERR_NOMEM;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	return local_call_send(stream->call, &answer);
}

/* How many packages from *at on fit a chunk. */
static size_t fit(Envwarden__Package *const *items, size_t n, size_t room)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		size += codec_size(&items[i]->base) + CODEC_ITEM_EXTRA;
		if (size > room && i > 0)
			break;
	}
	return i;
}

static int show_packages(struct show *show)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__PackagesItem item = ENVWARDEN__LOCAL__PACKAGES_ITEM__INIT;
	size_t left = show->packages.n - show->at;
	int rc;

	if (left > 512)
		left = 512; /* enough for one chunk; the rest need not be converted yet */
	if (packages_to_wire(show->packages.items + show->at, left, &show->stream.arena,
			     &item.packages) < 0)
		return ERR_NOMEM;
	item.n_packages = fit(item.packages, left, LIMIT_LOCAL_CHUNK);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES;
	answer.packages = &item;
	rc = local_call_send(show->stream.call, &answer);
	if (rc == 0)
		show->at += item.n_packages;
	return rc;
}

static int show_decision(struct show *show, struct env *env)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct decision_reply reply;
	struct stream *stream = &show->stream;

	if (engine_decide(stream->e, env, env->prefix, &stream->arena, &reply) < 0)
		return ERR_NOMEM;
	reply.notice = show->notice != NULL ? show->notice : "";
	if (decision_to_wire(&reply, &stream->arena, &answer.decision) < 0)
		return ERR_NOMEM;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	return local_call_send(stream->call, &answer);
}

static int show_next(struct stream *stream)
{
	struct show *show = container_of(stream, struct show, stream);
	struct env *env = envs_by_id(&stream->e->envs, &show->id);
	int rc;

	if (env == NULL)
		return ERR_NOTFOUND;
	arena_reset(&stream->arena);
	switch (show->part) {
	case SHOW_HEAD:
		rc = show_head(show, env);
		break;
	case SHOW_PACKAGES:
		if (show->at < show->packages.n) {
			rc = show_packages(show);
			return rc == 0 ? 1 : rc;
		}
		rc = 0;
		break;
	case SHOW_DECISION:
		rc = show_decision(show, env);
		break;
	default:
		return 0;
	}
	if (rc < 0)
		return rc;
	show->part++;
	return 1;
}

static void show_release(struct stream *stream)
{
	struct show *show = container_of(stream, struct show, stream);

	package_list_deinit(&show->packages);
	arena_deinit(&show->store_arena);
	mem_free(show->notice);
	mem_free(show);
}

static void show_run(struct job *job)
{
	struct show *show = container_of(job, struct show, job);

	job->rc = store_packages(job->e->store, &show->id, &show->store_arena, &show->packages,
				 &job->err);
}

static void show_done(struct job *job)
{
	struct show *show = container_of(job, struct show, job);

	if (job->rc < 0)
		stream_end(&show->stream, job->rc);
	else
		stream_go_on(show->stream.call);
}

static void no_environment(struct local_call *call, const struct lookup_result *result)
{
	local_call_fail(call, result->rc < 0 ? result->rc : ERR_NOTFOUND,
			result->error != NULL ? result->error : "no environment there is known");
}

static void show_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct engine *e = local_call_data(call);
	struct show *show;

	if (result->rc < 0 || result->env == NULL || !result->env->lives ||
	    !engine_may_see(e, local_call_uid(call), result->env)) {
		no_environment(call, result);
		return;
	}
	show = mem_calloc(1, sizeof *show);
	if (show == NULL) {
		nomem(call);
		return;
	}
	show->id = result->env->id;
	show->notice = mem_strdup(result->notice);
	arena_init(&show->store_arena, STREAM_MEMORY_MAX);
	show->stream.next = show_next;
	show->stream.release = show_release;
	stream_init(&show->stream, e, call);
	show->job.run = show_run;
	show->job.done = show_done;
	engine_submit(e, &show->job);
}

static void on_show(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m)
{
	local_call_set_data(call, ctx);
	checks_lookup(ctx, local_call_uid(call), m->target, show_found, call);
}

/* --- history --- */

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
	bool one; /* of one environment */
	bool follow;
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

static void page_run(struct job *job)
{
	struct history *h = container_of(job, struct history, job);

	h->query.environment = h->one ? &h->id : NULL;
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

	return engine_may_see(e, h->uid, env) || c->owner.uid == (int64_t)h->uid;
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
	added = fit(wire->added, wire->n_added, LIMIT_LOCAL_CHUNK / 2);
	removed = fit(wire->removed, wire->n_removed, LIMIT_LOCAL_CHUNK / 2);
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
		h->one = true;
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

static void history_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct history *h = local_call_data(call);
	struct engine *e = h->stream.e;

	/* A deleted environment answers by its last path. */
	if (result->env == NULL || !engine_may_see(e, h->uid, result->env)) {
		arena_deinit(&h->page_arena);
		mem_free(h);
		no_environment(call, result);
		return;
	}
	history_begin(e, call, result->env);
}

static void on_history(void *ctx, struct local_call *call,
		       const Envwarden__Local__HistoryRequest *m)
{
	struct engine *e = ctx;
	struct history *h = mem_calloc(1, sizeof *h);

	if (h == NULL) {
		nomem(call);
		return;
	}
	h->stream.e = e;
	h->uid = local_call_uid(call);
	h->follow = m->follow;
	h->query.since_ms = m->since_ms;
	arena_init(&h->page_arena, STREAM_MEMORY_MAX);
	local_call_set_data(call, h);
	if (m->target == NULL || m->target->typed[0] == '\0')
		history_begin(e, call, NULL);
	else
		checks_lookup(e, h->uid, m->target, history_found, call);
}

/* --- record --- */

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
		no_environment(call, result);
		return;
	}
	r = recording_new(e, call, 1);
	if (r == NULL) {
		nomem(call);
		return;
	}
	recording_add(r, result->prefix);
	recording_go_on(r);
}

static void on_record(void *ctx, struct local_call *call, const Envwarden__Local__RecordRequest *m)
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
		nomem(call);
		return;
	}
	envs_each(&e->envs, record_each, r);
	recording_go_on(r);
}

/* --- status --- */

#define DEGRADED_MAX 8

struct degraded {
	Envwarden__Local__Degraded items[DEGRADED_MAX];
	Envwarden__Local__Degraded *list[DEGRADED_MAX];
	size_t n;
};

static void degrade(struct degraded *d, const char *what, const char *why, const char *remedy)
{
	Envwarden__Local__Degraded *item = &d->items[d->n];

	if (d->n == DEGRADED_MAX)
		return;
	envwarden__local__degraded__init(item);
	item->what = wire_text(what);
	item->why = wire_text(why);
	item->remedy = wire_text(remedy);
	d->list[d->n++] = item;
}

/* "what\twhy\tremedy" as the reader tells it; cut apart in place. */
static void degrade_by_reader(struct degraded *d, char *line)
{
	char *why = strchr(line, '\t');
	char *remedy = why != NULL ? strchr(why + 1, '\t') : NULL;

	if (remedy == NULL)
		return;
	*why++ = '\0';
	*remedy++ = '\0';
	degrade(d, line, why, remedy);
}

static void find_degraded(struct engine *e, struct degraded *d, char lines[][ENGINE_TEXT_MAX])
{
	if (e->enrolled && !syncing_connected(e))
		degrade(d, "not connected",
			syncing_why(e)[0] != '\0' ? syncing_why(e) : "the connection is being made",
			"changes are kept and sent later; check that the server can be reached");
	if (e->link == NULL)
		degrade(d, "not watching", "the agent's reader is not running",
			"it is started again by itself; see the agent's log if this stays");
	if (e->store_trouble[0] != '\0')
		degrade(d, "not recording", e->store_trouble,
			"free space for the agent's state folder; it goes on by itself");
	if (trusted_time_wall_behind(&e->time, engine_mono(e), engine_wall(e)))
		degrade(d, "clock behind", "the machine's clock is behind the server's",
			"set the clock");
	for (size_t i = 0; i < e->n_reader_trouble; i++) {
		memcpy(lines[i], e->reader_trouble[i].text, ENGINE_TEXT_MAX);
		degrade_by_reader(d, lines[i]);
	}
}

static void on_status(void *ctx, struct local_call *call, const Envwarden__Local__StatusRequest *m)
{
	struct engine *e = ctx;
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusReply status = ENVWARDEN__LOCAL__STATUS_REPLY__INIT;
	char lines[ARRAY_SIZE(e->reader_trouble)][ENGINE_TEXT_MAX];
	struct degraded degraded = {.n = 0};

	(void)m;
	find_degraded(e, &degraded, lines);
	status.version = wire_text(ENVWARDEN_VERSION);
	status.enrolled = e->enrolled;
	status.organisation = wire_text(e->enrolled ? e->identity.name : "");
	status.server = wire_text(e->enrolled ? syncing_server(e) : "");
	status.connected = e->enrolled && syncing_connected(e);
	status.logging = engine_logging(e);
	status.environments = e->envs.living;
	status.watched = e->watched;
	status.polled = e->polled;
	status.epoch = wire_uuid(&e->journal.epoch);
	status.head = e->journal.head;
	status.acked = e->journal.acked;
	status.policy_version = state_version(e, TRUST_POLICY);
	status.status_version = state_version(e, TRUST_STATUS);
	status.advisories_version = state_version(e, TRUST_ADVISORIES);
	status.advisories_age_s = -1;
	status.machine = wire_uuid(&e->identity.machine);
	status.organisation_id = wire_uuid(&e->identity.organisation);
	status.degraded = degraded.list;
	status.n_degraded = degraded.n;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY;
	answer.status_reply = &status;
	local_call_end(call, &answer);
}

/* --- enroll --- */

static void enrol_reply(struct engine *e, struct local_call *call)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnrollReply reply = ENVWARDEN__LOCAL__ENROLL_REPLY__INIT;

	reply.organisation = wire_text(e->identity.name);
	reply.machine = wire_uuid(&e->identity.machine);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL_REPLY;
	answer.enroll_reply = &reply;
	local_call_end(call, &answer);
}

static void enrol_ended(void *ctx, int rc, const struct err *err)
{
	struct local_call *call = ctx;

	if (rc < 0)
		local_call_fail(call, rc, err->text);
	else
		enrol_reply(local_call_data(call), call);
}

static void on_enroll(void *ctx, struct local_call *call, const Envwarden__Local__EnrollRequest *m)
{
	struct engine *e = ctx;
	uint32_t uid = local_call_uid(call);
	struct join_code code;
	struct err err = ERR_INIT;

	if (uid != 0 && !(e->options->user && uid == users_current())) {
		local_call_fail(call, ERR_PERM, "only root may enrol this machine: use sudo");
		return;
	}
	if (join_code_parse(m->join_code, strlen(m->join_code), &code, &err) < 0) {
		local_call_fail(call, err.code, err.text);
		return;
	}
	local_call_set_data(call, e);
	if (e->enrolled && uuid_cmp(&code.organisation, &e->identity.organisation) == 0)
		enrol_reply(e, call);
	else
		syncing_enrol(e, &code, enrol_ended, call);
	crypto_wipe(&code, sizeof code);
}

const struct local_handlers request_handlers = {.check = checks_handle,
						.list = on_list,
						.show = on_show,
						.history = on_history,
						.record = on_record,
						.status = on_status,
						.enroll = on_enroll};

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
