/*
 * The reader's threads. Everything that touches members' files is a piece of work for a lane: local
 * file systems share two (short pieces do not wait for long ones), what is reached through a server
 * or a program has one for all that would hang together (mount.group), with one piece in flight. So
 * a server that does not answer holds up its own environments and nobody else's.
 *
 *   submitted -> waits -> begins -> runs on the lane's thread -> done
 *
 * A piece that is not done within LANES_PATIENCE_MS makes its lane *stuck*: nothing more is begun
 * in it until the call returns or the mount has gone. A stuck local piece keeps its thread, and the
 * lane gets another one. Threads come with work and go LANES_IDLE_MS later.
 *
 * Where a path leads is found out by the lane itself, on its thread, link by link: a piece whose
 * path leads to another lane's mount moves there.
 *
 * Loop thread. done and stuck never come from within the call that submits the piece.
 */
#ifndef ENVWARDEN_AGENT_READER_LANES_H
#define ENVWARDEN_AGENT_READER_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent/worker.h"
#include "lib/base/err.h"
#include "platform/mount_table.h"

#define LANES_REMOTE_MAX 8     /* threads that wait for servers and programs at a time */
#define LANES_STUCK_MAX 24     /* ... and threads that wait in vain beside them */
#define LANES_PATIENCE_MS 5000 /* longer than any server that is well takes for one call */
#define LANES_IDLE_MS 30000
#define LANES_STATS_PER_S 2000 /* of pieces in the background, for each lane but the local ones */

struct uv_loop_s;
struct clock;
struct lanes;
struct lane;

enum piece_rank {
	PIECE_SHORT,	  /* somebody waits for it */
	PIECE_LOOK,	  /* in the order of submission */
	PIECE_BACKGROUND, /* when nothing else waits, and within the lane's budget */
};

enum piece_end {
	PIECE_RAN,
	PIECE_REFUSED, /* not run: its mount does not answer, or would be mounted by looking */
};

struct piece {
	/* The owner's, set before submitting. */
	enum piece_rank rank;
	/* Loop, also from within lanes_submit; sets path. false: not before lanes_go_on. NULL: path
	 * is set. */
	bool (*begin)(struct piece *piece);
	void (*run)(struct piece *piece);   /* the lane's thread */
	void (*done)(struct piece *piece);  /* loop; the piece is the owner's again */
	void (*stuck)(struct piece *piece); /* loop; its lane is stuck (once); done comes later */
	char *path; /* of SAFE_PATH_MAX bytes, until done; links in it are replaced before run */

	/* out */
	enum piece_end end;
	size_t stats;		   /* run sets how many files it asked about */
	struct mount_table *table; /* of when it ran; in done, to be counted by whom keeps it */
	const struct mount *mount; /* ... and where path was in it, NULL unknown */

	/* private */
	struct work work;
	TAILQ_ENTRY(piece) link;
	struct lanes *all;
	struct lane *lane; /* NULL: abandoned */
	uint64_t group;
	int64_t since_ms;
	unsigned moves;
	bool queued;
	bool under_way;
	bool told_stuck;
	bool elsewhere;
	bool front;
};

struct lanes_config {
	struct uv_loop_s *loop;
	const struct clock *clock;
	void (*changed)(void *ctx); /* a lane got stuck, or got over it */
	void *ctx;
};

int lanes_new(const struct lanes_config *config, struct lanes **out, struct err *err);
/*
 * What waits is ended as refused; stopped(owner) follows when what is under way has come back. That
 * may be never: whoever ends the process does not wait for ever.
 */
void lanes_stop(struct lanes *all, void (*stopped)(void *owner), void *owner);

/* The mounts as they are now; counted. NULL: everything counts as local. */
void lanes_set_table(struct lanes *all, struct mount_table *table);
struct mount_table *lanes_table(const struct lanes *all);

/*
 * Ahead of others of its rank if urgent. ERR_UNREACHABLE: its lane is stuck and it is short, or the
 * path would have to be mounted first; the piece is the owner's then.
 */
int lanes_submit(struct lanes *all, struct piece *piece, const char *path, bool urgent);
/* Takes back a piece that has not begun; false: it has, or was never submitted. */
bool lanes_cancel(struct piece *piece);
static inline bool piece_is_out(const struct piece *piece) /* submitted, and not done */
{
	return piece->queued || piece->under_way;
}
/* Pieces that did not want to begin may want to now. */
void lanes_go_on(struct lanes *all);

/* The group of a path as it is written; links are not known here. */
uint64_t lanes_group(const struct lanes *all, const char *path);
bool lanes_stuck(const struct lanes *all, uint64_t group);

/* Each lane that is stuck: what it hangs on, and since when (wall clock). */
typedef void (*lanes_stuck_cb)(void *ctx, const char *point, const char *source, int64_t since_ms);
void lanes_each_stuck(const struct lanes *all, lanes_stuck_cb cb, void *ctx);
size_t lanes_threads(const struct lanes *all); /* for tests */

#endif
