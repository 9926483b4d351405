/*
 * Wire structs <-> lib structs.
 *
 * To the wire: the wire struct and its arrays come from `arena`; texts and byte strings are
 * borrowed from the lib struct, which must outlive the use of the message. ERR_NOMEM is the only
 * error.
 *
 * From the wire: texts are borrowed from the message and live as long as its arena. The codec has
 * checked sizes and texts; here come the rules between fields and values (ERR_INVALID; err says
 * which). Outputs are written on success only. Any thread.
 */
#ifndef ENVWARDEN_PROTO_CONVERT_H
#define ENVWARDEN_PROTO_CONVERT_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "lib/conda/change.h"
#include "lib/conda/package.h"
#include "lib/policy/decision.h"
#include "proto/canonical.h"
#include "proto/codec.h"

/* --- small pieces --- */

/* Borrowing views; a NULL or zero uuid is the empty byte string. */
ProtobufCBinaryData wire_bytes(const void *data, size_t n);
ProtobufCBinaryData wire_uuid(const struct uuid *u);
char *wire_text(const char *text);

/* Empty = zeroes. Any other length than 16 or 32 is a bug of the caller: the codec checked it. */
void uuid_from_wire(const ProtobufCBinaryData *b, struct uuid *out);
void hash_from_wire(const ProtobufCBinaryData *b, unsigned char out[SHA256_SIZE]);

Envwarden__Action action_to_wire(enum action action);
int action_from_wire(Envwarden__Action wire, enum action *out, struct err *err);

/* --- packages and persons --- */
int package_to_wire(const struct package *p, struct arena *arena, Envwarden__Package **out);
int package_from_wire(const Envwarden__Package *wire, struct package *out, struct err *err);

/* n packages at once: an array of pointers for a repeated field. */
int packages_to_wire(const struct package *items, size_t n, struct arena *arena,
		     Envwarden__Package ***out);

int person_to_wire(const struct person *p, struct arena *arena, Envwarden__Person **out);
void person_from_wire(const Envwarden__Person *wire, struct person *out); /* NULL = unknown */

/* --- changes, packages spelled out (local protocol) --- */
int change_to_wire(const struct change *c, struct arena *arena, Envwarden__Change **out);
/* *out is a change of its own: change_deinit it (before the arena ends). */
int change_from_wire(const Envwarden__Change *wire, struct change *out, struct err *err);

/* --- changes, packages by dictionary key (sync protocol) --- */

/* `hash` (32 bytes) is the chain value after this change; borrowed. */
int journal_change_to_wire(const struct change *c, const unsigned char hash[SHA256_SIZE],
			   struct arena *arena, Envwarden__Sync__JournalChange **out);

/* The package of a definition key, or NULL. Its texts must live as long as the change. */
typedef const struct package *(*package_lookup_cb)(void *ctx,
						   const unsigned char key[PACKAGE_KEY_SIZE]);
struct package_lookup {
	package_lookup_cb find;
	void *ctx;
};

/*
 * `epoch` is that of the Changes message around it. ERR_NOTFOUND when a key is not in the
 * dictionary. *out is a change of its own: change_deinit it. The hash is not checked here
 * (change_chain).
 */
int journal_change_from_wire(const Envwarden__Sync__JournalChange *wire, const struct uuid *epoch,
			     const struct package_lookup *lookup, struct change *out,
			     struct err *err);

/* --- decisions --- */

/* A decision with what surrounds it in an answer. Texts are never NULL. */
struct decision_reply {
	struct decision decision;
	const char *prefix;
	const char *name;
	struct uuid environment; /* zero = none known */
	uint64_t policy_version;
	const char *source; /* "agent", "fallback", "default" */
	const char *contact;
	const char *notice; /* one line beside the decision, "" none */
	bool proof_wanted;  /* that the asker may see it, for what it said to count */
	bool report_wanted; /* the agent may not read the prefix: its owner's command is to */
	bool absent;	    /* there is no such environment */
	bool refused;	    /* asking: the agent answered that it can't say; notice has why */
};
void decision_reply_init(struct decision_reply *reply); /* allow, all texts "" */
int decision_to_wire(const struct decision_reply *reply, struct arena *arena,
		     Envwarden__Decision **out);
/* The reasons and their packages come from the arena. */
int decision_from_wire(const Envwarden__Decision *wire, struct arena *arena,
		       struct decision_reply *out, struct err *err);

/* --- runs after a block --- */

/* Of one account in one environment, under one decision. Texts are never NULL. */
struct ran_info {
	struct uuid environment;
	struct person who;
	const char *case_code;
	const char *const *reasons; /* "status", "rule old-openssl" */
	size_t n_reasons;
	int64_t first_ms;
	int64_t last_ms;
	uint64_t programs; /* how often, by how it was seen */
	uint64_t shells;
	uint64_t repairs;
};
int ran_to_wire(const struct ran_info *info, struct arena *arena, Envwarden__RanAfterBlock **out);
void ran_from_wire(const Envwarden__RanAfterBlock *wire, struct ran_info *out);

/* --- environments --- */

/* One environment as lists show it. Texts are never NULL. */
struct environment_info {
	struct uuid id;
	const char *prefix;
	const char *name;
	struct person owner;
	const char *platform;
	const char *tool;
	uint64_t package_count;
	enum action status;
	int64_t created_ms; /* times: 0 = unknown */
	int64_t last_change_ms;
	int64_t last_used_ms;
	uint64_t runs_after_block; /* times it was seen running while it was blocked */
	int64_t ran_ms;		   /* the last of them, 0 = none is known */
	struct person ran_by;
	const char *const *degraded;
	size_t n_degraded;
	bool self_reported; /* known by its owner's own command only */
	bool excluded;	    /* left alone since the agent was told to; as it was seen before */
};
void environment_info_init(struct environment_info *info); /* all texts "", uid -1 */
int environment_to_wire(const struct environment_info *info, struct arena *arena,
			Envwarden__Environment **out);
int environment_from_wire(const Envwarden__Environment *wire, struct environment_info *out,
			  struct err *err);

#endif
