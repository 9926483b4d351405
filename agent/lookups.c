/*
 * From a target to an environment, and to the decision on it.
 *
 *   resolve the typed text to candidates -> the reader says which is there and whether it is clean
 *     (unless it has lent its word on that, lease.h)
 *     clean: answer;  being changed: answer from the last settled snapshot and say so
 *     dirty or never seen: have it read, then answer
 *   whatever takes longer than the deadline is answered from what is known.
 */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define DEADLINE_MS 100
#define LOOKUPS_MAX 4096
#define LOOKUP_MEMORY_MAX (1u << 20)

struct lookup {
	struct lookup *next; /* in the order of their deadlines, which is that of their coming */
	struct engine *e;
	uint64_t probe;	   /* id, 0 = answered */
	uint64_t read;	   /* id of the reading, or the storing, waited for, 0 none */
	uint64_t lease;	   /* lent with the answer that it is clean */
	uint64_t remounts; /* lease_remounts when the reader was asked */
	int64_t deadline_ms;
	uint32_t uid;
	char *prefix; /* canonical, once known; else the first candidate */
	char *named;  /* as the asker names it */
	char *held;   /* until the reader tells: the first candidate that is known, or NULL */
	const char *notice;
	const char *several; /* of that name, if it is not conda's order that decides; or NULL */
	bool held_guessed;   /* conda would not find what is held */
	bool unreadable;     /* the reader may not look at it */
	bool sole;	     /* there is one candidate only */
	bool deciding;	     /* it waits for the decision on this one: */
	struct uuid environment;
	bool late;  /* its deadline has come */
	bool blind; /* the reader did not say what is there */
	lookup_cb done;
	void *ctx;
	struct arena arena;
};

struct lookups {
	struct lookup *first;
	struct lookup **last;
	size_t n;
	uv_timer_t timer;
};

static const char notice_busy[] = "It is being changed right now; this is about how it was before.";
static const char notice_slow[] = "The agent was still reading it; this is what was known before.";
static const char notice_blind[] =
	"The agent can't look at environments right now; this is what was "
	"known before.";

static const char notice_away[] =
	"Its file system does not answer or is not mounted; this is what was known before.";

/* Names the mount, if one was told since the start. */
static const char *away_notice(struct lookup *l)
{
	const struct env *env = envs_by_path(&l->e->envs, l->held != NULL ? l->held : l->prefix);
	char text[LIMIT_TEXT];
	const char *notice;

	if (env == NULL || env->mount == NULL)
		return notice_away;
	(void)snprintf(text, sizeof text, "%.900s %s; this is what was known before.", env->mount,
		       env->away ? "is not mounted" : "does not answer");
	notice = arena_strdup(&l->arena, text);
	return notice != NULL ? notice : notice_away;
}

static void remove_lookup(struct lookups *all, struct lookup *l)
{
	struct lookup **p = &all->first;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	if (all->last == &l->next)
		all->last = p;
	all->n--;
}

/* The answer waits for the decision, as long as there is time. */
static bool waits(struct lookup *l)
{
	struct engine *e = l->e;
	struct env *env = envs_by_path(&e->envs, l->prefix);

	if (env == NULL || l->late || e->stopping || deciding_fresh(e, env))
		return false;
	decisions_want(e->decisions, env);
	if (deciding_fresh(e, env))
		return false;
	l->deciding = true;
	l->environment = env->id;
	return true;
}

static void finish(struct lookup *l, int rc, const char *error)
{
	struct engine *e = l->e;
	struct lookup_result result = {.rc = rc, .error = error, .late = l->late || l->blind};

	if (l->read != 0)
		facts_forget(e, l->read);
	l->read = 0;
	l->probe = 0;
	l->deciding = false;
	if (rc == 0 && waits(l))
		return;
	result.prefix = l->prefix;
	result.named = l->named;
	result.unreadable = l->unreadable;
	result.sole = l->sole;
	result.notice = l->notice != NULL ? l->notice : "";
	result.several = l->several;
	remove_lookup(e->lookups, l);
	result.env = envs_by_path(&e->envs, l->prefix);
	l->done(l->ctx, &result);
	arena_deinit(&l->arena);
	mem_free(l);
}

static struct lookup *find_waiting(struct engine *e, const struct uuid *environment)
{
	for (struct lookup *l = e->lookups->first; l != NULL; l = l->next)
		if (l->deciding && uuid_cmp(&l->environment, environment) == 0)
			return l;
	return NULL;
}

void lookups_decided(struct engine *e, struct env *env)
{
	struct lookup *l;

	while (e->lookups != NULL && deciding_fresh(e, env) &&
	       (l = find_waiting(e, &env->id)) != NULL)
		finish(l, 0, NULL);
}

/* The reader did not say in time which candidate is there: the first one that is known. */
static void finish_unprobed(struct lookup *l, const char *notice)
{
	if (l->held != NULL)
		l->prefix = l->held;
	if (l->held == NULL || !l->held_guessed)
		l->several = NULL;
	l->notice = notice;
	l->blind = true;
	finish(l, 0, NULL);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct engine *e)
{
	struct lookups *all = e->lookups;
	int64_t wait;

	if (all->first == NULL) {
		uv_timer_stop(&all->timer);
		return;
	}
	wait = all->first->deadline_ms - engine_mono(e);
	uv_timer_start(&all->timer, on_timer, (uint64_t)(wait > 0 ? wait : 0), 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	int64_t now = engine_mono(e);

	while (e->lookups->first != NULL && e->lookups->first->deadline_ms <= now) {
		e->lookups->first->late = true;
		finish_unprobed(e->lookups->first, notice_slow);
	}
	arm(e);
}

static void on_read(void *ctx, int rc)
{
	struct lookup *l = ctx;

	l->read = 0; /* what is known by now is the answer */
	switch (rc) {
	case 0:
	case ERR_NOTFOUND:
	case ERR_PERM:
		l->unreadable = rc == ERR_PERM;
		finish(l, 0, NULL);
		return;
	case ERR_BUSY:
		l->notice = notice_busy;
		finish(l, 0, NULL);
		return;
	case ERR_UNREACHABLE:
		finish_unprobed(l, away_notice(l));
		return;
	default:
		finish_unprobed(l, notice_blind);
	}
}

static void have_read(struct lookup *l)
{
	l->read = facts_read(l->e, l->prefix, on_read, l);
	if (l->read == 0)
		finish_unprobed(l, notice_blind);
}

static void on_stored(void *ctx, int rc);

/*
 * It is as the reader told last: which may not be in the table yet, or, told by marks that turned
 * out to be of no use, will have to be told again. Until the reader takes the lease back it need
 * not be asked about this one.
 */
static void finish_clean(struct lookup *l)
{
	struct env *env = envs_by_path(&l->e->envs, l->prefix);

	if (facts_on_their_way(l->e, l->prefix)) {
		l->read = facts_await(l->e, on_stored, l);
		if (l->read == 0)
			finish_unprobed(l, notice_slow);
	} else if (env != NULL && env->unmarked) {
		have_read(l);
	} else {
		if (env != NULL) {
			env->lease = l->lease;
			env->remounts = l->remounts;
		}
		finish(l, 0, NULL);
	}
}

static void on_stored(void *ctx, int rc)
{
	struct lookup *l = ctx;

	l->read = 0;
	if (rc < 0)
		finish_unprobed(l, notice_blind);
	else
		finish_clean(l);
}

/* Those that were answered have 0, which a reader may name all the same. */
static struct lookup *find_probe(struct engine *e, uint64_t id)
{
	for (struct lookup *l = e->lookups->first; id != 0 && l != NULL; l = l->next)
		if (l->probe == id)
			return l;
	return NULL;
}

static void take_prefix(struct lookup *l, const char *prefix)
{
	char *copy = prefix[0] == '/' ? arena_strdup(&l->arena, prefix) : NULL;

	if (copy != NULL)
		l->prefix = copy;
}

void lookups_probe_reply(struct engine *e, const Envwarden__Reader__ProbeReply *reply)
{
	struct lookup *l = find_probe(e, reply->id);

	if (l == NULL)
		return; /* its deadline has passed */
	l->probe = 0;
	take_prefix(l, reply->prefix);
	if (reply->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE) {
		/* Where it may not look it can't tell which is there: one that is known. */
		l->unreadable = true;
		if (reply->prefix[0] == '\0' && l->held != NULL)
			l->prefix = l->held;
	}
	if (reply->state == ENVWARDEN__READER__PROBE_REPLY__STATE__AWAY) {
		finish_unprobed(l, away_notice(l));
		return;
	}
	if (!reply->guessed)
		l->several = NULL;
	l->held = NULL;
	switch (reply->state) {
	case ENVWARDEN__READER__PROBE_REPLY__STATE__CLEAN:
		l->lease = reply->lease;
		finish_clean(l);
		return;
	case ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE:
		finish(l, 0, NULL);
		return;
	case ENVWARDEN__READER__PROBE_REPLY__STATE__BUSY:
		l->notice = notice_busy;
		finish(l, 0, NULL);
		return;
	case ENVWARDEN__READER__PROBE_REPLY__STATE__DIRTY:
	case ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN:
		have_read(l);
		return;
	default:
		finish(l, ERR_NOTFOUND, NULL);
	}
}

/* One that waits for the reader; at the end, any. */
static struct lookup *find_blind(struct engine *e)
{
	struct lookup *l = e->lookups->first;

	while (l != NULL && l->deciding && !e->stopping)
		l = l->next;
	return l;
}

void lookups_link_lost(struct engine *e)
{
	struct lookup *l;

	while (e->lookups != NULL && (l = find_blind(e)) != NULL)
		finish_unprobed(l, notice_blind);
}

/* --- from the target to the probe --- */

struct meant {
	struct resolved all;
	size_t own;	       /* of them, those that conda would try, too */
	struct resolved known; /* environments of that name that this user has, however found */
};

struct by_name {
	struct resolved *resolved;
	struct arena *arena;
	const char *name;
	int64_t uid;
};

/* Wherever this user has an environment of that name, however it was found. */
static void add_by_name(void *ctx, struct env *env)
{
	struct by_name *by = ctx;

	if (env->owner_uid == by->uid && strcmp(env_name(env), by->name) == 0)
		(void)resolve_add(by->resolved, by->arena, env->prefix);
}

static enum resolve_kind kind_of(const Envwarden__Local__Target *t)
{
	static const enum resolve_kind kinds[] = {RESOLVE_DEFAULT, RESOLVE_ENV, RESOLVE_PREFIX,
						  RESOLVE_NAME};

	return (size_t)t->kind < ARRAY_SIZE(kinds) ? kinds[t->kind] : RESOLVE_ENV;
}

static bool is_mamba(const Envwarden__Local__Target *t)
{
	return strcmp(t->tool, "mamba") == 0 || strcmp(t->tool, "micromamba") == 0;
}

/*
 * What it may mean, without any file: for the time when the reader does not tell, and what is wrong
 * with it in itself.
 */
static int find_candidates(struct lookup *l, const Envwarden__Local__Target *t, struct meant *found,
			   struct err *err)
{
	const struct resolve_input in = {.kind = kind_of(t),
					 .typed = t->typed,
					 .where = {.home = t->home,
						   .conda_prefix = t->conda_prefix,
						   .base = t->root_prefix,
						   .cwd = t->cwd},
					 .mamba = is_mamba(t),
					 .base_read_only = t->base_read_only,
					 .envs_dirs = (const char *const *)t->envs_dirs,
					 .n_envs_dirs = t->n_envs_dirs};
	struct by_name by = {&found->known, &l->arena, t->typed, l->uid};
	int rc = resolve(&in, &l->arena, &found->all, err);

	found->known.n = 0;
	found->own = found->all.n;
	if (rc < 0 || !resolve_by_name(in.kind, in.typed))
		return rc;
	envs_each(&l->e->envs, add_by_name, &by);
	for (size_t i = 0; i < found->known.n && rc == 0; i++)
		rc = resolve_add(&found->all, &l->arena, found->known.candidates[i]);
	return rc < 0 ? err_nomem(err) : 0;
}

/*
 * A path that the reader would find by itself, of an environment that it would say is clean. It is
 * told who asks, as it would have been.
 */
static bool needs_no_probe(struct lookup *l, const Envwarden__Local__Target *t)
{
	const struct env *env =
		resolve_by_name(kind_of(t), t->typed) ? NULL : envs_by_path(&l->e->envs, l->prefix);

	return env != NULL && !env->unmarked && lease_is_good(&l->e->lease, env->lease) &&
	       env->remounts == lease_remounts(&l->e->lease) &&
	       !facts_on_their_way(l->e, l->prefix) && readers_account(l->e, l->uid);
}

static int send_probe(struct lookup *l, const Envwarden__Local__Target *t,
		      const struct resolved *known)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Probe probe = ENVWARDEN__READER__PROBE__INIT;
	char *config[] = {t->xdg_config_home, t->condarc, t->mambarc};

	l->probe = ++l->e->next_id;
	l->remounts = lease_remounts(&l->e->lease);
	probe.id = l->probe;
	probe.candidates = (char **)known->candidates;
	probe.n_candidates = known->n < LIMIT_CANDIDATES ? known->n : LIMIT_CANDIDATES;
	probe.typed = t->typed;
	probe.kind = (uint32_t)kind_of(t);
	probe.cwd = t->cwd;
	probe.conda_prefix = t->conda_prefix;
	probe.root_prefix = t->root_prefix;
	probe.asker = (is_mamba(t) ? ENVWARDEN__READER__PROBE_ASKER__ASKER_MAMBA : 0) |
		      (t->base_read_only ? ENVWARDEN__READER__PROBE_ASKER__ASKER_READ_ONLY : 0);
	probe.envs_dirs = t->envs_dirs;
	probe.n_envs_dirs = t->n_envs_dirs;
	probe.uid = l->uid;
	probe.home = t->home;
	probe.config = config;
	probe.n_config = *config[0] || *config[1] || *config[2] ? ARRAY_SIZE(config) : 0;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PROBE;
	envelope.probe = &probe;
	return link_send(l->e->link, &envelope);
}

static void hold_known(struct lookup *l, const struct meant *found)
{
	for (size_t i = 0; i < found->all.n && l->held == NULL; i++)
		if (envs_by_path(&l->e->envs, found->all.candidates[i]) != NULL) {
			l->held = (char *)found->all.candidates[i];
			l->held_guessed = i >= found->own;
		}
}

/* What a command says that was given a name of several: NULL if there are not. */
static const char *tell_several(struct lookup *l, const struct resolved *known)
{
	size_t living = 0;
	struct buf text;
	const char *told = NULL;

	if (known->n < 2)
		return NULL;
	buf_init(&text, LIMIT_TEXT - 1);
	buf_adds(&text, "several environments have this name; give the path of one:");
	for (size_t i = 0; i < known->n; i++) {
		const struct env *env = envs_by_path(&l->e->envs, known->candidates[i]);

		if (env == NULL || !env->lives)
			continue;
		living++;
		if (text.len + strlen(env->prefix) < LIMIT_TEXT - 8)
			buf_addf(&text, " %s", env->prefix);
		else if (buf_rc(&text) == 0 && strcmp(buf_cstr(&text) + text.len - 3, "...") != 0)
			buf_adds(&text, " ...");
	}
	if (living > 1)
		told = arena_strdup(&l->arena, buf_cstr(&text));
	buf_deinit(&text);
	return told;
}

static void refuse(lookup_cb done, void *ctx, int rc, const char *error)
{
	done(ctx, &(struct lookup_result){
			  .rc = rc, .error = error, .prefix = "", .named = "", .notice = ""});
}

void lookups_begin(struct engine *e, uint32_t uid, const Envwarden__Local__Target *target,
		   lookup_cb done, void *ctx)
{
	static char none[] = "";
	struct lookups *all = e->lookups;
	struct lookup *l = all->n < LOOKUPS_MAX ? mem_calloc(1, sizeof *l) : NULL;
	struct meant found;
	struct err err = ERR_INIT;
	int rc;

	if (l == NULL) {
		refuse(done, ctx, ERR_BUSY, "the agent is busy, try again");
		return;
	}
	*l = (struct lookup){.e = e,
			     .uid = uid,
			     .done = done,
			     .ctx = ctx,
			     .deadline_ms = engine_mono(e) + DEADLINE_MS};
	arena_init(&l->arena, LOOKUP_MEMORY_MAX);
	rc = target != NULL ? find_candidates(l, target, &found, &err)
			    : err_set(&err, ERR_INVALID, "no target");
	if (rc < 0) {
		refuse(done, ctx, rc, err.text);
		arena_deinit(&l->arena);
		mem_free(l);
		return;
	}
	l->prefix = found.all.n > 0 ? (char *)found.all.candidates[0] : none;
	l->named = arena_strdup(&l->arena, *target->typed ? target->typed : target->conda_prefix);
	if (l->named == NULL)
		l->named = none;
	hold_known(l, &found);
	l->several = tell_several(l, &found.known);
	l->sole = found.all.n == 1;
	*all->last = l;
	all->last = &l->next;
	all->n++;
	if (e->link == NULL || !engine_logging(e))
		finish_unprobed(l, engine_logging(e) ? notice_blind : NULL);
	else if (needs_no_probe(l, target))
		finish(l, 0, NULL);
	else if (send_probe(l, target, &found.known) < 0)
		finish_unprobed(l, notice_blind);
	if (all->first != NULL && !uv_is_active((uv_handle_t *)&all->timer))
		arm(e);
}

/* --- life --- */

int lookups_start(struct engine *e)
{
	e->lookups = mem_calloc(1, sizeof *e->lookups);
	if (e->lookups == NULL)
		return ERR_NOMEM;
	e->lookups->last = &e->lookups->first;
	CHECK(uv_timer_init(&e->loop, &e->lookups->timer) == 0);
	e->lookups->timer.data = e;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct engine *e = handle->data;

	mem_free(e->lookups);
	e->lookups = NULL;
}

void lookups_stop(struct engine *e)
{
	lookups_link_lost(e);
	uv_close((uv_handle_t *)&e->lookups->timer, on_timer_closed);
}
