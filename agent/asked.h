/*
 * Members' requests for exceptions, as this machine keeps them: what was asked, and what became of
 * it. Data only: no store, no loop, no clock.
 *
 * A request is *open* until it is approved or denied. One member has one open request about an
 * environment and a case: asking again is the same request. Answered ones are kept for the member
 * to look at, the oldest make room.
 */
#ifndef ENVWARDEN_AGENT_ASKED_H
#define ENVWARDEN_AGENT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/said.h"
#include "lib/base/buf.h"
#include "lib/base/uuid.h"
#include "lib/policy/decision.h"

#define ASKED_OF_USER_MAX 20 /* kept of one member */
#define ASKED_MAX 2000	     /* kept on the machine */
#define ASKED_BYTES_MAX 8192 /* of an encoded one */

/* As the status bundle has it (bundle.proto, RequestState). */
enum asked_state {
	ASKED_OPEN = 1,
	ASKED_APPROVED,
	ASKED_DENIED,
};

struct asked {
	struct uuid id;
	struct uuid environment;
	uint32_t uid;
	int64_t made_ms; /* trusted time */
	char case_code[CASE_CODE_MAX];
	enum asked_state state;
	int64_t until_ms; /* approved: when the exception ends; 0 = not told */
	/* Never NULL once made. */
	char *user;
	char *reason;
	char *message;	 /* the administrator's words */
	char *exception; /* its id, "" none */
	bool heard;	 /* the server has told of it */
	bool sent;	 /* on this connection */
	bool unkept;	 /* not in the store as it is here */
};

/* Copies the texts; sets what a new request has. ERR_NOMEM. */
int asked_new(const struct asked *from, struct asked **out);
void asked_free(struct asked *asked); /* NULL is fine */

void asked_encode(const struct asked *asked, struct buf *out);
/* ERR_INVALID: not one. */
int asked_decode(const void *data, size_t n, struct asked **out);

/*
 * Takes over what the organisation says of it, NULL: nothing. Whether anything has changed. An
 * answer stays when no more is said of it; what was open is to be sent again then. Words that find
 * no memory come when this is called the next time.
 */
bool asked_hear(struct asked *asked, const struct said_request *said);

/* Of one that was approved: the exception has not ended, as far as is known. */
bool asked_holds(const struct asked *asked, int64_t now_ms);

/* By the time they were made, the oldest first. Owns them. */
struct asked_list {
	struct asked **items;
	size_t n;
	size_t cap;
};

void asked_list_deinit(struct asked_list *list);
int asked_list_reserve(struct asked_list *list);		  /* room for one more. ERR_NOMEM */
int asked_list_add(struct asked_list *list, struct asked *asked); /* ERR_NOMEM: not taken */
void asked_list_remove(struct asked_list *list, size_t at);	  /* and frees it */

/* The open one of this member about that; NULL: there is none. */
struct asked *asked_list_open(const struct asked_list *list, const struct uuid *environment,
			      const char *case_code, uint32_t uid);
/*
 * Whether this member may ask once more: 0. *at is what has to go for it, list->n: nothing.
 * ERR_LIMIT: too many wait for an answer.
 */
int asked_list_room(const struct asked_list *list, uint32_t uid, size_t *at);

#endif
