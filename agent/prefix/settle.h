/*
 * When is a run of conda, mamba, pixi or pip over? The rule, from the signs a prefix shows. Pure.
 *
 * Where it comes from: conda holds replaced files as *.c~ until it commits or has rolled back, and
 * appends to history after it has written the records; mamba makes an empty history before it holds
 * conda-meta.lock; pixi writes "pixi:installing!" into its fingerprint, replaces it by 16 hex
 * digits, installs what comes from PyPI and writes its own file last; pip renames what it replaces
 * to "~..." until it has written RECORD, last. All of them write records in place, so a record can
 * be seen half-written.
 */
#ifndef ENVWARDEN_AGENT_PREFIX_SETTLE_H
#define ENVWARDEN_AGENT_PREFIX_SETTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTLE_STALE_MS                                                                            \
	(10 * 60 * 1000) /* a held copy or lock this old was left by a killed run                  \
			  */
#define SETTLE_HISTORY_MS                                                                          \
	(3 * 1000) /* how long a record may wait for its history line, and back                    \
		    */
#define SETTLE_LINK_MS                                                                             \
	(60 * 1000) /* how long conda may take from a package's files to its record */
#define SETTLE_PIXI_MS                                                                             \
	(20 * 1000) /* how long pixi may rest before its last file; others leave it out */
#define SETTLE_RENAME_MS (60 * 1000) /* how long a rename's source may take to vanish */
#define SETTLE_RETRIES 6	     /* readings of a damaged record before it is the fact */

/* Ages are milliseconds before now; -1 = there is none. */
struct settle_signs {
	int64_t held_copy_age_ms;  /* newest *.c~ in conda-meta, or conda's scratch folder */
	int64_t lock_age_ms;	   /* conda-meta.lock, held by somebody */
	int64_t installing_age_ms; /* pixi's fingerprint says so */
	int64_t unclosed_age_ms;   /* pixi's last file is older: the newest of what it installed */
	int64_t empty_history_age_ms;	/* nothing in it, no records: just made */
	int64_t unlisted_record_age_ms; /* newest record that is newer than history */
	int64_t unfinished_dist_age_ms; /* newest dist-info without RECORD */
	int64_t stashed_dist_age_ms;	/* newest that pip holds for an undo */
	int64_t unrecorded_dist_age_ms; /* newest of conda's that no record claims */
	int64_t rename_age_ms; /* of a new prefix made by a rename, and its source is there */
	size_t unreadable;     /* records or distributions that could not be read */
	unsigned reads;	       /* how often they could not in a row, this time included */
};

enum settle_reason {
	SETTLE_READY,
	SETTLE_HELD_COPY,
	SETTLE_LOCK,
	SETTLE_INSTALLING,
	SETTLE_HISTORY,
	SETTLE_DIST,
	SETTLE_RENAME,
	SETTLE_UNREADABLE,
};

struct settle_verdict {
	enum settle_reason reason;
	int64_t wait_ms; /* look again after this, or at the next event; 0 when ready */
};

struct settle_verdict settle_judge(const struct settle_signs *signs);

/* Nothing of all that: a prefix at rest. */
void settle_signs_init(struct settle_signs *signs);

#endif
