#include "agent/reader/recall.h"

#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include "lib/base/mem.h"
#include "proto/convert.h"

/* One thread that waits; on its stack. */
struct question {
	TAILQ_ENTRY(question) link;
	uint64_t id;
	const char *prefix;
	struct recalled *out;
	bool asked;
	bool answered;
};

struct recall {
	uv_mutex_t mutex; /* over all below */
	uv_cond_t answered;
	uv_async_t wake;
	TAILQ_HEAD(, question) questions;
	uint64_t next_id;
	bool closed;
	recall_ask_cb ask;
	void *ctx;
};

static void on_wake(uv_async_t *wake)
{
	struct recall *all = wake->data;
	struct question *q;

	uv_mutex_lock(&all->mutex);
	TAILQ_FOREACH(q, &all->questions, link)
	{
		if (!q->asked && !all->closed)
			all->ask(all->ctx, q->id, q->prefix);
		q->asked = true;
	}
	uv_mutex_unlock(&all->mutex);
}

int recall_new(struct uv_loop_s *loop, recall_ask_cb ask, void *ctx, struct recall **out,
	       struct err *err)
{
	struct recall *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	TAILQ_INIT(&all->questions);
	all->ask = ask;
	all->ctx = ctx;
	all->wake.data = all;
	CHECK(uv_mutex_init(&all->mutex) == 0);
	CHECK(uv_cond_init(&all->answered) == 0);
	CHECK(uv_async_init(loop, &all->wake, on_wake) == 0);
	*out = all;
	return 0;
}

static void take(struct question *q, const Envwarden__Reader__Known *known)
{
	unsigned char *pairs;

	q->answered = true;
	if (known->basis.len == 0 || known->marks.len == 0)
		return;
	pairs = mem_alloc(known->marks.len);
	if (pairs == NULL)
		return; /* nothing known: everything is read */
	memcpy(pairs, known->marks.data, known->marks.len);
	q->out->marks = (struct marks){pairs, known->marks.len / MARKS_PAIR};
	uuid_from_wire(&known->basis, &q->out->basis);
}

void recall_answer(struct recall *all, const Envwarden__Reader__Known *known)
{
	struct question *q;

	uv_mutex_lock(&all->mutex);
	TAILQ_FOREACH(q, &all->questions, link)
	{
		if (q->id == known->id && !q->answered) {
			take(q, known);
			uv_cond_broadcast(&all->answered);
		}
	}
	uv_mutex_unlock(&all->mutex);
}

void recall_close(struct recall *all)
{
	bool first;

	uv_mutex_lock(&all->mutex);
	first = !all->closed;
	all->closed = true;
	uv_cond_broadcast(&all->answered);
	uv_mutex_unlock(&all->mutex);
	if (first)
		uv_close((uv_handle_t *)&all->wake, NULL);
}

void recall_free(struct recall *all)
{
	if (all == NULL)
		return;
	uv_cond_destroy(&all->answered);
	uv_mutex_destroy(&all->mutex);
	mem_free(all);
}

void recall_ask(struct recall *all, const char *prefix, struct recalled *out)
{
	struct question q = {.prefix = prefix, .out = out};
	uint64_t end = uv_hrtime() + (uint64_t)RECALL_PATIENCE_MS * 1000000;

	*out = (struct recalled){0};
	uv_mutex_lock(&all->mutex);
	if (!all->closed) {
		q.id = ++all->next_id;
		TAILQ_INSERT_TAIL(&all->questions, &q, link);
		(void)uv_async_send(&all->wake);
		while (!q.answered && !all->closed) {
			uint64_t now = uv_hrtime();

			if (now >= end)
				break;
			(void)uv_cond_timedwait(&all->answered, &all->mutex, end - now);
		}
		TAILQ_REMOVE(&all->questions, &q, link);
	}
	uv_mutex_unlock(&all->mutex);
}

void recalled_deinit(struct recalled *recalled)
{
	mem_free((void *)(uintptr_t)recalled->marks.pairs);
	*recalled = (struct recalled){0};
}
