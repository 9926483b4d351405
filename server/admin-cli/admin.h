/*
 * envwarden-admin: the fleet manager's command, a client of the admin API. Data goes to `out`, talk
 * to `err`; what comes from the server is escaped before it reaches either. Exit codes are those of
 * all our commands.
 */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_ADMIN_H
#define ENVWARDEN_SERVER_ADMIN_CLI_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "server/admin-cli/config.h"
#include "server/admin-cli/options.h"

enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_FAILED = 1,
	ADMIN_USAGE = 2,
	ADMIN_UNREACHABLE = 3,
	ADMIN_FORBIDDEN = 7
};

struct client;

/* One run of the command. */
struct admin {
	FILE *out;
	FILE *err;
	struct options options;
	struct config config; /* with what the options say instead */
	struct client *client;
};

/* The whole command. argv[0] is not looked at. */
enum admin_exit admin_run(int argc, const char *const *argv, FILE *out, FILE *err);

/* One line on err, "envwarden-admin: ...", escaped; returns `code`. */
enum admin_exit admin_fail(const struct admin *a, enum admin_exit code, const char *fmt, ...)
	EW_PRINTF(3, 4);
/* A line of talk on err. */
void admin_say(const struct admin *a, const char *fmt, ...) EW_PRINTF(2, 3);
/* A line of data on out. */
void admin_print(const struct admin *a, const char *fmt, ...) EW_PRINTF(2, 3);

int64_t admin_now_ms(void);

#endif
