#include "agent/reader/lookout.h"

#include <string.h>
#include <uv.h>

#include "agent/reader/command_line.h"
#include "agent/reader/prefix_list.h"
#include "agent/reader/repairing.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/process.h"
#include "platform/thread.h"
#include "platform/users.h"

#define WAIT_MAX_MS (60 * 60 * 1000)

struct found {
	struct found *next;
	struct discover_program program;
	char prefix[];
};

struct told {
	int64_t pid;
	int64_t started_ms;
	int64_t told_ms;
};

struct name {
	char *named;
	char *prefix;
};

struct lookout {
	struct lookout_config config;
	uv_async_t wake;

	/* The loop's. */
	struct prefix_list adding;
	struct prefix_list taken;
	struct name names[LOOKOUT_NAMES]; /* a ring */
	size_t n_names;

	/* The thread's. */
	struct prefix_list list;
	struct told told[LOOKOUT_TOLD];

	uv_mutex_t mutex; /* over all below */
	uv_cond_t changed;
	struct prefix_list next; /* for the thread */
	bool has_next;
	struct found *found;
	size_t n_found;
	bool has_thread;
	bool stopping;
	unsigned users; /* the loop and the thread: the last one frees */
	void (*stopped)(void *owner);
	void *owner;
};

static const struct lookout_source system_source = {running_each, running_since};

static int64_t now_ms(const struct lookout *l)
{
	return l->config.clock->mono_ms(l->config.clock);
}

/* --- looks -------------------------------------------------------------------------------- */

/* Where to remember a program; NULL: it was told a short while ago. */
static struct told *told_slot(struct lookout *l, int64_t pid, int64_t started_ms)
{
	struct told *oldest = &l->told[0];
	int64_t now = now_ms(l);

	for (size_t i = 0; i < LOOKOUT_TOLD; i++) {
		struct told *t = &l->told[i];

		if (t->pid == pid && t->started_ms == started_ms)
			return now - t->told_ms < LOOKOUT_AGAIN_MS ? NULL : t;
		if (t->told_ms < oldest->told_ms)
			oldest = t;
	}
	return oldest;
}

/* False: there is no room, or no memory. */
static bool keep(struct lookout *l, const struct listed_prefix *w,
		 const struct discover_program *program)
{
	size_t n = strlen(w->prefix) + 1;
	struct found *f = mem_alloc(sizeof *f + n);
	bool kept;

	if (f == NULL)
		return false;
	memcpy(f->prefix, w->prefix, n);
	f->program = *program;
	f->program.prefix = f->program.named = f->prefix;
	uv_mutex_lock(&l->mutex);
	kept = !l->stopping && l->n_found < LOOKOUT_FOUND;
	if (kept) {
		f->next = l->found;
		l->found = f;
		l->n_found++;
	}
	uv_mutex_unlock(&l->mutex);
	if (!kept)
		mem_free(f);
	return kept;
}

static void runs_in(struct lookout *l, const struct listed_prefix *w, const struct running *process)
{
	struct discover_program program = {
		.uid = process->uid, .repair = repairing_words(process->words, process->n_words)};
	struct told *told;

	if (l->config.source->since(process->pid, &program.started_ms, NULL) < 0 ||
	    program.started_ms < w->since_ms)
		return;
	told = told_slot(l, process->pid, program.started_ms);
	if (told != NULL && keep(l, w, &program))
		*told = (struct told){process->pid, program.started_ms, now_ms(l)};
}

static int on_process(void *ctx, const struct running *process)
{
	struct lookout *l = ctx;

	if (!l->config.all_accounts && process->uid != users_current())
		return 0;
	for (size_t i = 0; i < process->n_words; i++) {
		size_t n = command_line_prefix(process->words[i]);
		const struct listed_prefix *w =
			n > 0 ? prefix_list_find(&l->list, process->words[i], n) : NULL;

		if (w == NULL || !command_line_runs(process->words, i))
			continue;
		runs_in(l, w, process);
		break;
	}
	return 0;
}

/* How long until the next one. */
static int64_t look(struct lookout *l)
{
	int64_t began = now_ms(l), wait;

	(void)l->config.source->each(on_process, l, NULL);
	wait = (now_ms(l) - began) * LOOKOUT_SHARE;
	if (wait < l->config.every_ms)
		wait = l->config.every_ms;
	return wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS;
}

/* Unlocks. */
static void let_go(struct lookout *l)
{
	bool last = --l->users == 0;

	uv_mutex_unlock(&l->mutex);
	if (!last)
		return;
	prefix_list_free(&l->adding);
	prefix_list_free(&l->taken);
	prefix_list_free(&l->list);
	prefix_list_free(&l->next);
	for (size_t i = 0; i < LOOKOUT_NAMES; i++) {
		mem_free(l->names[i].named);
		mem_free(l->names[i].prefix);
	}
	while (l->found != NULL) {
		struct found *f = l->found;

		l->found = f->next;
		mem_free(f);
	}
	uv_cond_destroy(&l->changed);
	uv_mutex_destroy(&l->mutex);
	mem_free(l);
}

/* Locked. Takes over what is to be looked for. */
static void take_next(struct lookout *l, int64_t *due_ms)
{
	if (!l->has_next)
		return;
	if (l->list.n == 0) /* what runs by now began before */
		*due_ms = now_ms(l) + l->config.every_ms;
	prefix_list_free(&l->list);
	l->list = l->next;
	l->next = (struct prefix_list){.n = 0};
	l->has_next = false;
}

static void watch(void *arg)
{
	struct lookout *l = arg;
	int64_t due_ms = 0;

	process_step_back();
	uv_mutex_lock(&l->mutex);
	while (!l->stopping) {
		int64_t left;

		take_next(l, &due_ms);
		left = due_ms - now_ms(l);
		if (l->list.n == 0) {
			uv_cond_wait(&l->changed, &l->mutex);
		} else if (left > 0) {
			(void)uv_cond_timedwait(&l->changed, &l->mutex, (uint64_t)left * 1000000);
		} else {
			uv_mutex_unlock(&l->mutex);
			left = look(l);
			uv_mutex_lock(&l->mutex);
			due_ms = now_ms(l) + left;
			if (l->n_found > 0 && !l->stopping)
				uv_async_send(&l->wake);
		}
	}
	let_go(l);
}

/* --- the loop ----------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake)
{
	struct lookout *l = wake->data;
	struct found *found;

	uv_mutex_lock(&l->mutex);
	found = l->stopping ? NULL : l->found;
	if (found != NULL) {
		l->found = NULL;
		l->n_found = 0;
	}
	uv_mutex_unlock(&l->mutex);
	if (found == NULL)
		return;
	while (found != NULL) {
		struct found *f = found;

		found = f->next;
		l->config.runs(l->config.ctx, &f->program);
		mem_free(f);
	}
	l->config.looked(l->config.ctx);
}

/* What was taken, under all names it is known by; what is left out for want of memory is seen at
 * sweeps. */
static void hand_over(struct lookout *l)
{
	struct prefix_list next = {.n = 0};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < l->taken.n; i++) {
		const struct listed_prefix *w = &l->taken.items[i];

		(void)prefix_list_add(&next, w->name, w->prefix, w->since_ms);
		for (size_t j = 0; j < LOOKOUT_NAMES; j++)
			if (l->names[j].named != NULL && strcmp(l->names[j].prefix, w->prefix) == 0)
				(void)prefix_list_add(&next, l->names[j].named, w->prefix,
						      w->since_ms);
	}
	prefix_list_sort(&next);
	uv_mutex_lock(&l->mutex);
	prefix_list_free(&l->next);
	l->next = next;
	l->has_next = true;
	if (!l->has_thread && next.n > 0) {
		l->users++;
		l->has_thread = thread_start(watch, l, &err) == 0;
		l->users -= !l->has_thread;
	}
	uv_cond_signal(&l->changed);
	uv_mutex_unlock(&l->mutex);
	if (err.code < 0)
		log_warn("reader", "no thread to look at what runs", LOG_ERR(&err));
}

int lookout_add(struct lookout *l, const char *prefix, int64_t since_ms)
{
	return l->adding.n < LOOKOUT_MAX ? prefix_list_add(&l->adding, prefix, prefix, since_ms)
					 : ERR_LIMIT;
}

void lookout_take(struct lookout *l)
{
	prefix_list_free(&l->taken);
	l->taken = l->adding;
	l->adding = (struct prefix_list){.n = 0};
	hand_over(l);
}

static bool is_taken(const struct lookout *l, const char *prefix)
{
	for (size_t i = 0; i < l->taken.n; i++)
		if (strcmp(l->taken.items[i].prefix, prefix) == 0)
			return true;
	return false;
}

void lookout_named(struct lookout *l, const char *prefix, const char *named)
{
	struct name *to = NULL;
	char *new_name, *new_prefix;

	if (strcmp(prefix, named) == 0)
		return;
	for (size_t i = 0; i < LOOKOUT_NAMES && to == NULL; i++)
		if (l->names[i].named != NULL && strcmp(l->names[i].named, named) == 0)
			to = &l->names[i];
	if (to != NULL && strcmp(to->prefix, prefix) == 0)
		return;
	new_name = mem_strdup(named);
	new_prefix = mem_strdup(prefix);
	if (new_name == NULL || new_prefix == NULL) { /* the next sweep says it again */
		mem_free(new_name);
		mem_free(new_prefix);
		return;
	}
	if (to == NULL)
		to = &l->names[l->n_names++ % LOOKOUT_NAMES];
	mem_free(to->named);
	mem_free(to->prefix);
	*to = (struct name){new_name, new_prefix};
	if (is_taken(l, prefix))
		hand_over(l);
}

/* --- life --------------------------------------------------------------------------------- */

int lookout_new(const struct lookout_config *config, struct lookout **out, struct err *err)
{
	struct lookout *l = mem_calloc(1, sizeof *l);

	if (l == NULL)
		return err_nomem(err);
	l->config = *config;
	if (config->source == NULL)
		l->config.source = &system_source;
	l->users = 1;
	l->wake.data = l;
	CHECK(uv_mutex_init(&l->mutex) == 0);
	CHECK(uv_cond_init(&l->changed) == 0);
	CHECK(uv_async_init(config->loop, &l->wake, on_wake) == 0);
	*out = l;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct lookout *l = handle->data;
	void (*stopped)(void *) = l->stopped;
	void *owner = l->owner;

	uv_mutex_lock(&l->mutex);
	let_go(l);
	stopped(owner);
}

void lookout_stop(struct lookout *l, void (*stopped)(void *owner), void *owner)
{
	uv_mutex_lock(&l->mutex);
	l->stopping = true;
	l->stopped = stopped;
	l->owner = owner;
	uv_cond_signal(&l->changed);
	uv_mutex_unlock(&l->mutex);
	uv_close((uv_handle_t *)&l->wake, on_closed);
}
