/* packages_at and diff: an environment's packages at a moment, and what differs between two. */
#include <string.h>

#include "agent/core/diff.h"
#include "agent/requests.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define PIECE_PACKAGES 512 /* enough for one chunk; the rest need not be converted yet */

struct past {
	struct stream stream;
	struct job job;
	struct uuid id;
	struct store_moment from;
	struct store_moment to;
	bool diff;
	bool can_prove;
	bool told; /* the environment itself */
	struct arena store_arena;
	struct package_list packages; /* at `to` */
	struct package_list before;   /* at `from`, for a difference */
	struct diff delta;
	size_t added_at;
	size_t removed_at;
};

static void moment_from_wire(const Envwarden__Local__Moment *wire, struct store_moment *out)
{
	*out = (struct store_moment){0};
	if (wire == NULL)
		return;
	out->time_ms = wire->time_ms;
	out->seq = wire->seq;
}

static int send_environment(struct past *past)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;
	struct stream *stream = &past->stream;
	struct env *env = envs_by_id(&stream->e->envs, &past->id);

	if (env == NULL)
		return ERR_NOTFOUND;
	if (request_environment(stream->e, env, &stream->arena, &item.environment) < 0)
		return ERR_NOMEM;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	return local_call_send(stream->call, &answer);
}

/* The next packages of a list that fit in room bytes, as wire structs. */
static int convert(struct past *past, const struct package_list *list, size_t at, size_t room,
		   Envwarden__Package ***out, size_t *n)
{
	size_t left = list->n - at < PIECE_PACKAGES ? list->n - at : PIECE_PACKAGES;

	*n = 0;
	if (left == 0)
		return 0;
	if (packages_to_wire(list->items + at, left, &past->stream.arena, out) < 0)
		return ERR_NOMEM;
	*n = request_fit(*out, left, room);
	return 0;
}

static int send_packages(struct past *past)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__PackagesItem item = ENVWARDEN__LOCAL__PACKAGES_ITEM__INIT;
	int rc = convert(past, &past->packages, past->added_at, LIMIT_LOCAL_CHUNK, &item.packages,
			 &item.n_packages);

	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES;
	answer.packages = &item;
	if (rc == 0)
		rc = local_call_send(past->stream.call, &answer);
	if (rc == 0)
		past->added_at += item.n_packages;
	return rc;
}

static int send_diff(struct past *past)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__DiffItem item = ENVWARDEN__LOCAL__DIFF_ITEM__INIT;
	int rc = convert(past, &past->delta.added, past->added_at, LIMIT_LOCAL_CHUNK / 2,
			 &item.added, &item.n_added);

	if (rc == 0)
		rc = convert(past, &past->delta.removed, past->removed_at, LIMIT_LOCAL_CHUNK / 2,
			     &item.removed, &item.n_removed);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DIFF_ITEM;
	answer.diff_item = &item;
	if (rc == 0)
		rc = local_call_send(past->stream.call, &answer);
	if (rc == 0) {
		past->added_at += item.n_added;
		past->removed_at += item.n_removed;
	}
	return rc;
}

static int past_next(struct stream *stream)
{
	struct past *past = container_of(stream, struct past, stream);
	const struct package_list *added = past->diff ? &past->delta.added : &past->packages;
	int rc;

	arena_reset(&stream->arena);
	if (!past->told) {
		rc = send_environment(past);
		past->told = rc == 0;
	} else if (past->added_at == added->n && past->removed_at == past->delta.removed.n) {
		return 0;
	} else {
		rc = past->diff ? send_diff(past) : send_packages(past);
	}
	return rc < 0 ? rc : 1;
}

static void past_release(struct stream *stream)
{
	struct past *past = container_of(stream, struct past, stream);

	diff_deinit(&past->delta);
	package_list_deinit(&past->before);
	package_list_deinit(&past->packages);
	arena_deinit(&past->store_arena);
	mem_free(past);
}

static void past_run(struct job *job)
{
	struct past *past = container_of(job, struct past, job);
	struct store *store = job->e->store;

	job->rc = store_packages_at(store, &past->id, &past->to, &past->store_arena,
				    &past->packages, &job->err);
	if (job->rc < 0 || !past->diff)
		return;
	job->rc = store_packages_at(store, &past->id, &past->from, &past->store_arena,
				    &past->before, &job->err);
	if (job->rc == 0)
		job->rc = diff_packages(&past->before, &past->packages, &past->delta);
}

static void past_done(struct job *job)
{
	struct past *past = container_of(job, struct past, job);
	struct local_call *call = past->stream.call;

	if (job->rc == 0) {
		stream_go_on(call);
		return;
	}
	local_call_fail(call, job->rc, job->err.text[0] ? job->err.text : err_text(job->rc));
	arena_deinit(&past->stream.arena);
	past_release(&past->stream);
}

static void past_refuse(struct past *past)
{
	arena_deinit(&past->store_arena);
	mem_free(past);
}

static void past_permitted(struct local_call *call, struct env *env)
{
	struct past *past = local_call_data(call);
	struct engine *e = past->stream.e;

	if (env == NULL) {
		past_refuse(past);
		request_not_permitted(call);
		return;
	}
	if (!past->diff && !env->lives && past->to.time_ms == 0 && past->to.seq == 0) {
		past_refuse(past);
		local_call_fail(call, ERR_NOTFOUND,
				"it has been deleted: say --at with a time, or a change's number, "
				"before that");
		return;
	}
	past->id = env->id;
	past->stream.next = past_next;
	past->stream.release = past_release;
	stream_init(&past->stream, e, call);
	past->job.run = past_run;
	past->job.done = past_done;
	engine_submit(e, &past->job);
}

static void past_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct past *past = local_call_data(call);

	/* A deleted environment answers by its last path. */
	if (request_found(result) == NULL) {
		past_refuse(past);
		request_no_environment(call, result);
		return;
	}
	request_access(past->stream.e, call, result->env, past->can_prove, past_permitted);
}

static void begin(struct engine *e, struct local_call *call, const Envwarden__Local__Target *target,
		  const struct past *what)
{
	struct past *past = mem_calloc(1, sizeof *past);

	if (past == NULL) {
		request_nomem(call);
		return;
	}
	*past = *what;
	past->stream.e = e;
	arena_init(&past->store_arena, STREAM_MEMORY_MAX);
	local_call_set_data(call, past);
	lookups_begin(e, local_call_uid(call), target, past_found, call);
}

void request_packages_at(void *ctx, struct local_call *call,
			 const Envwarden__Local__PackagesRequest *m)
{
	struct past what = {.diff = false, .can_prove = m->can_prove};

	moment_from_wire(m->at, &what.to);
	begin(ctx, call, m->target, &what);
}

void request_diff(void *ctx, struct local_call *call, const Envwarden__Local__DiffRequest *m)
{
	struct past what = {.diff = true, .can_prove = m->can_prove};

	moment_from_wire(m->from, &what.from);
	moment_from_wire(m->to, &what.to);
	begin(ctx, call, m->target, &what);
}
