/*
 * Entries (agent/reader/entries.h) on a stage: a temporary folder that is watched as a folder of
 * environments is, what was said of it, and the means to make, change and move environments in it.
 * Names are paths relative to the folder. Whatever fails ends the test.
 */
#ifndef ENVWARDEN_TESTS_AGENT_READER_ENTRIES_STAGE_H
#define ENVWARDEN_TESTS_AGENT_READER_ENTRIES_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/reader/entries.h"
#include "agent/reader/lanes.h"
#include "agent/reader/watch_user.h"
#include "tests/support/tmpdir.h"

#define SETTLE_MS 60
#define SEEN_MAX 128

enum said {
	SAID_FACTS,
	SAID_GONE,
	SAID_DONE,
	SAID_ENVIRONMENT,
	SAID_AWAY
};

/* What the entries said, in order. */
struct seen {
	enum said said;
	char path[TMPDIR_PATH_MAX];
	char renamed_from[TMPDIR_PATH_MAX];
	char command[256]; /* of what is gone */
	uint64_t ino;
	uint64_t packages;
	uint64_t id;
	int rc;
	bool at_start;
};

struct stage {
	struct tmpdir dir;
	uv_loop_t loop;
	uv_timer_t tick; /* so that conditions are looked at even when nothing happens */
	struct watcher *watcher;
	struct lanes *lanes;
	struct mount_table *next_table; /* of when it is asked for again; NULL as it is */
	struct entries *entries;
	struct watch_user parent;
	struct seen seen[SEEN_MAX];
	size_t n;
	bool caught_up;
	bool blocked;	  /* the core is behind */
	const char *tear; /* something happens there as a look that found no environment ends */
	bool deaf;	  /* what watches tell is lost */
	bool ending;
	unsigned stopped;
};

int stage_setup(void **state); /* cmocka's */
int stage_teardown(void **state);

/* --- waiting --- */
void stage_run_for(struct stage *f, int64_t ms);
/* The first that was said since `from`, NULL none; await waits for it. */
struct seen *stage_find(struct stage *f, size_t from, enum said said, const char *name);
struct seen *stage_await(struct stage *f, size_t from, enum said said, const char *name);
size_t stage_count(const struct stage *f, size_t from, enum said said);
enum entry_state stage_state(struct stage *f, const char *name); /* of a known one */
bool stage_knows(struct stage *f, const char *name);
void stage_await_state(struct stage *f, const char *name, enum entry_state state);
void stage_await_unknown(struct stage *f, const char *name);

/* --- environments --- */
void stage_record(struct stage *f, const char *env, const char *package, const char *version);
void stage_history(struct stage *f, const char *env, const char *command);
/* With one package, foo 1.0; or python 3.11.9. */
void stage_make_env(struct stage *f, const char *env);
void stage_make_python(struct stage *f, const char *env);
void stage_dist(struct stage *f, const char *env, const char *package); /* what pip leaves */
void stage_move(struct stage *f, const char *from, const char *to);
void stage_remove_file(struct stage *f, const char *name);
void stage_remove_env(struct stage *f, const char *env);
void stage_ask(struct stage *f, const char *name, uint64_t id); /* for a reading */
void stage_candidate(struct stage *f, const char *name);

#endif
