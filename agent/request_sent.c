/* sent: the newest messages that left this machine. */
#include <stdlib.h>
#include <string.h>

#include "agent/requests.h"
#include "agent/sent.h"
#include "lib/base/mem.h"

struct sending {
	struct stream stream;
	struct job job;
	struct arena messages_arena;
	struct sent_message messages[SENT_KEPT];
	size_t n;
	size_t at;
	uint32_t last;
};

static int cmp_number(const void *a, const void *b)
{
	uint64_t x = ((const struct sent_message *)a)->number;
	uint64_t y = ((const struct sent_message *)b)->number;

	return x < y ? -1 : x > y;
}

static void sending_run(struct job *job)
{
	struct sending *s = container_of(job, struct sending, job);

	for (unsigned slot = 0; slot < SENT_KEPT; slot++) {
		int rc = sent_read(job->e->store, slot, &s->messages_arena, &s->messages[s->n]);

		s->n += rc == 0;
		if (rc == ERR_CORRUPT || rc == ERR_NOMEM)
			job->rc = rc;
	}
	if (s->n > 1)
		qsort(s->messages, s->n, sizeof s->messages[0], cmp_number);
	if (s->last > 0 && s->n > s->last)
		s->at = s->n - s->last;
}

static void sending_done(struct job *job)
{
	struct sending *s = container_of(job, struct sending, job);

	if (job->rc < 0)
		stream_end(&s->stream, job->rc);
	else
		stream_go_on(s->stream.call);
}

static int sending_next(struct stream *stream)
{
	struct sending *s = container_of(stream, struct sending, stream);
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__SentItem item = ENVWARDEN__LOCAL__SENT_ITEM__INIT;
	const struct sent_message *m = &s->messages[s->at];
	int rc;

	if (s->at == s->n)
		return 0;
	item.number = m->number;
	item.time_ms = m->time_ms;
	item.size = m->size;
	item.kind = wire_text(m->kind);
	item.content = wire_text(m->content);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_SENT_ITEM;
	answer.sent_item = &item;
	rc = local_call_send(stream->call, &answer);
	s->at += rc == 0;
	return rc < 0 ? rc : 1;
}

static void sending_release(struct stream *stream)
{
	struct sending *s = container_of(stream, struct sending, stream);

	arena_deinit(&s->messages_arena);
	mem_free(s);
}

void request_sent(void *ctx, struct local_call *call, const Envwarden__Local__SentRequest *m)
{
	struct engine *e = ctx;
	struct sending *s;

	/* It tells of everybody's environments. */
	if (!engine_may_see(e, local_call_uid(call), NULL)) {
		local_call_fail(call, ERR_PERM, "what left this machine is for root to see");
		return;
	}
	s = mem_calloc(1, sizeof *s);
	if (s == NULL) {
		request_nomem(call);
		return;
	}
	s->last = m->last;
	arena_init(&s->messages_arena, STREAM_MEMORY_MAX);
	s->stream.next = sending_next;
	s->stream.release = sending_release;
	stream_init(&s->stream, e, call);
	s->job.run = sending_run;
	s->job.done = sending_done;
	engine_submit(e, &s->job);
}
