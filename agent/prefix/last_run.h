/*
 * The run that removes an environment. It writes its section into history like any other, and
 * deletes the file a moment later. So history is held open while something happens in the prefix,
 * and read through that when the prefix is gone.
 */
#ifndef ENVWARDEN_AGENT_PREFIX_LAST_RUN_H
#define ENVWARDEN_AGENT_PREFIX_LAST_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/conda/history.h"
#include "platform/safe_open.h"
#include "platform/users.h"

struct last_run {
	char command[HISTORY_COMMAND_MAX + 1]; /* secrets masked */
	char tool[HISTORY_TOOL_MAX + 1];
	int64_t owner; /* of history */
	char owner_name[USERS_NAME_MAX];
};

struct held_history {
	struct safe_file file; /* SAFE_FILE_NONE: none is held */
	int64_t owner;
};
#define HELD_HISTORY_NONE ((struct held_history){.file = SAFE_FILE_NONE, .owner = -1})

/*
 * Opens the history of a prefix, on a local file system only: on others a file that is held open
 * may keep its folder from being deleted. HELD_HISTORY_NONE when there is none to be held.
 */
struct held_history held_history_open(const char *prefix);
bool held_history_is_open(const struct held_history *held);
void held_history_close(struct held_history *held); /* makes it HELD_HISTORY_NONE */

/*
 * From the last section, if it is the removal of this prefix; else NULL. Looks the owner up (may
 * block). The caller's, to be freed.
 */
struct last_run *last_run_of(const struct history_facts *last, const char *prefix, int64_t owner);

/* The same from a file that was held: reads on to its end. */
struct last_run *last_run_read(struct held_history *held, const char *prefix);

#endif
