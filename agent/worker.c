#include "agent/worker.h"

#include <stdbool.h>
#include <uv.h>

#include "lib/base/mem.h"

struct queue {
	struct work *first;
	struct work *last;
};

struct worker {
	uv_thread_t thread;
	uv_mutex_t mutex;
	uv_cond_t wake;
	uv_async_t finished;
	struct queue todo; /* under mutex */
	struct queue ran;  /* under mutex */
	bool ending;	   /* under mutex */
	size_t pending;	   /* loop thread */
	bool stopping;	   /* loop thread */
	worker_stopped_cb stopped;
	void *owner;
};

static void queue_put(struct queue *q, struct work *work)
{
	work->next = NULL;
	if (q->last != NULL)
		q->last->next = work;
	else
		q->first = work;
	q->last = work;
}

static struct work *queue_take(struct queue *q)
{
	struct work *work = q->first;

	if (work != NULL) {
		q->first = work->next;
		if (q->first == NULL)
			q->last = NULL;
	}
	return work;
}

static void worker_main(void *arg)
{
	struct worker *w = arg;

	uv_mutex_lock(&w->mutex);
	for (;;) {
		struct work *work = queue_take(&w->todo);

		if (work == NULL) {
			if (w->ending)
				break;
			uv_cond_wait(&w->wake, &w->mutex);
			continue;
		}
		uv_mutex_unlock(&w->mutex);
		work->run(work);
		uv_mutex_lock(&w->mutex);
		queue_put(&w->ran, work);
		uv_async_send(&w->finished);
	}
	uv_mutex_unlock(&w->mutex);
}

static void on_closed(uv_handle_t *handle)
{
	struct worker *w = handle->data;
	worker_stopped_cb stopped = w->stopped;
	void *owner = w->owner;

	uv_cond_destroy(&w->wake);
	uv_mutex_destroy(&w->mutex);
	mem_free(w);
	if (stopped != NULL)
		stopped(owner);
}

static void worker_maybe_end(struct worker *w)
{
	if (!w->stopping || w->pending > 0 || uv_is_closing((uv_handle_t *)&w->finished))
		return;
	uv_mutex_lock(&w->mutex);
	w->ending = true;
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->mutex);
	CHECK(uv_thread_join(&w->thread) == 0);
	uv_close((uv_handle_t *)&w->finished, on_closed);
}

static void on_finished(uv_async_t *async)
{
	struct worker *w = async->data;
	struct queue ran;
	struct work *work;

	uv_mutex_lock(&w->mutex);
	ran = w->ran;
	w->ran = (struct queue){0};
	uv_mutex_unlock(&w->mutex);
	while ((work = queue_take(&ran)) != NULL) {
		w->pending--;
		work->done(work);
	}
	worker_maybe_end(w);
}

int worker_new(struct uv_loop_s *loop, const char *name, struct worker **out, struct err *err)
{
	struct worker *w = mem_calloc(1, sizeof *w);

	if (w == NULL)
		return err_nomem(err);
	w->finished.data = w;
	if (uv_mutex_init(&w->mutex) != 0)
		goto no_mutex;
	if (uv_cond_init(&w->wake) != 0)
		goto no_cond;
	if (uv_async_init(loop, &w->finished, on_finished) != 0)
		goto no_async;
	if (uv_thread_create(&w->thread, worker_main, w) != 0) {
		uv_close((uv_handle_t *)&w->finished, on_closed);
		return err_set(err, ERR_IO, "can't start the %s thread", name);
	}
	*out = w;
	return 0;

no_async:
	uv_cond_destroy(&w->wake);
no_cond:
	uv_mutex_destroy(&w->mutex);
no_mutex:
	mem_free(w);
	return err_set(err, ERR_IO, "can't prepare the %s thread", name);
}

void worker_submit(struct worker *w, struct work *work)
{
	CHECK(!w->stopping);
	w->pending++;
	uv_mutex_lock(&w->mutex);
	queue_put(&w->todo, work);
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->mutex);
}

size_t worker_pending(const struct worker *w)
{
	return w->pending;
}

void worker_stop(struct worker *w, worker_stopped_cb stopped, void *owner)
{
	if (w->stopping)
		return;
	w->stopping = true;
	w->stopped = stopped;
	w->owner = owner;
	/* Through the async, so that stopped never runs inside this call. */
	uv_async_send(&w->finished);
}
