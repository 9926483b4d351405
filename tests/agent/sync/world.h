/*
 * A sync client with a server and an owner around it, in one loop: the server is a listener on
 * loopback that follows a small script (server.c), the owner a journal that is only numbers
 * (owner.c). Everything either of them hears goes into one trace, which tests compare.
 *
 *   ">x"  the server heard x          "x"  the owner was asked or told x
 */
#ifndef ENVWARDEN_TESTS_AGENT_SYNC_WORLD_H
#define ENVWARDEN_TESTS_AGENT_SYNC_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/sync/sync.h"
#include "lib/base/arena.h"
#include "lib/net/conn.h"
#include "lib/net/listener.h"
#include "tests/support/test_pki.h"
#include "tests/support/tmpdir.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define NOW_MS (20000 * DAY_MS)
#define MACHINE_TEXT "7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c11"
#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

struct world;

/* Certificates of an organisation; made once a program. */
struct pki {
	struct uuid organisation;
	struct test_cert root, other_root, server, machine;
	struct test_cert impostor; /* the server's name, another root */
};
const struct pki *pki_get(void);
int pki_free(void **state); /* a group teardown */
/* Another certificate for the machine's key, over these days from NOW_MS. */
void pki_machine_cert(int64_t from_days, int64_t to_days, struct test_cert *out);
void pki_identity(const struct test_cert *machine, uint16_t port, struct sync_identity *out);

struct fake_server {
	struct listener *listener;
	uint16_t port;
	struct tls_context *tls;
	struct conn *conn; /* the last accepted one */
	unsigned accepted;
	struct arena arena;

	/* The script. */
	bool silent;	/* says nothing at all */
	bool new_epoch; /* in the Welcome */
	uint64_t acked; /* in the Welcome; follows what is acked */
	bool hold_ack;
	bool need_none;
	const char *timestamp; /* in the Welcome, NULL = none */
	/* Looks at each message first; true: handled. */
	bool (*on_message)(struct world *w, const Envwarden__Sync__Envelope *e);
};

struct owner {
	struct sync_position position;
	size_t batch_max;   /* changes in a batch */
	size_t keys;	    /* that each batch names */
	size_t package_pad; /* bytes that make definitions big */
	bool later;	    /* answers from the loop, not from inside */
	bool withhold;	    /* answers when told to: owner_answer */
	int fail;	    /* what the next answer is, once */
	const char *want;   /* asked for with each timestamp */
	uint64_t want_version;
	struct buf bundle; /* the last one */
	char why[512];
	bool connected;
	int64_t trusted_ms;

	/* Open questions. */
	bool asked_welcome, asked_batch, asked_packages, asked_acked;
	uint64_t after, acked;
	size_t n_packages;
	uv_timer_t timer;
};

struct world {
	uv_loop_t loop;
	uv_timer_t watchdog;
	bool timed_out;
	struct tmpdir dir;
	char ticket_path[TMPDIR_PATH_MAX];
	struct sync_identity identity;
	struct sync_config config;
	struct sync *sync;
	struct fake_server server;
	struct owner owner;
	char trace[8192];
	size_t trace_n;
};

void world_init(struct world *w);
void world_start(struct world *w); /* the sync */
/* Runs until the trace contains the text, or fails the test after 20 s. */
void world_until(struct world *w, const char *text);
void world_expect(struct world *w, const char *trace); /* the whole of it; and empties it */
void world_run(struct world *w, uint64_t ms);	       /* for so long */
void world_stop_begin(struct world *w);
void world_stop_sync(struct world *w);
void world_end(struct world *w); /* stops what runs; the loop must be empty then */
void trace_clear(struct world *w);
void trace_add(struct world *w, const char *fmt, ...) EW_PRINTF(2, 3);

/* --- server.c --- */
extern int64_t server_now_ms;
int server_open(struct world *w, const struct test_cert *cert, int64_t now_ms);
void server_close(struct world *w);
void server_drop(struct world *w); /* the connection, now */
void server_send(struct world *w, const Envwarden__Sync__Envelope *e);
void server_welcome(struct world *w);
void server_ack(struct world *w, const struct uuid *epoch, uint64_t seq);
void server_need(struct world *w, const unsigned char *keys, size_t n);
void server_push(struct world *w, const char *timestamp);
void server_error(struct world *w, int code, const char *text, uint32_t retry_after_ms);
void server_chunk(struct world *w, const char *role, uint64_t version, uint64_t offset,
		  uint64_t total, const char *data);
void server_raw(struct world *w, const void *data, size_t n); /* one frame */
void server_renewed(struct world *w, const struct test_cert *cert);

/* --- owner.c --- */
extern const struct sync_ops owner_ops;
void owner_init(struct world *w);
void owner_deinit(struct world *w);
void owner_answer(struct world *w);	      /* all open questions */
void owner_grow(struct world *w, uint64_t n); /* n more changes */

#endif
