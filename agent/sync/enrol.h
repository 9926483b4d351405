/*
 * Enrolment: one connection without a certificate, pinned to the join code's root hash, that trades
 * the code's secret and a certificate request for an identity. Loop thread only.
 */
#ifndef ENVWARDEN_AGENT_SYNC_ENROL_H
#define ENVWARDEN_AGENT_SYNC_ENROL_H

#include "agent/sync/identity.h"
#include "lib/base/err.h"
#include "proto/join_code.h"

struct uv_loop_s;
struct enrol;

/*
 * rc 0: *identity is the caller's to take (move it out) or it is released after the call. Else err
 * says in one line what is wrong and what to do ("the organisation's server does not accept this
 * join code: it was used up or has expired; ask for a new one"). Nothing was stored.
 */
typedef void (*enrol_done_cb)(void *ctx, int rc, struct sync_identity *identity,
			      const struct err *err);

struct enrol_config {
	struct uv_loop_s *loop;
	const struct join_code *code; /* copied */
	const char *proxy;	      /* "" none */
	int64_t timeout_ms;	      /* for all of it */
	int64_t now_ms;		      /* wall clock: nothing better is known yet */
	enrol_done_cb done;
	void *ctx;
};
int enrol_start(const struct enrol_config *config, struct enrol **out, struct err *err);
void enrol_stop(struct enrol *enrol); /* done(ERR_CANCELED) follows */

#endif
