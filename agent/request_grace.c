/* defer, unlock: what an environment's owner may do about a block without an administrator's hand.
 */
#include <stdio.h>
#include <string.h>

#include "agent/requests.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

struct asked_grace {
	struct engine *e;
	bool unlocks;
	char code[LIMIT_WORD + 1];
	/* out */
	char name[LIMIT_WORD + 1];
	struct grace grace;
	char case_code[CASE_CODE_MAX];
};

static void asked_grace_free(struct asked_grace *a)
{
	crypto_wipe(a->code, sizeof a->code);
	mem_free(a);
}

static void refuse(struct local_call *call, struct asked_grace *a, int code, const char *why)
{
	asked_grace_free(a);
	local_call_fail(call, code, why);
}

static void given(void *ctx, int rc)
{
	struct local_call *call = ctx;
	struct asked_grace *a = local_call_data(call);
	const struct env *env = envs_by_id(&a->e->envs, &a->grace.environment);
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__GraceReply reply = ENVWARDEN__LOCAL__GRACE_REPLY__INIT;

	if (rc < 0) {
		refuse(call, a, rc, "the agent can't keep it now; see: envwarden status");
		return;
	}
	log_info("decision", a->unlocks ? "unlocked" : "deferred",
		 LOG_STR("prefix", env ? env->prefix : ""), LOG_STR("case", a->case_code),
		 LOG_INT("serial", a->grace.serial));
	reply.name = a->name;
	reply.until_ms = a->grace.until_ms;
	reply.case_code = a->case_code;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_GRACE;
	answer.grace = &reply;
	local_call_end(call, &answer);
	asked_grace_free(a);
}

static void give(struct local_call *call, struct asked_grace *a)
{
	int rc = grace_give(a->e, &a->grace, given, call);

	if (rc < 0)
		refuse(call, a, rc, rc == ERR_BUSY ? "the agent is busy, try again" : err_text(rc));
}

/* --- defer -------------------------------------------------------------------------------- */

static bool has_status_block(const struct kept_decision *kept)
{
	for (size_t i = 0; i < kept->n_reasons; i++)
		if (strcmp(kept->reasons[i].kind, "rule") != 0 &&
		    kept->reasons[i].action == ACTION_BLOCK)
			return true;
	return false;
}

static const char *why_not_deferred(const struct engine *e, const struct env *env)
{
	const struct rulebook *rules = state_rules(e);
	const struct kept_decision *kept = env->ruling.kept;

	if (rules == NULL || rules->policy.defaults.defer_ms == 0)
		return "your organisation's policy allows no deferring";
	if (kept == NULL || ruling_action(&env->ruling) != ACTION_BLOCK)
		return "it is not blocked: there is nothing to defer";
	if (has_status_block(kept))
		return "it is blocked by an administrator or for want of news, not by a rule "
		       "alone: only they can lift that";
	if (grace_list_find(&e->graces, &env->id, kept->case_code) != NULL)
		return "the grace for this case was taken already";
	return NULL;
}

static void defer(struct local_call *call, struct asked_grace *a, const struct env *env)
{
	const char *why = why_not_deferred(a->e, env);

	if (why != NULL) {
		refuse(call, a, ERR_PERM, why);
		return;
	}
	a->grace.until_ms = engine_trusted(a->e) + state_rules(a->e)->policy.defaults.defer_ms;
	memcpy(a->grace.case_code, env->ruling.kept->case_code, sizeof a->grace.case_code);
	give(call, a);
}

/* --- unlock ------------------------------------------------------------------------------- */

static int read_code(const struct asked_grace *a, const struct env *env, struct unlock *out,
		     struct err *err)
{
	const struct said *said = state_said(a->e);
	int rc;

	if (said == NULL || !said->has_unlock_key)
		return err_set(err, ERR_NOTFOUND, "your organisation gives no unlock codes");
	rc = unlock_parse(a->code, strlen(a->code), &env->id, said->unlock_key, out, err);
	if (rc == 0 && out->expires_ms <= engine_trusted(a->e))
		rc = err_set(err, ERR_EXPIRED, "this code has expired");
	if (rc == 0 && said_revoked(said, out->serial))
		rc = err_set(err, ERR_PERM, "this code was revoked");
	return rc;
}

/* By a status of its own, which a code lifts only if it was made for that. */
static bool is_blocked_itself(const struct kept_decision *kept)
{
	for (size_t i = 0; kept != NULL && i < kept->n_reasons; i++)
		if (strcmp(kept->reasons[i].kind, "status") == 0 &&
		    kept->reasons[i].action == ACTION_BLOCK)
			return true;
	return false;
}

static void unlock(struct local_call *call, struct asked_grace *a, const struct env *env)
{
	struct unlock code;
	struct err err = ERR_INIT;

	if (!tries_may(&a->e->code_tries, local_call_uid(call), engine_mono(a->e))) {
		refuse(call, a, ERR_BUSY, "too many codes were tried; wait a minute");
		return;
	}
	if (read_code(a, env, &code, &err) < 0) {
		log_warn("decision", "unlock code refused", LOG_STR("prefix", env->prefix),
			 LOG_INT("uid", local_call_uid(call)), LOG_ERR(&err));
		refuse(call, a, err.code, err.text);
		return;
	}
	if (!code.lifts_status && is_blocked_itself(env->ruling.kept)) {
		refuse(call, a, ERR_PERM,
		       "this code lifts what rules block, and an administrator blocked this "
		       "environment itself: ask for one that lifts that, too");
		return;
	}
	a->grace.until_ms = code.expires_ms;
	a->grace.serial = code.serial;
	a->grace.lifts_status = code.lifts_status;
	give(call, a);
}

/* --- both --------------------------------------------------------------------------------- */

static void found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct asked_grace *a = local_call_data(call);
	const struct env *env = request_owned(a->e, call, result, a->name);

	if (env == NULL) {
		asked_grace_free(a);
		return;
	}
	a->grace.environment = env->id;
	a->grace.uid = local_call_uid(call);
	a->grace.given_ms = engine_trusted(a->e);
	if (env->ruling.kept != NULL)
		memcpy(a->case_code, env->ruling.kept->case_code, sizeof a->case_code);
	if (a->unlocks)
		unlock(call, a, env);
	else
		defer(call, a, env);
}

static struct asked_grace *ask(struct engine *e, struct local_call *call)
{
	struct asked_grace *a = mem_calloc(1, sizeof *a);

	if (a == NULL) {
		request_nomem(call);
		return NULL;
	}
	a->e = e;
	local_call_set_data(call, a);
	return a;
}

void request_defer(void *ctx, struct local_call *call, const Envwarden__Local__DeferRequest *m)
{
	if (ask(ctx, call) != NULL)
		lookups_begin(ctx, local_call_uid(call), m->target, found, call);
}

void request_unlock(void *ctx, struct local_call *call, const Envwarden__Local__UnlockRequest *m)
{
	struct asked_grace *a = ask(ctx, call);

	if (a == NULL)
		return;
	a->unlocks = true;
	(void)snprintf(a->code, sizeof a->code, "%s", m->code);
	lookups_begin(ctx, local_call_uid(call), m->target, found, call);
}
