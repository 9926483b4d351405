/*
 * The fallback file: what the gate goes by when no agent answers (docs/formats.md). The agent
 * writes it whenever decisions change; the envwarden command loads it and looks one environment up.
 *
 * Pure: bytes in, bytes out; reading and replacing the file is the callers' work. A decoder takes
 * no memory: it checks all offsets once and then points into the bytes, which must outlive it.
 * Any thread.
 */
#ifndef ENVWARDEN_PROTO_FALLBACK_H
#define ENVWARDEN_PROTO_FALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/policy/decision.h"

#define FALLBACK_MAX 1048576 /* bytes of the file */

/* What holds for environments the file does not name. */
enum agent_down {
	AGENT_DOWN_LAST_DECISION, /* known blocks stay, unknown is allowed */
	AGENT_DOWN_ALLOW,	  /* everything, known blocks too */
	AGENT_DOWN_BLOCK,
};
const char *agent_down_name(enum agent_down value); /* "last_decision", "allow", "block" */
int agent_down_parse(const char *text, enum agent_down *out); /* ERR_INVALID */

struct fallback_entry {
	const char *path; /* canonical prefix; distinct in one file */
	uint64_t device;
	uint64_t inode; /* 0 = unknown */
	enum action action;
	const char *name;
	const char *case_code;
	const char *message; /* the strongest reason's words */
	const char *fix;     /* ... and its fix, one command; "" none */
};

struct fallback {
	uint64_t policy_version;
	enum agent_down when_agent_down;
	const char *contact;
	const struct fallback_entry *entries; /* in any order; environments that are allowed may be
						 left out unless when_agent_down is "block" */
	size_t n;
};

/* Appends the file. ERR_LIMIT past FALLBACK_MAX (then leave entries out, the allowed ones first),
 * ERR_INVALID for a path given twice, ERR_NOMEM. */
int fallback_encode(const struct fallback *file, struct buf *out, struct err *err);

/* An opened file; texts of it and of found entries are '\0'-ended and point into the bytes. */
struct fallback_view {
	uint64_t policy_version;
	enum agent_down when_agent_down;
	const char *contact;
	uint32_t n;
	const unsigned char *data;
	size_t entry_size; /* of this version's */
};

/* ERR_CORRUPT (not such a file, damaged, an offset that leads outside), ERR_LIMIT,
 * ERR_UNSUPPORTED (a newer version). */
int fallback_open(const void *data, size_t n, struct fallback_view *out, struct err *err);

/*
 * The entry of a prefix: by canonical path (may be NULL), else by device and inode (inode 0 = not
 * asked for). ERR_NOTFOUND.
 */
int fallback_find(const struct fallback_view *view, const char *path, uint64_t device,
		  uint64_t inode, struct fallback_entry *out);

#endif
