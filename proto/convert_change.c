/*
 * Changes to and from their two wire forms. Both have the same fields but for the packages, so what
 * they share is copied by one macro, field by field.
 */
#include "proto/convert.h"

#include <string.h>

#include "lib/base/compiler.h"

/* Kinds this version has no name for are kept as they are: the number is what was signed into the
 * chain. Zero is no kind, and no kind needs more than a byte. */
#define KIND_MAX 255

static int kind_from_wire(Envwarden__ChangeKind wire, enum change_kind *out, struct err *err)
{
	int value = (int)wire;

	if (value < 1 || value > KIND_MAX)
		return err_set(err, ERR_INVALID, "change of unknown kind %d", value);
	*out = (enum change_kind)value;
	return 0;
}

#define COMMON_TO_WIRE(wire, c)                                                                    \
	do {                                                                                       \
		(wire)->seq = (c)->seq;                                                            \
		(wire)->time_ms = (c)->time_ms;                                                    \
		(wire)->kind = (Envwarden__ChangeKind)(c)->kind;                                   \
		(wire)->environment = wire_uuid(&(c)->environment);                                \
		(wire)->prefix = wire_text((c)->prefix);                                           \
		(wire)->from_prefix = wire_text((c)->from_prefix);                                 \
		(wire)->cloned_from = wire_uuid(&(c)->cloned_from);                                \
		(wire)->platform = wire_text((c)->platform);                                       \
		(wire)->tool = wire_text((c)->tool);                                               \
		(wire)->command = wire_text((c)->command);                                         \
		(wire)->detail = wire_text((c)->detail);                                           \
		(wire)->self_reported = (c)->self_reported;                                        \
		(wire)->seen_at_start = (c)->seen_at_start;                                        \
		(wire)->first_seq = (c)->first_seq;                                                \
		(wire)->folded = (c)->folded;                                                      \
		(wire)->digest = wire_bytes((c)->digest, (c)->has_digest ? SHA256_SIZE : 0);       \
	} while (0)

#define COMMON_FROM_WIRE(c, wire)                                                                  \
	do {                                                                                       \
		(c)->seq = (wire)->seq;                                                            \
		(c)->time_ms = (wire)->time_ms;                                                    \
		uuid_from_wire(&(wire)->environment, &(c)->environment);                           \
		(c)->prefix = (wire)->prefix;                                                      \
		(c)->from_prefix = (wire)->from_prefix;                                            \
		uuid_from_wire(&(wire)->cloned_from, &(c)->cloned_from);                           \
		person_from_wire((wire)->actor, &(c)->actor);                                      \
		person_from_wire((wire)->owner, &(c)->owner);                                      \
		(c)->platform = (wire)->platform;                                                  \
		(c)->tool = (wire)->tool;                                                          \
		(c)->command = (wire)->command;                                                    \
		(c)->detail = (wire)->detail;                                                      \
		(c)->self_reported = (wire)->self_reported;                                        \
		(c)->seen_at_start = (wire)->seen_at_start;                                        \
		(c)->first_seq = (wire)->first_seq;                                                \
		(c)->folded = (wire)->folded;                                                      \
		(c)->has_digest = (wire)->digest.len > 0;                                          \
		hash_from_wire(&(wire)->digest, (c)->digest);                                      \
	} while (0)

/* --- packages spelled out -------------------------------------------------------------------- */

int change_to_wire(const struct change *c, struct arena *arena, Envwarden__Change **out)
{
	Envwarden__Change *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__change__init(wire);
	if (packages_to_wire(c->added.items, c->added.n, arena, &wire->added) < 0 ||
	    packages_to_wire(c->removed.items, c->removed.n, arena, &wire->removed) < 0 ||
	    person_to_wire(&c->actor, arena, &wire->actor) < 0 ||
	    person_to_wire(&c->owner, arena, &wire->owner) < 0)
		return ERR_NOMEM;
	wire->n_added = c->added.n;
	wire->n_removed = c->removed.n;
	wire->epoch = wire_uuid(&c->epoch);
	COMMON_TO_WIRE(wire, c);
	*out = wire;
	return 0;
}

static int packages_from_wire(Envwarden__Package *const *wire, size_t n, struct package_list *out,
			      struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct package p;

		rc = package_from_wire(wire[i], &p, err);
		if (rc == 0 && package_list_add(out, &p) < 0)
			rc = err_nomem(err);
	}
	return rc;
}

int change_from_wire(const Envwarden__Change *wire, struct change *out, struct err *err)
{
	struct change c;
	int rc;

	change_init(&c);
	rc = kind_from_wire(wire->kind, &c.kind, err);
	if (rc == 0)
		rc = packages_from_wire(wire->added, wire->n_added, &c.added, err);
	if (rc == 0)
		rc = packages_from_wire(wire->removed, wire->n_removed, &c.removed, err);
	if (rc < 0)
		goto out;
	uuid_from_wire(&wire->epoch, &c.epoch);
	COMMON_FROM_WIRE(&c, wire);
	*out = c;
	change_init(&c);
out:
	change_deinit(&c);
	return rc;
}

/* --- packages by key ------------------------------------------------------------------------- */

struct ref_room {
	Envwarden__Sync__PackageRef ref;
	unsigned char key[PACKAGE_KEY_SIZE];
};

static int refs_to_wire(const struct package_list *packages, struct arena *arena,
			Envwarden__Sync__PackageRef ***out)
{
	size_t n = packages->n;
	Envwarden__Sync__PackageRef **list =
		arena_calloc(arena, n, sizeof(Envwarden__Sync__PackageRef *));
	struct ref_room *room = arena_calloc(arena, n, sizeof(*room));

	if (!list || !room)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		envwarden__sync__package_ref__init(&room[i].ref);
		package_def_key(&packages->items[i], room[i].key);
		room[i].ref.key = wire_bytes(room[i].key, sizeof(room[i].key));
		room[i].ref.requested = packages->items[i].requested;
		list[i] = &room[i].ref;
	}
	*out = list;
	return 0;
}

int journal_change_to_wire(const struct change *c, const unsigned char hash[SHA256_SIZE],
			   struct arena *arena, Envwarden__Sync__JournalChange **out)
{
	Envwarden__Sync__JournalChange *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__sync__journal_change__init(wire);
	if (refs_to_wire(&c->added, arena, &wire->added) < 0 ||
	    refs_to_wire(&c->removed, arena, &wire->removed) < 0 ||
	    person_to_wire(&c->actor, arena, &wire->actor) < 0 ||
	    person_to_wire(&c->owner, arena, &wire->owner) < 0)
		return ERR_NOMEM;
	wire->n_added = c->added.n;
	wire->n_removed = c->removed.n;
	wire->hash = wire_bytes(hash, SHA256_SIZE);
	COMMON_TO_WIRE(wire, c);
	*out = wire;
	return 0;
}

static int refs_from_wire(Envwarden__Sync__PackageRef *const *refs, size_t n,
			  const struct package_lookup *lookup, struct package_list *out,
			  struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct package *known;
		struct package p;

		CHECK(refs[i]->key.len == PACKAGE_KEY_SIZE);
		known = lookup->find(lookup->ctx, refs[i]->key.data);
		if (!known)
			return err_set(err, ERR_NOTFOUND, "package definition not known");
		p = *known;
		p.requested = refs[i]->requested;
		if (package_list_add(out, &p) < 0)
			return err_nomem(err);
	}
	return 0;
}

int journal_change_from_wire(const Envwarden__Sync__JournalChange *wire, const struct uuid *epoch,
			     const struct package_lookup *lookup, struct change *out,
			     struct err *err)
{
	struct change c;
	int rc;

	change_init(&c);
	rc = kind_from_wire(wire->kind, &c.kind, err);
	if (rc == 0)
		rc = refs_from_wire(wire->added, wire->n_added, lookup, &c.added, err);
	if (rc == 0)
		rc = refs_from_wire(wire->removed, wire->n_removed, lookup, &c.removed, err);
	if (rc < 0)
		goto out;
	c.epoch = *epoch;
	COMMON_FROM_WIRE(&c, wire);
	*out = c;
	change_init(&c);
out:
	change_deinit(&c);
	return rc;
}
