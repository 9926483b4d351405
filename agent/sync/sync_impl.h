/* The insides of the sync client, shared by sync.c and what it is made of. */
#ifndef ENVWARDEN_AGENT_SYNC_SYNC_IMPL_H
#define ENVWARDEN_AGENT_SYNC_SYNC_IMPL_H

#include <uv.h>

#include "agent/sync/client.h"
#include "agent/sync/sync.h"
#include "lib/base/arena.h"
#include "lib/base/compiler.h"
#include "lib/net/conn.h"
#include "lib/net/dialer.h"
#include "proto/codec.h"
#include "proto/limits.h"

enum sync_state {
	SYNC_WAITING,  /* no connection: the dialer waits or dials */
	SYNC_DIALLING, /* connected, TLS shakes hands */
	SYNC_RENEWING, /* the certificate has expired: only Renew may be said */
	SYNC_HELLO,    /* Hello goes out as soon as no answer of the owner is owed, Welcome comes */
	SYNC_WELCOMING, /* the owner stores the Welcome */
	SYNC_LIVE,
	SYNC_CLOSING, /* the connection ends, on_closed is near */
	SYNC_STOPPING
};

/* Answers of the server that are awaited, each at most once. */
enum answer {
	ANSWER_WELCOME,
	ANSWER_RENEW,
	ANSWER_NEED,
	ANSWER_ACK,
	ANSWER_BUNDLE,
	ANSWER_PONG,
	ANSWER_DECISIONS,
	ANSWER_COUNT
};

/* Questions to the owner that are open: bits. They outlive the connection they came up on. */
enum question {
	QUESTION_WELCOME = 1,
	QUESTION_BATCH = 2,
	QUESTION_PACKAGES = 4,
	QUESTION_ACKED = 8
};

enum upload_state {
	UPLOAD_IDLE,
	UPLOAD_READING,	 /* the owner reads a batch */
	UPLOAD_OFFERING, /* the next keys are to be offered */
	UPLOAD_OFFERED,	 /* the server says which it needs */
	UPLOAD_FETCHING, /* the owner reads definitions */
	UPLOAD_PACKAGES, /* definitions go out */
	UPLOAD_CHANGES,	 /* changes are to go out */
	UPLOAD_SENT,	 /* the server makes them durable */
	UPLOAD_STORING	 /* the owner notes it */
};

struct upload {
	enum upload_state state;
	bool more; /* the journal grew since the batch was read */
	struct sync_batch batch;
	struct uuid epoch;    /* of the batch */
	size_t keys_done;     /* keys of the batch the server has */
	size_t keys_now;      /* the ones after them that are under way */
	struct buf packages;  /* frames */
	size_t packages_sent; /* bytes of them */
};

/* A bundle that is wanted, with what came of it so far: kept when the connection is lost. */
struct want {
	char role[LIMIT_ROLE + 1];
	uint64_t version;
	struct buf data;
};

struct report {
	char role[LIMIT_ROLE + 1]; /* "" = none */
	uint64_t version;
	bool active;
	char reason[LIMIT_TEXT + 1];
};

struct download {
	struct want wants[LIMIT_ROLES]; /* the first is fetched first */
	size_t n_wants;
	struct report reports[LIMIT_ROLES];
	/* The request under way while ANSWER_BUNDLE is awaited; its want may be gone by now. */
	char role[LIMIT_ROLE + 1];
	uint64_t version;
	uint64_t offset; /* of the next chunk */
	uint64_t total;	 /* as the first chunk said; 0 = none came yet */
};

struct renewal {
	int64_t due_ms; /* trusted times, of the present certificate */
	int64_t not_after_ms;
	bool first; /* the server took the certificate for expired: renew before Hello */
	bool tried;
	uint64_t tried_ms; /* loop time */
};

struct sync {
	struct sync_config config; /* addresses are not kept */
	uv_loop_t *loop;
	const struct sync_ops *ops;
	void *ctx;

	enum sync_state state;
	unsigned pending; /* dialer, connection, timers */
	struct dialer *dialer;
	struct conn *conn;
	struct tls_context *tls;
	uv_timer_t silence; /* runs while an answer is awaited */
	uv_timer_t tick;    /* while live: ping, certificate */
	void (*stopped)(void *owner);
	void *owner;

	struct client_machine machine;
	char server[ADDRESS_TEXT_MAX];
	char ticket_path[4096];
	struct buf ticket;
	struct arena arena;	/* the message being handled */
	struct buf timestamp;	/* of the Welcome, until that is stored */
	struct err why;		/* why we ended the connection; code 0 = we did not */
	int64_t retry_after_ms; /* what the server asked for when it ended */
	bool hurry;		/* connect again at once: the certificate is new */

	enum answer awaited[ANSWER_COUNT]; /* oldest first */
	size_t n_awaited;
	unsigned open;	   /* questions */
	bool no_decisions; /* the server of this connection does not know of them */
	struct upload upload;
	struct download download;
	struct renewal renewal;
};

/* --- sync.c --- */
void sync_set_state(struct sync *sync, enum sync_state state);
/* Ends the connection; why: one line for people. Nothing when there is none, or it ends already. */
void sync_lose(struct sync *sync, int code, const char *fmt, ...) EW_PRINTF(3, 4);
/* Sends; false when there is no room now (on_drain comes here again) or the connection ends. */
bool sync_send(struct sync *sync, const Envwarden__Sync__Envelope *envelope);
bool sync_send_frame(struct sync *sync, const void *payload, size_t n);
/* Does what can be done now, and sees to it that silence is noticed. Last thing in every entry. */
void sync_settle(struct sync *sync);
void sync_await(struct sync *sync, enum answer answer);
bool sync_awaits(const struct sync *sync, enum answer answer);
bool sync_answered(struct sync *sync, enum answer answer); /* false: was not awaited */
void sync_ask(struct sync *sync, enum question question);
/* The TLS context anew from the identity, which has another chain. */
int sync_use_identity(struct sync *sync, struct err *err);

/* --- messages.c --- */
void hello_try(struct sync *sync);
void sync_message(struct sync *sync, const void *payload, size_t n);

/* --- upload.c --- */
void upload_init(struct upload *u);
void upload_reset(struct sync *sync); /* the connection is gone, or there is a new one */
void upload_pump(struct sync *sync);
bool upload_blocked(const struct upload *u); /* waits for room to send */
void upload_on_need(struct sync *sync, const Envwarden__Sync__PackageNeed *need);
void upload_on_ack(struct sync *sync, const Envwarden__Sync__Ack *ack);

/* --- download.c --- */
void download_deinit(struct download *d);
void download_pump(struct sync *sync);
void download_on_chunk(struct sync *sync, const Envwarden__Sync__BundleChunk *chunk);
void download_refused(struct sync *sync); /* the request under way */

/* --- renew.c --- */
bool renew_expired(const struct sync *sync);
void renew_send(struct sync *sync);
void renew_if_due(struct sync *sync);
void renew_on_reply(struct sync *sync, const Envwarden__Sync__RenewReply *reply);

/* --- ticket.c --- */
void ticket_load(struct sync *sync);
void ticket_save(struct sync *sync);
void ticket_drop(struct sync *sync);

#endif
