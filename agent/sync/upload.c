/*
 * Changes upward, a batch at a time: read it, bring the server the definitions it lacks, send the
 * changes, wait until they are durable there, have that noted. A batch cut off anywhere is read and
 * sent again on the next connection; the server knows a change by its number.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "lib/net/frame.h"
#include "proto/canonical.h"
#include "proto/convert.h"

#define KEY PACKAGE_KEY_SIZE
#define UNASKED_MAX 8 /* so few definitions are sent without asking who has them */

void upload_init(struct upload *u)
{
	*u = (struct upload){.state = UPLOAD_IDLE};
}

static void batch_clear(struct upload *u)
{
	buf_deinit(&u->batch.changes);
	buf_deinit(&u->batch.keys);
	u->batch = (struct sync_batch){.last_seq = 0};
	buf_deinit(&u->packages);
	u->packages_sent = 0;
	u->keys_done = u->keys_now = 0;
}

void upload_reset(struct sync *sync)
{
	batch_clear(&sync->upload);
	sync->upload.state = UPLOAD_IDLE;
	sync->upload.more = true; /* ask what there is */
}

bool upload_blocked(const struct upload *u)
{
	return u->state == UPLOAD_OFFERING || u->state == UPLOAD_PACKAGES ||
	       u->state == UPLOAD_CHANGES;
}

void sync_journal_grew(struct sync *sync)
{
	sync->upload.more = true;
	sync_settle(sync);
}

/* --- reading --- */

static void read_batch(struct sync *sync)
{
	struct sync_position at;

	sync->upload.state = UPLOAD_READING;
	sync->upload.more = false;
	sync->ops->position(sync->ctx, &at);
	sync_ask(sync, QUESTION_BATCH);
	sync->ops->read_batch(sync->ctx, at.acked);
}

static int key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, KEY);
}

static int batch_check(const struct sync_batch *b)
{
	return b->n_keys == b->keys.len / KEY && b->keys.len % KEY == 0 && buf_rc(&b->keys) == 0 &&
			       buf_rc(&b->changes) == 0
		       ? 0
		       : ERR_INTERNAL;
}

static void batch_begin(struct sync *sync)
{
	struct upload *u = &sync->upload;
	struct sync_position at;

	if (u->batch.last_seq == 0) {
		batch_clear(u);
		u->state = UPLOAD_IDLE;
		return;
	}
	sync->ops->position(sync->ctx, &at);
	u->epoch = at.epoch;
	if (u->batch.n_keys > 0) /* sorted, to know them again in the server's answer */
		qsort(u->batch.keys.data, u->batch.n_keys, KEY, key_cmp);
	u->state = u->batch.n_keys > 0 ? UPLOAD_OFFERING : UPLOAD_CHANGES;
}

void sync_batch_ready(struct sync *sync, int rc, struct sync_batch *batch)
{
	struct upload *u = &sync->upload;
	struct sync_batch taken = *batch;

	batch->changes = (struct buf){.data = NULL};
	batch->keys = (struct buf){.data = NULL};
	sync->open &= ~(unsigned)QUESTION_BATCH;
	if (rc == 0)
		rc = batch_check(&taken);
	if (sync->state == SYNC_LIVE && u->state == UPLOAD_READING) {
		u->batch = taken;
		if (rc == 0)
			batch_begin(sync);
		else
			sync_lose(sync, rc, "the journal could not be read: %s", err_text(rc));
	} else {
		buf_deinit(&taken.changes);
		buf_deinit(&taken.keys);
	}
	sync_settle(sync);
}

/* --- definitions --- */

static const unsigned char *round_keys(const struct upload *u)
{
	return (const unsigned char *)u->batch.keys.data + u->keys_done * KEY;
}

/* The next keys are dealt with: more of them, or the changes. */
static void round_done(struct upload *u)
{
	buf_deinit(&u->packages);
	u->packages_sent = 0;
	u->keys_done += u->keys_now;
	u->keys_now = 0;
	u->state = u->keys_done < u->batch.n_keys ? UPLOAD_OFFERING : UPLOAD_CHANGES;
}

static void fetch(struct sync *sync, const unsigned char *keys, size_t n)
{
	sync->upload.state = UPLOAD_FETCHING;
	sync_ask(sync, QUESTION_PACKAGES);
	sync->ops->read_packages(sync->ctx, keys, n);
}

static bool offer(struct sync *sync)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__PackageOffer message = ENVWARDEN__SYNC__PACKAGE_OFFER__INIT;
	struct upload *u = &sync->upload;
	size_t left = u->batch.n_keys - u->keys_done;

	u->keys_now = left < LIMIT_OFFER_KEYS ? left : LIMIT_OFFER_KEYS;
	if (u->keys_now <= UNASKED_MAX) {
		fetch(sync, round_keys(u), u->keys_now);
		return true;
	}
	message.keys = wire_bytes(round_keys(u), u->keys_now * KEY);
	envelope.kind_case = CLIENT_KIND(PACKAGE_OFFER);
	envelope.package_offer = &message;
	if (!sync_send(sync, &envelope))
		return false;
	u->state = UPLOAD_OFFERED;
	sync_await(sync, ANSWER_NEED);
	return true;
}

/* It may ask for what it was offered, nothing else. */
static bool were_offered(const struct upload *u, const ProtobufCBinaryData *keys)
{
	if (keys->len % KEY != 0 || keys->len / KEY > u->keys_now)
		return false;
	for (size_t i = 0; i < keys->len; i += KEY) {
		if (!bsearch(keys->data + i, round_keys(u), u->keys_now, KEY, key_cmp))
			return false;
	}
	return true;
}

void upload_on_need(struct sync *sync, const Envwarden__Sync__PackageNeed *need)
{
	struct upload *u = &sync->upload;

	if (!sync_answered(sync, ANSWER_NEED) || !were_offered(u, &need->keys))
		sync_lose(sync, ERR_PROTOCOL, "the server asked for packages it was not offered");
	else if (need->keys.len == 0)
		round_done(u);
	else
		fetch(sync, need->keys.data, need->keys.len / KEY);
}

void sync_packages_ready(struct sync *sync, int rc, struct buf *frames)
{
	struct upload *u = &sync->upload;
	struct buf taken = *frames;

	*frames = (struct buf){.data = NULL};
	sync->open &= ~(unsigned)QUESTION_PACKAGES;
	if (rc == 0)
		rc = buf_rc(&taken);
	if (sync->state == SYNC_LIVE && u->state == UPLOAD_FETCHING) {
		u->packages = taken;
		u->packages_sent = 0;
		u->state = UPLOAD_PACKAGES;
		if (rc < 0)
			sync_lose(sync, rc, "packages could not be read: %s", err_text(rc));
	} else {
		buf_deinit(&taken);
	}
	sync_settle(sync);
}

/* --- sending --- */

/* One frame, its length in front; *used is how many bytes of data it took. */
static bool send_frame(struct sync *sync, const char *data, size_t n, size_t *used)
{
	struct rd r;
	size_t size;
	const void *payload;

	rd_init(&r, data, n);
	payload = rd_lp(&r, LIMIT_SYNC_FRAME, &size);
	if (!payload) {
		sync_lose(sync, ERR_INTERNAL, "a message of ours is malformed or over a limit");
		return false;
	}
	if (!sync_send_frame(sync, payload, size))
		return false;
	*used = FRAME_HEADER_SIZE + size;
	return true;
}

static bool send_packages(struct sync *sync)
{
	struct upload *u = &sync->upload;

	while (u->packages_sent < u->packages.len) {
		size_t used;

		if (!send_frame(sync, u->packages.data + u->packages_sent,
				u->packages.len - u->packages_sent, &used))
			return false;
		u->packages_sent += used;
	}
	round_done(u);
	return true;
}

static bool send_changes(struct sync *sync)
{
	struct upload *u = &sync->upload;
	size_t used;

	if (!send_frame(sync, u->batch.changes.data, u->batch.changes.len, &used))
		return false;
	u->state = UPLOAD_SENT;
	buf_deinit(&u->batch.changes); /* from now on the disk has it */
	sync_await(sync, ANSWER_ACK);
	return true;
}

/* False: something has to happen first. */
static bool step(struct sync *sync)
{
	struct upload *u = &sync->upload;

	switch (u->state) {
	case UPLOAD_IDLE:
		if (!u->more || (sync->open & (unsigned)QUESTION_BATCH) != 0)
			return false;
		read_batch(sync);
		return true;
	case UPLOAD_OFFERING:
		return offer(sync);
	case UPLOAD_PACKAGES:
		return send_packages(sync);
	case UPLOAD_CHANGES:
		return send_changes(sync);
	case UPLOAD_READING:
	case UPLOAD_OFFERED:
	case UPLOAD_FETCHING:
	case UPLOAD_SENT:
	case UPLOAD_STORING:
		break;
	}
	return false;
}

void upload_pump(struct sync *sync)
{
	while (sync->state == SYNC_LIVE && step(sync))
		;
}

/* --- acknowledged --- */

void upload_on_ack(struct sync *sync, const Envwarden__Sync__Ack *ack)
{
	struct upload *u = &sync->upload;
	struct buf keys = u->batch.keys;
	size_t n = u->batch.n_keys;
	struct uuid epoch;

	uuid_from_wire(&ack->epoch, &epoch);
	if (!sync_awaits(sync, ANSWER_ACK) || uuid_cmp(&epoch, &u->epoch) != 0 ||
	    ack->seq > u->batch.last_seq) {
		sync_lose(sync, ERR_PROTOCOL, "the server acknowledged changes it was not sent");
		return;
	}
	if (ack->seq < u->batch.last_seq)
		return; /* a part of them; the rest is still to come */
	(void)sync_answered(sync, ANSWER_ACK);
	u->batch.keys = (struct buf){.data = NULL};
	batch_clear(u);
	u->state = UPLOAD_STORING;
	u->more = true; /* the next ones */
	if (n > 0)
		sync->ops->packages_sent(sync->ctx, (const unsigned char *)keys.data, n);
	buf_deinit(&keys);
	sync_ask(sync, QUESTION_ACKED);
	sync->ops->acked(sync->ctx, &epoch, ack->seq);
}

void sync_acked_stored(struct sync *sync, int rc)
{
	sync->open &= ~(unsigned)QUESTION_ACKED;
	if (sync->state == SYNC_LIVE && sync->upload.state == UPLOAD_STORING) {
		sync->upload.state = UPLOAD_IDLE;
		if (rc < 0)
			sync_lose(sync, rc, "the journal could not be written: %s", err_text(rc));
	}
	sync_settle(sync);
}
