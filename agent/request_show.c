/* show: one environment, its packages and the decision on it. */
#include <string.h>

#include "agent/requests.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

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

	if (request_environment(stream->e, env, &stream->arena, &item.environment) < 0 ||
	    ran_show(stream->e, env, &stream->arena, item.environment) < 0 ||
	    graces_show(stream->e, env, &stream->arena, item.environment) < 0)
		return ERR_NOMEM;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	return local_call_send(stream->call, &answer);
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
	item.n_packages = request_fit(item.packages, left, LIMIT_LOCAL_CHUNK);
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

/* What is asked, until it is clear that the asker may know. */
struct show_asked {
	struct engine *e;
	char *notice;
	bool can_prove;
};

static void show_asked_free(struct show_asked *asked)
{
	mem_free(asked->notice);
	mem_free(asked);
}

static void show_permitted(struct local_call *call, struct env *env)
{
	struct show_asked *asked = local_call_data(call);
	struct engine *e = asked->e;
	struct show *show = env != NULL ? mem_calloc(1, sizeof *show) : NULL;

	if (show == NULL) {
		show_asked_free(asked);
		if (env == NULL)
			request_not_permitted(call);
		else
			request_nomem(call);
		return;
	}
	show->id = env->id;
	show->notice = asked->notice;
	mem_free(asked);
	arena_init(&show->store_arena, STREAM_MEMORY_MAX);
	show->stream.next = show_next;
	show->stream.release = show_release;
	stream_init(&show->stream, e, call);
	show->job.run = show_run;
	show->job.done = show_done;
	engine_submit(e, &show->job);
}

static void show_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct show_asked *asked = local_call_data(call);

	const struct env *env = request_found(result);

	if (result->rc < 0 || env == NULL || !env->lives) {
		show_asked_free(asked);
		request_no_environment(call, result);
		return;
	}
	asked->notice = mem_strdup(result->notice);
	request_access(asked->e, call, result->env, asked->can_prove, show_permitted);
}

void request_show(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m)
{
	struct show_asked *asked = mem_calloc(1, sizeof *asked);

	if (asked == NULL) {
		request_nomem(call);
		return;
	}
	asked->e = ctx;
	asked->can_prove = m->can_prove;
	local_call_set_data(call, asked);
	lookups_begin(ctx, local_call_uid(call), m->target, show_found, call);
}
