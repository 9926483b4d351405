#include "agent/decisions.h"

#include <string.h>

#include "agent/decisions_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define TEXTS_MEMORY_MAX ((size_t)1 << 20)
#define PACKAGES_MEMORY_MAX ((size_t)128 << 20)
#define RETRY_MS 5000
#define CLONES_MAX 8 /* clones of clones that nobody but this machine knows of */

struct decisions {
	struct envs *envs;
	const struct decisions_ops *ops;
	void *ctx;
	struct orders orders;
	struct decisions_step *step; /* under way; NULL: none */
	bool changed;		     /* some decision, since it was last said */
	bool failed;		     /* memory or disk: nothing more until decisions_time */
};

static void hold(struct orders *to, const struct orders *from)
{
	*to = *from;
	(void)said_hold(to->said);
	(void)rulebook_hold(to->rules);
}

static void drop(struct orders *orders)
{
	said_drop(orders->said);
	rulebook_drop(orders->rules);
	*orders = (struct orders){.fresh_until_ms = INT64_MAX};
}

/* --- the explicit status ------------------------------------------------------------------ */

/* That of the environment it was cloned from, until the server can know of the clone itself. */
static const struct status_entry *of_source(const struct decisions *d, const struct env *env)
{
	for (size_t i = 0; i < CLONES_MAX; i++) {
		const struct status_entry *status;

		if (env->made_seq <= d->orders.acked || uuid_is_zero(&env->cloned_from))
			return NULL;
		status = said_status(d->orders.said, &env->cloned_from);
		if (status != NULL)
			return status;
		env = envs_by_id(d->envs, &env->cloned_from);
		if (env == NULL)
			return NULL;
	}
	return NULL;
}

/* That of a blocked one with the same packages, until the server can know of them. */
static const struct status_entry *of_packages(const struct decisions *d, const struct env *env)
{
	const struct said *said = d->orders.said;

	if (env->changed_seq <= d->orders.acked || env->package_count == 0)
		return NULL;
	for (size_t i = 0; i < said->n_statuses; i++) {
		const struct env *other = envs_by_id(d->envs, &said->statuses[i].environment);

		if (said->statuses[i].action == ACTION_BLOCK && other != NULL && other != env &&
		    memcmp(other->digest, env->digest, sizeof env->digest) == 0)
			return &said->statuses[i];
	}
	return NULL;
}

static void find_status(const struct decisions *d, const struct env *env, struct item *item)
{
	const struct status_entry *status = said_status(d->orders.said, &env->id);

	if (status == NULL && d->orders.said != NULL) {
		status = of_source(d, env);
		item->follows = status != NULL ? FOLLOWS_SOURCE : FOLLOWS_NONE;
		if (status == NULL) {
			status = of_packages(d, env);
			item->follows = status != NULL ? FOLLOWS_PACKAGES : FOLLOWS_NONE;
		}
	}
	item->has_status = status != NULL;
	if (status != NULL)
		item->status = *status;
}

/* --- a step ------------------------------------------------------------------------------- */

static int fill_item(const struct decisions *d, struct decisions_step *step, const struct env *env)
{
	struct item *item = &step->items[step->n];
	const char *texts[] = {env_name(env), env->prefix, env->owner, env->platform, env->tool};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		texts[i] = arena_strdup(&step->texts, texts[i]);
		if (texts[i] == NULL)
			return ERR_NOMEM;
	}
	*item = (struct item){.facts = {.environment = env->id,
					.name = texts[0],
					.path = texts[1],
					.user = texts[2],
					.platform = texts[3],
					.tool = texts[4],
					.created_ms = env->created_ms,
					.last_used_ms = d->ops->last_used_ms(d->ctx, env)},
			      .ruling = env->ruling};
	if (step->orders.said != NULL)
		item->facts.labels = step->orders.said->labels;
	find_status(d, env, item);
	step->n++;
	return 0;
}

/* --- which are due ------------------------------------------------------------------------ */

struct choosing {
	struct decisions *d;
	struct decisions_step *step;
	bool urgent; /* those first that somebody waits for */
};

static void choose(void *ctx, struct env *env)
{
	struct choosing *c = ctx;
	struct ruling *r = &env->ruling;

	if (!env->lives || !r->due || r->deciding || (c->urgent && !r->urgent) ||
	    c->step->n == STEP_ITEMS)
		return;
	if (fill_item(c->d, c->step, env) < 0)
		return; /* stays due */
	r->due = false;
	r->deciding = true;
}

static void step_free(struct decisions_step *step)
{
	drop(&step->orders);
	arena_deinit(&step->texts);
	for (size_t i = 0; i < step->n; i++) {
		package_list_deinit(&step->items[i].packages);
		mem_free(step->items[i].kept);
	}
	arena_deinit(&step->loaded);
	mem_free(step);
}

static struct decisions_step *next_step(struct decisions *d)
{
	struct choosing c = {.d = d, .step = mem_calloc(1, sizeof *c.step), .urgent = true};

	if (c.step == NULL)
		return NULL;
	hold(&c.step->orders, &d->orders);
	arena_init(&c.step->texts, TEXTS_MEMORY_MAX);
	arena_init(&c.step->loaded, PACKAGES_MEMORY_MAX);
	atomic_init(&c.step->canceled, false);
	c.step->now_ms = d->ops->now_ms(d->ctx);
	envs_each(d->envs, choose, &c);
	c.urgent = false;
	if (c.step->n == 0) /* else they would wait for those: all of a step come back together */
		envs_each(d->envs, choose, &c);
	if (c.step->n > 0)
		return c.step;
	step_free(c.step);
	return NULL;
}

struct outlook {
	int64_t next_ms;
	bool due;
};

static void look_ahead(void *ctx, struct env *env)
{
	struct outlook *o = ctx;

	if (!env->lives)
		return;
	o->due = o->due || env->ruling.due;
	if (env->ruling.known && env->ruling.valid_until_ms < o->next_ms)
		o->next_ms = env->ruling.valid_until_ms;
}

static void settle(struct decisions *d)
{
	struct outlook o = {.next_ms = INT64_MAX};
	int64_t now = d->ops->now_ms(d->ctx);
	bool changed = d->changed;

	envs_each(d->envs, look_ahead, &o);
	if (o.due && now + RETRY_MS < o.next_ms)
		o.next_ms = now + RETRY_MS;
	d->changed = false;
	d->ops->settled(d->ctx, changed, o.next_ms);
}

static bool takes(struct decisions *d, struct env *env, struct kept_decision *kept,
		  int64_t valid_until_ms)
{
	struct ruling *r = &env->ruling;
	bool changed = !r->known || !kept_decision_equal(r->kept, kept);

	mem_free(r->kept);
	r->kept = kept;
	r->valid_until_ms = valid_until_ms;
	r->known = true;
	r->urgent = r->urgent && r->due; /* what it is made of has changed meanwhile */
	r->put_off = 0;
	d->changed = d->changed || changed;
	return changed;
}

/* Nothing to ask the store for: nobody has said anything, or all is allowed. */
static void allow(void *ctx, struct env *env)
{
	struct decisions *d = ctx;

	if (!env->lives || !env->ruling.due || env->ruling.deciding)
		return;
	env->ruling.due = false;
	d->ops->decided(d->ctx, env, takes(d, env, NULL, INT64_MAX));
}

void decisions_pump(struct decisions *d)
{
	struct decisions_step *step;

	if (d->step != NULL)
		return;
	if (!d->orders.logging || (d->orders.said == NULL && d->orders.rules == NULL)) {
		envs_each(d->envs, allow, d);
		settle(d);
		return;
	}
	step = d->failed ? NULL : next_step(d);
	if (step == NULL) {
		settle(d);
		return;
	}
	d->step = step;
	d->ops->submit(d->ctx, step);
}

bool decisions_idle(const struct decisions *d)
{
	return d->step == NULL;
}

void decisions_cancel(struct decisions *d)
{
	if (d->step != NULL)
		atomic_store(&d->step->canceled, true);
}

static void take_item(struct decisions *d, struct item *item, bool put_off)
{
	struct env *env = envs_by_id(d->envs, &item->facts.environment);
	bool changed;

	if (env == NULL)
		return;
	env->ruling.deciding = false;
	if (!item->done) {
		env->ruling.due = true;
		if (put_off && item->canceled) {
			env->ruling.urgent = false;
			env->ruling.put_off++;
		}
		return;
	}
	changed = takes(d, env, item->kept, item->valid_until_ms);
	item->kept = NULL;
	d->ops->decided(d->ctx, env, changed);
}

static void take_items(struct decisions *d, struct decisions_step *step)
{
	d->step = NULL;
	for (size_t i = 0; i < step->n; i++)
		take_item(d, &step->items[i], step->put_off);
	step_free(step);
}

void decisions_done(struct decisions *d, struct decisions_step *step)
{
	for (size_t i = 0; i < step->n; i++) {
		if (step->items[i].rc == 0 || d->failed)
			continue;
		log_error("decisions", "not made, trying again",
			  LOG_STR("why", err_text(step->items[i].rc)));
		d->failed = true;
	}
	take_items(d, step);
	decisions_pump(d);
}

void decisions_abandon(struct decisions *d, struct decisions_step *step)
{
	d->failed = true;
	take_items(d, step);
	settle(d);
}

/* --- what makes them due ------------------------------------------------------------------ */

void decisions_again(struct decisions *d, struct env *env)
{
	env->ruling.due = true;
	decisions_pump(d);
}

/* Those with a status of their own follow nobody. */
static void follow(void *ctx, struct env *env)
{
	const struct decisions *d = ctx;

	if (env->changed_seq > d->orders.acked && said_status(d->orders.said, &env->id) == NULL)
		env->ruling.due = true;
}

void decisions_changed(struct decisions *d, const struct env *env)
{
	const struct status_entry *status = said_status(d->orders.said, &env->id);

	if (status != NULL && status->action == ACTION_BLOCK)
		envs_each(d->envs, follow, d);
}

void decisions_want(struct decisions *d, struct env *env)
{
	env->ruling.urgent = true;
	if (!env->ruling.deciding)
		env->ruling.due = true;
	if (d->step != NULL && decisions_step_holds_up(d->step, &env->id)) {
		d->step->put_off = true; /* until nobody waits for others */
		decisions_cancel(d);
	}
	decisions_pump(d);
}

static void end_of_time(void *ctx, struct env *env)
{
	int64_t now = *(const int64_t *)ctx;

	if (env->lives && env->ruling.known && env->ruling.valid_until_ms <= now)
		env->ruling.due = true;
}

void decisions_time(struct decisions *d)
{
	int64_t now = d->ops->now_ms(d->ctx);

	d->failed = false;
	envs_each(d->envs, end_of_time, &now);
	decisions_pump(d);
}

struct turnover {
	const struct orders *old;
	const struct orders *now;
	bool all;
};

static bool same_status(const struct status_entry *a, const struct status_entry *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->action != b->action || a->until_ms != b->until_ms ||
	    a->until_fixed != b->until_fixed || a->n_fixed_specs != b->n_fixed_specs ||
	    strcmp(a->message, b->message) != 0)
		return false;
	for (size_t i = 0; i < a->n_fixed_specs; i++)
		if (strcmp(a->fixed_specs[i], b->fixed_specs[i]) != 0)
			return false;
	return true;
}

static bool says_stale(const struct ruling *r)
{
	for (size_t i = 0; r->kept != NULL && i < r->kept->n_reasons; i++)
		if (strcmp(r->kept->reasons[i].kind, "stale") == 0)
			return true;
	return false;
}

static void turn(void *ctx, struct env *env)
{
	const struct turnover *t = ctx;
	struct ruling *r = &env->ruling;

	if (t->all || r->deciding || r->unlocked_until_ms != 0 ||
	    env->changed_seq > t->old->acked || says_stale(r) ||
	    !same_status(said_status(t->old->said, &env->id), said_status(t->now->said, &env->id)))
		r->due = true;
}

static bool same_labels(const struct said *a, const struct said *b)
{
	if (a->labels.n != b->labels.n)
		return false;
	for (size_t i = 0; i < a->labels.n; i++)
		if (strcmp(a->labels.items[i], b->labels.items[i]) != 0)
			return false;
	return true;
}

/* Whether what was said differs in more than the statuses of single environments. */
static bool concerns_all(const struct orders *a, const struct orders *b)
{
	if (a->rules != b->rules || a->logging != b->logging ||
	    (a->said == NULL) != (b->said == NULL))
		return true;
	if (a->said == b->said)
		return false;
	return a->said->n_exceptions > 0 || b->said->n_exceptions > 0 ||
	       !same_labels(a->said, b->said);
}

void decisions_orders(struct decisions *d, const struct orders *orders)
{
	struct turnover t = {
		.old = &d->orders, .now = orders, .all = concerns_all(&d->orders, orders)};
	struct orders held;

	hold(&held, orders);
	envs_each(d->envs, turn, &t);
	if (orders->rules != d->orders.rules || orders->logging != d->orders.logging)
		decisions_cancel(d); /* by rules that count no longer, or while none do */
	drop(&d->orders);
	d->orders = held;
	decisions_pump(d);
}

const struct orders *decisions_present(const struct decisions *d)
{
	return &d->orders;
}

/* --- life --------------------------------------------------------------------------------- */

int decisions_new(struct envs *envs, const struct decisions_ops *ops, void *ctx,
		  struct decisions **out)
{
	struct decisions *d = mem_calloc(1, sizeof *d);

	if (d == NULL)
		return ERR_NOMEM;
	d->envs = envs;
	d->ops = ops;
	d->ctx = ctx;
	d->orders.fresh_until_ms = INT64_MAX;
	*out = d;
	return 0;
}

void decisions_free(struct decisions *d)
{
	if (d == NULL)
		return;
	drop(&d->orders);
	mem_free(d);
}
