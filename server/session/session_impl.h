/* The insides of sessions, shared by session*.c and task.c. */
#ifndef ENVWARDEN_SERVER_SESSION_SESSION_IMPL_H
#define ENVWARDEN_SERVER_SESSION_SESSION_IMPL_H

#include <stdbool.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/net/conn.h"
#include "proto/codec.h"
#include "server/db/db_machine.h"
#include "server/db/db_pool.h"
#include "server/session/classes.h"
#include "server/session/hub.h"
#include "server/session/session.h"

struct task;

struct session {
	struct hub *hub;
	struct conn *conn; /* NULL when closed */
	unsigned tasks;	   /* under way */
	bool stopping;	   /* conn_stop or conn_finish was called */
	bool ready;	   /* the handshake is over: its slot was given back */
	bool welcomed;	   /* Hello was answered */
	bool greeted;	   /* Hello came */
	enum session_class class;
	struct uuid machine;
	unsigned char key_hash[SHA256_SIZE];
	int64_t not_after_ms;
	int64_t heard_ms;     /* monotonic: the last message */
	int64_t timestamp_ms; /* wall: the last timestamp sent */

	/* A bundle being sent: the task holds its bytes; NULL = none. */
	struct task *sending;
	size_t sent;

	/* The hub's. */
	struct session *next; /* all sessions */
	struct session *prev;
	struct session *next_of_machine; /* registry */
	bool registered;
	bool stranger; /* counted as one */
	bool push_wanted;
	bool push_queued;
	bool pushing;
	struct session *next_push; /* waiting for room for their push */
	struct session *prev_push;
};

/*
 * One piece of work in the database for a session: a message with its answer, a check, a push. The
 * task outlives its session's connection if need be.
 *
 * run() is called on a thread of the pool and sees only the task: the message, facts copied from
 * the session, what belongs to the hub and never changes. It packs its answer (task_reply), which
 * is sent when the work is durable. A failure with its text goes to the agent as Error and decides
 * by its code whether the session stays open (session_error). after() runs on the loop, before the
 * answer is sent, unless the session is over by then. Work in several steps names the next one in
 * `next`; each is durable before the next begins.
 */
struct task {
	struct db_job job;
	struct session *session;
	int (*run)(struct db_conn *conn, struct task *task, struct err *err);
	int (*next)(struct db_conn *conn, struct task *task,
		    struct err *err); /* set by run; NULL */
	bool next_writes;
	void (*after)(struct session *session, struct task *task);	    /* NULL = nothing */
	void (*failed)(struct session *session, struct task *task, int rc); /* instead; NULL */
	void (*ended)(struct session *session); /* the same, however it went; NULL = nothing */

	const struct hub_config *config;
	struct uuid machine;
	unsigned char key_hash[SHA256_SIZE];
	int64_t now_ms;
	bool paused;	 /* the session reads on when this is done */
	bool conflicted; /* Hello: changes of this epoch were refused for contradicting ours */

	struct arena arena;
	const Envwarden__Sync__Envelope *message; /* in the arena; NULL = not from one */
	struct err err;
	struct state *state; /* being made; NULL = none */
	unsigned tries;
	/* Packs the answer that brings the state's timestamp. */
	int (*answer)(struct task *task, const struct buf *timestamp, struct err *err);
	const void *answer_data; /* what else it says, in the arena */
	struct buf reply;	 /* a frame with its length; empty = no answer */
	bool refused;		 /* the reply is an Error that ends the session */
	int64_t not_after_ms;	 /* Renew: of the new certificate */
	const void *bundle;	 /* BundleRequest: what to send, in the arena */
	size_t bundle_n;
	uint64_t bundle_version;
};

/* --- task.c --- */
int task_new(struct session *session, struct task **out);
void task_free(struct task *task);
/* Starts it and takes it, also on failure (which ends the session as `busy`). */
void task_start(struct task *task, bool write);
int task_reply(struct task *task, const Envwarden__Sync__Envelope *envelope, struct err *err);
/* The answer is an Error that ends the session, though the work is kept. */
int task_refuse(struct task *task, int code, const char *text, struct err *err);
/* The machine as stored; ERR_PERM with the reason if it may not have a session. */
int task_machine(struct db_conn *conn, struct task *task, struct db_machine *out, struct err *err);

/* --- session.c --- */
int session_send(struct session *session, const Envwarden__Sync__Envelope *envelope);
/* Sends an Error and, by its code, ends the session. */
void session_error(struct session *session, const struct err *err, int64_t retry_ms);
void session_finish(struct session *session); /* as soon as what was sent is out */

/* --- what each kind of message does on the pool's threads (session_*.c) --- */
int enrol_run(struct db_conn *conn, struct task *task, struct err *err);
int renew_run(struct db_conn *conn, struct task *task, struct err *err);
int hello_run(struct db_conn *conn, struct task *task, struct err *err);
int offer_run(struct db_conn *conn, struct task *task, struct err *err);
int packages_run(struct db_conn *conn, struct task *task, struct err *err);
int changes_run(struct db_conn *conn, struct task *task, struct err *err);
int bundle_run(struct db_conn *conn, struct task *task, struct err *err);
int report_run(struct db_conn *conn, struct task *task, struct err *err);
int decisions_run(struct db_conn *conn, struct task *task, struct err *err);
int request_run(struct db_conn *conn, struct task *task, struct err *err);
/* Makes the machine's signed state and answers with its timestamp: task->answer. */
int state_run(struct db_conn *conn, struct task *task, struct err *err);

/* The first Hello of a machine after a restore: the policy's version goes above the one it holds.
 */
int restored_policy(struct db_conn *conn, const struct task *task, struct err *err);

/* Loop thread: begins or goes on sending the bundle of session->sending. */
void bundle_send(struct session *session);

/* --- hub.c, hub_push.c --- */
const struct hub_config *hub_config(const struct hub *hub);
struct tls_context *hub_tls(const struct hub *hub);
struct db_port *hub_db(const struct hub *hub);
int64_t hub_now_ms(const struct hub *hub); /* wall */
void hub_conflict_note(struct hub *hub, const struct uuid *machine, const struct uuid *epoch);
bool hub_conflict_known(const struct hub *hub, const struct uuid *machine,
			const struct uuid *epoch);
void hub_enrolled(struct hub *hub, const char *peer);
bool hub_may_enrol(struct hub *hub, const char *peer, int64_t *wait_ms);
void hub_add(struct hub *hub, struct session *session);
/* From its Hello on news reach it; another session of the machine is ended. */
void hub_register(struct hub *hub, struct session *session);
void hub_handshake_over(struct hub *hub);
/* Counts a session without certificate, until it is closed; false: there are too many. */
bool hub_admit_stranger(struct hub *hub, struct session *session);
void hub_session_closed(struct hub *hub, struct session *session); /* forgets it everywhere */
void hub_session_freed(struct hub *hub);
/* A new timestamp with what it names, as soon as there is room for it. */
void hub_push(struct hub *hub, struct session *session);

#endif
