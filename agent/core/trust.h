/*
 * The signed state an agent holds, and when it takes another (docs/formats.md 3). A timestamp names
 * a set: one version and hash of each role. The set is taken as a whole or not at all. Pure: the
 * bytes come from the caller, which stores them when they were taken.
 *
 * Why a set is refused, with the last good one kept: ERR_STALE (an older version), ERR_VERIFY
 * (signatures, or a hash that is not the timestamp's), ERR_EXPIRED, ERR_CONFLICT (another
 * machine's, or a version held with other contents), ERR_NOTFOUND (a bundle the set names is
 * lacking), ERR_INVALID, ERR_LIMIT (malformed). err names the role.
 */
#ifndef ENVWARDEN_AGENT_CORE_TRUST_H
#define ENVWARDEN_AGENT_CORE_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "proto/signed.h"

enum trust_role {
	TRUST_ROOT,
	TRUST_POLICY,
	TRUST_ADVISORIES,
	TRUST_STATUS,
	TRUST_TIMESTAMP
};
#define TRUST_ROLES 5

const char *trust_role_name(enum trust_role role);	       /* "root", ... */
int trust_role_parse(const char *name, enum trust_role *role); /* ERR_INVALID */

struct trust_item {
	uint64_t version;		 /* 0 = none is held, or named */
	unsigned char hash[SHA256_SIZE]; /* of the Signed bytes */
	int64_t expires_ms;
	/* A root has changed the role's keys since: it is to be given, and verified, again. */
	bool in_doubt;
};

/* What is held. Plain data. */
struct trust {
	struct uuid machine;
	struct root_info root;
	struct trust_item items[TRUST_ROLES];
	int64_t created_ms; /* of the newest timestamp taken: staleness counts from here */
};

struct trust_blob {
	const void *data; /* a packed Signed */
	size_t n;	  /* 0 = not given */
};

/*
 * The first state of an enrolled machine: roots oldest first, each a step from the one before; or
 * the one root that was stored. Nothing else is held yet.
 */
int trust_begin(const struct uuid *machine, const struct trust_blob *roots, size_t n,
		struct trust *out, struct err *err);

/*
 * Takes further roots, one step each; those held already are passed over. A timestamp that does not
 * verify may be signed by keys of a root to come: ask for the next one first. What is held of a
 * role whose keys a root changes stays in force, but no further set is taken until the new keys
 * have signed it: all of a set that is stored verifies under the root that is stored with it.
 */
int trust_step_roots(const struct trust *held, const struct trust_blob *roots, size_t n,
		     struct trust *out, struct err *err);

/* What a timestamp names. It must be for this machine and name nothing older than what is held. */
struct trust_names {
	struct trust_item items[TRUST_ROLES];
	int64_t created_ms;
};
int trust_read_timestamp(const struct trust *held, const struct trust_blob *timestamp,
			 int64_t now_ms, struct trust_names *out, struct err *err);

/* Whether the bundle the names want of a role has yet to be fetched (again, when in doubt). */
bool trust_lacks(const struct trust *held, const struct trust_names *names, enum trust_role role);

struct trust_candidate {
	struct trust_blob timestamp;
	/* by role: those that are lacking; ones already held may be left out. */
	struct trust_blob bundles[TRUST_ROLES];
	int64_t now_ms; /* trusted time */
};

struct trust_accepted {
	struct trust trust;
	/* by role, in the arena; NULL where the held bundle stays. */
	Envwarden__Bundle__Body *bodies[TRUST_ROLES];
};

/* Takes the set the candidate's timestamp names, or refuses it. Roots are taken before. */
int trust_accept(const struct trust *held, const struct trust_candidate *candidate,
		 struct arena *arena, struct trust_accepted *out, struct err *err);

/*
 * The set that was stored, at start: as trust_accept, but an expired set is good (it was not when
 * it was taken, and the last good set stays).
 */
int trust_restore(const struct trust *begun, const struct trust_candidate *stored,
		  struct arena *arena, struct trust_accepted *out, struct err *err);

#endif
