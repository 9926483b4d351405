/*
 * What the files of entries share: an entry, and the table of them. The words are those of
 * entries.h. entries_table.c keeps the table, entries.c the life of an entry, entries_found.c knows
 * what a look means, entries_lease.c which are lent, entries_state.c changes nothing. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_READER_ENTRIES_IMPL_H
#define ENVWARDEN_AGENT_READER_ENTRIES_IMPL_H

#include <uv.h>
#include <uv/tree.h>

#include "agent/reader/entries.h"
#include "agent/reader/look_job.h"
#include "agent/reader/watch_user.h"

#define ENTRIES_MAX 50000    /* known at a time; more are left out */
#define IDLE_READERS 2	     /* of JSON, kept for the next looks */
#define RETRY_MS 1000	     /* after a look that failed; doubles each time */
#define DUE_URGENT INT64_MIN /* before all others */
#define LENT_MAX 64	     /* at a time */

struct entry {
	RB_ENTRY(entry) by_path;
	RB_ENTRY(entry) by_inode;
	RB_ENTRY(entry) by_due; /* when dirty and no job is under way */
	struct entries *all;
	char *path;
	uint64_t dev;
	uint64_t ino;  /* 0 = not in the tree of inodes */
	int64_t mount; /* id of the mount it was last seen on, 0 unknown */
	unsigned char volume[MOUNT_VOLUME_SIZE]; /* ... and what that holds, zeroes unknown */
	uint64_t told_dev;			 /* the directory that was last told */
	uint64_t told_ino;
	char *moved_from; /* its path when it was last told, if it has moved since; else NULL */
	uint64_t moved_dev;
	uint64_t moved_ino;
	struct watch_user meta;
	struct watch_user site; /* of site-packages, or where it would come */
	uint64_t site_dev;	/* ... the folder it watches */
	uint64_t site_ino;
	struct watch_user prefix;
	struct piece piece;   /* in a lane: waiting, or under way with the job */
	struct look_job *job; /* under way */
	struct asker *askers;
	uint64_t found_dev; /* the directory the last look found at the path, 0 none so far */
	uint64_t found_ino;
	uint64_t twin_dev; /* the directory that another entry was known by, ... */
	uint64_t twin_ino;
	int64_t twin_ms;	  /* mono; ... since when this one leads there, too */
	struct held_history held; /* while something happens there */
	struct last_run *last;	  /* that removes it, as far as looks saw one; else NULL */
	int64_t first_seen_ms;	  /* mono */
	int64_t due_ms;		  /* mono; when dirty */
	int64_t event_ms;	  /* mono; newest hint */
	int64_t unquiet_ms;	  /* mono; first hint since the last look that counted, 0 none */
	int64_t unsettled_ms;	  /* mono; first look in a row that found it unsettled, 0 none */
	int64_t began_ms;	  /* mono; the last look */
	int64_t counted_ms;	  /* mono; the last look that told how things are began then */
	unsigned events;	  /* hints so far */
	unsigned job_events;	  /* ... when the job began */
	unsigned reads;		  /* damaged readings in a row */
	unsigned torn;		  /* looks in a row with events meanwhile */
	unsigned failures;	  /* looks in a row that failed */
	uint32_t stats;		  /* files the last look asked about */
	bool dirty;
	bool to_hold;	/* the next piece of work is to hold its history */
	bool queued;	/* in the tree by due time */
	bool busy;	/* the last look found it unsettled */
	bool known;	/* the core has heard of it */
	bool expected;	/* ... from an earlier reader, not from this one yet */
	bool whole;	/* ... and it was more than an empty conda-meta */
	bool looked;	/* at least once */
	bool vanished;	/* the last look found nothing; gone is told if the next one does too */
	bool plain;	/* no environment so far: may become one, is watched for a while */
	bool denied;	/* may not be read */
	bool asked_for; /* found by nobody, named by somebody */
	bool remote;	/* on a file system that does not tell what others do there */
	bool automount; /* on one that goes when nobody uses it: not polled, that would be use */
	bool away;
	bool calm;	 /* looked at once more, though nothing says that it has changed */
	bool background; /* nothing says that it has changed: looked at when there is time */
	bool counted;	 /* among the unlooked */
	bool aside;	 /* ... not any more: its file system does not answer */
	bool no_room;	 /* there was no watch left for it */
	bool polled;
	bool at_start;
	bool forgotten; /* dropped while its job was under way */
	bool lent;
	bool has_stamp;
	unsigned char stamp[SHA256_SIZE];
};

RB_HEAD(path_tree, entry);
RB_HEAD(inode_tree, entry);
RB_HEAD(due_tree, entry);
RB_PROTOTYPE(path_tree, entry, by_path, cmp_path)

struct entries {
	struct entries_config config;
	struct path_tree paths;
	struct inode_tree inodes;
	struct due_tree due;
	size_t n;
	size_t unlooked; /* that were never looked at and will be soon */
	size_t plain;
	size_t held;
	struct entry *lent[LENT_MAX];
	size_t n_lent;
	uint64_t epoch; /* of what is lent */
	struct watcher *watcher;
	struct json_reader *json[IDLE_READERS]; /* not in use */
	uv_timer_t timer;
	size_t under_way;
	bool at_start;
	bool told_exhausted;
	bool short_of_memory;
	bool pumping;
	bool stopping;
	bool timer_closed;
	void (*stopped)(void *owner);
	void *owner;
};

/* --- the table (entries_table.c) --- */

int64_t entries_now(const struct entries *all); /* mono, ms */

struct entry *entry_new(struct entries *all, const char *path); /* NULL: no memory, or too many */
/* Out of the table; freed now, or when its job comes back. Whoever asked hears rc. */
void entry_drop(struct entry *e, int rc_for_askers);
void entry_free(struct entry *e); /* that is in no tree */

/* Known by this path (taken over; no other entry's) from now on. */
void entry_change_path(struct entry *e, char *path);
/* Of this directory (that no other entry is in the tree with); leave: of none. */
void entry_change_inode(struct entry *e, uint64_t dev, uint64_t ino);
void entry_leave_inodes(struct entry *e);

/* Will be looked at then; earlier or later than before. */
void entry_make_due(struct entry *e, int64_t due_ms);
/* When there is time for it: nothing says that it has changed. */
void entry_make_due_in_background(struct entry *e, int64_t due_ms);
/* Somebody waits for it. What is in the middle of something is not looked at earlier for that. */
void entry_make_urgent(struct entry *e);
void entry_undirty(struct entry *e); /* not due any more */
void entry_queue(struct entry *e);   /* if it is due and nothing is under way; or out of it, */
void entry_unqueue(struct entry *e); /* ... still dirty */
struct entry *entries_first_due(const struct entries *all); /* NULL none */

void entry_uncount(struct entry *e); /* it is not among the unlooked */
void entry_set_plain(struct entry *e, bool plain);
/* Room for one more folder that may become an environment: the one that has had longest goes. */
void entries_make_room_for_plain(struct entries *all);
void entry_let_go(struct entry *e);	    /* of its history: nothing happens there any more */
void entry_answer(struct entry *e, int rc); /* everybody who asked for it */
/*
 * It was told at another path. Whether this was a move, the facts of the new path have told; if it
 * was not (an inode is used again), or if there are none, the old one is gone.
 */
void entry_moved_from_is_gone(struct entry *e);

void entry_unwatch(struct entries *all, struct watch_user *user);
/* The watches that a look has placed are its own now, or nobody's. */
void entry_adopt_watches(struct entry *e, struct look_job *job);
void entries_discard_watches(const struct entries *all, const struct look_job *job);

/* --- leases (entries_lease.c) --- */

void entry_take_back(struct entry *e); /* it is not at rest any more, or not there */

/* --- what a look means (entries_found.c) --- */

void entry_take_look(struct entry *e, struct look_job *job);
/* It may not be looked at: it is on what would have to be mounted first. */
void entry_found_refused(struct entry *e);
/* Whether the file system its facts are from is not mounted where it was. */
bool entry_is_unmounted(const struct entry *e);

#endif
