#include "agent/sent.h"

#include <stdio.h>
#include <string.h>

#include "agent/engine.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/codec.h"
#include "proto/limits.h"

#define DESCRIBED_MAX 65536 /* bytes of a message that is spelled out */
#define VALUE_MAX (SENT_CONTENT_MAX + 256)

struct sent_job {
	struct job job;
	char key[32];
	struct buf value;
};

static void slot_key(uint64_t number, char key[32])
{
	(void)snprintf(key, 32, "sent.%03u", (unsigned)(number % SENT_KEPT));
}

/* The name of the kind that an envelope carries. */
static const char *kind_of(const Envwarden__Sync__Envelope *envelope)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
		envelope->base.descriptor, (unsigned)envelope->kind_case);

	return field != NULL ? field->name : "";
}

static void put_text(struct buf *out, const char *text, size_t n)
{
	buf_add_lp(out, text, n);
}

/* What it says, in the slot's form; false: nothing that is kept. */
static bool make_value(struct engine *e, const void *payload, size_t n, struct buf *out)
{
	Envwarden__Sync__Envelope *envelope = NULL;
	struct arena arena;
	struct buf content;
	bool kept = true;

	arena_init(&arena, LIMIT_SYNC_MEMORY);
	buf_init(&content, SENT_CONTENT_MAX);
	if (n <= DESCRIBED_MAX)
		(void)codec_unpack_sync(payload, n, &arena, &envelope, NULL);
	if (envelope != NULL) {
		kept = envelope->kind_case != ENVWARDEN__SYNC__ENVELOPE__KIND_PING;
		sent_describe(&envelope->base, &content);
	}
	if (buf_rc(&content) < 0)
		buf_clear(&content);
	buf_add_u64(out, ++e->sent);
	buf_add_u64(out, (uint64_t)engine_wall(e));
	buf_add_u64(out, n);
	put_text(out, envelope != NULL ? kind_of(envelope) : "packages or changes",
		 strlen(envelope != NULL ? kind_of(envelope) : "packages or changes"));
	put_text(out, content.data, buf_rc(&content) < 0 ? 0 : content.len);
	buf_deinit(&content);
	arena_deinit(&arena);
	if (!kept)
		e->sent--;
	return kept && buf_rc(out) == 0;
}

static void note_run(struct job *job)
{
	struct sent_job *s = container_of(job, struct sent_job, job);

	job->rc = store_kv_put(job->e->store, s->key, s->value.data, s->value.len, &job->err);
}

static void note_free(struct sent_job *s)
{
	buf_deinit(&s->value);
	mem_free(s);
}

static void note_done(struct job *job)
{
	if (job->rc < 0)
		log_debug("sent", "a message is not noted", LOG_ERR(&job->err));
	note_free(container_of(job, struct sent_job, job));
}

void sent_note(struct engine *e, const void *payload, size_t n)
{
	struct sent_job *s = mem_calloc(1, sizeof *s);

	if (s == NULL)
		return;
	buf_init(&s->value, VALUE_MAX);
	if (!make_value(e, payload, n, &s->value)) {
		note_free(s);
		return;
	}
	slot_key(e->sent, s->key);
	s->job.run = note_run;
	s->job.done = note_done;
	engine_submit(e, &s->job);
}

static const char *get_text(struct rd *r, struct arena *arena)
{
	size_t n;
	const char *data = rd_lp(r, SENT_CONTENT_MAX, &n);

	return data != NULL ? arena_strndup(arena, data, n) : NULL;
}

int sent_read(struct store *store, unsigned slot, struct arena *arena, struct sent_message *out)
{
	struct sent_message m = {.number = 0};
	struct buf value;
	char key[32];
	struct rd r;
	int rc;

	slot_key(slot, key);
	buf_init(&value, VALUE_MAX);
	rc = store_kv_get(store, key, &value, NULL);
	if (rc == 0) {
		rd_init(&r, value.data, value.len);
		m.number = rd_u64(&r);
		m.time_ms = (int64_t)rd_u64(&r);
		m.size = rd_u64(&r);
		m.kind = get_text(&r, arena);
		m.content = get_text(&r, arena);
		rc = r.rc < 0 ? r.rc : m.kind != NULL && m.content != NULL ? 0 : ERR_NOMEM;
	}
	buf_deinit(&value);
	if (rc == 0)
		*out = m;
	return rc;
}

void sent_start(struct engine *e)
{
	struct arena arena;

	arena_init(&arena, SENT_KEPT * VALUE_MAX);
	for (unsigned slot = 0; slot < SENT_KEPT; slot++) {
		struct sent_message m;

		if (sent_read(e->store, slot, &arena, &m) == 0 && m.number > e->sent)
			e->sent = m.number;
		arena_reset(&arena);
	}
	arena_deinit(&arena);
}
