/* Bundles: one after the other, in chunks, going on where the last connection ended; and reports.
 */
#include <stdio.h>
#include <string.h>

#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "proto/convert.h"

void download_deinit(struct download *d)
{
	for (size_t i = 0; i < d->n_wants; i++)
		buf_deinit(&d->wants[i].data);
	d->n_wants = 0;
}

static struct want *find(struct download *d, const char *role)
{
	for (size_t i = 0; i < d->n_wants; i++) {
		if (strcmp(d->wants[i].role, role) == 0)
			return &d->wants[i];
	}
	return NULL;
}

/* The want of the request under way, NULL if it is not wanted any more. */
static struct want *current(struct download *d)
{
	struct want *want = find(d, d->role);

	return want && want->version == d->version ? want : NULL;
}

static void take_out(struct download *d, struct want *want)
{
	size_t at = (size_t)(want - d->wants);

	d->n_wants--;
	memmove(want, want + 1, (d->n_wants - at) * sizeof(*want));
}

void sync_want(struct sync *sync, const char *role, uint64_t version)
{
	struct download *d = &sync->download;
	struct want *want = find(d, role);

	if (sync->state == SYNC_STOPPING || (want && want->version == version))
		return;
	if (!want) {
		CHECK(strlen(role) <= LIMIT_ROLE && d->n_wants < LIMIT_ROLES);
		want = &d->wants[d->n_wants++];
		*want = (struct want){.version = version};
		(void)snprintf(want->role, sizeof(want->role), "%s", role);
		buf_init(&want->data, LIMIT_BUNDLE);
	}
	want->version = version;
	buf_deinit(&want->data); /* of another version */
	buf_init(&want->data, LIMIT_BUNDLE);
	sync_settle(sync);
}

/* --- reports --- */

/* The newest of a role is enough. A reason too long is cut between characters. */
static void note_report(struct report *slot, const char *role, uint64_t version, bool active,
			const char *reason)
{
	size_t n = strlen(reason);

	if (n > LIMIT_TEXT)
		n = LIMIT_TEXT;
	while (n > 0 && !text_is_utf8(reason, n))
		n--;
	(void)snprintf(slot->role, sizeof(slot->role), "%s", role);
	slot->version = version;
	slot->active = active;
	memcpy(slot->reason, reason, n);
	slot->reason[n] = '\0';
}

void sync_report(struct sync *sync, const char *role, uint64_t version, bool active,
		 const char *reason)
{
	struct report *reports = sync->download.reports;
	struct report *slot = NULL;

	CHECK(strlen(role) <= LIMIT_ROLE);
	for (size_t i = 0; i < LIMIT_ROLES && (!slot || strcmp(slot->role, role) != 0); i++) {
		if (strcmp(reports[i].role, role) == 0 || (!slot && reports[i].role[0] == '\0'))
			slot = &reports[i];
	}
	if (!slot)
		return; /* more roles than there are */
	note_report(slot, role, version, active, reason);
	sync_settle(sync);
}

static bool send_report(struct sync *sync, const struct report *report)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleReport message = ENVWARDEN__SYNC__BUNDLE_REPORT__INIT;

	message.role = wire_text(report->role);
	message.version = report->version;
	message.active = report->active;
	message.reason = wire_text(report->reason);
	envelope.kind_case = CLIENT_KIND(BUNDLE_REPORT);
	envelope.bundle_report = &message;
	return sync_send(sync, &envelope);
}

/* --- bundles --- */

static void request(struct sync *sync, const struct want *want)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleRequest message = ENVWARDEN__SYNC__BUNDLE_REQUEST__INIT;
	struct download *d = &sync->download;

	message.role = wire_text(want->role);
	message.version = want->version;
	message.offset = want->data.len;
	envelope.kind_case = CLIENT_KIND(BUNDLE_REQUEST);
	envelope.bundle_request = &message;
	if (!sync_send(sync, &envelope))
		return;
	memcpy(d->role, want->role, sizeof(d->role));
	d->version = want->version;
	d->offset = want->data.len;
	d->total = 0;
	sync_await(sync, ANSWER_BUNDLE);
}

void download_pump(struct sync *sync)
{
	struct download *d = &sync->download;

	for (size_t i = 0; i < LIMIT_ROLES; i++) {
		if (d->reports[i].role[0] == '\0')
			continue;
		if (!send_report(sync, &d->reports[i]))
			return;
		d->reports[i].role[0] = '\0';
	}
	if (d->n_wants > 0 && !sync_awaits(sync, ANSWER_BUNDLE))
		request(sync, &d->wants[0]);
}

static void deliver(struct sync *sync, struct want *want)
{
	struct want whole = *want;

	take_out(&sync->download, want);
	sync->ops->bundle(sync->ctx, whole.role, whole.version, whole.data.data, whole.data.len);
	buf_deinit(&whole.data);
}

static int check_chunk(const struct download *d, const Envwarden__Sync__BundleChunk *chunk)
{
	if (strcmp(chunk->role, d->role) != 0 || chunk->version != d->version ||
	    chunk->offset != d->offset || (d->total != 0 && chunk->total != d->total))
		return ERR_PROTOCOL;
	if (chunk->total > LIMIT_BUNDLE)
		return ERR_LIMIT;
	return chunk->data.len > 0 && chunk->data.len <= chunk->total &&
			       chunk->offset <= chunk->total - chunk->data.len
		       ? 0
		       : ERR_PROTOCOL;
}

/* Bytes that do not fit what is held already: begin anew, with the next connection. */
static void chunk_refused(struct sync *sync, int rc)
{
	struct want *want = current(&sync->download);

	if (want)
		buf_clear(&want->data);
	sync_lose(sync, rc, "bundle %s %llu from the server: %s", sync->download.role,
		  (unsigned long long)sync->download.version, err_text(rc));
}

void download_on_chunk(struct sync *sync, const Envwarden__Sync__BundleChunk *chunk)
{
	struct download *d = &sync->download;
	struct want *want = current(d);
	int rc = sync_awaits(sync, ANSWER_BUNDLE) ? check_chunk(d, chunk) : ERR_PROTOCOL;

	if (rc == 0 && want) {
		buf_add(&want->data, chunk->data.data, chunk->data.len);
		rc = buf_rc(&want->data);
	}
	if (rc < 0) {
		chunk_refused(sync, rc);
		return;
	}
	d->total = chunk->total;
	d->offset += chunk->data.len;
	if (d->offset < chunk->total)
		return;
	(void)sync_answered(sync, ANSWER_BUNDLE);
	if (want)
		deliver(sync, want);
}

/* The server has it no more: a newer timestamp will name what it has. */
void download_refused(struct sync *sync)
{
	struct want *want = current(&sync->download);

	if (!want)
		return;
	log_warn("sync", "bundle not to be had", LOG_STR("role", want->role),
		 LOG_INT("version", want->version));
	buf_deinit(&want->data);
	take_out(&sync->download, want);
}
