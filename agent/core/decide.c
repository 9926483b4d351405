#include "agent/core/decide.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"

const char *decide_follows_id(enum decide_follows follows)
{
	static const char *const ids[] = {"", "clone", "same-packages"};

	return ids[follows];
}

/* Behind all reasons that are as strong; it takes the last one's place when there is no room. */
static void insert(struct decision *d, const struct reason *reason)
{
	size_t at = 0;

	while (at < d->n_reasons && d->reasons[at].action >= reason->action)
		at++;
	if (at == DECISION_REASONS_MAX)
		return;
	if (d->n_reasons < DECISION_REASONS_MAX)
		d->n_reasons++;
	memmove(&d->reasons[at + 1], &d->reasons[at],
		(d->n_reasons - 1 - at) * sizeof d->reasons[0]);
	d->reasons[at] = *reason;
}

/*
 * Beside other reasons the case stays theirs: what was asked for under its code, and a grace that
 * was taken for it, count whether news come or not.
 */
static int add_stale(const struct decide_input *in, struct decision *d)
{
	bool alone = d->n_reasons == 0;
	const struct reason stale = {
		.kind = "stale", .id = "", .message = "", .fix = "", .action = in->when_stale};

	if (in->when_stale == ACTION_ALLOW)
		return 0;
	insert(d, &stale);
	d->action = d->reasons[0].action;
	return alone ? case_code_make(&in->eval.facts->environment, d->reasons, d->n_reasons,
				      d->case_code)
		     : 0;
}

/* Said of what is known already: the case stays the one of the status itself. */
static void tell_follows(const struct decide_input *in, struct decision *d)
{
	for (size_t i = 0; i < d->n_reasons; i++)
		if (strcmp(d->reasons[i].kind, "status") == 0)
			d->reasons[i].id = decide_follows_id(in->follows);
}

int decide(const struct decide_input *in, struct arena *arena, struct evaluation *out)
{
	struct evaluation result = {.decision = {.valid_until_ms = INT64_MAX}};
	int64_t fresh_until_ms = in->unlocked_until_ms > in->fresh_until_ms ? in->unlocked_until_ms
									    : in->fresh_until_ms;
	int rc;

	if (!in->logging) {
		*out = result;
		return 0;
	}
	rc = policy_eval(&in->eval, arena, &result);
	if (rc == 0 && in->eval.now_ms >= fresh_until_ms)
		rc = add_stale(in, &result.decision);
	else if (rc == 0 && in->when_stale != ACTION_ALLOW &&
		 fresh_until_ms < result.decision.valid_until_ms)
		result.decision.valid_until_ms = fresh_until_ms;
	if (rc < 0)
		return rc;
	tell_follows(in, &result.decision);
	*out = result;
	return 0;
}

void decide_on_timeout(enum action action, struct reason *room, struct decision *out)
{
	*out = (struct decision){.action = action, .valid_until_ms = INT64_MAX};
	if (action == ACTION_ALLOW)
		return;
	*room = (struct reason){
		.kind = "timeout", .id = "", .message = "", .fix = "", .action = action};
	out->reasons = room;
	out->n_reasons = 1;
}
