/* What the sync client asks for: batches of the journal, definitions, and where to keep things. */
#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "agent/sent.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/secret.h"
#include "proto/limits.h"

#define KEY_CONTINUITY "continuity"
#define KEY_USE_TOLD "use-told"
#define BATCH_MEMORY_MAX (64u << 20)
#define BATCH_KEYS_MAX 65536 /* more than a frame of changes can name */
#define FRAME_MAX (LIMIT_SYNC_FRAME + 4)
#define LOCAL_ACK_CHANGES 256 /* changes of an agent that is not enrolled */

struct syncing {
	struct sync *client;
	bool connected;
	char server[LIMIT_ADDRESS + 1];
	char why[ENGINE_TEXT_MAX];
	unsigned char continuity[16];
	bool has_continuity;
	int64_t uses_ms; /* when the uses under way were gathered, 0 = none are */
	char ticket_path[PATHS_MAX];
	char identity_path[PATHS_MAX];
	syncing_enrol_cb enrolled;
	void *enrolled_ctx;
};

static void on_position(void *ctx, struct sync_position *out)
{
	struct engine *e = ctx;

	*out = (struct sync_position){.epoch = e->journal.epoch,
				      .head = e->journal.head,
				      .acked = e->journal.acked,
				      .has_continuity = e->syncing->has_continuity};
	memcpy(out->head_hash, e->journal.head_hash, sizeof out->head_hash);
	memcpy(out->continuity, e->syncing->continuity, sizeof out->continuity);
	state_held(e, out);
}

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

/* After the walk over the changes: the store reads one thing at a time. */
static int note_packages(struct batch_job *b)
{
	int rc = 0;

	for (size_t i = 0; i < b->changes.n_changes && rc == 0; i++) {
		const Envwarden__Sync__JournalChange *wire = b->changes.changes[i];

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
	if (journal.head == 0 || (b->after >= journal.head && b->n_uses == 0))
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
	mem_free(b);
}

static void batch_done(struct job *job)
{
	struct batch_job *b = container_of(job, struct batch_job, job);
	struct engine *e = job->e;

	if (job->rc < 0)
		log_error("sync", "journal not read", LOG_ERR(&job->err));
	if (b->changes.n_uses == 0)
		e->syncing->uses_ms = 0;
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

static void on_read_batch(void *ctx, uint64_t after)
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
	arena_init(&b->arena, BATCH_MEMORY_MAX);
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

static void on_read_packages(void *ctx, const unsigned char *keys, size_t n)
{
	struct engine *e = ctx;
	struct packages_job *p = mem_calloc(1, sizeof *p);
	struct buf none = {0};

	if (p == NULL) {
		sync_packages_ready(e->syncing->client, ERR_NOMEM, &none);
		return;
	}
	arena_init(&p->arena, BATCH_MEMORY_MAX);
	buf_init(&p->keys, n * 16 + 1);
	buf_init(&p->frames, 64u << 20);
	buf_add(&p->keys, keys, n * 16);
	p->job.run = packages_run;
	p->job.done = packages_done;
	engine_submit(e, &p->job);
}

/* --- acknowledged --- */

struct ack_job {
	struct job job;
	struct uuid epoch;
	uint64_t seq;
	int64_t uses_ms; /* of the uses that went with it, 0 = none did */
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
		job->rc = store_kv_put(job->e->store, KEY_USE_TOLD, &a->uses_ms, sizeof a->uses_ms,
				       &job->err);
}

static void ack_done(struct job *job)
{
	struct ack_job *a = container_of(job, struct ack_job, job);
	struct engine *e = job->e;

	if (job->rc < 0)
		log_error("sync", "acknowledgement not kept", LOG_ERR(&job->err));
	else if (a->uses_ms > 0)
		e->use_told_ms = a->uses_ms;
	if (a->seq > 0 && e->syncing->client != NULL)
		sync_acked_stored(e->syncing->client, job->rc);
	if (!e->stopping)
		telling_go(e); /* it waited for the server to know the environments */
	buf_deinit(&a->keys);
	mem_free(a);
}

static void submit_ack(struct engine *e, const struct uuid *epoch, uint64_t seq,
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
	}
	buf_init(&a->keys, n * 16 + 1);
	if (n > 0)
		buf_add(&a->keys, keys, n * 16);
	a->job.run = ack_run;
	a->job.done = ack_done;
	engine_submit(e, &a->job);
}

static void on_acked(void *ctx, const struct uuid *epoch, uint64_t seq)
{
	submit_ack(ctx, epoch, seq, NULL, 0);
}

static void on_packages_sent(void *ctx, const unsigned char *keys, size_t n)
{
	submit_ack(ctx, NULL, 0, keys, n);
}

/* --- welcome --- */

struct welcome_job {
	struct job job;
	struct arena arena;
	unsigned char continuity[16];
	bool new_epoch;
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

/* Its word of them was lost, and they were folded into others meanwhile: told anew, all of it. */
static int welcome_acked(struct job *job, uint64_t acked)
{
	const struct store_new_epoch how = {
		.gap = true, .baseline = true, .now_ms = engine_wall(job->e)};
	int rc = store_set_acked(job->e->store, acked, &job->err);

	return rc == ERR_CONFLICT ? store_new_epoch(job->e->store, &how, &job->err) : rc;
}

static void welcome_run(struct job *job)
{
	struct welcome_job *w = container_of(job, struct welcome_job, job);
	struct store *store = job->e->store;
	struct store_journal journal;

	job->rc =
		store_kv_put(store, KEY_CONTINUITY, w->continuity, sizeof w->continuity, &job->err);
	store_journal(store, &journal);
	if (job->rc == 0)
		adopt_known(w);
	if (job->rc == 0 && w->new_epoch)
		job->rc = store_new_epoch(store,
					  &(struct store_new_epoch){.gap = true,
								    .baseline = true,
								    .now_ms = engine_wall(job->e)},
					  &job->err);
	else if (job->rc == 0 && w->acked > 0 && w->acked <= journal.head &&
		 uuid_cmp(&journal.epoch, &w->epoch) == 0)
		job->rc = welcome_acked(job, w->acked);
}

static void welcome_done(struct job *job)
{
	struct welcome_job *w = container_of(job, struct welcome_job, job);
	struct engine *e = job->e;

	if (job->rc == 0) {
		memcpy(e->syncing->continuity, w->continuity, sizeof w->continuity);
		e->syncing->has_continuity = true;
		engine_welcomed(e);
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

static void on_welcome(void *ctx, const Envwarden__Sync__Welcome *welcome)
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
	w->acked = welcome->acked;
	w->epoch = e->journal.epoch;
	keep_known(w, welcome);
	w->job.run = welcome_run;
	w->job.done = welcome_done;
	engine_submit(e, &w->job);
}

/* --- the rest --- */

static void on_timestamp(void *ctx, const void *data, size_t n)
{
	state_timestamp(ctx, data, n);
}

static void on_bundle(void *ctx, const char *role, uint64_t version, const void *data, size_t n)
{
	state_bundle(ctx, role, version, data, n);
}

static void on_renewed(void *ctx, const void *chain, size_t n)
{
	struct engine *e = ctx;
	struct err err = ERR_INIT;
	struct buf old = e->identity.chain;

	buf_init(&e->identity.chain, LIMIT_CHAIN * LIMIT_CERTIFICATE);
	buf_add(&e->identity.chain, chain, n);
	if (buf_rc(&e->identity.chain) == 0 &&
	    sync_identity_save(&e->identity, e->syncing->identity_path, &err) == 0) {
		buf_deinit(&old);
		log_info("sync", "certificate renewed", LOG_NONE);
		return;
	}
	log_error("sync", "renewed certificate not kept", LOG_ERR(&err));
	buf_deinit(&e->identity.chain);
	e->identity.chain = old;
}

static void on_decisions_acked(void *ctx, uint64_t number)
{
	telling_acked(ctx, number);
}

static void on_state(void *ctx, bool connected, const char *server, const char *why)
{
	struct engine *e = ctx;
	struct syncing *s = e->syncing;

	if (connected != s->connected)
		log_info("sync", connected ? "connected" : "disconnected",
			 LOG_STR("server", server), LOG_STR("why", why));
	if (!connected)
		telling_lost(e);
	s->connected = connected;
	(void)snprintf(s->server, sizeof s->server, "%s", server);
	(void)snprintf(s->why, sizeof s->why, "%s", why);
	if (connected)
		telling_go(e);
}

static int64_t on_trusted(void *ctx)
{
	return engine_trusted(ctx);
}

static void on_sent(void *ctx, const void *payload, size_t n)
{
	sent_note(ctx, payload, n);
}

static const struct sync_ops ops = {.position = on_position,
				    .read_batch = on_read_batch,
				    .read_packages = on_read_packages,
				    .acked = on_acked,
				    .packages_sent = on_packages_sent,
				    .welcome = on_welcome,
				    .timestamp = on_timestamp,
				    .bundle = on_bundle,
				    .renewed = on_renewed,
				    .decisions_acked = on_decisions_acked,
				    .state = on_state,
				    .sent = on_sent,
				    .trusted_ms = on_trusted};

void syncing_journal_grew(struct engine *e)
{
	if (e->syncing->client != NULL)
		sync_journal_grew(e->syncing->client);
	else if (!e->enrolled && !e->stopping && e->enrol == NULL &&
		 e->journal.head - e->journal.acked >= LOCAL_ACK_CHANGES)
		/* Nobody will ever ask for them: from here on the journal's bound holds. */
		submit_ack(e, &e->journal.epoch, e->journal.head, NULL, 0);
}

struct sync *syncing_client(const struct engine *e)
{
	return e->syncing != NULL ? e->syncing->client : NULL;
}

bool syncing_connected(const struct engine *e)
{
	return e->syncing->connected;
}

const char *syncing_server(const struct engine *e)
{
	if (e->syncing->server[0] != '\0')
		return e->syncing->server;
	return e->identity.n_addresses > 0 ? e->identity.addresses[0] : "";
}

const char *syncing_why(const struct engine *e)
{
	return e->syncing->why;
}

static int start_client(struct engine *e, struct err *err)
{
	const struct sync_config config = {.loop = &e->loop,
					   .identity = &e->identity,
					   .ticket_path = e->syncing->ticket_path,
					   .proxy = e->config.proxy,
					   .addresses = e->config.server.items,
					   .n_addresses = e->config.server.n,
					   .ops = &ops,
					   .ctx = e};

	return sync_start(&config, &e->syncing->client, err);
}

/* --- enrolment --- */

static void enrol_ended(struct engine *e, int rc, const struct err *err)
{
	struct syncing *s = e->syncing;
	syncing_enrol_cb done = s->enrolled;

	e->enrol = NULL;
	s->enrolled = NULL;
	if (done != NULL)
		done(s->enrolled_ctx, rc, err);
}

struct adopt_job {
	struct job job;
};

/* Everything learnt from another organisation before is void; then the identity makes it so. */
static void adopt_run(struct job *job)
{
	struct engine *e = job->e;

	job->rc = store_trusted_clear(e->store, &job->err);
	if (job->rc == 0)
		job->rc = store_packages_unsent(e->store, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, KEY_CONTINUITY, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, KEY_USE_TOLD, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_delete(e->store, ENGINE_KEY_LOST, &job->err);
	if (job->rc == 0)
		job->rc = store_kv_put(e->store, "logging", "0", 1, &job->err);
	if (job->rc == 0)
		job->rc = sync_identity_save(&e->identity, e->syncing->identity_path, &job->err);
}

static void adopt_done(struct job *job)
{
	struct adopt_job *a = container_of(job, struct adopt_job, job);
	struct engine *e = job->e;

	if (job->rc == 0) {
		e->enrolled = true;
		e->use_told_ms = 0;
		job->rc = state_begin(e, &job->err);
	}
	if (job->rc == 0 && !e->stopping)
		job->rc = start_client(e, &job->err);
	if (job->rc < 0) {
		/* Not half: the next start must not find it. */
		(void)files_remove(e->syncing->identity_path, NULL);
		sync_identity_deinit(&e->identity);
		sync_identity_init(&e->identity);
		e->enrolled = false;
	} else {
		log_info("sync", "enrolled", LOG_STR("organisation", e->identity.name));
		engine_restart_reader(e); /* logging is the organisation's to switch on */
		deciding_state_changed(e);
	}
	enrol_ended(e, job->rc, &job->err);
	mem_free(a);
}

static void on_enrolled(void *ctx, int rc, struct sync_identity *identity, const struct err *err)
{
	struct engine *e = ctx;
	struct adopt_job *a;
	struct err nomem = ERR_INIT;

	e->enrol = NULL;
	if (rc < 0) {
		enrol_ended(e, rc, err);
		return;
	}
	a = mem_calloc(1, sizeof *a);
	if (a == NULL) {
		enrol_ended(e, err_nomem(&nomem), &nomem);
		return;
	}
	e->identity = *identity;
	sync_identity_init(identity);
	a->job.run = adopt_run;
	a->job.done = adopt_done;
	engine_submit(e, &a->job);
}

void syncing_enrol(struct engine *e, const struct join_code *code, syncing_enrol_cb done, void *ctx)
{
	const struct enrol_config config = {.loop = &e->loop,
					    .code = code,
					    .proxy = e->config.proxy,
					    .timeout_ms = 30000,
					    .now_ms = engine_wall(e),
					    .done = on_enrolled,
					    .ctx = e};
	struct err err = ERR_INIT;

	if (e->enrolled || e->syncing->enrolled != NULL) {
		err_set(&err, ERR_EXISTS,
			e->enrolled ? "this machine is enrolled already"
				    : "an enrolment is under way already");
		done(ctx, err.code, &err);
		return;
	}
	e->syncing->enrolled = done;
	e->syncing->enrolled_ctx = ctx;
	if (enrol_start(&config, &e->enrol, &err) < 0)
		enrol_ended(e, err.code, &err);
}

/* --- life --- */

static int load_kept(struct engine *e)
{
	struct buf token;

	buf_init(&token, 64);
	if (store_kv_get(e->store, KEY_CONTINUITY, &token, NULL) == 0 &&
	    token.len == sizeof e->syncing->continuity) {
		memcpy(e->syncing->continuity, token.data, token.len);
		e->syncing->has_continuity = true;
	}
	buf_clear(&token);
	if (store_kv_get(e->store, KEY_USE_TOLD, &token, NULL) == 0 &&
	    token.len == sizeof e->use_told_ms)
		memcpy(&e->use_told_ms, token.data, token.len);
	buf_deinit(&token);
	return 0;
}

int syncing_start(struct engine *e, struct err *err)
{
	return e->enrolled ? start_client(e, err) : 0;
}

int syncing_prepare(struct engine *e, struct err *err)
{
	struct syncing *s = mem_calloc(1, sizeof *s);
	int rc;

	if (s == NULL)
		return err_nomem(err);
	e->syncing = s;
	sync_identity_init(&e->identity);
	rc = paths_join(s->ticket_path, e->options->paths.state, "ticket", err);
	if (rc == 0)
		rc = paths_join(s->identity_path, e->options->paths.state, "identity", err);
	if (rc < 0)
		return rc;
	rc = sync_identity_load(s->identity_path, &e->identity, err);
	if (rc == 0)
		e->enrolled = true;
	else if (rc != ERR_NOTFOUND)
		return rc;
	return load_kept(e);
}

struct stopping {
	struct engine *e;
	void (*stopped)(void *owner);
	void *owner;
};

static void on_client_stopped(void *owner)
{
	struct stopping *st = owner;
	struct engine *e = st->e;
	void (*stopped)(void *) = st->stopped;
	void *stopped_owner = st->owner;

	e->syncing->client = NULL;
	mem_free(st);
	stopped(stopped_owner);
}

void syncing_stop(struct engine *e, void (*stopped)(void *owner), void *owner)
{
	struct stopping *st;

	if (e->enrol != NULL)
		enrol_stop(e->enrol);
	if (e->syncing->client == NULL) {
		stopped(owner);
		return;
	}
	st = mem_calloc(1, sizeof *st);
	CHECK(st != NULL);
	*st = (struct stopping){e, stopped, owner};
	sync_stop(e->syncing->client, on_client_stopped, st);
}

void syncing_free(struct engine *e)
{
	sync_identity_deinit(&e->identity);
	mem_free(e->syncing);
	e->syncing = NULL;
}
