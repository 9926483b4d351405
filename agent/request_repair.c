/*
 * repair: the envwarden command says that it is about to change an environment, or is done. What
 * runs in there meanwhile belongs to that, and is told so (ran.c). It is the asker's word, taken
 * for environments of its own, for a bounded time.
 */
#include "agent/requests.h"
#include "lib/base/mem.h"

struct repairing {
	struct engine *e;
	bool over;
};

static void repair_found(void *ctx, const struct lookup_result *result)
{
	struct local_call *call = ctx;
	struct repairing asked = *(struct repairing *)local_call_data(call);
	const struct env *env = request_found(result);
	uint32_t uid = local_call_uid(call);
	int rc = 0;

	mem_free(local_call_data(call));
	if (result->rc < 0 || env == NULL || !env->lives) {
		request_no_environment(call, result);
		return;
	}
	if (!engine_may_see(asked.e, uid, env)) {
		request_not_permitted(call);
		return;
	}
	if (asked.over)
		ran_repair_ends(asked.e, env, uid);
	else
		rc = ran_repair_begins(asked.e, env, uid);
	if (rc < 0)
		local_call_fail(call, rc, "too many repairs are under way");
	else
		local_call_end(call, NULL);
}

void request_repair(void *ctx, struct local_call *call, const Envwarden__Local__Repair *m)
{
	struct repairing *asked = mem_calloc(1, sizeof *asked);

	if (asked == NULL) {
		request_nomem(call);
		return;
	}
	*asked = (struct repairing){.e = ctx, .over = m->over};
	local_call_set_data(call, asked);
	lookups_begin(ctx, local_call_uid(call), m->target, repair_found, call);
}
