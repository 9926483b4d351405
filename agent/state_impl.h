/*
 * What the files of the signed state share. state.c says what is held and fetches what is lacking,
 * state_accept.c takes a whole set over, state_import.c has sets from files. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_STATE_IMPL_H
#define ENVWARDEN_AGENT_STATE_IMPL_H

#include "agent/engine.h"

struct state {
	struct engine *e;
	bool held; /* false until enrolled */
	struct trust trust;
	struct said *said;	/* NULL: nothing was said yet */
	struct rulebook *rules; /* NULL: there is no policy */

	/* The set being fetched. */
	struct buf timestamp; /* empty: none */
	struct trust_names names;
	struct buf bundles[TRUST_ROLES];
	bool wanted[TRUST_ROLES];
	struct buf root;  /* one that was stepped to and is not stored yet; empty: it is */
	bool stepping;	  /* the next root is asked for, for the sake of `timestamp` */
	bool accepting;	  /* a job is making it durable */
	struct buf later; /* the newest timestamp that came meanwhile */
	char refused[ENGINE_TEXT_MAX]; /* why the last set was, "" if it was taken */

	struct {
		const struct set_file *set; /* NULL: none is waited for */
		state_import_cb done;
		void *ctx;
	} import;
	bool importing; /* the set under way is the import's */
};

/* --- state.c --- */

void state_follow_timestamp(struct state *s); /* a new one is there: fetch what it names */

/* --- state_accept.c --- */

void state_forget_set(struct state *s); /* that is being fetched */
/* The set is not taken, nor what was fetched of it; whoever brought it is told. */
void state_refuse(struct state *s, const char *role, uint64_t version, const struct err *err);
/* One does not verify; the set goes on, by the next root. */
void state_tell_refused(struct state *s, const char *role, uint64_t version, const struct err *err);
void state_accept_set(struct state *s);
void state_accept_when_whole(struct state *s);
void state_restore_set(struct state *s, const struct trust_candidate *stored); /* at the start */
void state_go_on(struct state *s); /* a set was dealt with: what waited for that */

/* --- state_import.c --- */

void state_import_begin(struct state *s);
/* Whoever brought the file is told; nothing refers to it any more. */
void state_import_end(struct state *s, int rc, const struct err *err);

#endif
