/*
 * What the requests of the local socket have in common, the list, and which request is answered
 * where.
 */
#include "agent/requests.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "platform/fd_pass.h"
#include "platform/users.h"
#include "proto/limits.h"

#define NAMED_SHOWN 512 /* bytes of what somebody typed; LIMIT_TEXT has room for it */

/* Facts about an environment only to its owner, and to root; one's own agent is for oneself. */
bool engine_may_see(const struct engine *e, uint32_t uid, const struct env *env)
{
	if (uid == 0 || (e->options->user && uid == users_current()))
		return true;
	return env != NULL && env->owner_uid == (int64_t)uid;
}

void request_nomem(struct local_call *call)
{
	local_call_fail(call, ERR_NOMEM, "the agent is out of memory");
}

/* What could not be read in it, and that it is not there to be read. */
static int tell_degraded(const struct env *env, struct arena *arena, struct environment_info *info)
{
	const char **lines = arena_calloc(arena, env->n_notes + 1, sizeof *lines);

	if (lines == NULL)
		return ERR_NOMEM;
	if (env->away) {
		char line[LIMIT_TEXT];

		(void)snprintf(line, sizeof line,
			       "away: %.900s is not mounted; this is how it was last seen",
			       env->mount != NULL ? env->mount : "the file system it is on");
		lines[info->n_degraded] = arena_strdup(arena, line);
		if (lines[info->n_degraded++] == NULL)
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < env->n_notes; i++)
		lines[info->n_degraded++] = env->notes[i];
	info->degraded = lines;
	return 0;
}

/* What is sent points into *info, so that has to live as long: in the arena. */
int request_environment(struct engine *e, const struct env *env, struct arena *arena,
			Envwarden__Environment **out)
{
	struct environment_info *info = arena_alloc(arena, sizeof *info);
	const struct ran *ran = ran_newest(e, env);
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
	info->last_used_ms = use_last(e, env);
	info->runs_after_block = env->ruling.runs_after_block;
	if (ran != NULL) {
		info->ran_ms = ran->last_ms;
		info->ran_by.uid = ran->uid;
		if (ran->uid == env->owner_uid)
			info->ran_by.name = env->owner;
	}
	if (tell_degraded(env, arena, info) < 0)
		return ERR_NOMEM;
	info->self_reported = env->self_reported;
	info->excluded = report_excluded(e, env->prefix);
	return environment_to_wire(info, arena, out);
}

/* How many packages from *at on fit a chunk. */
size_t request_fit(Envwarden__Package *const *items, size_t n, size_t room)
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

struct env *request_found(const struct lookup_result *result)
{
	return result->several != NULL ? NULL : result->env;
}

void request_no_environment(struct local_call *call, const struct lookup_result *result)
{
	bool shown = *result->named != '\0' && strlen(result->named) <= NAMED_SHOWN;
	char text[NAMED_SHOWN + 64];

	if (result->several != NULL) {
		local_call_fail(call, ERR_USAGE, result->several);
		return;
	}
	(void)snprintf(text, sizeof text, "no environment%s%s%s is known; see: envwarden list",
		       shown ? " \"" : "", shown ? result->named : "", shown ? "\"" : " there");
	local_call_fail(call, result->rc < 0 ? result->rc : ERR_NOTFOUND,
			result->error != NULL ? result->error : text);
}

struct env *request_owned(const struct engine *e, struct local_call *call,
			  const struct lookup_result *result, char name[LIMIT_WORD + 1])
{
	struct env *env = request_found(result);

	if (result->rc < 0 || env == NULL || !env->lives) {
		request_no_environment(call, result);
		return NULL;
	}
	if (!engine_may_see(e, local_call_uid(call), env)) {
		local_call_fail(call, ERR_PERM,
				"not permitted: only its owner, or root, may do that");
		return NULL;
	}
	(void)snprintf(name, LIMIT_WORD + 1, "%.*s", LIMIT_WORD, env_name(env));
	return env;
}

/* --- who may know --- */

struct access {
	struct engine *e;
	struct uuid id;
	access_cb go_on;
	void *data; /* the call's own */
};

static void access_end(struct local_call *call, struct access *a, struct env *env)
{
	access_cb go_on = a->go_on;

	local_call_set_data(call, a->data);
	mem_free(a);
	go_on(call, env);
}

static void on_access_proof(struct local_call *call, int rc, int fd)
{
	struct access *a = local_call_data(call);
	struct env *env = envs_by_id(&a->e->envs, &a->id);
	struct file_info proved;
	char path[SAFE_PATH_MAX];

	if (rc == 0)
		rc = fd_pass_inspect(fd, &proved, path, sizeof path, NULL);
	fd_pass_close(fd);
	if (rc != 0 || env == NULL || env->inode == 0 || proved.dev != env->device ||
	    proved.ino != env->inode)
		env = NULL;
	access_end(call, a, env);
}

void request_access(struct engine *e, struct local_call *call, struct env *env, bool can_prove,
		    access_cb go_on)
{
	struct access *a;

	if (engine_may_see(e, local_call_uid(call), env)) {
		go_on(call, env);
		return;
	}
	a = can_prove && env->lives ? mem_calloc(1, sizeof *a) : NULL;
	if (a == NULL) {
		go_on(call, NULL);
		return;
	}
	*a = (struct access){.e = e, .id = env->id, .go_on = go_on, .data = local_call_data(call)};
	local_call_set_data(call, a);
	if (local_call_want_descriptor(call, env->prefix, on_access_proof) < 0)
		access_end(call, a, NULL);
}

void request_not_permitted(struct local_call *call)
{
	local_call_fail(call, ERR_PERM, "not permitted: it belongs to another account");
}

/* --- a stream of answers that waits for its reader --- */

void stream_end(struct stream *stream, int rc)
{
	struct local_call *call = stream->call;

	arena_deinit(&stream->arena);
	stream->release(stream);
	if (rc == 0 || rc == ERR_CLOSED)
		local_call_end(call, NULL);
	else
		local_call_fail(call, rc, err_text(rc));
}

void stream_go_on(struct local_call *call)
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

void stream_init(struct stream *stream, struct engine *e, struct local_call *call)
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
		if (request_environment(stream->e, env, &stream->arena, &item.environment) < 0)
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

void request_list(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m)
{
	struct engine *e = ctx;
	struct list *list = mem_calloc(1, sizeof *list);

	if (list != NULL) {
		list->cap = e->envs.living;
		list->ids = mem_calloc(list->cap + 1, sizeof *list->ids);
	}
	if (list == NULL || list->ids == NULL) {
		mem_free(list);
		request_nomem(call);
		return;
	}
	list->uid = local_call_uid(call);
	(void)readers_account(e, list->uid);
	list->all = m->all;
	list->stream.next = list_next;
	list->stream.release = list_release;
	stream_init(&list->stream, e, call);
	envs_each(&e->envs, collect, list);
	stream_go_on(call);
}

const struct local_handlers request_handlers = {.check = checks_handle,
						.list = request_list,
						.show = request_show,
						.history = request_history,
						.packages_at = request_packages_at,
						.diff = request_diff,
						.sent = request_sent,
						.record = request_record,
						.report = request_report,
						.status = request_status,
						.defer = request_defer,
						.unlock = request_unlock,
						.import = request_import,
						.exception_ask = request_exception_ask,
						.exception_states = request_exception_states,
						.repair = request_repair,
						.enroll = request_enroll};
