#include "agent/reader/places.h"

#include <stdio.h>
#include <string.h>
#include <uv/tree.h>

#include "agent/accounts.h"
#include "agent/reader/exclude.h"
#include "agent/reader/lanes.h"
#include "agent/reader/watch_user.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "platform/safe_open.h"

#define SCAN_STATS 32 /* about what scanning one asks for */
#define SCAN_ARENA_MAX (64u << 20)
#define PLACES_MAX 60000   /* more are left out, and counted */
#define ACCOUNTS_MAX 10000 /* of those that turned up */

struct place {
	RB_ENTRY(place) by_path;
	struct places *all;
	unsigned kinds; /* 1 << enum place_kind */
	size_t cut;	/* in its last scan */
	bool personal;	/* leads elsewhere for each home */
	struct watch_user user;
	struct piece piece; /* a scan in a lane */
	struct scan *scan;  /* under way */
	char *real;	    /* where its path leads, when that is elsewhere; else NULL */
	int64_t mount;	    /* id of the mount it was last seen on, 0 unknown */
	bool remote;	    /* on a file system that does not tell what others do there */
	bool automount;	    /* on one that goes when nobody uses it: looking would be use */
	bool counted;	    /* among the scans that will end */
	bool again;
	char path[]; /* "" for the system's */
};

static int cmp_path(const struct place *a, const struct place *b)
{
	return strcmp(a->path, b->path);
}

RB_HEAD(place_tree, place);
RB_GENERATE_STATIC(place_tree, place, by_path, cmp_path)

/* Somebody who turned up. */
struct account {
	uint32_t uid;
	bool asked; /* the home is not known yet */
};

struct places {
	struct place_tree tree;
	struct places_config config;
	struct watcher *watcher;
	size_t n;
	size_t cut;		  /* in the last scans, and places left out */
	struct account *accounts; /* that turned up */
	size_t n_accounts;
	bool no_accounts; /* were not listed in time */
	size_t scans;	  /* that will end */
	size_t pieces;	  /* in lanes */
	size_t polled;	  /* places that places_poll scans */
	bool stopping;
	void (*stopped)(void *owner);
	void *owner;
};

enum finding_kind {
	FOUND_CANDIDATE,
	FOUND_PLACE,
	FOUND_RUNNING
};

struct finding {
	struct finding *next;
	enum finding_kind what;
	enum place_kind kind;		 /* of a place */
	struct discover_program program; /* without its prefix, which is the path */
	char path[];
};

struct scan {
	char path[SAFE_PATH_MAX];
	struct arena arena;
	struct finding *first;
	struct finding **last;
	unsigned kinds;
	const struct places_config *config;
	const char **homes; /* known when it began */
	size_t n_homes;
	size_t cut;
	bool personal;
	bool no_accounts;
	struct watcher *watcher; /* NULL: no watch is to be placed */
	unsigned watch_flags;
	int watch_rc;
	int watch;
};

static int keep(struct scan *scan, enum finding_kind what, enum place_kind kind, const char *path)
{
	size_t n = strlen(path) + 1;
	struct finding *f = arena_alloc(&scan->arena, sizeof *f + n);

	if (f == NULL)
		return ERR_NOMEM;
	f->what = what;
	f->kind = kind;
	f->program = (struct discover_program){.prefix = NULL};
	memcpy(f->path, path, n);
	*scan->last = f;
	scan->last = &f->next;
	return 0;
}

static int on_candidate(void *ctx, const char *path)
{
	return keep(ctx, FOUND_CANDIDATE, PLACE_ENVS, path);
}

static int on_place(void *ctx, enum place_kind kind, const char *path)
{
	return keep(ctx, FOUND_PLACE, kind, path);
}

static int on_running(void *ctx, const struct discover_program *program)
{
	struct scan *scan = ctx;
	struct finding **at = scan->last;
	int rc = keep(scan, FOUND_RUNNING, PLACE_ENVS, program->prefix);

	if (rc < 0)
		return rc;
	(*at)->program = *program;
	(*at)->program.prefix = (*at)->path;
	(*at)->program.named = arena_strdup(&scan->arena, program->named);
	if ((*at)->program.named == NULL)
		(*at)->program.named = (*at)->path;
	return 0;
}

static void scan_run(struct piece *piece)
{
	struct scan *scan = container_of(piece, struct place, piece)->scan;
	struct discovery to = {.candidate = on_candidate,
			       .place = on_place,
			       .runs = scan->config->running ? on_running : NULL,
			       .ctx = scan,
			       .exclude = scan->config->exclude,
			       .condarc = scan->config->condarc,
			       .accounts = scan->config->accounts,
			       .mounts = piece->table,
			       .homes = scan->homes,
			       .n_homes = scan->n_homes,
			       .all_accounts = scan->config->all_accounts,
			       .now_ms = scan->config->clock->wall_ms(scan->config->clock)};
	const struct mount *m = mount_table_find(piece->table, scan->path);

	to.group = m != NULL ? m->group : 0;
	if (scan->watcher != NULL) /* first, so that nothing falls between */
		scan->watch_rc = watcher_mark(scan->watcher, scan->path, scan->watch_flags,
					      &scan->watch, NULL);
	for (enum place_kind kind = 0; kind < PLACE_KINDS; kind++)
		if ((scan->kinds & 1u << kind) != 0 && discover(kind, scan->path, &to) == ERR_NOMEM)
			to.cut++;
	scan->cut = to.cut;
	scan->personal = to.personal;
	scan->no_accounts = to.no_accounts;
	piece->stats = SCAN_STATS;
}

static void maybe_stopped(struct places *all)
{
	void (*stopped)(void *) = all->stopped;
	void *owner = all->owner;
	struct place *p;

	if (all->pieces > 0)
		return;
	while ((p = RB_MIN(place_tree, &all->tree)) != NULL) {
		RB_REMOVE(place_tree, &all->tree, p);
		mem_free(p->real);
		mem_free(p);
	}
	mem_free(all->accounts);
	mem_free(all);
	stopped(owner);
}

static void scan_start(struct place *p);

/* A home or a folder of scratch files is written to all the time; environments are folders. */
static unsigned watch_flags(const struct place *p)
{
	return p->kinds & 1u << PLACE_REGISTRY ? 0 : WATCH_FOLDERS;
}

/* Those that are folders whose own entries tell something. */
#define WATCHED_KINDS (~(1u << PLACE_PREFIX | 1u << PLACE_SYSTEM))

static void uncount(struct place *p)
{
	p->all->scans -= p->counted;
	p->counted = false;
}

static void unwatch(struct place *p)
{
	if (p->user.watch != WATCH_NONE && p->all->watcher != NULL)
		watcher_remove(p->all->watcher, p->user.watch, &p->user);
	p->user.watch = WATCH_NONE;
}

/* Takes over the watch the scan has placed. True: something happened before it could be heard. */
static bool adopt_watch(struct place *p, const struct scan *scan)
{
	struct places *all = p->all;
	bool missed = false;

	if (scan->watcher == NULL || all->watcher == NULL ||
	    (scan->watch_rc == 0 && scan->watch == p->user.watch))
		return false;
	if (!all->stopping)
		unwatch(p); /* of what was there before */
	if (scan->watch_rc != 0)
		return false;
	if (all->stopping) {
		watcher_discard(all->watcher, scan->watch);
		return false;
	}
	if (watcher_adopt(all->watcher, scan->watch, scan->watch_flags, &p->user, &missed) == 0)
		p->user.watch = scan->watch; /* else the sweep looks after it */
	return missed;
}

static void take_findings(struct place *p, const struct scan *scan)
{
	struct places *all = p->all;

	for (struct finding *f = scan->first; f != NULL; f = f->next) {
		if (f->what == FOUND_PLACE)
			(void)places_add(all, f->kind, f->path);
		else if (f->what == FOUND_RUNNING)
			all->config.callbacks->runs(all->config.ctx, &f->program);
		else
			all->config.callbacks->candidate(all->config.ctx, f->path);
	}
}

static void note_mount(struct place *p, const struct scan *scan)
{
	struct places *all = p->all;
	const struct mount *m = mount_table_find(p->piece.table, scan->path);

	all->polled -= p->remote && !p->automount;
	mem_free(p->real);
	p->real = strcmp(scan->path, p->path) != 0 ? mem_strdup(scan->path) : NULL;
	p->mount = m != NULL && p->piece.end == PIECE_RAN ? m->id : 0;
	p->remote = mount_is_remote(m);
	p->automount = m != NULL && m->by_automount;
	all->polled += p->remote && !p->automount;
}

static void scan_done(struct piece *piece)
{
	struct place *p = container_of(piece, struct place, piece);
	struct places *all = p->all;
	struct scan *scan = p->scan;
	bool ran = piece->end == PIECE_RAN;

	p->scan = NULL;
	all->pieces--;
	uncount(p);
	if (ran && adopt_watch(p, scan))
		p->again = true;
	if (scan != NULL && !all->stopping)
		note_mount(p, scan);
	if (ran && !all->stopping) {
		all->cut += scan->cut;
		all->cut -= p->cut;
		p->cut = scan->cut;
		p->personal = scan->personal;
		all->no_accounts = all->no_accounts || scan->no_accounts;
		take_findings(p, scan);
	}
	if (p->again && !all->stopping)
		scan_start(p);
	if (scan != NULL)
		arena_deinit(&scan->arena);
	mem_free(scan);
	if (all->stopping)
		maybe_stopped(all);
	else if (all->scans == 0)
		all->config.callbacks->caught_up(all->config.ctx);
}

/* Its file system does not answer: nobody waits for it any more. */
static void scan_stuck(struct piece *piece)
{
	struct place *p = container_of(piece, struct place, piece);
	struct places *all = p->all;

	uncount(p);
	if (all->scans == 0 && !all->stopping)
		all->config.callbacks->caught_up(all->config.ctx);
}

/* Shared configuration may name "~", each account's: these scans get the homes along. */
static int take_homes(struct scan *scan, struct places *all)
{
	struct place *p;
	size_t n = 0;

	if ((scan->kinds & (1u << PLACE_PREFIX | 1u << PLACE_SYSTEM)) == 0)
		return 0;
	RB_FOREACH(p, place_tree, &all->tree)
	{
		n += (p->kinds & 1u << PLACE_HOME) != 0;
	}
	scan->homes = arena_calloc(&scan->arena, n + 1, sizeof *scan->homes);
	if (scan->homes == NULL)
		return ERR_NOMEM;
	RB_FOREACH(p, place_tree, &all->tree)
	{
		if ((p->kinds & 1u << PLACE_HOME) != 0) /* places are never let go */
			scan->homes[scan->n_homes++] = p->path;
	}
	return 0;
}

static bool scan_begin(struct piece *piece)
{
	struct place *p = container_of(piece, struct place, piece);
	struct scan *scan = mem_calloc(1, sizeof *scan);

	if (scan == NULL)
		return false; /* the sweep looks again */
	arena_init(&scan->arena, SCAN_ARENA_MAX);
	(void)snprintf(scan->path, sizeof scan->path, "%s", p->path);
	scan->last = &scan->first;
	scan->kinds = p->kinds;
	scan->config = &p->all->config;
	if (take_homes(scan, p->all) < 0) {
		arena_deinit(&scan->arena);
		mem_free(scan);
		return false;
	}
	scan->watch_rc = ERR_UNSUPPORTED;
	if ((p->kinds & WATCHED_KINDS) != 0 && (p->user.watch == WATCH_NONE || !p->remote))
		scan->watcher = p->all->watcher;
	scan->watch_flags = watch_flags(p);
	p->scan = scan;
	piece->path = scan->path;
	return true;
}

static void scan_start_ranked(struct place *p, enum piece_rank rank)
{
	struct places *all = p->all;

	p->again = piece_is_out(&p->piece);
	if (p->again)
		return;
	p->piece.rank = rank;
	p->piece.begin = scan_begin;
	p->piece.run = scan_run;
	p->piece.done = scan_done;
	p->piece.stuck = scan_stuck;
	if (lanes_submit(all->config.lanes, &p->piece, p->path[0] != '\0' ? p->path : "/opt",
			 false) < 0) {
		/* Not mounted, or nobody answers: the mount's coming says when. */
		p->mount = 0;
		return;
	}
	all->pieces++;
	if (!lanes_stuck(all->config.lanes, lanes_group(all->config.lanes, p->path))) {
		p->counted = true;
		all->scans++;
	}
}

static void scan_start(struct place *p)
{
	scan_start_ranked(p, PIECE_SHORT);
}

static void scan_personal(struct places *all)
{
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		if (p->personal)
			scan_start(p);
	}
}

static int add(struct places *all, const char *path, unsigned kinds)
{
	size_t n = strlen(path) + 1;
	struct place *p;
	struct place *there;

	if (all->config.exclude != NULL && exclude_has(all->config.exclude, path))
		return 0;
	p = all->n < PLACES_MAX ? mem_calloc(1, sizeof *p + n) : NULL;
	if (p == NULL) {
		all->cut++;
		return ERR_NOMEM;
	}
	memcpy(p->path, path, n);
	p->all = all;
	p->kinds = kinds;
	p->user = (struct watch_user){WATCH_USER_PLACE, WATCH_NONE, p};
	there = RB_INSERT(place_tree, &all->tree, p);
	if (there == NULL) {
		all->n++;
		scan_start(p);
		if ((kinds & 1u << PLACE_HOME) != 0)
			scan_personal(all);
		return 0;
	}
	mem_free(p);
	if ((there->kinds & kinds) != kinds) {
		there->kinds |= kinds;
		unwatch(there); /* it may want to hear of more now */
		scan_start(there);
		if ((kinds & 1u << PLACE_HOME) != 0)
			scan_personal(all);
	} else if (all->watcher != NULL && there->user.watch == WATCH_NONE &&
		   (kinds & WATCHED_KINDS) != 0) {
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
	return add(all, "", 1u << PLACE_SYSTEM);
}

bool places_polled(const struct places *all)
{
	return all->polled > 0;
}

static void scan_system(struct places *all)
{
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		if ((p->kinds & 1u << PLACE_SYSTEM) != 0) {
			scan_start(p);
			return; /* its path is "", the first */
		}
	}
}

/* --- accounts that turn up --- */

static void take_account(struct places *all, struct account *account)
{
	struct user user;
	int rc = accounts_by_uid(all->config.accounts, account->uid, 0, &user);

	account->asked = rc == ERR_TIMEOUT || rc == ERR_BUSY;
	if (rc == 0 && user.home[0] == '/' && user.home[1] != '\0')
		(void)places_add(all, PLACE_HOME, user.home);
}

void places_add_account(struct places *all, uint32_t uid)
{
	struct account *more;

	for (size_t i = 0; i < all->n_accounts; i++)
		if (all->accounts[i].uid == uid)
			return;
	if (!all->config.all_accounts || all->n_accounts == ACCOUNTS_MAX)
		return;
	more = mem_realloc(all->accounts, (all->n_accounts + 1) * sizeof *more);
	if (more == NULL)
		return;
	all->accounts = more;
	all->accounts[all->n_accounts] = (struct account){.uid = uid};
	take_account(all, &all->accounts[all->n_accounts++]);
}

void places_accounts_changed(struct places *all)
{
	if (all->stopping)
		return;
	for (size_t i = 0; i < all->n_accounts; i++)
		if (all->accounts[i].asked)
			take_account(all, &all->accounts[i]);
	if (all->no_accounts) {
		all->no_accounts = false;
		scan_system(all);
	}
}

size_t places_cut(const struct places *all)
{
	return all->cut;
}

bool places_scanning(const struct places *all)
{
	return all->scans > 0;
}

/* Whether its coming or going says that the place must be scanned again. */
static bool cares(const struct place *p, const char *name)
{
	for (enum place_kind kind = 0; kind < PLACE_KINDS; kind++)
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
	if ((p->kinds & 1u << PLACE_HOMES) != 0) /* a new account's, perhaps */
		scan_system(p->all);
	if (name != NULL && (p->kinds & 1u << PLACE_ENVS) != 0 &&
	    snprintf(path, sizeof path, "%s/%s", p->path, name) < (int)sizeof path)
		p->all->config.callbacks->touched(p->all->config.ctx, path);
}

void places_sweep(struct places *all)
{
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		if (!p->automount)
			scan_start_ranked(p, p->remote ? PIECE_BACKGROUND : PIECE_SHORT);
	}
}

void places_poll(struct places *all)
{
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		if (p->remote && !p->automount)
			scan_start_ranked(p, PIECE_BACKGROUND);
	}
}

void places_mounts_changed(struct places *all)
{
	const struct mount_table *table = lanes_table(all->config.lanes);
	struct place *p;

	RB_FOREACH(p, place_tree, &all->tree)
	{
		const char *path = p->real != NULL ? p->real : p->path;
		const struct mount *m = mount_table_find(table, path);

		if (m != NULL && !m->on_access && m->id != p->mount) {
			p->mount = m->id;
			scan_start(p);
		} else if ((p->kinds & 1u << PLACE_REGISTRY) != 0 && !p->automount) {
			/* What it lists may be on what was mounted. */
			scan_start_ranked(p, PIECE_BACKGROUND);
		}
	}
}

int places_new(const struct places_config *config, struct places **out, struct err *err)
{
	struct places *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	RB_INIT(&all->tree);
	all->config = *config;
	*out = all;
	return 0;
}

void places_set_watcher(struct places *all, struct watcher *watcher)
{
	all->watcher = watcher;
}

void places_stop(struct places *all, void (*stopped)(void *owner), void *owner)
{
	struct place *p;

	all->stopping = true;
	all->stopped = stopped;
	all->owner = owner;
	RB_FOREACH(p, place_tree, &all->tree)
	{
		if (lanes_cancel(&p->piece))
			all->pieces--;
	}
	maybe_stopped(all);
}
