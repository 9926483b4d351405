/* Facts: environments told by the reader, into the store and the table, and readings on request. */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/safe_open.h"

_Static_assert(SNAPSHOT_NETWORK == FS_NETWORK, "the core's pure part has its own name for it");

#define INLET_MEMORY_MAX (96u << 20)
/* A reader waits until two are taken (reader_told.c); one that has died may have left some. */
#define STORING_MAX 16
#define NAME_MS 1000 /* for a name; without one, an account is its number */

/* One environment on its way from the link to the store. */
struct inlet {
	struct inlet *next; /* that are being stored */
	struct job job;
	struct intake intake;
	facts_stored_cb stored; /* of a report; NULL = the reader is told */
	void *ctx;
	/* out */
	bool outdated;	   /* a kept package is not in the store */
	bool lacks_pieces; /* it is a base without the gate's pieces */
	struct applied applied;
	struct environment rows[2]; /* the one it is of, and one that it displaced */
	size_t n_rows;
};

struct waiter {
	struct waiter *next;
	uint64_t id;
	facts_read_cb done;
	void *ctx;
};

/* --- the table follows the store --- */

static void take_rows(struct engine *e, const struct environment *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (envs_put(&e->envs, &rows[i]) < 0)
			log_error("core", "out of memory, an environment is not up to date",
				  LOG_STR("prefix", rows[i].prefix));
}

/* What the store does not keep of an environment: that it was told, and what could not be read. */
static void mark_seen(struct engine *e, const struct inlet *in)
{
	const struct snapshot *s = &in->intake.snapshot;
	struct env *env = envs_by_id(&e->envs, &in->applied.environment);

	if (env == NULL)
		return;
	env->seen = true;
	env->away = false;
	env->unmarked = false;
	env_set_notes(env, s->unreadable, s->n_unreadable);
	env_set_mount(env, s->mount, s->filesystem == FS_NETWORK || s->filesystem == FS_FUSE);
	notes_seen(e, env);
	/* What a member reports is no reason to have root look there. */
	if (in->stored == NULL)
		wanting_seen(e, env, in->lacks_pieces);
}

static void journal_grew(struct engine *e, const struct applied *applied)
{
	deciding_applied(e, applied);
	if (!applied->changed && !applied->displaced)
		return;
	requests_journal_grew(e);
	syncing_journal_grew(e);
	fallback_update(e); /* last: it keeps the store's thread waiting for the disk */
}

static void read_rows(struct engine *e, const struct applied *applied, struct arena *arena,
		      struct environment rows[2], size_t *n)
{
	const struct uuid *ids[] = {&applied->environment,
				    applied->displaced ? &applied->displaced_environment : NULL};

	*n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i] != NULL && !uuid_is_zero(ids[i]) &&
		    store_environment_get(e->store, ids[i], arena, &rows[*n], NULL) == 0)
			++*n;
}

/* --- an environment told --- */

static void inlet_free(struct inlet *in)
{
	if (in == NULL)
		return;
	intake_deinit(&in->intake);
	mem_free(in);
}

static const char *keep(struct arena *arena, const char *text)
{
	const char *copy = arena_strdup(arena, text);

	return copy != NULL ? copy : "";
}

static int on_facts(struct engine *e, const Envwarden__Reader__Facts *facts)
{
	struct inlet *in;
	int rc;

	if (e->inlet != NULL)
		return ERR_PROTOCOL;
	in = mem_calloc(1, sizeof *in);
	if (in == NULL)
		return ERR_NOMEM;
	intake_init(&in->intake, INLET_MEMORY_MAX);
	in->intake.from_reader = true;
	rc = intake_facts(&in->intake, facts);
	if (rc < 0)
		inlet_free(in);
	else
		e->inlet = in;
	return rc;
}

static int on_packages(struct engine *e, const Envwarden__Reader__FactsPackages *piece)
{
	return e->inlet != NULL ? intake_packages(&e->inlet->intake, piece) : ERR_PROTOCOL;
}

static int on_kept(struct engine *e, const Envwarden__Reader__FactsKept *kept)
{
	return e->inlet != NULL ? intake_kept(&e->inlet->intake, kept) : ERR_PROTOCOL;
}

static void send_taken(struct engine *e)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Taken taken = ENVWARDEN__READER__TAKEN__INIT;

	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_TAKEN;
	envelope.taken = &taken;
	if (e->link != NULL && link_send(e->link, &envelope) < 0)
		link_stop(e->link);
}

/* The members' names as the system knows them: the reader and reports only have numbers. */
static void name_person(struct engine *e, struct intake *in, struct person *who)
{
	struct user user;

	who->name = "";
	if (who->uid >= 0 && accounts_by_uid(e->names, (uint32_t)who->uid, NAME_MS, &user) == 0)
		who->name = keep(&in->arena, user.name);
}

static void name_persons(struct engine *e, struct intake *in)
{
	name_person(e, in, &in->snapshot.owner);
	name_person(e, in, &in->snapshot.history.owner);
	name_person(e, in, &in->snapshot.python_owner);
	name_person(e, in, &in->snapshot.record_owner);
}

static void apply_run(struct job *job)
{
	struct inlet *in = container_of(job, struct inlet, job);
	struct engine *e = job->e;

	name_persons(e, &in->intake);
	if (in->intake.kept.n > 0) {
		job->rc = known_merge(e->store, &in->intake, &job->err);
		in->outdated = job->rc == ERR_NOTFOUND;
		if (job->rc < 0)
			return;
	}
	CHECK(snapshot_seal(&in->intake.snapshot) == 0); /* the intake counted them */
	in->lacks_pieces = snapshot_lacks_pieces(&in->intake.snapshot);
	job->rc = store_apply(e->store, &in->intake.snapshot, engine_wall(e), &in->applied,
			      &job->err);
	if (job->rc == 0 || in->applied.displaced)
		read_rows(e, &in->applied, &in->intake.arena, in->rows, &in->n_rows);
}

static void note_store(struct engine *e, const struct job *job, const struct applied *applied)
{
	if (job->rc == 0) {
		/* Where nothing was new nothing was written, which tells nothing. */
		if (applied->changed || applied->packages_differ)
			engine_store_works(e);
		return;
	}
	log_error("store", "not written", LOG_ERR(&job->err));
	(void)snprintf(e->store_trouble, sizeof e->store_trouble, "%s", job->err.text);
	engine_store_failed(e);
}

/* What was to be taken from the store is not there any more: all of it is to be read. */
static void read_again(struct engine *e, struct inlet *in)
{
	struct env *env = envs_by_id(&e->envs, &in->intake.kept.basis);

	log_debug("core", "told by marks that are out of date",
		  LOG_STR("prefix", in->intake.snapshot.prefix));
	if (env != NULL)
		env->unmarked = true;
	(void)facts_read(e, in->intake.snapshot.prefix, NULL, NULL);
	send_taken(e);
	inlet_free(in);
}

static void leave_storing(struct engine *e, const struct inlet *in)
{
	struct inlet **p = &e->storing;

	while (*p != in)
		p = &(*p)->next;
	*p = in->next;
}

static void apply_done(struct job *job)
{
	struct inlet *in = container_of(job, struct inlet, job);
	struct engine *e = job->e;

	leave_storing(e, in);
	if (in->outdated) {
		read_again(e, in);
		return;
	}
	note_store(e, job, &in->applied);
	take_rows(e, in->rows, in->n_rows);
	mark_seen(e, in);
	journal_grew(e, &in->applied);
	if (in->applied.changed)
		log_info("journal", change_kind_name(in->applied.kind),
			 LOG_STR("prefix", in->intake.snapshot.prefix),
			 LOG_INT("seq", in->applied.seq));
	if (in->stored != NULL)
		in->stored(in->ctx, job->rc);
	else if (job->rc == 0)
		send_taken(e);
	inlet_free(in);
}

static void apply(struct engine *e, struct inlet *in)
{
	in->job.run = apply_run;
	in->job.done = apply_done;
	in->next = e->storing;
	e->storing = in;
	engine_submit(e, &in->job);
}

bool facts_on_their_way(const struct engine *e, const char *prefix)
{
	for (const struct inlet *in = e->storing; in != NULL; in = in->next)
		if (strcmp(in->intake.snapshot.prefix, prefix) == 0)
			return true;
	return false;
}

int facts_store(struct engine *e, struct intake *intake, facts_stored_cb stored, void *ctx)
{
	struct inlet *in = mem_calloc(1, sizeof *in);

	if (in == NULL)
		return ERR_NOMEM;
	in->intake = *intake;
	*intake = (struct intake){.refused = 0};
	in->stored = stored;
	in->ctx = ctx;
	apply(e, in);
	return 0;
}

static bool has_room(const struct engine *e)
{
	size_t n = 0;

	for (const struct inlet *in = e->storing; in != NULL; in = in->next)
		n++;
	return n < STORING_MAX;
}

static int on_facts_end(struct engine *e, const Envwarden__Reader__FactsEnd *end)
{
	struct inlet *in = e->inlet;
	int rc = in != NULL && has_room(e) ? intake_end(&in->intake, end) : ERR_PROTOCOL;

	if (rc < 0)
		return rc;
	e->inlet = NULL;
	if (!engine_logging(e)) {
		inlet_free(in);
		send_taken(e);
		return 0;
	}
	apply(e, in);
	return 0;
}

/* --- an environment gone --- */

struct parting {
	struct job job;
	struct arena arena;
	char *prefix;
	struct store_gone gone;
	struct run_facts last;
	struct applied applied;
	struct environment rows[2];
	size_t n_rows;
};

static void gone_run(struct job *job)
{
	struct parting *p = container_of(job, struct parting, job);

	job->rc = store_gone(job->e->store, &p->gone, engine_wall(job->e), &p->applied, &job->err);
	if (job->rc == ERR_NOTFOUND)
		job->rc = 0;
	if (job->rc == 0 && p->applied.changed)
		read_rows(job->e, &p->applied, &p->arena, p->rows, &p->n_rows);
}

static void gone_done(struct job *job)
{
	struct parting *p = container_of(job, struct parting, job);
	struct engine *e = job->e;

	note_store(e, job, &p->applied);
	take_rows(e, p->rows, p->n_rows);
	journal_grew(e, &p->applied);
	if (p->applied.changed)
		log_info("journal", "deleted", LOG_STR("prefix", p->gone.prefix),
			 LOG_INT("seq", p->applied.seq));
	arena_deinit(&p->arena);
	mem_free(p);
}

/* last: NULL when nothing tells how it went. */
static void keep_last(struct parting *p, const Envwarden__Reader__HistoryFacts *last)
{
	if (last == NULL)
		return;
	person_from_wire(last->owner, &p->last.owner); /* nobody when absent */
	p->last.owner.name = keep(&p->arena, p->last.owner.name);
	p->last.command = keep(&p->arena, last->command);
	p->last.tool = keep(&p->arena, last->tool);
	p->gone.last = &p->last;
}

static int part(struct engine *e, const struct store_gone *what,
		const Envwarden__Reader__HistoryFacts *last)
{
	struct parting *p = mem_calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	arena_init(&p->arena, 4u << 20);
	p->gone = *what;
	p->gone.prefix = keep(&p->arena, what->prefix);
	keep_last(p, last);
	p->job.run = gone_run;
	p->job.done = gone_done;
	engine_submit(e, &p->job);
	return 0;
}

static int on_gone(struct engine *e, const Envwarden__Reader__Gone *gone)
{
	struct store_gone what = {
		.prefix = gone->prefix, .device = gone->device, .inode = gone->inode};

	return engine_logging(e) ? part(e, &what, gone->last) : 0;
}

/* --- after the jobs before --- */

struct barrier {
	struct job job;
	int rc;
	uint64_t id; /* of a waiter, which may be forgotten meanwhile; or 0: */
	facts_read_cb done;
	void *ctx;
};

static void nothing_run(struct job *job)
{
	(void)job;
}

static struct waiter *take_waiter(struct engine *e, uint64_t id)
{
	for (struct waiter **p = &e->waiters; *p != NULL; p = &(*p)->next)
		if ((*p)->id == id) {
			struct waiter *found = *p;

			*p = found->next;
			return found;
		}
	return NULL;
}

static void barrier_done(struct job *job)
{
	struct barrier *b = container_of(job, struct barrier, job);
	struct waiter *w = b->id != 0 ? take_waiter(job->e, b->id) : NULL;

	if (w != NULL && w->done != NULL)
		w->done(w->ctx, b->rc);
	if (b->done != NULL)
		b->done(b->ctx, b->rc);
	mem_free(w);
	mem_free(b);
}

/* What is told when the jobs submitted so far are done: a waiter's answer, or a call. */
static int after_jobs(struct engine *e, const struct barrier *what)
{
	struct barrier *b = mem_calloc(1, sizeof *b);

	if (b == NULL)
		return ERR_NOMEM;
	*b = *what;
	b->job.run = nothing_run;
	b->job.done = barrier_done;
	engine_submit(e, &b->job);
	return 0;
}

/* --- the first scan --- */

static void probe_missing(void *ctx, struct env *env)
{
	struct engine *e = ctx;

	/*
	 * Known from before and not come up in the scan: the reader looks at the very path and
	 * tells either facts or that nothing is there.
	 */
	if (env->lives && !env->seen)
		(void)facts_read(e, env->prefix, NULL, NULL);
}

/* Everything the scan told is stored: whatever failed before is not there any more. */
static void scan_stored(void *ctx, int rc)
{
	struct engine *e = ctx;

	(void)rc;
	e->scan_stored = e->scan_done;
	if (e->scan_done && !e->paused)
		engine_store_works(e);
	notes_changed(e);
}

static int on_scan_done(struct engine *e, const Envwarden__Reader__ScanDone *done)
{
	e->scan_done = true;
	log_info("core", "first scan done", LOG_INT("environments", done->environments));
	envs_each(&e->envs, probe_missing, e);
	return after_jobs(e, &(struct barrier){.done = scan_stored, .ctx = e});
}

/* --- readings on request --- */

static int on_read_done(struct engine *e, const Envwarden__Reader__ReadDone *done)
{
	struct env *env = envs_by_path(&e->envs, done->prefix);

	if (done->code == ERR_NOTFOUND && env != NULL && env->lives && engine_logging(e)) {
		struct store_gone what = {.prefix = done->prefix, .seen_at_start = true};
		int rc = part(e, &what, NULL);

		if (rc < 0)
			return rc;
	}
	/* The facts it caused are in the store by then. */
	return after_jobs(e, &(struct barrier){.id = done->id, .rc = done->code});
}

static struct waiter *add_waiter(struct engine *e, facts_read_cb done, void *ctx)
{
	struct waiter *w = e->link != NULL ? mem_calloc(1, sizeof *w) : NULL;

	if (w == NULL)
		return NULL;
	w->id = ++e->next_id;
	w->done = done;
	w->ctx = ctx;
	w->next = e->waiters;
	e->waiters = w;
	return w;
}

uint64_t facts_await(struct engine *e, facts_read_cb done, void *ctx)
{
	struct waiter *w = add_waiter(e, done, ctx);

	if (w == NULL)
		return 0;
	if (after_jobs(e, &(struct barrier){.id = w->id}) < 0) {
		facts_forget(e, w->id);
		return 0;
	}
	return w->id;
}

uint64_t facts_read(struct engine *e, const char *prefix, facts_read_cb done, void *ctx)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Read request = ENVWARDEN__READER__READ__INIT;
	const struct env *env = envs_by_path(&e->envs, prefix);
	struct waiter *w = add_waiter(e, done, ctx);

	if (w == NULL)
		return 0;
	request.id = w->id;
	request.prefix = wire_text(prefix);
	if (env != NULL && env->lives) {
		request.volume = wire_bytes(env->volume, sizeof env->volume);
		request.device = env->device;
		request.inode = env->inode;
	}
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_READ;
	envelope.read = &request;
	if (link_send(e->link, &envelope) < 0) {
		facts_forget(e, w->id);
		return 0;
	}
	return w->id;
}

void facts_forget(struct engine *e, uint64_t id)
{
	mem_free(take_waiter(e, id));
}

/* --- the link --- */

int facts_message(struct engine *e, const Envwarden__Reader__Envelope *message)
{
	switch (message->kind_case) {
	case ENVWARDEN__READER__ENVELOPE__KIND_FACTS:
		return on_facts(e, message->facts);
	case ENVWARDEN__READER__ENVELOPE__KIND_PACKAGES:
		return on_packages(e, message->packages);
	case ENVWARDEN__READER__ENVELOPE__KIND_KEPT:
		return on_kept(e, message->kept);
	case ENVWARDEN__READER__ENVELOPE__KIND_FACTS_END:
		return on_facts_end(e, message->facts_end);
	case ENVWARDEN__READER__ENVELOPE__KIND_GONE:
		return on_gone(e, message->gone);
	case ENVWARDEN__READER__ENVELOPE__KIND_READ_DONE:
		return on_read_done(e, message->read_done);
	case ENVWARDEN__READER__ENVELOPE__KIND_SCAN_DONE:
		return on_scan_done(e, message->scan_done);
	default:
		return ERR_PROTOCOL;
	}
}

static void fail_waiters(struct engine *e)
{
	while (e->waiters != NULL) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		if (w->done != NULL)
			w->done(w->ctx, ERR_CANCELED);
		mem_free(w);
	}
}

void facts_link_lost(struct engine *e)
{
	inlet_free(e->inlet);
	e->inlet = NULL;
	fail_waiters(e);
}
