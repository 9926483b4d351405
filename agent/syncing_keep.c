/* What the server said, kept in the store: what it has by now, its welcome. */
#include <string.h>

#include "agent/engine.h"
#include "agent/syncing_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* --- acknowledged --- */

struct ack_job {
	struct job job;
	struct uuid epoch;
	uint64_t seq;
	int64_t uses_ms; /* of the uses that went with it, 0 = none did */
	struct note_told *notes;
	size_t n_notes;
	struct buf keys;
};

static void ack_run(struct job *job)
{
	struct ack_job *a = container_of(job, struct ack_job, job);
	struct store_journal journal;

	if (a->keys.len > 0)
		job->rc = store_packages_sent(job->e->store, (unsigned char *)a->keys.data,
					      a->keys.len / 16, &job->err);
	store_journal(job->e->store, &journal);
	if (job->rc == 0 && a->seq > 0 && uuid_cmp(&journal.epoch, &a->epoch) == 0)
		job->rc = store_set_acked(job->e->store, a->seq, &job->err);
	if (job->rc == 0 && a->uses_ms > 0)
		job->rc = store_kv_put(job->e->store, SYNCING_KEY_USE_TOLD, &a->uses_ms,
				       sizeof a->uses_ms, &job->err);
}

static void ack_done(struct job *job)
{
	struct ack_job *a = container_of(job, struct ack_job, job);
	struct engine *e = job->e;

	if (job->rc < 0)
		log_error("sync", "acknowledgement not kept", LOG_ERR(&job->err));
	else if (a->uses_ms > 0)
		e->use_told_ms = a->uses_ms;
	notes_acked(e, a->notes, a->n_notes);
	if (a->seq > 0 && e->syncing->client != NULL)
		sync_acked_stored(e->syncing->client, job->rc);
	if (!e->stopping)
		telling_go(e); /* it waited for the server to know the environments */
	buf_deinit(&a->keys);
	mem_free(a->notes);
	mem_free(a);
}

void syncing_keep_ack(struct engine *e, const struct uuid *epoch, uint64_t seq,
		      const unsigned char *keys, size_t n)
{
	struct ack_job *a = mem_calloc(1, sizeof *a);

	if (a == NULL) {
		if (seq > 0 && e->syncing->client != NULL)
			sync_acked_stored(e->syncing->client, ERR_NOMEM);
		return;
	}
	if (epoch != NULL)
		a->epoch = *epoch;
	a->seq = seq;
	if (seq > 0) {
		a->uses_ms = e->syncing->uses_ms;
		e->syncing->uses_ms = 0;
		a->notes = e->syncing->notes;
		a->n_notes = e->syncing->n_notes;
		e->syncing->notes = NULL;
		e->syncing->n_notes = 0;
	}
	buf_init(&a->keys, n * 16 + 1);
	if (n > 0)
		buf_add(&a->keys, keys, n * 16);
	a->job.run = ack_run;
	a->job.done = ack_done;
	engine_submit(e, &a->job);
}

void syncing_acked(void *ctx, const struct uuid *epoch, uint64_t seq)
{
	syncing_keep_ack(ctx, epoch, seq, NULL, 0);
}

void syncing_packages_sent(void *ctx, const unsigned char *keys, size_t n)
{
	syncing_keep_ack(ctx, NULL, 0, keys, n);
}

/* --- welcome --- */

struct welcome_job {
	struct job job;
	struct arena arena;
	unsigned char continuity[16];
	bool new_epoch;
	bool takes_runs;
	bool lost; /* the server has less than it said it had */
	uint64_t acked;
	struct uuid epoch; /* the one Hello told */
	Envwarden__Sync__KnownEnvironment *known;
	size_t n_known;
};

static void adopt_known(struct welcome_job *w)
{
	for (size_t i = 0; i < w->n_known; i++) {
		struct uuid id;

		uuid_from_wire(&w->known[i].id, &id);
		(void)store_expect(w->job.e->store, &id, w->known[i].prefix, w->known[i].owner,
				   NULL);
	}
}

static int begin_anew(struct job *job)
{
	const struct store_new_epoch how = {
		.gap = true, .baseline = true, .now_ms = engine_wall(job->e)};

	return store_new_epoch(job->e->store, &how, &job->err);
}

/*
 * Its word of them was lost, and they were folded into others meanwhile: told anew, all of it. Or
 * it has less than it said, for it was restored from a backup: told again from there, if it can be.
 */
static int welcome_acked(struct job *job, struct welcome_job *w, uint64_t acked)
{
	struct store *store = job->e->store;
	int rc = 0;

	if (w->acked < acked) {
		log_warn("sync", "the server lost changes: telling them again",
			 LOG_INT("acked", (int64_t)acked), LOG_INT("kept", (int64_t)w->acked));
		w->lost = true;
		rc = store_packages_unsent(store, &job->err);
		if (rc == 0)
			rc = store_rewind(store, w->acked, &job->err);
	} else if (w->acked > 0) {
		rc = store_set_acked(store, w->acked, &job->err);
	}
	return rc == ERR_CONFLICT ? begin_anew(job) : rc;
}

static void welcome_run(struct job *job)
{
	struct welcome_job *w = container_of(job, struct welcome_job, job);
	struct store *store = job->e->store;
	struct store_journal journal;

	job->rc = store_kv_put(store, SYNCING_KEY_CONTINUITY, w->continuity, sizeof w->continuity,
			       &job->err);
	store_journal(store, &journal);
	if (job->rc == 0)
		adopt_known(w);
	if (job->rc == 0 && w->new_epoch)
		job->rc = begin_anew(job);
	else if (job->rc == 0 && w->acked <= journal.head &&
		 uuid_cmp(&journal.epoch, &w->epoch) == 0)
		job->rc = welcome_acked(job, w, journal.acked);
}

static void welcome_done(struct job *job)
{
	struct welcome_job *w = container_of(job, struct welcome_job, job);
	struct engine *e = job->e;

	if (job->rc == 0) {
		memcpy(e->syncing->continuity, w->continuity, sizeof w->continuity);
		e->syncing->has_continuity = true;
		if (w->new_epoch)
			notes_forget(e);
		if (w->new_epoch || w->lost) {
			ran_tell_again(e);
			graces_tell_again(e);
		}
		e->ran_taken = w->takes_runs;
		readers_welcome(e);
	} else {
		log_error("sync", "welcome not kept", LOG_ERR(&job->err));
	}
	if (e->syncing->client != NULL)
		sync_welcome_stored(e->syncing->client, job->rc);
	arena_deinit(&w->arena);
	mem_free(w);
}

static void keep_known(struct welcome_job *w, const Envwarden__Sync__Welcome *welcome)
{
	w->known = arena_calloc(&w->arena, welcome->n_known + 1, sizeof *w->known);
	for (size_t i = 0; w->known != NULL && i < welcome->n_known; i++) {
		const Envwarden__Sync__KnownEnvironment *from = welcome->known[i];
		Envwarden__Sync__KnownEnvironment *to = &w->known[w->n_known];

		to->id.data = arena_dup(&w->arena, from->id.data, from->id.len);
		to->id.len = from->id.len;
		to->prefix = arena_strdup(&w->arena, from->prefix);
		to->owner = arena_strdup(&w->arena, from->owner);
		if (to->id.data == NULL || to->prefix == NULL || to->owner == NULL)
			return;
		w->n_known++;
	}
}

void syncing_welcome(void *ctx, const Envwarden__Sync__Welcome *welcome)
{
	struct engine *e = ctx;
	struct welcome_job *w = mem_calloc(1, sizeof *w);

	if (w == NULL || welcome->continuity.len != sizeof w->continuity) {
		mem_free(w);
		sync_welcome_stored(e->syncing->client, ERR_PROTOCOL);
		return;
	}
	(void)trusted_time_hear(&e->time, welcome->server_time_ms, engine_mono(e));
	arena_init(&w->arena, 16u << 20);
	memcpy(w->continuity, welcome->continuity.data, sizeof w->continuity);
	w->new_epoch = welcome->new_epoch;
	w->takes_runs = welcome->takes_runs;
	w->acked = welcome->acked;
	w->epoch = e->journal.epoch;
	keep_known(w, welcome);
	w->job.run = welcome_run;
	w->job.done = welcome_done;
	engine_submit(e, &w->job);
}

/* --- definitions the server lost --- */

static void unsent_run(struct job *job)
{
	job->rc = store_packages_unsent(job->e->store, &job->err);
}

static void unsent_done(struct job *job)
{
	if (job->rc < 0)
		log_error("sync", "definitions are not sent again", LOG_ERR(&job->err));
	mem_free(job);
}

void syncing_packages_lost(void *ctx)
{
	struct job *job = mem_calloc(1, sizeof *job);

	if (job == NULL)
		return; /* the next refusal asks again */
	job->run = unsent_run;
	job->done = unsent_done;
	engine_submit(ctx, job);
}
