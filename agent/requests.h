/*
 * The requests of the local socket other than checks: one file each (request_*.c), and what they
 * share. Private to them. Loop thread.
 */
#ifndef ENVWARDEN_AGENT_REQUESTS_H
#define ENVWARDEN_AGENT_REQUESTS_H

#include "agent/engine.h"
#include "proto/limits.h"

#define STREAM_MEMORY_MAX (64u << 20)

/* A stream of answers that waits for its reader. */
struct stream {
	struct engine *e;
	struct local_call *call;
	struct arena arena; /* of what is being sent now */
	/* Sends the next answer: 1 = more to come, 0 = that was all, ERR_LIMIT = later, < 0 = over.
	 */
	int (*next)(struct stream *stream);
	void (*release)(struct stream *stream);
};

void stream_init(struct stream *stream, struct engine *e, struct local_call *call);
/* Sends what `next` has, for as long as the peer takes it; a writable callback too. */
void stream_go_on(struct local_call *call);
/* Releases the stream and ends its call, with an error unless rc is 0 or ERR_CLOSED. */
void stream_end(struct stream *stream, int rc);

void request_nomem(struct local_call *call);
void request_no_environment(struct local_call *call, const struct lookup_result *result);
/* The environment a lookup found; NULL if there is none, or it is not clear which one. */
struct env *request_found(const struct lookup_result *result);
/*
 * The same for what only its owner and root may ask of an environment that is there; its name goes
 * to `name`. NULL: the call was refused, and is over.
 */
struct env *request_owned(const struct engine *e, struct local_call *call,
			  const struct lookup_result *result, char name[LIMIT_WORD + 1]);
/*
 * Whether the asker may know of an environment: at once for its owner and root; others, if their
 * command says it can, prove that they can open it. go_on(call, env) once, now or later; env is
 * NULL when they may not, or it is known no more. The call's data is left as it was.
 */
typedef void (*access_cb)(struct local_call *call, struct env *env);
void request_access(struct engine *e, struct local_call *call, struct env *env, bool can_prove,
		    access_cb go_on);
void request_not_permitted(struct local_call *call);
/* An environment as lists show it, with the decision on it, in the arena. ERR_NOMEM. */
int request_environment(struct engine *e, const struct env *env, struct arena *arena,
			Envwarden__Environment **out);
/* How many of n packages fit in room bytes; at least one. */
size_t request_fit(Envwarden__Package *const *items, size_t n, size_t room);

void request_list(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m);
void request_show(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m);
void request_history(void *ctx, struct local_call *call, const Envwarden__Local__HistoryRequest *m);
void request_packages_at(void *ctx, struct local_call *call,
			 const Envwarden__Local__PackagesRequest *m);
void request_diff(void *ctx, struct local_call *call, const Envwarden__Local__DiffRequest *m);
void request_sent(void *ctx, struct local_call *call, const Envwarden__Local__SentRequest *m);
void request_record(void *ctx, struct local_call *call, const Envwarden__Local__RecordRequest *m);
void request_status(void *ctx, struct local_call *call, const Envwarden__Local__StatusRequest *m);
void request_report(void *ctx, struct local_call *call, const Envwarden__Local__ReportBegin *m);
void request_defer(void *ctx, struct local_call *call, const Envwarden__Local__DeferRequest *m);
void request_unlock(void *ctx, struct local_call *call, const Envwarden__Local__UnlockRequest *m);
void request_import(void *ctx, struct local_call *call, const Envwarden__Local__ImportBegin *m);
void request_exception_ask(void *ctx, struct local_call *call,
			   const Envwarden__Local__ExceptionAsk *m);
void request_repair(void *ctx, struct local_call *call, const Envwarden__Local__Repair *m);
void request_exception_states(void *ctx, struct local_call *call,
			      const Envwarden__Local__ExceptionStates *m);
void request_enroll(void *ctx, struct local_call *call, const Envwarden__Local__EnrollRequest *m);

#endif
