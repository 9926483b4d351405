#include "agent/reader/places.h"

#include <stdio.h>
#include <string.h>
#include <uv/tree.h>

#include "agent/reader/watch_user.h"
#include "agent/worker.h"
#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "platform/safe_open.h"

#define SCAN_ARENA_MAX (64u << 20)
#define PLACES_MAX 20000 /* more are left out: the registries tell what is in them */

struct place {
	RB_ENTRY(place) by_path;
	struct places *all;
	unsigned kinds; /* 1 << enum place_kind; 0 = the system's, no folder of its own */
	struct watch_user user;
	bool scanning;
	bool again;
	char path[]; /* "" for the system's */
};

static int cmp_path(const struct place *a, const struct place *b)
{
	return strcmp(a->path, b->path);
}

RB_HEAD(place_tree, place);
RB_GENERATE_STATIC(place_tree, place, by_path, cmp_path)

struct places {
	struct place_tree tree;
	struct worker *worker;
	struct watcher *watcher;
	struct places_callbacks callbacks;
	void *ctx;
	size_t n;
	size_t scans;
	bool stopping;
	void (*stopped)(void *owner);
	void *owner;
};

struct finding {
	struct finding *next;
	bool is_place;
	enum place_kind kind;
	char path[];
};

struct scan {
	struct work work;
	struct place *place;
	struct arena arena;
	struct finding *first;
	struct finding **last;
	unsigned kinds;
};

static int keep(struct scan *scan, bool is_place, enum place_kind kind, const char *path)
{
	size_t n = strlen(path) + 1;
	struct finding *f = arena_alloc(&scan->arena, sizeof *f + n);

	if (f == NULL)
		return ERR_NOMEM;
	f->is_place = is_place;
	f->kind = kind;
	memcpy(f->path, path, n);
	*scan->last = f;
	scan->last = &f->next;
	return 0;
}

static int on_candidate(void *ctx, const char *path)
{
	return keep(ctx, false, PLACE_ENVS, path);
}

static int on_place(void *ctx, enum place_kind kind, const char *path)
{
	return keep(ctx, true, kind, path);
}

static void scan_run(struct work *work)
{
	struct scan *scan = container_of(work, struct scan, work);
	const struct discovery to = {.candidate = on_candidate, .place = on_place, .ctx = scan};

	if (scan->kinds == 0)
		(void)discover_system(&to);
	for (enum place_kind kind = PLACE_HOME; kind <= PLACE_WALK; kind++)
		if (scan->kinds & 1u << kind)
			(void)discover(kind, scan->place->path, &to);
}

static void maybe_stopped(struct places *all)
{
	void (*stopped)(void *) = all->stopped;
	void *owner = all->owner;
	struct place *p;

	if (all->scans > 0)
		return;
	while ((p = RB_MIN(place_tree, &all->tree)) != NULL) {
		RB_REMOVE(place_tree, &all->tree, p);
		mem_free(p);
	}
	mem_free(all);
	stopped(owner);
}

static void scan_start(struct place *p);

/* A home or a folder of scratch files is written to all the time; environments are folders. */
static unsigned watch_flags(const struct place *p)
{
	return p->kinds & 1u << PLACE_REGISTRY ? 0 : WATCH_FOLDERS;
}

static void watch_place(struct place *p)
{
	struct places *all = p->all;

	if (all->watcher == NULL || p->kinds == 0 || p->user.watch != WATCH_NONE)
		return;
	if (watcher_add(all->watcher, p->path, watch_flags(p), &p->user, &p->user.watch, NULL) < 0)
		p->user.watch = WATCH_NONE; /* the sweep looks after it */
}

static void scan_done(struct work *work)
{
	struct scan *scan = container_of(work, struct scan, work);
	struct place *p = scan->place;
	struct places *all = p->all;

	p->scanning = false;
	for (struct finding *f = scan->first; f != NULL && !all->stopping; f = f->next) {
		if (f->is_place)
			(void)places_add(all, f->kind, f->path);
		else
			all->callbacks.candidate(all->ctx, f->path);
	}
	if (p->again && !all->stopping)
		scan_start(p);
	arena_deinit(&scan->arena);
	mem_free(scan);
	all->scans--;
	if (all->stopping)
		maybe_stopped(all);
	else if (all->scans == 0)
		all->callbacks.caught_up(all->ctx);
}

static void scan_start(struct place *p)
{
	struct scan *scan;

	p->again = p->scanning;
	if (p->scanning)
		return;
	scan = mem_calloc(1, sizeof *scan);
	if (scan == NULL)
		return; /* the sweep looks again */
	watch_place(p); /* first, so that nothing falls between */
	arena_init(&scan->arena, SCAN_ARENA_MAX);
	scan->last = &scan->first;
	scan->place = p;
	scan->kinds = p->kinds;
	scan->work.run = scan_run;
	scan->work.done = scan_done;
	p->scanning = true;
	p->all->scans++;
	worker_submit(p->all->worker, &scan->work);
}

static void unwatch(struct place *p)
{
	if (p->user.watch != WATCH_NONE && p->all->watcher != NULL)
		watcher_remove(p->all->watcher, p->user.watch);
	p->user.watch = WATCH_NONE;
}

static int add(struct places *all, const char *path, unsigned kinds)
{
	size_t n = strlen(path) + 1;
	struct place *p = all->n < PLACES_MAX ? mem_calloc(1, sizeof *p + n) : NULL;
	struct place *there;

	if (p == NULL)
		return ERR_NOMEM;
	memcpy(p->path, path, n);
	p->all = all;
	p->kinds = kinds;
	p->user = (struct watch_user){WATCH_USER_PLACE, WATCH_NONE, p};
	there = RB_INSERT(place_tree, &all->tree, p);
	if (there == NULL) {
		all->n++;
		scan_start(p);
		return 0;
	}
	mem_free(p);
	if ((there->kinds & kinds) != kinds) {
		there->kinds |= kinds;
		unwatch(there); /* it may want to hear of more now */
		scan_start(there);
	} else if (all->watcher != NULL && there->user.watch == WATCH_NONE && kinds != 0) {
		scan_start(there); /* it was not there, and may be now */
	}
	return 0;
}

int places_add(struct places *all, enum place_kind kind, const char *path)
{
	return add(all, path, 1u << kind);
}

int places_add_system(struct places *all)
{
	return add(all, "", 0);
}

bool places_scanning(const struct places *all)
{
	return all->scans > 0;
}

/* Whether its coming or going says that the place must be scanned again. */
static bool cares(const struct place *p, const char *name)
{
	for (enum place_kind kind = PLACE_HOME; kind <= PLACE_WALK; kind++)
		if ((p->kinds & 1u << kind) != 0 && discover_cares(kind, name))
			return true;
	return false;
}

void places_watched(struct watch_user *user, enum watch_kind kind, const char *name)
{
	struct place *p = user->owner;
	char path[SAFE_PATH_MAX];

	if (kind == WATCH_GONE) {
		user->watch = WATCH_NONE;
		scan_start(p); /* made anew already? then it is watched again */
		return;
	}
	if (name == NULL || cares(p, name))
		scan_start(p);
	if (name != NULL && (p->kinds & 1u << PLACE_ENVS) != 0 &&
	    snprintf(path, sizeof path, "%s/%s", p->path, name) < (int)sizeof path)
		p->all->callbacks.touched(p->all->ctx, path);
}

void places_sweep(struct places *all)
{
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		scan_start(p);
	}
}

int places_new(struct worker *worker, const struct places_callbacks *callbacks, void *ctx,
	       struct places **out, struct err *err)
{
	struct places *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	RB_INIT(&all->tree);
	all->worker = worker;
	all->callbacks = *callbacks;
	all->ctx = ctx;
	*out = all;
	return 0;
}

void places_set_watcher(struct places *all, struct watcher *watcher)
{
	all->watcher = watcher;
}

void places_stop(struct places *all, void (*stopped)(void *owner), void *owner)
{
	all->stopping = true;
	all->stopped = stopped;
	all->owner = owner;
	maybe_stopped(all);
}
