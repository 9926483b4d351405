/* Activation checks: what is answered, to whom, and what is noted of it. */
#include "agent/core/decide.h"
#include "agent/engine.h"
#include "agent/requests.h"

/* The one who asks may read it for us. */
static void want_report(struct engine *e, uint32_t uid, const struct lookup_result *result,
			struct decision_reply *reply)
{
	reply->report_wanted =
		result->unreadable && report_welcome(e, uid, result->env, result->prefix);
	if (reply->report_wanted && result->env == NULL && result->sole)
		report_missed(e, uid, result->prefix);
}

/* What its member did about it before, and what came of that. */
static const char *notice_of_past(const struct engine *e, const struct env *env, uint32_t uid,
				  struct arena *arena)
{
	const char *notice = asking_notice(e, env, uid, arena);

	return *notice == '\0' && engine_may_see(e, uid, env) ? grace_notice(e, env, arena)
							      : notice;
}

enum asker {
	ASKER_HAND, /* somebody, or a script, wants to know */
	ASKER_GATE,
	ASKER_UNSEEN /* the gate, of what is active for one who may not be able to see it */
};

/*
 * By hand, where no environment can have that name, it is told that there is none; the gate is told
 * that nothing was decided, since its tool may see more in a name.
 */
static void answer_check(struct local_call *call, const struct lookup_result *result,
			 enum asker asker)
{
	bool absent =
		result->rc == ERR_NOTFOUND || (asker == ASKER_HAND && result->rc == ERR_INVALID);
	struct engine *e = local_call_data(call);
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct decision_reply reply;
	struct arena *arena = &e->answer;

	if (result->rc < 0 && !absent) {
		local_call_fail(call, result->rc, result->error);
		return;
	}
	if (engine_decide(e, result->env, result->prefix, arena, &reply) < 0)
		goto nomem;
	if (result->late && result->env == NULL && result->rc == 0 &&
	    deciding_on_timeout(e, arena, &reply.decision) < 0)
		goto nomem;
	want_report(e, local_call_uid(call), result, &reply);
	reply.proof_wanted = asker == ASKER_UNSEEN;
	reply.absent = absent;
	reply.notice = !absent		       ? result->notice
		       : result->error != NULL ? result->error
					       : "There is no such environment.";
	if (*reply.notice == '\0' && result->env != NULL)
		reply.notice = notice_of_past(e, result->env, local_call_uid(call), arena);
	if (decision_to_wire(&reply, arena, &answer.decision) < 0)
		goto nomem;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	local_call_end(call, &answer);
	arena_reset(arena);
	return;

nomem:
	local_call_fail(call, ERR_NOMEM, "the agent is out of memory");
	arena_reset(arena);
}

static void check_found(void *ctx, const struct lookup_result *result)
{
	answer_check(ctx, result, ASKER_HAND);
}

static bool found_living(const struct lookup_result *result)
{
	return result->rc == 0 && result->env != NULL && result->env->lives;
}

/* An answer to the gate, as somebody activates; what people or scripts ask by hand is no use. */
static void interactive_found(void *ctx, const struct lookup_result *result)
{
	struct engine *e = local_call_data(ctx);

	bool lives = found_living(result);
	bool blocked = lives && ruling_action(&result->env->ruling) == ACTION_BLOCK;

	/* First the answer: it may be about its not having been used. */
	answer_check(ctx, result, ASKER_GATE);
	if (lives)
		telling_checked(e, result->env);
	if (lives && !blocked)
		use_note(e, result->env);
}

/*
 * The same for one that is active already, past the gate: nobody was refused, it is in use. That is
 * the asker's word, so it counts only for those who may see the environment, and as theirs.
 */
static void note_active(struct engine *e, struct env *env, uint32_t uid)
{
	if (ruling_action(&env->ruling) == ACTION_BLOCK)
		ran_seen(
			e, env,
			&(struct ran_sight){.uid = uid, .how = RAN_SHELL, .started_ms = INT64_MAX});
	else
		telling_checked(e, env);
	use_note(e, env);
}

static void active_found(void *ctx, const struct lookup_result *result)
{
	struct engine *e = local_call_data(ctx);
	uint32_t uid = local_call_uid(ctx); /* the answer ends the call */
	bool lives = found_living(result);
	bool sees = lives && engine_may_see(e, uid, result->env);

	answer_check(ctx, result, lives && !sees ? ASKER_UNSEEN : ASKER_GATE);
	if (sees)
		note_active(e, result->env, uid);
}

static void active_proved(struct local_call *call, struct env *env)
{
	if (env != NULL && env->lives)
		note_active(local_call_data(call), env, local_call_uid(call));
	local_call_end(call, NULL);
}

/* It was answered before; this is for those who could not show then that they may see it. */
static void proving_found(void *ctx, const struct lookup_result *result)
{
	if (found_living(result))
		request_access(local_call_data(ctx), ctx, result->env, true, active_proved);
	else
		local_call_end(ctx, NULL);
}

void checks_handle(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m)
{
	lookup_cb done = check_found;

	if (m->interactive && m->active)
		done = m->can_prove ? proving_found : active_found;
	else if (m->interactive)
		done = interactive_found;
	local_call_set_data(call, ctx);
	lookups_begin(ctx, local_call_uid(call), m->target, done, call);
}
