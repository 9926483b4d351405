/* What the server lacks, read from the store: batches of the journal, definitions of packages. */
#include <string.h>

#include "agent/engine.h"
#include "agent/syncing_impl.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define BATCH_KEYS_MAX 65536 /* more than a frame of changes can name */
#define FRAME_MAX (LIMIT_SYNC_FRAME + 4)

/* --- batches --- */

struct batch_job {
	struct job job;
	uint64_t after;
	struct arena arena;
	struct sync_batch batch;
	Envwarden__Sync__Changes changes;
	struct change kept[SYNC_BATCH_CHANGES]; /* what the wire structs borrow from */
	size_t size;				/* packed */
	struct uuid epoch;
	unsigned char previous[SHA256_SIZE];
	struct use_told *uses;
	size_t n_uses;
	struct notes_batch notes;
};

static int note_keys(struct batch_job *b, Envwarden__Sync__PackageRef *const *refs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool sent = false;
		size_t k;
		int rc = store_package_is_sent(b->job.e->store, refs[i]->key.data, &sent,
					       &b->job.err);

		if (rc < 0)
			return rc;
		for (k = 0; !sent && k < b->batch.n_keys; k++)
			sent = memcmp(b->batch.keys.data + k * 16, refs[i]->key.data, 16) == 0;
		if (sent)
			continue;
		buf_add(&b->batch.keys, refs[i]->key.data, 16);
		if (buf_rc(&b->batch.keys) < 0)
			return buf_rc(&b->batch.keys);
		b->batch.n_keys++;
	}
	return 0;
}

static int add_change(void *ctx, const struct store_change *stored)
{
	struct batch_job *b = ctx;
	struct change *kept = &b->kept[b->changes.n_changes];
	Envwarden__Sync__JournalChange *wire = NULL;
	unsigned char *hash = arena_dup(&b->arena, stored->hash, sizeof stored->hash);
	size_t size;
	int rc = hash != NULL ? change_copy(&b->arena, &stored->change, kept) : ERR_NOMEM;

	if (rc == 0)
		rc = journal_change_to_wire(kept, hash, &b->arena, &wire);
	size = rc == 0 ? codec_size(&wire->base) + CODEC_ITEM_EXTRA : 0;
	if (rc < 0 || (b->size + size > LIMIT_SYNC_CHUNK && b->changes.n_changes > 0)) {
		change_deinit(kept);
		return rc < 0 ? rc : 1; /* full: the rest comes with the next batch */
	}
	b->changes.changes[b->changes.n_changes++] = wire;
	b->size += size;
	b->batch.last_seq = stored->change.seq;
	return 0;
}

static bool begins(const Envwarden__Sync__JournalChange *wire)
{
	return wire->kind == ENVWARDEN__CHANGE_KIND__CHANGE_CREATED ||
	       wire->kind == ENVWARDEN__CHANGE_KIND__CHANGE_RECREATED ||
	       wire->kind == ENVWARDEN__CHANGE_KIND__CHANGE_CLONED;
}

/* When it was made, as decisions here go by it: rules ask how long it was not used. */
static int note_created(struct batch_job *b, Envwarden__Sync__JournalChange *wire)
{
	struct environment env;
	struct uuid id;
	int rc = 0;

	if (!begins(wire))
		return 0;
	uuid_from_wire(&wire->environment, &id);
	rc = store_environment_get(b->job.e->store, &id, &b->arena, &env, &b->job.err);
	if (rc == 0)
		wire->created_ms = env.created_ms;
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* After the walk over the changes: the store reads one thing at a time. */
static int note_packages(struct batch_job *b)
{
	int rc = 0;

	for (size_t i = 0; i < b->changes.n_changes && rc == 0; i++) {
		Envwarden__Sync__JournalChange *wire = b->changes.changes[i];

		rc = note_created(b, wire);
		if (rc == 0)
			rc = note_keys(b, wire->added, wire->n_added);
		if (rc == 0)
			rc = note_keys(b, wire->removed, wire->n_removed);
	}
	return rc;
}

static int add_uses(struct batch_job *b)
{
	Envwarden__Sync__EnvironmentUse *items =
		arena_calloc(&b->arena, b->n_uses + 1, sizeof *items);

	b->changes.uses = arena_calloc(&b->arena, b->n_uses + 1, sizeof *b->changes.uses);
	if (items == NULL || b->changes.uses == NULL)
		return err_nomem(&b->job.err);
	for (size_t i = 0; i < b->n_uses; i++) {
		envwarden__sync__environment_use__init(&items[i]);
		items[i].environment = wire_uuid(&b->uses[i].environment);
		items[i].last_used_ms = b->uses[i].last_used_ms;
		b->changes.uses[i] = &items[i];
	}
	b->changes.n_uses = b->n_uses;
	return 0;
}

static int pack_changes(struct batch_job *b)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;

	b->changes.epoch = wire_bytes(b->epoch.b, sizeof b->epoch.b);
	b->changes.previous_hash = wire_bytes(b->previous, sizeof b->previous);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_CHANGES;
	envelope.changes = &b->changes;
	return codec_pack_sync(&envelope, &b->batch.changes, &b->job.err);
}

static int read_changes(struct batch_job *b)
{
	struct store *store = b->job.e->store;
	int rc = store_chain_at(store, b->after, b->previous, &b->job.err);

	if (rc == 0)
		rc = store_unacked(store, b->after, SYNC_BATCH_CHANGES, SYNC_BATCH_BYTES,
				   add_change, b, &b->job.err);
	return rc < 0 ? rc : note_packages(b);
}

static void batch_run(struct job *job)
{
	struct batch_job *b = container_of(job, struct batch_job, job);
	struct store *store = job->e->store;
	struct store_journal journal;

	store_journal(store, &journal);
	b->epoch = journal.epoch;
	b->changes.changes =
		arena_calloc(&b->arena, SYNC_BATCH_CHANGES, sizeof *b->changes.changes);
	if (b->changes.changes == NULL) {
		job->rc = err_nomem(&job->err);
		return;
	}
	if (b->after < journal.acked)
		b->after = journal.acked;
	if (journal.head == 0 || (b->after >= journal.head && b->n_uses == 0 && b->notes.n == 0))
		return;
	if (b->after < journal.head) {
		job->rc = read_changes(b);
	} else {
		memcpy(b->previous, journal.head_hash, sizeof b->previous);
		b->batch.last_seq = journal.head;
	}
	/* With the last ones only: the server has to know the environments by then. */
	if (job->rc == 0 && b->batch.last_seq == journal.head)
		job->rc = add_uses(b);
	/* In a message of their own: they may be as big as the changes. */
	if (job->rc == 0 && b->changes.n_changes == 0 && b->changes.n_uses == 0) {
		b->changes.notes = b->notes.items;
		b->changes.n_notes = b->notes.n;
	}
	if (job->rc == 0 && b->batch.last_seq > 0)
		job->rc = pack_changes(b);
}

static void batch_free(struct batch_job *b)
{
	for (size_t i = 0; i < b->changes.n_changes; i++)
		change_deinit(&b->kept[i]);
	arena_deinit(&b->arena);
	buf_deinit(&b->batch.changes);
	buf_deinit(&b->batch.keys);
	mem_free(b->uses);
	mem_free(b->notes.told);
	mem_free(b);
}

/* What is told now is acknowledged with the batch. */
static void take_notes(struct engine *e, struct batch_job *b)
{
	mem_free(e->syncing->notes);
	e->syncing->notes = NULL;
	e->syncing->n_notes = b->changes.n_notes;
	if (b->changes.n_notes > 0) {
		e->syncing->notes = b->notes.told;
		b->notes.told = NULL;
	}
}

static void batch_done(struct job *job)
{
	struct batch_job *b = container_of(job, struct batch_job, job);
	struct engine *e = job->e;

	if (job->rc < 0)
		log_error("sync", "journal not read", LOG_ERR(&job->err));
	if (b->changes.n_uses == 0)
		e->syncing->uses_ms = 0;
	take_notes(e, b);
	if (e->syncing->client != NULL)
		sync_batch_ready(e->syncing->client, job->rc, &b->batch);
	batch_free(b);
}

/* Without memory they wait for the next time. */
static void gather_uses(struct engine *e, struct batch_job *b)
{
	size_t max = e->envs.living < LIMIT_USES ? e->envs.living : LIMIT_USES;

	b->uses = mem_calloc(max + 1, sizeof *b->uses);
	if (b->uses != NULL)
		b->n_uses = use_untold(e, b->uses, max);
	e->syncing->uses_ms = b->n_uses > 0 ? engine_wall(e) : 0;
}

void syncing_read_batch(void *ctx, uint64_t after)
{
	struct engine *e = ctx;
	struct batch_job *b = mem_calloc(1, sizeof *b);
	struct sync_batch none = {0};

	if (b == NULL || !state_logging(e)) {
		mem_free(b);
		sync_batch_ready(e->syncing->client, 0, &none); /* asked again when it grows */
		return;
	}
	b->after = after;
	gather_uses(e, b);
	arena_init(&b->arena, SYNCING_MEMORY_MAX);
	notes_gather(e, &b->arena, &b->notes);
	buf_init(&b->batch.changes, FRAME_MAX);
	buf_init(&b->batch.keys, (size_t)BATCH_KEYS_MAX * 16);
	envwarden__sync__changes__init(&b->changes);
	b->job.run = batch_run;
	b->job.done = batch_done;
	engine_submit(e, &b->job);
}

/* --- definitions --- */

struct packages_job {
	struct job job;
	struct buf keys;
	struct buf frames;
	struct arena arena;
};

static int pack_piece(struct packages_job *p, Envwarden__Package **items, size_t n)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Packages packages = ENVWARDEN__SYNC__PACKAGES__INIT;

	packages.packages = items;
	packages.n_packages = n;
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_PACKAGES;
	envelope.packages = &packages;
	return codec_pack_sync(&envelope, &p->frames, &p->job.err);
}

static void packages_run(struct job *job)
{
	struct packages_job *p = container_of(job, struct packages_job, job);
	size_t n = p->keys.len / 16;
	Envwarden__Package **items = arena_calloc(&p->arena, n + 1, sizeof *items);
	size_t first = 0;
	size_t size = 0;

	job->rc = items != NULL ? 0 : err_nomem(&job->err);
	for (size_t i = 0; i < n && job->rc == 0; i++) {
		struct package *package = arena_alloc(&p->arena, sizeof *package);

		job->rc = package != NULL
				  ? store_package_get(job->e->store,
						      (unsigned char *)p->keys.data + i * 16,
						      &p->arena, package, &job->err)
				  : err_nomem(&job->err);
		if (job->rc == 0)
			job->rc = package_to_wire(package, &p->arena, &items[i]);
		if (job->rc < 0)
			return;
		size += codec_size(&items[i]->base) + CODEC_ITEM_EXTRA;
		if (size < LIMIT_SYNC_CHUNK && i + 1 < n)
			continue;
		job->rc = pack_piece(p, items + first, i + 1 - first);
		first = i + 1;
		size = 0;
	}
}

static void packages_done(struct job *job)
{
	struct packages_job *p = container_of(job, struct packages_job, job);
	struct engine *e = job->e;

	if (job->rc < 0)
		log_error("sync", "definitions not read", LOG_ERR(&job->err));
	if (e->syncing->client != NULL)
		sync_packages_ready(e->syncing->client, job->rc, &p->frames);
	buf_deinit(&p->keys);
	buf_deinit(&p->frames);
	arena_deinit(&p->arena);
	mem_free(p);
}

void syncing_read_packages(void *ctx, const unsigned char *keys, size_t n)
{
	struct engine *e = ctx;
	struct packages_job *p = mem_calloc(1, sizeof *p);
	struct buf none = {0};

	if (p == NULL) {
		sync_packages_ready(e->syncing->client, ERR_NOMEM, &none);
		return;
	}
	arena_init(&p->arena, SYNCING_MEMORY_MAX);
	buf_init(&p->keys, n * 16 + 1);
	buf_init(&p->frames, 64u << 20);
	buf_add(&p->keys, keys, n * 16);
	p->job.run = packages_run;
	p->job.done = packages_done;
	engine_submit(e, &p->job);
}
