#include "agent/reader/lanes.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/route.h"

#define MOVES_MAX 8 /* of a piece whose path keeps leading elsewhere */
#define RANKS 3
#define NAME_MAX_SHOWN 200

TAILQ_HEAD(piece_queue, piece);

struct lane {
	TAILQ_ENTRY(lane) link;
	struct lanes *all;
	uint64_t group;	       /* 0: local */
	bool is_short;	       /* of the local ones */
	struct worker *worker; /* NULL while there is nothing to do */
	struct piece_queue waiting[RANKS];
	struct piece *current; /* under way */
	bool stuck;
	int64_t stuck_wall_ms;
	int64_t idle_ms;	   /* mono; since when nothing is under way */
	int64_t budget_ms;	   /* mono; nothing in the background before */
	char path[NAME_MAX_SHOWN]; /* of what is under way, as it began: piece->path is the thread's
				    */
	char point[NAME_MAX_SHOWN];
	char source[NAME_MAX_SHOWN];
};

TAILQ_HEAD(lane_list, lane);

struct lanes {
	struct lanes_config config;
	struct lane_list lanes;
	struct mount_table *table;
	uv_timer_t timer;
	size_t threads;	  /* workers not yet gone */
	size_t remote;	  /* ... of lanes that are not local and not stuck */
	size_t abandoned; /* ... whose piece is stuck and whose lane has another one */
	bool stopping;
	bool timer_closed;
	void (*stopped)(void *owner);
	void *owner;
};

static void dispatch_all(struct lanes *all);
static void arm(struct lanes *all);

static int64_t now_mono(const struct lanes *all)
{
	return all->config.clock->mono_ms(all->config.clock);
}

/* --- lanes --- */

static struct lane *find_lane(const struct lanes *all, uint64_t group, bool is_short)
{
	struct lane *lane;

	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		if (lane->group == group && (group != 0 || lane->is_short == is_short))
			return lane;
	}
	return NULL;
}

static struct lane *get_lane(struct lanes *all, uint64_t group, bool is_short)
{
	struct lane *lane = find_lane(all, group, is_short);

	if (lane != NULL)
		return lane;
	lane = mem_calloc(1, sizeof *lane);
	if (lane == NULL)
		return NULL;
	lane->all = all;
	lane->group = group;
	lane->is_short = is_short;
	for (size_t i = 0; i < RANKS; i++)
		TAILQ_INIT(&lane->waiting[i]);
	TAILQ_INSERT_TAIL(&all->lanes, lane, link);
	return lane;
}

static bool has_waiting(const struct lane *lane)
{
	for (size_t i = 0; i < RANKS; i++)
		if (!TAILQ_EMPTY(&lane->waiting[i]))
			return true;
	return false;
}

static void maybe_stopped(struct lanes *all)
{
	void (*stopped)(void *) = all->stopped;
	void *owner = all->owner;
	struct lane *lane;

	if (!all->stopping || all->threads > 0 || !all->timer_closed)
		return;
	while ((lane = TAILQ_FIRST(&all->lanes)) != NULL) {
		TAILQ_REMOVE(&all->lanes, lane, link);
		mem_free(lane);
	}
	mount_table_unref(all->table);
	mem_free(all);
	stopped(owner);
}

static void on_worker_gone(void *owner)
{
	struct lanes *all = owner;

	all->threads--;
	if (all->stopping)
		maybe_stopped(all);
}

static void end_worker(struct lane *lane)
{
	struct lanes *all = lane->all;

	if (lane->worker == NULL)
		return;
	worker_stop(lane->worker, on_worker_gone, all);
	lane->worker = NULL;
	all->remote -= lane->group != 0 && !lane->stuck;
}

/* A lane without a thread gets one, if there may be one more. */
static bool start_worker(struct lane *lane)
{
	struct lanes *all = lane->all;
	struct err err = ERR_INIT;

	if (lane->worker != NULL)
		return true;
	if (lane->group != 0 && all->remote >= LANES_REMOTE_MAX) {
		struct lane *idle;

		TAILQ_FOREACH(idle, &all->lanes, link)
		{
			if (idle->group != 0 && idle->worker != NULL && idle->current == NULL &&
			    !has_waiting(idle))
				break;
		}
		if (idle == NULL)
			return false;
		end_worker(idle);
	}
	if (all->threads >= LANES_REMOTE_MAX + LANES_STUCK_MAX + 2)
		return false;
	if (worker_new(all->config.loop, lane->group == 0 ? "local" : "remote", &lane->worker,
		       &err) < 0) {
		log_error("reader", "no thread", LOG_ERR(&err));
		lane->worker = NULL;
		return false;
	}
	all->threads++;
	all->remote += lane->group != 0;
	return true;
}

/* --- a piece --- */

static void piece_run(struct work *work)
{
	struct piece *piece = container_of(work, struct piece, work);
	int rc = route_follow(piece->table, piece->group, piece->path);

	piece->elsewhere = rc > 0;
	if (!piece->elsewhere)
		piece->run(piece);
}

static void unqueue(struct piece *piece)
{
	if (!piece->queued)
		return;
	TAILQ_REMOVE(&piece->lane->waiting[piece->rank], piece, link);
	piece->queued = false;
}

static void queue(struct lane *lane, struct piece *piece)
{
	struct piece_queue *waiting = &lane->waiting[piece->rank];

	piece->lane = lane;
	piece->queued = true;
	if (piece->front)
		TAILQ_INSERT_HEAD(waiting, piece, link);
	else
		TAILQ_INSERT_TAIL(waiting, piece, link);
}

static void set_free(struct lane *lane)
{
	if (!lane->stuck)
		return;
	lane->stuck = false;
	lane->all->remote += lane->worker != NULL;
	log_info("reader", "a file system answers again", LOG_STR("mount", lane->point));
	lane->all->config.changed(lane->all->config.ctx);
}

static void finish(struct piece *piece, enum piece_end end)
{
	struct mount_table *table = piece->table;

	piece->end = end;
	piece->under_way = false;
	piece->done(piece); /* may be the end of it */
	mount_table_unref(table);
}

/* Its path leads to what another lane is for. */
static void move(struct piece *piece)
{
	struct lanes *all = piece->all;
	const struct mount *m = mount_table_find(all->table, piece->path);
	struct lane *lane = get_lane(all, m != NULL ? m->group : 0, piece->rank == PIECE_SHORT);

	if (lane == NULL || all->stopping || ++piece->moves > MOVES_MAX ||
	    (m != NULL && m->on_access) || (lane->stuck && piece->rank == PIECE_SHORT)) {
		finish(piece, PIECE_REFUSED);
		return;
	}
	mount_table_unref(piece->table);
	piece->table = NULL;
	piece->mount = NULL;
	piece->under_way = false;
	queue(lane, piece);
	if (lane->stuck && !piece->told_stuck) {
		piece->told_stuck = true;
		piece->stuck(piece);
	}
}

static void on_ran(struct work *work)
{
	struct piece *piece = container_of(work, struct piece, work);
	struct lanes *all = piece->all;
	struct lane *lane = piece->lane;

	if (lane != NULL) {
		lane->current = NULL;
		lane->idle_ms = now_mono(all);
		if (lane->group != 0 && piece->rank == PIECE_BACKGROUND)
			lane->budget_ms =
				lane->idle_ms + (int64_t)piece->stats * 1000 / LANES_STATS_PER_S;
		set_free(lane);
	} else {
		all->abandoned--;
	}
	if (piece->elsewhere)
		move(piece);
	else
		finish(piece, PIECE_RAN);
	if (!all->stopping)
		dispatch_all(all);
	else if (lane != NULL)
		end_worker(lane);
}

/* The next piece to begin; NULL: none, or not now. */
static struct piece *pick(struct lane *lane)
{
	for (size_t rank = 0; rank < RANKS; rank++) {
		struct piece *piece = TAILQ_FIRST(&lane->waiting[rank]);

		if (piece == NULL || (rank == PIECE_BACKGROUND && lane->group != 0 &&
				      lane->budget_ms > now_mono(lane->all)))
			continue;
		/* What moved here has begun before. */
		if (piece->moves > 0 || piece->begin == NULL || piece->begin(piece))
			return piece;
	}
	return NULL;
}

static void start(struct lane *lane, struct piece *piece)
{
	struct lanes *all = lane->all;

	unqueue(piece);
	piece->under_way = true;
	piece->told_stuck = false;
	piece->elsewhere = false;
	piece->stats = 0;
	piece->since_ms = now_mono(all);
	piece->group = lane->group;
	piece->table = all->table != NULL ? mount_table_ref(all->table) : NULL;
	piece->mount = mount_table_find(piece->table, piece->path);
	piece->work.run = piece_run;
	piece->work.done = on_ran;
	(void)snprintf(lane->path, sizeof lane->path, "%s", piece->path);
	lane->current = piece;
	worker_submit(lane->worker, &piece->work);
}

static void dispatch(struct lane *lane)
{
	struct piece *piece;

	if (lane->current == NULL && has_waiting(lane) && start_worker(lane) &&
	    (piece = pick(lane)) != NULL)
		start(lane, piece);
}

static void dispatch_all(struct lanes *all)
{
	struct lane *lane;

	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		dispatch(lane);
	}
	arm(all);
}

int lanes_submit(struct lanes *all, struct piece *piece, const char *path, bool urgent)
{
	const struct mount *m = mount_table_find(all->table, path);
	struct lane *lane;

	CHECK(!piece_is_out(piece) && !all->stopping);
	if (m != NULL && m->on_access)
		return ERR_UNREACHABLE;
	lane = get_lane(all, m != NULL ? m->group : 0, piece->rank == PIECE_SHORT);
	if (lane == NULL)
		return ERR_NOMEM;
	if (lane->stuck && piece->rank == PIECE_SHORT)
		return ERR_UNREACHABLE;
	piece->all = all;
	piece->moves = 0;
	piece->told_stuck = lane->stuck;
	piece->front = urgent;
	piece->table = NULL;
	piece->mount = NULL;
	queue(lane, piece);
	dispatch(lane);
	arm(all);
	return 0;
}

bool lanes_cancel(struct piece *piece)
{
	if (!piece->queued || piece->moves > 0)
		return false;
	unqueue(piece);
	return true;
}

void lanes_go_on(struct lanes *all)
{
	if (!all->stopping)
		dispatch_all(all);
}

/* --- stuck --- */

static void tell_stuck(struct piece_queue *pieces)
{
	struct piece *piece;
	struct piece *next;

	for (piece = TAILQ_FIRST(pieces); piece != NULL; piece = next) {
		next = TAILQ_NEXT(piece, link);
		if (piece->told_stuck)
			continue;
		piece->told_stuck = true;
		piece->stuck(piece); /* may take itself back, if it waits */
	}
}

/* Its piece keeps its thread until the call returns; the lane goes on with another one. */
static void abandon(struct lane *lane)
{
	struct lanes *all = lane->all;

	if (all->abandoned >= LANES_STUCK_MAX)
		return;
	all->abandoned++;
	lane->current->lane = NULL;
	lane->current = NULL;
	end_worker(lane);
}

static void get_stuck(struct lane *lane, struct piece *piece)
{
	struct lanes *all = lane->all;
	const struct mount *m = piece->mount;

	(void)snprintf(lane->point, sizeof lane->point, "%s", m != NULL ? m->point : lane->path);
	(void)snprintf(lane->source, sizeof lane->source, "%s", m != NULL ? m->source : "");
	log_warn("reader", "a file system does not answer", LOG_STR("mount", lane->point),
		 LOG_STR("path", lane->path));
	piece->told_stuck = true;
	piece->stuck(piece);
	if (lane->group == 0) {
		abandon(lane);
		return;
	}
	lane->stuck = true;
	lane->stuck_wall_ms =
		all->config.clock->wall_ms(all->config.clock) - (now_mono(all) - piece->since_ms);
	all->remote--;
	for (size_t i = 0; i < RANKS; i++)
		tell_stuck(&lane->waiting[i]);
	all->config.changed(all->config.ctx);
}

static void look_for_stuck(struct lane *lane)
{
	struct piece *piece = lane->current;

	if (piece != NULL && !piece->told_stuck &&
	    now_mono(lane->all) - piece->since_ms >= LANES_PATIENCE_MS)
		get_stuck(lane, piece);
}

static void on_timer(uv_timer_t *timer)
{
	struct lanes *all = timer->data;
	struct lane *lane;
	struct lane *next;

	for (lane = TAILQ_FIRST(&all->lanes); lane != NULL; lane = next) {
		next = TAILQ_NEXT(lane, link);
		look_for_stuck(lane);
		if (lane->current != NULL || has_waiting(lane))
			continue;
		if (lane->worker != NULL && now_mono(all) - lane->idle_ms >= LANES_IDLE_MS)
			end_worker(lane);
		if (lane->worker == NULL) {
			TAILQ_REMOVE(&all->lanes, lane, link);
			mem_free(lane);
		}
	}
	dispatch_all(all);
}

static void sooner(int64_t *due, int64_t at)
{
	if (at < *due)
		*due = at;
}

/* To the next moment something must be seen to: nothing wakes an idle reader. */
static void arm(struct lanes *all)
{
	int64_t due = INT64_MAX;
	int64_t now = now_mono(all);
	struct lane *lane;

	if (all->stopping)
		return;
	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		const struct piece *piece = lane->current;

		if (piece != NULL && !piece->told_stuck)
			sooner(&due, piece->since_ms + LANES_PATIENCE_MS);
		else if (piece == NULL && lane->worker != NULL && !has_waiting(lane))
			sooner(&due, lane->idle_ms + LANES_IDLE_MS);
		if (piece == NULL && lane->budget_ms > now &&
		    !TAILQ_EMPTY(&lane->waiting[PIECE_BACKGROUND]))
			sooner(&due, lane->budget_ms);
	}
	if (due == INT64_MAX)
		uv_timer_stop(&all->timer);
	else
		uv_timer_start(&all->timer, on_timer, (uint64_t)(due > now ? due - now : 1), 0);
}

/* --- mounts --- */

/* What a lane hangs on has been unmounted: the call may still hang, its mount's name is free. */
static void look_for_gone(struct lane *lane)
{
	const struct piece *piece = lane->current;

	if (!lane->stuck || piece == NULL || piece->mount == NULL ||
	    mount_table_by_id(lane->all->table, piece->mount->id) != NULL)
		return;
	abandon(lane);
	if (lane->current == NULL)
		set_free(lane);
}

void lanes_set_table(struct lanes *all, struct mount_table *table)
{
	struct lane *lane;

	mount_table_unref(all->table);
	all->table = table != NULL ? mount_table_ref(table) : NULL;
	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		look_for_gone(lane);
	}
	if (!all->stopping)
		dispatch_all(all);
}

struct mount_table *lanes_table(const struct lanes *all)
{
	return all->table;
}

uint64_t lanes_group(const struct lanes *all, const char *path)
{
	const struct mount *m = mount_table_find(all->table, path);

	return m != NULL ? m->group : 0;
}

bool lanes_stuck(const struct lanes *all, uint64_t group)
{
	const struct lane *lane = group != 0 ? find_lane(all, group, false) : NULL;

	return lane != NULL && lane->stuck;
}

void lanes_each_stuck(const struct lanes *all, lanes_stuck_cb cb, void *ctx)
{
	const struct lane *lane;

	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		if (lane->stuck)
			cb(ctx, lane->point, lane->source, lane->stuck_wall_ms);
	}
}

size_t lanes_threads(const struct lanes *all)
{
	return all->threads;
}

/* --- life --- */

int lanes_new(const struct lanes_config *config, struct lanes **out, struct err *err)
{
	struct lanes *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	all->config = *config;
	TAILQ_INIT(&all->lanes);
	CHECK(uv_timer_init(config->loop, &all->timer) == 0);
	all->timer.data = all;
	*out = all;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct lanes *all = handle->data;

	all->timer_closed = true;
	maybe_stopped(all);
}

void lanes_stop(struct lanes *all, void (*stopped)(void *owner), void *owner)
{
	struct lane *lane;

	if (all->stopping)
		return;
	all->stopping = true;
	all->stopped = stopped;
	all->owner = owner;
	TAILQ_FOREACH(lane, &all->lanes, link)
	{
		for (size_t i = 0; i < RANKS; i++) {
			struct piece *piece;

			while ((piece = TAILQ_FIRST(&lane->waiting[i])) != NULL) {
				unqueue(piece);
				finish(piece, PIECE_REFUSED);
			}
		}
		if (lane->current == NULL)
			end_worker(lane);
	}
	uv_close((uv_handle_t *)&all->timer, on_timer_closed);
}
