/* The making of decisions, off the loop's thread. */
#include <uv.h>

#include "agent/decisions_impl.h"
#include "lib/base/mem.h"

#define STEP_NS 10000000 /* a step begins no further decision after that */
#define SLOW_NS 2000000	 /* of one decision, after which another that is waited for comes first */
#define PUT_OFF_MAX 1000 /* times in a row, minutes at least, so that it is made at last */
#define EVAL_MEMORY_MAX ((size_t)128 << 20)
/* Bytes of packages, after which no further ones are read. */
#define LOAD_ENOUGH ((size_t)256 << 10)

static bool needs_packages(const struct decisions_step *step, const struct item *item)
{
	return step->orders.rules != NULL || (item->has_status && item->status.until_fixed);
}

static int load_packages(struct decisions_step *step, struct store *store, struct item *item)
{
	struct package_list *list = &item->packages;
	struct policy_package *all;
	int rc;

	if (!needs_packages(step, item))
		return 0;
	rc = store_packages(store, &item->facts.environment, &step->loaded, list, NULL);
	if (rc == ERR_NOTFOUND)
		return 0; /* it has gone since */
	if (rc < 0)
		return rc;
	all = arena_calloc(&step->loaded, list->n + 1, sizeof *all);
	if (all == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < list->n; i++)
		all[i].package = &list->items[i];
	item->facts.packages = all;
	item->facts.n_packages = list->n;
	return 0;
}

/* Until when the code its user was given counts; 0: none does. */
static int64_t unlocked_until(const struct decisions_step *step, const struct item *item)
{
	const struct ruling *r = &item->ruling;
	bool holds = step->orders.said != NULL && r->unlocked_until_ms > step->now_ms &&
		     !said_revoked(step->orders.said, r->unlocked_serial);

	return holds ? r->unlocked_until_ms : 0;
}

/* What lifts rules here: the exceptions granted, and the code its user was given. */
static int find_granted(const struct decisions_step *step, const struct item *item,
			struct arena *arena, struct eval_input *eval)
{
	const struct said *said = step->orders.said;
	const struct ruling *r = &item->ruling;
	struct exception *all;

	if (said == NULL)
		return 0;
	eval->granted = said->exceptions;
	eval->n_granted = said->n_exceptions;
	if (unlocked_until(step, item) == 0)
		return 0;
	all = arena_calloc(arena, said->n_exceptions + 1, sizeof *all);
	if (all == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < said->n_exceptions; i++)
		all[i] = said->exceptions[i];
	all[said->n_exceptions] = (struct exception){.id = "unlock",
						     .rule = "",
						     .environment = item->facts.environment,
						     .env_path = "",
						     .env_name = "",
						     .user = "",
						     .package = "",
						     .owner = "",
						     .ticket = "",
						     .reason = "",
						     .expires_ms = r->unlocked_until_ms,
						     .lifts_status = r->unlocked_status};
	eval->granted = all;
	eval->n_granted++;
	return 0;
}

static int decide_item(const struct decisions_step *step, struct item *item, struct arena *arena)
{
	const struct rulebook *rules = step->orders.rules;
	struct decide_input in = {.logging = step->orders.logging,
				  .eval = {.facts = &item->facts,
					   .index = rules != NULL ? rules->index : NULL,
					   .status = item->has_status ? &item->status : NULL,
					   .deferred_until_ms = item->ruling.deferred_until_ms,
					   .deferred_case = item->ruling.deferred_case,
					   .now_ms = step->now_ms,
					   .canceled = &step->canceled},
				  .follows = item->follows,
				  .fresh_until_ms = step->orders.fresh_until_ms,
				  .when_stale = rules != NULL ? rules->policy.defaults.when_stale
							      : ACTION_ALLOW,
				  .unlocked_until_ms = unlocked_until(step, item)};
	struct evaluation evaluation = {0};
	int rc = find_granted(step, item, arena, &in.eval);

	if (rc == 0)
		rc = decide(&in, arena, &evaluation);
	if (rc < 0)
		return rc;
	item->valid_until_ms = evaluation.decision.valid_until_ms;
	return kept_decision_new(&evaluation, &item->kept);
}

void decisions_load(struct decisions_step *step, struct store *store)
{
	for (size_t i = 0; i < step->n && step->loaded.used < LOAD_ENOUGH; i++) {
		struct item *item = &step->items[i];

		item->rc = load_packages(step, store, item);
		item->loaded = item->rc == 0;
	}
}

/* One that was canceled is as if it had never begun. */
static void make(struct decisions_step *step, struct item *item, struct arena *arena)
{
	atomic_store(&step->making, (size_t)(item - step->items));
	atomic_store(&step->began_ns, uv_hrtime());
	item->rc = decide_item(step, item, arena);
	atomic_store(&step->began_ns, 0);
	item->done = item->rc == 0;
	item->canceled = item->rc == ERR_CANCELED;
	if (item->canceled)
		item->rc = 0;
}

bool decisions_step_holds_up(const struct decisions_step *step, const struct uuid *environment)
{
	uint64_t began_ns = atomic_load(&step->began_ns);
	const struct item *item = &step->items[atomic_load(&step->making)];

	return began_ns != 0 && uv_hrtime() - began_ns > SLOW_NS &&
	       item->ruling.put_off < PUT_OFF_MAX &&
	       uuid_cmp(&item->facts.environment, environment) != 0;
}

void decisions_make(struct decisions_step *step)
{
	uint64_t end = uv_hrtime() + STEP_NS;
	struct arena arena;

	arena_init(&arena, EVAL_MEMORY_MAX);
	for (size_t i = 0; i < step->n && (i == 0 || uv_hrtime() < end); i++) {
		if (step->items[i].loaded)
			make(step, &step->items[i], &arena);
		arena_reset(&arena);
	}
	arena_deinit(&arena);
}
