/*
 * Accounts of this machine. A user is a number and a name; on Windows the number is the last part
 * of the account's SID, which is unique within one machine and domain, and 0 is SYSTEM. Lookups go
 * through the system's name service and may block on a directory server: never on the loop thread.
 */
#ifndef ENVWARDEN_PLATFORM_USERS_H
#define ENVWARDEN_PLATFORM_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

#define USERS_NAME_MAX 256
#define USERS_HOME_MAX 1024
#define USERS_UID_NONE UINT32_MAX /* nobody's number */

struct user {
	uint32_t uid;
	uint32_t gid; /* primary group; 0 on Windows */
	char name[USERS_NAME_MAX];
	char home[USERS_HOME_MAX]; /* "" if the account has none */
};

uint32_t users_current(void);
bool users_is_root(void); /* may do everything: root, or SYSTEM or an elevated administrator */

/* ERR_NOTFOUND: no such account. Others (ERR_IO, ERR_LIMIT): it could not be told. */
int users_by_uid(uint32_t uid, struct user *out, struct err *err);
int users_by_name(const char *name, struct user *out, struct err *err);

/* Whether the account's primary group is its alone: of its name, and with no other member listed.
 */
bool users_group_is_own(const struct user *user);

/*
 * Calls back for every account the system lists. Directory accounts (LDAP, AD) are usually not
 * listed; look those up when their number turns up. A callback that returns non-zero ends the walk,
 * and that is the result. Not from two threads at once.
 */
typedef int (*users_cb)(void *ctx, const struct user *user);
int users_each(users_cb cb, void *ctx, struct err *err);

#endif
