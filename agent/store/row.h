/*
 * The values of the store's tables, as bytes. Encoding fails only as the buf does (buf_rc).
 * Decoding returns ERR_CORRUPT for anything that was not encoded so, and allocates texts in the
 * arena. Values of the layout before are read too: what they lack is zero.
 */
#ifndef ENVWARDEN_AGENT_STORE_ROW_H
#define ENVWARDEN_AGENT_STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/identity.h"
#include "agent/store/db.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/conda/change.h"
#include "proto/canonical.h"

#define ROW_MAX (1u << 20) /* bytes of any value, pieces of bundles aside */

/* Packages as they stand in snapshots and changes: by their definition. */
struct package_ref {
	unsigned char key[PACKAGE_KEY_SIZE];
	bool requested;
	enum package_installer installer; /* snapshots only, as these: */
	uint64_t stamp;
	uint64_t claim;
};
struct ref_list { /* borrowed bytes of a value */
	const unsigned char *items;
	size_t n;
	size_t size; /* bytes of an item */
};
struct package_ref ref_at(const struct ref_list *list, size_t i);

/* Not marked: without the reader's marks, in half the space. */
void row_put_snapshot(struct buf *out, const struct package_list *packages, bool marked);
int row_get_snapshot(struct bytes value, struct ref_list *out);
/* The same snapshot as the present layout has it. */
void row_put_snapshot_refs(struct buf *out, const struct ref_list *refs);

/* Whether a value is of the layout before; of these two tables only. */
bool row_is_old_environment(struct bytes value);
bool row_is_old_snapshot(struct bytes value);

/* A list of references as changes have it, from an array and as one to read. */
void row_put_vec(struct buf *out, const struct package_ref *items, size_t n);
struct ref_list row_vec_refs(struct bytes items);

void row_put_environment(struct buf *out, const struct environment *env);
int row_get_environment(const struct uuid *id, struct bytes value, struct arena *arena,
			struct environment *out);

void row_put_package(struct buf *out, const struct package *p, bool sent);
int row_get_package(struct bytes value, struct arena *arena, struct package *out, bool *sent);

/* A change without its packages, which follow as references. */
struct change_row {
	struct change change; /* added and removed are empty */
	unsigned char hash[SHA256_SIZE];
	struct ref_list added;
	struct ref_list removed;
	uint64_t oldest; /* folded: seq of the oldest change in it; 0 = itself alone */
};
void row_put_change(struct buf *out, const struct change *c, const unsigned char hash[SHA256_SIZE]);
int row_get_change(struct bytes value, struct arena *arena, struct change_row *out);
/* One that others were folded into: its packages are in row->change. */
void row_put_folded(struct buf *out, const struct change_row *row);
/* The same row with a range that begins at `first`. ERR_CORRUPT, or as buf_rc. */
int row_put_first(struct buf *out, struct bytes value, uint64_t first);
/* Its chain value alone. */
int row_get_hash(struct bytes value, unsigned char hash[SHA256_SIZE]);

/* One epoch of the journal. */
struct epoch_row {
	struct uuid uuid;
	uint64_t head;
	uint64_t acked;
	unsigned char head_hash[SHA256_SIZE];
	bool baseline;		    /* not all told yet: */
	struct uuid baseline_after; /* the last environment told */
	int64_t baseline_ms;	    /* the time it is told as of */
};
void row_put_epoch(struct buf *out, const struct epoch_row *e);
int row_get_epoch(struct bytes value, struct epoch_row *out);

/* Keys. Each fills `out` and returns a view of it. */
#define ROW_KEY_MAX 80
struct row_key {
	unsigned char b[ROW_KEY_MAX];
};
struct bytes key_uuid(const struct uuid *id); /* a view of *id itself */
struct bytes key_path(struct row_key *out, const char *prefix);
struct bytes key_pair(struct row_key *out, uint64_t a, uint64_t b); /* inode, journal */
struct bytes key_number(struct row_key *out, uint64_t n);	    /* epoch */
uint64_t key_read(struct bytes key, size_t offset);		    /* one of those back */

#endif
