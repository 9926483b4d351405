#include "agent/cli/ask.h"

#include <stdbool.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/fallback_file.h"
#include "platform/safe_open.h"
#include "proto/fallback.h"

/* --- one agent --- */

struct question {
	bool open;
	bool absent;  /* no agent is installed there, as far as its socket says */
	bool refused; /* it answered that it can't say */
	struct err why;
	struct client client;
};

static void question_send(struct question *q, const struct ask *request, const char *socket)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__CheckRequest check = ENVWARDEN__LOCAL__CHECK_REQUEST__INIT;
	Envwarden__Local__Target target = request->target->wire;
	int rc;

	q->open = false;
	q->absent = true;
	q->refused = false;
	q->why = ERR_INIT;
	if (!socket)
		return;
	rc = client_open(&q->client, socket, request->deadline_ms, &q->why);
	q->absent = rc == ERR_NOTFOUND;
	if (rc < 0)
		return;
	check.target = &target;
	check.interactive = request->interactive;
	check.active = request->active;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHECK;
	m.check = &check;
	rc = client_send(&q->client, &m, request->deadline_ms, &q->why);
	q->open = rc == 0;
	if (rc < 0)
		client_close(&q->client);
}

/* true: *out is the agent's answer */
static bool question_receive(struct question *q, const struct ask *request, struct arena *arena,
			     struct decision_reply *out)
{
	Envwarden__Local__Envelope *m;
	int rc;

	if (!q->open)
		return false;
	rc = client_recv(&q->client, request->deadline_ms, arena, &m, &q->why);
	q->refused = rc < 0 && q->client.refused;
	if (rc == 0 && m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION)
		rc = err_set(&q->why, ERR_PROTOCOL, "the agent answered something else");
	if (rc == 0)
		rc = decision_from_wire(m->decision, arena, out, &q->why);
	client_close(&q->client);
	if (rc == 0)
		out->source = "agent";
	return rc == 0;
}

/* --- the file of one that does not answer --- */

/* The entry of the environment that is meant; its prefix is put to out->prefix when known. */
static int find_entry(const struct ask *request, const struct fallback_view *view,
		      struct arena *arena, struct decision_reply *out, struct fallback_entry *entry)
{
	char path[PATHS_MAX], real[PATHS_MAX], text[LIMIT_PATH + 1];
	struct safe_dir *dir = NULL;
	struct file_info info = {0};
	int rc = target_resolve(request->target, path, NULL);

	if (rc < 0)
		return rc;
	if (safe_dir_open(path, &dir, NULL) == 0 && safe_dir_info(dir, &info, NULL) == 0 &&
	    safe_dir_real_path(dir, real, sizeof(real), NULL) == 0)
		memcpy(path, real, strlen(real) + 1);
	safe_dir_close(dir);
	rc = target_text(path, text, NULL);
	if (rc < 0)
		return rc;
	out->prefix = arena_strdup(arena, text);
	if (!out->prefix)
		out->prefix = "";
	return fallback_find(view, text, info.dev, info.ino, entry);
}

static void set_reason(struct decision_reply *out, struct arena *arena, const char *kind,
		       const char *message, const char *fix)
{
	struct reason *reason = arena_calloc(arena, 1, sizeof(*reason));

	if (!reason)
		return; /* the decision holds without its words */
	*reason = (struct reason){.kind = kind,
				  .id = out->refused ? "refused" : "",
				  .message = message,
				  .fix = fix,
				  .action = out->decision.action};
	out->decision.reasons = reason;
	out->decision.n_reasons = 1;
}

static void decide_by(const struct ask *request, const struct fallback_view *view,
		      struct arena *arena, struct decision_reply *out)
{
	struct decision *d = &out->decision;
	struct fallback_entry entry;
	int found = find_entry(request, view, arena, out, &entry);

	out->source = "fallback";
	out->contact = view->contact;
	out->policy_version = view->policy_version;
	if (view->when_agent_down == AGENT_DOWN_ALLOW)
		return;
	if (found == 0) {
		d->action = entry.action;
		out->name = entry.name;
		if (strlen(entry.case_code) < sizeof(d->case_code))
			memcpy(d->case_code, entry.case_code, strlen(entry.case_code) + 1);
		if (d->action != ACTION_ALLOW)
			set_reason(out, arena, "last_decision", entry.message, entry.fix);
	} else if (view->when_agent_down == AGENT_DOWN_BLOCK) {
		d->action = ACTION_BLOCK;
		set_reason(out, arena, "agent_down", "", "");
	}
}

/* true: the agent left a file that says something */
static bool ask_fallback(const struct ask *request, const struct ask_place *place,
			 struct arena *arena, struct decision_reply *out)
{
	struct fallback_view view;
	struct file_info info;
	struct buf file;
	void *kept;
	bool good = false;

	if (!place->fallback)
		return false;
	buf_init(&file, FALLBACK_MAX + 1);
	if (fallback_file_read(place->fallback, &file, &info, NULL) == 0) {
		/* Its texts are pointed into. */
		kept = arena_dup(arena, file.data, file.len);
		good = kept && fallback_open(kept, file.len, &view, NULL) == 0;
	}
	if (good)
		decide_by(request, &view, arena, out);
	buf_deinit(&file);
	return good;
}

/* --- both --- */

/* false: there is no such agent on this machine */
static bool answer_of(struct question *q, const struct ask *request, const struct ask_place *place,
		      struct arena *arena, struct decision_reply *out)
{
	struct decision_reply reply;
	const char *why;

	decision_reply_init(&reply);
	if (!question_receive(q, request, arena, &reply)) {
		decision_reply_init(&reply);
		reply.refused = q->refused;
		if (!ask_fallback(request, place, arena, &reply)) {
			if (q->absent)
				return false;
			reply.source = "default";
		}
		why = arena_strdup(arena, q->why.text);
		reply.notice = why ? why : "";
	}
	*out = reply;
	return true;
}

static int rank(const struct decision_reply *reply)
{
	int by_source = strcmp(reply->source, "agent") == 0	 ? 2
			: strcmp(reply->source, "fallback") == 0 ? 1
								 : 0;

	return (int)reply->decision.action * 4 + by_source;
}

void ask(const struct ask *request, struct arena *arena, struct decision_reply *out)
{
	/* Not on the stack, every page of which is touched: of these, most never are. */
	static struct question machine, own;
	struct decision_reply a, b;
	bool has_a, has_b;

	/* Both are asked before either is waited for: they share the time there is. */
	question_send(&machine, request, request->machine.socket);
	question_send(&own, request, request->own.socket);
	has_a = answer_of(&machine, request, &request->machine, arena, &a);
	has_b = answer_of(&own, request, &request->own, arena, &b);
	if (has_a && has_b) {
		*out = rank(&b) > rank(&a) ? b : a;
	} else if (has_a || has_b) {
		*out = has_a ? a : b;
	} else {
		decision_reply_init(out);
		out->source = "default";
		out->notice = "no agent is installed or running here";
	}
	if (!*out->name)
		out->name = target_name(request->target);
}

/* --- whom to ask --- */

static const char *keep(struct ask_places *places, const char *path)
{
	size_t n = strlen(path) + 1;
	char *kept = places->room + places->used;

	CHECK(n <= sizeof(places->room) - places->used);
	memcpy(kept, path, n);
	places->used += n;
	return kept;
}

static void find_place(struct ask_places *places, enum paths_scope scope, struct ask_place *place)
{
	struct paths_agent paths;
	char fallback[PATHS_MAX];

	if (paths_agent(scope, &paths, NULL) == 0 &&
	    paths_fallback(paths.state, fallback, NULL) == 0) {
		place->socket = keep(places, paths.socket);
		place->fallback = keep(places, fallback);
	}
}

void ask_find_places(struct ask_places *places, const char *named, struct ask *request)
{
	char fallback[PATHS_MAX];

	places->used = 0;
	find_place(places, PATHS_MACHINE, &request->machine);
	if (named) {
		request->own.socket = named;
		if (paths_fallback_of_socket(named, fallback, NULL) == 0)
			request->own.fallback = keep(places, fallback);
	} else {
		find_place(places, PATHS_USER, &request->own);
	}
	/* The machine's own socket, named: one agent, not two. */
	if (request->own.socket && request->machine.socket &&
	    strcmp(request->own.socket, request->machine.socket) == 0)
		request->own = (struct ask_place){0};
}
