/*
 * The core process's wiring: one struct that joins the store's thread, the reader's link, the local
 * socket and the sync client around the environments known. Private to the files that make it up:
 *
 *   engine.c    life: opening, starting, stopping
 *   opening.c   the state folder and the store in it, at the start
 *   readers.c   the link to the reader: who comes, what it is told, what it says
 *   facts.c     facts the reader tells -> store -> environments
 *   known.c     what the reader need not read again
 *   lookups.c   from what somebody named to the environment, clean or read anew
 *   checks.c    activation checks
 *   requests.c, request_*.c  the other requests of the local socket
 *   state.c     signed state: taken over, told
 *   logging.c   the organisation's logging switch
 *   graces.c    what members were granted on the spot: deferrals, unlock codes
 *   asking.c    members' requests for exceptions: kept, sent, answered
 *   telling.c   what the server is told of decisions
 *   ran.c       what was used although it was blocked: kept, and told with them
 *   ran_look.c  where the reader looks for that between sweeps
 *   deciding.c  decisions: when they are made again, and answers from what is kept
 *   syncing.c   what the sync client asks for, with syncing_read.c, syncing_keep.c, syncing_enrol.c
 *   fallback.c  the fallback file
 *   sent.c      what left this machine
 *   use.c       when environments were used
 *   wanting.c   the request to place the gate's pieces in bases that lack them
 *   notes.c     what could not be read in them, for the server
 *
 * Loop thread only, but for the bodies of jobs, which run on the store's thread and touch nothing
 * but their own struct and the store.
 */
#ifndef ENVWARDEN_AGENT_ENGINE_H
#define ENVWARDEN_AGENT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/accounts.h"
#include "agent/asked.h"
#include "agent/config.h"
#include "agent/core/resolve.h"
#include "agent/core/trust.h"
#include "agent/core/trusted_time.h"
#include "agent/decisions.h"
#include "agent/envs.h"
#include "agent/grace_list.h"
#include "agent/intake.h"
#include "agent/lease.h"
#include "agent/link.h"
#include "agent/local/server.h"
#include "agent/options.h"
#include "agent/ran_list.h"
#include "agent/store/store.h"
#include "agent/sync/enrol.h"
#include "agent/sync/identity.h"
#include "agent/sync/sync.h"
#include "agent/tries.h"
#include "agent/worker.h"
#include "lib/base/arena.h"
#include "lib/base/crypto.h"
#include "platform/files.h"
#include "proto/convert.h"
#include "proto/fallback.h"
#include "proto/set_file.h"

struct inlet;	/* facts.c: the environment being told by the reader */
struct lookups; /* lookups.c: those under way */
struct state;	/* state.c: signed state and what it says */
struct syncing; /* syncing.c */
struct waiter;	/* facts.c: who waits for a reading */
struct follower;
struct reporting; /* request_report.c: a report under way */
struct importing; /* request_import.c: an import under way */

#define ENGINE_TEXT_MAX 512
#define ENGINE_ACCOUNTS_MAX 1024
#define ENGINE_KEY_ASKED "asked/" /* settings: members' requests, by id */
#define ENGINE_KEY_TIME "trusted-time"
#define ENGINE_KEY_GRACES "graces"
#define ENGINE_KEY_GRACES_TOLD "graces-told"
#define ENGINE_KEY_COUNTS "decision-counts"
#define ENGINE_KEY_RAN "ran-after-block"
#define ENGINE_KEY_LOST "lost" /* setting: epoch of a journal that was lost and not told yet */
#define ENGINE_EXIT_DAMAGED 65 /* the store is: of the process that checks it, and of the core */
#define ENGINE_UNREPORTED_MAX 64

#define ENGINE_REPAIRS_MAX 64
#define ENGINE_REPAIRS_PER_UID 8
#define ENGINE_REPAIR_MS (30 * 60 * 1000) /* after which one that was announced is over */

/* That an account is mending an environment, by its own word. */
struct engine_repair {
	struct uuid environment;
	uint32_t uid;
	int64_t until_ms; /* mono */
};

/* A prefix that can't be read, and who asked for it. */
struct unreported {
	char *prefix;
	uint32_t uid;
};

struct engine {
	uv_loop_t loop;
	const struct clock *clock;
	const struct options *options;
	struct config config;
	struct arena config_arena;
	char config_trouble[ENGINE_TEXT_MAX]; /* why the file was not read again, "" */

	unsigned char hide_key[HIDE_KEY]; /* of paths that leave as hashes only */
	struct files_lock *lock;
	struct accounts *names;		     /* of accounts, for the store's thread */
	struct worker *disk;		     /* the store's thread */
	struct worker *decider;		     /* evaluates policies, which may take long */
	struct store *store;		     /* its calls on that thread only */
	struct store_journal journal;	     /* as of the last job that came back */
	char store_trouble[ENGINE_TEXT_MAX]; /* why the last write failed, "" */
	char aside[PATHS_MAX];		     /* folder of a store that was damaged, "" none */
	int64_t aside_ms;		     /* when it was set aside */
	bool paused;			     /* no reader: its facts could not be stored */
	int64_t pause_ms;		     /* how long the last pause was, 0 = all is well */

	struct link *link;	   /* to the reader, NULL while there is none */
	struct lease_holder lease; /* ... what it lends */
	uv_poll_t channel;	   /* descriptors of new readers */
	int channel_fd;
	/* Of a reader that waits for the link of the one before to close: */
	int next_fd; /* -1 none */
	struct lease_ends next_lease;
	uint32_t accounts[ENGINE_ACCOUNTS_MAX]; /* who asked: the reader was told */
	size_t n_accounts;
	bool scan_done;
	bool scan_stored; /* and what it told is known here */
	uint64_t watched;
	uint64_t polled;
	uint64_t remote;  /* environments on file systems that send no events */
	uint64_t late_ms; /* how long a change on these may go unseen */
	struct {
		char text[ENGINE_TEXT_MAX]; /* what \t why \t remedy */
	} reader_trouble[12];
	size_t n_reader_trouble;
	uint64_t denied;     /* prefixes the reader found and may not read */
	char **denied_paths; /* some of them */
	size_t n_denied_paths;

	struct envs envs;
	uint64_t sent; /* messages to the server so far (sent.c) */
	struct inlet *inlet;
	struct inlet *storing; /* told as a whole, not in the table yet */
	struct waiter *waiters;
	uint64_t next_id; /* of probes and readings */
	struct lookups *lookups;
	struct arena answer; /* to a check, while it is made */
	struct follower *followers;
	struct reporting *reports; /* under way */
	size_t n_reports;
	struct importing *import; /* under way, NULL none */
	struct unreported unreported[ENGINE_UNREPORTED_MAX];
	size_t n_unreported;
	struct local *local;

	struct sync_identity identity;
	bool enrolled;
	bool adopting; /* joining: what belongs to the organisation before is kept no more */
	struct state *state;
	bool logged;	    /* a baseline was told since logging was last switched on */
	bool log_switching; /* a job makes that follow what the organisation wants */
	struct decisions *decisions;
	uv_timer_t decide_timer;    /* when decisions run out, or could not be made */
	struct uuid deciding_epoch; /* of the changes that environments were made by */
	uint64_t told_number;	    /* of the newest report of decisions */
	uint64_t telling_number;    /* ... of one the server has not acknowledged, 0 none */
	uint64_t checks_made;	    /* since the start */
	uv_timer_t tell_timer;	    /* counters are to be told, and kept */
	bool blocks_changed;	    /* what is blocked, since it was stored last */
	struct ran_list ran;	    /* what was used although it was blocked */
	bool ran_taken;		    /* the server that was spoken to last wants to hear of it */
	unsigned ran_saving;	    /* jobs that write it */
	unsigned char ran_looked[SHA256_SIZE]; /* where the reader was told to look for more */
	struct engine_repair repairs[ENGINE_REPAIRS_MAX];
	size_t n_repairs;
	struct grace_list graces; /* given so far */
	bool grace_giving;	  /* one is being made durable */
	uint32_t graces_told;	  /* the server has heard of codes up to this number */
	uint32_t graces_telling;  /* ... and is being told of those up to this one, 0 none */
	struct tries code_tries;  /* unlock codes that accounts tried */
	struct asked_list asked;  /* members' requests for exceptions */
	bool asking;		  /* one is being made durable */
	struct syncing *syncing;
	struct enrol *enrol;
	struct trusted_time time;

	bool fallback_writing;
	bool fallback_again;
	bool fallback_full;			    /* not even the blocks fit */
	bool fallback_wanted;			    /* once decisions are made */
	unsigned char fallback_digest[SHA256_SIZE]; /* of what was last written; zeroes at start */
	uv_timer_t switch_timer;		    /* switching logging failed */
	uv_timer_t fallback_timer;		    /* writing failed */

	struct {
		bool writing;
		bool again;	 /* more came meanwhile */
		bool everything; /* the last write failed: nobody knows what is in the file */
		int64_t last_ms; /* when it was last written, 0 never */
		uv_timer_t timer;
	} wanting;
	uv_timer_t use_timer;
	int64_t use_told_ms; /* what was used until then is told to the server */
	uv_timer_t readers;  /* when readers may come: a new store first waits for the server's ids,
				one that could not write for better times */
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_signal_t reload;
	bool stopping;
	int exit_code;
};

/* --- engine.c --- */
int engine_main(const struct options *options, int channel_fd);
int64_t engine_wall(const struct engine *e);
int64_t engine_mono(const struct engine *e);
int64_t engine_trusted(const struct engine *e);
/* An account's name in the arena, as far as it is known by now; "". */
const char *engine_account(struct engine *e, uint32_t uid, struct arena *arena);
/* Whether environments are watched and changes are logged: always before enrolment, then as the
 * organisation says. */
bool engine_logging(const struct engine *e);
/*
 * Something the reader told is lost, since the store could not take it. The reader goes; another
 * one tells everything again after a pause, which grows for as long as that does not help.
 */
void engine_store_failed(struct engine *e);
/*
 * A value of the store is not what was written: the core ends, and the one that comes after it sets
 * the store aside. Nothing that was decided before is taken back meanwhile.
 */
void engine_store_damaged(struct engine *e, const char *what);
void engine_store_works(struct engine *e); /* something was written */
void engine_stop(struct engine *e);

/* Work on the store's thread. The job is embedded in its owner's struct. */
struct job {
	struct work work;
	struct engine *e;
	int rc;
	struct err err;
	struct store_journal journal; /* filled after run */
	void (*run)(struct job *job);
	void (*done)(struct job *job);
};
void engine_submit(struct engine *e, struct job *job);

/* --- opening.c --- */
int opening_state_dir(struct engine *e, struct err *err);
int opening_store(struct engine *e, struct err *err);
void opening_read_aside(struct engine *e);	 /* what was set aside, now or before */
void opening_note_epoch(const struct engine *e); /* what a store in this one's place would lack */
void opening_mark_damaged(const struct engine *e, const char *what);
void opening_mark_closed(const struct engine *e);

/* --- readers.c --- */
void readers_start(struct engine *e, int channel_fd); /* none is let in yet */
/* They may come, unless there is a pause: at the start, or when the server has told the ids it
 * knows. */
void readers_welcome(struct engine *e);
void readers_wait(struct engine *e, int64_t ms);  /* they may come then, if not before */
void readers_pause(struct engine *e, int64_t ms); /* none comes for so long */
/* Closes the link, so that a fresh reader comes and is told the present configuration. */
void readers_restart(struct engine *e);
/* This account asks: the reader is to look in its home, too, which nobody may list. */
bool readers_account(struct engine *e, uint32_t uid); /* false: it could not be told */

/* --- facts.c --- */
int facts_message(struct engine *e, const Envwarden__Reader__Envelope *message);
void facts_link_lost(struct engine *e);
/* Asks the reader to read a prefix; done(ctx, rc) once, when what it found is in the store, or
 * can't be. Returns an id for facts_forget, 0 when there is no reader (done is not called then).
 * ERR_CANCELED: the reader has gone. */
typedef void (*facts_read_cb)(void *ctx, int rc);
uint64_t facts_read(struct engine *e, const char *prefix, facts_read_cb done, void *ctx);
/* Facts of this prefix have come, and are not in the table yet. */
bool facts_on_their_way(const struct engine *e, const char *prefix);
/* done(ctx, rc) once, when all facts that have come are in the table. Otherwise as facts_read; 0
 * without memory, too. */
uint64_t facts_await(struct engine *e, facts_read_cb done, void *ctx);
void facts_forget(struct engine *e, uint64_t id); /* done is not called any more */
/*
 * Puts a sealed snapshot that came in another way into the store and the table; stored(ctx, rc)
 * once, later. Takes the intake's contents. ERR_NOMEM: nothing was taken.
 */
typedef void (*facts_stored_cb)(void *ctx, int rc);
int facts_store(struct engine *e, struct intake *intake, facts_stored_cb stored, void *ctx);

/* --- known.c --- */
int known_recall(struct engine *e, const Envwarden__Reader__Recall *recall);
/* Store's thread. Adds the kept packages. ERR_NOTFOUND: one is not there. */
int known_merge(struct store *store, struct intake *in, struct err *err);

/* --- lookups.c --- */
int lookups_start(struct engine *e);
void lookups_stop(struct engine *e);
void lookups_probe_reply(struct engine *e, const Envwarden__Reader__ProbeReply *reply);
void lookups_link_lost(struct engine *e);

/* Finds the environment a target means, for any request. done is called once, with env NULL and rc
 * ERR_NOTFOUND (or ERR_INVALID and err) when there is none that the asker may see. */
struct lookup_result {
	int rc;
	const char *error;
	struct env *env;
	const char *prefix; /* canonical, also when it is not known (yet) as an environment */
	const char *named;  /* as the asker names it, "" not at all */
	bool unreadable;    /* the reader may not look at it */
	bool sole;	    /* nothing else could have been meant */
	const char *notice;
	/* What to say where one must be meant for sure: conda would not find any, and the asker has
	   several of that name. NULL: it is clear. */
	const char *several;
	bool late; /* the deadline came before all was known, or nobody is there to tell it */
};
typedef void (*lookup_cb)(void *ctx, const struct lookup_result *result);
void lookups_begin(struct engine *e, uint32_t uid, const Envwarden__Local__Target *target,
		   lookup_cb done, void *ctx);

/* A decision was made: whoever waits for it is answered. */
void lookups_decided(struct engine *e, struct env *env);

/* --- checks.c --- */
void checks_handle(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m);

/* --- deciding.c --- */
int deciding_start(struct engine *e); /* ERR_NOMEM */
void deciding_stop(struct engine *e);
/* There is another policy, status bundle, timestamp; or logging was switched. */
void deciding_state_changed(struct engine *e);
/* A snapshot or a deletion was taken into the table. */
void deciding_applied(struct engine *e, const struct applied *applied);
/* It was activated, or runs; before_ms: when it was used before, 0 never. */
void deciding_used(struct engine *e, struct env *env, int64_t before_ms);
/* Whether what is kept on it is the decision as of now. */
bool deciding_fresh(const struct engine *e, const struct env *env);
/* What holds when nothing is known in time. ERR_NOMEM. */
int deciding_on_timeout(struct engine *e, struct arena *arena, struct decision *out);
/* The decision kept on an environment (NULL: nothing is known of it). It borrows from the
 * environment and the arena, for as long as the loop does nothing else. ERR_NOMEM. */
int engine_decide(struct engine *e, const struct env *env, const char *prefix, struct arena *arena,
		  struct decision_reply *out);

/* --- requests.c --- */
extern const struct local_handlers request_handlers;
void requests_stop(struct engine *e);
void requests_journal_grew(struct engine *e); /* wakes those who follow */
bool engine_may_see(const struct engine *e, uint32_t uid, const struct env *env);

/* --- request_report.c --- */
#define REPORT_EXCLUDED "the agent is told to leave this path alone"
/* The setting `exclude` names it, or what it lies in. */
bool report_excluded(const struct engine *e, const char *prefix);
/* Whether this account may report the prefix (env: known there, or NULL), once the agent turns out
 * not to be able to read it. */
bool report_welcome(const struct engine *e, uint32_t uid, const struct env *env,
		    const char *prefix);
/* A prefix that can't be read was asked for, and nothing is known of it. */
void report_missed(struct engine *e, uint32_t uid, const char *prefix);
/* How many environments are known by reports only, and how many prefixes were never reported. */
void report_count(const struct engine *e, uint64_t *reported, uint64_t *unreported);

/* --- state.c --- */
int state_start(struct engine *e, struct err *err);
void state_stop(struct engine *e);
bool state_wants_logging(const struct engine *e);     /* the organisation says so */
bool state_logging(const struct engine *e);	      /* and its baseline is made */
struct said *state_said(const struct engine *e);      /* NULL: nothing was said */
struct rulebook *state_rules(const struct engine *e); /* NULL: there is no policy */
int64_t state_confirmed_ms(const struct engine *e);   /* of the newest timestamp, 0 none */
const char *state_contact(const struct engine *e);
enum agent_down state_when_agent_down(const struct engine *e);
/* Why the newest set offered is not the one in force; "": it is. */
const char *state_refused(const struct engine *e);
uint64_t state_version(const struct engine *e, enum trust_role role);
void state_held(const struct engine *e, struct sync_position *out);
void state_timestamp(struct engine *e, const void *data, size_t n);
void state_bundle(struct engine *e, const char *role, uint64_t version, const void *data, size_t n);
/*
 * Takes over the set of a file as one from the server is: as a whole or not at all. The file is
 * borrowed until done(ctx, rc, err), once, at once or later; rc 0 = it is active, or was already.
 */
typedef void (*state_import_cb)(void *ctx, int rc, const struct err *err);
void state_import(struct engine *e, const struct set_file *set, state_import_cb done, void *ctx);
int64_t state_stale_ms(const struct engine *e); /* when what is held gets stale; 0 = never */
/* The first state of an agent that has just enrolled. */
int state_begin(struct engine *e, struct err *err);

/* --- timekeeping.c --- */
void timekeeping_start(struct engine *e); /* reads the store, before the loop runs */
/* Store's thread: trusted time is so late; what is earlier than what is kept is not. */
int timekeeping_put(struct store *store, int64_t trusted_ms, struct err *err);
void timekeeping_save(struct engine *e); /* as it has been carried forward */

/* --- telling.c --- */
void telling_start(struct engine *e); /* before the loop runs; reads the store */
void telling_go(struct engine *e);    /* tells what the server has not heard, if it can now */
void telling_acked(struct engine *e, uint64_t number);
void telling_lost(struct engine *e); /* the connection */
/* Counts from zero, and no decision was told: another organisation. But for the store. */
void telling_forget(struct engine *e);
void telling_decided(struct engine *e, struct env *env);
void telling_settled(struct engine *e);			 /* all that was due is decided */
void telling_checked(struct engine *e, struct env *env); /* somebody activated it, or tried to */
void telling_counted(struct engine *e, struct env *env); /* it has other counters */
void telling_soon(struct engine *e);			 /* within a minute */
void telling_save(struct engine *e);
void telling_on_time(uv_timer_t *timer);

/* --- ran.c, ran_look.c --- */
#define RAN_STARTED_SLACK_MS 100  /* the system knows the start of a process by its own ticks */
#define RAN_LOOK_MAX 1024	  /* environments the reader is told to look at between sweeps */
void ran_start(struct engine *e); /* before the loop runs; reads the store */
/*
 * An environment was seen in use. It is noted if it is blocked, and what was seen began after the
 * block came, as far as this agent knows.
 */
struct ran_sight {
	uint32_t uid;
	enum ran_how how;
	int64_t started_ms; /* monotonic; INT64_MAX: right now */
};
void ran_seen(struct engine *e, struct env *env, const struct ran_sight *sight);
/* What the server has not heard goes into a report; then whether it was sent; then that it has it.
 */
void ran_report(struct engine *e, struct arena *arena, Envwarden__Sync__DecisionReport *to);
void ran_reported(struct engine *e, bool sent);
void ran_acked(struct engine *e);
void ran_tell_again(struct engine *e); /* the server has forgotten */
/* What is blocked may be something else than before: the reader is told where to look; or a new
 * reader is. */
void ran_look(struct engine *e);
void ran_look_anew(struct engine *e);
void ran_forget(struct engine *e); /* all of it: another organisation; but for the store */
/* For those who may see the environment: the newest ones (NULL: none); all that is shown. */
const struct ran *ran_newest(const struct engine *e, const struct env *env);
int ran_show(struct engine *e, const struct env *env, struct arena *arena,
	     Envwarden__Environment *to); /* ERR_NOMEM */
/* This account says that it mends this environment. ERR_BUSY: too many at a time. */
int ran_repair_begins(struct engine *e, const struct env *env, uint32_t uid);
void ran_repair_ends(struct engine *e, const struct env *env, uint32_t uid);

/* --- graces.c --- */
/* Reads the store, before the loop runs. ERR_NOMEM; what can't be read is told in the log. */
int graces_start(struct engine *e, struct err *err);
/* Makes it durable, then the environment's; done(ctx, rc) once, later. ERR_NOMEM, ERR_BUSY
 * not begun. */
typedef void (*grace_cb)(void *ctx, int rc);
int grace_give(struct engine *e, const struct grace *grace, grace_cb done, void *ctx);
/* That the code an environment was unlocked with is over, as a line in the arena; "" if not. */
const char *grace_notice(const struct engine *e, const struct env *env, struct arena *arena);
/* What holds for an environment now, if anything does: the grace its user took (it makes the block
 * a warning), and the code that lifts the block. NULL: none. */
const struct grace *grace_deferral(const struct engine *e, const struct env *env);
const struct grace *grace_code(const struct engine *e, const struct env *env);
int graces_show(struct engine *e, const struct env *env, struct arena *arena,
		Envwarden__Environment *to); /* ERR_NOMEM */
/* Codes the server has not heard of go into a report; then whether it was sent; then that it has
 * it. */
void graces_report(struct engine *e, struct arena *arena, Envwarden__Sync__DecisionReport *to);
void graces_reported(struct engine *e, bool sent);
void graces_acked(struct engine *e);
void graces_tell_again(struct engine *e); /* the server has forgotten */
void graces_forget(struct engine *e);	  /* all of them: another organisation; but for the store */
void graces_free(struct engine *e);

/* --- asking.c --- */
void asking_start(struct engine *e); /* reads the store, before the loop runs */
/*
 * Makes a request durable, then known and sent; done(ctx, rc) once, later. ERR_LIMIT: too many of
 * this member's, or of all, wait for an answer; ERR_NOMEM; ERR_BUSY: not begun.
 */
typedef void (*asking_cb)(void *ctx, int rc);
int asking_ask(struct engine *e, const struct asked *asked, asking_cb done, void *ctx);
void asking_go(struct engine *e);   /* sends what the server has not confirmed, if it can now */
void asking_hear(struct engine *e); /* there is other signed state */
void asking_lost(struct engine *e); /* the connection */
/* What became of this member's newest request about what holds an environment back now, as a line
 * in the arena; "" when there is nothing to say. */
const char *asking_notice(const struct engine *e, const struct env *env, uint32_t uid,
			  struct arena *arena);
void asking_free(struct engine *e); /* what is in memory */

/* --- logging.c --- */
void logging_restore(struct engine *e); /* at start: how it was */
void logging_follow(struct engine *e);	/* makes it as the organisation wants */

/* --- syncing.c --- */
int syncing_prepare(struct engine *e, struct err *err); /* loads the identity; before state_start */
int syncing_start(struct engine *e, struct err *err);	/* nothing when not enrolled */
void syncing_free(struct engine *e);
void syncing_stop(struct engine *e, void (*stopped)(void *owner), void *owner);
void syncing_journal_grew(struct engine *e);
struct sync *syncing_client(const struct engine *e); /* NULL when not enrolled */
bool syncing_connected(const struct engine *e);
const char *syncing_server(const struct engine *e);
const char *syncing_why(const struct engine *e); /* why not connected */
/* Trades a join code for an identity and begins to sync; done once. */
typedef void (*syncing_enrol_cb)(void *ctx, int rc, const struct err *err);
void syncing_enrol(struct engine *e, const struct join_code *code, syncing_enrol_cb done,
		   void *ctx);

/* --- fallback.c --- */
void fallback_update(struct engine *e); /* decisions changed: write the file, soon */

/* --- hide_paths.c --- */
/* Reads the key of hash_paths, or makes it; nothing when that is off. */
int hide_paths_prepare(struct engine *e, const struct config *config, struct err *err);
/* The patterns for the store, borrowed from the configuration; how many. */
size_t hide_paths_patterns(const struct config *config, const char *out[CONFIG_LIST_MAX]);
/* From the jobs submitted after it on, the store hides what the configuration says. ERR_NOMEM. */
int hide_paths_use(struct engine *e, const struct config *config, struct err *err);

/* --- use.c --- */
void use_start(struct engine *e);
/* What the store lags behind by more than an hour is written; or, with last_used off, forgotten. */
void use_save(struct engine *e);
bool use_kept(const struct engine *e);
/*
 * What the server is to be told by now: uses since it was last told, which is once a day. Up to
 * max; how many.
 */
struct use_told {
	struct uuid environment;
	int64_t last_used_ms;
};
size_t use_untold(struct engine *e, struct use_told *out, size_t max);
void use_note(struct engine *e, struct env *env); /* an interactive activation check */
void use_runs(struct engine *e, struct env *env); /* something was seen to run in it */
/* The newest activation or running interpreter; 0 unknown, or not to be told. */
int64_t use_last(const struct engine *e, const struct env *env);

/* --- wanting.c --- */
/* A base was just read by the reader, and taken into the table: whether it lacks the pieces. */
void wanting_seen(struct engine *e, struct env *env, bool lacks);
void wanting_on_time(uv_timer_t *timer);

/* --- notes.c --- */
struct note_told {
	struct uuid environment;
	unsigned char digest[ENV_NOTES_DIGEST];
};
/* What one message tells: items in the arena, `told` to be freed with mem_free. */
struct notes_batch {
	Envwarden__Sync__EnvironmentNotes **items;
	struct note_told *told;
	size_t n;
};
void notes_start(struct engine *e); /* reads the store, before the loop runs */
void notes_gather(struct engine *e, struct arena *arena, struct notes_batch *out);
void notes_acked(struct engine *e, const struct note_told *told, size_t n);
void notes_forget(struct engine *e);			  /* another server, or one that forgot */
void notes_changed(struct engine *e);			  /* maybe, of any: has it told */
void notes_seen(struct engine *e, const struct env *env); /* of this one */

#endif
