/*
 * From the last known state of an environment and a new snapshot to the change between them, if
 * there is one. Pure. Applying the changes of a journal one after the other (what they remove taken
 * out, what they add put in) gives the last snapshot; a deletion removes every package.
 */
#ifndef ENVWARDEN_AGENT_CORE_STEP_H
#define ENVWARDEN_AGENT_CORE_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/diff.h"
#include "agent/core/identity.h"
#include "agent/core/snapshot.h"
#include "lib/conda/change.h"

/* Finds the environment that a clone's command names (a name or a path); false = not known. */
typedef bool (*step_find_source_cb)(void *ctx, const char *source, const struct snapshot *of,
				    struct uuid *id);

struct step_input {
	const struct identity *identity;
	const struct package_list *before; /* the known environment's packages; empty when new */
	const struct snapshot *snapshot;
	bool copied; /* a new prefix with the time of birth of another: its history is that one's */
	struct uuid fresh_id; /* for an environment that is new */
	int64_t now_ms;
	step_find_source_cb find_source;
	void *ctx;
};

struct step {
	bool changed; /* `change` is one for the journal; epoch, seq are the caller's to fill */
	bool store;   /* something to be stored differs: the environment's row or its packages */
	bool packages_differ; /* the stored packages, attributes included */
	bool marks_differ;    /* only the reader's marks of their files */
	struct change change;
	char detail[SNAPSHOT_NAMES_MAX + 1]; /* what change.detail points to, if anything */
};

/*
 * A half-made environment is nothing until it has content, and the end of the one it replaces is
 * the caller's to tell (identity->displaced). Strings of the change are borrowed from the input and
 * from *out.
 * ERR_NOMEM.
 */
int step_make(const struct step_input *in, struct step *out);
void step_deinit(struct step *s);

/*
 * The change that ends an environment. Its packages are copied into `removed`; strings are borrowed
 * from the input. ERR_NOMEM; release with change_deinit.
 */
struct step_end {
	const struct environment *environment;
	const struct package_list *before;
	const struct run_facts *last; /* the run that removed it; NULL unknown */
	int64_t now_ms;
	bool seen_at_start;
};
int step_deleted(const struct step_end *end, struct change *out);

/* The change that tells an environment anew to whoever knows nothing yet: created, seen at start.
 */
int step_baseline(const struct environment *env, const struct package_list *packages,
		  int64_t now_ms, struct change *out);

#endif
