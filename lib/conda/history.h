/*
 * The reader of conda-meta/history: what the last run in an environment was. Feed it the file, or
 * just the tail of a big one (it starts at the first header it sees), in chunks of any size; then
 * finish. The memory is the struct, whatever the input.
 *
 * The file belongs to whoever owns the environment and its "# cmd:" is unquoted text, so all facts
 * are claims: a run's argument may contain newlines and thereby forge lines, even whole sections.
 * Texts are valid UTF-8 without NUL (what is not becomes U+FFFD) and cut at a character when over
 * their limit. Of lines longer than HISTORY_LINE_MAX only the beginning counts.
 */
#ifndef ENVWARDEN_LIB_CONDA_HISTORY_H
#define ENVWARDEN_LIB_CONDA_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

#define HISTORY_LINE_MAX 8192
#define HISTORY_TIME_MAX 32
#define HISTORY_COMMAND_MAX 4096
#define HISTORY_TOOL_MAX 16
#define HISTORY_ACTION_MAX 32
#define HISTORY_VERSION_MAX 64
#define HISTORY_SOURCE_MAX 1024

/* The last section. Every text is "" when not known. */
struct history_facts {
	/* As written: local time without zone, "2026-11-22 17:17:42". */
	char time[HISTORY_TIME_MAX + 1];

	/* argv joined by blanks, secrets replaced by "***" (see history_mask_command). */
	char command[HISTORY_COMMAND_MAX + 1];

	/* "conda", "mamba", "micromamba", "pixi" (the comment it leaves), or "unknown". */
	char tool[HISTORY_TOOL_MAX + 1];

	/*
	 * "create", "install", "update" (also for upgrade), "remove" (also for uninstall),
	 * "rename", or whatever other word the command has there; from the spec lines if there is
	 * no command.
	 */
	char action[HISTORY_ACTION_MAX + 1];

	/* As written by the tool; mamba always claims conda 3.8.0. */
	char conda_version[HISTORY_VERSION_MAX + 1];

	/* Name or path of the environment renamed or cloned, if the command says it. */
	char source[HISTORY_SOURCE_MAX + 1];
	bool source_is_path; /* given with -p, or with a slash in it */

	/*
	 * Behind it, the environment the command is about: what follows -n or -p up to the next
	 * option (so words that are no part of it may follow), the last word of a rename.
	 */
	char target[HISTORY_SOURCE_MAX + 1];
	bool is_clone; /* create --clone */
	bool is_rename;
	bool is_removal; /* of the environment: env remove, remove --all; not with --keep-env */

	size_t added;	/* "+" lines */
	size_t removed; /* "-" lines */
};

struct history {
	struct history_facts last;
	/*
	 * The first section, which made the environment: its command is not kept, what was read
	 * from it is. The same as the last one when there is no other.
	 */
	struct history_facts first;
	size_t sections; /* headers seen */

	/* private */
	size_t line_len;
	bool line_cut;
	size_t command_len; /* of the last section, as it stands there: 0 = none yet */
	char line[HISTORY_LINE_MAX];
	char command[HISTORY_LINE_MAX];
};

void history_init(struct history *h);
void history_feed(struct history *h, const void *data, size_t n);
/* The end of the file: a last line counts without newline too. Then h->last stands. ERR_NOMEM. */
int history_finish(struct history *h);

/*
 * The pure parts, also for commands learnt elsewhere (a process list, a gate request).
 *
 * history_mask_command appends the command with its secrets as "***": what channel_mask_url masks,
 * and the value of every long option whose name contains token, passw, secret, api-key, api_key or
 * apikey (--token X, --token=X). A joined argv has no quotes, so such a value ends at the next
 * blank. Errors stay in out (buf_rc).
 */
void history_mask_command(struct buf *out, const char *command, size_t n);

/*
 * Fills tool, action, source, source_is_path, target, is_clone, is_rename and is_removal from a
 * joined argv. For lack of quotes a name is taken to be one word, a path to go on until the next
 * option (for a rename: until the last word before it, which is the new name). action stays as it
 * is when the command has none.
 */
void history_parse_command(const char *command, size_t n, struct history_facts *facts);

/* Whether a target may be this prefix: by its last part, or as none is named. */
bool history_speaks_of(const char *target, const char *prefix);
/* Whether it is this very path, perhaps with words behind it that were typed there. */
bool history_names(const char *target, const char *prefix);

#endif
