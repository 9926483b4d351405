/*
 * Accounts of this machine, looked up where nobody has to wait: a name service may ask a directory
 * server, which may be slow or hang. Questions are asked on threads of their own, up to
 * ACCOUNTS_ASKERS at a time, and answers are kept for a while:
 *
 *   there is such an account   10 minutes, and after that until the next answer
 *   there is none              1 minute
 *   it could not be told       10 seconds
 *
 * A service is *silent* when a question has been waiting for ACCOUNTS_SILENT_MS. Nobody waits for
 * it then; what is known goes on being told.
 *
 * Any thread may ask; new, stop and changed are the loop's.
 */
#ifndef ENVWARDEN_AGENT_ACCOUNTS_H
#define ENVWARDEN_AGENT_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/users.h"

#define ACCOUNTS_ASKERS 4
#define ACCOUNTS_SILENT_MS 2000
#define ACCOUNTS_KEPT_MAX 256 /* answers and questions; the oldest answers make room */
#define ACCOUNTS_LIST_MAX                                                                          \
	(16u << 20) /* bytes of a list of all accounts, what is over is left out */

struct accounts;
struct clock;
struct uv_loop_s;

/* Whom to ask: platform/users.h, or a test. Called on threads of their own. */
struct accounts_source {
	int (*by_uid)(uint32_t uid, struct user *out, struct err *err);
	int (*by_name)(const char *name, struct user *out, struct err *err);
	int (*each)(users_cb cb, void *ctx, struct err *err);
};
extern const struct accounts_source accounts_system;

struct accounts_config {
	struct uv_loop_s *loop;
	const struct clock *clock;
	const struct accounts_source *source; /* NULL: the system */
	void (*changed)(void *ctx); /* on the loop: answers came, or somebody went on without
				       one; may be NULL */
	void *ctx;
};

int accounts_new(const struct accounts_config *config, struct accounts **out, struct err *err);
/*
 * Nobody may ask any more. stopped(owner) follows from the loop, once; a question that hangs is
 * left behind with what it needs.
 */
void accounts_stop(struct accounts *all, void (*stopped)(void *owner), void *owner);

/*
 * ERR_NOTFOUND: there is no such account. ERR_TIMEOUT: not known yet; changed follows when it is.
 * Waits until the question is wait_ms old, however many ask it; 0, on a loop: not at all. Others:
 * it could not be told (ERR_BUSY: too many questions wait). all NULL: the system is asked here and
 * now, for programs that have nothing else to do.
 */
int accounts_by_uid(struct accounts *all, uint32_t uid, int64_t wait_ms, struct user *out);
int accounts_by_name(struct accounts *all, const char *name, int64_t wait_ms, struct user *out);

/*
 * users_each with numbers and homes alone, from one thread at a time. A list that came too late for
 * one call is for the next. ERR_TIMEOUT: there is none yet.
 */
int accounts_each(struct accounts *all, int64_t wait_ms, users_cb cb, void *ctx);

/* How long the oldest question without an answer has waited; 0: there is none. */
int64_t accounts_waited_ms(struct accounts *all);

#endif
