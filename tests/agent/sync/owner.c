#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/convert.h"
#include "proto/limits.h"
#include "tests/agent/sync/world.h"

#define KEYS_MAX 2048

/* --- what there is to send --- */

/* Not in order, as in a real journal. */
static void fill_key(unsigned char key[16], size_t i)
{
	memset(key, 0, 16);
	key[0] = (unsigned char)(i * 37);
	key[14] = (unsigned char)(i >> 8);
	key[15] = (unsigned char)i;
}

static void pack(const Envwarden__Sync__Envelope *e, struct buf *out)
{
	struct err err = ERR_INIT;

	if (codec_pack_sync(e, out, &err) < 0)
		fail_msg("owner: %s", err.text);
}

static void make_changes(struct world *w, uint64_t first, size_t n, struct buf *out)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Changes m = ENVWARDEN__SYNC__CHANGES__INIT;
	Envwarden__Sync__JournalChange changes[64], *list[64];
	static const unsigned char hash[32] = {1};

	assert_in_range(n, 1, 64);
	for (size_t i = 0; i < n; i++) {
		envwarden__sync__journal_change__init(&changes[i]);
		changes[i].seq = first + i;
		changes[i].hash = wire_bytes(hash, sizeof(hash));
		list[i] = &changes[i];
	}
	m.epoch = wire_bytes(w->owner.position.epoch.b, UUID_SIZE);
	m.changes = list;
	m.n_changes = n;
	e.kind_case = KIND(CHANGES);
	e.changes = &m;
	pack(&e, out);
}

/* A frame for every 100 definitions. */
static void make_packages(struct world *w, size_t n, struct buf *out)
{
	Envwarden__Sync__Envelope e = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Packages m = ENVWARDEN__SYNC__PACKAGES__INIT;
	Envwarden__Package items[100], *list[100];
	char url[PACKAGE_URL_MAX + 1];

	memset(url, 'u', sizeof(url));
	url[w->owner.package_pad] = '\0';
	for (size_t i = 0; i < 100; i++) {
		envwarden__package__init(&items[i]);
		items[i].name = wire_text("numpy");
		items[i].url = url;
		list[i] = &items[i];
	}
	m.packages = list;
	e.kind_case = KIND(PACKAGES);
	e.packages = &m;
	for (; n > 0; n -= m.n_packages) {
		m.n_packages = n < 100 ? n : 100;
		pack(&e, out);
	}
}

static void make_batch(struct world *w, struct sync_batch *batch)
{
	struct owner *o = &w->owner;
	size_t left = (size_t)(o->position.head - o->after);

	memset(batch, 0, sizeof(*batch));
	buf_init(&batch->changes, LIMIT_SYNC_FRAME + 4);
	buf_init(&batch->keys, (size_t)KEYS_MAX * 16);
	if (left == 0)
		return;
	if (left > o->batch_max)
		left = o->batch_max;
	batch->last_seq = o->after + left;
	make_changes(w, o->after + 1, left, &batch->changes);
	for (size_t i = 0; i < o->keys; i++) {
		unsigned char key[16];

		fill_key(key, i);
		buf_add(&batch->keys, key, sizeof(key));
	}
	batch->n_keys = o->keys;
	assert_int_equal(buf_rc(&batch->keys), 0);
}

/* --- answers --- */

static int result(struct owner *o)
{
	int rc = o->fail;

	o->fail = 0;
	return rc;
}

static void answer_batch(struct world *w)
{
	struct sync_batch batch;

	make_batch(w, &batch);
	w->owner.asked_batch = false;
	sync_batch_ready(w->sync, result(&w->owner), &batch);
	buf_deinit(&batch.changes);
	buf_deinit(&batch.keys);
}

static void answer_packages(struct world *w)
{
	struct buf frames;

	buf_init(&frames, 64U << 20);
	make_packages(w, w->owner.n_packages, &frames);
	w->owner.asked_packages = false;
	sync_packages_ready(w->sync, result(&w->owner), &frames);
	buf_deinit(&frames);
}

static void answer_acked(struct world *w)
{
	int rc = result(&w->owner);

	if (rc == 0)
		w->owner.position.acked = w->owner.acked;
	w->owner.asked_acked = false;
	sync_acked_stored(w->sync, rc);
}

static void answer_welcome(struct world *w)
{
	static const unsigned char token[16] = "continuity-token";
	int rc = result(&w->owner);

	if (rc == 0) {
		memcpy(w->owner.position.continuity, token, sizeof(token));
		w->owner.position.has_continuity = true;
	}
	w->owner.asked_welcome = false;
	sync_welcome_stored(w->sync, rc);
}

/* Of the questions open now; answers bring new ones. */
void owner_answer(struct world *w)
{
	struct owner was = w->owner;

	if (!w->sync)
		return; /* gone: nobody to answer */
	if (was.asked_welcome)
		answer_welcome(w);
	if (was.asked_acked)
		answer_acked(w);
	if (was.asked_packages)
		answer_packages(w);
	if (was.asked_batch)
		answer_batch(w);
}

static void on_timer(uv_timer_t *timer)
{
	owner_answer(timer->data);
}

static void asked(struct world *w, bool *which)
{
	assert_false(*which); /* never twice at a time */
	*which = true;
	if (w->owner.later)
		uv_timer_start(&w->owner.timer, on_timer, 1, 0);
	else if (!w->owner.withhold)
		owner_answer(w);
}

/* --- questions --- */

static void on_position(void *ctx, struct sync_position *out)
{
	struct world *w = ctx;

	*out = w->owner.position;
}

static void on_read_batch(void *ctx, uint64_t after)
{
	struct world *w = ctx;

	trace_add(w, "read:%d", (int)after);
	w->owner.after = after;
	asked(w, &w->owner.asked_batch);
}

static void on_read_packages(void *ctx, const unsigned char *keys, size_t n)
{
	struct world *w = ctx;
	unsigned char sum = 0;

	for (size_t i = 0; i < n * 16; i++) /* all of them can be read */
		sum = (unsigned char)(sum + keys[i]);
	(void)sum;
	trace_add(w, "fetch:%d", (int)n);
	w->owner.n_packages = n;
	asked(w, &w->owner.asked_packages);
}

static void on_acked(void *ctx, const struct uuid *epoch, uint64_t seq)
{
	struct world *w = ctx;

	assert_int_equal(uuid_cmp(epoch, &w->owner.position.epoch), 0);
	trace_add(w, "acked:%d", (int)seq);
	w->owner.acked = seq;
	asked(w, &w->owner.asked_acked);
}

static void on_packages_sent(void *ctx, const unsigned char *keys, size_t n)
{
	struct world *w = ctx;

	assert_non_null(keys);
	trace_add(w, "sent:%d", (int)n);
}

static void on_packages_lost(void *ctx)
{
	trace_add(ctx, "lost-packages");
}

static void on_welcome(void *ctx, const Envwarden__Sync__Welcome *welcome)
{
	struct world *w = ctx;

	trace_add(w, "welcome%s", welcome->new_epoch ? "+epoch" : "");
	if (welcome->new_epoch) {
		memset(w->owner.position.epoch.b, 0x77, UUID_SIZE);
		w->owner.position.head = 2;
		w->owner.position.acked = 0;
	}
	asked(w, &w->owner.asked_welcome);
}

static void on_timestamp(void *ctx, const void *data, size_t n)
{
	struct world *w = ctx;

	trace_add(w, "timestamp:%.*s", (int)n, (const char *)data);
	if (w->owner.want)
		sync_want(w->sync, w->owner.want, w->owner.want_version);
}

static void on_bundle(void *ctx, const char *role, uint64_t version, const void *data, size_t n)
{
	struct world *w = ctx;

	buf_clear(&w->owner.bundle);
	buf_add(&w->owner.bundle, data, n);
	trace_add(w, "bundle:%s/%d:%d", role, (int)version, (int)n);
}

static void on_renewed(void *ctx, const void *chain, size_t n)
{
	struct world *w = ctx;

	buf_clear(&w->identity.chain);
	buf_add(&w->identity.chain, chain, n);
	trace_add(w, "renewed");
}

static void on_state(void *ctx, bool connected, const char *server, const char *why)
{
	struct world *w = ctx;

	(void)server;
	w->owner.connected = connected;
	(void)snprintf(w->owner.why, sizeof(w->owner.why), "%s", why);
	assert_int_equal(why[0] == '\0', connected);
	assert_null(strchr(why, '\n'));
	trace_add(w, connected ? "up" : "down");
}

static int64_t on_trusted(void *ctx)
{
	struct world *w = ctx;

	return w->owner.trusted_ms;
}

const struct sync_ops owner_ops = {.position = on_position,
				   .read_batch = on_read_batch,
				   .read_packages = on_read_packages,
				   .acked = on_acked,
				   .packages_sent = on_packages_sent,
				   .packages_lost = on_packages_lost,
				   .welcome = on_welcome,
				   .timestamp = on_timestamp,
				   .bundle = on_bundle,
				   .renewed = on_renewed,
				   .state = on_state,
				   .trusted_ms = on_trusted};

void owner_init(struct world *w)
{
	struct owner *o = &w->owner;

	memset(o->position.epoch.b, 0x11, UUID_SIZE);
	o->batch_max = 3;
	o->trusted_ms = NOW_MS;
	buf_init(&o->bundle, LIMIT_BUNDLE);
	uv_timer_init(&w->loop, &o->timer);
	o->timer.data = w;
}

void owner_deinit(struct world *w)
{
	buf_deinit(&w->owner.bundle);
	uv_close((uv_handle_t *)&w->owner.timer, NULL);
}

void owner_grow(struct world *w, uint64_t n)
{
	w->owner.position.head += n;
	if (w->sync)
		sync_journal_grew(w->sync);
}
