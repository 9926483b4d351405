/* request: a member asks for an exception, and what became of that. */
#include <stdio.h>
#include <string.h>

#include "agent/requests.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/limits.h"

#define NAME_WAIT_MS 0 /* the account's name: as far as it is known */

struct asking {
	struct engine *e;
	bool asks; /* else it looks */
	char reason[LIMIT_TEXT + 1];
	char name[LIMIT_WORD + 1]; /* of the environment */
	struct uuid id;		   /* of the request */
};

static void refuse(struct local_call *call, struct asking *a, int code, const char *why)
{
	mem_free(a);
	local_call_fail(call, code, why);
}

/* --- the answer --------------------------------------------------------------------------- */

static Envwarden__Local__AskedException__State state_of(const struct engine *e,
							const struct asked *asked)
{
	switch (asked->state) {
	case ASKED_APPROVED:
		return asked_holds(asked, engine_trusted(e))
			       ? ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__APPROVED
			       : ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__ENDED;
	case ASKED_DENIED:
		return ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__DENIED;
	case ASKED_OPEN:
		break;
	}
	return asked->heard ? ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__OPEN
			    : ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__QUEUED;
}

static void tell(const struct engine *e, const struct asked *asked,
		 Envwarden__Local__AskedException *out)
{
	envwarden__local__asked_exception__init(out);
	out->id = wire_uuid(&asked->id);
	out->state = state_of(e, asked);
	out->user = asked->user;
	out->reason = asked->reason;
	out->case_code = (char *)(uintptr_t)asked->case_code;
	out->made_ms = asked->made_ms;
	out->message = asked->message;
	out->exception = asked->exception;
	out->until_ms = asked->until_ms;
}

/* Those of *one, or the newest about an environment. */
static void answer(struct local_call *call, struct asking *a, const struct asked *one,
		   const struct uuid *environment, bool existed)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__AskedReply reply = ENVWARDEN__LOCAL__ASKED_REPLY__INIT;
	Envwarden__Local__AskedException items[LIMIT_ASKED], *list[LIMIT_ASKED];
	const struct asked_list *all = &a->e->asked;

	for (size_t i = all->n; i-- > 0 && reply.n_requests < LIMIT_ASKED;) {
		const struct asked *asked = all->items[i];
		bool wanted = one != NULL ? asked == one
					  : uuid_cmp(&asked->environment, environment) == 0;

		if (!wanted)
			continue;
		list[reply.n_requests] = &items[reply.n_requests];
		tell(a->e, asked, list[reply.n_requests++]);
	}
	reply.name = a->name;
	reply.requests = list;
	reply.existed = existed;
	reply.connected = a->e->enrolled && syncing_connected(a->e);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ASKED;
	answer.asked = &reply;
	local_call_end(call, &answer);
	mem_free(a);
}

/* --- asking ------------------------------------------------------------------------------- */

static void asked(void *ctx, int rc)
{
	struct local_call *call = ctx;
	struct asking *a = local_call_data(call);

	for (size_t i = 0; rc == 0 && i < a->e->asked.n; i++) {
		if (uuid_cmp(&a->e->asked.items[i]->id, &a->id) == 0) {
			answer(call, a, a->e->asked.items[i], NULL, false);
			return;
		}
	}
	refuse(call, a, rc < 0 ? rc : ERR_NOTFOUND,
	       "the agent can't keep it now; see: envwarden status");
}

/* There must be somebody to ask, and something to lift. 0, or what to say. */
static int why_not(const struct engine *e, const struct env *env, const char **why)
{
	if (!e->enrolled) {
		*why = "this machine belongs to no organisation: there is nobody to ask";
		return ERR_PERM;
	}
	if (!env->ruling.known) {
		*why = "it is being decided just now, try again";
		return ERR_BUSY;
	}
	if (ruling_action(&env->ruling) == ACTION_ALLOW) {
		*why = "nothing holds it back: there is no exception to ask for";
		return ERR_PERM;
	}
	return 0;
}

static void name_asker(const struct engine *e, uint32_t uid, const struct env *env, char *out,
		       size_t cap)
{
	struct user user;

	if (env->owner_uid == (int64_t)uid && env->owner[0] != '\0')
		(void)snprintf(out, cap, "%s", env->owner);
	else if (accounts_by_uid(e->names, uid, NAME_WAIT_MS, &user) == 0 &&
		 text_is_utf8(user.name, strlen(user.name)))
		(void)snprintf(out, cap, "%s", user.name);
	else
		(void)snprintf(out, cap, "%lu", (unsigned long)uid);
}

static void ask(struct local_call *call, struct asking *a, const struct env *env)
{
	struct asked new = {.environment = env->id,
			    .uid = local_call_uid(call),
			    .made_ms = engine_trusted(a->e),
			    .state = ASKED_OPEN,
			    .reason = a->reason};
	const char *why;
	int rc = why_not(a->e, env, &why);
	const struct asked *known;
	char user[LIMIT_WORD];

	if (rc < 0) {
		refuse(call, a, rc, why);
		return;
	}
	memcpy(new.case_code, env->ruling.kept->case_code, sizeof new.case_code);
	known = asked_list_open(&a->e->asked, &env->id, new.case_code, new.uid);
	if (known != NULL) {
		answer(call, a, known, NULL, true);
		return;
	}
	name_asker(a->e, new.uid, env, user, sizeof user);
	new.user = user;
	uuid_new(&new.id);
	a->id = new.id;
	rc = asking_ask(a->e, &new, asked, call);
	if (rc == 0)
		log_info("request", "asked for an exception", LOG_STR("prefix", env->prefix),
			 LOG_STR("case", new.case_code));
	else
		refuse(call, a, rc,
		       rc == ERR_BUSY	 ? "the agent is busy, try again"
		       : rc == ERR_LIMIT ? "too many requests wait for an answer already"
					 : err_text(rc));
}

static void found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct asking *a = local_call_data(call);
	const struct env *env = request_owned(a->e, call, result, a->name);

	if (env == NULL)
		mem_free(a);
	else if (a->asks)
		ask(call, a, env);
	else
		answer(call, a, NULL, &env->id, false);
}

static struct asking *begin(struct engine *e, struct local_call *call)
{
	struct asking *a = mem_calloc(1, sizeof *a);

	if (a == NULL) {
		request_nomem(call);
		return NULL;
	}
	a->e = e;
	local_call_set_data(call, a);
	return a;
}

void request_exception_ask(void *ctx, struct local_call *call,
			   const Envwarden__Local__ExceptionAsk *m)
{
	struct asking *a = begin(ctx, call);

	if (a == NULL)
		return;
	a->asks = true;
	(void)snprintf(a->reason, sizeof a->reason, "%s", m->reason);
	if (m->reason[strspn(m->reason, " \t\r\n")] == '\0')
		refuse(call, a, ERR_USAGE, "say why: --reason");
	else
		lookups_begin(ctx, local_call_uid(call), m->target, found, call);
}

void request_exception_states(void *ctx, struct local_call *call,
			      const Envwarden__Local__ExceptionStates *m)
{
	if (begin(ctx, call) != NULL)
		lookups_begin(ctx, local_call_uid(call), m->target, found, call);
}
